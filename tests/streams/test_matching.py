"""A trip's fixes on streets: asked for in stretches, believed where the router is sure, and else it is said why not."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riding_along import METRE
from story import NOON

from schemas.geo import Location
from streams.routing import matching
from streams.routing.matching import Answer, Matcher, Part, answer_of, rest_between, spaced, stretches
from streams.routing.osrm import OsrmRouter
from streams.telemetry.recorded import Point

STATION = Location(lat=60.160, lon=24.930)
HARBOUR = Location(lat=60.180, lon=24.955)


def north(second: float, metres: float, accuracy_m: float | None = 5.0) -> Point:
    at = NOON + timedelta(seconds=second)
    return Point(observed_at=at, lat=60.17 + metres * METRE, lon=24.94, accuracy_m=accuracy_m)


def seconds(points: list[Point]) -> list[float]:
    return [(point.observed_at - NOON).total_seconds() for point in points]


def test_fixes_are_asked_for_as_far_apart_as_they_waver():
    sure = [north(second, 10.0 * second) for second in range(21)]
    assert seconds(spaced(sure)) == [0, 3, 6, 9, 12, 15, 20], "thirty metres, and the last"
    unsure = [north(second, 10.0 * second, accuracy_m=20) for second in range(21)]
    assert seconds(spaced(unsure)) == [0, 8, 20]


def test_who_stands_is_asked_for_every_half_minute():
    assert seconds(spaced([north(second, 0) for second in range(0, 95, 5)])) == [0, 30, 60, 90]


def test_a_gap_splits_and_so_does_what_one_request_takes():
    driven = [north(5 * number, 50.0 * number) for number in range(250)]
    assert [len(each) for each in stretches(driven)] == [100, 100, 52]
    assert [first[-1] for first in stretches(driven)[:-1]] == [after[0] for after in stretches(driven)[1:]]
    apart = [*driven[:3], north(2_000, 9_000), *(north(3_000 + 5 * number, 50.0 * number) for number in range(2))]
    assert [seconds(each) for each in stretches(apart)] == [[0, 5, 10], [3_000, 3_005]], "one alone is no way"


@given(st.lists(st.integers(1, 90), min_size=2, max_size=400))
def test_every_step_without_a_gap_is_in_one_stretch(gaps_s: list[int]):
    places = [north(sum(gaps_s[:number]), 0) for number in range(len(gaps_s))]
    asked = [step for each in stretches(places) for step in pairwise(each)]
    assert asked == [step for step in pairwise(places) if (step[1].observed_at - step[0].observed_at).seconds <= 60]
    assert all(2 <= len(each) <= matching.MOST_TOGETHER for each in stretches(places))


def told(*confidences: float) -> dict[str, Any]:
    """Of four fixes: each matching has its share of them."""
    each = 4 // len(confidences)
    return {
        "code": "Ok",
        "matchings": [
            {"confidence": confidence, "distance": 60.0, "geometry": {"coordinates": [[24.94, 60.17], [24.94, 60.171]]}}
            for confidence in confidences
        ],
        "tracepoints": [{"matchings_index": number // each} for number in range(4)],
    }


FOUR = [north(5 * number, 50.0 * number) for number in range(4)]


def test_what_the_router_is_not_sure_of_stands_as_the_fixes_tell_it():
    answer = answer_of(told(0.9, 0.2), FOUR)
    sure = [part for part in answer.parts if part.confidence >= matching.SURE]
    summed = matching.summed(FOUR, sure, matching.why_not(answer))
    assert (summed.status, summed.why, len(summed.parts)) == ("in_part", "not_sure", 1)
    assert (summed.matched_metres, summed.metres) == (60, pytest.approx(160, abs=1)), "100 m of it from fix to fix"
    assert (summed.parts[0].since, summed.parts[0].until) == (NOON, NOON + timedelta(seconds=5))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer([], "NoSegment"), "off_the_streets"),
        (Answer([], "NoMatch"), "not_sure"),
        (answer_of(told(0.1), FOUR), "not_sure"),
    ],
)
def test_it_is_said_why_nothing_is_matched(answer: Answer, why: str):
    summed = matching.summed(FOUR, [], matching.why_not(answer))
    assert (summed.status, summed.why, summed.matched_metres) == ("not_matched", why, 0)
    assert summed.metres == pytest.approx(150, abs=1)


def test_what_is_between_two_parts_is_counted_once():
    def part(since_s: float, until_s: float) -> Part:
        since, until = (NOON + timedelta(seconds=each) for each in (since_s, until_s))
        return Part(since=since, until=until, metres=1.0, confidence=1.0, line=[])

    assert list(rest_between(FOUR, [part(0, 5), part(10, 15)])) == [pytest.approx(50, abs=0.5)]
    assert list(rest_between(FOUR, [part(0, 5), part(5, 15)])) == []
    assert len(list(rest_between(FOUR, []))) == 3


@pytest.fixture
async def matcher(osrm: str) -> AsyncIterator[Matcher]:
    made = Matcher(osrm)
    yield made
    await made.close()


async def driven(osrm: str, wavers_m: float) -> tuple[list[Point], float]:
    """Every 25 m of a way by road, as a device that wavers tells it; and how long the way is."""
    router = OsrmRouter(osrm)
    way = await router.way([STATION, HARBOUR])
    await router.close()
    at_m = np.arange(0, way.metres[-1], 25)
    chance = np.random.default_rng(7)
    north_m, east_m = chance.normal(0, wavers_m, (2, len(at_m)))
    lats = np.interp(at_m, way.metres, way.lat) + north_m * METRE
    lons = np.interp(at_m, way.metres, way.lon) + east_m * METRE * 2.01
    points = [
        Point(observed_at=NOON + timedelta(seconds=3 * number), lat=float(lat), lon=float(lon), accuracy_m=wavers_m)
        for number, (lat, lon) in enumerate(zip(lats, lons, strict=True))
    ]
    return points, float(way.metres[-1])


@pytest.mark.parametrize("wavers_m", [3.0, 20.0])
async def test_a_way_by_road_is_found_again_however_its_fixes_waver(osrm: str, matcher: Matcher, wavers_m: float):
    points, metres = await driven(osrm, wavers_m)
    matched = await matcher.matched(points)
    assert (matched.status, matched.why) == ("matched", None)
    assert matched.metres == pytest.approx(metres, rel=0.06)


async def test_across_the_blocks_nobody_is_sure(matcher: Matcher):
    lats, lons = (np.linspace(getattr(STATION, name), getattr(HARBOUR, name), 60) for name in ("lat", "lon"))
    across = [
        Point(observed_at=NOON + timedelta(seconds=5 * number), lat=lat, lon=lon)
        for number, (lat, lon) in enumerate(zip(lats.tolist(), lons.tolist(), strict=True))
    ]
    matched = await matcher.matched(across)
    assert matched.why == "not_sure"
    assert matched.matched_metres < 500


async def test_where_there_are_no_streets_the_fixes_stand(matcher: Matcher):
    at_sea = [north(5 * number, 50.0 * number - 5_000_000) for number in range(10)]
    matched = await matcher.matched(at_sea)
    assert (matched.status, matched.why, matched.metres) == ("not_matched", "off_the_streets", 450)


async def test_a_router_that_is_silent_holds_nobody_up():
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    matcher = Matcher(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s=5, within_s=0.2)
    matched = await matcher.matched(FOUR)
    assert (matched.status, matched.why, matched.metres) == ("not_matched", "router_silent", 150)
    await matcher.close()
    server.close()
