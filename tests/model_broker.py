"""A broker as the write protocol sees it, in memory: one partition of each topic, and what it remembers of producers.

The rules are Kafka's (storage/…/ProducerAppendInfo and ProducerStateEntry, transaction/…/TransactionMetadata), as far
as they were seen on real brokers; `test_the_model_answers_as_a_real_broker` holds the two together.

1. An epoch lower than the one remembered is refused: 47.
2. A batch that equals one of the last five of its producer, by epoch, first sequence and count, whatever its content,
   is told 0 with the offset of that one, and nothing is written. After the leader has read its log anew only the last
   one is remembered.
3. Else a new epoch begins at sequence 0, and the same epoch goes on where it was: 45 if not.
4. A producer that is not remembered may begin at any sequence, under any epoch: it never wrote here, it has been
   silent for too long, or the log was emptied and read anew.
5. InitProducerId gives the transactional id's next epoch; a new producer id where the epochs run out (the last one
   given is 32,766), or where the transactional id was not used for too long. By itself it tells the partitions nothing.

What is too large, late or lost is not decided here: see the simulation.
"""

import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka.record.default_records import DefaultRecordBatch

HOUR_S = 3600.0
PRODUCER_EXPIRES_S = 24 * HOUR_S
"""producer.id.expiration.ms, as it is by default."""
TRANSACTIONAL_ID_EXPIRES_S = 7 * 24 * HOUR_S
"""transactional.id.expiration.ms, as it is by default."""
LAST_EPOCH_GIVEN = 32_766
REMEMBERED_BATCHES = 5
SEQUENCES = 1 << 31

NO_ERROR, TIMED_OUT, TOO_LARGE, OUT_OF_ORDER, INVALID_EPOCH = 0, 7, 10, 45, 47
NOT_LEADER = 6

_PRODUCER = struct.Struct(">qhii")
_PRODUCER_AT = 43
"""In a record batch of version 2: producer id, epoch, first sequence, number of records."""


class Batch(NamedTuple):
    producer_id: int
    epoch: int
    first: int
    count: int

    @property
    def last(self) -> int:
        return (self.first + self.count - 1) % SEQUENCES


def batch_of(data: bytes) -> Batch:
    return Batch(*_PRODUCER.unpack_from(data, _PRODUCER_AT))


def values_of(data: bytes) -> list[bytes]:
    return [record.value or b"" for record in DefaultRecordBatch(data)]


@dataclass
class Producer:
    """What the leader remembers of one."""

    epoch: int
    batches: deque[tuple[int, int, int]]
    """First sequence, last sequence, offset; the latest last."""
    wrote_s: float


@dataclass
class Partition:
    log: list[bytes] = field(default_factory=list)
    """The values of all records that ever stood, by offset."""
    start: int = 0
    """The first offset that still stands."""
    producers: dict[int, Producer] = field(default_factory=dict)

    def append(self, data: bytes, now_s: float) -> tuple[int, int]:
        """The error code, and the offset of the first record."""
        batch = batch_of(data)
        known = self.producers.get(batch.producer_id)
        if known is not None and now_s - known.wrote_s > PRODUCER_EXPIRES_S:
            known = None
        if known is not None:
            if batch.epoch < known.epoch:
                return INVALID_EPOCH, -1
            for first, last, offset in known.batches:
                if (batch.epoch, batch.first, batch.last) == (known.epoch, first, last):
                    return NO_ERROR, offset
            following = (known.batches[-1][1] + 1) % SEQUENCES if batch.epoch == known.epoch else 0
            if batch.first != following:
                return OUT_OF_ORDER, -1
        offset = len(self.log)
        self.log += values_of(data)
        if known is None or batch.epoch != known.epoch:
            known = Producer(batch.epoch, deque(maxlen=REMEMBERED_BATCHES), now_s)
            self.producers[batch.producer_id] = known
        known.batches.append((batch.first, batch.last, offset))
        known.wrote_s = now_s
        return NO_ERROR, offset

    def reload(self) -> None:
        """The leader reads its log anew: of what is not in it nothing is remembered."""
        for producer_id, producer in list(self.producers.items()):
            latest = producer.batches[-1]
            if latest[2] < self.start:
                del self.producers[producer_id]
            else:
                producer.batches = deque([latest], maxlen=REMEMBERED_BATCHES)

    def empty(self) -> None:
        """DeleteRecords, or a retention that reached all of it."""
        self.start = len(self.log)


@dataclass
class TransactionalId:
    producer_id: int
    epoch: int
    used_s: float


class ModelBroker:
    """`first_epoch`, of the first id only, brings the end of the epochs near."""

    def __init__(self, topics: Sequence[str], first_epoch: int = 0) -> None:
        self.now_s = 0.0
        self.partitions = {topic: Partition() for topic in topics}
        self._first_epoch = first_epoch
        self._ids: dict[str, TransactionalId] = {}
        self._next_producer_id = 1_000

    def init_producer_id(self, transactional_id: str) -> tuple[int, int]:
        known = self._ids.get(transactional_id)
        if known is None:
            known = self._ids[transactional_id] = TransactionalId(self._new_id(), self._first_epoch, self.now_s)
        elif known.epoch >= LAST_EPOCH_GIVEN or self.now_s - known.used_s > TRANSACTIONAL_ID_EXPIRES_S:
            known.producer_id, known.epoch = self._new_id(), 0
        else:
            known.epoch += 1
        known.used_s = self.now_s
        return known.producer_id, known.epoch

    def append(self, topic: str, data: bytes) -> tuple[int, int]:
        return self.partitions[topic].append(data, self.now_s)

    def _new_id(self) -> int:
        self._next_producer_id += 1
        return self._next_producer_id
