"""What a shard's owner knows: each aggregate's state, its version, and which commands it has answered."""

from collections import OrderedDict
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from commands.aggregates import AGGREGATES, BY_EVENT
from schemas.message import Event, TenantSlug
from schemas.record import Envelope, Stored

REMEMBERED_FOR = timedelta(hours=24)
REMEMBERED_AT_LEAST = 32
REMEMBERED_AT_MOST = 1_024
HOT_LIMIT = 4_096
"""Aggregates held as objects; the others are held encoded, at a quarter of the size."""


class Account(msgspec.Struct, frozen=True):
    """What an owner says it knows, as of the next offset of each topic.

    `held` is None where it holds every aggregate of its log; else their ids, and the others it has let go.
    """

    shard: int
    aggregates: int
    digest: str
    next_offset: dict[str, int]
    held: list[str] | None = None


class LogCorrupt(RuntimeError):
    """The log holds what no owner can have written; a shard that meets it does not open."""


class Given(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a command was answered: enough to answer its repeat alike."""

    request_hash: str
    version: int
    offset: int
    """Of its last record."""
    recorded_at: datetime
    events: tuple[str, ...]


class Live[S](msgspec.Struct, array_like=True, gc=False):
    """`state` holds personal data sealed only, as the log does."""

    kind: str
    tenant: TenantSlug
    state: S
    version: int
    recorded_at: datetime
    created_by: str
    """The id of the command that created it; it and its answer are kept for ever."""
    created: Given
    given: dict[str, Given]

    def answer(self, command_id: str) -> Given | None:
        return self.created if command_id == self.created_by else self.given.get(command_id)

    def latest(self) -> Given:
        return self.given[next(reversed(self.given))] if self.given else self.created


class Kind(msgspec.Struct, array_like=True):
    """The part of an encoded `Live` that tells how to decode the rest."""

    kind: str


encode = msgspec.msgpack.Encoder().encode
kind_of = msgspec.msgpack.Decoder(Kind).decode


def live_of(kind: str) -> Any:
    """The type of a live aggregate of this kind."""
    state: Any = AGGREGATES[kind].state
    return Live[state]


DECODERS: dict[str, msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(live_of(kind)) for kind in AGGREGATES
}


def decode(encoded: bytes) -> Live[Any]:
    live: Live[Any] = DECODERS[kind_of(encoded).kind].decode(encoded)
    return live


class Memory:
    """Of one shard. It changes only by what stands on the log.

    An aggregate is hot, as an object, or idle, encoded. Equal aggregates are encoded equally: whoever folded the same
    events in the same order, with or without a snapshot between, gets the same bytes.
    """

    def __init__(self, hot_limit: int = HOT_LIMIT) -> None:
        self._hot: OrderedDict[str, Live[Any]] = OrderedDict()
        """The one that was asked for last stands last. What is hot is not idle."""
        self._idle: dict[str, bytes] = {}
        self._hot_limit = hot_limit

    def get(self, aggregate_id: str) -> Live[Any] | None:
        """Never changed in place, but by `put`."""
        live = self._hot.get(aggregate_id)
        if live is not None:
            self._hot.move_to_end(aggregate_id)
            return live
        encoded = self._idle.pop(aggregate_id, None)
        if encoded is None:
            return None
        live = decode(encoded)
        self._heat(aggregate_id, live)
        return live

    def peek(self, aggregate_id: str) -> Live[Any] | None:
        """For a look; what is idle stays so."""
        live = self._hot.get(aggregate_id)
        if live is None and (encoded := self._idle.get(aggregate_id)) is not None:
            return decode(encoded)
        return live

    def put(self, aggregate_id: str, live: Live[Any]) -> None:
        self._idle.pop(aggregate_id, None)
        self._heat(aggregate_id, live)

    def restore(self, aggregate_id: str, encoded: bytes) -> None:
        """As `encoded` gave it out."""
        self._hot.pop(aggregate_id, None)
        self._idle[aggregate_id] = encoded

    def drop(self, aggregate_id: str) -> None:
        self._hot.pop(aggregate_id, None)
        self._idle.pop(aggregate_id, None)

    def encoded(self, aggregate_id: str) -> bytes | None:
        live = self._hot.get(aggregate_id)
        return self._idle.get(aggregate_id) if live is None else encode(live)

    def __len__(self) -> int:
        return len(self._hot) + len(self._idle)

    def __contains__(self, aggregate_id: str) -> bool:
        return aggregate_id in self._hot or aggregate_id in self._idle

    def items(self) -> Iterator[tuple[str, Live[Any]]]:
        """Each for a look, decoded as it comes."""
        yield from list(self._hot.items())
        for aggregate_id, encoded in list(self._idle.items()):
            yield aggregate_id, decode(encoded)

    def ids(self) -> set[str]:
        return self._hot.keys() | self._idle.keys()

    def digest(self, without: Collection[str] = ()) -> str:
        """SHA-256 over all aggregates in order of id: states, versions, remembered answers."""
        total = sha256()
        for aggregate_id in sorted(self.ids() - set(without)):
            total.update(aggregate_id.encode())
            total.update(self.encoded(aggregate_id) or b"")
        return total.hexdigest()

    def _heat(self, aggregate_id: str, live: Live[Any]) -> None:
        self._hot[aggregate_id] = live
        self._hot.move_to_end(aggregate_id)
        while len(self._hot) > self._hot_limit:
            longest_ago, cooled = self._hot.popitem(last=False)
            self._idle[longest_ago] = encode(cooled)

    def take(self, envelope: Envelope, event: Event, stored: Stored) -> Live[Any]:
        """Fold one record, whose personal data are sealed. Raises LogCorrupt where its version does not follow."""
        known = self.get(envelope.aggregate_id)
        version = 0 if known is None else known.version
        if envelope.version != version + 1:
            place = f"{stored.topic}/{stored.partition}@{stored.offset}"
            raise LogCorrupt(f"{place}: version {envelope.version} follows {version}")
        live = folded(known, envelope, event, stored.offset)
        self.put(envelope.aggregate_id, live)
        return live


def folded(live: Live[Any] | None, envelope: Envelope, event: Event, offset: int) -> Live[Any]:
    """The aggregate after one more record; `live` itself is changed."""
    before = None if live is None else live.answer(envelope.command_id)
    answer = given_after(before, envelope, event, offset)
    if live is None:
        aggregate = BY_EVENT[type(event)]
        live = Live(
            kind=aggregate.kind,
            tenant=envelope.tenant,
            state=aggregate.initial,
            version=0,
            recorded_at=envelope.recorded_at,
            created_by=envelope.command_id,
            created=answer,
            given={},
        )
    live.state = AGGREGATES[live.kind].evolve(live.state, event)
    live.version = envelope.version
    live.recorded_at = envelope.recorded_at
    if envelope.command_id == live.created_by:
        live.created = answer
    else:
        remember(live.given, envelope.command_id, answer)
    return live


def given_after(before: Given | None, envelope: Envelope, event: Event, offset: int) -> Given:
    names = (*(before.events if before else ()), type(event).__name__)
    return Given(envelope.request_hash, envelope.version, offset, envelope.recorded_at, names)


def remember(given: dict[str, Given], command_id: str, answer: Given) -> None:
    """The latest stands last. What is older than a day goes, but for the latest few."""
    given.pop(command_id, None)
    given[command_id] = answer
    while len(given) > REMEMBERED_AT_LEAST:
        oldest = next(iter(given))
        too_many = len(given) > REMEMBERED_AT_MOST
        if not too_many and given[oldest].recorded_at > answer.recorded_at - REMEMBERED_FOR:
            break
        del given[oldest]
