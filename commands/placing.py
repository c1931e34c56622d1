"""Where the stops of a task go among those that lie ahead."""

from collections.abc import Iterator, Sequence

from schemas.itinerary import Placed, StopRef
from schemas.message import StopId, TaskId
from schemas.rider import PlannedStop


def placed_among(
    ahead: Sequence[PlannedStop], stops: Sequence[PlannedStop], placed: Sequence[Placed], locked: StopRef | None = None
) -> list[PlannedStop]:
    """All of them in their order. What was to stand behind a stop that is over comes first, and behind a locked one."""
    order = list(ahead)
    of_stop = {each.stop_id: each.behind for each in placed}
    first = 1 if locked is not None and order and ref_of(order[0]) == locked else 0
    for stop in stops:
        if stop.stop_id in of_stop:
            order.insert(max(first, behind(order, of_stop[stop.stop_id])), stop)
        else:
            order.append(stop)
    return order


def behind(order: Sequence[PlannedStop], ref: StopRef | None) -> int:
    return next((index + 1 for index, stop in enumerate(order) if ref_of(stop) == ref), 0)


def ref_of(stop: PlannedStop) -> StopRef:
    return StopRef(task_id=stop.task_id, stop_id=stop.stop_id)


def keeps_order(stops: Sequence[PlannedStop]) -> bool:
    return pickups_first(stops) and not any(True for _ in out_of_order(stops))


def out_of_order(stops: Sequence[PlannedStop]) -> Iterator[tuple[PlannedStop, StopId]]:
    """Each that stands before a stop of its task that it comes after, and that one."""
    ahead = {(stop.task_id, stop.stop_id) for stop in stops}
    for stop in stops:
        ahead.discard((stop.task_id, stop.stop_id))
        for earlier in stop.after:
            if (stop.task_id, earlier) in ahead:
                yield stop, earlier


def pickups_first(stops: Sequence[PlannedStop]) -> bool:
    """A task's, but for one that itself comes after what is dropped before it."""
    dropped: dict[TaskId, set[StopId]] = {}
    for stop in stops:
        before = dropped.setdefault(stop.task_id, set())
        if stop.kind != "pickup":
            before.add(stop.stop_id)
        elif not before <= set(stop.after):
            return False
    return True
