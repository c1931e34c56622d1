"""Pick wave: planned until all is picked and its tasks are released together, or until it is cancelled."""

from datetime import datetime
from typing import Literal, assert_never

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.life import NEW, Life, to, when, within
from commands.refusals import TooMany
from schemas.message import NotInThisState, OutletSlug, Refused, TaskId
from schemas.pick_wave import (
    MAX_WAVE_TASKS,
    CancelPickWave,
    ConfirmPickWave,
    CreatePickWave,
    JoinPickWave,
    LeavePickWave,
    PickWaveCancelled,
    PickWaveCommand,
    PickWaveCreated,
    PickWaveEvent,
    PickWaveJoined,
    PickWaveLeft,
    PickWaveReleased,
    PickWaveRetimed,
    ReleasePickWave,
    RetimePickWave,
)


class PickWaveOfAnotherOutlet(Refused):
    rule = "pick-wave-of-another-outlet"
    is_about = ("pick_wave",)

    def __init__(self, outlet: str, task_outlet: str) -> None:
        super().__init__(f"the pick wave is of the outlet {outlet}, the task of {task_outlet}")
        self.outlet = outlet
        self.task_outlet = task_outlet


type WaveStatus = Literal["planned", "released", "cancelled"]


class Uncreated(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


class CreatedWave(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True, gc=False):
    """`goods_ready_at` of a released wave is when it was released."""

    status: WaveStatus = "planned"
    outlet: OutletSlug
    goods_ready_at: datetime
    revision: int = 1
    tasks: tuple[TaskId, ...] = ()


type PickWave = Uncreated | CreatedWave


def status_of(wave: PickWave) -> str:
    return NEW if isinstance(wave, Uncreated) else wave.status


def is_over(wave: PickWave) -> bool:
    """One that is released still takes who comes late, as what is over does."""
    return isinstance(wave, CreatedWave) and wave.status != "planned"


LIFE = Life(
    status_of,
    {
        PickWaveCreated: to("planned", NEW),
        PickWaveJoined: within("planned", "released"),
        PickWaveLeft: within("planned", "released"),
        PickWaveRetimed: within("planned"),
        PickWaveReleased: to("released", "planned"),
        PickWaveCancelled: to("cancelled", "planned"),
    },
    {
        RetimePickWave: when("planned"),
        ReleasePickWave: when("planned"),
        CancelPickWave: when("planned"),
    },
)


def decide(wave: PickWave, command: PickWaveCommand, context: Context) -> list[PickWaveEvent]:
    match command:
        case CreatePickWave():
            return create(wave, command, context)
        case RetimePickWave():
            return retime(created(wave), command)
        case ReleasePickWave():
            return release(created(wave), context)
        case CancelPickWave():
            return cancel(created(wave), command)
        case ConfirmPickWave():
            of_this_outlet(created(wave), command.outlet)
            return []
        case JoinPickWave():
            return join(created(wave), command)
        case LeavePickWave():
            return leave(created(wave), command)
        case _:
            assert_never(command)


def create(wave: PickWave, command: CreatePickWave, context: Context) -> list[PickWaveEvent]:
    if not isinstance(wave, Uncreated):
        raise NotInThisState(needed="new", actual=wave.status)
    context.policy.outlet(command.outlet)
    made = PickWaveCreated(
        outlet=OutletSlug(command.outlet),
        goods_ready_at=command.goods_ready_at,
        external_reference=command.external_reference,
        source=command.source or context.actor,
        metadata=command.metadata,
    )
    return [made]


def retime(wave: CreatedWave, command: RetimePickWave) -> list[PickWaveEvent]:
    planned(wave)
    if command.goods_ready_at == wave.goods_ready_at:
        return []
    return [
        PickWaveRetimed(revision=wave.revision + 1, goods_ready_at=command.goods_ready_at, task_ids=list(wave.tasks))
    ]


def release(wave: CreatedWave, context: Context) -> list[PickWaveEvent]:
    if wave.status == "released":
        return []
    planned(wave)
    return [PickWaveReleased(revision=wave.revision + 1, released_at=context.now, task_ids=list(wave.tasks))]


def cancel(wave: CreatedWave, command: CancelPickWave) -> list[PickWaveEvent]:
    if wave.status == "cancelled":
        return []
    planned(wave)
    return [PickWaveCancelled(reason_code=command.reason_code, task_ids=list(wave.tasks))]


def join(wave: CreatedWave, command: JoinPickWave) -> list[PickWaveEvent]:
    if command.task_id in wave.tasks:
        return []
    if command.outlet is not None:
        of_this_outlet(wave, command.outlet)
    if wave.status == "cancelled":
        raise NotInThisState(needed="planned or released", actual=wave.status)
    if len(wave.tasks) >= MAX_WAVE_TASKS:
        raise TooMany("tasks in a pick wave", MAX_WAVE_TASKS)
    return [
        PickWaveJoined(
            task_id=command.task_id,
            revision=wave.revision,
            goods_ready_at=wave.goods_ready_at,
            released=wave.status == "released",
        )
    ]


def of_this_outlet(wave: CreatedWave, outlet: OutletSlug) -> None:
    if outlet != wave.outlet:
        raise PickWaveOfAnotherOutlet(wave.outlet, outlet)


def leave(wave: CreatedWave, command: LeavePickWave) -> list[PickWaveEvent]:
    """Also of a wave that was released meanwhile: the task was not released with it."""
    left = wave.status != "cancelled" and command.task_id in wave.tasks
    return [PickWaveLeft(task_id=command.task_id)] if left else []


def created(wave: PickWave) -> CreatedWave:
    if isinstance(wave, Uncreated):
        raise NotInThisState(needed="planned", actual=NEW)
    return wave


def planned(wave: CreatedWave) -> None:
    if wave.status != "planned":
        raise NotInThisState(needed="planned", actual=wave.status)


def evolve(wave: PickWave, event: PickWaveEvent) -> PickWave:
    if isinstance(event, PickWaveCreated):
        return CreatedWave(outlet=event.outlet, goods_ready_at=event.goods_ready_at)
    assert isinstance(wave, CreatedWave), "a wave's first event creates it"
    match event:
        case PickWaveJoined():
            return replace(wave, tasks=(*wave.tasks, event.task_id))
        case PickWaveLeft():
            return replace(wave, tasks=tuple(each for each in wave.tasks if each != event.task_id))
        case PickWaveRetimed():
            return replace(wave, goods_ready_at=event.goods_ready_at, revision=event.revision)
        case PickWaveReleased():
            return replace(wave, status="released", goods_ready_at=event.released_at, revision=event.revision)
        case PickWaveCancelled():
            return replace(wave, status="cancelled")
        case _:
            assert_never(event)
