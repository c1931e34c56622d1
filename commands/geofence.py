"""Geofence: a shape on earth that riders enter and leave."""

from datetime import datetime
from typing import assert_never

import msgspec

from commands.context import Context
from commands.directory import NotThere, misplaced
from commands.fence_calendar import check_calendar
from commands.fence_shape import check_shape
from commands.life import NEW, Life, to, when, within
from schemas.calendar import Calendar
from schemas.directory import (
    ChangeGeofence,
    CreateGeofence,
    FenceKind,
    GeofenceChanged,
    GeofenceCommand,
    GeofenceCreated,
    GeofenceEvent,
    GeofenceRemoved,
    RemoveGeofence,
    Shape,
)
from schemas.message import OutletSlug, Refused


class FenceState(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    shape: Shape
    valid_from: datetime
    removed: bool = False
    dwell_s: int | None = None
    calendar: Calendar | None = None
    kind: FenceKind = "custom"


class SoAlready(Refused):
    """From then on nothing would be another."""

    rule = "so-already"
    stands_in = ("valid_from",)

    def __init__(self, valid_from: datetime, since: datetime) -> None:
        super().__init__(
            f"it has this shape, dwell_s and calendar since {since.isoformat()}: nothing would change then"
        )
        self.valid_from = valid_from
        self.since = since


type Geofence = NotThere | FenceState


def status_of(fence: Geofence) -> str:
    if isinstance(fence, NotThere):
        return NEW
    return "removed" if fence.removed else "present"


LIFE = Life(
    status_of,
    {
        GeofenceCreated: to("present", NEW),
        GeofenceChanged: within("present"),
        GeofenceRemoved: to("removed", "present"),
    },
    {
        ChangeGeofence: when("present"),
        RemoveGeofence: when("present"),
    },
)


def decide(fence: Geofence, command: GeofenceCommand, context: Context) -> list[GeofenceEvent]:
    match command, fence:
        case CreateGeofence(), NotThere():
            if command.outlet is not None:
                context.policy.outlet(command.outlet)
            assert context.policy, "the tenant is known"
            return [created_fence(command, context)]
        case ChangeGeofence(), FenceState(removed=False):
            return change(fence, command, context)
        case RemoveGeofence(), FenceState(removed=True):
            return []
        case RemoveGeofence(), FenceState():
            return [GeofenceRemoved(valid_until=command.valid_until or context.now)]
        case _:
            raise misplaced(fence)


def change(fence: FenceState, command: ChangeGeofence, context: Context) -> list[GeofenceEvent]:
    """What is there already, for longer, is told no more. Raises InvalidShape, InvalidCalendar, UnknownZone,
    SoAlready."""
    valid_from = command.valid_from or context.now
    check_shape(command.shape)
    check_calendar(command.calendar, fence.kind, valid_from)
    if same(command, fence):
        if command.valid_from is None or command.valid_from == fence.valid_from:
            return []
        if command.valid_from > fence.valid_from:
            raise SoAlready(command.valid_from, fence.valid_from)
    return [
        GeofenceChanged(shape=command.shape, dwell_s=command.dwell_s, calendar=command.calendar, valid_from=valid_from)
    ]


def same(command: ChangeGeofence, fence: FenceState) -> bool:
    asked = (command.shape, command.dwell_s, command.calendar)
    return asked == (fence.shape, fence.dwell_s, fence.calendar)


def created_fence(command: CreateGeofence, context: Context) -> GeofenceCreated:
    valid_from = command.valid_from or context.now
    check_shape(command.shape)
    check_calendar(command.calendar, command.kind, valid_from)
    return GeofenceCreated(
        name=command.name,
        kind=command.kind,
        shape=command.shape,
        dwell_s=command.dwell_s,
        calendar=command.calendar,
        outlet=OutletSlug(command.outlet) if command.outlet else None,
        valid_from=valid_from,
        external_reference=command.external_reference,
        source=command.source or context.actor,
        metadata=command.metadata,
    )


def evolve(fence: Geofence, event: GeofenceEvent) -> Geofence:
    match event:
        case GeofenceCreated():
            return state_by(event, event.kind)
        case GeofenceChanged():
            assert isinstance(fence, FenceState), "only a fence is changed"
            return state_by(event, fence.kind)
        case GeofenceRemoved():
            assert isinstance(fence, FenceState), "only a fence is removed"
            return msgspec.structs.replace(fence, removed=True)
        case _:
            assert_never(event)


def state_by(event: GeofenceCreated | GeofenceChanged, kind: FenceKind) -> FenceState:
    return FenceState(event.shape, event.valid_from, dwell_s=event.dwell_s, calendar=event.calendar, kind=kind)
