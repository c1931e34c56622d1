"""What the telemetry stream keeps in Postgres: rows and place in one transaction.

What is remembered of a rider is far more than what a fix adds to it. Where many riders move it is kept now and then:
`as_of` says up to which frame it reaches, and whoever begins anew folds the frames since the oldest of them once more.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from schemas.fixes import MICRODEGREES, NOT_KNOWN_U8, NOT_KNOWN_U16
from streams.source import Place
from streams.telemetry.arrays import Bigints, Blobs, Doubles, Moments, Texts
from streams.telemetry.found import AsideRow, LiveRows
from streams.telemetry.rider import Rider, RiderKey, restored

TABLES = """
CREATE TABLE IF NOT EXISTS stream_riders (
    "partition" bigint NOT NULL,
    tenant      text   NOT NULL,
    rider_id    text   NOT NULL,
    state       bytea  NOT NULL,
    as_of       bigint NOT NULL DEFAULT 0,
    seen_ms     bigint,
    PRIMARY KEY ("partition", tenant, rider_id)
) WITH (fillfactor = 70);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'stream_riders'::regclass AND attname = 'seen_ms') THEN
        ALTER TABLE stream_riders ADD COLUMN IF NOT EXISTS as_of bigint NOT NULL DEFAULT 0, ADD COLUMN seen_ms bigint;
    END IF;
END $$
"""
"""What the stream alone reads; its place and what others read are made with the read models. `seen_ms` is when the
rider was seen last. The second statement is for an older table."""
TABLES_LOCK = 4_103_010

BEGIN = """
INSERT INTO stream_places (topic, "partition", next_offset, next_signal)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT DO NOTHING
"""
LET_GO = "SET LOCAL idle_in_transaction_session_timeout = '5s'"
"""Whoever stands still before the end of it, frozen or cut off, holds the place locked: less long than it takes until
the partition is another worker's."""
PLACES = """
SELECT topic, "partition", next_offset, coalesce(folded_from, next_offset) FROM stream_places WHERE topic = ANY(%s)
"""
OPEN = """
UPDATE stream_places SET tenure = tenure + 1 WHERE topic = %s AND "partition" = %s
RETURNING tenure, next_offset, coalesce(folded_from, next_offset), next_signal
"""
RIDERS = 'SELECT tenant, rider_id, state, as_of FROM stream_riders WHERE "partition" = %s'
MOVE = """
UPDATE stream_places SET next_offset = %s, folded_from = %s, next_signal = %s
WHERE topic = %s AND "partition" = %s AND next_offset = %s AND tenure = %s
"""
KEEP_RIDERS = """
INSERT INTO stream_riders ("partition", tenant, rider_id, state, as_of, seen_ms)
SELECT * FROM unnest(%b, %b, %b, %b, %b, %b)
ON CONFLICT ("partition", tenant, rider_id) DO UPDATE SET
    state = excluded.state, as_of = excluded.as_of, seen_ms = excluded.seen_ms
"""
SHOW = """
INSERT INTO live_map (tenant, rider_id, device_id, lat, lon, accuracy_m, speed_mps, bearing_deg, observed_at,
                      received_at)
SELECT * FROM unnest(%b, %b, %b, %b, %b, %b, %b, %b, %b, %b)
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

type Pool = AsyncConnectionPool[AsyncConnection[Any]]


class PlaceMoved(RuntimeError):
    """Another worker has folded this partition: what is in memory is void."""


class Kept(msgspec.Struct, frozen=True):
    """Of a partition: up to where it is folded, and from where on it is to be folded by who begins anew."""

    place: int
    folded_from: int


class Standing(msgspec.Struct, frozen=True):
    """A partition as it stands in Postgres, from now on ours: riders, each as of a frame, and the place; and where the
    signals of what comes after `folded_from` stand."""

    tenure: int
    place: int
    folded_from: int
    next_signal: int
    riders: dict[RiderKey, Rider]
    as_of: dict[RiderKey, int]

    def begins(self, first_held: int) -> int:
        return begins(self.place, self.folded_from, first_held)


def begins(place: int, folded_from: int, first_held: int) -> int:
    """Where whoever begins anew has to: without a frame from there on somebody's would be missing."""
    return min(place, max(folded_from, first_held))


class RiderRow(msgspec.Struct, frozen=True):
    """What is remembered of a rider once all before `as_of` is folded."""

    key: RiderKey
    state: bytes
    as_of: int
    seen_ms: int


class Done(msgspec.Struct, frozen=True):
    """What is folded and whose signals are on the log, from one place of a partition to the next."""

    topic: str
    partition: int
    tenure: int
    since: int
    place: int
    folded_from: int
    next_signal: int
    riders: Sequence[RiderRow]
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

    async def places(self, beginnings: Mapping[Place, int]) -> dict[Place, Kept]:
        """What retention has taken is not folded once more."""
        topics = [topic for topic, _ in beginnings]
        partitions = [partition for _, partition in beginnings]
        async with self._pool.connection() as connection:
            await connection.execute(BEGIN, (topics, partitions, list(beginnings.values()), [0] * len(topics)))
            cursor = await connection.execute(PLACES, (list(set(topics)),))
            return {
                (topic, partition): Kept(place, begins(place, since, beginnings.get((topic, partition), 0)))
                for topic, partition, place, since in await cursor.fetchall()
            }

    async def open(self, topic: str, partition: int) -> Standing:
        """From now on whoever opened it before keeps nothing more."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(LET_GO)
            cursor = await connection.execute(OPEN, (topic, partition))
            row = await cursor.fetchone()
            assert row is not None, "a partition's place is kept before its first batch"
            cursor = await connection.execute(RIDERS, (partition,), binary=True)
            rows = await cursor.fetchall()
        riders, as_of = {}, {}
        for tenant, rider, state, known_to in rows:
            riders[tenant, rider], as_of[tenant, rider] = restored(state), known_to
        tenure, place, folded_from, next_signal = row
        return Standing(tenure, place, folded_from, next_signal, riders, as_of)

    async def keep(self, done: Sequence[Done]) -> None:
        """All of it or nothing. Raises PlaceMoved."""
        ordered = sorted(done, key=lambda each: each.partition)
        aside = [row for each in ordered for row in each.aside]
        async with self._pool.connection() as connection, connection.transaction():
            async with connection.pipeline() as pipeline:
                await connection.execute(LET_GO)
                moves = [await connection.execute(MOVE, move_of(each)) for each in ordered]
                if any(each.riders for each in ordered):
                    await connection.execute(KEEP_RIDERS, riders_of(ordered))
                if any(each.live for each in ordered):
                    await connection.execute(SHOW, shown([each.live for each in ordered]))
                if aside:
                    await connection.execute(PUT_ASIDE, columns(aside, AsideRow.__struct_fields__))
                await connection.execute("SELECT pg_notify('logistics_positions', '')")
                await pipeline.sync()
            for each, move in zip(ordered, moves, strict=True):
                if move.rowcount != 1:
                    raise PlaceMoved(f"{each.topic}/{each.partition} is not at {each.since}, or another worker's")


def move_of(done: Done) -> tuple[int | str, ...]:
    return done.place, done.folded_from, done.next_signal, done.topic, done.partition, done.since, done.tenure


def riders_of(done: Iterable[Done]) -> list[Any]:
    rows = [(each.partition, row) for each in done for row in each.riders]
    return [
        Bigints(np.array([partition for partition, _ in rows], np.int64)),
        Texts([row.key[0] for _, row in rows]),
        Texts([row.key[1] for _, row in rows]),
        Blobs([row.state for _, row in rows]),
        Bigints(np.array([row.as_of for _, row in rows], np.int64)),
        Bigints(np.array([row.seen_ms for _, row in rows], np.int64)),
    ]


def shown(live: Sequence[LiveRows]) -> list[Any]:
    parts = [each.columns() for each in live]
    keys = [key for part, _, _ in parts for key in part]
    at_ms, lat, lon, accuracy, speed, bearing, received_us = np.concatenate([part for _, _, part in parts]).T
    return [
        Texts([tenant for tenant, _ in keys]),
        Texts([rider for _, rider in keys]),
        Texts([device for _, devices, _ in parts for device in devices]),
        Doubles(lat / MICRODEGREES),
        Doubles(lon / MICRODEGREES),
        Doubles(np.where(accuracy == NOT_KNOWN_U8, np.nan, accuracy)),
        Doubles(np.where(speed == NOT_KNOWN_U16, np.nan, speed / 100)),
        Doubles(np.where(bearing == NOT_KNOWN_U8, np.nan, bearing * 2.0)),
        Moments(at_ms * 1000),
        Moments(received_us),
    ]


def columns(rows: Iterable[Any], names: Sequence[str]) -> list[list[Any]]:
    kept_rows = list(rows)
    return [[getattr(row, name) for row in kept_rows] for name in names]
