"""Receipts: what a good one says, and that nothing in one can be changed without being noticed."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.server.fake_bank import PARCEL, FakeBank, adopt, instruction_id
from tests.sync import stories

from latchwork.domain import commands as c
from latchwork.domain.bank import About
from latchwork.domain.words import BankId
from latchwork.sync import receipts
from latchwork.sync.codec import KINDS
from latchwork.sync.notes import BadNote, Checkpoint, Key, Kind, Note, origin, signature
from latchwork.sync.receipts import BadReceipt, verify, words

STRANGER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)


@pytest.fixture
async def bank() -> FakeBank:
    return await stories.wall()


async def test_a_good_receipt_tells_the_stay_in_words(bank: FakeBank) -> None:
    stay = await stories.collected(bank)
    await stories.collected(bank)  # a later one, which is not its business
    raw = stories.receipt(bank, stay)
    verdict = verify(raw, [bank.public, stories.WITNESS.public])
    assert [line.words for line in verdict.lines] == [
        "Door 01 was chosen for it (smallest fit)",
        "Door 01 was asked to open (deposit)",
        "Door 01 was unlocked",
        "Door 01 opened",
        "Door 01 closed",
        "It was put into door 01",
        "Somebody signed in for it (collect)",
        "Door 01 was asked to open (collect)",
        "Door 01 was unlocked",
        "Door 01 opened",
        "Door 01 closed",
        "It was collected from door 01",
    ]
    assert verdict.stays == (stay,) and verdict.bank_key_checked
    (log,) = verdict.logs
    assert (log.bank, log.epoch, log.size) == (bank.id, 1, bank.journal.size)
    assert (log.witnessed_at, log.witness_checked) == (stories.WITNESSED_AT, True)


async def test_a_key_that_it_carries_itself_proves_nothing(bank: FakeBank) -> None:
    raw = stories.receipt(bank, await stories.collected(bank))
    assert not verify(raw).bank_key_checked
    assert not verify(raw, [bank.public]).logs[0].witness_checked
    with pytest.raises(BadReceipt, match="not one that you gave"):
        verify(raw, [STRANGER.public_key().public_bytes_raw()])
    with pytest.raises(BadReceipt, match="not one that you gave"):
        verify(raw, [stories.WITNESS.public])


async def test_no_byte_of_a_receipt_can_be_changed(bank: FakeBank) -> None:
    stay = await bank.deposit()
    log = stories.proven(bank, stay)
    small = receipts.Proven(log.bank, log.epoch, log.key, log.note, log.witness, [log.entries[0], log.entries[-1]])
    raw = receipts.build({stay}, [small])
    assert verify(raw, [bank.public])
    for i in range(len(raw)):
        for bit in (0x01, 0x20, 0x80, 0xFF):
            bent = raw[:i] + bytes([raw[i] ^ bit]) + raw[i + 1 :]
            with pytest.raises(BadReceipt):
                verify(bent, [bank.public])
        with pytest.raises(BadReceipt):
            verify(raw[:i] + raw[i + 1 :], [bank.public])


def _entry(n: int, **changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda receipt: receipt["logs"][0]["entries"][n].update(changes)


def _log(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda receipt: receipt["logs"][0].update(changes)


def _swap(receipt: dict[str, Any]) -> None:
    entries = receipt["logs"][0]["entries"]
    entries[0], entries[1] = entries[1], entries[0]


def _cross(*fields: str) -> Callable[[dict[str, Any]], None]:
    """Two entries exchange some of what is said of them."""

    def change(receipt: dict[str, Any]) -> None:
        one, other = receipt["logs"][0]["entries"][:2]
        for field in fields:
            one[field], other[field] = other[field], one[field]

    return change


CHANGES: list[tuple[Callable[[Any], Any], str]] = [
    (lambda r: r.update(format="latchwork receipt 2"), "not a latchwork receipt 1"),
    (lambda r: r.update(more=1), "unknown field"),
    (lambda r: r.pop("stays"), "missing required field"),
    (lambda r: r.update(stays=[]), "names no stay"),
    (lambda r: r.update(stays=["0" * 32]), "does not speak of this stay"),
    (lambda r: r["stays"].append("f" * 32), "no entry names the stay"),
    (lambda r: r["stays"].append(r["stays"][0]), "not in their order"),
    (lambda r: r.update(logs=[]), "no log"),
    (lambda r: r["logs"].append(r["logs"][0]), "not in their order"),
    (_log(bank="c" * 32), "of another log"),
    (_log(epoch=2), "of another log"),
    (_log(epoch="1"), "Expected `int`"),
    (_log(key="ab"), "64 hex digits"),
    (_log(key=STRANGER.public_key().public_bytes_raw().hex()), "not one that you gave"),
    (_log(witness=None), "it has other signatures"),
    (
        _log(witness=str(Key("x", STRANGER.public_key().public_bytes_raw(), Kind.COSIGNATURE))),
        "it has other signatures",
    ),
    (_log(witness="nobody"), "not a key"),
    (_log(entries=[]), "not in their order"),
    (_log(checkpoint=""), "checkpoint: a note without"),
    (_swap, "not in their order"),
    (_cross("words"), "what is said of it is not what its bytes say"),
    (_cross("at", "words", "bytes"), "do not stand at this place"),
    (_cross("at", "words", "bytes", "path"), "do not stand at this place"),
    (_entry(0, index=-1), "do not stand"),
    (_entry(1, at="2026-03-01T08:00:02Z"), "what is said of it"),
    (_entry(1, words="Door 01 opened"), "what is said of it"),
    (_entry(1, bytes="bm9uc2Vuc2U="), "do not stand"),
    (_entry(1, bytes="bm9uc2Vuc2V="), "not base64 as it should be"),
    (_entry(1, path=[]), "do not stand"),
    (lambda r: r["logs"][0]["entries"][1]["path"].append("bm9uc2Vuc2U="), "do not stand"),
    (lambda r: r["logs"][0]["entries"][1]["path"].pop(), "do not stand"),
    (lambda r: r["logs"][0]["entries"].append(r["logs"][0]["entries"][-1]), "not in their order"),
    (
        lambda r: r["logs"][0].update(checkpoint=r["logs"][0]["checkpoint"].replace("/1\n", "/2\n")),
        "of another log",
    ),
    (lambda r: r["logs"][0].update(checkpoint=r["logs"][0]["checkpoint"] + "x"), "a note without"),
]


@pytest.mark.parametrize(("change", "why"), CHANGES)
async def test_a_changed_field_is_named(bank: FakeBank, change: Callable[[Any], None], why: str) -> None:
    told = json.loads(stories.receipt(bank, await stories.collected(bank)))
    assert verify(json.dumps(told, indent=2).encode(), [bank.public]), "written differently, it says the same"
    change(told)
    with pytest.raises(BadReceipt, match=why):
        verify(json.dumps(told).encode(), [bank.public])


async def test_a_field_that_stands_twice_is_noticed(bank: FakeBank) -> None:
    raw = stories.receipt(bank, await bank.deposit())
    with pytest.raises(BadReceipt, match="twice"):
        verify(raw.replace(b'"epoch":1,', b'"epoch":2,"epoch":1,'), [bank.public])


async def test_a_log_that_somebody_else_signed_is_told_from_the_banks(bank: FakeBank) -> None:
    """Whoever makes up a whole log can sign it with a key of theirs: only the sticker's key tells."""
    forger = await stories.wall()
    forger.key = STRANGER
    raw = stories.receipt(forger, await stories.collected(forger))
    assert not verify(raw).bank_key_checked
    with pytest.raises(BadReceipt, match="not one that you gave"):
        verify(raw, [bank.public])


async def test_an_entry_of_another_stay_or_another_checkpoint_does_not_pass(bank: FakeBank) -> None:
    stay, other = await stories.collected(bank), await stories.collected(bank)
    good, foreign = stories.proven(bank, stay), stories.proven(bank, other)
    mixed = receipts.Proven(good.bank, 1, good.key, good.note, good.witness, [*good.entries, foreign.entries[0]])
    with pytest.raises(BadReceipt, match="does not speak of this stay"):
        verify(receipts.build({stay}, [mixed]), [bank.public])
    early = stories.proven(bank, stay, size=bank.journal.size - 3)
    stale = receipts.Proven(good.bank, 1, good.key, early.note, good.witness, good.entries)
    with pytest.raises(BadReceipt, match="do not stand at this place"):
        verify(receipts.build({stay}, [stale]), [bank.public])


async def test_a_stay_at_two_banks_has_one_receipt(bank: FakeBank) -> None:
    stay = await stories.collected(bank)
    neighbour = await FakeBank(BankId("c" * 32), key=STRANGER).build()
    await neighbour.do(c.Instructed(1, instruction_id(1), "", adopt(), neighbour.now, neighbour.offer()))
    expect = c.Expect(stay, About(PARCEL.id))
    await neighbour.do(c.Instructed(2, instruction_id(2), "", expect, neighbour.now, neighbour.offer()))
    logs = [stories.proven(neighbour, stay), stories.proven(bank, stay)]
    raw = receipts.build({stay, "0" * 32}, logs)
    verdict = verify(raw, [bank.public, neighbour.public])
    assert [log.bank for log in verdict.logs] == [bank.id, neighbour.id] and verdict.stays == (stay,)
    assert verdict.lines[-2].words == "The wall expects it"
    with pytest.raises(BadReceipt, match=r"log c+ 1: it is signed with key"):
        verify(raw, [bank.public])


async def test_without_a_witness_it_is_the_banks_word_alone(bank: FakeBank) -> None:
    stay = await stories.collected(bank)
    verdict = verify(stories.receipt(bank, stay, witness=None), [bank.public])
    assert verdict.logs[0].witness is None and verdict.logs[0].witnessed_at is None


async def test_what_nobody_vouches_for_is_not_built(bank: FakeBank) -> None:
    log = stories.proven(bank, await stories.collected(bank))
    key = Key(origin(BankId(bank.id), 1), bank.public)
    text = Checkpoint(key.name, 1, b"r" * 32).text
    for note in (
        Note(text, (signature(text, key, STRANGER.sign),)),
        Note(text, (signature(text, stories.WITNESS, stories.WITNESS_PRIVATE.sign, stories.WITNESSED_AT),)),
    ):
        with pytest.raises(BadNote):
            receipts.build({"x"}, [receipts.Proven(log.bank, 1, log.key, note, log.witness, log.entries)])


def test_a_receipt_of_the_first_version_is_still_believed() -> None:
    raw = (Path(__file__).parents[1] / "golden" / "receipt_v1.json").read_bytes()
    verdict = verify(raw, [FakeBank().public, stories.WITNESS.public])
    assert verdict.lines[-1].words == "It was collected from door 01" and verdict.logs[0].witness_checked


def test_every_kind_has_words_and_they_are_for_ever() -> None:
    door = {"compartment": "07", "presumed": True, "why": "best_fit"}
    assert words("Stored", door) == "It was put into door 07, presumably (best fit)"
    assert words("HandedOver", {"compartment": "07"}) == "Handed over, door 07"
    assert (
        words("Moved2", {}) == "Moved2" and words("<b>", {}) == "Something else" and words("", {}) == "Something else"
    )
    assert words("Opened", {"compartment": 7}) == "Door ? opened"
    assert all(words(kind, {"compartment": "1"}) for kind in KINDS)
    first = {kind: receipts.WORDS[kind] for kind in FIRST_KINDS.split()}
    assert sha256(json.dumps(first).encode()).hexdigest() == FIRST_WORDS, "what was made once is verified for ever"


FIRST_KINDS = (
    "Amended Answered Cancelled Claimed Closed Collected Expected Expired Lapsed Moved NoProof NotDelivered "
    "NotOpened Opened PassGranted Recalled Recovered Released Removed Reported SessionBegan Stored Unlocked "
    "Unresolved Wanted"
)
FIRST_WORDS = "b038c9f03232cf5ac77f6eba9e5da99de9b4c0c093aed2f946ed6cae3a71ed92"
