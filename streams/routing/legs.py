"""A way from what providers tell of its legs: their points, and how long each stretch of them takes."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np

from schemas.geo import Location, distance_m
from schemas.signals import RoutingSource
from streams.telemetry.eta import Way

type Degrees = tuple[float, float]
"""Latitude and longitude."""


class Stretch(msgspec.Struct, frozen=True):
    """Of a leg: its points from the one where the stretch before ended."""

    points: Sequence[Degrees]
    seconds: float
    metres: float


class Leg(msgspec.Struct, frozen=True):
    """From stop to stop. `seconds` and `metres` are all of it: stretches are scaled to them."""

    stretches: Sequence[Stretch]
    seconds: float
    metres: float


def way_through(legs: Sequence[Leg], source: RoutingSource) -> Way:
    """Raises ValueError where there is nothing to go along."""
    points: list[Degrees] = []
    seconds, metres, stops = [0.0], [0.0], []
    for leg in legs:
        line, takes, lasts = laid_out(leg)
        points += line if not points else line[1:]
        seconds += [seconds[-1] + each for each in np.cumsum(takes)]
        metres += [metres[-1] + each for each in np.cumsum(lasts)]
        stops.append(len(points) - 1)
    if not stops:
        raise ValueError("a way without legs")
    lat, lon = np.array(points, float).T
    return Way(lat, lon, np.array(seconds), np.array(metres), stops, source)


def laid_out(leg: Leg) -> tuple[list[Degrees], list[float], list[float]]:
    """Its points, and seconds and metres from each to the next."""
    line: list[Degrees] = []
    takes: list[float] = []
    lasts: list[float] = []
    for stretch in leg.stretches:
        points = list(stretch.points)
        if not line:
            line = points[:1]
        shares = shares_of(points)
        line += points[1:]
        takes += [stretch.seconds * share for share in shares]
        lasts += [stretch.metres * share for share in shares]
    if not line:
        raise ValueError("a leg without points")
    if len(line) == 1:
        return line * 2, [leg.seconds], [leg.metres]
    return line, scaled(takes, leg.seconds), scaled(lasts, leg.metres)


def shares_of(points: Sequence[Degrees]) -> list[float]:
    """Of a stretch, how much of it is from each point to the next."""
    apart = [distance_m(located(a), located(b)) for a, b in pairwise(points)]
    if not apart:
        return []
    whole = sum(apart)
    return [each / whole for each in apart] if whole > 0 else [1 / len(apart)] * len(apart)


def scaled(parts: Sequence[float], whole: float) -> list[float]:
    found = sum(parts)
    if not found > 0:
        return [whole / len(parts)] * len(parts)
    return [each * whole / found for each in parts]


def located(place: Degrees) -> Location:
    return Location(lat=place[0], lon=place[1])
