"""Our topics on a cluster: made once as the log needs them, refused where they are otherwise."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from fresh import fresh_name

from infra import kafka as topics
from infra import topics as shown_topics
from infra.endpoints import NotRunning
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


async def test_everything_that_is_wrong_is_told_at_once(settings: Settings, ours: Topic, admin: AIOKafkaAdminClient):
    await made(admin, ours, partitions=2, retention_ms="604800000", cleanup_policy="compact")
    with pytest.raises(WrongTopic, match=r"(?s)2 partitions.*cleanup.policy is compact.*retention.ms is 604800000"):
        await ensure_topics(settings, client_args(settings))


async def test_of_many_topics_that_are_wrong_some_are_told_and_all_are_counted(
    settings: Settings, admin: AIOKafkaAdminClient, monkeypatch: pytest.MonkeyPatch
):
    many = [Topic(fresh_name("topic")) for _ in range(topics.MOST_TOLD + 2)]
    monkeypatch.setattr(topics, "TOPICS", tuple(many))
    for topic in many:
        await made(admin, topic, partitions=1)
    with pytest.raises(
        WrongTopic, match=r"(?s)^(topic-\S+ has 1 partitions[^\n]*\n){5}and 2 more: see `logistics topics`$"
    ):
        await ensure_topics(settings, client_args(settings))


async def test_topics_are_shown_with_what_they_hold_and_where_they_deviate(
    settings: Settings, ours: Topic, admin: AIOKafkaAdminClient, monkeypatch: pytest.MonkeyPatch
):
    lost = Topic(fresh_name("lost"))
    monkeypatch.setattr(shown_topics, "TOPICS", (ours, lost))
    await made(admin, ours, retention_ms="604800000")
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        for number in range(5):
            await producer.send_and_wait(ours.name, b"x" * 100, partition=number % 3)
    here, gone = await shown_topics.states(settings)
    assert (here.partitions, here.replicas, here.records) == (3, 1, 5)
    assert here.disk_bytes > 500
    assert here.deviations == [f"{ours.name}: retention.ms is 604800000, the log needs -1"]
    assert gone.deviations == [f"{lost.name} is not there: `logistics up` makes it"]


async def test_a_cluster_that_does_not_answer_is_told():
    nowhere = Settings(kafka="127.0.0.1:1")
    with pytest.raises(NotRunning, match=r"Kafka at 127.0.0.1:1 does not answer"):
        await ensure_topics(nowhere, client_args(nowhere))


@pytest.mark.parametrize(
    ("policy", "retention_ms", "words"),
    [
        ("delete", "-1", "for ever"),
        ("delete", "2592000000", "30 days"),
        ("compact", "-1", "the latest of each key"),
        ("compact,delete", "-1", "compact,delete"),
    ],
)
def test_how_a_topic_is_kept_is_told_in_words(policy: str, retention_ms: str, words: str):
    assert shown_topics.kept({"cleanup.policy": policy, "retention.ms": retention_ms}) == words
