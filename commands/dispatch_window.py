"""Window: open while tasks join it, closed by its time or with the last that it takes, then decided on once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, assert_never

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.life import NEW, Life, to, within
from schemas.dispatch_window import (
    MOST_WINDOW_TASKS,
    CloseWindow,
    DecideWindow,
    JoinWindow,
    TaskJoinedWindow,
    WaitingTask,
    WindowClosed,
    WindowCommand,
    WindowDecided,
    WindowEvent,
    WindowOpened,
    closing,
    number_of,
)
from schemas.message import NotInThisState, TaskId


class Unopened(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


class Joined(msgspec.Struct, frozen=True, array_like=True, gc=False):
    round: int
    since: datetime


class Open(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    closes_at: datetime
    tasks: Mapping[TaskId, Joined] = {}


class Over(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """It is still known who was in it, by the round: who joins late goes elsewhere, who comes again stays."""

    how: Literal["closed", "decided"]
    rounds: Mapping[TaskId, int]


type Window = Unopened | Open | Over


def status_of(window: Window) -> str:
    match window:
        case Unopened():
            return NEW
        case Open():
            return "open"
        case Over():
            return window.how


def is_over(window: Window) -> bool:
    return isinstance(window, Over) and window.how == "decided"


LIFE = Life(
    status_of,
    {
        WindowOpened: to("open", NEW),
        TaskJoinedWindow: within("open"),
        WindowClosed: to("closed", "open"),
        WindowDecided: to("decided", "closed"),
    },
    {},
)


def decide(window: Window, command: WindowCommand, context: Context) -> list[WindowEvent]:
    match command:
        case JoinWindow():
            return join(window, command, context)
        case CloseWindow():
            return close(window, context)
        case DecideWindow():
            return decide_once(window, command)
        case _:
            assert_never(command)


def join(window: Window, command: JoinWindow, context: Context) -> list[WindowEvent]:
    """Who was in it, in this round or a later one, stays; others are refused once it is closed."""
    if round_in(window, command.task_id) >= command.round:
        return []
    opened: list[WindowEvent] = []
    match window:
        case Unopened():
            closes_at = closes_by(command, context.now)
            opened, window = [WindowOpened(closes_at=closes_at, seconds=command.seconds)], Open(closes_at)
        case Over():
            raise NotInThisState(needed="open", actual=window.how)
        case Open():
            pass
    joined = TaskJoinedWindow(task_id=command.task_id, round=command.round, since=command.since)
    full = with_task(window, joined)
    closed = [closed_for("full", full)] if len(full.tasks) >= MOST_WINDOW_TASKS else []
    return [*opened, joined, *closed]


def round_in(window: Window, task_id: TaskId) -> int:
    """0 of a task that is not in it."""
    match window:
        case Unopened():
            return 0
        case Open():
            return window.tasks[task_id].round if task_id in window.tasks else 0
        case Over():
            return window.rounds.get(task_id, 0)


def closes_by(command: JoinWindow, now: datetime) -> datetime:
    """What opens late takes in all that is late with it."""
    if command.closes_at > now:
        return command.closes_at
    return closing(number_of(now, command.seconds), command.seconds)


def close(window: Window, context: Context) -> list[WindowEvent]:
    match window:
        case Open() if context.now >= window.closes_at:
            return [closed_for("time", window)]
        case _:
            return []


def closed_for(reason: Literal["time", "full"], window: Open) -> WindowClosed:
    tasks = [WaitingTask(task_id=task_id, round=t.round, since=t.since) for task_id, t in window.tasks.items()]
    return WindowClosed(reason=reason, tasks=tasks)


def decide_once(window: Window, command: DecideWindow) -> list[WindowEvent]:
    match window:
        case Over(how="decided"):
            return []
        case Over():
            return [
                WindowDecided(
                    given=command.given,
                    left=command.left,
                    gone=command.gone,
                    riders=command.riders,
                    total=command.total,
                    by=command.by,
                    policy_version=command.policy_version,
                    input_hash=command.input_hash,
                    solver=command.solver,
                )
            ]
        case _:
            raise NotInThisState(needed="closed", actual=status_of(window))


def evolve(window: Window, event: WindowEvent) -> Window:
    match event:
        case WindowOpened():
            return Open(event.closes_at)
        case TaskJoinedWindow():
            assert isinstance(window, Open), "only an open window is joined"
            return with_task(window, event)
        case WindowClosed():
            return Over("closed", {each.task_id: each.round for each in event.tasks})
        case WindowDecided():
            assert isinstance(window, Over), "only a closed window is decided on"
            return replace(window, how="decided")
        case _:
            assert_never(event)


def with_task(window: Open, event: TaskJoinedWindow) -> Open:
    return replace(window, tasks={**window.tasks, event.task_id: Joined(event.round, event.since)})
