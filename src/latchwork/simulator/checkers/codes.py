from typing import TYPE_CHECKING

from latchwork.domain import entries as e
from latchwork.domain.bank import Grant
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId
from latchwork.simulator.checkers.checker import Checker

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Codes(Checker):
    sentence = "A one-time code opens at most once, and no two live passes of a bank have the same code."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._once: dict[str, int] = {}
        self._passes: dict[str, str] = {}
        """The pass of each opening."""
        self._codes: dict[tuple[BankId, str], Grant] = {}
        self._by_stay: dict[str, Grant] = {}

    def wrote(self, bank: BankId, entry: Entry) -> None:
        match body := entry.body:
            case e.PassGranted(grant):
                self._grant(bank, grant)
            case e.Claimed() if body.pickup:
                self._grant(bank, body.pickup)
                self._once.setdefault(body.pickup.pass_id, 0)
                self._by_stay[body.stay] = body.pickup
            case e.PassRevoked(pass_id=revoked):
                self._codes = {k: g for k, g in self._codes.items() if g.pass_id != revoked}
            case e.Released(stay=stay) | e.Collected(stay=stay) | e.Recalled(stay=stay):
                held = self._by_stay.pop(stay, None)
                if held is not None:
                    self._codes.pop((bank, held.lookup), None)
            case e.Stored(stay=stay) | e.Cancelled(stay=stay):
                self._codes = {k: g for k, g in self._codes.items() if g.stay != stay or g == self._by_stay.get(stay)}
            case e.Wanted() if body.pass_id is not None:
                self._passes[body.opening] = body.pass_id
                if self._once.get(body.pass_id, 0) > 0:
                    self.wrong(f"{body.compartment} of {bank[:4]} is to open with a code that is spent")
            case e.Opened(opening):
                pass_id = self._passes.get(opening)
                if pass_id in self._once:
                    self._once[pass_id] += 1
                    if self._once[pass_id] > 1:
                        self.wrong(f"{body.compartment} of {bank[:4]} opened with a code that was spent")

    def _grant(self, bank: BankId, grant: Grant) -> None:
        held = self._codes.get((bank, grant.lookup))
        if held is not None and held.pass_id != grant.pass_id:
            self.wrong(f"passes {held.pass_id[:6]} and {grant.pass_id[:6]} of {bank[:4]} have one code")
        self._codes[bank, grant.lookup] = grant
