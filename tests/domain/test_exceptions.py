"""The bad days: what people say of what they found, what staff and operators change, what a service allows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.domain.test_story import DHX, LARGE, PARCEL, SMALL, Wall, about, stored_parcel

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.apply import fold
from latchwork.domain.bank import About, Bank, Fitting, Hours, PassState, Policy, Service
from latchwork.domain.effects import codes_due, next_deadline
from latchwork.domain.words import (
    BankId,
    ClaimId,
    CompartmentId,
    CompartmentState,
    DoorState,
    Ending,
    Lookup,
    OpeningId,
    PartyId,
    PassId,
    PersonId,
    Reason,
    Role,
    ServiceId,
    SessionId,
    Shares,
    Size,
    StayId,
    StayState,
)

GATE, SHELF, TABLE = CompartmentId("gate"), CompartmentId("shelf"), CompartmentId("table")
TOGETHER = Service(ServiceId("together"), Role.COURIER, Role.PERSON, 72, shares=Shares.RECIPIENT)
LONGER = Service(ServiceId("longer"), Role.COURIER, Role.PERSON, 72, extensions_max=1, extension_hours=24, room_min=1)
RUBBISH = Service(ServiceId("rubbish"), Role.COURIER, Role.PERSON, 72, at_end=Ending.DISPOSE, late_collection=False)
HELD = Service(ServiceId("held"), Role.COURIER, Role.PERSON, 72, holds_unknown=True)
BOX = Service(ServiceId("box"), Role.PERSON, Role.COURIER, 72, walk_in=True, shares=Shares.PARTY)
DAYTIME = Service(ServiceId("day"), Role.COURIER, Role.PERSON, 72, hours=tuple(Hours(d, 480, 1200) for d in range(7)))
SERVICES = (PARCEL, TOGETHER, LONGER, RUBBISH, HELD, BOX, DAYTIME)


def wall(**rules: Any) -> Wall:
    made = Wall()
    shelves = (
        Fitting(GATE, Size(1, 1, 1), gate=True),
        Fitting(SHELF, Size(1, 1, 1), shelf=True, behind=GATE),
        Fitting(TABLE, Size(1, 1, 1), shelf=True),
    )
    made.do(c.Fit((*(x.fitting for x in made.bank.compartments.values()), *shelves)))
    made.instruct(c.Adopt(2, Policy(SERVICES, **rules)))
    made.instruct(c.GrantPass(PassId("staff2"), Role.STAFF))
    made.do(c.See({GATE: DoorState.CLOSED}))
    return made


def put_in(wall: Wall, what: About, stay: StayId | None = None) -> StayId:
    session = wall.sign_in("courier")
    opening, decision = wall.deposit(session, stay, what)
    assert decision.refusal is None, decision.refusal
    wall.unlock()
    wall.swing(opening)
    assert wall.do(c.Confirm(session, opening)).refusal is None
    wall.do(c.SignOut(session))
    stored = wall.last(e.Stored)
    assert isinstance(stored, e.Stored)
    return stored.stay


def pickup_of(wall: Wall, stay: StayId) -> str:
    pickup = wall.bank.stays[stay].pickup
    assert pickup is not None
    return pickup


def open_for(wall: Wall, session: SessionId, stay: StayId) -> OpeningId:
    opening = OpeningId(wall.fresh())
    assert wall.do(c.Collect(session, opening, stay)).refusal is None
    wall.unlock()
    wall.door(opening, DoorState.OPEN)
    return opening


def collected(wall: Wall, stay: StayId) -> SessionId:
    session = wall.sign_in(pickup_of(wall, stay))
    wall.door(open_for(wall, session, stay), DoorState.CLOSED)
    assert stay not in wall.bank.stays
    return session


def chosen_for(bank: Bank, what: About) -> CompartmentId | None:
    chosen = policy.choose(bank, what)
    return None if isinstance(chosen, Reason) else chosen[0].id


def why(decision: c.Decision) -> Reason | None:
    return decision.refusal.reason if decision.refusal else None


def holds(wall: Wall) -> None:
    life: list[e.Entry] = [x for x in wall.log if x.epoch == wall.bank.epoch]
    if wall.bank.epoch == 1:
        assert fold(Bank(wall.bank.id), life) == wall.bank


# What people say


def test_what_could_not_be_carried_stays_theirs_with_the_same_code() -> None:
    w = wall()
    stay = put_in(w, about())
    lookup = w.bank.passes[PassId(pickup_of(w, stay))].grant.lookup
    session = collected(w, stay)
    assert w.do(c.Report(session, stay, Reason.LEFT_BEHIND)).refusal is None
    assert w.bank.stays[stay].state is StayState.DEPOSITED and w.state(SMALL) is CompartmentState.OCCUPIED
    w.do(c.SignOut(session))
    w.now += timedelta(hours=3)
    assert w.do(c.SignIn(SessionId("later"), lookup)).refusal is None
    w.door(open_for(w, SessionId("later"), stay), DoorState.CLOSED)
    assert stay not in w.bank.stays and w.state(SMALL) is CompartmentState.VACANT
    holds(w)


def test_nobody_else_is_sent_to_a_door_that_somebody_may_want_back() -> None:
    w = wall()
    stay = put_in(w, about())
    session = collected(w, stay)
    courier = w.sign_in("courier")
    _, decision = w.deposit(courier, None, about())
    claimed = decision.entries[0]
    assert isinstance(claimed, e.Claimed) and claimed.compartment == LARGE
    w.do(c.SignOut(session))
    assert chosen_for(w.bank, about()) == SMALL


def test_the_door_opens_again_while_nobody_else_has_it() -> None:
    w = wall()
    stay = put_in(w, about())
    session = collected(w, stay)
    w.do(c.SignOut(session))
    held = next(p for p in w.bank.passes.values() if p.state is PassState.SPENT)
    again = SessionId("again")
    assert w.do(c.SignIn(again, held.grant.lookup)).refusal is None
    courier = w.sign_in("courier")
    w.do(c.SignOut(again))
    w.deposit(courier, None, about())  # takes the compartment meanwhile
    assert w.do(c.SignIn(again, held.grant.lookup)).refusal is None
    assert why(w.do(c.Collect(again, OpeningId("o"), stay))) is Reason.COMPARTMENT_OCCUPIED


@pytest.mark.parametrize(
    ("what", "left", "state", "door"),
    [
        (Reason.NOT_MINE, True, StayState.EXCEPTION, CompartmentState.OCCUPIED),
        (Reason.REFUSED, True, StayState.EXCEPTION, CompartmentState.OCCUPIED),
        (Reason.DAMAGED, True, StayState.EXCEPTION, CompartmentState.OCCUPIED),
        (Reason.DAMAGED, False, None, CompartmentState.VACANT),
        (Reason.COMPARTMENT_EMPTY, False, None, CompartmentState.NEEDS_CHECK),
    ],
)
@pytest.mark.parametrize("before_closing", [True, False])
def test_what_was_found(
    what: Reason, left: bool, state: StayState | None, door: CompartmentState, before_closing: bool
) -> None:
    w = wall()
    stay = put_in(w, about())
    session = w.sign_in(pickup_of(w, stay))
    opening = open_for(w, session, stay)
    if not before_closing:
        w.door(opening, DoorState.CLOSED)
    assert w.do(c.Report(session, stay, what, left)).refusal is None
    if before_closing:
        w.door(opening, DoorState.CLOSED)
    assert (w.bank.stays[stay].state if stay in w.bank.stays else None) is state
    assert w.state(SMALL) is door
    assert why(w.do(c.Collect(session, OpeningId("o2"), stay))) is not None
    holds(w)


def test_what_is_refused_goes_back_with_its_courier() -> None:
    w = wall()
    stay = put_in(w, about())
    session = collected(w, stay)
    w.do(c.Report(session, stay, Reason.REFUSED))
    w.do(c.SignOut(session))
    courier = w.sign_in("courier")
    w.door(open_for(w, courier, stay), DoorState.CLOSED)
    assert isinstance(w.last(e.Recalled), e.Recalled) and w.state(SMALL) is CompartmentState.VACANT
    holds(w)


def test_the_wrong_flat_is_given_to_the_right_one() -> None:
    w = wall()
    stay = put_in(w, about())
    session = collected(w, stay)
    old = w.bank.passes[w.bank.sessions[session].pass_id or PassId("")].grant.lookup
    w.do(c.Report(session, stay, Reason.NOT_MINE))
    w.do(c.SignOut(session))
    w.now += timedelta(hours=1)
    w.instruct(c.Amend(stay, recipient=PersonId("p2")))
    amended = w.last(e.Amended)
    assert isinstance(amended, e.Amended) and amended.pickup is not None
    assert why(w.do(c.SignIn(SessionId("x"), old))) is Reason.WRONG_CODE
    assert w.bank.stays[stay].about.recipient == PersonId("p2")
    collected(w, stay)
    holds(w)


# One session, several doors, several hands


def test_one_code_opens_all_that_is_theirs_and_nothing_else() -> None:
    w = wall()
    mine, too = put_in(w, about()), put_in(w, about())
    session = w.sign_in(pickup_of(w, mine))
    for stay in (mine, too):
        w.door(open_for(w, session, stay), DoorState.CLOSED)
    w.do(c.SignOut(session))
    other = put_in(w, About(PARCEL.id, DHX, recipient=PersonId("p2")))
    again = put_in(w, about())
    session = w.sign_in(pickup_of(w, again))
    assert why(w.do(c.Collect(session, OpeningId("o"), other))) is Reason.NO_ACCESS


def test_parcels_of_one_recipient_lie_together_and_come_out_together() -> None:
    w = wall()
    first, second = put_in(w, about(TOGETHER)), put_in(w, about(TOGETHER))
    assert w.bank.stays[first].compartment == w.bank.stays[second].compartment == SMALL
    assert isinstance(w.last(e.Claimed), e.Claimed) and w.last(e.Claimed).why is Reason.SHARED  # type: ignore[attr-defined]
    w.instruct(c.GrantPass(PassId("friend"), Role.PERSON, stay=first))
    answer = w.last(e.Answered)
    assert isinstance(answer, e.Answered) and answer.refusal is Reason.SHARED  # their code would open both
    session = collected(w, second)
    assert first not in w.bank.stays and w.state(SMALL) is CompartmentState.VACANT
    w.do(c.Report(session, first, Reason.LEFT_BEHIND))
    assert set(w.bank.stays) == {first} and w.state(SMALL) is CompartmentState.OCCUPIED
    holds(w)


def test_of_several_one_was_not_there_and_somebody_looks_once_the_others_are_out() -> None:
    w = wall()
    first, second, third = (put_in(w, about(TOGETHER)) for _ in range(3))
    session = w.sign_in(pickup_of(w, first))
    opening = open_for(w, session, first)
    w.do(c.Report(session, first, Reason.COMPARTMENT_EMPTY))
    w.do(c.Report(session, third, Reason.LEFT_BEHIND))
    w.door(opening, DoorState.CLOSED)
    assert w.state(SMALL) is CompartmentState.OCCUPIED and set(w.bank.stays) == {third}
    w.door(open_for(w, session, third), DoorState.CLOSED)
    assert second not in w.bank.stays and w.state(SMALL) is CompartmentState.NEEDS_CHECK
    assert w.bank.compartments[SMALL].why is Reason.COMPARTMENT_EMPTY
    holds(w)


def test_too_small_beside_another_parcel_leaves_that_one_where_it_is() -> None:
    w = wall()
    first = put_in(w, about(TOGETHER))
    session = w.sign_in("courier")
    opening, _ = w.deposit(session, None, about(TOGETHER))
    w.unlock()
    w.door(opening, DoorState.OPEN)
    assert w.do(c.Replace(session, opening, Reason.TOO_BIG, OpeningId("o2"), ClaimId("c2"))).refusal is None
    assert w.state(SMALL) is CompartmentState.OCCUPIED and w.bank.stays[first].compartment == SMALL
    assert w.state(LARGE) is CompartmentState.RESERVED
    holds(w)


def test_a_delegate_takes_the_one_parcel_until_the_hour_or_until_taken_back() -> None:
    w = wall()
    mine, other = put_in(w, about()), put_in(w, about())
    w.instruct(c.GrantPass(PassId("friend"), Role.PERSON, valid_until=w.now + timedelta(hours=2), stay=mine))
    session = w.sign_in("friend")
    assert why(w.do(c.Collect(session, OpeningId("o"), other))) is Reason.NO_ACCESS
    w.do(c.SignOut(session))
    lookup = w.bank.passes[PassId("friend")].grant.lookup
    w.now += timedelta(hours=2)
    assert why(w.do(c.SignIn(SessionId("late"), lookup))) is Reason.CODE_EXPIRED
    w.instruct(c.RevokePass(PassId("friend")))
    assert PassId("friend") not in w.bank.passes
    collected(w, mine)
    holds(w)


def test_whom_a_recipient_sends_gets_in_unheard_of_and_not_once_taken_back() -> None:
    w = wall()
    mine, other = put_in(w, about()), put_in(w, about())
    own = PassId(pickup_of(w, mine))
    ticket = c.Ticket(w.bank.id, PassId("friend"), w.now, w.now + timedelta(hours=2), own)
    assert why(w.do(c.SignIn(SessionId("f"), replace(ticket, bank=BankId("elsewhere"))))) is Reason.NO_ACCESS
    assert why(w.do(c.SignIn(SessionId("f"), replace(ticket, not_after=w.now)))) is Reason.CODE_EXPIRED
    assert why(w.do(c.SignIn(SessionId("f"), replace(ticket, of=PassId("courier"))))) is Reason.PARCEL_NOT_AVAILABLE
    w.do(c.Guard(("ab" * 32,)))
    assert why(w.do(c.SignIn(SessionId("f"), ticket))) is Reason.UNSIGNED, "a captured server could send anybody"
    w.do(c.Guard(()))

    w.do(c.SignIn(SessionId("f"), ticket))
    assert why(w.do(c.Collect(SessionId("f"), OpeningId("o"), other))) is Reason.NO_ACCESS
    w.do(c.SignOut(SessionId("f")))
    heard = w.instruct(c.GrantPass(PassId("friend"), Role.PERSON, valid_until=ticket.not_after, stay=mine))
    assert heard.refusal is None
    w.do(c.SignIn(SessionId("known"), ticket))
    w.instruct(c.RevokePass(PassId("friend")))
    assert why(w.do(c.SignIn(SessionId("late"), ticket))) is Reason.PARCEL_NOT_AVAILABLE
    another = replace(ticket, pass_id=PassId("another"))
    w.instruct(c.Amend(mine, recipient=PersonId("p2")))
    assert why(w.do(c.SignIn(SessionId("late"), another))) is Reason.PARCEL_NOT_AVAILABLE, "it is somebody else's now"

    theirs = replace(ticket, of=PassId(pickup_of(w, other)))
    w.do(c.SignIn(SessionId("g"), theirs))
    w.do(c.Collect(SessionId("g"), OpeningId("out"), other))
    w.unlock()
    w.swing(OpeningId("out"))
    assert other not in w.bank.stays
    assert why(w.do(c.SignIn(SessionId("h"), theirs))) is Reason.PARCEL_NOT_AVAILABLE
    holds(w)


def test_a_household_card_opens_whatever_is_the_recipients() -> None:
    w = wall()
    stay = put_in(w, about())
    w.instruct(c.GrantPass(PassId("card"), Role.PERSON, recipient=PersonId("p1"), lookup=Lookup("card-hash")))
    assert w.do(c.SignIn(SessionId("s"), Lookup("card-hash"))).refusal is None
    w.door(open_for(w, SessionId("s"), stay), DoorState.CLOSED)
    assert w.bank.passes[PassId("card")].state is PassState.WAITING  # a card is not spent
    holds(w)


# Couriers


def test_a_session_remembers_what_became_of_each_thing() -> None:
    w = wall(fallbacks=("desk", "depot"))
    session = w.sign_in("courier")
    opening, _ = w.deposit(session, StayId("a"), about())
    w.unlock()
    w.swing(opening)
    assert w.do(c.GiveUp(session, StayId("b"), Reason.DAMAGED, about())).refusal is None
    w.do(c.Boot("b", "s"))  # the power went
    assert w.do(c.Confirm(session, opening)).refusal is None
    outcomes = w.bank.sessions[session].outcomes
    assert outcomes == ((StayId("b"), Reason.DAMAGED), (StayId("a"), StayState.DEPOSITED))
    gone = w.last(e.NotDelivered)
    assert isinstance(gone, e.NotDelivered) and gone.fallback == "desk" and gone.announced is False


def test_giving_up_at_a_door_that_did_not_open_leaves_nothing_behind() -> None:
    w = wall()
    stay = StayId("expected")
    w.instruct(c.Expect(stay, about()))
    session = w.sign_in("courier")
    w.deposit(session, stay)
    for _ in range(policy.ATTEMPTS_MAX):
        w.do(c.Elapse(w.unlock()))
    assert w.do(c.GiveUp(session, stay, Reason.NO_SUITABLE_COMPARTMENT)).refusal is None
    assert w.bank.stays[stay].state is StayState.EXPECTED and w.state(SMALL) is CompartmentState.NEEDS_CHECK
    holds(w)


def test_a_door_that_will_not_close_gives_another_and_waits_for_a_look() -> None:
    w = wall()
    session = w.sign_in("courier")
    opening, _ = w.deposit(session, None, about())
    w.unlock()
    w.door(opening, DoorState.OPEN)
    because = Reason.DOOR_WILL_NOT_CLOSE
    assert w.do(c.Replace(session, opening, because, OpeningId("o2"), ClaimId("c2"))).refusal is None
    assert w.state(SMALL) is CompartmentState.NEEDS_CHECK and w.bank.compartments[SMALL].why is because


def test_a_thing_for_nobody_we_know_is_held_where_the_service_says_so() -> None:
    w = wall()
    session = w.sign_in("courier")
    assert why(w.deposit(session, None, About(PARCEL.id, DHX))[1]) is Reason.UNKNOWN_RECIPIENT
    w.do(c.SignOut(session))
    stay = put_in(w, About(HELD.id, DHX))
    assert w.bank.stays[stay].pickup is None and w.bank.stays[stay].why is Reason.UNKNOWN_RECIPIENT
    w.instruct(c.Amend(stay, recipient=PersonId("p1")))
    collected(w, stay)
    holds(w)


def test_a_pile_goes_onto_a_shelf_and_comes_out_through_its_gate() -> None:
    w = wall()
    session = w.sign_in("courier")
    mine, too, other = StayId("a"), StayId("b"), StayId("c")
    for stay, who in ((mine, "p1"), (too, "p1"), (other, "p2")):
        what = About(PARCEL.id, DHX, recipient=PersonId(who))
        assert w.do(c.Shelve(session, stay, SHELF, w.offer(), what)).refusal is None
    w.do(c.SignOut(session))
    session = w.sign_in(pickup_of(w, mine))
    opening = open_for(w, session, mine)
    assert w.bank.openings[opening].compartment == GATE and set(w.bank.openings[opening].stays) == {mine, too}
    w.door(opening, DoorState.CLOSED)
    assert set(w.bank.stays) == {other}
    holds(w)


def test_a_shelf_in_the_open_has_no_door_to_wait_for() -> None:
    w = wall()
    staff = w.sign_in("staff")
    w.do(c.Shelve(staff, StayId("a"), TABLE, w.offer(), about()))
    session = w.sign_in(pickup_of(w, StayId("a")))
    assert isinstance(w.do(c.Collect(session, OpeningId("o"), StayId("a"))).entries[0], e.Collected)


def test_codes_that_change_daily_change_at_the_sites_midnight() -> None:
    w = wall(utc_offsets=((datetime(2020, 1, 1, tzinfo=UTC), 60),))
    w.instruct(c.GrantPass(PassId("daily"), Role.COURIER, DHX, daily=True))
    midnight = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)
    assert next_deadline(w.bank) == midnight
    old = w.bank.passes[PassId("daily")].grant.lookup
    w.now = midnight
    assert codes_due(w.bank, w.now) == (PassId("daily"),)
    assert why(w.do(c.SignIn(SessionId("x"), old))) is Reason.CODE_EXPIRED
    w.do(c.Tick((c.Offer(PassId("daily"), 1, 8, (Lookup("tomorrow"),), first=80),)))
    grant = w.bank.passes[PassId("daily")].grant
    assert (grant.n, grant.party, grant.valid_until) == (80, DHX, midnight + timedelta(days=1))
    assert why(w.do(c.SignIn(SessionId("x"), old))) is Reason.WRONG_CODE
    assert w.do(c.SignIn(SessionId("x"), Lookup("tomorrow"))).refusal is None


# Room


def test_a_reservation_holds_a_door_for_its_thing_and_lets_it_go() -> None:
    w = wall()
    until = w.now + timedelta(hours=1)
    stay = StayId("reserved")
    w.instruct(c.Expect(stay, about(size=Size(300, 90, 300)), claim=ClaimId("c"), until=until))
    assert w.bank.stays[stay].state is StayState.RESERVED and w.state(SMALL) is CompartmentState.RESERVED
    session = w.sign_in("courier")
    opening, decision = w.deposit(session, stay)
    claimed = decision.entries[0]
    assert isinstance(claimed, e.Claimed) and (claimed.compartment, claimed.why) == (SMALL, Reason.RESERVED)
    w.unlock()
    w.swing(opening)
    w.do(c.Confirm(session, opening))
    w.instruct(c.Expect(StayId("second"), about(), claim=ClaimId("c2"), until=until))
    assert w.bank.stays[StayId("second")].compartment == LARGE
    w.instruct(c.Expect(StayId("third"), about(), claim=ClaimId("c3"), until=until))
    answer = w.last(e.Answered)
    assert isinstance(answer, e.Answered) and answer.refusal is Reason.NO_SUITABLE_COMPARTMENT
    w.now = until
    w.do(c.Tick())
    assert w.bank.stays[StayId("second")].state is StayState.EXPECTED and w.state(LARGE) is CompartmentState.VACANT
    holds(w)


def test_the_last_one_in_reach_is_kept_for_whoever_needs_it() -> None:
    w = Wall()
    reach = {SMALL: 800, LARGE: 1600}
    built = [Fitting(x.id, x.fitting.size, reach_mm=reach[x.id]) for x in w.bank.compartments.values()]
    gate = Fitting(CompartmentId("G"), Size(9, 9, 9), reach_mm=1000, gate=True)
    w.do(c.Fit((*built, gate)))
    w.do(c.See({gate.id: DoorState.CLOSED}))
    w.instruct(c.Adopt(2, Policy((PARCEL,), in_reach_kept=1)))
    chosen = policy.choose(w.bank, about())
    assert not isinstance(chosen, Reason) and (chosen[0].id, chosen[1]) == (LARGE, Reason.IN_REACH_KEPT)
    assert policy.places(w.bank, about()) == 1
    needs = About(PARCEL.id, DHX, recipient=PersonId("p1"), in_reach=True)
    assert put_in(w, needs) and w.state(SMALL) is CompartmentState.OCCUPIED
    assert policy.choose(w.bank, needs) is Reason.NONE_IN_REACH


def test_what_is_said_of_an_expected_thing_at_the_wall_stands_with_why_it_went_where_it_did() -> None:
    w = wall()
    stay = StayId("s")
    w.instruct(c.Expect(stay, about()))
    session = w.sign_in("courier")
    opening, _ = w.deposit(session, stay, about(size=Size(300, 300, 300)))
    claimed = w.last(e.Claimed)
    assert isinstance(claimed, e.Claimed)
    assert (claimed.compartment, claimed.why, claimed.about.size) == (LARGE, Reason.SMALLEST_FIT, Size(300, 300, 300))
    w.do(c.Abandon(session, opening))
    w.instruct(c.Expect(StayId("low"), about()))
    low = About(PARCEL.id, DHX, recipient=PersonId("another"), in_reach=True)
    assert why(w.deposit(session, StayId("low"), low)[1]) is Reason.NONE_IN_REACH


def test_compartments_set_aside_serve_their_services_only() -> None:
    w = wall(set_aside={SMALL: (TOGETHER.id,)})
    assert chosen_for(w.bank, about()) == LARGE
    assert chosen_for(w.bank, about(TOGETHER)) == SMALL


def test_whoever_walks_in_drops_into_the_box_of_their_shop() -> None:
    w = wall()
    for stay in ("a", "b"):
        session = SessionId(w.fresh())
        assert w.do(c.SignIn(session, c.WalkIn(BOX.id))).refusal is None
        opening, decision = w.deposit(session, StayId(stay), About(BOX.id, PartyId("shop")))
        assert decision.refusal is None
        assert why(w.deposit(session, None, about())[1]) is Reason.NO_ACCESS
        w.unlock()
        w.swing(opening)
        w.do(c.Confirm(session, opening))
        w.do(c.SignOut(session))
    assert w.bank.stays[StayId("a")].compartment == w.bank.stays[StayId("b")].compartment
    assert why(w.do(c.SignIn(SessionId("x"), c.WalkIn(PARCEL.id)))) is Reason.NO_ACCESS


# Time


def test_more_time_once_while_there_is_room() -> None:
    w = wall()
    stay = put_in(w, about(LONGER))
    before = w.bank.stays[stay].deadline
    session = w.sign_in(pickup_of(w, stay))
    assert before is not None and w.do(c.Extend(stay, session)).refusal is None
    assert w.bank.stays[stay].deadline == before + timedelta(hours=24)
    assert why(w.do(c.Extend(stay, session))) is Reason.NO_EXTENSION
    w.do(c.SignOut(session))
    full = put_in(w, about(LONGER))
    w.instruct(c.Extend(full))
    answer = w.last(e.Answered)
    assert isinstance(answer, e.Answered) and answer.refusal is Reason.NO_SUITABLE_COMPARTMENT
    w.now = w.bank.stays[stay].deadline or w.now
    w.do(c.Tick())
    assert w.bank.stays[stay].state is StayState.EXPIRED
    holds(w)


def test_holding_brings_an_expired_stay_back() -> None:
    w = wall()
    stay = put_in(w, about())
    w.now += timedelta(hours=72)
    w.do(c.Tick())
    w.instruct(c.Amend(stay, until=w.now + timedelta(days=14)))
    assert w.bank.stays[stay].state is StayState.DEPOSITED
    assert next_deadline(w.bank) == w.now + timedelta(days=14)
    holds(w)


def test_what_is_blocked_opens_for_nobody_until_it_is_freed() -> None:
    w = wall()
    stay = put_in(w, about())
    w.instruct(c.Amend(stay, blocked=True))
    session = w.sign_in(pickup_of(w, stay))
    assert why(w.do(c.Collect(session, OpeningId("o"), stay))) is Reason.BLOCKED
    w.instruct(c.Amend(stay, blocked=False))
    w.door(open_for(w, session, stay), DoorState.CLOSED)
    assert stay not in w.bank.stays
    holds(w)


def test_closed_at_night_and_told_when_it_opens() -> None:
    w = wall(utc_offsets=((datetime(2020, 1, 1, tzinfo=UTC), 60),))
    stay = put_in(w, about(DAYTIME))
    w.now = datetime(2026, 3, 2, 21, 30, tzinfo=UTC)
    session = w.sign_in(pickup_of(w, stay))
    decision = w.do(c.Collect(session, OpeningId("o"), stay))
    assert decision.refusal == c.Refusal(Reason.OUTSIDE_HOURS, datetime(2026, 3, 3, 7, 0, tzinfo=UTC))


BERLIN = (
    (datetime(2025, 10, 26, 1, tzinfo=UTC), 60),
    (datetime(2026, 3, 29, 1, tzinfo=UTC), 120),
    (datetime(2026, 10, 25, 1, tzinfo=UTC), 60),
)


@pytest.mark.parametrize(
    ("since", "end"),
    [
        (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 21, 59, tzinfo=UTC)),  # into summer
        (datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 25, 22, 59, tzinfo=UTC)),  # out of it
        (datetime(2026, 6, 1, 12, tzinfo=UTC), datetime(2026, 6, 2, 21, 59, tzinfo=UTC)),
    ],
)
def test_a_day_ends_at_its_own_minute_whatever_the_clocks_do(since: datetime, end: datetime) -> None:
    bank = Bank(BankId("b"), policy=Policy(utc_offsets=BERLIN))
    service = Service(ServiceId("s"), Role.COURIER, Role.PERSON, 24, day_ends=23 * 60 + 59)
    assert policy.deadline(bank, service, since) == end


def test_midnight_is_the_end_of_the_day_before() -> None:
    """So that a day more is one day more."""
    bank = Bank(BankId("b"), policy=Policy(utc_offsets=BERLIN))
    service = Service(ServiceId("s"), Role.COURIER, Role.PERSON, 24, day_ends=1440)
    end = policy.deadline(bank, service, datetime(2026, 6, 1, 12, tzinfo=UTC))
    assert end == datetime(2026, 6, 2, 22, tzinfo=UTC)
    assert policy.deadline(bank, service, end) == end + timedelta(days=1)


def test_what_came_while_the_clock_was_behind_has_its_whole_time() -> None:
    w = wall()
    w.do(c.DoubtClock())
    stay, held = put_in(w, about()), put_in(w, about())
    before = w.bank.stays[stay].deadline
    assert before is not None
    w.instruct(c.Amend(held, until=before))
    w.now += timedelta(days=5)
    w.do(c.TrustClock(timedelta(days=5).total_seconds()))
    w.do(c.Tick())
    assert (w.bank.stays[stay].state, w.bank.stays[stay].deadline) == (StayState.DEPOSITED, before + timedelta(days=5))
    assert w.bank.stays[held].state is StayState.EXPIRED, "that was an hour of the server's"
    w.do(c.DoubtClock())
    w.do(c.TrustClock(timedelta(days=5).total_seconds()))
    assert w.bank.stays[stay].deadline == before + timedelta(days=5), "and once only"
    holds(w)


def test_a_minute_that_does_not_exist_is_the_change_itself() -> None:
    bank = Bank(BankId("b"), policy=Policy(utc_offsets=BERLIN))
    assert policy.at_local(bank, datetime.fromisoformat("2026-03-29T02:30")) == datetime(2026, 3, 29, 1, tzinfo=UTC)
    twice = policy.at_local(bank, datetime.fromisoformat("2026-10-25T02:30"))
    assert twice == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


# Staff


def test_throwing_away_takes_two() -> None:
    w = wall()
    stay = put_in(w, about(RUBBISH))
    w.now += timedelta(hours=72)
    w.do(c.Tick())
    recipient = w.sign_in(pickup_of(w, stay))
    assert why(w.do(c.Collect(recipient, OpeningId("o"), stay))) is Reason.CODE_EXPIRED  # its service says: no longer
    w.do(c.SignOut(recipient))
    staff = w.sign_in("staff")
    own = w.bank.passes[PassId("staff")].grant.lookup
    other = w.bank.passes[PassId("staff2")].grant.lookup
    for second in (None, own):
        assert why(w.do(c.Remove(staff, OpeningId("o"), stay, Reason.DISPOSED, second))) is Reason.SECOND_PERSON
    wrong = w.do(c.Remove(staff, OpeningId("o"), stay, Reason.DISPOSED, Lookup("guess")))
    assert why(wrong) is Reason.WRONG_CODE and isinstance(wrong.entries[0], e.CodeRefused)
    assert w.do(c.Remove(staff, OpeningId("o"), stay, Reason.DISPOSED, other)).refusal is None
    w.unlock()
    w.swing(OpeningId("o"))
    removed = w.last(e.Removed)
    assert isinstance(removed, e.Removed) and removed.second == PassId("staff2")
    assert removed.stay_state is StayState.EXCEPTION and w.state(SMALL) is CompartmentState.VACANT
    holds(w)


def test_opening_every_door_takes_two_and_is_a_queue() -> None:
    w = wall()
    staff, courier = w.sign_in("staff"), w.sign_in("courier")
    codes = {x: w.bank.passes[PassId(x)].grant.lookup for x in ("staff", "staff2", "courier")}
    ids = tuple(OpeningId(f"o{n}") for n in range(9))
    for second in (None, codes["staff"], codes["courier"]):
        assert why(w.do(c.OpenAll(staff, ids, Reason.EMERGENCY, second))) is Reason.SECOND_PERSON
    assert why(w.do(c.OpenAll(courier, ids, Reason.EMERGENCY, codes["staff2"]))) is Reason.NO_ACCESS
    wanted = w.do(c.OpenAll(staff, ids, Reason.EMERGENCY, codes["staff2"])).entries
    assert [(x.compartment, x.second) for x in wanted if isinstance(x, e.Wanted)] == [
        (door, PassId("staff2")) for door in (SMALL, LARGE)
    ], "each door once, and no gate"
    assert w.bank.queue == ids[:2]
    assert not w.do(c.OpenAll(staff, ids[2:], Reason.EMERGENCY, codes["staff2"])).entries, "under way already"
    w.unlock()
    assert w.bank.moving == ids[0] and w.bank.queue == ids[1:2]


def test_a_parcel_moves_and_is_never_nowhere() -> None:
    w = wall()
    stay = put_in(w, about())
    staff = w.sign_in("staff")
    assert w.do(c.Move(staff, stay, OpeningId("out"), OpeningId("in"), ClaimId("c2"))).refusal is None
    recipient = w.sign_in(pickup_of(w, stay))
    assert why(w.do(c.Collect(recipient, OpeningId("o"), stay))) is Reason.BUSY
    w.unlock()
    w.swing(OpeningId("out"))
    assert w.bank.stays[stay].compartment == SMALL
    w.unlock()
    w.swing(OpeningId("in"))
    assert w.do(c.Confirm(staff, OpeningId("in"))).refusal is None
    assert w.bank.stays[stay].compartment == LARGE and w.state(SMALL) is CompartmentState.VACANT
    w.door(open_for(w, recipient, stay), DoorState.CLOSED)
    holds(w)


def test_a_move_that_is_given_up_leaves_it_where_it_was() -> None:
    w = wall()
    stay = put_in(w, about())
    staff = w.sign_in("staff")
    w.do(c.Move(staff, stay, OpeningId("out"), OpeningId("in"), ClaimId("c2")))
    w.do(c.SignOut(staff))
    assert w.bank.stays[stay].compartment == SMALL and w.bank.stays[stay].moving is None
    assert w.state(LARGE) is CompartmentState.VACANT and w.state(SMALL) is CompartmentState.OCCUPIED
    collected(w, stay)
    holds(w)


def test_out_of_service_at_once_or_when_it_is_empty() -> None:
    w = wall()
    stay = put_in(w, about())
    w.instruct(c.Withdraw((SMALL,)))
    session = collected(w, stay)
    assert w.state(SMALL) is CompartmentState.OUT_OF_SERVICE
    w.do(c.SignOut(session))
    w.instruct(c.Withdraw((SMALL,), back=True))
    stay = put_in(w, about())
    w.instruct(c.Withdraw(now=True))
    assert {w.state(SMALL), w.state(LARGE)} == {CompartmentState.OUT_OF_SERVICE}
    session = w.sign_in(pickup_of(w, stay))
    assert why(w.do(c.Collect(session, OpeningId("o"), stay))) is Reason.OUT_OF_SERVICE
    w.instruct(c.Withdraw(back=True))
    assert w.state(SMALL) is CompartmentState.OCCUPIED and w.state(LARGE) is CompartmentState.VACANT
    w.door(open_for(w, session, stay), DoorState.CLOSED)
    holds(w)


def test_what_was_looked_for_and_is_not_there_ends() -> None:
    w = wall()
    stay = put_in(w, about())
    staff = w.sign_in("staff")
    gone = c.Remove(staff, OpeningId("o"), stay, Reason.COMPARTMENT_EMPTY)
    assert why(w.do(gone)) is Reason.COMPARTMENT_OCCUPIED  # nobody has looked
    w.do(c.Inspect(staff, SMALL, empty=True))
    assert w.state(SMALL) is CompartmentState.NEEDS_CHECK
    assert w.do(gone).refusal is None
    assert stay not in w.bank.stays and w.state(SMALL) is CompartmentState.VACANT
    holds(w)


def test_a_sensor_that_contradicts_the_log_keeps_a_compartment_back_and_proves_nothing() -> None:
    w = wall()
    put_in(w, about())
    w.do(c.SenseItems({SMALL: False, LARGE: True}))
    sensed = w.last(e.ItemSensed)
    assert isinstance(sensed, e.ItemSensed)
    assert (set(sensed.contradicts), sensed.doubted) == ({SMALL, LARGE}, (LARGE,))
    assert w.state(SMALL) is CompartmentState.OCCUPIED and w.state(LARGE) is CompartmentState.NEEDS_CHECK
    holds(w)


# A second life


def test_a_controller_from_an_old_image_loses_nothing_that_either_side_has() -> None:
    w = wall()
    mine = stored_parcel(w)
    accepted = w.bank  # what the cloud has
    opened = e.Opened(OpeningId("o"), SMALL, spent=w.bank.stays[mine].pickup)
    put = e.Stored(StayId("alone"), about(), ClaimId("c9"), LARGE, OpeningId("o9"), w.now, announced=False)
    lived: tuple[e.Body, ...] = (opened, put)
    branch = tuple(c.Lived(n, "h", "", body) for n, body in enumerate(lived))
    w.bank = accepted
    decision = w.do(c.Recover(42, "root", branch))
    began = decision.entries[0]
    assert isinstance(began, e.EpochBegan) and (began.previous, began.doubted) == (1, (LARGE,))
    assert w.bank.epoch == 2 and mine in w.bank.stays
    assert accepted.stays[mine].pickup not in w.bank.passes  # spent in either life is spent
    assert w.bank.stays[StayId("alone")].compartment == LARGE
    assert w.state(SMALL) is CompartmentState.NEEDS_CHECK and w.state(LARGE) is CompartmentState.OCCUPIED


# Alarms


def test_a_technician_says_so_and_doors_that_move_are_no_alarm() -> None:
    w = wall()
    staff, courier = w.sign_in("staff"), w.sign_in("courier")
    assert why(w.do(c.Maintain(courier, True))) is Reason.NO_ACCESS
    assert w.do(c.Maintain(staff, True)).refusal is None
    w.do(c.See({SMALL: DoorState.OPEN}))
    w.do(c.SenseTamper("back", True))
    assert not w.do(c.Linger(SMALL, 600, True)).entries
    sensed, tampered = w.last(e.Sensed), w.last(e.Tampered)
    assert isinstance(sensed, e.Sensed) and not sensed.forced and w.state(SMALL) is CompartmentState.VACANT
    assert isinstance(tampered, e.Tampered) and not tampered.alarm and w.bank.tampered == ("back",)
    w.do(c.Maintain(staff, False))
    w.do(c.See({LARGE: DoorState.OPEN}))
    assert w.state(LARGE) is CompartmentState.NEEDS_CHECK
    w.do(c.Maintain(staff, True))
    w.now += timedelta(hours=2)
    w.do(c.See({SMALL: DoorState.CLOSED}))
    w.do(c.See({SMALL: DoorState.OPEN}))
    assert w.state(SMALL) is CompartmentState.NEEDS_CHECK, "whoever forgets to say done silences nothing for ever"
    holds(w)


def test_a_door_left_open_warns_then_alarms_and_what_is_inside_is_in_doubt() -> None:
    w = wall()
    staff = w.sign_in("staff")
    w.do(c.Visit(staff, OpeningId("o"), SMALL, Reason.INSPECTION))
    assert not w.do(c.Linger(SMALL, 60, False)).entries, "it is shut"
    w.unlock()
    w.door(OpeningId("o"), DoorState.OPEN)
    for alarm in (False, True):
        for repeated in (False, True):
            told = w.do(c.Linger(SMALL, 60, alarm)).entries
            assert bool(told) is not repeated
            assert w.bank.compartments[SMALL].left_open is alarm
    assert w.state(SMALL) is CompartmentState.VACANT, "its opening is under way, and settles it"
    w.door(OpeningId("o"), DoorState.CLOSED)
    assert w.bank.compartments[SMALL].left_open is None
    assert w.last(e.LeftOpen) == e.LeftOpen(SMALL, over=True)
    w.do(c.Maintain(staff, True))
    w.do(c.See({SMALL: DoorState.OPEN}))
    w.do(c.Maintain(staff, False))
    w.do(c.Linger(SMALL, 600, True))
    assert w.state(SMALL) is CompartmentState.NEEDS_CHECK
    w.do(c.See({SMALL: DoorState.CLOSED}))
    assert w.last(e.LeftOpen) == e.LeftOpen(SMALL, over=True, compartment_state=CompartmentState.NEEDS_CHECK)
    w.do(c.Inspect(staff, SMALL, True))
    assert w.state(SMALL) is CompartmentState.VACANT
    holds(w)


def test_a_lost_board_is_one_alarm_until_it_is_found() -> None:
    w = wall()
    lost = c.See({SMALL: DoorState.UNKNOWN, LARGE: DoorState.UNKNOWN}, lost=True)
    assert w.do(lost).entries == (e.BoardLost((SMALL, LARGE)),)
    w.do(c.Boot("b", "s"))
    assert not w.do(lost).entries, "nor again after a restart"
    found = w.do(c.See({SMALL: DoorState.CLOSED, LARGE: DoorState.CLOSED})).entries
    assert found[-1] == e.BoardFound((SMALL, LARGE))
    w.do(c.Boot("b", "s"))
    assert w.do(lost).entries, "a board that is silent from the start is one too"


def test_a_band_is_crossed_once_each_way_and_silence_is_a_crossing() -> None:
    w = wall()
    told = [bool(w.do(c.SenseBand("fridge", (SMALL,), x, 5.0)).entries) for x in (True, False, False, None, True, True)]
    assert told == [False, True, False, True, True, False]
    w.do(c.SenseBand("fridge", (SMALL,), None))
    assert dict(w.bank.off_band) == {"fridge": None}
