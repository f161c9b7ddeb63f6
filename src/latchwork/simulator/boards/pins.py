"""Pins for gpiozero that are wired to a simulated board (`latchwork board gpio`) instead of this computer.

Chosen with `GPIOZERO_PIN_FACTORY=latchwork`; `LATCHWORK_PINS` says where the board is.
"""

import os
import socket
import threading
from contextlib import suppress

from gpiozero.pins.mock import MockFactory, MockPin  # type: ignore[import-untyped]

USUALLY = "127.0.0.1:7010"
CONNECT_S = 2.0
RETRY_S = 0.5


class BoardPin(MockPin):  # type: ignore[misc]  # gpiozero has no types
    def _get_state(self) -> bool:
        state: bool = self._state
        # What nothing pulls down is high: every input here is pulled up.
        return state if self._function == "output" else self.factory.levels.get(self._number, True)

    def _set_state(self, value: float) -> None:
        super()._set_state(value)
        self.factory.say(self._number, bool(value))


class BoardFactory(MockFactory):  # type: ignore[misc]  # gpiozero has no types
    """Raises OSError where no board is there to feel what a pin does."""

    def __init__(self) -> None:
        super().__init__(pin_class=BoardPin)
        host, _, port = os.environ.get("LATCHWORK_PINS", USUALLY).rpartition(":")
        self._at = host, int(port)
        self.levels: dict[int, bool] = {}
        """Of the contacts, as the board says."""
        self._said: dict[int, bool] = {}
        self._cable = socket.create_connection(self._at, CONNECT_S)
        self._told = threading.Event()
        self._closed = threading.Event()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._told.wait(CONNECT_S)

    def close(self) -> None:
        super().close()
        self._closed.set()
        with suppress(OSError):  # the board may have gone first
            self._cable.shutdown(socket.SHUT_RDWR)
        self._listener.join()
        self._cable.close()

    def say(self, pin: int, level: bool) -> None:
        self._cable.sendall(f"{pin} {level:d}\n".encode())
        self._said[pin] = level

    def _listen(self) -> None:
        while not self._closed.is_set():
            with suppress(OSError), self._cable, self._cable.makefile(encoding="ascii") as lines:
                self._cable.settimeout(None)
                for pin, level in self._said.items():
                    self.say(pin, level)
                for line in lines:
                    pin_said, _, level_said = line.strip().partition(" ")
                    self.levels[int(pin_said)] = level_said == "1"
                    self._told.set()
            self.levels.clear()
            if not self._closed.wait(RETRY_S):
                with suppress(OSError):
                    self._cable = socket.create_connection(self._at, CONNECT_S)
