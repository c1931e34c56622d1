"""What a plan is asked for and what it answers: vehicles, jobs, and which vehicle visits what in which order.

Times are whole seconds from the plan's zero, distances whole metres, loads as in schemas/load.py. An instance of the
literature counts in its own unit (streams/planning/literature.py): nothing here depends on it.
"""

import hashlib
from typing import Literal

import msgspec

from schemas.load import NOTHING, Capacity, Load

Objective = Literal["distance", "duration", "vehicles"]
"""What is to be small: metres; seconds from each departure to its return, waiting and breaks among them; or first the
number of vehicles that drive, then metres."""

Action = Literal["pick_up", "deliver"]

PLACES_MAX = 2_200
"""Of a matrix. The largest instance of Li & Lim has 1,059."""
JOBS_MAX = 2_000
VEHICLES_MAX = 500


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a problem or a plan."""


class Window(Part, frozen=True):
    """Seconds, both ends within."""

    from_s: int
    until_s: int


class Stop(Part, frozen=True):
    """Whose service begins within the window: who comes before waits."""

    place: int
    window: Window
    service_s: int = 0


class Shipment(Part, frozen=True):
    """Goods that one vehicle picks up and later delivers.

    `ride_limit_s`: from the end of the pickup's service to the beginning of the delivery's.
    `penalty`: what leaving it out costs, in the objective's unit; without one it is left out only where it must be.
    """

    id: str
    pickup: Stop
    delivery: Stop
    load: Load = NOTHING
    skills: frozenset[str] = frozenset()
    ride_limit_s: int | None = None
    penalty: int | None = None


class Delivery(Part, frozen=True):
    """Goods that are aboard when their vehicle sets out. `only`: the vehicle that has them aboard already."""

    id: str
    stop: Stop
    load: Load = NOTHING
    skills: frozenset[str] = frozenset()
    only: str | None = None
    penalty: int | None = None


type Job = Shipment | Delivery


class Break(Part, frozen=True):
    """It begins within the window, and no service runs meanwhile: before departure, on the road, or after the end."""

    window: Window
    seconds: int


class Visit(Part, frozen=True):
    job: str
    action: Action


class Vehicle(Part, frozen=True):
    """With its rider. `end` None: it ends where its last stop is. `prefix`: what it does first, in this order."""

    id: str
    start: int
    end: int | None
    capacity: Capacity
    shift: Window
    skills: frozenset[str] = frozenset()
    pause: Break | None = None
    prefix: tuple[Visit, ...] = ()


class Matrices(Part, frozen=True):
    """From the row's place to the column's."""

    seconds: tuple[tuple[int, ...], ...]
    metres: tuple[tuple[int, ...], ...]


class Problem(Part, frozen=True):
    """Judged by streams/planning/faults.py before anything is planned."""

    vehicles: tuple[Vehicle, ...]
    matrices: Matrices
    shipments: tuple[Shipment, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    objective: Objective = "distance"

    @property
    def jobs(self) -> tuple[Job, ...]:
        return (*self.shipments, *self.deliveries)


class Route(Part, frozen=True):
    vehicle: str
    visits: tuple[Visit, ...]


class Solution(Part, frozen=True):
    """Who is in no route stays where they are. When everybody is where follows from it (check.py)."""

    routes: tuple[Route, ...]


def input_hash(problem: Problem) -> str:
    """SHA-256 of its canonical encoding."""
    return hashlib.sha256(encoded(problem)).hexdigest()


def encoded(problem: Problem) -> bytes:
    """JSON with fields as declared and sets sorted."""
    return msgspec.json.encode(problem, order="deterministic")
