"""Signed notes and checkpoints: what others published, most of which must not be believed, and our own."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwork.domain.words import BankId
from latchwork.sync.custody import EMPTY_ROOT
from latchwork.sync.notes import (
    BadNote,
    Checkpoint,
    Key,
    Kind,
    Note,
    Signature,
    origin,
    read_checkpoint,
    read_note,
    signature,
    signers,
)

# From the tests of golang.org/x/mod/sumdb/note.
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER = Key.read("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ENOCH = Key.read("EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop")
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)
BOTH = f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}".encode()

ECDSA = (
    "AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGvXwBcK5AW5i0hrZLOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni"
    "4Qt9DPfkWLc="
)
"""A key of a kind that is not ours, by which Sigstore signed."""

# Signed by the log of Go's modules; C2SP shows the same root and signature under another origin, which is a forgery.
GO = Key.read("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")
GO_ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
GO_SIGNATURE = "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8="
GO_CHECKPOINT = f"go.sum database tree\n20852163\n{GO_ROOT}\n\n— sum.golang.org {GO_SIGNATURE}\n"

# A log of certificates with its two signatures, one of a kind we do not know, and four witnesses.
ARCHE = Key.read("arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f")
REMORA = Key.read("remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2")
ARCHE_CHECKPOINT = """\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwt\
EroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA2\
3oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7\
sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE\
0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWf\
Bw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/\
TmN9DAg==
"""


def test_published_notes_are_believed_by_the_keys_one_has() -> None:
    note = read_note(BOTH)
    assert note.text == TEXT and bytes(note) == BOTH
    assert set(signers(note, [PETER])) == {PETER}
    assert set(signers(note, [PETER, ENOCH])) == {PETER, ENOCH}
    with pytest.raises(BadNote, match="not signed by any"):
        signers(note, [])
    go = read_note(GO_CHECKPOINT.encode())
    assert set(signers(go, [GO, PETER])) == {GO}
    assert read_checkpoint(go.text) == Checkpoint("go.sum database tree", 20852163, base64.b64decode(GO_ROOT))
    verses = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n"
    line = "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc="
    poem = read_note(f"{verses}\n— quasimodo.example/salvatore {line}\n".encode())
    assert poem.text == verses and [s.name for s in poem.signatures] == ["quasimodo.example/salvatore"]


def test_a_published_cosignature_holds_for_its_own_text_and_time_only() -> None:
    note = read_note(ARCHE_CHECKPOINT.encode())
    found = signers(note, [ARCHE, REMORA])
    assert set(found) == {ARCHE, REMORA}
    assert found[REMORA].at == datetime.fromtimestamp(0x6A122120, UTC)
    assert read_checkpoint(note.text).size == 1432088532
    with pytest.raises(BadNote, match=r"signature of remora\.n621\.de is wrong"):
        signers(read_note(ARCHE_CHECKPOINT.replace("1432088532", "42").encode()), [REMORA])
    later = Signature(REMORA.name, REMORA.id, (0x6A122121).to_bytes(8) + found[REMORA].value[8:])
    with pytest.raises(BadNote, match="is wrong"):
        signers(Note(note.text, (later,)), [REMORA])
    plain = Key(REMORA.name, REMORA.public)
    assert plain.id != REMORA.id
    with pytest.raises(BadNote, match="is wrong"):
        signers(Note(note.text, (Signature(plain.name, plain.id, found[REMORA].value),)), [plain])


def test_a_signature_moved_to_another_text_name_or_key_is_not_believed() -> None:
    for forged in (
        f"example.com/behind-the-sofa\n20852163\n{GO_ROOT}\n\n— sum.golang.org {GO_SIGNATURE}\n",
        GO_CHECKPOINT.replace("20852163", "20852164"),
        GO_CHECKPOINT.replace("CsUY", "CsUZ"),
        GO_CHECKPOINT.replace("\n\n", "\nextension\n\n"),
        GO_CHECKPOINT.replace(GO_SIGNATURE, GO_SIGNATURE.replace("gtzP", "gtzQ")),
        f"{GO_CHECKPOINT}{GO_CHECKPOINT.splitlines()[-1].replace('YQ8=', 'YQ4=')}\n",
    ):
        with pytest.raises(BadNote, match="wrong"):
            signers(read_note(forged.encode()), [GO])
    for unknown in (
        GO_CHECKPOINT.replace("— sum.golang.org", "— sum.golang.orh"),
        GO_CHECKPOINT.replace("Az3grlgt", "Az3hrlgt"),
    ):
        with pytest.raises(BadNote, match="not signed by any"):
            signers(read_note(unknown.encode()), [GO])


@pytest.mark.parametrize(
    "raw",
    [
        TEXT,
        f"{TEXT}\n",
        f"{TEXT}\n{PETER_LINE[:-1]}",
        f"\x01{TEXT}\n{PETER_LINE}",
        f"{TEXT}\r\n{PETER_LINE}",
        f"{TEXT}\t\n\n{PETER_LINE}",
        f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', 'Bad Name')}",
        f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', 'Bad+Name')}",
        f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', 'Bad' + chr(0xA0) + 'Name')}",
        f"{TEXT}\n{PETER_LINE.replace('PeterNeumann ', '')}",
        f"{TEXT}\n{PETER_LINE}Unexpected line.\n",
        f"{TEXT}\n{PETER_LINE}\n",
        f"{TEXT}\n{PETER_LINE.replace('—', '-')}",
        f"{TEXT}\n{PETER_LINE.replace('—', '--')}",
        f"{TEXT}\n{PETER_LINE.replace('— ', '—')}",
        f"{TEXT}\n{PETER_LINE.replace('AM=', 'AM')}",
        f"{TEXT}\n{PETER_LINE.replace('AM=', 'AN=')}",
        f"{TEXT}\n{PETER_LINE.replace('/ZJk', '_ZJk')}",
        f"{TEXT}\n— PeterNeumann x08gow==\n",
        f"{TEXT}\n{PETER_LINE * 101}",
        f"{'x' * 300_000}\n\n{PETER_LINE}",
        "",
        "\n\n",
        b"\xff" + BOTH,
        "nobbled",
    ],
)
def test_what_is_no_note_is_not_read(raw: str | bytes) -> None:
    with pytest.raises(BadNote):
        read_note(raw if isinstance(raw, bytes) else raw.encode())


def test_up_to_a_hundred_signatures_and_any_number_of_strangers_are_read() -> None:
    note = read_note(f"{TEXT}\n{PETER_LINE * 60}{ENOCH_LINE * 40}".encode())
    assert len(note.signatures) == 100 and set(signers(note, [PETER])) == {PETER}
    longer = ENOCH_LINE[:60] + "ABCD" + ENOCH_LINE[60:]
    assert set(signers(read_note(f"{TEXT}\n{PETER_LINE}{longer}".encode()), [PETER])) == {PETER}
    with pytest.raises(BadNote, match="EnochRoot is wrong"):
        signers(read_note(f"{TEXT}\n{PETER_LINE}{longer}".encode()), [PETER, ENOCH])


@pytest.mark.parametrize(
    "text",
    [
        "Head\n9944\n",
        f"\n9944\n{GO_ROOT}\n",
        f"Log\n123\n{GO_ROOT}",
        f"Log\nbananas\n{GO_ROOT}\n",
        f"Log\n-34\n{GO_ROOT}\n",
        f"Log\n+34\n{GO_ROOT}\n",
        f"Log\n034\n{GO_ROOT}\n",
        f"Log\n00\n{GO_ROOT}\n",
        f"Log\n3 4\n{GO_ROOT}\n",
        f"Log\n٣٤\n{GO_ROOT}\n",
        f"Log\n3438945738945739845734895735\n{GO_ROOT}\n",
        f"Log\n{2**64}\n{GO_ROOT}\n",
        "Log\n123\nThisIsn'tBase64\n",
        "Log\n123\nYmFuYW5hcw==\n",
        f"Log\n123\n{GO_ROOT[:-2]}J=\n",
        f"Log\n123\n{GO_ROOT}\n\n",
        f"Log\n123\n{GO_ROOT}\nextension\n\nmore\n",
        "",
    ],
)
def test_what_is_no_checkpoint_is_not_read(text: str) -> None:
    with pytest.raises(BadNote):
        read_checkpoint(text)


def test_a_checkpoint_is_written_as_it_is_read() -> None:
    for text in (f"Moon Log\n{2**64 - 1}\n{GO_ROOT}\n", f"Log\n0\n{GO_ROOT}\nlots\nof lines\n"):
        assert read_checkpoint(text).text == text


def test_keys_that_are_not_what_they_say_are_not_read() -> None:
    known = str(PETER)
    assert known == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert str(REMORA).startswith("remora.n621.de+da77ade7+BOvN") and REMORA.kind is Kind.COSIGNATURE
    cut = [known[i:j] for i in range(len(known)) for j in range(i, len(known) + 1) if (i, j) != (0, len(known))]
    bent = [known[:i] + chr(ord(known[i]) + 1) + known[i + 1 :] for i in range(len(known))]
    others = [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "bananas.sigstore.dev+12344556",
        "rekor.sigstore.dev+12345678+THIS_IS_NOT_BASE64!",
        "rekor.sigstore.dev+12345678+AwEB",
        f"rekor.sigstore.dev+c0d23d6a+{ECDSA}",
    ]
    for text in (*cut, *bent, *others):
        with pytest.raises(BadNote):
            Key.read(text)


def test_we_sign_as_others_do() -> None:
    private = Ed25519PrivateKey.from_private_bytes(PETER_SEED)
    assert private.public_key().public_bytes_raw() == PETER.public
    assert bytes(Note(TEXT, (signature(TEXT, PETER, private.sign),))) == f"{TEXT}\n{PETER_LINE}".encode()
    bank = BankId("b" * 32)
    key = Key(origin(bank, 2), PETER.public)
    witness = Key("witness", PETER.public, Kind.COSIGNATURE)
    at = datetime(2026, 3, 1, 8, 0, 0, 999_000, UTC)
    text = Checkpoint(key.name, 0, EMPTY_ROOT).text
    note = Note(text, (signature(text, key, private.sign), signature(text, witness, private.sign, at)))
    found = signers(read_note(bytes(note)), [key, witness])
    assert set(found) == {key, witness}
    assert found[witness].at == at - timedelta(milliseconds=999)
    for bad_text, bad_name in (
        ("no newline", "x"),
        ("a\x00b\n", "x"),
        ("fine\n", "a b"),
        ("fine\n", "a+b"),
        ("x\n", ""),
    ):
        with pytest.raises(ValueError, match="neither"):
            signature(bad_text, Key(bad_name, PETER.public), private.sign)


def test_a_time_outside_the_calendar_is_no_crash() -> None:
    with pytest.raises(BadNote, match="calendar"):
        _ = Signature("witness", b"1234", b"\xff" * 72).at
