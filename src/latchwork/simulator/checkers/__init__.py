"""What must hold in every world, one file and one sentence each."""

from latchwork.simulator.checkers.agreement import Agreement
from latchwork.simulator.checkers.answers import Answers
from latchwork.simulator.checkers.checker import Broken, Checker
from latchwork.simulator.checkers.claims import Claims
from latchwork.simulator.checkers.codes import Codes
from latchwork.simulator.checkers.contents import Contents
from latchwork.simulator.checkers.doors import Doors
from latchwork.simulator.checkers.doubts import Doubts
from latchwork.simulator.checkers.endings import Endings
from latchwork.simulator.checkers.kept import Kept
from latchwork.simulator.checkers.notices import Notices
from latchwork.simulator.checkers.prefix import Prefix
from latchwork.simulator.checkers.rights import Rights

CHECKERS: tuple[type[Checker], ...] = (
    Doors,
    Rights,
    Claims,
    Doubts,
    Contents,
    Codes,
    Prefix,
    Kept,
    Answers,
    Agreement,
    Notices,
    Endings,
)

__all__ = ["CHECKERS", "Broken", "Checker"]
