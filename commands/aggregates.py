"""The kinds of aggregates: where each is stored, what it takes, how it decides and evolves."""

from collections.abc import Callable
from typing import Any

import msgspec

from commands import (
    carrier,
    carrier_booking,
    carrier_booking_state,
    dispatch_window,
    fleet,
    geofence,
    hub,
    incident,
    incident_state,
    outlet,
    pick_wave,
    plan,
    provider_config,
    recurrence,
    recurrence_state,
    rider,
    rider_life,
    sla_policy,
    task,
    task_evolve,
    task_life,
    tenant,
    tender,
    vehicle,
    vehicle_life,
    vehicle_state,
)
from commands.directory import NotThere
from commands.incident_state import Incident, Unreported
from commands.life import Life
from commands.rider_state import Rider, Unregistered
from commands.task_state import Task, Uncreated, is_over
from schemas.carrier import CarrierCommand, CarrierEvent, RegisterCarrier
from schemas.carrier_booking import CarrierBookingCommand, CarrierBookingEvent, QuoteCarrierBooking
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
from schemas.dispatch_window import JoinWindow, WindowCommand, WindowEvent
from schemas.fleet import CreateFleet, FleetCommand, FleetEvent
from schemas.hub import CreateHub, HubCommand, HubEvent
from schemas.incident import IncidentCommand, IncidentEvent, ReportIncident
from schemas.message import Command, Event
from schemas.pick_wave import CreatePickWave, PickWaveCommand, PickWaveEvent
from schemas.plan import PlanCommand, PlanEvent, RequestPlan
from schemas.provider_config import CreateProviderConfig, ProviderConfigCommand, ProviderConfigEvent
from schemas.recurrence import CreateRecurrence, RecurrenceCommand, RecurrenceEvent
from schemas.rider import RegisterRider, RegisterSimulatedRider, RiderCommand, RiderEvent
from schemas.sla_policy import CreateSlaPolicy, SlaPolicyCommand, SlaPolicyEvent
from schemas.task import CreateTask, TaskCommand, TaskEvent
from schemas.template import CreateFromTemplate
from schemas.tender import OpenTender, TenderCommand, TenderEvent
from schemas.topics import DIRECTORY, DISPATCH, FLEET, INCIDENT, TASK
from schemas.vehicle import RegisterVehicle, VehicleCommand, VehicleEvent


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    plural: str
    """Its word in the API's paths."""
    topic: str
    creating: type[Command]
    """The one that callers create it by."""
    begins: tuple[type[Command], ...]
    """All that it can begin with."""
    commands: tuple[type[Command], ...]
    events: tuple[type[Event], ...]
    initial: Any
    state: Any
    """The union of its states, by which they are decoded."""
    over: Callable[[Any], bool]
    """Whether nothing more can happen to it."""
    decide: Callable[..., list[Any]]
    evolve: Callable[..., Any]
    life: Life
    begun_by_any: bool = False
    """Many send what it begins with, each in a matter of their own: the first of them begins it, the others go on."""
    evolved: int = 1
    """Grows where the same events lead to another state of the same shape: snapshots are passed over then."""

    def creates(self, command: Command, *, there: bool) -> bool:
        """`there`: it has begun. Whoever sends such a command again means the one that it began with."""
        return isinstance(command, self.begins) and not (there and self.begun_by_any)


def never(state: object) -> bool:
    return False


def plural_of(kind: str) -> str:
    """`sla_policy` is `sla-policies`."""
    word = kind.replace("_", "-")
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def aggregate(
    kind: str,
    topic: str,
    creating: type[Command],
    words: tuple[Any, Any],
    states: tuple[Any, Any],
    over: Callable[[Any], bool],
    functions: tuple[Callable[..., list[Any]], Callable[..., Any]],
    life: Life,
    also_by: tuple[type[Command], ...] = (),
    begun_by_any: bool = False,
    evolved: int = 1,
) -> Aggregate:
    """`words` are the unions of its commands and of its events, `states` the union of its states and the first one.

    `also_by` are the commands of our own that it can begin with besides.
    """
    commands, events = words
    return Aggregate(
        kind=kind,
        plural=plural_of(kind),
        topic=topic,
        creating=creating,
        begins=(creating, *also_by),
        commands=tuple(members_of(commands)),
        events=tuple(members_of(events)),
        state=states[0],
        initial=states[1],
        over=over,
        decide=functions[0],
        evolve=functions[1],
        life=life,
        begun_by_any=begun_by_any,
        evolved=evolved,
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
            (task.decide, task_evolve.evolve),
            task_life.LIFE,
            also_by=(CreateFromTemplate,),
            evolved=2,
        ),
        aggregate(
            "rider",
            FLEET.name,
            RegisterRider,
            (RiderCommand, RiderEvent),
            (Rider, Unregistered()),
            never,
            (rider.decide, rider.evolve),
            rider_life.LIFE,
            also_by=(RegisterSimulatedRider,),
        ),
        aggregate(
            "vehicle",
            FLEET.name,
            RegisterVehicle,
            (VehicleCommand, VehicleEvent),
            (vehicle_state.Vehicle, vehicle_state.Unregistered()),
            vehicle_state.is_over,
            (vehicle.decide, vehicle.evolve),
            vehicle_life.LIFE,
        ),
        aggregate(
            "fleet",
            FLEET.name,
            CreateFleet,
            (FleetCommand, FleetEvent),
            (fleet.Fleet, fleet.Uncreated()),
            fleet.is_over,
            (fleet.decide, fleet.evolve),
            fleet.LIFE,
        ),
        aggregate(
            "tender",
            DISPATCH.name,
            OpenTender,
            (TenderCommand, TenderEvent),
            (tender.Tender, tender.Unopened()),
            tender.is_over,
            (tender.decide, tender.evolve),
            tender.LIFE,
        ),
        aggregate(
            "window",
            DISPATCH.name,
            JoinWindow,
            (WindowCommand, WindowEvent),
            (dispatch_window.Window, dispatch_window.Unopened()),
            dispatch_window.is_over,
            (dispatch_window.decide, dispatch_window.evolve),
            dispatch_window.LIFE,
            begun_by_any=True,
        ),
        aggregate(
            "pick_wave",
            DISPATCH.name,
            CreatePickWave,
            (PickWaveCommand, PickWaveEvent),
            (pick_wave.PickWave, pick_wave.Uncreated()),
            pick_wave.is_over,
            (pick_wave.decide, pick_wave.evolve),
            pick_wave.LIFE,
        ),
        aggregate(
            "plan",
            DISPATCH.name,
            RequestPlan,
            (PlanCommand, PlanEvent),
            (plan.Plan, plan.Unrequested()),
            plan.is_over,
            (plan.decide, plan.evolve),
            plan.LIFE,
        ),
        aggregate(
            "carrier_booking",
            DISPATCH.name,
            QuoteCarrierBooking,
            (CarrierBookingCommand, CarrierBookingEvent),
            (carrier_booking_state.CarrierBooking, carrier_booking_state.Unquoted()),
            carrier_booking_state.is_over,
            (carrier_booking.decide, carrier_booking.evolve),
            carrier_booking_state.LIFE,
        ),
        aggregate(
            "recurrence",
            DISPATCH.name,
            CreateRecurrence,
            (RecurrenceCommand, RecurrenceEvent),
            (recurrence_state.Recurrence, recurrence_state.Uncreated()),
            recurrence_state.is_over,
            (recurrence.decide, recurrence_state.evolve),
            recurrence_state.LIFE,
        ),
        aggregate(
            "incident",
            INCIDENT.name,
            ReportIncident,
            (IncidentCommand, IncidentEvent),
            (Incident, Unreported()),
            never,
            (incident.decide, incident.evolve),
            incident_state.LIFE,
        ),
        aggregate(
            "tenant",
            DIRECTORY.name,
            CreateTenant,
            (TenantCommand, TenantEvent),
            (tenant.Tenant, NotThere()),
            never,
            (tenant.decide, tenant.evolve),
            tenant.LIFE,
        ),
        aggregate(
            "outlet",
            DIRECTORY.name,
            CreateOutlet,
            (OutletCommand, OutletEvent),
            (outlet.Outlet, NotThere()),
            never,
            (outlet.decide, outlet.evolve),
            outlet.LIFE,
        ),
        aggregate(
            "hub",
            DIRECTORY.name,
            CreateHub,
            (HubCommand, HubEvent),
            (hub.Hub, NotThere()),
            never,
            (hub.decide, hub.evolve),
            hub.LIFE,
        ),
        aggregate(
            "sla_policy",
            DIRECTORY.name,
            CreateSlaPolicy,
            (SlaPolicyCommand, SlaPolicyEvent),
            (sla_policy.SlaPolicy, NotThere()),
            never,
            (sla_policy.decide, sla_policy.evolve),
            sla_policy.LIFE,
        ),
        aggregate(
            "provider_config",
            DIRECTORY.name,
            CreateProviderConfig,
            (ProviderConfigCommand, ProviderConfigEvent),
            (provider_config.ProviderConfig, NotThere()),
            never,
            (provider_config.decide, provider_config.evolve),
            provider_config.LIFE,
        ),
        aggregate(
            "carrier",
            DIRECTORY.name,
            RegisterCarrier,
            (CarrierCommand, CarrierEvent),
            (carrier.Carrier, carrier.Unregistered()),
            carrier.is_over,
            (carrier.decide, carrier.evolve),
            carrier.LIFE,
        ),
        aggregate(
            "geofence",
            DIRECTORY.name,
            CreateGeofence,
            (GeofenceCommand, GeofenceEvent),
            (geofence.Geofence, NotThere()),
            never,
            (geofence.decide, geofence.evolve),
            geofence.LIFE,
        ),
    )
}
BY_PLURAL: dict[str, Aggregate] = {known.plural: known for known in AGGREGATES.values()}
BY_EVENT: dict[type[Event], Aggregate] = {cls: known for known in AGGREGATES.values() for cls in known.events}
