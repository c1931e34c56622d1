"""What a decision may know of the world besides its own state."""

import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec

from commands.carrier_contract import CarrierNotActive, CarrierView, UnknownCarrier
from commands.registries import (
    Registries,
    UnknownDocumentKind,
    UnknownFailureReason,
    UnknownIncidentKind,
    entry_of,
)
from commands.service_zones import ServiceZone, UnknownServiceZone, holds, stands
from commands.sla_choice import Promisee, SlaPolicyView, chosen
from schemas.codec import Unseal
from schemas.directory import TenantMode, TenantRules
from schemas.geo import Location
from schemas.hub import HubKind
from schemas.message import (
    CarrierId,
    GeofenceId,
    HubSlug,
    NotInDirectory,
    OutletSlug,
    Personal,
    Role,
    SlaPolicyId,
    TenantSlug,
)
from schemas.registries import WARN_DAYS, DocumentKind, DocumentOf, FailureReason, IncidentKind
from schemas.task_kind import Priority, TaskKind


class UnknownTenant(NotInDirectory):
    rule = "unknown-tenant"

    def __init__(self, tenant: str) -> None:
        super().__init__(f"there is no tenant {tenant}")
        self.tenant = tenant


class UnknownOutlet(NotInDirectory):
    rule = "unknown-outlet"
    stands_in = ("outlet", "outlets")

    def __init__(self, outlet: str) -> None:
        super().__init__(f"the tenant has no outlet {outlet}")
        self.outlet = outlet


class UnknownHub(NotInDirectory):
    rule = "unknown-hub"
    stands_in = ("hub",)

    def __init__(self, hub: str) -> None:
        super().__init__(f"the tenant has no hub {hub}")
        self.hub = hub


class OutletPolicy(msgspec.Struct, frozen=True):
    location: Location
    zone: str


class HubPolicy(msgspec.Struct, frozen=True):
    location: Location
    zone: str
    closed: bool = False
    kind: HubKind = "hub"


class TenantPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant as the directory knows it: what decisions go by. `version` counts its changes."""

    tenant: TenantSlug
    mode: TenantMode
    rules: TenantRules
    outlets: Mapping[OutletSlug, OutletPolicy]
    hubs: Mapping[HubSlug, HubPolicy] = {}
    sla_policies: Mapping[SlaPolicyId, SlaPolicyView] = {}
    carriers: Mapping[CarrierId, CarrierView] = {}
    zones: Mapping[GeofenceId, ServiceZone] = {}
    registries: Registries = Registries()
    clock_ahead_s: int = 0
    version: int

    def now(self, real: datetime) -> datetime:
        """A test tenant's clock may be ahead of real time."""
        return real + timedelta(seconds=self.clock_ahead_s) if self.clock_ahead_s else real

    def documents_of(self, of: DocumentOf) -> tuple[DocumentKind, ...]:
        return tuple(kind for kind in self.registries.document_kinds if kind.of == of)

    def required_documents_of(self, of: DocumentOf) -> tuple[str, ...]:
        return tuple(kind.code for kind in self.documents_of(of) if kind.required)

    def warned_at(self, of: DocumentOf, code: str, expires_at: datetime) -> datetime:
        """When somebody is told that such a document expires; of a kind that is not there any more as of any."""
        days = next((kind.warn_days for kind in self.documents_of(of) if kind.code == code), WARN_DAYS)
        return expires_at - timedelta(days=days)

    @property
    def required_of_riders(self) -> tuple[str, ...]:
        """By the registry, and by the tenant's rules."""
        return tuple(dict.fromkeys((*self.required_documents_of("rider"), *self.rules.required_documents)))

    def outlet(self, slug: str) -> OutletPolicy:
        known = self.outlets.get(OutletSlug(slug))
        if known is None:
            raise UnknownOutlet(slug)
        return known

    def hub(self, slug: str) -> HubPolicy:
        """A closed one too. Raises UnknownHub."""
        known = self.hubs.get(HubSlug(slug))
        if known is None:
            raise UnknownHub(slug)
        return known

    def standing_zone(self, zone: str, at: datetime) -> GeofenceId:
        """One that holds then, or later. Raises UnknownServiceZone."""
        geofence_id = GeofenceId(zone)
        if not stands(self.zones.get(geofence_id, ()), at):
            raise UnknownServiceZone(zone)
        return geofence_id

    def is_in_one_of(self, zones: Iterable[GeofenceId], place: Location, at: datetime) -> bool:
        """Of zones, as they stand then."""
        return any(holds(self.zones.get(geofence_id, ()), place, at) for geofence_id in zones)

    def zones_holding(self, place: Location, at: datetime) -> frozenset[str]:
        return frozenset(geofence_id for geofence_id, zone in self.zones.items() if holds(zone, place, at))

    def sla_policy_for(
        self, task_kind: TaskKind, outlet: str, priority: Priority, place: Location | None, at: datetime
    ) -> SlaPolicyView | None:
        """The one that says most of such a task, which leads to that place; None where nothing is promised for it."""
        named = {GeofenceId(each.applies_to.zone) for each in self.sla_policies.values() if each.applies_to.zone}
        zones = [] if place is None else [zone for zone in named if holds(self.zones.get(zone, ()), place, at)]
        task = Promisee(task_kind=task_kind, outlet=outlet, zones=zones, priority=priority)
        return chosen(self.sla_policies.values(), task)

    def carrier_to_book(self, carrier_id: str) -> CarrierView:
        """Raises UnknownCarrier, CarrierNotActive."""
        known = self.carriers.get(CarrierId(carrier_id))
        if known is None:
            raise UnknownCarrier(carrier_id)
        if known.status != "active":
            raise CarrierNotActive(carrier_id, known.status)
        return known

    def failure_reason(self, code: str) -> FailureReason:
        """Raises UnknownFailureReason."""
        return entry_of(code, self.registries.failure_reasons, UnknownFailureReason)

    def incident_kind(self, code: str) -> IncidentKind:
        """Raises UnknownIncidentKind."""
        return entry_of(code, self.registries.incident_kinds, UnknownIncidentKind)

    def document_kind(self, code: str) -> DocumentKind:
        """Raises UnknownDocumentKind."""
        return entry_of(code, self.registries.document_kinds, UnknownDocumentKind)


class Secrets:
    """All chance derives from the command's id and the server's secret, so that a repeat finds the same."""

    def __init__(self, server_secret: bytes) -> None:
        if len(server_secret) < 32:
            raise ValueError("the server's secret must have at least 32 bytes")
        self._secret = server_secret

    def derived(self, *parts: str) -> bytes:
        """32 bytes that only we can know."""
        return hmac.digest(self._secret, msgspec.json.encode(parts), sha256)

    def keyed_hash(self, *parts: str) -> str:
        return self.derived("hash", *parts).hex()

    def digits(self, count: int, *parts: str) -> str:
        return str(int.from_bytes(self.derived("digits", *parts)) % 10**count).zfill(count)


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """`now` is never before the aggregate's latest record; `policy` is None only while the tenant is created."""

    now: datetime
    tenant: TenantSlug
    aggregate_id: str
    command_id: str
    actor: str
    role: Role
    secrets: Secrets
    policy_or_none: TenantPolicy | None
    unseal: Unseal | None = None
    """Opens what is personal in the aggregate's state."""

    def opened[T](self, person: Personal[T] | None, tp: type[T]) -> T | None:
        """None where there is nothing, or the person is forgotten."""
        if person is None or person.value is not None:
            return None if person is None else person.value
        if self.unseal is None or not person.sealed:
            return None
        plain = self.unseal(person.subject, person.field, person.sealed)
        return None if plain is None else msgspec.json.decode(plain, type=tp)

    def anew[T](self, person: Personal[T] | None, tp: type[T]) -> Personal[T] | None:
        """The same data to be put in at another place: a seal is bound to the one it was made for."""
        return None if person is None else Personal(person.subject, self.opened(person, tp))

    @property
    def policy(self) -> TenantPolicy:
        if self.policy_or_none is None:
            raise UnknownTenant(self.tenant)
        return self.policy_or_none
