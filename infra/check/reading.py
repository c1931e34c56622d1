"""The log from its first record to where it ends now, or to a given place."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.record import Stored


async def ends_of(client_args: Mapping[str, Any], topics: Iterable[str], partitions: int) -> dict[tuple[str, int], int]:
    """The offset after the last record of each partition."""
    consumer = AIOKafkaConsumer(**client_args, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topic, p) for topic in topics for p in range(partitions)]
        return {(place.topic, place.partition): end for place, end in (await consumer.end_offsets(places)).items()}
    finally:
        await consumer.stop()


async def whole_log(client_args: Mapping[str, Any], ends: Mapping[tuple[str, int], int]) -> AsyncIterator[Stored]:
    """Every record before `ends`, each partition in its order."""
    consumer = AIOKafkaConsumer(
        **client_args,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
        max_poll_records=5_000,
    )
    await consumer.start()
    try:
        behind = {TopicPartition(*place): end for place, end in ends.items() if end > 0}
        consumer.assign(list(behind))
        if behind:
            await consumer.seek_to_beginning(*behind)
        while behind:
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                for r in records:
                    if r.offset < ends[place.topic, place.partition]:
                        yield Stored(r.topic, r.partition, r.offset, r.key, r.value, r.headers)
            behind = {place: end for place, end in behind.items() if await consumer.position(place) < end}
    finally:
        await consumer.stop()
