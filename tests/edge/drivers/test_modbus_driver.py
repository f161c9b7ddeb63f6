"""What only the Modbus relay driver promises, on every framing. The rest is told in the contract."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from tests.edge.drivers.bench import KINDS, Kind, Stand, everywhere, until

from latchwork.domain.words import DoorState
from latchwork.edge import registry
from latchwork.edge.config import BadConfig, BusTable
from latchwork.edge.drivers.modbus_relay import codec
from latchwork.edge.drivers.modbus_relay.driver import ModbusRelay
from latchwork.edge.drivers.modbus_relay.modbus import (
    Framing,
    Function,
    Message,
    encode,
    requests,
    with_bits,
    with_words,
)
from latchwork.edge.drivers.protocol import BoardLost, DoorsSeen, Driver, Fault, Reading
from latchwork.simulator.boards.modbus import ModbusBoards, ModbusTcpBoards

OPEN, CLOSED, UNKNOWN = DoorState.OPEN, DoorState.CLOSED, DoorState.UNKNOWN
FRAMINGS = KINDS["modbus-relay"], KINDS["modbus-relay over Modbus TCP"]


def with_options(**options: Any) -> list[Kind]:
    return [replace(kind, options={**kind.options, **options}) for kind in FRAMINGS]


def written(stand: Stand) -> list[Any]:
    """Every coil written. That nothing else is asked than reads, and that nobody is asked but one board, is checked."""
    frames = [passed.frame for passed in stand.boards.log if not passed.from_board and passed.frame is not None]
    assert {frame.unit for frame in frames} <= set(stand.kind.numbers)
    reads = Function.READ_INPUTS, Function.READ_COILS, Function.READ_HOLDING
    writes = [frame for frame in frames if frame.function not in reads]
    for frame in writes:
        address, value = int.from_bytes(frame.data[:2], "big"), int.from_bytes(frame.data[2:], "big")
        assert frame.function == Function.WRITE_COIL
        assert 0 <= address - codec.ON_FOR < codec.RELAYS_MAX
        assert 1 <= value <= codec.PULSE_MAX_MS // codec.PULSE_UNIT_MS
    return writes


def test_a_pulse_is_one_frame_that_says_how_long_and_the_board_ends_it() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        channel = stand.channel(1, 2)
        await stand.driver.pulse(channel)
        await stand.until_door(channel, OPEN)
        await until(lambda: stand.wall.next_change() is None)
        (sent,) = written(stand)
        assert (sent.unit, sent.data) == (3, bytes((2, 2, 0, 7)))

    everywhere(story, with_options(pulse_ms=700))


def test_a_driver_that_dies_inside_a_pulse_leaves_the_end_to_the_board() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        channel = stand.channel(0, 0)
        await stand.driver.pulse(channel)
        await until(lambda: stand.wall.doors[channel].pulses == 1)
        await stand.front.cut()
        await until(lambda: stand.wall.doors[channel].coil_until is None)
        assert len(written(stand)) == 1

    everywhere(story, FRAMINGS)


def test_a_board_without_inputs_opens_and_knows_no_door() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(UNKNOWN)
        assert stand.losses == []
        channel = stand.channel(1, 0)
        await stand.driver.pulse(channel)
        await until(lambda: stand.wall.doors[channel].is_open)
        assert len(written(stand)) == 1

    everywhere(story, with_options(inputs=0))


def test_doors_beyond_the_wired_inputs_are_unknown() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_door(stand.channel(1, 1), CLOSED)
        assert stand.believed[stand.channel(1, 2)] is UNKNOWN

    everywhere(story, with_options(inputs=2))


def test_what_a_board_refuses_is_named() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(UNKNOWN)
        (loss,) = stand.losses
        assert "refused: Modbus exception 2" in loss.why

    everywhere(story, with_options(relays=32, inputs=32))


@pytest.mark.parametrize(
    ("relay", "mode", "says"), [(3, 1, "linked to its input"), (7, 2, "toggled"), (0, 9, "mode 9")]
)
def test_a_board_one_of_whose_inputs_moves_a_relay_is_not_used(relay: int, mode: int, says: str) -> None:
    async def story(stand: Stand) -> None:
        assert isinstance(stand.boards, ModbusBoards)
        stand.boards.modes = {relay: mode}
        await stand.until_all(UNKNOWN)
        assert all(says in loss.why and "0x1000" in loss.why for loss in stand.losses) and stand.losses
        with pytest.raises(Fault, match="how board 1 is set"):
            await stand.driver.pulse(stand.channel(0, 0))
        assert set((await stand.driver.read()).values()) == {UNKNOWN}
        stand.boards.modes = {}
        await stand.until_all(CLOSED)
        await stand.driver.pulse(stand.channel(0, 0))
        await stand.until_door(stand.channel(0, 0), OPEN)
        assert len(written(stand)) == 1 and len(stand.losses) <= 2, "each board was told once"

    everywhere(story, FRAMINGS)


class Fading(ModbusBoards):
    fades = False
    """Whether the first of them falls silent as soon as its modes were read."""

    def obey(self, frame: Message, now: float) -> None:
        if self.fades and (frame.unit, frame.function) == (1, Function.READ_INPUTS):
            self.silent.add(1)
        super().obey(frame, now)


class FadingTcp(Fading, ModbusTcpBoards):
    pass


async def silent(stand: Stand) -> None:
    stand.boards.silent.add(1)
    await stand.until_all(UNKNOWN, stand.of(0))


async def silent_again_once_its_modes_were_read(stand: Stand) -> None:
    assert isinstance(stand.boards, Fading)
    await silent(stand)
    stand.boards.fades = True
    stand.boards.silent.clear()
    await until(lambda: stand.boards.silent == {1})
    stand.boards.fades = False


async def doubted_and_then_silent(stand: Stand) -> None:
    await break_the_common_wire(stand)
    stand.boards.silent.add(1)
    await until(stand.reads(20))


async def doubted_and_then_without_a_line(stand: Stand) -> None:
    await break_the_common_wire(stand)
    await stand.front.cut()
    await stand.until_all(UNKNOWN)


async def break_the_common_wire(stand: Stand) -> None:
    for channel in stand.of(0):
        stand.wall.doors[channel].broken_wire = True
    await stand.until_all(UNKNOWN, stand.of(0))
    assert "common wire" in stand.losses[-1].why


def test_a_board_that_comes_back_with_another_mode_is_not_used() -> None:
    async def story(stand: Stand) -> None:
        assert isinstance(stand.boards, ModbusBoards)
        away = silent, silent_again_once_its_modes_were_read, doubted_and_then_silent, doubted_and_then_without_a_line
        for goes in away:
            await stand.until_all(CLOSED)
            await goes(stand)
            cut = stand.believed[stand.of(1)[0]] is UNKNOWN
            stand.boards.modes = {31: 2}
            for door in stand.wall:
                door.broken_wire = False
            stand.boards.silent.clear()
            await stand.front.open()
            await until(stand.reads(20))
            assert {stand.believed[channel] for channel in stand.of(0)} == {UNKNOWN}, goes.__name__
            assert {stand.believed[channel] for channel in stand.of(1)} == {UNKNOWN if cut else CLOSED}, goes.__name__
            stand.boards.modes = {}
        await stand.until_all(CLOSED)

    rtu, tcp = with_options(relays=32, inputs=32)
    everywhere(story, [replace(rtu, locks=32, boards=Fading), replace(tcp, locks=32, boards=FadingTcp)])


def test_what_a_gateway_says_for_its_boards_is_named_and_tells_nothing_of_their_modes() -> None:
    async def story(stand: Stand) -> None:
        assert isinstance(stand.boards, ModbusBoards)
        await stand.until_all(CLOSED)
        stand.boards.dark = stand.kind.numbers
        await stand.until_all(UNKNOWN)
        (loss,) = stand.losses
        assert "boards 1, 3 refused: Modbus exception 11" in loss.why
        before = len(stand.boards.log)
        await until(stand.reads(6))
        asked = [each.frame for each in [*stand.boards.log][before:] if not each.from_board]
        assert {frame.function for frame in asked if frame is not None} == {Function.READ_HOLDING}
        stand.boards.modes = {0: 1}
        stand.boards.dark = ()
        await until(stand.reads(20))
        assert {*stand.believed.values()} == {UNKNOWN}
        with pytest.raises(Fault, match="how board 1 is set"):
            await stand.driver.pulse(stand.channel(0, 0))
        stand.boards.modes = {}
        await stand.until_all(CLOSED)

    everywhere(story, FRAMINGS)


class Dark(ModbusBoards):
    dark = (1, 3)


class DarkTcp(Dark, ModbusTcpBoards):
    pass


def test_boards_that_are_dark_from_the_beginning_are_lost_together() -> None:
    async def story(stand: Stand) -> None:
        assert isinstance(stand.boards, ModbusBoards)
        await until(lambda: stand.losses != [])
        await until(stand.reads(20))
        (loss,) = stand.losses
        assert "boards 1, 3 refused: Modbus exception 11" in loss.why
        stand.boards.dark = ()
        await stand.until_all(CLOSED)

    rtu, tcp = FRAMINGS
    everywhere(story, [replace(rtu, boards=Dark), replace(tcp, boards=DarkTcp)])


async def test_each_request_over_modbus_tcp_has_a_number_and_an_answer_with_another_is_none() -> None:
    numbers: list[int] = []
    lying = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (asked,) = requests(Framing.TCP).feed(await reader.readexactly(12))
                numbers.append(asked.transaction)
                shut = not lying  # what it says of another question is another thing
                holding = asked.function == Function.READ_HOLDING
                answer = with_words(asked, (0,) * 4) if holding else with_bits(asked, (shut,) * 4)
                writer.write(encode(replace(answer, transaction=asked.transaction - lying), Framing.TCP))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    readings: list[Reading] = []
    driver = driver_of(f"socket://127.0.0.1:{port}", (1,), framing="tcp", relays=4, inputs=4)
    task = asyncio.create_task(driver.run(readings.append))
    try:
        await until(lambda: len(numbers) >= 4)
        assert numbers == list(range(1, len(numbers) + 1))
        lying = True
        await until(lambda: len(readings) > 1)
        (loss,) = readings[1:]
        assert isinstance(loss, BoardLost) and "another transaction number" in loss.why
        lying = False
        await until(lambda: len(readings) > 2)
        assert readings[2] == readings[0] == DoorsSeen(dict.fromkeys(range(4), CLOSED))
    finally:
        await driver.close()
        await task
        server.close()
        await server.wait_closed()


def test_transaction_numbers_begin_anew_after_the_last() -> None:
    relays = ModbusRelay(8, 8, 500, Framing.TCP)
    numbers = [int.from_bytes(relays.stamped(bytes(12))[:2], "big") for _ in range(0x10001)]
    assert numbers[:2] == [1, 2] and numbers[-3:] == [0xFFFF, 1, 2] and 0 not in numbers
    assert ModbusRelay(8, 8, 500, Framing.RTU).stamped(b"as it is") == b"as it is"


def test_an_adapter_that_hears_itself_can_be_told_of() -> None:
    async def story(stand: Stand) -> None:
        stand.boards.faults.echo = True
        await stand.until_all(CLOSED)
        await stand.driver.pulse(stand.channel(0, 5))
        await stand.until_door(stand.channel(0, 5), OPEN)

    everywhere(story, with_options(local_echo=True))


async def test_inputs_of_a_server_that_is_not_ours_are_read() -> None:
    bits = SimData(0, values=[True, False, True, True] + [True] * 28, datatype=DataType.BITS)
    words = SimData(0, values=[0] * 32, datatype=DataType.REGISTERS)
    device = SimDevice(1, simdata=([bits], [bits], [words], [words]))
    server: Any = ModbusTcpServer(device, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    port = server.transport.sockets[0].getsockname()[1]
    readings: list[Reading] = []
    driver = driver_of(f"socket://127.0.0.1:{port}", (1,), framing="tcp", relays=4, inputs=4)
    task = asyncio.create_task(driver.run(readings.append))
    try:
        await until(lambda: readings != [])
        assert DoorsSeen({0: CLOSED, 1: OPEN, 2: CLOSED, 3: CLOSED}) in readings
    finally:
        await driver.close()
        await task
        await server.shutdown()


@pytest.mark.parametrize(
    ("port", "boards", "options", "why"),
    [
        ("/dev/ttyUSB0", (0,), {}, "boards"),
        ("/dev/ttyUSB0", (248,), {}, "boards"),
        ("/dev/ttyUSB0", (1,), {"relays": 33}, "relays = 33"),
        ("/dev/ttyUSB0", (1,), {"inputs": 9}, "inputs = 9"),
        ("/dev/ttyUSB0", (1,), {"pulse_ms": 1600}, "pulse_ms = 1600"),
        ("/dev/ttyUSB0", (1,), {"pulse_ms": 550}, "pulse_ms = 550"),
        ("/dev/ttyUSB0", (1,), {"framing": "ascii"}, "framing"),
        ("/dev/ttyUSB0", (1,), {"framing": "tcp"}, "socket://"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    port: str, boards: tuple[int, ...], options: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadConfig, match=why):
        driver_of(port, boards, **options)


def driver_of(port: str, boards: tuple[int, ...], **options: Any) -> Driver:
    return registry.find("modbus-relay").driver(BusTable("modbus-relay", port, boards, options))
