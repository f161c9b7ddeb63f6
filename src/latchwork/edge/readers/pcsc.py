"""Cards at a PC/SC reader, by a few calls into the system's own libpcsclite.

It asks a card for its UID and nothing else. A UID is easily copied, and phones make a new one each time: it says which
card this is, and proves nothing.
"""

import asyncio
import ctypes
import ctypes.util
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.readers.scan import Kind, Scan

LOOK_S = 0.3
"""How often to look for a card."""
GET_UID = bytes.fromhex("FFCA000000")
DONE = b"\x90\x00"
UID_BYTES = range(4, 11)

_SCOPE_SYSTEM, _SHARE_SHARED, _PROTOCOL_ANY, _LEAVE_CARD = 2, 2, 3, 0
_PROTOCOL_T1 = 2
_NO_CARD = frozenset({0x80100009, 0x8010000C, 0x80100066, 0x80100067, 0x80100068, 0x80100069})
"""Timeout, no card, and what is said of one that was taken away or does not answer."""
_NAMES_BYTES_MAX = 4096
_ANSWER_BYTES_MAX = 258

_Word = ctypes.c_ulong
_Handle = ctypes.c_long


class Cards(Protocol):
    """A card reader as this module needs it. Its calls block. All raise Fault when the reader is gone."""

    def uid(self) -> bytes | None:
        """Of the card that lies there now."""

    def close(self) -> None: ...


class PcscCards:
    """`name`: the reader whose name begins so; empty: the first there is. Raises Fault where there is none."""

    def __init__(self, name: str = "", library: Any = None) -> None:
        self._library = library if library is not None else _library()
        self._context = _Handle()
        self._do("EstablishContext", _Word(_SCOPE_SYSTEM), None, None, ctypes.byref(self._context))
        try:
            self._reader = next((x for x in self._names() if x.startswith(name)), None)
            if self._reader is None:
                raise Fault(f"no card reader {name} is plugged in".replace("  ", " "))
        except Fault:
            self.close()
            raise

    def uid(self) -> bytes | None:
        card, protocol = _Handle(), _Word()
        arguments = (_Word(_SHARE_SHARED), _Word(_PROTOCOL_ANY), ctypes.byref(card), ctypes.byref(protocol))
        assert self._reader is not None
        if not self._do("Connect", self._context, self._reader.encode(), *arguments):
            return None
        try:
            return self._ask(card, protocol)
        finally:
            self._do("Disconnect", card, _Word(_LEAVE_CARD))

    def close(self) -> None:
        self._library.SCardReleaseContext(self._context)

    def _ask(self, card: Any, protocol: Any) -> bytes | None:
        answer, length = ctypes.create_string_buffer(_ANSWER_BYTES_MAX), _Word(_ANSWER_BYTES_MAX)
        header = (_Word * 2)(protocol.value or _PROTOCOL_T1, ctypes.sizeof(_Word) * 2)
        sent = self._do(
            "Transmit",
            card,
            ctypes.byref(header),
            GET_UID,
            _Word(len(GET_UID)),
            None,
            answer,
            ctypes.byref(length),
        )
        said = answer.raw[: length.value] if sent else b""
        return said[: -len(DONE)] if said.endswith(DONE) and len(said) - len(DONE) in UID_BYTES else None

    def _names(self) -> Iterator[str]:
        names, length = ctypes.create_string_buffer(_NAMES_BYTES_MAX), _Word(_NAMES_BYTES_MAX)
        self._do("ListReaders", self._context, None, names, ctypes.byref(length))
        return (name.decode(errors="replace") for name in names.raw[: length.value].split(b"\0") if name)

    def _do(self, call: str, *arguments: Any) -> bool:
        """Whether it was done; not, where there is no card. Raises Fault for anything else."""
        status = getattr(self._library, f"SCard{call}")(*arguments) & 0xFFFFFFFF
        if status == 0:
            return True
        if status in _NO_CARD:
            return False
        why = {0x8010001D: "pcscd does not run", 0x8010002E: "no card reader is plugged in"}.get(status)
        raise Fault(why or f"the card reader fails (PC/SC error {status:08X} of {call})")


def _library() -> Any:
    name = ctypes.util.find_library("pcsclite") or "libpcsclite.so.1"
    try:
        return ctypes.CDLL(name)
    except OSError:
        raise Fault("libpcsclite is missing: install the system's packages pcscd and libpcsclite1") from None


class Pcsc:
    """A scan for each card that is laid on. One that stays there is read once."""

    def __init__(self, name: str = "", open_cards: Callable[[str], Cards] = PcscCards) -> None:
        self._name = name
        self._open = open_cards

    async def run(self, deliver: Callable[[Scan], None]) -> None:
        """Raises Fault when there is no reader, or not any more."""
        cards = await asyncio.to_thread(self._open, self._name)
        try:
            before: bytes | None = None
            while True:
                uid = await asyncio.to_thread(cards.uid)
                if uid is not None and uid != before:
                    deliver(Scan(Kind.CARD, uid.hex().upper()))
                before = uid
                await asyncio.sleep(LOOK_S)
        finally:
            cards.close()
