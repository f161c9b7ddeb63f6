"""The weather at work: what breaks by itself, when, and for how long; and the repairs when it is all over."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from latchwork.domain.words import CompartmentId
from latchwork.simulator.cabinet import Cabinet
from latchwork.simulator.controller import Controller
from latchwork.simulator.schedule import sleep
from latchwork.simulator.weather import HOUR

if TYPE_CHECKING:
    from latchwork.simulator.world import World

BACKUP_EVERY_H = 3.0
FIRST_BACKUP_H = 0.3


class Elements:
    def __init__(self, world: "World") -> None:
        self._world = world

    def begin(self) -> None:
        world, weather = self._world, self._world.weather
        for controller in world.controllers.values():
            self._often(weather.partition_every_h, partial(self._partition, controller))
            self._often(weather.bank_crash_every_h, partial(controller.crash, "in the middle of it"))
            self._often(weather.board_lost_every_h, partial(self._lose_board, controller))
            self._often(weather.clock_jump_every_h, partial(self._jump, controller))
            self._often(weather.disk_tight_every_h, partial(self._fill, controller, "is_tight"))
            self._often(weather.disk_full_every_h, partial(self._fill, controller, "is_full"))
            self._often(weather.flap_every_h, partial(self._flap, controller))
            self._often(weather.image_every_h, partial(self._lose_disk, controller))
        self._often(weather.server_crash_every_h, lambda: world.office.crash("in the middle of it"))
        if weather.restore_every_h or weather.image_every_h:
            self._spawn(self._backups())
        self._often(weather.restore_every_h, world.office.restore)

    def end(self) -> None:
        """Everything is mended; what is broken off stays so until somebody tries again."""
        self._world.network.heal_all()
        for controller in self._world.controllers.values():
            controller.cabinet.lost.clear()
            controller.cabinet.flapping.clear()
            controller.disk.is_tight = controller.disk.is_full = False
            for compartment in controller.cabinet.channels:
                controller.cabinet.repair(compartment)

    def strike(self, cabinet: Cabinet, compartment: CompartmentId) -> None:
        """Something may break just when a coil is about to move."""
        random, weather = self._world.random, self._world.weather
        door = cabinet.wall.doors[cabinet.channels[compartment]]
        if random.random() < weather.jam:
            self._world.happened("jams")
            cabinet.wall.jam(door.channel, self._world.time.now)
            seconds = random.choice((1.0, 60.0, 4 * HOUR))
            self._world.schedule.call_in(seconds, lambda: self._unjam(cabinet, door.channel))
        if random.random() < weather.coil:
            self._world.happened("dead coils")
            door.stuck_coil = True
        if random.random() < weather.contact:
            self._world.happened("dead contacts")
            if random.random() < 0.5:
                door.stuck_contact = True
            else:
                door.broken_wire = True

    # One kind of bad luck each

    def _partition(self, controller: Controller) -> None:
        seconds = self._world.random.expovariate(1 / (self._world.weather.partition_h * HOUR))
        self._world.happened("partitions")
        self._world.say(controller.name, f"is cut off for {seconds:.0f} s")
        self._world.network.partition(controller.bank, seconds)

    def _lose_board(self, controller: Controller) -> None:
        cabinet, random = controller.cabinet, self._world.random
        board = random.choice(sorted({cabinet.board(x) for x in cabinet.channels}))
        self._world.happened("boards lost")
        self._world.say(controller.name, f"loses board {board}")
        cabinet.lost[board] = None
        cabinet.moved.fire()
        self._world.schedule.call_in(random.choice((2.0, 30.0, 1800.0)), lambda: self._find_board(cabinet, board))

    def _find_board(self, cabinet: Cabinet, board: int) -> None:
        cabinet.lost.pop(board, None)
        cabinet.moved.fire()

    def _jump(self, controller: Controller) -> None:
        seconds = self._world.random.choice((-7200.0, -30.0, 400.0, 86400.0 * 400, -86400.0 * 4000))
        self._world.happened("clock jumps")
        self._world.say(controller.name, f"has its clock set by {seconds:.0f} s")
        controller.wall_clock.off_seconds += seconds

    def _fill(self, controller: Controller, how: str) -> None:
        self._world.happened("full disks")
        self._world.say(controller.name, f"has a disk that {how}")
        setattr(controller.disk, how, True)
        seconds = self._world.random.choice((5.0, 60.0, 900.0))
        self._world.schedule.call_in(seconds, lambda: setattr(controller.disk, how, False))

    def _lose_disk(self, controller: Controller) -> None:
        if self._world.time.now > FIRST_BACKUP_H * HOUR:
            controller.lose_disk(self._world.random.random() < self._world.weather.replaced)

    def _flap(self, controller: Controller) -> None:
        cabinet, random = controller.cabinet, self._world.random
        compartment = random.choice(sorted(cabinet.channels))
        self._world.happened("flapping contacts")
        self._world.say(controller.name, f"has a contact that flaps at {compartment}")
        cabinet.doubtful[compartment] = "contact"
        cabinet.flapping[compartment] = None
        cabinet.moved.fire()
        self._world.schedule.call_in(random.uniform(1, 15), lambda: self._rest(cabinet, compartment))

    def _rest(self, cabinet: Cabinet, compartment: CompartmentId) -> None:
        cabinet.flapping.pop(compartment, None)
        cabinet.moved.fire()

    def _unjam(self, cabinet: Cabinet, channel: int) -> None:
        cabinet.wall.unjam(channel, self._world.time.now)
        cabinet.settle()

    # Time

    async def _backups(self) -> None:
        await sleep(FIRST_BACKUP_H * HOUR)
        while not self._world.settling:
            self._world.office.back_up()
            for bank in self._world.controllers:
                self._world.stores.keep_image(bank)
            await sleep(BACKUP_EVERY_H * HOUR)

    def _often(self, every_h: float, strike: Callable[[], None]) -> None:
        if every_h > 0:
            self._spawn(self._again(every_h, strike))

    async def _again(self, every_h: float, strike: Callable[[], None]) -> None:
        while True:
            await sleep(self._world.random.expovariate(1 / (every_h * HOUR)))
            if self._world.settling:
                return
            strike()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._world.schedule.spawn(work, "weather")
