"""How a rider comes to the stop that is next: whence, and what was known on the way."""

from typing import Any

import msgspec
import structlog

from streams.eta import seen, trail
from streams.eta.seen import Sightings
from streams.eta.trail import Trail

logger = structlog.get_logger()


class Approach:
    """`stop` is the rider's since `since_ms`. What was seen on the way to stops before stays until they are scored."""

    def __init__(self) -> None:
        self.stop, self.since_ms = "", 0
        self.trail, self.sightings = Trail(), Sightings()

    def leads_to(self, stop: str, since_ms: int) -> bool:
        return (self.stop, self.since_ms) == (stop, since_ms)

    def turns_to(self, stop: str, since_ms: int) -> None:
        """Another way begins. What was seen of this stop came before another one."""
        self.stop, self.since_ms, self.trail = stop, since_ms, Trail()
        self.sightings.let_go(stop)


def kept(approach: Approach) -> bytes:
    told: list[Any] = [approach.stop, approach.since_ms, approach.trail.packed(), approach.sightings.packed()]
    return msgspec.msgpack.encode(told)


def restored(state: bytes) -> Approach:
    """What another release kept is not known here: the way begins anew."""
    approach = Approach()
    try:
        stop, since_ms, way, sightings = msgspec.msgpack.decode(state)
        approach.trail, approach.sightings = trail.unpacked(way), seen.unpacked(sightings)
        approach.stop, approach.since_ms = stop, since_ms
    except (msgspec.MsgspecError, ValueError, TypeError) as other:
        logger.warning("a rider's way of another release is passed over", error=other)
        return Approach()
    return approach
