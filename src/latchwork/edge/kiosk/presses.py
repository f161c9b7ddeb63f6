"""What may be pressed, typed or scanned: the bodies of `POST /act`, one kind each, bounded before anything reads them.

`{"do": "code", "code": "123456"}`: the field `do` names the kind.
"""

from typing import Annotated

from msgspec import Meta, Struct

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


class Door(_Press, tag="door"):
    """Staff picks a door."""

    door: Annotated[str, Meta(min_length=1, max_length=20)]


class Visit(_Press, tag="visit"):
    reason: Name


class Look(_Press, tag="look"):
    """ "I see inside already." """


class Seen(_Press, tag="seen"):
    empty: bool


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
    | Ticket
    | Label
    | NoLabel
    | Search
    | Recipient
    | Agree
    | Deposit
    | Confirm
    | TooSmall
    | Occupied
    | DidNotOpen
    | TookBack
    | TookIt
    | Again
    | TakeOut
    | Take
    | Door
    | Visit
    | Look
    | Seen
    | Back
    | SignOut
    | StillHere
    | Language
    | Large
)
