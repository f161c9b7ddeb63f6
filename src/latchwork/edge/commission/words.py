"""What the installer reads and says, the same in the terminal and in the browser."""

import re
from collections.abc import Sequence

from latchwork.domain.words import Climate
from latchwork.edge.commission.survey import (
    AllShut,
    Describe,
    Finished,
    PulseNext,
    Question,
    Senseless,
    ShutAgain,
    Survey,
    WhichMoved,
    causes,
    compartments,
)
from latchwork.edge.commission.wires import Found
from latchwork.edge.config import CompartmentTable
from latchwork.edge.drivers.protocol import Contact

GATE = "gate"


def asked(question: Question, survey: Survey) -> str:
    """The question as a sentence or two."""
    match question:
        case AllShut():
            return "Shut every door of the wall. Are all of them shut?"
        case PulseNext(place):
            number = survey.places.index(place) + 1
            return f"{_upper(str(place))}, {number} of {len(survey.places)}. Pulse its lock once?"
        case WhichMoved(_, ()):
            return "No contact changed. Which door has opened?"
        case WhichMoved(_, contacts):
            return f"The contact of {' and '.join(map(str, contacts))} changed. Which door has opened?"
        case ShutAgain(_, ()):
            return "No door opened, you said. Make sure that all are shut."
        case ShutAgain(_, doors):
            return f"Shut door {' and '.join(doors)}."
        case Describe(door):
            return f"What is behind door {door}?"
        case Finished():
            return "Every channel is settled."


def description(door: str, size: str, reach: str, more: str) -> CompartmentTable:
    """`size`: inner width, height and depth in mm. `reach`: of the door's middle above the floor, in mm; may be empty.
    `more`: a climate, "gate", features. Raises Senseless."""
    numbers = re.findall(r"\d+", size)
    if len(numbers) != 3:
        raise Senseless("give the inner width, height and depth in mm, such as 380 190 640")
    if not re.fullmatch(r"\d{0,5}", reach.strip()):
        raise Senseless("give the height of the door's middle above the floor in mm, such as 900, or nothing")
    words = re.findall(r"[\w-]+", more.lower())
    climates = [word for word in words if word in set(Climate)]
    if len(climates) > 1:
        raise Senseless(f"a compartment has one climate, not {' and '.join(climates)}")
    return CompartmentTable(
        door,
        (int(numbers[0]), int(numbers[1]), int(numbers[2])),
        climate=Climate(climates[0]) if climates else Climate.AMBIENT,
        reach_mm=int(reach.strip() or 0),
        features=tuple(word for word in words if word not in (*climates, GATE)),
        gate=GATE in words,
    )


def described(table: CompartmentTable) -> tuple[str, str, str]:
    """What `description` would read as this."""
    climate = () if table.climate is Climate.AMBIENT else (str(table.climate),)
    more = (*climate, *((GATE,) if table.gate else ()), *table.features)
    return " ".join(map(str, table.size_mm)), str(table.reach_mm or ""), " ".join(more)


def size_before(survey: Survey) -> str:
    """Of the door that was described last: most doors of a wall are like their neighbours."""
    return described(survey.compartments[-1])[0] if survey.compartments else ""


def found(number: int, scan: Found) -> list[str]:
    """What a scan of bus `number` has found, in lines."""
    head = f"bus {number}: {scan.bus.driver} at {scan.bus.port}"
    lines = [
        f"{head}: board {board} with {len(channels)} channels"
        if board is not None
        else f"{head}: {len(channels)} channels"
        for board, channels in scan.boards.items()
    ] or [f"{head}: nobody answers"]
    return [*lines, *(f"{head}: {trouble}" for trouble in scan.troubles)]


def summary(survey: Survey, expected: Sequence[Contact]) -> list[str]:
    """What would be written, and what is left out and why, in lines."""
    doors = len(compartments(survey, expected))
    passed_over = sum(probe.passed_over for probe in survey.probes)
    lines = [f"{doors} door{'' if doors == 1 else 's'} of {len(survey.places)} channels will be in the configuration."]
    if passed_over:
        lines.append(f"{passed_over} channel{' was' if passed_over == 1 else 's were'} passed over.")
    return lines + wrong(survey)


def wrong(survey: Survey) -> list[str]:
    return [_upper(problem) for problem in causes(survey)]


def place_of(text: str) -> tuple[int, int]:
    """Bus and channel, from "17" or "1/17". Raises Senseless."""
    match = re.fullmatch(r"(?:(\d{1,4})/)?(\d{1,6})", text.strip())
    if match is None:
        raise Senseless("name a channel as 17, or 1/17 where it is on bus 1")
    return int(match[1] or 0), int(match[2])


def _upper(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
