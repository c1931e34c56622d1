"""Fleet: a tenant's own group of riders and vehicles."""

from schemas.message import (
    Code,
    Command,
    Event,
    ExternalReference,
    Id,
    Metadata,
    Name,
    OutletSlug,
    ReferenceSource,
    RiderId,
    Slug,
    VehicleId,
)

MAX_FLEET_RIDERS = 1_000
MAX_FLEET_VEHICLES = 1_000


# What can be asked


class CreateFleet(Command, frozen=True, kw_only=True):
    """`outlet` is where it is at home. Riders and vehicles may be in more fleets than one."""

    name: Name
    outlet: Slug | None = None
    external_reference: ExternalReference = None
    source: ReferenceSource = None
    metadata: Metadata = {}


class ChangeFleet(Command, frozen=True, kw_only=True):
    """All of it anew; without `outlet` it is at home nowhere."""

    name: Name
    outlet: Slug | None = None


class AddRiderToFleet(Command, frozen=True, kw_only=True):
    rider_id: Id


class RemoveRiderFromFleet(Command, frozen=True, kw_only=True):
    rider_id: Id


class AddVehicleToFleet(Command, frozen=True, kw_only=True):
    vehicle_id: Id


class RemoveVehicleFromFleet(Command, frozen=True, kw_only=True):
    vehicle_id: Id


class RetireFleet(Command, frozen=True, kw_only=True):
    """For ever. Nobody and nothing is in it any more."""

    reason_code: Code


type FleetCommand = (
    CreateFleet
    | ChangeFleet
    | AddRiderToFleet
    | RemoveRiderFromFleet
    | AddVehicleToFleet
    | RemoveVehicleFromFleet
    | RetireFleet
)


# What can happen


class FleetCreated(Event, frozen=True, kw_only=True):
    name: str
    outlet: OutletSlug | None
    external_reference: str | None
    source: str
    metadata: dict[str, str]


class FleetChanged(Event, frozen=True, kw_only=True):
    name: str
    outlet: OutletSlug | None


class RiderAddedToFleet(Event, frozen=True, kw_only=True):
    rider_id: RiderId


class RiderRemovedFromFleet(Event, frozen=True, kw_only=True):
    rider_id: RiderId


class VehicleAddedToFleet(Event, frozen=True, kw_only=True):
    vehicle_id: VehicleId


class VehicleRemovedFromFleet(Event, frozen=True, kw_only=True):
    vehicle_id: VehicleId


class FleetRetired(Event, frozen=True, kw_only=True):
    reason_code: str


type FleetEvent = (
    FleetCreated
    | FleetChanged
    | RiderAddedToFleet
    | RiderRemovedFromFleet
    | VehicleAddedToFleet
    | VehicleRemovedFromFleet
    | FleetRetired
)
