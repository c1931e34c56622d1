"""A log for a test: shards that own it, orders for them, and what stands on it afterwards."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from fresh import fresh_name

from commands.cold import Cold
from commands.context import Secrets
from commands.order import Answer, Desk, Order
from commands.owners import Shards
from commands.policy import Policy
from schemas import ids
from schemas.directory import CreateOutlet, CreateTenant
from schemas.geo import Location
from schemas.keyring import Keyring
from schemas.message import Command, TenantSlug
from schemas.record import GENESIS, Stored, stored_of, verified
from schemas.stop import NewContact, NewStop
from schemas.task import CreateTask
from schemas.topics import TOPICS

KEK = bytes(range(32))
SECRETS = Secrets(b"a secret that is long enough for tests")
PARTITIONS = 2
HOME = Location(lat=60.161, lon=24.942)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class World:
    """A log of its own, by a prefix to the cluster's name; topics are shared, so each test has its own tenant."""

    kafka: str
    cluster: str
    tenant: TenantSlug
    owned: list[Shards] = field(default_factory=list)
    clock: Callable[[], datetime] = now
    partitions: int = PARTITIONS

    async def owner(self, cold: Cold | None = None, address: str = "") -> Shards:
        """Of all shards, which are open."""
        shards = self._shards(cold, address)
        await shards.start()
        self.owned.append(shards)
        return shards

    async def joined(self) -> Shards:
        """Owns nothing until it is told what."""
        shards = self._shards(None, "")
        await shards.join()
        self.owned.append(shards)
        return shards

    def _shards(self, cold: Cold | None, address: str) -> Shards:
        return Shards(
            client_args={"bootstrap_servers": self.kafka},
            cluster=self.cluster,
            partitions=self.partitions,
            keyring=Keyring(KEK),
            policy=Policy(),
            secrets=SECRETS,
            clock=self.clock,
            owner=fresh_name("owner"),
            cold=cold,
            address=address,
        )

    def order(self, kind: str, aggregate_id: str, command: Command, key: str = "k", **more: object) -> Order:
        command_id = ids.command_id(aggregate_id, key)
        return Order(
            **{
                "tenant": self.tenant,
                "kind": kind,
                "aggregate_id": aggregate_id,
                "command": command,
                "command_id": command_id,
                "request_hash": SECRETS.keyed_hash(repr(command)),
                "actor": "shop",
                "role": "integrator",
                "correlation_id": command_id,
            }
            | more  # type: ignore[arg-type]
        )

    async def settle(self, desk: Desk) -> None:
        tenant = CreateTenant(tenant=self.tenant, name="Acme", mode="test")
        await desk.submit(self.order("tenant", ids.tenant_id(self.tenant), tenant))
        outlet = CreateOutlet(outlet="kamppi", name="Kamppi", location=HOME, zone="Europe/Helsinki")
        await desk.submit(self.order("outlet", ids.outlet_id(self.tenant, "kamppi"), outlet))

    def task(self, reference: str) -> str:
        return ids.aggregate_id("task", self.tenant, "shop", reference)

    async def create(self, desk: Desk, reference: str, name: str = "Cleo", key: str = "k") -> Answer:
        return await desk.submit(self.order("task", self.task(reference), delivery(name), key, natural=True))


def delivery(name: str = "Cleo", contact: str | None = None) -> CreateTask:
    dropoff = NewStop(kind="dropoff", location=HOME, contact=NewContact(name=name, reference=contact))
    return CreateTask(kind="delivery", outlet="kamppi", stops=[NewStop(kind="pickup"), dropoff])


async def make_topics(kafka: str, replication: int = 1, partitions: int = PARTITIONS) -> None:
    acknowledged = {"min.insync.replicas": "2"} if replication > 1 else {}
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    there = await admin.list_topics()
    await admin.create_topics(
        [
            NewTopic(
                topic.name,
                topic.partitions or partitions,
                replication,
                topic_configs={**topic.config, **acknowledged},
            )
            for topic in TOPICS
            if topic.name not in there
        ]
    )
    async with asyncio.timeout(20):
        while not {t.name for t in TOPICS} <= {*await admin.list_topics()}:  # noqa: ASYNC110 - it knows a moment later
            await asyncio.sleep(0.02)
    await admin.close()


async def records(kafka: str, topic: str, partitions: int = PARTITIONS) -> list[Stored]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    places = [TopicPartition(topic, p) for p in range(partitions)]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    ends = await consumer.end_offsets(places)
    found: list[Stored] = []
    while any([await consumer.position(place) < ends[place] for place in places]):
        for fetched in (await consumer.getmany(timeout_ms=200)).values():
            found += [stored_of(r) for r in fetched]
    await consumer.stop()
    return found


def verify_chain(stored: list[Stored]) -> None:
    chain: defaultdict[int, bytes] = defaultdict(lambda: GENESIS)
    for record in stored:
        chain[record.partition] = verified(chain[record.partition], record)
