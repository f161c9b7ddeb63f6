"""Where a press meets the world, and the small moves that all presses share."""

from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import datetime

from latchwork.domain.bank import Opening, OpeningState, Session
from latchwork.domain.commands import Command, Decision, Refusal
from latchwork.domain.entries import Wanted
from latchwork.domain.words import PartyId, Purpose, Reason, Role, SessionId
from latchwork.edge.kiosk.desk import Desk
from latchwork.edge.kiosk.papers import Papers
from latchwork.edge.kiosk.turn import Ask, Question, Turn, current, unwatch, watch


@dataclass(frozen=True, slots=True)
class At:
    """`key`: the cookie that whoever signs in now will hold."""

    desk: Desk
    papers: Papers
    key: str
    languages: tuple[str, ...] = ("en",)
    now: datetime | None = None
    unclaimed: Set[SessionId] = frozenset()
    """Sessions that survived a restart, and that nobody has come back to yet."""

    def session(self, turn: Turn) -> Session | None:
        return self.desk.bank.sessions.get(turn.session) if turn.session else None

    def of_role(self, turn: Turn, role: Role) -> Session | None:
        session = self.session(turn)
        return session if session is not None and session.role is role else None

    async def takes(self, party: PartyId | None, label: str) -> bool:
        """Whether the partner takes in what bears this label: as it says now, else by the rule that was last heard."""
        if party is None:
            return True
        said = await self.desk.advice(party, label)
        return self.papers.takes(party, label) if said is None else said

    def own_deposit(self, turn: Turn) -> Opening | None:
        opening = current(self.desk.bank, turn)
        return opening if opening is not None and opening.purpose is Purpose.DEPOSIT else None

    async def do(self, turn: Turn, command: Command) -> Turn:
        """The turn that watches the door which this has asked for, or says why not."""
        return watching(turn, await self.desk.do(command))


def refused(turn: Turn, reason: Reason) -> Turn:
    return replace(turn, refusal=Refusal(reason))


def asking(turn: Turn, question: Question, **about: object) -> Turn:
    return replace(turn, ask=Ask(question, **about))  # type: ignore[arg-type]


def watching(turn: Turn, decision: Decision) -> Turn:
    wanted = next((body for body in decision.entries if isinstance(body, Wanted)), None)
    turn = watch(turn, wanted) if wanted else turn
    return replace(turn, refusal=decision.refusal)


def watched(turn: Turn, opening: Opening) -> Turn:
    """After a restart the turn does not know the opening that the bank still has for it."""
    stay = opening.stays[0] if opening.stays else None
    return replace(turn, opening=opening.id, compartment=opening.compartment, stay=stay, purpose=opening.purpose)


def aside(turn: Turn, opening: Opening) -> Turn:
    return replace(unwatch(turn), put_aside=turn.put_aside | {opening.id})


def hands_free(at: At, turn: Turn) -> Turn:
    """Before anything new: a door that wants an answer comes first. A shut deposit is for the caller to settle."""
    opening = current(at.desk.bank, turn)
    turn = replace(turn, told=None)
    if opening is None or (opening.purpose is Purpose.DEPOSIT and opening.state is OpeningState.SHUT):
        return turn
    if opening.state is OpeningState.OPENED:
        return refused(turn, Reason.DOOR_OPEN)
    if opening.state in (OpeningState.WANTED, OpeningState.UNLOCKED):
        return refused(turn, Reason.BUSY)
    return aside(turn, opening) if opening.purpose is not Purpose.DEPOSIT else refused(turn, Reason.DOOR_NOT_OPENED)
