"""Who may do what: one table, which the guard obeys, a page shows and docs/reference/access.md is made from.

A route that stands in no row lets nobody in. It knows no database: whose rows somebody sees is decided there.
"""

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Audience(StrEnum):
    """What somebody is towards a wall. Accounts and tokens have one of the first seven as their role."""

    OWNER = "owner"
    MANAGER = "manager"
    ATTENDANT = "attendant"
    TECHNICIAN = "technician"
    AUDITOR = "auditor"
    CARRIER = "carrier"
    SHOP = "shop"
    COURIER = "courier"
    RECIPIENT = "recipient"
    DEVICE = "device"
    ANYBODY = "anybody"


WORDS: Final = {
    Audience.OWNER: "runs the organisation, and says who else may do something",
    Audience.MANAGER: "runs walls and looks after people, day by day",
    Audience.ATTENDANT: "helps at the wall",
    Audience.TECHNICIAN: "keeps walls working, and sees nobody's name",
    Audience.AUDITOR: "sees what happened, and changes nothing",
    Audience.CARRIER: "a carrier's system: its own things, on every wall it is admitted to",
    Audience.SHOP: "a shop's system: its own things, on every wall it is admitted to",
    Audience.COURIER: "stands at the wall with a courier's code",
    Audience.RECIPIENT: "has a parcel's link or code",
    Audience.DEVICE: "a wall's controller, with its key or a one-time enrolment code",
    Audience.ANYBODY: "whoever comes by",
}
OWNER, MANAGER, ATTENDANT = Audience.OWNER, Audience.MANAGER, Audience.ATTENDANT
TECHNICIAN, AUDITOR, CARRIER, SHOP = Audience.TECHNICIAN, Audience.AUDITOR, Audience.CARRIER, Audience.SHOP
STAFF: Final = (OWNER, MANAGER, ATTENDANT, TECHNICIAN, AUDITOR)
PARTIES: Final = (CARRIER, SHOP)
"""See and change what is their party's and nothing else."""
ROLES: Final = (*STAFF, *PARTIES)
"""What an account or a token can be."""


@dataclass(frozen=True, slots=True)
class Right:
    """`routes`: method and path, the variable parts as `{}`. Without routes it is a right at the wall, or a detail."""

    key: str
    what: str
    who: frozenset[Audience]
    routes: tuple[str, ...] = ()
    note: str = ""
    two: bool = False
    """Takes two people, each of whom may do it."""


def right(key: str, what: str, who: Iterable[Audience], *routes: str, note: str = "", two: bool = False) -> Right:
    return Right(key, what, frozenset(who), tuple(_full(route) for route in routes), note, two)


def _full(route: str) -> str:
    """Paths without a slash in front are of the API."""
    method, path = route.split()
    return f"{method} {path if path.startswith('/') else f'/api/v1/{path}'}"


RIGHTS: Final = (
    # Walls
    right(
        "see_banks", "See banks and the services they offer", ROLES,
        "GET banks", "GET banks/{}", "GET banks/{}/services", "GET instructions/{}",
    ),
    right(
        "see_walls", "See sites, policies, doors and what they did", STAFF,
        "GET organisations", "GET sites", "GET sites/{}", "GET banks/{}/policy", "GET banks/{}/compartments",
        "GET banks/{}/compartments/{}/openings", "GET /operator", "GET /operator/banks/{}",
        "GET /operator/banks/{}/events", "GET /operator/banks/{}/doors/{}", "GET /operator/banks/{}/doors/{}/events",
        "GET /operator/banks/{}/audit", "GET banks/{}/configuration", "GET banks/{}/guards",
        "GET /operator/banks/{}/configuration",
    ),
    right(
        "create_organisation", "Create organisations", (OWNER,), "POST organisations",
        note="With the first token only.",
    ),
    right(
        "run_walls", "Create sites and banks; change services and policies", (OWNER, MANAGER),
        "POST sites", "POST banks", "PUT banks/{}/services", "PUT banks/{}/policy", "GET /operator/banks/new",
        "POST /operator/banks",
    ),
    right(
        "enrol_controllers", "Give out enrolment codes", (OWNER, MANAGER, TECHNICIAN),
        "POST banks/{}/enrolment-codes", "POST /operator/banks/{}/enrolment-code",
    ),
    right(
        "configure_controllers", "Ask a controller to take another configuration, or to listen to its bus",
        (OWNER, MANAGER, TECHNICIAN),
        "PUT banks/{}/configuration", "POST /operator/banks/{}/configuration", "POST banks/{}/listen",
    ),
    right("guard_walls", "Say whose keys guard a wall", (OWNER,), "PUT banks/{}/guards"),
    right(
        "sign_orders", "Hand in signatures for what waits for one", (OWNER, MANAGER), "GET signing", "POST signing/{}",
    ),
    right("revoke_keys", "Take back the trust in a controller", (OWNER, MANAGER), "DELETE banks/{}/key"),
    right(
        "see_recovery", "See how a divided wall's log and ours have parted", STAFF,
        "GET banks/{}/recovery", "GET /operator/banks/{}/recovery",
    ),
    right(
        "decide_recovery", "Decide that a divided wall goes on", (OWNER, MANAGER),
        "POST banks/{}/recovery", "POST /operator/banks/{}/recovery",
    ),
    right(
        "serve_compartments", "Take compartments out of service and back", (OWNER, MANAGER, ATTENDANT, TECHNICIAN),
        "POST banks/{}/withdraw", "POST banks/{}/bring-back", "POST /operator/banks/{}/service",
    ),
    right(
        "open_doors", "Open a door from afar", (OWNER, MANAGER, ATTENDANT, TECHNICIAN),
        "POST banks/{}/compartments/{}/open", "POST /operator/banks/{}/doors/{}/open",
        note="With a reason, which the wall's log keeps. Whoever's thing is behind it is told.",
    ),
    right(
        "open_untold", "Open a door whose thing is for somebody who cannot be told", (OWNER, MANAGER),
    ),
    right(
        "check_doors", "Vouch for what is inside", (OWNER, MANAGER, ATTENDANT, TECHNICIAN),
        "POST banks/{}/compartments/{}/check", "POST /operator/banks/{}/doors/{}/check",
    ),
    right(
        "do_tasks", "Take and close tasks", (OWNER, MANAGER, ATTENDANT, TECHNICIAN),
        "GET tasks", "GET tasks/{}", "GET banks/{}/tasks", "POST tasks/{}/take", "POST tasks/{}/close",
        "GET /operator/tasks", "POST /operator/tasks/{}/take", "POST /operator/tasks/{}/close",
    ),
    # Things
    right(
        "announce", "Announce things", (OWNER, MANAGER, ATTENDANT, CARRIER, SHOP), "POST stays",
        note="A party only its own, and for its own customers.",
    ),
    right(
        "ask_room", "Ask whether there is room", (OWNER, MANAGER, ATTENDANT, CARRIER, SHOP),
        "POST banks/{}/availability",
    ),
    right(
        "count_on_room", "Count on room before anything is announced", (OWNER, MANAGER, ATTENDANT),
        "POST banks/{}/soft-reservations", "DELETE soft-reservations/{}",
        note="It takes room from everybody, so a party announces what it wants room for.",
    ),
    right(
        "reserve", "Have room reserved for a thing, or wait for it", (OWNER, MANAGER, ATTENDANT, CARRIER, SHOP),
        "POST stays/{}/reservation", "DELETE stays/{}/reservation",
    ),
    right(
        "see_stays", "See stays, their stories and receipts", (OWNER, MANAGER, ATTENDANT, AUDITOR, CARRIER, SHOP),
        "GET stays", "GET stays/{}", "GET stays/{}/timeline", "GET stays/{}/receipt",
        "GET /operator/stays/{}", "GET /operator/stays/{}/events", "GET /operator/stays/{}/receipt",
        note="Without the codes and links that open something.",
    ),
    right(
        "see_codes", "See the codes and links of stays", (OWNER, CARRIER, SHOP),
        note="Systems that pass them on to recipients. Whoever stands at the wall does not see them.",
    ),
    right(
        "change_stays", "Cancel, extend, hold, block", (OWNER, MANAGER, ATTENDANT, CARRIER, SHOP),
        "DELETE stays/{}", "POST stays/{}/extend", "POST stays/{}/hold", "POST stays/{}/block", "POST stays/{}/unblock",
    ),
    right(
        "move_stays", "Redirect things", (OWNER, MANAGER, ATTENDANT), "POST stays/{}/redirect",
        "GET /operator/stays/{}/change", "POST /operator/stays/{}/change",
    ),
    right(
        "hand_over", "Give a stay to another recipient, or let somebody else fetch it",
        (OWNER, MANAGER, CARRIER, SHOP, Audience.RECIPIENT),
        "POST stays/{}/reassign", "GET stays/{}/delegates", "POST stays/{}/delegates", "DELETE stays/{}/delegates/{}",
        note="It makes a code for somebody else, so whoever helps at the wall may not. A party only its own things, to "
        "its own customers.",
    ),
    right(
        "see_collections", "See what a carrier takes out", (OWNER, MANAGER, ATTENDANT, CARRIER, SHOP),
        "GET collections", "GET banks/{}/collections", "GET /operator/collections",
    ),
    right("see_notices", "See what recipients were told", (OWNER, MANAGER, ATTENDANT, AUDITOR), "GET notices"),
    # People
    right(
        "see_people", "See people", (OWNER, MANAGER, ATTENDANT, CARRIER, SHOP),
        "GET people", "GET people/{}", "GET /operator/people", "GET /operator/people/{}",
    ),
    right(
        "enter_people", "Enter people", (OWNER, MANAGER, CARRIER, SHOP), "POST people",
        "GET /operator/people/new", "POST /operator/people",
        note="A party's customers are seen by the organisation that keeps it, and by no wall's.",
    ),
    right(
        "keep_people", "Change people, and say when they are away", (OWNER, MANAGER),
        "PUT people/{}", "PUT people/{}/holiday", "POST /operator/people/{}", "POST /operator/people/{}/holiday",
    ),
    right(
        "import_people", "Take in people from a spreadsheet", (OWNER, MANAGER),
        "POST people/import", "GET /operator/people/import", "POST /operator/people/import",
    ),
    right(
        "erase_people", "Export what is held about somebody, and erase them", (OWNER, MANAGER),
        "GET people/{}/export", "DELETE people/{}", "POST /operator/people/erase",
        "GET /operator/people/{}/export", "POST /operator/people/{}/erase",
    ),
    right(
        "see_looks", "See who looked at whom", (OWNER, MANAGER, AUDITOR), "GET people/{}/looks", "GET /operator/looks",
    ),
    right(
        "see_logs", "See how far walls have signed their logs, and download them", (OWNER, MANAGER, AUDITOR),
        "GET banks/{}/logs", "GET banks/{}/logs/{}", "GET /operator/banks/{}/logs", "GET /operator/banks/{}/logs/{}",
    ),
    right("see_erasures", "See receipts of erasures", (OWNER, MANAGER, AUDITOR), "GET erasures", "GET erasures/{}"),
    right("see_retention", "See how long what is kept", STAFF, "GET retention"),
    right("set_retention", "Say how long what is kept", (OWNER,), "PUT retention"),
    right("see_parties", "See carriers and shops", ROLES, "GET parties", "GET parties/{}"),
    right("see_rules", "See which returns are taken in", (OWNER, MANAGER, ATTENDANT), "GET parties/{}/rule"),
    right("set_rules", "Say which returns are taken in, and whom to ask", (OWNER, MANAGER), "PUT parties/{}/rule"),
    right("keep_parties", "Enter carriers and shops", (OWNER, MANAGER), "POST parties"),
    right(
        "see_admissions", "See which parties of others may use a wall", STAFF,
        "GET banks/{}/admissions", "GET /operator/banks/{}/parties",
    ),
    right(
        "admit", "Admit parties that others keep to a wall", (OWNER, MANAGER),
        "PUT banks/{}/admissions/{}", "DELETE banks/{}/admissions/{}", "POST /operator/banks/{}/parties",
    ),
    right(
        "see_usage", "See what a party used", (OWNER, MANAGER, AUDITOR, CARRIER, SHOP),
        "GET parties/{}/usage", "GET parties/{}/usage.csv", "GET parties/{}/usage/things.csv", "GET /operator/usage",
        "GET /operator/usage.csv", "GET /operator/usage/things.csv",
    ),
    right(
        "keep_passes", "Let couriers, staff and households in at a wall, and see their codes", (OWNER, MANAGER),
        "GET passes", "GET passes/{}", "POST passes", "DELETE passes/{}",
        "GET /operator/banks/{}/passes", "POST /operator/banks/{}/passes", "POST /operator/banks/{}/passes/{}/end",
    ),
    # Those who run it
    right("see_rights", "See who may do what", STAFF, "GET /operator/access"),
    right("see_team", "See who else runs the walls", STAFF, "GET /operator/team"),
    right(
        "keep_team", "Invite people, give them roles, help them back in", (OWNER,),
        "POST /operator/team/invitations", "POST /operator/team/invitations/{}/withdraw", "POST /operator/team/{}/role",
        "POST /operator/team/{}/remove", "POST /operator/team/{}/end-sessions", "POST /operator/team/{}/recover",
        "GET /operator/single-sign-on", "POST /operator/single-sign-on", "POST /operator/single-sign-on/{}/remove",
    ),
    right(
        "keep_tokens", "Make, replace and revoke API tokens", (OWNER,),
        "GET tokens", "POST tokens", "POST tokens/{}/rotate", "DELETE tokens/{}",
        "GET /operator/tokens", "POST /operator/tokens", "POST /operator/tokens/{}/rotate",
        "POST /operator/tokens/{}/revoke",
    ),
    right(
        "own_account", "Sign in and out; see and change one's own account", STAFF,
        "POST sign-in-links", "POST /operator/sign-out", "GET /operator/sign-in/second",
        "GET /operator/single-sign-on/{}/connect",
        "POST /operator/sign-in/second", "POST /operator/sign-in/second/passkey", "GET /operator/app",
        "POST /operator/app", "GET /operator/account", "POST /operator/account/codes",
        "POST /operator/account/alarms",
        "POST /operator/account/passkeys", "POST /operator/account/passkeys/{}/remove",
        "POST /operator/account/password", "POST /operator/account/password/remove",
        "POST /operator/account/sessions/end-others", "POST /operator/account/sessions/{}/end",
    ),
    # At the wall
    right(
        "deposit", "Put things in, take back what is theirs to take", (Audience.COURIER,), note="Of their own party."
    ),
    right("collect", "Collect by code, card, link or QR code", (Audience.RECIPIENT,)),
    right(
        "dispose", "Throw a thing away", (OWNER, MANAGER, ATTENDANT), two=True,
        note="At the wall, with a staff code each: it knows staff, not their roles.",
    ),
    right(
        "open_all", "Open every door", (OWNER, MANAGER, ATTENDANT, TECHNICIAN), two=True,
        note="At the wall, with a staff code each: it knows staff, not their roles.",
    ),
    right(
        "own_parcel", "See and steer one's own parcel", (Audience.RECIPIENT,),
        "GET /p/{}", "GET /p/{}/about", "GET /p/{}/change", "GET /p/{}/events", "GET /p/{}/receipt",
        "POST /p/{}/extend", "POST /p/{}/hold", "POST /p/{}/delegates", "POST /p/{}/delegates/{}/dismiss",
        "GET /me", "GET /me/record", "GET /me/record.json",
        "POST /me/code", "POST /me/enter", "POST /me/leave", "POST /me/passkey", "POST /me/passkeys",
        "POST /me/preferences", "POST /me/holiday",
    ),
    right(
        "be_a_wall", "Enrol, and speak for a bank", (Audience.DEVICE,),
        "POST enrolments", "POST enrolments/rotation", "WS /bank",
    ),
    right(
        "come_by", "Sign in, check a receipt, read the API's description", (Audience.ANYBODY,),
        "GET /", "GET /health", "GET /robots.txt", "GET /verify", "GET /operator/sign-in", "POST /operator/sign-in",
        "POST /operator/sign-in/passkey", "GET /operator/forgot", "POST /operator/forgot", "GET /operator/link/{}",
        "POST /operator/link/{}", "GET /.well-known/security.txt",
        "GET /operator/sso/{}", "GET /operator/sso/{}/callback",
        "GET /api", "GET /api/{}", "GET /api/openapi.json", "GET /static/{}", "GET /assets/{}",
    ),
)  # fmt: skip

_BY_ROUTE: Final = {route: each for each in RIGHTS for route in each.routes}
_BY_KEY: Final = {each.key: each for each in RIGHTS}
assert len(_BY_ROUTE) == sum(len(each.routes) for each in RIGHTS), "a route stands in two rows"
assert len(_BY_KEY) == len(RIGHTS), "a key stands twice"


def right_to(method: str, path: str) -> Right | None:
    """By a route's own template, such as `/banks/{bank_id}`."""
    return _BY_ROUTE.get(f"{'GET' if method == 'HEAD' else method} {re.sub('{[^}]*}', '{}', path)}")


def may(role: str, key: str) -> bool:
    return role in _BY_KEY[key].who


def what(key: str) -> str:
    return _BY_KEY[key].what


def reference() -> str:
    """docs/reference/access.md."""
    columns = [*ROLES, Audience.COURIER, Audience.RECIPIENT, Audience.DEVICE, Audience.ANYBODY]
    lines = [
        "# Who may do what",
        "",
        "Made from `src/latchwork/server/access.py`, which the server obeys: change it there, then run",
        "`python -m latchwork.server.access > docs/reference/access.md`. Whose rows somebody sees is decided by the",
        "database, whatever stands here ([why](../decisions/0012-organisations-are-kept-apart-by-the-database.md)).",
        "",
        *(f"- **{audience}**: {WORDS[audience]}" for audience in columns),
        "",
        f"| | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
    ]
    for each in RIGHTS:
        marks = " | ".join(("2" if each.two else "x") if column in each.who else "" for column in columns)
        lines.append(f"| {each.what} | {marks} |")
    lines += ["", "2: takes two people, each of whom may do it.", "", "## Row by row", ""]
    for each in RIGHTS:
        note = f" {each.note}" if each.note else ""
        routes = f" {', '.join(f'`{route}`' for route in each.routes)}" if each.routes else ""
        lines.append(f"- **{each.what}.**{note}{routes}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
