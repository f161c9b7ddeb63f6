"""What staff does at a wall: look into what is in doubt, take out for good what nobody may collect, move things."""

from collections.abc import Iterable

from latchwork.domain import commands as c
from latchwork.domain.bank import Bank, OpeningState, Stay
from latchwork.domain.entries import Wanted
from latchwork.domain.words import (
    ClaimId,
    CompartmentId,
    CompartmentState,
    Ending,
    Lookup,
    OpeningId,
    Reason,
    StayId,
    StayState,
)
from latchwork.simulator.at_wall import AtWall, wanted_in
from latchwork.simulator.controller import Dark

REMOVED_FROM = frozenset({StayState.EXPIRED, StayState.EXCEPTION})


class Staff(AtWall):
    """`second`: the code of a colleague, for what takes two."""

    second: Lookup | None = None

    def has_work(self) -> bool:
        return bool(self.to_check() or self.to_remove() or self.world.weather.fuss)

    async def work(self) -> None:
        for compartment in self.to_check():
            await self.check(compartment)
        for stay in self.to_remove():
            await self.remove(stay)
        here = [s.id for s in self.controller.screen.stays.values() if s.claim and s.state is StayState.DEPOSITED]
        if here and self._fuss():
            await self.move(self.world.random.choice(sorted(here)))

    # What is in doubt

    async def check(self, where: CompartmentId) -> None:
        """Open it, take out what belongs to nobody's stay, shut it, say what was seen."""
        self.cabinet.repair(where)
        opening = OpeningId(self.world.new_id())
        if wanted_in(await self.controller.do(c.Visit(self.session, opening, where, Reason.INSPECTION))) is None:
            return
        with self.cabinet.attended(where):
            if not await self.sees_open(where):
                return
            await self._moment(1, 8)
            if not self.cabinet.is_open(where):
                return
            self._clear(where)
            await self.shut(where)
            seen = {t.stay for t in self.cabinet.inside[where]}
        await self._moment(2, 5)
        if not self.cabinet.is_open(where):
            decision = await self.controller.do(c.Inspect(self.session, where, not seen))
            self.world.say(self.who, f"looked into {where}: {'something' if seen else 'empty'}, {decision.refusal}")
            await self._strike_off(where, seen)

    def _clear(self, where: CompartmentId) -> None:
        bank = self.controller.screen
        for thing in [t for t in self.cabinet.inside[where] if t.stay not in _claimed(bank, where)]:
            self.world.say(self.who, f"takes {thing.name} to the office")
            self.cabinet.take(where, thing, "office")

    async def _strike_off(self, where: CompartmentId, seen: Iterable[StayId | None]) -> None:
        """What is recorded and is not there."""
        for stay in sorted(set(_claimed(self.controller.screen, where)) - set(seen)):
            empty = c.Remove(self.session, OpeningId(self.world.new_id()), stay, Reason.COMPARTMENT_EMPTY)
            await self.controller.do(empty)

    def to_check(self) -> list[CompartmentId]:
        bank = self.controller.screen
        doubted = [x.id for x in bank.compartments.values() if x.state is CompartmentState.NEEDS_CHECK]
        return sorted(x for x in doubted if not self._somebody_is_at_it(bank, x))

    def _somebody_is_at_it(self, bank: Bank, where: CompartmentId) -> bool:
        claim = bank.compartments[where].claim
        stays = [bank.stays[s] for s in _claimed(bank, where)]
        if not stays or stays[0].state is not StayState.RESERVED:
            return False
        return all(
            o.state not in (OpeningState.UNRESOLVED, OpeningState.NOT_OPENED)
            for o in bank.openings.values()
            if o.claim == claim
        )

    # What has to go

    def to_remove(self) -> list[StayId]:
        bank = self.controller.screen
        return sorted(s.id for s in bank.stays.values() if s.state in REMOVED_FROM and self._is_ours(bank, s))

    def _is_ours(self, bank: Bank, stay: Stay) -> bool:
        return stay.state is StayState.EXCEPTION or bank.services[stay.about.service].at_end is not Ending.COURIER

    async def remove(self, stay_id: StayId) -> None:
        bank = self.controller.screen
        stay = bank.stays.get(stay_id)
        if stay is None or stay.compartment is None:
            return
        disposes = bank.services[stay.about.service].at_end is Ending.DISPOSE
        why = Reason.DISPOSED if disposes else Reason.RETURN_TO_SENDER
        command = c.Remove(self.session, OpeningId(self.world.new_id()), stay_id, why, self.second)
        try:
            decision = await self.controller.do(command)
        except Dark:
            await self.take_in_the_dark(stay_id, "removed")
            raise
        wanted = wanted_in(decision)
        if wanted is None:
            if decision.refusal is None:
                self._take_away(stay.compartment, stay_id)
            else:
                self.world.say(self.who, f"cannot remove {stay_id[:6]}: {decision.refusal}")
            return
        with self.cabinet.attended(wanted.compartment):
            if await self.sees_open(wanted.compartment):
                await self._moment(1, 8)
                if self.cabinet.is_open(wanted.compartment):
                    self._take_away(stay.compartment, stay_id)
                    await self.shut(wanted.compartment)

    def _take_away(self, where: CompartmentId, stay: StayId) -> None:
        for thing in self.things(where, (stay,)):
            self.world.say(self.who, f"takes {thing.name} away")
            self.cabinet.take(where, thing, "removed")

    async def move(self, stay_id: StayId) -> None:
        """Both doors stand open before anything leaves its place."""
        opening = OpeningId(self.world.new_id())
        command = c.Move(self.session, stay_id, OpeningId(self.world.new_id()), opening, ClaimId(self.world.new_id()))
        wanted = [x for x in (await self.controller.do(command)).entries if isinstance(x, Wanted)]
        if len(wanted) < 2:
            return
        old, new = wanted[0].compartment, wanted[1].compartment
        with self.cabinet.attended(old), self.cabinet.attended(new):
            both = await self.sees_open(old) and await self.sees_open(new)
            fits = self.cabinet.is_free(new, self.things(old, (stay_id,)))
            goes = both and fits and self.cabinet.is_open(old)
            if goes:
                for thing in self.things(old, (stay_id,)):
                    self.cabinet.take(old, thing, "in hand")
                    self.world.put(self.cabinet.bank, new, thing)
            await self.shut(old)
            if self.cabinet.is_open(new):
                await self.shut(new)
        await self._moment(1, 3)
        done = c.Confirm(self.session, opening) if goes else c.Abandon(self.session, opening)
        self.world.say(self.who, f"moves {stay_id[:6]} from {old} to {new}: {(await self.controller.do(done)).refusal}")


def _claimed(bank: Bank, where: CompartmentId) -> tuple[StayId, ...]:
    claim = bank.compartments[where].claim
    return bank.claims[claim].stays if claim else ()
