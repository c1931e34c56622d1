"""Which tasks are there, how far are they, and who has them?"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from projections.task_incidents import OPEN
from projections.task_progress import Carrier, Progress, count, leg_of, needs_location, progressed, state_of
from schemas.catalog import members_of
from schemas.task import FieldReportConflicted, TaskCreated, TaskEvent

TABLE = """
CREATE TABLE {table} (
    tenant             text        NOT NULL,
    task_id            text        NOT NULL,
    outlet             text        NOT NULL,
    kind               text        NOT NULL,
    priority           text        NOT NULL,
    held               text,
    needs_location     boolean     NOT NULL,
    sla_at_risk        boolean     NOT NULL,
    sla_breached       boolean     NOT NULL,
    waits_for          jsonb       NOT NULL,
    dispatch_at        timestamptz,
    state              text        NOT NULL,
    leg                text,
    rider_id           text,
    carrier            jsonb,
    tender_id          text,
    round              bigint      NOT NULL,
    outcome            text,
    reason_code        text,
    late               boolean     NOT NULL,
    conflicts          bigint      NOT NULL,
    stops_done         bigint      NOT NULL,
    stops_total        bigint      NOT NULL,
    parcels            bigint      NOT NULL,
    due_at             timestamptz,
    tracking_code      text        NOT NULL,
    external_reference text,
    metadata           jsonb       NOT NULL,
    shipment_id        text,
    recurrence_id      text,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,
    progress           jsonb       NOT NULL,
    PRIMARY KEY (tenant, task_id)
);
CREATE INDEX ON {table} (tenant, created_at, task_id);
CREATE INDEX ON {table} (tenant, state, created_at, task_id);
CREATE INDEX ON {table} (tenant, rider_id, updated_at) WHERE rider_id IS NOT NULL;
CREATE INDEX ON {table} (tenant, rider_id) WHERE leg LIKE 'en_route%';
CREATE INDEX ON {table} (tenant, updated_at);
CREATE INDEX ON {table} (tenant, external_reference) WHERE external_reference IS NOT NULL;
CREATE INDEX ON {table} USING gin (metadata jsonb_path_ops);
CREATE INDEX ON {table} (tenant, recurrence_id) WHERE recurrence_id IS NOT NULL
"""

LAST = ("dropoff", "collection")


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    task_id: str
    outlet: str
    kind: str
    priority: str
    held: str | None = None
    """Why it is kept from dispatch, if it is."""
    needs_location: bool = False
    """A person has to tell where one of its stops is; until then it does not come to dispatch."""
    sla_at_risk: bool = False
    """Something that was promised may come too late."""
    sla_breached: bool = False
    """Something that was promised is late, or was."""
    waits_for: list[str] = []
    """The tasks and the pick wave that keep it from dispatch, by their ids."""
    dispatch_at: datetime | None = None
    """When it comes to dispatch, while it waits for that."""
    state: str
    leg: str | None = None
    rider_id: str | None = None
    carrier: Carrier | None = None
    """That has it by a booking; there is no rider then."""
    tender_id: str | None = None
    round: int = 0
    outcome: str | None = None
    reason_code: str | None = None
    late: bool = False
    """The last dropoff was completed after its window's end."""
    conflicts: int = 0
    stops_done: int = 0
    stops_total: int
    parcels: int
    due_at: datetime | None = None
    tracking_code: str
    external_reference: str | None
    metadata: dict[str, str]
    shipment_id: str | None
    recurrence_id: str | None = None
    """Of which it is an occurrence, if it is one."""
    created_at: datetime
    updated_at: datetime
    version: int
    progress: Progress


def apply(row: TaskRow | None, fact: Fact, key: Key) -> TaskRow:
    event, source = fact.event, fact.source
    if isinstance(event, TaskCreated):
        row = created(event, fact)
    assert row is not None, "a task's first event creates it"
    progress = progressed(row.progress, event, source.event_time)
    return replace(
        row,
        state=state_of(progress),
        held=progress.held,
        needs_location=needs_location(progress),
        sla_at_risk=bool(progress.at_risk),
        sla_breached=bool(progress.breached),
        waits_for=[on for on, awaited in progress.dependencies.items() if awaited.status in ("open", "failed")],
        dispatch_at=progress.dispatch_at,
        leg=leg_of(progress),
        rider_id=progress.rider_id,
        carrier=progress.carrier,
        tender_id=progress.tender_id,
        round=progress.round,
        outcome=progress.outcome,
        reason_code=progress.reason_code,
        due_at=due_at(progress),
        late=late(progress, due_at(progress)),
        conflicts=row.conflicts + isinstance(event, FieldReportConflicted),
        stops_done=count(progress.stops.values(), "completed"),
        stops_total=len(progress.stops),
        updated_at=source.recorded_at,
        version=source.version,
        progress=progress,
    )


def created(event: TaskCreated, fact: Fact) -> TaskRow:
    source = fact.source
    return TaskRow(
        tenant=source.tenant,
        task_id=source.aggregate_id,
        outlet=event.outlet,
        kind=event.kind,
        priority=event.priority,
        state="created",
        stops_total=len(event.stops),
        parcels=len(event.parcels),
        tracking_code=event.tracking_code,
        external_reference=event.external_reference,
        metadata=event.metadata,
        shipment_id=event.shipment_id,
        recurrence_id=event.recurrence_id,
        created_at=source.recorded_at,
        updated_at=source.recorded_at,
        version=source.version,
        progress=Progress(),
    )


def due_at(progress: Progress) -> datetime | None:
    """The end of the last window of a dropoff or a collection."""
    ends = [s.window_end for s in progress.stops.values() if s.kind in LAST and s.window_end is not None]
    return max(ends, default=None)


def late(progress: Progress, due: datetime | None) -> bool:
    if due is None:
        return False
    drops = [s.ended_at for s in progress.stops.values() if s.kind in LAST and s.status == "completed"]
    return any(ended is not None and ended > due for ended in drops)


TASK_BOARD = ReadModel(
    name="task_board",
    version=6,
    table=TABLE,
    row=TaskRow,
    key=("tenant", "task_id"),
    events=frozenset(members_of(TaskEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = f"""
WITH troubled AS MATERIALIZED ({OPEN})
SELECT tenant, task_id, outlet, kind, priority, held, needs_location, sla_at_risk, sla_breached, waits_for,
       dispatch_at, state, leg, rider_id, carrier, tender_id,
       round, outcome, reason_code, late, conflicts, stops_done, stops_total, parcels, due_at, tracking_code,
       external_reference, metadata, shipment_id, recurrence_id, created_at, updated_at, version,
       task_id IN (SELECT task_id FROM troubled) AS incident_open
FROM task_board
WHERE tenant = %(tenant)s
  AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(outlet)s::text IS NULL OR outlet = %(outlet)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(priority)s::text IS NULL OR priority = %(priority)s)
  AND (%(held)s::boolean IS NULL OR (held IS NOT NULL) = %(held)s)
  AND (%(needs_location)s::boolean IS NULL OR needs_location = %(needs_location)s)
  AND (%(sla_at_risk)s::boolean IS NULL OR sla_at_risk = %(sla_at_risk)s)
  AND (%(sla_breached)s::boolean IS NULL OR sla_breached = %(sla_breached)s)
  AND (
    %(incident_open)s::boolean IS NULL OR (task_id IN (SELECT task_id FROM troubled)) = %(incident_open)s
  )
  AND (%(waits_for)s::text IS NULL OR waits_for ? %(waits_for)s)
  AND (%(shipment_id)s::text IS NULL OR shipment_id = %(shipment_id)s)
  AND (%(recurrence_id)s::text IS NULL OR recurrence_id = %(recurrence_id)s)
  AND (%(rider_id)s::text IS NULL OR rider_id = %(rider_id)s)
  AND (%(reference)s::text IS NULL OR external_reference = %(reference)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, task_id) > (%(at)s, %(id)s))
ORDER BY created_at, task_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Tasks, oldest first."""


COUNTS = """
SELECT state, coalesce(outcome, '') AS outcome, late OR sla_breached AS late, count(*) AS tasks
FROM task_board
WHERE tenant = %s
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
"""


async def counts(connection: AsyncConnection, tenant: str) -> list[dict[str, Any]]:
    """How many tasks there are of each state, outcome ("" without one) and lateness: after its window, or with a
    promise that was broken."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(COUNTS, (tenant,))
        return await cursor.fetchall()


WAITING = """
SELECT board.task_id
FROM task_board AS board
JOIN task_detail AS detail USING (tenant, task_id)
WHERE tenant = %s AND board.state IN ('dispatchable', 'offering') AND board.held IS NULL AND detail.simulation IS NULL
ORDER BY board.due_at NULLS LAST, board.created_at, task_id
LIMIT %s
"""
STANDING = """
SELECT board.task_id, board.state, board.held, detail.simulation IS NOT NULL AS simulated
FROM task_board AS board
JOIN task_detail AS detail USING (tenant, task_id)
WHERE tenant = %s AND task_id = ANY(%s)
"""


async def waiting(connection: AsyncConnection, tenant: str, most: int) -> list[str]:
    """The ids of tasks that wait for one of the riders, those due first at first."""
    return [task_id for (task_id,) in await (await connection.execute(WAITING, (tenant, most))).fetchall()]


async def standing(connection: AsyncConnection, tenant: str, task_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of those that are known: what keeps them from waiting for one of the riders, if something does."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(STANDING, (tenant, list(task_ids)))
        return {row["task_id"]: row for row in await cursor.fetchall()}
