"""A shard's place on the log: atomic batches, fenced by the producer's epoch, each checked for its offset.

No transactions: the owner takes (producer id, epoch) from InitProducerId on the shard's transactional id and writes
idempotently with them. The first write under a higher epoch makes the broker refuse the lower ones (KIP-98, KIP-360).
It uses aiokafka's low-level client, whose version is pinned.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import aiokafka.errors as errors
import structlog
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from schemas.record import Headers

ACKS_ALL = -1
MAGIC = 2
LAST_EPOCH = 32_767
TRANSACTION_TIMEOUT_MS = 60_000
BACKOFF_S = (0.02, 0.05, 0.1, 0.2)
"""Longer pauses cost a second more without acknowledgements after a leader's loss (3.9 s instead of 2.4, measured)."""
SEQUENCE_MASK = 0x7FFFFFFF

type Entry = tuple[bytes | None, bytes | None, Headers]
"""Key, value, headers."""

logger = structlog.get_logger()


class TenureLost(Exception):
    """This owner may not write or answer any more; nothing that is unacknowledged may be acknowledged."""


class Fenced(TenureLost):
    """Another owner has written under a higher epoch."""


class SequenceBroken(TenureLost):
    """The broker does not know our place: open again, read the log."""


class OffsetUnexpected(TenureLost):
    """A batch does not stand where it must: somebody else wrote. Nothing of it may be acknowledged."""


class ShardLog:
    """One shard's partition in many topics, written by one owner.

    `partition` of each topic is the shard's number. Its own connection, one request in flight.
    """

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
        self._sequence: dict[str, int] = {}
        self._closed = False
        self._appending = False
        self.partition = partition
        self.producer_id = -1
        self.epoch = -1
        self.next_offset: dict[str, int] = {}
        """Where each topic's next batch must stand; a topic without a barrier is missing."""

    async def connect(self) -> None:
        self._client = AIOKafkaClient(
            **self._client_args, request_timeout_ms=self._timeout_ms, metadata_max_age_ms=30_000
        )
        await self._client.bootstrap()
        await self._client.set_topics(self._topics)

    async def close(self) -> None:
        self._closed = True
        if self._client is not None:
            await self._client.close()

    async def take_epoch(self) -> None:
        """A new epoch for this tenure. It fences nothing until its first write (see `barriers`)."""
        self.producer_id, self.epoch = await self._init_producer_id()
        self._sequence.clear()
        self.next_offset.clear()

    async def retire(self, producer_ids: Mapping[str, int], entry: Mapping[str, Entry]) -> None:
        """Fence producers whose id is not ours any more, which no epoch of ours can: topic → their id.

        The broker gave out a new id because the old one expired or ran out of epochs. A batch under the old id and
        the last epoch there is makes the broker refuse all that its zombie may still send.
        """
        for topic, producer_id in producer_ids.items():
            batch = self._batch([entry[topic]], producer_id, LAST_EPOCH, 0)
            await self._settle({topic: batch}, expected={})

    async def barriers(self, entries: Mapping[str, Entry]) -> Mapping[str, int]:
        """Write each topic's barrier; the offsets at which they stand. Until then no earlier owner is fenced."""
        batches = {t: self._batch([e], self.producer_id, self.epoch, 0) for t, e in entries.items()}
        stand = await self._settle(batches, expected={})
        self._advance(entries, stand, dict.fromkeys(entries, 1))
        return stand

    async def append(self, groups: Mapping[str, Sequence[Entry]]) -> Mapping[str, int | None]:
        """Append each topic's entries as one batch; the offset of each first record, None where it is too large.

        Raises TenureLost where nothing may be acknowledged. A batch whose fate is unknown is sent again, the same
        bytes under the same sequence, until the broker tells.
        """
        if self._appending:
            raise RuntimeError("a second batch while the first is under way would have its sequence")
        self._appending = True
        try:
            batches = {
                topic: self._batch(entries, self.producer_id, self.epoch, self._sequence[topic])
                for topic, entries in groups.items()
            }
            expected = {topic: self.next_offset[topic] for topic in groups}
            stand = await self._settle(batches, expected)
            self._advance(groups, stand, {topic: len(entries) for topic, entries in groups.items()})
        finally:
            self._appending = False
        return {topic: stand.get(topic) for topic in groups}

    def _advance(self, topics: Iterable[str], stand: Mapping[str, int], counts: Mapping[str, int]) -> None:
        for topic in topics:
            if topic in stand:
                self._sequence[topic] = (self._sequence.get(topic, 0) + counts[topic]) & SEQUENCE_MASK
                self.next_offset[topic] = stand[topic] + counts[topic]

    def _batch(self, entries: Sequence[Entry], producer_id: int, epoch: int, sequence: int) -> bytes:
        builder = DefaultRecordBatchBuilder(MAGIC, 0, 0, producer_id, epoch, sequence, 1 << 30)
        for number, (key, value, headers) in enumerate(entries):
            builder.append(number, 0, key, value, list(headers))
        return bytes(builder.build())

    async def _settle(self, batches: Mapping[str, bytes], expected: Mapping[str, int]) -> dict[str, int]:
        """Send until the fate of each is known; those that are too large are left out of the result."""
        stand: dict[str, int] = {}
        waiting = dict(batches)
        attempt = 0
        while waiting:
            if self._closed:
                raise TenureLost("the shard was closed")
            progressed = False
            for topic, code, offset in await self._send(waiting):
                if self._verdict(topic, code):
                    if code == errors.NoError.errno:
                        self._check_offset(topic, offset, expected)
                        stand[topic] = offset
                    del waiting[topic]
                    progressed = True
            if waiting and not progressed:
                await asyncio.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
                attempt += 1
        return stand

    def _verdict(self, topic: str, code: int) -> bool:
        """Whether the batch's fate is known; raises where the tenure is over."""
        error = errors.for_code(code)
        if error is errors.NoError or error in (
            errors.MessageSizeTooLargeError,
            errors.RecordListTooLargeError,
        ):
            return True
        if error is errors.InvalidProducerEpoch or code == PRODUCER_FENCED:
            raise Fenced(f"{topic}/{self.partition}: {error.__name__}")
        if not error.retriable and code not in RESENT:
            raise SequenceBroken(f"{topic}/{self.partition}: {error.__name__}")
        logger.info("batch resent", topic=topic, partition=self.partition, error=error.__name__)
        return False

    def _check_offset(self, topic: str, offset: int, expected: Mapping[str, int]) -> None:
        if topic in expected and expected[topic] != offset:
            place = f"{topic}/{self.partition}"
            raise OffsetUnexpected(f"{place}: stands at {offset}, not at {expected[topic]}")

    async def _send(self, batches: Mapping[str, bytes]) -> list[tuple[str, int, int]]:
        """One request for all batches whose leader is the same; (topic, error code, offset) of each that was told."""
        assert self._client is not None, "connect first"
        by_leader: dict[int, list[str]] = {}
        for topic in batches:
            leader = self._client.cluster.leader_for_partition(TopicPartition(topic, self.partition))
            if leader is None or leader == -1:
                await self._refresh()
                return []
            by_leader.setdefault(leader, []).append(topic)
        told = await asyncio.gather(
            *(self._send_to(leader, {t: batches[t] for t in topics}) for leader, topics in by_leader.items())
        )
        results = [result for results in told for result in results]
        if any(code != errors.NoError.errno for _, code, _ in results) or len(results) < len(batches):
            await self._refresh()
        return results

    async def _send_to(self, leader: int, batches: Mapping[str, bytes]) -> list[tuple[str, int, int]]:
        assert self._client is not None, "connect first"
        content = [(topic, [(self.partition, batch)]) for topic, batch in batches.items()]
        request = ProduceRequest(None, ACKS_ALL, self._timeout_ms, content)
        try:
            async with asyncio.timeout(2 * self._timeout_ms / 1000):
                response = await self._client.send(leader, request)
        except (errors.KafkaError, OSError, TimeoutError) as unknown:
            logger.info("answer lost", leader=leader, partition=self.partition, error=repr(unknown))
            return []
        return [(topic, told[0][1], told[0][2]) for topic, told in response.topics]

    async def _refresh(self) -> None:
        assert self._client is not None, "connect first"
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                await self._client.force_metadata_update()
        except (errors.KafkaError, OSError, TimeoutError) as unknown:
            logger.info("metadata not refreshed", partition=self.partition, error=repr(unknown))

    async def _init_producer_id(self) -> tuple[int, int]:
        assert self._client is not None, "connect first"
        request = InitProducerIdRequest(self._transactional_id, TRANSACTION_TIMEOUT_MS)
        attempt = 0
        while not self._closed:
            try:
                async with asyncio.timeout(2 * self._timeout_ms / 1000):
                    node = await self._client.coordinator_lookup(CoordinationType.TRANSACTION, self._transactional_id)
                    await self._client.ready(node, group=ConnectionGroup.COORDINATION)
                    told = await self._client.send(node, request, group=ConnectionGroup.COORDINATION)
                if told.error_code == errors.NoError.errno:
                    return told.producer_id, told.producer_epoch
                logger.info("no epoch yet", shard=self.partition, error=errors.for_code(told.error_code).__name__)
            except (errors.KafkaError, OSError, TimeoutError) as unknown:
                logger.info("no epoch yet", shard=self.partition, error=repr(unknown))
            await asyncio.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
            attempt += 1
        raise TenureLost("the shard was closed")


PRODUCER_FENCED = 90
"""ProducerFencedException; aiokafka 0.14 has no class for it."""
RESENT = frozenset({3, 5, 6, 7, 9, 19, 20, 56})
"""Unknown topic or partition, leader or replica not there, time-out, replicas missing, storage: it passes."""
