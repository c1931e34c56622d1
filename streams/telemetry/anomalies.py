"""What is odd about a rider's way? Told once when it is sure, with the fixes that show it, and again when it is over.

Fixes count here in the order of their time: a frame's are, and one that comes later than a newer one is passed over, as
are those of a rider's other devices while the one that is followed tells. What is told follows from frame after frame,
so that it is the same however frames fall into fetches; what hangs on the stops ahead goes by what is known of them.
"""

from collections.abc import Callable, Iterator, Sequence
from math import sqrt
from typing import Any, Protocol

import numpy as np

from schemas import ids
from schemas.anomaly_rules import AnomalyRules
from schemas.fixes import MICRODEGREES, NOT_KNOWN_U8, NOT_KNOWN_U16
from schemas.geo import Location
from schemas.ids import rider_subject
from schemas.message import Event, Personal, RiderId
from schemas.signals import (
    AnomalyCleared,
    AnomalyDetected,
    AnomalyKind,
    AnomalyOver,
    FixSeen,
    StopMade,
    TripEnded,
    TripPlaces,
)
from streams.telemetry import trips
from streams.telemetry.eta import Way as Route
from streams.telemetry.eta import nearest_on
from streams.telemetry.found import Draft, Found, Taken, place_of
from streams.telemetry.itineraries import Ahead, Itineraries
from streams.telemetry.moments import moment, unix_ms
from streams.telemetry.partition import Partition
from streams.telemetry.rider import RiderKey
from streams.telemetry.trips import Trip
from streams.telemetry.watch import (
    HALF,
    METRES,
    RADIANS,
    STANDS_WITHIN_M,
    UNKNOWN,
    Spot,
    Standing,
    Toward,
    Watch,
    apart_m,
)

AHEAD_MS = 60_000
"""A clock that is further ahead of who received it would keep all that follows away."""
SAMPLED_MS = 800
"""Of fixes that follow closer on one another one is enough."""
OTHER_DEVICE_MS = 120_000
"""A rider's other device is followed when the one before has told nothing for so long."""
LOOKS_MS = 30_000
"""So often the rider's stops are looked at."""
CHANGE_MS = 10_000
"""What lies further apart says nothing of braking."""
MOST_MPS2 = 12.0
"""No wheels change a speed faster: the device errs."""
RECKONED_MS = (10_000, 60_000)
"""From places so far apart a speed is reckoned where the device tells none."""
STEP_M = 20.0
"""A trip's metres are counted by steps of so many: what a device wavers while it stands is no way."""
STANDS_WITHIN, STEP, FAR = (STANDS_WITHIN_M / METRES) ** 2, (STEP_M / METRES) ** 2, (trips.NEAR_BY_M / METRES) ** 2
"""Squares of microdegrees."""
NEAR_M = 150.0
HOUR_MS = 3_600_000
STRAYS_MS = 600_000
MOST_STRAYS = 10
OLDEST_STRAY_MS = 7 * 86_400_000
QUIET_MS: dict[AnomalyKind, int] = {
    "speeding": 30_000,
    "hard_braking": 60_000,
    "hard_acceleration": 60_000,
    "gps_jump": STRAYS_MS,
    "suspected_spoof": STRAYS_MS,
}
"""So long after it was so last it is over. The others end by what the rider does."""
OF_STANDING: tuple[AnomalyKind, ...] = ("idling", "prolonged_stop")
OF_A_STOP: tuple[AnomalyKind, ...] = ("late_departure", "route_deviation")

type RulesOf = Callable[[str, int], AnomalyRules]
"""Of a tenant at a time in Unix milliseconds."""
type RouteOf = Callable[[RiderKey, Ahead], Route | None]
"""The way to this stop, which is the next, as it was first asked for."""


class ToldBefore(Protocol):
    """Of frames before `told_to` everything was told: what is not among it stays untold, for it hangs on what was known
    then of stops and ways."""

    @property
    def told_to(self) -> int: ...

    def tells(self, event_id: str) -> bool: ...


class Telling:
    """What one frame leads to goes to `drafts`; of what was told of it before only that."""

    def __init__(self, cause: str, drafts: list[Draft], before: ToldBefore | None) -> None:
        self.cause = cause
        self.drafts = drafts
        self._before = before if before is not None and place_of(cause) < before.told_to else None

    def may(self, event_id: str) -> bool:
        return self._before is None or self._before.tells(event_id)


class Sight:
    """A rider's device as one frame tells of it."""

    def __init__(self, key: RiderKey, device: str, watch: Watch, rules: AnomalyRules, telling: Telling) -> None:
        self.key = key
        self.device = device
        self.watch = watch
        self.rules = rules
        self._telling = telling

    def beyond(
        self, kind: AnomalyKind, at_ms: int, since_ms: int, limit: float, measured: float, seen: Sequence[Spot]
    ) -> None:
        """One of a kind stands at a time, and so many are told in an hour."""
        watch = self.watch
        standing = watch.standing.get(kind)
        if standing is not None and (standing.over_ms is None or at_ms <= standing.over_ms):
            standing.held_ms = max(standing.held_ms, at_ms)
            return
        told = [told_ms for told_ms in watch.told.get(kind, ()) if at_ms - told_ms < HOUR_MS]
        if len(told) >= self.rules.most_an_hour:
            return
        anomaly_id = ids.derived("signal", self.key[1], "AnomalyDetected", kind, self.device, str(at_ms))
        if not self._telling.may(anomaly_id):
            return
        watch.standing[kind] = Standing(anomaly_id, at_ms, at_ms)
        watch.told[kind] = told if at_ms in told else [*told, at_ms]
        event = AnomalyDetected(
            kind=kind,
            device_id=self.device,
            since=moment(since_ms),
            at=moment(at_ms),
            limit=float(limit),
            measured=round(float(measured), 2),
            evidence=Personal(rider_subject(RiderId(self.key[1])), [as_seen(spot) for spot in seen]),
        )
        self._tell(anomaly_id, event, at_ms)

    def over(self, kind: AnomalyKind, at_ms: int, why: AnomalyOver) -> None:
        """What stands of the kind is over. What was told of a later time stood on the log before: not yet."""
        standing = self.watch.standing.get(kind)
        if standing is None or at_ms <= max(standing.at_ms, (standing.over_ms or 0) - 1):
            return
        event_id = ids.derived("signal", standing.anomaly_id, "AnomalyCleared")
        if not self._telling.may(event_id):
            return
        del self.watch.standing[kind]
        event = AnomalyCleared(anomaly_id=standing.anomaly_id, kind=kind, at=moment(at_ms), why=why)
        self._tell(event_id, event, at_ms)

    def quiet(self, at_ms: int) -> None:
        for kind, standing in list(self.watch.standing.items()):
            quiet_ms = QUIET_MS.get(kind)
            if quiet_ms is not None and at_ms - standing.held_ms >= quiet_ms:
                self.over(kind, at_ms, "quiet")

    def tell_trip(self, trip: Trip, why: Any) -> None:
        way, end = trip.way, trip.end
        event = TripEnded(
            device_id=self.device,
            vehicle_id=way.vehicle_id,
            started_at=moment(way.start.at_ms),
            ended_at=moment(end.at_ms),
            metres=round(trip.metres),
            moving_s=round((end.at_ms - way.start.at_ms - way.idle_ms) / 1000),
            idle_s=round(way.idle_ms / 1000),
            stops=way.stops,
            why=why,
            places=Personal(rider_subject(RiderId(self.key[1])), places_of(trip)),
        )
        if self.may_tell(trip):
            self._tell(self._trip_id(trip), event, end.at_ms)

    def may_tell(self, trip: Trip) -> bool:
        return self._telling.may(self._trip_id(trip))

    def _trip_id(self, trip: Trip) -> str:
        return ids.derived("signal", self.key[1], "TripEnded", str(trip.way.start.at_ms))

    def _tell(self, event_id: str, event: Event, at_ms: int) -> None:
        tenant, rider_id = self.key
        at, cause = moment(at_ms), self._telling.cause
        draft = Draft(event_id=event_id, tenant=tenant, rider_id=rider_id, event=event, at=at, cause=cause)
        self._telling.drafts.append(draft)


class Anomalies:
    def __init__(self, rules: RulesOf, itineraries: Itineraries, route: RouteOf) -> None:
        self._rules = rules
        self._itineraries = itineraries
        self._route = route

    def of(self, partition: Partition, found: Found, before: ToldBefore | None = None) -> list[Draft]:
        """What is to be told of anomalies and of trips that are over. The partition's riders remember it."""
        drafts: list[Draft] = []
        for taken in found.taken:
            self._frame(partition, taken, found, Telling(taken.cause, drafts, before))
        return drafts

    def _frame(self, partition: Partition, taken: Taken, found: Found, telling: Telling) -> None:
        """Nearly all fixes are like those before them: they take no more than a look, in which nothing is called."""
        tenant, frame = taken.tenant, taken.fixes.frame
        received_ms = unix_ms(frame.received_at)
        rules, riders = self._rules(tenant, received_ms), partition.riders

        def sight_of(number: int) -> Sight:
            key = tenant, frame.riders[number]
            return Sight(key, frame.devices[number], partition.rider(key).watch, rules, telling)

        for number, kind, here in strays_of(taken):
            if not received_ms - OLDEST_STRAY_MS <= here.at_ms <= received_ms + AHEAD_MS:
                continue  # its clock is wrong, too
            found.touched.add((tenant, frame.riders[number]))
            sight = sight_of(number)
            hear(sight.key, sight.watch, received_ms, telling)
            stray(sight, kind, here)
        faster_mps2, slower_mps2, fast_mps = rules.hard_acceleration_mps2, -rules.hard_braking_mps2, rules.speeding_mps
        last, latest_ms = -1, received_ms + AHEAD_MS
        watch, device = Watch(), ""
        for number, at_ms, lat, lon, speed, accuracy, narrow in rows_of(taken):
            if number != last:
                key = tenant, frame.riders[number]
                last, device, watch = number, frame.devices[number], riders[key].watch
                hear(key, watch, received_ms, telling)
            gap_ms = at_ms - watch.at_ms
            if gap_ms < SAMPLED_MS or at_ms > latest_ms:
                continue
            if device != watch.device:
                if gap_ms < OTHER_DEVICE_MS:
                    continue
                follow(watch, device)
            stands = watch.stands
            if stands is None or gap_ms >= trips.GONE_MS:
                begin(sight_of(number), at_ms, lat, lon)
            else:
                north, east = lat - stands.lat, (lon - stands.lon) * narrow
                if north * north + east * east <= STANDS_WITHIN:
                    watch.stood_ms = at_ms
                else:
                    away(sight_of, number, watch, Spot(at_ms, lat, lon))
            way = watch.trip or watch.leaving
            if way is not None:
                north, east = lat - way.lat, (lon - way.lon) * narrow
                step = north * north + east * east
                if step >= STEP:
                    way.metres += METRES * sqrt(step) if step < FAR else trips.stepped_m(way, lat, lon, gap_ms)
                    way.lat, way.lon = lat, lon
            if speed != NOT_KNOWN_U16:
                mps = told = speed / 100
                if watch.mps >= 0 and gap_ms <= CHANGE_MS:
                    change = (mps - watch.mps) * 1000 / gap_ms
                    if change > faster_mps2 or change < slower_mps2:
                        jolted(sight_of(number), change, Spot(at_ms, lat, lon, mps))
                if mps > fast_mps or watch.fast is not None:
                    hurried(sight_of(number), mps, Spot(at_ms, lat, lon, mps), gap_ms, None)
            else:
                told = UNKNOWN
                mps, base = reckoned(watch, at_ms, lat, lon, accuracy)
                if mps > fast_mps or watch.fast is not None:
                    hurried(sight_of(number), mps, Spot(at_ms, lat, lon, mps), gap_ms, base)
            watch.at_ms, watch.lat, watch.lon, watch.mps = at_ms, lat, lon, told
            if at_ms >= watch.looks_ms:
                watch.looks_ms = at_ms + LOOKS_MS
                self._look(sight_of(number), Spot(at_ms, lat, lon, told), accuracy)
            if watch.standing:
                sight_of(number).quiet(at_ms)
        self._sweep(partition, received_ms, found, telling)

    def _look(self, sight: Sight, here: Spot, accuracy: int) -> None:
        """What follows from long standing, and from the stops ahead."""
        ended = trips.stands(sight.watch, here.at_ms)
        if ended is not None:
            sight.tell_trip(ended, "stood")
        trip = sight.watch.trip
        if trip is not None and trip.vehicle_id is None:
            trip.vehicle_id = self._itineraries.drives(*sight.key)
        known = self._itineraries.of(*sight.key).stops
        stops = [stop for stop in known if stop.since_ms <= here.at_ms and stop.place is not None]
        if not stops or self._itineraries.rests(*sight.key):
            sight.watch.toward, sight.watch.rested_ms = None, here.at_ms
            for kind in (*OF_STANDING, *OF_A_STOP) if sight.watch.standing else ():
                sight.over(kind, here.at_ms, "nothing_ahead")
            return
        lingers(sight, here, stops)
        heads(sight, here, stops[0])
        self._strays_from_route(sight, here, accuracy, stops[0])

    def _strays_from_route(self, sight: Sight, here: Spot, accuracy: int, stop: Ahead) -> None:
        route = self._route(sight.key, stop)
        if route is None or route.source != "osrm":
            return
        off_m = off_route_m(route, here) - accuracy
        limit = sight.rules.route_deviation_m
        if off_m > limit:
            sight.beyond("route_deviation", here.at_ms, here.at_ms, limit, off_m, [here])
        elif off_m <= limit / 2 and not asked_since(route, sight.watch):
            sight.over("route_deviation", here.at_ms, "on_route")

    def _sweep(self, partition: Partition, now_ms: int, found: Found, telling: Telling) -> None:
        """Trips of riders of whom nothing came in for long, and what was the matter with them."""
        if now_ms - partition.swept_ms < trips.HEARD_MS / 60:
            return
        partition.swept_ms = now_ms
        for key, rider in partition.riders.items():
            watch = rider.watch
            if (watch.trip is None and not watch.standing) or now_ms - watch.heard_ms < trips.HEARD_MS:
                continue
            unheard(key, watch, telling)
            found.touched.add(key)


def hear(key: RiderKey, watch: Watch, now_ms: int, telling: Telling) -> None:
    """Of whom nothing came in for so long, what was before is over, whether or not it was swept meanwhile."""
    if watch.heard_ms > 0 and now_ms - watch.heard_ms >= trips.HEARD_MS:
        unheard(key, watch, telling)
    elif watch.over and trips.is_told(watch):
        trips.gone(watch)
    watch.heard_ms = now_ms


def unheard(key: RiderKey, watch: Watch, telling: Telling) -> None:
    """A trip whose end was told is dropped; one that was not told when all was stays, until it may be told."""
    sight = Sight(key, watch.device, watch, AnomalyRules(), telling)
    ended = trips.as_far_as_known(watch)
    if ended is None or trips.is_told(watch):
        trips.gone(watch)
    elif sight.may_tell(ended):
        trips.gone(watch)
        sight.tell_trip(ended, "unheard")
    for kind, standing in list(watch.standing.items()):
        sight.over(kind, max(watch.at_ms, standing.at_ms + 1), "unheard")


def follow(watch: Watch, device: str) -> None:
    """From now on: its speeds are not those of the one before."""
    watch.device, watch.mps, watch.base, watch.fast = device, UNKNOWN, None, None


def away(sight_of: Callable[[int], Sight], number: int, watch: Watch, here: Spot) -> None:
    """Not where they stood, unless it only looks so across the antimeridian."""
    stands = watch.stands
    assert stands is not None, "who is followed stands somewhere"
    if abs(here.lon - stands.lon) > HALF and apart_m(stands.lat, stands.lon, here.lat, here.lon) <= STANDS_WITHIN_M:
        watch.stood_ms = here.at_ms
        return
    ended = trips.stands(watch, watch.stood_ms)
    if ended is not None:
        sight_of(number).tell_trip(ended, "stood")
    trips.moved(watch, here)
    for kind in OF_STANDING if watch.standing else ():
        sight_of(number).over(kind, here.at_ms, "moved")


def begin(sight: Sight, at_ms: int, lat: int, lon: int) -> None:
    """The first fix, or the first after long: of what was between nothing is known."""
    watch = sight.watch
    ended = trips.gone(watch)
    if ended is not None:
        sight.tell_trip(ended, "unheard")
    for kind in OF_STANDING:
        sight.over(kind, at_ms, "unheard")
    watch.stands, watch.stood_ms = Spot(at_ms, lat, lon), at_ms
    watch.mps, watch.fast, watch.base = UNKNOWN, None, None


def jolted(sight: Sight, change: float, here: Spot) -> None:
    if abs(change) > MOST_MPS2:
        return
    watch, rules = sight.watch, sight.rules
    seen = [Spot(watch.at_ms, watch.lat, watch.lon, watch.mps), here]
    if change > 0:
        sight.beyond("hard_acceleration", here.at_ms, watch.at_ms, rules.hard_acceleration_mps2, change, seen)
    else:
        sight.beyond("hard_braking", here.at_ms, watch.at_ms, rules.hard_braking_mps2, -change, seen)


def hurried(sight: Sight, mps: float, here: Spot, gap_ms: int, base: Spot | None) -> None:
    """Too fast, or no more; from `base` on, where the speed is reckoned. What cannot be told changes nothing for a
    minute."""
    watch, limit = sight.watch, sight.rules.speeding_mps
    if watch.fast is not None and gap_ms > RECKONED_MS[1]:
        watch.fast = None
    if mps == UNKNOWN:
        return
    if mps <= limit:
        watch.fast = None
        return
    was, since = watch.fast, watch.fast or base or here
    watch.fast = since
    lasts_ms = here.at_ms - since.at_ms
    if lasts_ms < sight.rules.speeding_seconds * 1000:
        return
    if base is not None and (
        was is None or apart_m(since.lat, since.lon, here.lat, here.lon) * 1000 <= limit * lasts_ms
    ):
        return  # one place that is wrong looks like a way there and back
    sight.beyond("speeding", here.at_ms, since.at_ms, limit, mps, [since, here])


def reckoned(watch: Watch, at_ms: int, lat: int, lon: int, accuracy: int) -> tuple[float, Spot | None]:
    """A speed from two places, less what they do not know of themselves, and the first of the two."""
    base = watch.base
    gap_ms = 0 if base is None else at_ms - base[0]
    if base is not None and gap_ms < RECKONED_MS[0]:
        return UNKNOWN, None
    watch.base = (at_ms, lat, lon, accuracy)
    if base is None or gap_ms > RECKONED_MS[1]:
        return UNKNOWN, None
    metres = apart_m(base[1], base[2], lat, lon) - base[3] - accuracy
    return max(0.0, metres) * 1000 / gap_ms, Spot(base[0], base[1], base[2])


def stray(sight: Sight, kind: AnomalyKind, here: Spot) -> None:
    """A fix that was put aside; one that is sent again says nothing more."""
    known = sight.watch.strays.get(kind, [])
    if known and here.at_ms <= known[-1].at_ms:
        return
    recent = [spot for spot in known if here.at_ms - spot.at_ms < STRAYS_MS]
    run = sight.watch.strays[kind] = [*recent, here][-MOST_STRAYS:]
    limit = sight.rules.stray_fixes
    if len(run) >= limit:
        sight.beyond(kind, here.at_ms, run[0].at_ms, limit, len(run), run[-limit:])


def lingers(sight: Sight, here: Spot, stops: Sequence[Ahead]) -> None:
    """Stands with something ahead; near one of the stops that is the work, for a while."""
    stands = sight.watch.stands
    assert stands is not None, "who is followed stands somewhere"
    since_ms = max(stands.at_ms, sight.watch.rested_ms, min(stop.since_ms for stop in stops))
    stood_ms, seen = here.at_ms - since_ms, [stands, here]
    limit_ms = sight.rules.idling_minutes * 60_000
    if stood_ms >= limit_ms and all(metres_to(stop, here) > NEAR_M for stop in stops):
        sight.beyond("idling", here.at_ms, since_ms, limit_ms / 1000, stood_ms / 1000, seen)
    limit_ms = sight.rules.prolonged_stop_minutes * 60_000
    if stood_ms >= limit_ms:
        sight.beyond("prolonged_stop", here.at_ms, since_ms, limit_ms / 1000, stood_ms / 1000, seen)


def heads(sight: Sight, here: Spot, stop: Ahead) -> None:
    """Has the rider come nearer to the stop that is next, since it is?"""
    watch, name = sight.watch, f"{stop.task_id}/{stop.stop_id}"
    away_m = metres_to(stop, here)
    toward = watch.toward
    if toward is None or toward.name != name:
        toward = watch.toward = Toward(name, max(here.at_ms, stop.since_ms), away_m)
        for kind in OF_A_STOP:
            sight.over(kind, here.at_ms, "other_stop")
    if away_m <= max(NEAR_M, toward.from_m - NEAR_M):
        toward.departed = True
        sight.over("late_departure", here.at_ms, "departed")
    if toward.departed:
        return
    begins_ms = unix_ms(stop.window.start) if stop.window else 0
    since_ms = max(toward.since_ms, begins_ms)
    limit_ms = sight.rules.late_departure_minutes * 60_000
    late_ms = here.at_ms - since_ms
    if late_ms >= limit_ms:
        sight.beyond("late_departure", here.at_ms, since_ms, limit_ms / 1000, late_ms / 1000, [here])


def metres_to(stop: Ahead, here: Spot) -> float:
    place = stop.place
    assert place is not None, "only stops whose place is known are looked at"
    return apart_m(here.lat, here.lon, *microdegrees(place))


def microdegrees(place: Location) -> tuple[int, int]:
    return round(place.lat * MICRODEGREES), round(place.lon * MICRODEGREES)


def asked_since(route: Route, watch: Watch) -> bool:
    """Whether it is another way than the one that was left: a worker that begins anew asks for one from where the rider
    is by then."""
    standing = watch.standing.get("route_deviation")
    return standing is not None and route.asked_ms > standing.at_ms


def off_route_m(route: Route, here: Spot) -> float:
    """From the nearest point of the way to the first stop."""
    ahead = slice(0, max(route.stops[0], 1) + 1)
    lat, lon = here.lat / MICRODEGREES, here.lon / MICRODEGREES
    return nearest_on(route.lat[ahead], route.lon[ahead], lat, lon)[2]


def rows_of(taken: Taken) -> Any:
    """Of each fix that is believed: its device's number, time, place, speed and accuracy as on the log, and how much
    narrower a degree is to the east than to the north."""
    fixes = taken.fixes
    accuracy = np.where(fixes.accuracy == NOT_KNOWN_U8, 0, fixes.accuracy)
    columns = [fixes.device, fixes.at_ms, fixes.lat, fixes.lon, fixes.speed, accuracy, np.cos(fixes.lat * RADIANS)]
    if len(taken.places) < len(fixes.lat):
        columns = [column[taken.places] for column in columns]
    return zip(*(column.tolist() for column in columns), strict=True)


def strays_of(taken: Taken) -> Iterator[tuple[int, AnomalyKind, Spot]]:
    fixes = taken.fixes
    for place, kind in taken.strays:
        speed = int(fixes.speed[place])
        mps = UNKNOWN if speed == NOT_KNOWN_U16 else speed / 100
        here = Spot(int(fixes.at_ms[place]), int(fixes.lat[place]), int(fixes.lon[place]), mps)
        yield int(fixes.device[place]), kind, here


def as_seen(spot: Spot) -> FixSeen:
    return FixSeen(
        at=moment(spot.at_ms),
        lat=spot.lat / MICRODEGREES,
        lon=spot.lon / MICRODEGREES,
        speed_mps=None if spot.mps < 0 else round(spot.mps, 2),
    )


def places_of(trip: Trip) -> TripPlaces:
    stops = [
        StopMade(since=moment(since_ms), until=moment(until_ms), lat=lat / MICRODEGREES, lon=lon / MICRODEGREES)
        for since_ms, until_ms, lat, lon in trip.way.stood
    ]
    return TripPlaces(start=as_seen(trip.way.start), end=as_seen(trip.end), stops=stops)


def remember(watch: Watch, told: Draft) -> None:
    """The log's word: what it says of an anomaly or a trip was told, whatever was kept of it before the crash."""
    event = told.event
    if isinstance(event, AnomalyDetected):
        at_ms = unix_ms(event.at)
        standing = watch.standing.get(event.kind)
        if standing is None or standing.over_ms is not None:
            watch.standing[event.kind] = Standing(told.event_id, at_ms, at_ms)
        if at_ms not in (known := watch.told.get(event.kind, [])):
            watch.told[event.kind] = [*known, at_ms]
    elif isinstance(event, AnomalyCleared):
        standing = watch.standing.get(event.kind)
        if standing is not None and standing.anomaly_id == event.anomaly_id:
            standing.over_ms = unix_ms(event.at)
    elif isinstance(event, TripEnded) and event.why == "unheard":
        watch.over[unix_ms(event.started_at)] = unix_ms(event.ended_at)
