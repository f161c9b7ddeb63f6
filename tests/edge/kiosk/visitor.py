"""Somebody at the kiosk, without HTTP and browser."""

import asyncio
import json
from dataclasses import replace

from tests.edge.kiosk.desk import JANE, MAX, TestDesk

from latchwork.domain.words import PersonId, Reason
from latchwork.edge.kiosk import presses as p
from latchwork.edge.kiosk.acts import act, tend
from latchwork.edge.kiosk.at import At
from latchwork.edge.kiosk.papers import Papers, Person
from latchwork.edge.kiosk.picture import Screen
from latchwork.edge.kiosk.render import Render
from latchwork.edge.kiosk.screens import show
from latchwork.edge.kiosk.turn import Turn

PAPERS = Papers((Person(JANE, "J. D.", "12"), Person(MAX, "M. A.", "3b"), Person(PersonId("3" * 32), "J. A.", "112")))
RENDER = Render("Elm Court")


class Visitor:
    """One person at one screen. Every screen that they see is rendered in every language on the way."""

    def __init__(self, desk: TestDesk, papers: Papers = PAPERS) -> None:
        self.desk = desk
        self.papers = papers
        self.turn = Turn()
        self.keys = 0

    def __call__(self, *presses: p.Press) -> Screen:
        for press in presses:
            self.keys += 1
            at = At(self.desk, self.papers, f"key-{id(self)}-{self.keys}", ("en", "de"))
            self.turn = asyncio.run(act(at, self.turn, press, self.desk.now))
            screen = self.see()
        return screen

    def see(self) -> Screen:
        self.turn = asyncio.run(tend(self.desk, self.turn, self.desk.now))
        screen = show(self.desk.bank, self.turn, self.papers)
        json.dumps(screen.values)
        for language in ("en", "de"):
            turn = replace(self.turn, language=language)
            RENDER.screen(self.desk.bank, turn, self.papers, screen)
        return screen

    def html(self, screen: Screen) -> str:
        return RENDER.screen(self.desk.bank, self.turn, self.papers, screen)

    def refused(self) -> Reason | None:
        return self.turn.refusal.reason if self.turn.refusal else None


def signed_in(desk: TestDesk) -> Visitor:
    courier = Visitor(desk)
    assert courier(p.Code(desk.courier)).name == "courier"
    return courier
