"""Where a simulated courier is between two stops: the fixes that their phone would send, by the tenant's clock."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from math import atan2, cos, degrees, pi, radians, sin

import msgspec
import numpy as np

from schemas.fixes import NewFix
from schemas.geo import Location, distance_m
from streams.telemetry.eta import Way

FIX_EVERY_S = 5
MOST_FIXES = 60
"""On one way."""
ACCURACY_M = 5.0
FARTHEST_M = 20_000
"""Who was seen further off, or nowhere, comes from near."""
NEAR_DEG = 0.006
"""Of latitude: 670 m."""


class Seen(msgspec.Struct, frozen=True):
    at: datetime
    location: Location


class Arrival(msgspec.Struct, frozen=True):
    """At a stop, or due there; the way takes so many seconds."""

    at: datetime
    location: Location
    way_s: int


class Leg(msgspec.Struct, frozen=True):
    """From one place to the next stop; a fix every so many seconds."""

    begins: datetime
    ends: datetime
    start: Location
    goal: Location
    every_s: float


def legs(courier: str, seen: Seen | None, arrivals: Iterable[Arrival]) -> Iterator[Leg]:
    """The ways to where they come after they were seen last. They rest where they are until it is time to go."""
    for arrival in sorted(arrivals, key=lambda each: each.at):
        if seen is not None and arrival.at <= seen.at:
            continue
        begins = arrival.at - timedelta(seconds=arrival.way_s)
        yield Leg(
            begins=begins if seen is None else max(begins, seen.at),
            ends=arrival.at,
            start=start_of(courier, seen, arrival.location),
            goal=arrival.location,
            every_s=max(FIX_EVERY_S, arrival.way_s / MOST_FIXES),
        )
        seen = Seen(arrival.at, arrival.location)


def start_of(courier: str, seen: Seen | None, goal: Location) -> Location:
    if seen is not None and distance_m(seen.location, goal) <= FARTHEST_M:
        return seen.location
    turn = sha256(courier.encode()).digest()[0] / 256 * 2 * pi
    lat = max(-90.0, min(90.0, goal.lat + NEAR_DEG * sin(turn)))
    lon = goal.lon + NEAR_DEG * cos(turn) / max(0.1, cos(radians(goal.lat)))
    return Location(lat=lat, lon=(lon + 180) % 360 - 180)


def fixes(leg: Leg, way: Way, after: datetime | None, until: datetime) -> list[NewFix]:
    """Those of the leg's that are after and until these times; the last one is at the stop."""
    lasts_s = (leg.ends - leg.begins).total_seconds()
    count = int(lasts_s / leg.every_s)
    times = [leg.begins + timedelta(seconds=leg.every_s * number) for number in range(1, count + 1)]
    times = [at for at in times if at < leg.ends] + [leg.ends]
    return [fix_at(leg, way, at) for at in times if (after is None or at > after) and at <= until]


def fix_at(leg: Leg, way: Way, at: datetime) -> NewFix:
    lasts_s = (leg.ends - leg.begins).total_seconds()
    passed = 1.0 if lasts_s <= 0 else (at - leg.begins).total_seconds() / lasts_s
    place = leg.goal if at == leg.ends else place_along(way, passed)
    return NewFix(
        observed_at=at,
        lat=place.lat,
        lon=place.lon,
        accuracy_m=ACCURACY_M,
        speed_mps=0.0 if at == leg.ends or lasts_s <= 0 else float(way.metres[-1]) / lasts_s,
        bearing_deg=bearing(place_along(way, passed - 0.01), place_along(way, passed + 0.01)),
    )


def place_along(way: Way, passed: float) -> Location:
    """Where they are with so much of the driving behind them, from 0 to 1."""
    driven_s = max(0.0, min(1.0, passed)) * float(way.seconds[-1])
    lat, lon = (float(np.interp(driven_s, way.seconds, of)) for of in (way.lat, way.lon))
    return Location(lat=lat, lon=lon)


def bearing(start: Location, end: Location) -> float:
    """In degrees from north; near enough for a few metres."""
    east = (end.lon - start.lon) * cos(radians(start.lat))
    return degrees(atan2(east, end.lat - start.lat)) % 360
