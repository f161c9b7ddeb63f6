"""`latchwork verify`: holds a receipt, a bank's journal or the cloud's copy of the logs against what banks signed.

It believes no stored row, changes nothing, and needs no server. What is wrong it says in sentences that name the entry.
"""

import argparse
import sqlite3
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import asyncpg

from latchwork.domain.entries import EpochBegan
from latchwork.domain.words import BankId
from latchwork.store import copies
from latchwork.store.embedded import CannotStart
from latchwork.sync.audit import FINDINGS_MAX, Stated, audit, differences
from latchwork.sync.codec import Unreadable, read_entry
from latchwork.sync.custody import Frontier
from latchwork.sync.keys import key_id, read_sticker, sticker
from latchwork.sync.notes import BadNote, Key, origin, read_checkpoint, read_note, signers
from latchwork.sync.receipts import BadReceipt, SignedLog, Verdict, verify


def configure(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("receipt", nargs="?", type=Path, help="a stay's receipt")
    parser.add_argument(
        "--key", action="append", default=[], help="a key you trust: 64 hex digits, or a file with the sticker's text"
    )
    parser.add_argument("--journal", type=Path, metavar="FOLDER", help="the journal of a bank, on its controller")
    parser.add_argument("--database", metavar="DSN", help="the cloud's database, or the folder of an embedded one")
    parser.add_argument("--log", type=Path, metavar="FILE", help="a wall's log as its operator downloads it")
    parser.add_argument("--bank", help="only this bank's logs in the database")
    parser.epilog = (
        "The key stands on the wall's sticker. Without it a receipt can only be consistent in itself. Journal and\n"
        "database together are also compared with each other, and a receipt with both.\n"
        "Exit status: 0 nothing wrong was found, 1 something is wrong, 2 it could not be looked at."
    )


def run(args: argparse.Namespace) -> int:
    if not (args.receipt or args.journal or args.database or args.log):
        print("latchwork verify: name a receipt, a --log, a --journal or a --database.", file=sys.stderr)
        return 2
    try:
        keys = [_key(text) for text in args.key]
        known: list[SignedLog] = []
        good = True
        if args.receipt:
            found = _receipt(args.receipt, keys)
            good = found is not None
            known += found.logs if found else ()
        if args.log:
            log = copies.file(args.log)
            said = [stated for bank, epoch, stated in _said(known) if (bank, epoch) == (log.bank, log.epoch)]
            good = _tell("file", log, keys, said) and good
        if args.journal or args.database:
            good = _copies(args.journal, args.database, args.bank, keys, known) and good
    except sqlite3.Error as error:
        print(f"latchwork verify: the journal in {args.journal} cannot be read: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, CannotStart) as error:
        print(f"latchwork verify: {error}", file=sys.stderr)
        return 2
    return 0 if good else 1


def _key(text: str) -> bytes:
    """From the command line or a file; also a witness's, which reads name+id+key."""
    if len(text) < 200 and Path(text).is_file():
        text = Path(text).read_text(encoding="utf-8")
    return Key.read(text.strip()).public if "+" in text else read_sticker(text)


# Receipts


def _receipt(path: Path, keys: Collection[bytes]) -> Verdict | None:
    try:
        verdict = verify(path.read_bytes(), keys)
    except BadReceipt as error:
        _say(f"{path}: NOT to be believed: {error}.")
        return None
    _say(f"{path}: what bank {verdict.logs[0].bank} wrote of stay {', '.join(verdict.stays)}")
    for line in verdict.lines:
        _say(f"  {line.index:>7}  {line.at}  {line.words}")
    for log in verdict.logs:
        _say(f"Each stands in the log of {log.size} entries (epoch {log.epoch}) that key {key_id(log.key)} signed.")
        if log.witness is not None:
            checked = "a key that you gave" if log.witness_checked else "its key not checked"
            _say(f"Countersigned by {log.witness.name} at {log.witnessed_at:%Y-%m-%d %H:%M:%S} UTC, {checked}.")
    if verdict.bank_key_checked:
        _say("GOOD: the bank's key is one that you gave.")
    else:
        _say("Consistent, bank key not checked. Compare it with the wall's sticker, or give it with --key:")
        for each in sticker(verdict.logs[0].bank, verdict.logs[0].key).splitlines():
            _say(each)
    return verdict


def _said(logs: Sequence[SignedLog]) -> list[tuple[str, int, Stated]]:
    return [(each.bank, each.epoch, Stated("the receipt", each.size, each.root)) for each in logs]


# Stored rows


def _copies(
    folder: Path | None, where: str | None, bank: str | None, keys: Collection[bytes], known: Sequence[SignedLog]
) -> bool:
    """Whether all is well with what is stored at one side, or at both."""
    said = _said(known)
    mine = copies.journal(folder) if folder else []
    good = True
    if mine:
        good = _tell_all("journal", mine, keys, said)
        bank = bank or mine[-1].bank
    if where is not None:
        with copies.cloud(where) as cloud:
            theirs = cloud.logs(bank)
            good = _tell_all("database", theirs, keys, [each for each in said if bank in (None, each[0])]) and good
            if not theirs:
                _say("The database has no such log.")
                good = bank is None and good
            for log in theirs:
                for own in mine:
                    if (own.bank, own.epoch) == (log.bank, log.epoch):
                        good = _compare(own, log) and good
    return good


def _tell_all(
    place: str, logs: Sequence[copies.Copy], keys: Collection[bytes], said: Sequence[tuple[str, int, Stated]]
) -> bool:
    said = [*said, *(begun for log in logs for begun in _begun(log))]
    told = [
        _tell(place, log, keys, [stated for bank, epoch, stated in said if (bank, epoch) == (log.bank, log.epoch)])
        for log in logs
    ]
    there = {(log.bank, log.epoch) for log in logs}
    lost = [(bank, epoch, stated) for bank, epoch, stated in said if (bank, epoch) not in there]
    for bank, epoch, stated in lost:
        _say(f"{place}: bank {bank}, epoch {epoch}: WRONG: all {stated.size} entries are missing, says {stated.who}.")
    return all(told) and not lost


def _begun(log: copies.Copy) -> Iterator[tuple[str, int, Stated]]:
    """What the first entry of an epoch says of the one before."""
    for row in islice(log.rows, 1):
        with suppress(Unreadable, ValueError):
            body = read_entry(row.raw).body
            if isinstance(body, EpochBegan) and body.previous:
                yield log.bank, body.previous, Stated("the next epoch", body.size, bytes.fromhex(body.root))


def _tell(place: str, copy: copies.Copy, keys: Collection[bytes], said: Sequence[Stated]) -> bool:
    stated, wrong, checkpoint = [*said], [], None
    if copy.note is not None:
        try:
            checkpoint = _checkpoint(copy, keys)
            stated.append(checkpoint)
        except BadNote as error:
            wrong.append(f"its last checkpoint: {error}")
    if copy.root is not None and copy.size is not None:
        stated.append(Stated("its head", copy.size, copy.root))
    found = audit(copy.rows, stated, (BankId(copy.bank), copy.epoch))
    wrong += found.findings
    if copy.size is not None and copy.root is None and found.size < copy.size:
        wrong.append(f"{copy.size} entries were written, and the last that is there is entry {found.size - 1}")
    if copy.size is not None and found.size > copy.size:
        wrong.append(f"its head knows {copy.size} entries, and there is an entry {found.size - 1}")
    if copy.life not in (None, copy.epoch):
        wrong.append(f"its bank was made to believe that it lives in epoch {copy.life}")
    if checkpoint is not None and copy.note_size not in (None, checkpoint.size):
        wrong.append(f"the row of its checkpoint was changed: it says {copy.note_size} entries")
    if place == "database" and copy.note is None and not said:
        wrong.append("nothing speaks for it: its checkpoint was removed, or its bank has not signed one yet")
    if copy.peaks is not None and not _goes_on(copy.size or 0, copy.peaks, copy.root):
        wrong.append("its head was changed: the hashes that it goes on from are not those of its root")
    _say(f"{place}: bank {copy.bank}, epoch {copy.epoch}: {found.size} entries, {'WRONG' if wrong else 'whole'}.")
    for each in wrong:
        _say(f"  WRONG: {each}.")
    if checkpoint is not None:
        trust = "a key that you gave" if keys else "a key not checked against the wall's sticker"
        _say(f"  The bank signed its first {checkpoint.size} entries, with {trust}.")
    elif copy.note is None:
        _say("  No checkpoint of it is kept.")
    return not wrong


def _goes_on(size: int, peaks: bytes, root: bytes | None) -> bool:
    with suppress(ValueError):
        return Frontier.of(size, peaks).root() == root
    return False


def _checkpoint(copy: copies.Copy, keys: Collection[bytes]) -> Stated:
    """Raises BadNote. A journal does not say by which key: without `keys` only what was signed counts."""
    assert copy.note is not None
    note = read_note(copy.note)
    checkpoint = read_checkpoint(note.text)
    name = origin(BankId(copy.bank), copy.epoch)
    if checkpoint.origin != name:
        raise BadNote("it is of another log")
    trusted = keys or ([copy.key] if copy.key is not None else ())
    if trusted:
        signers(note, [Key(name, public) for public in trusted])
    return Stated("what the bank signed", checkpoint.size, checkpoint.root)


def _compare(journal: copies.Copy, cloud: copies.Copy) -> bool:
    unlike = list(islice(differences(journal.rows, cloud.rows), FINDINGS_MAX))
    _say(f"Epoch {cloud.epoch} in journal and database: {'UNLIKE' if unlike else 'the same, as far as both go'}.")
    for each in unlike:
        _say(f"  WRONG: {each}.")
    return not unlike


def _say(line: str) -> None:
    """One line, whatever is in it: a receipt that somebody made up shall not write lines of ours."""
    print("".join(x if x.isprintable() else "?" for x in line))
