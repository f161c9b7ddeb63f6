from typing import TYPE_CHECKING

from latchwork.domain import entries as e
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, CompartmentId, PersonId, Purpose, Role
from latchwork.simulator.checkers.checker import Checker

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Strangers(Checker):
    sentence = "No recipient's door opens onto a thing that their pass does not cover."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._sessions: dict[str, e.SessionBegan] = {}
        """Also those that have ended: their doors may still be about to open."""

    def wrote(self, bank: BankId, entry: Entry) -> None:
        if isinstance(entry.body, e.SessionBegan):
            self._sessions[entry.body.session] = entry.body

    def pulsed(self, bank: BankId, compartment: CompartmentId) -> None:
        picture, cabinet = self.world.pictures[bank], self.world.cabinets[bank]
        opening = picture.openings[picture.moving] if picture.moving else None
        session = self._sessions.get(opening.session or "") if opening else None
        if opening is None or session is None or session.role is not Role.PERSON:
            return
        if opening.purpose is Purpose.DEPOSIT or compartment in cabinet.doubtful:
            return
        for thing in cabinet.inside[compartment]:
            stay = picture.stays.get(thing.stay) if thing.stay else None
            whose: PersonId | None = stay.about.recipient if stay else thing.recipient
            if thing.stay != session.stay and (whose is None or whose != session.recipient):
                self.wrong(f"{compartment} of {bank[:4]} opens for {session.session[:6]} with {thing.name} inside")
