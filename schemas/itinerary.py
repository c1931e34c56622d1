"""Stops on a rider's itinerary, as others speak of them."""

from schemas.message import Input, StopId, TaskId


class StopRef(Input, frozen=True, kw_only=True):
    """Stop ids are unique within their task only."""

    task_id: TaskId
    stop_id: StopId


class Placed(Input, frozen=True, kw_only=True):
    """Where a stop goes on an itinerary: right behind another, which may be one that was placed before it; else first,
    as it does where the other is over by then."""

    stop_id: StopId
    behind: StopRef | None = None
