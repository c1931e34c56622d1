"""Tenants, outlets and geofences: what all other decisions go by."""

from datetime import datetime
from itertools import pairwise
from typing import assert_never
from zoneinfo import ZoneInfo

import msgspec
import shapely

from commands.context import Context
from schemas.directory import (
    ChangeGeofence,
    ChangeTenantRules,
    Circle,
    CreateGeofence,
    CreateOutlet,
    CreateTenant,
    GeofenceChanged,
    GeofenceCommand,
    GeofenceCreated,
    GeofenceEvent,
    GeofenceRemoved,
    MoveOutlet,
    OutletCommand,
    OutletCreated,
    OutletEvent,
    OutletMoved,
    Polygon,
    RemoveGeofence,
    TenantCommand,
    TenantCreated,
    TenantEvent,
    TenantMode,
    TenantRules,
    TenantRulesChanged,
    Vertex,
)
from schemas.geo import Location
from schemas.message import NotInThisState, OutletSlug, Refused, TenantSlug


class UnknownZone(Refused):
    rule = "unknown-zone"

    def __init__(self, zone: str) -> None:
        super().__init__(f"{zone} is not an IANA time zone")
        self.zone = zone


class InvalidShape(Refused):
    rule = "invalid-shape"

    def __init__(self, problem: str) -> None:
        super().__init__(f"the shape is not valid: {problem}")
        self.problem = problem


class NotThere(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """Before the first event."""


class TenantState(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    mode: TenantMode
    rules: TenantRules


class OutletState(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    location: Location
    address: str | None


class FenceState(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    shape: Circle | Polygon
    valid_from: datetime
    removed: bool = False


type Tenant = NotThere | TenantState
type Outlet = NotThere | OutletState
type Geofence = NotThere | FenceState


def decide_tenant(tenant: Tenant, command: TenantCommand, context: Context) -> list[TenantEvent]:
    match command, tenant:
        case CreateTenant(), NotThere():
            created = TenantCreated(
                tenant=TenantSlug(command.tenant), name=command.name, mode=command.mode, rules=command.rules
            )
            return [created]
        case ChangeTenantRules(), TenantState():
            return [] if command.rules == tenant.rules else [TenantRulesChanged(rules=command.rules)]
        case _:
            raise misplaced(tenant)


def evolve_tenant(tenant: Tenant, event: TenantEvent) -> Tenant:
    match event:
        case TenantCreated():
            return TenantState(event.mode, event.rules)
        case TenantRulesChanged():
            assert isinstance(tenant, TenantState), "rules change on a tenant"
            return msgspec.structs.replace(tenant, rules=event.rules)
        case _:
            assert_never(event)


def decide_outlet(outlet: Outlet, command: OutletCommand, context: Context) -> list[OutletEvent]:
    match command, outlet:
        case CreateOutlet(), NotThere():
            assert context.policy, "the tenant is known"
            known_zone(command.zone)
            created = OutletCreated(
                outlet=OutletSlug(command.outlet),
                name=command.name,
                location=command.location,
                zone=command.zone,
                address=command.address,
                metadata=command.metadata,
            )
            return [created]
        case MoveOutlet(), OutletState():
            if OutletState(command.location, command.address) == outlet:
                return []
            return [OutletMoved(location=command.location, address=command.address)]
        case _:
            raise misplaced(outlet)


def evolve_outlet(outlet: Outlet, event: OutletEvent) -> Outlet:
    match event:
        case OutletCreated() | OutletMoved():
            return OutletState(event.location, event.address)
        case _:
            assert_never(event)


def known_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as unknown:
        raise UnknownZone(zone) from unknown


def decide_geofence(fence: Geofence, command: GeofenceCommand, context: Context) -> list[GeofenceEvent]:
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


def evolve_geofence(fence: Geofence, event: GeofenceEvent) -> Geofence:
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
    polygon = shapely.Polygon(shape.rings[0], shape.rings[1:])
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


def misplaced(state: Tenant | Outlet | Geofence) -> Refused:
    match state:
        case NotThere():
            return NotInThisState(needed="created", actual="new")
        case FenceState(removed=True):
            return NotInThisState(needed="present", actual="removed")
        case _:
            return NotInThisState(needed="new", actual="created")
