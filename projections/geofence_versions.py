"""Which shape did a fence have when, and until when?

A row for each time that a fence was told of; until when it holds follows from what was told later. What was to hold
later than that never did, and is not shown.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.model import Fact, Key, ReadModel
from projections.page import Page
from schemas.calendar import Calendar
from schemas.catalog import members_of
from schemas.directory import GeofenceChanged, GeofenceCreated, GeofenceEvent, GeofenceRemoved, Shape

TABLE = """
CREATE TABLE {table} (
    tenant      text        NOT NULL,
    geofence_id text        NOT NULL,
    version     bigint      NOT NULL,
    shape       jsonb,
    dwell_s     integer,
    calendar    jsonb,
    valid_from  timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, geofence_id, version)
)
"""


class GeofenceVersionRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    geofence_id: str
    version: int
    """Of the fence, with which it was told."""
    shape: Shape | None
    """None of a removal, which is not shown."""
    dwell_s: int | None = None
    calendar: Calendar | None = None
    valid_from: datetime
    recorded_at: datetime


def keys(fact: Fact) -> Sequence[Key]:
    source = fact.source
    return ((source.tenant, source.aggregate_id, source.version),)


def apply(row: GeofenceVersionRow | None, fact: Fact, key: Key) -> GeofenceVersionRow:
    event, source = fact.event, fact.source
    row = GeofenceVersionRow(
        tenant=source.tenant,
        geofence_id=source.aggregate_id,
        version=source.version,
        shape=None,
        valid_from=source.recorded_at,
        recorded_at=source.recorded_at,
    )
    match event:
        case GeofenceCreated() | GeofenceChanged():
            held = {"shape": event.shape, "dwell_s": event.dwell_s, "calendar": event.calendar}
            return replace(row, **held, valid_from=event.valid_from)
        case GeofenceRemoved():
            return replace(row, valid_from=event.valid_until)
        case _:
            raise AssertionError("the model follows no other")


GEOFENCE_VERSIONS = ReadModel(
    name="geofence_versions",
    version=1,
    table=TABLE,
    row=GeofenceVersionRow,
    key=("tenant", "geofence_id", "version"),
    events=frozenset(members_of(GeofenceEvent)),
    keys=keys,
    apply=apply,
)

PAGE = """
WITH told AS (
    SELECT *, geofence_id || '.' || lpad(version::text, 10, '0') AS id,
           min(valid_from) OVER (PARTITION BY geofence_id ORDER BY version
                                 ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS valid_until
    FROM geofence_versions
    WHERE tenant = %(tenant)s AND (%(geofence_id)s::text IS NULL OR geofence_id = %(geofence_id)s)
)
SELECT * FROM told
WHERE shape IS NOT NULL AND (valid_until IS NULL OR valid_until > valid_from)
  AND (%(held_at)s::timestamptz IS NULL
       OR valid_from <= %(held_at)s AND (valid_until IS NULL OR valid_until > %(held_at)s))
  AND (%(at)s::timestamptz IS NULL OR (valid_from, id) > (%(at)s, %(id)s))
ORDER BY valid_from, id
LIMIT %(limit)s
"""

page = Page(PAGE)
"""What has held, holds and will hold, in order of when that begins."""

NOW_AND_LATER = """
WITH told AS (
    SELECT *, min(valid_from) OVER (PARTITION BY geofence_id ORDER BY version
                                    ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS valid_until
    FROM geofence_versions
    WHERE tenant = %(tenant)s AND geofence_id = ANY(%(fences)s)
), numbered AS (
    SELECT *, count(*) FILTER (WHERE valid_from > %(now)s) OVER (PARTITION BY geofence_id ORDER BY valid_from) AS number
    FROM told
    WHERE shape IS NOT NULL AND (valid_until IS NULL OR valid_until > greatest(valid_from, %(now)s))
)
SELECT geofence_id, shape, dwell_s, calendar, valid_from, valid_until
FROM numbered WHERE number <= %(most)s ORDER BY geofence_id, valid_from
"""
MOST_UPCOMING = 10
"""Of a fence."""


async def now_and_later(
    connection: AsyncConnection[Any], tenant: str, fences: Sequence[str], now: datetime
) -> dict[str, list[dict[str, Any]]]:
    """Of each fence the version that holds then, and those that will, in order."""
    asked = {"tenant": tenant, "fences": list(fences), "now": now, "most": MOST_UPCOMING}
    found: dict[str, list[dict[str, Any]]] = {}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(NOW_AND_LATER, asked)
        for row in await cursor.fetchall():
            found.setdefault(row["geofence_id"], []).append(row)
    return found
