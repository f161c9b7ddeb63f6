"""A screen as markup, in the turn's language. Lays out pictures; decides nothing."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from latchwork.domain import policy
from latchwork.domain.bank import Bank
from latchwork.domain.words import Reason
from latchwork.edge.kiosk.papers import Papers
from latchwork.edge.kiosk.picture import Screen
from latchwork.edge.kiosk.screens import audience
from latchwork.edge.kiosk.turn import Turn
from latchwork.ui.pages import environment
from latchwork.ui.wall import Column, Door, columns
from latchwork.ui.words import Words, languages, words

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"


class Render:
    def __init__(self, bank_name: str) -> None:
        self._bank_name = bank_name
        self._environment = environment(TEMPLATES)

    def page(self, bank: Bank, turn: Turn, papers: Papers, screen: Screen) -> str:
        inner = self.screen(bank, turn, papers, screen)
        return self._environment.get_template("kiosk/page.html").render(
            **self._common(turn, papers), inner=inner, screen=screen.name
        )

    def screen(self, bank: Bank, turn: Turn, papers: Papers, screen: Screen) -> str:
        heard = screen.values.get("heard_at")
        return self._environment.get_template(f"kiosk/{screen.name}.html").render(
            **self._common(turn, papers),
            screen=screen.name,
            v=screen.values,
            columns=_columns(screen.values),
            refusal=refusal_values(bank, turn),
            heard=when(bank, heard, words(turn.language)) if heard else None,
            when=lambda at: when(bank, at, words(turn.language)),
        )

    def _common(self, turn: Turn, papers: Papers) -> Mapping[str, Any]:
        return {
            "w": words(turn.language),
            "languages": [words(language) for language in languages()],
            "large": turn.large,
            "bank_name": papers.bank_name or self._bank_name,
            "site": papers.site,
            "help_phone": papers.help_phone,
        }


def refusal_values(bank: Bank, turn: Turn) -> Mapping[str, str | None] | None:
    """A refusal as the answer of `/act` carries it: the reason for machines, the words for people."""
    if turn.refusal is None:
        return None
    spoken: Words = words(turn.language)
    said = spoken.reason(turn.refusal.reason, audience(bank, turn))
    until = turn.refusal.until.isoformat() if turn.refusal.until else None
    following = said.next
    if until and turn.refusal.reason is Reason.OUTSIDE_HOURS:
        following = spoken.say("kiosk.opens", time=when(bank, until, spoken))
    return {"reason": str(turn.refusal.reason), "until": until, "words": said.what, "next": following}


def _columns(values: Mapping[str, Any]) -> tuple[Column, ...]:
    return columns(Door(**door) for door in values.get("wall", ()))


def when(bank: Bank, at: str, spoken: Words) -> str:
    """An instant on the site's own clock; with its weekday and date where it is not today."""
    there = policy.local(bank, datetime.fromisoformat(at))
    today = policy.local(bank, bank.at).date() if bank.at else None
    clock = there.strftime("%H:%M")
    if there.date() == today:
        return clock
    day = spoken.say(f"kiosk.day.{there.isoweekday()}")
    return spoken.say("kiosk.date", day=day, n_day=there.day, n_month=there.month, time=clock)
