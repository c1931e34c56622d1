"""Up to which number has a device's connection been acknowledged? Kept by the gateways beside what they have in memory,
so that a phone may go on at another one.

It says less than was acknowledged where a gateway was killed: then a phone sends some fixes again, which are put aside
as duplicates.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from psycopg import AsyncConnection

TABLE = """
CREATE TABLE IF NOT EXISTS fix_uplinks (
    tenant    text        NOT NULL,
    subject   text        NOT NULL,
    device_id text        NOT NULL,
    session   text        NOT NULL,
    seq       bigint      NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (tenant, subject, device_id, session)
);
CREATE INDEX IF NOT EXISTS fix_uplinks_by_time ON fix_uplinks (at)
"""

LAST = "SELECT seq FROM fix_uplinks WHERE tenant = %s AND subject = %s AND device_id = %s AND session = %s"
KEEP = """
INSERT INTO fix_uplinks AS known SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
                                                      %s::timestamptz[])
ON CONFLICT (tenant, subject, device_id, session) DO UPDATE SET
    seq = greatest(known.seq, excluded.seq), at = excluded.at
"""

type Key = tuple[str, str, str, str]
"""Tenant, who sends, device, session."""


async def last(connection: AsyncConnection, key: Key) -> int | None:
    cursor = await connection.execute(LAST, key)
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def keep(connection: AsyncConnection, acknowledged: Mapping[Key, int], at: datetime) -> None:
    ordered = sorted(acknowledged.items())  # so that two gateways wait for each other in one order
    columns: Sequence[list[object]] = [[key[place] for key, _ in ordered] for place in range(4)]
    await connection.execute(KEEP, (*columns, [seq for _, seq in ordered], [at] * len(ordered)))


async def forget(connection: AsyncConnection, before: datetime) -> int:
    """Remove sessions that were not heard of since then; how many."""
    cursor = await connection.execute("DELETE FROM fix_uplinks WHERE at < %s", (before,))
    return cursor.rowcount
