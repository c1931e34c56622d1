"""given(history).when(command).then(events) or .refuses(rule): how decisions are told."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from commands.aggregates import AGGREGATES, BY_EVENT
from commands.carrier_contract import CarrierView
from commands.context import Context, HubPolicy, OutletPolicy, Secrets, TenantPolicy
from commands.registries import Registries
from commands.service_zones import ServiceZone, ZoneVersion
from commands.sla_choice import SlaPolicyView
from schemas.carrier import ServiceLevel
from schemas.directory import Circle, TenantRules
from schemas.geo import Location
from schemas.message import (
    CarrierId,
    Command,
    Event,
    GeofenceId,
    HubSlug,
    OutletSlug,
    Refused,
    Role,
    SlaPolicyId,
    Source,
    TenantSlug,
)
from schemas.registries import DOCUMENT_KINDS, INCIDENT_KINDS, AfterFailure, DocumentKind, FailureReason, IncidentKind
from schemas.sla_policy import SlaScope, SlaTerms

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACME = TenantSlug("acme")
KAMPPI = Location(lat=60.1688, lon=24.9316)
HUBS = {HubSlug("north"): HubPolicy(Location(lat=60.1610, lon=24.9420), "Europe/Helsinki")}
POSTI = CarrierId("posti")
SAME_DAY = ServiceLevel(code="same_day", title="Same day", commitment_seconds=600, silence_seconds=1_800)
CARRIERS = {POSTI: CarrierView("active", (SAME_DAY,))}
CENTRE, NORTH = GeofenceId("centre"), GeofenceId("north")
UP_NORTH = Location(lat=60.25, lon=24.94)
ZONES: Mapping[GeofenceId, ServiceZone] = {
    CENTRE: (ZoneVersion(Circle(center=KAMPPI, radius_m=3_000), NOON - timedelta(days=1)),),
    NORTH: (ZoneVersion(Circle(center=UP_NORTH, radius_m=3_000), NOON - timedelta(days=1)),),
}
PROMISED = SlaPolicyId("policy-1")
EVERY_TASK = SlaScope()
SECRETS = Secrets(b"a secret that is long enough for tests")


def policy_of(terms: SlaTerms, applies_to: SlaScope = EVERY_TASK) -> SlaPolicyView:
    return SlaPolicyView(policy_id=PROMISED, version=1, created_at=NOON, applies_to=applies_to, terms=terms)


def minutes(count: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=count)


def policy(
    rules: TenantRules | None = None,
    documents: tuple[DocumentKind, ...] = DOCUMENT_KINDS,
    incidents: tuple[IncidentKind, ...] = INCIDENT_KINDS,
    hubs: Mapping[HubSlug, HubPolicy] | None = None,
    failures: Sequence[FailureReason] = (),
    sla: SlaPolicyView | None = None,
    carriers: Mapping[CarrierId, CarrierView] = CARRIERS,
    zones: Mapping[GeofenceId, ServiceZone] = ZONES,
) -> TenantPolicy:
    return TenantPolicy(
        tenant=ACME,
        mode="test",
        rules=rules or TenantRules(),
        outlets={OutletSlug(slug): OutletPolicy(KAMPPI, "Europe/Helsinki") for slug in ("kamppi", "kallio")},
        hubs=HUBS if hubs is None else hubs,
        carriers=carriers,
        zones=zones,
        sla_policies={} if sla is None else {sla.policy_id: sla},
        version=1,
        registries=Registries(
            own_failure_reasons=list(failures),
            own_document_kinds=list(documents),
            own_incident_kinds=list(incidents),
        ),
    )


def source_of(aggregate_id: str, version: int = 2, at: datetime = NOON, actor: str = "shop") -> Source:
    """Of a fact of the aggregate's."""
    return Source(
        event_id="e-1",
        tenant=ACME,
        outlet=None,
        aggregate_id=aggregate_id,
        version=version,
        event_time=at,
        recorded_at=at,
        actor=actor,
        command_id="c-1",
        correlation_id="c-1",
        topic="logistics.task",
        partition=0,
        offset=1,
    )


def context(
    *,
    now: datetime = NOON,
    actor: str = "shop",
    role: Role = "integrator",
    rules: TenantRules | None = None,
    documents: tuple[DocumentKind, ...] = DOCUMENT_KINDS,
    incidents: tuple[IncidentKind, ...] = INCIDENT_KINDS,
    hubs: Mapping[HubSlug, HubPolicy] | None = None,
    failures: Sequence[FailureReason] = (),
    sla: SlaPolicyView | None = None,
    carriers: Mapping[CarrierId, CarrierView] = CARRIERS,
    zones: Mapping[GeofenceId, ServiceZone] = ZONES,
    aggregate_id: str = "a-1",
) -> Context:
    return Context(
        now=now,
        tenant=ACME,
        aggregate_id=aggregate_id,
        command_id="c-1",
        actor=actor,
        role=role,
        secrets=SECRETS,
        policy_or_none=policy(rules, documents, incidents, hubs, failures, sla, carriers, zones),
    )


class Story:
    def __init__(self, kind: str, history: Sequence[Event]) -> None:
        self.aggregate = AGGREGATES[kind]
        self.state = self.aggregate.initial
        self.now, self.actor, self.role, self.rules = NOON, "shop", "integrator", TenantRules()
        self.documents = DOCUMENT_KINDS
        self.incidents = INCIDENT_KINDS
        self.sla: SlaPolicyView | None = None
        self.failures: tuple[FailureReason, ...] = ()
        self.hubs: Mapping[HubSlug, HubPolicy] = HUBS
        self.carriers: Mapping[CarrierId, CarrierView] = CARRIERS
        self.zones: Mapping[GeofenceId, ServiceZone] = ZONES
        self.take(history)

    def take(self, events: Sequence[Event]) -> "Story":
        for event in events:
            self.state = self.aggregate.evolve(self.state, event)
        return self

    def at(self, now: datetime) -> "Story":
        self.now = now
        return self

    def by(self, actor: str, role: Role = "rider") -> "Story":
        self.actor, self.role = actor, role
        return self

    def where(self, **rules: Any) -> "Story":
        self.rules = TenantRules(**rules)
        return self

    def promising(self, terms: SlaTerms, applies_to: SlaScope = EVERY_TASK) -> "Story":
        self.sla = policy_of(terms, applies_to)
        return self

    def after(self, code: str, follows: AfterFailure, **fields: Any) -> "Story":
        """The tenant has this reason among its own."""
        reason = FailureReason(code=code, title=code, at_fault="recipient", after=follows, **fields)
        self.failures = (*self.failures, reason)
        return self

    def requiring(self, *kinds: str) -> "Story":
        """Of the kinds of documents, these are required."""
        self.documents = tuple(replace(kind, required=kind.code in kinds) for kind in DOCUMENT_KINDS)
        return self

    def under_contract(self, carriers: Mapping[CarrierId, CarrierView]) -> "Story":
        self.carriers = carriers
        return self

    def when(self, command: Command) -> "Story":
        self.command = command
        return self

    def and_then(self, command: Command) -> "Story":
        """The command before has happened; now this one."""
        self.take(self.decided())
        return self.when(command)

    def happened(self) -> "Story":
        """What was decided is now history."""
        return self.take(self.decided())

    def then(self, *events: Event) -> None:
        assert self.decided() == list(events)

    def tells(self, *names: str) -> "Story":
        """The names of the events, for stories in which their fields are not the point."""
        assert [type(event).__name__ for event in self.decided()] == list(names)
        return self

    def refuses(self, rule: type[Refused]) -> Refused:
        with pytest.raises(rule) as refused:
            self.decided()
        return refused.value

    def decided(self) -> list[Event]:
        return self.aggregate.decide(self.state, self.command, self.context())

    def context(self) -> Context:
        return context(
            now=self.now,
            actor=self.actor,
            role=self.role,  # type: ignore[arg-type]
            rules=self.rules,
            documents=self.documents,
            incidents=self.incidents,
            hubs=self.hubs,
            failures=self.failures,
            sla=self.sla,
            carriers=self.carriers,
            zones=self.zones,
        )


def given(*history: Event) -> Story:
    return Story(BY_EVENT[type(history[0])].kind, history)


def nothing_yet(kind: str) -> Story:
    return Story(kind, ())
