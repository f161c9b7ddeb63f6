"""A stay's story in words. What a log says briefly, people want in a sentence; recipients need not see every line."""

from collections.abc import Iterable, Mapping
from datetime import tzinfo

from latchwork.server.actions.stays import Event
from latchwork.server.web.render import reader, second, tell

WORDS: Mapping[str, str] = {
    "Announced": "Announced",
    "Expected": "The locker expects it",
    "PassGranted": "The locker made a code to put it in",
    "SessionBegan": "A code was entered at the screen",
    "Claimed": "Door {door} was chosen",
    "Opened": "Door {door} opened",
    "Closed": "Door {door} closed",
    "NotOpened": "Door {door} did not open",
    "Unresolved": "The power went off while door {door} was opening",
    "Lapsed": "Door {door} was not opened",
    "Released": "Door {door} was given up again",
    "Stored": "Put into door {door}",
    "Collected": "Collected from door {door}",
    "Recalled": "Taken back from door {door}",
    "Expired": "Its time was over",
    "Cancelled": "Cancelled",
    "Redirected": "Sent to another locker",
    "Recovered": "Put into door {door}, as the controller told again",
    "NotDelivered": "The courier could not put it in",
    "Removed": "Taken out of door {door} by the staff",
    "Reported": "Its recipient said something about it",
    "Amended": "Changed",
    "Moved": "Moved to door {door}",
    "PassRevoked": "A code was taken back",
    "Answered": "The locker said no",
}
ASKED: Mapping[str, str] = {
    "Expect": "to expect it",
    "Reserve": "for a compartment",
    "Cancel": "to expect it no longer",
    "Amend": "to change it",
    "Extend": "for more time",
}
"""What an instruction asks of the wall."""
FOR_RECIPIENTS = frozenset(
    {
        "Announced",
        "Expected",
        "Opened",
        "Closed",
        "NotOpened",
        "Stored",
        "Collected",
        "Recalled",
        "Expired",
        "Cancelled",
        "Redirected",
        "NotDelivered",
        "Removed",
        "Reported",
        "Amended",
        "Moved",
        "Answered",
    }
)
NOTED = frozenset(
    {"NotOpened", "Lapsed", "Released", "Answered", "NotDelivered", "Removed", "Reported", "Amended", "Claimed"}
)
"""Kinds whose reason is worth a line."""


def told(events: Iterable[Event], audience: str, zone: tzinfo | None = None) -> list[dict[str, str]]:
    """As the timeline of `parts.html` takes it, the latest last."""
    return [
        {
            "at": event.at.isoformat(),
            "when": second(event.at, zone),
            "what": _what(event),
            "note": _note(event, audience),
        }
        for event in events
        if audience != "recipient" or event.kind in FOR_RECIPIENTS
    ]


def _what(event: Event) -> str:
    if asked := ASKED.get(event.asked or ""):
        return tell("Asked {what}, the locker said no", what=tell(asked))
    text = tell(WORDS.get(event.kind, event.kind), door=event.compartment or "?")
    return tell("{what}, presumably", what=text) if event.presumed else text


def _note(event: Event, audience: str) -> str:
    if event.kind not in NOTED or event.reason is None:
        return ""
    if audience == "recipient" and (event.kind, event.reason) == ("Answered", "parcel_not_available"):
        return ""  # its words are about a code that somebody typed
    try:
        return reader().reason(event.reason, audience).what
    except KeyError:
        return event.reason.replace("_", " ")
