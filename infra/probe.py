"""Whether an outside Kafka does what the log rests on, tried on a private topic before anything is trusted to it.

A second owner under the same transactional id must make the broker refuse the first (see commands/log.py); what was
acknowledged must stand where it was said, stamped by the broker's clock; every setting must have been taken as asked.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from commands.connection import KafkaConnection
from commands.log import Entry, Fenced, OffsetUnexpected, ShardLog, TenureLost
from commands.shard import IDLE_HEARTBEAT_S
from infra.kafka import administering, configs, misconfigured, new_topic
from infra.settings import Settings
from schemas.topics import Topic

WITHIN_S = 30.0
"""For each of the two owners; a broker that is not asked too much needs less than one."""
LOG_APPEND_TIME = 1
EXPIRY = "producer.id.expiration.ms"
LEAST_EXPIRY_MS = int(2 * IDLE_HEARTBEAT_S * 1_000)
"""An owner that says nothing beats every `IDLE_HEARTBEAT_S`: until then the broker must remember its epoch."""
PROVEN = "proven-clusters"

logger = structlog.get_logger()


class NotTrusted(RuntimeError):
    """The cluster does not do what the log needs. Says what was tried, what came of it, and what to set."""


async def prove(settings: Settings, args: Mapping[str, Any]) -> bool:
    """Once for each cluster and data folder; whether it was done now. Raises NotTrusted, NotRunning."""
    async with administering(args) as admin:
        cluster = str((await admin.describe_cluster())["cluster_id"])
        if cluster in proven(settings.data):
            return False
        await check_expiry(admin)
        async with probe_topic(admin, settings, Topic(f"logistics.probe.{uuid4().hex}", partitions=1)) as topic:
            await check_topic(admin, settings, topic)
            identity = f"logistics.{settings.cluster}.probe.{uuid4().hex}"
            await check_fence(args, topic.name, (identity, identity))
            await check_records(args, topic.name)
    remember(settings.data, cluster)
    return True


def proven(data: Path) -> set[str]:
    with suppress(FileNotFoundError):
        return set((data / PROVEN).read_text().split())
    return set()


def remember(data: Path, cluster: str) -> None:
    data.mkdir(parents=True, exist_ok=True)
    with (data / PROVEN).open("a") as file:
        file.write(f"{cluster}\n")


@asynccontextmanager
async def probe_topic(admin: AIOKafkaAdminClient, settings: Settings, topic: Topic) -> AsyncIterator[Topic]:
    """Made as every topic of the log, and gone afterwards. Raises NotTrusted."""
    told: Any = await admin.create_topics([new_topic(settings, topic)])
    for name, code, message in (answer[:3] for answer in told.topic_errors):
        if code:
            raise NotTrusted(
                f"the topic {name} could not be made: error {code} {message or ''}. LOGISTICS_REPLICATION is "
                f"{settings.replication}; the user needs the right to make and delete topics logistics.*"
            )
    try:
        yield topic
    finally:
        try:
            await admin.delete_topics([topic.name])
        except KafkaError as failed:
            logger.warning("the probe's topic is left", topic=topic.name, error=failed)


async def check_topic(admin: AIOKafkaAdminClient, settings: Settings, topic: Topic) -> None:
    [actual] = await configs(admin, [topic])
    if wrong := misconfigured(settings, topic, actual):
        raise NotTrusted("the cluster changes what a topic is made with:\n" + "\n".join(wrong))


async def check_expiry(admin: AIOKafkaAdminClient) -> None:
    """Each broker's own, where the cluster lets it be seen: any of them may lead a partition. Raises NotTrusted."""
    brokers = [str(broker["node_id"]) for broker in (await admin.describe_cluster())["brokers"]]
    told: Any = await admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, broker) for broker in brokers])
    for _, _, _, broker, entries, *_ in (resource for answer in told for resource in answer.resources):
        refuse_expiry(broker, {entry[0]: entry[1] for entry in entries}.get(EXPIRY))


def refuse_expiry(broker: str, value: str | None) -> None:
    """Raises NotTrusted."""
    if value is not None and int(value) < LEAST_EXPIRY_MS:
        raise NotTrusted(f"broker {broker}: {EXPIRY} is {value}, the log needs at least {LEAST_EXPIRY_MS}")


async def check_fence(args: Mapping[str, Any], topic: str, identities: tuple[str, str]) -> None:
    """A second owner opens; then the first one writes. Raises NotTrusted where that is taken."""
    first, second = (ShardLog(KafkaConnection(args, identity, 0, [topic])) for identity in identities)
    try:
        await opened(first, topic)
        await opened(second, topic)
        await refused(first, topic)
        if (first.producer_id, first.epoch) >= (second.producer_id, second.epoch):
            raise NotTrusted(f"a second InitProducerId gave epoch {second.epoch} after {first.epoch}")
    finally:
        await first.close()
        await second.close()


async def opened(log: ShardLog, topic: str) -> None:
    """With a barrier and one record more."""
    try:
        async with asyncio.timeout(WITHIN_S):
            await log.connect()
            await log.take_epoch()
            await log.barriers({topic: entry(b"barrier")})
            await log.append({topic: [entry(b"record")]})
    except TimeoutError as late:
        raise NotTrusted(
            f"an idempotent write was not acknowledged within {WITHIN_S:.0f} s: are enough replicas in sync "
            "(min.insync.replicas), and may the user write with transactional ids logistics.*?"
        ) from late
    except (TenureLost, KafkaError) as failed:
        raise NotTrusted(f"an idempotent write by the only owner was refused: {failed!r}") from failed


async def refused(log: ShardLog, topic: str) -> None:
    try:
        async with asyncio.timeout(WITHIN_S):
            await log.append({topic: [entry(b"zombie")]})
    except Fenced:
        return
    except OffsetUnexpected as taken:
        raise NotTrusted(
            f"a write under an old epoch was taken: {taken}. The log cannot stand on this cluster"
        ) from taken
    except (TenureLost, TimeoutError) as otherwise:
        raise NotTrusted(f"a write under an old epoch was not refused as fenced: {otherwise!r}") from otherwise
    raise NotTrusted("a write under an old epoch was acknowledged. The log cannot stand on this cluster")


async def check_records(args: Mapping[str, Any], topic: str) -> None:
    """Just what was acknowledged, and when the broker took it."""
    consumer = AIOKafkaConsumer(**args, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=50)
    await consumer.start()
    try:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        records: list[Any] = []
        async with asyncio.timeout(WITHIN_S):
            while await consumer.position(place) < end:
                records += (await consumer.getmany(place, timeout_ms=200)).get(place, [])
    finally:
        await consumer.stop()
    if [record.key for record in records] != [b"barrier", b"record", b"barrier", b"record"]:
        raise NotTrusted(f"the log holds {[record.key for record in records]} where two owners wrote two records each")
    if any(record.timestamp_type != LOG_APPEND_TIME for record in records):
        raise NotTrusted("records are not stamped by the broker: message.timestamp.type must be LogAppendTime")


def entry(key: bytes) -> Entry:
    return key, b"probe", [("probe", b"1")]
