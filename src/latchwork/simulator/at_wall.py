"""What people do in front of a wall: touch the screen, pull at doors, put in, and walk away; taking out is in
`taking`, what staff does in `staff`.

They believe their eyes before the screen. Whenever the screen goes dark, `Dark` ends what they were at.
"""

from typing import TYPE_CHECKING

from latchwork.domain import commands as c
from latchwork.domain.bank import About
from latchwork.domain.commands import Decision, Ticket, WalkIn
from latchwork.domain.entries import Wanted
from latchwork.domain.rules.pieces import under_way
from latchwork.domain.words import (
    UNDELIVERED,
    ClaimId,
    CompartmentId,
    Lookup,
    OpeningId,
    PartyId,
    Reason,
    ServiceId,
    SessionId,
    StayId,
)
from latchwork.simulator.cabinet import Cabinet, Thing
from latchwork.simulator.controller import Controller, Dark
from latchwork.simulator.schedule import sleep

if TYPE_CHECKING:
    from latchwork.simulator.world import World

PATIENCE_S = 9.0
"""How long anybody stands in front of a shut door that the screen has given up."""
DOORS_TRIED_MAX = 4


class AtWall:
    """One person's visit to one wall."""

    def __init__(self, world: "World", controller: Controller, who: str) -> None:
        self.world = world
        self.controller = controller
        self.cabinet: Cabinet = controller.cabinet
        self.who = who
        self.session = SessionId("")

    async def sign_in(self, shown: Lookup | Ticket | WalkIn) -> Reason | None:
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
        stay, about = self._scan(thing)
        opening = OpeningId(self.world.new_id())
        command = c.Deposit(
            self.session,
            opening,
            ClaimId(self.world.new_id()),
            stay,
            self.controller.offer(),
            about,
            apart=self._fuss(),
        )
        decision = await self.controller.do(command)
        for _ in range(DOORS_TRIED_MAX):
            wanted = wanted_in(decision)
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
                await self.give_up(thing)
        return False

    def _scan(self, thing: Thing) -> tuple[StayId, About]:
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
        return stay, about

    async def give_up(self, thing: Thing) -> None:
        """It goes home again, and somebody else tries another day."""
        stay, about = self._scan(thing)
        why = self.world.random.choice(sorted(UNDELIVERED))
        await self.controller.do(c.GiveUp(self.session, stay, why, about))

    async def _try_door(self, wanted: Wanted, thing: Thing) -> Reason | None:
        """None: it is in. Else why another door is wanted."""
        where, random = wanted.compartment, self.world.random
        with self.cabinet.attended(where):
            if not await self.sees_open(where):
                return Reason.COMPARTMENT_BROKEN
            await self._moment(1, 8)
            if not self.cabinet.is_open(where):  # somebody else has shut it
                return Reason.COMPARTMENT_BROKEN
            fits = thing.size.fits_into(next(f.size for f in self.cabinet.fittings if f.id == where))
            if self._fuss():  # the leaf will not latch, or so it looks
                return Reason.DOOR_WILL_NOT_CLOSE
            claim = self.controller.screen.claims.get(wanted.claim) if wanted.claim else None
            beside = claim.stays if claim else ()
            strange = [t for t in self.cabinet.inside[where] if t.stay not in beside]
            if strange or not fits:
                self.cabinet.close(where)
                await self._moment(1, 4)
                return Reason.COMPARTMENT_OCCUPIED if strange else Reason.TOO_BIG
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

    # Pieces

    async def sees_open(self, where: CompartmentId) -> bool:
        """Whether the door opens, as long as the screen says that it will."""
        for _ in range(DOORS_TRIED_MAX):
            if await self.cabinet.wait_open(where, PATIENCE_S):
                return True
            loop = self.controller.loop
            if loop is None or not under_way(loop.bank, where):
                return False
        return False

    def things(self, where: CompartmentId, stays: tuple[StayId, ...]) -> list[Thing]:
        return [t for t in self.cabinet.inside[where] if t.stay in stays]

    async def take_in_the_dark(self, stay: StayId, place: str) -> None:
        """The screen has gone, and the door may spring open all the same: nobody leaves it then."""
        for where in self.cabinet.channels:
            for thing in self.things(where, (stay,)):
                with self.cabinet.attended(where):
                    if await self.sees_open(where):
                        self.cabinet.take(where, thing, place)
                        await self.shut(where)

    async def shut(self, where: CompartmentId) -> None:
        for _ in range(5):
            if self.cabinet.close(where):
                break
            await self._moment(1, 2)
        await self._moment(0, 2)

    async def _moment(self, least_s: float, most_s: float) -> None:
        await sleep(self.world.random.uniform(least_s, most_s))

    def _fuss(self) -> bool:
        """Whether something out of the ordinary comes up now."""
        return self.world.random.random() < self.world.weather.fuss


def wanted_in(decision: Decision) -> Wanted | None:
    return next((body for body in decision.entries if isinstance(body, Wanted)), None)
