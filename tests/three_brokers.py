"""Three brokers of which a test may kill any, and a writer that keeps a journal meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient, CoordinationType
from fresh import fresh_name

from commands.connection import KafkaConnection
from commands.log import Entry, ShardLog
from infra.embedded.brokers import Brokers
from infra.embedded.kafka import EmbeddedKafka
from schemas.topics import FOR_EVER

RECOVERED_WITHIN_S = 60
REPLICATED = {"min.insync.replicas": "2"}
PARTITION = 0
QUORUM_STATE = "log/__cluster_metadata-0/quorum-state"
FULL_AT_BYTES = 16 << 10
BATCH = 3
"""Commands that the writer has acknowledged together."""


class ThreeBrokers:
    def __init__(self, brokers: Brokers) -> None:
        self.nodes: dict[int, EmbeddedKafka] = {node.node: node for node in brokers.nodes.values()}
        self.kafka = brokers.bootstrap

    async def kill(self, *nodes: int) -> None:
        """As kill -9 does."""
        for node in nodes:
            self.nodes[node].child.kill()
        for node in nodes:
            await self.nodes[node].child.wait()

    async def fill_disk(self, node: int) -> None:
        """None of its files may grow any more; returns when it has ended of that.

        A file system without room was tried, too: the same failed write, and Kafka ends in the same way.
        """
        child = self.nodes[node].child
        psutil.Process(child.pid).rlimit(psutil.RLIMIT_FSIZE, (FULL_AT_BYTES, psutil.RLIM_INFINITY))
        async with asyncio.timeout(RECOVERED_WITHIN_S):
            await child.wait()

    async def back(self, *nodes: int) -> None:
        """Started again, and in sync with all others."""
        await asyncio.gather(*(self.nodes[node].start() for node in nodes))
        await self.whole()

    async def whole(self) -> None:
        """Until every partition has all its replicas in sync."""
        async with admin(self.kafka) as asked, asyncio.timeout(RECOVERED_WITHIN_S):
            while any(len(p["isr"]) < len(self.nodes) for p in await partitions(asked)):  # noqa: ASYNC110 - the brokers' own
                await asyncio.sleep(0.1)

    async def leader(self, topic: str, partition: int = PARTITION) -> int:
        async with admin(self.kafka) as asked:
            return next(p["leader"] for p in await partitions(asked, [topic]) if p["partition"] == partition)

    async def follower(self, topic: str) -> int:
        leader = await self.leader(topic)
        return next(node for node in self.nodes if node != leader)

    def controller(self) -> int:
        """The active one, as the node with the latest word of the quorum has written down."""
        states = [json.loads((node.data / QUORUM_STATE).read_text()) for node in self.nodes.values()]
        return max((state["leaderEpoch"], state["leaderId"]) for state in states)[1]

    async def coordinator(self, transactional_id: str) -> int:
        client = AIOKafkaClient(bootstrap_servers=self.kafka)
        await client.bootstrap()
        try:
            return await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
        finally:
            await client.close()

    async def topic(self) -> str:
        """A new one, as the log's are made."""
        name = fresh_name("log")
        async with admin(self.kafka) as asked:
            await asked.create_topics([NewTopic(name, 1, 3, topic_configs={**FOR_EVER, **REPLICATED})])
        await self.whole()
        return name

    async def contents(self, topic: str) -> list[str]:
        """In their order."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, enable_auto_commit=False)
        await consumer.start()
        place = TopicPartition(topic, PARTITION)
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        end = (await consumer.end_offsets([place]))[place]
        values: list[str] = []
        while await consumer.position(place) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                values += [record.value.decode() for record in records]
        await consumer.stop()
        return values


@asynccontextmanager
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def partitions(asked: AIOKafkaAdminClient, topics: list[str] | None = None) -> list[dict[str, Any]]:
    return [partition for topic in await asked.describe_topics(topics) for partition in topic["partitions"]]


class Writer:
    """Appends numbered commands to a log of its own, a few at a time, and journals what was acknowledged."""

    def __init__(self, brokers: ThreeBrokers, topic: str) -> None:
        connection = KafkaConnection({"bootstrap_servers": brokers.kafka}, f"logistics.{topic}", PARTITION, [topic])
        self._log = ShardLog(connection)
        self._brokers, self._topic = brokers, topic
        self._writing: asyncio.Task[None] | None = None
        self._stopping = False
        self.journal: list[tuple[int, str]] = []
        """Offset and command."""

    async def start(self) -> None:
        await self._log.connect()
        await self._log.take_epoch()
        await self._log.barriers({self._topic: entry("barrier")})
        self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        number = 0
        while not self._stopping:
            commands = [f"command-{number + n}" for n in range(BATCH)]
            stand = (await self._log.append({self._topic: [entry(command) for command in commands]}))[self._topic]
            assert stand is not None, "it is small"
            self.journal += enumerate(commands, start=stand)
            number += BATCH

    async def more(self, count: int = 300) -> None:
        """Until so many more are acknowledged."""
        assert self._writing is not None, "start first"
        wanted = len(self.journal) + count
        async with asyncio.timeout(RECOVERED_WITHIN_S):
            while len(self.journal) < wanted:
                if self._writing.done():
                    self._writing.result()
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Once the last ones are acknowledged."""
        assert self._writing is not None, "start first"
        self._stopping = True
        await self._writing

    async def leave(self) -> None:
        """Whether or not they are."""
        if self._writing is not None:
            self._writing.cancel()
        await self._log.close()

    async def verify(self) -> None:
        """What was acknowledged stands where it was said, once, in order, and nothing else does."""
        contents = await self._brokers.contents(self._topic)
        assert contents[0] == "barrier"
        assert list(enumerate(contents))[1:] == self.journal
        assert [command for _, command in self.journal] == [f"command-{n}" for n in range(len(self.journal))]


@asynccontextmanager
async def writing(brokers: ThreeBrokers, topic: str) -> AsyncIterator[Writer]:
    """A writer that has begun; at the end it is stopped, and its log is what its journal says."""
    writer = Writer(brokers, topic)
    await writer.start()
    try:
        await writer.more()
        yield writer
        await writer.more()
        await writer.stop()
    finally:
        await writer.leave()
    await writer.verify()


def entry(text: str) -> Entry:
    return b"key", text.encode(), [("h", b"1")]
