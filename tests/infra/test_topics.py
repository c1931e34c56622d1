"""Our topics on a cluster: made once as the log needs them, refused where they are otherwise."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from fresh import fresh_name

from infra import kafka as topics
from infra.kafka import WrongTopic, client_args, ensure_topics
from infra.settings import Settings
from schemas.topics import FOR_EVER, Topic


@pytest.fixture
def settings(kafka: str) -> Settings:
    return Settings(kafka=kafka, partitions=3)


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> Topic:
    """One topic with a name of this test's own."""
    topic = Topic(fresh_name("topic"))
    monkeypatch.setattr(topics, "TOPICS", (topic,))
    return topic


@pytest.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    yield client
    await client.close()


async def made(admin: AIOKafkaAdminClient, topic: Topic, partitions: int = 3, **config: str) -> None:
    kept: Mapping[str, str] = FOR_EVER | {"flush.messages": "1"}
    changed = {name.replace("_", "."): value for name, value in config.items()}
    await admin.create_topics([NewTopic(topic.name, partitions, 1, topic_configs={**kept, **changed})])


async def seen(admin: AIOKafkaAdminClient, topic: Topic, partitions: int) -> None:
    """Until the broker itself has heard."""
    async with asyncio.timeout(10):
        while len((await admin.describe_topics([topic.name]))[0]["partitions"]) != partitions:  # noqa: ASYNC110 - the broker's own
            await asyncio.sleep(0.05)


async def test_a_topic_is_made_once(settings: Settings, ours: Topic):
    assert await ensure_topics(settings, client_args(settings)) == [ours.name]
    assert await ensure_topics(settings, client_args(settings)) == []


async def test_a_made_topic_is_fsynced_and_kept_for_ever(settings: Settings, ours: Topic, admin: AIOKafkaAdminClient):
    await ensure_topics(settings, client_args(settings))
    (config,) = await topics.configs(admin, [ours])
    assert (config["flush.messages"], config["retention.ms"]) == ("1", "-1")


async def test_another_partition_count_is_refused(settings: Settings, ours: Topic, admin: AIOKafkaAdminClient):
    await made(admin, ours, partitions=2)
    with pytest.raises(WrongTopic, match=rf"{ours.name} has 2 partitions, the log needs 3"):
        await ensure_topics(settings, client_args(settings))


async def test_partitions_that_were_added_are_refused(settings: Settings, ours: Topic, admin: AIOKafkaAdminClient):
    await made(admin, ours)
    await admin.create_partitions({ours.name: NewPartitions(4)})
    await seen(admin, ours, partitions=4)
    with pytest.raises(WrongTopic, match="has 4 partitions"):
        await ensure_topics(settings, client_args(settings))


async def test_a_topic_that_would_forget_is_refused(settings: Settings, ours: Topic, admin: AIOKafkaAdminClient):
    await made(admin, ours, retention_ms="604800000")
    with pytest.raises(WrongTopic, match=rf"{ours.name}: retention.ms is 604800000, the log needs -1"):
        await ensure_topics(settings, client_args(settings))


def test_clients_get_what_sasl_over_tls_needs():
    args = client_args(
        Settings(
            kafka="broker:9093",
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_username="me",
            kafka_sasl_password="secret",  # type: ignore[arg-type]
        )
    )
    assert args["security_protocol"] == "SASL_SSL"
    assert (args["sasl_mechanism"], args["sasl_plain_username"]) == ("SCRAM-SHA-512", "me")
    assert args["sasl_plain_password"] == "secret"
    assert args["ssl_context"].check_hostname
