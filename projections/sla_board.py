"""What was promised for which task, by when, and is it kept? One row for each promise of a task."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.model import Fact, Key, ReadModel
from projections.page import Page
from schemas.sla import (
    SLA_EVENTS,
    Promise,
    SlaAtRisk,
    SlaBreached,
    SlaClockPaused,
    SlaClockResumed,
    SlaClockStarted,
    SlaClockStopped,
    SlaPromiseSettled,
    SlaTarget,
    promised,
    promises_of,
)
from schemas.task import TaskCreated

TABLE = """
CREATE TABLE {table} (
    tenant         text        NOT NULL,
    task_id        text        NOT NULL,
    promise        text        NOT NULL,
    sla_policy_id  text        NOT NULL,
    policy_version bigint      NOT NULL,
    outlet         text        NOT NULL,
    kind           text        NOT NULL,
    priority       text        NOT NULL,
    status         text        NOT NULL,
    started_at     timestamptz,
    target_at      timestamptz,
    at_risk        boolean     NOT NULL,
    predicted_at   timestamptz,
    level          bigint,
    breached_at    timestamptz,
    at_fault       text,
    pause_reason   text,
    pauses         jsonb       NOT NULL,
    paused_s       bigint      NOT NULL,
    ended_at       timestamptz,
    late_s         bigint,
    clock_id       text,
    partition      bigint      NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant, task_id, promise)
);
CREATE INDEX ON {table} (tenant, updated_at, task_id, promise);
CREATE INDEX ON {table} (partition, target_at) WHERE status = 'running' AND NOT at_risk
"""
MAX_PAUSES = 50

SlaStatus = Literal["waiting", "running", "paused", "kept", "late", "stopped"]
"""waiting for its clock to start; stopped without what was promised."""


class PauseRow(msgspec.Struct, frozen=True, kw_only=True):
    reason_code: str
    at_fault: str
    paused_at: datetime


class SlaRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    task_id: str
    promise: str
    """dispatch, pickup or deliver."""
    sla_policy_id: str
    policy_version: int
    outlet: str
    kind: str
    priority: str
    status: SlaStatus = "waiting"
    started_at: datetime | None = None
    target_at: datetime | None = None
    at_risk: bool = False
    predicted_at: datetime | None = None
    """By the forecast that put it at risk."""
    level: int | None = None
    """The highest that was breached: 0 is the target itself."""
    breached_at: datetime | None = None
    at_fault: str | None = None
    """Who is answerable for the latest breach."""
    pause_reason: str | None = None
    pauses: list[PauseRow] = []
    paused_s: int = 0
    ended_at: datetime | None = None
    late_s: int | None = None
    clock_id: str | None = None
    """The fact that set the target."""
    partition: int
    updated_at: datetime


def keys(fact: Fact) -> Sequence[Key]:
    return [(fact.source.tenant, fact.source.aggregate_id, promise) for promise in promises(fact)]


def promises(fact: Fact) -> list[Promise]:
    event = fact.event
    if isinstance(event, TaskCreated):
        return [] if event.sla is None else [*promised(event.sla.terms, event.kind)]
    assert isinstance(event, SLA_EVENTS), "nothing else is folded here"
    return promises_of(event)


def apply(row: SlaRow | None, fact: Fact, key: Key) -> SlaRow:
    event, source, promise = fact.event, fact.source, key[2]
    if isinstance(event, TaskCreated):
        row = created(event, fact, promise)
    assert row is not None, "a task's first event says what is promised"
    row = replace(row, updated_at=source.recorded_at)
    match event:
        case SlaClockStarted():
            started = replace(row, status="running", started_at=event.started_at, clock_id=source.event_id)
            return replace(started, target_at=target_of(event.targets, promise).target_at)
        case SlaClockPaused():
            pause = PauseRow(reason_code=event.reason_code, at_fault=event.at_fault, paused_at=event.paused_at)
            pauses = [*row.pauses, pause][-MAX_PAUSES:]
            return replace(row, status="paused", pause_reason=event.reason_code, pauses=pauses)
        case SlaClockResumed():
            going_on = replace(row, status="running", pause_reason=None, clock_id=source.event_id)
            target_at = target_of(event.targets, promise).target_at
            return replace(going_on, target_at=target_at, paused_s=row.paused_s + event.paused_s)
        case SlaAtRisk():
            return replace(row, at_risk=True, predicted_at=event.predicted_at)
        case SlaBreached():
            breached = replace(row, at_risk=True, level=event.level, at_fault=event.at_fault)
            return replace(breached, breached_at=row.breached_at or source.event_time)
        case SlaPromiseSettled():
            settled = replace(row, status="late" if event.late_s else "kept", pause_reason=None)
            return replace(settled, late_s=event.late_s, ended_at=event.settled_at)
        case SlaClockStopped():
            return replace(row, status="stopped", ended_at=source.event_time, pause_reason=None)
        case _:
            return row


def target_of(targets: Sequence[SlaTarget], promise: str) -> SlaTarget:
    return next(target for target in targets if target.promise == promise)


def created(event: TaskCreated, fact: Fact, promise: str) -> SlaRow:
    assert event.sla is not None, "without a policy there is no promise"
    return SlaRow(
        tenant=fact.source.tenant,
        task_id=fact.source.aggregate_id,
        promise=promise,
        sla_policy_id=event.sla.policy_id,
        policy_version=event.sla.policy_version,
        outlet=event.outlet,
        kind=event.kind,
        priority=event.priority,
        partition=fact.source.partition,
        updated_at=fact.source.recorded_at,
    )


SLA_BOARD = ReadModel(
    name="sla_board",
    version=1,
    table=TABLE,
    row=SlaRow,
    key=("tenant", "task_id", "promise"),
    events=frozenset({TaskCreated, *SLA_EVENTS}),
    keys=keys,
    apply=apply,
)

PAGE = """
SELECT * FROM (
    SELECT tenant, task_id, promise, sla_policy_id, policy_version, outlet, kind, priority, status, started_at,
           target_at, at_risk, predicted_at, level, breached_at, at_fault, pause_reason, pauses, paused_s, ended_at,
           late_s, updated_at, task_id || ' ' || promise AS id
    FROM sla_board
) AS known
WHERE tenant = %(tenant)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(promise)s::text IS NULL OR promise = %(promise)s)
  AND (%(outlet)s::text IS NULL OR outlet = %(outlet)s)
  AND (%(task_id)s::text IS NULL OR task_id = %(task_id)s)
  AND (%(sla_policy_id)s::text IS NULL OR sla_policy_id = %(sla_policy_id)s)
  AND (%(at_risk)s::boolean IS NULL OR at_risk = %(at_risk)s)
  AND (%(at)s::timestamptz IS NULL OR (updated_at, id) > (%(at)s, %(id)s))
ORDER BY updated_at, id
LIMIT %(limit)s
"""
STATISTICS = """
SELECT sla_policy_id, promise, outlet, kind, priority,
       count(*) AS promised,
       count(*) FILTER (WHERE status = 'kept') AS kept,
       count(*) FILTER (WHERE status = 'late') AS late,
       count(*) FILTER (WHERE status = 'stopped') AS stopped,
       count(*) FILTER (WHERE status IN ('waiting', 'running', 'paused')) AS open,
       count(*) FILTER (WHERE at_risk) AS at_risk,
       count(*) FILTER (WHERE level IS NOT NULL) AS breached,
       round(avg(late_s) FILTER (WHERE status = 'late'))::bigint AS mean_late_s,
       max(late_s) AS longest_late_s,
       coalesce(sum(paused_s), 0)::bigint AS paused_s
FROM sla_board
WHERE tenant = %(tenant)s
  AND (%(since)s::timestamptz IS NULL OR started_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR started_at < %(until)s)
GROUP BY sla_policy_id, promise, outlet, kind, priority
ORDER BY sla_policy_id, promise, outlet, kind, priority
"""
PREDICTED = """
SELECT 'sla_predicted_late' AS kind, board.tenant, board.task_id AS aggregate_id, board.promise AS subject,
       board.target_at, forecast.p50 AS predicted_at, board.clock_id || '/' || forecast.forecast_id AS set_by,
       board.partition, NULL::bigint AS round
FROM sla_board AS board
JOIN LATERAL (
    SELECT p50, forecast_id FROM etas
    WHERE etas.tenant = board.tenant AND etas.task_id = board.task_id AND etas.ended IS NULL
      AND etas.p50 IS NOT NULL AND etas.kind = CASE board.promise WHEN 'pickup' THEN 'pickup' ELSE 'dropoff' END
    ORDER BY p50 DESC LIMIT 1
) AS forecast ON true
WHERE board.partition = ANY(%(partitions)s)
  AND board.status = 'running' AND NOT board.at_risk AND board.promise IN ('pickup', 'deliver')
  AND forecast.p50 > board.target_at
ORDER BY board.target_at, board.task_id
LIMIT %(limit)s
"""
"""By the latest of the forecasts for its stops."""


page = Page(PAGE)
"""Promises, what has changed the longest ago first."""


async def statistics(connection: AsyncConnection, tenant: str, filters: dict[str, Any]) -> list[dict[str, Any]]:
    """How many were promised, kept, late, and by how much, by policy, promise, outlet, kind and priority, of those
    whose clock started within `since` and `until`."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(STATISTICS, {"since": None, "until": None} | filters | {"tenant": tenant})
        return await cursor.fetchall()


async def predicted(connection: AsyncConnection, partitions: Sequence[int], limit: int) -> list[dict[str, Any]]:
    """As deadlines: promises of these partitions that by the forecast will be broken, and nobody has said so yet."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(PREDICTED, {"partitions": list(partitions), "limit": limit})
        return await cursor.fetchall()
