"""Aggregates that their owner has let go, found again: `history` in Postgres says where they stand, the log what."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from psycopg import AsyncConnection, Error
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from commands.order import Unavailable
from projections.history import HISTORY, places_of_one
from projections.tables import folded_to, is_parked, live_version
from schemas.record import Stored, stored_of

WITHIN_S = 3.0
"""For the history to pass what was let go, and for the log to give the records."""
LOOK_EVERY_S = 0.05
FETCH_BYTES = 64 << 10


class HistoryCold:
    """One consumer, one loading at a time: it is seldom asked."""

    def __init__(self, client_args: Mapping[str, Any], pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self._consumer = AIOKafkaConsumer(
            **client_args, enable_auto_commit=False, fetch_max_wait_ms=50, max_partition_fetch_bytes=FETCH_BYTES
        )
        self._pool = pool
        self._loading = asyncio.Lock()

    async def start(self) -> None:
        await self._consumer.start()

    async def stop(self) -> None:
        await self._consumer.stop()

    async def load(self, topic: str, partition: int, tenant: str, aggregate_id: str, up_to: int) -> Sequence[Stored]:
        """See `commands.cold.Cold`. Raises Unavailable."""
        try:
            async with asyncio.timeout(WITHIN_S):
                offsets = await self._offsets(topic, partition, tenant, aggregate_id, up_to)
            async with self._loading, asyncio.timeout(WITHIN_S):
                return await self._records(TopicPartition(topic, partition), offsets)
        except TimeoutError as waited:
            said = f"the history of {topic}/{partition} has not passed {up_to}, or the log does not give its records"
            raise Unavailable("aggregate-cold", said) from waited
        except (Error, PoolTimeout, KafkaError, OSError) as failed:
            raise Unavailable("aggregate-cold", f"{aggregate_id} cannot be loaded now: {failed}") from failed

    async def _offsets(self, topic: str, partition: int, tenant: str, aggregate_id: str, up_to: int) -> list[int]:
        while True:
            async with self._pool.connection() as connection:
                passed = await folded_to(connection, HISTORY, topic, partition) >= up_to
                if passed and await is_parked(connection, HISTORY, topic, partition, aggregate_id):
                    raise Unavailable("aggregate-cold", f"the history of {aggregate_id} is parked")
                if passed and await live_version(connection, HISTORY) != HISTORY.version:
                    raise Unavailable("aggregate-cold", "the history is another release's")
                if passed:
                    return await places_of_one(connection, topic, partition, tenant, aggregate_id)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _records(self, place: TopicPartition, offsets: Sequence[int]) -> list[Stored]:
        found: list[Stored] = []
        self._consumer.assign([place])
        for offset in offsets:
            if not found or offset != found[-1].offset + 1:
                self._consumer.seek(place, offset)
            found.append(stored_of(await self._consumer.getone(place)))
        assert [stored.offset for stored in found] == list(offsets), "a log that is kept for ever gives what it has"
        return found
