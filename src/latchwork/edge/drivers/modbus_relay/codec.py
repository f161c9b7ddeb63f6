"""What a Modbus relay board with a pulse of its own (Waveshare's "flash") can be asked, and nothing more.

There is no function here that holds a relay on, toggles it, or reaches more than one: the board ends every pulse that
it was given, whatever becomes of the computer.
"""

from latchwork.edge.drivers.modbus_relay.modbus import Function, Message, request

RELAYS_MAX = 32
PULSE_UNIT_MS = 100
PULSE_MAX_MS = 1_500
"""Longer, and a locker's solenoid may burn."""
ON_FOR = 0x0200
"""Writing n to this coil plus the relay's number switches the relay on for n * 100 ms."""

MODE_OF = 0x1000
"""The holding register of the first relay's control mode."""
MODES_AT_ONCE = 16


def pulse(unit: int, relay: int, pulse_ms: int) -> Message:
    """One relay on for `pulse_ms`, timed by the board. It answers with the same bytes, at once."""
    if relay not in range(RELAYS_MAX):
        raise ValueError(f"relay {relay} is not in 0..{RELAYS_MAX - 1}")
    if pulse_ms % PULSE_UNIT_MS or not 0 < pulse_ms <= PULSE_MAX_MS:
        raise ValueError(f"pulse_ms = {pulse_ms} is not a multiple of {PULSE_UNIT_MS} up to {PULSE_MAX_MS}")
    return request(unit, Function.WRITE_COIL, ON_FOR + relay, pulse_ms // PULSE_UNIT_MS)


def read_relays(unit: int, relays: int) -> Message:
    return request(unit, Function.READ_COILS, 0, _count(relays, "relays"))


def read_inputs(unit: int, inputs: int) -> Message:
    return request(unit, Function.READ_INPUTS, 0, _count(inputs, "inputs"))


def read_modes(unit: int, relays: int) -> tuple[Message, ...]:
    """What else switches each relay: 0 nothing, 1 its input, 2 its input by turns, 3 every change of its input."""
    _count(relays, "relays")
    return tuple(
        request(unit, Function.READ_HOLDING, MODE_OF + first, min(MODES_AT_ONCE, relays - first))
        for first in range(0, relays, MODES_AT_ONCE)
    )


def _count(number: int, of: str) -> int:
    if not 1 <= number <= RELAYS_MAX:
        raise ValueError(f"{of} = {number} is not from 1 to {RELAYS_MAX}")
    return number
