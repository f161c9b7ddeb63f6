"""The bytes of the 8A, WKLY and Winnsen boards: every vector both ways, and frames in whatever a line delivers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.edge.drivers.vectors import meanings_of, vectors_of

from latchwork.domain.words import DoorState
from latchwork.edge.drivers.bus import Acknowledged, Dialect, Doors, Hint, Refused
from latchwork.edge.drivers.frames import BUFFER_BYTES_MAX, Decoder
from latchwork.edge.drivers.lcb_8a import codec as lcb
from latchwork.edge.drivers.lcb_8a.driver import Lcb8a
from latchwork.edge.drivers.winnsen import codec as winnsen
from latchwork.edge.drivers.winnsen.driver import Winnsen
from latchwork.edge.drivers.wkly import codec as wkly
from latchwork.edge.drivers.wkly.codec import Command
from latchwork.edge.drivers.wkly.driver import Wkly

OPEN, CLOSED = DoorState.OPEN, DoorState.CLOSED


def closed_are(locks: int, *closed: int) -> list[bool]:
    return [lock in closed for lock in range(1, locks + 1)]


WRITTEN: dict[str, dict[str, bytes]] = {
    "lcb-8a": {
        "unlock(1, 1)": lcb.unlock(1, 1),
        "unlocked(1, 1, open)": lcb.unlocked(1, 1, closed=False),
        "read_lock(1, 1)": lcb.read_lock(1, 1),
        "contact_is(1, 1, closed)": lcb.contact_is(1, 1, closed=True),
        "contact_is(1, 1, open)": lcb.contact_is(1, 1, closed=False),
        "read_board(1)": lcb.read_board(1),
        "contacts_are(1, 24 locks, closed 1)": lcb.contacts_are(1, closed_are(24, 1)),
        "contacts_are(1, 24 locks, closed 24)": lcb.contacts_are(1, closed_are(24, 24)),
        "contacts_are(7, 32 locks, closed 1 9)": lcb.contacts_are(7, closed_are(32, 1, 9)),
        "changed(1, 1, closed)": lcb.changed(1, 1, closed=True),
        "shut(1, 1)": lcb.shut(1, 1),
    },
    "wkly": {
        "unlock(0, 1)": wkly.unlock(0, 1),
        "unlocked(0, 1, open)": wkly.unlocked(0, 1, closed=False),
        "read_lock(0, 1)": wkly.read_lock(0, 1),
        "contact_is(0, 1, open)": wkly.contact_is(0, 1, closed=False),
        "read_board(0)": wkly.read_board(0),
        "contacts_are(0, 4 locks, closed 2 3)": wkly.contacts_are(0, closed_are(4, 2, 3)),
        "contacts_are(0, 24 locks, closed -)": wkly.contacts_are(0, closed_are(24)),
        "changed(0, 1, closed)": wkly.changed(0, 1, closed=True),
    },
    "winnsen": {
        "unlock(1, 1)": winnsen.unlock(1, 1),
        "unlocked(1, 1, worked)": winnsen.unlocked(1, 1, worked=True),
        "unlocked(1, 1, failed)": winnsen.unlocked(1, 1, worked=False),
        "unlocked(1, 1, worked) with A0": winnsen.unlocked(1, 1, worked=True, reply=winnsen.OTHER_REPLY),
        "read_station(1)": winnsen.read_station(1),
        "read_station(1, 12)": winnsen.read_station(1, 12),
        "doors_are(1, open 1)": winnsen.doors_are(1, closed_are(16, 1)),
        "doors_are(1, open 1 2 13)": winnsen.doors_are(1, closed_are(16, 1, 2, 13)),
        "doors_are(1, open 1) with A0": winnsen.doors_are(1, closed_are(16, 1), reply=winnsen.OTHER_REPLY),
        "read_lock(1, 1)": winnsen.read_lock(1, 1),
        "door_is(1, 1, open)": winnsen.door_is(1, 1, opened=True),
        "door_is(1, 1, closed)": winnsen.door_is(1, 1, opened=False),
    },
}
PROTOCOLS = sorted(WRITTEN)


@dataclass(frozen=True)
class Tongue:
    """One way in which a protocol is spoken: what its driver makes of frames, and the answers that boards give."""

    dialect: Dialect[Any]
    hears: Callable[[], Decoder[Any]]
    """What a board understands."""
    doors: Callable[[list[bool]], bytes]
    """A board's answer to a read; true is a closed contact."""
    acknowledged: bytes
    event: bytes | None = None
    """A frame that a board may say between any two others."""


TONGUES: Mapping[str, Tongue] = {
    "lcb-8a, 24 locks": Tongue(
        Lcb8a(24),
        lcb.Requests,
        lambda closed: lcb.contacts_are(5, closed[:24]),
        lcb.unlocked(5, 3, closed=False),
        lcb.changed(5, 3, closed=False),
    ),
    "lcb-8a, 12 locks": Tongue(
        Lcb8a(12),
        lcb.Requests,
        lambda closed: lcb.contacts_are(5, closed[:12]),
        lcb.unlocked(5, 3, closed=False),
        lcb.shut(5, 3),
    ),
    "lcb-8a, 8 locks": Tongue(
        Lcb8a(8),
        lcb.Requests,
        lambda closed: lcb.contact_is(5, 8, closed=closed[7]),
        lcb.unlocked(5, 3, closed=False),
        lcb.changed(5, 3, closed=True),
    ),
    "wkly, 24 locks": Tongue(
        Wkly(24),
        wkly.Decoder,
        lambda closed: wkly.contacts_are(5, closed[:24]),
        wkly.unlocked(5, 3, closed=False),
        wkly.changed(5, 3, closed=False),
    ),
    "winnsen, stations": Tongue(
        Winnsen(16, "station"),
        winnsen.Decoder,
        lambda closed: winnsen.doors_are(5, [not each for each in closed[:16]]),
        winnsen.unlocked(5, 3, worked=True),
    ),
    "winnsen, locks": Tongue(
        Winnsen(16, "lock"),
        winnsen.Decoder,
        lambda closed: winnsen.door_is(5, 8, opened=not closed[7]),
        winnsen.unlocked(5, 3, worked=True),
    ),
}
PUSHING = [name for name, tongue in TONGUES.items() if tongue.event is not None]
CHECKED = [name for name, tongue in TONGUES.items() if tongue.dialect.checked]
contacts = st.lists(st.booleans(), min_size=24, max_size=24)


def heard(tongue: Tongue, data: bytes) -> list[Any]:
    return [tongue.dialect.said(frame) for frame in tongue.dialect.decoder().feed(data)]


# Vectors


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_vector_is_written_as_it_stands_and_the_other_way_round(protocol: str) -> None:
    for vector in vectors_of(protocol):
        data = bytes.fromhex(vector["hex"])
        if not vector["meaning"].startswith("never sent"):
            assert WRITTEN[protocol][vector["meaning"]] == data, vector["name"]
    assert set(WRITTEN[protocol]) == meanings_of(protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_vector_is_one_frame_at_one_end_or_the_other(protocol: str) -> None:
    ends: dict[str, list[Decoder[Any]]] = {
        "lcb-8a": [lcb.Requests(), *(lcb.Replies(ways) for ways in lcb.WAYS)],
        "wkly": [wkly.Decoder()],
        "winnsen": [winnsen.Decoder()],
    }
    for vector in vectors_of(protocol):
        assert 1 in [len(end.feed(bytes.fromhex(vector["hex"]))) for end in ends[protocol]], vector["name"]
        for end in ends[protocol]:
            end.reset()


@pytest.mark.parametrize(
    ("name", "hexes", "says"),
    [
        ("lcb-8a, 24 locks", "80 05 00 00 01 33 B7", {501: CLOSED, 502: OPEN, 509: OPEN, 524: OPEN}),
        ("lcb-8a, 24 locks", "80 05 80 01 02 33 35", {501: OPEN, 502: CLOSED, 509: CLOSED, 524: CLOSED}),
        ("lcb-8a, 12 locks", "80 05 08 01 33 BF", {501: CLOSED, 512: CLOSED, 511: OPEN}),
        ("lcb-8a, 8 locks", "80 05 08 11 9C", {508: CLOSED}),
        ("wkly, 24 locks", "57 4B 4C 59 0E 05 84 00 04 00 01 FF 00 7C", {501: OPEN, 502: CLOSED}),
        ("winnsen, stations", "90 07 82 05 03 90 03", {501: OPEN, 502: OPEN, 503: CLOSED, 513: OPEN, 516: OPEN}),
        ("winnsen, stations", "90 07 A2 05 00 00 03", {501: CLOSED, 516: CLOSED}),
        ("winnsen, locks", "90 07 92 05 08 01 03", {508: OPEN}),
    ],
)
def test_what_a_board_says_of_its_doors(name: str, hexes: str, says: dict[int, DoorState]) -> None:
    (doors,) = heard(TONGUES[name], bytes.fromhex(hexes))
    assert isinstance(doors, Doors) and doors.board == 5
    assert {channel: doors.states[channel] for channel in says} == says


def test_a_state_that_nobody_knows_is_unknown() -> None:
    (doors,) = heard(TONGUES["wkly, 24 locks"], bytes.fromhex("57 4B 4C 59 0E 05 84 00 04 00 01 FF 00 7C"))
    assert doors.states[503] is DoorState.UNKNOWN


@pytest.mark.parametrize(
    ("name", "frame", "says"),
    [
        ("lcb-8a, 24 locks", lcb.unlocked(5, 3, closed=True), Acknowledged(5, 503)),
        ("lcb-8a, 24 locks", lcb.shut(5, 3), Hint(5)),
        ("wkly, 24 locks", wkly.unlocked(5, 3, closed=True), Acknowledged(5, 503)),
        ("wkly, 24 locks", wkly.changed(5, 3, closed=True), Hint(5)),
        ("wkly, 24 locks", wkly.write(wkly.Frame(5, Command.UNLOCK, b"\xff")), Refused(5, ": status FF")),
        ("wkly, 24 locks", wkly.write(wkly.Frame(5, Command.UNLOCK, b"\x01\x03\x00")), Refused(5, ": status 01")),
        ("wkly, 24 locks", wkly.write(wkly.Frame(5, Command.READ_BOARD, b"\xff\x00")), Refused(5, ": status FF")),
        ("winnsen, stations", winnsen.unlocked(5, 3, worked=False), Acknowledged(5, 503)),
        ("winnsen, stations", winnsen.unlocked(5, 3, worked=True, reply=0xA0), Acknowledged(5, 503)),
    ],
)
def test_what_else_a_board_says(name: str, frame: bytes, says: object) -> None:
    assert heard(TONGUES[name], frame) == [says]


# What must never be said


@pytest.mark.parametrize("name", TONGUES)
def test_nothing_that_can_be_written_opens_more_than_one_door(name: str) -> None:
    dialect, hears = TONGUES[name].dialect, TONGUES[name].hears()
    for board in dialect.addresses:
        for request in dialect.reads(board):
            (frame,) = hears.feed(request)
            assert not isinstance(dialect.said(frame), Doors)
        for channel in dialect.channels(board):
            (frame,) = hears.feed(dialect.unlock(channel))
            match frame:
                case lcb.Frame(head, at, data):
                    assert (head, at, data) == (lcb.Head.UNLOCK, board, bytes((channel % 100, 0x11)))
                case wkly.Frame(at, command, data):
                    assert (command, at, data) == (Command.UNLOCK, board, bytes((channel % 100,)))
                case winnsen.Frame(function, at, data):
                    assert (function, at, data) == (winnsen.Function.UNLOCK, board, bytes((channel % 100,)))
                case _:
                    pytest.fail(f"{frame} is no unlock")


@pytest.mark.parametrize("unlock", [lcb.unlock, wkly.unlock, winnsen.unlock])
@pytest.mark.parametrize("lock", [-1, 0, 33, 0x100])
def test_no_lock_is_every_lock(unlock: Callable[[int, int], bytes], lock: int) -> None:
    with pytest.raises(ValueError, match="lock"):
        unlock(1, lock)


@pytest.mark.parametrize(
    ("unlock", "boards"), [(lcb.unlock, (0, 100)), (wkly.unlock, (-1, 32)), (winnsen.unlock, (-1, 256))]
)
def test_no_board_is_every_board(unlock: Callable[[int, int], bytes], boards: tuple[int, int]) -> None:
    for board in boards:
        with pytest.raises(ValueError, match=r"board|station"):
            unlock(board, 1)


# Whatever a line delivers


@pytest.mark.parametrize("name", TONGUES)
@given(closed=contacts)
def test_split_at_every_byte(name: str, closed: list[bool]) -> None:
    tongue = TONGUES[name]
    for reply in (tongue.doors(closed), tongue.acknowledged, *([tongue.event] if tongue.event else [])):
        whole = tongue.dialect.decoder().feed(reply)
        assert len(whole) == 1
        for cut in range(len(reply) + 1):
            decoder = tongue.dialect.decoder()
            assert decoder.feed(reply[:cut]) + decoder.feed(reply[cut:]) == whole


@pytest.mark.parametrize("name", TONGUES)
@given(several=st.lists(contacts, max_size=5), data=st.data())
def test_glued_and_split_anywhere_the_frames_are_the_same(name: str, several: list[list[bool]], data: Any) -> None:
    tongue = TONGUES[name]
    replies = (
        [tongue.doors(closed) for closed in several] + [tongue.acknowledged] + ([tongue.event] if tongue.event else [])
    )
    replies = data.draw(st.permutations(replies))
    stream = b"".join(replies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    decoder = tongue.dialect.decoder()
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    frames = [frame for piece in pieces for frame in decoder.feed(piece)]
    assert frames == [frame for reply in replies for frame in tongue.dialect.decoder().feed(reply)]
    assert len(frames) == len(replies)


@pytest.mark.parametrize("name", PUSHING)
@given(closed=contacts)
def test_an_event_before_the_answer_hides_nothing(name: str, closed: list[bool]) -> None:
    tongue = TONGUES[name]
    assert tongue.event is not None
    for answer in (tongue.doors(closed), tongue.acknowledged):
        assert heard(tongue, tongue.event + answer) == [Hint(5), *heard(tongue, answer)]


@pytest.mark.parametrize("name", TONGUES)
@given(noise=st.binary(max_size=200), closed=contacts)
def test_after_any_noise_the_line_is_understood_again(name: str, noise: bytes, closed: list[bool]) -> None:
    # The noise may promise a long frame that swallows the first replies. Some bytes later that is over.
    reply = TONGUES[name].doors(closed)
    assert heard(TONGUES[name], noise + reply * (3 + BUFFER_BYTES_MAX // len(reply)))[-1:] == heard(
        TONGUES[name], reply
    )


@pytest.mark.parametrize("name", CHECKED)
@given(closed=contacts, place=st.integers(0, 10_000))
def test_a_flipped_bit_never_gives_doors_nor_an_acknowledgement(name: str, closed: list[bool], place: int) -> None:
    for reply in (TONGUES[name].doors(closed), TONGUES[name].acknowledged):
        flipped = with_bit_flipped(reply, place % (len(reply) * 8))
        assert not [said for said in heard(TONGUES[name], flipped) if isinstance(said, Doors | Acknowledged)]


@given(closed=contacts)
def test_without_a_check_whatever_can_be_foreseen_must_be_so(closed: list[bool]) -> None:
    """Head, length, function, station and end. A flipped bit of data is for the second read to notice."""
    tongue = TONGUES["winnsen, stations"]
    reply = tongue.doors(closed)
    other_function = 2 * 8 + 5
    foreseen = {*range(4 * 8), *range(6 * 8, 7 * 8)} - {other_function}
    for bit in foreseen:
        doors = [said for said in heard(tongue, with_bit_flipped(reply, bit)) if isinstance(said, Doors)]
        # As the answer for one lock it answers another question than was asked.
        assert not [said for said in doors if said.board == 5 and len(said.states) > 1], bit


@pytest.mark.parametrize("name", CHECKED)
@given(request_at=st.integers(0, 100), place=st.integers(0, 10_000))
def test_a_flipped_bit_never_makes_an_unlock(name: str, request_at: int, place: int) -> None:
    dialect = TONGUES[name].dialect
    requests = [*dialect.reads(5), *map(dialect.unlock, dialect.channels(5))]
    request = requests[request_at % len(requests)]
    assert TONGUES[name].hears().feed(with_bit_flipped(request, place % (len(request) * 8))) == []


@pytest.mark.parametrize("name", TONGUES)
@given(pieces=st.lists(st.binary(max_size=300), max_size=5))
def test_the_buffer_is_bounded(name: str, pieces: list[bytes]) -> None:
    decoder = TONGUES[name].dialect.decoder()
    for piece in pieces:
        decoder.feed(piece)
        assert len(decoder._buffer) <= BUFFER_BYTES_MAX


@pytest.mark.parametrize("name", TONGUES)
def test_a_beginning_can_be_forgotten(name: str) -> None:
    decoder, reply = TONGUES[name].dialect.decoder(), TONGUES[name].doors([True] * 24)
    assert decoder.feed(reply[:-1]) == []
    decoder.reset()
    assert len(decoder.feed(reply)) == 1


def with_bit_flipped(frame: bytes, bit: int) -> bytes:
    flipped = bytearray(frame)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)
