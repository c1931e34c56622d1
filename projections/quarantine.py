"""Which fixes were put aside, and why? Folded from frames by the telemetry stream, which writes it with its own place.

Fixes are kept for a while only, and so is this: `forget` removes what is older than they are.
"""

from datetime import datetime

import msgspec
from psycopg import AsyncConnection

from projections.model import StreamTable
from projections.page import Page
from schemas.topics import FIXES

TABLE = """
CREATE TABLE IF NOT EXISTS quarantine (
    tenant      text             NOT NULL,
    "partition" bigint           NOT NULL,
    "offset"    bigint           NOT NULL,
    place       bigint           NOT NULL,
    device_id   text             NOT NULL,
    rider_id    text,
    reason      text             NOT NULL,
    lat         double precision NOT NULL,
    lon         double precision NOT NULL,
    observed_at timestamptz      NOT NULL,
    received_at timestamptz      NOT NULL,
    PRIMARY KEY ("partition", "offset", place)
);
CREATE INDEX IF NOT EXISTS quarantine_by_time ON quarantine (tenant, received_at, device_id);
CREATE INDEX IF NOT EXISTS quarantine_by_device ON quarantine (tenant, device_id, received_at)
"""
"""(partition, offset) is the frame's place in `logistics.fixes`, `place` the fix's in the frame."""


class QuarantineRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    id: str
    """In the order of the log within one partition."""
    device_id: str
    rider_id: str | None
    reason: str
    lat: float
    lon: float
    observed_at: datetime
    received_at: datetime


QUARANTINE = StreamTable(name="quarantine", row=QuarantineRow, key=("tenant", "id"), topics=frozenset({FIXES.name}))

PAGE = """
SELECT tenant, device_id, rider_id, reason, lat, lon, observed_at, received_at,
       lpad("partition"::text, 5, '0') || '.' || lpad("offset"::text, 20, '0') || '.' || lpad(place::text, 5, '0') AS id
FROM quarantine
WHERE tenant = %(tenant)s
  AND (%(device_id)s::text IS NULL OR device_id = %(device_id)s)
  AND (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (%(at)s::timestamptz IS NULL OR (
       received_at,
       lpad("partition"::text, 5, '0') || '.' || lpad("offset"::text, 20, '0') || '.' || lpad(place::text, 5, '0')
  ) > (%(at)s, %(id)s))
ORDER BY received_at, id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Fixes put aside, oldest first."""


async def forget(connection: AsyncConnection, before: datetime) -> int:
    """Remove what was received before then; how many."""
    cursor = await connection.execute("DELETE FROM quarantine WHERE received_at < %s", (before,))
    return cursor.rowcount


OF_RIDER = """
SELECT "offset", place FROM quarantine
WHERE "partition" = %s AND "offset" BETWEEN %s AND %s AND tenant = %s AND rider_id = %s
"""


async def of_rider(
    connection: AsyncConnection, tenant: str, rider_id: str, partition: int, first: int, last: int
) -> list[tuple[int, int]]:
    """Offset and place of the rider's fixes that were put aside, of the frames from `first` to `last`."""
    cursor = await connection.execute(OF_RIDER, (partition, first, last, tenant, rider_id))
    return await cursor.fetchall()
