"""The bank's code key at work: typed digits into lookups, fresh passes into offers, QR texts into tickets."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from latchwork.domain import policy
from latchwork.domain.bank import Bank
from latchwork.domain.commands import Offer, Ticket
from latchwork.domain.words import Lookup, PassId, Role
from latchwork.sync import keys


@dataclass(frozen=True, slots=True)
class Keyring:
    """`new_id` draws 32 random hex digits."""

    code_key: bytes
    generation: int
    new_id: Callable[[], str]

    def offer(self, bank: Bank, pass_id: PassId | None = None, role: Role = Role.PERSON) -> Offer:
        """Codes for a pass: a fresh one, or the one that somebody else has named."""
        digits = policy.code_digits(len(bank.codes), role)
        return keys.offer(self.code_key, self.generation, pass_id or PassId(self.new_id()), digits)

    def todays(self, bank: Bank, pass_id: PassId, now: datetime) -> Offer:
        """Codes of the site's present day for a pass that changes its code daily: no two days have one n."""
        digits = policy.code_digits(len(bank.codes), bank.passes[pass_id].grant.role)
        first = policy.local(bank, now).toordinal() * keys.CODES_OFFERED
        return keys.offer(self.code_key, self.generation, pass_id, digits, first)

    def code(self, digits: str) -> Lookup:
        return keys.code_lookup(self.code_key, digits)

    def card(self, number: str) -> Lookup:
        return keys.card_lookup(self.code_key, number)

    def label(self, text: str) -> Lookup:
        return keys.label_lookup(self.code_key, text)

    def ticket(self, bank: Bank, text: str) -> Ticket:
        """Raises keys.BadTicket."""
        return keys.read_ticket(text, dict(bank.policy.ticket_keys))
