"""The XY-MD02 over a real pty and over real TCP, against a sensor of few words."""

import asyncio
import os
import pty
import termios
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
import pytest

from latchwork.edge.climate import zone_of
from latchwork.edge.config import BadConfig, ZoneTable
from latchwork.edge.drivers.modbus_relay import modbus
from latchwork.edge.drivers.modbus_relay.modbus import Framing
from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.sensors.reading import Reading
from latchwork.edge.sensors.xy_md02 import MD02, Profile, XyMd02

QUESTION = bytes.fromhex("01 04 00 01 00 02 20 0B")
ANSWER = bytes.fromhex("01 04 04 01 31 02 22 2A CE")

Say = Callable[[bytes], bytes]
Line = Callable[[Say], AbstractAsyncContextManager[str]]


def speed_of(port: str) -> int:
    line = os.open(port, os.O_RDWR | os.O_NOCTTY)
    try:
        speed: int = termios.tcgetattr(line)[4]
        return speed
    finally:
        os.close(line)


def checked(body: str) -> bytes:
    return bytes.fromhex(body) + modbus.crc16(bytes.fromhex(body))


def told(question: bytes, answer: bytes) -> Say:
    return lambda heard: answer if heard == question else b""


@asynccontextmanager
async def on_pty(say: Say) -> AsyncIterator[str]:
    host, line = pty.openpty()
    tty.setraw(line)
    os.set_blocking(host, False)
    loop = asyncio.get_running_loop()
    loop.add_reader(host, lambda: os.write(host, say(os.read(host, 64))))
    try:
        yield os.ttyname(line)
    finally:
        loop.remove_reader(host)
        os.close(host)
        os.close(line)


@asynccontextmanager
async def on_tcp(say: Say) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while heard := await reader.read(64):
            writer.write(say(heard))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture(params=[on_pty, on_tcp], ids=["pty", "tcp"])
def line(request: pytest.FixtureRequest) -> Line:
    made: Line = request.param
    return made


async def test_it_reads_temperature_and_humidity(line: Line) -> None:
    async with line(told(QUESTION, ANSWER)) as port:
        assert await XyMd02(port).read() == Reading(30.5, 54.6)
        assert await XyMd02(port).read() == Reading(30.5, 54.6)


async def test_below_zero_too(line: Line) -> None:
    async with line(told(QUESTION, checked("01 04 04 FF 9C 01 F4"))) as port:
        assert await XyMd02(port).read() == Reading(-10.0, 50.0)


async def test_another_maker_puts_them_elsewhere_or_counts_finer(line: Line) -> None:
    async with line(told(checked("07 04 01 00 00 02"), checked("07 04 04 01 31 02 22"))) as port:
        assert await XyMd02(port, 7, profile=MD02).read() == Reading(30.5, 54.6)
    async with line(told(QUESTION, checked("01 04 04 0B EA 15 54"))) as port:
        assert await XyMd02(port, profile=Profile(scale=100)).read() == Reading(30.5, 54.6)


async def test_over_modbus_tcp() -> None:
    question = bytes.fromhex("00 01 00 00 00 06 01 04 00 01 00 02")
    answer = bytes.fromhex("00 01 00 00 00 07 01 04 04 01 31 02 22")
    async with on_tcp(told(question, answer)) as port:
        assert await XyMd02(port, framing=Framing.TCP).read() == Reading(30.5, 54.6)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "no sensor 1 answers"),
        (QUESTION, "no sensor 1 answers"),
        (ANSWER[:-1] + b"\xcf", "no sensor 1 answers"),
        (checked("02 04 04 01 31 02 22"), "no sensor 1 answers"),
        (checked("01 04 02 01 31"), "no sensor 1 answers"),
        (checked("01 84 02"), "refuses"),
    ],
    ids=["silence", "echo", "wrong check", "another unit", "too short", "refusal"],
)
async def test_what_is_no_answer_is_a_fault(answer: bytes, why: str) -> None:
    async with on_tcp(lambda _: answer) as port:
        with pytest.raises(Fault, match=why):
            await XyMd02(port).read()


async def test_it_asks_twice_and_no_more() -> None:
    heard: list[bytes] = []

    def at_the_second_time(question: bytes) -> bytes:
        heard.append(question)
        return ANSWER if len(heard) == 2 else b""

    async with on_tcp(at_the_second_time) as port:
        assert (await XyMd02(port).read()).celsius == 30.5
    assert heard == [QUESTION] * 2
    async with on_tcp(at_the_second_time) as port:
        with pytest.raises(Fault):
            await XyMd02(port).read()
    assert heard == [QUESTION] * 4


async def test_a_line_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(Fault, match="cannot open"):
        await XyMd02("socket://127.0.0.1:9").read()


def test_a_unit_or_a_port_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="unit 0"):
        XyMd02("/dev/ttyUSB0", 0)
    with pytest.raises(ValueError, match="socket://host:port"):
        XyMd02("socket://gateway")


async def test_it_is_configured_by_its_name() -> None:
    table = ZoneTable("fridge", "xy-md02", "", ("01",), (2.0, 8.0))
    async with on_tcp(told(QUESTION, ANSWER)) as port:
        zone = zone_of(msgspec.structs.replace(table, port=port), asyncio.get_running_loop().time)
        assert (await zone.sensor.read()).celsius == 30.5
    finer = msgspec.structs.replace(table, sensor="md02", unit=7, scale=100, baud=19200, parity="even")
    async with on_pty(told(checked("07 04 01 00 00 02"), checked("07 04 04 0B EA 15 54"))) as port:
        zone = zone_of(msgspec.structs.replace(finer, port=port), asyncio.get_running_loop().time)
        assert (await zone.sensor.read()).celsius == 30.5
        assert speed_of(port) == termios.B19200  # a pty forgets the parity
    with pytest.raises(BadConfig, match="climate fridge"):
        zone_of(msgspec.structs.replace(table, port="socket://gateway"), asyncio.get_running_loop().time)
