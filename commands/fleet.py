"""Fleet: a tenant's own group of riders and vehicles, until it is retired."""

from typing import assert_never

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.life import NEW, Life, to, when, within
from commands.refusals import TooMany
from schemas.fleet import (
    MAX_FLEET_RIDERS,
    MAX_FLEET_VEHICLES,
    AddRiderToFleet,
    AddVehicleToFleet,
    ChangeFleet,
    CreateFleet,
    FleetChanged,
    FleetCommand,
    FleetCreated,
    FleetEvent,
    FleetRetired,
    RemoveRiderFromFleet,
    RemoveVehicleFromFleet,
    RetireFleet,
    RiderAddedToFleet,
    RiderRemovedFromFleet,
    VehicleAddedToFleet,
    VehicleRemovedFromFleet,
)
from schemas.message import NotInThisState, OutletSlug, RiderId, VehicleId


class Uncreated(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


class StandingFleet(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    name: str
    outlet: OutletSlug | None
    riders: tuple[RiderId, ...] = ()
    vehicles: tuple[VehicleId, ...] = ()


class RetiredFleet(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    outlet: OutletSlug | None


type Fleet = Uncreated | StandingFleet | RetiredFleet


def is_over(fleet: Fleet) -> bool:
    return isinstance(fleet, RetiredFleet)


def status_of(fleet: Fleet) -> str:
    match fleet:
        case Uncreated():
            return NEW
        case StandingFleet():
            return "active"
        case RetiredFleet():
            return "retired"
        case _:
            assert_never(fleet)


LIFE = Life(
    status_of,
    {
        FleetCreated: to("active", NEW),
        FleetChanged: within("active"),
        RiderAddedToFleet: within("active"),
        RiderRemovedFromFleet: within("active"),
        VehicleAddedToFleet: within("active"),
        VehicleRemovedFromFleet: within("active"),
        FleetRetired: to("retired", "active"),
    },
    {
        ChangeFleet: when("active"),
        AddRiderToFleet: when("active"),
        RemoveRiderFromFleet: when("active"),
        AddVehicleToFleet: when("active"),
        RemoveVehicleFromFleet: when("active"),
        RetireFleet: when("active"),
    },
)


def decide(fleet: Fleet, command: FleetCommand, context: Context) -> list[FleetEvent]:
    match command:
        case CreateFleet():
            return create(fleet, command, context)
        case ChangeFleet():
            return change(standing(fleet), command, context)
        case AddRiderToFleet():
            return add_rider(standing(fleet), RiderId(command.rider_id))
        case RemoveRiderFromFleet():
            rider_id = RiderId(command.rider_id)
            return [RiderRemovedFromFleet(rider_id=rider_id)] if rider_id in standing(fleet).riders else []
        case AddVehicleToFleet():
            return add_vehicle(standing(fleet), VehicleId(command.vehicle_id))
        case RemoveVehicleFromFleet():
            vehicle_id = VehicleId(command.vehicle_id)
            return [VehicleRemovedFromFleet(vehicle_id=vehicle_id)] if vehicle_id in standing(fleet).vehicles else []
        case RetireFleet():
            return retire(fleet, command)
        case _:
            assert_never(command)


def create(fleet: Fleet, command: CreateFleet, context: Context) -> list[FleetEvent]:
    if not isinstance(fleet, Uncreated):
        raise NotInThisState(needed="new", actual=status_of(fleet))
    created = FleetCreated(
        name=command.name,
        outlet=at_home(command.outlet, context),
        external_reference=command.external_reference,
        source=command.source or context.actor,
        metadata=command.metadata,
    )
    return [created]


def change(fleet: StandingFleet, command: ChangeFleet, context: Context) -> list[FleetEvent]:
    if (fleet.name, fleet.outlet) == (command.name, command.outlet):
        return []
    return [FleetChanged(name=command.name, outlet=at_home(command.outlet, context))]


def at_home(outlet: str | None, context: Context) -> OutletSlug | None:
    """Raises UnknownOutlet, UnknownTenant."""
    policy = context.policy
    if outlet is None:
        return None
    policy.outlet(outlet)
    return OutletSlug(outlet)


def add_rider(fleet: StandingFleet, rider_id: RiderId) -> list[FleetEvent]:
    if rider_id in fleet.riders:
        return []
    if len(fleet.riders) >= MAX_FLEET_RIDERS:
        raise TooMany("riders in a fleet", MAX_FLEET_RIDERS)
    return [RiderAddedToFleet(rider_id=rider_id)]


def add_vehicle(fleet: StandingFleet, vehicle_id: VehicleId) -> list[FleetEvent]:
    if vehicle_id in fleet.vehicles:
        return []
    if len(fleet.vehicles) >= MAX_FLEET_VEHICLES:
        raise TooMany("vehicles in a fleet", MAX_FLEET_VEHICLES)
    return [VehicleAddedToFleet(vehicle_id=vehicle_id)]


def retire(fleet: Fleet, command: RetireFleet) -> list[FleetEvent]:
    if isinstance(fleet, RetiredFleet):
        return []
    standing(fleet)
    return [FleetRetired(reason_code=command.reason_code)]


def standing(fleet: Fleet) -> StandingFleet:
    if not isinstance(fleet, StandingFleet):
        raise NotInThisState(needed="active", actual=status_of(fleet))
    return fleet


def evolve(fleet: Fleet, event: FleetEvent) -> Fleet:
    if isinstance(event, FleetCreated):
        return StandingFleet(event.name, event.outlet)
    assert isinstance(fleet, StandingFleet), f"a fleet that stands, not {fleet}"
    match event:
        case FleetChanged():
            return replace(fleet, name=event.name, outlet=event.outlet)
        case RiderAddedToFleet():
            return replace(fleet, riders=(*fleet.riders, event.rider_id))
        case RiderRemovedFromFleet():
            return replace(fleet, riders=tuple(each for each in fleet.riders if each != event.rider_id))
        case VehicleAddedToFleet():
            return replace(fleet, vehicles=(*fleet.vehicles, event.vehicle_id))
        case VehicleRemovedFromFleet():
            return replace(fleet, vehicles=tuple(each for each in fleet.vehicles if each != event.vehicle_id))
        case FleetRetired():
            return RetiredFleet(fleet.outlet)
        case _:
            assert_never(event)
