#!/bin/sh
# Builds the environment in .venv from the lock, every package checked by its hash.
# `--check` only tells, by its exit code, whether the environment that is there can still be used.
set -eu
cd "$(dirname "$0")/.."
venv=.venv
stamp=$venv/.latchwork-setup

if [ "${1:-}" = --check ]; then
    # A checkout that was moved or copied, or whose Python went away, has scripts that point nowhere.
    [ "$(cat $stamp 2>/dev/null)" = "$PWD" ] && "$venv/bin/python" -c pass 2>/dev/null
    exit
fi

say() { printf '%s\n' "setup: $*" >&2; }

fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python=
for candidate in ${LATCHWORK_PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if fits "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    say "Latchwork needs Python 3.11 or newer and found none. Install one, or name it: make setup PYTHON=/path/to/python3"
    exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    say "$python cannot make virtual environments: its venv or ensurepip module is missing."
    say "On Debian and Ubuntu the package python3-venv has both: apt-get install python3-venv"
    exit 1
fi

if ! { [ "$(cat $venv/.latchwork-place 2>/dev/null)" = "$PWD" ] && fits "$venv/bin/python"; }; then
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
    printf '%s\n' "$PWD" > $venv/.latchwork-place
fi
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

say "installing the locked packages"
pip install --quiet --require-hashes -r requirements-uv.txt
if ! "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes -r requirements.lock; then
    say "uv could not install the lock; trying pip, which knows this machine's own pip settings"
    pip install --quiet --require-hashes -r requirements.lock
fi
pip install --quiet --no-deps --no-build-isolation --editable .
printf '%s\n' "$PWD" > $stamp
say "ready: $venv/bin/latchwork"
