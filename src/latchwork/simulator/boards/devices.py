"""Networked relay devices in front of a wall: what they answer to the calls and commands of their makers.

Pure: time is an argument, and what carries the words is somebody else's. Channel n of the wall hangs on relay n, and
its door contact on input n.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from latchwork.simulator.boards.wall import Wall

Answer = dict[str, Any]
FOR_EVER_S = 86_400.0


class Refused(Exception):
    """What the device says no to, in its own number and words."""

    def __init__(self, number: int, words: str) -> None:
        super().__init__(words)
        self.number = number


class Relays:
    """A wall whose coils hang on relays that may also be held on."""

    def __init__(self, wall: Wall) -> None:
        self.wall = wall
        self.switched: list[tuple[float, int, bool, float | None]] = []
        """What was asked for: when, which relay, on or off, and for how many seconds if limited."""

    def has(self, relay: int) -> bool:
        return relay in self.wall.doors

    def is_on(self, relay: int, now: float) -> bool:
        self.wall.answers(now)
        return self.wall.doors[relay].coil_until is not None

    def switch_on(self, relay: int, now: float, for_s: float | None) -> None:
        self.switched.append((now, relay, True, for_s))
        self.wall.pulse(relay, now, FOR_EVER_S if for_s is None else for_s)

    def switch_off(self, relay: int, now: float) -> None:
        self.switched.append((now, relay, False, None))
        self.wall.doors[relay].coil_until = self.wall.doors[relay].spring_at = None


@dataclass(slots=True)
class Shelly:
    """Generation 2 and later: remote calls, the same over HTTP and MQTT."""

    relays: Relays
    switch_config: Answer = field(default_factory=lambda: {"in_mode": "detached", "initial_state": "off"})
    input_config: Answer = field(default_factory=lambda: {"type": "switch", "invert": False})

    def call(self, method: str, params: Mapping[str, Any], now: float) -> Answer:
        match method:
            case "Shelly.GetStatus":
                parts: Answer = {f"switch:{relay}": self._switch(relay, now) for relay in self.relays.wall.doors}
                return parts | {f"input:{door}": self._input(door) for door in self.relays.wall.doors}
            case "Switch.GetStatus":
                return self._switch(self._known(params), now)
            case "Switch.GetConfig":
                return {"id": self._known(params), "name": None, **self.switch_config}
            case "Input.GetStatus":
                return self._input(self._known(params))
            case "Input.GetConfig":
                return {"id": self._known(params), "name": None, **self.input_config}
            case "Switch.Set":
                return self._set(self._known(params), params, now)
        raise Refused(404, f"No handler for {method}")

    def _set(self, relay: int, params: Mapping[str, Any], now: float) -> Answer:
        on, after = params.get("on"), params.get("toggle_after")
        if not isinstance(on, bool) or (after is not None and not isinstance(after, int | float)):
            raise Refused(-103, "Invalid argument")
        was_on = self.relays.is_on(relay, now)
        if on:
            self.relays.switch_on(relay, now, after)
        else:
            self.relays.switch_off(relay, now)
        return {"was_on": was_on}

    def _known(self, params: Mapping[str, Any]) -> int:
        number = params.get("id")
        if not isinstance(number, int) or not self.relays.has(number):
            raise Refused(-105, f"Argument 'id', value {number} not found!")
        return number

    def _switch(self, relay: int, now: float) -> Answer:
        return {"id": relay, "source": "init", "output": self.relays.is_on(relay, now)}

    def _input(self, door: int) -> Answer:
        return {"id": door, "state": self.relays.wall.doors[door].contact_closed}


@dataclass(slots=True)
class Tasmota:
    """Commands as text, answers as objects. A relay that is alone is called POWER."""

    relays: Relays
    power_on_state: int = 0
    detached: bool = True
    """SetOption114: the switches do not move the relays."""
    forgetful: bool = False
    """It answers to a new PulseTime as if it kept it, and does not."""
    pulse_times: dict[int, int] = field(default_factory=dict)

    def command(self, words: str, now: float) -> Answer:
        name, _, value = words.strip().partition(" ")
        stem = name.rstrip("0123456789").lower()
        number = int(name[len(stem) :] or 1)
        match stem:
            case "power" if self.relays.has(number - 1):
                return self._power(number - 1, value.upper(), now)
            case "pulsetime" if number <= 32:
                if value and not self.forgetful:
                    self.pulse_times[number] = int(value)
                said = int(value) if value and self.forgetful else self.pulse_times.get(number, 0)
                return {f"PulseTime{number}": {"Set": said, "Remaining": 0}}
            case "poweronstate":
                self.power_on_state = int(value or self.power_on_state)
                return {"PowerOnState": self.power_on_state}
            case "setoption" if number == 114:
                self.detached = value in ("1", "ON") if value else self.detached
                return {"SetOption114": _on(self.detached)}
            case "status" if value == "10":
                doors = self.relays.wall.doors
                contacts = {f"Switch{door + 1}": _on(each.contact_closed) for door, each in doors.items()}
                return {"StatusSNS": {"Time": "2026-11-21T12:00:00", **contacts}}
            case "status" if value == "11":
                powers = {self._key(relay): _on(self.relays.is_on(relay, now)) for relay in self.relays.wall.doors}
                return {"StatusSTS": {"Time": "2026-11-21T12:00:00", **powers}}
        return {"Command": "Unknown"}

    def _power(self, relay: int, value: str, now: float) -> Answer:
        if value in ("ON", "1"):
            self.relays.switch_on(relay, now, self._pulse_s(relay))
        elif value in ("OFF", "0"):
            self.relays.switch_off(relay, now)
        elif value:
            return {"Command": "Error"}
        return {self._key(relay): _on(self.relays.is_on(relay, now))}

    def _pulse_s(self, relay: int) -> float | None:
        units = self.pulse_times.get(relay + 1, 0)
        if units == 0:
            return None
        return units / 10 if units <= 111 else units - 100.0

    def _key(self, relay: int) -> str:
        return "POWER" if len(self.relays.wall.doors) == 1 else f"POWER{relay + 1}"


@dataclass(slots=True)
class Esphome:
    """Switches `lock_1`, .. and binary sensors `door_1`, .., as the driver's README has them configured."""

    relays: Relays
    pulse_s: float | None = 0.5
    """The `delay` of its automation; None: somebody forgot it."""

    def is_on(self, kind: str, name: str, now: float) -> bool | None:
        """None for what it does not have."""
        word, _, number = name.partition("_")
        channel = int(number) - 1 if number.isdigit() else -1
        if not self.relays.has(channel):
            return None
        match kind, word:
            case "switch", "lock":
                return self.relays.is_on(channel, now)
            case "binary_sensor", "door":
                return self.relays.wall.doors[channel].contact_closed
        return None

    def turn(self, name: str, on: bool, now: float) -> None:
        """Only for a name whose switch is known."""
        relay = int(name.partition("_")[2]) - 1
        if on:
            self.relays.switch_on(relay, now, self.pulse_s)
        else:
            self.relays.switch_off(relay, now)


def _on(flag: bool) -> str:
    return "ON" if flag else "OFF"
