"""One command at a time: what it comes to, drafted as it will stand once the broker has acknowledged the group."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
import structlog

from commands.aggregates import AGGREGATES
from commands.context import Context, Secrets
from commands.log import Entry
from commands.memory import Given, Live, Memory, remember
from commands.order import (
    AlreadyExists,
    Answer,
    CommandTooLarge,
    IdempotencyKeyReused,
    Order,
    VersionConflict,
)
from commands.policy import Policy
from schemas import catalog
from schemas.catalog import nothing_personal
from schemas.codec import Seal
from schemas.device_report import DeviceReport
from schemas.ids import event_id
from schemas.keyring import Keyring
from schemas.message import Command, Event, OutletSlug, Refused, Source, SubjectId, UnknownAggregate
from schemas.record import Envelope, covered
from schemas.topics import DIRECTORY

COMMAND_LIMIT_BYTES = 1 << 20
HASH_BYTES = 80
"""The header that is put to the others."""

type Clock = Callable[[], datetime]

logger = structlog.get_logger()


class Pending(msgspec.Struct):
    order: Order
    answer: asyncio.Future[Answer]
    looked_up: int = -1
    """When its aggregate was asked for where those are kept that the owner has let go: so often had it let go some."""


class Written(msgspec.Struct, frozen=True, gc=False):
    """An accepted command whose events the group writes."""

    aggregate_id: str
    given: Given


class Repeated(msgspec.Struct, frozen=True, gc=False):
    """A command that this group or an earlier one has answered."""

    aggregate_id: str
    command_id: str
    given: Given
    """As it was remembered then: what follows in the group may have it forgotten."""


class Quiet(msgspec.Struct, frozen=True, gc=False):
    """An accepted command that changes nothing."""

    aggregate_id: str


type Headed = tuple[bytes, bytes, list[tuple[str, bytes]]]
"""Key, value, headers in the order in which they are hashed; the hash is still missing."""
type Outcome = Written | Repeated | Quiet | Refused


class Draft:
    """A group as it will stand: nothing of it is true until the broker has acknowledged it. `now` is real time.

    Where it will stand is known: the log refuses to go on where a batch stands elsewhere.
    """

    def __init__(self, chain: Mapping[str, bytes], next_offset: Mapping[str, int], now: datetime) -> None:
        self.now = now
        self.live: dict[str, Live[Any]] = {}
        self.entries: dict[str, list[Entry]] = {}
        self.chain = dict(chain)
        self.next_offset = dict(next_offset)
        self.keys: dict[SubjectId, bytes] = {}
        self.outcomes: list[tuple[Pending, Outcome]] = []
        self.directory: list[tuple[Event, Source]] = []
        self.size_bytes = 0
        self.before: Draft | None = None
        """The group that is on its way to the log, on which this one rests."""

    def following(self) -> "Draft":
        """The group to come, while this one is on its way."""
        draft = Draft(self.chain, self.next_offset, self.now)
        draft.before = self
        return draft

    def drafted(self, aggregate_id: str) -> Live[Any] | None:
        """As this group or the one before it leaves the aggregate."""
        live = self.live.get(aggregate_id)
        if live is None and self.before is not None:
            live = self.before.live.get(aggregate_id)
        return live


class Judge:
    """Of one tenure. It reads the memory and never changes it."""

    def __init__(
        self,
        *,
        partition: int,
        epoch: int,
        source: str,
        memory: Memory,
        keyring: Keyring,
        policy: Policy,
        secrets: Secrets,
    ) -> None:
        self._partition = partition
        self._epoch = epoch
        self._source = source
        self._memory = memory
        self._keyring = keyring
        self._policy = policy
        self._secrets = secrets

    def decide(self, pending: Pending, draft: Draft) -> None:
        try:
            outcome = self._judge(pending.order, draft)
        except Refused as refused:
            outcome = refused
        except Exception as broken:
            logger.exception("decision failed", command=type(pending.order.command).__name__)
            if not pending.answer.done():
                pending.answer.set_exception(broken)
            return
        draft.outcomes.append((pending, outcome))

    def _judge(self, order: Order, draft: Draft) -> Outcome:
        aggregate = AGGREGATES[order.kind]
        live = draft.drafted(order.aggregate_id) or self._memory.get(order.aggregate_id)
        if live is not None and (live.tenant != order.tenant or live.kind != order.kind):
            raise UnknownAggregate(order.kind, order.aggregate_id)
        creating = aggregate.creates(order.command, there=live is not None)
        if live is None and not creating:
            raise UnknownAggregate(order.kind, order.aggregate_id)
        if live is not None:
            repeat = repeated(order, live, creating=creating)
            if repeat is not None:
                return repeat
        version = 0 if live is None else live.version
        if order.expected_version is not None and order.expected_version != version:
            raise VersionConflict(order.expected_version, version)
        now = self._policy.now(order.tenant, draft.now)
        if live is not None:
            now = max(now, live.recorded_at)
        state = aggregate.initial if live is None else live.state
        events = aggregate.decide(state, order.command, self._context(order, now))
        if not events:
            if live is None:
                raise UnknownAggregate(order.kind, order.aggregate_id)
            return Quiet(order.aggregate_id)
        return self._draft(order, live, events, now, draft)

    def _context(self, order: Order, now: datetime) -> Context:
        return Context(
            now=now,
            tenant=order.tenant,
            aggregate_id=order.aggregate_id,
            command_id=order.command_id,
            actor=order.actor,
            role=order.role,
            secrets=self._secrets,
            policy_or_none=self._policy.tenant(order.tenant),
            unseal=self._keyring.unsealer(self._partition, order.tenant, order.aggregate_id),
        )

    def _draft(
        self, order: Order, live: Live[Any] | None, decided: list[Event], now: datetime, draft: Draft
    ) -> Written:
        """All of it or nothing: whatever is raised here leaves the draft and the keyring as they were."""
        keys: dict[SubjectId, bytes] = {}
        try:
            seal = self._sealer(order, keys)
            events = [catalog.sealed(event, seal) for event in decided]
            entries = self._entries(order, live, events, now)
            size = sum(len(value) for _, value, _ in entries)
            if size > COMMAND_LIMIT_BYTES:
                raise CommandTooLarge(size, COMMAND_LIMIT_BYTES)
            topic = AGGREGATES[order.kind].topic
            first = draft.next_offset[topic]
            drafted, given = after(order, live, events, now, first + len(entries) - 1)
            directory = self._of_the_directory(order, live, events, now, first) if topic == DIRECTORY.name else ()
        except BaseException:
            for subject in keys:
                self._keyring.withdraw(self._partition, subject)
            raise
        draft.keys |= keys
        draft.live[order.aggregate_id] = drafted
        draft.directory += directory
        self._append(draft, topic, entries)
        return Written(order.aggregate_id, given)

    def _append(self, draft: Draft, topic: str, entries: list[Headed]) -> None:
        batch = draft.entries.setdefault(topic, [])
        chain = draft.chain[topic]
        for key, value, headers in entries:
            content = covered(chain, key, value, headers)
            chain = sha256(content).digest()
            headers.append(("hash", chain.hex().encode()))
            batch.append((key, value, headers))
            draft.size_bytes += len(content) + HASH_BYTES
        draft.chain[topic] = chain
        draft.next_offset[topic] += len(entries)

    def _entries(self, order: Order, live: Live[Any] | None, events: list[Event], now: datetime) -> list[Headed]:
        version = 0 if live is None else live.version
        happened = min(now, getattr(order.command, "observed_at", None) or now)
        outlet = outlet_of(events[0] if live is None else live.state)
        key = order.aggregate_id.encode()
        device_id, device_sequence = by_device(order.command)
        return [
            (
                key,
                catalog.write(event, nothing_personal),
                Envelope(
                    event_id=event_id(order.command_id, index),
                    type=catalog.BY_CLASS[type(event)].name,
                    source=self._source,
                    event_time=happened,
                    recorded_at=now,
                    aggregate_id=order.aggregate_id,
                    tenant=order.tenant,
                    outlet=outlet,
                    version=version + 1 + index,
                    command_id=order.command_id,
                    request_hash=order.request_hash,
                    command_index=index,
                    command_size=len(events),
                    policy_position=self._policy.position,
                    actor=order.actor,
                    correlation_id=order.correlation_id,
                    causation_id=order.causation_id,
                    traceparent=order.traceparent,
                    epoch=self._epoch,
                    device_id=device_id,
                    device_sequence=device_sequence,
                ).headers(),
            )
            for index, event in enumerate(events)
        ]

    def _sealer(self, order: Order, keys: dict[SubjectId, bytes]) -> Seal:
        """Seals under the subject's key; a subject without one gets it, to be acknowledged before the events."""
        seal = self._keyring.sealer(self._partition, order.tenant, order.aggregate_id)

        def sealed(subject: SubjectId, field: str, plain: bytes) -> bytes:
            if not self._keyring.knows(self._partition, subject):
                keys[subject] = self._keyring.draft(self._partition, subject)
            return seal(subject, field, plain)

        return sealed

    def _of_the_directory(
        self, order: Order, live: Live[Any] | None, events: list[Event], now: datetime, first: int
    ) -> list[tuple[Event, Source]]:
        """What the policy learns of these events once they stand from `first` on."""
        version = 0 if live is None else live.version
        told = []
        for index, event in enumerate(events):
            source = Source(
                event_id=event_id(order.command_id, index),
                tenant=order.tenant,
                outlet=None,
                aggregate_id=order.aggregate_id,
                version=version + 1 + index,
                event_time=now,
                recorded_at=now,
                actor=order.actor,
                command_id=order.command_id,
                correlation_id=order.correlation_id,
                topic=DIRECTORY.name,
                partition=self._partition,
                offset=first + index,
            )
            told.append((event, source))
        return told


def by_device(command: Command) -> tuple[str | None, int | None]:
    """Which device told it, and as its how-manieth, where it says so."""
    return (command.device_id, command.device_sequence) if isinstance(command, DeviceReport) else (None, None)


def repeated(order: Order, live: Live[Any], *, creating: bool) -> Repeated | None:
    """The first answer for a command that comes again; raises where its words are others."""
    first = live.created_by if creating else order.command_id
    given = live.answer(first)
    if given is None:
        return None
    if given.request_hash != order.request_hash:
        raise reused(order, creating=creating)
    return Repeated(order.aggregate_id, first, given)


def reused(order: Order, *, creating: bool) -> Refused:
    if creating and order.natural:
        return AlreadyExists(order.aggregate_id)
    return IdempotencyKeyReused(order.aggregate_id)


def after(
    order: Order, live: Live[Any] | None, events: list[Event], now: datetime, offset: int
) -> tuple[Live[Any], Given]:
    """The aggregate as it will be, and what this command is answered. `offset` is the one of the last record."""
    aggregate = AGGREGATES[order.kind]
    state = aggregate.initial if live is None else live.state
    for event in events:
        state = aggregate.evolve(state, event)
    version = (0 if live is None else live.version) + len(events)
    names = tuple(type(event).__name__ for event in events)
    answer = Given(order.request_hash, version, offset, now, names)
    given = {} if live is None else dict(live.given)
    if live is not None:
        remember(given, order.command_id, answer)
    drafted = Live(
        kind=order.kind,
        tenant=order.tenant,
        state=state,
        version=version,
        recorded_at=now,
        created_by=order.command_id if live is None else live.created_by,
        created=answer if live is None else live.created,
        given=given,
    )
    return drafted, answer


def outlet_of(of: object) -> OutletSlug | None:
    outlet: OutletSlug | None = getattr(of, "outlet", None)
    return outlet
