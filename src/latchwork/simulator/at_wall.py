"""What people do in front of a wall: touch the screen, pull at doors, put in, take out, look, and walk away.

They believe their eyes before the screen. Whenever the screen goes dark, `Dark` ends what they were at.
"""

from typing import TYPE_CHECKING

from latchwork.domain import commands as c
from latchwork.domain.bank import About, OpeningState
from latchwork.domain.commands import Decision, Ticket
from latchwork.domain.entries import Wanted
from latchwork.domain.rules.collect import may_take
from latchwork.domain.words import (
    ClaimId,
    CompartmentId,
    CompartmentState,
    Lookup,
    OpeningId,
    PartyId,
    Reason,
    ServiceId,
    SessionId,
    StayId,
    StayState,
)
from latchwork.simulator.cabinet import Cabinet, Thing
from latchwork.simulator.controller import Controller, Dark
from latchwork.simulator.schedule import sleep

if TYPE_CHECKING:
    from latchwork.simulator.world import World

PATIENCE_S = 9.0
"""How long anybody stands in front of a shut door."""
DOORS_TRIED_MAX = 4


class AtWall:
    """One person's visit to one wall."""

    def __init__(self, world: "World", controller: Controller, who: str) -> None:
        self.world = world
        self.controller = controller
        self.cabinet: Cabinet = controller.cabinet
        self.who = who
        self.session = SessionId("")

    async def sign_in(self, shown: Lookup | Ticket) -> Reason | None:
        """None: in. Raises Dark."""
        session = SessionId(self.world.new_id())
        refusal = (await self.controller.do(c.SignIn(session, shown))).refusal
        if refusal is not None:
            self.world.say(self.who, f"is refused: {refusal.reason}")
            self.world.happened("refusals")
            return refusal.reason
        self.session = session
        await self._moment(1, 4)
        return None

    async def sign_out(self) -> None:
        if self.session in self.controller.screen.sessions:
            await self.controller.do(c.SignOut(self.session))

    # Putting in

    async def deposit(self, thing: Thing) -> bool:
        """Whether the thing is behind a door now, whatever the bank makes of it."""
        bank = self.controller.screen
        label = Lookup(self.controller.keyring.label(thing.label)) if thing.label else None
        found = bank.labels.get(label) if label else None
        stay = found or (thing.stay if thing.stay in bank.stays and thing.stay else StayId(self.world.new_id()))
        about = About(
            ServiceId(thing.service),
            PartyId(thing.party) if thing.party else None,
            None,
            thing.recipient,
            label,
            thing.size if self.world.random.random() < 0.8 else None,
        )
        opening = OpeningId(self.world.new_id())
        command = c.Deposit(self.session, opening, ClaimId(self.world.new_id()), stay, self.controller.offer(), about)
        decision = await self.controller.do(command)
        for _ in range(DOORS_TRIED_MAX):
            wanted = _wanted(decision)
            if wanted is None:
                reason = decision.refusal.reason if decision.refusal else None
                self.world.say(self.who, f"cannot put {thing.name} in: {reason}")
                self.world.happened("refusals")
                return False
            thing.stay = stay
            because = await self._try_door(wanted, thing)
            if because is None:
                return True
            new = OpeningId(self.world.new_id()), ClaimId(self.world.new_id())
            decision = await self.controller.do(c.Replace(self.session, wanted.opening, because, *new))
            if decision.refusal is not None:
                await self.controller.do(c.Abandon(self.session, wanted.opening))
        return False

    async def _try_door(self, wanted: Wanted, thing: Thing) -> Reason | None:
        """None: it is in. Else why another door is wanted."""
        where, random = wanted.compartment, self.world.random
        with self.cabinet.attended(where):
            if not await self.cabinet.wait_open(where, PATIENCE_S):
                return Reason.COMPARTMENT_BROKEN
            await self._moment(1, 8)
            if not self.cabinet.is_open(where):  # somebody else has shut it
                return Reason.COMPARTMENT_BROKEN
            fits = thing.size.fits_into(next(f.size for f in self.cabinet.fittings if f.id == where))
            if self.cabinet.inside[where] or not fits:
                self.cabinet.close(where)
                await self._moment(1, 4)
                return Reason.COMPARTMENT_OCCUPIED if self.cabinet.inside[where] else Reason.TOO_BIG
            if random.random() < self.world.weather.careless:
                self.world.say(self.who, "walks away with the thing")
                raise Dark
            self.world.put(self.cabinet.bank, where, thing)
            if random.random() < self.world.weather.haste / 2:
                return None  # and leaves the door open
            await self.shut(where)
        if random.random() >= self.world.weather.haste:
            await self._say_it_is_in(wanted)
        return None

    async def _say_it_is_in(self, wanted: Wanted) -> None:
        for _ in range(4):
            refusal = (await self.controller.do(c.Confirm(self.session, wanted.opening))).refusal
            if refusal is None or refusal.reason is not Reason.DOOR_OPEN:
                return
            await self._moment(1, 3)

    # Taking out

    async def collect(self, stay: StayId) -> bool:
        """Whether the door opened."""
        try:
            decision = await self.controller.do(c.Collect(self.session, OpeningId(self.world.new_id()), stay))
        except Dark:
            await self._take_in_the_dark(stay)
            raise
        wanted = _wanted(decision)
        if wanted is None:
            self.world.say(self.who, f"cannot have {stay[:6]}: {decision.refusal}")
            self.world.happened("refusals")
            return False
        where = wanted.compartment
        with self.cabinet.attended(where):
            if not await self.cabinet.wait_open(where, PATIENCE_S):
                return False
            await self._moment(1, 8)
            if not self.cabinet.is_open(where):
                return False
            if self.world.random.random() < self.world.weather.careless:
                self.cabinet.doubtful[where] = "person"
                self.world.say(self.who, f"takes nothing out of {where}")
            else:
                for thing in [t for t in self.cabinet.inside[where] if t.stay == stay]:
                    self.world.say(self.who, f"takes {thing.name} out of {where}")
                    self.cabinet.take(where, thing, "taken")
            if self.world.random.random() < self.world.weather.haste / 4:
                return True
            await self.shut(where)
        return True

    async def _take_in_the_dark(self, stay: StayId) -> None:
        """The screen has gone, and the door may spring open all the same: nobody leaves it then."""
        for where, things in self.cabinet.inside.items():
            for thing in [t for t in things if t.stay == stay]:
                with self.cabinet.attended(where):
                    if await self.cabinet.wait_open(where, PATIENCE_S):
                        self.cabinet.take(where, thing, "taken")
                        await self.shut(where)

    async def take_out_what_i_may(self) -> None:
        """A courier's list: returns, and what has expired."""
        tried: dict[StayId, None] = {}
        while True:
            bank = self.controller.screen
            session = bank.sessions.get(self.session)
            if session is None:
                return
            mine = sorted(s.id for s in bank.stays.values() if s.id not in tried and may_take(bank, session, s))
            if not mine:
                return
            tried[mine[0]] = None
            await self.collect(mine[0])
            await self._moment(1, 5)

    # Staff

    async def check(self, where: CompartmentId) -> None:
        """Open it, take out what belongs to nobody's stay, shut it, say what was seen."""
        self.cabinet.repair(where)
        decision = await self.controller.do(
            c.Visit(self.session, OpeningId(self.world.new_id()), where, Reason.INSPECTION)
        )
        if _wanted(decision) is None:
            return
        with self.cabinet.attended(where):
            if not await self.cabinet.wait_open(where, PATIENCE_S):
                return
            await self._moment(1, 8)
            if not self.cabinet.is_open(where):
                return
            self._clear(where)
            await self.shut(where)
            empty = not self.cabinet.inside[where]
        await self._moment(2, 5)
        if not self.cabinet.is_open(where):
            decision = await self.controller.do(c.Inspect(self.session, where, empty))
            self.world.say(self.who, f"looked into {where}: {'empty' if empty else 'something'}, {decision.refusal}")

    def _clear(self, where: CompartmentId) -> None:
        bank = self.controller.screen
        claim = bank.compartments[where].claim
        belongs = bank.claims[claim].stays if claim else ()
        for thing in [t for t in self.cabinet.inside[where] if t.stay not in belongs]:
            self.world.say(self.who, f"takes {thing.name} to the office")
            self.cabinet.take(where, thing, "office")

    def to_check(self) -> list[CompartmentId]:
        bank = self.controller.screen
        return [
            x.id
            for x in sorted(bank.compartments.values(), key=lambda x: x.id)
            if x.state is CompartmentState.NEEDS_CHECK and not self._is_reserved_by_another(x.id)
        ]

    def _is_reserved_by_another(self, where: CompartmentId) -> bool:
        """Somebody is still at it."""
        bank = self.controller.screen
        claim = bank.compartments[where].claim
        stay = bank.stays[bank.claims[claim].stays[0]] if claim else None
        if stay is None or stay.state is not StayState.RESERVED:
            return False
        return all(
            o.state not in (OpeningState.UNRESOLVED, OpeningState.NOT_OPENED)
            for o in bank.openings.values()
            if o.claim == claim
        )

    async def shut(self, where: CompartmentId) -> None:
        for _ in range(5):
            if self.cabinet.close(where):
                break
            await self._moment(1, 2)
        await self._moment(0, 2)

    async def _moment(self, least_s: float, most_s: float) -> None:
        await sleep(self.world.random.uniform(least_s, most_s))


def _wanted(decision: Decision) -> Wanted | None:
    return next((body for body in decision.entries if isinstance(body, Wanted)), None)
