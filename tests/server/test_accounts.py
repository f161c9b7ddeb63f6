"""Accounts, second factors, sessions, links and guesses, with a clock that the test moves."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from tests.server.offices import NOON, Clock, an_office

from latchwork.server.actions import access, accounts, factors, guesses, links, passwords, sessions
from latchwork.server.actions.accounts import Account
from latchwork.server.actions.common_passwords import is_common
from latchwork.server.actions.links import Link, Purpose
from latchwork.server.actions.office import Declined, Office
from latchwork.server.actions.sessions import Session, Stage

EMAIL = "grace@example.org"
GOOD = "seven purple teapots sing"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def first_owner(office: Office, email: str = EMAIL) -> Account:
    await access.begin(office, lambda token: None)
    address = await links.owner_link(office)
    assert address is not None
    return await accounts.accept(office, await _found(office, address), "Grace Hopper", email, GOOD)


async def _found(office: Office, address: str) -> Link:
    return await links.find(office, address.rsplit("/", 1)[1])


async def with_app(office: Office, account: Account) -> tuple[Account, list[str]]:
    code = factors.totp(office.vault.app_secret(account.id, 1), factors.step_of(office.now()))
    session = await _session(office, await accounts.begin_session(office, account, "password", FIREFOX, Stage.SETUP))
    codes = await accounts.use_app(office, session, code)
    return await accounts.read(office, account.id), codes


async def _session(office: Office, secret: str) -> Session:
    found = await sessions.find(office, secret)
    assert found is not None
    return found


async def _signs_in(
    office: Office, password: str, *, email: str = EMAIL, device: str = "", caller: str = "192.0.2.7"
) -> str:
    """ "yes", "no", or "wait"."""
    try:
        found = await accounts.password_fits(office, email, password, caller, device)
    except Declined as declined:
        assert (declined.status, declined.reason) == (429, "slow_down") and declined.retry_after_s
        return "wait"
    return "yes" if found else "no"


def test_codes_are_those_of_rfc_6238() -> None:
    secret = b"12345678901234567890"
    for at, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")):
        assert factors.totp(secret, at // 30) == code


@pytest.mark.parametrize(
    "weak", ["short", "a" * 40, "password-is-long-enough", "grace is a fine name", "1234567890123", "x" * 129]
)
async def test_what_everybody_tries_first_is_no_password(weak: str) -> None:
    with pytest.raises(Declined) as told:
        await passwords.check(None, weak, EMAIL, "Grace Hopper")
    assert told.value.reason == "weak_password"
    await passwords.check(None, GOOD, EMAIL, "Grace Hopper")


async def test_passwords_are_kept_at_a_price(real_hasher: PasswordHasher) -> None:
    stored = real_hasher.hash(GOOD)
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.fits(stored, GOOD)
    assert not await passwords.fits(stored, GOOD + "!")
    assert not await passwords.fits(None, GOOD)


_MOST_USED = """
    q1w2e3r4t5y6 1qaz2wsx3edc 111222tianya 1q2w3e4r5t6y qwerty123456 123qweasdzxc polniypizdec0211 123456qwerty
    megaparol12345 Megaparol12345 123456654321 Telechargement 123456123456 YfDbUfNjH10305070 justinbieber
    PolniyPizdec110211 1q2w3e4r5t6y7u8i9o0p qwertyqwerty 123456789123 112233445566 123456789987654321 startfinding
    MaprCheM56458 qazwsxedcrfv N8ZGT5P0sHw= PE#5GZ29PTZMSE Sojdlg123aljg administrator theworldinyourhand
    admintelecom
"""
COMMON = _MOST_USED.split()
"""Those of twelve characters and more among the four thousand that people use most, by two public counts."""


def test_a_password_that_many_use_is_refused_without_a_list_of_them() -> None:
    made = ("Summer2024!!!", "iloveyou12345", "Letmein@2025!", "welcomewelcome", "M0nkeyDr4gon1", "abcabcabcabc1",
            "Correct Horse Battery Staple", "adminadmin123", "football-2019")  # fmt: skip
    good = (GOOD, "nine yellow kettles hum", "kX9#tq0Lm2vWz", "zuckerwatte im regen", "a duck, a plan, panama")
    taken = [word for word in (*COMMON, *made) if len(word) >= 12 and not is_common(word)]
    assert (taken, [word for word in good if is_common(word)]) == ([], [])


async def test_the_first_owner_comes_by_a_link_that_works_once(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        await access.begin(office, lambda token: None)
        old = await links.owner_link(office)
        new = await links.owner_link(office)
        assert old and new
        with pytest.raises(Declined):
            await _found(office, old)
        link = await _found(office, new)
        made = await accounts.accept(office, link, " Grace   Hopper ", " Grace@Example.org", GOOD)
        assert (made.email, made.name, made.role) == (EMAIL, "Grace Hopper", "owner")
        assert made.password is not None and made.password.startswith("$argon2id$")
        with pytest.raises(Declined) as told:
            await accounts.accept(office, link, "Mallory", "mallory@example.org", GOOD)
        assert told.value.status == 404
        assert await links.owner_link(office) is None, "there is an owner"


async def test_no_row_of_a_stolen_database_makes_a_link_or_a_code(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        account, codes = await with_app(office, await first_owner(office))
        secret = await accounts.begin_session(office, account, "passkey", FIREFOX, Stage.FULL)
        link = (await links.make(office, Purpose.INVITATION, account.organisation, email="a@example.org")).link
        assert link is not None
        kept = [office.vault.app_secret(account.id, 1).hex(), GOOD, secret, link.rsplit("/", 1)[1], *codes]
        for table in ("accounts", "sessions", "links", "guesses", "tokens"):
            rows = str(await office.store.fetch(f"TABLE {table}"))
            assert [each for each in kept if each in rows] == [], table


async def test_a_link_of_one_purpose_is_none_of_another(database: str, tmp_path: Path) -> None:
    clock = Clock()
    async with an_office(database, tmp_path, clock) as office:
        account = await first_owner(office)
        made = await links.make(office, Purpose.INVITATION, account.organisation, email="b@example.org", role="auditor")
        assert made.link is not None
        row = (await links.find(office, made.link.rsplit("/", 1)[1])).id
        for purpose in set(Purpose) - {Purpose.INVITATION}:
            with pytest.raises(Declined):
                await links.find(office, office.vault.one_time(purpose, row))
        for broken in ("", "x" * 43, made.link[-43:-1] + "!", row):
            with pytest.raises(Declined):
                await links.find(office, broken)
        clock.move(days=8)
        with pytest.raises(Declined):
            await links.find(office, made.link.rsplit("/", 1)[1])


async def test_two_who_use_one_link_at_once_make_one_account(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        account = await first_owner(office)
        made = await links.make(office, Purpose.INVITATION, account.organisation, email="b@example.org", role="auditor")
        assert made.link is not None
        link = await _found(office, made.link)
        tries = [accounts.accept(office, link, "Bob", "", GOOD) for _ in range(4)]
        done = await asyncio.gather(*tries, return_exceptions=True)
        assert len([each for each in done if isinstance(each, Account)]) == 1
        assert all(isinstance(each, Account | Declined) for each in done)


async def test_an_address_with_an_account_gets_no_second_one(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        account = await first_owner(office)
        made = await links.make(office, Purpose.INVITATION, account.organisation, email=EMAIL, role="auditor")
        assert made.link is not None
        with pytest.raises(Declined) as told:
            await accounts.accept(office, await _found(office, made.link), "Grace", "", GOOD)
        assert told.value.reason == "address_taken"
        await _found(office, made.link)  # and the link is still good


async def test_a_code_of_the_app_works_once_and_only_in_its_time(database: str, tmp_path: Path) -> None:
    clock = Clock()
    async with an_office(database, tmp_path, clock) as office:
        account, _ = await with_app(office, await first_owner(office))
        secret = office.vault.app_secret(account.id, 1)

        def code(seconds: float = 0) -> str:
            return factors.totp(secret, factors.step_of(clock()) + int(seconds // 30))

        assert await accounts.second_fits(office, account, code()) is None, "it set the app up"
        clock.move(seconds=30)
        assert await accounts.second_fits(office, account, code()) == "password and app"
        assert await accounts.second_fits(office, account, code()) is None
        assert await accounts.second_fits(office, account, code(30)) == "password and app", "a clock that is fast"
        assert await accounts.second_fits(office, account, code()) is None, "an older one than the last"
        clock.move(hours=1)
        assert await accounts.second_fits(office, account, code(60)) is None
        assert await accounts.second_fits(office, account, code(-60)) is None


async def test_each_recovery_code_works_once_and_new_ones_replace_all(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        account, codes = await with_app(office, await first_owner(office))
        assert len(set(codes)) == 10 and account.recovery_left == 10
        assert await accounts.second_fits(office, account, codes[3].upper()) == "password and recovery code"
        assert await accounts.second_fits(office, account, codes[3]) is None
        session = await _session(office, await accounts.begin_session(office, account, "x", FIREFOX, Stage.FULL))
        newer = await accounts.recovery_codes(office, session)
        account = await accounts.read(office, account.id)
        assert await accounts.second_fits(office, account, codes[4]) is None
        assert await accounts.second_fits(office, account, newer[4]) == "password and recovery code"


async def test_guessing_a_second_factor_gets_slow(database: str, tmp_path: Path) -> None:
    clock = Clock()
    async with an_office(database, tmp_path, clock) as office:
        account, codes = await with_app(office, await first_owner(office))
        tries = 0
        for _ in range(24 * 60):
            clock.move(minutes=1)
            try:
                await accounts.second_fits(office, account, "000000-")
                tries += 1
            except Declined:
                pass
        assert 90 < tries < 130, "in a day, against a million codes of which three are right"
        clock.move(minutes=16)
        assert await accounts.second_fits(office, account, codes[0]), "and it is never locked"


async def test_a_stranger_cannot_lock_the_owner_out(database: str, tmp_path: Path) -> None:
    clock = Clock()
    async with an_office(database, tmp_path, clock) as office:
        account = await first_owner(office)
        browser = accounts.known_device(office, account)
        said = [await _signs_in(office, "wrong") for _ in range(40)]
        assert said[:5] == ["no"] * 5 and set(said[5:]) == {"wait"}
        assert await _signs_in(office, GOOD, caller="203.0.113.9") == "wait", "from an unknown browser"
        assert await _signs_in(office, GOOD, device=browser) == "yes", "from the one that was here before"
        assert await _signs_in(office, GOOD, device=browser[:-1]) == "wait"
        assert await _signs_in(office, GOOD, device=browser, email="other@example.org") == "no", "it is another's mark"
        clock.move(minutes=16)
        assert await _signs_in(office, GOOD, caller="203.0.113.9") == "yes"
        assert await _signs_in(office, "wrong", caller="203.0.113.9") == "no", "what was right starts the count anew"


async def test_a_day_of_guessing_is_about_a_hundred_tries_an_account(database: str, tmp_path: Path) -> None:
    clock = Clock()
    async with an_office(database, tmp_path, clock) as office:
        counted = guesses.by(office, "account", EMAIL)
        tries = 0
        while clock() < NOON + timedelta(days=1):
            try:
                await guesses.count(office, [counted])
                tries += 1
            except Declined as declined:
                clock.move(seconds=declined.retry_after_s or 1)
        assert 90 < tries < 130


async def test_a_range_of_addresses_gets_slow_and_others_do_not(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        for n in range(60):
            try:
                await guesses.count(office, [guesses.by_range(office, f"198.51.100.{n}")])
            except Declined:
                break
        assert n == 50
        await guesses.count(office, [guesses.by_range(office, "198.51.101.1")])
        await guesses.count(office, [guesses.by_range(office, "2001:db8::1")])


async def test_many_guesses_at_once_gain_nothing(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        counted = guesses.by(office, "account", EMAIL)
        tries = await asyncio.gather(*(guesses.count(office, [counted]) for _ in range(40)), return_exceptions=True)
        assert len([each for each in tries if each is None]) == 5


async def test_sessions_end_by_age_by_idleness_and_by_hand(database: str, tmp_path: Path) -> None:
    clock = Clock()
    async with an_office(database, tmp_path, clock) as office:
        account = await first_owner(office)

        async def fresh() -> str:
            return await accounts.begin_session(office, account, "passkey", FIREFOX, Stage.FULL)

        idle, busy = await fresh(), await fresh()
        for _ in range(23):
            clock.move(minutes=30)
            assert await sessions.find(office, busy) is not None
        assert await sessions.find(office, idle) is None
        clock.move(minutes=31)
        assert await sessions.find(office, busy) is None, "twelve hours are over"
        watching = await fresh()
        for _ in range(3):
            clock.move(minutes=29)
            last = await sessions.find(office, watching, used=False)
        assert last is None, "a page that keeps itself fresh is not somebody who does something"
        one, other = await _session(office, await fresh()), await _session(office, await fresh())
        shown = await sessions.all_of(office, one)
        assert [(s.device, s.here) for s in shown if s.here] == [("Firefox on Linux", True)] and len(shown) == 2
        await sessions.end(office, one, other.id)
        with pytest.raises(Declined):
            await sessions.end(office, one, other.id)
        assert [s.id for s in await sessions.all_of(office, one)] == [one.id]
        half = await accounts.begin_session(office, account, "password", FIREFOX, Stage.SECOND)
        clock.move(minutes=16)
        assert await sessions.find(office, half) is None
        await sessions.sweep(office)
        assert len(await office.store.fetch("TABLE sessions")) == 2


async def test_nobody_ends_the_session_of_another(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        grace = await first_owner(office)
        made = await links.make(office, Purpose.INVITATION, grace.organisation, email="m@example.org", role="manager")
        assert made.link is not None
        mallory = await accounts.accept(office, await _found(office, made.link), "Mallory", "", GOOD)
        hers = await _session(office, await accounts.begin_session(office, grace, "x", FIREFOX, Stage.FULL))
        his = await _session(office, await accounts.begin_session(office, mallory, "x", FIREFOX, Stage.FULL))
        with pytest.raises(Declined):
            await sessions.end(office, his, hers.id)
        for forbidden in (
            accounts.invite(office, his.who, "x@example.org", "owner"),
            accounts.set_role(office, his.who, mallory.id, "owner"),
            accounts.remove(office, his.who, grace.id),
            accounts.recover(office, his.who, grace.id),
            accounts.sign_out(office, his.who, grace.id),
        ):
            with pytest.raises(Declined) as told:
                await forbidden
            assert told.value.status == 403


async def test_changing_how_one_signs_in_needs_a_recent_sign_in(database: str, tmp_path: Path) -> None:
    clock = Clock()
    async with an_office(database, tmp_path, clock) as office:
        account, _ = await with_app(office, await first_owner(office))
        session = await _session(office, await accounts.begin_session(office, account, "x", FIREFOX, Stage.FULL))
        other = await accounts.begin_session(office, account, "x", FIREFOX, Stage.FULL)
        with pytest.raises(Declined, match="not the password that you have now"):
            await accounts.change_password(office, session, GOOD + " again", "something else")
        clock.move(minutes=14)
        asked = iter([clock()])
        slow = replace(office, now=lambda: next(asked, clock() + timedelta(minutes=2)))  # while the work is being done
        await accounts.change_password(slow, session, GOOD + " again", GOOD)
        assert await sessions.find(office, other) is None
        assert await _signs_in(office, GOOD) == "no" and await _signs_in(office, GOOD + " again") == "yes"
        clock.move(minutes=16)
        for late in (
            accounts.change_password(office, session, GOOD, GOOD + " again"),
            sessions.end_another(office, session, session.id),
            sessions.end_others(office, session),
            accounts.recovery_codes(office, session),
            accounts.use_app(office, session, "000000"),
        ):
            with pytest.raises(Declined) as told:
                await late
            assert told.value.reason == "sign_in_again"


async def test_a_password_by_mail_keeps_the_second_factor_and_another_owner_lets_begin_anew(
    database: str, tmp_path: Path
) -> None:
    async with an_office(database, tmp_path, Clock(), mails=True) as office:
        account, codes = await with_app(office, await first_owner(office))
        old = await accounts.begin_session(office, account, "x", FIREFOX, Stage.FULL)
        await links.ask_reset(office, f" {EMAIL.upper()} ", "192.0.2.1")
        await links.ask_reset(office, "nobody@example.org", "192.0.2.1")
        (row,) = await office.store.fetch("SELECT id FROM links WHERE purpose = 'reset'")
        letter = await links.letter(office, row["id"])
        assert letter is not None and letter.to == EMAIL
        assert await accounts.new_password(office, await _found(office, letter.address), GOOD + "!") is not None
        assert await sessions.find(office, old) is None
        assert await links.letter(office, row["id"]) is None, "a mail that would come too late is not sent"
        account = await accounts.read(office, account.id)
        assert account.app is not None and await accounts.second_fits(office, account, codes[0])

        who = (await _session(office, await accounts.begin_session(office, account, "x", FIREFOX, Stage.FULL))).who
        assert (await accounts.recover(office, who, account.id)).link is None, "it goes to its address only"
        (row,) = await office.store.fetch("SELECT id FROM links WHERE purpose = 'recovery'")
        letter = await links.letter(office, row["id"])
        assert letter is not None and letter.to == EMAIL
        account = await accounts.new_password(office, await _found(office, letter.address), GOOD)
        assert account.app is None and account.recovery_left == 0
        assert await accounts.second_fits(office, account, codes[1]) is None
        assert accounts.next_app(account) == 2, "the lost phone's secret never counts again"


async def test_the_last_owner_stays_even_when_two_leave_at_once(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        grace = await first_owner(office)
        who = (await _session(office, await accounts.begin_session(office, grace, "x", FIREFOX, Stage.FULL))).who
        with pytest.raises(Declined):
            await accounts.remove(office, who, grace.id)
        made = await accounts.invite(office, who, "o@example.org", "owner")
        assert made.link is not None
        other = await accounts.accept(office, await _found(office, made.link), "Other", "", GOOD)
        done = await asyncio.gather(
            accounts.set_role(office, who, grace.id, "auditor"),
            accounts.remove(office, who, other.id),
            return_exceptions=True,
        )
        assert len([each for each in done if isinstance(each, Declined)]) == 1
        assert [member.role for member in await accounts.team(office, who)].count("owner") == 1

        made = await accounts.invite(office, who, "t@example.org", "technician")
        assert made.link is not None
        third = await accounts.accept(office, await _found(office, made.link), "Third", "", GOOD)
        signed_in = await accounts.begin_session(office, third, "x", FIREFOX, Stage.FULL)
        assert await sessions.find(office, signed_in)
        await accounts.sign_out(office, who, third.id)
        assert await sessions.find(office, signed_in) is None, "an owner signs somebody out"
        signed_in = await accounts.begin_session(office, third, "x", FIREFOX, Stage.FULL)
        await accounts.remove(office, who, third.id)
        assert await sessions.find(office, signed_in) is None, "whoever is removed is signed out"


async def test_the_team_of_another_organisation_does_not_exist(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        grace = await first_owner(office)
        elsewhere = await access.create_organisation(office, "Others")
        link = await _found(office, elsewhere.owner_link)
        eve = await accounts.accept(office, link, "Eve", "eve@example.org", GOOD)
        assert eve.organisation == elsewhere.organisation != grace.organisation
        who = (await _session(office, await accounts.begin_session(office, eve, "x", FIREFOX, Stage.FULL))).who
        assert [member.id for member in await accounts.team(office, who)] == [eve.id]
        for hidden in (
            accounts.set_role(office, who, grace.id, "auditor"),
            accounts.remove(office, who, grace.id),
            accounts.recover(office, who, grace.id),
        ):
            with pytest.raises(Declined) as told:
                await hidden
            assert told.value.status == 404


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("<script>alert(1)</script>", "A browser"),
        ("", "A browser"),
    ],
)
def test_a_browser_is_called_as_its_owner_would(agent: str, device: str) -> None:
    assert sessions.described(agent) == device
