"""The demo plays its whole story through real processes, and says so."""

import json
from pathlib import Path

from tests.journeys.processes import latchwork

from latchwork.simulator.story import PARCELS, STORY


def test_the_story_is_seen_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    played = latchwork("demo", "--script", "--out", str(tmp_path))
    assert played.returncode == 0, played.stdout
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


def test_without_a_script_it_says_where_the_demo_for_hands_is() -> None:
    ended = latchwork("demo")
    assert ended.returncode == 2 and "latchwork run" in ended.stdout
