"""What a shard's owner knows: each aggregate's state, its version, and which commands it has answered."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from commands.aggregates import BY_EVENT
from schemas.message import Event, TenantSlug
from schemas.record import Envelope, Stored

REMEMBERED_FOR = timedelta(hours=24)
REMEMBERED_AT_LEAST = 32
REMEMBERED_AT_MOST = 1_024


class Account(msgspec.Struct, frozen=True):
    """What an owner says it knows, as of the next offset of each topic."""

    shard: int
    aggregates: int
    digest: str
    next_offset: dict[str, int]


class LogCorrupt(RuntimeError):
    """The log holds what no owner can have written; a shard that meets it does not open."""


class Given(msgspec.Struct, frozen=True):
    """What a command was answered: enough to answer its repeat alike."""

    request_hash: str
    version: int
    offset: int
    """Of its last record."""
    recorded_at: datetime
    events: tuple[str, ...]


class Live(msgspec.Struct):
    kind: str
    tenant: TenantSlug
    state: Any
    version: int
    recorded_at: datetime
    created_by: str
    """The id of the command that created it; it and its answer are kept for ever."""
    created: Given
    given: dict[str, Given]

    def answer(self, command_id: str) -> Given | None:
        return self.created if command_id == self.created_by else self.given.get(command_id)


class Memory:
    """Of one shard. It changes only by what stands on the log."""

    def __init__(self) -> None:
        self._live: dict[str, Live] = {}

    def get(self, aggregate_id: str) -> Live | None:
        return self._live.get(aggregate_id)

    def put(self, aggregate_id: str, live: Live) -> None:
        self._live[aggregate_id] = live

    def __len__(self) -> int:
        return len(self._live)

    def items(self) -> Iterator[tuple[str, Live]]:
        return iter(self._live.items())

    def digest(self) -> str:
        """SHA-256 over all aggregates in order of id: states, versions, remembered answers."""
        total = sha256()
        for aggregate_id, live in sorted(self._live.items()):
            total.update(aggregate_id.encode())
            total.update(msgspec.json.encode(live, order="deterministic"))
        return total.hexdigest()

    def take(self, envelope: Envelope, event: Event, stored: Stored) -> None:
        """Fold one record. Raises LogCorrupt where its version does not follow."""
        live = self._live.get(envelope.aggregate_id)
        aggregate = BY_EVENT[type(event)]
        version = 0 if live is None else live.version
        if envelope.version != version + 1:
            place = f"{stored.topic}/{stored.partition}@{stored.offset}"
            raise LogCorrupt(f"{place}: version {envelope.version} follows {version}")
        before = None if live is None else live.answer(envelope.command_id)
        answer = given_after(before, envelope, event, stored.offset)
        if live is None:
            live = self._live[envelope.aggregate_id] = Live(
                kind=aggregate.kind,
                tenant=envelope.tenant,
                state=aggregate.initial,
                version=0,
                recorded_at=envelope.recorded_at,
                created_by=envelope.command_id,
                created=answer,
                given={},
            )
        live.state = aggregate.evolve(live.state, event)
        live.version = envelope.version
        live.recorded_at = envelope.recorded_at
        if envelope.command_id == live.created_by:
            live.created = answer
        else:
            remember(live.given, envelope.command_id, answer)


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
