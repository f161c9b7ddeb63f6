"""Listening to a bus: every byte is written down, frames apart from noise, and nothing is sent."""

import asyncio
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.edge.drivers.vectors import vectors_of

from latchwork.edge.config import BusTable
from latchwork.edge.drivers.bus import SerialBus
from latchwork.edge.drivers.kerong_cu16 import codec
from latchwork.edge.registry import find
from latchwork.edge.sniff import Cutter, Piece
from latchwork.main import main
from latchwork.simulator.boards.front import LiveWall, TcpFront
from latchwork.simulator.boards.kerong import KerongBoards
from latchwork.simulator.boards.wall import Wall

PATIENCE_S = 60.0
ASK = codec.read_board(0)
SAYS = codec.doors_are(codec.Doors(0, (True,) * 16, (False,) * 16))


def cut(*deliveries: bytes) -> list[Piece]:
    cutter = Cutter(codec.Decoder)
    return [piece for data in deliveries for piece in cutter.feed(data)] + list(cutter.flush())


@pytest.mark.parametrize(
    ("stream", "pieces"),
    [
        (ASK + SAYS, [ASK, SAYS]),
        (b"\xff\x00" + ASK + b"\x02\x00" + SAYS + b"\x07", [b"\xff\x00", ASK, b"\x02\x00", SAYS, b"\x07"]),
        (b"\x02\x00\x35" + ASK + ASK, [b"\x02\x00\x35", ASK, ASK]),
        (b"\x01\x02\x03", [b"\x01\x02\x03"]),
        (b"", []),
        (b"\xff" * 1500, [b"\xff" * 1024, b"\xff" * 476]),
    ],
)
def test_frames_and_what_lies_between_them(stream: bytes, pieces: list[bytes]) -> None:
    assert [piece.content for piece in cut(stream)] == pieces
    assert [piece.content for piece in cut(*(bytes((byte,)) for byte in stream))] == pieces
    assert all((piece.frame is not None) is (piece.content in (ASK, SAYS)) for piece in cut(stream))


@given(st.lists(st.one_of(st.sampled_from([ASK, SAYS, codec.unlock(7)]), st.binary(max_size=80)), max_size=8))
def test_no_byte_is_lost_or_doubled(deliveries: list[bytes]) -> None:
    pieces = cut(*deliveries)
    assert b"".join(piece.content for piece in pieces) == b"".join(deliveries)
    for piece in pieces:
        assert piece.frame is None or codec.Decoder().feed(piece.content) == [piece.frame]


@pytest.mark.parametrize("protocol", ["kerong-cu16", "lcb-8a", "wkly", "winnsen", "modbus-relay"])
def test_both_ends_of_a_conversation_are_understood(protocol: str) -> None:
    """Every vector, as somebody hears them who listens to a bus of another master."""
    driver = find(protocol).driver(BusTable(protocol, "/dev/ttyUSB0"))
    assert isinstance(driver, SerialBus)
    vectors = [bytes.fromhex(vector["hex"]) for vector in vectors_of(protocol)]
    cutter = Cutter(driver.dialect.listener)
    pieces = [*cutter.feed(b"\xff".join(vectors)), *cutter.flush()]
    assert [piece.content for piece in pieces if piece.content != b"\xff"] == vectors
    assert all((piece.frame is None) is (piece.content == b"\xff") for piece in pieces)


async def sniff(*words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "latchwork.main", "edge", "sniff", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_conversation_on_a_gateway_is_overheard_in_the_vectors_format() -> None:
    live = LiveWall(Wall(range(16)))
    boards = KerongBoards(live.wall, (0,))
    gateway = TcpFront(boards, live, "127.0.0.1", 0)
    await gateway.open()
    process = await sniff(gateway.port, "--driver", "kerong-cu16")
    try:
        assert process.stderr is not None and process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert b"Nothing is sent" in await process.stderr.readline()
            host, port = gateway.port.removeprefix("socket://").split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(ASK)
            vector = json.loads(await process.stdout.readline())
        writer.close()
    finally:
        process.terminate()
        await process.communicate()
        await gateway.cut()
        live.stop()
    assert [passed.from_board for passed in boards.log] == [False, True], "the sniffer was heard on the bus"
    assert (vector["protocol"], vector["trust"], vector["name"]) == ("kerong-cu16", "captured", "captured 1")
    assert bytes.fromhex(vector["hex"]) == SAYS
    assert "command=53" in vector["meaning"] and vector["at"].endswith("+00:00")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("/dev/nowhere", "--driver", "kerong-cu16"), "cannot open /dev/nowhere"),
        (("/dev/nowhere", "--driver", "magic"), "there are "),
        (("http://127.0.0.1:9", "--driver", "shelly"), "shelly has no bus to listen to"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["edge", "sniff", *words]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("latchwork edge sniff: ") and says in err and err.count("\n") == 1
