"""The log from its first record to where it ends now, or to a given place."""

from collections.abc import AsyncIterator, Iterable, Mapping
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.check.finding import NotJudged
from schemas.record import Stored, stored_of

STALLED_AFTER_S = 30.0
"""Without a record for so long the log cannot be read to its end."""
FETCH_RECORDS = 2_000
FETCH_WAIT_MS = 5
"""What is asked for is there already. The next partition waits for the last one's fetch, which finds nothing more."""

type Place = tuple[str, int]
"""Topic and partition."""


async def ends_of(client_args: Mapping[str, Any], topics: Iterable[str], partitions: int) -> dict[Place, int]:
    """The offset after the last record of each partition."""
    consumer = AIOKafkaConsumer(**client_args, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topic, p) for topic in topics for p in range(partitions)]
        consumer.assign(places)  # else their leaders are looked up one by one
        return {(place.topic, place.partition): end for place, end in (await consumer.end_offsets(places)).items()}
    finally:
        await consumer.stop()


async def whole_log(
    client_args: Mapping[str, Any], ends: Mapping[Place, int], stalled_after_s: float = STALLED_AFTER_S
) -> AsyncIterator[Stored]:
    """Every record before `ends`, one partition after the other, each in its order. Raises NotJudged."""
    if not any(ends.values()):
        return
    consumer = AIOKafkaConsumer(
        **client_args,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_poll_records=FETCH_RECORDS,
    )
    await consumer.start()
    try:
        for (topic, partition), end in ends.items():
            if end > 0:
                async for stored in one_partition(consumer, TopicPartition(topic, partition), end, stalled_after_s):
                    yield stored
    finally:
        await consumer.stop()


async def one_partition(
    consumer: AIOKafkaConsumer, place: TopicPartition, end: int, stalled_after_s: float
) -> AsyncIterator[Stored]:
    consumer.assign([place])
    await consumer.seek_to_beginning(place)
    came_s = monotonic()
    while (at := await consumer.position(place)) < end:
        records = (await consumer.getmany(place, timeout_ms=200)).get(place, [])
        for r in records:
            if r.offset < end:
                yield stored_of(r)
        if records:
            came_s = monotonic()
        elif monotonic() - came_s > stalled_after_s:
            raise NotJudged(f"{place.topic}/{place.partition} gives nothing from {at} on, and ends at {end}")
