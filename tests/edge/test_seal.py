"""The seal of a configuration: whose it is, which version, and whether a hand has been at it."""

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwork.edge.seal import Standing, edition, resealed, sealed

OURS, THEIRS = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
PUBLIC = OURS.public_key().public_bytes_raw()
BODY = b'[bank]\nserver = "https://lockers.example"\n'
FILE = sealed(BODY, 3, OURS)


def test_what_was_sealed_is_signed() -> None:
    found = edition(FILE, PUBLIC)
    assert (found.version, found.standing, found.sha256) == (3, Standing.SIGNED, sha256(BODY).hexdigest())
    assert edition(FILE + b"\n", PUBLIC).standing is Standing.SIGNED


def test_another_controllers_seal_is_strange_and_any_will_do_where_none_is_known() -> None:
    assert edition(sealed(BODY, 3, THEIRS), PUBLIC).standing is Standing.STRANGE
    assert edition(sealed(BODY, 3, THEIRS)).standing is Standing.SIGNED


@pytest.mark.parametrize(
    "changed",
    [
        FILE.replace(b"lockers", b"blockers"),
        FILE.replace(b"version 3", b"version 4"),
        FILE + b"# a line below\n",
        b"# a line above\n" + FILE,
        FILE[:-1] + b"0\n",
        FILE.replace(PUBLIC.hex().encode(), THEIRS.public_key().public_bytes_raw().hex().encode()),
    ],
)
def test_one_byte_is_a_change_by_hand(changed: bytes) -> None:
    found = edition(changed, PUBLIC)
    assert found.standing is not Standing.SIGNED and found.version in (0, 3, 4)


def test_the_next_key_of_a_controller_seals_what_the_one_before_has_sealed() -> None:
    public = THEIRS.public_key().public_bytes_raw()
    assert edition(resealed(FILE, OURS, THEIRS), public) == edition(FILE, PUBLIC)
    by_hand = FILE.replace(b"lockers", b"blockers")
    assert resealed(by_hand, OURS, THEIRS) == by_hand and resealed(BODY, OURS, THEIRS) == BODY


def test_a_change_keeps_its_version_and_has_another_hash() -> None:
    found = edition(FILE.replace(b"lockers", b"blockers"), PUBLIC)
    assert (found.version, found.standing) == (3, Standing.CHANGED)
    assert found.sha256 != edition(FILE, PUBLIC).sha256


@pytest.mark.parametrize("plain", [BODY, b"", b"\n", b"\xff\n", b"# sealed: version 0, key , signature \n"])
def test_what_never_had_a_seal_is_unsigned(plain: bytes) -> None:
    found = edition(plain, PUBLIC)
    assert (found.version, found.standing) == (0, Standing.UNSIGNED)
