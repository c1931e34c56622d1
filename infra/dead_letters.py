"""What could not be read or followed, put aside in `logistics.dead`: where and why; its bytes stay where they are."""

from datetime import UTC, datetime

import msgspec
import structlog
from aiokafka import AIOKafkaProducer

from schemas.record import Stored
from schemas.topics import DEAD

logger = structlog.get_logger()


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    topic: str
    partition: int
    offset: int
    reader: str
    reason: str
    found_at: datetime


class DeadLetters:
    """`reader` says who could not read it."""

    def __init__(self, producer: AIOKafkaProducer, reader: str) -> None:
        self._producer = producer
        self._reader = reader

    async def __call__(self, stored: Stored, reason: str) -> None:
        """Once it returns the letter is on the log."""
        letter = DeadLetter(
            topic=stored.topic,
            partition=stored.partition,
            offset=stored.offset,
            reader=self._reader,
            reason=reason[:2_000],
            found_at=datetime.now(UTC),
        )
        logger.error("dead letter", **msgspec.to_builtins(letter))
        key = f"{stored.topic}/{stored.partition}@{stored.offset}"
        await self._producer.send_and_wait(DEAD.name, msgspec.json.encode(letter), key=key.encode())
