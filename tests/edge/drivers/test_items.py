"""What a board's own eyes see inside: told where the bus is set to believe them, and not where no eye is fitted."""

from dataclasses import replace

from tests.edge.drivers.bench import KINDS, Stand, stand_of, until

from latchwork.domain.words import DoorState
from latchwork.edge.drivers.protocol import DoorsSeen


def items(stand: Stand) -> dict[int, bool]:
    told = [reading.items for reading in stand.readings if isinstance(reading, DoorsSeen)]
    return {channel: item for each in told for channel, item in each.items()}


async def test_a_thing_put_in_and_taken_out_is_seen_by_the_boards_eye() -> None:
    async with stand_of(replace(KINDS["kerong-cu16"], options={"infrared": True}), "pty") as stand:
        channel = stand.channels[3]
        await until(lambda: items(stand) == dict.fromkeys(stand.channels, False))
        for put, is_inside in ((stand.wall.put, True), (stand.wall.take, False)):
            stand.hand(stand.wall.force, channel)
            stand.hand(put, channel)
            await until(lambda is_inside=is_inside: items(stand)[channel] is is_inside)  # type: ignore[misc]
            stand.hand(stand.wall.close, channel)
            await until(lambda: stand.believed[channel] is DoorState.CLOSED)


async def test_without_eyes_nothing_is_said_of_what_is_inside() -> None:
    async with stand_of(KINDS["kerong-cu16"], "pty") as stand:
        await until(lambda: set(stand.believed) == set(stand.channels))
        await until(lambda: len(stand.boards.log) > 20)
        assert items(stand) == {}
