"""Where both ends of a world keep what outlives them, in memory. `real_stores` does the same with the real ones."""

import copy
from collections.abc import Sequence
from typing import Any, Protocol

from latchwork.domain.words import BankId, PartyId, PersonId
from latchwork.simulator.archive import Archive, MemoryArchive
from latchwork.simulator.disk import Journal
from latchwork.store.memory import MemoryJournal, MemoryStore
from latchwork.store.outbox import MemoryOutbox

ORGANISATION = "01" * 16


class Stores(Protocol):
    """`store` is what an Exchange takes, `outbox` what a Dispatcher does; both change with a restore."""

    @property
    def can_restore(self) -> bool: ...
    @property
    def store(self) -> Any: ...
    @property
    def outbox(self) -> Any: ...
    @property
    def archive(self) -> Archive: ...
    def journal(self, bank: BankId) -> Journal:
        """What is on this bank's disk, opened anew."""

    def enrol(
        self, banks: Sequence[tuple[BankId, bytes]], people: Sequence[PersonId], parties: Sequence[PartyId]
    ) -> None: ...
    def back_up(self) -> None: ...
    def restore(self) -> bool:
        """Whether there was a backup to come back from."""

    def keep_image(self, bank: BankId) -> None:
        """Of this bank's disk."""

    def lose_disk(self, bank: BankId, public: bytes | None) -> None:
        """Back to its image. With `public`: an empty disk, in a controller that has enrolled with this key."""

    def confirm_recovery(self, bank: BankId) -> None:
        """A person says that a divided bank shall go on from the cloud's log."""

    def close(self) -> None: ...


class MemoryStores:
    def __init__(self, can_restore: bool = True, kind: type[MemoryStore] = MemoryStore) -> None:
        self.can_restore = can_restore
        self.store = kind()
        self._journals: dict[BankId, MemoryJournal] = {}
        self._images: dict[BankId, MemoryJournal] = {}
        self._backup: MemoryStore | None = None

    @property
    def outbox(self) -> MemoryOutbox:
        return MemoryOutbox(self.store)

    @property
    def archive(self) -> Archive:
        return MemoryArchive(self.store)

    def journal(self, bank: BankId) -> Journal:
        return self._journals.setdefault(bank, MemoryJournal())

    def enrol(
        self, banks: Sequence[tuple[BankId, bytes]], people: Sequence[PersonId], parties: Sequence[PartyId]
    ) -> None:
        self.store.people |= {(ORGANISATION, person) for person in people}
        self.store.parties |= {(ORGANISATION, party) for party in parties}
        for bank, public in banks:
            self.store.add_bank(bank, ORGANISATION, public)

    def back_up(self) -> None:
        self._backup = copy.deepcopy(self.store)

    def restore(self) -> bool:
        if self._backup is not None:
            self.store = copy.deepcopy(self._backup)
        return self._backup is not None

    def keep_image(self, bank: BankId) -> None:
        self._images[bank] = copy.deepcopy(self._journals[bank])

    def lose_disk(self, bank: BankId, public: bytes | None) -> None:
        if public is None:
            self._journals[bank] = copy.deepcopy(self._images[bank])
        else:
            self._journals[bank] = MemoryJournal()
            self.store.banks[bank]["device_key"] = public
            if self._backup is not None:  # whoever restores the server later tells it so as well
                self._backup.banks[bank]["device_key"] = public

    def confirm_recovery(self, bank: BankId) -> None:
        self.store.confirm_recovery(bank)

    def close(self) -> None:
        pass
