from typing import TYPE_CHECKING

from latchwork.domain.bank import About
from latchwork.domain.effects import notice
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, PersonId, StayId
from latchwork.simulator.checkers.checker import Checker
from latchwork.simulator.post import Mail

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Notices(Checker):
    sentence = "Every notice is sent while it is true, and twice only after a crash, a lost database or a restore."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._due: dict[tuple[str, str, str], BankId] = {}
        """Of which stay, of which kind, to whom."""
        self._whose: dict[StayId, PersonId | None] = {}
        self._sent: dict[str, int] = {}
        self._mishaps = 0
        self._mishaps_at: dict[str, int] = {}
        self._told: dict[tuple[str, str, str], None] = {}

    def wrote(self, bank: BankId, entry: Entry) -> None:
        body = entry.body
        stay: StayId | None = getattr(body, "stay", None)
        about: About | None = getattr(body, "about", None)
        if stay is not None and isinstance(about, About):
            if self._whose.get(stay) != about.recipient:  # theirs no more: a restored server may tell the other only
                self._due = {due: where for due, where in self._due.items() if due[0] != stay}
            self._whose[stay] = about.recipient
        told, person = notice(body), self._whose.get(stay) if stay else None
        if stay is not None and told is not None and person is not None:
            self._due[stay, told.value, person] = bank

    def reborn(self, bank: BankId) -> None:
        """What the cloud never heard of is told to nobody."""
        self._due = {due: where for due, where in self._due.items() if where != bank}

    def server_crashed(self) -> None:
        self._mishaps += 1

    def restored(self) -> None:
        self._mishaps += 1

    def mailed(self, mail: Mail) -> None:
        mishaps = self._mishaps + self.world.office.unavailable
        if mail.id in self._sent and self._mishaps_at[mail.id] == mishaps:
            self.wrong(f"the {mail.kind} mail about {mail.stay[:6]} was sent twice, and nothing had gone wrong")
        self._sent[mail.id] = self._sent.get(mail.id, 0) + 1
        self._mishaps_at[mail.id] = mishaps
        self._told[mail.stay, mail.kind, mail.person] = None

    def settled(self) -> None:
        waiting = self.world.archive.notices_waiting()
        if waiting:
            self.wrong(f"{len(waiting)} notices were never sent, {waiting[0]} for one")
        for stay, kind, person in self._due:
            if (stay, kind, person) not in self._told and not self.world.archive.is_settled(stay, kind, person):
                self.wrong(f"{person[-2:]} was not told {kind} of {stay[:6]}")
