"""The simulated Modbus relay boards: what they answer and what their coils do. In pretend time, and to pymodbus."""

import asyncio
from typing import Any

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.framer import FramerType

from latchwork.edge.drivers.modbus_relay import codec, modbus
from latchwork.edge.drivers.modbus_relay.modbus import Framing
from latchwork.simulator.boards.front import LiveWall, TcpFront
from latchwork.simulator.boards.modbus import ModbusBoards, ModbusTcpBoards
from latchwork.simulator.boards.wall import Wall


def two_boards(kind: type[ModbusBoards] = ModbusBoards) -> ModbusBoards:
    """Eight locks on unit 1, and two on unit 2."""
    return kind(Wall([*range(8), 32, 33]), [1, 2])


def heard(boards: ModbusBoards, request: str, at: float) -> str:
    boards.feed(bytes.fromhex(request), at)
    return b"".join(boards.said(at + 0.1)).hex(" ").upper()


def has_power(boards: ModbusBoards, channel: int) -> bool:
    return boards.wall.doors[channel].coil_until is not None


def test_inputs_are_the_contacts_of_the_doors() -> None:
    boards = two_boards()
    assert heard(boards, "01 02 00 00 00 08 79 CC", 1.0) == "01 02 01 FF E1 C8"
    boards.wall.force(2, 2.0)
    assert heard(boards, "01 02 00 00 00 08 79 CC", 3.0) == "01 02 01 FB E0 0B"


def test_a_terminal_without_a_lock_reads_as_open() -> None:
    said = heard(two_boards(), modbus.encode(codec.read_inputs(2, 8), Framing.RTU).hex(), 1.0)
    assert said.startswith("02 02 01 03")


def test_a_pulse_is_echoed_and_ends_by_itself() -> None:
    boards = two_boards()
    assert heard(boards, "01 05 02 00 00 07 8D B0", 1.0) == "01 05 02 00 00 07 8D B0"
    assert boards.wall.doors[0].coil_until == 1.7
    assert heard(boards, "01 01 00 00 00 08 3D CC", 1.3) == "01 01 01 01 90 48"
    boards.wall.advance(1.8)
    assert heard(boards, "01 01 00 00 00 08 3D CC", 2.0) == "01 01 01 00 51 88"
    assert boards.wall.doors[0].is_open
    assert [unlock.channel for unlock in boards.unlocks] == [0]


def test_a_relay_that_is_held_on_stays_on_until_it_is_switched_off() -> None:
    boards = two_boards()
    heard(boards, "01 05 00 00 FF 00 8C 3A", 1.0)
    boards.wall.advance(60.0)
    assert has_power(boards, 0)
    heard(boards, "01 05 00 00 00 00 CD CA", 61.0)
    assert not has_power(boards, 0)
    heard(boards, "01 05 00 00 55 00 F2 9A", 62.0)
    assert has_power(boards, 0)


def test_every_relay_at_once_is_a_brown_out_as_in_life() -> None:
    boards = two_boards()
    heard(boards, "01 05 00 FF FF 00 BC 0A", 1.0)
    assert boards.wall.brown_outs == 1
    assert {unlock.channel for unlock in boards.unlocks} >= set(range(8))


def test_a_word_to_every_board_is_obeyed_and_not_answered() -> None:
    boards = two_boards()
    request = bytes((0, 5, 2, 0, 0, 5))
    assert heard(boards, (request + modbus.crc16(request)).hex(), 1.0) == ""
    assert [door.pulses for door in boards.wall] == [1, 0, 0, 0, 0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (bytes((1, 5, 2, 8, 0, 5)), 2),
        (bytes((1, 5, 2, 0, 0, 0)), 3),
        (bytes((1, 5, 0, 0, 0, 1)), 3),
        (bytes((1, 2, 0, 0, 0, 9)), 2),
        (bytes((1, 3, 0, 0, 0, 1)), 2),
        (bytes((1, 4, 0, 0, 0, 1)), 1),
    ],
    ids=["no such relay", "no time", "neither on nor off", "too many inputs", "no such register", "no such function"],
)
def test_what_cannot_be_is_refused_with_its_number(asked: bytes, reason: int) -> None:
    said = bytes((1, asked[1] | 0x80, reason))
    assert heard(two_boards(), (asked + modbus.crc16(asked)).hex(), 1.0) == (said + modbus.crc16(said)).hex(" ").upper()


def test_its_version_can_be_read() -> None:
    assert heard(two_boards(), "01 03 80 00 00 01 AD CA", 1.0).startswith("01 03 02 00 C8")


def test_an_absent_board_and_a_broken_frame_are_not_answered() -> None:
    boards = two_boards()
    assert heard(boards, modbus.encode(codec.read_inputs(3, 8), Framing.RTU).hex(), 1.0) == ""
    assert heard(boards, "01 02 00 00 00 08 79 CD", 2.0) == ""


def test_a_transaction_keeps_its_number() -> None:
    said = heard(two_boards(ModbusTcpBoards), "00 2A 00 00 00 06 01 02 00 00 00 08", 1.0)
    assert said == "00 2A 00 00 00 04 01 02 01 FF"


@pytest.mark.parametrize(
    ("kind", "framer"), [(ModbusBoards, FramerType.RTU), (ModbusTcpBoards, FramerType.SOCKET)], ids=["rtu", "tcp"]
)
async def test_pymodbus_takes_it_for_a_relay_board(kind: type[ModbusBoards], framer: FramerType) -> None:
    boards = two_boards(kind)
    live = LiveWall(boards.wall)
    front = TcpFront(boards, live, "127.0.0.1", 0)
    await front.open()
    client: Any = AsyncModbusTcpClient(
        "127.0.0.1", port=int(front.port.rpartition(":")[2]), framer=framer, timeout=30, retries=0
    )
    try:
        assert await client.connect()
        assert (await client.read_discrete_inputs(0, count=8, device_id=1)).bits == [True] * 8
        await client.write_coil(5, True, device_id=1)
        assert (await client.read_coils(0, count=8, device_id=1)).bits == [False] * 5 + [True] + [False] * 2
        await client.write_coil(5, False, device_id=1)
        assert boards.wall.doors[5].coil_until is None
        assert (await client.read_coils(0, count=9, device_id=1)).isError()
        assert (await client.read_holding_registers(0x8000, count=1, device_id=2)).registers == [200]
    finally:
        client.close()
        await front.cut()
        live.stop()
        await asyncio.sleep(0)
