"""What is promised for which tasks?"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from schemas.catalog import members_of
from schemas.message import Source
from schemas.sla_policy import (
    SlaPolicyChanged,
    SlaPolicyCreated,
    SlaPolicyEvent,
    SlaPolicyRemoved,
    SlaScope,
    SlaTerms,
)

TABLE = """
CREATE TABLE {table} (
    tenant             text        NOT NULL,
    sla_policy_id      text        NOT NULL,
    name               text        NOT NULL,
    applies_to         jsonb       NOT NULL,
    terms              jsonb       NOT NULL,
    removed            boolean     NOT NULL,
    external_reference text,
    metadata           jsonb       NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,
    PRIMARY KEY (tenant, sla_policy_id)
);
CREATE INDEX ON {table} (tenant, created_at, sla_policy_id)
"""


class SlaPolicyRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    sla_policy_id: str
    name: str
    applies_to: SlaScope
    terms: SlaTerms
    removed: bool = False
    external_reference: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: SlaPolicyRow | None, fact: Fact, key: Key) -> SlaPolicyRow:
    event, source = fact.event, fact.source
    if isinstance(event, SlaPolicyCreated):
        return created(event, source)
    assert row is not None, "a policy's first event creates it"
    row = replace(row, updated_at=source.recorded_at, version=source.version)
    match event:
        case SlaPolicyChanged():
            return replace(row, name=event.name, applies_to=event.applies_to, terms=event.terms)
        case SlaPolicyRemoved():
            return replace(row, removed=True)
        case _:
            return row


def created(event: SlaPolicyCreated, source: Source) -> SlaPolicyRow:
    return SlaPolicyRow(
        tenant=source.tenant,
        sla_policy_id=source.aggregate_id,
        name=event.name,
        applies_to=event.applies_to,
        terms=event.terms,
        external_reference=event.external_reference,
        metadata=event.metadata,
        created_at=source.recorded_at,
        updated_at=source.recorded_at,
        version=source.version,
    )


SLA_POLICIES = ReadModel(
    name="sla_policies",
    version=2,
    table=TABLE,
    row=SlaPolicyRow,
    key=("tenant", "sla_policy_id"),
    events=frozenset(members_of(SlaPolicyEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM sla_policies
WHERE tenant = %(tenant)s
  AND (%(reference)s::text IS NULL OR external_reference = %(reference)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, sla_policy_id) > (%(at)s, %(id)s))
ORDER BY created_at, sla_policy_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Policies, removed ones too, oldest first."""
