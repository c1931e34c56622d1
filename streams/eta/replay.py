"""Past journeys once more, in the order of their fixes: what would have been foretold at each, and what came true.

Nothing is known before its time: a forecast follows from the fixes up to its own and from journeys that had ended by
the minute in which it is made.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.geo import Location
from streams.eta.journey import Floats, Journey, rows
from streams.eta.learner import TELLS_EVERY_S, Learner, Lesson
from streams.eta.left import Tables, left_of
from streams.eta.lessons import lesson_of

FIXES_AT_ONCE = 400
"""Asked of the router."""


class Forecast(msgspec.Struct, frozen=True):
    """`at_s` is the fix's (Unix); the others are seconds from there."""

    journey_id: str
    at_s: float
    p10: float
    p50: float
    p90: float
    model: str
    routed: bool
    """The router knew a way from there."""


class Asked(msgspec.Struct, frozen=True):
    """A journey's rows to its destination, one for each fix."""

    journey_id: str
    at_s: Floats
    rows: Floats
    routed: npt.NDArray[np.bool_]


async def replayed(
    journeys: Sequence[Journey], destinations: Mapping[str, Location], tables: Tables, learner: Learner
) -> Iterator[Forecast]:
    """A forecast for each fix of each journey whose destination is known; all of them teach.

    The router is asked beforehand: what it says of a way does not hang on when it is asked.
    """
    lessons = [await lesson_of(journey.track, tables) for journey in journeys]
    asked = [
        await asked_of(journey, destinations[journey.journey_id], tables)
        for journey in journeys
        if journey.journey_id in destinations
    ]
    return in_order(lessons, asked, learner)


async def asked_of(journey: Journey, destination: Location, tables: Tables) -> Asked:
    track = journey.track
    to_lat, to_lon = np.array([destination.lat]), np.array([destination.lon])
    parts, routed = [], []
    for begin in range(0, len(track), FIXES_AT_ONCE):
        fixes = np.arange(begin, min(len(track), begin + FIXES_AT_ONCE))
        left = await left_of(track, fixes, [destination], tables)
        pairs = np.arange(len(fixes)), np.zeros(len(fixes), np.intp)
        parts.append(rows(track, fixes, to_lat, to_lon, left, pairs))
        routed.append(left.routed[:, 0])
    return Asked(journey.journey_id, track.at_s, np.concatenate(parts), np.concatenate(routed))


def in_order(lessons: Sequence[Lesson], asked: Sequence[Asked], learner: Learner) -> Iterator[Forecast]:
    waiting = sorted(lessons, key=lambda lesson: lesson.ended_s, reverse=True)
    names = [each.journey_id for each in asked for _ in each.at_s]
    routed = [bool(way) for each in asked for way in each.routed]
    at_s = np.concatenate([each.at_s for each in asked] or [np.empty(0)])
    order = np.argsort(at_s, kind="stable")
    minutes = at_s[order] // TELLS_EVERY_S
    begins = np.flatnonzero(np.diff(minutes, prepend=-np.inf))
    known = np.concatenate([each.rows for each in asked]) if asked else np.empty((0, 0))
    for numbers in np.split(order, begins[1:]) if len(order) else ():
        now_s = float(at_s[numbers[0]] // TELLS_EVERY_S * TELLS_EVERY_S)
        while waiting and waiting[-1].ended_s < now_s:
            learner.take(waiting.pop())
        model = learner.model(now_s)
        for number, (p10, p50, p90) in zip(numbers, model.forecast(known[numbers]).tolist(), strict=True):
            yield Forecast(names[number], float(at_s[number]), p10, p50, p90, model.version, routed[number])
