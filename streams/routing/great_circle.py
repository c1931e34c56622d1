"""Where nobody tells a way: the great circle, with the detours and the speed of a city."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from schemas.geo import EARTH_RADIUS_M, Location, distance_m
from streams.routing.measured import Grid, Measured, Passed
from streams.telemetry.eta import Way

DETOUR = 1.4
"""Road metres for one of the great circle, in a city (Boscoe et al. 2012 found 1.42 in the United States)."""
SPEED_MPS = 6.0
"""Of a car in a city, stops at lights included."""


def straight(places: Sequence[Location]) -> Way:
    legs = [distance_m(a, b) * DETOUR for a, b in pairwise(places)]
    driven = np.concatenate([[0.0], np.cumsum(legs)])
    return Way(
        lat=np.array([place.lat for place in places]),
        lon=np.array([place.lon for place in places]),
        seconds=driven / SPEED_MPS,
        metres=driven,
        stops=list(range(1, len(places))),
        source="great_circle",
    )


def straight_matrix(
    origins: Sequence[Location], goals: Sequence[Location], passed: tuple[Passed, ...] = ()
) -> Measured:
    driven = haversine_m(origins, goals) * DETOUR
    return Measured(driven / SPEED_MPS, driven, "great_circle", passed)


def haversine_m(origins: Sequence[Location], goals: Sequence[Location]) -> Grid:
    return metres(radians(origins)[:, None, :], radians(goals)[None, :, :])


def radians(places: Sequence[Location]) -> Grid:
    return np.radians(np.array([(place.lat, place.lon) for place in places], float).reshape(-1, 2))


def metres(a: Grid, b: Grid) -> Grid:
    """Great-circle metres (haversine), of radians."""
    half = np.sin((b - a) / 2) ** 2
    chord = half[..., 0] + np.cos(a[..., 0]) * np.cos(b[..., 0]) * half[..., 1]
    found: Grid = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(1.0, chord)))
    return found
