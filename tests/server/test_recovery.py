"""A bank whose log has parted from the cloud's comes back in a new epoch, and nothing that the server had is lost."""

import json
import re
import shutil
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.edge.test_loop import BANK, FITTINGS, Edge, Time
from tests.server.clouds import Cloud, announcement, confirm_recovery, enrol, open_cloud, read, strays
from tests.server.fake_bank import FakeBank
from tests.server.town import town

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain.apply import fold
from latchwork.domain.bank import Bank
from latchwork.domain.words import (
    BankId,
    CompartmentId,
    CompartmentState,
    DoorState,
    OpeningId,
    PassId,
    SessionId,
    StayId,
    StayState,
)
from latchwork.edge.talk import Talk
from latchwork.server.exchange import Exchange
from latchwork.store.memory import MemoryStore
from latchwork.store.postgres import PostgresStore
from latchwork.store.sqlite import DiskFull, SqliteJournal
from latchwork.sync import keys
from latchwork.sync.codec import read_entry
from latchwork.sync.custody import Frontier
from latchwork.sync.exchange import Ask, Challenge, Down, Goodbye, Message, Page

MESSAGES_MAX = 2000


class Cut(Exception):
    """The line broke."""


class Wall(Edge):
    """A real loop on a real journal, with the talk that a line carries."""

    def __init__(self, folder: Path, key: bytes = b"d" * 32, time: Time | None = None, bank: BankId = BANK) -> None:
        super().__init__(folder)
        self.id = bank
        if time is not None or bank != BANK:
            self.journal.close()
            self.time = time or self.time
            self.open()
        self.key = Ed25519PrivateKey.from_private_bytes(key)

    async def call(self, exchange: Exchange, messages_max: int = MESSAGES_MAX) -> str | None:
        """One connection until all is quiet. Why the server said goodbye, if it did. Raises Cut after so many."""
        public = self.key.public_key().public_bytes_raw()
        talk = Talk(self.id, self.loop, self.journal, public, self.key.sign, "boot")
        hello = talk.hello(Challenge(b"nonce", self.time.wall()), "test")
        answer: Message | None = await exchange.greet(hello, b"nonce")
        session = 0
        for _ in range(messages_max):
            if isinstance(answer, Goodbye):
                return answer.why
            if isinstance(answer, Ask | Page):
                answer = await exchange.take(self.id, await talk.answer(answer))
                continue
            if isinstance(answer, Down):
                session = answer.session
                await talk.hear(answer)
            up = talk.next_up()
            answer = await exchange.take(self.id, up) if up else await exchange.deliver(self.id, session)
            if up is None and answer is None:
                exchange.forget(self.id, session)
                return None
        raise Cut

    def image(self, folder: Path) -> Path:
        """A copy of its disk as it is now."""
        self.journal.close()
        shutil.copytree(self.folder, folder)
        at = self.loop
        self.open()
        self.loop = at
        at.journal = self.journal
        return folder

    async def put_in(self, session: SessionId) -> StayId:
        opening, decision = await self.deposit(session)
        assert decision.refusal is None
        stay = self.loop.bank.openings[opening].stays[0]
        await self.swing(opening)
        await self.loop.do(c.Confirm(session, opening))
        return stay

    async def take_out(self, stay: StayId) -> None:
        session, opening = SessionId(f"{stay[:8]} takes"), OpeningId(f"{stay[:8]} taken")
        pickup = self.loop.bank.stays[stay].pickup
        assert pickup is not None
        await self.loop.do(c.SignIn(session, self.loop.bank.passes[pickup].grant.lookup))
        assert (await self.loop.do(c.Collect(session, opening, stay))).refusal is None
        await self.swing(opening)
        await self.loop.do(c.SignOut(session))

    async def swing(self, opening: OpeningId) -> None:
        door = self.loop.bank.openings[opening].compartment
        for state in (DoorState.OPEN, DoorState.CLOSED):
            self.time.seconds += 10
            await self.loop.wake()
            await self.loop.do(c.See({door: state}))

    @property
    def states(self) -> dict[CompartmentId, CompartmentState]:
        return {x.id: x.state for x in self.loop.bank.compartments.values()}


@pytest.fixture(params=["memory", "postgres"])
async def cloud(request: pytest.FixtureRequest) -> AsyncIterator[Cloud]:
    dsn = request.getfixturevalue("database") if request.param == "postgres" else ""
    async with open_cloud(request.param, dsn) as found:
        yield found


class Story:
    """A wall with one parcel when its image is made, and two after; then the image comes back."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.cloud = cloud
        self.folder = folder
        self.lost = Wall(folder / "bank")
        self.exchange = Exchange(cloud, self.lost.time.wall)
        self.wall = self.lost

    async def begin(self) -> "Story":
        await enrol(self.cloud, FakeBank(key=self.lost.key))
        courier = await self.lost.set_up()
        self.before = await self.lost.put_in(courier)
        assert await self.lost.call(self.exchange) is None
        self.image = self.lost.image(self.folder / "image")
        self.after = await self.lost.put_in(courier)
        await self.lost.loop.do(c.SignOut(courier))
        assert await self.lost.call(self.exchange) is None
        self.had = self.lost.loop.bank
        return self

    async def restore(self) -> Wall:
        self.lost.journal.close()
        self.wall = Wall(self.image, time=self.lost.time)
        await self.wall.start()
        await self.see()
        return self.wall

    async def replace(self) -> Wall:
        self.lost.journal.close()
        self.wall = Wall(self.folder / "new", b"n" * 32, self.lost.time)
        public = self.wall.key.public_key().public_bytes_raw()
        if isinstance(self.cloud, MemoryStore):
            self.cloud.banks[BANK]["device_key"] = public
        else:
            assert isinstance(self.cloud, PostgresStore)
            await self.cloud.fetch("UPDATE banks SET device_key = $2 WHERE id = $1", BANK, public)
        await self.wall.start()
        await self.see()
        return self.wall

    async def see(self) -> None:
        await self.wall.loop.do(c.See({f.id: DoorState.CLOSED for f in FITTINGS}))
        for session in list(self.wall.loop.bank.sessions):
            await self.wall.loop.do(c.SignOut(session))

    async def divided(self) -> None:
        """It comes on line, is divided, and tells what it has."""
        assert await self.wall.call(self.exchange) == "divided"
        assert await self.wall.call(self.exchange) == "divided"
        assert await self.wall.call(self.exchange) == "divided"

    async def agreed(self) -> None:
        """Both ends have the same, and no task about it is left."""
        (row,) = await read(self.cloud, "banks")
        journal = self.wall.journal
        assert (row["epoch"], row["size"], row["divided"]) == (self.wall.loop.bank.epoch, journal.size, None)
        log = sorted(await read(self.cloud, "entries"), key=lambda x: (x["epoch"], x["seq"]))
        assert [x["raw"] for x in log] == list(journal.load())
        assert fold(Bank(BANK), map(read_entry, journal.load())) == self.wall.loop.bank
        tasks = await read(self.cloud, "tasks")
        assert not [t for t in tasks if t["kind"] == "divided" and t["closed_at"] is None]
        rows = {x["id"]: x["state"] for x in await read(self.cloud, "compartments")}
        assert rows == {where: state.value for where, state in self.wall.states.items()}


@pytest.fixture
async def story(cloud: Cloud, tmp_path: Path) -> AsyncIterator[Story]:
    story = await Story(cloud, tmp_path).begin()
    yield story
    story.wall.journal.close()


async def test_an_old_image_goes_on_from_what_the_server_had(story: Story) -> None:
    wall = await story.restore()
    assert story.after not in wall.loop.bank.stays
    own = wall.journal.entries(0, wall.journal.size)
    await story.divided()
    await confirm_recovery(story.cloud, BANK)
    assert await wall.call(story.exchange) is None
    bank = wall.loop.bank
    assert bank.epoch == 2 and set(bank.stays) == {story.before, story.after}
    assert sorted(wall.states.values()) == ["needs_check", "occupied", "occupied"]
    assert await strays(story.cloud) == set(wall.journal.strays()) < set(own)
    await story.agreed()
    await wall.take_out(story.after)
    await wall.take_out(story.before)
    assert await wall.call(story.exchange) is None
    assert {x["id"]: x["state"] for x in await read(story.cloud, "stays")} == {
        story.before: StayState.COLLECTED.value,
        story.after: StayState.COLLECTED.value,
    }
    await story.agreed()


async def test_what_an_old_image_did_on_its_own_counts(story: Story) -> None:
    wall = await story.restore()
    await wall.take_out(story.before)
    await story.divided()
    lookup = wall.loop.bank.passes[PassId("c" * 32)].grant.lookup
    session = SessionId("courier")
    await wall.loop.do(c.SignIn(session, lookup))
    own = await wall.put_in(session)
    await wall.loop.do(c.SignOut(session))
    assert own in wall.loop.bank.stays, "it works on meanwhile, and cannot know better"
    await confirm_recovery(story.cloud, BANK)
    assert await wall.call(story.exchange) is None
    bank = wall.loop.bank
    taken = bank.stays.get(story.before)
    assert taken is None or taken.pickup not in bank.passes, "a pass spent in either branch is spent"
    assert story.after in bank.stays
    where = bank.stays[story.after].compartment
    assert where is not None
    recovered = [body for body in wall.bodies(e.Recovered) if isinstance(body, e.Recovered)]
    assert [body.stored.stay for body in recovered if body.stored] == [own] * (own in bank.stays)
    assert CompartmentState.VACANT not in wall.states.values()
    await story.agreed()


async def test_a_replaced_controller_begins_where_the_lost_one_ended(story: Story) -> None:
    wall = await story.replace()
    await story.divided()
    await confirm_recovery(story.cloud, BANK)
    assert await wall.call(story.exchange) is None
    bank = wall.loop.bank
    assert bank.epoch == 2 and bank.policy == story.had.policy
    assert bank.stays == story.had.stays and bank.codes == story.had.codes
    await wall.take_out(story.after)
    assert await wall.call(story.exchange) is None
    await story.agreed()


async def test_instructions_go_on_with_higher_numbers(story: Story) -> None:
    wall = await story.restore()
    await story.cloud.announce(announcement(BANK, 7))
    await story.divided()
    await story.cloud.announce(announcement(BANK, 8))
    assert [x["number"] for x in await read(story.cloud, "instructions") if x["answered_at"] is None] == [None, None]
    await confirm_recovery(story.cloud, BANK)
    assert await wall.call(story.exchange) is None
    through = story.had.instructions_through
    answers = [body for body in wall.bodies(e.Answered) if isinstance(body, e.Answered)]
    assert [answer.number for answer in answers[-2:]] == [through + 1, through + 2]
    assert {StayId(f"{n:032x}") for n in (7, 8)} < set(wall.loop.bank.stays)
    await story.agreed()


async def test_a_second_image_comes_back_over_two_epochs(story: Story) -> None:
    again = story.folder / "again"
    shutil.copytree(story.image, again)
    wall = await story.restore()
    await story.divided()
    await confirm_recovery(story.cloud, BANK)
    assert await wall.call(story.exchange) is None
    wall.journal.close()
    story.image, story.lost = again, wall
    late = await story.restore()
    assert late.loop.bank.epoch == 1
    await story.divided()
    await confirm_recovery(story.cloud, BANK)
    assert await late.call(story.exchange) is None
    assert late.loop.bank.epoch == 3 and set(late.loop.bank.stays) == {story.before, story.after}
    await story.agreed()
    late.journal.close()
    late.open()
    await late.start()
    assert late.loop.bank.epoch == 3 and await late.call(story.exchange) is None
    await story.agreed()


async def test_nobody_is_interrupted(story: Story) -> None:
    wall = await story.restore()
    await story.divided()
    lookup = wall.loop.bank.passes[PassId("c" * 32)].grant.lookup
    await wall.loop.do(c.SignIn(SessionId("courier"), lookup))
    await confirm_recovery(story.cloud, BANK)
    assert await wall.call(story.exchange) == "divided"
    assert wall.loop.bank.epoch == 1 and SessionId("courier") in wall.loop.bank.sessions
    await wall.loop.do(c.SignOut(SessionId("courier")))
    assert await wall.call(story.exchange) is None
    assert wall.loop.bank.epoch == 2
    await story.agreed()


@pytest.mark.parametrize("replaced", [False, True])
async def test_it_may_be_cut_off_at_any_message(tmp_path: Path, replaced: bool) -> None:
    cloud = MemoryStore()
    story = await Story(cloud, tmp_path).begin()
    wall = await (story.replace() if replaced else story.restore())
    for confirmed in (False, True):
        for messages in range(1, MESSAGES_MAX):
            try:
                why = await wall.call(story.exchange, messages)
            except Cut:
                assert wall.loop.bank.epoch == 2 or story.after not in wall.loop.bank.stays
                wall.journal.close()
                wall.open()
                await wall.start()  # as after a power cut
                await story.see()
            else:
                if confirmed or BANK in cloud.partings:
                    break
        assert messages > 6
        if not confirmed:
            assert why == "divided" and wall.loop.bank.epoch == 1
            await confirm_recovery(story.cloud, BANK)
    assert why is None and wall.loop.bank.epoch == 2
    assert wall.loop.bank.stays == story.had.stays
    await story.agreed()
    wall.journal.close()


async def test_a_server_that_was_restored_hears_of_both_epochs(tmp_path: Path) -> None:
    """Also one whose copy is of before the switch, and one that has nothing left."""
    cloud = MemoryStore()
    story = await Story(cloud, tmp_path).begin()
    backups = [deepcopy(cloud)]
    wall = await story.restore()
    await story.divided()
    backups.append(deepcopy(cloud))
    await confirm_recovery(story.cloud, BANK)
    backups.append(deepcopy(cloud))
    assert await wall.call(story.exchange) is None
    empty = MemoryStore()
    await enrol(empty, FakeBank(key=wall.key))
    for number, backup in enumerate((*backups, empty)):
        story.cloud, exchange = backup, Exchange(backup, wall.time.wall)
        if number == 1:  # it has lost what a person had said
            assert await wall.call(exchange) == "divided"
            await confirm_recovery(story.cloud, BANK)
        assert await wall.call(exchange) is None
        await story.agreed()
    wall.journal.close()


async def test_an_epoch_that_begins_upon_another_log_is_not_taken(tmp_path: Path) -> None:
    cloud = MemoryStore()
    story = await Story(cloud, tmp_path).begin()
    backup = deepcopy(cloud)
    wall = await story.restore()
    await story.divided()
    await confirm_recovery(story.cloud, BANK)
    assert await wall.call(story.exchange) is None
    backup.logs[BANK, 1][-1]["raw"] = b"[]"
    row = backup.banks[BANK]
    frontier = Frontier()
    for entry in backup.logs[BANK, 1]:
        frontier, entry["nodes"] = frontier.append(entry["raw"])
    row.update(root=frontier.root(), peaks=frontier.to_bytes())
    assert await wall.call(Exchange(backup, wall.time.wall)) == "divided"
    assert len(backup.logs[BANK, 1]) == row["size"] and (BANK, 2) not in backup.logs
    wall.journal.close()


async def test_an_old_hello_of_an_earlier_epoch_divides_nothing(tmp_path: Path) -> None:
    story = await Story(MemoryStore(), tmp_path).begin()
    wall = await story.restore()
    public = wall.key.public_key().public_bytes_raw()
    late = Talk(BANK, wall.loop, wall.journal, public, wall.key.sign, "boot")
    hello = late.hello(Challenge(b"nonce", wall.time.wall()), "test")
    await story.divided()
    await confirm_recovery(story.cloud, BANK)
    assert await wall.call(story.exchange) is None
    assert isinstance(await story.exchange.greet(hello, b"nonce"), Down)
    assert await wall.call(story.exchange) is None
    await story.agreed()
    wall.journal.close()


def wrong(cloud: MemoryStore, how: str) -> None:
    """A server whose log of this bank is not what the bank wrote."""
    log = cloud.logs[BANK, 1]
    wanted = max(n for n, entry in enumerate(log) if b'"Wanted"' in entry["raw"])
    at = {"early": 5, "late": len(log) - 3, "hollow": wanted}.get(how, len(log) - 1)
    raw: bytes = log[at]["raw"]
    row = cloud.banks[BANK]
    if how == "root":
        row["root"] = b"r" * 32
        return
    if how == "frame":
        log[at]["raw"] = raw.replace(b",1,", b",7,", 1)
    elif how == "hollow":
        log[at]["raw"] = re.sub(rb'"stays":\["\w+"\]', b'"stays":[]', raw)
    elif how == "unknown":
        log[at]["raw"] = raw.replace(json.loads(raw)[5].encode(), b"Imagined")
    else:
        log[at]["raw"] = raw[:-2] + b" }]"
    assert log[at]["raw"] != raw
    frontier = Frontier()
    for entry in log:
        frontier, entry["nodes"] = frontier.append(entry["raw"])
    row.update(root=frontier.root(), peaks=frontier.to_bytes())


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("root", "is not the log whose root it states"),
        ("frame", "says that it is another"),
        ("unknown", "cannot be understood"),
        ("early", "another than the one that this bank has signed"),
    ],
)
async def test_a_wrong_log_is_refused_and_said(tmp_path: Path, how: str, says: str) -> None:
    cloud = MemoryStore()
    story = await Story(cloud, tmp_path).begin()
    wall = await story.restore()
    wrong(cloud, how)
    await story.divided()
    await confirm_recovery(story.cloud, BANK)
    before = wall.loop.bank
    assert await wall.call(story.exchange) == "divided"
    assert wall.loop.bank is before and wall.journal.past_epoch() == 0
    assert says in cloud.refused[BANK]
    assert await wall.call(story.exchange) == "divided", "it is not tried again before somebody has looked"
    assert wall.loop.bank is before
    wall.journal.close()


async def test_a_deposit_of_nothing_ends_no_wall(tmp_path: Path) -> None:
    story = await Story(cloud := MemoryStore(), tmp_path).begin()
    wall = await story.restore()
    wrong(cloud, "hollow")
    await story.divided()
    await confirm_recovery(cloud, BANK)
    assert await wall.call(story.exchange) is None
    assert wall.loop.bank.epoch == 2 and not wall.loop.bank.openings
    wall.journal.close()


async def test_a_full_disk_puts_it_off(tmp_path: Path) -> None:
    story = await Story(MemoryStore(), tmp_path).begin()
    wall = await story.restore()
    await story.divided()
    await confirm_recovery(story.cloud, BANK)

    class Full(SqliteJournal):
        def _commit(self, write: Callable[[], object]) -> None:
            raise DiskFull("no room")

    wall.journal.close()
    wall.journal = wall.loop.journal = Full(wall.folder)
    assert await wall.call(story.exchange, 50) == "divided", "it is asked for again after a while, not at once"
    wall.journal.close()
    wall.journal = wall.loop.journal = SqliteJournal(wall.folder)
    assert await wall.call(story.exchange) is None
    await story.agreed()
    wall.journal.close()


async def test_an_operator_decides_on_a_page_or_by_the_api(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        path = f"banks/{place.bank}/recovery"
        assert (await place.ask("GET", path, 409))["reason"] == "not_divided"
        assert (await place.ask("POST", path, 409))["reason"] == "not_divided"
        code = (await place.ask("POST", f"banks/{place.bank}/enrolment-codes"))["enrolment_code"]
        new = Wall(tmp_path / "new", b"n" * 32, bank=BankId(place.bank))
        new.time.wall_ahead = datetime.now(UTC) - new.time.wall()
        public = new.key.public_key().public_bytes_raw()
        signature = new.key.sign(keys.enrol_text(code, public)).hex()
        enrolment = {"code": code, "public_key": public.hex(), "signature": signature}
        assert (await place.http.post("/api/v1/enrolments", json=enrolment)).is_success
        await new.start()
        exchange = Exchange(place.cloud.office.store, lambda: datetime.now(UTC))
        assert await new.call(exchange) == "divided"
        assert (await place.ask("GET", path, 409))["reason"] == "not_heard_yet"
        assert await new.call(exchange) == "divided"
        told = await place.ask("GET", path)
        assert (told["lost"], told["own"], told["confirmed"]) == (place.wall.journal.size, new.journal.size, False)

        pages = f"/operator/banks/{place.bank}"
        await place.sign_in()
        assert f'href="{pages}/recovery"' in (await place.http.get(pages)).text
        shown = (await place.http.get(f"{pages}/recovery")).text
        assert f"It lacks {told['lost']} of the entries" in shown and f"It wrote {told['own']} entries" in shown
        seal = re.search(r'name="seal" value="([^"]+)"', shown)
        assert seal is not None
        answer = await place.http.post(f"{pages}/recovery", data={"seal": seal[1]}, headers={"Sec-Fetch-Site": "none"})
        assert answer.status_code == 303
        assert "It goes on from our log" in (await place.http.get(f"{pages}/recovery")).text
        assert (await place.ask("POST", path, 202))["confirmed"] is True, "said twice is said once"

        again = (await place.ask("POST", f"banks/{place.bank}/enrolment-codes"))["enrolment_code"]
        third = new.key = Ed25519PrivateKey.from_private_bytes(b"t" * 32)
        public = third.public_key().public_bytes_raw()
        enrolment = {
            "code": again,
            "public_key": public.hex(),
            "signature": third.sign(keys.enrol_text(again, public)).hex(),
        }
        assert (await place.http.post("/api/v1/enrolments", json=enrolment)).is_success
        assert (await place.ask("GET", path))["confirmed"] is False, "it was said of another controller"
        await place.ask("POST", path, 202)
        assert await new.call(exchange) is None
        assert new.loop.bank.passes.keys() == place.wall.bank.passes.keys() and new.loop.bank.epoch == 2
        assert (await place.ask("GET", path, 409))["reason"] == "not_divided"
        new.journal.close()
