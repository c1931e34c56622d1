"""What waits for what: a task is kept from dispatch until other tasks have ended well, or its pick wave is released."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.message import Code, Command, Count, Event, Id, Input, Moment, TaskId

MAX_DEPENDS_ON = 20
MAX_DEPENDENTS = 200
"""Tasks that wait for one."""

MAX_HOPS = 50
"""A longer circle is not found."""
MAX_LOOKED = 500
"""So many looks for a circle pass through one task."""

ASKED_AGAIN_AFTER_S = (5, 30, 120)
"""What nobody knows may be there a moment later, as a clone is. After that many times it will not be."""

DEPENDENCY_ANSWERED = "dependency-answered"
"""The rule by which nothing is left to be done."""

AwaitedKind = Literal["task", "pick_wave"]

DependsOn = Annotated[list[Id], msgspec.Meta(max_length=MAX_DEPENDS_ON)]


class Wait(Input, frozen=True, kw_only=True, order=True):
    """Of a circle the least one fails: the same, whoever finds it."""

    task_id: TaskId
    on: Id


# What can be asked


class ConfirmDependency(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where the task does not wait for it any more, or has asked for it again since: who comes
    back to it later has nothing to do."""

    on: Id
    number: Count = 0


class AddDependent(Command, frozen=True, kw_only=True):
    """Sent to the task that another waits for."""

    task_id: TaskId


class LookForCircle(Command, frozen=True, kw_only=True):
    """Sent along what is waited for, task by task: whether that leads back to `task_id`, which waits for `on`."""

    task_id: TaskId
    on: Id
    gives_way: Wait
    hops: Count


class AnswerDependency(Command, frozen=True, kw_only=True):
    """Sent when it is known how what the task waits for has ended. Without a `reason_code` it is met."""

    on: Id
    reason_code: Code | None = None


class RecordDependencyUnknown(Command, frozen=True, kw_only=True):
    """Sent when nobody knows what the task waits for, though it was asked for `number` times again."""

    on: Id
    number: Count


class AskForDependency(Command, frozen=True, kw_only=True):
    """Sent when it is time to; firing early or twice changes nothing."""

    on: Id
    number: Count


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


type WaitingCommand = (
    ConfirmDependency
    | AddDependent
    | LookForCircle
    | AnswerDependency
    | RecordDependencyUnknown
    | AskForDependency
    | FollowPickWave
    | WaiveDependency
)


# What can happen


class DependencyDeclared(Event, frozen=True, kw_only=True):
    """The task does not come to dispatch before this task has ended well, or this pick wave is released."""

    kind: AwaitedKind
    on: str


class DependencyNotFound(Event, frozen=True, kw_only=True):
    """Nobody knows it, or not yet: it is asked for again then, for the time of that `number`."""

    kind: AwaitedKind
    on: str
    number: int
    ask_again_at: datetime


class DependencyAskedFor(Event, frozen=True, kw_only=True):
    """Again, for the time of that number."""

    kind: AwaitedKind
    on: str
    number: int


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


class CircleLookedFor(Event, frozen=True, kw_only=True):
    """`task_id` waits for `on`, and behind that for this task. This one waits for `awaited`, where it is looked next,
    and has asked for that so many times again. If that is `task_id`, all on the way wait for each other."""

    task_id: TaskId
    on: str
    gives_way: Wait
    hops: int
    awaited: TaskId
    number: int


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
    DependencyNotFound,
    DependencyAskedFor,
    DependencyMet,
    DependencyFailed,
    DependencyWaived,
    DependencyDropped,
    DependentAdded,
    CircleLookedFor,
    DependentsAnswered,
    PickWaveFollowed,
)
type WaitingEvent = (
    DependencyDeclared
    | DependencyNotFound
    | DependencyAskedFor
    | DependencyMet
    | DependencyFailed
    | DependencyWaived
    | DependencyDropped
    | DependentAdded
    | CircleLookedFor
    | DependentsAnswered
    | PickWaveFollowed
)
