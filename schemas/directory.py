"""Directory: tenants, their outlets and their geofences; the policy that every decision sees."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.anomaly_rules import AnomalyRules
from schemas.calendar import Calendar
from schemas.carrier import CarrierEvent
from schemas.dispatch_rules import DispatchRules, TenderMode
from schemas.fix_rules import FixRules
from schemas.geo import Lat, Location, Lon, Zone
from schemas.hours import HoursLimits, HoursRules
from schemas.hub import HubEvent
from schemas.message import (
    Code,
    Command,
    Event,
    ExternalReference,
    Input,
    Metadata,
    Moment,
    Name,
    OutletSlug,
    ReferenceSource,
    Slug,
    TenantSlug,
    Text,
)
from schemas.person import PersonCommand, PersonEvent
from schemas.place_contact import PlaceContact, PlaceContacts
from schemas.registries import RegistryCommand, RegistryEvent
from schemas.sla_policy import SlaPolicyEvent

MAX_VERTICES = 10_000
"""Of one shape."""
MAX_LINE = 1_000
MAX_PIECES = 100
MAX_DWELL_S = 86_400

SILENT_AFTER_SECONDS = 900
"""Where a tenant's rules say nothing else."""
MAX_CLOCK_STEP_S = 30 * 86_400
MAX_CLOCK_AHEAD_S = 3_650 * 86_400

TenantMode = Literal["live", "test"]
FenceKind = Literal["outlet", "hub", "stop", "zone", "exclusion", "custom"]


class TenantRules(Input, frozen=True, kw_only=True):
    """What a tenant may set. A task keeps the rules of its creation."""

    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 2
    arrival_radius_m: Annotated[int, msgspec.Meta(ge=10, le=5_000)] = 150
    pin_attempts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 5
    required_documents: Annotated[list[Code], msgspec.Meta(max_length=50)] = []
    """Of riders; besides those that the registry requires."""
    tender_mode: TenderMode = "direct"
    broadcast_size: Annotated[int, msgspec.Meta(ge=1, le=20)] = 3
    offer_seconds: Annotated[int, msgspec.Meta(ge=5, le=3_600)] = 60
    hold_seconds: Annotated[int, msgspec.Meta(ge=5, le=600)] = 30
    dispatch_lead_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 900
    """So long before its goods are ready, or its pickup's window begins, a task comes to dispatch."""
    max_rounds: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5
    retry_seconds: Annotated[int, msgspec.Meta(ge=5, le=3_600)] = 60
    hand_over_seconds: Annotated[int, msgspec.Meta(ge=60, le=14_400)] = 1_800
    """So long an offer of goods to another rider stands."""
    max_active_tasks: Annotated[int, msgspec.Meta(ge=1, le=100)] = 2
    stale_fix_seconds: Annotated[int, msgspec.Meta(ge=30, le=86_400)] = 900
    silent_after_seconds: Annotated[int, msgspec.Meta(ge=60, le=86_400)] = SILENT_AFTER_SECONDS
    """A rider with tasks of whom nothing is heard for so long, neither a fix nor a word, is silent."""
    breaks_with_goods: bool = False
    """Whether a rider may take a break with goods aboard."""
    hours_rules: HoursRules = "none"
    custom_hours: HoursLimits = HoursLimits()
    """In force where `hours_rules` is `custom`."""
    hours_warning_minutes: Annotated[int, msgspec.Meta(ge=0, le=480)] = 30
    """So long before the hours run out somebody is told."""
    artefact_days: Annotated[int, msgspec.Meta(ge=7, le=3_650)] = 365
    tracking_visible_stops: Annotated[int, msgspec.Meta(ge=0, le=50)] = 2
    """A recipient sees where the rider is while their stop is among so many that come next; 0: never."""
    tracking_days: Annotated[int, msgspec.Meta(ge=1, le=90)] = 7
    """So long after a task's end its tracking links end."""
    locate_confidence: Annotated[float, msgspec.Meta(ge=0.5, le=1)] = 0.85
    """So sure an address must be for its place to be taken without a person's word; 0.5 is a street."""
    remember_places_days: Annotated[int, msgspec.Meta(ge=0, le=3_650)] = 730
    """So long it is remembered where an address really is, as somebody who dispatches or a rider there has told; 0:
    never."""
    dispatch: DispatchRules = DispatchRules()
    fixes: FixRules = FixRules()
    anomalies: AnomalyRules = AnomalyRules()


class CreateTenant(Command, frozen=True, kw_only=True):
    tenant: Slug
    name: Name
    mode: TenantMode = "live"
    rules: TenantRules = TenantRules()


class ChangeTenantRules(Command, frozen=True, kw_only=True):
    """All the rules anew: each that is left out is at its default again, whatever it was. Read them first (`rules` of
    `GET /v1/{tenant}/tenant`), change some and send them all, with the `ETag` as `If-Match`."""

    rules: TenantRules


class AdvanceTenantClock(Command, frozen=True, kw_only=True):
    """For tenants of mode `test` alone: decisions and deadlines go by a clock that is so much further on."""

    seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_CLOCK_STEP_S)]


type TenantCommand = CreateTenant | ChangeTenantRules | AdvanceTenantClock | RegistryCommand | PersonCommand


class TenantCreated(Event, frozen=True, kw_only=True):
    tenant: TenantSlug
    name: str
    mode: TenantMode
    rules: TenantRules


class TenantRulesChanged(Event, frozen=True, kw_only=True):
    rules: TenantRules


class TenantClockAdvanced(Event, frozen=True, kw_only=True):
    """`ahead_seconds` is how far it is ahead of real time from now on."""

    seconds: int
    ahead_seconds: int


type TenantEvent = TenantCreated | TenantRulesChanged | TenantClockAdvanced | RegistryEvent | PersonEvent


class CreateOutlet(Command, frozen=True, kw_only=True):
    """`zone` is an IANA time zone, which what recurs at the outlet goes by."""

    outlet: Slug
    name: Name
    location: Location
    zone: Zone
    address: Text | None = None
    contacts: PlaceContacts = []
    metadata: Metadata = {}


class MoveOutlet(Command, frozen=True, kw_only=True):
    location: Location
    address: Text | None = None


class SetOutletContacts(Command, frozen=True, kw_only=True):
    """All of them anew."""

    contacts: PlaceContacts


type OutletCommand = CreateOutlet | MoveOutlet | SetOutletContacts


class OutletCreated(Event, frozen=True, kw_only=True):
    outlet: OutletSlug
    name: str
    location: Location
    zone: str
    address: str | None
    contacts: list[PlaceContact] = []
    metadata: dict[str, str]


class OutletMoved(Event, frozen=True, kw_only=True):
    location: Location
    address: str | None


class OutletContactsSet(Event, frozen=True, kw_only=True):
    contacts: list[PlaceContact]


type OutletEvent = OutletCreated | OutletMoved | OutletContactsSet


Vertex = tuple[Lon, Lat]
"""Longitude first, as in GeoJSON (RFC 7946, section 3.1.1)."""

Ring = Annotated[list[Vertex], msgspec.Meta(min_length=4, max_length=MAX_VERTICES)]
"""Closed: the last vertex is the first."""


Rings = Annotated[list[Ring], msgspec.Meta(min_length=1, max_length=MAX_PIECES)]
"""The first is the outline, the others are holes."""


class Circle(Input, frozen=True, kw_only=True, tag_field="type", tag="circle"):
    center: Location
    radius_m: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]


class Polygon(Input, frozen=True, kw_only=True, tag_field="type", tag="polygon"):
    """Rings may go either way around. One whose longitude jumps by more than 180 degrees crosses the antimeridian; one
    that goes around the earth encloses a pole."""

    rings: Rings


class MultiPolygon(Input, frozen=True, kw_only=True, tag_field="type", tag="multipolygon"):
    """Several polygons, which may touch but not overlap."""

    polygons: Annotated[list[Rings], msgspec.Meta(min_length=1, max_length=MAX_PIECES)]


class Corridor(Input, frozen=True, kw_only=True, tag_field="type", tag="corridor"):
    """All that lies within `width_m` of a line, to each side and around its ends. From vertex to vertex the line goes
    the shortest way."""

    line: Annotated[list[Vertex], msgspec.Meta(min_length=2, max_length=MAX_LINE)]
    width_m: Annotated[float, msgspec.Meta(gt=0, le=100_000)]


type Shape = Circle | Polygon | MultiPolygon | Corridor


DwellSeconds = Annotated[int, msgspec.Meta(ge=1, le=MAX_DWELL_S)]


class CreateGeofence(Command, frozen=True, kw_only=True):
    """`dwell_s`: it is told when a rider has been inside for so long. `calendar`: when it is closed nobody is inside;
    without one it is open all the time."""

    name: Name
    kind: FenceKind = "custom"
    shape: Shape
    dwell_s: DwellSeconds | None = None
    calendar: Calendar | None = None
    outlet: Slug | None = None
    valid_from: Moment | None = None
    external_reference: ExternalReference = None
    source: ReferenceSource = None
    metadata: Metadata = {}


class ChangeGeofence(Command, frozen=True, kw_only=True):
    """Shape, `dwell_s` and `calendar` anew, from `valid_from` on. Without `dwell_s` nothing is told of who stays,
    without `calendar` it is open all the time."""

    shape: Shape
    dwell_s: DwellSeconds | None = None
    calendar: Calendar | None = None
    valid_from: Moment | None = None


class RemoveGeofence(Command, frozen=True, kw_only=True):
    valid_until: Moment | None = None


type GeofenceCommand = CreateGeofence | ChangeGeofence | RemoveGeofence


class GeofenceCreated(Event, frozen=True, kw_only=True):
    name: str
    kind: FenceKind
    shape: Shape
    dwell_s: int | None = None
    calendar: Calendar | None = None
    outlet: OutletSlug | None
    valid_from: datetime
    external_reference: str | None
    source: str
    metadata: dict[str, str]


class GeofenceChanged(Event, frozen=True, kw_only=True):
    shape: Shape
    dwell_s: int | None = None
    calendar: Calendar | None = None
    valid_from: datetime


class GeofenceRemoved(Event, frozen=True, kw_only=True):
    valid_until: datetime


type GeofenceEvent = GeofenceCreated | GeofenceChanged | GeofenceRemoved

type DirectoryEvent = TenantEvent | OutletEvent | GeofenceEvent | HubEvent | SlaPolicyEvent | CarrierEvent
