"""How a shard opens: read the log, fence every earlier owner, read to the own barriers, serve."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from commands.log import Entry, ShardLog
from commands.memory import Memory
from commands.policy import Policy
from commands.shard import no_personal_data
from schemas import catalog
from schemas.control import DataKeyWrapped, Heartbeat, ShardOpened
from schemas.ids import derived
from schemas.keyring import Keyring
from schemas.message import SubjectId
from schemas.record import (
    GENESIS,
    Stored,
    chained,
    control_headers,
    envelope_of,
    event_of,
    source_of,
)
from schemas.topics import DIRECTORY, HISTORY, KEYS, OWNED

FETCH_RECORDS = 5_000
CHAINED = frozenset(topic.name for topic in HISTORY)

logger = structlog.get_logger()


class Opening:
    """What one shard knows while it opens: at the end its memory and its chain, as of its barriers."""

    def __init__(self, partition: int, keyring: Keyring, policy: Policy) -> None:
        self.partition = partition
        self.memory = Memory()
        self.chain: dict[str, bytes] = {topic.name: GENESIS for topic in HISTORY}
        self.producer_ids: dict[str, int] = {}
        """The id under which each topic's latest barrier was written."""
        self._epochs: dict[str, int] = {}
        self._keyring = keyring
        self._policy = policy

    def take(self, stored: Stored) -> None:
        """One record, in its partition's order. Raises LogCorrupt or Unreadable."""
        if stored.is_control:
            self._control(stored)
        elif self._from_a_zombie(stored):
            logger.warning("record of a fenced owner passed over", topic=stored.topic, offset=stored.offset)
        elif stored.topic in CHAINED:
            self._fact(stored)
        if stored.topic in CHAINED:
            claimed = stored.header("hash")
            before = self.chain[stored.topic]
            self.chain[stored.topic] = (
                bytes.fromhex(claimed)
                if claimed is not None
                else chained(before, stored.key, stored.value, stored.headers)
            )

    def _control(self, stored: Stored) -> None:
        if stored.topic == DIRECTORY.name:
            self._policy.take(None, None, self.partition, stored.offset)
        if stored.header("ce_type") == catalog.BY_CLASS[DataKeyWrapped].name:
            self._key(stored)
        if stored.header("ce_type") == catalog.BY_CLASS[ShardOpened].name:
            opened = event_of(stored, None)
            assert isinstance(opened, ShardOpened), "the type says so"
            self.producer_ids[stored.topic] = opened.producer_id
            self._epochs[stored.topic] = opened.epoch

    def _key(self, stored: Stored) -> None:
        subject = SubjectId((stored.key or b"").decode())
        if stored.value is None:
            self._keyring.apply(self.partition, subject, None)
        else:
            key = event_of(stored, None)
            assert isinstance(key, DataKeyWrapped), "the type says so"
            self._keyring.apply(self.partition, subject, key.wrapped)

    def _from_a_zombie(self, stored: Stored) -> bool:
        """After a barrier all records carry its epoch; what does not was let in where no fence stood."""
        barrier = self._epochs.get(stored.topic)
        return barrier is not None and stored.header("epoch") != str(barrier)

    def _fact(self, stored: Stored) -> None:
        envelope = envelope_of(stored)
        unseal = self._keyring.unsealer(self.partition, envelope.tenant, envelope.aggregate_id)
        event = event_of(stored, unseal)
        self.memory.take(envelope, event, stored)
        if stored.topic == DIRECTORY.name:
            self._policy.take(event, source_of(envelope, stored), self.partition, stored.offset)


async def open_log(
    opening: Opening,
    log: ShardLog,
    client_args: Mapping[str, Any],
    clock: Callable[[], datetime],
    source: str,
    owner: str,
) -> None:
    """Leaves `opening` and `log` as of the barriers: from here on nobody else can write.

    Raises TenureLost where another owner is faster, LogCorrupt where the log cannot be right.
    """
    consumer = AIOKafkaConsumer(
        **client_args,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=8 << 20,
        max_poll_records=FETCH_RECORDS,
    )
    try:
        await consumer.start()
        places = {topic.name: TopicPartition(topic.name, log.partition) for topic in OWNED}
        consumer.assign(list(places.values()))
        await consumer.seek_to_beginning(*places.values())
        await read_to(consumer, opening, await consumer.end_offsets(list(places.values())))
        await log.take_epoch()
        # Somebody may have opened under another id while we read, and it is his that must be retired.
        await read_to(consumer, opening, await consumer.end_offsets(list(places.values())))
        replaced = await log.replaced(opening.producer_ids)
        await log.retire(replaced, control_entries(replaced, Heartbeat, log, clock(), source, owner))
        stand = await log.barriers(control_entries(places, ShardOpened, log, clock(), source, owner))
        await read_to(consumer, opening, {places[topic]: offset + 1 for topic, offset in stand.items()})
    finally:
        await consumer.stop()


async def read_to(consumer: AIOKafkaConsumer, opening: Opening, ends: Mapping[TopicPartition, int]) -> None:
    """Keys before what they open: a key is acknowledged before the first record that uses it."""
    keys = [place for place in ends if place.topic == KEYS.name]
    others = [place for place in ends if place.topic != KEYS.name]
    for places in (keys, others):
        consumer.resume(*places)
        consumer.pause(*(place for place in ends if place not in places))
        await drain(consumer, places, ends, opening)
    consumer.resume(*ends)


async def drain(
    consumer: AIOKafkaConsumer,
    places: Iterable[TopicPartition],
    ends: Mapping[TopicPartition, int],
    opening: Opening,
) -> None:
    behind = set(places)
    while behind := {place for place in behind if await consumer.position(place) < ends[place]}:
        fetched = await consumer.getmany(*behind, timeout_ms=200)
        for place, records in fetched.items():
            for record in records:
                opening.take(
                    Stored(
                        place.topic,
                        place.partition,
                        record.offset,
                        record.key,
                        record.value,
                        record.headers,
                    )
                )


def control_entries(
    topics: Iterable[str],
    cls: type[ShardOpened | Heartbeat],
    log: ShardLog,
    now: datetime,
    source: str,
    owner: str,
) -> dict[str, Entry]:
    """A control record for each topic; none carries a hash, since what stands before it is not yet known."""
    shard, epoch = log.partition, log.epoch
    said: ShardOpened | Heartbeat = (
        ShardOpened(shard=shard, producer_id=log.producer_id, epoch=epoch, owner=owner)
        if cls is ShardOpened
        else Heartbeat(shard=shard, epoch=epoch)
    )
    identity = derived("control", source, str(log.producer_id), str(epoch), now.isoformat())
    headers = control_headers(catalog.BY_CLASS[cls].name, source, now, epoch, identity)
    key = f"{'shard' if cls is ShardOpened else 'tenure'}-{shard}".encode()
    entry = (key, catalog.write(said, no_personal_data), headers)
    return dict.fromkeys(topics, entry)
