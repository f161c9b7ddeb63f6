"""What entries make of the cloud's rows: computed from each entry alone, without the bank behind it.

It reads no rows, folds nothing and decides nothing. An entry that this version cannot read becomes a task, never an
error: the log has its bytes, so that a later version can still make its rows.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from latchwork.domain import entries as e
from latchwork.domain.bank import About, Grant
from latchwork.domain.effects import notice
from latchwork.domain.words import CompartmentState, DoorState, Ending, Purpose, Reason, StayState
from latchwork.store.rows import (
    EMPTY,
    NEVER,
    AnswerRow,
    CheckedRow,
    CompartmentRow,
    EntryRow,
    FittingRow,
    NoticeRow,
    OpeningRow,
    PassRow,
    RemovedRow,
    Rows,
    StayEntryRow,
    StayRow,
    Task,
    TaskRow,
)
from latchwork.sync.codec import (
    KIND_CHARACTERS_MAX,
    Envelope,
    Unreadable,
    is_plausible,
    read_body,
    read_envelope,
    tells_implausible_times,
)

_ABOUT = ("service", "party", "thing", "label", "width_mm", "height_mm", "depth_mm", "in_reach", "announced")
"""Said of a stay once; what comes later changes none of it."""
_STAYS_DOUBTS = (Task.WRONG_RECIPIENT, Task.REFUSED, Task.UNKNOWN_RECIPIENT, Task.UNCLAIMED)
"""Settled when the stay ends, or somebody has changed it."""
_DOORS_DOUBTS = (Task.NOT_OPENED, Task.UNRESOLVED)
"""Settled by the door itself when it moves after all, or by a person who puts in or takes out."""
_TAKERS_DOUBTS = (*_DOORS_DOUBTS, Task.MISSING, Task.MISMATCH, Task.RECOVERED, Task.WILL_NOT_CLOSE)
_LOOKERS_DOUBTS = (*_TAKERS_DOUBTS, Task.FORCED_DOOR, Task.LEFT_OPEN)


class Incoherent(Exception):
    """An entry that can be read, and whose parts do not fit each other; says which."""


def rows(organisation: str, raws: Iterable[bytes], nodes: Iterable[bytes], now: datetime) -> Rows:
    """The rows of consecutive entries of one bank. `now` is the server's.

    Raises Unreadable for bad framing only, and Incoherent.
    """
    page = _Page(organisation, now)
    for raw, completed in zip(raws, nodes, strict=True):
        page.turn(raw, completed)
    return page.rows()


def bare(organisation: str, raw: bytes, nodes: bytes, now: datetime, why: str) -> Rows:
    """An entry as bytes and a task, for one whose rows the database would not take."""
    page = _Page(organisation, now)
    envelope = page.open(raw, nodes)
    page.unreadable(envelope.kind, why)
    return page.rows()


def task_id(bank: str, kind: str, about: str, epoch: int, seq: int) -> str:
    return sha256(f"{bank}/{kind}/{about}/{epoch}/{seq}".encode()).hexdigest()[:32]


class _Page:
    """Rows while they are gathered: a dict of changed columns for each, so that the last word on each column stands."""

    def __init__(self, organisation: str, now: datetime) -> None:
        self.organisation, self.now = organisation, now
        self.bank, self.epoch, self.seq, self.at = "", 0, 0, now
        self.entries: list[EntryRow] = []
        self.stays: dict[str, dict[str, Any]] = {}
        self.stay_entries: list[StayEntryRow] = []
        self.fittings: dict[str, FittingRow] = {}
        self.removed: list[RemovedRow] = []
        self.compartments: dict[str, dict[str, Any]] = {}
        self.openings: dict[str, dict[str, Any]] = {}
        self.passes: dict[str, PassRow] = {}
        self.answers: dict[str, AnswerRow] = {}
        self.notices: list[NoticeRow] = []
        self.tasks: list[TaskRow] = []
        self.checks: list[CheckedRow] = []
        self.orders_last = 0
        self.policy_version: int | None = None
        self.software: str | None = None
        self.boot: str | None = None

    def turn(self, raw: bytes, nodes: bytes) -> None:
        envelope = self.open(raw, nodes)
        try:
            body = read_body(envelope)
        except Unreadable as error:
            self.unreadable(envelope.kind, str(error))
            return
        if not is_plausible(envelope.at) or tells_implausible_times(envelope.body):
            self.unreadable(envelope.kind, "it tells a time outside the calendar")
            return
        project = _PROJECT.get(type(body))
        if project is not None:
            try:
                project(self, body)
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                raise Incoherent(f"{envelope.kind} {self.epoch}/{self.seq}: {error!r}") from error
            told = notice(body)
            about: str | None = getattr(body, "stay", None)
            if told is not None and about is not None:
                self.notices.append(NoticeRow(told.value, about, self.bank, self.epoch, self.seq, self.now))

    def open(self, raw: bytes, nodes: bytes) -> Envelope:
        envelope = read_envelope(raw)
        try:
            at = envelope.at.astimezone(UTC)
        except OverflowError:
            raise Unreadable("not an entry: its time is outside the calendar") from None
        self.bank, self.epoch, self.seq, self.at = envelope.bank, envelope.epoch, envelope.seq, at
        kind = envelope.kind[:KIND_CHARACTERS_MAX].replace("\0", "")
        self.entries.append(EntryRow(self.bank, self.epoch, self.seq, at, kind, raw, nodes))
        return envelope

    def rows(self) -> Rows:
        return Rows(
            self.entries,
            [StayRow(**columns) for columns in self.stays.values()],
            self.stay_entries,
            list(self.fittings.values()),
            self.removed,
            [CompartmentRow(**columns) for columns in self.compartments.values()],
            [OpeningRow(**columns) for columns in self.openings.values()],
            list(self.passes.values()),
            list(self.answers.values()),
            self.notices,
            self.tasks,
            self.checks,
            self.orders_last,
            self.policy_version,
            self.software,
            self.boot,
        )

    # Pieces

    def unreadable(self, kind: str, why: str) -> None:
        self.task(Task.UNREADABLE_ENTRY, kind[:KIND_CHARACTERS_MAX].replace("\0", ""), why.replace("\0", ""))

    def task(self, kind: Task, about: str, detail: str | None = None) -> None:
        name = task_id(self.bank, kind, about, self.epoch, self.seq)
        self.tasks.append(TaskRow(name, self.bank, kind.value, about, detail, self.epoch, self.seq, self.now))

    def settle(self, compartment: str, kinds: Iterable[Task]) -> None:
        done = tuple(kind.value for kind in kinds)
        self.checks.append(CheckedRow(self.bank, compartment, done, self.epoch, self.seq, self.now))
        self.tasks = [
            task._replace(closed_at=self.now) if task.about == compartment and task.kind in done else task
            for task in self.tasks
        ]

    # A batch makes of a row what its entries would make one by one: what one of them leaves as it is, the batch leaves.

    def stay(self, stay: str, **columns: Any) -> None:
        row = self.stays.setdefault(stay, {"id": stay, "organisation": self.organisation, "bank": self.bank})
        state = columns.get("state")
        if state in (StayState.EXPECTED, StayState.CANCELLED):
            row.update(compartment=EMPTY, pickup_pass=EMPTY)
        if state == StayState.EXPECTED:
            row.update(deadline=NEVER, reserved_at=NEVER)
        known = _ABOUT if "service" in row else ()
        row.update(
            {
                column: value
                for column, value in columns.items()
                if column not in known and (value is not None or column in ("reason", "ended_at"))
            },
            epoch=self.epoch,
            seq=self.seq,
        )
        self.stay_entries.append(StayEntryRow(stay, self.bank, self.epoch, self.seq))

    def compartment(self, compartment: str, **columns: Any) -> None:
        row = self.compartments.setdefault(compartment, {"bank": self.bank, "id": compartment})
        said = {column: value for column, value in columns.items() if value is not None or column == "why"}
        row.update(said, epoch=self.epoch, seq=self.seq)

    def opening(self, opening: str, compartment: str, **columns: Any) -> None:
        row = self.openings.get(opening)
        if row is None:
            row = self.openings[opening] = {"id": opening, "bank": self.bank, "compartment": compartment}
        row.update(columns, epoch=self.epoch, seq=self.seq)


def _about(about: About) -> dict[str, Any]:
    size = about.size
    return {
        "service": about.service,
        "party": about.party,
        "thing": about.thing,
        "recipient": about.recipient,
        "label": about.label,
        "width_mm": size.width_mm if size else None,
        "height_mm": size.height_mm if size else None,
        "depth_mm": size.depth_mm if size else None,
        "in_reach": about.in_reach,
    }


def _pickup(grant: Grant | None) -> dict[str, Any]:
    if grant is None:
        return {}
    return {
        "pickup_pass": grant.pass_id,
        "pickup_n": grant.n,
        "pickup_digits": grant.digits,
        "pickup_generation": grant.generation,
    }


# One function a kind


def _epoch_began(page: _Page, body: e.EpochBegan) -> None:
    if body.previous:
        page.settle("", (Task.DIVIDED,))
    for compartment in body.doubted:
        _doubt(page, compartment)


def _recovered(page: _Page, body: e.Recovered) -> None:
    if body.stored is not None:
        _stored(page, body.stored)
    if body.doubted is not None:
        _doubt(page, body.doubted)


def _doubt(page: _Page, compartment: str) -> None:
    page.compartment(compartment, state=CompartmentState.NEEDS_CHECK.value, why=Reason.RECOVERED.value)
    page.task(Task.RECOVERED, compartment)


def _booted(page: _Page, body: e.Booted) -> None:
    page.boot, page.software = body.boot, body.software


def _fitted(page: _Page, body: e.Fitted) -> None:
    for fitting in body.compartments:
        size, first = fitting.size, page.fittings.get(fitting.id, page)
        page.fittings[fitting.id] = FittingRow(
            page.bank,
            fitting.id,
            size.width_mm,
            size.height_mm,
            size.depth_mm,
            fitting.climate.value,
            fitting.reach_mm,
            first.epoch,  # of a door that is new: what happened to it in between is newer
            first.seq,
            fitting.gate,
            fitting.shelf,
            fitting.behind,
        )
    for gone in body.removed:
        page.removed.append(RemovedRow(page.bank, gone))
        page.fittings.pop(gone, None)
        page.compartments.pop(gone, None)


def _adopted(page: _Page, body: e.Adopted) -> None:
    page.policy_version = body.version


def _answered(page: _Page, body: e.Answered) -> None:
    refusal = body.refusal.value if body.refusal else None
    page.orders_last = max(page.orders_last, body.number)
    page.answers[body.instruction] = AnswerRow(
        body.instruction,
        page.organisation,
        page.bank,
        body.number,
        body.body_sha256,
        refusal,
        body.about,
        page.epoch,
        page.seq,
        page.at,
        page.now,
    )
    if body.about is not None and refusal is not None:
        page.stay_entries.append(StayEntryRow(body.about, page.bank, page.epoch, page.seq))


def _remote_stopped(page: _Page, body: e.RemoteStopped) -> None:
    page.task(Task.REMOTE_STOPPED, "")


def _remote_resumed(page: _Page, body: e.RemoteResumed) -> None:
    page.settle("", (Task.REMOTE_STOPPED,))


def _session_began(page: _Page, body: e.SessionBegan) -> None:
    if body.stay is not None:
        page.stay_entries.append(StayEntryRow(body.stay, page.bank, page.epoch, page.seq))


def _pass_granted(page: _Page, body: e.PassGranted) -> None:
    grant = body.grant
    if grant.stay is not None and grant.purpose is Purpose.DEPOSIT:
        page.stay(
            grant.stay,
            drop_off_pass=grant.pass_id,
            drop_off_n=grant.n,
            drop_off_digits=grant.digits,
            drop_off_generation=grant.generation,
        )
        return
    had = page.passes.get(grant.pass_id)
    if had is None or had.role is None:
        had = PassRow(
            grant.pass_id,
            page.bank,
            grant.role.value,
            grant.party,
            stay=grant.stay,
            recipient=grant.recipient,
            daily=grant.daily,
        )
    page.passes[grant.pass_id] = had._replace(
        n=grant.n,
        digits=grant.digits,
        generation=grant.generation,
        valid_until=grant.valid_until,
        state="live",
        epoch=page.epoch,
        seq=page.seq,
    )


def _pass_revoked(page: _Page, body: e.PassRevoked) -> None:
    had = page.passes.get(body.pass_id) or PassRow(body.pass_id, page.bank)
    page.passes[body.pass_id] = had._replace(state="revoked", epoch=page.epoch, seq=page.seq)


def _expected(page: _Page, body: e.Expected) -> None:
    page.stay(
        body.stay,
        **_about(body.about),
        state=StayState.EXPECTED.value,
        reason=None,
        announced=True,
        expected_at=page.at,
        ended_at=None,
    )


def _cancelled(page: _Page, body: e.Cancelled) -> None:
    page.stay(body.stay, state=StayState.CANCELLED.value, reason=None, ended_at=page.at)


def _claimed(page: _Page, body: e.Claimed) -> None:
    if body.moves:
        page.stay_entries.append(StayEntryRow(body.stay, page.bank, page.epoch, page.seq))
    else:
        page.stay(
            body.stay,
            **_about(body.about),
            **_pickup(body.pickup),
            state=StayState.RESERVED.value,
            reason=None,
            compartment=body.compartment,
            announced=body.announced,
            reserved_at=page.at,
            deadline=body.until,
            ended_at=None,
        )
    page.compartment(
        body.compartment,
        state=body.compartment_state.value,
        why=body.why.value,
        claim=body.claim,
        stay=body.stay,
    )


def _released(page: _Page, body: e.Released) -> None:
    if body.stay_state in (None, StayState.EXPECTED):
        page.stay(
            body.stay,
            state=body.stay_state.value if body.stay_state else StayState.CANCELLED.value,
            reason=body.why.value,
            compartment=None,
            pickup_pass=None,
            reserved_at=None,
            ended_at=None if body.stay_state else page.at,
        )
    else:  # it was on its way here from another compartment, and is still there
        page.stay_entries.append(StayEntryRow(body.stay, page.bank, page.epoch, page.seq))
    _left(page, body.compartment, body.compartment_state, body.why)
    if body.opening is not None and body.compartment_state is CompartmentState.NEEDS_CHECK:
        page.task(_DEPOSITORS_DOUBTS.get(body.why, Task.NOT_OPENED), body.compartment, body.why.value)
    elif body.opening is not None:  # it opened late, and whoever stood before it says that nothing is inside
        page.settle(body.compartment, _DOORS_DOUBTS)


_DEPOSITORS_DOUBTS = {
    Reason.COMPARTMENT_OCCUPIED: Task.MISSING,
    Reason.INSPECTION: Task.MISSING,
    Reason.DOOR_WILL_NOT_CLOSE: Task.WILL_NOT_CLOSE,
}


def _left(page: _Page, compartment: str, state: CompartmentState, why: Reason | None = None) -> None:
    """Something has left it; another thing may still be inside."""
    page.compartment(compartment, state=state.value, why=why.value if why else None)
    if state is not CompartmentState.OCCUPIED:
        page.compartment(compartment, claim=EMPTY, stay=EMPTY)


def _stored(page: _Page, body: e.Stored) -> None:
    page.stay(
        body.stay,
        **_about(body.about),
        **_pickup(body.pickup),
        state=StayState.DEPOSITED.value,
        reason=body.why.value if body.why else None,
        compartment=body.compartment,
        announced=body.announced,
        presumed=body.presumed or None,
        deadline=body.deadline,
        deposited_at=page.at,
        ended_at=None,
    )
    if body.why is Reason.UNKNOWN_RECIPIENT:
        page.task(Task.UNKNOWN_RECIPIENT, body.stay)
    if body.claim is None:
        return
    page.compartment(
        body.compartment,
        state=CompartmentState.OCCUPIED.value,
        why=None,
        claim=body.claim,
        stay=body.stay,
    )
    page.settle(body.compartment, _DOORS_DOUBTS)


def _not_delivered(page: _Page, body: e.NotDelivered) -> None:
    page.stay(
        body.stay,
        **_about(body.about),
        state=(StayState.EXPECTED if body.announced else StayState.CANCELLED).value,
        reason=body.why.value,
        announced=body.announced,
        fallback=body.fallback,
        ended_at=None if body.announced else page.at,
    )


def _taken(page: _Page, body: e.Collected | e.Recalled | e.Removed) -> None:
    state = StayState.COLLECTED if isinstance(body, e.Collected) else StayState.RECALLED
    reason = None
    if isinstance(body, e.Removed):
        state, reason = body.stay_state, body.why.value
    page.stay(
        body.stay,
        **_about(body.about),
        state=state.value,
        reason=reason,
        compartment=body.compartment,
        ended_at=page.at,
    )
    page.settle(body.stay, _STAYS_DOUBTS)
    if body.claim is None:
        return
    doubted = body.compartment_state is CompartmentState.NEEDS_CHECK  # something else was not found in it before
    _left(page, body.compartment, body.compartment_state, Reason.COMPARTMENT_EMPTY if doubted else None)
    if not doubted:
        page.settle(body.compartment, _TAKERS_DOUBTS)


_REPORTS = {
    Reason.NOT_MINE: Task.WRONG_RECIPIENT,
    Reason.REFUSED: Task.REFUSED,
    Reason.DAMAGED: Task.REFUSED,
}


def _reported(page: _Page, body: e.Reported) -> None:
    page.stay(
        body.stay,
        **_about(body.about),
        **_pickup(body.pickup),
        state=body.stay_state.value,
        reason=body.why.value,
        compartment=body.compartment,
        deadline=body.deadline,
        ended_at=page.at if body.ended else None,
    )
    if body.ended:
        page.settle(body.stay, _STAYS_DOUBTS)
        _left(page, body.compartment, body.compartment_state, body.why)
        if body.why is Reason.COMPARTMENT_EMPTY:
            page.task(Task.MISSING, body.compartment, body.stay)
        return
    page.compartment(body.compartment, state=body.compartment_state.value, why=None, claim=body.claim, stay=body.stay)
    if body.why in _REPORTS:
        page.task(_REPORTS[body.why], body.stay, body.why.value)


def _amended(page: _Page, body: e.Amended) -> None:
    page.stay(
        body.stay,
        **_about(body.about),
        **_pickup(body.pickup),
        state=body.stay_state.value,
        reason=body.why.value if body.stay_state is not StayState.DEPOSITED else None,
        deadline=body.deadline,
        ended_at=None,
    )
    if body.why is not Reason.CLOCK_SET:
        page.settle(body.stay, _STAYS_DOUBTS)


def _moved(page: _Page, body: e.Moved) -> None:
    page.stay(body.stay, compartment=body.compartment)
    page.compartment(
        body.compartment, state=CompartmentState.OCCUPIED.value, why=None, claim=body.claim, stay=body.stay
    )
    page.settle(body.compartment, _DOORS_DOUBTS)
    _left(page, body.left, body.left_state)
    if body.left_state is not CompartmentState.NEEDS_CHECK:
        page.settle(body.left, _TAKERS_DOUBTS)


def _expired(page: _Page, body: e.Expired) -> None:
    page.stay(body.stay, state=StayState.EXPIRED.value, reason=None, expired_at=page.at, ended_at=None)
    if body.at_end is not Ending.COURIER:
        page.task(Task.UNCLAIMED, body.stay, body.at_end.value)


def _wanted(page: _Page, body: e.Wanted) -> None:
    page.opening(
        body.opening,
        body.compartment,
        purpose=body.purpose.value,
        state="wanted",
        reason=body.reason.value if body.reason else None,
        by=body.by,
        instruction=body.instruction,
        pass_id=body.pass_id,
        claim=body.claim,
        stay=body.stays[0] if body.stays else None,
        wanted_at=page.at,
    )
    page.stay_entries += [StayEntryRow(stay, page.bank, page.epoch, page.seq) for stay in body.stays]


def _unlocked(page: _Page, body: e.Unlocked) -> None:
    page.opening(body.opening, body.compartment, state="unlocked", why=None, attempts=body.attempt, unlocked_at=page.at)


def _no_proof(page: _Page, body: e.NoProof) -> None:
    page.opening(body.opening, body.compartment, state="wanted", why=None)


def _not_opened(page: _Page, body: e.NotOpened) -> None:
    page.opening(body.opening, body.compartment, state="not_opened", why=body.why.value)
    page.compartment(body.compartment, state=body.compartment_state.value, why=body.why.value)
    page.task(Task.NOT_OPENED, body.compartment, body.why.value)


def _opened(page: _Page, body: e.Opened) -> None:
    page.opening(body.opening, body.compartment, state="opened", why=None, opened_at=page.at)
    page.compartment(body.compartment, door=DoorState.OPEN.value)
    if body.compartment_state is not None:
        page.compartment(body.compartment, state=body.compartment_state.value, why=None)
        if body.compartment_state is not CompartmentState.NEEDS_CHECK:
            page.settle(body.compartment, _DOORS_DOUBTS)


def _closed(page: _Page, body: e.Closed) -> None:
    page.opening(body.opening, body.compartment, state="shut", why=None, closed_at=page.at)
    page.compartment(body.compartment, door=DoorState.CLOSED.value)


def _lapsed(page: _Page, body: e.Lapsed) -> None:
    page.opening(body.opening, body.compartment, state="lapsed", why=body.why.value)


def _unresolved(page: _Page, body: e.Unresolved) -> None:
    page.opening(body.opening, body.compartment, state="unresolved", why=None)
    page.compartment(body.compartment, state=body.compartment_state.value, why=None)
    page.task(Task.UNRESOLVED, body.compartment)


def _sensed(page: _Page, body: e.Sensed) -> None:
    for compartment, door in body.doors.items():
        page.compartment(compartment, door=door.value)
    for compartment in body.forced:
        if body.compartment_state is not None:
            page.compartment(compartment, state=body.compartment_state.value, why=Reason.FORCED.value)
        page.task(Task.FORCED_DOOR, compartment)


def _item_sensed(page: _Page, body: e.ItemSensed) -> None:
    for compartment in body.doubted:
        page.compartment(compartment, state=CompartmentState.NEEDS_CHECK.value, why=Reason.SENSED.value)
    for compartment in body.contradicts:
        page.task(Task.MISMATCH, compartment, "something inside" if body.items[compartment] else "nothing inside")


def _withdrawn(page: _Page, body: e.Withdrawn) -> None:
    for compartment, state in body.states.items():
        page.compartment(compartment, state=state.value, why=Reason.WITHDRAWN.value if body.out else None)


def _board_lost(page: _Page, body: e.BoardLost) -> None:
    """One cause, one task."""
    for compartment in body.compartments:
        page.compartment(compartment, door=DoorState.UNKNOWN.value)
    if body.compartments:
        page.task(Task.BOARD_LOST, body.compartments[0], ", ".join(body.compartments)[:200])


def _board_found(page: _Page, body: e.BoardFound) -> None:
    for compartment in body.compartments:
        page.settle(compartment, (Task.BOARD_LOST,))


def _left_open(page: _Page, body: e.LeftOpen) -> None:
    if body.compartment_state is not None:
        page.compartment(body.compartment, state=body.compartment_state.value, why=Reason.LEFT_OPEN.value)
    if body.alarm and not body.over:
        page.task(Task.LEFT_OPEN, body.compartment)
    elif body.over and body.compartment_state is None:
        page.settle(body.compartment, (Task.LEFT_OPEN,))


def _tampered(page: _Page, body: e.Tampered) -> None:
    if body.alarm:
        page.task(Task.TAMPERED, body.switch)
    elif not body.opened:
        page.settle(body.switch, (Task.TAMPERED,))


def _band_crossed(page: _Page, body: e.BandCrossed) -> None:
    page.settle(body.sensor, (Task.CLIMATE,))
    if not body.inside:
        page.task(Task.CLIMATE, body.sensor, "no reading" if body.celsius is None else f"{body.celsius:.1f} °C")


def _kept_at(page: _Page, body: e.KeptAt) -> None:
    page.stay_entries.append(StayEntryRow(body.stay, page.bank, page.epoch, page.seq))


def _checked(page: _Page, body: e.Checked) -> None:
    page.compartment(body.compartment, state=body.compartment_state.value, why=None, looked_at=page.at)
    if body.compartment_state is CompartmentState.NEEDS_CHECK:
        page.task(Task.MISSING, body.compartment)
    else:
        page.settle(body.compartment, _LOOKERS_DOUBTS)


_PROJECT: dict[type, Callable[[_Page, Any], None]] = {
    e.EpochBegan: _epoch_began,
    e.Recovered: _recovered,
    e.Booted: _booted,
    e.Fitted: _fitted,
    e.Adopted: _adopted,
    e.Answered: _answered,
    e.RemoteStopped: _remote_stopped,
    e.RemoteResumed: _remote_resumed,
    e.SessionBegan: _session_began,
    e.PassGranted: _pass_granted,
    e.PassRevoked: _pass_revoked,
    e.Expected: _expected,
    e.Cancelled: _cancelled,
    e.Claimed: _claimed,
    e.Released: _released,
    e.Stored: _stored,
    e.NotDelivered: _not_delivered,
    e.Collected: _taken,
    e.Recalled: _taken,
    e.Removed: _taken,
    e.Reported: _reported,
    e.Amended: _amended,
    e.Moved: _moved,
    e.Expired: _expired,
    e.Wanted: _wanted,
    e.Unlocked: _unlocked,
    e.NoProof: _no_proof,
    e.NotOpened: _not_opened,
    e.Opened: _opened,
    e.Closed: _closed,
    e.Lapsed: _lapsed,
    e.Unresolved: _unresolved,
    e.Sensed: _sensed,
    e.ItemSensed: _item_sensed,
    e.Withdrawn: _withdrawn,
    e.BoardLost: _board_lost,
    e.BoardFound: _board_found,
    e.LeftOpen: _left_open,
    e.Tampered: _tampered,
    e.BandCrossed: _band_crossed,
    e.KeptAt: _kept_at,
    e.Checked: _checked,
}
"""Other kinds (clocks, refused codes, ends of sessions) make no rows: they are read from the log."""
