"""When will each stop be reached, how sure is that, and will it be late?

What is told of a stop comes from two topics in whatever order. So what was forecast is kept beside when the stop was
ahead anew, and what is shown follows from both.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel
from projections.page import Page
from schemas.message import Event
from schemas.signals import EtaForecast
from schemas.stop import Stop
from schemas.stop_events import (
    HoldStarted,
    ReattemptPlanned,
    ReturnStarted,
    StopArrived,
    StopCompleted,
    StopFailed,
    StopSkipped,
)
from schemas.task import StopRescheduled, TaskCreated

TABLE = """
CREATE TABLE {table} (
    tenant            text NOT NULL,
    task_id           text NOT NULL,
    stop_id           text NOT NULL,
    kind              text,
    window_end        timestamptz,
    rider_id          text,
    p10               timestamptz,
    p50               timestamptz,
    p90               timestamptz,
    remaining_m       bigint,
    model             text,
    source            text,
    forecast_at       timestamptz,
    forecast_id       text,
    first_p50         timestamptz,
    first_forecast_at timestamptz,
    arrived_at        timestamptz,
    completed_at      timestamptz,
    ended             text,
    ahead_since       timestamptz,
    latest            jsonb,
    earliest          jsonb,
    PRIMARY KEY (tenant, task_id, stop_id)
);
CREATE INDEX ON {table} (tenant, rider_id) WHERE ended IS NULL;
CREATE INDEX ON {table} (tenant) WHERE ended IS NULL AND p50 > window_end;
CREATE INDEX ON {table} (tenant, forecast_at, task_id, stop_id) WHERE forecast_at IS NOT NULL
"""

PLANNED = (TaskCreated, ReturnStarted, HoldStarted, ReattemptPlanned)
ENDS: dict[type[Event], str] = {StopCompleted: "completed", StopFailed: "failed", StopSkipped: "skipped"}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A forecast, `at` the time of its fix."""

    at: datetime
    event_id: str
    rider_id: str
    p10: datetime
    p50: datetime
    p90: datetime
    remaining_m: int
    model: str
    source: str


class EtaRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    task_id: str
    stop_id: str
    kind: str | None = None
    window_end: datetime | None = None
    rider_id: str | None = None
    """Who was on the way at the latest forecast."""
    p10: datetime | None = None
    p50: datetime | None = None
    p90: datetime | None = None
    remaining_m: int | None = None
    model: str | None = None
    source: str | None = None
    forecast_at: datetime | None = None
    forecast_id: str | None = None
    first_p50: datetime | None = None
    """Of the first attempt alone."""
    first_forecast_at: datetime | None = None
    arrived_at: datetime | None = None
    completed_at: datetime | None = None
    ended: str | None = None
    ahead_since: datetime | None = None
    """When another attempt was planned: what was forecast before is of the one that failed."""
    latest: Told | None = None
    earliest: Told | None = None


def keys(fact: Fact) -> Sequence[Key]:
    event, source = fact.event, fact.source
    match event:
        case TaskCreated():
            return [(source.tenant, source.aggregate_id, stop.stop_id) for stop in event.stops]
        case ReturnStarted() | HoldStarted():
            return [(source.tenant, source.aggregate_id, event.stop.stop_id)]
        case ReattemptPlanned():
            stops = [event.pickup.stop_id, *event.stop_ids]
            return [(source.tenant, source.aggregate_id, stop_id) for stop_id in stops]
        case EtaForecast():
            return [(source.tenant, event.task_id, event.stop_id)]
        case StopArrived() | StopCompleted() | StopFailed() | StopSkipped() | StopRescheduled():
            return [(source.tenant, source.aggregate_id, event.stop_id)]
        case _:
            return []


def apply(row: EtaRow | None, fact: Fact, key: Key) -> EtaRow:
    return shown(changed(row, fact, key))


def changed(row: EtaRow | None, fact: Fact, key: Key) -> EtaRow:
    tenant, task_id, stop_id = key
    known = row or EtaRow(tenant=tenant, task_id=task_id, stop_id=stop_id)
    event, at = fact.event, fact.source.event_time
    match event:
        case TaskCreated():
            return planned(known, next(stop for stop in event.stops if stop.stop_id == stop_id))
        case ReturnStarted() | HoldStarted():
            return planned(known, event.stop)
        case ReattemptPlanned() if stop_id == event.pickup.stop_id:
            return planned(known, event.pickup)
        case ReattemptPlanned():
            window_end = event.window.end if event.window else known.window_end
            return replace(known, window_end=window_end, arrived_at=None, completed_at=None, ended=None, ahead_since=at)
        case EtaForecast():
            return forecast(known, event, fact)
        case StopRescheduled():
            return replace(known, window_end=event.window.end)
        case StopArrived():
            return replace(known, arrived_at=min(known.arrived_at or at, at))
        case StopCompleted():
            return replace(known, ended="completed", completed_at=at)
        case StopFailed() | StopSkipped():
            return replace(known, ended=ENDS[type(event)])
        case _:
            return known


def planned(row: EtaRow, stop: Stop) -> EtaRow:
    return replace(row, kind=stop.kind, window_end=stop.window.end if stop.window else None)


def forecast(row: EtaRow, event: EtaForecast, fact: Fact) -> EtaRow:
    """The latest and the first by the fix's time; riders on different partitions may have told of one stop."""
    source = fact.source
    told = Told(
        at=source.event_time,
        event_id=source.event_id,
        rider_id=source.aggregate_id,
        p10=event.p10,
        p50=event.p50,
        p90=event.p90,
        remaining_m=event.remaining_m,
        model=event.model,
        source=event.source,
    )
    if row.latest is None or when(told) > when(row.latest):
        row = replace(row, latest=told)
    if row.earliest is None or when(told) < when(row.earliest):
        row = replace(row, earliest=told)
    return row


def when(told: Told) -> tuple[datetime, str]:
    return told.at, told.event_id


def shown(row: EtaRow) -> EtaRow:
    first, latest = row.earliest, row.latest
    if row.ahead_since is not None:
        first, latest = None, latest if latest is not None and latest.at >= row.ahead_since else None
    return replace(
        row,
        rider_id=latest and latest.rider_id,
        p10=latest and latest.p10,
        p50=latest and latest.p50,
        p90=latest and latest.p90,
        remaining_m=latest and latest.remaining_m,
        model=latest and latest.model,
        source=latest and latest.source,
        forecast_at=latest and latest.at,
        forecast_id=latest and latest.event_id,
        first_p50=first and first.p50,
        first_forecast_at=first and first.at,
    )


ETAS = ReadModel(
    name="etas",
    version=6,
    table=TABLE,
    row=EtaRow,
    key=("tenant", "task_id", "stop_id"),
    events=frozenset({*PLANNED, EtaForecast, StopArrived, StopRescheduled, *ENDS}),
    keys=keys,
    apply=apply,
)

RISK = """
CASE WHEN window_end IS NULL THEN NULL
     WHEN completed_at IS NOT NULL THEN CASE WHEN completed_at > window_end THEN 'late' ELSE 'on_time' END
     WHEN ended IS NOT NULL OR p50 IS NULL THEN NULL
     WHEN p50 > window_end THEN 'late'
     WHEN p90 > window_end THEN 'at_risk'
     ELSE 'on_time' END
"""
"""By the odds: more likely than not after the window's end, or in one case of ten."""

PAGE = f"""
SELECT tenant, task_id, stop_id, kind, window_end, rider_id, p10, p50, p90, remaining_m, model, source, forecast_at,
       first_p50, first_forecast_at, arrived_at, completed_at, ended, {RISK} AS risk,
       task_id || '/' || stop_id AS id
FROM (
    SELECT etas.*, ended IS NULL AND NOT coalesce(task_board.state IN
           ('completed', 'failed', 'cancelled', 'returned'), false) AS open
    FROM etas LEFT JOIN (SELECT tenant, task_id, state FROM task_board) AS task_board USING (tenant, task_id)
) AS known
WHERE tenant = %(tenant)s AND forecast_at IS NOT NULL
  AND (%(task_id)s::text IS NULL OR task_id = %(task_id)s)
  AND (%(rider_id)s::text IS NULL OR rider_id = %(rider_id)s)
  AND (%(open)s::boolean IS NULL OR open = %(open)s)
  AND (%(at)s::timestamptz IS NULL OR (forecast_at, task_id || '/' || stop_id) > (%(at)s, %(id)s))
ORDER BY forecast_at, id
LIMIT %(limit)s
"""
"""A stop is open until it has ended, or its task has by another way."""


page = Page(PAGE)
"""Stops with a forecast, with their risk."""
