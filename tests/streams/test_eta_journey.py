"""What is known at a fix: motion, the way left, and nothing from later than the fix."""

import numpy as np
import pytest

from schemas.geo import Location
from streams.eta.journey import COLUMNS, Left, Track, headings, rows
from streams.eta.left import left_of
from streams.routing.great_circle import DETOUR, SPEED_MPS
from streams.routing.osrm import Heading, Table
from streams.routing.routers import RouterFailed

STEP = 0.001
"""Degrees of latitude: 111.2 m."""
STEP_M = 111.195


def northward(steps: list[float], every_s: float = 15.0) -> Track:
    """So many steps to the north from one fix to the next."""
    at_s = every_s * np.arange(len(steps) + 1)
    return Track(at_s, 60 + STEP * np.concatenate([[0.0], np.cumsum(steps)]), np.full(len(steps) + 1, 24.9))


def left(fixes: int, places: int = 1, seconds: float = 100.0) -> Left:
    shape = fixes, places
    filled = np.full(shape, seconds)
    return Left(filled, filled * 10, filled, filled * 10, np.zeros(fixes), np.ones(shape, bool), answered=True)


def known(track: Track, fix: int, to_lat: float = 60.02) -> dict[str, float]:
    fixes = np.array([fix])
    row = rows(track, fixes, np.array([to_lat]), np.array([24.9]), left(1), (np.array([0]), np.array([0])))
    return dict(zip(COLUMNS, row[0].tolist(), strict=True))


def test_speed_is_over_the_last_seconds_and_over_all():
    at = known(northward([1, 1, 0, 0]), 4)
    assert at["speed_30_mps"] == 0
    assert at["speed_60_mps"] == pytest.approx(2 * STEP_M / 60, rel=1e-3)
    assert at["elapsed_s"] == 60


def test_who_stands_has_stood_since_the_last_move():
    track = northward([1, 0, 0, 0, 1])
    assert [known(track, fix)["standing_s"] for fix in range(6)] == [0, 0, 15, 30, 45, 0]


def test_at_the_first_fix_nothing_is_known_of_the_speed():
    at = known(northward([1, 1]), 0)
    assert (at["speed_mps"], at["nearer_mps"], at["toward"]) == (-1, -1, 0)


def test_toward_tells_whether_it_heads_there():
    assert known(northward([1, 1]), 2)["toward"] == pytest.approx(1)
    assert known(northward([1, 1]), 2, to_lat=59.9)["toward"] == pytest.approx(-1)


def test_what_comes_later_changes_nothing():
    short, long = northward([1, 0.5, 0]), northward([1, 0.5, 0, 3, -8, 2])
    assert [known(short, fix) for fix in range(4)] == [known(long, fix) for fix in range(4)]


def test_a_heading_is_clockwise_from_north_and_unknown_for_who_stands():
    east = Track(np.array([0.0, 15.0]), np.array([60.0, 60.0]), np.array([24.9, 24.91]))
    assert headings(east) == [None, pytest.approx(90)]
    assert headings(northward([1, 0.01, -1])) == [None, pytest.approx(0), None, pytest.approx(180)]


def test_over_the_antimeridian_it_is_as_near_as_it_is():
    over = Track(np.array([0.0, 15.0]), np.array([0.0, 0.0]), np.array([179.9995, -179.9995]))
    at = rows(over, np.array([1]), np.array([0.0]), np.array([179.9995]), left(1), (np.array([0]), np.array([0])))
    assert at[0, COLUMNS.index("straight_m")] == pytest.approx(STEP_M, rel=1e-3)


# The router


class Streets:
    """Says 10 s for each goal where it knows a way, and twice that for who may not turn around."""

    def __init__(self, off_street_m: float = 3.0, *, silent: bool = False) -> None:
        self.off_street_m = off_street_m
        self.silent = silent

    async def table(self, origins: list[Heading], goals: list[Location]) -> Table:
        if self.silent:
            raise RouterFailed("nobody answers")
        ten = np.array([[10.0 if heading is None else 20.0] * len(goals) for _, heading in origins])
        return Table(ten, ten * 8, np.full(len(origins), self.off_street_m))


GOAL = Location(lat=60.02, lon=24.9)


async def test_who_heads_somewhere_does_not_turn_around():
    told = await left_of(northward([1, 1]), np.array([0, 2]), [GOAL], Streets())
    assert (told.s.tolist(), told.ahead_s.tolist(), told.answered) == ([[10], [10]], [[10], [20]], True)


async def test_off_the_map_it_is_by_the_great_circle():
    told = await left_of(northward([1]), np.array([0]), [GOAL], Streets(off_street_m=4_000))
    assert not told.routed.any()
    assert told.m[0, 0] == pytest.approx(20 * STEP_M * DETOUR, rel=1e-3)
    assert told.s[0, 0] == pytest.approx(told.m[0, 0] / SPEED_MPS)


async def test_a_router_that_is_silent_is_said_not_to_have_answered():
    told = await left_of(northward([1]), np.array([0]), [GOAL], Streets(silent=True))
    assert (told.answered, told.routed.any(), told.s[0, 0] > 0) == (False, False, True)
