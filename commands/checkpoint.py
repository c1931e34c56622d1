"""Checkpoints: what an owner writes of its memory, so that the next one need not read the whole log.

It is written in slices between the groups, while commands go on: each snapshot is of what its aggregate is by then.
The `Checkpoint` names the places as of its beginning; what a snapshot holds beyond them comes again in the tail and is
passed over, told by its offset.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from heapq import heapify, heappop, heappush
from typing import Any

import msgspec

from commands.aggregates import AGGREGATES
from commands.evicted import Evicted
from commands.memory import REMEMBERED_FOR, Live, Memory, encode, live_of
from schemas import catalog
from schemas.catalog import nothing_personal
from schemas.control import AggregateSnapshot, Checkpoint, CheckpointPlace, EvictedIds
from schemas.message import Event
from schemas.record import Headers, stamp

EVERY_S = 60.0
EVERY_RECORDS = 10_000
"""A successor folds 10,000 to 15,000 records of the tail in a second."""
SLICE = 250
SLICE_BYTES = 512 << 10
EVICTED_AT_ONCE = 2_000
FRAMING_BYTES = 5
EVICTED_AFTER = REMEMBERED_FOR
MOST_OVER = 100_000
"""Aggregates kept though nothing more can happen to them: those that are over for the longest go first."""

type Entry = tuple[bytes | None, bytes | None, Headers]
type Headed = Callable[[type[Event]], Headers]
"""Gives the headers of a control record."""


def state_version(kind: str) -> str:
    """Another one for every change of the state's types, or of `evolved` where only `evolve` has changed."""
    shape = repr(shape_of(msgspec.inspect.type_info(live_of(kind)), ())).encode()
    return f"{kind}-{AGGREGATES[kind].evolved}-{sha256(shape).hexdigest()[:12]}"


def shape_of(told: Any, within: tuple[str, ...]) -> Any:
    """Of a type as msgspec inspects it: its fields by name and in their order, which is how they are written."""
    name = getattr(getattr(told, "cls", None), "__qualname__", "")
    parts = {
        word: shape_parts(getattr(told, word), (*within, name))
        for word in ("types", "fields", "item_type", "item_types", "key_type", "value_type", "type", "values")
        if hasattr(told, word) and not (name and name in within)
    }
    return type(told).__name__, name, getattr(told, "encode_name", ""), getattr(told, "tag", None), parts


def shape_parts(told: Any, within: tuple[str, ...]) -> Any:
    if isinstance(told, tuple):
        return [shape_parts(each, within) for each in told]
    return told if isinstance(told, (str, int)) else shape_of(told, within)


STATE_VERSIONS = {kind: state_version(kind) for kind in AGGREGATES}


class Place(msgspec.Struct):
    """Of one topic: where its tail begins, and what is to be known of all before."""

    offset: int
    hash: bytes
    producer_id: int
    epoch: int


class Snapshots:
    """What has changed since the last checkpoint, and what may be let go."""

    def __init__(
        self, memory: Memory, evicted: Evicted, evicted_to: Mapping[str, int], over: Mapping[str, datetime]
    ) -> None:
        self._memory = memory
        self._over = [(since, aggregate_id) for aggregate_id, since in over.items()]
        """A heap: clocks of owners may differ."""
        heapify(self._over)
        self._changed: dict[str, None] = {}
        self.evicted = evicted
        self.evicted_to = dict(evicted_to)
        """By topic: all that was let go is in the history before this offset."""

    def changed(self, aggregate_id: str, live: Live[Any]) -> None:
        self._changed[aggregate_id] = None
        if AGGREGATES[live.kind].over(live.state):
            heappush(self._over, (live.recorded_at, aggregate_id))

    def note(self, ids: Iterable[str]) -> None:
        """Changed before this tenure, and in no snapshot yet."""
        self._changed |= dict.fromkeys(ids)

    def take_changed(self) -> deque[str]:
        """What is to be written now; what changes from here on is the next checkpoint's."""
        changed = deque(self._changed)
        self._changed = {}
        return changed

    def __len__(self) -> int:
        return len(self._changed)

    def slices(self, ids: deque[str], headed: Headed) -> Iterator[list[Entry]]:
        """One batch at a time. Each is to be written before the next is asked for."""
        headers = headed(AggregateSnapshot)
        while ids:
            entries: list[Entry] = []
            size = 0
            while ids and len(entries) < SLICE and size < SLICE_BYTES:
                live = self._memory.peek(aggregate_id := ids.popleft())
                if live is not None:
                    entry = snapshot_entry(aggregate_id, live, headers)
                    size += len(entry[1] or b"")
                    entries.append(entry)
            if entries:
                yield entries

    def evictions(self, now: datetime, headed: Headed) -> Iterator[tuple[list[Entry], list[str]]]:
        """Filter and tombstones, in one batch, and what may be dropped once it is written."""
        while ids := self._due(now):
            for aggregate_id in ids:
                self.evicted.add(aggregate_id)
            parts = [
                (
                    f"evicted-{number}".encode(),
                    catalog.write(EvictedIds(part=number, count=part.count, bits=bytes(part.bits)), nothing_personal),
                    headed(EvictedIds),
                )
                for number, part in self.evicted.changed().items()
            ]
            tombstones = [(aggregate_id.encode(), None, headed(AggregateSnapshot)) for aggregate_id in ids]
            yield [*parts, *tombstones], ids
            self.evicted.written()

    def _due(self, now: datetime) -> list[str]:
        due: list[str] = []
        while self._over and len(due) < EVICTED_AT_ONCE:
            noted, aggregate_id = self._over[0]
            if noted > now - EVICTED_AFTER and len(self._over) <= MOST_OVER:
                break
            heappop(self._over)
            live = self._memory.peek(aggregate_id)
            if live is None or live.recorded_at != noted:
                continue
            topic = AGGREGATES[live.kind].topic
            self.evicted_to[topic] = max(self.evicted_to.get(topic, 0), live.latest().offset + 1)
            due.append(aggregate_id)
        return due


def snapshot_entry(aggregate_id: str, live: Live[Any], headers: Headers) -> Entry:
    told = [*headers, ("state", STATE_VERSIONS[live.kind].encode())]
    if AGGREGATES[live.kind].over(live.state):
        told.append(("over_at", stamp(live.recorded_at)))
    value = catalog.write(AggregateSnapshot(live=encode(live)), nothing_personal)
    return aggregate_id.encode(), value, told


def encoded_in(value: bytes) -> bytes:
    """The `live` of an `AggregateSnapshot`: what follows the framing and the length, a varint, of its one field.

    By the Avro library a takeover of 100,000 aggregates takes a second more.
    """
    at = FRAMING_BYTES
    while value[at] & 0x80:
        at += 1
    return value[at + 1 :]


def checkpoint_entry(shard: int, epoch: int, places: Mapping[str, Place], evicted: int, headed: Headed) -> Entry:
    said = Checkpoint(
        shard=shard,
        epoch=epoch,
        state_versions=sorted(STATE_VERSIONS.values()),
        evicted=evicted,
        places=[
            CheckpointPlace(
                topic=topic,
                offset=place.offset,
                hash=place.hash.hex(),
                producer_id=place.producer_id,
                epoch=place.epoch,
            )
            for topic, place in places.items()
        ],
    )
    return f"checkpoint-{shard}".encode(), catalog.write(said, nothing_personal), headed(Checkpoint)
