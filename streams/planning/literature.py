"""Reads the instances that the literature plans: Solomon and Gehring & Homberger (VRPTW), Li & Lim (PDPTW).

Their distances are Euclidean doubles, in the same unit as their times. A problem counts whole ticks, 10,000 a unit.
Seconds are rounded up, so that what fits in ticks fits in truth; metres to the nearest. `real` holds the true ones.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from schemas.load import Capacity, Load
from streams.planning.check import Real
from streams.planning.problem import (
    PLACES_MAX,
    VEHICLES_MAX,
    Delivery,
    Matrices,
    Objective,
    Problem,
    Shipment,
    Solution,
    Stop,
    Vehicle,
    Window,
)

TICKS = 10_000
"""Of a unit of the instance."""
SOLOMON_COLUMNS, LI_LIM_COLUMNS = 7, 9

Kind = Literal["solomon", "li_lim"]


class WrongFile(ValueError):
    """Its text says which line and what is wrong with it."""

    def __init__(self, line: int, told: str) -> None:
        super().__init__(f"line {line}: {told}")
        self.line = line


class Row(NamedTuple):
    """A place with what is asked of it, 0 the depot."""

    line: int
    number: int
    x: float
    y: float
    demand: int
    ready: float
    due: float
    service: float
    pickup: int = 0
    delivery: int = 0


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """Its jobs are called by their places' numbers: 7, or 3-75 from pickup to delivery."""

    kind: Kind
    problem: Problem
    real: Real


class Line(NamedTuple):
    number: int
    words: list[str]


def read(text: str, objective: Objective) -> Instance:
    """Raises WrongFile."""
    lines = [Line(number, words) for number, line in enumerate(text.splitlines(), 1) if (words := line.split())]
    if not lines:
        raise WrongFile(1, "the file is empty")
    if all(map(is_number, lines[0].words)):
        return li_lim(lines, objective)
    return solomon(lines, objective)


def solomon(lines: Sequence[Line], objective: Objective) -> Instance:
    """A name, VEHICLE with a line of number and capacity, CUSTOMER with seven columns."""
    vehicle = section(lines, "VEHICLE")
    customer = section(lines, "CUSTOMER")
    fleet = [line for line in lines[vehicle + 1 : customer] if is_number(line.words[0])]
    if len(fleet) != 1:
        raise WrongFile(lines[vehicle].number, "VEHICLE must be followed by one line of NUMBER and CAPACITY")
    count, capacity = vehicles_of(fleet[0], 2)
    rows = rows_of([line for line in lines[customer + 1 :] if is_number(line.words[0])], SOLOMON_COLUMNS)
    check_rows(rows, lines[customer].number)
    deliveries = tuple(
        Delivery(id=str(row.number), stop=stop_of(row), load=Load(parcels=row.demand)) for row in rows[1:]
    )
    for row in rows[1:]:
        if row.demand < 0:
            raise WrongFile(row.line, f"customer {row.number}: the demand is {row.demand}, must be 0 or more")
    return instance("solomon", rows, count, capacity, objective, deliveries=deliveries)


def section(lines: Sequence[Line], title: str) -> int:
    for at, line in enumerate(lines):
        if line.words[0].upper() == title:
            return at
    first = " ".join(lines[0].words)[:40]
    raise WrongFile(
        lines[0].number,
        f"begins with {first!r}: neither three numbers (Li & Lim) nor a name with the sections VEHICLE and CUSTOMER "
        f"(Solomon): there is no {title}",
    )


def li_lim(lines: Sequence[Line], objective: Objective) -> Instance:
    """A line of vehicles, capacity and speed, then nine columns, the last two the places of pickup and delivery."""
    count, capacity = vehicles_of(lines[0], 3)
    rows = rows_of(lines[1:], LI_LIM_COLUMNS)
    check_rows(rows, lines[0].number)
    return instance("li_lim", rows, count, capacity, objective, shipments=tuple(shipments_of(rows)))


def shipments_of(rows: Sequence[Row]) -> Iterator[Shipment]:
    for row in rows[1:]:
        if (row.pickup == 0) == (row.delivery == 0):
            raise WrongFile(row.line, f"place {row.number}: names both a pickup and a delivery, or neither")
        other_number = row.pickup or row.delivery
        if not 0 < other_number < len(rows):
            raise WrongFile(row.line, f"place {row.number}: its partner {other_number} is not there")
        other = rows[other_number]
        if (other.pickup or other.delivery) != row.number or (other.pickup == 0) == (row.pickup == 0):
            raise WrongFile(row.line, f"place {row.number}: its partner {other_number} (line {other.line}) is not its")
        if row.demand != -other.demand or (row.delivery and row.demand < 0):
            raise WrongFile(
                row.line, f"place {row.number}: picks up {row.demand}, of which {other_number} delivers {-other.demand}"
            )
        if row.delivery:
            yield Shipment(
                id=f"{row.number}-{other.number}",
                pickup=stop_of(row),
                delivery=stop_of(other),
                load=Load(parcels=row.demand),
            )


def vehicles_of(line: Line, columns: int) -> tuple[int, int]:
    if len(line.words) != columns:
        raise WrongFile(line.number, f"{len(line.words)} columns, the vehicles' line has {columns}")
    count, capacity = (whole(line, at, name) for at, name in ((0, "number of vehicles"), (1, "capacity")))
    if not 0 < count <= VEHICLES_MAX:
        raise WrongFile(line.number, f"{count} vehicles, must be 1 to {VEHICLES_MAX}")
    if not 0 <= capacity < 2**31:
        raise WrongFile(line.number, f"the capacity is {capacity}, must be 0 to {2**31 - 1}")
    return count, capacity


def rows_of(lines: Sequence[Line], columns: int) -> list[Row]:
    rows = []
    for line in lines:
        if len(line.words) != columns:
            raise WrongFile(line.number, f"{len(line.words)} columns, must be {columns}")
        x, y, ready, due, service = (real(line, at) for at in (1, 2, 4, 5, 6))
        rest = [whole(line, at, "partner") for at in range(SOLOMON_COLUMNS, columns)]
        rows.append(
            Row(line.number, whole(line, 0, "number"), x, y, whole(line, 3, "demand"), ready, due, service, *rest)
        )
    return rows


def check_rows(rows: Sequence[Row], before: int) -> None:
    if not rows:
        raise WrongFile(before, "no depot follows")
    if len(rows) > PLACES_MAX:
        raise WrongFile(rows[PLACES_MAX].line, f"more than {PLACES_MAX} places")
    for at, row in enumerate(rows):
        if row.number != at:
            raise WrongFile(row.line, f"place {row.number} where {at} must follow")
        if not 0 <= row.ready <= row.due:
            raise WrongFile(row.line, f"place {at}: the window ends at {row.due:g}, it begins at {row.ready:g}")
        if row.service < 0:
            raise WrongFile(row.line, f"place {at}: the service takes {row.service:g}, must be 0 or more")


def is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def real(line: Line, at: int) -> float:
    if not is_number(line.words[at]):
        raise WrongFile(line.number, f"column {at + 1} is {line.words[at]!r}, must be a number")
    return float(line.words[at])


def whole(line: Line, at: int, name: str) -> int:
    value = real(line, at)
    if value != int(value):
        raise WrongFile(line.number, f"column {at + 1} ({name}) is {line.words[at]}, must be whole")
    return int(value)


def stop_of(row: Row) -> Stop:
    """Its window in ticks, rounded inwards."""
    window = Window(from_s=math.ceil(row.ready * TICKS), until_s=math.floor(row.due * TICKS))
    return Stop(place=row.number, window=window, service_s=math.ceil(row.service * TICKS))


def instance(
    kind: Kind,
    rows: Sequence[Row],
    count: int,
    capacity: int,
    objective: Objective,
    *,
    shipments: tuple[Shipment, ...] = (),
    deliveries: tuple[Delivery, ...] = (),
) -> Instance:
    ticks = [[math.hypot(a.x - b.x, a.y - b.y) * TICKS for b in rows] for a in rows]
    matrices = Matrices(
        seconds=tuple(tuple(map(math.ceil, row)) for row in ticks),
        metres=tuple(tuple(map(round, row)) for row in ticks),
    )
    shift = stop_of(rows[0]).window
    room = Capacity(weight_g=0, volume_cm3=0, parcels=capacity)
    vehicles = tuple(Vehicle(id=str(at), start=0, end=0, capacity=room, shift=shift) for at in range(1, count + 1))
    problem = Problem(
        vehicles=vehicles, shipments=shipments, deliveries=deliveries, matrices=matrices, objective=objective
    )
    return Instance(kind=kind, problem=problem, real=Real(ticks, ticks))


def tours(instance: Instance, solution: Solution) -> list[list[int]]:
    """Each vehicle's places, as the literature writes them."""
    return [
        [place_of(visit.job, visit.action == "pick_up") for visit in route.visits]
        for route in solution.routes
        if route.visits
    ]


def place_of(job: str, picked_up: bool) -> int:
    pickup, _, delivery = job.partition("-")
    return int(pickup if picked_up or not delivery else delivery)
