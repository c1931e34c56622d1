"""What waits for what: a task is kept from dispatch until other tasks have ended well, or its pick wave is released."""

from typing import Annotated, Literal

import msgspec

from schemas.message import Code, Command, Count, Event, Id, Moment, TaskId

MAX_DEPENDS_ON = 20
MAX_DEPENDENTS = 200
"""Tasks that wait for one."""

DEPENDENCY_ANSWERED = "dependency-answered"
"""The rule by which nothing is left to be done."""

AwaitedKind = Literal["task", "pick_wave"]

DependsOn = Annotated[list[Id], msgspec.Meta(max_length=MAX_DEPENDS_ON)]


# What can be asked


class ConfirmDependency(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where the task does not wait for it any more: who comes back to it later has nothing to
    do."""

    on: Id


class AddDependent(Command, frozen=True, kw_only=True):
    """Sent to the task that another waits for."""

    task_id: TaskId


class AnswerDependency(Command, frozen=True, kw_only=True):
    """Sent when it is known how what the task waits for has ended. Without a `reason_code` it is met."""

    on: Id
    reason_code: Code | None = None


class FollowPickWave(Command, frozen=True, kw_only=True):
    """Sent when its wave has another time, or is released. What has a lower `revision` was told before."""

    pick_wave: Id
    revision: Count
    ready_at: Moment
    released: bool


class WaiveDependency(Command, frozen=True, kw_only=True):
    """The task waits no more for this task or pick wave, however that ends."""

    on: Id
    reason_code: Code


type WaitingCommand = ConfirmDependency | AddDependent | AnswerDependency | FollowPickWave | WaiveDependency


# What can happen


class DependencyDeclared(Event, frozen=True, kw_only=True):
    """The task does not come to dispatch before this task has ended well, or this pick wave is released."""

    kind: AwaitedKind
    on: str


class DependencyMet(Event, frozen=True, kw_only=True):
    kind: AwaitedKind
    on: str


class DependencyFailed(Event, frozen=True, kw_only=True):
    """It will not be met: the task stays where it is until a person decides."""

    kind: AwaitedKind
    on: str
    reason_code: str


class DependencyWaived(Event, frozen=True, kw_only=True):
    kind: AwaitedKind
    on: str
    reason_code: str


class DependencyDropped(Event, frozen=True, kw_only=True):
    """The task has ended while it waited."""

    kind: AwaitedKind
    on: str


class DependentAdded(Event, frozen=True, kw_only=True):
    """Another task waits for this one."""

    task_id: TaskId


class DependentsAnswered(Event, frozen=True, kw_only=True):
    """Those who wait for this task are told how it ended. Without a `reason_code` it ended well."""

    task_ids: list[TaskId]
    reason_code: str | None


class PickWaveFollowed(Event, frozen=True, kw_only=True):
    """What its wave has said up to this revision is done."""

    pick_wave: str
    revision: int


WAITING_EVENTS = (
    DependencyDeclared,
    DependencyMet,
    DependencyFailed,
    DependencyWaived,
    DependencyDropped,
    DependentAdded,
    DependentsAnswered,
    PickWaveFollowed,
)
type WaitingEvent = (
    DependencyDeclared
    | DependencyMet
    | DependencyFailed
    | DependencyWaived
    | DependencyDropped
    | DependentAdded
    | DependentsAnswered
    | PickWaveFollowed
)
