"""The way to the brokers, as the write protocol needs it: what is sent, what is told. Nothing is decided here.

`KafkaConnection` is on aiokafka's low-level client, whose version is pinned. In tests a model stands in its place.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import aiokafka.errors as errors
import structlog
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.structs import TopicPartition

ACKS_ALL = -1
TRANSACTION_TIMEOUT_MS = 60_000
"""It has to be said; we begin no transaction."""

CLOSED_WITHIN_S = 2.0
"""What is still to be sent to a broker that reads nothing would be waited for until TCP gives up."""

UNKNOWN = (errors.KafkaError, OSError, TimeoutError)

logger = structlog.get_logger()


class Told(NamedTuple):
    """A batch's fate. With an error code the offset means nothing, though some carry one."""

    topic: str
    code: int
    offset: int


class Identity(NamedTuple):
    """What writes are made with: valid where the code is 0."""

    code: int
    producer_id: int
    epoch: int


class Connection(Protocol):
    """One owner's, to whatever leads one partition of its topics."""

    @property
    def partition(self) -> int: ...

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def init_producer_id(self) -> Identity | None:
        """None where no answer came."""

    async def send(self, batches: Mapping[str, bytes]) -> Sequence[Told]:
        """Each topic's batch, once. What is missing in the answer may have been written, or may yet be."""
        ...

    async def pause(self, seconds: float) -> None:
        """Before the next try."""


class KafkaConnection:
    """One connection a leader, one request in flight on it. Every wait has its end."""

    def __init__(
        self,
        client_args: Mapping[str, Any],
        transactional_id: str,
        partition: int,
        topics: Sequence[str],
        request_timeout_ms: int = 5_000,
    ) -> None:
        self._client_args = client_args
        self._transactional_id = transactional_id
        self._topics = topics
        self._timeout_ms = request_timeout_ms
        self._client: AIOKafkaClient | None = None
        self.partition = partition

    async def connect(self) -> None:
        """Raises KafkaError, TimeoutError where no broker answers."""
        client = AIOKafkaClient(**self._client_args, request_timeout_ms=self._timeout_ms, metadata_max_age_ms=30_000)
        self._client = client
        await client.bootstrap()
        async with asyncio.timeout(2 * self._timeout_ms / 1000):
            await client.set_topics(self._topics)

    async def close(self) -> None:
        if self._client is None:
            return
        try:
            async with asyncio.timeout(CLOSED_WITHIN_S):
                await self._client.close()
        except TimeoutError:
            logger.info("connection left behind", partition=self.partition)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def init_producer_id(self) -> Identity | None:
        client = self._connected
        if client.get_random_node() is None:  # aiokafka would assert
            await self._refresh()
            return None
        request = InitProducerIdRequest(self._transactional_id, TRANSACTION_TIMEOUT_MS)
        try:
            async with asyncio.timeout(2 * self._timeout_ms / 1000):
                node = await client.coordinator_lookup(CoordinationType.TRANSACTION, self._transactional_id)
                await client.ready(node, group=ConnectionGroup.COORDINATION)
                told = await client.send(node, request, group=ConnectionGroup.COORDINATION)
        except UNKNOWN as unknown:
            logger.info("no epoch yet", partition=self.partition, error=repr(unknown))
            return None
        return Identity(told.error_code, told.producer_id, told.producer_epoch)

    async def send(self, batches: Mapping[str, bytes]) -> Sequence[Told]:
        """One request for all batches whose leader is the same."""
        by_leader: dict[int, list[str]] = {}
        for topic in batches:
            leader = self._connected.cluster.leader_for_partition(TopicPartition(topic, self.partition))
            if leader is None or leader == -1:
                await self._refresh()
                return []
            by_leader.setdefault(leader, []).append(topic)
        sending = [self._send_to(leader, {t: batches[t] for t in topics}) for leader, topics in by_leader.items()]
        told = [await sending[0]] if len(sending) == 1 else await asyncio.gather(*sending)
        results = [result for results in told for result in results]
        if any(code != errors.NoError.errno for _, code, _ in results) or len(results) < len(batches):
            await self._refresh()
        return results

    async def _send_to(self, leader: int, batches: Mapping[str, bytes]) -> list[Told]:
        content = [(topic, [(self.partition, batch)]) for topic, batch in batches.items()]
        request = ProduceRequest(None, ACKS_ALL, self._timeout_ms, content)
        try:
            async with asyncio.timeout(2 * self._timeout_ms / 1000):
                response = await self._connected.send(leader, request)
        except UNKNOWN as unknown:
            logger.info("answer lost", leader=leader, partition=self.partition, error=repr(unknown))
            return []
        return [Told(topic, told[0][1], told[0][2]) for topic, told in response.topics]

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                await self._connected.force_metadata_update()
        except UNKNOWN as unknown:
            logger.info("metadata not refreshed", partition=self.partition, error=repr(unknown))

    @property
    def _connected(self) -> AIOKafkaClient:
        assert self._client is not None, "connect first"
        return self._client
