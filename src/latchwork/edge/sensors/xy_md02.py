"""The XY-MD02 (and MD02) for temperature and humidity, over Modbus on a line of its own.

It opens the line for one question and lets it go: a reading a minute needs no more. It cannot share a serial port with
lock boards, whose driver is the only one to speak there.
"""

from dataclasses import dataclass, replace
from functools import partial

from serialx import Parity

from latchwork.edge.drivers.line import Line, gateway_in, open_line
from latchwork.edge.drivers.modbus_relay import modbus
from latchwork.edge.drivers.modbus_relay.modbus import Framing, Function, Message
from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.sensors.reading import Reading

BAUD = 9_600
REPLY_S = 0.5
TRIES = 2


@dataclass(frozen=True, slots=True)
class Profile:
    """Where a maker put the two values, temperature first, and how many of their units make one degree or per cent."""

    register: int = 1
    scale: int = 10


XY_MD02 = Profile()
MD02 = Profile(register=256)


class XyMd02:
    """`port` is a serial device or `socket://host:port` of a gateway. Raises ValueError where that cannot be."""

    def __init__(
        self,
        port: str,
        unit: int = 1,
        *,
        profile: Profile = XY_MD02,
        framing: Framing = Framing.RTU,
        baud: int = BAUD,
        parity: Parity = Parity.NONE,
    ) -> None:
        gateway_in(port)
        self._port = port
        self._profile = profile
        self._framing = framing
        self._baud, self._parity = baud, parity
        self._question = modbus.request(unit, Function.READ_REGISTERS, profile.register, 2)

    async def read(self) -> Reading:
        """Raises Fault."""
        line = Line(modbus.replies(self._framing), lambda: None)
        async with open_line(line, self._port, self._baud, self._parity):
            for n in range(1, TRIES + 1):
                asked = replace(self._question, transaction=n if self._framing is Framing.TCP else 0)
                hearing = await line.ask(modbus.encode(asked, self._framing), partial(modbus.answers, asked=asked))
                if (reply := await hearing.answer(REPLY_S)) is not None:
                    return self._reading(reply)
        raise Fault(f"no sensor {self._question.unit} answers at {self._port}")

    def _reading(self, reply: Message) -> Reading:
        if (reason := modbus.refusal_in(reply)) is not None:
            raise Fault(
                f"sensor {reply.unit} at {self._port} refuses (Modbus exception {reason}): another kind, perhaps"
            )
        celsius, humidity = (_signed(word) / self._profile.scale for word in modbus.words_in(reply))
        return Reading(celsius, humidity)


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word
