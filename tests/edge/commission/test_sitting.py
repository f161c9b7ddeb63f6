"""Commissioning at simulated boards over a real pty, by somebody who sees the doors and shuts them."""

import asyncio
import sys
from pathlib import Path

import msgspec
import pytest
from tests.edge.commission.walls import BOARDS, LABELS, Installer, commission, hurried, kerong_wall, new_file
from tests.edge.test_loop import BANK, Edge

from latchwork.edge import identity
from latchwork.edge.commission.sitting import kept_at
from latchwork.edge.commission.terminal import Stop
from latchwork.edge.config import BadConfig, read_config, read_tables
from latchwork.edge.drivers.protocol import Contact
from latchwork.edge.identity import Identity
from latchwork.edge.seal import Standing, edition, previous
from latchwork.edge.wall import wall_of
from latchwork.store.sqlite import JournalHeld

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ptys as Linux has them")


@hurried
async def test_a_wall_is_found_tried_and_written_down(tmp_path: Path) -> None:
    path = new_file(tmp_path, locks=2, boards=())
    async with kerong_wall(tmp_path, locks=2) as (live, _):
        live.wall.doors[1].reversed_contact = True
        installer = Installer(live)
        await commission(path, installer)
        assert [door.pulses for door in live.wall] == [1, 1, 1, 1]
        assert not installer.said("did not answer"), "an address that was only tried is no trouble"
    config = read_config(path)
    assert config.buses[0].boards == BOARDS
    assert config.wiring == {label: (0, channel) for channel, label in LABELS.items()}
    assert config.contacts == {LABELS[1]: Contact.OPEN_WHEN_SHUT}
    assert wall_of(config.buses, config.wiring, config.contacts)
    assert all(0.1 < (table.open_seconds or 0) < 2 for table in read_tables(path).compartment)
    assert {fitting.reach_mm for fitting in config.fittings} == {900}
    key = identity.device_key(config.state).public_key().public_bytes_raw()
    made = edition(path.read_bytes(), key)
    assert (made.version, made.standing) == (1, Standing.SIGNED)
    assert "compartment" not in previous(path).read_text()
    text, page = (path.with_suffix(ending).read_text() for ending in (".map.txt", ".map.html"))
    assert made.sha256 in text and made.sha256 in page
    assert all(label in text and f'data-door="{label}"' in page for label in LABELS.values())


@hurried
async def test_faults_are_named_and_left_out_until_they_are_repaired(tmp_path: Path) -> None:
    path = new_file(tmp_path, locks=2)
    async with kerong_wall(tmp_path, locks=2) as (live, _):
        faulty = live.wall.doors
        faulty[0].stuck_coil = faulty[1].stuck_contact = faulty[48].broken_wire = True
        installer = Installer(live)
        await commission(path, installer)
        assert installer.said(r"^Channel 0 \(bus 0, board 0\) is dead")
        assert installer.said(r"^Channel 1 .* opens door 03, but its contact did not move")
        assert installer.said(r"^Channel 48 .* opens door 02, but its contact did not move")
        assert [table.id for table in read_tables(path).compartment] == ["04"]
        assert "is dead" in path.with_suffix(".map.txt").read_text()

        faulty[0].stuck_coil = faulty[1].stuck_contact = faulty[48].broken_wire = False
        await commission(path, Installer(live, finish=("again 0", "again 1", "again 48", "write")))
        assert [table.id for table in read_tables(path).compartment] == ["01", "02", "03", "04"]
        assert edition(path.read_bytes()).version == 2


@hurried
async def test_a_door_that_two_channels_open_is_named_at_both(tmp_path: Path) -> None:
    path = new_file(tmp_path)
    async with kerong_wall(tmp_path) as (live, _):
        installer = Installer(live, {0: "01", 48: "01"}, finish=("again 48", "write"))
        with pytest.raises(BadConfig, match="at least one"):
            await commission(path, installer)
        assert installer.said(r"^Channel 0 .* opens door 01, and so does channel 48")
        assert installer.said(r"^Channel 48 .* opens door 01, and so does channel 0")


@hurried
async def test_it_is_taken_up_where_it_stopped_and_pulses_no_lock_twice(tmp_path: Path) -> None:
    async def stopped_after(answers: int) -> None:
        folder = tmp_path / str(answers)
        folder.mkdir()
        path = new_file(folder)
        async with kerong_wall(folder) as (live, _):
            with pytest.raises(Stop):
                await commission(path, Installer(live, stop_after=answers))
            again = Installer(live)
            await commission(path, again)
            assert again.said("This goes on from")
            assert [door.pulses for door in live.wall] == [1, 1]
        assert [table.id for table in read_tables(path).compartment] == ["01", "02"]

    async with asyncio.TaskGroup() as group:
        for answers in (0, 1, 2, 3, 4, 7):
            group.create_task(stopped_after(answers))


@hurried
async def test_a_pulled_cable_pulses_nothing_and_it_goes_on_when_it_is_back(tmp_path: Path) -> None:
    path = new_file(tmp_path)
    async with kerong_wall(tmp_path) as (live, front):

        class Clumsy(Installer):
            async def _answer(self, question: str, hint: str) -> str:
                if "Channel 48 " in question and not self.said("^! "):
                    await front.cut()
                elif self.said("^! "):
                    await front.open()
                    await asyncio.sleep(0.2)
                return await super()._answer(question, hint)

        installer = Clumsy(live)
        await commission(path, installer)
        assert installer.said("^! ")
        assert [door.pulses for door in live.wall] == [1, 1]
    assert len(read_tables(path).compartment) == 2


@hurried
async def test_nobody_on_the_line_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    path = new_file(tmp_path)
    async with kerong_wall(tmp_path) as (live, front):
        live.wall.cut_power(live.now())
        with pytest.raises(BadConfig, match="no board answers"):
            await commission(path, installer := Installer(live))
        assert installer.said("nobody answers")
        await front.cut()
        with pytest.raises(BadConfig, match="no board answers"):
            await commission(path, installer := Installer(live))
        assert installer.said("cannot open")
    assert not kept_at(path).exists()


@hurried
async def test_other_buses_than_the_last_sitting_had_begin_anew(tmp_path: Path) -> None:
    path = new_file(tmp_path, locks=2)
    async with kerong_wall(tmp_path, locks=2) as (live, _):
        with pytest.raises(Stop):
            await commission(path, Installer(live, stop_after=2))
        kept = kept_at(path).read_text()
        kept_at(path).write_text(kept.replace('"locks_per_board": 2', '"locks_per_board": 2, "baud": 9600'))
        with pytest.raises(Stop):  # a rate that the scan has found is no other bus
            await commission(path, Installer(live, stop_after=2))
        path.write_text(path.read_text().replace('locks_per_board" = 2', 'locks_per_board" = 1'))
        with pytest.raises(BadConfig, match="begin again with --anew"):
            await commission(path, Installer(live))
        await commission(path, Installer(live), anew=True)
        assert [table.channel for table in read_tables(path).compartment] == [0, 48]
        kept_at(path).write_text("{")
        with pytest.raises(BadConfig, match="is not what a sitting has left"):
            await commission(path, Installer(live))


@hurried
async def test_a_wall_in_use_is_not_commissioned(tmp_path: Path) -> None:
    path, state = new_file(tmp_path), tmp_path / "state"
    edge = Edge(state)
    session = await edge.set_up()
    identity.write_safely(state / "identity.json", msgspec.json.encode(Identity(BANK, "11" * 32, "22" * 32, 1)))
    async with kerong_wall(tmp_path) as (live, _):
        with pytest.raises(JournalHeld):
            await commission(path, Installer(live))
        assert (await edge.deposit(session))[1].refusal is None
        edge.journal.close()
        with pytest.raises(BadConfig, match="only an empty wall is commissioned, and something is in or reserved for"):
            await commission(path, Installer(live))
        assert not any(door.pulses for door in live.wall)
