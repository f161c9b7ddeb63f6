"""What signs somebody in stands in no log, whatever happens and however much is logged."""

import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import httpx
import pytest
from tests.server.identity_provider import SECRET
from tests.server.test_sign_in_pages import GOOD, HERE, _seal
from tests.server.test_single_sign_on import a_stage
from tests.server.test_visits import ADA

from latchwork.server.lines import JsonLines, Lines
from latchwork.server.main import OWNER_FILE


async def test_secrets_are_in_no_log(database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for ours in ("httpx", "httpcore"):  # the test's own browser
        logging.getLogger(ours).setLevel(logging.WARNING)
    async with a_stage(database, tmp_path, "auditor") as stage:
        place = stage.place
        link = (tmp_path / OWNER_FILE).read_text().strip()
        secrets = [place.token, place.root, link.rsplit("/", 1)[1], GOOD, SECRET]
        async with httpx.AsyncClient(timeout=60, base_url=place.url, headers=HERE) as browser:
            form = {"name": "Grace Hopper", "email": "grace@example.org", "password": GOOD}
            assert (await browser.post(link, data=form)).status_code == 303
            page = (await browser.get("/operator/app")).text
            secrets += [*re.findall(r"<code>([A-Z2-7]+)</code>", page), browser.cookies["latchwork-session"]]
            for path, wrong in (
                ("/operator/app", {"seal": _seal(page), "code": "12 34 56"}),
                ("/operator/sign-in", {"email": "grace@example.org", "password": f"{GOOD}!"}),
                ("/operator/sign-in/passkey", {"answer": '{"id": "x", "response": {}}'}),
                ("/operator/forgot", {"email": "grace@example.org"}),
                ("/me/code", {"email": ADA}),
            ):
                assert (await browser.post(path, data=wrong)).status_code < 500
            rows = await place.cloud.office.store.fetch("SELECT id, purpose FROM links")
            for row in rows:
                secrets += [place.cloud.office.vault.mailed_code(row["id"])] * (row["purpose"] == "code")
            away = await browser.get(f"/operator/sso/{stage.id}")
            back = (await browser.get(away.headers["location"])).headers["location"]
            secrets += [httpx.URL(back).params["code"], httpx.URL(back).params["state"]]
            assert (await browser.get(back)).status_code == 303
            secrets.append(browser.cookies["latchwork-session"])

            assert (await browser.get("/operator/tokens")).status_code == 403
            wrong = {"Authorization": "Bearer lw_made-up-and-wrong"}
            assert (await browser.get("/api/v1/sites", headers=wrong)).status_code == 401
            secrets.append(wrong["Authorization"].partition(" ")[2])
            for _ in range(5):
                await browser.post("/operator/forgot", data={"email": "grace@example.org"})
            owner = await asyncpg.connect(database)
            await owner.execute("ALTER TABLE passkeys RENAME TO gone")
            await owner.close()
            assert (await browser.get("/operator/account")).status_code == 500, "what we did not expect is logged too"
    assert any(record.levelno >= logging.ERROR for record in caplog.records)
    for told in ("auditor, may not: GET /operator/tokens", "a wrong API token", "guesses have to wait", ": signed in"):
        assert told in caplog.text, "what somebody tried in vain is logged"
    assert len(secrets) > 8 and all(len(secret) >= 6 for secret in secrets)
    record = logging.LogRecord("x", logging.INFO, "", 0, "said %s", ("a\r\n2026 x forged\x1b[2J é",), None)
    assert Lines("%(message)s").format(record) == "said a\\r\\n2026 x forged\\x1b[2J é", "a line each, whoever speaks"
    _as_json(caplog.records)
    said = caplog.text
    assert [secret for secret in secrets if secret in said] == []


def _as_json(records: Sequence[logging.LogRecord]) -> None:
    """Every line is an object with the fields that the page on logs names, and with no others."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "logs.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)` \|", page.split("## As JSON")[1].split("##")[0], re.MULTILINE))
    told = [JsonLines().format(record) for record in records]
    assert all("\n" not in line for line in told)
    said = [json.loads(line) for line in told]
    assert {field for line in said for field in line} == named
    assert all(line["time"].endswith("+00:00") and line["from"] for line in said)
    assert any("Traceback" in line.get("error", "") for line in said)
