from typing import TYPE_CHECKING

from latchwork.domain import entries as e
from latchwork.domain.bank import About
from latchwork.domain.effects import Notice, notice
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, StayId
from latchwork.simulator.checkers.checker import Checker
from latchwork.simulator.post import Mail

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Notices(Checker):
    sentence = "Every notice is sent while it is true, and twice only after a crash, a lost database or a restore."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._due: dict[tuple[StayId, Notice], None] = {}
        self._about: dict[StayId, About] = {}
        self._sent: dict[str, int] = {}
        self._mishaps = 0
        self._mishaps_at: dict[str, int] = {}
        self._kinds: dict[tuple[str, str], None] = {}

    def wrote(self, bank: BankId, entry: Entry) -> None:
        body = entry.body
        if isinstance(body, e.Expected | e.Claimed | e.Stored | e.Collected | e.Recalled):
            self._about[body.stay] = body.about
        told = notice(body)
        if told is None or not isinstance(body, e.Stored | e.Collected | e.Expired | e.Recalled):
            return
        if self._about[body.stay].recipient is not None:
            self._due[body.stay, told] = None

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
        self._kinds[mail.stay, mail.kind] = None

    def settled(self) -> None:
        waiting = self.world.archive.notices_waiting()
        if waiting:
            self.wrong(f"{len(waiting)} notices were never sent, {waiting[0]} for one")
        for stay, kind in self._due:
            if (stay, kind.value) not in self._kinds and not self.world.archive.is_settled(stay, kind.value):
                self.wrong(f"nobody was told {kind} of {stay[:6]}")
