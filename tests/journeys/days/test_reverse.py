"""Things that go the other way, and things for no compartment: returns, gifts, the pile beside the wall."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.journeys.days.test_recipients import delivered
from tests.journeys.days.wall import LARGE, PARCEL, Person, days

from latchwork.domain.bank import Fitting
from latchwork.domain.words import CompartmentId

RETURN: dict[str, Any] = {"id": "return", "deposit_by": "person", "collect_by": "courier", "pickup_hours_max": 168}
BOX: dict[str, Any] = {**RETURN, "id": "box", "walk_in": True, "shares": "party"}
GIFT: dict[str, Any] = {"id": "gift", "deposit_by": "person", "collect_by": "person", "pickup_hours_max": 48}
TOGETHER: dict[str, Any] = {**PARCEL, "shares": "recipient"}
GATE = CompartmentId("G")
SHELVED = (
    *(Fitting(CompartmentId(f"0{n}"), LARGE) for n in (1, 2)),
    Fitting(GATE, LARGE, gate=True),
    Fitting(CompartmentId("S1"), LARGE, shelf=True, behind=GATE),
)


async def test_returns_with_a_code_with_a_label_and_with_neither(database: str, tmp_path: Path) -> None:
    async with days(database, tmp_path, PARCEL, {**BOX, "party": None}, RETURN, GIFT) as here:
        wall, place = here.wall, here.place
        sent = (await place.announce("RET-1", service="return"))["id"]
        gift = (await place.announce("GIFT-1", service="gift", recipient=here.people["Grace"], party=None))["id"]
        codes = {}
        for stay in (sent, gift):
            await here.becomes(stay, "expected")
            codes[stay] = (await here.stay(stay))["drop_off_digits"]
        await wall.cut()
        for stay in (sent, gift):
            sender = await here.person(codes[stay])
            if sender.screen in ("dropoff", "size"):
                await sender.press("deposit")
            await sender.put_in()
            await sender.press("sign_out")
        used = await here.person(codes[sent])
        assert used.screen != "open" and not wall.open
        await used.press("sign_out")

        left = []
        for label in ("RET-7", None, "RET-8"):
            walker = Person(wall)
            await walker.press("walk_in", service="box")
            assert walker.screen == "bring", (walker.screen, walker.refused)
            await walker.press("label", label=label) if label else await walker.press("no_label")
            if walker.screen == "photo":
                await walker.press("no_photo")
            while walker.screen in ("confirm", "size"):
                await walker.press("agree" if walker.screen == "confirm" else "deposit")
            left.append(await walker.put_in(label))
            await walker.press("sign_out")
        assert len(set(left)) == 1, "one box for all"
        await wall.power_cut()
        wall.mend()
        await here.becomes(sent, "deposited")
        await here.becomes(gift, "deposited")

        async def listed() -> list[Any] | None:
            found = list(await here.ask("GET", f"banks/{wall.bank}/collections"))
            return found if len(found) == 4 else None

        assert sent in {x["id"] for x in await here.see(listed)}
        await wall.cut()
        grace = await here.person(wall.pickup(gift))
        await grace.take()
        await grace.press("sign_out")
        courier = await here.courier()
        await courier.then("take_out", "takeout")
        while courier.values["stays"]:
            await courier.then("take", "open", stay=courier.values["stays"][0]["stay"])
            await courier.take()
        await courier.press("sign_out")
        wall.mend()
        await here.becomes(sent, "collected")
        await here.becomes(gift, "collected")
        await here.tasks()


async def test_a_gift_by_name_a_box_for_many_and_one_that_a_courier_does_not_find(
    database: str, tmp_path: Path
) -> None:
    async with days(database, tmp_path, PARCEL, RETURN, {**GIFT, "walk_in": True}) as here:
        wall, party = here.wall, here.place.party
        services = [PARCEL, RETURN, {**GIFT, "walk_in": True}, {**BOX, "party": party}]
        await here.ask("PUT", f"banks/{wall.bank}/services", json={"services": services})
        await here.ask("PUT", f"parties/{party}/rule", json={"prefixes": ["RET"], "otherwise": "refuse"})
        expected = (await here.place.announce("R-9", service="return"))["id"]
        await here.becomes(expected, "expected")
        await wall.until(lambda: b"RET" in (wall.desk.document("partner rules") or b""), "the partner's rule")
        await wall.until(lambda: "box" in wall.loop.bank.services, "the box")
        await wall.cut()

        box = set()
        for label in ("RET-1", "RET-2"):
            walker = Person(wall)
            await walker.then("walk_in", "bring", service="box")
            await walker.press("no_label")
            assert walker.refused == "refused", "a partner who takes only what it knows takes nothing without a label"
            await walker.press("label", label="X-1")
            assert walker.refused == "refused"
            await walker.press("label", label=label)
            if walker.screen == "size":
                await walker.press("deposit")
            box.add(await walker.put_in(label))
            await walker.press("sign_out")
        walker = Person(wall)
        await walker.then("walk_in", "bring", service="box")
        await walker.press("label", label="r-9")
        if walker.screen == "size":
            await walker.press("deposit")
        brought = await walker.put_in("R-9")
        await walker.press("sign_out")
        assert len(box) == 1 and brought not in box

        giver = Person(wall)
        await giver.then("walk_in", "bring", service="gift")
        await giver.then("no_label", "photo")
        await giver.then("no_photo", "recipient")
        await giver.name("hopper")
        await giver.shows("open")
        tight = giver.door
        await giver.then("too_small", "open")
        wall.shut(tight)
        await wall.power_cut()  # before an open door; this browser still has its cookie
        wall.shut(giver.door)
        await giver.shows("closed", "unresolved")
        await giver.press("confirm")
        assert giver.values["end"] == "stored"
        await giver.press("sign_out")
        wall.mend()
        await here.becomes(expected, "deposited")
        listed = await here.see(lambda: here.listed(3))
        assert {x["service"] for x in listed} == {"box", "return"}
        (gift,) = [x["id"] for x in await here.ask("GET", "stays") if x["service"] == "gift"]

        await wall.cut()
        grace = await here.person(wall.pickup(gift))
        await grace.shows("open")
        await grace.press("report", what="not_mine")
        wall.shut(grace.door)
        await grace.shows("thanks")
        await grace.press("sign_out")
        courier = await here.courier()
        await courier.then("take_out", "takeout")
        assert len(courier.values["stays"]) == 3
        inside = [x["stay"] for x in courier.values["stays"] if x["door"] in box]
        await courier.then("take", "open", stay=inside[0])
        assert set(courier.values["stays"]) == set(inside)
        await courier.press("report", what="compartment_empty", stay=inside[1])
        wall.shut(courier.door)
        await courier.shows("takeout")
        await courier.then("take", "open", stay=expected)
        await courier.take()
        counts = await courier.then("back", "courier")
        assert (counts["taken"], counts["empty"], counts["undelivered"]) == (2, 1, 0)
        await courier.press("sign_out")
        wall.mend()
        await here.becomes(expected, "collected")
        await here.becomes(inside[0], "collected")
        assert (await here.becomes(inside[1], "exception"))["reason"] == "compartment_empty"
        assert await here.listed(0) == []
        await here.tasks("wrong_recipient", "missing")
        await here.ask("POST", f"stays/{gift}/reassign", 202, json={"recipient": here.place.person})
        await here.becomes(gift, "deposited")
        await wall.cut()
        await (await here.person(wall.pickup(gift))).take()
        wall.mend()
        await here.becomes(gift, "collected")
        await here.tasks("missing")


async def test_the_pile_beside_the_wall_goes_onto_a_shelf_behind_a_gate(database: str, tmp_path: Path) -> None:
    async with days(database, tmp_path, TOGETHER) as here:
        wall = await here.build(TOGETHER, fittings=SHELVED)
        place = here.place
        place.bank = wall.bank
        code = await here.grant("courier", wall, party=place.party)
        stays = [await here.announce(f"LW-{n}") for n in (1, 2, 3)]
        other = await here.announce("LW-4", recipient=here.people["Grace"])
        await wall.cut()
        courier = await here.courier(wall, code)
        await courier.then("intake", "shelves", "intake")
        await courier.then("intake", "intake", "open", shelf="S1")
        if courier.screen != "intake":
            wall.shut(courier.door)
            await courier.shows("intake", "courier")
        for label in ("LW-1", "LW-2", "LW-4"):
            await courier.press("label", label=label)
            assert courier.refused is None, courier.refused
        assert courier.values["stored"] == 3
        await courier.press("back")
        await courier.deliver("LW-3")
        await wall.power_cut()
        await courier.shows("courier", "start")
        await courier.press("sign_out")
        if wall.open:
            wall.shut(*sorted(wall.open))
        ada = await here.person(wall.pickup(stays[0]), wall)
        await ada.shows("open")
        assert ada.door == "G" and set(ada.values["stays"]) == set(stays[:2])
        await ada.take()
        await ada.then("take", "open", stay=stays[2])
        await ada.take()
        await ada.press("sign_out")
        wall.mend()
        for stay in stays:
            await here.becomes(stay, "collected")
        assert (await here.becomes(other, "deposited"))["compartment"] == "S1"
        grace = await here.person(wall.pickup(other), wall)
        await grace.take()
        await here.becomes(other, "collected")
        await here.tasks()


async def test_staff_puts_the_pile_onto_a_numbered_shelf_and_everybody_is_told(database: str, tmp_path: Path) -> None:
    """With the codes that stand in the mails, and nothing else."""
    async with days(database, tmp_path, mail=True) as here:
        held = {**PARCEL, "holds_unknown": True}
        shelves = [Fitting(CompartmentId(x), LARGE, shelf=True) for x in ("S1", "S2")]
        wall = await here.build(held, fittings=[Fitting(CompartmentId("01"), LARGE), *shelves])
        here.place.bank = wall.bank
        codes = [await here.grant("staff", wall, holder=name) for name in ("Sam", "Kim")]
        known = await here.announce("LW-1")
        await wall.cut()
        staff = await here.person(codes[0], wall, "staff")
        assert list((await staff.then("intake", "shelves"))["carriers"].values()) == ["Swift Parcels"]
        await staff.then("intake", "intake", shelf="S2", party=here.place.party)
        await staff.press("label", label="LW-1")
        await staff.press("label", label="P-2")
        await staff.name("grace hop")
        assert (staff.screen, staff.values["stored"]) == ("intake", 2)
        await wall.power_cut()
        staff = await here.person(codes[0], wall, "staff")
        await staff.then("intake", "intake", shelf="S2", party=here.place.party)
        await staff.press("label", label="P-3")
        await staff.press("unknown_recipient")
        await staff.press("label", label="P-2")
        assert staff.refused == "already_here"
        assert staff.values["stored"] == 3, "what was put there before the power went counts"
        await staff.press("sign_out")
        wall.mend()

        stays = {x["tracking"] or "": x for x in await here.see(lambda: here.stored(3))}
        assert {x["compartment"] for x in stays.values()} == {"S2"}
        (nobodys,) = await here.tasks("unknown_recipient")
        assert (await here.stay(nobodys))["party"] == here.place.party
        (told,) = await here.place.mails(1)
        (graces,) = await here.place.mails(1, to="grace@example.org")
        assert "Shelf:" in told["text"] and "S2" in told["text"] and "Door:" not in told["text"]
        await here.ask("POST", f"stays/{nobodys}/reassign", 202, json={"recipient": here.people["Grace"]})
        await here.tasks()
        await here.place.mails(2, to="grace@example.org")

        # Ada sends Bo while the wall cannot be heard. Bo hears of it when it can, and Ada's own code still works.
        await wall.cut()
        until = (here.time.utc() + timedelta(hours=8)).isoformat()
        bo = {"name": "Bo", "email": "bo@example.org", "until": until}
        asked = await here.ask("POST", f"stays/{known}/delegates", 202, json=bo)
        assert asked["state"] == "asked" and asked["digits"] is None
        wall.mend()
        (sent,) = await here.place.mails(1, to="bo@example.org")
        await wall.cut()
        grace = await here.person(code_in(graces), wall, "thanks")
        assert (grace.values["shelf"], grace.values["door"]) == (True, "S2")
        assert len(grace.values["last"]["stays"]) == 2
        await grace.press("report", what="compartment_empty", stay=nobodys)
        await grace.press("sign_out")
        await here.person(code_in(sent), wall, "thanks")
        late = await here.person(code_in(told), wall)
        assert not late.values.get("stays") and late.screen != "open", "Bo has it"
        wall.mend()
        await here.becomes(known, "collected")
        assert (await here.becomes(nobodys, "exception"))["reason"] == "compartment_empty"


def code_in(mail: dict[str, Any]) -> str:
    return str(mail["text"].split("Your code: ")[1].splitlines()[0])


async def test_a_full_bank_a_queue_and_another_bank(database: str, tmp_path: Path) -> None:
    async with days(database, tmp_path) as here:
        large = {"width_mm": 370, "height_mm": 400, "depth_mm": 600}
        one, two = await delivered(here, "LW-1", "LW-2", size=large)
        other = await here.build(fittings=[Fitting(CompartmentId("01"), LARGE)])
        code = await here.grant("courier", other, party=here.place.party)
        waiting = [await here.announce(x, size=large) for x in ("LW-3", "LW-4")]
        body = {"until": (here.time.utc() + timedelta(days=2)).isoformat(), "wait": True}
        for stay in waiting:
            await here.ask("POST", f"stays/{stay}/reservation", 202, json=body)

        async def queued() -> list[int] | None:
            found = [(await here.stay(stay))["waiting_position"] for stay in waiting]
            return found if all(found) else None

        assert await here.see(queued) == [1, 2]
        await here.wall.cut()
        await here.ask("POST", f"stays/{waiting[1]}/redirect", 202, json={"bank": other.bank})
        ada = await here.person(here.wall.pickup(one))
        await ada.take()
        await ada.press("sign_out")
        await here.wall.power_cut()
        here.wall.mend()
        await here.becomes(one, "collected")
        await here.pass_time(minutes=10)  # a wall that said no is not asked again at once
        offered = await here.becomes(waiting[0], "reserved")
        assert offered["offered_until"] is not None
        moved = await here.becomes(waiting[1], "expected", "reserved")
        assert moved["bank"] == other.bank
        courier = await here.courier(other, code)
        await courier.deliver("LW-4")
        await here.becomes(waiting[1], "deposited")
        await other.cut()
        (pickup,) = [x.pickup for x in other.loop.bank.stays.values()]
        await (await here.person(other.code(pickup), other)).take()
        other.mend()
        await here.becomes(waiting[1], "collected")
        again = await here.courier()
        assert await again.deliver("LW-3") == offered["compartment"]
        await here.becomes(waiting[0], "deposited")
        assert (await here.stay(two))["state"] == "deposited"


class Partner:
    """A shop's own server: takes in the returns that it knows of."""

    def __init__(self) -> None:
        self.knows: set[str] = set()
        self.heard: list[tuple[str, str]] = []
        self.mute = False
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
        form = parse_qs((await reader.readexactly(int(fields["content-length"]))).decode())
        shown = next(line for line in head.splitlines() if line.lower().startswith("authorization"))
        self.heard.append((form["label"][0], base64.b64decode(shown.split()[-1]).decode()))
        if not self.mute:
            said = b'{"accept": true}' if form["label"][0] in self.knows else b'{"accept": false}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))
        writer.close()


@asynccontextmanager
async def partner() -> AsyncIterator[Partner]:
    shop = Partner()
    async with await asyncio.start_server(shop.answer, "127.0.0.1", 0) as server:
        shop.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/returns"
        yield shop


async def test_a_partner_is_asked_before_a_door_opens_and_its_rule_counts_where_it_cannot_be(
    database: str, tmp_path: Path
) -> None:
    async with partner() as shop, days(database, tmp_path, PARCEL, BOX) as here:
        wall = here.wall
        services = [PARCEL, {**BOX, "party": here.place.party}]
        await here.ask("PUT", f"banks/{wall.bank}/services", json={"services": services})
        rule = {"prefixes": ["RET"], "otherwise": "refuse", "ask": shop.url, "secret": "open sesame"}
        shown = await here.ask("PUT", f"parties/{here.place.party}/rule", json=rule)
        assert shown["secret"] is None
        assert (await here.ask("GET", f"parties/{here.place.party}/rule"))["ask"] == shop.url

        async def told() -> bool | None:
            return (b"RET" in (wall.desk.document("partner rules") or b"") and "box" in wall.desk.bank.services) or None

        await here.see(told)
        assert b"Swift Parcels" in (wall.desk.document("wall") or b"")

        async def bring(label: str) -> str | None:
            """Why not; None: the next question is asked."""
            walker = Person(wall)
            await walker.press("walk_in")
            await walker.press("label", label=label)
            why = walker.refused
            await walker.press("sign_out")
            assert not wall.open
            return why

        shop.knows = {"X-1"}
        assert await bring("X-1") is None
        assert await bring("RET-2") == "refused"
        assert shop.heard == [("X-1", "latchwork:open sesame"), ("RET-2", "latchwork:open sesame")]
        shop.mute = True
        assert (await bring("RET-3"), await bring("X-1")) == (None, "refused")
        await wall.cut()
        assert (await bring("RET-4"), await bring("X-1")) == (None, "refused")
        assert len(shop.heard) == 4
