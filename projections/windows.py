"""Which batch windows are there, which tasks wait in them, and who was given what?"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from schemas.catalog import members_of
from schemas.dispatch_window import (
    Left,
    TaskJoinedWindow,
    WaitingTask,
    WindowClosed,
    WindowDecided,
    WindowEvent,
    WindowOpened,
)
from schemas.message import Source

WINDOW_STATES = ("open", "closed", "decided")

TABLE = """
CREATE TABLE {table} (
    tenant         text        NOT NULL,
    window_id      text        NOT NULL,
    status         text        NOT NULL,
    seconds        bigint      NOT NULL,
    opened_at      timestamptz NOT NULL,
    closes_at      timestamptz NOT NULL,
    closed_at      timestamptz,
    closed_by      text,
    full_up        boolean     NOT NULL,
    decided_at     timestamptz,
    tasks          jsonb       NOT NULL,
    given          jsonb       NOT NULL,
    left_over      jsonb       NOT NULL,
    gone           jsonb       NOT NULL,
    riders         bigint,
    total          double precision,
    divided_by     text,
    policy_version bigint,
    input_hash     text,
    solver         text,
    updated_at     timestamptz NOT NULL,
    version        bigint      NOT NULL,
    PRIMARY KEY (tenant, window_id)
);
CREATE INDEX ON {table} (tenant, opened_at, window_id);
CREATE INDEX ON {table} (closed_at) WHERE status = 'closed'
"""


class GivenRow(msgspec.Struct, frozen=True, kw_only=True):
    rider_id: str
    task_ids: list[str]
    ends_at: datetime


class WindowRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    window_id: str
    status: str = "open"
    """open, closed or decided."""
    seconds: int
    opened_at: datetime
    closes_at: datetime
    closed_at: datetime | None = None
    closed_by: str | None = None
    """The id of the event by which it was."""
    full_up: bool = False
    """It closed before its time, with the last task that it takes."""
    decided_at: datetime | None = None
    tasks: list[WaitingTask] = []
    given: list[GivenRow] = []
    left_over: list[Left] = []
    """To whom nobody was found, and why."""
    gone: list[str] = []
    """What had been settled otherwise by then."""
    riders: int | None = None
    total: float | None = None
    divided_by: str | None = None
    policy_version: int | None = None
    input_hash: str | None = None
    solver: str | None = None
    updated_at: datetime
    version: int


def apply(row: WindowRow | None, fact: Fact, key: Key) -> WindowRow:
    event, source = fact.event, fact.source
    if isinstance(event, WindowOpened):
        return opened(event, source)
    assert row is not None, "a window's first event opens it"
    row = replace(row, updated_at=source.recorded_at, version=source.version)
    match event:
        case TaskJoinedWindow():
            others = [each for each in row.tasks if each.task_id != event.task_id]
            joined = WaitingTask(task_id=event.task_id, round=event.round, since=event.since)
            return replace(row, tasks=[*others, joined])
        case WindowClosed():
            by, at = source.event_id, source.recorded_at
            full_up = event.reason == "full"
            return replace(row, status="closed", closed_at=at, closed_by=by, full_up=full_up, tasks=event.tasks)
        case WindowDecided():
            return decided(row, event, source)
        case _:
            return row


def opened(event: WindowOpened, source: Source) -> WindowRow:
    return WindowRow(
        tenant=source.tenant,
        window_id=source.aggregate_id,
        seconds=event.seconds,
        opened_at=source.recorded_at,
        closes_at=event.closes_at,
        updated_at=source.recorded_at,
        version=source.version,
    )


def decided(row: WindowRow, event: WindowDecided, source: Source) -> WindowRow:
    given = [
        GivenRow(rider_id=each.rider_id, task_ids=[task.task_id for task in each.tasks], ends_at=each.ends_at)
        for each in event.given
    ]
    return replace(
        row,
        status="decided",
        decided_at=source.recorded_at,
        given=given,
        left_over=event.left,
        gone=[*event.gone],
        riders=event.riders,
        total=event.total,
        divided_by=event.by,
        policy_version=event.policy_version,
        input_hash=event.input_hash,
        solver=event.solver,
    )


WINDOWS = ReadModel(
    name="windows",
    version=1,
    table=TABLE,
    row=WindowRow,
    key=("tenant", "window_id"),
    events=frozenset(members_of(WindowEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM windows
WHERE tenant = %(tenant)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(task_id)s::text IS NULL OR tasks @> jsonb_build_array(jsonb_build_object('task_id', %(task_id)s::text)))
  AND (%(at)s::timestamptz IS NULL OR (opened_at, window_id) > (%(at)s, %(id)s))
ORDER BY opened_at, window_id
LIMIT %(limit)s
"""
CLOSED = """
SELECT * FROM (
    SELECT DISTINCT ON (tenant) tenant, window_id, tasks, closed_at, closed_by
    FROM windows
    WHERE status = 'closed' AND tenant <> ALL(%s)
    ORDER BY tenant, closed_at, window_id
) AS oldest
ORDER BY closed_at, window_id
LIMIT %s
"""


page = Page(PAGE)
"""Windows, oldest first."""


async def to_decide(connection: AsyncConnection, but_not_of: Sequence[str], limit: int) -> Sequence[Mapping[str, Any]]:
    """Of each tenant the window that has been closed for longest; of these the longest closed ones."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(CLOSED, (list(but_not_of), limit))
        return await cursor.fetchall()
