"""An outside Kafka is proven before it is trusted: on a real one that is as it should be, and where it is not."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from fresh import fresh_name
from world import World

from commands.log import SILENT_LIMIT_S, ShardLog
from commands.shard import IDLE_HEARTBEAT_S
from infra import probe
from infra.endpoints import NotRunning
from infra.kafka import WrongTopic, administering, client_args
from infra.log_setup import set_up_log
from infra.probe import NotTrusted, prove, proven
from infra.settings import Settings
from schemas.topics import Topic


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    return Settings(kafka=kafka, data=tmp_path)


@pytest.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    async with administering({"bootstrap_servers": kafka}) as admin:
        yield admin


@pytest.fixture
async def topic(settings: Settings, admin: AIOKafkaAdminClient) -> AsyncIterator[str]:
    """A topic as the probe makes it."""
    async with probe.probe_topic(admin, settings, Topic(fresh_name("logistics.probe"), partitions=1)) as topic:
        await probe.check_topic(admin, settings, topic)
        yield topic.name


async def probes(admin: AIOKafkaAdminClient) -> list[str]:
    return [name for name in await admin.list_topics() if name.startswith("logistics.probe")]


async def test_a_kafka_that_fences_is_proven_once_and_nothing_is_left(settings: Settings, admin: AIOKafkaAdminClient):
    assert await prove(settings, client_args(settings)) is True
    assert await prove(settings, client_args(settings)) is False
    assert proven(settings.data) == {(await admin.describe_cluster())["cluster_id"]}
    async with asyncio.timeout(10):
        while await probes(admin):  # noqa: ASYNC110 - the broker's own
            await asyncio.sleep(0.05)


async def test_another_data_folder_proves_it_anew(settings: Settings, tmp_path: Path):
    await prove(settings, client_args(settings))
    elsewhere = settings.model_copy(update={"data": tmp_path / "other"})
    assert await prove(elsewhere, client_args(settings)) is True


async def test_a_write_of_an_old_owner_that_is_taken_is_not_trusted(settings: Settings, topic: str):
    """Two transactional ids fence nothing: so would a broker that does not fence."""
    with pytest.raises(NotTrusted, match=r"a write under an old epoch was taken"):
        await probe.check_fence(client_args(settings), topic, (fresh_name("one"), fresh_name("another")))


async def test_a_write_of_an_old_owner_that_is_refused_otherwise_is_not_trusted(
    settings: Settings, topic: str, monkeypatch: pytest.MonkeyPatch
):
    """As by a broker that lost the owner's sequence."""
    opened, first = probe.opened, []

    async def opened_and_skipped(log: ShardLog, name: str) -> None:
        await opened(log, name)
        first.append(log)
        if len(first) == 2:
            first[0].epoch, first[0]._sequence[name] = log.epoch, 1_000

    monkeypatch.setattr(probe, "opened", opened_and_skipped)
    identity = fresh_name("one")
    with pytest.raises(NotTrusted, match=r"not refused as fenced.*OutOfOrderSequence"):
        await probe.check_fence(client_args(settings), topic, (identity, identity))


async def test_a_record_that_nobody_acknowledged_is_told(settings: Settings, topic: str):
    identity = fresh_name("one")
    await probe.check_fence(client_args(settings), topic, (identity, identity))
    await probe.check_records(client_args(settings), topic)
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        await producer.send_and_wait(topic, b"x", key=b"stray")
    with pytest.raises(NotTrusted, match="stray"):
        await probe.check_records(client_args(settings), topic)


def made_with(changed: Mapping[str, str]) -> Any:
    """A cluster that has its own mind about topics."""

    def new_topic(settings: Settings, topic: Topic) -> NewTopic:
        config = {**topic.config, "flush.messages": "1", **changed}
        return NewTopic(topic.name, 1, 1, topic_configs=config)

    return new_topic


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("message.timestamp.type", "CreateTime"),
        ("cleanup.policy", "compact"),
        ("retention.ms", "604800000"),
        ("unclean.leader.election.enable", "true"),
        ("flush.messages", "1000"),
    ],
)
async def test_a_cluster_that_changes_a_setting_is_refused_by_its_name(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, admin: AIOKafkaAdminClient, name: str, value: str
):
    monkeypatch.setattr(probe, "new_topic", made_with({name: value}))
    with pytest.raises(NotTrusted, match=rf"{name} is {value}, the log needs"):
        await prove(settings, client_args(settings))
    assert proven(settings.data) == set()


async def test_records_that_the_broker_does_not_stamp_are_not_trusted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """Whatever the cluster says of its settings."""
    monkeypatch.setattr(probe, "new_topic", made_with({"message.timestamp.type": "CreateTime"}))
    monkeypatch.setattr(probe, "misconfigured", lambda *_: [])
    with pytest.raises(NotTrusted, match="must be LogAppendTime"):
        await prove(settings, client_args(settings))


async def test_more_replicas_than_there_are_brokers_names_the_setting(settings: Settings):
    many = settings.model_copy(update={"replication": 3})
    with pytest.raises(NotTrusted, match="LOGISTICS_REPLICATION is 3"):
        await prove(many, client_args(many))


async def test_a_cluster_where_no_write_is_acknowledged_is_told_in_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """As where nobody leads the partition."""
    monkeypatch.setattr(probe, "WITHIN_S", 1.0)
    with pytest.raises(NotTrusted, match=r"was not acknowledged within 1 s: .*min\.insync\.replicas"):
        await probe.check_fence(client_args(settings), fresh_name("nowhere"), (fresh_name("one"), fresh_name("two")))


@pytest.mark.parametrize(
    ("value", "refused"), [("600000", True), ("43200000", False), ("86400000", False), (None, False)]
)
def test_a_broker_that_forgets_owners_too_soon_is_refused(value: str | None, refused: bool):
    if refused:
        with pytest.raises(NotTrusted, match=r"broker 2: producer\.id\.expiration\.ms is 600000, .* at least 43200000"):
            probe.refuse_expiry("2", value)
    else:
        probe.refuse_expiry("2", value)


def test_an_owner_beats_before_he_falls_silent_and_falls_silent_before_a_broker_forgets_him():
    assert 1.5 * IDLE_HEARTBEAT_S < SILENT_LIMIT_S < 0.95 * probe.LEAST_EXPIRY_MS / 1_000


class TwoBrokers:
    """A broker beside the real one, which answers as that does and forgets owners sooner."""

    def __init__(self, real: AIOKafkaAdminClient) -> None:
        self._real = real

    async def describe_cluster(self) -> dict[str, Any]:
        told = await self._real.describe_cluster()
        return told | {"brokers": [*told["brokers"], {**told["brokers"][0], "node_id": FORGETFUL}]}

    async def describe_configs(self, resources: list[Any]) -> list[Any]:
        """Each asked of itself."""
        told: Any = await self._real.describe_configs([each for each in resources if each.name != str(FORGETFUL)])
        if any(each.name == str(FORGETFUL) for each in resources):
            told.append(SimpleNamespace(resources=[(0, "", 4, str(FORGETFUL), [(probe.EXPIRY, "600000")])]))
        return told


FORGETFUL = 99


async def test_every_broker_is_asked_how_long_it_remembers(admin: AIOKafkaAdminClient):
    await probe.check_expiry(admin)
    with pytest.raises(NotTrusted, match="broker 99: "):
        await probe.check_expiry(TwoBrokers(admin))  # type: ignore[arg-type]


async def test_the_start_on_an_outside_kafka_proves_it_and_then_looks_at_each_topic(lone_world: World, tmp_path: Path):
    """These topics were made by others, without a flush at each message."""
    settings = Settings(kafka=lone_world.kafka, data=tmp_path, partitions=2)
    with pytest.raises(WrongTopic, match=r"logistics.task: flush.messages is \d+, the log needs 1"):
        await set_up_log(settings, client_args(settings), outside=True)
    assert len(proven(tmp_path)) == 1


async def test_a_kafka_that_does_not_answer_is_told(tmp_path: Path):
    nowhere = Settings(kafka="127.0.0.1:1", data=tmp_path)
    with pytest.raises(NotRunning, match="does not answer"):
        await prove(nowhere, client_args(nowhere))
