"""Where the stops of a task go among those that lie ahead."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from schemas.itinerary import Placed, StopRef
from schemas.message import StopId, TaskId
from schemas.rider import PlannedStop

type Links = Mapping[StopRef, StopRef | None]
"""Of each stop the one behind which it is to stand; None: first."""
NO_LINKS: Links = {}


def placed_among(
    ahead: Sequence[PlannedStop],
    stops: Sequence[PlannedStop],
    placed: Sequence[Placed],
    locked: StopRef | None = None,
    awaited: Links = NO_LINKS,
) -> list[PlannedStop]:
    """All of them in their order: first those that are not placed, to the end, then one after the other as they are.
    What was to stand behind a stop that is over comes first, and behind a locked one.

    `placed` without a task is of the first of `stops`. What was to stand behind one that is `awaited` stands behind the
    one that this is to stand behind.
    """
    links, by_ref = links_of(placed, stops[0].task_id) if stops else {}, {ref_of(stop): stop for stop in stops}
    order = [*ahead, *(stop for ref, stop in by_ref.items() if ref not in links)]
    first = 1 if locked is not None and ahead and ref_of(ahead[0]) == locked else 0
    for ref, before in links.items():
        if ref in by_ref:
            order.insert(max(first, behind(order, there(order, before, awaited))), by_ref[ref])
    return order


def links_of(placed: Iterable[Placed], task_id: TaskId) -> Links:
    return {StopRef(task_id=each.task_id or task_id, stop_id=each.stop_id): each.behind for each in placed}


def there(order: Sequence[PlannedStop], ref: StopRef | None, awaited: Links) -> StopRef | None:
    """The nearest before it that is there; itself, where that is or nothing tells of it."""
    present = {ref_of(stop) for stop in order} if ref in awaited else frozenset[StopRef]()
    for _ in range(len(awaited)):
        if ref is None or ref in present or ref not in awaited:
            break
        ref = awaited[ref]
    return ref


def chained(order: Sequence[PlannedStop], tasks: Collection[TaskId]) -> dict[TaskId, list[Placed]]:
    """Each stop of these tasks behind the one before it."""
    found: dict[TaskId, list[Placed]] = {task_id: [] for task_id in tasks}
    for previous, stop in zip((None, *order), order, strict=False):
        if stop.task_id in found:
            ref = None if previous is None else ref_of(previous)
            found[stop.task_id].append(Placed(stop_id=stop.stop_id, behind=ref))
    return found


def linked_past(placed: Sequence[Placed], gone: Links) -> tuple[Placed, ...]:
    """What was to stand behind a stop that will not come stands behind the one that this was to stand behind."""
    return tuple(replace(each, behind=there((), each.behind, gone)) for each in placed)


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
