"""On which streets was a trip? Asked of OSRM's `/match` and believed where it is sure; else the fixes' line stands.

How sure it is hangs on how far apart the fixes are beside how much they waver. Along a known way of 2.4 km in central
Helsinki, with fixes that err by 20 m, it was sure by 0.01 of places 25 m apart, by 0.54 of 60 m and by 0.95 of 120 m;
with 10 m by 0.96, 0.91 and 0.93. So places are asked for at four times what they say of their accuracy.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

import msgspec
import structlog

from schemas.geo import Location, distance_m
from streams.routing.routers import RouterFailed, Routers, RouterSaysNo
from streams.telemetry.recorded import Point

SURE = 0.5
"""OSRM's own measure, from 0 to 1, of how well the way fits the fixes."""
MOST_TOGETHER = 100
"""Places in one request: what OSRM takes by default."""
MOST = 2_000
"""Places of one trip that are asked for."""
APART_M, TIMES_ACCURACY = 30.0, 4
WAITS_S = 30.0
"""Who stands tells so often that they do."""
GAP_S = 60.0
"""Of what was between fixes further apart nothing is known: the way is not guessed."""
KNOWN_M = (5.0, 50.0)
UNKNOWN_M = 10.0
"""The accuracy of who tells none."""
TIMEOUT_S = 2.0
WITHIN_S = 8.0
"""For all of a trip. What has not come by then stands unmatched."""
MAX_AT_ONCE = 2
NOT_THERE = ("NoMatch", "NoSegment")
"""What OSRM says of fixes that it finds on no street."""

type Status = Literal["matched", "in_part", "not_matched"]
type Why = Literal["not_sure", "off_the_streets", "router_silent", "too_few_fixes", "too_many_fixes"]
type Degrees = tuple[float, float]
"""Longitude and latitude."""

logger = structlog.get_logger()


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch on streets, between two fixes."""

    since: datetime
    until: datetime
    metres: float
    confidence: float
    line: list[Degrees]


class Matched(msgspec.Struct, frozen=True, kw_only=True):
    """`metres` is the whole trip's: by streets where that is sure, else from fix to fix. `why` not all of it is."""

    status: Status
    why: Why | None
    metres: int
    matched_metres: int
    parts: list[Part]


class Answer(msgspec.Struct, frozen=True):
    parts: list[Part]
    code: str = "Ok"


type AsksStretch = Callable[[Sequence[Point]], Awaitable[Answer]]
"""Raises RouterFailed."""


class Matcher:
    """Of its own, beside whoever asks the router for ways: neither rests for the other."""

    def __init__(self, urls: str, timeout_s: float = TIMEOUT_S, within_s: float = WITHIN_S) -> None:
        self._routers, self._within_s = Routers(urls, timeout_s, MAX_AT_ONCE), within_s

    async def close(self) -> None:
        await self._routers.aclose()

    async def matched(self, points: Sequence[Point]) -> Matched:
        """Does not fail: what the router does not tell is not matched, and that is said."""
        return await matched(points, self._asked, self._within_s)

    async def _asked(self, stretch: Sequence[Point]) -> Answer:
        """Raises RouterFailed."""
        places = ";".join(f"{point.lon:.6f},{point.lat:.6f}" for point in stretch)
        wanted = {
            "timestamps": ";".join(str(round(point.observed_at.timestamp())) for point in stretch),
            "radiuses": ";".join(f"{known_m(point):.0f}" for point in stretch),
            "overview": "full",
            "geometries": "geojson",
            "tidy": "true",
        }
        try:
            path = f"/match/v1/driving/{places}"
            return await self._routers.told(path, wanted, lambda told: answer_of(told, stretch))
        except RouterSaysNo as no:
            if no.code not in NOT_THERE:
                raise
            return Answer([], no.code)


async def matched(points: Sequence[Point], ask: AsksStretch, within_s: float = WITHIN_S) -> Matched:
    """Does not fail: what nobody tells is not matched, and that is said."""
    places = spaced(points)
    asked = stretches(places[:MOST])
    whys: set[Why] = {"too_many_fixes"} if len(places) > MOST else set()
    parts: list[Part] = []
    try:
        async with asyncio.timeout(within_s):
            for stretch in asked:
                answer = await ask(stretch)
                parts += [part for part in answer.parts if part.confidence >= SURE]
                whys |= why_not(answer)
    except (RouterFailed, TimeoutError) as failed:
        logger.warning("router failed, the fixes' own line stands in", error=repr(failed))
        whys.add("router_silent")
    return summed(places, parts, whys)


def spaced(points: Sequence[Point]) -> list[Point]:
    """Far enough apart for what they know of themselves; the first and the last of them."""
    kept: list[Point] = []
    for point in points:
        if not kept or is_apart(kept[-1], point):
            kept.append(point)
    if kept and points[-1] is not kept[-1]:
        if len(kept) > 1:
            kept.pop()
        kept.append(points[-1])
    return kept


def is_apart(before: Point, point: Point) -> bool:
    seconds = (point.observed_at - before.observed_at).total_seconds()
    return seconds >= WAITS_S or (
        seconds >= 1 and metres(before, point) >= max(APART_M, TIMES_ACCURACY * known_m(point))
    )


def known_m(point: Point) -> float:
    least, most = KNOWN_M
    return min(most, max(least, UNKNOWN_M if point.accuracy_m is None else point.accuracy_m))


def stretches(places: Sequence[Point]) -> list[list[Point]]:
    """Without gaps, and no longer than one request takes; the next begins where the one before ended."""
    found: list[list[Point]] = []
    for place in places:
        last = found[-1] if found else []
        if not last or (place.observed_at - last[-1].observed_at).total_seconds() > GAP_S:
            found.append([place])
        elif len(last) == MOST_TOGETHER:
            found.append([last[-1], place])
        else:
            last.append(place)
    return [each for each in found if len(each) > 1]


def answer_of(told: Any, stretch: Sequence[Point]) -> Answer:
    """Raises LookupError, ValueError or the like where the answer is not OSRM's."""
    at: dict[int, list[datetime]] = {}
    for point, trace in zip(stretch, told["tracepoints"], strict=True):
        if trace is not None:
            at.setdefault(trace["matchings_index"], []).append(point.observed_at)
    return Answer(
        [
            Part(
                since=at[number][0],
                until=at[number][-1],
                metres=round(matching["distance"], 1),
                confidence=round(matching["confidence"], 3),
                line=[(lon, lat) for lon, lat in matching["geometry"]["coordinates"]],
            )
            for number, matching in enumerate(told["matchings"])
        ]
    )


def why_not(answer: Answer) -> set[Why]:
    if answer.code == "NoSegment":
        return {"off_the_streets"}
    unsure = not answer.parts or any(part.confidence < SURE for part in answer.parts)
    return {"not_sure"} if unsure else set()


FIRST: tuple[Why, ...] = ("router_silent", "too_many_fixes", "off_the_streets", "not_sure", "too_few_fixes")
"""Of several reasons the first is told."""


def summed(places: Sequence[Point], parts: list[Part], whys: set[Why]) -> Matched:
    rest_m = sum(rest_between(places, parts))
    matched_m = sum(part.metres for part in parts)
    if not parts and not whys:
        whys = {"too_few_fixes"}
    status: Status = "not_matched" if not parts else "in_part" if whys else "matched"
    return Matched(
        status=status,
        why=next((why for why in FIRST if why in whys), None),
        metres=round(matched_m + rest_m),
        matched_metres=round(matched_m),
        parts=parts,
    )


def rest_between(places: Sequence[Point], parts: Sequence[Part]) -> Iterator[float]:
    """Metres from fix to fix where no part goes."""
    number = 0
    for before, after in pairwise(places):
        while number < len(parts) and parts[number].until <= before.observed_at:
            number += 1
        if number == len(parts) or not (
            parts[number].since <= before.observed_at and after.observed_at <= parts[number].until
        ):
            yield metres(before, after)


def metres(before: Point, after: Point) -> float:
    return distance_m(Location(lat=before.lat, lon=before.lon), Location(lat=after.lat, lon=after.lon))
