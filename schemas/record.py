"""A record as it stands on Kafka: CloudEvents headers, our own, and the hash that chains it to the one before."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from schemas import catalog
from schemas.codec import Unseal
from schemas.message import Event, OutletSlug, Source, TenantSlug
from schemas.topics import FIXES, SIGNALS

CONTENT_TYPE = b"application/avro"
SPECVERSION = b"1.0"
UNHASHED = frozenset({"hash", "traceparent"})
OURS = (
    "actor",
    "causation_id",
    "ce_id",
    "ce_source",
    "ce_specversion",
    "ce_subject",
    "ce_time",
    "ce_type",
    "command_id",
    "command_index",
    "command_size",
    "content-type",
    "control",
    "correlation_id",
    "device_id",
    "device_sequence",
    "epoch",
    "outlet",
    "place",
    "policy_position",
    "recorded_at",
    "request_hash",
    "tenant",
    "version",
)
"""Every header that is hashed."""

GENESIS = bytes(32)
"""What stands before the first record of every topic-partition."""

type Headers = Sequence[tuple[str, bytes]]


class Envelope(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All that a record says besides its event."""

    event_id: str
    type: str
    source: str
    event_time: datetime
    recorded_at: datetime
    aggregate_id: str
    tenant: TenantSlug
    outlet: OutletSlug | None
    version: int
    command_id: str
    request_hash: str
    command_index: int
    command_size: int
    policy_position: str
    actor: str
    correlation_id: str
    causation_id: str | None
    traceparent: str | None
    epoch: int
    device_id: str | None = None
    device_sequence: int | None = None
    """Of a device's report."""

    def headers(self) -> list[tuple[str, bytes]]:
        """In the order in which they are hashed, which spares the sorting; `traceparent`, which is not, stands last."""
        headers = [("actor", self.actor.encode())]
        if self.causation_id is not None:
            headers.append(("causation_id", self.causation_id.encode()))
        headers += [
            ("ce_id", self.event_id.encode()),
            ("ce_source", self.source.encode()),
            ("ce_specversion", SPECVERSION),
            ("ce_subject", self.aggregate_id.encode()),
            ("ce_time", stamp(self.event_time)),
            ("ce_type", self.type.encode()),
            ("command_id", self.command_id.encode()),
            ("command_index", b"%d" % self.command_index),
            ("command_size", b"%d" % self.command_size),
            ("content-type", CONTENT_TYPE),
            ("correlation_id", self.correlation_id.encode()),
        ]
        if self.device_id is not None:
            headers.append(("device_id", self.device_id.encode()))
        if self.device_sequence is not None:
            headers.append(("device_sequence", b"%d" % self.device_sequence))
        headers.append(("epoch", b"%d" % self.epoch))
        if self.outlet is not None:
            headers.append(("outlet", self.outlet.encode()))
        headers += [
            ("policy_position", self.policy_position.encode()),
            ("recorded_at", stamp(self.recorded_at)),
            ("request_hash", self.request_hash.encode()),
            ("tenant", self.tenant.encode()),
            ("version", b"%d" % self.version),
        ]
        if self.traceparent is not None:
            headers.append(("traceparent", self.traceparent.encode()))
        return headers


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A record with its place in the log. `value` is None for a tombstone."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    def named(self) -> dict[str, bytes]:
        """The headers, for who looks at several."""
        return dict(self.headers)

    def header(self, name: str) -> str | None:
        """What is no UTF-8 is replaced, so that it is like nothing of ours."""
        return next((value.decode(errors="replace") for header, value in self.headers if header == name), None)

    @property
    def is_control(self) -> bool:
        return any(header == "control" for header, _ in self.headers)


def stored_of(record: Any) -> Stored:
    """A record as a Kafka consumer gives it."""
    return Stored(record.topic, record.partition, record.offset, record.key, record.value, record.headers)


class Unreadable(ValueError):
    """A record that no reader can take: `reason` says why. It belongs into `logistics.dead`."""

    def __init__(self, stored: Stored, reason: str) -> None:
        super().__init__(f"{stored.topic}/{stored.partition}@{stored.offset}: {reason}")
        self.stored = stored
        self.reason = reason


def control_headers(type_name: str, source: str, at: datetime, epoch: int, event_id: str) -> Headers:
    return [
        ("ce_specversion", SPECVERSION),
        ("ce_id", event_id.encode()),
        ("ce_type", type_name.encode()),
        ("ce_source", source.encode()),
        ("ce_time", stamp(at)),
        ("content-type", CONTENT_TYPE),
        ("recorded_at", stamp(at)),
        ("epoch", b"%d" % epoch),
        ("control", b"1"),
    ]


def state_headers(type_name: str, epoch: int) -> Headers:
    """Of a record of `logistics.snapshots`: a hundred thousand of them are read before a shard opens."""
    return [("ce_type", type_name.encode()), ("epoch", b"%d" % epoch), ("control", b"1")]


def derived_headers(
    *,
    event_id: str,
    type_name: str,
    source: str,
    event_time: datetime,
    recorded_at: datetime,
    subject: str,
    tenant: str,
    actor: str,
    epoch: int,
    causation_id: str | None = None,
) -> Headers:
    """Of a record that follows from fixes, and of a frame: see `NOT_COMMANDED`."""
    headers = [
        ("ce_specversion", SPECVERSION),
        ("ce_id", event_id.encode()),
        ("ce_type", type_name.encode()),
        ("ce_source", source.encode()),
        ("ce_time", stamp(event_time)),
        ("ce_subject", subject.encode()),
        ("content-type", CONTENT_TYPE),
        ("recorded_at", stamp(recorded_at)),
        ("tenant", tenant.encode()),
        ("actor", actor.encode()),
        ("correlation_id", event_id.encode()),
        ("epoch", b"%d" % epoch),
    ]
    return headers if causation_id is None else [*headers, ("causation_id", causation_id.encode())]


@lru_cache(maxsize=256)
def stamp(at: datetime) -> bytes:
    """RFC 3339, UTC, microseconds."""
    return (at.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z").encode()


def chained(previous: bytes, key: bytes | None, value: bytes | None, headers: Headers) -> bytes:
    """SHA-256 over the previous hash, key, value and headers by name, each with its length before it.

    A length of ff ff ff ff stands for an absent key or value. `hash` and `traceparent` stay out.
    """
    return sha256(covered(previous, key, value, sorted(headers))).digest()


def covered(previous: bytes, key: bytes | None, value: bytes | None, in_order: Headers) -> bytes:
    """What a record's hash is taken over. `in_order` are the headers, those that are hashed sorted by name."""
    parts = [previous, measured(key), measured(value)]
    for name, content in in_order:
        if name not in UNHASHED:
            parts += NAMES[name], LENGTHS[len(content)], content
    return b"".join(parts)


class Names(dict[str, bytes]):
    """Names as they are hashed. Ours are written out once, since every record has twenty of them."""

    def __missing__(self, name: str) -> bytes:
        return measured(name.encode())


class Lengths(dict[int, bytes]):
    """As they are hashed; the usual ones written out, too."""

    def __missing__(self, length: int) -> bytes:
        return length.to_bytes(4)


def measured(part: bytes | None) -> bytes:
    return b"\xff\xff\xff\xff" if part is None else len(part).to_bytes(4) + part


LENGTHS = Lengths({length: length.to_bytes(4) for length in range(1_024)})
NAMES = Names({name: measured(name.encode()) for name in OURS})


class ChainBroken(ValueError):
    """A record's hash does not follow from what stands before it."""

    def __init__(self, stored: Stored) -> None:
        super().__init__(f"the chain of {stored.topic}/{stored.partition} breaks at offset {stored.offset}")
        self.stored = stored


def verified(previous: bytes, stored: Stored) -> bytes:
    """The chain after this record. Only a barrier may lack its hash. Raises ChainBroken."""
    after = chained(previous, stored.key, stored.value, stored.headers)
    claimed = stored.header("hash")
    if claimed is None and not stored.is_control:
        raise ChainBroken(stored)
    if claimed is not None and claimed != after.hex():
        raise ChainBroken(stored)
    return after


NOT_COMMANDED = frozenset({SIGNALS.name, FIXES.name})
"""Their records follow from fixes: no command led to them, and nobody counts their versions."""


def as_if_commanded(texts: Mapping[str, str]) -> dict[str, str]:
    """Each record as a command of its own, so that readers need not tell the two apart."""
    own = dict.fromkeys(("request_hash", "policy_position"), "")
    identity = texts.get("ce_id", "")
    return own | {"version": "0", "command_id": identity, "command_index": "0", "command_size": "1"}


def envelope_of(stored: Stored) -> Envelope:
    """Raises Unreadable where a header is missing or malformed."""
    try:
        texts = {name: value.decode() for name, value in stored.headers}
        if stored.topic in NOT_COMMANDED:
            texts = {**as_if_commanded(texts), **texts}
        return Envelope(
            event_id=texts["ce_id"],
            type=texts["ce_type"],
            source=texts["ce_source"],
            event_time=datetime.fromisoformat(texts["ce_time"]),
            recorded_at=datetime.fromisoformat(texts["recorded_at"]),
            aggregate_id=texts["ce_subject"],
            tenant=TenantSlug(texts["tenant"]),
            outlet=OutletSlug(texts["outlet"]) if "outlet" in texts else None,
            version=int(texts["version"]),
            command_id=texts["command_id"],
            request_hash=texts["request_hash"],
            command_index=int(texts["command_index"]),
            command_size=int(texts["command_size"]),
            policy_position=texts["policy_position"],
            actor=texts["actor"],
            correlation_id=texts["correlation_id"],
            causation_id=texts.get("causation_id"),
            traceparent=texts.get("traceparent"),
            epoch=int(texts["epoch"]),
            device_id=texts.get("device_id"),
            device_sequence=int(texts["device_sequence"]) if "device_sequence" in texts else None,
        )
    except KeyError as missing:
        raise Unreadable(stored, f"header {missing.args[0]} is missing") from missing
    except ValueError as malformed:
        raise Unreadable(stored, f"a header is malformed: {malformed}") from malformed


def event_of(stored: Stored, unseal: Unseal | None) -> Event:
    """Raises Unreadable for a value that is not an event of a known type."""
    try:
        return catalog.read(stored.value or b"", unseal)
    except Exception as broken:  # fastavro raises whatever a broken byte leads it to
        raise Unreadable(stored, f"{type(broken).__name__}: {broken}") from broken


def source_of(envelope: Envelope, stored: Stored) -> Source:
    return Source(
        event_id=envelope.event_id,
        tenant=envelope.tenant,
        outlet=envelope.outlet,
        aggregate_id=envelope.aggregate_id,
        version=envelope.version,
        event_time=envelope.event_time,
        recorded_at=envelope.recorded_at,
        actor=envelope.actor,
        command_id=envelope.command_id,
        correlation_id=envelope.correlation_id,
        topic=stored.topic,
        partition=stored.partition,
        offset=stored.offset,
    )


type Unsealer = Callable[[Envelope, int], Unseal | None]
"""Gives, for an envelope and its partition, what opens its personal data."""


def whole_commands(records: Iterable[tuple[Envelope, Stored]]) -> int:
    """How many of one partition's records, from the first, end at a command's boundary."""
    whole = 0
    for count, (envelope, _) in enumerate(records, start=1):
        if envelope.command_index == envelope.command_size - 1:
            whole = count
    return whole
