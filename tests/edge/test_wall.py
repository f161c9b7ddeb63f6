"""What a wall's inputs come to: latch and leaf as one door, things inside, switches of the cabinet."""

import asyncio
from collections.abc import Callable, Mapping

from latchwork.domain.commands import See, SenseItems, SenseTamper
from latchwork.domain.words import CompartmentId, DoorState
from latchwork.edge.config import Inputs
from latchwork.edge.drivers.protocol import BoardLost, DoorsSeen, Reading
from latchwork.edge.wall import Sense, Wall

OPEN, CLOSED, UNKNOWN = DoorState.OPEN, DoorState.CLOSED, DoorState.UNKNOWN
ONE, TWO = CompartmentId("01"), CompartmentId("02")


class Board:
    """Says what it is given, and nothing more."""

    def __init__(self, *readings: Reading) -> None:
        self.readings = readings

    async def run(self, tell: Callable[[Reading], None]) -> None:
        for reading in self.readings:
            tell(reading)

    async def pulse(self, channel: int) -> None: ...

    async def read(self) -> Mapping[int, DoorState]:
        return {}

    async def close(self) -> None: ...


def said(*boards: Board, inputs: Inputs, wiring: Mapping[CompartmentId, tuple[int, int]]) -> list[See | Sense]:
    told: list[See | Sense] = []
    asyncio.run(Wall(boards, wiring, inputs=inputs).run(told.append, told.append))
    return told


def test_a_door_is_shut_when_its_latch_and_its_leaf_are() -> None:
    locks = Board(DoorsSeen({1: CLOSED, 2: CLOSED}), DoorsSeen({1: OPEN}), DoorsSeen({1: CLOSED}))
    leaves = Board(DoorsSeen({1: CLOSED}), DoorsSeen({1: OPEN}), BoardLost(0, (1,), "cut"))
    wiring = {ONE: (0, 1), TWO: (0, 2)}
    told = said(locks, leaves, inputs=Inputs(leaves={ONE: (1, 1)}), wiring=wiring)
    assert told == [
        See({ONE: UNKNOWN, TWO: CLOSED}),  # its leaf has said nothing yet
        See({ONE: OPEN}),
        See({ONE: UNKNOWN}),
        See({ONE: CLOSED}),
        See({ONE: OPEN}),  # the latch fell before the leaf was in
        See({ONE: UNKNOWN}, lost=True),
    ]


def test_every_shut_door_opening_at_once_is_one_wire_and_not_so_many_break_ins() -> None:
    wiring = {CompartmentId(f"0{n}"): (0, n) for n in range(1, 7)}
    shut = dict.fromkeys(range(1, 6), CLOSED)
    board = Board(
        DoorsSeen({**shut, 6: OPEN}),
        DoorsSeen({1: OPEN}),
        DoorsSeen({1: CLOSED}),
        DoorsSeen(dict.fromkeys(shut, OPEN)),
        DoorsSeen({6: CLOSED}),  # is not believed either
        DoorsSeen({1: CLOSED, 2: CLOSED, 4: CLOSED, 5: CLOSED}),
        DoorsSeen({2: OPEN}),
    )
    told = said(board, inputs=Inputs(), wiring=wiring)
    assert told == [
        See({**dict.fromkeys(wiring, CLOSED), CompartmentId("06"): OPEN}),
        See({ONE: OPEN}),
        See({ONE: CLOSED}),
        See(dict.fromkeys(wiring, UNKNOWN), lost=True),
        See({**dict.fromkeys(wiring, CLOSED), CompartmentId("03"): OPEN}),
        See({TWO: OPEN}),
    ]


def test_things_inside_and_the_cabinet_are_told_apart_from_doors() -> None:
    board = Board(
        DoorsSeen({1: CLOSED, 2: OPEN, 3: CLOSED}),
        DoorsSeen({2: CLOSED, 3: OPEN}),
        BoardLost(0, (1, 2, 3), "gone"),
        DoorsSeen({1: CLOSED, 2: CLOSED, 3: CLOSED}),
    )
    told = said(board, inputs=Inputs(items={ONE: (0, 2)}, switches={"back": (0, 3)}), wiring={ONE: (0, 1)})
    assert told == [
        SenseTamper("back", False),
        SenseItems({ONE: False}),
        See({ONE: CLOSED}),
        SenseTamper("back", True),
        SenseItems({ONE: True}),
        See({ONE: UNKNOWN}, lost=True),
        SenseTamper("back", False),
        SenseItems({ONE: True}),
        See({ONE: CLOSED}),
    ]


def test_a_boards_own_eyes_are_heard_for_the_doors_that_are_wired() -> None:
    board = Board(DoorsSeen({1: CLOSED}), DoorsSeen({}, {1: True, 9: True}))
    told = said(board, inputs=Inputs(), wiring={ONE: (0, 1)})
    assert told == [See({ONE: CLOSED}), SenseItems({ONE: True})]
