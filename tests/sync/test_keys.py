"""Codes, labels and QR tickets: derived the same at both ends, and rejected when bent."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from latchwork.domain.commands import Ticket
from latchwork.domain.words import BankId, PassId
from latchwork.sync import keys

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SIGNER = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PUBLIC = SIGNER.public_key().public_bytes_raw()
TRUSTED = {keys.key_id(PUBLIC): PUBLIC.hex()}
TICKET = Ticket(BankId("ab" * 16), PassId("cd" * 16), NOW, NOW + timedelta(days=3))
SENT = replace(TICKET, of=PassId("ef" * 16))


def test_a_code_can_be_derived_at_both_ends_and_found() -> None:
    key = keys.code_key(b"m" * 32, BankId("ab" * 16), 1)
    offer = keys.offer(key, 1, PassId("cd" * 16), 6)
    assert len(set(offer.lookups)) == keys.CODES_OFFERED
    for n, lookup in enumerate(offer.lookups):
        digits = keys.digits_of(key, offer.pass_id, n, 6)
        assert len(digits) == 6 and digits.isdigit()
        assert keys.code_lookup(key, digits) == lookup
    other = keys.code_key(b"m" * 32, BankId("ab" * 16), 2)
    assert keys.offer(other, 2, offer.pass_id, 6).lookups != offer.lookups


def test_a_label_is_found_however_it_is_typed() -> None:
    key = b"k" * 32
    assert keys.label_lookup(key, "jd 0146 0000") == keys.label_lookup(key, "JD01460000\n")
    assert keys.label_lookup(key, "1") != keys.code_lookup(key, "1")


@pytest.mark.parametrize("ticket", [TICKET, SENT])
def test_a_ticket_fits_an_alphanumeric_qr_code_and_reads_back(ticket: Ticket) -> None:
    text = keys.sign_ticket(SIGNER, ticket)
    assert set(text) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:") and len(text) < 210
    assert keys.read_ticket(text, TRUSTED) == ticket


def test_a_ticket_of_a_stranger_is_refused() -> None:
    with pytest.raises(keys.BadTicket, match="not told of"):
        keys.read_ticket(keys.sign_ticket(SIGNER, TICKET), {})


@given(st.data())
def test_a_bent_ticket_is_refused(data: st.DataObject) -> None:
    text = keys.sign_ticket(SIGNER, data.draw(st.sampled_from([TICKET, SENT])))
    at = data.draw(st.integers(0, len(text) - 1))
    char = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567").filter(lambda c: c != text[at]))
    for bent in (text[:at] + char + text[at + 1 :], text[:at] + text[at + 1 :], text + char, text[:at]):
        with pytest.raises(keys.BadTicket):
            keys.read_ticket(bent, TRUSTED)


@given(st.text(max_size=400))
def test_any_text_is_a_ticket_or_not(text: str) -> None:
    with pytest.raises(keys.BadTicket):
        keys.read_ticket(text, TRUSTED)
    with pytest.raises(keys.BadTicket):
        keys.read_ticket(keys.TICKET_PREFIX + text, TRUSTED)


def test_a_device_signature_is_bound_to_bank_and_nonce() -> None:
    bank = BankId("ab" * 16)
    signature = SIGNER.sign(keys.hello_text(bank, b"nonce"))
    assert keys.signed_by(PUBLIC, signature, keys.hello_text(bank, b"nonce"))
    assert not keys.signed_by(PUBLIC, signature, keys.hello_text(bank, b"other"))
    assert not keys.signed_by(b"short", signature, keys.hello_text(bank, b"nonce"))


def test_a_sticker_is_read_as_it_is_printed_and_typed() -> None:
    public = bytes(range(32))
    text = keys.sticker(TICKET.bank, public)
    assert text.splitlines()[:2] == [f"Latchwork bank {TICKET.bank}", f"key {keys.key_id(public)}"]
    for typed in (text, text.upper(), f"\n{text}\n\n", public.hex(), " ".join(public.hex()), text.split("\n", 1)[1]):
        assert keys.read_sticker(typed) == public
    wrong_digit = text[:-1] + ("0" if text[-1] != "0" else "1")
    for bad in ("", "key", public.hex()[:-1], public.hex() + "0", wrong_digit, text + " more", "x" * 10_000):
        with pytest.raises(ValueError, match="key"):
            keys.read_sticker(bad)
