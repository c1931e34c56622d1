"""Where does a trip begin and end? A rider who comes far enough from where they stood is on one, until they stand."""

import msgspec

from streams.telemetry.watch import STANDS_WITHIN_M, Spot, Watch, Way, apart_m

BEGINS_M = 150.0
ENDS_MS = 300_000
"""Who stands so long has arrived."""
GONE_MS = 900_000
"""After so long without a fix it is another trip."""
HEARD_MS = 3_600_000
"""Of whom nothing comes in for so long, be it late, the trip is told as far as it is known."""
STOP_MS = 60_000
MOST_STOPS = 50
"""Of a trip that are told one by one."""
LEAP_MPS = 100
NEAR_BY_M = 1_000


class Trip(msgspec.Struct, frozen=True):
    way: Way
    end: Spot
    metres: float
    """Up to its end: where the rider stands they may have walked on."""


def moved(watch: Watch, here: Spot) -> None:
    """The rider is not where they stood any more."""
    left = watch.stands
    assert left is not None, "who is followed stands somewhere"
    trip = watch.trip
    if trip is not None:
        stood_ms = watch.stood_ms - left.at_ms
        if stood_ms >= STOP_MS:
            trip.stops += 1
            trip.idle_ms += stood_ms
            if len(trip.stood) < MOST_STOPS:
                trip.stood.append((left.at_ms, watch.stood_ms, left.lat, left.lon))
        _step(trip, here, here.at_ms - watch.at_ms)
    else:
        _leave(watch, left, here)
    watch.stands, watch.stood_ms = here, here.at_ms


def stepped_m(trip: Way, lat: int, lon: int, gap_ms: int) -> float:
    """Nothing where nobody comes so fast: before, or since, the device did not know where it was."""
    metres = apart_m(trip.lat, trip.lon, lat, lon)
    return metres if metres < NEAR_BY_M or metres * 1000 <= LEAP_MPS * gap_ms else 0.0


def _step(way: Way, here: Spot, gap_ms: int) -> None:
    way.metres += stepped_m(way, here.lat, here.lon, gap_ms)
    way.lat, way.lon, way.there_m = here.lat, here.lon, way.metres


def _leave(watch: Watch, left: Spot, here: Spot) -> None:
    """The way begins with the last fix where they stood, the trip's first one."""
    origin, way = watch.origin or left, watch.leaving
    if watch.origin is None or way is None:
        way = Way(Spot(watch.at_ms, watch.lat, watch.lon), watch.lat, watch.lon, 0.0)
    _step(way, here, here.at_ms - watch.at_ms)
    away_m = apart_m(origin.lat, origin.lon, here.lat, here.lon)
    if away_m > BEGINS_M:
        watch.trip, watch.origin, watch.leaving = way, None, None
        watch.over = {began_ms: ended_ms for began_ms, ended_ms in watch.over.items() if began_ms >= way.start.at_ms}
    elif away_m > STANDS_WITHIN_M:
        watch.origin, watch.leaving = origin, way
    else:
        watch.origin = watch.leaving = None


def stands(watch: Watch, at_ms: int) -> Trip | None:
    """The trip that is over where the rider stands for long enough."""
    here = watch.stands
    if here is None or at_ms - here.at_ms < ENDS_MS:
        return None
    trip = watch.trip
    watch.trip = watch.leaving = watch.origin = None
    return None if trip is None else Trip(trip, here, trip.there_m)


def gone(watch: Watch) -> Trip | None:
    """The trip as far as it is known, if there is one: nothing was heard for long. Where they stand is open again."""
    trip = as_far_as_known(watch)
    watch.trip = watch.leaving = watch.origin = watch.stands = None
    return trip


def as_far_as_known(watch: Watch) -> Trip | None:
    trip, here = watch.trip, watch.stands
    if trip is None or here is None:
        return None
    stood_ms = watch.stood_ms - here.at_ms
    if stood_ms >= STOP_MS:  # where they stood last is where it ended
        return Trip(trip, here, trip.there_m)
    return Trip(trip, Spot(watch.at_ms, watch.lat, watch.lon, watch.mps), trip.metres)


def is_told(watch: Watch) -> bool:
    """Whether the log says that the trip ended where it has come to."""
    known = as_far_as_known(watch)
    return known is not None and watch.over.get(known.way.start.at_ms) == known.end.at_ms
