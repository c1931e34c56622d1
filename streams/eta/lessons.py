"""What a journey teaches once it has ended: from each of its fixes, how long it took to some of the later ones.

Nothing is learned across a gap: where the vehicle leaves the router's map, or is said to have moved faster than anybody
drives.
"""

from collections.abc import Iterator

import numpy as np

from schemas.geo import Location
from streams.eta.journey import COLUMNS, FASTEST_MPS, Left, Places, Track, rows
from streams.eta.learner import Lesson
from streams.eta.left import Tables, left_of

EVERY = 3
"""Each so-manieth fix is a place that was reached, and the last one is."""
ASKED_AT_ONCE = 120
"""Fixes. What is longer teaches part by part."""


async def lesson_of(track: Track, tables: Tables) -> Lesson:
    """Without rows where nothing of it can be used."""
    parts = [await part_of(track, fixes, tables) for fixes in parts_of(len(track))]
    return Lesson(
        float(track.at_s[-1]),
        np.concatenate([part.rows for part in parts] or [np.empty((0, len(COLUMNS)))]),
        np.concatenate([part.seconds for part in parts] or [np.empty(0)]),
        np.concatenate([part.to_end for part in parts] or [np.empty(0, bool)]),
    )


def parts_of(count: int) -> Iterator[Places]:
    for begin in range(0, count, ASKED_AT_ONCE):
        fixes = np.arange(begin, min(count, begin + ASKED_AT_ONCE))
        if len(fixes) > EVERY:
            yield fixes


async def part_of(track: Track, fixes: Places, tables: Tables) -> Lesson:
    reached = np.unique([*range(EVERY, len(fixes), EVERY), len(fixes) - 1])
    places = [Location(lat=float(track.lat[fix]), lon=float(track.lon[fix])) for fix in fixes[reached]]
    left = await left_of(track, fixes, places, tables)
    stretch = stretches(track, fixes, left)
    row, place = np.nonzero((np.arange(len(fixes))[:, None] < reached) & (stretch[:, None] == stretch[reached]))
    usable = left.routed[row, place] if left.answered else np.ones(len(row), bool)
    row, place = row[usable], place[usable]
    return Lesson(
        float(track.at_s[-1]),
        rows(track, fixes, track.lat[fixes[reached]], track.lon[fixes[reached]], left, (row, place)),
        track.at_s[fixes[reached[place]]] - track.at_s[fixes[row]],
        reached[place] == last_of(stretch, reached)[stretch[reached[place]]],
    )


def stretches(track: Track, fixes: Places, left: Left) -> Places:
    """The number of the stretch that each fix is of; one that lies off the map begins another, and is alone in it."""
    east, north = track.steps()
    jumped = np.concatenate([[False], np.hypot(east, north) > FASTEST_MPS * np.diff(track.at_s)])[fixes]
    lost = ~left.routed.any(axis=1) if left.answered else np.zeros(len(fixes), bool)
    after_lost = np.concatenate([[False], lost[:-1]])
    return np.cumsum(jumped | lost | after_lost)


def last_of(stretch: Places, reached: Places) -> Places:
    """Of each stretch the last place that was reached in it; -1 where there is none."""
    last = np.full(int(stretch[-1]) + 1, -1)
    np.maximum.at(last, stretch[reached], reached)
    return last
