"""How far an arrival is from its stop, and how far it may be."""

import msgspec

from commands.context import Context
from commands.task_state import CreatedTask, StopState
from schemas.geo import Location, ObservedFix, distance_m


class Away(msgspec.Struct, frozen=True):
    """`metres` is None where there is no fix, or nobody may know the place any more."""

    metres: int | None
    allowed_m: int

    @property
    def too_far(self) -> bool:
        return self.metres is not None and self.metres > self.allowed_m


def away(task: CreatedTask, stop: StopState, fix: ObservedFix | None, context: Context) -> Away:
    """As far as the device says that it may be wrong, an arrival may be further away."""
    if fix is None:
        return Away(None, task.arrival_radius_m)
    place = context.opened(stop.stop.location, Location)
    metres = None if place is None else round(distance_m(place, fix))
    return Away(metres, task.arrival_radius_m + round(fix.accuracy_m or 0))
