"""What is remembered of one rider: a track for each device, the last forecast for each stop, their way, and how they
come to the next stop."""

from typing import Any

import msgspec
import structlog

from schemas.signals import RoutingSource
from streams.eta import approach
from streams.eta.approach import Approach
from streams.telemetry.tracks import Track, packed, unpacked
from streams.telemetry.watch import Watch

MOST_PAST = 8
"""Forecasts of one stop that are kept to be scored; of more, every second one of the older half goes, not the first."""

logger = structlog.get_logger()

type RiderKey = tuple[str, str]
"""Tenant and rider."""


class Made(msgspec.Struct, frozen=True, array_like=True):
    """A forecast: Unix times."""

    at_ms: int
    p10_ms: int
    p50_ms: int
    p90_ms: int
    model: str
    source: RoutingSource


class Forecast(msgspec.Struct):
    """What was told of a stop last, which is the rider's since `since_ms` and was ahead at `ahead_ms`: `told_ms` by the
    fix's clock, `p50_ms` Unix time. `past` are forecasts for when it is scored, `reached` the thresholds told."""

    since_ms: int
    ahead_ms: int = 0
    told_ms: int = 0
    p50_ms: int = 0
    past: list[Made] = []
    reached: list[str] = []

    def tell(self, made: Made) -> None:
        self.told_ms, self.p50_ms = made.at_ms, made.p50_ms
        self.past.append(made)
        if len(self.past) > MOST_PAST:
            del self.past[1 : MOST_PAST // 2 + 1 : 2]


class Rider:
    def __init__(self) -> None:
        self.tracks: dict[str, Track] = {}
        self.forecasts: dict[str, Forecast] = {}
        self.watch = Watch()
        self.approach = Approach()

    @property
    def seen_ms(self) -> int:
        """When something of them came in last; of whom only the system itself tells, the time of their latest fix."""
        return self.watch.heard_ms or max((track.newest_ms for track in self.tracks.values()), default=0)


class Kept(msgspec.Struct, array_like=True):
    tracks: dict[str, list[Any]]
    forecasts: dict[str, Forecast]
    watch: Watch
    approach: list[Any]


KEPT = msgspec.msgpack.Decoder(Kept)


def kept(rider: Rider) -> bytes:
    """A rider's state as it stands in Postgres."""
    tracks = {device: packed(track) for device, track in rider.tracks.items()}
    return msgspec.msgpack.encode(Kept(tracks, rider.forecasts, rider.watch, approach.packed(rider.approach)))


def read(state: bytes) -> Rider | None:
    """None where another release kept it otherwise."""
    rider = Rider()
    try:
        known = KEPT.decode(state)
        rider.tracks = {device: unpacked(track) for device, track in known.tracks.items()}
        rider.forecasts, rider.watch = known.forecasts, known.watch
        rider.approach = approach.unpacked(known.approach)
    except (msgspec.MsgspecError, ValueError, TypeError) as other:
        logger.warning("a rider's state of another release is passed over", error=other)
        return None
    return rider


def restored(state: bytes) -> Rider:
    """What is not known here begins anew, and what was told stands on the log."""
    return read(state) or Rider()
