"""What is remembered of a rider's way, fix after fix: where they stand, which trip they are on, what is the matter."""

from math import copysign, cos, hypot, pi

import msgspec

from schemas.fixes import MICRODEGREES
from schemas.geo import EARTH_RADIUS_M
from schemas.signals import AnomalyKind

STANDS_WITHIN_M = 50.0
RADIANS = pi / 180 / MICRODEGREES
METRES = RADIANS * EARTH_RADIUS_M
"""Of a microdegree of latitude."""
HALF, TURN = 180 * MICRODEGREES, 360 * MICRODEGREES
UNKNOWN = -1.0
"""A speed that the device does not tell."""


class Spot(msgspec.Struct, frozen=True, array_like=True):
    """Unix milliseconds, microdegrees, metres a second."""

    at_ms: int
    lat: int
    lon: int
    mps: float = UNKNOWN


class Standing(msgspec.Struct, array_like=True):
    """An anomaly that was told and is not over: `held_ms` is when it was so last. `over_ms` is when the log says that
    it was over, where that was told before a crash and is come to once more."""

    anomaly_id: str
    at_ms: int
    held_ms: int
    over_ms: int | None = None


class Toward(msgspec.Struct, array_like=True):
    """The stop that comes next: since when, how far it was then, and whether the rider has come nearer."""

    name: str
    since_ms: int
    from_m: float
    departed: bool = False


class Way(msgspec.Struct, array_like=True):
    """A trip under way: where it began, and the place from where metres are counted on. `there_m` are those up to where
    the rider stands, which may be its end."""

    start: Spot
    lat: int
    lon: int
    metres: float
    stops: int = 0
    idle_ms: int = 0
    there_m: float = 0.0
    vehicle_id: str | None = None
    stood: list[tuple[int, int, int, int]] = []
    """Of its stops since when, until when, and where."""


class Watch(msgspec.Struct, array_like=True):
    """`at` is the fix that was looked at last, `stands` where and since when the rider stands, `stood_ms` when they
    were seen there last, and `origin` where they had stood before they began to move about: `leaving` is their way from
    their last fix there on, which becomes the trip."""

    device: str = ""
    at_ms: int = 0
    lat: int = 0
    lon: int = 0
    mps: float = UNKNOWN
    heard_ms: int = 0
    """By the clock of who received it."""
    stands: Spot | None = None
    stood_ms: int = 0
    origin: Spot | None = None
    trip: Way | None = None
    looks_ms: int = 0
    """When their stops are looked at next."""
    base: tuple[int, int, int, int] | None = None
    """From where the speed of a device that tells none is reckoned: time, place, metres of accuracy."""
    fast: Spot | None = None
    """Since when it is too fast."""
    toward: Toward | None = None
    strays: dict[AnomalyKind, list[Spot]] = {}
    standing: dict[AnomalyKind, Standing] = {}
    told: dict[AnomalyKind, list[int]] = {}
    """Of the last hour."""
    rested_ms: int = 0
    """When they were on a break last, or had nothing ahead."""
    over: dict[int, int] = {}
    """Trips that the log says are over, since nothing was heard: when they began and ended. It was told before a crash,
    and what led to it then may not come again."""
    leaving: Way | None = None


def apart_m(lat_a: int, lon_a: int, lat_b: int, lon_b: int) -> float:
    """Metres between places that are near each other; of far ones it is enough that they are far."""
    east = lon_b - lon_a
    if not -HALF <= east <= HALF:
        east -= int(copysign(TURN, east))
    return METRES * hypot(lat_b - lat_a, east * cos(lat_a * RADIANS))
