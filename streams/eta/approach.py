"""How a rider comes to the stop that is next: whence, and what was known on the way."""

from typing import Any

from streams.eta import seen, trail
from streams.eta.seen import Sightings
from streams.eta.trail import Trail


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


def packed(approach: Approach) -> list[Any]:
    return [approach.stop, approach.since_ms, approach.trail.packed(), approach.sightings.packed()]


def unpacked(kept: list[Any]) -> Approach:
    approach = Approach()
    approach.stop, approach.since_ms, way, sightings = kept
    approach.trail, approach.sightings = trail.unpacked(way), seen.unpacked(sightings)
    return approach
