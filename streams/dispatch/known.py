"""What is known of riders when somebody is sought for a task, but for where they are."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from schemas.carrier import ServiceLevel
from schemas.carrier_offer import CarrierExclusion
from schemas.geo import Location, Window
from schemas.itinerary import StopRef
from schemas.load import NOTHING, Load
from schemas.message import CarrierId, RiderId, StopId, TaskId
from schemas.rider import StopKind
from schemas.rider_vehicle import VehicleKind
from schemas.vehicle_fitness import VehicleFitness
from streams.routing.measured import Grid


class Document(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    kind: str
    verified: bool
    valid_from: datetime | None
    expires_at: datetime | None


class Ahead(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A stop that is still to be made."""

    task_id: TaskId
    stop_id: StopId
    kind: StopKind
    window: Window | None = None
    service_seconds: int = 0
    load: Load = NOTHING

    @property
    def ref(self) -> StopRef:
        return StopRef(task_id=self.task_id, stop_id=self.stop_id)


class KnownRider(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A rider as dispatch sees them. `seen_at` is the time of the fix, None for where a shift began."""

    rider_id: RiderId
    status: str
    documents: Sequence[Document]
    shift_ends_at: datetime | None
    on_break: bool
    silent: bool
    incident_open: bool = False
    """That keeps them off dispatch."""
    hours_end_at: datetime | None
    """When their hours of service run out, where those are limited; on a break that is not told."""
    vehicle: VehicleKind = "car"
    capacity_g: int
    skills: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    """None: anywhere."""
    vehicles: Sequence[VehicleFitness] = ()
    """Assigned to the rider."""
    rating: float | None = None
    tasks: int
    """Reserved for or under way with."""
    offers: int
    """Pending from other tenders."""
    declines: int = 0
    """Offers that they declined or let pass lately."""
    placed: bool = True
    """It is known where they are."""
    seen_at: datetime | None
    itinerary: Sequence[Ahead] = ()
    """What they have to do, in order; without stops whose places are not known any more."""
    locked: bool = False
    """The first of it stays the first."""


class KnownCarrier(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A carrier as dispatch sees it for one task."""

    carrier_id: CarrierId
    active: bool
    told: bool
    """It has a channel."""
    levels: Sequence[ServiceLevel]
    capabilities: frozenset[str] = frozenset()
    outside: CarrierExclusion | None = None
    """Why a stop is not served, if so."""
    answered: CarrierExclusion | None = None
    """What it has made of this task before, if that shuts it out."""


class AtHand(msgspec.Struct, frozen=True):
    """What follows from a rider and is needed at each decision, where somebody keeps it."""

    points: Grid
    """Latitude and longitude in radians, one a row: where they are if that is known, then each stop."""
    task_ids: frozenset[TaskId]
    """Of what is ahead."""
    encoded: bytes
    """The rider as a record has them."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A rider, where they are if that is known, and where each stop of their itinerary is."""

    rider: KnownRider
    here: Location | None
    ahead: Sequence[Location] = ()
    at_hand: AtHand | None = None

    @property
    def task_ids(self) -> frozenset[TaskId]:
        """Of what is ahead."""
        return self.at_hand.task_ids if self.at_hand else frozenset(stop.task_id for stop in self.rider.itinerary)
