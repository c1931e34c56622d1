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
    metres = [distance_m(a, b) * DETOUR for a, b in pairwise(places)]
    driven = np.concatenate([[0.0], np.cumsum(metres)])
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
    metres = haversine_m(origins, goals) * DETOUR
    return Measured(metres / SPEED_MPS, metres, "great_circle", passed)


def haversine_m(origins: Sequence[Location], goals: Sequence[Location]) -> Grid:
    lat, lon = np.radians([[each.lat, each.lon] for each in origins]).reshape(-1, 2).T
    to_lat, to_lon = np.radians([[each.lat, each.lon] for each in goals]).reshape(-1, 2).T
    north = np.sin((to_lat[None, :] - lat[:, None]) / 2) ** 2
    east = np.sin((to_lon[None, :] - lon[:, None]) / 2) ** 2
    part = north + np.cos(lat)[:, None] * np.cos(to_lat)[None, :] * east
    found: Grid = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(part, 0, 1)))
    return found
