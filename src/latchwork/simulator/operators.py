"""Those who ask the cloud for something: announcements, passes, policies, openings from afar, cancellations."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from latchwork.domain import commands as c
from latchwork.domain.bank import About, Hours, Policy, Service
from latchwork.domain.words import (
    STAFF_REASONS,
    BankId,
    ClaimId,
    CompartmentId,
    CompartmentState,
    Ending,
    InstructionId,
    OpeningId,
    PartyId,
    PassId,
    PersonId,
    Role,
    ServiceId,
    Shares,
    StayId,
    StayState,
)
from latchwork.simulator.cabinet import Thing
from latchwork.simulator.clock import BEGIN
from latchwork.simulator.schedule import sleep
from latchwork.simulator.stores import ORGANISATION
from latchwork.simulator.weather import HOUR
from latchwork.store.rows import Announcement, InstructionRow
from latchwork.sync import keys
from latchwork.sync.codec import body_hash, encode_instruction

if TYPE_CHECKING:
    from latchwork.simulator.world import World

PARTIES = (PartyId("dhx"), PartyId("gls"))
DAILY = PARTIES[1]
"""Whose couriers have another code every day."""
COLLEAGUE = "colleague"
"""The other of two people of the staff."""
OPERATOR = PersonId("0f" * 16)
OFFSETS = ((BEGIN, 60), (BEGIN + timedelta(hours=9), 120))
"""The site's clock goes forward on the first day."""
OPEN_FOR = timedelta(seconds=90)
ASK_AGAIN_S = 3 * HOUR
DESK_EVERY_S = 900.0


class Operators:
    def __init__(self, world: "World") -> None:
        self._world = world
        self._passes: dict[tuple[BankId, Role, str | None], tuple[PassId, float]] = {}
        """The pass asked for last, and when."""
        self._versions: dict[BankId, int] = {}
        self._cancelled: dict[StayId, float] = {}
        self._withdrawn: dict[BankId, list[CompartmentId]] = {}

    def begin(self) -> None:
        for bank in self._world.controllers:
            self._world.schedule.spawn(self._desk(bank), "operator")
            if self._world.weather.remote_opens_a_day:
                self._world.schedule.spawn(self._open_remotely(bank), "operator")

    def code(self, bank: BankId, role: Role, party: str | None) -> str | None:
        """The digits of the pass that these people have now, if the bank has granted it."""
        held = self._passes.get((bank, role, party))
        granted = self._world.archive.code(held[0]) if held else None
        return keys.digits_of(self._world.code_keys[bank], held[0], *granted) if held and granted else None

    async def announce(self, bank: BankId, thing: Thing, drop_off: bool = False) -> None:
        world = self._world
        thing.stay, thing.announced = StayId(world.new_id()), True
        label = keys.label_lookup(world.code_keys[bank], thing.label) if thing.label and not drop_off else None
        wrong = self._fuss() and not drop_off  # the wrong flat: their parcel, and a name that is not theirs
        recipient = world.random.choice(world.people.recipients) if wrong else thing.recipient
        about = About(ServiceId(thing.service), PartyId(thing.party or ""), None, recipient, label, thing.size)
        pass_id = PassId(world.new_id()) if drop_off else None
        until = world.time.utc() + timedelta(hours=world.random.uniform(0.5, 4)) if self._fuss() else None
        claim = ClaimId(world.new_id()) if until else None
        body = encode_instruction(c.Expect(thing.stay, about, pass_id, claim, until))
        instruction = InstructionId(world.new_id())
        announcement = Announcement(
            organisation=ORGANISATION,
            idempotency_key=instruction,
            request_hash=body_hash(body).encode()[:32],
            response_status=201,
            response=b"{}",
            bank=bank,
            stay=thing.stay,
            service=thing.service,
            party=thing.party,
            thing=None,
            recipient=recipient,
            label=label,
            tracking=thing.label,
            width_mm=thing.size.width_mm,
            height_mm=thing.size.height_mm,
            depth_mm=thing.size.depth_mm,
            drop_off_pass=pass_id,
            instruction=instruction,
            instruction_body=body,
            instruction_sha256=body_hash(body),
            asked_by=None,
            at=world.time.utc(),
        )
        await self._ask(bank, instruction, "announce", announcement)
        world.happened("announced")

    # At a desk in the office

    async def _desk(self, bank: BankId) -> None:
        """Sees to it that the bank has a policy and its people have passes; the rest as it comes."""
        random = self._world.random
        while True:
            if self._world.archive.head(bank).divided is not None:
                self._world.stores.confirm_recovery(bank)
            await self._adopt(bank)
            await self._grant(bank, Role.STAFF, None)
            await self._grant(bank, Role.STAFF, COLLEAGUE)
            for party in PARTIES:
                await self._grant(bank, Role.COURIER, party)
            if not self._world.settling and random.random() < 0.01:
                await self._revoke_one(bank)
            await self._cancel(bank)
            await self._attend(bank)
            if random.random() < 0.02:
                await self._world.office.ask("put_document", bank, "words", self._version(bank), b"{}")
                self._world.office.hint(bank)
            await sleep(DESK_EVERY_S)

    async def _adopt(self, bank: BankId) -> None:
        asked, random = self._versions.get(bank, 0), self._world.random
        loop = self._world.controllers[bank].loop
        if asked and not (random.random() < 0.005 or (self._world.settling and loop and not loop.bank.policy_version)):
            return
        public = self._world.ticket_key.public_key().public_bytes_raw()
        policy = Policy(
            self._services(),
            {keys.key_id(public): public.hex()},
            utc_offsets=OFFSETS,
            open_seconds_max=random.choice((1.5, 1.5, 4.0)),
            fallbacks=("desk",),
        )
        await self.instruct(bank, c.Adopt(self._version(bank), policy))

    def _services(self) -> tuple[Service, ...]:
        """Some are as plain as can be; the others use every rule that a service may have."""
        random, fuss = self._world.random, self._world.weather.fuss
        hours = random.choice((4, 12, 24))
        courier, person = Role.COURIER, Role.PERSON
        return (
            Service(
                ServiceId("parcel"), courier, person, hours,
                shares=random.choice(tuple(Shares)[:2]) if fuss else Shares.NONE,
                day_ends=random.choice((None, 0, 18 * 60)) if fuss else None,
                extensions_max=1, extension_hours=4, room_min=1, holds_unknown=bool(fuss),
            ),
            Service(ServiceId("return"), person, courier, 2 * hours),
            Service(ServiceId("private"), person, person, hours),
            Service(ServiceId("box"), person, courier, hours, walk_in=True, shares=Shares.PARTY),
            Service(
                ServiceId("perishable"), courier, person, 4,
                at_end=Ending.DISPOSE, late_collection=False, reopen_minutes=2,
            ),
            Service(
                ServiceId("lent"), courier, person, hours,
                hours=tuple(Hours(day, 7 * 60, 20 * 60) for day in range(7)),
                at_end=Ending.RETURN,
            ),
        )  # fmt: skip

    def _version(self, bank: BankId) -> int:
        self._versions[bank] = self._versions.get(bank, 0) + 1
        return self._versions[bank]

    async def _grant(self, bank: BankId, role: Role, party: str | None) -> None:
        held = self._passes.get((bank, role, party))
        now = self._world.time.now
        if held is not None and (self._world.archive.code(held[0]) is not None or now - held[1] < ASK_AGAIN_S):
            return
        pass_id = PassId(self._world.new_id())
        self._passes[bank, role, party] = pass_id, now
        carrier = PartyId(party) if party and role is Role.COURIER else None
        daily = bool(self._world.weather.fuss) and carrier == DAILY
        await self.instruct(bank, c.GrantPass(pass_id, role, carrier, daily=daily))

    async def _attend(self, bank: BankId) -> None:
        """Somebody in the office changes something of what is here; when all is over, they free what they held up."""
        random, settling = self._world.random, self._world.settling
        for stay, state in sorted(self._world.archive.stays_of(bank)):
            if state == StayState.BLOCKED and (settling or random.random() < 0.1):
                await self.instruct(bank, c.Amend(stay, blocked=False))
            elif not settling and self._fuss():
                await self._change(bank, stay, state)
        if settling:  # by what the wall says: what was asked before may be lost
            for where, state in sorted(self._world.archive.compartments_of(bank)):
                if state == CompartmentState.OUT_OF_SERVICE:
                    await self.instruct(bank, c.Withdraw((where,), back=True))
        elif self._fuss():
            where = random.choice(sorted(self._world.cabinets[bank].channels))
            self._withdrawn.setdefault(bank, []).append(where)
            await self.instruct(bank, c.Withdraw((where,), now=random.random() < 0.3))
            if random.random() < 0.7:
                await self.instruct(bank, c.Withdraw((self._withdrawn[bank].pop(0),), back=True))

    async def _change(self, bank: BankId, stay: StayId, state: str) -> None:
        world, random = self._world, self._world.random
        until = world.time.utc() + timedelta(hours=random.uniform(0.2, 12))
        if state in (StayState.EXPECTED, StayState.RESERVED):
            end = random.choice((until, None))
            await self.instruct(bank, c.Reserve(stay, ClaimId(world.new_id()), end))
        elif state == StayState.EXCEPTION:
            await self.instruct(bank, c.Amend(stay, recipient=random.choice(world.people.recipients)))
        elif state in (StayState.DEPOSITED, StayState.EXPIRED):
            delegated = PassId(world.new_id())
            change: c.Instruction = random.choice((
                c.Extend(stay),
                c.Amend(stay, until),
                c.Amend(stay, blocked=True),
                c.Amend(stay, recipient=random.choice(world.people.recipients)),
                c.GrantPass(delegated, Role.PERSON, valid_until=until, stay=stay, once=random.random() < 0.5),
            ))  # fmt: skip
            await self.instruct(bank, change)
            if isinstance(change, c.GrantPass):
                world.people.errand(world.people.delegate(world.controllers[bank], delegated), "delegate")

    def _fuss(self) -> bool:
        return self._world.random.random() < self._world.weather.fuss / 5

    async def _revoke_one(self, bank: BankId) -> None:
        mine = [held[0] for (b, _, _), held in self._passes.items() if b == bank]
        await self.instruct(bank, c.RevokePass(self._world.random.choice(mine)))

    async def _cancel(self, bank: BankId) -> None:
        """Rarely what is on its way; when all is over, whatever never came."""
        if not self._world.settling and self._world.random.random() >= 0.02:
            return
        for stay, state in sorted(self._world.archive.stays_of(bank)):
            if state != StayState.EXPECTED:
                continue
            now = self._world.time.now
            if now - self._cancelled.get(stay, -ASK_AGAIN_S) < ASK_AGAIN_S:
                continue
            self._cancelled[stay] = now
            await self.instruct(bank, c.Cancel(stay))
            if not self._world.settling:
                return

    async def _open_remotely(self, bank: BankId) -> None:
        random, controller = self._world.random, self._world.controllers[bank]
        while True:
            await sleep(random.expovariate(max(self._world.weather.remote_opens_a_day, 0.01) / (24 * HOUR)))
            if self._world.settling:
                return
            compartment = random.choice(sorted(controller.cabinet.channels))
            opening, reason = OpeningId(self._world.new_id()), random.choice(sorted(STAFF_REASONS))
            self._world.opens_asked[opening] = bank, compartment, reason
            not_after = self._world.time.utc() + OPEN_FOR
            await self.instruct(bank, c.Open(opening, compartment, reason, OPERATOR, not_after), not_after)
            self._world.happened("remote opens")

    async def instruct(self, bank: BankId, body: c.Instruction, not_after: datetime | None = None) -> None:
        world, raw = self._world, encode_instruction(body)
        row = InstructionRow(
            InstructionId(world.new_id()),
            ORGANISATION,
            bank,
            type(body).__name__,
            raw,
            body_hash(raw),
            world.time.utc(),
            not_after,
        )
        await self._ask(bank, InstructionId(row.id), "instruct", row)

    async def _ask(self, bank: BankId, instruction: InstructionId, call: str, row: object) -> None:
        self._world.ask_of(bank, instruction)
        await self._world.office.ask(call, row)
        self._world.office.hint(bank)
