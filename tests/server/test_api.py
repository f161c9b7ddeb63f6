"""The API as a machine meets it: a parcel's life, every no as a problem, and nothing done without a token."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar.routes import HTTPRoute
from tests.server.town import Town, WallBank, town

from latchwork.domain import commands as c
from latchwork.domain.words import BankId, CompartmentId, CompartmentState, ServiceId, Size
from latchwork.server.actions.office import WRONG_MAX
from latchwork.sync.keys import enrol_text

OPEN_TO_ALL = {
    ("POST", "/api/v1/enrolments"),
    ("POST", "/api/v1/enrolments/rotation"),
    ("POST", "/operator/sign-in"),
    ("POST", "/operator/sign-in/passkey"),
    ("POST", "/operator/forgot"),
    ("POST", "/operator/link/{token}"),
    ("POST", "/me/code"),
    ("POST", "/me/enter"),
    ("POST", "/me/passkey"),
}
"""Who may change something without a token: one with a one-time code, and one who shows a token in a form."""
NOBODY = "0" * 32
NOBODYS_KEY = {"public_key": "ab" * 32, "signature": "ab" * 64}


def is_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = answer.json()
    assert said["status"] == status
    assert said["title"] and said["detail"] and said["reason"]
    return said


async def test_a_parcels_life_through_the_api(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        accepted = await place.announce("LW-1", size={"width_mm": 300, "height_mm": 80, "depth_mm": 400})
        stay = await place.ask("GET", f"stays/{accepted['id']}")
        assert (stay["state"], stay["confirmed"], stay["pending"]) == ("expected", False, ["Expect"])
        assert stay["recipient_name"] == "Ada Lovelace"

        await place.wall.sync()
        stay = await place.ask("GET", f"stays/{accepted['id']}")
        assert (stay["confirmed"], stay["pending"]) == (True, [])
        await place.wall.put_in(place.courier, accepted["id"])
        await place.wall.sync()
        stay = await place.ask("GET", f"stays/{accepted['id']}")
        assert stay["state"] == "deposited"
        assert stay["compartment"] == "01"
        walls = await place.ask("GET", f"banks/{place.bank}/compartments")
        assert walls["as_of"] is not None
        assert [x["state"] for x in walls["compartments"]][:2] == ["occupied", "vacant"]

        await place.wall.collect(accepted["id"])
        await place.wall.sync()
        stay = await place.ask("GET", f"stays/{accepted['id']}")
        assert stay["state"] == "collected"
        story = [event["kind"] for event in await place.ask("GET", f"stays/{accepted['id']}/timeline")]
        assert story == [
            *("Announced", "Expected", "Claimed", "Opened", "Closed", "Stored"),
            *("SessionBegan", "Opened", "Closed", "Collected"),
        ]
        listed = await place.ask("GET", f"stays?bank={place.bank}&live=true")
        assert listed == []
        assert [x["id"] for x in await place.ask("GET", "stays")] == [accepted["id"]]


async def test_an_unannounced_deposit_and_its_late_announcement_are_one_stay(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        office = place.cloud.office
        label = office.vault.label(place.bank, 1, "LW-7")
        held = await place.wall.put_in(place.courier, label=label, recipient=place.person, party=place.party)
        accepted = await place.announce("LW-7")
        await place.wall.sync()
        stay = await place.ask("GET", f"stays/{accepted['id']}")
        assert (stay["state"], stay["linked_to"], stay["tracking"]) == ("deposited", held, "LW-7")
        assert len(await place.ask("GET", "stays")) == 1


async def test_a_stay_is_cancelled_and_a_thing_inside_is_not(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        gone, inside = await place.announce("LW-1"), await place.announce("LW-2")
        asked = await place.ask("DELETE", f"stays/{gone['id']}", 202)
        await place.wall.sync()
        assert (await place.ask("GET", f"stays/{gone['id']}"))["state"] == "cancelled"
        assert (await place.ask("GET", f"instructions/{asked['instruction']}"))["state"] == "done"
        await place.wall.put_in(place.courier, inside["id"])
        await place.wall.sync()
        assert (await place.ask("DELETE", f"stays/{inside['id']}", 409))["reason"] == "parcel_not_available"


async def test_a_return_shows_its_code_until_it_is_in(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        accepted = await place.announce("LW-R", service="return", recipient=None)
        await place.wall.sync()
        stay = await place.ask("GET", f"stays/{accepted['id']}")
        granted = place.wall.bank.passes[place.wall.pass_with(stay["drop_off_digits"])].grant
        assert granted.stay == accepted["id"]


async def test_a_door_is_opened_with_a_reason_and_a_note_that_the_log_does_not_hold(
    database: str, tmp_path: Path
) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        path = f"banks/{place.bank}/compartments/03"
        body = {"reason": "maintenance", "note": "Hinge squeaks, says Ada"}
        asked = await place.ask("POST", f"{path}/open", 202, json=body)
        await place.wall.sync()
        await place.wall.swing()
        await place.wall.sync()
        done = await place.ask("GET", f"instructions/{asked['instruction']}")
        assert (done["state"], done["opening_state"]) == ("done", "shut")
        (opening,) = await place.ask("GET", f"{path}/openings")
        assert (opening["purpose"], opening["reason"]) == ("service", "maintenance")
        log = b"".join(place.wall.journal.entries(0, place.wall.journal.size))
        assert b"Hinge" not in log
        assert b"note_sha256" in log
        seen = (await place.ask("POST", f"{path}/check", 202, json={"empty": True}))["instruction"]
        asked = await place.ask("GET", f"instructions/{seen}")
        took = datetime.fromisoformat(asked["not_after"]) - datetime.fromisoformat(asked["asked_at"])
        assert abs(took - timedelta(minutes=10)) < timedelta(seconds=1)
        connection = await asyncpg.connect(database)
        await connection.execute("UPDATE instructions SET not_after = now() - interval '1 s' WHERE id = $1", seen)
        await connection.close()
        await place.wall.sync()
        late = await place.ask("GET", f"instructions/{seen}")
        assert (late["state"], late["refusal"]) == ("void", "expired"), "what was seen long ago is not believed"
        await place.ask("POST", f"banks/{place.bank}/compartments/99/open", 404, json=body)
        await place.ask("POST", f"{path}/open", 422, json={"reason": "smallest_fit"})


async def test_passes_are_asked_for_live_and_revoked(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        asked = await place.ask("POST", "passes", 202, json={"bank": place.bank, "role": "staff", "holder": "Bo"})
        assert (asked["state"], asked["digits"]) == ("asked", None)
        await place.wall.sync()
        live = await place.ask("GET", f"passes/{asked['id']}")
        assert (live["state"], live["holder"], len(live["digits"])) == ("live", "Bo", 6)
        await place.ask("DELETE", f"passes/{asked['id']}", 202)
        await place.wall.sync()
        revoked = await place.ask("GET", f"passes/{asked['id']}")
        assert (revoked["state"], revoked["digits"]) == ("revoked", None)
        await place.ask("POST", "passes", 422, json={"bank": place.bank, "role": "person"})


async def test_services_are_replaced_by_the_next_policy(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        quick = {"id": "quick", "deposit_by": "courier", "collect_by": "person", "pickup_hours_max": 0}
        assert "parcel" in place.wall.bank.services
        await place.ask("PUT", f"banks/{place.bank}/services", 202, json={"services": [quick]})
        await place.wall.sync()
        assert (list(place.wall.bank.services), place.wall.bank.policy_version) == (["quick"], 2)
        await place.announce("LW-Q", service="quick")
        assert (await place.announce("LW-P", 422, service="parcel"))["reason"] == "unknown_service"


async def test_services_and_rules_are_data(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        services = f"banks/{place.bank}/services"
        small = {"width_mm": 300, "height_mm": 100, "depth_mm": 400}
        letter: dict[str, Any] = {
            "id": "letter", "deposit_by": "courier", "collect_by": "person", "pickup_hours_max": 48,
            "party": place.party, "size_max": small, "shares": "recipient", "reminder_hours": [24],
            "hours": [{"weekday": 0, "since": 480, "to": 1200}], "day_ends": 1200, "extensions_max": 1,
            "extension_hours": 24, "late_collection": False, "at_end": "return", "reopen_minutes": 5,
        }  # fmt: skip
        parcel = {"id": "parcel", "deposit_by": "courier", "collect_by": "person", "pickup_hours_max": 72}
        await place.ask("PUT", services, 202, json={"services": [parcel, letter]})
        rules = {
            "set_aside": {"01": ["letter"]}, "in_reach_kept": 2, "fallbacks": ["shelf", "desk"], "neighbour": None,
            "directory": "names",
        }  # fmt: skip
        assert b'"A. L."' in (place.wall.journal.document("directory") or b"")
        await place.ask("PUT", f"banks/{place.bank}/policy", 202, json=rules)
        assert await place.ask("GET", f"banks/{place.bank}/policy") == rules
        await place.wall.sync()
        held = place.wall.bank
        assert (held.policy_version, held.policy.in_reach_kept, held.policy.fallbacks) == (3, 2, ("shelf", "desk"))
        assert held.policy.set_aside == {"01": ("letter",)}
        assert b'"Ada Lovelace"' in (place.wall.journal.document("directory") or b"")
        told = {s["id"]: s for s in await place.ask("GET", services)}
        assert {k: told["letter"][k] for k in letter} == letter
        assert told["parcel"]["reopen_minutes"] == 10
        assert held.services[ServiceId("letter")].size_max == Size(300, 100, 400)

        tiny = {"width_mm": 200, "height_mm": 20, "depth_mm": 300}
        for size, service in ((tiny, "letter"), (None, "parcel")):
            stay = await place.announce(f"LW-{service}", size=size)
            assert (await place.ask("GET", f"stays/{stay['id']}"))["service"] == service
        for wrong in (
            {"extensions_max": 1, "extension_hours": 0},
            {"hours": [{"weekday": 0, "since": 600, "to": 480}]},
            {"walk_in": True},
            {"party": NOBODY},
        ):
            answer = await place.ask("PUT", services, 422, json={"services": [parcel, {**letter, **wrong}]})
            assert "letter" in answer["detail"]
        gone = await place.ask("PUT", services, 422, json={"services": [parcel]})
        assert "set_aside" in gone["detail"]
        for bad in ({"fallbacks": ["neighbour"]}, {"neighbour": place.bank}, {"set_aside": {"01": ["other"]}}):
            await place.ask("PUT", f"banks/{place.bank}/policy", 422, json=bad)


async def test_a_compartment_is_reserved_or_the_thing_is_refused(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        until = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
        accepted = await place.announce("LW-1", reserve_until=until)
        assert accepted["state"] == "asked"
        huge = {"width_mm": 3000, "height_mm": 80, "depth_mm": 400}
        refused = await place.announce("LW-2", reserve_until=until, size=huge)
        await place.wall.sync()
        stay = await place.ask("GET", f"stays/{accepted['id']}")
        assert (stay["state"], stay["compartment"]) == ("reserved", "01")
        assert datetime.fromisoformat(stay["deadline"]) == datetime.fromisoformat(until)
        stay = await place.ask("GET", f"stays/{refused['id']}")
        assert (stay["state"], stay["reason"]) == ("exception", "no_suitable_compartment")
        await place.announce("LW-3", 422, reserve_until="2020-01-01T00:00:00Z")
        await place.ask("DELETE", f"stays/{accepted['id']}", 202)
        await place.wall.sync()
        assert (await place.ask("GET", f"stays/{accepted['id']}"))["state"] == "cancelled"
        assert place.wall.bank.compartments[CompartmentId("01")].state is CompartmentState.VACANT


async def test_a_restored_server_passes_what_its_walls_hold(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        connection = await asyncpg.connect(database)
        try:
            documents = '{"directory": 40, "wall": 1}'
            await connection.execute("UPDATE banks SET documents = $1, policy_version = 7", documents)
            await place.ask("POST", "people", json={"name": "Grace Hopper"})
            assert await connection.fetchval("SELECT version FROM documents WHERE name = 'directory'") == 41
            await place.ask("POST", "people", json={"name": "Alan Turing"})
            assert await connection.fetchval("SELECT version FROM documents WHERE name = 'directory'") == 42
        finally:
            await connection.close()
        only = [{"id": "locker", "deposit_by": "courier", "collect_by": "person", "pickup_hours_max": 24}]
        await place.ask("PUT", f"banks/{place.bank}/services", json={"services": only})
        await place.wall.sync()
        assert place.wall.bank.policy_version == 8


async def test_the_policy_carries_the_sites_clock_changes(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        offsets = place.wall.bank.policy.utc_offsets
        assert 10 <= len(offsets) <= 12, "two changes a year for five years"
        assert {minutes for _, minutes in offsets} == {60, 120}
        assert all((at.hour, at.minute) == (1, 0) for at, _ in offsets[1:]), "European clocks change at 01:00 UTC"
        assert place.wall.bank.policy.ticket_keys == place.cloud.office.vault.ticket_keys


# Enrolment


async def test_enrolment_answers_the_same_key_again_and_nobody_else(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        invited = await place.ask("POST", "banks", json={"site": place.site, "name": "Campus"})
        code = invited["enrolment_code"]
        mine, other = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))

        async def enrol(code: str, key: Ed25519PrivateKey, signer: Ed25519PrivateKey | None = None) -> httpx.Response:
            public = key.public_key().public_bytes_raw()
            signature = (signer or key).sign(enrol_text(code, public)).hex()
            body = {"code": code, "public_key": public.hex(), "signature": signature}
            return await place.http.post("/api/v1/enrolments", json=body)

        assert is_problem(await enrol(code, mine, signer=other), 403)["reason"] == "wrong_code"

        first = await enrol(code, mine)
        assert first.status_code == 200
        assert first.json()["bank"] == invited["bank"]
        assert (first.json()["name"], first.json()["site"]) == ("Campus", "Riverside")
        assert (await enrol(code.lower().replace("-", " "), mine)).json() == first.json()
        assert is_problem(await enrol(code, other), 403)["reason"] == "wrong_code"
        again = await place.ask("POST", f"banks/{invited['bank']}/enrolment-codes")
        moved = await enrol(again["enrolment_code"], other)
        assert moved.json()["code_key"] == first.json()["code_key"]
        is_problem(await enrol(code, mine), 403)
        is_problem(await place.http.post("/api/v1/enrolments", json={"code": code}), 400)


async def test_guessing_is_slowed_down_and_a_right_one_is_served(database: str, tmp_path: Path) -> None:
    """Enrolment codes, API tokens and the links of parcel pages; whatever a caller says of itself."""
    async with town(database, tmp_path) as place:
        await place.settle()
        stay = (await place.announce("LW-1"))["id"]

        async def enrol(n: int) -> httpx.Response:
            return await place.http.post("/api/v1/enrolments", json=NOBODYS_KEY | {"code": f"GUESS-{n}"})

        async def token(n: int) -> httpx.Response:
            headers = {"authorization": f"Bearer lw_guess{n}", "x-forwarded-for": f"192.0.2.{n}"}
            return await place.http.get("/api/v1/sites", headers=headers)

        async def link(n: int) -> httpx.Response:
            return await place.http.get(f"/p/guess{n}", headers={"x-forwarded-for": f"192.0.2.{n}"})

        for guess, status in ((enrol, 403), (token, 401), (link, 404)):
            answers = [await guess(n) for n in range(WRONG_MAX + 2)]
            assert [x.status_code for x in answers] == [status] * WRONG_MAX + [429, 429]
            assert guess is link or int(answers[-1].headers["retry-after"]) > 0
        assert (await place.ask("GET", f"stays/{stay}"))["id"] == stay
        page = f"/p/{place.cloud.office.vault.link(stay)}"
        assert (await place.http.get(page)).status_code == 200

        tally = place.cloud.office.tally
        tally.requests_max = 3
        right = {"authorization": f"Bearer {place.token}"}
        for path, headers in (("/api/v1/sites", right), (page, {})):
            tally.requests.clear()
            answers = [await place.http.get(path, headers=headers) for _ in range(8)]  # a minute may end among them
            statuses = {answer.status_code for answer in answers}
            assert statuses == {200, 429}, "what is right has to wait too, where it is too much"
            assert 0 < int(next(x for x in answers if x.status_code == 429).headers["retry-after"]) <= 60
        root = {"authorization": f"Bearer {place.root}"}
        assert (await place.http.get("/api/v1/sites", headers=root)).is_success
        tally.requests_max = 0
        for path in ("/static/", "/static", "/assets/", "/static/../main.py", "/static/%2e%2e/render.py"):
            assert (await place.http.get(path)).status_code == 404, "no folder is listed"
        asked = (f"bank={place.bank}&bank={'0' * 32}", f"bank={'0' * 32}&bank={place.bank}")
        twice = [(await place.http.get(f"/api/v1/stays?{query}", headers=right)).status_code for query in asked]
        assert sorted(twice) == [200, 404], "of a parameter that comes twice one counts, always the same"
        assert await _answers(place, "Content-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\nGET /health") <= 1
        assert await _answers(place, "Content-Length: 4\r\nContent-Length: 5", "abcd") <= 1


async def _answers(place: Town, headers: str, body: str) -> int:
    """How many requests the server finds in one whose end is not clear."""
    where = httpx.URL(place.url)
    reader, writer = await asyncio.open_connection(where.host, where.port)
    smuggled = f"{body} HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write(f"POST /operator/sign-in HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{smuggled}".encode())
    writer.write_eof()
    said = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    assert b"HTTP/1.1 200" not in said
    return said.count(b"HTTP/1.1 ")


async def test_a_revoked_key_is_turned_away(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        await place.ask("DELETE", f"banks/{place.bank}/key", 204)
        with pytest.raises(AssertionError, match="revoked_key"):
            await place.wall.sync()
        assert (await place.ask("GET", f"banks/{place.bank}"))["key_revoked"] is True


# Idempotency


async def test_eight_at_once_with_one_key_are_one_stay(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        answers = await asyncio.gather(*(place.announce("LW-8") for _ in range(8)))
        assert len({answer["id"] for answer in answers}) == 1
        assert len(await place.ask("GET", "stays")) == 1
        await place.wall.sync()
        assert len(place.wall.bank.stays) == 1


async def test_an_idempotency_key_is_needed_and_means_one_request(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        body = {"bank": place.bank, "recipient": place.person}
        bearer = {"Authorization": f"Bearer {place.token}"}

        async def post(key: str | None, body: dict[str, Any]) -> httpx.Response:
            headers = {**bearer, **({"Idempotency-Key": key} if key is not None else {})}
            return await place.http.post("/api/v1/stays", json=body, headers=headers)

        for missing in (None, "", '""'):
            assert is_problem(await post(missing, body), 400)["reason"] == "idempotency_key_missing"
        is_problem(await post('"' + "x" * 300 + '"', body), 400)
        first = await post('"one"', body)
        assert (first.status_code, first.headers.get("idempotent-replayed")) == (201, None)
        replayed = await post("one", body)
        assert (replayed.status_code, replayed.headers["idempotent-replayed"]) == (201, "true")
        assert replayed.content == first.content
        other = await post('"one"', {**body, "tracking": "else"})
        assert is_problem(other, 422)["reason"] == "idempotency_key_reused"


# Who may


async def test_every_route_that_changes_something_refuses_without_a_token(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        walked = 0
        for route in place.cloud.app.routes:
            if not isinstance(route, HTTPRoute):
                continue
            for method in route.methods - {"GET", "HEAD", "OPTIONS"}:
                path = route.path_format
                if (method, path) in OPEN_TO_ALL:
                    continue
                walked += 1
                for headers in (
                    {},
                    {"Authorization": "Bearer lw_" + "x" * 43},
                    {"Cookie": f"latchwork-session={'x' * 43}"},
                ):
                    answer = await place.http.request(
                        method, path.replace("{", "").replace("}", ""), headers=headers, content=b"{}"
                    )
                    if path.startswith("/api/"):
                        assert is_problem(answer, 401)
                        assert answer.headers["www-authenticate"] == "Bearer"
                    elif path.startswith("/p/"):
                        assert answer.status_code == 404, "the link itself is the secret"
                    elif path.startswith("/me/"):
                        assert answer.status_code == 403
                    else:
                        assert (answer.status_code, answer.headers["location"]) == (303, "/operator/sign-in")
        assert walked >= 16


async def test_another_organisations_things_do_not_exist(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        stay = await place.announce("LW-1")
        pass_id = (await place.ask("GET", "passes"))[0]["id"]
        door = f"banks/{place.bank}/compartments/01"
        mine, place.token = place.token, ""
        place.token = (await place.ask("POST", "organisations", json={"name": "Others"}))["token"]
        for method, path, body in (
            ("GET", f"sites/{place.site}", None),
            ("GET", f"banks/{place.bank}", None),
            ("GET", f"banks/{place.bank}/compartments", None),
            ("GET", f"banks/{place.bank}/services", None),
            ("GET", f"banks/{place.bank}/policy", None),
            ("GET", f"banks/{place.bank}/tasks", None),
            ("GET", f"{door}/openings", None),
            ("POST", f"{door}/open", {"reason": "other"}),
            ("POST", f"{door}/check", {"empty": True}),
            ("POST", f"banks/{place.bank}/enrolment-codes", None),
            ("DELETE", f"banks/{place.bank}/key", None),
            ("GET", f"people/{place.person}", None),
            ("DELETE", f"people/{place.person}", None),
            ("GET", f"parties/{place.party}", None),
            ("GET", f"passes/{pass_id}", None),
            ("DELETE", f"passes/{pass_id}", None),
            ("GET", f"stays/{stay['id']}", None),
            ("GET", f"stays/{stay['id']}/timeline", None),
            ("DELETE", f"stays/{stay['id']}", None),
            ("GET", f"instructions/{stay['instruction']}", None),
            ("GET", f"stays?bank={place.bank}", None),
        ):
            await place.ask(method, path, 404, json=body)
        await place.announce("LW-1", 404)
        await place.ask("POST", "passes", 404, json={"bank": place.bank, "role": "staff"})
        await place.ask("POST", "banks", 404, json={"site": place.site, "name": "Mine now"})
        await place.ask("POST", "organisations", 403, json={"name": "More"})
        for path in ("sites", "banks", "people", "parties", "passes", "stays", "notices"):
            assert await place.ask("GET", path) == []
        place.token = mine
        assert (await place.ask("GET", f"stays/{stay['id']}"))["state"] == "expected"


# Bad input

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.just("\0"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
FIELDS: dict[str, dict[str, Any]] = {
    "sites": {"name": "x", "time_zone": "Europe/Berlin", "address": ""},
    "banks": {"site": NOBODY, "name": "x", "services": None},
    "people": {"name": "x", "email": "a@example.org", "unit": "", "site": None},
    "parties": {"name": "x"},
    "passes": {"bank": NOBODY, "role": "staff", "party": None, "holder": None, "valid_until": None},
    "stays": {"bank": NOBODY, "service": "parcel", "recipient": None, "tracking": "x", "size": None},
    "enrolments": NOBODYS_KEY | {"code": "x"},
}


@pytest.fixture(scope="module")
def loop_town(template: str, postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One town for all examples of a property, on a loop of its own."""
    from tests.conftest import _fresh

    runner = asyncio.Runner()
    fresh = _fresh(postgres_dsn, f"TEMPLATE {template} STRATEGY FILE_COPY")
    context = town(next(fresh), tmp_path_factory.mktemp("town"))
    place: Town = runner.run(context.__aenter__())
    runner.run(place.settle())
    yield runner, place
    runner.run(context.__aexit__(None, None, None))
    runner.close()
    next(fresh, None)


def send(loop_town: Any, method: str, path: str, **more: Any) -> httpx.Response:
    runner, place = loop_town
    headers = {"Authorization": f"Bearer {place.token}", "Idempotency-Key": '"k"'}
    answer: httpx.Response = runner.run(place.http.request(method, f"/api/v1/{path}", headers=headers, **more))
    return answer


def refused_or_done(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        is_problem(answer, answer.status_code)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(FIELDS)), st.data())
def test_no_body_makes_the_server_fail(loop_town: Any, route: str, data: st.DataObject) -> None:
    fields = dict(FIELDS[route])
    if "bank" in fields:
        fields["bank"] = loop_town[1].bank
    broken = data.draw(st.sampled_from([*sorted(fields), "everything"]))
    body: Any = data.draw(JSON) if broken == "everything" else {**fields, broken: data.draw(JSON)}
    refused_or_done(send(loop_town, "POST", route, json=body))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(FIELDS)), st.binary(max_size=200))
def test_no_bytes_make_the_server_fail(loop_town: Any, route: str, body: bytes) -> None:
    refused_or_done(send(loop_town, "POST", route, content=body))


@pytest.mark.parametrize(
    "route",
    ["sites", "banks", "people", "parties", "passes", "stays", "instructions"],
)
@pytest.mark.parametrize("name", ["x", "%00", "0" * 31, "0" * 32, "f" * 200, str(2**70), "..%2f..", "%F0%9F%94%92"])
def test_an_unknown_id_is_not_there(loop_town: Any, route: str, name: str) -> None:
    is_problem(send(loop_town, "GET", f"{route}/{name}"), 404)


@pytest.mark.parametrize("route", sorted(FIELDS))
@pytest.mark.parametrize(
    "body", [b"null", b"[]", b"[[[]]]", b'"\\u0000"', b"1180591620717411303424", b"{", b"", b"[" * 5000, b'"\x80"']
)
def test_a_strange_body_is_the_clients_mistake(loop_town: Any, route: str, body: bytes) -> None:
    answer = send(loop_town, "POST", route, content=body)
    assert 400 <= answer.status_code < 500
    is_problem(answer, answer.status_code)


@pytest.mark.parametrize("route", sorted(FIELDS))
def test_long_words_and_large_bodies_are_refused(loop_town: Any, route: str) -> None:
    key = next(key for key, value in FIELDS[route].items() if isinstance(value, str))
    is_problem(send(loop_town, "POST", route, json={**FIELDS[route], key: "x" * 20_000}), 400)
    is_problem(send(loop_town, "POST", route, json={**FIELDS[route], key: "x" * 200_000}), 413)


@pytest.mark.parametrize(
    "path",
    [
        "stays?limit=0",
        "stays?limit=-1",
        f"stays?limit={2**70}",
        "stays?limit=x",
        "stays?live=perhaps",
        "notices?limit=501",
    ],
)
def test_queries_have_bounds(loop_town: Any, path: str) -> None:
    is_problem(send(loop_town, "GET", path), 400)


def test_times_at_the_end_of_the_calendar(loop_town: Any) -> None:
    for moment in ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "2030-01-01T00:00:00", "soon"):
        body = {"bank": loop_town[1].bank, "role": "staff", "valid_until": moment}
        answer = send(loop_town, "POST", "passes", json=body)
        assert 400 <= answer.status_code < 500, (moment, answer.text)


def test_the_document_describes_every_route(loop_town: Any) -> None:
    runner, place = loop_town
    document = runner.run(place.http.get("/api/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    served = {r.path_format for r in place.cloud.app.routes if r.path_format.startswith("/api/v1/")}
    assert served == set(document["paths"])
    unsecured = {
        (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if {"token": []} not in operation.get("security", [])
    }
    assert unsecured == {("post", "/api/v1/enrolments"), ("post", "/api/v1/enrolments/rotation")}
    every = [operation["responses"] for operations in document["paths"].values() for operation in operations.values()]
    assert all(set(responses["default"]["content"]) == {"application/problem+json"} for responses in every)
    assert "reason" in document["components"]["schemas"]["Problem"]["required"]


def test_a_method_that_is_not_there_and_a_path_that_is_not(loop_town: Any) -> None:
    is_problem(send(loop_town, "PATCH", "sites"), 405)
    is_problem(send(loop_town, "GET", "nowhere"), 404)


def test_a_bank_of_the_test_is_a_bank() -> None:
    wall = WallBank(id=BankId("b" * 32), code_key=b"k" * 32)
    assert isinstance(wall.offer(), c.Offer)
