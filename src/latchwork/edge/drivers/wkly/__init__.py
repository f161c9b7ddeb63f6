"""The WKLY lock boards, whose frames begin with these four letters."""

from latchwork.edge.drivers.wkly.driver import make

__all__ = ["make"]
