"""How a shard opens: take up the checkpoint and the log's tail, fence every earlier owner, read to the own barriers."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from commands.aggregates import AGGREGATES
from commands.checkpoint import STATE_VERSIONS, Snapshots, encoded_in
from commands.evicted import Evicted, Part
from commands.learning import Barriers
from commands.log import Entry, ShardLog
from commands.memory import LogCorrupt, Memory
from schemas import catalog
from schemas.catalog import nothing_personal
from schemas.control import AggregateSnapshot, Checkpoint, EvictedIds, Heartbeat, ShardOpened
from schemas.ids import derived
from schemas.record import (
    GENESIS,
    Stored,
    chained,
    control_headers,
    envelope_of,
    event_of,
    stored_of,
)
from schemas.topics import DIRECTORY, HISTORY, KEYS, OWNED, SHARDS, SNAPSHOTS

FETCH_RECORDS = 5_000
CHAINED = frozenset(topic.name for topic in HISTORY)
LEARNED = frozenset({KEYS.name, SHARDS.name, DIRECTORY.name})
"""Followed by each process for all shards; the directory is read here too, for its aggregates."""
SNAPSHOT = catalog.BY_CLASS[AggregateSnapshot].name.encode()
EVICTED = catalog.BY_CLASS[EvictedIds].name.encode()

logger = structlog.get_logger()


class Learned(Protocol):
    """What this process follows of all shards (see commands.learning)."""

    barriers: Barriers

    async def up_to(self, ends: Mapping[TopicPartition, int]) -> None:
        """Returns once everything before `ends` has been taken."""
        ...


class Opening:
    """What one shard knows while it opens: at the end its memory and its chain, as of its barriers."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.barriers = Barriers()
        self.memory = Memory()
        self.chain: dict[str, bytes] = {topic.name: GENESIS for topic in HISTORY}
        self.evicted = Evicted()
        self.checkpoint: Checkpoint | None = None
        self._evicted_to: dict[str, int] = {}
        self._over: dict[str, datetime] = {}
        self._changed: dict[str, None] = {}
        """Folded from the tail: the next checkpoint begins where that ends."""
        self._unknown: dict[str, str] = {}
        """State versions of snapshots that only another release can read, by aggregate."""

    def take(self, stored: Stored) -> None:
        """One record of history, in its partition's order. Raises LogCorrupt or Unreadable."""
        headers = stored.named()
        if "control" in headers:
            self.barriers.take(stored, headers)
        elif not self.barriers.fenced(stored, headers) and stored.topic in CHAINED:
            self._fact(stored)
        if stored.topic in CHAINED:
            claimed = headers.get("hash")
            before = self.chain[stored.topic]
            self.chain[stored.topic] = (
                bytes.fromhex(claimed.decode())
                if claimed is not None
                else chained(before, stored.key, stored.value, stored.headers)
            )

    def _fact(self, stored: Stored) -> None:
        envelope = envelope_of(stored)
        aggregate_id = envelope.aggregate_id
        known = self.memory.get(aggregate_id)
        if known is not None and stored.offset <= known.latest().offset:
            return  # its snapshot was written after the checkpoint had begun
        if known is None and envelope.version > 1 and aggregate_id in self.evicted:
            self._evicted_to[stored.topic] = max(self._evicted_to.get(stored.topic, 0), stored.offset + 1)
            return  # it was loaded again by its owner; so will it be by us
        live = self.memory.take(envelope, event_of(stored, None), stored)
        self._changed[aggregate_id] = None
        if AGGREGATES[live.kind].over(live.state):
            self._over[aggregate_id] = live.recorded_at

    # Snapshots

    def take_snapshot(self, stored: Stored) -> None:
        """One record of `logistics.snapshots`. Raises Unreadable."""
        headers = stored.named()
        self.barriers.take(stored, headers)
        if self.barriers.fenced(stored, headers):
            return
        if stored.value is None:
            if headers.get("ce_type") == SNAPSHOT:
                self.memory.drop(key_of(stored))
                self._unknown.pop(key_of(stored), None)
                self._over.pop(key_of(stored), None)
            return
        if headers.get("ce_type") == SNAPSHOT:
            self._snapshot(key_of(stored), headers, encoded_in(stored.value))
            return
        match event_of(stored, None):
            case EvictedIds() as evicted:
                self.evicted.restore(evicted.part, Part(evicted.bits, evicted.count))
            case Checkpoint() as checkpoint:
                self.checkpoint = checkpoint
            case _:
                pass  # barriers and heartbeats

    def take_late_snapshot(self, stored: Stored) -> None:
        """One that was written after the tail had been read: what it says of an aggregate is known from there."""
        headers = stored.named()
        self.barriers.take(stored, headers)
        if headers.get("ce_type") == EVICTED:
            self.take_snapshot(stored)

    def _snapshot(self, aggregate_id: str, headers: Mapping[str, bytes], encoded: bytes) -> None:
        state = headers["state"].decode()
        if state not in STATE_VERSIONS.values():
            self._unknown[aggregate_id] = state
            return
        self._unknown.pop(aggregate_id, None)
        self.memory.restore(aggregate_id, encoded)
        if "over_at" in headers:
            self._over[aggregate_id] = datetime.fromisoformat(headers["over_at"].decode())
        else:
            self._over.pop(aggregate_id, None)

    def begin(self) -> Mapping[str, int]:
        """Where the tail begins in each topic of history, once the snapshots have been taken: at 0 if none will do."""
        if self.checkpoint is None or self._unknown:
            if self._unknown:
                logger.info("snapshots of another release passed over", states=sorted(set(self._unknown.values())))
            self.memory, self.evicted, self._over = Memory(), Evicted(), {}
            return dict.fromkeys(CHAINED, 0)
        for place in self.checkpoint.places:
            self.chain[place.topic] = bytes.fromhex(place.hash)
            self._evicted_to[place.topic] = place.offset
            opened = ShardOpened(shard=self.partition, producer_id=place.producer_id, epoch=place.epoch, owner="")
            self.barriers.stands(place.topic, self.partition, opened)
        return dict.fromkeys(CHAINED, 0) | {place.topic: place.offset for place in self.checkpoint.places}

    def snapshots(self) -> Snapshots:
        """For the owner's next checkpoint."""
        snapshots = Snapshots(self.memory, self.evicted, self._evicted_to, self._over)
        snapshots.note(self._changed)
        return snapshots


def key_of(stored: Stored) -> str:
    return (stored.key or b"").decode()


async def open_log(
    opening: Opening,
    log: ShardLog,
    client_args: Mapping[str, Any],
    learned: Learned,
    clock: Callable[[], datetime],
    source: str,
    owner: str,
    before_epoch: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Leaves `opening` and `log` as of the barriers: from here on nobody else can write.

    `before_epoch` is waited for when all but the last records are read: the former owner may be asked to finish.
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
        snapshots = places[SNAPSHOTS.name]
        tail = [places[topic.name] for topic in HISTORY]
        consumer.assign([snapshots, *tail])
        await consumer.seek_to_beginning(snapshots, *tail)
        # Leaders tell their ends at different times: a checkpoint must not be read that names places behind them.
        await drain(consumer, [snapshots], await consumer.end_offsets([snapshots]), opening.take_snapshot)
        ends = await consumer.end_offsets(list(places.values()))
        seek(consumer, opening.begin(), places, ends)
        await drain(consumer, tail, ends, opening.take)
        await learned.up_to({place: end for place, end in ends.items() if place.topic in LEARNED})
        if before_epoch is not None:
            await before_epoch()
        await log.take_epoch()
        # Somebody may have opened under another id while we read, and it is his that must be retired.
        later = await consumer.end_offsets(list(places.values()))
        await read_on(consumer, opening, learned, snapshots, tail, later)
        replaced = await log.replaced(producers(opening, learned, log.partition))
        await log.retire(replaced, control_entries(replaced, Heartbeat, log, clock(), source, owner))
        stand = await log.barriers(control_entries(places, ShardOpened, log, clock(), source, owner))
        barriers = {places[topic]: offset + 1 for topic, offset in stand.items()}
        await read_on(consumer, opening, learned, snapshots, tail, barriers)
    finally:
        await consumer.stop()


async def read_on(
    consumer: AIOKafkaConsumer,
    opening: Opening,
    learned: Learned,
    snapshots: TopicPartition,
    tail: Iterable[TopicPartition],
    ends: Mapping[TopicPartition, int],
) -> None:
    """What was written while the log was read."""
    await learned.up_to({place: end for place, end in ends.items() if place.topic in LEARNED})
    await drain(consumer, [snapshots], ends, opening.take_late_snapshot)
    await drain(consumer, tail, ends, opening.take)


def seek(
    consumer: AIOKafkaConsumer,
    begins: Mapping[str, int],
    places: Mapping[str, TopicPartition],
    ends: Mapping[TopicPartition, int],
) -> None:
    """Raises LogCorrupt where the log ends before the checkpoint was taken."""
    for topic, offset in begins.items():
        if offset > ends[places[topic]]:
            place = f"{topic}/{places[topic].partition}"
            raise LogCorrupt(f"{place} ends at {ends[places[topic]]}, before its checkpoint at {offset}")
        consumer.seek(places[topic], offset)


def producers(opening: Opening, learned: Learned, partition: int) -> dict[str, int]:
    """By topic: the id under which its latest barrier was written."""
    found = {}
    for topic in OWNED:
        known = opening.barriers if topic in (*HISTORY, SNAPSHOTS) else learned.barriers
        barrier = known.latest(topic.name, partition)
        if barrier is not None:
            found[topic.name] = barrier.producer_id
    return found


async def drain(
    consumer: AIOKafkaConsumer,
    places: Iterable[TopicPartition],
    ends: Mapping[TopicPartition, int],
    take: Callable[[Stored], None],
) -> None:
    """Take what stands before the ends; nothing of other places is fetched meanwhile."""
    places = list(places)
    consumer.resume(*places)
    consumer.pause(*(place for place in consumer.assignment() if place not in places))
    behind = set(places)
    while behind := {place for place in behind if await consumer.position(place) < ends[place]}:
        fetched = await consumer.getmany(*behind, timeout_ms=200)
        for records in fetched.values():
            for record in records:
                take(stored_of(record))


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
    entry = (key, catalog.write(said, nothing_personal), headers)
    return dict.fromkeys(topics, entry)
