"""A parcel's stay at a bank, and receipts of it, as a server would make them."""

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.server.fake_bank import BANK, COURIER, PARTY, FakeBank, adopt, instruction_id

from latchwork.domain import commands as c
from latchwork.domain.words import Role, StayId
from latchwork.sync import receipts
from latchwork.sync.codec import body_hash, encode_instruction
from latchwork.sync.custody import inclusion_path
from latchwork.sync.notes import Checkpoint, Key, Kind, Note, origin, signature

WITNESS_PRIVATE = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
WITNESS = Key("latchwork/witness/test", WITNESS_PRIVATE.public_key().public_bytes_raw(), Kind.COSIGNATURE)
WITNESSED_AT = datetime(2026, 3, 1, 9, tzinfo=UTC)


async def wall() -> FakeBank:
    """A bank with a courier's code."""
    bank = await FakeBank(BANK).build()
    bodies: tuple[c.Instruction, ...] = (adopt(), c.GrantPass(COURIER, Role.COURIER, PARTY))
    for number, body in enumerate(bodies, 1):
        digest = body_hash(encode_instruction(body))
        await bank.do(c.Instructed(number, instruction_id(number), digest, body, bank.now, bank.offer(COURIER)))
    return bank


async def collected(bank: FakeBank) -> StayId:
    """Put in, and collected again."""
    stay = await bank.deposit()
    await bank.collect(stay)
    return stay


def proven(bank: FakeBank, stay: str, witness: Key | None = WITNESS, size: int | None = None) -> receipts.Proven:
    """What proves a stay against a checkpoint of the first `size` entries."""
    size = bank.journal.size if size is None else size
    key = Key(origin(bank.id, 1), bank.public)
    text = Checkpoint(key.name, size, bank.journal.frontier(size).root()).text
    signatures = [signature(text, key, bank.key.sign)]
    if witness is not None:
        signatures.append(signature(text, witness, WITNESS_PRIVATE.sign, WITNESSED_AT))
    subject = receipts.Subject({stay})
    entries = [
        (raw, inclusion_path(bank.journal.node, seq, size))
        for seq, raw in enumerate(bank.journal.entries(0, size))
        if subject.concerns(receipts.body_of(raw)[2])
    ]
    return receipts.Proven(bank.id, 1, bank.public, Note(text, tuple(signatures)), witness, entries)


def receipt(bank: FakeBank, stay: str, witness: Key | None = WITNESS) -> bytes:
    return receipts.build({stay}, [proven(bank, stay, witness)])
