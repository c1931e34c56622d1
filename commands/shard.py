"""A shard: the one writer of its aggregates. What waits is decided together, appended together, then answered.

No caller hears anything that rests on an unacknowledged event, neither an acceptance nor a refusal (design, section 3).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from time import monotonic

import msgspec
import structlog

from commands.aggregates import AGGREGATES
from commands.context import Context, Secrets
from commands.log import Entry, ShardLog, TenureLost
from commands.memory import Account, Given, Live, Memory, remember
from commands.order import (
    AlreadyExists,
    Answer,
    CommandTooLarge,
    IdempotencyKeyReused,
    Order,
    Unavailable,
    VersionConflict,
)
from commands.policy import Policy
from schemas import catalog
from schemas.codec import Seal
from schemas.control import DataKeyWrapped, Heartbeat, ShardAnnounced
from schemas.ids import derived, event_id
from schemas.keyring import Keyring
from schemas.message import Event, OutletSlug, Personal, Refused, Source, SubjectId, UnknownAggregate
from schemas.record import Envelope, chained, control_headers
from schemas.topics import DIRECTORY, KEYS, OWNED, SHARDS

GROUP_LIMIT = 500
GROUP_LIMIT_BYTES = 4 << 20
COMMAND_LIMIT_BYTES = 1 << 20
QUEUE_LIMIT = 10_000
TENURE_CONFIRMED_FOR_S = 1.0
"""For so long after an acknowledged write was sent an answer that writes nothing may be given. When it was acknowledged
says nothing: between the two we may have stood still, and another owner have opened."""

IDLE_HEARTBEAT_S = 6 * 3600.0
"""The broker forgets a producer that has been silent for a day; then it would let a zombie write."""

type Clock = Callable[[], datetime]
type Chore = Callable[[], Awaitable[None]]

logger = structlog.get_logger()


class Pending(msgspec.Struct):
    order: Order
    answer: asyncio.Future[Answer]


class Draft:
    """A group as it will stand: nothing of it is true until the broker has acknowledged it."""

    def __init__(self, chain: Mapping[str, bytes]) -> None:
        self.live: dict[str, Live] = {}
        self.entries: dict[str, list[Entry]] = {}
        self.chain = dict(chain)
        self.keys: dict[SubjectId, bytes] = {}
        self.outcomes: list[tuple[Pending, Outcome]] = []
        self.directory: list[tuple[Event, Source]] = []
        self.size_bytes = 0


class Written(msgspec.Struct, frozen=True):
    """The last record of a command, by its place in the topic's batch."""

    topic: str
    place: int
    aggregate_id: str


class Repeated(msgspec.Struct, frozen=True):
    """A command that this group or an earlier one has answered."""

    aggregate_id: str
    command_id: str


class Quiet(msgspec.Struct, frozen=True):
    """An accepted command that changes nothing."""

    aggregate_id: str


type Outcome = Written | Repeated | Quiet | Refused


class Shard:
    def __init__(
        self,
        *,
        log: ShardLog,
        memory: Memory,
        chain: Mapping[str, bytes],
        keyring: Keyring,
        policy: Policy,
        secrets: Secrets,
        clock: Clock,
        cluster: str,
    ) -> None:
        """Open: the barriers stand, and `memory` and `chain` hold all that is before them."""
        self._log = log
        self._chain = dict(chain)
        self._keyring = keyring
        self._policy = policy
        self._secrets = secrets
        self._clock = clock
        self._waiting: deque[Pending] = deque()
        self._wake = asyncio.Event()
        self._chores: deque[tuple[Chore, asyncio.Future[None]]] = deque()
        self._confirmed_s = monotonic()
        self._written_s = dict.fromkeys((topic.name for topic in OWNED), monotonic())
        self._source = f"/logistics/{cluster}/shard/{log.partition}"
        self._lost: TenureLost | None = None
        self.partition = log.partition
        self.memory = memory

    async def announce(self, owner: str, address: str) -> None:
        """Say on the log who owns the shard and where it is reached. Before `run`."""
        said = ShardAnnounced(
            shard=self.partition,
            epoch=self._log.epoch,
            owner=owner,
            address=address,
            opened_at=self._clock(),
        )
        value = catalog.write(said, no_personal_data)
        headers = self._control(ShardAnnounced, said.opened_at)
        await self._append({SHARDS.name: [(f"owner-{self.partition}".encode(), value, headers)]})

    def submit(self, order: Order) -> asyncio.Future[Answer]:
        """Raises Unavailable where the tenure is over or the queue is full."""
        if self._lost is not None:
            raise Unavailable("shard-not-open", f"shard {self._log.partition} is not open: {self._lost}")
        if len(self._waiting) >= QUEUE_LIMIT:
            raise Unavailable("shard-busy", f"{QUEUE_LIMIT} commands wait for shard {self._log.partition}")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(Pending(order, answer))
        self._wake.set()
        return answer

    async def run(self) -> None:
        """Serve until the tenure is lost; then every caller is told to come again, and TenureLost is raised."""
        try:
            while True:
                await self._called()
                while self._chores:
                    await self._do(*self._chores.popleft())
                await self._serve_group()
                if not self._waiting and not self._chores:
                    self._wake.clear()
        except TenureLost as lost:
            self._end(lost)
            raise
        except BaseException:
            self._end(TenureLost("the shard has stopped"))
            raise

    async def _called(self) -> None:
        """Wait for work, and beat for topics that have been silent for too long."""
        while not self._wake.is_set():
            try:
                async with asyncio.timeout(IDLE_HEARTBEAT_S / 10):
                    await self._wake.wait()
            except TimeoutError:
                await self._idle_heartbeats()

    async def _do(self, chore: Chore, done: asyncio.Future[None]) -> None:
        try:
            await chore()
        except TenureLost as lost:
            done.set_exception(Unavailable("shard-not-open", str(lost)))
            raise
        done.set_result(None)

    async def between_groups(self, chore: Chore) -> None:
        """Have it done by the shard's own loop, so that one request is in flight. Raises Unavailable."""
        if self._lost is not None:
            raise Unavailable("shard-not-open", f"shard {self._log.partition} is not open: {self._lost}")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._chores.append((chore, done))
        self._wake.set()
        await done

    async def forget(self, subject: SubjectId) -> None:
        """Throw the subject's key of this partition away; what it sealed stays on the log and opens no more."""
        await self.between_groups(lambda: self._forget(subject))

    async def _forget(self, subject: SubjectId) -> None:
        entry = (subject.encode(), None, self._control(DataKeyWrapped, self._clock()))
        await self._append({KEYS.name: [entry]})
        self._keyring.apply(self._log.partition, subject, None)
        for aggregate_id, live in list(self.memory.items()):
            forgotten = without_subject(live.state, subject)
            if forgotten is not live.state:
                self.memory.put(aggregate_id, msgspec.structs.replace(live, state=forgotten))

    async def account(self) -> Account:
        """What this owner knows, between two groups. Raises Unavailable."""
        told: list[Account] = []

        async def tell() -> None:
            offsets = dict(self._log.next_offset)
            told.append(Account(self.partition, len(self.memory), self.memory.digest(), offsets))

        await self.between_groups(tell)
        return told[0]

    async def _heartbeat(self) -> None:
        """A write that says nothing but that the tenure holds: raises TenureLost where it does not."""
        await self._append({SHARDS.name: [self._beat(SHARDS.name)]})

    async def _idle_heartbeats(self) -> None:
        """One in each topic that has been silent, well before the broker forgets its producer."""
        silent = [t for t, written_s in self._written_s.items() if monotonic() - written_s > IDLE_HEARTBEAT_S]
        if silent:
            await self._append({topic: [self._beat(topic)] for topic in silent})

    def _beat(self, topic: str) -> Entry:
        beat = Heartbeat(shard=self._log.partition, epoch=self._log.epoch)
        key = f"tenure-{self._log.partition}".encode()
        value = catalog.write(beat, no_personal_data)
        headers = self._control(Heartbeat, self._clock())
        if topic not in self._chain:
            return key, value, headers
        self._chain[topic] = chained(self._chain[topic], key, value, headers)
        return key, value, [*headers, ("hash", self._chain[topic].hex().encode())]

    def _control(self, cls: type[Event], now: datetime) -> list[tuple[str, bytes]]:
        identity = derived("control", self._source, str(self._log.epoch), now.isoformat())
        name = catalog.BY_CLASS[cls].name
        return list(control_headers(name, self._source, now, self._log.epoch, identity))

    async def _append(self, groups: Mapping[str, list[Entry]]) -> Mapping[str, int]:
        """The offsets. Raises TenureLost, also where nothing was written since it is too large."""
        sent_s = monotonic()
        told = await self._log.append(groups)
        stand = {topic: offset for topic, offset in told.items() if offset is not None}
        if len(stand) < len(groups):
            raise TenureLost("a batch within our bounds is too large for the topic: check max.message.bytes")
        self._confirmed_s = sent_s
        self._written_s |= dict.fromkeys(self._written_s.keys() & groups.keys(), sent_s)
        return stand

    # One group

    async def _serve_group(self) -> None:
        group: list[Pending] = []
        draft = Draft(self._chain)
        try:
            while self._waiting and len(group) < GROUP_LIMIT and draft.size_bytes < GROUP_LIMIT_BYTES:
                group.append(self._waiting.popleft())
                self._decide(group[-1], draft)
            await self._write(draft)
        except BaseException:
            for subject in draft.keys:
                self._keyring.apply(self._log.partition, subject, None)
            self._waiting.extendleft(reversed(group))
            raise

    async def _write(self, draft: Draft) -> None:
        if draft.keys:
            await self._append({KEYS.name: [self._key_entry(s, w) for s, w in draft.keys.items()]})
        stand: Mapping[str, int] = {}
        if draft.entries:
            stand = await self._append(draft.entries)
        elif monotonic() - self._confirmed_s > TENURE_CONFIRMED_FOR_S:
            await self._heartbeat()
        self._take(draft, stand)

    def _key_entry(self, subject: SubjectId, wrapped: bytes) -> Entry:
        value = catalog.write(DataKeyWrapped(subject=subject, wrapped=wrapped), no_personal_data)
        return subject.encode(), value, self._control(DataKeyWrapped, self._clock())

    def _take(self, draft: Draft, stand: Mapping[str, int]) -> None:
        """The broker has acknowledged: the draft is true, and its callers may hear of it."""
        self._chain = draft.chain
        for aggregate_id, live in draft.live.items():
            topic = AGGREGATES[live.kind].topic
            place(live, stand.get(topic))
            self.memory.put(aggregate_id, live)
        for event, source in draft.directory:
            offset = stand[DIRECTORY.name] + source.offset
            self._policy.take(event, source, self._log.partition, offset)
        for pending, outcome in draft.outcomes:
            if not pending.answer.done():
                if isinstance(outcome, Refused):
                    pending.answer.set_exception(outcome)
                else:
                    pending.answer.set_result(self._answer(pending.order, outcome, stand))

    def _answer(self, order: Order, outcome: Written | Repeated | Quiet, stand: Mapping[str, int]) -> Answer:
        live = self.memory.get(outcome.aggregate_id)
        assert live is not None, "what was answered is known"
        topic = AGGREGATES[live.kind].topic
        first = outcome.command_id if isinstance(outcome, Repeated) else order.command_id
        given = latest(live) if isinstance(outcome, Quiet) else live.answer(first)
        assert given is not None, "what was answered is remembered"
        return Answer(
            aggregate_id=outcome.aggregate_id,
            version=given.version,
            command_id=first,
            recorded_at=given.recorded_at,
            position={(topic, self._log.partition): given.offset + 1},
            events=() if isinstance(outcome, Quiet) else given.events,
            repeated=isinstance(outcome, Repeated),
        )

    # One command

    def _decide(self, pending: Pending, draft: Draft) -> None:
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
        live = draft.live.get(order.aggregate_id) or self.memory.get(order.aggregate_id)
        if live is not None and (live.tenant != order.tenant or live.kind != order.kind):
            raise UnknownAggregate(order.kind, order.aggregate_id)
        creating = isinstance(order.command, aggregate.creating)
        if live is None and not creating:
            raise UnknownAggregate(order.kind, order.aggregate_id)
        if live is not None:
            repeat = repeated(order, live, creating=creating)
            if repeat is not None:
                return repeat
        version = 0 if live is None else live.version
        if order.expected_version is not None and order.expected_version != version:
            raise VersionConflict(order.expected_version, version)
        now = self._clock() if live is None else max(self._clock(), live.recorded_at)
        state = aggregate.initial if live is None else live.state
        events = aggregate.decide(state, order.command, self._context(order, now))
        if not events:
            if live is None:
                raise UnknownAggregate(order.kind, order.aggregate_id)
            return Quiet(order.aggregate_id)
        return self._draft_events(order, live, events, now, draft)

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
        )

    def _draft_events(
        self, order: Order, live: Live | None, events: list[Event], now: datetime, draft: Draft
    ) -> Written:
        aggregate = AGGREGATES[order.kind]
        topic = aggregate.topic
        entries = self._entries(order, live, events, now, draft)
        size = sum(len(value or b"") for _, value, _ in entries)
        if size > COMMAND_LIMIT_BYTES:
            raise CommandTooLarge(size, COMMAND_LIMIT_BYTES)
        batch = draft.entries.setdefault(topic, [])
        chain = draft.chain[topic]
        for key, value, headers in entries:
            chain = chained(chain, key, value, headers)
            batch.append((key, value, [*headers, ("hash", chain.hex().encode())]))
            draft.size_bytes += len(value or b"") + 1_000
        draft.chain[topic] = chain
        last = len(batch) - 1
        draft.live[order.aggregate_id] = after(order, live, events, now, last)
        if topic == DIRECTORY.name:
            self._draft_policy(order, live, events, now, last, draft)
        return Written(topic, last, order.aggregate_id)

    def _entries(
        self, order: Order, live: Live | None, events: list[Event], now: datetime, draft: Draft
    ) -> list[Entry]:
        seal = self._sealer(order, draft)
        version = 0 if live is None else live.version
        happened = min(now, getattr(order.command, "observed_at", now))
        outlet = outlet_of(events[0] if live is None else live.state)
        key = order.aggregate_id.encode()
        return [
            (
                key,
                catalog.write(event, seal),
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
                    epoch=self._log.epoch,
                ).headers(),
            )
            for index, event in enumerate(events)
        ]

    def _sealer(self, order: Order, draft: Draft) -> Seal:
        """Seals under the subject's key; a subject without one gets it, to be acknowledged before the events."""
        partition = self._log.partition
        seal = self._keyring.sealer(partition, order.tenant, order.aggregate_id)

        def sealed(subject: SubjectId, field: str, plain: bytes) -> bytes:
            if not self._keyring.knows(partition, subject):
                draft.keys[subject] = self._keyring.new_wrapped_key(subject)
                self._keyring.apply(partition, subject, draft.keys[subject])
            return seal(subject, field, plain)

        return sealed

    def _draft_policy(
        self, order: Order, live: Live | None, events: list[Event], now: datetime, last: int, draft: Draft
    ) -> None:
        version = 0 if live is None else live.version
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
                partition=self._log.partition,
                offset=last - len(events) + 1 + index,
            )
            draft.directory.append((event, source))

    def _end(self, lost: TenureLost) -> None:
        self._lost = lost
        told = Unavailable("shard-not-open", f"shard {self._log.partition} is not open: {lost}")
        for pending in self._waiting:
            if not pending.answer.done():
                pending.answer.set_exception(told)
        for _, done in self._chores:
            if not done.done():
                done.set_exception(told)
        self._waiting.clear()
        self._chores.clear()


def repeated(order: Order, live: Live, *, creating: bool) -> Repeated | None:
    """The first answer for a command that comes again; raises where its words are others."""
    first = live.created_by if creating else order.command_id
    given = live.answer(first)
    if given is None:
        return None
    if given.request_hash != order.request_hash:
        raise reused(order, creating=creating)
    return Repeated(order.aggregate_id, first)


def reused(order: Order, *, creating: bool) -> Refused:
    if creating and order.natural:
        return AlreadyExists(order.aggregate_id)
    return IdempotencyKeyReused(order.aggregate_id)


def after(order: Order, live: Live | None, events: list[Event], now: datetime, last: int) -> Live:
    """The aggregate as it will be; its answer's offset is a place in the batch until `place`."""
    aggregate = AGGREGATES[order.kind]
    state = aggregate.initial if live is None else live.state
    for event in events:
        state = aggregate.evolve(state, event)
    version = (0 if live is None else live.version) + len(events)
    names = tuple(type(event).__name__ for event in events)
    answer = Given(order.request_hash, version, -1 - last, now, names)
    given = {} if live is None else dict(live.given)
    if live is not None:
        remember(given, order.command_id, answer)
    return Live(
        kind=order.kind,
        tenant=order.tenant,
        state=state,
        version=version,
        recorded_at=now,
        created_by=order.command_id if live is None else live.created_by,
        created=answer if live is None else live.created,
        given=given,
    )


def place(live: Live, base_offset: int | None) -> None:
    """Its answers of this group get their offsets in the log: the batch stands at `base_offset`."""
    live.created = placed(live.created, base_offset)
    for command_id in reversed(live.given):
        given = live.given[command_id]
        if given.offset >= 0:
            break
        live.given[command_id] = placed(given, base_offset)


def placed(given: Given, base_offset: int | None) -> Given:
    if given.offset >= 0:
        return given
    assert base_offset is not None, "what was drafted was written"
    return msgspec.structs.replace(given, offset=base_offset - 1 - given.offset)


def latest(live: Live) -> Given:
    return live.given[next(reversed(live.given))] if live.given else live.created


def outlet_of(of: object) -> OutletSlug | None:
    outlet: OutletSlug | None = getattr(of, "outlet", None)
    return outlet


def no_personal_data(subject: SubjectId, field: str, plain: bytes) -> bytes:
    raise AssertionError(f"{field} of a control record is not personal")


def without_subject(value: object, subject: SubjectId) -> object:
    """The same state with the subject's data gone; the same object where there were none."""
    if isinstance(value, Personal):
        return Personal(subject) if value.subject == subject else value
    if isinstance(value, msgspec.Struct):
        changed = {
            name: new
            for name in value.__struct_fields__
            if (new := without_subject(old := getattr(value, name), subject)) is not old
        }
        return msgspec.structs.replace(value, **changed) if changed else value
    if isinstance(value, dict):
        fresh = {key: without_subject(item, subject) for key, item in value.items()}
        return fresh if any(fresh[key] is not item for key, item in value.items()) else value
    if isinstance(value, (list, tuple)):
        items = [without_subject(item, subject) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)
    return value
