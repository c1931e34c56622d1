"""A desk that decides as a shard does, by the real decisions, and keeps in memory what stands on a log."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from commands.aggregates import AGGREGATES, Aggregate
from commands.context import Context, Secrets
from commands.judging import by_device, outlet_of, reused
from commands.order import Answer, Order, VersionConflict
from commands.policy import Policy
from schemas import catalog
from schemas.codec import Seal
from schemas.ids import event_id
from schemas.keyring import Keyring
from schemas.message import Event, SubjectId, UnknownAggregate
from schemas.partition import partition_of
from schemas.record import GENESIS, Envelope, Stored, chained, source_of
from schemas.topics import DIRECTORY

PARTITIONS = 8


class Kept(msgspec.Struct):
    kind: str
    tenant: str
    state: Any
    version: int = 0
    created_by: str = ""
    answers: dict[str, tuple[str, Answer]] = {}
    """Of each command: its request's hash and its answer."""


class MemoryDesk:
    def __init__(self, policy: Policy, secrets: Secrets, keyring: Keyring, clock: Callable[[], datetime]) -> None:
        self._policy = policy
        self._keyring = keyring
        self._secrets = secrets
        self._clock = clock
        self._ends: dict[tuple[str, int], int] = {}
        self._chain: dict[tuple[str, int], bytes] = {}
        self.kept: dict[str, Kept] = {}
        self.orders: list[Order] = []
        self.log: list[Stored] = []
        """The records as they would stand on Kafka, personal data sealed."""
        self.heard: Callable[[Stored], None] = lambda stored: None
        """Told of each record as it is written."""
        self.fails: Exception | None = None
        """Raised instead of an answer, while it is set."""

    async def submit(self, order: Order) -> Answer:
        self.orders.append(order)
        if self.fails is not None:
            raise self.fails
        aggregate = AGGREGATES[order.kind]
        kept = self._known(order, aggregate)
        repeat = self._repeat(order, aggregate, kept)
        if repeat is not None:
            return repeat
        if order.expected_version is not None and order.expected_version != kept.version:
            raise VersionConflict(order.expected_version, kept.version)
        events = aggregate.decide(kept.state, order.command, self._context(order))
        return self._keep(order, aggregate, kept, events)

    async def forget(self, subject: SubjectId) -> int:
        known = self._keyring.partitions_of(subject)
        for partition in known:
            self._keyring.apply(partition, subject, None)
        return len(known)

    def _known(self, order: Order, aggregate: Aggregate) -> Kept:
        kept = self.kept.get(order.aggregate_id)
        if kept is not None and (kept.tenant, kept.kind) != (order.tenant, order.kind):
            raise UnknownAggregate(order.kind, order.aggregate_id)
        if kept is None and not isinstance(order.command, aggregate.begins):
            raise UnknownAggregate(order.kind, order.aggregate_id)
        return kept or Kept(order.kind, order.tenant, aggregate.initial, created_by=order.command_id)

    def _repeat(self, order: Order, aggregate: Aggregate, kept: Kept) -> Answer | None:
        creating = aggregate.creates(order.command, there=True)
        known = kept.answers.get(kept.created_by if creating else order.command_id)
        if known is None:
            return None
        request_hash, answer = known
        if request_hash != order.request_hash:
            raise reused(order, creating=creating)
        return msgspec.structs.replace(answer, repeated=True)

    def _now(self, order: Order) -> datetime:
        return self._policy.now(order.tenant, self._clock())

    def _context(self, order: Order) -> Context:
        return Context(
            now=self._now(order),
            tenant=order.tenant,
            aggregate_id=order.aggregate_id,
            command_id=order.command_id,
            actor=order.actor,
            role=order.role,
            secrets=self._secrets,
            policy_or_none=self._policy.tenant(order.tenant),
        )

    def _keep(self, order: Order, aggregate: Aggregate, kept: Kept, events: list[Event]) -> Answer:
        topic, partition = place = (aggregate.topic, partition_of(order.aggregate_id, PARTITIONS))
        first = self._ends.get(place, 0)
        for index, event in enumerate(events):
            kept.state = aggregate.evolve(kept.state, event)
            kept.version += 1
            envelope = self._envelope(order, kept, events, index)
            value = catalog.write(event, self._sealer(order, partition))
            named, id_bytes = envelope.headers(), order.aggregate_id.encode()
            self._chain[place] = chained(self._chain.get(place, GENESIS), id_bytes, value, named)
            headers = [*named, ("hash", self._chain[place].hex().encode())]
            stored = Stored(topic, partition, first + index, id_bytes, value, headers)
            self.log.append(stored)
            self.heard(stored)
            if topic == DIRECTORY.name:
                self._policy.take(event, source_of(envelope, stored), partition, stored.offset)
        self._ends[place] = first + len(events)
        answer = Answer(
            aggregate_id=order.aggregate_id,
            version=kept.version,
            command_id=order.command_id,
            recorded_at=self._now(order),
            position={place: self._ends[place]},
            events=tuple(type(event).__name__ for event in events),
        )
        if events:
            kept.answers = {**kept.answers, order.command_id: (order.request_hash, answer)}
            self.kept[order.aggregate_id] = kept
        return answer

    def _envelope(self, order: Order, kept: Kept, events: list[Event], index: int) -> Envelope:
        now = self._now(order)
        device_id, device_sequence = by_device(order.command)
        return Envelope(
            event_id=event_id(order.command_id, index),
            type=catalog.BY_CLASS[type(events[index])].name,
            source="/logistics/test/shard/0",
            event_time=min(now, getattr(order.command, "observed_at", None) or now),
            recorded_at=now,
            aggregate_id=order.aggregate_id,
            tenant=order.tenant,
            outlet=outlet_of(kept.state),
            version=kept.version,
            command_id=order.command_id,
            request_hash=order.request_hash,
            command_index=index,
            command_size=len(events),
            policy_position=self._policy.position,
            actor=order.actor,
            correlation_id=order.correlation_id,
            causation_id=order.causation_id,
            traceparent=order.traceparent,
            epoch=1,
            device_id=device_id,
            device_sequence=device_sequence,
        )

    def _sealer(self, order: Order, partition: int) -> Seal:
        seal = self._keyring.sealer(partition, order.tenant, order.aggregate_id)

        def sealed(subject: SubjectId, field: str, plain: bytes) -> bytes:
            if not self._keyring.knows(partition, subject):
                self._keyring.apply(partition, subject, self._keyring.new_wrapped_key(subject))
            return seal(subject, field, plain)

        return sealed
