"""Frames on `logistics.fixes`: written by whichever gateway they come in at, and by the processes for simulated
couriers; idempotently, unchained. Read again for who asks for a trip."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from commands.order import Unavailable
from infra.log_reading import offset_from, reading, stretch
from schemas import catalog
from schemas.catalog import nothing_personal
from schemas.fixes import FixFrame
from schemas.position import Vector, places_after
from schemas.record import Stored, derived_headers, stored_of
from schemas.topics import FIXES

LINGER_MS = 5
ANSWER_WITHIN_S = 10.0


class KafkaFrameLog:
    def __init__(
        self, client_args: Mapping[str, Any], cluster: str, clock: Callable[[], datetime], role: str = "gateway"
    ) -> None:
        self._client_args = client_args
        self._producer = AIOKafkaProducer(
            **client_args, enable_idempotence=True, linger_ms=LINGER_MS, max_batch_size=1 << 20
        )
        self._source = f"/logistics/{cluster}/{role}"
        self._clock = clock

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self._producer.stop()

    async def write(self, tenant: str, actor: str, frames: Sequence[tuple[int, FixFrame]]) -> Vector:
        """Raises Unavailable where it is not known to stand: sent again, a fix that stood already is a duplicate."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                sent = [await self._send(tenant, actor, partition, frame) for partition, frame in frames]
                told = await asyncio.gather(*sent)
        except (KafkaError, TimeoutError, OSError) as failed:
            raise Unavailable("log-unavailable", f"the log did not take the fixes: {failed!r}") from failed
        return places_after(FIXES.name, [(each.partition, each.offset) for each in told])

    async def first_since(self, partition: int, since: datetime) -> int:
        """Raises Unavailable."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S), reading(self._client_args) as consumer:
                return await offset_from(consumer, TopicPartition(FIXES.name, partition), since)
        except (KafkaError, TimeoutError, OSError) as failed:
            raise Unavailable("log-unavailable", f"the log was not read: {failed!r}") from failed

    async def read(self, partition: int, first: int, last: int) -> AsyncIterator[Sequence[Stored]]:
        """Raises Unavailable."""
        place = TopicPartition(FIXES.name, partition)
        try:
            async with reading(self._client_args) as consumer:
                held = (await consumer.beginning_offsets([place]))[place]
                async for records in stretch(consumer, place, max(first, held), last + 1):
                    yield [stored_of(r) for r in records]
        except (KafkaError, OSError) as failed:
            raise Unavailable("log-unavailable", f"the log was not read: {failed!r}") from failed

    async def _send(self, tenant: str, actor: str, partition: int, frame: FixFrame) -> asyncio.Future[Any]:
        headers = derived_headers(
            event_id=str(uuid4()),
            type_name=catalog.BY_CLASS[FixFrame].name,
            source=self._source,
            event_time=frame.base_time,
            recorded_at=self._clock(),
            subject=tenant,
            tenant=tenant,
            actor=actor,
            epoch=0,
        )
        value = catalog.write(frame, nothing_personal)
        future: asyncio.Future[Any] = await self._producer.send(
            FIXES.name, value, partition=partition, headers=list(headers)
        )
        return future
