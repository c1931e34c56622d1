"""The directory as decisions see it: tenants, with what they have set and where they are."""

from collections import defaultdict
from datetime import datetime
from typing import Any, assert_never

from msgspec.structs import replace

from commands.carrier_contract import CarrierView, view_after
from commands.context import HubPolicy, OutletPolicy, TenantPolicy
from commands.registries import with_registry
from commands.service_zones import ServiceZone, zone_after
from commands.sla_choice import SlaPolicyView
from schemas.carrier import (
    CarrierActivated,
    CarrierChannelSet,
    CarrierContractEnded,
    CarrierDetailsChanged,
    CarrierEvent,
    CarrierRegistered,
    CarrierReinstated,
    CarrierSuspended,
    CarrierTermsChanged,
)
from schemas.directory import (
    SILENT_AFTER_SECONDS,
    GeofenceChanged,
    GeofenceCreated,
    GeofenceEvent,
    GeofenceRemoved,
    OutletCreated,
    OutletMoved,
    TenantClockAdvanced,
    TenantCreated,
    TenantRulesChanged,
)
from schemas.hub import HubClosed, HubCreated, HubMoved, HubReopened
from schemas.ids import hub_id, outlet_id
from schemas.message import CarrierId, Event, GeofenceId, HubSlug, OutletSlug, SlaPolicyId, Source, TenantSlug
from schemas.position import Vector, token
from schemas.provider_config import ProvidersCleared, ProvidersSet, Routing
from schemas.registries import DocumentKindsSet, FailureReasonsSet, IncidentKindsSet
from schemas.sla_policy import SlaPolicyChanged, SlaPolicyCreated, SlaPolicyEvent, SlaPolicyRemoved
from schemas.topics import DIRECTORY

type PlaceOfHub = HubCreated | HubMoved | HubClosed | HubReopened
"""Whom to ask there is no matter of decisions."""


class Policy:
    """Each record is taken once, in its partition's order; what comes again is passed over.

    A tenant's events lie in another partition than those of its outlets, hubs, SLA policies, carriers and zones, and
    they may come in any order.
    """

    def __init__(self) -> None:
        self._tenants: dict[TenantSlug, TenantPolicy] = {}
        self._outlets: defaultdict[TenantSlug, dict[OutletSlug, OutletPolicy]] = defaultdict(dict)
        self._hubs: defaultdict[TenantSlug, dict[HubSlug, HubPolicy]] = defaultdict(dict)
        self._sla_policies: defaultdict[TenantSlug, dict[SlaPolicyId, SlaPolicyView]] = defaultdict(dict)
        self._carriers: defaultdict[TenantSlug, dict[CarrierId, CarrierView]] = defaultdict(dict)
        self._zones: defaultdict[TenantSlug, dict[GeofenceId, ServiceZone]] = defaultdict(dict)
        self._routing: dict[TenantSlug, Routing] = {}
        self._outlet_slugs: dict[str, OutletSlug] = {}
        self._hub_slugs: dict[str, HubSlug] = {}
        self._next: Vector = {}
        self._position: str | None = None

    def tenant(self, slug: str) -> TenantPolicy | None:
        return self._tenants.get(TenantSlug(slug))

    def now(self, tenant: str, real: datetime) -> datetime:
        """By the tenant's clock."""
        known = self.tenant(tenant)
        return real if known is None else known.now(real)

    def clocks_ahead(self) -> dict[TenantSlug, int]:
        """Seconds, of the tenants whose clock is not real time."""
        return {slug: known.clock_ahead_s for slug, known in self._tenants.items() if known.clock_ahead_s}

    def silent_after(self) -> dict[TenantSlug, int]:
        """Seconds, of the tenants whose rule is not the default."""
        after = {slug: known.rules.silent_after_seconds for slug, known in self._tenants.items()}
        return {slug: seconds for slug, seconds in after.items() if seconds != SILENT_AFTER_SECONDS}

    def routing(self, tenant: str) -> Routing | None:
        """Whom the tenant asks for ways; None where it has set nothing. No decision hangs on it."""
        return self._routing.get(TenantSlug(tenant))

    @property
    def position(self) -> str:
        """The directory's vector that decisions see now, opaque."""
        if self._position is None:
            self._position = token(self._next)
        return self._position

    def next_offset(self, partition: int) -> int:
        return self._next.get((DIRECTORY.name, partition), 0)

    def take(self, event: Event | None, source: Source | None, partition: int, offset: int) -> None:
        """One record of the directory; a control record has neither event nor source."""
        if offset < self.next_offset(partition):
            return
        self._next[DIRECTORY.name, partition] = offset + 1
        self._position = None
        if event is not None and source is not None:
            self._apply(event, source)

    def _apply(self, event: Event, source: Source) -> None:
        match event:
            case TenantCreated():
                self._tenants[source.tenant] = self._created(event, source)
            case TenantRulesChanged():
                self._changed(source, rules=event.rules)
            case TenantClockAdvanced():
                self._changed(source, clock_ahead_s=event.ahead_seconds)
            case FailureReasonsSet() | IncidentKindsSet() | DocumentKindsSet():
                known = self._tenants[source.tenant]
                self._changed(source, registries=with_registry(known.registries, event))
            case OutletCreated() | OutletMoved():
                self._outlet(event, source)
            case HubCreated() | HubMoved() | HubClosed() | HubReopened():
                self._hub(event, source)
            case SlaPolicyCreated() | SlaPolicyChanged() | SlaPolicyRemoved():
                self._sla_policy(event, source)
            case (
                CarrierRegistered()
                | CarrierDetailsChanged()
                | CarrierTermsChanged()
                | CarrierChannelSet()
                | CarrierActivated()
                | CarrierSuspended()
                | CarrierReinstated()
                | CarrierContractEnded()
            ):
                self._carrier(event, source)
            case GeofenceCreated() | GeofenceChanged() | GeofenceRemoved():
                self._zone(event, source)
            case ProvidersSet():
                self._routing[source.tenant] = event.routing
            case ProvidersCleared():
                self._routing.pop(source.tenant, None)
            case _:
                pass

    def _created(self, event: TenantCreated, source: Source) -> TenantPolicy:
        """Where it is may have come before, and goes on coming: the maps are those that are filled here."""
        return TenantPolicy(
            tenant=source.tenant,
            mode=event.mode,
            rules=event.rules,
            outlets=self._outlets[source.tenant],
            hubs=self._hubs[source.tenant],
            sla_policies=self._sla_policies[source.tenant],
            carriers=self._carriers[source.tenant],
            zones=self._zones[source.tenant],
            version=source.version,
        )

    def _changed(self, source: Source, **fields: Any) -> None:
        self._tenants[source.tenant] = replace(self._tenants[source.tenant], version=source.version, **fields)

    def _outlet(self, event: OutletCreated | OutletMoved, source: Source) -> None:
        if isinstance(event, OutletCreated):
            self._outlet_slugs[source.aggregate_id] = event.outlet
        slug = self._outlet_slugs[source.aggregate_id]
        assert source.aggregate_id == outlet_id(source.tenant, slug), "an outlet's id hangs on its slug"
        outlets = self._outlets[source.tenant]
        zone = event.zone if isinstance(event, OutletCreated) else outlets[slug].zone
        outlets[slug] = OutletPolicy(event.location, zone)

    def _hub(self, event: PlaceOfHub, source: Source) -> None:
        if isinstance(event, HubCreated):
            self._hub_slugs[source.aggregate_id] = event.hub
        slug = self._hub_slugs[source.aggregate_id]
        assert source.aggregate_id == hub_id(source.tenant, slug), "a hub's id hangs on its slug"
        hubs = self._hubs[source.tenant]
        hubs[slug] = hub_after(hubs.get(slug), event)

    def _sla_policy(self, event: SlaPolicyEvent, source: Source) -> None:
        policies, policy_id = self._sla_policies[source.tenant], SlaPolicyId(source.aggregate_id)
        if isinstance(event, SlaPolicyRemoved):
            del policies[policy_id]
            return
        known = policies.get(policy_id)
        policies[policy_id] = SlaPolicyView(
            policy_id=policy_id,
            version=source.version,
            created_at=source.recorded_at if known is None else known.created_at,
            applies_to=event.applies_to,
            terms=event.terms,
        )

    def _carrier(self, event: CarrierEvent, source: Source) -> None:
        carriers, carrier_id = self._carriers[source.tenant], CarrierId(source.aggregate_id)
        seen = view_after(carriers.get(carrier_id), event)
        if seen is None:
            del carriers[carrier_id]
        else:
            carriers[carrier_id] = seen

    def _zone(self, event: GeofenceEvent, source: Source) -> None:
        """Other fences are the streams' concern."""
        zones, geofence_id = self._zones[source.tenant], GeofenceId(source.aggregate_id)
        begins = isinstance(event, GeofenceCreated) and event.kind == "zone"
        if begins or geofence_id in zones:
            zones[geofence_id] = zone_after(zones.get(geofence_id, ()), event, source.recorded_at)


def hub_after(hub: HubPolicy | None, event: PlaceOfHub) -> HubPolicy:
    if isinstance(event, HubCreated):
        return HubPolicy(event.location, event.zone, kind=event.kind)
    assert hub is not None, "a hub's first event creates it"
    match event:
        case HubMoved():
            return replace(hub, location=event.location)
        case HubClosed():
            return replace(hub, closed=True)
        case HubReopened():
            return replace(hub, closed=False)
        case _:
            assert_never(event)
