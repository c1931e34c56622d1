"""Riders for tests, as far as a story needs them: registered, approved, on shift, reserved, under way."""

from collections.abc import Sequence
from datetime import datetime

from story import KAMPPI, Story, minutes, nothing_yet

from schemas.geo import Window
from schemas.load import Load
from schemas.message import DocumentId, StopId, TaskId, TenderId
from schemas.rider import (
    ActivateReservation,
    ApproveRider,
    NewPlannedStop,
    RegisterRider,
    ReserveRider,
    StartShift,
    SubmitDocument,
    VerifyDocument,
)

TASK, OTHER = TaskId("task-1"), TaskId("task-2")
TENDER = TenderId("tender-1")
PICKUP, DROPOFF = StopId("stop-1"), StopId("stop-2")


PARCEL = Load(weight_g=1_000, volume_cm3=1_000, parcels=1)


def stops(load: Load = PARCEL, window: Window | None = None) -> list[NewPlannedStop]:
    off = Load(weight_g=-load.weight_g, volume_cm3=-load.volume_cm3, parcels=-load.parcels)
    return [
        NewPlannedStop(stop_id=PICKUP, kind="pickup", subject="s", location=KAMPPI, load=load),
        NewPlannedStop(stop_id=DROPOFF, kind="dropoff", subject="s", location=KAMPPI, load=off, window=window),
    ]


def reserve(
    task: TaskId = TASK,
    *,
    load: Load = PARCEL,
    task_round: int = 1,
    window: Window | None = None,
    hold_until: datetime | None = None,
) -> ReserveRider:
    return ReserveRider(
        task_id=task,
        round=task_round,
        tender_id=TENDER,
        hold_until=hold_until or minutes(1),
        stops=stops(load, window),
    )


def within(start: float, end: float) -> Window:
    """In minutes after noon."""
    return Window(start=minutes(start), end=minutes(end))


def registered() -> Story:
    return nothing_yet("rider").when(RegisterRider(name="Ann", capacity_g=5_000)).happened()


def approved() -> Story:
    return registered().when(ApproveRider()).happened()


def on_shift(story: Story | None = None, until: float = 480) -> Story:
    started = StartShift(ends_at=minutes(until), shift_id="early", location=KAMPPI)
    return (story or approved()).when(started).happened()


def reserved() -> Story:
    return on_shift().when(reserve()).happened()


def underway(story: Story | None = None) -> Story:
    return (story or reserved()).when(ActivateReservation(task_id=TASK, round=1)).happened()


def with_licence(spans: Sequence[tuple[float, float]], story: Story | None = None, kind: str = "licence") -> Story:
    """One document for each span, in minutes after noon, verified."""
    told = story or approved()
    for number, (start, end) in enumerate(spans, start=1):
        document = f"{kind}-{number}"
        told = told.when(SubmitDocument(document_id=document, kind=kind)).happened()
        verify = VerifyDocument(document_id=DocumentId(document), valid_from=minutes(start), expires_at=minutes(end))
        told = told.when(verify).happened()
    return told
