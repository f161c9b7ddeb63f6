"""Kerong CU16 and CU12 lock boards (KR-CU16, NCU16, and over TCP behind a KR-BU gateway)."""

from latchwork.edge.drivers.kerong_cu16.driver import make

__all__ = ["make"]
