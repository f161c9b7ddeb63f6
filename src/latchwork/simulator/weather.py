"""What goes wrong in a world, and how often: each seed picks its own, some of it not at all, some beyond reason."""

from dataclasses import dataclass, fields
from random import Random

HOUR = 3600.0


@dataclass(slots=True)
class Weather:
    """Chances are per occasion, `..._every_h` are mean hours between two; 0 is never."""

    # The line between a bank and the server
    latency_s: float = 0.05
    cut: float = 0.0
    """A message after which the line breaks."""
    lose: float = 0.0
    """A message that vanishes on a line that looks sound, as on one that is half open."""
    double: float = 0.0
    reorder: float = 0.0
    garble: float = 0.0
    partition_every_h: float = 0.0
    partition_h: float = 0.5
    # Machines
    bank_crash_every_h: float = 0.0
    bank_crash_at_await: float = 0.0
    server_crash_every_h: float = 0.0
    server_crash_at_await: float = 0.0
    database_away: float = 0.0
    """A call that finds the database gone, before or after the commit."""
    restore_every_h: float = 0.0
    """The server comes back from a backup some hours old."""
    restore_beneath: float = 0.0
    """How many of those happen under a server that goes on unaware: numbers of instructions may come twice then."""
    image_every_h: float = 0.0
    """A controller comes back from an image of its disk some hours old, or another is put in its place with none."""
    replaced: float = 0.5
    """How many of those are new ones."""
    hint_lost: float = 0.0
    mail_fails: float = 0.0
    # A controller's surroundings
    board_lost_every_h: float = 0.0
    fault_after_pulse: float = 0.0
    """The line to the boards breaks right after the unlock frame went out."""
    clock_jump_every_h: float = 0.0
    disk_tight_every_h: float = 0.0
    disk_full_every_h: float = 0.0
    # Doors
    jam: float = 0.0
    """A pulse that finds the leaf jammed, for a while."""
    coil: float = 0.0
    contact: float = 0.0
    """A contact breaks: it says closed for ever, or open for ever, until somebody repairs it."""
    flap_every_h: float = 0.0
    sensor_lies: float = 0.0
    """What a sensor inside says once a door is shut, and is not so."""
    poll_s: float = 0.3
    # People
    parcels_a_day: float = 16.0
    """Per bank."""
    unannounced: float = 0.3
    haste: float = 0.05
    """Walks away, or does the next thing before the last has ended."""
    careless: float = 0.0
    """Opens and takes nothing, or says something that is not so."""
    fuss: float = 0.0
    """Something out of the ordinary, said or done at the wall or in the office: none of it is anybody's fault."""
    late: float = 0.1
    never: float = 0.05
    by_qr: float = 0.4
    together: float = 0.05
    """Does not queue at the kiosk: uses a phone while somebody else is at it."""
    guesses_a_day: float = 0.0
    remote_opens_a_day: float = 2.0

    def said(self) -> str:
        """What differs from fair weather, in one line."""
        fair = Weather()
        odd = [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != getattr(fair, f.name)]
        return " ".join(f"{name}={value:.3g}" for name, value in odd) or "fair"


_FAULTS: tuple[tuple[str, float, float], ...] = (
    ("cut", 0.002, 0.15),
    ("lose", 0.01, 0.25),
    ("double", 0.02, 0.4),
    ("reorder", 0.02, 0.4),
    ("garble", 0.001, 0.02),
    ("partition_every_h", 12.0, 1.0),
    ("bank_crash_every_h", 12.0, 1.0),
    ("bank_crash_at_await", 0.001, 0.015),
    ("server_crash_every_h", 12.0, 1.0),
    ("server_crash_at_await", 0.0005, 0.01),
    ("database_away", 0.001, 0.05),
    ("restore_every_h", 20.0, 4.0),
    ("image_every_h", 30.0, 6.0),
    ("hint_lost", 0.1, 1.0),
    ("mail_fails", 0.05, 0.4),
    ("board_lost_every_h", 12.0, 0.7),
    ("fault_after_pulse", 0.002, 0.1),
    ("clock_jump_every_h", 12.0, 1.0),
    ("disk_tight_every_h", 12.0, 2.0),
    ("disk_full_every_h", 12.0, 1.5),
    ("jam", 0.02, 0.3),
    ("coil", 0.01, 0.1),
    ("contact", 0.005, 0.05),
    ("flap_every_h", 8.0, 1.0),
    ("careless", 0.01, 0.1),
    ("fuss", 0.15, 0.5),
    ("sensor_lies", 0.02, 0.2),
    ("guesses_a_day", 5.0, 300.0),
)
_OFF, _EXTREME = 0.55, 0.12


def pick(random: Random) -> Weather:
    weather = Weather()
    for name, usual, extreme in _FAULTS:
        luck = random.random()
        if luck >= _OFF:
            setattr(weather, name, extreme if luck > 1 - _EXTREME else usual * random.uniform(0.5, 2))
    weather.restore_beneath = random.choice((0.0, 0.0, 0.5))
    weather.latency_s = random.choice((0.02, 0.05, 0.3, 2.0))
    weather.poll_s = random.choice((0.1, 0.3, 0.3, 1.0, 2.5))
    weather.partition_h = random.choice((0.05, 0.5, 6.0))
    weather.parcels_a_day = random.choice((8.0, 12.0, 16.0, 30.0))
    weather.unannounced = random.choice((0.0, 0.3, 1.0))
    weather.haste = random.choice((0.0, 0.05, 0.4))
    weather.late, weather.never = random.choice((0.0, 0.1, 0.5)), random.choice((0.0, 0.05, 0.2))
    weather.by_qr = random.choice((0.0, 0.4, 1.0))
    weather.together = random.choice((0.0, 0.05, 0.5))
    weather.remote_opens_a_day = random.choice((0.0, 2.0, 20.0))
    return weather


def calm(weather: Weather) -> Weather:
    """The same people, sobered, and nothing else goes wrong."""
    return Weather(parcels_a_day=0.0, by_qr=weather.by_qr, late=0.0, never=0.0, haste=0.0, remote_opens_a_day=0.0)
