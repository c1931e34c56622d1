"""What a task waits for before it comes to dispatch: other tasks, and its pick wave.

Each is one wait in one list, and it is answered once: met, or failed, after which a person waives it or cancels the
task. A task that has ended answers those that wait for it, whenever they ask.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import assert_never

from commands.context import Context
from commands.refusals import TooMany
from commands.sla_clock import DELIVERED
from commands.task_evolve import evolved
from commands.task_state import CreatedTask, NotForThisKind, Task, created, open_stops
from commands.task_timing import kept_back, next_round, not_ended, towards_dispatch
from commands.waiting_state import Awaited, open_wait
from schemas.message import Refused, TaskId
from schemas.task import CreateTask, GoodsReadyUpdated, TaskEvent
from schemas.waiting import (
    ASKED_AGAIN_AFTER_S,
    DEPENDENCY_ANSWERED,
    MAX_DEPENDENTS,
    MAX_HOPS,
    MAX_LOOKED,
    AddDependent,
    AnswerDependency,
    AskForDependency,
    CircleLookedFor,
    ConfirmDependency,
    DependencyAskedFor,
    DependencyDeclared,
    DependencyDropped,
    DependencyFailed,
    DependencyMet,
    DependencyNotFound,
    DependencyWaived,
    DependentAdded,
    DependentsAnswered,
    FollowPickWave,
    LookForCircle,
    PickWaveFollowed,
    RecordDependencyUnknown,
    Wait,
    WaitingCommand,
    WaiveDependency,
)


class CircularDependency(Refused):
    rule = "circular-dependency"
    stands_in = ("depends_on",)

    def __init__(self, on: str) -> None:
        super().__init__(f"they would wait for each other: {on} is waited for, or is the task itself")
        self.on = on


class DependencyAnswered(Refused):
    rule = DEPENDENCY_ANSWERED

    def __init__(self, on: str) -> None:
        super().__init__(f"the task does not wait for {on} any more")
        self.on = on


class UnknownDependency(Refused):
    rule = "unknown-dependency"
    stands_in = ("on",)

    def __init__(self, on: str) -> None:
        super().__init__(f"the task does not wait for {on}")
        self.on = on


def declared(command: CreateTask, context: Context) -> list[TaskEvent]:
    """What a new task waits for. Nobody is sent for a collection, so that there is nothing to keep it from."""
    if command.kind == "collection" and (command.depends_on or command.pick_wave):
        field = "depends_on" if command.depends_on else "pick_wave"
        raise NotForThisKind("delivery", command.kind, field)
    if context.aggregate_id in command.depends_on:
        raise CircularDependency(context.aggregate_id)
    tasks = [DependencyDeclared(kind="task", on=on) for on in dict.fromkeys(command.depends_on)]
    wave = [] if command.pick_wave is None else [DependencyDeclared(kind="pick_wave", on=command.pick_wave)]
    return [*tasks, *wave]


def decide_waiting(task: CreatedTask, command: WaitingCommand, context: Context) -> list[TaskEvent]:
    match command:
        case ConfirmDependency():
            return confirm(task, command)
        case AddDependent():
            return add_dependent(task, command, context)
        case LookForCircle():
            return look_for_circle(task, command)
        case AnswerDependency():
            return answer(task, command, context)
        case RecordDependencyUnknown():
            return not_found(task, command, context)
        case AskForDependency():
            return ask_again(task, command, context)
        case FollowPickWave():
            return follow_pick_wave(task, command, context)
        case WaiveDependency():
            return waive(task, command, context)
        case _:
            assert_never(command)


def confirm(task: CreatedTask, command: ConfirmDependency) -> list[TaskEvent]:
    if asked_for(task, command) is None:
        raise DependencyAnswered(command.on)
    return []


def asked_for(task: CreatedTask, command: ConfirmDependency | RecordDependencyUnknown) -> Awaited | None:
    """What the task waits for, where it was asked for that often and nobody has said yet that it is unknown."""
    awaited = None if task.ended else open_wait(task.waiting, command.on)
    is_asked = awaited is not None and awaited.ask_again_at is None and awaited.asked == command.number
    return awaited if is_asked else None


def not_found(task: CreatedTask, command: RecordDependencyUnknown, context: Context) -> list[TaskEvent]:
    awaited = asked_for(task, command)
    if awaited is None:
        return []
    if command.number >= len(ASKED_AGAIN_AFTER_S):
        return [DependencyFailed(kind=awaited.kind, on=command.on, reason_code=f"unknown_{awaited.kind}")]
    again_at = context.now + timedelta(seconds=ASKED_AGAIN_AFTER_S[command.number])
    return [
        DependencyNotFound(kind=awaited.kind, on=command.on, number=command.number + 1, ask_again_at=again_at),
    ]


def ask_again(task: CreatedTask, command: AskForDependency, context: Context) -> list[TaskEvent]:
    awaited = None if task.ended else open_wait(task.waiting, command.on)
    if awaited is None or awaited.ask_again_at is None or awaited.asked + 1 != command.number:
        return []
    if context.now < awaited.ask_again_at:
        return []
    return [DependencyAskedFor(kind=awaited.kind, on=command.on, number=command.number)]


def add_dependent(task: CreatedTask, command: AddDependent, context: Context) -> list[TaskEvent]:
    """A circle of two is seen here. In a longer one each task sees only its neighbours: it is looked for along them."""
    if command.task_id in task.waiting.dependents:
        return []
    if open_wait(task.waiting, command.task_id) is not None:
        raise CircularDependency(command.task_id)
    if len(task.waiting.dependents) >= MAX_DEPENDENTS:
        raise TooMany("tasks that wait for one", MAX_DEPENDENTS)
    added = DependentAdded(task_id=command.task_id)
    if task.ended:
        return [added, answered(task, [command.task_id])]
    wait = Wait(task_id=command.task_id, on=context.aggregate_id)
    look = LookForCircle(task_id=wait.task_id, on=wait.on, gives_way=wait, hops=0)
    return [added, *look_for_circle(task, look)]


def look_for_circle(task: CreatedTask, command: LookForCircle) -> list[TaskEvent]:
    """Passed on once for each who waits and for each wait that would give way, so that it ends."""
    looked = task.waiting.looked
    among = [each for each in task.waiting.awaited if each.kind == "task" and each.failed is None]
    known = (command.task_id, command.on, command.gives_way) in looked
    if task.ended or known or command.hops >= MAX_HOPS or len(looked) >= MAX_LOOKED:
        return []
    return [
        CircleLookedFor(
            task_id=command.task_id,
            on=command.on,
            gives_way=command.gives_way,
            hops=command.hops,
            awaited=TaskId(each.on),
            number=each.asked,
        )
        for each in among
    ]


def answered(task: CreatedTask, dependents: Iterable[TaskId]) -> DependentsAnswered:
    """It ended well where something was delivered and nothing came back, be it by an operator's word."""
    well = task.ended == "completed" and task.outcome in DELIVERED
    how = task.outcome if task.ended == "completed" else task.ended
    return DependentsAnswered(task_ids=list(dependents), reason_code=None if well else f"task_{how}")


def answer(task: CreatedTask, command: AnswerDependency, context: Context) -> list[TaskEvent]:
    awaited = open_wait(task.waiting, command.on)
    if task.ended or awaited is None:
        return []
    if command.reason_code is not None:
        return [DependencyFailed(kind=awaited.kind, on=command.on, reason_code=command.reason_code)]
    return with_dispatch(task, [DependencyMet(kind=awaited.kind, on=command.on)], context)


def follow_pick_wave(task: CreatedTask, command: FollowPickWave, context: Context) -> list[TaskEvent]:
    """Its goods are ready with those of the wave. Once that is released the task comes to dispatch at once, whatever
    the lead time and its pickup's window, unless something else keeps it."""
    awaited = open_wait(task.waiting, command.pick_wave)
    if task.ended or awaited is None or awaited.revision >= command.revision:
        return []
    ready = goods_ready(task, command)
    if not command.released:
        followed = PickWaveFollowed(pick_wave=command.pick_wave, revision=command.revision)
        return [followed, *ready]
    met = [*ready, DependencyMet(kind=awaited.kind, on=command.pick_wave)]
    if kept_back(created(evolved(task, met))):
        return met
    return [*met, next_round(task, context)]


def goods_ready(task: CreatedTask, command: FollowPickWave) -> list[TaskEvent]:
    first = next(stop for stop in open_stops(task) if stop.stop.kind == "pickup")
    if (first.stop.goods_ready_at, first.goods_ready) == (command.ready_at, command.released):
        return []
    return [GoodsReadyUpdated(stop_id=first.stop.stop_id, ready_at=command.ready_at, actual=command.released)]


def waive(task: CreatedTask, command: WaiveDependency, context: Context) -> list[TaskEvent]:
    not_ended(task)
    awaited = next((each for each in task.waiting.awaited if each.on == command.on), None)
    if awaited is None:
        raise UnknownDependency(command.on)
    waived = DependencyWaived(kind=awaited.kind, on=command.on, reason_code=command.reason_code)
    return with_dispatch(task, [waived], context)


def with_dispatch(task: CreatedTask, events: list[TaskEvent], context: Context) -> list[TaskEvent]:
    return [*events, *towards_dispatch(evolved(task, events), context)]


def with_answers(task: Task, events: list[TaskEvent]) -> list[TaskEvent]:
    """Where the task has ended by these events, those that wait for it are told; it waits for nothing any more."""
    if not isinstance(task, CreatedTask) or task.ended or not events:
        return events
    if not task.waiting.dependents and not task.waiting.awaited:
        return events
    after = created(evolved(task, events))
    if after.ended is None:
        return events
    waiting = after.waiting
    told = [answered(after, waiting.dependents)] if waiting.dependents else []
    dropped = [DependencyDropped(kind=each.kind, on=each.on) for each in waiting.awaited]
    return [*events, *told, *dropped]
