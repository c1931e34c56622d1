"""Riders of whom nothing is kept any more: nothing has come of them for long, or they are forgotten.

What is kept of a rider are places, and no key seals them. One who comes back begins anew: of a fence that they were in
they are not told to have left.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection

from streams.telemetry.moments import unix_ms
from streams.telemetry.rider import RiderKey

LONG_GONE = """
DELETE FROM stream_riders WHERE "partition" = ANY(%s) AND seen_ms < %s RETURNING tenant, rider_id
"""
OFF_THE_MAP = "DELETE FROM live_map WHERE observed_at < %s"
FORGOTTEN = """
DELETE FROM {table} AS kept USING unnest(%s::text[], %s::text[], %s::timestamptz[]) AS gone (tenant, rider_id, at)
WHERE kept.tenant = gone.tenant AND kept.rider_id = gone.rider_id AND {before}
"""
BEFORE = {
    "stream_riders": "coalesce(kept.seen_ms, 0) < extract(epoch FROM gone.at) * 1000",
    "live_map": "kept.received_at < gone.at",
    "quarantine": "kept.received_at < gone.at",
}
"""Who has come back since, under a new key, is somebody else."""


class Forgotten(msgspec.Struct, frozen=True):
    """Whose keys were thrown away, and when: riders are among them."""

    tenant: str
    subject: str
    at: datetime

    @property
    def key(self) -> RiderKey:
        return self.tenant, self.subject


async def let_go_of_long_gone(
    connection: AsyncConnection[Any], partitions: Sequence[int], before: datetime
) -> Mapping[RiderKey, int]:
    """Of these partitions who was seen last before then, with that time in Unix milliseconds."""
    await connection.execute(OFF_THE_MAP, (before,))
    cursor = await connection.execute(LONG_GONE, (list(partitions), unix_ms(before)))
    return {(tenant, rider_id): unix_ms(before) for tenant, rider_id in await cursor.fetchall()}


async def let_go_of_forgotten(connection: AsyncConnection[Any], people: Iterable[Forgotten]) -> None:
    known = list(people)
    columns = [each.tenant for each in known], [each.subject for each in known], [each.at for each in known]
    for table in await tables(connection):
        await connection.execute(FORGOTTEN.format(table=table, before=BEFORE[table]).encode(), columns)


async def places_of(connection: AsyncConnection[Any], tenant: str, subject: str) -> int:
    """How many rows tell where this rider was."""
    count = 0
    for table in await tables(connection):
        asked = f"SELECT count(*) FROM {table} WHERE tenant = %s AND rider_id = %s"
        found = await (await connection.execute(asked.encode(), (tenant, subject))).fetchone()
        count += found[0] if found else 0
    return count


async def tables(connection: AsyncConnection[Any]) -> list[str]:
    """Where no stream has run there are none."""
    known = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL"
    return [name for (name,) in await (await connection.execute(known, (list(BEFORE),))).fetchall()]
