# The two commands a newcomer needs are `make run` and `make test`; `make help` lists the rest.

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.latchwork-setup
LOCK_FLAGS := --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock" --quiet

.DEFAULT_GOAL := help
.PHONY: help setup run test check audit format sim bench fuzz lock clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

setup: $(STAMP) ## the environment in .venv, with the latchwork command in it
	@sh tools/setup.sh --check || { rm -f $(STAMP); $(MAKE) --no-print-directory $(STAMP); }

$(STAMP): requirements.lock requirements-uv.txt pyproject.toml tools/setup.sh
	@LATCHWORK_PYTHON="$(PYTHON)" sh tools/setup.sh

run: setup ## database, server, two simulated banks and a mail catcher (ARGS="...")
	@$(BIN)/latchwork run $(ARGS)

test: setup ## every test; page tests need a Chromium (ARGS="tests/store -k migrate")
	@sh tools/browser.sh
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup ## style, strict types, and the fence round each package
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_tidy.py

audit: setup ## is anything known against what the lock pins? asks osv.dev
	@$(BIN)/python tools/audit.py

format: setup ## let ruff lay out the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

sim: setup ## bank and server in pretend time (SEEDS=100 DAYS=7, or one SEED=42)
	@$(BIN)/latchwork sim $(if $(SEEDS),--seeds $(SEEDS)) $(if $(DAYS),--days $(DAYS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: setup ## what the performance claims rest on (ONLY=name for one part)
	@$(BIN)/python -m bench $(ONLY)

fuzz: setup ## hostile inputs to every parser that reads from outside (SECONDS=20 for each, ONLY=name)
	@$(BIN)/python -m fuzz $(ONLY) $(if $(SECONDS),--seconds $(SECONDS))

lock: setup ## requirements.lock and requirements-uv.txt anew, from pyproject.toml (UPGRADE=1 for newer versions)
	$(BIN)/uv pip compile $(LOCK_FLAGS) --all-extras --group dev $(if $(UPGRADE),--upgrade) -o requirements.lock pyproject.toml
	$(if $(UPGRADE),echo uv,grep -o '^uv==[^ ]*' requirements-uv.txt) > $(VENV)/uv.in
	$(BIN)/uv pip compile $(LOCK_FLAGS) --no-annotate -o requirements-uv.txt $(if $(UPGRADE),--upgrade) $(VENV)/uv.in

clean: ## forget the environment and the caches; data in var/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests tools bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
