"""The demo plays its whole story through real processes, and says so."""

import json
import re
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from tests.journeys.processes import latchwork

from latchwork.simulator.story import PARCELS, STORY


def test_the_story_is_seen_from_its_beginning_to_its_end(tmp_path: Path, open_dir: Path) -> None:
    data = open_dir / "demo"
    played = latchwork("demo", "--script", "--out", str(tmp_path), "--data", str(data))
    assert played.returncode == 0, played.stdout
    secrets_stay_where_they_belong(data, played.stdout)
    steps = json.loads((tmp_path / "steps.json").read_text())
    assert [step["step"] for step in steps] == [what for what, _ in STORY]
    assert all(step["good"] for step in steps)
    for parcel in PARCELS.values():
        told = json.loads((tmp_path / f"{parcel.tracking}.json").read_text())
        kinds = [event["kind"] for event in told["timeline"] if not event["kind"].startswith("Session")]
        assert kinds[0] == "Announced" and kinds[-1] in ("Collected", "Recalled"), kinds
    receipt, sticker = tmp_path / "receipt.json", tmp_path / "sticker.txt"
    verified = latchwork("verify", str(receipt), "--key", str(sticker))
    assert verified.returncode == 0 and "GOOD" in verified.stdout, verified.stdout
    receipt.write_bytes(receipt.read_bytes().replace(b"It was collected", b"It was recalled", 1))
    assert latchwork("verify", str(receipt), "--key", str(sticker)).returncode == 1


def secrets_stay_where_they_belong(data: Path, said: str) -> None:
    """Tokens in their files, codes and links in mails; none of them in a log, a database or anything else on disk."""
    made, mails = json.loads((data / "stage.json").read_text()), data / "mails"
    caught = (message_from_bytes(path.read_bytes(), policy=default) for path in mails.glob("*.eml"))
    bodies = (mail.get_body(("plain",)) for mail in caught)
    mailed = "".join(body.get_content() for body in bodies if body is not None)
    tokens = [made["token"], (data / "server" / "first-token").read_text().strip()]
    tokens += [(data / "server" / "first-owner").read_text().strip().rsplit("/", 1)[1]]
    tokens += set(re.findall(r"/p/([\w-]{43})", mailed))
    codes = {
        digits.replace(" ", "") for digits in re.findall(r"^Your code: *([0-9][0-9 ]*[0-9])\s*$", mailed, re.MULTILINE)
    }
    assert len(tokens) > 10 and len(codes) > 5, "there was something to look for"
    theirs = {data / "stage.json", data / "server" / "first-token", data / "server" / "first-owner"}
    looked = 0
    for path in data.rglob("*"):
        if not path.is_file() or path in theirs or mails in path.parents:
            continue
        content = path.read_bytes()
        looked += 1
        assert [token for token in tokens if token.encode() in content] == [], path
        if path.suffix == ".log":
            said_in_it = set(re.findall(r"(?<![\w.:-])\d+(?![\w.:-])", content.decode(errors="replace")))
            assert not codes & said_in_it, path
    assert looked > 100
    assert not any(token in said for token in tokens)


def test_without_a_script_it_says_where_the_demo_for_hands_is() -> None:
    ended = latchwork("demo")
    assert ended.returncode == 2 and "latchwork run" in ended.stdout
