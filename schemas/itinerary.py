"""Stops on a rider's itinerary, as others speak of them."""

from schemas.message import Input, StopId, TaskId

MAX_ROUTE_TASKS = 50
"""Of which one rider is given the stops at once."""
MAX_ROUTE_STOPS = 500


class StopRef(Input, frozen=True, kw_only=True):
    """Stop ids are unique within their task only."""

    task_id: TaskId
    stop_id: StopId


class Placed(Input, frozen=True, kw_only=True):
    """Where a stop goes on an itinerary: right behind another, which may be one that was placed before it; else first,
    as it does where the other is over by then."""

    stop_id: StopId
    behind: StopRef | None = None
    task_id: TaskId | None = None
    """None: of the task that is spoken of, of several the first."""


class Bundled(Input, frozen=True, kw_only=True):
    """A task that goes together with another, all or none, in its round."""

    task_id: TaskId
    round: int
