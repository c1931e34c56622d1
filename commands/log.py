"""A shard's place on the log: atomic batches, fenced by the producer's epoch, each checked for its offset.

No transactions: the owner takes (producer id, epoch) from InitProducerId on the shard's transactional id and writes
idempotently with them. The first write under a higher epoch makes the broker refuse the lower ones (KIP-98, KIP-360).
Each rule is proven twice: on a real broker (tests/commands/test_log*.py) and by simulation (tests/protocol).
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import aiokafka.errors as errors
import structlog
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from commands.connection import Connection, Told
from schemas.record import Headers

MAGIC = 2
LAST_EPOCH = 32_767
"""No producer is ever given it: the broker changes to another id before."""

BACKOFF_S = (0.02, 0.05, 0.1, 0.2)
"""Longer pauses cost a second more without acknowledgements after a leader's loss (3.9 s instead of 2.4, measured)."""
SEQUENCE_MASK = 0x7FFFFFFF
SILENT_LIMIT_S = 11 * 3600.0
"""Who has written nothing for so long must open again: the broker remembers him for half a day at least (infra/probe.py
sees to that), and who took over from him fences him no longer than it remembers."""

PRODUCER_FENCED = 90
"""ProducerFencedException; aiokafka 0.14 has no class for it."""
FENCED = frozenset({47, PRODUCER_FENCED})
TOO_LARGE = frozenset({10, 18})
"""The batch, or the list of records: nothing was written, the sequence stays free."""
RESENT = frozenset({3, 5, 6, 7, 9, 19, 20, 56})
"""Unknown topic or partition, leader or replica not there, time-out, replicas missing, storage: it passes."""
NO_EPOCH_EVER = frozenset({31, 35, 42, 50, 53, 54})
"""Not allowed, or not understood: asking again changes nothing."""

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


class FateUnknown(TenureLost):
    """A batch was left before the broker told: it may stand or not. Open again, read the log."""


class SilentTooLong(TenureLost):
    """The broker may have forgotten us, and with us that we were fenced."""


class ShardLog:
    """One shard's partition in many topics, written by one owner, over a connection of its own.

    `partition` of each topic is the shard's number. One request is in flight. After TenureLost only a new epoch helps.
    """

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        """`clock` tells seconds, and goes on while the process stands still."""
        self._connection = connection
        self._clock = clock
        self._sequence: dict[str, int] = {}
        self._sent_s: dict[str, float] = {}
        """When each topic's last batch that stands was sent first: when its answer was heard says nothing."""

        self._epoch_asked_s = 0.0
        self._closed = False
        self._writing = False
        self._ended: TenureLost | None = TenureLost("no epoch was taken")
        self.partition = connection.partition
        self.producer_id = -1
        self.epoch = -1
        self.next_offset: dict[str, int] = {}
        """Where each topic's next batch must stand; a topic without a barrier is missing."""

    async def connect(self) -> None:
        await self._connection.connect()

    async def close(self) -> None:
        self._closed = True
        await self._connection.close()

    async def take_epoch(self) -> None:
        """A new epoch for this tenure. It fences nothing until its first write (see `barriers`)."""
        asked_s = self._clock()
        self.producer_id, self.epoch = await self._init_producer_id()
        self._epoch_asked_s = asked_s
        self._ended = None
        self._sequence.clear()
        self._sent_s.clear()
        self.next_offset.clear()

    async def replaced(self, producer_ids: Mapping[str, int]) -> Mapping[str, int]:
        """Of the ids in the log's latest barriers, by topic, those that the broker gave up: they are to be retired.

        For that it is asked once more. An id that is not ours may also be newer than ours, of an owner who was faster
        while the ids changed; to retire that one would shut out every owner to come.
        """
        if all(producer_id == self.producer_id for producer_id in producer_ids.values()):
            return {}
        await self.take_epoch()
        return {topic: producer_id for topic, producer_id in producer_ids.items() if producer_id != self.producer_id}

    async def retire(self, producer_ids: Mapping[str, int], entry: Mapping[str, Entry]) -> None:
        """Fence producers whose id is not ours any more, which no epoch of ours can: topic → their id.

        The broker gave out a new id because the old one expired or ran out of epochs. A batch under the old id and
        the last epoch there is makes the broker refuse all that its zombie may still send, for as long as it remembers
        the batch: by then the zombie must have fallen silent for too long.
        """
        for topic, producer_id in producer_ids.items():
            batch = self._batch([entry[topic]], producer_id, LAST_EPOCH, 0)
            await self._settle({topic: batch}, expected={}, all_fit=True)

    async def barriers(self, entries: Mapping[str, Entry]) -> Mapping[str, int]:
        """Write each topic's barrier; the offsets at which they stand. Until then no earlier owner is fenced."""
        batches = {t: self._batch([e], self.producer_id, self.epoch, 0) for t, e in entries.items()}
        sent_s = self._clock()
        stand = await self._settle(batches, expected={}, all_fit=True)
        self._advance(stand, dict.fromkeys(entries, 1), sent_s)
        return stand

    async def append(self, groups: Mapping[str, Sequence[Entry]]) -> Mapping[str, int | None]:
        """Append each topic's entries as one batch; the offset of each first record, None where it is too large.

        Raises TenureLost where nothing may be acknowledged. A batch whose fate is unknown is sent again, the same
        bytes under the same sequence, until the broker tells.
        """
        batches = {
            topic: self._batch(entries, self.producer_id, self.epoch, self._sequence[topic])
            for topic, entries in groups.items()
        }
        sent_s = self._clock()
        stand = await self._settle(batches, {topic: self.next_offset[topic] for topic in groups})
        self._advance(stand, {topic: len(entries) for topic, entries in groups.items()}, sent_s)
        return {topic: stand.get(topic) for topic in groups}

    def _advance(self, stand: Mapping[str, int], counts: Mapping[str, int], sent_s: float) -> None:
        for topic, offset in stand.items():
            self._sequence[topic] = (self._sequence.get(topic, 0) + counts[topic]) & SEQUENCE_MASK
            self.next_offset[topic] = offset + counts[topic]
            self._sent_s[topic] = sent_s

    def _batch(self, entries: Sequence[Entry], producer_id: int, epoch: int, sequence: int) -> bytes:
        builder = DefaultRecordBatchBuilder(MAGIC, 0, 0, producer_id, epoch, sequence, 1 << 30)
        for number, (key, value, headers) in enumerate(entries):
            builder.append(number, 0, key, value, list(headers))
        return bytes(builder.build())

    async def _settle(
        self, batches: Mapping[str, bytes], expected: Mapping[str, int], all_fit: bool = False
    ) -> dict[str, int]:
        """Send until the fate of each is known; those that are too large are left out of the result.

        Who leaves before, by whatever exception, has used a sequence for bytes that may stand: other bytes under it
        would be acknowledged and written nowhere. So the tenure is over then.
        """
        if self._writing:
            raise RuntimeError("a second batch while the first is under way would have its sequence")
        if self._ended is not None:
            raise self._ended
        self._writing = True
        self._ended = FateUnknown(f"shard {self.partition}: a batch was left before its fate was known")
        try:
            stand = await self._send_until_told(batches, expected)
        except TenureLost as lost:
            self._ended = lost
            raise
        finally:
            self._writing = False
        if all_fit and len(stand) < len(batches):
            self._ended = TenureLost(f"shard {self.partition}: a control record is too large for its topic")
            raise self._ended
        self._ended = None
        return stand

    async def _send_until_told(self, batches: Mapping[str, bytes], expected: Mapping[str, int]) -> dict[str, int]:
        stand: dict[str, int] = {}
        waiting = dict(batches)
        unsure: set[str] = set()
        attempt = 0
        while waiting:
            self._may_send(waiting)
            told = await self._connection.send(waiting)
            known = [each for each in told if self._known(each, unsure)]
            for topic, code, offset in known:
                if code == errors.NoError.errno:
                    self._check_offset(topic, offset, expected)
                    stand[topic] = offset
                del waiting[topic]
            unsure |= waiting.keys()
            if not known:
                await self._connection.pause(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
                attempt += 1
        return stand

    def _may_send(self, topics: Iterable[str]) -> None:
        """Raises TenureLost."""
        if self._closed:
            raise TenureLost("the shard was closed")
        for topic in topics:
            silent_s = self._clock() - self._sent_s.get(topic, self._epoch_asked_s)
            if silent_s > SILENT_LIMIT_S:
                raise SilentTooLong(f"{topic}/{self.partition}: nothing was written for {silent_s / 3600:.0f} h")

    def _known(self, told: Told, unsure: set[str]) -> bool:
        """Whether the batch's fate is; raises where the tenure is over. `unsure` were sent before, without a word."""
        topic, code, _ = told
        place, error = f"{topic}/{self.partition}", errors.for_code(code).__name__
        if code in FENCED:
            raise Fenced(f"{place}: {error}")
        if code in TOO_LARGE and topic in unsure:
            raise FateUnknown(f"{place}: told {error} when it was sent again; the first one may stand")
        if code == errors.NoError.errno or code in TOO_LARGE:
            return True
        if code not in RESENT:
            raise SequenceBroken(f"{place}: {error}")
        logger.info("batch resent", topic=topic, partition=self.partition, error=error)
        return False

    def _check_offset(self, topic: str, offset: int, expected: Mapping[str, int]) -> None:
        if topic in expected and expected[topic] != offset:
            place = f"{topic}/{self.partition}"
            raise OffsetUnexpected(f"{place}: stands at {offset}, not at {expected[topic]}")

    async def _init_producer_id(self) -> tuple[int, int]:
        attempt = 0
        while not self._closed:
            told = await self._connection.init_producer_id()
            if told is not None:
                if told.code == errors.NoError.errno:
                    return told.producer_id, told.epoch
                error = errors.for_code(told.code).__name__
                if told.code in NO_EPOCH_EVER:
                    raise TenureLost(f"shard {self.partition} gets no epoch: {error}")
                logger.info("no epoch yet", shard=self.partition, error=error)
            await self._connection.pause(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
            attempt += 1
        raise TenureLost("the shard was closed")
