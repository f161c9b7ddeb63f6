"""The table of who may do what: whole, obeyed on every route for every role, and written down as it is."""

import re
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from litestar.routes import ASGIRoute, HTTPRoute, WebSocketRoute
from tests.server.town import Town, town

from latchwork.domain import commands as c
from latchwork.domain.words import CompartmentId, DoorState
from latchwork.server import access
from latchwork.server.access import PARTIES, RIGHTS, ROLES, STAFF, Audience, may, right_to
from latchwork.server.actions.access import token_hash

NOBODY = "0" * 32
REFERENCE = Path(__file__).parents[2] / "docs/reference/access.md"
BODIES: dict[str, dict[str, Any]] = {
    "POST /api/v1/organisations": {"name": "Next"},
    "POST /api/v1/sites": {"name": "Next", "time_zone": "UTC"},
    "POST /api/v1/banks": {"name": "Next", "site": "{site}"},
    "POST /api/v1/people": {"name": "Next"},
    "POST /api/v1/parties": {"name": "Next"},
    "POST /api/v1/stays": {"bank": "{bank}", "recipient": "{person}", "tracking": "LW-next"},
    "POST /api/v1/stays/{}/reassign": {"recipient": "{person}"},
    "POST /api/v1/banks/{}/compartments/{}/open": {"reason": "inspection"},
    "POST /api/v1/banks/{}/compartments/{}/check": {"empty": True},
    "POST /api/v1/passes": {"bank": "{bank}", "role": "courier"},
}
"""What is sent where; elsewhere nothing is, which gets no further than the rights do."""


def routes(place: Town) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for route in place.cloud.app.routes:
        if isinstance(route, HTTPRoute):
            found += [(method, route.path_format) for method in sorted(route.methods - {"HEAD", "OPTIONS"})]
        elif isinstance(route, WebSocketRoute):
            found.append(("WS", route.path_format))
        else:
            assert isinstance(route, ASGIRoute)
            found.append(("GET", f"{route.path_format}/{{}}"))
    return found


async def token_of(database: str, organisation: str, role: str, party: str | None = None) -> str:
    token = f"lw_{role}_{organisation}"
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(
            "INSERT INTO tokens (id, organisation, hash, name, role, party) VALUES (md5($1), $2, $3, $4, $4, $5)",
            token, organisation, token_hash(token), role, party,
        )  # fmt: skip
    finally:
        await connection.close()
    return token


class Caller:
    """Somebody with a token, at the API and (by its session) on the operator's pages."""

    def __init__(self, place: Town, token: str, names: dict[str, str]) -> None:
        self._place = place
        self._token = token
        self._names = names
        self._cookie = ""
        self._seal = ""

    async def call(self, method: str, path: str) -> httpx.Response:
        real = re.sub(r"{(\w+)(?::\w+)?}", lambda found: self._names.get(found[1], NOBODY), path)
        http = self._place.http
        if not path.startswith("/operator"):
            key = re.sub("{[^}]*}", "{}", path)
            body = {
                k: v.format(**self._names) if isinstance(v, str) else v
                for k, v in BODIES.get(f"{method} {key}", {}).items()
            }
            headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": f'"{method}{path[:100]}"'}
            return await http.request(method, real, json=body, headers=headers)
        if not self._cookie:
            answer = await http.post("/api/v1/sign-in-links", headers={"Authorization": f"Bearer {self._token}"})
            link = answer.json().get("link", "/operator/link/x")
            answer = await http.post(link, headers={"Sec-Fetch-Site": "none"})
            self._cookie = answer.headers.get("set-cookie", "none").partition(";")[0]
            page = await http.get("/operator/access", headers={"Cookie": self._cookie})
            self._seal = (re.findall('name="seal" value="([^"]+)"', page.text) or ["x"])[0]
            http.cookies.clear()
        headers = {"Cookie": self._cookie, "Sec-Fetch-Site": "same-origin"}
        data = {"seal": self._seal, "reason": "inspection", "seen": "empty"}
        return await http.request(method, real.replace("/events", ""), data=data, headers=headers)

    async def dead_ends(self, role: str) -> list[str]:
        """Links and forms of the operator's pages that lead to nothing but a no. The forms are sent without their seal,
        so nothing happens."""
        seen, todo, wrong = set[str](), ["/operator"], list[str]()
        headers = {"Cookie": self._cookie, "Sec-Fetch-Site": "same-origin"}
        while todo:
            path = todo.pop()
            if path in seen or path.endswith("/receipt"):
                continue
            seen.add(path)
            answer = await self._place.http.get(path, headers=headers)
            assert may(role, "see_stays") or "Ada Lovelace" not in answer.text, (role, path)
            wrong += [path] if is_denied(answer) else []
            todo += re.findall(r'href="(/operator[^"?#]*)', answer.text)
            for form in re.findall(r'<form[^>]* method="post"[^>]*>', answer.text):
                to = (re.findall(r'action="([^"]*)"', form) or [path])[0]
                if f"POST {to}" not in seen:
                    seen.add(f"POST {to}")
                    answer = await self._place.http.post(to, headers=headers)
                    assert answer.status_code == 403, (to, answer.text)
                    wrong += [f"POST {to}"] if is_denied(answer) else []
        assert len(seen) > 10
        return wrong


def is_denied(answer: httpx.Response) -> bool:
    return answer.status_code == 403 and "is not for the role" in answer.text


async def test_every_route_has_a_row_and_every_row_its_routes(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        found = {f"{method} {re.sub('{[^}]*}', '{}', path)}" for method, path in routes(place)}
    listed = {route for each in RIGHTS for route in each.routes}
    assert found - listed == set(), "a route that nobody may call: give it a row in server/access.py"
    assert listed - found == set(), "a row names what is no route"


def test_the_table_is_written_down_as_it_is() -> None:
    assert REFERENCE.read_text() == access.reference(), (
        "run python -m latchwork.server.access > docs/reference/access.md"
    )


def test_nobody_who_works_at_the_wall_sees_or_makes_a_code_for_it() -> None:
    at_the_wall = {Audience.ATTENDANT, Audience.TECHNICIAN, Audience.COURIER}
    for each in RIGHTS:
        if each.key in ("see_codes", "hand_over", "keep_passes"):
            assert not each.who & at_the_wall, each.key
    assert {each.key for each in RIGHTS if each.two} >= {"dispose", "open_all"}


async def test_each_role_reaches_what_the_table_says_and_nobody_more(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        names = await furnished(place)
        await place.wall.do(c.See({CompartmentId(f"{n:02}"): DoorState.OPEN for n in range(1, 8)}))
        await place.wall.sync()
        for role in ROLES:
            party = place.party if role in PARTIES else None
            caller = Caller(place, await token_of(database, names["organisation"], role, party), names)
            for method, path in routes(place):
                row = right_to(method, path)
                assert row is not None
                if not row.who & set(ROLES) or (method == "DELETE" and role in row.who) or path.endswith("sign-out"):
                    continue  # not a matter of roles; or it would be gone for the next
                if role in PARTIES and path.startswith("/operator"):
                    continue  # a system has no way to sign in
                answer = await caller.call(method, path)
                assert is_denied(answer) is (role not in row.who), (role, method, path, answer.status_code, answer.text)
                assert answer.status_code < 500, (role, method, path, answer.text)
            if role in STAFF:
                assert await caller.dead_ends(role) == [], role
                told = (await caller.call("GET", "/operator")).text
                assert may(role, "do_tasks") or told.count("opened without an order") == 7, role


async def test_nobody_and_the_wrong_tenant_find_nothing_on_any_route(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        names = await furnished(place)
        other = (await place.http.post(
            "/api/v1/organisations", json={"name": "Other"}, headers={"Authorization": f"Bearer {place.root}"}
        )).json()  # fmt: skip
        ours = {names["bank"], names["site"], names["person"], names["stay_id"], "Ada Lovelace", "Riverside", "Swift"}
        for role in (*STAFF, None):
            token = await token_of(database, other["organisation"], role) if role else "lw_nobody"
            caller = Caller(place, token, names)
            for method, path in routes(place):
                row = right_to(method, path)
                assert row is not None
                if not row.who & set(ROLES) or path.endswith("sign-out"):
                    continue
                place.cloud.office.wrong.clear()  # or else it is soon told to wait
                answer = await caller.call(method, path)
                if role is None:
                    where = answer.headers.get("location", "")
                    assert answer.status_code == 401 or where.startswith("/operator/sign-in"), (method, path)
                sent = f"{answer.request.url}{answer.request.content.decode()}"
                for name in ours:
                    shown = answer.text.replace("America/Swift_Current", "")  # a time zone, and no carrier
                    assert name not in shown or name in sent, (role, method, path, name)
                if "{" in path and role is not None:
                    assert answer.status_code >= 400, (role, method, path, answer.text)


@pytest.mark.parametrize("role", [Audience.ATTENDANT, Audience.AUDITOR, Audience.MANAGER])
async def test_staff_see_a_stay_without_what_opens_its_door(database: str, tmp_path: Path, role: Audience) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        accepted = await place.announce("LW-R", service="return", recipient=None)
        await place.wall.sync()
        full = await place.ask("GET", f"stays/{accepted['id']}")
        assert full["drop_off_digits"] and full["page"]
        organisation = (await place.ask("GET", "organisations"))[0]["id"]
        place.token = await token_of(database, organisation, role)
        seen = await place.ask("GET", f"stays/{accepted['id']}")
        assert (seen["drop_off_digits"], seen["page"]) == (None, None)
        assert seen["state"] == full["state"]


async def furnished(place: Town) -> dict[str, str]:
    """A value for every variable part of a path."""
    stay = (await place.announce("LW-1"))["id"]
    await place.wall.sync()
    granted = (await place.ask("GET", "passes"))[0]["id"]
    asked = await place.ask("POST", f"banks/{place.bank}/compartments/01/open", 202, json={"reason": "inspection"})
    return {
        "organisation": (await place.ask("GET", "organisations"))[0]["id"],
        "bank": place.bank, "bank_id": place.bank, "site": place.site, "site_id": place.site,
        "person": place.person, "person_id": place.person, "party_id": place.party,
        "stay_id": stay, "pass_id": granted, "instruction_id": asked["instruction"],
        "compartment_id": "01", "door": "01", "token": "x" * 43,
    }  # fmt: skip
