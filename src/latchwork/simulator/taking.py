"""What people do who take something out: recipients with all that is theirs, those they sent, and couriers.

Most of it is quick. The rest is left behind, not theirs, damaged, refused, missing, or said to be missing.
"""

from latchwork.domain import commands as c
from latchwork.domain.commands import Decision
from latchwork.domain.entries import Collected, Recalled, Wanted
from latchwork.domain.rules.collect import may_take
from latchwork.domain.words import CompartmentId, OpeningId, PersonId, Reason, StayId
from latchwork.simulator.at_wall import AtWall, wanted_in
from latchwork.simulator.cabinet import Thing
from latchwork.simulator.controller import Dark


class Taker(AtWall):
    async def take_out_what_i_may(self) -> None:
        """One session for all: a recipient's parcels; a courier's returns, and what has expired."""
        tried: dict[StayId, None] = {}
        while True:
            mine = [stay for stay in self._list() if stay not in tried]
            if not mine:
                return
            tried[mine[0]] = None
            await self.collect(mine[0])
            await self._moment(1, 5)

    def _list(self) -> list[StayId]:
        bank = self.controller.screen
        session = bank.sessions.get(self.session)
        return sorted(s.id for s in bank.stays.values() if session is not None and may_take(bank, session, s))

    async def collect(self, stay: StayId) -> bool:
        """Whether the door opened."""
        try:
            decision = await self.controller.do(c.Collect(self.session, OpeningId(self.world.new_id()), stay))
        except Dark:
            await self.take_in_the_dark(stay, "taken")
            raise
        lying = [x for x in decision.entries if isinstance(x, Collected | Recalled)]
        for body in lying:  # on a shelf in the open
            for thing in self.things(body.compartment, (body.stay,)):
                self._take(body.compartment, thing)
        wanted = wanted_in(decision)
        if wanted is None:
            if not lying:
                self.world.say(self.who, f"cannot have {stay[:6]}: {decision.refusal}")
                self.world.happened("refusals")
            return bool(lying)
        with self.cabinet.attended(wanted.compartment):
            if not await self.sees_open(wanted.compartment):
                return False
            await self._moment(1, 8)
            if not self.cabinet.is_open(wanted.compartment):
                return False
            await self._at_open_door(wanted)
            if self.world.random.random() < self.world.weather.haste / 4:
                return True
            await self.shut(wanted.compartment)
        return True

    async def _at_open_door(self, wanted: Wanted) -> None:
        """Here, or on the shelves behind it; by sight alone, because the screen may be dark by now."""
        shelves = [shelf for shelf, gate in self.cabinet.behind.items() if gate == wanted.compartment]
        for stay in wanted.stays:
            for where in (wanted.compartment, *shelves):
                if self.things(where, (stay,)) or not shelves:
                    await self._take_one(where, stay)

    async def _take_one(self, where: CompartmentId, stay: StayId) -> None:
        if self.world.random.random() < self.world.weather.careless:
            self.cabinet.doubtful[where] = "person"
            self.world.say(self.who, f"takes nothing out of {where}")
            return
        for thing in self.things(where, (stay,)):
            self._take(where, thing)

    def _take(self, where: CompartmentId, thing: Thing, place: str = "taken") -> None:
        self.world.say(self.who, f"takes {thing.name} out of {where}")
        self.cabinet.take(where, thing, place)


class Visitor(Taker):
    """A recipient, or somebody of theirs. `me`: whose things they would know for their own."""

    me: PersonId | None = None

    async def fetch(self) -> None:
        fuss = self._fuss()
        for stay in self._list() if fuss else ():
            said = self.world.random.choice(("extend", "refuse", "nothing", "nothing"))
            if said == "extend":
                await self.controller.do(c.Extend(stay, self.session))
            elif said == "refuse":
                await self._report(stay, Reason.REFUSED)
        await self.take_out_what_i_may()
        if fuss:
            await self._look_again()
            await self._try_what_is_not_mine()

    async def _take_one(self, where: CompartmentId, stay: StayId) -> None:
        things = self.things(where, (stay,))
        strange = [t for t in things if self.me is not None and t.recipient != self.me]
        if strange:
            await self._leave(where, stay, Reason.NOT_MINE)
        elif not things and where not in self.cabinet.behind:
            await self._report(stay, Reason.COMPARTMENT_EMPTY)
        elif not self._fuss():
            await super()._take_one(where, stay)
        else:
            said = self.world.random.choice((Reason.LEFT_BEHIND, Reason.DAMAGED, Reason.COMPARTMENT_EMPTY))
            takes = said is Reason.COMPARTMENT_EMPTY or (said is Reason.DAMAGED and self.world.random.random() < 0.5)
            if not takes:
                await self._leave(where, stay, said)
                return
            for thing in things:
                self._take(where, thing)
            await self._report(stay, said, left=False)  # of an empty compartment it is a lie

    async def _leave(self, where: CompartmentId, stay: StayId, why: Reason) -> None:
        """Until the bank has heard of it, nobody could know that something is still inside."""
        was = self.cabinet.doubtful.get(where)
        self.cabinet.doubtful[where] = "person"
        if (await self._report(stay, why)).refusal is None and was is None:
            del self.cabinet.doubtful[where]

    async def _look_again(self) -> None:
        """The door of the last thing taken, once more; what was taken may be left after all."""
        bank = self.controller.screen
        session = bank.sessions.get(self.session)
        held = bank.passes.get(session.pass_id) if session and session.pass_id else None
        if held is None or not held.took:
            return
        took = held.took[-1]
        decision = await self.controller.do(c.Collect(self.session, OpeningId(self.world.new_id()), took.id))
        wanted = wanted_in(decision)
        if wanted is None or took.compartment is None:
            return
        self.world.happened("doors opened again")
        with self.cabinet.attended(wanted.compartment):
            if await self.sees_open(wanted.compartment):
                await self._moment(1, 8)
                await self.shut(wanted.compartment)

    async def _try_what_is_not_mine(self) -> None:
        others = sorted(set(self.controller.screen.stays) - set(self._list()))
        if others:
            await self.collect(self.world.random.choice(others))

    async def _report(self, stay: StayId, what: Reason, left: bool = True) -> Decision:
        decision = await self.controller.do(c.Report(self.session, stay, what, left))
        self.world.say(self.who, f"says of {stay[:6]}: {what}, {decision.refusal}")
        return decision


class Courier(Taker):
    async def deliver(self, thing: Thing) -> None:
        """Into a compartment, onto a shelf, or home again."""
        shelves = sorted(self.cabinet.behind)
        if not self._fuss():
            await self.deposit(thing)
        elif shelves and self.world.random.random() < 0.6:
            await self._shelve(thing, self.world.random.choice(shelves))
        else:
            await self.give_up(thing)

    async def _shelve(self, thing: Thing, shelf: CompartmentId) -> None:
        gate = self.cabinet.behind[shelf]
        if gate is None:
            await self._lay(thing, shelf)
            return
        visit = c.Visit(self.session, OpeningId(self.world.new_id()), gate, Reason.OTHER)
        if wanted_in(await self.controller.do(visit)) is None:
            return
        with self.cabinet.attended(gate):
            if await self.sees_open(gate):
                await self._lay(thing, shelf)
                await self.shut(gate)

    async def _lay(self, thing: Thing, shelf: CompartmentId) -> None:
        """The screen first: what it does not know of is not left behind."""
        stay, about = self._scan(thing)
        shelve = c.Shelve(self.session, stay, shelf, self.controller.offer(), about)
        if (await self.controller.do(shelve)).refusal is None and self.cabinet.is_open(shelf):
            thing.stay = stay
            self.world.put(self.cabinet.bank, shelf, thing)
