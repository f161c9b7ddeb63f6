"""Staff is mailed what cannot wait at a wall: once for one cause, to whose role it is and who wants it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

import asyncpg
from tests.server.offices import Clock, an_office
from tests.server.test_accounts import first_owner

from latchwork.server.actions import accounts, alarms, banks, places, sessions, tasks
from latchwork.server.actions.office import Office, Who
from latchwork.server.actions.sessions import Stage
from latchwork.server.main import mail_writer
from latchwork.server.notices import Dispatcher
from latchwork.store.outbox import PostgresOutbox

SETTLED = alarms.SETTLE.total_seconds()
QUIET = alarms.QUIET.total_seconds()


class Post:
    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def send(self, message: EmailMessage) -> None:
        self.mails.append(message)

    def taken(self) -> list[tuple[str, str]]:
        taken = [(str(mail["To"]), str(mail["Subject"])) for mail in self.mails]
        self.mails.clear()
        return sorted(taken)


class Walls:
    """What is the matter at which wall, and who was told."""

    def __init__(self, office: Office, database: asyncpg.Connection, clock: Clock) -> None:
        self.office, self.database, self.clock = office, database, clock
        self.post = Post()
        write = mail_writer(office, "Lockers <lockers@example.org>")
        self.sending = Dispatcher(PostgresOutbox(office.store), write, self.post, clock)
        self.seq = 0

    async def happens(self, bank: str, kind: str, about: str) -> str:
        self.seq += 1
        await self.database.execute(
            "INSERT INTO tasks (id, bank, kind, about, epoch, seq, opened_at) VALUES ($1, $2, $3, $4, 1, $5, $6)",
            f"task {self.seq}", bank, kind, about, self.seq, self.clock(),
        )  # fmt: skip
        return f"task {self.seq}"

    async def is_over(self, task: str) -> None:
        await self.database.execute("UPDATE tasks SET closed_at = $2 WHERE id = $1", task, self.clock())

    async def told(self, seconds: float = 0) -> list[tuple[str, str]]:
        self.clock.move(seconds=seconds)
        await alarms.tell(self.office)
        while await self.sending.step():
            pass
        return self.post.taken()


async def _wall(office: Office, who: Who, name: str) -> str:
    office = office.acting(who.organisation)
    site = await places.create_site(office, who, "Riverside", "1 Wharf Road", "Europe/Berlin")
    return (await banks.create(office, who, site.id, name)).bank


@asynccontextmanager
async def _two_walls(database: str, folder: Path) -> AsyncIterator[tuple[Walls, Who, str, str]]:
    """The lobby's and the hall's, and Grace, who owns them."""
    clock = Clock()
    async with an_office(database, folder, clock, mails=True) as office:
        connection = await asyncpg.connect(database)
        try:
            grace = await first_owner(office)
            who = Who(grace.id, grace.organisation, grace.name, False)
            lobby, hall = await _wall(office, who, "Lobby"), await _wall(office, who, "Hall")
            yield Walls(office, connection, clock), who, lobby, hall
        finally:
            await connection.close()


async def test_one_mail_for_one_cause_to_those_who_look_after_walls(database: str, tmp_path: Path) -> None:
    async with _two_walls(database, tmp_path) as (walls, who, lobby, hall):
        office, connection, clock = walls.office, walls.database, walls.clock
        for name, role in (("tina", "technician"), ("aude", "auditor"), ("otto", "attendant")):
            await connection.execute(
                "INSERT INTO accounts (id, organisation, email, name, role, created_at)"
                " VALUES ($1, $2, $3, $1, $4, $5)",
                name, who.organisation, f"{name}@example.org", role, clock(),
            )  # fmt: skip
        secret = await accounts.begin_session(office, await accounts.read(office, "otto"), "test", "test", Stage.FULL)
        otto = await sessions.find(office, secret)
        assert otto is not None
        await alarms.want(office, otto, False)
        await accounts.reads(office, await accounts.read(office, "tina"), "de")

        async def told(what: list[str], seconds: float, german: list[str] | None = None) -> None:
            """`german`: what Tina reads instead; None where this is not the question."""
            mails = await walls.told(seconds)
            assert [said for to, said in mails if to == "Grace Hopper <grace@example.org>"] == sorted(what)
            hers = [said for to, said in mails if to == "tina <tina@example.org>"]
            assert (len(mails), len(hers)) == (len(what) * 2, len(what)) and german in (None, hers)

        # What is over before it has settled, and what can wait, is mailed to nobody.
        blip = await walls.happens(lobby, "board_lost", "01")
        await told([], SETTLED / 2)
        await walls.is_over(blip)
        await walls.happens(lobby, "unclaimed", "a stay")
        await told([], SETTLED)

        forced = await walls.happens(lobby, "forced_door", "03")
        clock.move(seconds=SETTLED)
        await alarms.tell(office)
        await walls.sending.step()
        _check_mails(walls.post.mails)
        await told(["Lobby: Door 03 opened without an order"], 0, ["Lobby: Tür 03 ging ohne Auftrag auf"])
        await told([], QUIET * 2)

        # More of the same at the same wall is one mail, when it has been quiet; another wall is another matter.
        await walls.happens(lobby, "not_opened", "04")
        await told(["Lobby: Door 04 did not open and 1 more"], SETTLED, ["Lobby: Tür 04 ging nicht auf und 1 weitere"])
        await walls.happens(lobby, "not_opened", "05")
        await walls.happens(lobby, "not_opened", "06")
        await walls.happens(hall, "climate", "fridge")
        await told(["Hall: The temperature at fridge is outside its band, or not known"], SETTLED)
        await walls.happens(lobby, "tampered", "back")
        await told(["Lobby: The cabinet is open: switch back and 4 more"], SETTLED)
        await walls.is_over(forced)
        await told(["Lobby: The cabinet is open: switch back and 3 more"], QUIET)

        # Over before it is sent: nobody is told of it.
        late = await walls.happens(hall, "left_open", "01")
        clock.move(seconds=QUIET)
        await alarms.tell(office)
        await connection.execute("UPDATE tasks SET closed_at = now() WHERE bank = $1", hall)
        await told([], 0)
        assert await connection.fetchval("SELECT closed_at IS NOT NULL FROM tasks WHERE id = $1", late)

        # Tasks that were made anew from the log are no news.
        await connection.execute("UPDATE tasks SET told_at = NULL")
        await told([], QUIET)


async def test_a_wall_that_falls_silent_is_told_once_until_it_is_heard_again(database: str, tmp_path: Path) -> None:
    async with _two_walls(database, tmp_path) as (walls, who, lobby, hall):
        office, connection, clock = walls.office, walls.database, walls.clock
        await _wall(office, who, "Not enrolled yet")

        async def heard(*banks_heard: str) -> None:
            await connection.execute(
                "UPDATE banks SET device_key = '', heard_at = $2 WHERE id = ANY ($1)", list(banks_heard), clock()
            )

        async def looks(times: int) -> list[str]:
            """The clock stands still: how often it was looked counts."""
            for _ in range(times):
                await tasks.find_silent(office)
            return [said for _, said in await walls.told()]

        async def open_ones() -> list[tuple[str, str]]:
            return [(x.bank_name, x.kind) for x in await tasks.tasks(office, who)]

        await heard(lobby, hall)
        last = clock()
        assert await looks(tasks.LOOKS * 2) == []
        clock.move(days=2)  # nothing was missed: the clock was wrong
        assert await looks(tasks.LOOKS - 1) == []
        await heard(hall)
        assert await looks(1) == ["Lobby: The wall is not heard any more"]
        assert await looks(tasks.LOOKS - 1) == []
        assert [(x.bank_name, x.opened_at) for x in await tasks.tasks(office, who)] == [("Lobby", last)]

        # Heard for a moment, and silent again with nothing new in its log: that is told again.
        await heard(lobby, hall)
        assert await looks(1) == [] and await open_ones() == []
        clock.move(seconds=QUIET * 2)
        await heard(hall)
        assert await looks(tasks.LOOKS) == ["Lobby: The wall is not heard any more"]
        await connection.execute("UPDATE banks SET key_revoked_at = $2 WHERE id = $1", lobby, clock())
        assert await looks(tasks.LOOKS) == [] and await open_ones() == []


def _check_mails(mails: list[EmailMessage]) -> None:
    """Each in its reader's language, and wholly."""
    english = ("Door 03 opened without an order", "Since Saturday, 21 November 2026 at 13:00.", "Look inside")
    german = ("Tür 03 ging ohne Auftrag auf", "Seit dem 21.11.2026 um 13:00 Uhr.", "Sehen Sie hinein")
    for mail in mails:
        said, unsaid = (german, english) if "tina" in str(mail["To"]) else (english, german)
        for kind in ("plain", "html"):
            body = mail.get_body((kind,))
            assert body is not None
            text = body.get_content()
            assert all(words in text for words in said) and not any(words in text for words in unsaid)
            assert "example.org/operator/tasks" in text and "example.org/operator/account" in text
