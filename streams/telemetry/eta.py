"""When will the rider be at each stop ahead? The router's time times fixed factors, moved along the route in between.

The model is `factor-1`, from which learning begins (streams/eta/model.py).
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from schemas import ids
from schemas.geo import EARTH_RADIUS_M, Location
from schemas.message import StopId, TaskId
from schemas.signals import EtaForecast, RoutingSource
from streams.eta.model import BY_FACTORS, FACTORS
from streams.telemetry.fences import unix_ms
from streams.telemetry.itineraries import Ahead, Itineraries, Itinerary
from streams.telemetry.partition import Draft, Forecast, Found, LiveRow, Partition, Rider, moment

P10, P50, P90 = FACTORS
STALE_MS = 300_000
OFF_ROUTE_M = 75.0
EVERY_MS = 60_000
"""A stop is told of once a minute at most, and only if its time has moved."""
MOVED_MS = 30_000
MOVED_SHARE = 0.05
MOST_STOPS = 20
"""Ahead of these nothing is told: they are hours away."""
AT_ONCE = 8
"""Routes asked for side by side."""
MOST_ROUTES = 20_000
"""Routes in memory; the oldest goes first and is asked for again."""

type Metres = npt.NDArray[np.float64]

logger = structlog.get_logger()


class Way(msgspec.Struct, frozen=True):
    """A route: its points (degrees), seconds and metres of driving up to each, and which point each stop is."""

    lat: Metres
    lon: Metres
    seconds: Metres
    metres: Metres
    stops: Sequence[int]
    source: RoutingSource


class Router(Protocol):
    async def way(self, places: Sequence[Location]) -> Way:
        """Through all places in their order. Does not fail: the great circle stands in, and says so."""
        ...


class Followed(msgspec.Struct):
    """The way of a rider from one itinerary, asked for at a moment; `segment` is where they were last."""

    version: int
    stops: tuple[Ahead, ...]
    way: Way
    asked_ms: int
    segment: int = 0


class Left(msgspec.Struct, frozen=True):
    """What is left to one stop: driving, by the router; standing at the stops before it."""

    stop: Ahead
    seconds: float
    standing_s: int
    metres: float
    source: RoutingSource


class Etas:
    def __init__(self, itineraries: Itineraries, router: Router) -> None:
        self._itineraries = itineraries
        self._router = router
        self._followed: dict[tuple[str, str], Followed] = {}

    async def of(self, partition: Partition, found: Found) -> list[Draft]:
        """Forecasts for the riders that have moved. The partition's riders remember what is told."""
        ahead = {key: (live, self._itineraries.of(*key)) for key, live in found.live.items()}
        underway = {key: each for key, each in ahead.items() if placed(each[1])}
        for key in ahead.keys() - underway.keys():
            partition.riders[key].forecasts.clear()
            self._followed.pop(key, None)
        at_once = asyncio.Semaphore(AT_ONCE)

        async def left_of(live: LiveRow, itinerary: Itinerary) -> list[Left]:
            async with at_once:
                return await self._left(live, itinerary, placed(itinerary))

        lefts = await asyncio.gather(*(left_of(*each) for each in underway.values()))
        return [
            draft
            for (key, (live, _)), left in zip(underway.items(), lefts, strict=True)
            for draft in told(partition.riders[key], live, left)
        ]

    async def _left(self, live: LiveRow, itinerary: Itinerary, stops: tuple[Ahead, ...]) -> list[Left]:
        key = live.tenant, live.rider_id
        at_ms = unix_ms(live.observed_at)
        followed = self._followed.get(key)
        if followed is not None and followed.version == itinerary.version and followed.stops == stops:
            along = place_on(followed.way, live, followed.segment)
            if along is not None and at_ms - followed.asked_ms < STALE_MS:
                followed.segment, seconds, metres = along
                return left_from(followed, seconds, metres)
        here = Location(lat=live.lat, lon=live.lon)
        way = await self._router.way([here, *(stop.place for stop in stops if stop.place)])
        followed = Followed(itinerary.version, stops, way, at_ms)
        self._followed.pop(key, None)
        self._followed[key] = followed
        if len(self._followed) > MOST_ROUTES:
            del self._followed[next(iter(self._followed))]
        return left_from(followed, 0.0, 0.0)


def placed(itinerary: Itinerary) -> tuple[Ahead, ...]:
    """The stops ahead up to the first whose place is not known."""
    stops = itinerary.stops[:MOST_STOPS]
    known = next((number for number, stop in enumerate(stops) if stop.place is None), len(stops))
    return stops[:known]


def place_on(way: Way, live: LiveRow, since: int = 0) -> tuple[int, float, float] | None:
    """The segment, and seconds and metres done along the way; None where the rider has left it.

    Looked for from segment `since` up to the first stop: further on the way may come back along the same streets, and
    a rider who is on them now has not been at the stop.
    """
    ahead = slice(since, max(way.stops[0], since + 1) + 1)
    north = np.radians(way.lat[ahead] - live.lat) * EARTH_RADIUS_M
    east = np.radians(way.lon[ahead] - live.lon) * EARTH_RADIUS_M * np.cos(np.radians(live.lat))
    along_n, along_e = np.diff(north), np.diff(east)
    length = along_n**2 + along_e**2
    dot = -(north[:-1] * along_n + east[:-1] * along_e)
    share = np.clip(np.divide(dot, length, out=np.zeros_like(dot), where=length > 0), 0, 1)
    away = np.hypot(north[:-1] + share * along_n, east[:-1] + share * along_e)
    nearest = int(np.argmin(away))
    if away[nearest] > OFF_ROUTE_M + live.accuracy_m:
        return None
    part, nearest = float(share[nearest]), nearest + since
    seconds = way.seconds[nearest] + part * (way.seconds[nearest + 1] - way.seconds[nearest])
    metres = way.metres[nearest] + part * (way.metres[nearest + 1] - way.metres[nearest])
    return nearest, float(seconds), float(metres)


def left_from(followed: Followed, done_s: float, done_m: float) -> list[Left]:
    left = []
    standing = 0
    for stop, point in zip(followed.stops, followed.way.stops, strict=True):
        seconds = max(0.0, float(followed.way.seconds[point]) - done_s)
        metres = max(0.0, float(followed.way.metres[point]) - done_m)
        left.append(Left(stop, seconds, standing, metres, followed.way.source))
        standing += stop.service_s
    return left


def told(rider: Rider, live: LiveRow, left: Sequence[Left]) -> list[Draft]:
    at_ms = unix_ms(live.observed_at)
    drafts = []
    for each in left:
        if at_ms < each.stop.since_ms:
            continue  # a fix from before the stop was the rider's foretells nothing of it
        name = f"{each.stop.task_id}/{each.stop.stop_id}"
        p50_ms = arrival_ms(at_ms, each, P50)
        before = rider.forecasts.get(name)
        if before is None or worth_telling(before, at_ms, p50_ms):
            rider.forecasts[name] = Forecast(at_ms, p50_ms)
            drafts.append(draft(live, each, at_ms))
    ahead = {f"{each.stop.task_id}/{each.stop.stop_id}" for each in left}
    rider.forecasts = {name: known for name, known in rider.forecasts.items() if name in ahead}
    return drafts


def arrival_ms(at_ms: int, left: Left, factor: float) -> int:
    return round(at_ms + 1000 * (left.seconds * factor + left.standing_s))


def worth_telling(before: Forecast, at_ms: int, p50_ms: int) -> bool:
    moved_ms = abs(p50_ms - before.p50_ms)
    enough = max(MOVED_MS, MOVED_SHARE * max(0, p50_ms - at_ms))
    return at_ms - before.told_ms >= EVERY_MS and moved_ms > enough


def draft(live: LiveRow, left: Left, at_ms: int) -> Draft:
    """Its id hangs on the fix's own moment: the same fix again says nothing new."""
    forecast = EtaForecast(
        task_id=TaskId(left.stop.task_id),
        stop_id=StopId(left.stop.stop_id),
        p10=moment(arrival_ms(at_ms, left, P10)),
        p50=moment(arrival_ms(at_ms, left, P50)),
        p90=moment(arrival_ms(at_ms, left, P90)),
        remaining_m=round(left.metres),
        model=BY_FACTORS,
        source=left.source,
    )
    event_id = ids.derived(
        "signal", live.rider_id, live.device_id, str(at_ms), "EtaForecast", left.stop.task_id, left.stop.stop_id
    )
    return Draft(
        event_id=event_id,
        tenant=live.tenant,
        rider_id=live.rider_id,
        event=forecast,
        at=live.observed_at,
        cause=f"fix/{live.device_id}@{at_ms}",
    )
