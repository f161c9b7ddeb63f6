"""The DS18B20, from the files that the kernel shows."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.sensors.ds18b20 import Ds18b20, crc8

WARM = "72 01 4b 46 7f ff 0e 10 57"
"""23.125 degrees: the example that is in every description of this file."""


def w1_slave(scratchpad: str, verdict: str = "YES") -> str:
    return f"{scratchpad} : crc={scratchpad[-2:]} {verdict}\n{scratchpad} t=0\n"


def with_check(scratchpad: bytes) -> str:
    return (scratchpad + bytes((crc8(scratchpad),))).hex(" ")


def sensor(folder: Path, **files: str) -> Ds18b20:
    for name, text in files.items():
        (folder / name).write_text(text)
    return Ds18b20(folder)


async def test_the_scratchpad_is_read_and_checked(tmp_path: Path) -> None:
    assert (await sensor(tmp_path, w1_slave=w1_slave(WARM)).read()).celsius == 23.125


@pytest.mark.parametrize(
    ("raw", "celsius"), [(b"\xd0\x07", 125.0), (b"\x08\x00", 0.5), (b"\xf8\xff", -0.5), (b"\x90\xfc", -55.0)]
)
async def test_below_zero_too(raw: bytes, celsius: float, tmp_path: Path) -> None:
    said = with_check(raw + bytes.fromhex("4b 46 7f ff 0c 10"))
    assert (await sensor(tmp_path, w1_slave=w1_slave(said)).read()).celsius == celsius


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (w1_slave(WARM, "NO"), "check"),
        (w1_slave(WARM.replace("72", "73")), "check"),
        (w1_slave("00 " * 8 + "00"), "check"),
        (w1_slave("ff " * 8 + "ff"), "check"),
        (w1_slave(with_check(bytes.fromhex("50 05 4b 46 7f ff 0c 10"))), "not measured yet"),
        ("", "nothing that can be read"),
        ("72 01 4b\n", "nothing that can be read"),
    ],
    ids=["kernel says no", "flipped bit", "shorted", "pulled up", "power-on value", "empty", "cut off"],
)
async def test_what_is_wrong_is_said_and_never_a_temperature(said: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(Fault, match=why):
        await sensor(tmp_path, w1_slave=said).read()


@pytest.mark.parametrize(("said", "celsius"), [("23125\n", 23.125), ("-500\n", -0.5)])
async def test_without_a_scratchpad_the_kernels_own_word_counts(said: str, celsius: float, tmp_path: Path) -> None:
    assert (await sensor(tmp_path, temperature=said).read()).celsius == celsius


@pytest.mark.parametrize(("said", "why"), [("85000\n", "not measured yet"), ("", "nothing"), ("x", "nothing")])
async def test_but_not_every_word(said: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(Fault, match=why):
        await sensor(tmp_path, temperature=said).read()


async def test_a_sensor_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="cannot be read"):
        await Ds18b20(tmp_path / "28-00000abcdef0").read()


@given(st.binary(min_size=8, max_size=8), st.integers(0, 71))
def test_the_check_finds_every_flipped_bit(scratchpad: bytes, bit: int) -> None:
    sound = bytearray(scratchpad + bytes((crc8(scratchpad),)))
    assert crc8(bytes(sound)) == 0
    sound[bit // 8] ^= 1 << bit % 8
    assert crc8(bytes(sound)) != 0
