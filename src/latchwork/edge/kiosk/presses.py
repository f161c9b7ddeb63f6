"""What may be pressed, typed or scanned: the bodies of `POST /act`, one kind each, bounded before anything reads them.

`{"do": "code", "code": "123456"}`: the field `do` names the kind. docs/reference/kiosk.md tells what each does where.
"""

from typing import Annotated

from msgspec import Meta, Struct

from latchwork.domain.words import Reason
from latchwork.edge.kiosk.photos import JPEG_BYTES_MAX

Digits = Annotated[str, Meta(min_length=1, max_length=16, pattern=r"^[0-9][0-9 \-]*$")]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
_LINE = r"^[^\x00-\x1c\x1e\x1f\x7f]*$"
"""One line as scanners send it; 0x1D separates the fields of a GS1 label."""
Name = Annotated[str, Meta(max_length=40, pattern=r"^[a-z_0-9]+$")]

Box = Annotated[str, Meta(max_length=20, pattern=r"^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$")]
"""Width, height and depth in millimetres."""


class _Press(Struct, tag_field="do", forbid_unknown_fields=True):
    pass


class Code(_Press, tag="code"):
    code: Digits


class Card(_Press, tag="card"):
    """The number of a card that lay on a reader: it says which card it is, and proves no more."""

    card: Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{4,32}$")]


class Ticket(_Press, tag="ticket"):
    text: Annotated[str, Meta(max_length=400)]


class Label(_Press, tag="label"):
    label: Annotated[str, Meta(min_length=3, max_length=200, pattern=_LINE)]


class NoLabel(_Press, tag="no_label"):
    pass


class Search(_Press, tag="search"):
    text: Annotated[str, Meta(max_length=60, pattern=_LINE)]


class Recipient(_Press, tag="recipient"):
    id: Id


class UnknownRecipient(_Press, tag="unknown_recipient"):
    """ "They are not in the list." Held for staff where the service does that."""


class AskPhoto(_Press, tag="ask_photo"):
    pass


class Photo(_Press, tag="photo"):
    """A picture of the thing in hand; `jpeg` is base64."""

    jpeg: Annotated[bytes, Meta(max_length=JPEG_BYTES_MAX)]


class NoPhoto(_Press, tag="no_photo"):
    """ "No camera", or none is wanted."""


class Agree(_Press, tag="agree"):
    """ "Yes, it is for them." Asks for a size where none is known."""


class Deposit(_Press, tag="deposit"):
    """Open a door for the thing in hand; without `size` the smallest that fits, or the smallest at all."""

    size: Box | None = None


class Confirm(_Press, tag="confirm"):
    """ "It is in." """


class TooSmall(_Press, tag="too_small"):
    pass


class Occupied(_Press, tag="occupied"):
    """ "Something is inside." """


class DidNotOpen(_Press, tag="did_not_open"):
    """Another door for this parcel."""


class WillNotClose(_Press, tag="will_not_close"):
    """The door; another one for this parcel."""


class CannotDeliver(_Press, tag="cannot_deliver"):
    """Asks why."""


class GiveUp(_Press, tag="give_up"):
    """ "I cannot deliver this here." """

    reason: Reason


class Parcels(_Press, tag="parcels"):
    """What became of each parcel of this session."""


class Intake(_Press, tag="intake"):
    """Onto a shelf: scan, scan, scan. Without `shelf` the choice of shelves; `party` for staff, whose parcels."""

    shelf: Annotated[str, Meta(min_length=1, max_length=20)] | None = None
    party: Id | None = None


class Gate(_Press, tag="gate"):
    door: Annotated[str, Meta(min_length=1, max_length=20)]


class WalkIn(_Press, tag="walk_in"):
    """ "I want to leave something." Without `service` the choice, where there is more than one."""

    service: Id | None = None


class InReach(_Press, tag="in_reach"):
    """A compartment that can be reached from a wheelchair."""

    on: bool


class TookBack(_Press, tag="took_back"):
    """ "I keep it, nothing is inside." """


class TookIt(_Press, tag="took_it"):
    """After a power cut: "I have it." """


class Again(_Press, tag="again"):
    """The same door once more."""


class TakeOut(_Press, tag="take_out"):
    """A courier asks for the list."""


class Take(_Press, tag="take"):
    stay: Id


class Wrong(_Press, tag="wrong"):
    """ "Something is wrong." Without `what` asks what; with it asks to confirm. `stay` where a door held several."""

    what: Reason | None = None
    stay: Id | None = None


class Report(_Press, tag="report"):
    """left_behind, not_mine, refused, damaged (`left`, or taken along) or compartment_empty."""

    what: Reason
    stay: Id | None = None
    left: bool = True


class Extend(_Press, tag="extend"):
    """More time for one that is here."""

    stay: Id


class Door(_Press, tag="door"):
    """Staff picks a door."""

    door: Annotated[str, Meta(min_length=1, max_length=20)]


class Visit(_Press, tag="visit"):
    reason: Name


class Look(_Press, tag="look"):
    """ "I see inside already." """


class Seen(_Press, tag="seen"):
    empty: bool


class Thing(_Press, tag="thing"):
    """Staff picks what is in a door."""

    stay: Id


class Move(_Press, tag="move"):
    """To another compartment: out of the old door, into the new one."""

    stay: Id


class Remove(_Press, tag="remove"):
    """For good: return_to_sender, disposed (with `second`, another member's code or QR text; without it asks for
    one), or compartment_empty for what was looked for and is not there."""

    stay: Id
    why: Reason
    second: Annotated[str, Meta(min_length=1, max_length=400)] | None = None


class Maintain(_Press, tag="maintain"):
    """A technician begins to work on the wall, or is done: meanwhile doors that open by hand raise no alarm."""

    on: bool


class OpenAll(_Press, tag="open_all"):
    """Every door in turn. Without `reason` asks why; without `second`, another member's code or QR text, for that."""

    reason: Reason | None = None
    second: Annotated[str, Meta(min_length=1, max_length=400)] | None = None


class Listen(_Press, tag="listen"):
    """Have doors opened from afar again, after there were too many."""


class Withdraw(_Press, tag="withdraw"):
    """Out of service, or `back`; `now` even where something is inside."""

    door: Annotated[str, Meta(min_length=1, max_length=20)]
    back: bool = False
    now: bool = False


class Audit(_Press, tag="audit"):
    """Door by door, the one that was longest not looked into first. Stopped by `back`, resumed by this."""


class Skip(_Press, tag="skip"):
    """The next door; this one another time."""


class Back(_Press, tag="back"):
    pass


class SignOut(_Press, tag="sign_out"):
    pass


class StillHere(_Press, tag="still_here"):
    pass


class Language(_Press, tag="language"):
    language: Name


class Large(_Press, tag="large"):
    on: bool


Press = (
    Code
    | Card
    | Ticket
    | Label
    | NoLabel
    | Search
    | Recipient
    | UnknownRecipient
    | AskPhoto
    | Photo
    | NoPhoto
    | Agree
    | Deposit
    | Confirm
    | TooSmall
    | Occupied
    | DidNotOpen
    | WillNotClose
    | CannotDeliver
    | GiveUp
    | Parcels
    | Intake
    | Gate
    | WalkIn
    | InReach
    | TookBack
    | TookIt
    | Again
    | TakeOut
    | Take
    | Wrong
    | Report
    | Extend
    | Door
    | Visit
    | Look
    | Seen
    | Thing
    | Move
    | Remove
    | Maintain
    | OpenAll
    | Listen
    | Withdraw
    | Audit
    | Skip
    | Back
    | SignOut
    | StillHere
    | Language
    | Large
)
