"""The facts of some topics, from where they are through: a place of each partition is kept in Postgres."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from psycopg import AsyncConnection, OperationalError
from psycopg_pool import AsyncConnectionPool

from projections.tables import MIGRATION_LOCK
from schemas.record import Stored, stored_of

FETCH_RECORDS = 200
POSTGRES_AGAIN_S = 0.5
AT_ONCE = "process_positions"
TABLE = """
CREATE TABLE IF NOT EXISTS {table} (
    topic       text   NOT NULL,
    partition   bigint NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
)
"""
STORED = "SELECT topic, partition, next_offset FROM {table}"
ADVANCE = """
INSERT INTO {table} VALUES (%s, %s, %s)
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
"""
BEGIN = """
INSERT INTO {table}
SELECT topic, partition, coalesce(before.next_offset, 0)
FROM unnest(%s::text[], %s::bigint[]) AS followed (topic, partition)
LEFT JOIN {before} AS before USING (topic, partition)
ON CONFLICT DO NOTHING
"""

logger = structlog.get_logger()

type Pool = AsyncConnectionPool[AsyncConnection[Any]]
type Place = tuple[str, int]


class FollowedFacts:
    """`kept_in` names the table of the places, which is this follower's own; `before` that of the one who did the same
    until a release. Where that one was this one begins, the first time that it starts, and never again."""

    def __init__(
        self,
        args: Mapping[str, Any],
        pool: Pool,
        kept_in: str,
        topics: Sequence[str],
        partitions: int,
        before: str | None = None,
    ) -> None:
        self._pool = pool
        self._table, self._before = kept_in, before
        self._places = [TopicPartition(topic, p) for topic in topics for p in range(partitions)]
        self._done: dict[TopicPartition, int] = {}
        self._moved = asyncio.Event()
        self._consumer = AIOKafkaConsumer(
            **args,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
            max_poll_records=FETCH_RECORDS,
        )

    async def start(self) -> None:
        await self._consumer.start()
        stored = await self._stored()
        self._consumer.assign(self._places)
        for place in self._places:
            self._done[place] = stored.get((place.topic, place.partition), 0)
            self._consumer.seek(place, self._done[place])

    async def stop(self) -> None:
        await self._consumer.stop()

    async def fetch(self) -> dict[Place, list[Stored]]:
        """What comes next, in each partition's order; nothing where nothing comes for a while."""
        fetched = await self._consumer.getmany(timeout_ms=200)
        return {(place.topic, place.partition): [stored_of(r) for r in fetched[place]] for place in fetched}

    async def advance(self, after: Mapping[Place, int]) -> None:
        """All before these offsets are through. However long Postgres does not answer."""
        rows = [(topic, partition, offset) for (topic, partition), offset in after.items()]
        await until_postgres(lambda: self._keep(rows))
        self._done |= {TopicPartition(*place): offset for place, offset in after.items()}
        self._moved.set()
        self._moved = asyncio.Event()

    async def passed(self, stored: Stored) -> None:
        """Returns once this fact is through here, and all that came with it."""
        place = TopicPartition(stored.topic, stored.partition)
        while self._done.get(place, 0) <= stored.offset:
            await self._moved.wait()

    async def caught_up(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether every fact before `ends` is through."""
        return all(self._done.get(place, 0) >= ends[place] for place in self._places)

    async def ends(self, places: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(list(places))
        return ends

    async def _stored(self) -> dict[Place, int]:
        async with self._pool.connection() as connection:
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
                await connection.execute(places_in(self._table).encode())
                if self._before is not None:
                    await self._begin_after(connection, self._before)
            cursor = await connection.execute(STORED.format(table=self._table).encode())
            return {(topic, partition): offset for topic, partition, offset in await cursor.fetchall()}

    async def _begin_after(self, connection: AsyncConnection[Any], before: str) -> None:
        await connection.execute(places_in(before).encode())
        topics, partitions = [place.topic for place in self._places], [place.partition for place in self._places]
        await connection.execute(BEGIN.format(table=self._table, before=before).encode(), (topics, partitions))

    async def _keep(self, rows: Sequence[tuple[str, int, int]]) -> None:
        async with self._pool.connection() as connection, connection.cursor() as cursor:
            await cursor.executemany(ADVANCE.format(table=self._table).encode(), rows)


def places_in(table: str) -> str:
    return TABLE.format(table=table)


async def until_postgres(work: Callable[[], Awaitable[None]]) -> None:
    """However long Postgres does not answer: `work` may be begun anew."""
    through = False
    while not through:
        try:
            await work()
            through = True
        except* OperationalError as lost:
            logger.warning("facts wait", error=lost.exceptions[0])
            await asyncio.sleep(POSTGRES_AGAIN_S)
