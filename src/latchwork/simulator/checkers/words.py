from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId
from latchwork.simulator.checkers.checker import Checker
from latchwork.simulator.people import LABEL
from latchwork.sync.codec import encode_entry


class Words(Checker):
    sentence = "What stands on a parcel, and whatever else is said of people, is in no entry."

    def wrote(self, bank: BankId, entry: Entry) -> None:
        if LABEL.encode() in (raw := encode_entry(entry)):
            self.wrong(f"entry {entry.seq} of {bank[:4]} reads {raw.decode()}")
