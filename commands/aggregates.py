"""The kinds of aggregates: where each is stored, what it takes, how it decides and evolves."""

from collections.abc import Callable
from typing import Any

import msgspec

from commands import directory, rider, task, tender
from commands.directory import NotThere
from commands.rider_state import Unregistered
from commands.task_state import Uncreated
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


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    plural: str
    """Its word in the API's paths."""
    topic: str
    creating: type[Command]
    commands: tuple[type[Command], ...]
    events: tuple[type[Event], ...]
    initial: Any
    decide: Callable[..., list[Any]]
    evolve: Callable[..., Any]


def aggregate(
    kind: str,
    topic: str,
    creating: type[Command],
    words: tuple[Any, Any],
    initial: Any,
    functions: tuple[Callable[..., list[Any]], Callable[..., Any]],
) -> Aggregate:
    """`words` are the unions of its commands and of its events."""
    commands, events = words
    return Aggregate(
        kind=kind,
        plural=f"{kind}s",
        topic=topic,
        creating=creating,
        commands=tuple(members_of(commands)),
        events=tuple(members_of(events)),
        initial=initial,
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
            Uncreated(),
            (task.decide, task.evolve),
        ),
        aggregate(
            "rider",
            FLEET.name,
            RegisterRider,
            (RiderCommand, RiderEvent),
            Unregistered(),
            (rider.decide, rider.evolve),
        ),
        aggregate(
            "tender",
            DISPATCH.name,
            OpenTender,
            (TenderCommand, TenderEvent),
            tender.Unopened(),
            (tender.decide, tender.evolve),
        ),
        aggregate(
            "tenant",
            DIRECTORY.name,
            CreateTenant,
            (TenantCommand, TenantEvent),
            NotThere(),
            (directory.decide_tenant, directory.evolve_tenant),
        ),
        aggregate(
            "outlet",
            DIRECTORY.name,
            CreateOutlet,
            (OutletCommand, OutletEvent),
            NotThere(),
            (directory.decide_outlet, directory.evolve_outlet),
        ),
        aggregate(
            "geofence",
            DIRECTORY.name,
            CreateGeofence,
            (GeofenceCommand, GeofenceEvent),
            NotThere(),
            (directory.decide_geofence, directory.evolve_geofence),
        ),
    )
}
BY_EVENT: dict[type[Event], Aggregate] = {cls: known for known in AGGREGATES.values() for cls in known.events}
