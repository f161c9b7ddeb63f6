"""Relays on the pins of a small computer. It ends the pulses itself, so it is refused unless that is accepted."""

from latchwork.edge.drivers.gpio.driver import make

__all__ = ["make"]
