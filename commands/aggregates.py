"""The kinds of aggregates: where each is stored, what it takes, how it decides and evolves."""

from collections.abc import Callable
from typing import Any

import msgspec

from commands import directory, rider, task, tender, vehicle, vehicle_state
from commands.directory import NotThere
from commands.rider_state import Rider, Unregistered
from commands.task_state import Task, Uncreated, is_over
from schemas.catalog import members_of
from schemas.directory import (
    CreateGeofence,
    CreateOutlet,
    CreateTenant,
    GeofenceCommand,
    GeofenceEvent,
    OutletCommand,
    OutletEvent,
    TenantCommand,
    TenantEvent,
)
from schemas.message import Command, Event
from schemas.rider import RegisterRider, RiderCommand, RiderEvent
from schemas.task import CreateTask, TaskCommand, TaskEvent
from schemas.tender import OpenTender, TenderCommand, TenderEvent
from schemas.topics import DIRECTORY, DISPATCH, FLEET, TASK
from schemas.vehicle import RegisterVehicle, VehicleCommand, VehicleEvent


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    plural: str
    """Its word in the API's paths."""
    topic: str
    creating: type[Command]
    commands: tuple[type[Command], ...]
    events: tuple[type[Event], ...]
    initial: Any
    state: Any
    """The union of its states, by which they are decoded."""
    over: Callable[[Any], bool]
    """Whether nothing more can happen to it."""
    decide: Callable[..., list[Any]]
    evolve: Callable[..., Any]
    evolved: int = 1
    """Grows where the same events lead to another state of the same shape: snapshots are passed over then."""


def never(state: object) -> bool:
    return False


def aggregate(
    kind: str,
    topic: str,
    creating: type[Command],
    words: tuple[Any, Any],
    states: tuple[Any, Any],
    over: Callable[[Any], bool],
    functions: tuple[Callable[..., list[Any]], Callable[..., Any]],
) -> Aggregate:
    """`words` are the unions of its commands and of its events, `states` the union of its states and the first one."""
    commands, events = words
    return Aggregate(
        kind=kind,
        plural=f"{kind}s",
        topic=topic,
        creating=creating,
        commands=tuple(members_of(commands)),
        events=tuple(members_of(events)),
        state=states[0],
        initial=states[1],
        over=over,
        decide=functions[0],
        evolve=functions[1],
    )


AGGREGATES: dict[str, Aggregate] = {
    known.kind: known
    for known in (
        aggregate(
            "task",
            TASK.name,
            CreateTask,
            (TaskCommand, TaskEvent),
            (Task, Uncreated()),
            is_over,
            (task.decide, task.evolve),
        ),
        aggregate(
            "rider",
            FLEET.name,
            RegisterRider,
            (RiderCommand, RiderEvent),
            (Rider, Unregistered()),
            never,
            (rider.decide, rider.evolve),
        ),
        aggregate(
            "vehicle",
            FLEET.name,
            RegisterVehicle,
            (VehicleCommand, VehicleEvent),
            (vehicle_state.Vehicle, vehicle_state.Unregistered()),
            vehicle_state.is_over,
            (vehicle.decide, vehicle.evolve),
        ),
        aggregate(
            "tender",
            DISPATCH.name,
            OpenTender,
            (TenderCommand, TenderEvent),
            (tender.Tender, tender.Unopened()),
            tender.is_over,
            (tender.decide, tender.evolve),
        ),
        aggregate(
            "tenant",
            DIRECTORY.name,
            CreateTenant,
            (TenantCommand, TenantEvent),
            (directory.Tenant, NotThere()),
            never,
            (directory.decide_tenant, directory.evolve_tenant),
        ),
        aggregate(
            "outlet",
            DIRECTORY.name,
            CreateOutlet,
            (OutletCommand, OutletEvent),
            (directory.Outlet, NotThere()),
            never,
            (directory.decide_outlet, directory.evolve_outlet),
        ),
        aggregate(
            "geofence",
            DIRECTORY.name,
            CreateGeofence,
            (GeofenceCommand, GeofenceEvent),
            (directory.Geofence, NotThere()),
            never,
            (directory.decide_geofence, directory.evolve_geofence),
        ),
    )
}
BY_EVENT: dict[type[Event], Aggregate] = {cls: known for known in AGGREGATES.values() for cls in known.events}
