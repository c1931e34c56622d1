"""What journeys teach, and that nothing is foretold from what was not over yet."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.random import Generator, default_rng

from schemas.geo import Location, distance_m
from streams.eta import learner as learning
from streams.eta.journey import COLUMNS, Floats, Journey, Track
from streams.eta.learner import FEWEST_LESSONS, Learner, Lesson
from streams.eta.lessons import ASKED_AT_ONCE, EVERY, lesson_of
from streams.eta.model import BY_FACTORS, FACTORS, Model
from streams.eta.replay import Forecast, replayed
from streams.routing.osrm import Heading, Table

SOUTH, NORTH = 60.15, 60.25
ROUTER_MPS = 10.0
LASTS = 40
"""Fixes of a journey."""


@pytest.fixture(scope="module", autouse=True)
def few_trees() -> Iterator[None]:
    """What is asked of a forest here, a small one answers as well."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(learning, "TREES", 20)
        patched.setattr(learning, "SPREAD_TREES", 10)
        yield


class Plain:
    """Streets in all directions, on which the router drives 10 m/s; none north of `off_map`."""

    def __init__(self, off_map: float = 90.0) -> None:
        self.off_map = off_map

    async def table(self, origins: list[Heading], goals: list[Location]) -> Table:
        metres = np.array([[distance_m(place, goal) for goal in goals] for place, _ in origins])
        off = np.array([5_000.0 if place.lat > self.off_map else 4.0 for place, _ in origins])
        return Table(metres / ROUTER_MPS, metres, off)


def journey(number: int, began_s: float, mps: float, draw: Generator | None = None, lat: float = SOUTH) -> Journey:
    """To the north, a fix every 15 s; with `draw` no two steps alike."""
    noise = np.ones(LASTS - 1) if draw is None else draw.lognormal(0, 0.3, LASTS - 1)
    north = np.concatenate([[0.0], np.cumsum(noise * mps * 15)]) / 111_195
    return Journey(f"j{number}", Track(began_s + 15 * np.arange(LASTS), lat + north, np.full(LASTS, 24.9)))


def end_of(of: Journey) -> Location:
    return Location(lat=float(of.track.lat[-1]), lon=24.9)


def day(count: int, mps: float = 4.0, seed: int = 1) -> list[Journey]:
    """One begins each minute, each at a pace of its own."""
    draw = default_rng(seed)
    return [journey(number, 60.0 * number, mps * draw.lognormal(0, 0.15), draw) for number in range(count)]


async def told(journeys: list[Journey], seed: int = 0) -> list[Forecast]:
    ends = {each.journey_id: end_of(each) for each in journeys}
    return list(await replayed(journeys, ends, Plain(), Learner(seed)))


def errors(forecasts: list[Forecast], journeys: list[Journey]) -> Floats:
    ended = {each.journey_id: each.ended_s for each in journeys}
    return np.array([each.p50 - (ended[each.journey_id] - each.at_s) for each in forecasts])


# A lesson


async def test_a_journey_teaches_from_each_fix_to_some_of_the_later_ones():
    lesson = await lesson_of(journey(1, 0, 4.0).track, Plain())
    assert lesson.rows.shape[1] == len(COLUMNS)
    assert lesson.seconds.min() > 0
    assert lesson.seconds.max() == 15 * (LASTS - 1)
    assert lesson.to_end.sum() == LASTS - 1, "each fix but the last is before the end"
    assert len(lesson.rows) == sum(range(EVERY, LASTS, EVERY))
    ratio = lesson.seconds / lesson.rows[:, COLUMNS.index("router_s")]
    assert ratio == pytest.approx(np.full(len(ratio), ROUTER_MPS / 4.0), rel=1e-3)


async def test_a_longer_journey_teaches_part_by_part():
    count = ASKED_AT_ONCE + EVERY + 1
    track = Track(15.0 * np.arange(count), SOUTH + 0.0005 * np.arange(count), np.full(count, 24.9))
    lesson = await lesson_of(track, Plain())
    assert lesson.seconds.max() == 15 * (ASKED_AT_ONCE - 1)


async def test_nothing_is_learned_across_a_jump():
    track = journey(1, 0, 4.0).track
    track.lat[20:] += 0.5
    lesson = await lesson_of(track, Plain())
    assert lesson.seconds.max() < 20 * 15
    assert len(lesson.rows) > 0


async def test_nothing_is_learned_off_the_map():
    track = journey(1, 0, 4.0).track
    half = await lesson_of(track, Plain(off_map=float(track.lat[20])))
    assert half.rows[:, COLUMNS.index("to_lat")].max() <= track.lat[20]
    assert len((await lesson_of(track, Plain(off_map=0.0))).rows) == 0


async def test_of_one_fix_nothing_is_learned():
    one = Track(np.array([0.0]), np.array([SOUTH]), np.array([24.9]))
    assert len((await lesson_of(one, Plain())).rows) == 0


# A model


async def test_before_anything_is_learned_it_is_the_routers_time_and_fixed_factors():
    rows = np.zeros((1, len(COLUMNS)))
    rows[0, :2] = 100
    assert Model(version=BY_FACTORS).forecast(rows)[0].tolist() == [100 * factor for factor in FACTORS]


async def test_of_few_journeys_nothing_is_learned():
    assert {each.model for each in await told(day(FEWEST_LESSONS))} == {BY_FACTORS}


@pytest.fixture(scope="module")
async def past() -> tuple[list[Journey], list[Forecast]]:
    """A day's beginning, and all that was foretold in it."""
    journeys = day(80)
    return journeys, await told(journeys)


async def test_a_city_that_drives_slower_than_the_router_says_is_learned(past):
    journeys, forecasts = past
    learned = [each for each in forecasts if each.model != BY_FACTORS]
    first = [each for each in forecasts if each.model == BY_FACTORS]
    assert len(learned) > 500
    assert abs(errors(learned, journeys)).mean() < 0.7 * abs(errors(first, journeys)).mean()
    ended = {each.journey_id: each.ended_s for each in journeys}
    within = [each.p10 <= ended[each.journey_id] - each.at_s <= each.p90 for each in learned]
    assert 0.65 < np.mean(within) < 0.95


async def test_all_that_is_told_is_in_order_and_takes_a_moment(past):
    for each in past[1]:
        assert 1 <= each.p10 <= each.p50 <= each.p90


async def test_the_same_seed_foretells_the_same(past):
    journeys, forecasts = past
    assert await told(journeys) == forecasts
    assert await told(journeys, seed=4) != forecasts


# What is not known yet


async def test_whatever_comes_later_changes_no_forecast_before_it(past):
    journeys, forecasts = past
    now_s = 70 * 60.0
    slower = [cut(each, now_s) for each in journeys]
    before = [each for each in forecasts if each.at_s < now_s]
    assert len({each.model for each in before}) > 2
    ends = {each.journey_id: end_of(each) for each in journeys}
    again = list(await replayed(slower, ends, Plain(), Learner()))
    assert [each for each in again if each.at_s < now_s] == before


def cut(of: Journey, now_s: float) -> Journey:
    """The same up to `now_s`, and from there on as nobody could know: far away, and much longer."""
    track = of.track
    later = track.at_s >= now_s
    if not later.any():
        return of
    lasts = np.concatenate([track.at_s, track.at_s[-1] + 15.0 * np.arange(1, 100)])
    lat = np.concatenate([np.where(later, NORTH, track.lat), np.full(99, NORTH)])
    return Journey(of.journey_id, Track(lasts, lat, np.full(len(lasts), 24.9)))


async def test_a_journey_teaches_once_it_has_ended():
    """All begin at once, and end together: none of them can have taught another."""
    journeys = [journey(number, 0.0, 4.0) for number in range(40)]
    assert {each.model for each in await told(journeys)} == {BY_FACTORS}


# Bounds


def lesson(ended_s: float, rows: int = 10) -> Lesson:
    known = np.ones((rows, len(COLUMNS))) * 100
    return Lesson(ended_s, known, np.full(rows, 250.0), np.zeros(rows, bool))


def test_the_oldest_lessons_are_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(learning, "MOST_LESSONS", 25)
    monkeypatch.setattr(learning, "MOST_ROWS", 220)
    held = Learner()
    for number in range(60):
        held.take(lesson(float(number)))
    assert held.lessons == 22
    assert held.model(7_200.0).version == BY_FACTORS, "all of them came before the first forest: it has no errors yet"
    for number in range(60, 90):
        held.take(lesson(7_200.0 + number))
    assert held.model(14_400.0).version == "forest-90"
    assert held.model(14_400.0).forecast(lesson(0.0).rows)[0] == pytest.approx([250.0] * 3, rel=0.05)


def test_a_lesson_of_nothing_is_none():
    held = Learner()
    held.take(Lesson(0.0, np.empty((0, len(COLUMNS))), np.empty(0), np.empty(0, bool)))
    assert held.lessons == 0
