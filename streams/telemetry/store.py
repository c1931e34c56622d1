"""What the telemetry stream keeps in Postgres: rows and place in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from streams.source import Batch, Place
from streams.telemetry.found import AsideRow, LiveRow, LiveRows
from streams.telemetry.rider import Rider, RiderKey, kept, restored

TABLES = """
CREATE TABLE IF NOT EXISTS stream_riders (
    "partition" bigint NOT NULL,
    tenant      text   NOT NULL,
    rider_id    text   NOT NULL,
    state       bytea  NOT NULL,
    seen_ms     bigint,
    PRIMARY KEY ("partition", tenant, rider_id)
) WITH (fillfactor = 70);
ALTER TABLE stream_riders ADD COLUMN IF NOT EXISTS seen_ms bigint
"""
"""What the stream alone reads; `seen_ms` is when the rider was seen last. Its place, and what others read, are made
with the read models."""
TABLES_LOCK = 4_103_010

BEGIN = """
INSERT INTO stream_places SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT DO NOTHING
"""
PLACES = 'SELECT topic, "partition", next_offset FROM stream_places WHERE topic = ANY(%s)'
NEXT_SIGNAL = 'SELECT next_signal FROM stream_places WHERE topic = %s AND "partition" = %s'
RIDERS = 'SELECT tenant, rider_id, state FROM stream_riders WHERE "partition" = %s'
MOVE = """
UPDATE stream_places SET next_offset = %s, next_signal = %s
WHERE topic = %s AND "partition" = %s AND next_offset = %s
"""
KEEP_RIDERS = """
INSERT INTO stream_riders SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bytea[], %s::bigint[])
ON CONFLICT ("partition", tenant, rider_id) DO UPDATE SET state = excluded.state, seen_ms = excluded.seen_ms
"""
SHOW = """
INSERT INTO live_map (tenant, rider_id, device_id, lat, lon, accuracy_m, speed_mps, bearing_deg, observed_at,
                      received_at)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::float8[], %s::float8[], %s::float8[], %s::float8[],
                     %s::float8[], %s::timestamptz[], %s::timestamptz[])
ON CONFLICT (tenant, rider_id) DO UPDATE SET
    device_id = excluded.device_id, lat = excluded.lat, lon = excluded.lon, accuracy_m = excluded.accuracy_m,
    speed_mps = excluded.speed_mps, bearing_deg = excluded.bearing_deg, observed_at = excluded.observed_at,
    received_at = excluded.received_at
WHERE excluded.observed_at >= live_map.observed_at
"""
PUT_ASIDE = """
INSERT INTO quarantine (tenant, "partition", "offset", place, device_id, rider_id, reason, lat, lon, observed_at,
                        received_at)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[],
                     %s::float8[], %s::float8[], %s::timestamptz[], %s::timestamptz[])
ON CONFLICT DO NOTHING
"""

LIVE = LiveRow.__struct_fields__

type Pool = AsyncConnectionPool[AsyncConnection[Any]]


class PlaceMoved(RuntimeError):
    """Another worker has folded this partition: what is in memory is void."""


class Done(msgspec.Struct, frozen=True):
    """A batch that is folded and whose signals are on the log."""

    batch: Batch
    next_signal: int
    riders: Mapping[RiderKey, Rider]
    """Those that the batch touched."""
    live: LiveRows
    aside: Sequence[AsideRow]


class Store:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def make(self) -> None:
        """Safe beside others that do the same."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (TABLES_LOCK,))
            await connection.execute(TABLES.encode())

    async def places(self, beginnings: Mapping[Place, int]) -> Mapping[Place, int]:
        topics = [topic for topic, _ in beginnings]
        partitions = [partition for _, partition in beginnings]
        async with self._pool.connection() as connection:
            await connection.execute(BEGIN, (topics, partitions, list(beginnings.values()), [0] * len(topics)))
            cursor = await connection.execute(PLACES, (list(set(topics)),))
            return {(topic, partition): at for topic, partition, at in await cursor.fetchall()}

    async def riders(self, topic: str, partition: int) -> tuple[dict[RiderKey, Rider], int]:
        """The riders of a partition as of its place, and where the signals after it will stand."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor = await connection.execute(RIDERS, (partition,), binary=True)
            riders = {(tenant, rider): restored(state) for tenant, rider, state in await cursor.fetchall()}
            cursor = await connection.execute(NEXT_SIGNAL, (topic, partition))
            row = await cursor.fetchone()
        assert row is not None, "a partition's place is kept before its first batch"
        return riders, row[0]

    async def keep(self, done: Sequence[Done]) -> None:
        """All of it or nothing. Raises PlaceMoved."""
        ordered = sorted(done, key=lambda each: each.batch.partition)
        live = [row for each in ordered for row in each.live.values()]
        aside = [row for each in ordered for row in each.aside]
        async with self._pool.connection() as connection, connection.transaction():
            async with connection.pipeline() as pipeline:
                moves = [await connection.execute(MOVE, move_of(each)) for each in ordered]
                if any(each.riders for each in ordered):
                    await connection.execute(KEEP_RIDERS, riders_of(ordered), binary=True)
                if live:
                    await connection.execute(SHOW, columns(live, LIVE))
                if aside:
                    await connection.execute(PUT_ASIDE, columns(aside, AsideRow.__struct_fields__))
                await connection.execute("SELECT pg_notify('logistics_positions', '')")
                await pipeline.sync()
            for each, move in zip(ordered, moves, strict=True):
                if move.rowcount != 1:
                    raise PlaceMoved(f"{each.batch.topic}/{each.batch.partition} is not at {each.batch.start}")


def move_of(done: Done) -> tuple[int, int, str, int, int]:
    batch = done.batch
    return batch.end, done.next_signal, batch.topic, batch.partition, batch.start


def riders_of(done: Iterable[Done]) -> list[list[Any]]:
    rows = [
        (each.batch.partition, tenant, rider_id, kept(rider), rider.seen_ms)
        for each in done
        for (tenant, rider_id), rider in each.riders.items()
    ]
    return [list(column) for column in zip(*rows, strict=True)]


def columns(rows: Iterable[Any], names: Sequence[str]) -> list[list[Any]]:
    kept_rows = list(rows)
    return [[getattr(row, name) for row in kept_rows] for name in names]
