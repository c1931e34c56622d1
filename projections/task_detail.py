"""What is known of this one task: its stops, its parcels and where they are, its proofs, who has it?"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.sealed import told
from projections.task_progress import OVER, Progress, leg_of, progressed, state_of
from projections.task_proofs import ProofRow, proofs_after
from schemas.catalog import members_of
from schemas.message import Event
from schemas.proof import ProofDisputed
from schemas.task import (
    FieldReportConflicted,
    FieldReportReviewed,
    Parcel,
    ParcelsDelivered,
    ParcelsPickedUp,
    ParcelsRefused,
    ParcelsReturned,
    ParcelsShort,
    ParcelsWrittenOff,
    Party,
    ReturnStarted,
    StopLocated,
    TaskCreated,
    TaskEvent,
)

TABLE = """
CREATE TABLE {table} (
    tenant             text        NOT NULL,
    task_id            text        NOT NULL,
    outlet             text        NOT NULL,
    kind               text        NOT NULL,
    state              text        NOT NULL,
    leg                text,
    stops              jsonb       NOT NULL,
    parcels            jsonb       NOT NULL,
    proofs             jsonb       NOT NULL,
    proof_disputed     boolean     NOT NULL,
    conflicts          jsonb       NOT NULL,
    tracking_code      text        NOT NULL,
    external_reference text,
    source             text        NOT NULL,
    shipment_id        text,
    metadata           jsonb       NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,
    progress           jsonb       NOT NULL,
    PRIMARY KEY (tenant, task_id)
);
CREATE INDEX ON {table} (tenant, created_at, task_id)
    WHERE state NOT IN ('completed', 'failed', 'cancelled', 'returned')
"""

MAX_CONFLICTS = 50


class ParcelRow(msgspec.Struct, frozen=True, kw_only=True):
    parcel: Parcel
    party: Party
    status: str = "expected"
    short: bool = False
    refused: bool = False


class ConflictRow(msgspec.Struct, frozen=True, kw_only=True):
    """`decision_code` once somebody has looked at it."""

    conflict_id: str
    report: str
    stop_id: str
    rider_id: str
    observed_at: datetime
    conflict: str
    decision_code: str | None = None


class TaskDetailRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    task_id: str
    outlet: str
    kind: str
    state: str
    leg: str | None = None
    stops: list[dict[str, Any]]
    """As they were created, personal data sealed."""
    parcels: Mapping[str, ParcelRow]
    proofs: list[ProofRow] = []
    proof_disputed: bool = False
    """A proof was rejected after its stop had completed."""
    conflicts: list[ConflictRow] = []
    tracking_code: str
    external_reference: str | None
    source: str
    shipment_id: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int
    progress: Progress


def apply(row: TaskDetailRow | None, fact: Fact, key: Key) -> TaskDetailRow:
    event, source = fact.event, fact.source
    if isinstance(event, TaskCreated):
        row = created(event, fact)
    assert row is not None, "a task's first event creates it"
    progress = progressed(row.progress, event, source.event_time)
    row = replace(
        row,
        state=state_of(progress),
        leg=leg_of(progress),
        updated_at=source.recorded_at,
        version=source.version,
        progress=progress,
    )
    return with_proofs(with_goods(with_places(row, event), event), event, source.event_time)


def created(event: TaskCreated, fact: Fact) -> TaskDetailRow:
    outlet = Party(kind="outlet", id=event.outlet)
    return TaskDetailRow(
        tenant=fact.source.tenant,
        task_id=fact.source.aggregate_id,
        outlet=event.outlet,
        kind=event.kind,
        state="created",
        stops=[told(stop) for stop in event.stops],
        parcels={parcel.parcel_id: ParcelRow(parcel=parcel, party=outlet) for parcel in event.parcels},
        tracking_code=event.tracking_code,
        external_reference=event.external_reference,
        source=event.source,
        shipment_id=event.shipment_id,
        metadata=event.metadata,
        created_at=fact.source.recorded_at,
        updated_at=fact.source.recorded_at,
        version=fact.source.version,
        progress=Progress(),
    )


def with_places(row: TaskDetailRow, event: Event) -> TaskDetailRow:
    match event:
        case StopLocated():
            place = told(event.location, StopLocated.__name__, "location")
            stops = [s | {"location": place} if s["stop_id"] == event.stop_id else s for s in row.stops]
            return replace(row, stops=stops)
        case ReturnStarted():
            return replace(row, stops=[*row.stops, told(event.stop)])
        case _:
            return row


def with_goods(row: TaskDetailRow, event: Event) -> TaskDetailRow:
    match event:
        case ParcelsPickedUp():
            return with_parcels(row, event.parcel_ids, party=event.to_party, status="in_custody")
        case ParcelsShort():
            return with_parcels(row, event.parcel_ids, short=True)
        case ParcelsDelivered():
            return with_parcels(row, event.parcel_ids, party=event.to_party, status="delivered")
        case ParcelsRefused():
            return with_parcels(row, event.parcel_ids, refused=True, status="refused")
        case ParcelsReturned():
            return with_parcels(row, event.parcel_ids, party=event.to_party, status="returned")
        case ParcelsWrittenOff():
            return with_parcels(row, event.parcel_ids, party=event.to_party, status=event.disposition)
        case FieldReportConflicted():
            conflict = ConflictRow(
                conflict_id=event.conflict_id,
                report=event.report,
                stop_id=event.stop_id,
                rider_id=event.rider_id,
                observed_at=event.observed_at,
                conflict=event.conflict,
            )
            return replace(row, conflicts=[*row.conflicts, conflict][-MAX_CONFLICTS:])
        case FieldReportReviewed():
            return replace(row, conflicts=[reviewed(each, event) for each in row.conflicts])
        case _:
            return row


def with_proofs(row: TaskDetailRow, event: Event, at: datetime) -> TaskDetailRow:
    begun = {stop_id for stop_id, stop in row.progress.stops.items() if stop.status not in OVER}
    proofs = proofs_after(row.proofs, event, at, begun)
    return replace(row, proofs=proofs, proof_disputed=row.proof_disputed or isinstance(event, ProofDisputed))


def reviewed(conflict: ConflictRow, event: FieldReportReviewed) -> ConflictRow:
    if conflict.conflict_id != event.conflict_id:
        return conflict
    return replace(conflict, decision_code=event.decision_code)


def with_parcels(row: TaskDetailRow, parcel_ids: list[Any], **changes: object) -> TaskDetailRow:
    changed = {parcel_id: replace(row.parcels[parcel_id], **changes) for parcel_id in parcel_ids}
    return replace(row, parcels={**row.parcels, **changed})


TASK_DETAIL = ReadModel(
    name="task_detail",
    version=2,
    table=TABLE,
    row=TaskDetailRow,
    key=("tenant", "task_id"),
    events=frozenset(members_of(TaskEvent)),
    keys=by_aggregate,
    apply=apply,
)

ONE = "SELECT * FROM task_detail WHERE tenant = %s AND task_id = %s"


PAGE = """
SELECT * FROM task_detail
WHERE tenant = %(tenant)s AND state NOT IN ('completed', 'failed', 'cancelled', 'returned')
  AND (%(rider_id)s::text IS NULL OR progress ->> 'rider_id' = %(rider_id)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, task_id) > (%(at)s, %(id)s))
ORDER BY created_at, task_id
LIMIT %(limit)s
"""


async def page(connection: AsyncConnection, tenant: str, filters: dict[str, Any]) -> list[dict[str, Any]]:
    """The tasks under way, oldest first. Filters: rider_id; after (at, id); limit."""
    wanted = dict.fromkeys(("rider_id", "at", "id"))
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(PAGE, wanted | filters | {"tenant": tenant})
        return await cursor.fetchall()


async def one(connection: AsyncConnection, tenant: str, task_id: str) -> dict[str, Any] | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(ONE, (tenant, task_id))
        return await cursor.fetchone()
