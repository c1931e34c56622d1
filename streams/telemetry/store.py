"""What the telemetry stream keeps in Postgres: rows and place in one transaction.

What is remembered of a rider is far more than what a fix adds to it. Where many riders move it is kept now and then:
`as_of` says up to which frame it reaches, and whoever begins anew folds the frames since the oldest of them once more.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import numpy as np
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from schemas.fixes import MICRODEGREES, NOT_KNOWN_U8, NOT_KNOWN_U16
from streams.source import Place
from streams.telemetry.arrays import Bigints, Blobs, Doubles, Moments, Texts
from streams.telemetry.found import AsideRow, LiveRows
from streams.telemetry.rider import Rider, RiderKey, read

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
rider was seen last; where the state is empty they are let go, see `streams.telemetry.gone`, of whatever came in before
then. The second statement is for an older table."""
TABLES_LOCK = 4_103_010

BEGIN = """
INSERT INTO stream_places (topic, "partition", next_offset, next_signal)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT DO NOTHING
"""
PLACES = """
SELECT topic, "partition", next_offset, coalesce(folded_from, next_offset) FROM stream_places WHERE topic = ANY(%s)
"""
OPEN = """
UPDATE stream_places SET tenure = tenure + 1 WHERE topic = %s AND "partition" = %s
RETURNING tenure, next_offset, coalesce(folded_from, next_offset), next_signal
"""
RIDERS = 'SELECT tenant, rider_id, state, as_of, seen_ms FROM stream_riders WHERE "partition" = %s'
KEEP = """
WITH wanted AS (
    SELECT * FROM unnest(%(topics)b, %(partitions)b, %(since)b, %(tenures)b, %(places)b, %(folded_from)b, %(signals)b)
        AS each (topic, "partition", since, tenure, place, folded_from, next_signal)
), held AS (
    SELECT 1 FROM stream_places AS at JOIN wanted USING (topic, "partition")
    WHERE at.next_offset = wanted.since AND at.tenure = wanted.tenure
    FOR UPDATE OF at
), ours AS (
    SELECT (SELECT count(*) FROM held) = (SELECT count(*) FROM wanted) AS all_of_it
), moved AS (
    UPDATE stream_places AS at
    SET next_offset = wanted.place, folded_from = wanted.folded_from, next_signal = wanted.next_signal
    FROM wanted, ours
    WHERE ours.all_of_it AND at.topic = wanted.topic AND at."partition" = wanted."partition"
), remembered AS (
    INSERT INTO stream_riders ("partition", tenant, rider_id, state, as_of, seen_ms)
    SELECT rider.* FROM ours, unnest(%(r_partition)b, %(r_tenant)b, %(r_rider)b, %(r_state)b, %(r_as_of)b, %(r_seen)b)
        AS rider ("partition", tenant, rider_id, state, as_of, seen_ms)
    WHERE ours.all_of_it
    ON CONFLICT ("partition", tenant, rider_id) DO UPDATE SET
        state = excluded.state, as_of = excluded.as_of, seen_ms = excluded.seen_ms
    WHERE stream_riders.state <> '' OR excluded.seen_ms >= stream_riders.seen_ms
), shown AS (
    INSERT INTO live_map (tenant, rider_id, device_id, lat, lon, accuracy_m, speed_mps, bearing_deg, observed_at,
                          received_at)
    SELECT live.* FROM ours, unnest(%(l_tenant)b, %(l_rider)b, %(l_device)b, %(l_lat)b, %(l_lon)b, %(l_accuracy)b,
                                    %(l_speed)b, %(l_bearing)b, %(l_observed)b, %(l_received)b) AS live
    WHERE ours.all_of_it
    ON CONFLICT (tenant, rider_id) DO UPDATE SET
        device_id = excluded.device_id, lat = excluded.lat, lon = excluded.lon, accuracy_m = excluded.accuracy_m,
        speed_mps = excluded.speed_mps, bearing_deg = excluded.bearing_deg, observed_at = excluded.observed_at,
        received_at = excluded.received_at
    WHERE excluded.observed_at >= live_map.observed_at
), aside AS (
    INSERT INTO quarantine (tenant, "partition", "offset", place, device_id, rider_id, reason, lat, lon, observed_at,
                            received_at)
    SELECT aside.* FROM ours,
        unnest(%(tenant)s::text[], %(partition)s::bigint[], %(offset)s::bigint[], %(place)s::bigint[],
               %(device_id)s::text[], %(rider_id)s::text[], %(reason)s::text[], %(lat)s::float8[], %(lon)s::float8[],
               %(observed_at)s::timestamptz[], %(received_at)s::timestamptz[]) AS aside
    WHERE ours.all_of_it
    ON CONFLICT DO NOTHING
)
SELECT all_of_it, pg_notify('logistics_positions', '') FROM ours
"""
"""One statement, so that nothing is held locked while the one who keeps it stands still, frozen or busy."""

type Pool = AsyncConnectionPool[AsyncConnection[Any]]


class PlaceMoved(RuntimeError):
    """Another worker has folded this partition: what is in memory is void."""


class Kept(msgspec.Struct, frozen=True):
    """Of a partition: up to where it is folded, and from where on it is to be folded by who begins anew."""

    place: int
    folded_from: int


class Standing(msgspec.Struct, frozen=True):
    """A partition as it stands in Postgres, from now on ours: riders, each as of a frame, and the place; and where the
    signals of what comes after `folded_from` stand. `gone` are riders who are let go, of whatever came in before that
    time, Unix milliseconds."""

    tenure: int
    place: int
    folded_from: int
    next_signal: int
    riders: dict[RiderKey, Rider]
    as_of: dict[RiderKey, int]
    gone: dict[RiderKey, int]

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
        async with self._at_once() as connection:
            cursor = await connection.execute(OPEN, (topic, partition))
            row = await cursor.fetchone()
            assert row is not None, "a partition's place is kept before its first batch"
            cursor = await connection.execute(RIDERS, (partition,), binary=True)
            rows = await cursor.fetchall()
        tenure, place, folded_from, next_signal = row
        riders, as_of, gone = {}, {}, {}
        for tenant, rider, state, known_to, seen_ms in rows:
            if not state:
                gone[tenant, rider] = seen_ms
                continue
            known = read(state)
            riders[tenant, rider] = known or Rider()
            as_of[tenant, rider] = place if known is None else known_to
        return Standing(tenure, place, folded_from, next_signal, riders, as_of, gone)

    @asynccontextmanager
    async def _at_once(self) -> AsyncIterator[AsyncConnection[Any]]:
        """Each statement is a transaction, which ends on the server: nobody has to come back to it."""
        async with self._pool.connection() as connection:
            await connection.set_autocommit(True)
            try:
                yield connection
            finally:
                if not connection.closed:
                    await connection.set_autocommit(False)

    async def keep(self, done: Sequence[Done]) -> None:
        """All of it or nothing. Raises PlaceMoved."""
        given = places_of(done) | riders_of(done) | shown([each.live for each in done])
        given |= columns([row for each in done for row in each.aside], AsideRow.__struct_fields__)
        async with self._at_once() as connection:
            cursor = await connection.execute(KEEP, given)
            row = await cursor.fetchone()
        if row is None or not row[0]:
            at = ", ".join(f"{each.topic}/{each.partition} at {each.since}" for each in done)
            raise PlaceMoved(f"not all of this is ours any more: {at}")


def places_of(done: Sequence[Done]) -> dict[str, Any]:
    def told(name: str) -> Bigints:
        return Bigints(np.array([getattr(each, name) for each in done], np.int64))

    return {
        "topics": Texts([each.topic for each in done]),
        "partitions": told("partition"),
        "since": told("since"),
        "tenures": told("tenure"),
        "places": told("place"),
        "folded_from": told("folded_from"),
        "signals": told("next_signal"),
    }


def riders_of(done: Iterable[Done]) -> dict[str, Any]:
    rows = [(each.partition, row) for each in done for row in each.riders]
    return {
        "r_partition": Bigints(np.array([partition for partition, _ in rows], np.int64)),
        "r_tenant": Texts([row.key[0] for _, row in rows]),
        "r_rider": Texts([row.key[1] for _, row in rows]),
        "r_state": Blobs([row.state for _, row in rows]),
        "r_as_of": Bigints(np.array([row.as_of for _, row in rows], np.int64)),
        "r_seen": Bigints(np.array([row.seen_ms for _, row in rows], np.int64)),
    }


def shown(live: Sequence[LiveRows]) -> dict[str, Any]:
    parts = [each.columns() for each in live]
    keys = [key for part, _, _ in parts for key in part]
    at_ms, lat, lon, accuracy, speed, bearing, received_us = np.concatenate([part for _, _, part in parts]).T
    return {
        "l_tenant": Texts([tenant for tenant, _ in keys]),
        "l_rider": Texts([rider for _, rider in keys]),
        "l_device": Texts([device for _, devices, _ in parts for device in devices]),
        "l_lat": Doubles(lat / MICRODEGREES),
        "l_lon": Doubles(lon / MICRODEGREES),
        "l_accuracy": Doubles(np.where(accuracy == NOT_KNOWN_U8, np.nan, accuracy)),
        "l_speed": Doubles(np.where(speed == NOT_KNOWN_U16, np.nan, speed / 100)),
        "l_bearing": Doubles(np.where(bearing == NOT_KNOWN_U8, np.nan, bearing * 2.0)),
        "l_observed": Moments(at_ms * 1000),
        "l_received": Moments(received_us),
    }


def columns(rows: Sequence[Any], names: Sequence[str]) -> dict[str, list[Any]]:
    return {name: [getattr(row, name) for row in rows] for name in names}
