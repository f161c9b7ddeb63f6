from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from latchwork.domain import entries as e
from latchwork.domain.bank import Grant
from latchwork.domain.entries import Entry
from latchwork.domain.words import STAFF_REASONS, BankId, Purpose, Role, StayId
from latchwork.simulator.checkers.checker import Checker

TOLERANCE = timedelta(seconds=60)
"""The bank's picture of server time is as old as a message may be on its way."""

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Rights(Checker):
    sentence = "No opening without a pass that covers it, or a person's reason that is not too old."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._grants: dict[str, Grant] = {}
        self._sessions: dict[str, e.SessionBegan] = {}
        self._wanted: dict[str, e.Wanted] = {}
        self._stays: dict[StayId, e.Claimed] = {}

    def wrote(self, bank: BankId, entry: Entry) -> None:
        body = entry.body
        match body:
            case e.PassGranted(grant):
                self._grants[grant.pass_id] = grant
            case e.Claimed():
                self._stays[body.stay] = body
                if body.pickup:
                    self._grants[body.pickup.pass_id] = body.pickup
            case e.PassRevoked(pass_id):
                self._grants.pop(pass_id, None)
            case e.SessionBegan():
                if body.pass_id not in self._grants:
                    self.wrong(f"session {body.session[:6]} began with a pass that nobody granted")
                self._sessions[body.session] = body
            case e.SessionEnded(session):
                self._sessions.pop(session, None)
            case e.Wanted():
                self._want(bank, body)
            case e.Unlocked(opening):
                late = self._wanted[opening].not_after
                if late is not None and self.world.time.utc() > late + TOLERANCE:
                    self.wrong(f"{opening[:6]} was good until {late:%H:%M:%S} and unlocks now")

    def _want(self, bank: BankId, body: e.Wanted) -> None:
        if body.opening in self._wanted:
            self.wrong(f"opening {body.opening[:6]} is wanted twice")
        self._wanted[body.opening] = body
        if body.instruction is not None:
            asked = self.world.opens_asked.get(body.opening)
            if asked is None or asked != (bank, body.compartment, body.reason) or body.reason not in STAFF_REASONS:
                self.wrong(f"nobody asked for {body.opening[:6]} of {body.compartment}")
            return
        session = self._sessions.get(body.session or "")
        if session is None or session.pass_id != body.pass_id:
            self.wrong(f"{body.opening[:6]} of {body.compartment} has neither a session nor an instruction")
        if session.pass_id is None:  # a walk-in: its right is the service's
            if body.purpose is not Purpose.DEPOSIT:
                self.wrong(f"a walk-in opened {body.compartment} to {body.purpose}")
            return
        grant = self._grants[session.pass_id]
        if grant.valid_until is not None and entry_time(self) >= grant.valid_until + timedelta(hours=1):
            self.wrong(f"the pass of {body.opening[:6]} was over")
        if body.purpose is Purpose.COLLECT:
            for stay in body.stays:
                self._may_take(body, grant, self._stays[stay])
        elif body.purpose is Purpose.CHECK and grant.role is not Role.STAFF:
            self.wrong(f"{grant.role} opened {body.compartment} to look inside")

    def _may_take(self, body: e.Wanted, grant: Grant, stay: e.Claimed) -> None:
        if stay.compartment != body.compartment:
            self.wrong(f"{stay.stay[:6]} is in {stay.compartment}, and {body.compartment} opens for it")
        if grant.role is Role.PERSON and grant.stay != stay.stay:
            self.wrong(f"a pass for {(grant.stay or '')[:6]} opens the door of {stay.stay[:6]}")
        if grant.role is Role.COURIER and grant.party not in (None, stay.about.party):
            self.wrong(f"a courier of {grant.party} takes what is {stay.about.party}'s")


def entry_time(checker: Checker) -> datetime:
    return checker.world.time.utc()
