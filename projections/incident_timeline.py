"""What happened around an incident, to it and to all that it links to, in the order of event time?

It has no table of its own: it reads `history`, where every event stands with both its times and its hash. Of what is
about one delivery all is told; of who drives, and of what is driven, what happened since some time before.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from schemas.incident import IncidentLink
from schemas.position import Vector

ROAMING = frozenset({"rider", "vehicle"})

PAGE = """
SELECT * FROM history
WHERE tenant = %(tenant)s AND aggregate_id = ANY(%(whole)s::text[] || %(roaming)s::text[])
  AND (aggregate_id = ANY(%(whole)s::text[]) OR event_time >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR event_time < %(until)s)
  AND (
    %(at)s::timestamptz IS NULL
    OR (event_time, topic, partition, "offset") > (%(at)s, %(topic)s::text, %(partition)s::bigint, %(offset)s::bigint)
  )
ORDER BY event_time, topic, partition, "offset"
LIMIT %(limit)s
"""

ENDS = """
SELECT topic, partition, max("offset") + 1 FROM history
WHERE tenant = %(tenant)s AND aggregate_id = ANY(%(whole)s::text[] || %(roaming)s::text[])
  AND (aggregate_id = ANY(%(whole)s::text[]) OR event_time >= %(since)s)
GROUP BY topic, partition
"""

HASHES = """
SELECT history.hash FROM history
JOIN unnest(%(topics)s::text[], %(partitions)s::bigint[], %(offsets)s::bigint[])
  AS sealed (of_topic, of_partition, ends)
  ON topic = of_topic AND partition = of_partition AND "offset" < ends
WHERE tenant = %(tenant)s AND aggregate_id = ANY(%(whole)s::text[] || %(roaming)s::text[])
  AND (aggregate_id = ANY(%(whole)s::text[]) OR event_time >= %(since)s)
ORDER BY event_time, topic, partition, "offset"
"""
AT_ONCE = 2_000


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Whose events belong to it."""

    tenant: str
    whole: list[str]
    roaming: list[str]
    since: datetime

    def parameters(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self)


def about(tenant: str, incident_id: str, links: list[IncidentLink], since: datetime) -> About:
    whole = [incident_id, *(link.id for link in links if link.kind not in ROAMING)]
    return About(tenant=tenant, whole=whole, roaming=[each.id for each in links if each.kind in ROAMING], since=since)


async def page(connection: AsyncConnection, of: About, filters: dict[str, Any]) -> list[dict[str, Any]]:
    """Its events, the earliest first. Filters: until; after (at, topic, partition, offset); limit."""
    wanted = dict.fromkeys(("until", "at", "topic", "partition", "offset")) | filters | of.parameters()
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(PAGE, wanted)
        return await cursor.fetchall()


async def ends(connection: AsyncConnection, of: About) -> Vector:
    """The places after its events: of the partitions that hold some, and of no others."""
    cursor = await connection.execute(ENDS, of.parameters())
    return {(topic, partition): end for topic, partition, end in await cursor.fetchall()}


async def hashes(connection: AsyncConnection, of: About, before: Vector) -> AsyncIterator[bytes]:
    """Of the same events, in the same order, those whose places are before these: their records' hashes."""
    wanted = of.parameters() | {
        "topics": [topic for topic, _ in before],
        "partitions": [partition for _, partition in before],
        "offsets": list(before.values()),
    }
    async with connection.cursor() as cursor:
        async for (told,) in cursor.stream(HASHES, wanted, size=AT_ONCE):
            yield bytes.fromhex(told)
