"""What one rider is given at once, as its tender's offer says where it goes."""

from collections.abc import Sequence

import msgspec

from schemas.itinerary import Placed, StopRef
from schemas.message import StopId, TaskId


class Put(msgspec.Struct, frozen=True):
    """A task with its stops, each placed among what was there before it; where none is, all go to the end."""

    task_id: TaskId
    stops: Sequence[StopId]
    placed: Sequence[Placed]


def along_the_way(ahead: Sequence[StopRef], tasks: Sequence[Put]) -> list[Placed]:
    """The stops of all of these tasks in the order of the way, each behind the one before. `ahead` is what the rider
    has already; the tasks are put there one after the other."""
    way = list(ahead)
    for task in tasks:
        where = {each.stop_id: each.behind for each in task.placed}
        way += [StopRef(task_id=task.task_id, stop_id=stop) for stop in task.stops if stop not in where]
        for stop, behind in where.items():
            index = 0 if behind is None else way.index(behind) + 1
            way.insert(index, StopRef(task_id=task.task_id, stop_id=stop))
    new = {task.task_id for task in tasks}
    return [
        Placed(task_id=ref.task_id, stop_id=ref.stop_id, behind=before)
        for before, ref in zip([None, *way], way, strict=False)
        if ref.task_id in new
    ]
