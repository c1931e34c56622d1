"""When a task comes to dispatch: once it can, nothing holds it, all it waits for is met, and its goods are nearly
ready."""

from datetime import datetime, timedelta

from commands.context import Context
from commands.refusals import NotAnInterval
from commands.task_evolve import evolve
from commands.task_state import (
    OVER,
    CreatedTask,
    StopState,
    Task,
    is_taken,
    known_stop,
    located,
    only_for,
    open_stops,
    state_of,
)
from schemas.message import NotInThisState, Refused
from schemas.task import (
    AuthoriseReturn,
    GoodsReadyUpdated,
    HoldTask,
    ReleaseTask,
    RescheduleStop,
    ReturnAuthorised,
    StartDispatch,
    StopRescheduled,
    TaskDispatchable,
    TaskEvent,
    TaskHeld,
    TaskReleased,
    TaskScheduled,
    UpdateGoodsReady,
)


class NotAPlaceOfGoods(Refused):
    rule = "stops-mismatch"
    stands_in = ("stop_id",)

    def __init__(self, stop_id: str) -> None:
        super().__init__(f"{stop_id} is a dropoff: goods are ready at a pickup or a collection")
        self.stop_id = stop_id


def towards_dispatch(task: Task, context: Context) -> list[TaskEvent]:
    """What follows for dispatch from how the task now stands: it comes there, or another time for it is set."""
    if not isinstance(task, CreatedTask) or not task.waits or task.ended or task.kind == "collection":
        return []
    if not open_stops(task):
        return []  # its goods wait until another attempt is planned
    if kept_back(task):
        return [TaskScheduled(dispatch_at=None)] if task.dispatch_at else []
    at = due_for_dispatch(task)
    if at is None or at <= context.now:
        return [next_round(task, context)]
    return [TaskScheduled(dispatch_at=at)] if at != task.dispatch_at else []


def next_round(task: CreatedTask, context: Context) -> TaskDispatchable:
    """What waits for a window does so by the rules of now, whatever they are when somebody follows it. Where a round
    asks carriers there is nothing to divide."""
    rules = context.policy.rules.dispatch
    step = rules.step(task.round + 1)
    alone = rules.batch is None or task.script is not None or (step is not None and step.to != "riders")
    window_seconds = None if rules.batch is None or alone else rules.batch.window_seconds
    return TaskDispatchable(round=task.round + 1, simulated=task.script, window_seconds=window_seconds)


def kept_back(task: CreatedTask) -> bool:
    return not located(task) or not task.authorised or task.held is not None or bool(task.waiting.awaited)


def due_for_dispatch(task: CreatedTask) -> datetime | None:
    """By the first pickup: so long before its goods are ready, and before its window opens."""
    first = next(stop.stop for stop in open_stops(task) if stop.stop.kind == "pickup")
    times = [first.goods_ready_at, first.window.start if first.window else None]
    latest = max((time for time in times if time is not None), default=None)
    return None if latest is None else latest - timedelta(seconds=task.dispatch_lead_s)


def start_dispatch(task: CreatedTask, command: StartDispatch, context: Context) -> list[TaskEvent]:
    return [] if task.dispatch_at is None else towards_dispatch(task, context)


def authorise_return(task: CreatedTask, command: AuthoriseReturn, context: Context) -> list[TaskEvent]:
    only_for(task, command)
    if task.authorised:
        return []
    not_ended(task)
    return followed(task, ReturnAuthorised(authorisation=command.authorisation), context)


def update_goods_ready(task: CreatedTask, command: UpdateGoodsReady, context: Context) -> list[TaskEvent]:
    stop = known_stop(task, command.stop_id)
    if stop.stop.kind not in ("pickup", "collection"):
        raise NotAPlaceOfGoods(command.stop_id)
    open_still(task, stop)
    if (stop.stop.goods_ready_at, stop.goods_ready) == (command.ready_at, command.actual):
        return []
    updated = GoodsReadyUpdated(stop_id=command.stop_id, ready_at=command.ready_at, actual=command.actual)
    return followed(task, updated, context)


def reschedule_stop(task: CreatedTask, command: RescheduleStop, context: Context) -> list[TaskEvent]:
    stop = known_stop(task, command.stop_id)
    if command.window.end <= command.window.start:
        raise NotAnInterval(command.window.start, command.window.end)
    open_still(task, stop)
    if stop.stop.window == command.window:
        return []
    moved = StopRescheduled(
        stop_id=command.stop_id,
        window=command.window,
        reason_code=command.reason_code,
        rider_id=task.rider_id,
        round=task.round,
    )
    return followed(task, moved, context)


def hold_task(task: CreatedTask, command: HoldTask, context: Context) -> list[TaskEvent]:
    """What somebody has goes on; what is offered is offered to its end, and not again."""
    if task.held:
        return []
    not_ended(task)
    if is_taken(task) or task.kind == "collection":
        raise NotInThisState(needed="not yet assigned", actual=state_of(task))
    return followed(task, TaskHeld(reason_code=command.reason_code), context)


def release_task(task: CreatedTask, command: ReleaseTask, context: Context) -> list[TaskEvent]:
    if not task.held:
        return []
    not_ended(task)
    released = TaskReleased(reason_code=command.reason_code)
    if not open_stops(task):
        raise NotInThisState(needed="another attempt", actual=state_of(task))
    if not task.waits and task.tender_id is None and task.closed_round == task.round and not is_taken(task):
        return [released, next_round(task, context)]
    return followed(task, released, context)


def followed(task: CreatedTask, event: TaskEvent, context: Context) -> list[TaskEvent]:
    return [event, *towards_dispatch(evolve(task, event), context)]


def open_still(task: CreatedTask, stop: StopState) -> None:
    not_ended(task)
    if stop.status in OVER or stop.handed_over:
        raise NotInThisState(needed="a stop that is ahead", actual=stop.status)


def not_ended(task: CreatedTask) -> None:
    if task.ended:
        raise NotInThisState(needed="not ended", actual=task.ended)
