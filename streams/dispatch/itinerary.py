"""What a task's way does to its rider's itinerary.

| fact                              | command                | afterwards                                     |
|-----------------------------------|------------------------|------------------------------------------------|
| StopCompleted, Failed, Skipped    | RemoveStops, this one  | the next stop is first                         |
| ReturnStarted                     | RemoveStops, InsertStops | the way back is ahead                        |
| HoldStarted                       | InsertStops            | the way to where the goods will wait is ahead  |
| StopRescheduled                   | ChangePlannedWindow    | the stop has another window there              |
| TaskAssigned, by tender or plan   | ChangePlannedWindow    | as they are by now: they may have changed since |
|                                   |                        | the rider was reserved                         |
| TaskUnassigned, and every end     | RemoveStops, all       | the reservation is released                    |
"""

from collections.abc import Sequence

from schemas.geo import Window
from schemas.message import RiderId, Source, StopId, TaskId
from schemas.rider import ChangePlannedWindow, InsertStops, NewPlannedStop, RemoveStops
from schemas.stop_events import HoldStarted, ReturnStarted, StopCompleted, StopFailed, StopSkipped
from schemas.task import (
    StopRescheduled,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskForceCompleted,
    TaskReturned,
    TaskUnassigned,
)
from streams.dispatch.tendering import Lookup
from streams.process import Rule, Step

type StopOver = StopCompleted | StopFailed | StopSkipped
type TaskOver = TaskCompleted | TaskFailed | TaskReturned | TaskCancelled | TaskForceCompleted | TaskUnassigned


def itinerary(lookup: Lookup) -> list[Rule]:
    async def insert_return(event: ReturnStarted, source: Source) -> Sequence[Step]:
        """The stops that were given up go first; the way back is then all that is left of the task. Another way back,
        where this one has failed meanwhile, is not given up. A carrier has no itinerary."""
        if event.rider_id is None:
            return []
        task = await lookup.task(source.tenant, source.aggregate_id, source)
        back = [stop for stop in task.stops if stop.stop_id == event.stop.stop_id]
        others = [stop for stop in task.stops if stop.kind != "return"]
        return [
            removing(event.rider_id, source, event.round, others, event.reason_code),
            inserting(event.rider_id, source, event.round, back, "insert-return"),
        ]

    async def insert_hold(event: HoldStarted, source: Source) -> Sequence[Step]:
        task = await lookup.task(source.tenant, source.aggregate_id, source)
        hold = [stop for stop in task.stops if stop.stop_id == event.stop.stop_id]
        return [inserting(event.rider_id, source, event.round, hold, "insert-hold")]

    async def windows_of_now(event: TaskAssigned, source: Source) -> Sequence[Step]:
        if event.tender_id is None and event.plan_id is None:
            return []
        task = await lookup.task(source.tenant, source.aggregate_id, source)
        return [
            changing(event.rider_id, source, event.round, stop.stop_id, stop.window)
            for stop in task.ahead
            if task.round == event.round and stop.window is not None
        ]

    return [
        Rule(TaskAssigned, windows_of_now),
        Rule(HoldStarted, insert_hold),
        Rule(StopRescheduled, change_window),
        Rule(ReturnStarted, insert_return),
        *(Rule(fact, stop_over) for fact in (StopCompleted, StopFailed, StopSkipped)),
        *(
            Rule(fact, task_over)
            for fact in (TaskCompleted, TaskFailed, TaskReturned, TaskCancelled, TaskForceCompleted, TaskUnassigned)
        ),
    ]


def removing(rider_id: RiderId, source: Source, task_round: int, stops: list[NewPlannedStop], reason_code: str) -> Step:
    command = RemoveStops(
        task_id=TaskId(source.aggregate_id),
        round=task_round,
        reason_code=reason_code,
        stop_ids=[stop.stop_id for stop in stops],
    )
    return Step(kind="rider", aggregate_id=rider_id, command=command, purpose="remove-given-up")


def inserting(rider_id: RiderId, source: Source, task_round: int, stops: list[NewPlannedStop], purpose: str) -> Step:
    command = InsertStops(task_id=TaskId(source.aggregate_id), round=task_round, stops=stops)
    return Step(kind="rider", aggregate_id=rider_id, command=command, purpose=purpose)


async def change_window(event: StopRescheduled, source: Source) -> Sequence[Step]:
    if event.rider_id is None:
        return []
    return [changing(event.rider_id, source, event.round, event.stop_id, event.window)]


def changing(rider_id: RiderId, source: Source, task_round: int, stop_id: StopId, window: Window) -> Step:
    task_id = TaskId(source.aggregate_id)
    command = ChangePlannedWindow(task_id=task_id, round=task_round, stop_id=stop_id, window=window)
    return Step(kind="rider", aggregate_id=rider_id, command=command, purpose=f"change-window-{stop_id}")


async def stop_over(event: StopOver, source: Source) -> Sequence[Step]:
    if event.rider_id is None:
        return []
    command = RemoveStops(
        task_id=TaskId(source.aggregate_id),
        round=event.round,
        reason_code="stop_over",
        stop_ids=[event.stop_id],
    )
    return [Step(kind="rider", aggregate_id=event.rider_id, command=command, purpose="remove-stop")]


async def task_over(event: TaskOver, source: Source) -> Sequence[Step]:
    if event.rider_id is None:
        return []
    command = RemoveStops(task_id=TaskId(source.aggregate_id), round=event.round, reason_code="task_over")
    return [Step(kind="rider", aggregate_id=event.rider_id, command=command, purpose="remove-all")]
