"""Stretches of the log as they stand, read beside whoever works on it: no group, no place, nothing written."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

STALLED_AFTER_S = 30.0
"""Without a record for so long a partition cannot be read to its end."""
FETCH_RECORDS = 2_000
FETCH_WAIT_MS = 5
"""What is asked for is there already."""


@asynccontextmanager
async def reading(client_args: Mapping[str, Any]) -> AsyncIterator[AIOKafkaConsumer]:
    """What retention takes meanwhile is not passed over in silence."""
    consumer = AIOKafkaConsumer(
        **client_args,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_poll_records=FETCH_RECORDS,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def time_from(consumer: AIOKafkaConsumer, place: TopicPartition, since_ms: int) -> datetime | None:
    """When the first record from then on was written."""
    found = (await consumer.offsets_for_times({place: since_ms}))[place]
    return None if found is None else datetime.fromtimestamp(found.timestamp / 1_000, UTC)


async def offset_from(consumer: AIOKafkaConsumer, place: TopicPartition, since: datetime) -> int:
    """Of the first record that was written then or later; the end where there is none."""
    found = (await consumer.offsets_for_times({place: max(0, round(since.timestamp() * 1_000))}))[place]
    if found is not None:
        return int(found.offset)
    return int((await consumer.end_offsets([place]))[place])


async def stretch(consumer: AIOKafkaConsumer, place: TopicPartition, first: int, end: int) -> AsyncIterator[list[Any]]:
    """The consumer's records from `first` up to `end`, as they are fetched. Raises KafkaError where the partition gives
    none."""
    if first >= end:
        return
    consumer.assign([place])
    consumer.seek(place, first)
    came_s = monotonic()
    while (at := await consumer.position(place)) < end:
        records = (await consumer.getmany(place, timeout_ms=200)).get(place, [])
        if records:
            yield [r for r in records if r.offset < end]
            came_s = monotonic()
        elif monotonic() - came_s > STALLED_AFTER_S:
            raise KafkaError(f"{place.topic}/{place.partition} gave nothing from {at} on, and ends at {end}")
