"""Pick wave: tasks whose goods are picked together, and which come to dispatch together."""

from datetime import datetime

from schemas.message import (
    Code,
    Command,
    Event,
    ExternalReference,
    Metadata,
    Moment,
    OutletSlug,
    ReferenceSource,
    Slug,
    TaskId,
)

MAX_WAVE_TASKS = 500


# What can be asked


class CreatePickWave(Command, frozen=True, kw_only=True):
    """Tasks join it by naming it at their own creation. Until it is released they wait, their goods expected at
    `goods_ready_at`."""

    outlet: Slug
    goods_ready_at: Moment
    external_reference: ExternalReference = None
    source: ReferenceSource = None
    metadata: Metadata = {}


class RetimePickWave(Command, frozen=True, kw_only=True):
    """The goods of all its tasks are expected at another time."""

    goods_ready_at: Moment


class ReleasePickWave(Command, frozen=True, kw_only=True):
    """All is picked: the goods are ready now, and all its tasks come to dispatch together."""


class CancelPickWave(Command, frozen=True, kw_only=True):
    """It is not picked. Its tasks stay where they are until a person decides for each."""

    reason_code: Code


class JoinPickWave(Command, frozen=True, kw_only=True):
    """Sent when a task that names it was created, with the task's outlet. Late is normal: what joins a released wave is
    released at once."""

    task_id: TaskId
    outlet: OutletSlug | None = None


class ConfirmPickWave(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where there is no such wave, or it is of another outlet than the task that names it."""

    outlet: OutletSlug


class LeavePickWave(Command, frozen=True, kw_only=True):
    """Sent when a task was cancelled, or let go, before it was released with the wave."""

    task_id: TaskId


type PickWaveCommand = (
    CreatePickWave | RetimePickWave | ReleasePickWave | CancelPickWave | ConfirmPickWave | JoinPickWave | LeavePickWave
)


# What can happen


class PickWaveCreated(Event, frozen=True, kw_only=True):
    outlet: OutletSlug
    goods_ready_at: datetime
    external_reference: str | None
    source: str
    metadata: dict[str, str]


class PickWaveJoined(Event, frozen=True, kw_only=True):
    """`revision` counts what the wave has said to all its tasks, from 1."""

    task_id: TaskId
    revision: int
    goods_ready_at: datetime
    released: bool


class PickWaveLeft(Event, frozen=True, kw_only=True):
    task_id: TaskId


class PickWaveRetimed(Event, frozen=True, kw_only=True):
    """`task_ids` are those who have to be told, as in the events that follow."""

    revision: int
    goods_ready_at: datetime
    task_ids: list[TaskId]


class PickWaveReleased(Event, frozen=True, kw_only=True):
    revision: int
    released_at: datetime
    task_ids: list[TaskId]


class PickWaveCancelled(Event, frozen=True, kw_only=True):
    reason_code: str
    task_ids: list[TaskId]


type PickWaveEvent = (
    PickWaveCreated | PickWaveJoined | PickWaveLeft | PickWaveRetimed | PickWaveReleased | PickWaveCancelled
)
