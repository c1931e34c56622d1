"""What recurs, by which rule, what comes next, and what came of it last?"""

from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from projections.sealed import told
from schemas.catalog import members_of
from schemas.message import Source
from schemas.recurrence import (
    MAX_REFUSED,
    Occurrence,
    OccurrenceCreated,
    OccurrenceRefused,
    OccurrenceReviewed,
    OccurrenceScheduled,
    OccurrenceSkipped,
    OccurrencesMissed,
    RecurrenceChanged,
    RecurrenceCreated,
    RecurrenceEnded,
    RecurrenceEvent,
    RecurrencePaused,
    RecurrenceResumed,
)

TABLE = """
CREATE TABLE {table} (
    tenant             text        NOT NULL,
    recurrence_id      text        NOT NULL,
    outlet             text        NOT NULL,
    zone               text        NOT NULL,
    status             text        NOT NULL,
    reason_code        text,
    rule               text        NOT NULL,
    starts             text        NOT NULL,
    create_ahead_s     bigint      NOT NULL,
    task               jsonb       NOT NULL,
    next               jsonb,
    next_at            timestamptz,
    due_at             timestamptz,
    latest             jsonb,
    created_count      bigint      NOT NULL,
    missed_count       bigint      NOT NULL,
    skips              jsonb       NOT NULL,
    refused            jsonb       NOT NULL,
    external_reference text,
    source             text        NOT NULL,
    metadata           jsonb       NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,
    PRIMARY KEY (tenant, recurrence_id)
);
CREATE INDEX ON {table} (tenant, created_at, recurrence_id);
CREATE INDEX ON {table} (tenant, outlet)
"""


class LatestRow(msgspec.Struct, frozen=True, kw_only=True):
    occurrence: Occurrence
    task_id: str


class RefusedRow(msgspec.Struct, frozen=True, kw_only=True):
    """Its task could not be created, and which rule said so."""

    occurrence_at: datetime
    local: str
    task_id: str
    rule: str
    reason_code: str


class RecurrenceRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    recurrence_id: str
    outlet: str
    zone: str
    status: str = "active"
    reason_code: str | None = None
    """Why it is paused or has ended."""
    rule: str
    starts: str
    """Local, at the outlet."""
    create_ahead_s: int
    task: dict[str, Any]
    """What each occurrence is created with, personal data sealed."""
    next: Occurrence | None = None
    """As it was computed when it was scheduled; of a paused one what would have come."""
    next_at: datetime | None = None
    due_at: datetime | None = None
    """When the next one's task is created."""
    latest: LatestRow | None = None
    created_count: int = 0
    missed_count: int = 0
    skips: list[str] = []
    """Occurrences ahead that are left out, by their local time."""
    refused: list[RefusedRow] = []
    """The latest that could not be created, and that nobody has reviewed."""
    external_reference: str | None
    source: str
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: RecurrenceRow | None, fact: Fact, key: Key) -> RecurrenceRow:
    if isinstance(fact.event, RecurrenceCreated):
        return created(fact.event, fact.source)
    assert row is not None, "a recurrence's first event creates it"
    return replace(changed(row, fact), updated_at=fact.source.recorded_at, version=fact.source.version)


def created(event: RecurrenceCreated, source: Source) -> RecurrenceRow:
    return RecurrenceRow(
        tenant=source.tenant,
        recurrence_id=source.aggregate_id,
        outlet=event.outlet,
        zone=event.zone,
        rule=event.rule,
        starts=event.starts,
        create_ahead_s=event.create_ahead_s,
        task=told(event.task),
        external_reference=event.external_reference,
        source=event.source,
        metadata=event.metadata,
        created_at=source.recorded_at,
        updated_at=source.recorded_at,
        version=source.version,
    )


def changed(row: RecurrenceRow, fact: Fact) -> RecurrenceRow:
    match fact.event:
        case RecurrenceChanged() as event:
            task = row.task if event.task is None else told(event.task)
            by_rule = {"rule": event.rule, "starts": event.starts, "create_ahead_s": event.create_ahead_s}
            return with_next(replace(row, task=task, **by_rule), event.next, None)
        case OccurrenceScheduled() as event:
            return with_next(row, event.occurrence, event.due_at)
        case OccurrenceCreated() as event:
            latest = LatestRow(occurrence=event.occurrence, task_id=event.task_id)
            return replace(row, latest=latest, created_count=row.created_count + 1)
        case OccurrencesMissed(count=count):
            return replace(row, missed_count=row.missed_count + count)
        case OccurrenceSkipped(occurrence=occurrence):
            return replace(row, skips=[*row.skips, occurrence.local])
        case OccurrenceRefused() as event:
            refused = RefusedRow(
                occurrence_at=event.occurrence_at,
                local=event.local,
                task_id=event.task_id,
                rule=event.rule,
                reason_code=event.reason_code,
            )
            return replace(row, refused=[*row.refused, refused][-MAX_REFUSED:])
        case OccurrenceReviewed(occurrence_at=at):
            return replace(row, refused=[each for each in row.refused if each.occurrence_at != at])
        case RecurrencePaused(reason_code=reason_code):
            return replace(row, status="paused", reason_code=reason_code, due_at=None)
        case RecurrenceResumed():
            return replace(row, status="active", reason_code=None)
        case RecurrenceEnded(reason_code=reason_code):
            ended = replace(row, status="ended", reason_code=reason_code, skips=[])
            return replace(ended, next=None, next_at=None, due_at=None)
        case _:
            raise AssertionError(f"{type(fact.event).__name__} is no event of a recurrence")


def with_next(row: RecurrenceRow, occurrence: Occurrence, due_at: datetime | None) -> RecurrenceRow:
    skips = row.skips if due_at is None else [local for local in row.skips if local >= occurrence.local]
    return replace(row, next=occurrence, next_at=occurrence.at, due_at=due_at, skips=skips)


RECURRENCES = ReadModel(
    name="recurrences",
    version=2,
    table=TABLE,
    row=RecurrenceRow,
    key=("tenant", "recurrence_id"),
    events=frozenset(members_of(RecurrenceEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM recurrences
WHERE tenant = %(tenant)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(outlet)s::text IS NULL OR outlet = %(outlet)s)
  AND (%(reference)s::text IS NULL OR external_reference = %(reference)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, recurrence_id) > (%(at)s, %(id)s))
ORDER BY created_at, recurrence_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Recurrences, oldest first."""
