"""What a controller makes of a configuration that the cloud wants."""

import io
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import json
from tests.edge.test_config import GOOD, SENSOR, SHELF, ZONE
from tests.edge.test_loop import BANK, T0

from latchwork.domain import commands as c
from latchwork.domain.apply import apply
from latchwork.domain.bank import Bank, Claim
from latchwork.domain.decide import decide
from latchwork.domain.entries import Entry
from latchwork.domain.words import ClaimId, CompartmentId, ServiceId
from latchwork.edge.config import check, tables_in
from latchwork.edge.consent import Consent
from latchwork.edge.desired import Refused, fall_back, judge
from latchwork.edge.identity import Identity
from latchwork.edge.main import _serve_one, configure
from latchwork.edge.recovery import Offered
from latchwork.edge.seal import edition, put_in_place, sealed, unsealed
from latchwork.main import main

RUNNING = GOOD + SHELF
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PATH = Path("/somewhere/bank.toml")


def fitted() -> Bank:
    """The bank of that file, with nothing inside."""
    bank = Bank(BANK)
    for command in (c.Begin(), c.Fit(check(tables_in(RUNNING.encode()), PATH).fittings)):
        for body in decide(bank, command, T0).entries:
            bank = apply(bank, Entry(BANK, 1, bank.seq, T0, body))
    return bank


def judged(text: str, *, accepted: bool = False, bank: Bank | None = None) -> str | None:
    """Why it is refused; None: it is not."""
    try:
        judge(text.encode(), PATH, tables_in(RUNNING.encode()), bank or fitted(), accepted=accepted)
    except Refused as refused:
        return str(refused)
    return None


WITHOUT_02 = RUNNING.replace(RUNNING[RUNNING.index('[[compartment]]\nid = "02"') : RUNNING.index(SHELF)], "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[380, 190, 640]", "[400, 200, 640]"),
        ('climate = "chilled"', 'climate = "frozen"'),
        ("reach_mm = 900", "reach_mm = 950\nopen_seconds = 0.3"),
        ('features = ["power"]', "features = []"),
        ('behind = "G"', ""),
        ('id = "A"', 'id = "B"'),
    ],
)
def test_what_describes_a_wall_changes_from_afar(old: str, new: str) -> None:
    assert old in RUNNING and judged(RUNNING.replace(old, new)) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("channel = 17", "channel = 18"), "it changes the wiring of 02, so a technician"),
        (lambda text: text.replace("= 17", "= 0").replace("channel = 0", "channel = 17", 1), "the wiring of 01, 02"),
        (lambda text: text.replace('contact = "open_when_shut"', ""), "the wiring of 02"),
        (lambda text: text.replace('id = "02"', 'id = "03"'), "the wiring of 02, 03"),
        (lambda text: text.replace("gate = true", "").replace('behind = "G"', ""), "the wiring of G"),
        (lambda text: text.replace("ttyUSB0", "ttyUSB1"), "it changes [[bus]]"),
        (lambda text: text.replace("127.0.0.1:8080/", "localhost:9/"), "it changes [bank]"),
        (lambda text: WITHOUT_02, "the wiring of 02"),
        (lambda text: text.replace("channel = 17", "channel = 17\nleaf = [0, 16]"), "the wiring of 02"),
        (lambda text: text.replace("channel = 17", "channel = 17\nitem = [0, 16]"), "the wiring of 02"),
        (lambda text: text + '[[switch]]\nid = "back"\nchannel = 16\n', "it changes [[switch]]"),
        (lambda text: text + '[[reader]]\nkind = "serial"\nport = "/dev/ttyACM0"\n', "it changes [[reader]]"),
        (lambda text: text + ZONE, "it changes [[climate]]"),
    ],
)
def test_another_wiring_waits_for_a_technician(change: Callable[[str], str], says: str) -> None:
    changed = change(RUNNING)
    assert says in (judged(changed) or "") and judged(changed, accepted=True) is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[bank]", "[bank", "at line"),
        ('"kerong-cu16"', '"magic"', "there are "),
        ("channel = 17", "channel = 77", "bus 0 has no channel 77"),
        ("size_mm = [380, 190, 640]", "size_mm = [0, 190, 640]", "compartment 02: size_mm"),
        ('state = "state"', 'state = "elsewhere"', "another state folder"),
        ("reach_mm", "reach", "unknown field"),
        (SHELF, SHELF + SENSOR, "climate fridge: socket://gateway"),
        (SHELF, SHELF + '[[reader]]\nkind = "hid"', "reader hid: port is missing"),
    ],
)
def test_what_cannot_be_is_refused_whoever_accepts_it(old: str, new: str, says: str) -> None:
    assert old in RUNNING
    found = judged(RUNNING.replace(old, new), accepted=True)
    assert found is not None and says in found and "bank.toml" not in found


def test_what_holds_something_does_not_vanish() -> None:
    bank = fitted()
    claim = Claim(ClaimId("1" * 32), CompartmentId("02"), ServiceId("parcel"), ())
    held = replace(bank, claims=bank.claims.put(claim.id, claim))
    assert "takes away a compartment that holds something" in (judged(WITHOUT_02, accepted=True, bank=held) or "")


def test_one_that_does_not_come_up_is_put_back_once(tmp_path: Path) -> None:
    path = tmp_path / "bank.toml"
    path.write_text(GOOD)
    assert not fall_back(path, tmp_path, "nothing is on trial")
    (tmp_path / "trial.json").write_text('{"version": 2}')
    assert not fall_back(path, tmp_path, "the disk was full before it was in place")
    put_in_place(path, GOOD.replace("900", "950").encode(), 2, KEY)
    assert fall_back(path, tmp_path, "the kiosk's port is taken")
    assert path.read_text() == GOOD
    assert "the kiosk's port is taken" in (tmp_path / "trial.json").read_text()
    assert not fall_back(path, tmp_path, "again")


def test_one_that_names_what_cannot_be_is_put_back_before_it_has_come_up(tmp_path: Path) -> None:
    path, state = tmp_path / "bank.toml", tmp_path / "state"
    path.write_text(GOOD)
    put_in_place(path, (GOOD + SENSOR).encode(), 2, KEY)
    state.mkdir()
    (state / "identity.json").write_bytes(json.encode(Identity(BANK, KEY.private_bytes_raw().hex(), "22" * 32, 1)))
    (state / "trial.json").write_text('{"version": 2}')
    parser = ArgumentParser()
    configure(parser)
    assert _serve_one(parser.parse_args([str(path)])), "another is in its place now"
    assert path.read_text() == GOOD and "socket://gateway" in (state / "trial.json").read_text()


def test_a_seal_that_came_along_is_taken_off() -> None:
    body = GOOD.encode()
    assert unsealed(sealed(body, 3, KEY)) == unsealed(body) == unsealed(sealed(sealed(body, 3, KEY), 4, KEY))
    assert edition(sealed(unsealed(body), 5, KEY)).version == 5


def test_a_technician_accepts_one_text_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, state = tmp_path / "bank.toml", tmp_path / "state"
    path.write_text(GOOD)
    state.mkdir()
    assert main(["edge", "accept", str(path)]) == 1 and "Nothing waits" in capsys.readouterr().out
    wanted = GOOD.replace("channel = 17", "channel = 18").encode()
    consent = Consent(state)
    consent.want(wanted)
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    assert main(["edge", "accept", str(path)]) == 1
    said = capsys.readouterr().out
    assert "-channel = 17" in said and "+channel = 18" in said and not consent.is_accepted(wanted)
    assert main(["edge", "accept", str(path), "--yes"]) == 0
    assert consent.is_accepted(wanted) and not consent.is_accepted(wanted + b"# more\n")
    consent.taken()
    offered = Offered(812, "ab" * 32, 640, 3)
    assert not consent.to_log(offered)
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert main(["edge", "accept", str(path)]) == 0
    said = capsys.readouterr().out
    assert "640 entries are in both; 3 that" in said and "812 entries" in said and offered.root in said
    assert consent.to_log(offered)
    (state / "offered.json").write_text("{")
    assert main(["edge", "accept", str(path)]) == 1 and "Nothing waits" in capsys.readouterr().out
