"""What a task waits for is told that it waits, and tells how it ended.

| fact                         | command                                        | refused →                     |
|------------------------------|------------------------------------------------|-------------------------------|
| DependencyDeclared, a task   | ConfirmDependency, then AddDependent (Task)    | AnswerDependency, with why;   |
| DependencyDeclared, a wave   | ConfirmDependency, then JoinPickWave           | RecordDependencyUnknown       |
| DependencyAskedFor           | the same once more                             | where it is not there         |
| CircleLookedFor              | ConfirmDependency, then LookForCircle (Task)   | RecordDependencyUnknown       |
|                              | behind; AnswerDependency, where it is a circle | where it is not there         |
| DependentsAnswered           | AnswerDependency (Task), each                  |                               |
| PickWaveJoined               | FollowPickWave (Task)                          |                               |
| PickWaveRetimed, Released    | FollowPickWave (Task), each                    |                               |
| PickWaveCancelled            | AnswerDependency (Task), each                  |                               |
| DependencyWaived, Dropped    | LeavePickWave, where it was one                |                               |

Before anything the task is asked whether it waits still: who reads the log anew has it wait for nothing that it did not
wait for then, such as a task that was unknown at the time and was created since. What is not there is asked for a few
times again, by deadlines: a clone is there a moment after its id was told.

A circle of two is seen at once. A longer one is looked for: a task that is waited for, and itself waits, has it asked
along what it waits for whether that leads back to who waits. Where it does, one wait of the circle has failed, the same
whoever finds it. Whichever task of a circle came last, all others are there when it is told who waits for it.
"""

from collections.abc import Sequence

from schemas.message import Command, Source, TaskId, UnknownAggregate
from schemas.pick_wave import (
    JoinPickWave,
    LeavePickWave,
    PickWaveCancelled,
    PickWaveJoined,
    PickWaveReleased,
    PickWaveRetimed,
)
from schemas.waiting import (
    DEPENDENCY_ANSWERED,
    AddDependent,
    AnswerDependency,
    CircleLookedFor,
    ConfirmDependency,
    DependencyAskedFor,
    DependencyDeclared,
    DependencyDropped,
    DependencyWaived,
    DependentsAnswered,
    FollowPickWave,
    LookForCircle,
    RecordDependencyUnknown,
    Wait,
)
from streams.process import NotAllowed, Rule, Step

WHY = {
    ("circular-dependency", "task"): "circular_dependency",
    ("too-many", "task"): "too_many_dependents",
    ("too-many", "pick_wave"): "pick_wave_full",
    ("not-in-this-state", "pick_wave"): "pick_wave_cancelled",
    ("pick-wave-of-another-outlet", "pick_wave"): "pick_wave_of_another_outlet",
}


type Asked = DependencyDeclared | DependencyAskedFor


def number_of(event: Asked) -> int:
    """How often it was asked for again."""
    return event.number if isinstance(event, DependencyAskedFor) else 0


async def tell_awaited(event: Asked, source: Source) -> Sequence[Step]:
    task_id = TaskId(source.aggregate_id)
    confirmed = ConfirmDependency(on=event.on, number=number_of(event))
    waits: Command = AddDependent(task_id=task_id)
    if event.kind == "pick_wave":
        waits = JoinPickWave(task_id=task_id, outlet=source.outlet)
    return [
        Step(kind="task", aggregate_id=task_id, command=confirmed, purpose="confirm"),
        Step(kind=event.kind, aggregate_id=event.on, command=waits, purpose="wait"),
    ]


def not_possible(event: Asked, source: Source, refused: NotAllowed) -> Sequence[Step]:
    if refused.rule == DEPENDENCY_ANSWERED:
        return []
    if refused.rule == UnknownAggregate.rule:
        return [recording_unknown(source, event.on, number_of(event))]
    reason_code = WHY.get((refused.rule, event.kind), refused.reason_code)
    return [answering(source.aggregate_id, event.on, reason_code)]


async def look_further(event: CircleLookedFor, source: Source) -> Sequence[Step]:
    """The least of the waits on the way fails, once it is known that they are a circle."""
    task_id = TaskId(source.aggregate_id)
    gives_way = min(event.gives_way, Wait(task_id=task_id, on=event.awaited))
    if event.awaited == event.task_id:
        return [answering(gives_way.task_id, gives_way.on, "circular_dependency")]
    confirmed = ConfirmDependency(on=event.awaited, number=event.number)
    further = LookForCircle(task_id=event.task_id, on=event.on, gives_way=gives_way, hops=event.hops + 1)
    return [
        Step(kind="task", aggregate_id=task_id, command=confirmed, purpose="confirm"),
        Step(kind="task", aggregate_id=event.awaited, command=further, purpose="look-for-circle"),
    ]


def led_nowhere(event: CircleLookedFor, source: Source, refused: NotAllowed) -> Sequence[Step]:
    if refused.rule != UnknownAggregate.rule:
        return []
    return [recording_unknown(source, event.awaited, event.number)]


async def answer_dependents(event: DependentsAnswered, source: Source) -> Sequence[Step]:
    return [answering(task_id, source.aggregate_id, event.reason_code) for task_id in event.task_ids]


async def answer_joined(event: PickWaveJoined, source: Source) -> Sequence[Step]:
    told = FollowPickWave(
        pick_wave=source.aggregate_id,
        revision=event.revision,
        ready_at=event.goods_ready_at,
        released=event.released,
    )
    return [following(event.task_id, told)]


async def retime_tasks(event: PickWaveRetimed, source: Source) -> Sequence[Step]:
    told = FollowPickWave(
        pick_wave=source.aggregate_id, revision=event.revision, ready_at=event.goods_ready_at, released=False
    )
    return [following(task_id, told) for task_id in event.task_ids]


async def release_tasks(event: PickWaveReleased, source: Source) -> Sequence[Step]:
    told = FollowPickWave(
        pick_wave=source.aggregate_id, revision=event.revision, ready_at=event.released_at, released=True
    )
    return [following(task_id, told) for task_id in event.task_ids]


async def put_to_a_person(event: PickWaveCancelled, source: Source) -> Sequence[Step]:
    return [answering(task_id, source.aggregate_id, "pick_wave_cancelled") for task_id in event.task_ids]


async def leave_wave(event: DependencyWaived | DependencyDropped, source: Source) -> Sequence[Step]:
    if event.kind != "pick_wave":
        return []
    left = LeavePickWave(task_id=TaskId(source.aggregate_id))
    return [Step(kind="pick_wave", aggregate_id=event.on, command=left, purpose="leave")]


def recording_unknown(source: Source, on: str, number: int) -> Step:
    unknown = RecordDependencyUnknown(on=on, number=number)
    return Step(kind="task", aggregate_id=source.aggregate_id, command=unknown, purpose="record-unknown")


def answering(task_id: str, on: str, reason_code: str | None) -> Step:
    command = AnswerDependency(on=on, reason_code=reason_code)
    return Step(kind="task", aggregate_id=task_id, command=command, purpose=f"answer-{task_id}")


def following(task_id: str, command: FollowPickWave) -> Step:
    return Step(kind="task", aggregate_id=task_id, command=command, purpose=f"follow-{task_id}")


WAITING = (
    Rule(DependencyDeclared, tell_awaited, not_possible),
    Rule(DependencyAskedFor, tell_awaited, not_possible),
    Rule(CircleLookedFor, look_further, led_nowhere),
    Rule(DependentsAnswered, answer_dependents, apart=True),
    Rule(PickWaveJoined, answer_joined),
    Rule(PickWaveRetimed, retime_tasks, apart=True),
    Rule(PickWaveReleased, release_tasks, apart=True),
    Rule(PickWaveCancelled, put_to_a_person, apart=True),
    Rule(DependencyWaived, leave_wave),
    Rule(DependencyDropped, leave_wave),
)
