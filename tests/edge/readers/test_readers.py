"""Scanners and card readers: what they say becomes a scan or nothing, and whoever unplugs one may plug it in again."""

import asyncio
import logging
import os
import pty
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchwork.edge.config import BadConfig, ReaderTable
from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.readers import hid, pcsc
from latchwork.edge.readers.hid import Device, Hid, Keys
from latchwork.edge.readers.pcsc import Pcsc, PcscCards
from latchwork.edge.readers.scan import CHARACTERS_MAX, Kind, Lines, Scan, scan_of
from latchwork.edge.readers.supervisor import reader_of, supervise
from latchwork.edge.readers.wiegand import card_in

TEXT, CARD = Kind.TEXT, Kind.CARD


# What counts as a scan


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"JD0001", "JD0001"),
        (b"  LW1.ABC \t", "LW1.ABC"),
        (b"]C1010\x1d10", "]C1010\x1d10"),
        ("Stra\N{LATIN SMALL LETTER SHARP S}e".encode(), "Stra\N{LATIN SMALL LETTER SHARP S}e"),
        (b"x" * CHARACTERS_MAX, "x" * CHARACTERS_MAX),
        (b"x" * (CHARACTERS_MAX + 1), None),
        (b"", None),
        (b" \r\n", None),
        (b"A\x1b[2J", None),
        (b"\xff\xfe", None),
        ("A\N{RIGHT-TO-LEFT OVERRIDE}B".encode(), None),
    ],
)
def test_text_is_one_bounded_line_or_nothing(raw: bytes, text: str | None) -> None:
    assert scan_of(TEXT, raw) == (Scan(TEXT, text) if text is not None else None)


@given(st.lists(st.binary(max_size=900), max_size=8))
def test_lines_come_out_however_the_bytes_arrive(pieces: list[bytes]) -> None:
    whole, cut = Lines(), Lines()
    joined = b"".join(pieces)
    assert whole.feed(joined) + whole.end() == [line for piece in pieces for line in cut.feed(piece)] + cut.end()
    for line in Lines().feed(joined):
        scan = scan_of(TEXT, line)
        assert scan is None or len(scan.text) <= CHARACTERS_MAX


def test_a_flood_is_dropped_to_its_end_and_the_next_line_is_read() -> None:
    lines = Lines()
    assert lines.feed(b"x" * 1_000_000) == []
    assert lines.feed(b"yz\rnext\r\n") == [b"next"]


@pytest.mark.parametrize(
    ("line", "card"),
    [
        (b"00000000100000000000000010", None),  # both parities wrong
        (b"10000000100000000000000010", "010001"),
        (b"10000000100000000000000011", None),
        (b"04A2B3C4", "04A2B3C4"),
        (b"04a2b3c4\t", "04A2B3C4"),
        (b"0012345678", "0012345678"),
        (b"hello", None),
        (b"12", None),
        (b"1" * 40, None),
    ],
)
def test_a_wiegand_card_is_its_number_and_a_wrong_parity_none(line: bytes, card: str | None) -> None:
    assert card_in(line) == (Scan(CARD, card) if card is not None else None)


def typed(text: str) -> list[tuple[int, int]]:
    """Keys as a scanner presses them."""
    where = {plain: (code, False) for code, (plain, _) in reversed(hid.KEYS.items())}
    where = {shifted: (code, True) for code, (_, shifted) in reversed(hid.KEYS.items())} | where
    events = []
    for x in text:
        code, shift = where[x]
        stroke = [(code, 1), (code, 0)]
        events += [(42, 1), *stroke, (42, 0)] if shift else stroke
    return [*events, (28, 1), (28, 0)]


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=80))
def test_every_character_of_a_us_keyboard_is_read(text: str) -> None:
    keys = Keys()
    assert [line for event in typed(text) if (line := keys.press(*event)) is not None] == [text]


def test_keys_repeat_nothing_keep_the_separator_and_are_bounded() -> None:
    keys = Keys()
    events = [(30, 1), (30, 2), (30, 2), (30, 0), (29, 1), (27, 1), (27, 0), (30, 1), (29, 0), (48, 1), (96, 1)]
    assert [line for event in events if (line := keys.press(*event)) is not None] == ["a\x1db"]
    for _ in range(10_000):
        keys.press(30, 1)
    line = keys.press(28, 1)
    assert line is not None and scan_of(TEXT, line) is None
    assert keys.press(28, 1) == ""


# Readers at work


@dataclass
class Screen:
    scans: list[Scan] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def deliver(self, scan: Scan) -> None:
        self.scans.append(scan)
        self.changed.set()

    async def shows(self, *scans: Scan) -> None:
        async with asyncio.timeout(30):
            while self.scans != list(scans):
                self.changed.clear()
                await self.changed.wait()


@contextmanager
def scanner(link: Path) -> Iterator[int]:
    """A serial scanner plugged in at `link`; write to it."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    link.unlink(missing_ok=True)
    link.symlink_to(os.ttyname(theirs))
    os.close(theirs)
    try:
        yield ours
    finally:
        link.unlink()
        os.close(ours)


async def opened(ours: int, marker: bytes, screen: Screen, scan: Scan) -> None:
    """Nobody tells when the other end of a pty is opened: scan until it is heard, then forget that."""
    written = 0
    async with asyncio.timeout(30):
        while scan not in screen.scans:
            written += os.write(ours, marker) // len(marker)
            await asyncio.sleep(0.1)
    # What was written before it was opened may be lost, or not.
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            while len(screen.scans) < written:
                await asyncio.sleep(0.01)
    screen.scans.clear()


async def test_a_serial_scanner_is_read_pulled_out_and_plugged_in_again(tmp_path: Path) -> None:
    screen, link = Screen(), tmp_path / "scanner"
    table = ReaderTable("serial", str(link))
    task = asyncio.create_task(supervise([table], screen.deliver, 0.05))
    try:
        for _ in range(2):
            with scanner(link) as ours:
                await opened(ours, b"?\r", screen, Scan(TEXT, "?"))
                os.write(ours, b"JD00")
                os.write(ours, b"01\r\nLW1.X\r")
                await screen.shows(Scan(TEXT, "JD0001"), Scan(TEXT, "LW1.X"))
                os.write(ours, b"\x00\x1b\rno terminator")
                await screen.shows(Scan(TEXT, "JD0001"), Scan(TEXT, "LW1.X"), Scan(TEXT, "no terminator"))
            screen.scans.clear()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_wiegand_converter_is_a_card_reader(tmp_path: Path) -> None:
    screen, link = Screen(), tmp_path / "converter"
    with scanner(link) as ours:
        task = asyncio.create_task(supervise([ReaderTable("wiegand", str(link))], screen.deliver, 0.05))
        try:
            await opened(ours, b"FFFFFF\r", screen, Scan(CARD, "FFFFFF"))
            os.write(ours, b"10000000100000000000000010\rnoise\r04A2B3C4\r")
            await screen.shows(Scan(CARD, "010001"), Scan(CARD, "04A2B3C4"))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@dataclass
class Event:
    type: int
    code: int
    value: int


@dataclass
class Wedge:
    """A keyboard that types one line and is pulled out."""

    text: str
    grabbed: bool = False
    closed: bool = False

    def grab(self) -> None:
        self.grabbed = True

    async def async_read_loop(self) -> AsyncIterator[Any]:
        assert self.grabbed, "its keys would reach the screen too"
        yield Event(4, 4, 458756)
        for code, value in typed(self.text):
            yield Event(1, code, value)
        raise OSError(19, "No such device")

    def close(self) -> None:
        self.closed = True


async def test_a_keyboard_scanner_is_taken_from_the_screen_and_found_again(caplog: pytest.LogCaptureFixture) -> None:
    screen, wedges = Screen(), [Wedge("First"), Wedge("Second~")]
    opened = iter(wedges)

    def open_device(path: str) -> Device:
        wedge = next(opened, None)
        if wedge is None:
            raise FileNotFoundError(2, "No such file or directory")
        return wedge

    reader = Hid("/dev/input/by-id/scanner", open_device)
    for wedge in wedges:
        with pytest.raises(Fault, match="No such device"):
            await reader.run(screen.deliver)
        assert wedge.closed
    assert screen.scans == [Scan(TEXT, "First"), Scan(TEXT, "Second~")]
    with pytest.raises(Fault, match="/dev/input/by-id/scanner: No such file"):
        await reader.run(screen.deliver)


async def test_the_real_evdev_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="no-such-scanner"):
        await Hid(str(tmp_path / "no-such-scanner")).run(lambda scan: None)


@pytest.mark.skipif(not os.access("/dev/uinput", os.W_OK), reason="no /dev/uinput to make a keyboard with")
async def test_a_keyboard_of_the_kernel_is_read() -> None:
    import evdev

    screen = Screen()
    with evdev.UInput(name="latchwork test scanner") as keyboard:
        task = asyncio.create_task(Hid(str(keyboard.device.path)).run(screen.deliver))
        try:
            await asyncio.sleep(1)
            for code, value in typed("Kernel-1"):
                keyboard.write(1, code, value)
            keyboard.syn()
            await screen.shows(Scan(TEXT, "Kernel-1"))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class Library:
    """Speaks as libpcsclite does, of one reader and the card that lies on it."""

    def __init__(self, answer: bytes | None = None, *, names: bytes = b"ACME 122 00 00\0\0") -> None:
        self.answer = answer
        self.names = names
        self.status = 0
        self.sent: list[bytes] = []
        self.released = 0

    def SCardEstablishContext(self, scope: Any, a: Any, b: Any, context: Any) -> int:  # noqa: N802
        context._obj.value = 7
        return self.status

    def SCardListReaders(self, context: Any, groups: Any, names: Any, length: Any) -> int:  # noqa: N802
        names.raw = self.names.ljust(len(names.raw), b"\0")
        length._obj.value = len(self.names)
        return 0 if self.names.strip(b"\0") else 0x8010002E

    def SCardConnect(self, context: Any, name: bytes, share: Any, wanted: Any, card: Any, protocol: Any) -> int:  # noqa: N802
        assert context.value == 7 and name == b"ACME 122 00 00"
        card._obj.value, protocol._obj.value = 9, 2
        return self.status or (0 if self.answer is not None else 0x8010000C)

    def SCardTransmit(self, card: Any, header: Any, sent: bytes, n: Any, none: Any, answer: Any, length: Any) -> int:  # noqa: N802
        assert self.answer is not None and card.value == 9 and n.value == len(sent)
        self.sent.append(sent)
        answer.raw = self.answer.ljust(len(answer.raw), b"\0")
        length._obj.value = len(self.answer)
        return 0

    def SCardDisconnect(self, card: Any, disposition: Any) -> int:  # noqa: N802
        return 0

    def SCardReleaseContext(self, context: Any) -> int:  # noqa: N802
        self.released += 1
        return 0


def test_a_card_is_asked_for_its_uid_and_nothing_else() -> None:
    library = Library(bytes.fromhex("04A2B3C4D5E6809000"))
    assert PcscCards("ACME", library).uid() == bytes.fromhex("04A2B3C4D5E680")
    assert library.sent == [bytes.fromhex("FFCA000000")]
    for answer in (b"\x63\x00", b"\x90\x00", b"x" * 40 + b"\x90\x00", b""):
        library.answer = answer
        assert PcscCards("", library).uid() is None
    library.answer = None
    assert PcscCards("", library).uid() is None


def test_what_is_missing_is_said() -> None:
    with pytest.raises(Fault, match="no card reader is plugged in"):
        PcscCards("", Library(names=b"\0"))
    library = Library()
    with pytest.raises(Fault, match="no card reader Other is plugged in"):
        PcscCards("Other", library)
    assert library.released == 1
    library.status = -(2**32 - 0x8010001D)
    with pytest.raises(Fault, match="pcscd does not run"):
        PcscCards("", library)
    with pytest.raises(Fault, match=r"pcscd|libpcsclite|no card reader"):
        PcscCards()  # this machine's own, where no reader is plugged in
        raise Fault("no card reader of ours")


async def test_a_card_that_stays_is_read_once_and_again_when_it_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcsc, "LOOK_S", 0.0)
    seen = iter([None, b"\x01\x02\x03\x04", b"\x01\x02\x03\x04", None, b"\x01\x02\x03\x04"])

    class Cards:
        closed = False

        def uid(self) -> bytes | None:
            try:
                return next(seen)
            except StopIteration:
                raise Fault("the reader is gone") from None

        def close(self) -> None:
            self.closed = True

    cards, screen = Cards(), Screen()
    with pytest.raises(Fault, match="the reader is gone"):
        await Pcsc("", lambda name: cards).run(screen.deliver)
    assert screen.scans == [Scan(CARD, "01020304")] * 2 and cards.closed


async def test_a_reader_that_stays_away_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = ReaderTable("serial", str(tmp_path / "nothing"))
    with caplog.at_level(logging.WARNING):
        task = asyncio.create_task(supervise([table], lambda scan: None, 0.5))
        async with asyncio.timeout(30):
            while not caplog.records:
                await asyncio.sleep(0.01)
        await asyncio.sleep(1.6)  # three more tries, if it were to say more
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(caplog.records) == 1 and "nothing" in caplog.text


def test_a_reader_needs_its_port() -> None:
    with pytest.raises(msgspec.ValidationError, match="baud"):
        msgspec.convert({"kind": "serial", "port": "/dev/ttyACM0", "baud": 0}, ReaderTable)
    with pytest.raises(BadConfig, match="port is missing"):
        reader_of(ReaderTable("hid"))
    assert isinstance(reader_of(ReaderTable("pcsc")), Pcsc)
