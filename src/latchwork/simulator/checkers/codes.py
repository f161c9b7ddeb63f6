from datetime import timedelta
from typing import TYPE_CHECKING

from latchwork.domain import entries as e
from latchwork.domain.bank import Grant, PassState
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, Purpose, Role, StayId
from latchwork.simulator.checkers.checker import Checker

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Codes(Checker):
    sentence = (
        "A stay ends once; a spent code opens for some minutes, and only what nobody else has; "
        "no two live passes of a bank have the same code."
    )

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._ended: dict[StayId, str] = {}

    def reborn(self, bank: BankId) -> None:
        for stay in self.world.pictures[bank].stays:
            self._ended.pop(stay, None)

    def wrote(self, bank: BankId, entry: Entry) -> None:
        match body := entry.body:
            case e.PassGranted(grant):
                self._grant(bank, grant)
            case e.Claimed() | e.Stored() | e.Amended() | e.Reported() if body.pickup:
                self._grant(bank, body.pickup)
            case e.SessionBegan(pass_id=pass_id) if pass_id is not None:
                self._sign_in(bank, entry, pass_id)
            case e.Wanted(purpose=Purpose.VISIT):
                self._again(bank, body)
        match body:
            case e.Collected() | e.Recalled() | e.Removed():
                self._end(body.stay, type(body).__name__)
            case e.Reported(ended=True):
                self._ended[body.stay] = "reported"
            case e.Reported(ended=False):
                self._ended.pop(body.stay, None)

    def _end(self, stay: StayId, how: str) -> None:
        if stay in self._ended:
            self.wrong(f"{stay[:6]} is {how.lower()}, and was {self._ended[stay].lower()} before")
        self._ended[stay] = how

    def _sign_in(self, bank: BankId, entry: Entry, pass_id: str) -> None:
        picture = self.world.pictures[bank]
        held = next((p for x, p in picture.passes.items() if x == pass_id), None)
        if held is None or held.state is not PassState.SPENT:
            return
        minutes = max((s.reopen_minutes for s in picture.policy.services), default=0)
        if held.since is None or entry.at >= held.since + timedelta(minutes=minutes):
            self.wrong(f"somebody signs in with a code of {bank[:4]} that was spent at {held.since}")

    def _again(self, bank: BankId, body: e.Wanted) -> None:
        picture = self.world.pictures[bank]
        session = picture.sessions.get(body.session) if body.session else None
        compartment = picture.compartments[body.compartment]
        if session is not None and session.role is Role.PERSON and compartment.claim is not None:
            self.wrong(f"{body.compartment} of {bank[:4]} opens again, and is somebody else's now")

    def _grant(self, bank: BankId, grant: Grant) -> None:
        picture = self.world.pictures[bank]
        held = picture.codes.get(grant.lookup)
        if held is None or held == grant.pass_id or picture.passes[held].state is PassState.SPENT:
            return
        self.wrong(f"passes {held[:6]} and {grant.pass_id[:6]} of {bank[:4]} have one code")
