"""Our topics on a cluster: made where they are missing, checked where they are there."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from infra.endpoints import NotRunning
from infra.settings import Settings
from schemas.topics import TOPICS, Topic

FSYNCED = {"flush.messages": "1"}
"""On a single node an acknowledgement is on the disk only with this; replicas give it otherwise."""
NOT_FSYNCED = {"flush.messages": str(2**63 - 1)}
"""Kafka's own default: the system writes when it likes."""

MOST_TOLD = 5
HEARD_WITHIN_S = 10.0
UNKNOWN_TOPIC = 3


class WrongTopic(RuntimeError):
    """A topic is not as the log needs it: names the topic, the setting, what is wanted and what is there."""


def client_args(settings: Settings, bootstrap: str | None = None) -> dict[str, Any]:
    """What every aiokafka client is made with."""
    args: dict[str, Any] = {"bootstrap_servers": bootstrap or settings.kafka}
    protocol = settings.kafka_security_protocol
    if protocol == "PLAINTEXT":
        return args
    args["security_protocol"] = protocol
    if protocol.startswith("SASL"):
        args |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
        }
    if protocol.endswith("SSL"):
        context = ssl.create_default_context(cafile=settings.kafka_ca_file)
        if settings.kafka_cert_file:
            context.load_cert_chain(settings.kafka_cert_file, settings.kafka_key_file)
        args["ssl_context"] = context
    return args


@asynccontextmanager
async def administering(args: Mapping[str, Any]) -> AsyncIterator[AIOKafkaAdminClient]:
    """Raises NotRunning where the cluster does not answer."""
    admin = AIOKafkaAdminClient(**args)
    try:
        await admin.start()
    except (KafkaError, OSError) as failed:
        await admin.close()
        raise NotRunning(f"Kafka at {args['bootstrap_servers']} does not answer: {failed}") from failed
    try:
        yield admin
    finally:
        await admin.close()


async def ensure_topics(settings: Settings, args: Mapping[str, Any]) -> list[str]:
    """The names of the topics that were made. Raises WrongTopic where one that is there does not fit."""
    async with administering(args) as admin:
        there = set(await admin.list_topics())
        missing = [topic for topic in TOPICS if topic.name not in there]
        await check(admin, settings, [topic for topic in TOPICS if topic.name in there])
        if missing:
            told: Any = await admin.create_topics([new_topic(settings, topic) for topic in missing])
            for name, code, message in (answer[:3] for answer in told.topic_errors):
                if code not in (0, 36):
                    raise WrongTopic(f"{name} could not be made: error {code} {message or ''}".strip())
        return [topic.name for topic in missing]


def wanted(settings: Settings, topic: Topic) -> dict[str, str]:
    alone = settings.replication == 1
    config = dict(topic.config) | ({} if alone else {"min.insync.replicas": "2"})
    if settings.fsync == "off":
        return config | NOT_FSYNCED
    return config | (FSYNCED if topic.fsynced and (alone or settings.fsync == "on") else {})


def new_topic(settings: Settings, topic: Topic) -> NewTopic:
    partitions = topic.partitions or settings.partitions
    return NewTopic(topic.name, partitions, settings.replication, topic_configs=wanted(settings, topic))


async def check(admin: AIOKafkaAdminClient, settings: Settings, topics: list[Topic]) -> None:
    """Raises WrongTopic with what does not fit."""
    found = [told for wrong in (await deviations(admin, settings, topics)).values() for told in wrong]
    if found:
        more = [f"and {len(found) - MOST_TOLD} more: see `logistics topics`"] if len(found) > MOST_TOLD else []
        raise WrongTopic("\n".join([*found[:MOST_TOLD], *more]))


async def deviations(admin: AIOKafkaAdminClient, settings: Settings, topics: list[Topic]) -> dict[str, list[str]]:
    """By topic of those that are there: where it is not as the log needs it."""
    if not topics:
        return {}
    placed = {told["topic"]: told["partitions"] for told in await admin.describe_topics([t.name for t in topics])}
    actual = await configs(admin, topics)
    return {
        topic.name: [*misplaced(settings, topic, placed[topic.name]), *misconfigured(settings, topic, config)]
        for topic, config in zip(topics, actual, strict=True)
    }


def misplaced(settings: Settings, topic: Topic, partitions: list[Any]) -> list[str]:
    found = []
    if len(partitions) != (needed := topic.partitions or settings.partitions):
        found.append(
            f"{topic.name} has {len(partitions)} partitions, the log needs {needed}: set "
            "LOGISTICS_PARTITIONS to the log's count, which is fixed for its generation"
        )
    replicas = min((len(partition["replicas"]) for partition in partitions), default=0)
    if replicas < settings.replication:
        found.append(f"{topic.name} has {replicas} replicas, LOGISTICS_REPLICATION wants {settings.replication}")
    return found


def misconfigured(settings: Settings, topic: Topic, actual: Mapping[str, str]) -> list[str]:
    return [
        f"{topic.name}: {name} is {actual.get(name)}, the log needs {value}"
        for name, value in wanted(settings, topic).items()
        if actual.get(name) != value
    ]


async def configs(admin: AIOKafkaAdminClient, topics: list[Topic]) -> list[dict[str, str]]:
    """Of topics that were made just now some broker may not have heard yet: it is asked again, for a while."""
    async with asyncio.timeout(HEARD_WITHIN_S):
        while None in (found := await _configs(admin, topics)):  # noqa: ASYNC110 - the brokers' own
            await asyncio.sleep(0.05)
    return [config for config in found if config is not None]


async def _configs(admin: AIOKafkaAdminClient, topics: list[Topic]) -> list[dict[str, str] | None]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    found: dict[str, dict[str, str] | None] = {}
    for response in await admin.describe_configs(resources):
        answered: Any = response
        for code, message, _, name, entries, *_ in answered.resources:
            if code not in (0, UNKNOWN_TOPIC):
                raise WrongTopic(f"{name}: its settings cannot be seen: error {code} {message or ''}".strip())
            found[name] = {entry[0]: entry[1] for entry in entries} if code == 0 else None
    return [found[topic.name] for topic in topics]
