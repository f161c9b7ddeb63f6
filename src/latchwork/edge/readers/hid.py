"""Scanners that type like a keyboard, taken from the screen by name: what they type goes nowhere else.

A scanner types as on a US keyboard, whatever keyboard the machine believes in, and ends with Enter.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.readers.scan import CHARACTERS_MAX, Kind, Scan, scan_of

EV_KEY = 1
DOWN, UP = 1, 0
ENTER = frozenset({28, 96})
SHIFT = frozenset({42, 54})
CONTROL = frozenset({29, 97})
_ROWS = (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (57, " ", " "),
    (71, "789", "789"),
    (74, "-456+1230.", "-456+1230."),
)
"""First key of a run, in the kernel's numbers, and what it and its followers type, alone and with shift."""
KEYS = {first + i: (plain[i], shifted[i]) for first, plain, shifted in _ROWS for i in range(len(plain))}
_GS_KEY = 27
"""With control: how a scanner types the separator of a GS1 label."""


class Keys:
    """Text from keys. Pure."""

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._text: list[str] = []

    def press(self, code: int, value: int) -> str | None:
        """The line that ends with this event, if one does."""
        if code in SHIFT | CONTROL:
            (self._held.add if value != UP else self._held.discard)(code)
        elif value == DOWN and code in ENTER:
            line, self._text = "".join(self._text), []
            return line
        elif value == DOWN and len(self._text) <= CHARACTERS_MAX:
            self._text += self._typed(code)
        return None

    def _typed(self, code: int) -> list[str]:
        if self._held & CONTROL:
            return ["\x1d"] if code == _GS_KEY else []
        typed = KEYS.get(code)
        return [typed[1 if self._held & SHIFT else 0]] if typed else []


class Event(Protocol):
    type: int
    code: int
    value: int


class Device(Protocol):
    """What this needs of `evdev.InputDevice`."""

    def grab(self) -> None: ...
    def async_read_loop(self) -> AsyncIterator[Event]: ...
    def close(self) -> None: ...


def evdev_device(path: str) -> Device:
    try:
        import evdev
    except ImportError:
        raise Fault("the package evdev is missing: install latchwork[readers]") from None
    device: Device = evdev.InputDevice(path)
    return device


class Hid:
    """`path` as in /dev/input/by-id, which survives replugging."""

    def __init__(self, path: str, open_device: Callable[[str], Device] = evdev_device) -> None:
        self._path = path
        self._open = open_device

    async def run(self, deliver: Callable[[Scan], None]) -> None:
        """Raises Fault when the scanner is not there, or pulled out."""
        keys = Keys()
        try:
            device = await asyncio.to_thread(self._open, self._path)
            try:
                device.grab()
                async for event in device.async_read_loop():
                    line = keys.press(event.code, event.value) if event.type == EV_KEY else None
                    if line is not None and (scan := scan_of(Kind.TEXT, line)) is not None:
                        deliver(scan)
            finally:
                device.close()
        except OSError as error:
            raise Fault(f"{self._path}: {error.strerror or error}") from error
        raise Fault(f"{self._path} says nothing more")
