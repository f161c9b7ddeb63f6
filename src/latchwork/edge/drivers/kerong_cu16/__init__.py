"""Kerong CU16 lock boards (KR-CU16, NCU16, and over TCP behind a KR-BU gateway)."""

from latchwork.edge.drivers.kerong_cu16.driver import KerongCu16
from latchwork.edge.drivers.protocol import BusSettings

__all__ = ["KerongCu16", "make"]


def make(settings: BusSettings) -> KerongCu16:
    return KerongCu16(settings.port, settings.boards)
