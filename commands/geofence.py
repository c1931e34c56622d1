"""Geofence: a shape on earth that riders enter and leave."""

from datetime import datetime
from itertools import pairwise
from typing import assert_never

import msgspec
import shapely

from commands.context import Context
from commands.directory import NotThere, misplaced
from commands.life import NEW, Life, to, when, within
from schemas.directory import (
    ChangeGeofence,
    Circle,
    CreateGeofence,
    GeofenceChanged,
    GeofenceCommand,
    GeofenceCreated,
    GeofenceEvent,
    GeofenceRemoved,
    Polygon,
    RemoveGeofence,
    Vertex,
)
from schemas.message import OutletSlug, Refused
from schemas.outline import enclosed


class InvalidShape(Refused):
    rule = "invalid-shape"
    is_about = ("shape",)

    def __init__(self, problem: str) -> None:
        super().__init__(f"the shape is not valid: {problem}")
        self.problem = problem


class FenceState(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    shape: Circle | Polygon
    valid_from: datetime
    removed: bool = False


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
            if command.shape == fence.shape:
                return []
            return [GeofenceChanged(shape=command.shape, valid_from=command.valid_from or context.now)]
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
        outlet=OutletSlug(command.outlet) if command.outlet else None,
        valid_from=command.valid_from or context.now,
        external_reference=command.external_reference,
        source=command.source or context.actor,
        metadata=command.metadata,
    )


def evolve(fence: Geofence, event: GeofenceEvent) -> Geofence:
    match event:
        case GeofenceCreated() | GeofenceChanged():
            return FenceState(event.shape, event.valid_from)
        case GeofenceRemoved():
            assert isinstance(fence, FenceState), "only a fence is removed"
            return msgspec.structs.replace(fence, removed=True)
        case _:
            assert_never(event)


def check_shape(shape: Circle | Polygon) -> None:
    """Raises InvalidShape, saying where: rings are closed, holes lie inside, nothing crosses itself."""
    if isinstance(shape, Circle):
        return
    for number, ring in enumerate(shape.rings):
        check_ring(number, ring)
    polygon = enclosed(shape)
    if not polygon.is_valid:
        raise InvalidShape(str(shapely.is_valid_reason(polygon)))
    if polygon.area == 0:
        raise InvalidShape("it encloses no area")


def check_ring(number: int, ring: list[Vertex]) -> None:
    if ring[0] != ring[-1]:
        raise InvalidShape(f"ring {number} is not closed: its last vertex must be its first")
    for place, (one, other) in enumerate(pairwise(ring)):
        if abs(one[0] - other[0]) > 180:
            raise InvalidShape(f"ring {number} crosses the antimeridian after vertex {place}; split it there")
