"""The story of a dozen parcels as a script: each step does something and returns what was seen of it.

Everything goes through interfaces that anybody has: the API, the kiosk's screen, the doors of the simulated boards,
the mails. A step counts only when what it brings about has been seen; otherwise it raises Unseen or Refused.
"""

import html
import io
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from latchwork.domain.words import BankId
from latchwork.simulator.clients import Hands, Kiosk, Mailbox, Refused, Unseen, seen
from latchwork.simulator.scenery import CAMPUS, LOBBY, DemoWall
from latchwork.simulator.stage import WALLS, Stage
from latchwork.sync import receipts
from latchwork.sync.keys import read_sticker, sticker

BACK_S = 90.0
"""A restarted server recovers its database, and a bank that was refused for a while tries again after a while."""
SIZES = {"S": (300, 60, 400), "M": (350, 150, 500), "L": (360, 390, 600)}
FLASH = {"id": "flash", "deposit_by": "courier", "collect_by": "person", "pickup_hours_max": 0}
"""A service whose time is up at once, because nobody wants to watch a demo for three days."""


@dataclass(frozen=True, slots=True)
class Parcel:
    tracking: str
    recipient: str
    wall: DemoWall
    size: str
    service: str = "parcel"


ADA, GRACE, ALAN = "Ada Lovelace", "Grace Hopper", "Alan Turing"
KATHERINE, EDSGER, ANNIE = "Katherine Johnson", "Edsger Dijkstra", "Annie Easley"
PARCELS = {
    1: Parcel("LW-2001", ADA, LOBBY, "S"),
    2: Parcel("LW-2002", GRACE, LOBBY, "M"),
    3: Parcel("LW-2003", ALAN, LOBBY, "S"),
    4: Parcel("LW-2004", KATHERINE, LOBBY, "L"),
    5: Parcel("LW-2005", EDSGER, LOBBY, "S"),
    6: Parcel("LW-2006", ANNIE, LOBBY, "M"),
    7: Parcel("LW-2007", ADA, CAMPUS, "S"),
    8: Parcel("LW-2008", GRACE, CAMPUS, "M"),
    9: Parcel("LW-2009", ALAN, CAMPUS, "L"),
    10: Parcel("LW-2010", KATHERINE, CAMPUS, "S", "flash"),
    11: Parcel("LW-2011", EDSGER, CAMPUS, "S"),
    12: Parcel("LW-2012", ANNIE, CAMPUS, "S"),
}


@dataclass(frozen=True, slots=True)
class Step:
    what: str
    seen: str
    seconds: float
    good: bool


@dataclass
class Story:
    """What has happened so far, and how to do the next thing."""

    stage: Stage
    mailbox: Mailbox
    hands: dict[str, Hands]
    stays: dict[int, str] = field(default_factory=dict)
    doors: dict[int, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    stuck_door: str = ""
    receipt: bytes = b""
    """Of a parcel that was collected while the server was away, for anybody to verify."""
    sticker: str = ""
    """With the key of its wall."""

    # The steps, in their order: each returns what was seen

    async def announce(self) -> str:
        campus, api = self.stage.made.banks["campus"], self.stage.api
        await api.put(f"banks/{campus}/services", services=[*await api.get(f"banks/{campus}/services"), FLASH])
        await seen("the campus bank adopts the new service", self._adopted)
        for number, parcel in PARCELS.items():
            self.stays[number] = await self._announce(parcel)
        again = await self._announce(PARCELS[1])
        _must(again == self.stays[1], "a repeated announcement made a second parcel")
        for number in PARCELS:
            await self._becomes(number, "expected", confirmed=True)
        return "12 expected by their banks; a repeat made no 13th"

    async def deposit_lobby(self) -> str:
        return await self._deposit_all(LOBBY, 1, 2, 4)

    async def jam(self) -> str:
        self.stuck_door = await self._next_small_door(LOBBY)
        channel = LOBBY.channel(self.stuck_door)
        await self.hands["lobby"].do(channel, "jam")
        async with await self._courier(LOBBY) as kiosk:
            await self._ask_for_door(kiosk, PARCELS[3])
            await kiosk.shows("not_opened")
            _must(
                kiosk.door == self.stuck_door, f"door {kiosk.door} was asked, and {self.stuck_door} is the jammed one"
            )
            await kiosk.press("did_not_open")
            await self._put_in(kiosk, 3)
            await kiosk.press("sign_out")
        await self._compartment(LOBBY, self.stuck_door, "needs_check")
        return f"door {self.stuck_door} stayed shut twice and needs a check; door {self.doors[3]} was given instead"

    async def repair(self) -> str:
        channel, bank = LOBBY.channel(self.stuck_door), self.stage.made.banks["lobby"]
        await self.hands["lobby"].do(channel, "unjam")
        opened = await self.stage.api.post(
            f"banks/{bank}/compartments/{self.stuck_door}/open", reason="inspection", note="The hinge was bent."
        )
        await self._instructed(opened["instruction"], opening="opened")
        await self.hands["lobby"].shut(channel)
        checked = await self.stage.api.post(f"banks/{bank}/compartments/{self.stuck_door}/check", empty=True)
        await self._instructed(checked["instruction"])
        await self._compartment(LOBBY, self.stuck_door, "vacant")
        return f"door {self.stuck_door} opened from afar with a reason, was vouched for and is vacant"

    async def deposit_campus(self) -> str:
        return await self._deposit_all(CAMPUS, 7, 8, 9, 10, 12)

    async def too_small(self) -> str:
        async with await self._courier(CAMPUS) as kiosk:
            await self._ask_for_door(kiosk, PARCELS[11])
            await kiosk.shows("open")
            small = kiosk.door
            await kiosk.press("too_small")
            await self.hands["campus"].shut(CAMPUS.channel(small))
            await self._put_in(kiosk, 11)
            await kiosk.press("sign_out")
        heights = {each.id: each.height_mm for each in CAMPUS.compartments()}
        _must(heights[self.doors[11]] > heights[small], f"door {self.doors[11]} is no larger than {small}")
        return f"door {small} was too small, door {self.doors[11]} is larger"

    async def mails(self) -> str:
        waiting = (1, 2, 3, 4, 7, 8, 9, 11, 12)
        for number in waiting:
            mail = await self._mail(number)
            _must(_pin(mail) != "", f"no code in the mail about {PARCELS[number].tracking}")
            page = next(link for link in mail["links"] if "/p/" in link)
            async with httpx.AsyncClient(timeout=10) as client:
                answer = await client.get(page)
            _must(answer.status_code == 200, f"the parcel's page {page} answers HTTP {answer.status_code}")
            _must(
                _pin(mail) in re.sub(r"<[^>]*>|\s", "", html.unescape(answer.text)),
                f"the page {page} does not show the code",
            )
        return f"{len(waiting)} mails, each with a code, a QR code and a page of its own"

    async def collect_by_pin(self) -> str:
        pin = _pin(await self._mail(1))
        await self._collect(1, "code", code=pin)
        await self._collect(12, "code", code=_pin(await self._mail(12)))
        async with self._kiosk(LOBBY) as kiosk:
            screen = await kiosk.press("code", code=pin)
            _must(screen == "thanks", f"a used code led to the screen {screen}")
        return "2 collected; a used code opens nothing by itself"

    async def collect_by_qr(self) -> str:
        for number in (2, 8):
            await self._collect(number, "ticket", text=await self._qr(number))
        return "2 collected with what a scanner reads from the mail's picture"

    async def kill_server(self) -> str:
        # What people will need is in their mails already: the bank works on without a server, and so do they.
        self._late = {"pin": _pin(await self._mail(3)), "qr": await self._qr(9)}
        self.stage.children["server"].kill()
        await seen("the server gone", self._server_is_away)
        return "nothing answers there any more"

    async def work_offline(self) -> str:
        await self._deposit_all(LOBBY, 5, 6, told=False)
        await self._collect(3, "code", told=False, code=self._late["pin"])
        await self._collect(9, "ticket", told=False, text=self._late["qr"])
        _must(await self._server_is_away() is not None, "the server was there all the time")
        return "2 deposited, 1 collected by code and 1 by QR code, all without a server"

    async def restart_server(self) -> str:
        self.stage.children["server"].start()
        for number, state in ((5, "deposited"), (6, "deposited"), (3, "collected"), (9, "collected")):
            await self._becomes(number, state, patience_s=BACK_S)
        for number in (5, 6):
            await self._mail(number, patience_s=BACK_S)
        return "everything that happened meanwhile arrived, and its mails went out"

    async def collect_the_rest(self) -> str:
        for number in (4, 5, 7, 11):
            await self._collect(number, "code", code=_pin(await self._mail(number)))
        await self._collect(6, "ticket", text=await self._qr(6))
        return "5 collected, 2 of them put in while the server was away"

    async def recall(self) -> str:
        await self._becomes(10, "expired")
        async with await self._courier(CAMPUS) as kiosk:
            await kiosk.press("take_out")
            await kiosk.shows("takeout")
            listed = [stay["stay"] for stay in kiosk.now["values"]["stays"]]
            _must(listed == [self.stays[10]], f"the courier's list has {len(listed)} parcels, and 1 is expired")
            await kiosk.press("take", stay=listed[0])
            await kiosk.shows("open")
            await self._take_out(CAMPUS, kiosk.door)
            await kiosk.shows("takeout", "courier")
            await kiosk.press("sign_out")
        await self._becomes(10, "recalled")
        return f"its time was up, and the courier took it out of door {self.doors[10]}"

    async def look_back(self) -> str:
        for number in PARCELS:
            kinds = {event["kind"] for event in await self.timeline(number)}
            last = "Recalled" if number == 10 else "Collected"
            missing = {"Announced", "Opened", "Closed", "Stored", last} - kinds
            _must(not missing, f"the timeline of {PARCELS[number].tracking} lacks {', '.join(sorted(missing))}")
        for wall in WALLS:
            doors = await self.hands[wall.key].doors()
            _must(all(door["door"] == "closed" and not door["item"] for door in doors), f"{wall.name} is not empty")
            for each in wall.compartments():
                await self._compartment(wall, each.id, "vacant")
        return "12 whole timelines, 48 empty compartments, in the cloud's picture and behind the doors"

    async def verify(self) -> str:
        number = 3  # collected while the server was away

        async def look() -> bytes | None:
            try:
                return await self.stage.api.file(f"stays/{self.stays[number]}/receipt")
            except Refused:  # its bank has not signed its newest entries yet
                return None

        self.receipt = await seen(f"the receipt of {PARCELS[number].tracking}", look)
        bank = await self.stage.api.get(f"banks/{self.stage.made.banks[PARCELS[number].wall.key]}")
        self.sticker = sticker(BankId(bank["id"]), bytes.fromhex(bank["device_key"]))
        keys = [read_sticker(self.sticker)]
        verdict = receipts.verify(self.receipt, keys)
        _must(verdict.lines[-1].words.startswith("It was collected"), "the receipt does not end with the collection")
        try:
            receipts.verify(self.receipt.replace(b" opened", b" closed", 1), keys)
        except receipts.BadReceipt:
            return f"{len(verdict.lines)} entries in a log of {verdict.logs[0].size}; one changed word is noticed"
        raise Unseen("a receipt with a changed word passes")

    async def timeline(self, number: int) -> list[dict[str, Any]]:
        return list(await self.stage.api.get(f"stays/{self.stays[number]}/timeline"))

    # People

    def _kiosk(self, wall: DemoWall) -> Kiosk:
        return Kiosk(self.stage.ports.url(wall.key))

    async def _courier(self, wall: DemoWall) -> Kiosk:
        kiosk = self._kiosk(wall)
        await kiosk.press("code", code=self.stage.code(wall.key, "courier"))
        await kiosk.shows("courier")
        return kiosk

    async def _deposit_all(self, wall: DemoWall, *numbers: int, told: bool = True) -> str:
        async with await self._courier(wall) as kiosk:
            for number in numbers:
                await self._ask_for_door(kiosk, PARCELS[number])
                await self._put_in(kiosk, number)
            await kiosk.press("sign_out")
        for number in numbers if told else ():
            await self._becomes(number, "deposited", "expired")
        return f"{len(numbers)} put in, doors {', '.join(self.doors[number] for number in numbers)}"

    async def _ask_for_door(self, kiosk: Kiosk, parcel: Parcel) -> None:
        await kiosk.press("label", label=parcel.tracking)
        await kiosk.shows("confirm")
        await kiosk.press("agree")

    async def _put_in(self, kiosk: Kiosk, number: int) -> None:
        wall = PARCELS[number].wall
        await kiosk.shows("open")
        self.doors[number] = kiosk.door
        channel = wall.channel(kiosk.door)
        await self.hands[wall.key].do(channel, "put")
        await self.hands[wall.key].shut(channel)
        await kiosk.shows("closed")
        await kiosk.press("confirm")
        await kiosk.shows("courier")

    async def _collect(self, number: int, how: str, *, told: bool = True, **proof: str) -> None:
        wall = PARCELS[number].wall
        async with self._kiosk(wall) as kiosk:
            await kiosk.press(how, **proof)
            await kiosk.shows("open")
            _must(kiosk.door == self.doors[number], f"door {kiosk.door} opened, and it is in {self.doors[number]}")
            await self._take_out(wall, kiosk.door)
            await kiosk.shows("thanks")
        if told:
            await self._becomes(number, "collected")

    async def _take_out(self, wall: DemoWall, door: str) -> None:
        await self.hands[wall.key].do(wall.channel(door), "take")
        await self.hands[wall.key].shut(wall.channel(door))

    # What the cloud says

    async def _announce(self, parcel: Parcel) -> str:
        size = dict(zip(("width_mm", "height_mm", "depth_mm"), SIZES[parcel.size], strict=True))
        return await self.stage.announce(
            parcel.tracking, parcel.recipient, parcel.wall.key, service=parcel.service, size=size
        )

    async def _adopted(self) -> bool | None:
        bank = await self.stage.api.get(f"banks/{self.stage.made.banks['campus']}")
        return True if bank["policy_version"] == bank["policy_asked"] else None

    async def _becomes(self, number: int, *states: str, confirmed: bool = False, patience_s: float = 20.0) -> None:
        found = "unknown"

        async def look() -> bool | None:
            nonlocal found
            try:
                stay = await self.stage.api.get(f"stays/{self.stays[number]}")
            except Refused:  # the server may be on its way up
                return None
            found = stay["state"]
            return True if found in states and (stay["confirmed"] or not confirmed) else None

        try:
            await seen("", look, patience_s)
        except Unseen:
            what = PARCELS[number].tracking
            raise Unseen(f"{what} is {found} after {patience_s:.0f} s, not {' or '.join(states)}") from None

    async def _compartment(self, wall: DemoWall, compartment: str, state: str) -> None:
        bank = self.stage.made.banks[wall.key]

        async def look() -> bool | None:
            found = await self.stage.api.get(f"banks/{bank}/compartments")
            return any(each["id"] == compartment and each["state"] == state for each in found["compartments"]) or None

        await seen(f"{wall.name} door {compartment} {state}", look)

    async def _next_small_door(self, wall: DemoWall) -> str:
        found = await self.stage.api.get(f"banks/{self.stage.made.banks[wall.key]}/compartments")
        vacant = [each for each in found["compartments"] if each["state"] == "vacant"]
        return str(min(vacant, key=lambda each: (each["height_mm"], each["id"]))["id"])

    async def _instructed(self, instruction: str, opening: str | None = None) -> None:
        async def look() -> bool | None:
            found = await self.stage.api.get(f"instructions/{instruction}")
            _must(found["state"] != "refused", f"the bank refused: {found['refusal']}")
            return True if found["state"] == "done" and opening in (None, found["opening_state"]) else None

        await seen("the bank's answer to an instruction", look)

    async def _server_is_away(self) -> bool | None:
        try:
            await self.stage.api.get("banks")
        except Refused:
            return True
        return None

    # Mails

    async def _mail(self, number: int, patience_s: float = 20.0) -> dict[str, Any]:
        """The one with the code for this parcel."""
        tracking = PARCELS[number].tracking

        async def look() -> dict[str, Any] | None:
            to = f"{PARCELS[number].recipient.split()[0].lower()}@example.org"
            return next((m for m in await self.mailbox.mails(to) if tracking in m["text"] and _pin(m)), None)

        return await seen(f"a mail about {tracking}", look, patience_s)

    async def _qr(self, number: int) -> str:
        return _read_qr(await self.mailbox.picture(await self._mail(number)))


STORY: Sequence[tuple[str, Callable[[Story], Awaitable[str]]]] = (
    ("12 parcels are announced", Story.announce),
    ("A courier fills the lobby", Story.deposit_lobby),
    ("One door jams", Story.jam),
    ("Staff opens and clears it", Story.repair),
    ("A courier fills the campus", Story.deposit_campus),
    ("A compartment is too small", Story.too_small),
    ("Mails arrive", Story.mails),
    ("Recipients come with codes", Story.collect_by_pin),
    ("Recipients come with QR codes", Story.collect_by_qr),
    ("The server is killed (-9)", Story.kill_server),
    ("The banks work on", Story.work_offline),
    ("The server comes back", Story.restart_server),
    ("The others come", Story.collect_the_rest),
    ("One expires and is recalled", Story.recall),
    ("Looking back", Story.look_back),
    ("A receipt is verified", Story.verify),
)


def _must(true: bool, otherwise: str) -> None:
    if not true:
        raise Unseen(otherwise)


def _pin(mail: dict[str, Any]) -> str:
    """The digits after "Your code:", without the spaces that help people."""
    found = re.search(r"^Your code:\s*([0-9][0-9 ]*[0-9])\s*$", mail["text"], re.MULTILINE)
    return found[1].replace(" ", "") if found else ""


def _read_qr(picture: bytes) -> str:
    """As a scanner does: from the picture alone."""
    import zxingcpp
    from PIL import Image

    codes = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))
    if len(codes) != 1:
        raise Unseen(f"the mail's picture holds {len(codes)} codes")
    return str(codes[0].text)
