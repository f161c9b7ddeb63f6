"""The mail that people of the pretend world get: what a notice says now, and a mail server that has bad days."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from latchwork.domain.commands import Ticket
from latchwork.domain.effects import Notice
from latchwork.domain.words import BankId, PassId
from latchwork.server.actions.letters import STILL_TRUE
from latchwork.server.notices import NothingToSay, Undelivered
from latchwork.store.outbox import DueNotice
from latchwork.sync.keys import digits_of, sign_ticket

if TYPE_CHECKING:
    from latchwork.simulator.world import World


@dataclass(frozen=True, slots=True)
class Mail:
    id: str
    kind: str
    stay: str
    bank: BankId
    person: str
    digits: str = ""
    qr: str = ""


class Post:
    """Writer and mail server both; a crash between its answer and our note of it sends a mail twice."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.delivered: dict[str, int] = {}
        self.outdated: dict[str, str] = {}

    async def write(self, notice: DueNotice) -> Mail:
        """Raises NothingToSay where the notice is no longer true, as the real writer does."""
        world = self._world
        stay = world.archive.stay(notice.stay)
        coded = notice.kind in (Notice.READY, Notice.EXPIRED)
        if (coded and stay.pickup_pass is None) or stay.state not in STILL_TRUE.get(notice.kind, ()):
            self.outdated[notice.id] = notice.kind
            raise NothingToSay("outdated")
        bank = BankId(notice.bank)
        mail = Mail(notice.id, notice.kind, notice.stay, bank, notice.person)
        if not coded or stay.pickup_pass is None:
            return mail
        pass_id, now = PassId(stay.pickup_pass), world.time.utc()
        digits = digits_of(world.code_keys[bank], pass_id, stay.pickup_n, stay.pickup_digits)
        window = Ticket(bank, pass_id, now - timedelta(minutes=5), now + timedelta(days=30))
        return Mail(mail.id, mail.kind, mail.stay, bank, mail.person, digits, sign_ticket(world.ticket_key, window))

    async def send(self, mail: Mail) -> None:
        await self._world.office.moment()
        if self._world.random.random() < self._world.weather.mail_fails:
            raise Undelivered("the mail server is not in the mood")
        self.delivered[mail.id] = self.delivered.get(mail.id, 0) + 1
        self._world.happened("mails")
        self._world.told("mailed", mail)
        self._world.people.got(mail)
        await self._world.office.moment()
