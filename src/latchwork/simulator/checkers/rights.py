from datetime import timedelta
from typing import TYPE_CHECKING

from latchwork.domain import entries as e
from latchwork.domain.bank import About, Grant
from latchwork.domain.entries import Entry
from latchwork.domain.words import STAFF_REASONS, BankId, PersonId, Purpose, Reason, Role, StayId, StayState
from latchwork.simulator.checkers.checker import Checker

TOLERANCE = timedelta(seconds=60)
"""The bank's picture of server time is as old as a message may be on its way."""

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Rights(Checker):
    sentence = "No opening and no ending without a pass that covers it, or a person's reason that is not too old."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._grants: dict[str, Grant] = {}
        """Also of passes that are over: their sessions may not be."""
        self._sessions: dict[str, e.SessionBegan] = {}
        self._wanted: dict[str, e.Wanted] = {}
        self._abouts: dict[StayId, About] = {}

    def wrote(self, bank: BankId, entry: Entry) -> None:
        body = entry.body
        match body:
            case e.PassGranted(grant):
                self._grants[grant.pass_id] = grant
            case e.Claimed() | e.Stored() | e.Amended():
                self._abouts[body.stay] = body.about
                if body.pickup:
                    self._grants[body.pickup.pass_id] = body.pickup
            case e.SessionBegan():
                if body.pass_id is not None and body.pass_id not in self._grants:
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
            case e.Collected() | e.Recalled():
                self._covers(self._grants[body.pass_id or ""], body.stay)
            case e.Removed():
                self._removed(body)

    def reborn(self, bank: BankId) -> None:
        for s in self.world.pictures[bank].sessions.values():
            began = (s.id, s.pass_id, s.role, s.purpose, s.party, s.stay, s.recipient, s.service)
            self._sessions[s.id] = e.SessionBegan(*began)
        self._abouts |= {stay.id: stay.about for stay in self.world.pictures[bank].stays.values()}

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
        if grant.valid_until is not None and self.world.time.utc() >= grant.valid_until + timedelta(hours=1):
            known = self.world.pictures[bank]
            if not known.clock_doubted and (known.at or grant.valid_until) >= grant.valid_until + timedelta(hours=1):
                self.wrong(f"the pass of {body.opening[:6]} was over")
        if body.purpose is Purpose.COLLECT:
            for stay in body.stays:
                self._covers(grant, stay)
        elif body.purpose is Purpose.CHECK and grant.role is not Role.STAFF:
            self.wrong(f"{grant.role} opened {body.compartment} to look inside")

    def _covers(self, grant: Grant, stay: StayId) -> None:
        if grant.role is Role.PERSON and grant.stay != stay:
            whose = self._recipient(grant)
            if whose is None or whose != self._abouts[stay].recipient:
                self.wrong(f"a pass for {(grant.stay or whose or '')[:6]} is used to take {stay[:6]}")
        if grant.role is Role.COURIER and grant.party not in (None, self._abouts[stay].party):
            self.wrong(f"a courier of {grant.party} takes what is {self._abouts[stay].party}'s")

    def _recipient(self, grant: Grant) -> PersonId | None:
        """Their card, or the code of one of their own parcels."""
        about = self._abouts.get(grant.stay) if grant.stay else None
        return grant.recipient or (about.recipient if about and grant.once else None)

    def _removed(self, body: e.Removed) -> None:
        one, other = self._grants.get(body.pass_id or ""), self._grants.get(body.second or "")
        if one is None or one.role is not Role.STAFF:
            self.wrong(f"{body.stay[:6]} is removed, and not by staff")
        if body.why is not Reason.DISPOSED:
            return
        if other is None or other.role is not Role.STAFF or other.pass_id == one.pass_id:
            self.wrong(f"{body.stay[:6]} is thrown away, and not by two people")
        if body.stay_state is not StayState.EXCEPTION:
            self.wrong(f"{body.stay[:6]} is thrown away, and {body.stay_state}")
