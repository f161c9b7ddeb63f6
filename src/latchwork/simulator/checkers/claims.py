from typing import TYPE_CHECKING

from latchwork.domain import entries as e
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, ClaimId, CompartmentId, Reason, StayId
from latchwork.simulator.checkers.checker import Checker

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Claims(Checker):
    sentence = "Never two claims on one compartment, and never one stay in two."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._claims: dict[tuple[BankId, CompartmentId], ClaimId] = {}
        self._stays: dict[StayId, CompartmentId] = {}
        self._holds: dict[ClaimId, dict[StayId, None]] = {}

    def wrote(self, bank: BankId, entry: Entry) -> None:
        match body := entry.body:
            case e.Claimed():
                self._take(bank, body.compartment, body.claim, body.stay, body.moves, body.why)
            case e.Recovered(stored=e.Stored(claim=claim) as put) if claim is not None:
                self._take(bank, put.compartment, claim, put.stay, False, Reason.RECOVERED)
            case e.Moved(stay=stay, claim=claim):
                self._leave(bank, body.left, self._claims.get((bank, body.left)), stay)
                self._stays[stay], self._holds[claim] = body.compartment, {stay: None}
            case e.Released() | e.Collected() | e.Recalled() | e.Removed() if body.claim is not None:
                self._leave(bank, body.compartment, body.claim, body.stay)
            case e.Reported(ended=True) if body.stay in self._stays:
                self._leave(bank, body.compartment, self._claims.get((bank, body.compartment)), body.stay)
            case e.Reported(ended=False, claim=claim) if claim is not None and body.stay not in self._stays:
                self._take(bank, body.compartment, claim, body.stay, False, Reason.SHARED)

    def reborn(self, bank: BankId) -> None:
        for where in [x for x in self._claims if x[0] == bank]:
            for stay in self._holds.pop(self._claims.pop(where), {}):
                self._stays.pop(stay, None)
        for claim in self.world.pictures[bank].claims.values():
            self._claims[bank, claim.compartment] = claim.id
            self._holds[claim.id] = dict.fromkeys(claim.stays)
            self._stays.update(dict.fromkeys(claim.stays, claim.compartment))

    def _take(self, bank: BankId, where: CompartmentId, claim: ClaimId, stay: StayId, moves: bool, why: Reason) -> None:
        held = self._claims.get((bank, where))
        if held is not None and (held != claim or why not in (Reason.SHARED, Reason.RESERVED)):
            self.wrong(f"{where} of {bank[:4]} is claimed by {claim[:6]} and by {held[:6]}")
        if not moves and self._stays.get(stay, where) != where:
            self.wrong(f"{stay[:6]} gets {where} and has {self._stays[stay]}")
        self._claims[bank, where] = claim
        if not moves:
            self._stays[stay] = where
            self._holds.setdefault(claim, {})[stay] = None

    def _leave(self, bank: BankId, where: CompartmentId, claim: ClaimId | None, stay: StayId) -> None:
        if self._claims.get((bank, where)) != claim:
            self.wrong(f"a claim on {where} of {bank[:4]} ends that was not there")
        if claim is None:  # it lay on a shelf
            return
        inside = self._holds.get(claim, {})
        inside.pop(stay, None)
        if self._stays.get(stay) == where:
            del self._stays[stay]
        if not inside:
            self._holds.pop(claim, None)
            del self._claims[bank, where]
