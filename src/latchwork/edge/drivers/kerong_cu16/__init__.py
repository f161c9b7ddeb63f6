"""Kerong CU16 lock boards (KR-CU16, NCU16, and over TCP behind a KR-BU gateway)."""

from latchwork.edge.drivers.kerong_cu16.driver import KerongCu16

__all__ = ["KerongCu16"]
