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
from latchwork.simulator.checkers.lives import Lives
from latchwork.simulator.checkers.notices import Notices
from latchwork.simulator.checkers.prefix import Prefix
from latchwork.simulator.checkers.refusals import Refusals
from latchwork.simulator.checkers.reservations import Reservations
from latchwork.simulator.checkers.rights import Rights
from latchwork.simulator.checkers.strangers import Strangers
from latchwork.simulator.checkers.tasks import Tasks
from latchwork.simulator.checkers.words import Words

CHECKERS: tuple[type[Checker], ...] = (
    Doors,
    Rights,
    Strangers,
    Refusals,
    Claims,
    Reservations,
    Doubts,
    Contents,
    Codes,
    Prefix,
    Kept,
    Answers,
    Agreement,
    Lives,
    Notices,
    Tasks,
    Endings,
    Words,
)

__all__ = ["CHECKERS", "Broken", "Checker"]
