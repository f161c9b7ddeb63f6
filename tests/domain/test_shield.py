"""The wall protects itself from the cloud: how many doors from afar, and what needs a signature."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.domain.test_story import LARGE, PARCEL, RETURN, SMALL, T0, Wall, about, stored_parcel

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.apply import fold
from latchwork.domain.bank import Bank, Policy, Shield
from latchwork.domain.words import (
    BankId,
    CompartmentState,
    DoorState,
    InstructionId,
    OpeningId,
    PassId,
    PersonId,
    Reason,
    Role,
    StayId,
)

KEY, OTHER = "ab" * 32, "cd" * 32
ANN, BOB = PersonId("ann"), PersonId("bob")
UNTIL = T0 + timedelta(hours=1)


class Told(Wall):
    """A wall that hears instructions signed and unsigned."""

    def told(
        self,
        body: c.Instruction,
        *signers: str,
        quiet_s: float = 0.0,
        until: datetime = UNTIL,
        name: str | None = None,
    ) -> Reason | None:
        number = self.bank.instructions_through + 1
        instruction = InstructionId(name or self.fresh())
        self.do(
            c.Instructed(
                number,
                instruction,
                "0" * 64,
                body,
                self.now,
                self.offer(),
                signers=signers,
                signed_until=until,
                quiet_s=quiet_s,
            )
        )
        answer = self.last(e.Answered)
        assert isinstance(answer, e.Answered)
        assert fold(Bank(BankId("b" * 32)), self.log) == self.bank
        return answer.refusal

    def open(self, *signers: str, second: PersonId | None = None, quiet_s: float = 0.0) -> Reason | None:
        """Asked for by Ann; done at once."""
        opening = OpeningId(self.fresh())
        until = self.now + timedelta(minutes=1)
        refusal = self.told(c.Open(opening, LARGE, Reason.OTHER, ANN, until, second=second), *signers, quiet_s=quiet_s)
        if refusal is None:
            self.unlock()
            self.swing(opening)
        return refusal


def wall(*guards: str) -> Told:
    told = Told()
    if guards:
        told.do(c.Guard(guards))
    return told


# How many doors


def test_one_person_opens_some_doors_two_some_more_and_then_the_wall_stops_listening() -> None:
    w = wall()
    assert [w.open() for _ in range(policy.REMOTE_ALONE_MAX)] == [None] * policy.REMOTE_ALONE_MAX
    assert w.open() is Reason.SECOND_PERSON
    assert w.open(second=ANN) is Reason.SECOND_PERSON
    more = policy.REMOTE_MAX - policy.REMOTE_ALONE_MAX
    assert [w.open(second=BOB) for _ in range(more)] == [None] * more
    assert w.open(second=BOB) is Reason.REMOTE_LIMIT
    assert w.bank.shield.stopped and isinstance(w.log[-2].body, e.RemoteStopped)
    assert w.open(second=BOB, quiet_s=1_000_000) is Reason.REMOTE_LIMIT  # no patience helps
    assert sum(isinstance(x.body, e.RemoteStopped) for x in w.log) == 1


def test_staff_at_the_wall_has_it_listen_again() -> None:
    w = wall()
    w.bank = replace(w.bank, shield=Shield(stopped=True, debt_s=policy.REMOTE_MAX * policy.REMOTE_EASE_S))
    w.log.clear()
    courier, staff = w.sign_in("courier"), w.sign_in("staff")
    assert w.do(c.Listen(courier)).refusal == c.Refusal(Reason.NO_ACCESS)
    assert w.do(c.Listen(staff)).refusal is None
    assert w.bank.shield == Shield()


def test_the_server_cannot_have_itself_listened_to_again() -> None:
    assert wall().told(c.Listen()) is Reason.NO_ACCESS


def test_only_quiet_makes_room_and_only_as_much_as_it_lasted() -> None:
    w = wall()
    for _ in range(policy.REMOTE_ALONE_MAX):
        assert w.open() is None
    w.now += timedelta(days=1)  # what the clock says does not count: the server sets it
    assert w.open() is Reason.SECOND_PERSON
    assert w.open(quiet_s=policy.REMOTE_EASE_S - 1) is Reason.SECOND_PERSON
    assert w.open(quiet_s=policy.REMOTE_EASE_S) is None
    assert w.open() is Reason.SECOND_PERSON


# A guarded wall


def widening(w: Told, stay: StayId) -> dict[str, c.Instruction]:
    """Every instruction after which somebody can open what they could not open before."""
    offered = w.bank.policy
    return {
        "another service": c.Adopt(2, replace(offered, services=(*offered.services[:2],))),
        "another ticket key": c.Adopt(2, replace(offered, ticket_keys={"00": KEY})),
        "compartments set aside": c.Adopt(2, replace(offered, set_aside={SMALL: (PARCEL.id,)})),
        "for somebody else": c.Amend(stay, recipient=PersonId("thief")),
        "freed": c.Amend(stay, blocked=False),
        "staff": c.GrantPass(PassId("p1"), Role.STAFF),
        "a delegate": c.GrantPass(PassId("p2"), Role.PERSON, stay=stay),
        "a door": c.Open(OpeningId("o"), LARGE, Reason.OTHER, ANN, UNTIL),
        "vouching": c.Check(LARGE, True, ANN, UNTIL),
        "other guards": c.Guard((OTHER,)),
        "no guards": c.Guard(()),
        "listen": c.Listen(),
    }


def test_nothing_that_widens_is_done_unsigned_and_all_of_it_signed() -> None:
    for name in widening(wall(), StayId("s")):
        w = wall(KEY)
        stay = stored_parcel(w)
        if name == "freed":
            assert w.told(c.Amend(stay, blocked=True)) is None
        before = w.bank
        body = widening(w, stay)[name]
        assert w.told(body) is Reason.UNSIGNED, name
        assert replace(w.bank, seq=0, instructions_through=0, answered=()) == replace(
            before, seq=0, instructions_through=0, answered=()
        ), name
        assert w.told(body, KEY) is None, name


def test_ordinary_deliveries_need_no_signature() -> None:
    w = wall(KEY)
    stay = stored_parcel(w)
    held = w.bank.stays[stay].pickup
    assert held is not None
    offered = w.bank.policy
    for body in (
        c.Expect(StayId("s2"), about(RETURN), drop_off=PassId("d")),
        c.Cancel(StayId("s2")),
        c.Amend(stay, until=T0 + timedelta(days=9)),
        c.Amend(stay, blocked=True),
        c.Adopt(2, replace(offered, fallbacks=("desk",), utc_offsets=((T0, 60),))),
        c.Withdraw((SMALL,)),
        c.Withdraw((SMALL,), back=True),
        c.RevokePass(PassId("courier")),
    ):
        assert w.told(body) is None, body


def test_a_signature_counts_once_and_ends_by_the_banks_own_time_too() -> None:
    w = wall(KEY)
    body = c.GrantPass(PassId("p1"), Role.STAFF)
    assert w.told(body, KEY, until=w.now) is Reason.EXPIRED
    assert w.told(body, KEY, name="once") is None
    assert w.told(c.RevokePass(PassId("p1"))) is None
    for n in range(300):  # the wall forgets to whom it answered, not what was signed
        w.told(c.Cancel(StayId(f"none-{n}")))
    assert w.told(body, KEY, name="once") is Reason.NUMBER_REUSED
    assert PassId("p1") not in w.bank.passes
    w.now = UNTIL
    assert w.told(c.GrantPass(PassId("p2"), Role.STAFF), KEY) is Reason.EXPIRED
    assert w.told(c.GrantPass(PassId("p2"), Role.STAFF), KEY, until=UNTIL + timedelta(hours=1)) is None
    assert [name for _, name in w.bank.shield.signed] != ["once"]  # what has ended need not be remembered


def test_two_who_have_signed_open_as_many_as_they_like() -> None:
    w = wall(KEY, OTHER)
    assert all(w.open(KEY, OTHER) is None for _ in range(2 * policy.REMOTE_MAX))
    assert [w.open(KEY) for _ in range(policy.REMOTE_ALONE_MAX + 1)][-1] is Reason.SECOND_PERSON


@pytest.mark.parametrize("keys", [("x" * 64,), ("ab" * 31,), (KEY, KEY), tuple(f"{n:064x}" for n in range(9))])
def test_what_is_no_key_guards_nothing(keys: tuple[str, ...]) -> None:
    assert wall().told(c.Guard(keys)) is Reason.NOT_UNDERSTOOD
    assert wall().do(c.Guard(keys)).refusal == c.Refusal(Reason.NOT_UNDERSTOOD)


def test_the_last_unsigned_instruction_sets_guards_and_a_signed_one_takes_them_away() -> None:
    w = wall()
    steps: list[tuple[tuple[str, ...], tuple[str, ...]]] = [((KEY,), ()), ((OTHER,), (KEY,)), ((), (OTHER,))]
    for guards, signers in steps:
        assert w.told(c.Guard(guards), *signers) is None
        assert w.bank.shield.guards == guards
    assert w.told(c.GrantPass(PassId("p1"), Role.STAFF)) is None


def test_no_log_from_the_cloud_takes_the_shield_away() -> None:
    w = wall(KEY)
    own = Shield((KEY,), ((UNTIL, InstructionId("once")),), 3600, True)
    liar = replace(w.bank, shield=Shield((OTHER,)))
    w.bank = liar
    began = w.do(c.Recover(w.bank.seq, "00", shield=own)).entries[0]
    assert isinstance(began, e.EpochBegan) and began.shield == own
    assert w.bank.shield == own


def test_a_new_controller_takes_over_the_guards_that_stood_in_the_log() -> None:
    w = wall(KEY)
    w.do(c.Recover(w.bank.seq, "00"))
    assert w.bank.shield.guards == (KEY,)
    assert w.told(c.GrantPass(PassId("p1"), Role.STAFF)) is Reason.UNSIGNED


def test_what_is_in_doubt_is_not_given_away_by_a_servers_word() -> None:
    w = wall(KEY)
    w.do(c.See({LARGE: DoorState.OPEN}))
    assert w.state(LARGE) is CompartmentState.NEEDS_CHECK
    assert w.told(c.Check(LARGE, True, ANN, UNTIL)) is Reason.UNSIGNED
    assert w.state(LARGE) is CompartmentState.NEEDS_CHECK
    assert w.bank.policy == Policy(w.bank.policy.services)
