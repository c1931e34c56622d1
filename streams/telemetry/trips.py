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


class Trip(msgspec.Struct, frozen=True):
    way: Way
    end: Spot


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
    else:
        _leave(watch, Spot(watch.stood_ms, left.lat, left.lon), here)
    watch.stands, watch.stood_ms = here, here.at_ms


def _leave(watch: Watch, left: Spot, here: Spot) -> None:
    origin = watch.origin or left
    away_m = apart_m(origin.lat, origin.lon, here.lat, here.lon)
    if away_m > BEGINS_M:
        watch.trip, watch.origin = Way(origin, here.lat, here.lon, away_m), None
    else:
        watch.origin = origin if away_m > STANDS_WITHIN_M else None


def stands(watch: Watch, at_ms: int) -> Trip | None:
    """The trip that is over where the rider stands for long enough."""
    here = watch.stands
    if here is None or at_ms - here.at_ms < ENDS_MS:
        return None
    trip, watch.trip, watch.origin = watch.trip, None, None
    return None if trip is None else Trip(trip, here)


def gone(watch: Watch) -> Trip | None:
    """The trip as far as it is known, if there is one: nothing was heard for long. Where they stand is open again."""
    trip, here = watch.trip, watch.stands
    watch.trip = watch.origin = watch.stands = None
    if trip is None or here is None:
        return None
    stood_ms = watch.stood_ms - here.at_ms
    if stood_ms >= STOP_MS:  # where they stood last is where it ended
        return Trip(trip, here)
    return Trip(trip, Spot(watch.at_ms, watch.lat, watch.lon, watch.mps))
