"""Everybody who has to do with the walls: couriers, recipients, senders, staff, operators, and one who guesses codes.

Here is when they come and why; what they do in front of a wall is in `at_wall`, `taking` and `staff`.
"""

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from latchwork.domain import commands as c
from latchwork.domain.commands import WalkIn
from latchwork.domain.effects import Notice
from latchwork.domain.words import BankId, Lookup, PassId, PersonId, Role, ServiceId
from latchwork.simulator.at_wall import AtWall
from latchwork.simulator.cabinet import SIZES, Thing
from latchwork.simulator.controller import Controller, Dark
from latchwork.simulator.operators import COLLEAGUE, PARTIES, Operators
from latchwork.simulator.post import Mail
from latchwork.simulator.schedule import sleep, wait
from latchwork.simulator.staff import Staff
from latchwork.simulator.taking import Courier, Visitor
from latchwork.simulator.weather import HOUR
from latchwork.sync import keys
from latchwork.sync.keys import digits_of

if TYPE_CHECKING:
    from latchwork.simulator.world import World

RECIPIENTS = 12
COURIER_EVERY_H = 3.0
STAFF_EVERY_H = 5.0
SHUT_AFTER_S = 240.0
VISITS_MAX = 12
CARDS = 3
LABEL = "LBL"
"""What stands on every parcel begins so, and nothing else does."""


class People:
    def __init__(self, world: "World") -> None:
        self.recipients = tuple(PersonId(f"{n:032x}") for n in range(1, RECIPIENTS + 1))
        self.depot: dict[tuple[BankId, str], list[Thing]] = {}
        """What each party's couriers have for each wall."""
        self._world = world
        self._errands = 0
        """People on their way who have not given up."""
        self._mails: dict[tuple[str, str], None] = {}
        self.operators = Operators(world)

    def begin(self) -> None:
        self.operators.begin()
        for bank, controller in self._world.controllers.items():
            for party in PARTIES:
                self.depot[bank, party] = []
                self._spawn(self._courier(controller, party), f"courier {party}")
            self._spawn(self._shop(bank), "shop")
            self._spawn(self._staff(controller), "staff")
            self._spawn(self._passers_by(controller), "passer-by")
            for person in self.recipients[:CARDS] if self._world.weather.fuss else ():
                self._spawn(self._household(controller, person), "household")
            if self._world.weather.guesses_a_day:
                self._spawn(self._guesser(controller), "guesser")

    def _is_over(self) -> bool:
        return self._world.settling

    def are_done(self) -> bool:
        return self._errands == 0

    # Shops and their things

    async def _shop(self, bank: BankId) -> None:
        random, weather, number = self._world.random, self._world.weather, 0
        await sleep(600)
        while not self._world.settling:
            await sleep(random.expovariate(weather.parcels_a_day / (24 * HOUR)))
            if self._is_over():
                return
            number += 1
            thing = self._thing(f"{bank[:4]}-{number}")
            if thing.service == "box":
                self.errand(self._walk_in(bank, thing), "walk-in")
                continue
            if thing.service in ("return", "private"):
                await self.operators.announce(bank, thing, drop_off=True)
                self.errand(self._sender(bank, thing), "sender")
                continue
            if random.random() >= weather.unannounced:
                await self.operators.announce(bank, thing)
            assert thing.party is not None
            self.depot[bank, thing.party].append(thing)

    def _thing(self, name: str) -> Thing:
        random = self._world.random
        services, weights = ("parcel", "return", "private"), (7, 2, 1)
        if self._world.weather.fuss:
            services, weights = (*services, "perishable", "lent", "box"), (*weights, 2, 2, 2)  # type: ignore[assignment]
        service = random.choices(services, weights)[0]
        size = random.choices(SIZES, (5, 4, 2))[0]
        return Thing(name, service, size, random.choice(PARTIES), random.choice(self.recipients), f"{LABEL}{name}")

    # Couriers

    async def _courier(self, controller: Controller, party: str) -> None:
        while True:
            every = COURIER_EVERY_H if not self._world.settling else 2.0
            await sleep(self._world.random.uniform(0.3, 1.7) * every * HOUR)
            await self._round(controller, party)

    async def _round(self, controller: Controller, party: str) -> None:
        digits = self.operators.code(controller.bank, Role.COURIER, party)
        if digits is None:
            return
        mine = self.depot[controller.bank, party]
        async with self._queue(controller):
            here = Courier(self._world, controller, f"courier {party}")
            try:
                if await here.sign_in(controller.keyring.code(digits)) is not None:
                    return
                for thing in list(mine):
                    if self._world.settling:
                        break
                    await here.deliver(thing)
                await here.take_out_what_i_may()
                if self._world.random.random() >= self._world.weather.haste:
                    await here.sign_out()
            except Dark:
                self._world.say(here.who, "gives up")
            mine[:] = [thing for thing in mine if thing.place == "sender"]

    # Recipients and senders

    def got(self, mail: Mail) -> None:
        if mail.kind == Notice.READY and (mail.stay, mail.digits) not in self._mails:
            self._mails[mail.stay, mail.digits] = None
            if self._world.random.random() >= self._world.weather.never:
                self.errand(self._recipient(mail), "recipient")

    async def _recipient(self, mail: Mail) -> None:
        random, weather = self._world.random, self._world.weather
        controller = self._world.controllers[mail.bank]
        late = random.random() < weather.late
        await sleep(random.uniform(12, 40) * HOUR if late else random.expovariate(1 / (3 * HOUR)))
        for _ in range(VISITS_MAX):
            if await self._fetch(controller, mail):
                break
            await sleep(random.uniform(0.1, 2) * HOUR)
        if random.random() < weather.fuss:  # the old code may open something once more
            await sleep(random.uniform(0.05, 1) * HOUR)
            await self._fetch(controller, mail)

    async def _fetch(self, controller: Controller, mail: Mail) -> bool:
        """Whether there is nothing more to come for."""
        here = Visitor(self._world, controller, f"for {mail.stay[:6]}")
        here.me = PersonId(mail.person)
        async with self._queue(controller):
            try:
                by_qr = self._world.random.random() < self._world.weather.by_qr
                keyring = controller.keyring
                shown = keyring.ticket(controller.screen, mail.qr) if by_qr else keyring.code(mail.digits)
                reason = await here.sign_in(shown)
                if reason is not None:
                    return mail.stay not in controller.screen.stays
                await here.fetch()
                opened = mail.stay not in controller.screen.stays
                if self._world.random.random() >= self._world.weather.haste:
                    await here.sign_out()
                return opened
            except Dark:
                self._world.say(here.who, "sees the screen go dark")
                return False
            except keys.BadTicket as error:  # a new controller knows no keys before it has a policy
                self._world.say(here.who, f"shows a code in vain: {error}")
                return False

    async def _sender(self, bank: BankId, thing: Thing) -> None:
        random = self._world.random
        for _ in range(VISITS_MAX):
            await sleep(random.uniform(0.1, 2) * HOUR)
            assert thing.stay is not None
            seen = self._world.archive.stay(thing.stay) if self._world.archive.knows(thing.stay) else None
            if seen is None or seen.drop_off_pass is None or seen.drop_off_n is None or seen.drop_off_digits is None:
                continue
            pass_id = PassId(seen.drop_off_pass)
            digits = digits_of(self._world.code_keys[bank], pass_id, seen.drop_off_n, seen.drop_off_digits)
            if await self._drop_off(self._world.controllers[bank], thing, digits):
                return

    async def _drop_off(self, controller: Controller, thing: Thing, digits: str) -> bool:
        here = AtWall(self._world, controller, f"sender of {thing.name}")
        async with self._queue(controller):
            try:
                if await here.sign_in(controller.keyring.code(digits)) is not None:
                    return False
                await here.deposit(thing)
                await here.sign_out()
            except Dark:
                pass
        return thing.place != "sender"

    # Staff, and others who come by

    async def _staff(self, controller: Controller) -> None:
        while True:
            every = STAFF_EVERY_H if not self._world.settling else 1.5
            await sleep(self._world.random.uniform(0.5, 1.5) * every * HOUR)
            codes = [self.operators.code(controller.bank, Role.STAFF, who) for who in (None, COLLEAGUE)]
            if codes[0] is None:
                continue
            here = Staff(self._world, controller, "staff")
            here.second = controller.keyring.code(codes[1]) if codes[1] else None
            async with self._queue(controller):
                try:
                    if here.has_work() and await here.sign_in(controller.keyring.code(codes[0])) is None:
                        await here.work()
                        await here.sign_out()
                except Dark:
                    continue

    async def _household(self, controller: Controller, person: PersonId) -> None:
        """Somebody with a card that opens whatever is this recipient's."""
        card = keys.code_lookup(self._world.code_keys[controller.bank], f"card of {person}")
        await self.operators.instruct(
            controller.bank,
            c.GrantPass(PassId(self._world.new_id()), Role.PERSON, recipient=person, lookup=card),
        )
        while not self._is_over():
            await sleep(self._world.random.uniform(1, 9) * HOUR)
            await self._visit(controller, card, person)

    async def delegate(self, controller: Controller, pass_id: PassId) -> None:
        """Somebody whom the recipient has sent, until a time."""
        await sleep(self._world.random.uniform(0.1, 3) * HOUR)
        granted = self._world.archive.code(pass_id)
        if granted is not None:
            digits = digits_of(self._world.code_keys[controller.bank], pass_id, *granted)
            await self._visit(controller, controller.keyring.code(digits), None)

    async def _visit(self, controller: Controller, code: Lookup, me: PersonId | None) -> None:
        here = Visitor(self._world, controller, "somebody sent")
        here.me = me
        async with self._queue(controller):
            try:
                if await here.sign_in(code) is None:
                    await here.fetch()
                    await here.sign_out()
            except Dark:
                pass

    async def _walk_in(self, bank: BankId, thing: Thing) -> None:
        """A thing for the drop box, by whoever comes along."""
        controller = self._world.controllers[bank]
        here = AtWall(self._world, controller, f"walk-in with {thing.name}")
        async with self._queue(controller):
            try:
                if await here.sign_in(WalkIn(ServiceId(thing.service))) is None:
                    await here.deposit(thing)
                    await here.sign_out()
            except Dark:
                pass

    async def _passers_by(self, controller: Controller) -> None:
        """A door that stands open with nobody at it is shut sooner or later."""
        while True:
            before = controller.cabinet.left_open()
            if not before:
                await wait(controller.cabinet.moved)
            await sleep(SHUT_AFTER_S)
            for compartment in controller.cabinet.left_open():
                if compartment in before:
                    self._world.say("passer-by", f"shuts {compartment}")
                    controller.cabinet.close(compartment)

    async def _guesser(self, controller: Controller) -> None:
        random = self._world.random
        while not self._world.settling:
            await sleep(random.expovariate(self._world.weather.guesses_a_day / (24 * HOUR)))
            here = AtWall(self._world, controller, "guesser")
            try:
                if await here.sign_in(controller.keyring.code(f"{random.randrange(10**6):06}")) is None:
                    await here.sign_out()
            except Dark:
                continue

    # Pieces

    @asynccontextmanager
    async def _queue(self, controller: Controller) -> AsyncIterator[None]:
        """Stand in line, unless one has a phone and no manners."""
        if self._world.random.random() < self._world.weather.together:
            yield
            return
        async with controller.kiosk_queue:
            yield

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._world.schedule.spawn(work, name)

    def errand(self, work: Coroutine[Any, Any, None], name: str) -> None:
        async def counted() -> None:
            self._errands += 1
            try:
                await work
            finally:
                self._errands -= 1

        self._spawn(counted(), name)
