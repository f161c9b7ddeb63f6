"""Modbus relay boards that time their own pulse (Waveshare), over RTU, Modbus TCP and RTU over TCP."""

from latchwork.edge.drivers.modbus_relay.driver import make

__all__ = ["make"]
