"""Which plans are there, who drives which route when, and what came of each task?"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from schemas.catalog import members_of
from schemas.message import Source
from schemas.plan import (
    PlanCommitStarted,
    PlanCommitted,
    PlanEvent,
    PlannedTaskGiven,
    PlannedTaskRefused,
    PlanPartlyCommitted,
    PlanProposed,
    PlanRejected,
    PlanRequested,
    Proposal,
    RouteCommitted,
    RouteRefused,
)

TABLE = """
CREATE TABLE {table} (
    tenant             text        NOT NULL,
    plan_id            text        NOT NULL,
    status             text        NOT NULL,
    request            jsonb       NOT NULL,
    proposal           jsonb,
    tasks              jsonb       NOT NULL,
    riders             jsonb       NOT NULL,
    reason_code        text,
    told               text,
    external_reference text,
    metadata           jsonb       NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,
    PRIMARY KEY (tenant, plan_id)
);
CREATE INDEX ON {table} (tenant, created_at, plan_id);
CREATE INDEX ON {table} (created_at) WHERE status = 'requested'
"""


class PlanRequestRow(msgspec.Struct, frozen=True, kw_only=True):
    tasks: list[str]
    riders: list[str]
    outlets: list[str]
    until: datetime | None
    objective: str
    seconds: int
    seed: int
    replan: bool
    commit: str


class TaskOutcomeRow(msgspec.Struct, frozen=True, kw_only=True):
    """`reason_code`: why the rider has not got it."""

    rider_id: str
    given: bool
    reason_code: str | None = None


class RiderOutcomeRow(msgspec.Struct, frozen=True, kw_only=True):
    """Of a rider's route."""

    committed: bool
    reason_code: str | None = None


class PlanRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    plan_id: str
    status: str = "requested"
    """requested, proposed, committing, committed, partly_committed or rejected."""
    request: PlanRequestRow
    proposal: Proposal | None = None
    """Not in lists: read the plan itself."""
    tasks: Mapping[str, TaskOutcomeRow] = {}
    """What came of each, of those that are settled."""
    riders: Mapping[str, RiderOutcomeRow] = {}
    """What came of each rider's route, of those that are settled."""
    reason_code: str | None = None
    """Why it was rejected, or there is none."""
    told: str | None = None
    external_reference: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: PlanRow | None, fact: Fact, key: Key) -> PlanRow:
    event, source = fact.event, fact.source
    if isinstance(event, PlanRequested):
        return requested(event, source)
    assert row is not None, "a plan's first event asks for it"
    row = replace(row, updated_at=source.recorded_at, version=source.version)
    match event:
        case PlanProposed():
            return replace(row, status="proposed", proposal=event.proposal)
        case PlanCommitStarted():
            return replace(row, status="committing")
        case PlannedTaskGiven():
            return with_task(row, event.task_id, TaskOutcomeRow(rider_id=event.rider_id, given=True))
        case PlannedTaskRefused():
            refused = TaskOutcomeRow(rider_id=event.rider_id, given=False, reason_code=event.reason_code)
            return with_task(row, event.task_id, refused)
        case RouteCommitted():
            return with_rider(row, event.rider_id, RiderOutcomeRow(committed=True))
        case RouteRefused():
            return with_rider(row, event.rider_id, RiderOutcomeRow(committed=False, reason_code=event.reason_code))
        case PlanCommitted():
            return replace(row, status="committed")
        case PlanPartlyCommitted():
            return replace(row, status="partly_committed")
        case PlanRejected():
            return replace(row, status="rejected", reason_code=event.reason_code, told=event.told or None)
        case _:
            return row


def requested(event: PlanRequested, source: Source) -> PlanRow:
    return PlanRow(
        tenant=source.tenant,
        plan_id=source.aggregate_id,
        request=PlanRequestRow(
            tasks=list(event.tasks),
            riders=list(event.riders),
            outlets=event.outlets,
            until=event.until,
            objective=event.objective,
            seconds=event.seconds,
            seed=event.seed,
            replan=event.replan,
            commit=event.commit,
        ),
        external_reference=event.external_reference,
        metadata=event.metadata,
        created_at=source.recorded_at,
        updated_at=source.recorded_at,
        version=source.version,
    )


def with_task(row: PlanRow, task_id: str, outcome: TaskOutcomeRow) -> PlanRow:
    return replace(row, tasks={**row.tasks, task_id: outcome})


def with_rider(row: PlanRow, rider_id: str, outcome: RiderOutcomeRow) -> PlanRow:
    return replace(row, riders={**row.riders, rider_id: outcome})


PLANS = ReadModel(
    name="plans",
    version=1,
    table=TABLE,
    row=PlanRow,
    key=("tenant", "plan_id"),
    events=frozenset(members_of(PlanEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT tenant, plan_id, status, request, NULL::jsonb AS proposal, tasks, riders, reason_code, told, external_reference,
       metadata, created_at, updated_at, version
FROM plans
WHERE tenant = %(tenant)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(reference)s::text IS NULL OR external_reference = %(reference)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, plan_id) > (%(at)s, %(id)s))
ORDER BY created_at, plan_id
LIMIT %(limit)s
"""
WANTED = """
SELECT DISTINCT ON (tenant) tenant, plan_id, request FROM plans
WHERE status = 'requested'
ORDER BY tenant, created_at, plan_id
"""


class WantedPlan(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    plan_id: str
    request: PlanRequestRow


async def wanted(connection: AsyncConnection[Any]) -> list[WantedPlan]:
    """Of each tenant the plan that was asked for first, of those that nobody has made yet."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(WANTED)
        return msgspec.convert(await cursor.fetchall(), list[WantedPlan])


page = Page(PAGE)
"""Plans, oldest first."""
