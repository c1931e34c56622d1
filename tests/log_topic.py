"""A topic to write on as a shard does, and what stands on it afterwards."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewTopic

from commands.connection import KafkaConnection, Told
from commands.log import Entry, ShardLog
from infra.embedded.kafka import EmbeddedKafka
from infra.kafka import administering
from schemas.topics import FOR_EVER

PARTITION = 0


@asynccontextmanager
async def lone_broker(folder: Path, jars: Path, **extra: object) -> AsyncIterator[EmbeddedKafka]:
    """A broker of the test's own, with settings of its own: `_` for `.` in their names."""
    settings = {name.replace("_", "."): value for name, value in extra.items()}
    broker = EmbeddedKafka(folder / "kafka", jars, extra=settings)
    try:
        await broker.start()
        yield broker
    finally:
        await broker.stop()


async def make_topics(kafka: str, topics: Iterable[str], config: Mapping[str, str] = FOR_EVER) -> None:
    async with administering({"bootstrap_servers": kafka}) as admin:
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=dict(config)) for topic in topics])


def entry(text: str, key: str = "key") -> Entry:
    return key.encode(), text.encode(), [("h", b"1")]


def log_on(kafka: str, topics: str | Sequence[str], identity: str = "", timeout_ms: int = 5_000) -> ShardLog:
    """Not open. Owners of the same identity fence each other; it is the first topic's own if none is said."""
    topics = [topics] if isinstance(topics, str) else topics
    identity = identity or f"logistics.{topics[0]}"
    return ShardLog(KafkaConnection({"bootstrap_servers": kafka}, identity, PARTITION, topics, timeout_ms))


async def opened(
    kafka: str, topics: str | Sequence[str], barrier: str = "barrier", identity: str = "", timeout_ms: int = 5_000
) -> ShardLog:
    """With its barrier in each topic."""
    log = log_on(kafka, topics, identity, timeout_ms)
    await log.connect()
    await log.take_epoch()
    await log.barriers(dict.fromkeys([topics] if isinstance(topics, str) else topics, entry(barrier)))
    return log


async def sent_naively(log: ShardLog, topic: str, text: str) -> Told | None:
    """A batch of the log's own, with its next sequence, sent once and held against nothing; None if nothing is told."""
    batch = log._batch([entry(text)], log.producer_id, log.epoch, log._sequence[topic])
    told = await log._connection.send({topic: batch})
    if told and told[0].code == 0:
        log._sequence[topic] += 1
    return told[0] if told else None


async def standing(kafka: str, topic: str) -> list[Any]:
    """All records that are there."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, fetch_max_wait_ms=50)
    await consumer.start()
    try:
        place = TopicPartition(topic, PARTITION)
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        end = (await consumer.end_offsets([place]))[place]
        records: list[Any] = []
        while await consumer.position(place) < end:
            for fetched in (await consumer.getmany(timeout_ms=200)).values():
                records += fetched
    finally:
        await consumer.stop()
    return records


async def contents(kafka: str, topic: str) -> list[str]:
    return [record.value.decode() for record in await standing(kafka, topic)]
