"""Schemas registered on a real log, and every topic read by a stock client that knows nothing of ours but the address."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import fastavro
import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.schema_registry import (
    Schema,
    SchemaRegistryClient,
    SchemaRegistryError,
    topic_record_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from fastavro.utils import generate_one
from fresh import fresh_name
from pydantic import SecretStr
from world import HOME, KEK, PARTITIONS, World, now

from gateway.app import app
from infra import schema_topic
from infra.embedded.ports import free_port
from infra.frame_log import KafkaFrameLog
from infra.kafka import WrongTopic
from infra.role_gateway import Gateway
from infra.schema_topic import read, register
from infra.serving import server
from infra.settings import Settings, load_settings
from infra.signal_log import SignalLog
from schemas import ids
from schemas.directory import Circle, CreateGeofence
from schemas.fixes import HeldFix, NewFix, frames_of
from schemas.keyring import Keyring
from schemas.message import OfferId, RiderId, TaskId
from schemas.registered import encoded, records, registered, schema_record
from schemas.rider import ApproveRider, RegisterRider, StartShift
from schemas.signals import GeofenceTransitionCorrected
from schemas.task import CancelTask
from schemas.tender import Candidate, ClaimOffer, OpenTender, PlannedOffer
from schemas.topics import FIXES, FLEET, HISTORY, KEYS, SCHEMAS, SHARDS, SIGNALS
from streams.telemetry.found import Draft

AVRO_TOPICS = [topic.name for topic in (*HISTORY, SIGNALS, FIXES, SHARDS, KEYS)]


@pytest.fixture
def settings(lone_world: World, postgres: str) -> Settings:
    return load_settings(
        kafka=lone_world.kafka,
        postgres=SecretStr(postgres),
        osrm="http://127.0.0.1:1",
        cluster=lone_world.cluster,
        partitions=PARTITIONS,
        http_port=free_port(),
        internal_port=free_port(),
        key_encryption_key=SecretStr(KEK.hex()),
        server_secret=SecretStr("ab" * 32),
        token_key=SecretStr("cd" * 32),
    )


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Gateway]:
    """The gateway on its port, with the shards behind it."""
    gateway = Gateway(settings, now, alone=True)
    await gateway.start()
    public = server(app(gateway.door), settings.http_host, settings.http_port, lifespan="on")
    running = asyncio.create_task(public.serve())
    try:
        while not public.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
        yield gateway
    finally:
        public.should_exit = True
        await running
        await gateway.stop()


class Story:
    """A task that is tendered and cancelled, a rider on shift, a fence, fixes and a signal."""

    def __init__(self, world: World, gateway: Gateway) -> None:
        self.world, self.gateway = world, gateway
        self.rider = RiderId(ids.aggregate_id("rider", world.tenant, "shop", "ann"))
        self.task = TaskId(world.task("order-1"))

    async def told(self) -> None:
        shards, world = self.gateway.shards, self.world
        await world.settle(shards)
        await world.create(shards, "order-1")
        await self.send("rider", self.rider, RegisterRider(name="Ann"), "register")
        await self.send("rider", self.rider, ApproveRider(), "approve")
        await self.send("rider", self.rider, StartShift(ends_at=now() + timedelta(hours=4)), "shift")
        fence = CreateGeofence(name="Home", shape=Circle(center=HOME, radius_m=200), valid_from=now())
        await self.send("geofence", ids.aggregate_id("geofence", world.tenant, "shop", "home"), fence, "fence")
        await self.tendered()
        await self.send("task", self.task, CancelTask(reason_code="changed_mind"), "cancel")
        await self.seen()

    async def tendered(self) -> None:
        tender = ids.tender_id(self.task, 1)
        offer = OfferId(ids.offer_id(tender, self.rider))
        opening = OpenTender(
            task_id=self.task,
            round=1,
            mode="broadcast",
            candidates=[Candidate(rider_id=self.rider, rank=1, travel_s=60, distance_m=500, source="osrm")],
            excluded=[],
            offers=[PlannedOffer(offer_id=offer, rider_id=self.rider, expires_at=now() + timedelta(minutes=5))],
            policy_version=1,
            input_hash="h",
            solver="nearest-1",
        )
        await self.send("tender", tender, opening, "open", actor="dispatch", role="system")
        await self.send("tender", tender, ClaimOffer(offer_id=offer), "claim", actor=self.rider, role="rider")

    async def seen(self) -> None:
        settings = self.gateway.door
        args = {"bootstrap_servers": self.world.kafka}
        fix = HeldFix("phone", self.rider, NewFix(observed_at=now(), lat=HOME.lat, lon=HOME.lon))
        frames = KafkaFrameLog(args, settings.cluster, now)
        await frames.start()
        await frames.write(self.world.tenant, "phone", [(0, frame) for frame in frames_of([fix], now())])
        await frames.stop()
        signals = SignalLog(args, settings.cluster, 0, Keyring(KEK), now)
        await signals.open("test", 0)
        event = GeofenceTransitionCorrected(supersedes="s", geofence_id="g", transition="entered", at=now())  # type: ignore[arg-type]
        await signals.tell(
            [Draft(event_id="e", tenant=self.world.tenant, rider_id=self.rider, event=event, at=now(), cause="c")]
        )
        await signals.close()

    async def send(self, kind: str, aggregate_id: str, command: Any, key: str, **more: Any) -> None:
        await self.gateway.shards.submit(self.world.order(kind, aggregate_id, command, key, **more))


def client(settings: Settings) -> SchemaRegistryClient:
    return SchemaRegistryClient({"url": f"http://{settings.http_host}:{settings.http_port}/registry"})


def read_by_others(settings: Settings) -> list[tuple[str, str, dict[str, Any]]]:
    """Topic, `ce_type` and content of every record, by confluent-kafka's own consumer and deserializer."""
    deserialize = AvroDeserializer(client(settings))
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": fresh_name("others")})
    consumer.assign([Place(topic, p, 0) for topic in AVRO_TOPICS for p in range(PARTITIONS)])
    left = sum(consumer.get_watermark_offsets(Place(t, p))[1] for t in AVRO_TOPICS for p in range(PARTITIONS))
    found = []
    while left:
        message = consumer.poll(10)
        assert message is not None, f"{left} records did not come"
        assert message.error() is None, message.error()
        left -= 1
        headers = {name: value.decode() for name, value in message.headers()}
        context = SerializationContext(message.topic(), MessageField.VALUE, message.headers())
        content = deserialize(message.value(), context)
        found.append((message.topic(), headers["ce_type"], content))
    consumer.close()
    return found


async def test_every_topic_is_read_by_a_stock_client_that_knows_only_the_registry(
    settings: Settings, lone_world: World
):
    await register({"bootstrap_servers": settings.kafka})
    async with serving(settings) as gateway:
        story = Story(lone_world, gateway)
        await story.told()
        found = await asyncio.to_thread(read_by_others, settings)
    assert {topic for topic, _, _ in found} == set(AVRO_TOPICS)
    by_type = {name: content for _, name, content in found}
    assert set(by_type) >= {
        "logistics.directory.TenantCreated",
        "logistics.directory.GeofenceCreated",
        "logistics.dispatch.DispatchDecisionRecorded",
        "logistics.dispatch.OfferClaimed",
        "logistics.fleet.ShiftStarted",
        "logistics.task.TaskCancelled",
    }
    assert by_type["logistics.task.TaskCreated"]["kind"] == "delivery"
    assert by_type["logistics.task.TaskCreated"]["outlet"] == "kamppi"
    assert by_type["logistics.task.TaskCancelled"]["reason_code"] == "changed_mind"
    assert by_type["logistics.fixes.FixFrame"]["riders"] == [story.rider]
    assert by_type["logistics.signals.GeofenceTransitionCorrected"]["transition"] == "entered"
    assert by_type["logistics.control.ShardOpened"]["epoch"] >= 0
    assert "Cleo" not in repr(found)


async def test_a_stock_client_finds_what_it_would_write_and_may_register_nothing(settings: Settings, lone_world: World):
    await register({"bootstrap_servers": settings.kafka})
    known = next(each for each in registered() if each.subject.endswith("RiderApproved"))
    conf = {"auto.register.schemas": False, "subject.name.strategy": topic_record_subject_name_strategy}

    def written() -> bytes:
        serialize = AvroSerializer(client(settings), known.schema, conf=conf)
        value = serialize({}, SerializationContext(FLEET.name, MessageField.VALUE))
        assert value is not None
        return value

    def refused() -> SchemaRegistryError:
        with pytest.raises(SchemaRegistryError, match="read-only") as told:
            client(settings).register_schema("mine", Schema('"string"', "AVRO"))
        return told.value

    def read_all() -> int:
        """One made-up value of each type."""
        deserialize = AvroDeserializer(client(settings))
        for each in registered():
            schema = json.loads(each.schema)
            made = io.BytesIO()
            fastavro.schemaless_writer(made, schema, content := generate_one(schema))
            value = deserialize(b"\x00" + each.id.to_bytes(4) + made.getvalue(), None)
            assert value is not None, each.subject
            assert value.keys() == content.keys(), each.subject
        return len(registered())

    async with serving(settings):
        assert await asyncio.to_thread(read_all) > 79
        value = await asyncio.to_thread(written)
        assert int.from_bytes(value[1:5]) == known.id
        assert (await asyncio.to_thread(refused)).error_code == 42205
        assert await asyncio.to_thread(client(settings).get_subjects) == sorted({e.subject for e in registered()})


async def test_schemas_are_registered_once(lone_world: World):
    args = {"bootstrap_servers": lone_world.kafka}
    assert await register(args) == len(records())
    assert await register(args) == 0
    assert await read(args) == dict(records())


async def test_what_is_missing_is_made_good_and_the_rest_stays(lone_world: World):
    args = {"bootstrap_servers": lone_world.kafka}
    await register(args)
    (lost, _), (spoiled, _) = records()[5], records()[-1]
    await put(lone_world, (lost, None), (spoiled, b"garbage"))
    assert await register(args) == 2
    assert (await read(args))[lost] == records()[5][1]


async def test_an_id_that_others_hold_is_refused(lone_world: World):
    foreign = {"subject": "orders-value", "version": 1, "id": registered()[0].id, "schema": '"string"'}
    await put(lone_world, (encoded({"keytype": "SCHEMA", "subject": "orders-value", "version": 1}), encoded(foreign)))
    with pytest.raises(WrongTopic, match="orders-value, which is not ours"):
        await register({"bootstrap_servers": lone_world.kafka})


async def test_others_may_keep_their_schemas_beside_ours(settings: Settings, lone_world: World):
    foreign = {"subject": "orders-value", "version": 1, "id": 100_001, "schema": '"string"', "deleted": False}
    key = {"keytype": "SCHEMA", "subject": "orders-value", "version": 1, "magic": 1}
    await put(lone_world, (encoded(key), encoded(foreign)), (b"no JSON", b"none either"))
    await register({"bootstrap_servers": lone_world.kafka})
    async with serving(settings):
        told = await asyncio.to_thread(client(settings).get_latest_version, "orders-value")
    assert told.schema_id == 100_001


async def test_a_released_schema_is_never_changed(lone_world: World, monkeypatch: pytest.MonkeyPatch):
    args = {"bootstrap_servers": lone_world.kafka}
    await register(args)
    [first, *_] = registered()
    changed = registered_as(first, schema='{"type":"record","name":"Other","fields":[]}', released=True)
    monkeypatch.setattr(schema_topic, "registered", lambda: (changed,))
    with pytest.raises(WrongTopic, match=rf"{first.subject} version 1 than was released"):
        await register(args)


async def test_an_unreleased_schema_follows_its_change(lone_world: World, monkeypatch: pytest.MonkeyPatch):
    args = {"bootstrap_servers": lone_world.kafka}
    await register(args)
    [first, *_] = registered()
    changed = registered_as(first, schema='{"type":"record","name":"Other","fields":[]}', released=False)
    monkeypatch.setattr(schema_topic, "registered", lambda: (changed,))
    monkeypatch.setattr(schema_topic, "records", lambda: [schema_record(changed)])
    assert await register(args) == 1
    assert "Other" in (await read(args))[schema_record(first)[0]].decode()  # type: ignore[union-attr]


def registered_as(each: Any, **changes: Any) -> Any:
    return type(each)(**{name: getattr(each, name) for name in each.__struct_fields__} | changes)


async def put(world: World, *held: tuple[bytes, bytes | None]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=world.kafka) as producer:
        for key, value in held:
            await producer.send_and_wait(SCHEMAS.name, value, key=key, partition=0)
