"""Geofence: a shape on earth that riders enter and leave."""

from datetime import datetime
from typing import assert_never

import msgspec

from commands.context import Context
from commands.directory import NotThere, misplaced
from commands.fence_shape import check_shape
from commands.life import NEW, Life, to, when, within
from schemas.directory import (
    ChangeGeofence,
    CreateGeofence,
    GeofenceChanged,
    GeofenceCommand,
    GeofenceCreated,
    GeofenceEvent,
    GeofenceRemoved,
    RemoveGeofence,
    Shape,
)
from schemas.message import OutletSlug


class FenceState(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    shape: Shape
    valid_from: datetime
    removed: bool = False
    dwell_s: int | None = None


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
            check_shape(command.shape)
            if (command.shape, command.dwell_s) == (fence.shape, fence.dwell_s):
                return []
            valid_from = command.valid_from or context.now
            return [GeofenceChanged(shape=command.shape, dwell_s=command.dwell_s, valid_from=valid_from)]
        case RemoveGeofence(), FenceState(removed=True):
            return []
        case RemoveGeofence(), FenceState():
            return [GeofenceRemoved(valid_until=command.valid_until or context.now)]
        case _:
            raise misplaced(fence)


def created_fence(command: CreateGeofence, context: Context) -> GeofenceCreated:
    check_shape(command.shape)
    return GeofenceCreated(
        name=command.name,
        kind=command.kind,
        shape=command.shape,
        dwell_s=command.dwell_s,
        outlet=OutletSlug(command.outlet) if command.outlet else None,
        valid_from=command.valid_from or context.now,
        external_reference=command.external_reference,
        source=command.source or context.actor,
        metadata=command.metadata,
    )


def evolve(fence: Geofence, event: GeofenceEvent) -> Geofence:
    match event:
        case GeofenceCreated() | GeofenceChanged():
            return FenceState(event.shape, event.valid_from, dwell_s=event.dwell_s)
        case GeofenceRemoved():
            assert isinstance(fence, FenceState), "only a fence is removed"
            return msgspec.structs.replace(fence, removed=True)
        case _:
            assert_never(event)
