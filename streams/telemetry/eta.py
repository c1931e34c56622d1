"""When will the rider be at each stop ahead? What was learned of such drives tells, from the router's time and the way
the rider has come; in between, the rider is moved along the route.

A forecast of a stop further on adds up what is told of the drives to it and the stops between. The drives err
independently, as it were: widths add up as squares.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from schemas import ids
from schemas.geo import EARTH_RADIUS_M, Location
from schemas.ids import rider_subject
from schemas.message import Event, Personal, RiderId, StopId, TaskId
from schemas.rider_vehicle import VehicleKind
from schemas.signals import EtaForecast, EtaScored, EtaThresholdReached, ForecastMade, RoutingSource
from streams.eta import journey
from streams.eta.approach import Approach
from streams.eta.journey import COLUMNS_NAME, VEHICLES, Drive, Floats, Track, rows, rows_from_rest
from streams.eta.model import Model
from streams.eta.seen import Row
from streams.telemetry.arrivals import Arrivals
from streams.telemetry.found import Draft, Found, LiveRow
from streams.telemetry.itineraries import Ahead, Itineraries, Itinerary
from streams.telemetry.moments import moment, unix_ms
from streams.telemetry.partition import Partition
from streams.telemetry.rider import Forecast, Made, Rider, RiderKey

STALE_MS = 300_000
OFF_ROUTE_M = 75.0
LOOKS_EVERY_MS = 20_000
"""So often the model is asked of a rider's stops, and when a threshold comes near."""
EVERY_MS = 60_000
"""A stop is told of once a minute at most, and only if its time has moved."""
MOVED_MS = 30_000
MOVED_SHARE = 0.05
IMMINENT, IMMINENT_MS = "imminent", 180_000
LATE_BY_S = (0, 900, 1_800, 3_600)
WAITS_MS = 3_600_000
"""So long a stop that is no longer ahead waits for the word that the rider was there, to be scored."""
MOST_STOPS = 20
"""Ahead of these nothing is told: they are hours away."""
AT_ONCE = 8
"""Routes asked for side by side."""
MOST_ROUTES = 20_000
"""Routes in memory; the oldest goes first and is asked for again."""
NOBODY: RoutingSource = "great_circle"
"""Told no way: it is guessed."""
ROWS_IN_THE_LOOP = 200
DIGITS = 8
"""Of what was seen: a place within a decimetre."""

type Metres = npt.NDArray[np.float64]

logger = structlog.get_logger()


class Way(msgspec.Struct, frozen=True):
    """A route: its points (degrees), seconds and metres of driving up to each, and which point each stop is.
    `asked_ms` is when it was asked for, by the fix's clock."""

    lat: Metres
    lon: Metres
    seconds: Metres
    metres: Metres
    stops: Sequence[int]
    source: RoutingSource
    asked_ms: int = 0


class Router(Protocol):
    async def way(self, places: Sequence[Location]) -> Way:
        """Through all places in their order. Does not fail: the great circle stands in, and says so."""
        ...


class Followed(msgspec.Struct):
    """The way of a rider from one itinerary, asked for at a moment; `segment` is where they were last, `off_m` how far
    from it, and `looked_ms` when the model was asked. `first` is the way to the next stop as it was asked for first."""

    version: int
    stops: tuple[Ahead, ...]
    way: Way
    first: Way
    asked_ms: int
    segment: int = 0
    off_m: float = 0.0
    looked_ms: int = 0

    def follows(self, version: int, stops: tuple[Ahead, ...], at_ms: int) -> bool:
        """It need not be asked for again."""
        return self.version == version and self.stops == stops and at_ms - self.asked_ms < STALE_MS


class Left(msgspec.Struct, frozen=True):
    """What is left to one stop: driving up to it, by the router."""

    stop: Ahead
    seconds: float
    metres: float
    source: RoutingSource
    arrived_ms: int | None
    """When the rider was there, if they are."""


class Foretold(msgspec.Struct, frozen=True):
    """Of one stop."""

    left: Left
    made: Made


class Underway(msgspec.Struct, frozen=True):
    """A rider who has moved, and what is left to each stop ahead."""

    key: RiderKey
    live: LiveRow
    followed: Followed
    approach: Approach
    left: Sequence[Left]


class Looked(msgspec.Struct, frozen=True):
    """A rider of whom the model is asked: a row for each drive ahead."""

    key: RiderKey
    live: LiveRow
    vehicle: VehicleKind
    left: Sequence[Left]
    rows: Floats


class Etas:
    """`router` and `model` give those that stand now for a tenant."""

    def __init__(
        self,
        itineraries: Itineraries,
        router: Callable[[str], Router],
        model: Callable[[str], Model],
        arrivals: Arrivals,
    ) -> None:
        self._itineraries = itineraries
        self._router = router
        self._model = model
        self._arrivals = arrivals
        self._followed: dict[RiderKey, Followed] = {}

    def first_way(self, key: RiderKey, stop: Ahead) -> Way | None:
        """To this stop, as it was when that became the next."""
        followed = self._followed.get(key)
        return None if followed is None or not same(followed.stops[0], stop) else followed.first

    async def of(self, partition: Partition, found: Found, *, again: bool = False) -> list[Draft]:
        """Forecasts for the riders that have moved, and scores for those that have arrived. The partition's riders
        remember what is told. `again`: from these fixes all was foretold before, and only what was seen is to be
        remembered."""
        drafts: list[Draft] = []
        underway = {}
        for key in found.live:
            rider, itinerary = partition.riders[key], self._itineraries.of(*key)
            stops = placed(itinerary)
            if not stops:
                self._followed.pop(key, None)
            if not (stops or rider.forecasts):
                continue
            live = found.live[key]
            if not again:
                drafts += scores(rider, live, self._arrivals)
            forget(rider, live, itinerary)
            if stops:
                underway[key] = live, itinerary
        at_once = asyncio.Semaphore(AT_ONCE)

        async def left_of(key: RiderKey, live: LiveRow, itinerary: Itinerary) -> Underway:
            async with at_once:
                return await self._underway(key, live, itinerary, placed(itinerary), partition.riders[key].approach)

        moved = await asyncio.gather(*(left_of(key, *each) for key, each in underway.items()))
        looked = [self._look(each) for each in moved if is_due(each, partition.riders[each.key])]
        for seen, foretold in [] if again else await self._foretold(looked):
            drafts += told(partition.riders[seen.key], seen.live, foretold)
        while len(self._followed) > MOST_ROUTES:
            del self._followed[next(iter(self._followed))]
        return drafts

    async def _underway(
        self, key: RiderKey, live: LiveRow, itinerary: Itinerary, stops: tuple[Ahead, ...], approach: Approach
    ) -> Underway:
        at_ms = unix_ms(live.observed_at)
        followed = self._followed.pop(key, None)
        if not approach.leads_to(name_of(stops[0]), stops[0].since_ms):
            approach.turns_to(name_of(stops[0]), stops[0].since_ms)
        approach.trail.take(at_ms / 1000, live.lat, live.lon)
        done = None
        if followed is not None and followed.follows(itinerary.version, stops, at_ms):
            done = place_on(followed.way, live, followed.segment)
        if done is None or followed is None:
            here = Location(lat=live.lat, lon=live.lon)
            way = await self._router(key[0]).way([here, *(stop.place for stop in stops if stop.place)])
            looked_ms = followed.looked_ms if followed is not None and followed.stops == stops else 0
            first = msgspec.structs.replace(way, asked_ms=at_ms)
            if followed is not None and same(followed.stops[0], stops[0]) and followed.first.source != NOBODY:
                first = followed.first
            followed = Followed(itinerary.version, stops, way, first, at_ms, looked_ms=looked_ms)
            done = 0, 0.0, 0.0, 0.0
        followed.segment, seconds, metres, followed.off_m = done
        self._followed[key] = followed
        return Underway(key, live, followed, approach, self._left_from(live, followed, seconds, metres))

    def _left_from(self, live: LiveRow, followed: Followed, done_s: float, done_m: float) -> list[Left]:
        way = followed.way
        return [
            Left(
                stop,
                max(0.0, float(way.seconds[point]) - done_s),
                max(0.0, float(way.metres[point]) - done_m),
                way.source,
                self._there_ms(live, stop),
            )
            for stop, point in zip(followed.stops, way.stops, strict=True)
        ]

    def _there_ms(self, live: LiveRow, stop: Ahead) -> int | None:
        """When the rider came to the stop, if they are there; not at an attempt that is over."""
        over_ms = self._arrivals.over_ms(live.tenant, stop.task_id, stop.stop_id)
        since_ms = max(stop.since_ms, over_ms)
        return self._arrivals.at_ms(live.tenant, live.rider_id, stop.task_id, stop.stop_id, since_ms)

    def _look(self, underway: Underway) -> Looked:
        key, live, followed, left = underway.key, underway.live, underway.followed, underway.left
        followed.looked_ms = unix_ms(live.observed_at)
        vehicle = self._itineraries.vehicle(*key)
        approach = underway.approach
        rows_ahead = drives(followed, approach.trail.track(), left, VEHICLES.index(vehicle))
        if left[0].arrived_ms is None and approach.trail.has_left:
            approach.sightings.take(name_of(left[0].stop), followed.looked_ms / 1000, rows_ahead[0])
        return Looked(key, live, vehicle, left, rows_ahead)

    async def _foretold(self, looked: Sequence[Looked]) -> Sequence[tuple[Looked, list[Foretold]]]:
        """Many are asked of beside the loop, which has beats to keep."""
        models = {each.live.tenant: self._model(each.live.tenant) for each in looked}
        if sum(len(each.rows) for each in looked) < ROWS_IN_THE_LOOP:
            return list(foretold(looked, models))
        return await asyncio.to_thread(lambda: list(foretold(looked, models)))


def foretold(looked: Sequence[Looked], models: Mapping[str, Model]) -> Iterator[tuple[Looked, list[Foretold]]]:
    """By one question to each model."""
    for model in {id(model): model for model in models.values()}.values():
        theirs = [each for each in looked if models[each.live.tenant] is model]
        longer = [np.full(len(each.rows), model.longer(each.live.tenant, each.vehicle)) for each in theirs]
        seconds = model.forecast(np.concatenate([each.rows for each in theirs]), np.concatenate(longer))
        ends = np.cumsum([len(each.rows) for each in theirs])
        for each, legs in zip(theirs, np.split(seconds, ends[:-1]), strict=True):
            yield each, added_up(each, legs, model)


def is_due(underway: Underway, rider: Rider) -> bool:
    at_ms = unix_ms(underway.live.observed_at)
    if at_ms - underway.followed.looked_ms >= LOOKS_EVERY_MS:
        return True
    known = [rider.forecasts.get(name_of(each.stop)) for each in underway.left]
    return any(each and IMMINENT not in each.reached and at_ms >= each.p50_ms - IMMINENT_MS for each in known)


def same(one: Ahead, other: Ahead) -> bool:
    """The same stay of the same stop, whatever its window has become."""
    return (one.task_id, one.stop_id, one.since_ms) == (other.task_id, other.stop_id, other.since_ms)


def placed(itinerary: Itinerary) -> tuple[Ahead, ...]:
    """The stops ahead up to the first whose place is not known."""
    stops = itinerary.stops[:MOST_STOPS]
    known = next((number for number, stop in enumerate(stops) if stop.place is None), len(stops))
    return stops[:known]


def name_of(stop: Ahead) -> str:
    return f"{stop.task_id}/{stop.stop_id}"


def nearest_on(lats: Metres, lons: Metres, lat: float, lon: float) -> tuple[int, float, float]:
    """Of a line in degrees the segment that lies nearest to the place, how much of it is before, and metres to it."""
    north = np.radians(lats - lat) * EARTH_RADIUS_M
    east = np.radians((lons - lon + 180) % 360 - 180) * EARTH_RADIUS_M * np.cos(np.radians(lat))
    along_n, along_e = np.diff(north), np.diff(east)
    length = along_n**2 + along_e**2
    dot = -(north[:-1] * along_n + east[:-1] * along_e)
    share = np.clip(np.divide(dot, length, out=np.zeros_like(dot), where=length > 0), 0, 1)
    away = np.hypot(north[:-1] + share * along_n, east[:-1] + share * along_e)
    nearest = int(np.argmin(away))
    return nearest, float(share[nearest]), float(away[nearest])


def place_on(way: Way, live: LiveRow, since: int = 0) -> tuple[int, float, float, float] | None:
    """The segment, seconds and metres done along the way, and metres from it; None where the rider has left it.

    Looked for from segment `since` up to the first stop: further on the way may come back along the same streets, and
    a rider who is on them now has not been at the stop.
    """
    ahead = slice(since, max(way.stops[0], since + 1) + 1)
    nearest, part, off_m = nearest_on(way.lat[ahead], way.lon[ahead], live.lat, live.lon)
    if off_m > OFF_ROUTE_M + (live.accuracy_m or 0):
        return None
    nearest += since
    seconds = way.seconds[nearest] + part * (way.seconds[nearest + 1] - way.seconds[nearest])
    metres = way.metres[nearest] + part * (way.metres[nearest + 1] - way.metres[nearest])
    return nearest, float(seconds), float(metres), off_m


def drives(followed: Followed, track: Track, left: Sequence[Left], vehicle: int) -> Floats:
    """A row for the way to the next stop, and for each from stop to stop: shape (stops, columns)."""
    seconds, metres = np.array([each.seconds for each in left]), np.array([each.metres for each in left])
    lat, lon = places_of(left)
    routed = np.array([float(each.source != NOBODY) for each in left])
    s, m, off_m = seconds[:1, None], metres[:1, None], np.array([followed.off_m])
    next_one = journey.Left(s, m, s, m, off_m, routed[:1, None] > 0, answered=True)
    here = np.zeros(1, np.intp)
    first = rows(track, np.array([len(track) - 1]), lat[:1], lon[:1], next_one, (here, here), vehicle)
    if len(left) == 1:
        return first
    s, m = np.diff(seconds), np.diff(metres)
    at_s = track.at_s[-1] + seconds[:-1]
    drive = Drive(s, s, m, m, np.zeros(len(s)), routed[1:])
    rest = rows_from_rest(at_s, (lat[:-1], lon[:-1]), (lat[1:], lon[1:]), drive, vehicle)
    return np.concatenate([first, rest])


def places_of(left: Sequence[Left]) -> tuple[Floats, Floats]:
    placed_at = [each.stop.place for each in left if each.stop.place is not None]
    return np.array([place.lat for place in placed_at]), np.array([place.lon for place in placed_at])


def added_up(looked: Looked, legs: Floats, model: Model) -> list[Foretold]:
    """`legs` are seconds of each drive, shape (stops, 3). Who is there before the stop's window begins waits for it."""
    live, told_of = looked.live, []
    at_ms = unix_ms(live.observed_at)
    at_s, sooner, later = at_ms / 1000, 0.0, 0.0
    for left, (p10, p50, p90) in zip(looked.left, legs.tolist(), strict=True):
        stop = left.stop
        service_s = model.service_s(live.tenant, stop.kind, stop.service_s)
        begins_s = stop.window.start.timestamp() if stop.window else 0.0
        if left.arrived_ms is not None:
            at_s = max(at_s, max(left.arrived_ms / 1000, begins_s) + service_s)
            continue
        at_s, sooner, later = at_s + p50, sooner + (p50 - p10) ** 2, later + (p90 - p50) ** 2
        p10_s, p90_s = max(at_ms / 1000, at_s - sooner**0.5), at_s + later**0.5
        made = Made(at_ms, ms(p10_s), ms(at_s), ms(p90_s), model.version, left.source)
        told_of.append(Foretold(left, made))
        at_s = max(at_s, begins_s) + service_s
    return told_of


def ms(seconds: float) -> int:
    return round(seconds * 1000)


def told(rider: Rider, live: LiveRow, foretold: Sequence[Foretold]) -> list[Draft]:
    at_ms = unix_ms(live.observed_at)
    drafts = []
    for each in foretold:
        stop = each.left.stop
        if at_ms < stop.since_ms:
            continue  # a fix from before the stop was the rider's foretells nothing of it
        known = rider.forecasts.get(name_of(stop))
        if known is None or known.since_ms != stop.since_ms:
            known = rider.forecasts[name_of(stop)] = Forecast(since_ms=stop.since_ms)
        known.ahead_ms = at_ms
        if worth_telling(known, at_ms, each.made.p50_ms):
            known.tell(each.made)
            drafts.append(draft(live, forecast_of(each), at_ms, str(at_ms), stop))
        for reached in thresholds(known, each, at_ms):
            drafts.append(draft(live, reached, at_ms, f"{stop.since_ms} {name_of_threshold(reached)}", stop))
    return drafts


def forget(rider: Rider, live: LiveRow, itinerary: Itinerary) -> None:
    """What is not ahead any more, and was not reached for long."""
    since_ms = unix_ms(live.observed_at) - WAITS_MS
    if all(known.ahead_ms >= since_ms for known in rider.forecasts.values()):
        return
    ahead = {name_of(stop) for stop in itinerary.stops}
    rider.forecasts = {
        name: known for name, known in rider.forecasts.items() if name in ahead or known.ahead_ms >= since_ms
    }
    rider.approach.sightings.let_go_but(ahead | rider.forecasts.keys())


def worth_telling(before: Forecast, at_ms: int, p50_ms: int) -> bool:
    moved_ms = abs(p50_ms - before.p50_ms)
    enough = max(MOVED_MS, MOVED_SHARE * max(0, p50_ms - at_ms))
    return at_ms - before.told_ms >= EVERY_MS and moved_ms > enough


def thresholds(known: Forecast, foretold: Foretold, at_ms: int) -> Iterator[EtaThresholdReached]:
    """Those that are new. Of several by which it is late the furthest is told, and the others count as told."""
    stop, p50_ms = foretold.left.stop, foretold.made.p50_ms
    window_end = stop.window.end if stop.window else None

    def reached(threshold: str, late_by_s: int | None) -> EtaThresholdReached:
        return EtaThresholdReached(
            task_id=TaskId(stop.task_id),
            stop_id=StopId(stop.stop_id),
            threshold="late" if threshold == "late" else "imminent",
            late_by_s=late_by_s,
            p50=moment(p50_ms),
            window_end=window_end,
            ahead_since=moment(stop.since_ms),
        )

    if IMMINENT not in known.reached and p50_ms - at_ms <= IMMINENT_MS:
        known.reached.append(IMMINENT)
        yield reached(IMMINENT, None)
    if window_end is None:
        return
    late = [s for s in LATE_BY_S if p50_ms > unix_ms(window_end) + 1000 * s]
    fresh = [name for s in late if (name := late_by(s, window_end)) not in known.reached]
    known.reached += fresh
    if fresh:
        yield reached("late", late[-1])


def late_by(seconds: int, window_end: datetime) -> str:
    """Of another window it is told again."""
    return f"late {seconds} {unix_ms(window_end)}"


def name_of_threshold(event: EtaThresholdReached) -> str:
    if event.late_by_s is None or event.window_end is None:
        return IMMINENT
    return late_by(event.late_by_s, event.window_end)


def scores(rider: Rider, live: LiveRow, arrivals: Arrivals) -> list[Draft]:
    """Of the stops that the rider is known to have reached: each once, and what was foretold of it is let go."""
    drafts = []
    for name, known in list(rider.forecasts.items()):
        task_id, _, stop_id = name.partition("/")
        if not known.past:
            continue
        first_ms = known.past[0].at_ms
        at_ms = arrivals.at_ms(live.tenant, live.rider_id, task_id, stop_id, first_ms)
        if at_ms is None:
            continue
        del rider.forecasts[name]
        seen = rider.approach.sightings.let_go(name)
        scored = EtaScored(
            task_id=TaskId(task_id),
            stop_id=StopId(stop_id),
            arrived_at=moment(at_ms),
            forecasts=[as_made(made) for made in known.past if made.at_ms < at_ms],
            seen=lessons_of(live.rider_id, seen, at_ms / 1000),
            columns=COLUMNS_NAME,
        )
        if scored.forecasts:
            drafts.append(drafted(live, scored, at_ms, ("EtaScored", task_id, stop_id, f"{known.since_ms} {at_ms}")))
    return drafts


def lessons_of(rider_id: str, seen: Sequence[tuple[float, Row]], arrived_s: float) -> Personal[Any] | None:
    """What was seen before the arrival, which tells where the rider was: the rider's data."""
    rows = [
        (round(arrived_s - at_s, 1), [float(f"{value:.{DIGITS}g}") for value in row.tolist()])
        for at_s, row in seen
        if at_s < arrived_s
    ]
    return Personal(rider_subject(RiderId(rider_id)), rows) if rows else None


def as_made(made: Made) -> ForecastMade:
    return ForecastMade(
        at=moment(made.at_ms),
        p10=moment(made.p10_ms),
        p50=moment(made.p50_ms),
        p90=moment(made.p90_ms),
        model=made.model,
        source=made.source,
    )


def forecast_of(foretold: Foretold) -> EtaForecast:
    made, stop = foretold.made, foretold.left.stop
    return EtaForecast(
        task_id=TaskId(stop.task_id),
        stop_id=StopId(stop.stop_id),
        p10=moment(made.p10_ms),
        p50=moment(made.p50_ms),
        p90=moment(made.p90_ms),
        remaining_m=round(foretold.left.metres),
        ahead_since=moment(stop.since_ms),
        model=made.model,
        source=made.source,
    )


def draft(live: LiveRow, event: Event, at_ms: int, once: str, stop: Ahead) -> Draft:
    """Its id hangs on the fix's own moment, or on what it is told once of: the same fix again says nothing new."""
    kind = type(event).__name__
    of = (live.device_id, once, kind) if kind == "EtaForecast" else (kind, once)
    return drafted(live, event, at_ms, (*of, stop.task_id, stop.stop_id))


def drafted(live: LiveRow, event: Event, at_ms: int, once: tuple[str, ...]) -> Draft:
    return Draft(
        event_id=ids.derived("signal", live.rider_id, *once),
        tenant=live.tenant,
        rider_id=live.rider_id,
        event=event,
        at=moment(at_ms),
        cause=f"fix/{live.device_id}@{unix_ms(live.observed_at)}",
    )
