"""Which incidents are there, how severe are they, who attends to them, and what is still to be done?"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from projections.sealed import Sealed, sealed
from schemas.catalog import members_of
from schemas.incident import (
    AddendumFiled,
    ClaimValueStated,
    EvidenceAttached,
    IncidentActionRefused,
    IncidentActionRequested,
    IncidentActionTaken,
    IncidentAssigned,
    IncidentCommented,
    IncidentEscalated,
    IncidentEvent,
    IncidentLink,
    IncidentLinked,
    IncidentReopened,
    IncidentReported,
    IncidentResolved,
    IncidentSealed,
    IncidentSeverityChanged,
    IncidentUnlinked,
    SealedTimeline,
)
from schemas.incident_actions import CLAIM, ActionRequest, Requests, answered, outstanding, withdrawn, without_link
from schemas.money import Money
from schemas.registries import IncidentAction

TABLE = """
CREATE TABLE {table} (
    tenant             text        NOT NULL,
    incident_id        text        NOT NULL,
    kind               text        NOT NULL,
    status             text        NOT NULL,
    severity           text        NOT NULL,
    description        jsonb       NOT NULL,
    occurred_at        timestamptz NOT NULL,
    location           jsonb,
    reporter           text        NOT NULL,
    assignee           text,
    level              bigint      NOT NULL,
    escalate_at        timestamptz,
    links              jsonb       NOT NULL,
    actions            jsonb       NOT NULL,
    outstanding        jsonb       NOT NULL,
    asked              jsonb       NOT NULL,
    claim_value        jsonb,
    requests           jsonb       NOT NULL,
    taken              jsonb       NOT NULL,
    evidence           jsonb       NOT NULL,
    comments           bigint      NOT NULL,
    addenda            bigint      NOT NULL,
    resolution_code    text,
    sealed_timeline    jsonb,
    external_reference text,
    metadata           jsonb       NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,
    PRIMARY KEY (tenant, incident_id)
);
CREATE INDEX ON {table} (tenant, created_at, incident_id);
CREATE INDEX ON {table} USING gin (links jsonb_path_ops);
CREATE INDEX ON {table} (tenant) WHERE status NOT IN ('resolved', 'sealed')
"""


OVER = frozenset({"resolved", "sealed"})


class ActionRow(msgspec.Struct, frozen=True, kw_only=True):
    """`refused_by` names the rule that did not let our own process do it."""

    action: str
    at: datetime
    by: str
    link: IncidentLink | None = None
    refused_by: str | None = None
    note: Sealed | None = None


class EvidenceRow(msgspec.Struct, frozen=True, kw_only=True):
    sha256: str
    kind: str
    at: datetime
    by: str
    note: Sealed | None = None


class IncidentRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    incident_id: str
    kind: str
    status: str
    severity: str
    description: Sealed | None
    occurred_at: datetime
    location: Sealed | None
    reporter: str
    assignee: str | None = None
    level: int = 0
    escalate_at: datetime | None
    links: list[IncidentLink]
    actions: list[ActionRow] = []
    outstanding: list[str]
    asked: list[IncidentAction]
    claim_value: Money | None = None
    requests: Requests = ()
    taken: list[IncidentAction] = []
    evidence: list[EvidenceRow] = []
    comments: int = 0
    addenda: int = 0
    resolution_code: str | None = None
    sealed_timeline: SealedTimeline | None = None
    external_reference: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: IncidentRow | None, fact: Fact, key: Key) -> IncidentRow:
    if isinstance(fact.event, IncidentReported):
        row = claimed(reported(fact.event, fact), fact.event.claim_value)
    else:
        assert row is not None, "an incident's first event reports it"
        row = changed(row, fact)
    return replace(
        row,
        outstanding=outstanding(row.asked, row.requests, row.taken) if row.status not in OVER else [],
        updated_at=fact.source.recorded_at,
        version=fact.source.version,
    )


def reported(event: IncidentReported, fact: Fact) -> IncidentRow:
    return IncidentRow(
        tenant=fact.source.tenant,
        incident_id=fact.source.aggregate_id,
        kind=event.kind,
        status="reported",
        severity=event.severity,
        description=sealed(event.description, "IncidentReported.description"),
        occurred_at=event.occurred_at,
        location=sealed(event.location, "IncidentReported.location"),
        reporter=event.reporter,
        escalate_at=event.escalate_at,
        links=event.links,
        outstanding=list(event.actions),
        asked=event.actions,
        external_reference=event.external_reference,
        metadata=event.metadata,
        created_at=fact.source.recorded_at,
        updated_at=fact.source.recorded_at,
        version=fact.source.version,
    )


def changed(row: IncidentRow, fact: Fact) -> IncidentRow:
    match fact.event:
        case IncidentAssigned(assignee=assignee):
            return replace(row, status="assigned", assignee=assignee, escalate_at=None)
        case IncidentCommented():
            return replace(row, comments=row.comments + 1)
        case EvidenceAttached() as event:
            return replace(row, evidence=[*row.evidence, evidence_of(event, fact)])
        case IncidentLinked(link=link):
            return replace(row, links=[*row.links, link])
        case IncidentUnlinked(link=gone):
            links = [link for link in row.links if link != gone]
            return replace(row, links=links, requests=without_link(row.requests, gone))
        case IncidentSeverityChanged(severity=severity):
            return replace(row, severity=severity)
        case ClaimValueStated(claim_value=claim_value):
            return claimed(row, claim_value)
        case IncidentActionRequested() as event:
            request = ActionRequest(action=event.action, link=event.link, parcel_ids=event.parcel_ids)
            return replace(row, requests=(*row.requests, request))
        case IncidentActionTaken() | IncidentActionRefused() as event:
            return acted(row, event, fact)
        case IncidentEscalated() as event:
            return replace(row, level=event.level, escalate_at=event.escalate_at)
        case IncidentResolved() as event:
            return replace(
                row,
                status="resolved",
                resolution_code=event.resolution_code,
                requests=withdrawn(row.requests),
                taken=[*row.taken, *event.waived],
                escalate_at=None,
            )
        case IncidentReopened(escalate_at=escalate_at):
            return replace(row, status="reopened", resolution_code=None, escalate_at=escalate_at)
        case IncidentSealed(timeline=timeline):
            return replace(row, status="sealed", sealed_timeline=timeline)
        case AddendumFiled():
            return replace(row, addenda=row.addenda + 1)
        case _:
            raise AssertionError(f"{type(fact.event).__name__} is no event of an incident")


def claimed(row: IncidentRow, value: Money | None) -> IncidentRow:
    """Once it is stated it is done."""
    if value is None:
        return row
    return replace(row, claim_value=value, taken=[*row.taken, *({CLAIM} - {*row.taken})])


def evidence_of(event: EvidenceAttached, fact: Fact) -> EvidenceRow:
    return EvidenceRow(
        sha256=event.sha256,
        kind=event.kind,
        at=fact.source.recorded_at,
        by=fact.source.actor,
        note=sealed(event.note, "EvidenceAttached.note"),
    )


def acted(row: IncidentRow, event: IncidentActionTaken | IncidentActionRefused, fact: Fact) -> IncidentRow:
    """What a rule refused is still to be done."""
    taken = isinstance(event, IncidentActionTaken)
    action = ActionRow(
        action=event.action,
        at=fact.source.recorded_at,
        by=fact.source.actor,
        link=event.link,
        refused_by=None if isinstance(event, IncidentActionTaken) else event.rule,
        note=sealed(event.note, "IncidentActionTaken.note") if isinstance(event, IncidentActionTaken) else None,
    )
    return replace(
        row,
        actions=[*row.actions, action],
        requests=answered(row.requests, event.action, event.link, "taken" if taken else "refused"),
        taken=[*row.taken, event.action] if taken and event.action not in row.taken else row.taken,
    )


INCIDENT_REGISTER = ReadModel(
    name="incident_register",
    version=5,
    table=TABLE,
    row=IncidentRow,
    key=("tenant", "incident_id"),
    events=frozenset(members_of(IncidentEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM incident_register
WHERE tenant = %(tenant)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(severity)s::text IS NULL OR severity = %(severity)s)
  AND (%(assignee)s::text IS NULL OR assignee = %(assignee)s)
  AND (%(linked_to)s::text IS NULL OR links @> jsonb_build_array(jsonb_build_object('id', %(linked_to)s::text)))
  AND (%(reference)s::text IS NULL OR external_reference = %(reference)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, incident_id) > (%(at)s, %(id)s))
ORDER BY created_at, incident_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Incidents, oldest first."""
