"""The bank's code key at work: typed digits into lookups, fresh passes into offers, QR texts into tickets."""

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from datetime import datetime

from latchwork.domain import policy
from latchwork.domain.bank import Bank
from latchwork.domain.commands import Offer, Ticket
from latchwork.domain.words import Lookup, PassId, Role
from latchwork.sync import keys


@dataclass(frozen=True, slots=True)
class Keyring:
    """`new_id` draws 32 random hex digits. `older`: keys of former generations, by which passes given then are found.

    `known`: the lookups that the bank has. What none of the keys finds there is looked up by the newest.
    """

    code_key: bytes
    generation: int
    new_id: Callable[[], str]
    older: tuple[bytes, ...] = ()

    def offer(self, bank: Bank, pass_id: PassId | None = None, role: Role = Role.PERSON) -> Offer:
        """Codes for a pass: a fresh one, or the one that somebody else has named."""
        digits = policy.code_digits(len(bank.codes), role)
        return self._offer(bank, pass_id or PassId(self.new_id()), digits)

    def todays(self, bank: Bank, pass_id: PassId, now: datetime) -> Offer:
        """Codes of the site's present day for a pass that changes its code daily: no two days have one n."""
        digits = policy.code_digits(len(bank.codes), bank.passes[pass_id].grant.role)
        first = policy.local(bank, now).toordinal() * keys.CODES_OFFERED
        return self._offer(bank, pass_id, digits, first)

    def _offer(self, bank: Bank, pass_id: PassId, digits: int, first: int = 0) -> Offer:
        """Digits that somebody has by an older key are offered under that key's lookup, which the core finds taken."""
        offer = keys.offer(self.code_key, self.generation, pass_id, digits, first)
        if not self.older:
            return offer
        ns = range(first, first + len(offer.lookups))
        codes = (keys.digits_of(self.code_key, pass_id, n, digits) for n in ns)
        return replace(offer, lookups=tuple(self.code(code, bank.codes) for code in codes))

    def code(self, digits: str, known: Container[Lookup] = ()) -> Lookup:
        return self._found(keys.code_lookup, digits, known)

    def card(self, number: str, known: Container[Lookup] = ()) -> Lookup:
        return self._found(keys.card_lookup, number, known)

    def label(self, text: str, known: Container[Lookup] = ()) -> Lookup:
        return self._found(keys.label_lookup, text, known)

    def _found(self, made: Callable[[bytes, str], Lookup], text: str, known: Container[Lookup]) -> Lookup:
        newest = made(self.code_key, text)
        lookups = (newest, *(made(key, text) for key in self.older))
        return next((lookup for lookup in lookups if lookup in known), newest)

    def ticket(self, bank: Bank, text: str) -> Ticket:
        """Raises keys.BadTicket."""
        return keys.read_ticket(text, dict(bank.policy.ticket_keys))
