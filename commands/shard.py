"""A shard: the one writer of its aggregates. What waits is decided together, appended together, then answered; while
the log has yet to acknowledge one group, the next is decided on what that one will come to.

No caller hears anything that rests on an unacknowledged event, neither an acceptance nor a refusal (design, section 3).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from time import CLOCK_BOOTTIME, clock_gettime, monotonic
from typing import Any

import structlog

from commands.aggregates import AGGREGATES
from commands.checkpoint import EVERY_RECORDS, EVERY_S, Place, Snapshots, checkpoint_entry
from commands.cold import Cold, thawed
from commands.context import Secrets
from commands.evicted import Evicted
from commands.judging import Clock, Draft, Judge, Pending, Quiet, Repeated, Written
from commands.log import Entry, ShardLog, TenureLost
from commands.memory import Account, Memory
from commands.order import Answer, Order, Unavailable
from commands.policy import Policy
from schemas import catalog
from schemas.catalog import nothing_personal
from schemas.control import DataKeyWrapped, Heartbeat, ShardAnnounced, ShardPinned
from schemas.ids import derived
from schemas.keyring import Keyring
from schemas.message import Event, Refused, SubjectId
from schemas.record import Headers, chained, control_headers, state_headers
from schemas.topics import HISTORY, KEYS, OWNED, SHARDS, SNAPSHOTS

GROUP_LIMIT = 500
GROUP_LIMIT_BYTES = 4 << 20
FIRST_GROUP = 64
"""Where none is on its way: the rest of those who wait is decided while this one is."""
DECIDED_AT_ONCE = 32
"""Then whoever else is at work in this process has a turn."""
QUEUE_LIMIT = 10_000
THAWING_LIMIT = 1_000
"""Commands that wait for aggregates that their owner has let go."""
TENURE_CONFIRMED_FOR_S = 1.0
"""For so long after an acknowledged write was sent an answer that writes nothing may be given. When it was acknowledged
says nothing: between the two we may have stood still, and another owner have opened."""

ANSWER_WITHIN_S = 10.0
"""Nobody is kept waiting longer for the log. What was sent to it is settled all the same."""

IDLE_HEARTBEAT_S = 6 * 3600.0
"""The broker forgets a producer that has been silent for a day; then it would let a zombie write."""

type Chore = Callable[[], Awaitable[None]]

logger = structlog.get_logger()


class Released(TenureLost):
    """The owner has given the shard up, with all that it knew in a checkpoint."""


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
        snapshots: Snapshots | None = None,
        cold: Cold | None = None,
    ) -> None:
        """Open: the barriers stand, and `memory` and `chain` hold all that is before them."""
        self._log = log
        self._chain = dict(chain)
        self._keyring = keyring
        self._policy = policy
        self._clock = clock
        self._snapshots = Snapshots(memory, Evicted(), {}, {}) if snapshots is None else snapshots
        self._cold = cold
        self._waiting: deque[Pending] = deque()
        self._thawing: dict[tuple[str, str, str], list[Pending]] = {}
        """By topic, tenant and aggregate: an id tells nobody whose it is, nor of what kind."""
        self._let_go = 0
        """How often aggregates were let go: what was loaded before may be gone again."""
        self._thaws: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._chores: deque[tuple[Chore, asyncio.Future[None]]] = deque()
        self._confirmed_s = standing_s()
        self._written_s = dict.fromkeys((topic.name for topic in OWNED), monotonic())
        self._source = f"/logistics/{cluster}/shard/{log.partition}"
        self._lost: TenureLost | None = None
        self._writing: AsyncIterator[None] | None = None
        self._awaited: list[asyncio.Future[None]] = []
        """By whom the checkpoint that is being written was asked for."""
        self._checkpointed_s = monotonic()
        self._records = 0
        """Written since the last checkpoint began."""
        self._asked_for: list[asyncio.Future[None]] = []
        self.partition = log.partition
        self.memory = memory
        self._judge = Judge(
            partition=log.partition,
            epoch=log.epoch,
            source=self._source,
            memory=memory,
            keyring=keyring,
            policy=policy,
            secrets=secrets,
        )

    @property
    def epoch(self) -> int:
        return self._log.epoch

    async def announce(self, owner: str, address: str) -> None:
        """Say on the log who owns the shard and where it is reached. Before `run`."""
        said = ShardAnnounced(
            shard=self.partition,
            epoch=self._log.epoch,
            owner=owner,
            address=address,
            opened_at=self._clock(),
        )
        value = catalog.write(said, nothing_personal)
        await self._append({SHARDS.name: [(f"owner-{self.partition}".encode(), value, self._control(ShardAnnounced))]})

    async def pin(self, owner: str) -> None:
        """Say on the log who is to have the shard. Raises Unavailable."""
        said = ShardPinned(shard=self.partition, owner=owner, pinned_at=self._clock())
        entry = f"pin-{self.partition}".encode(), catalog.write(said, nothing_personal), self._control(ShardPinned)

        async def write() -> None:
            await self._append({SHARDS.name: [entry]})

        await self.between_groups(write)

    async def close(self) -> None:
        """Its connection. After `run`."""
        await self._log.close()

    def submit(self, order: Order) -> asyncio.Future[Answer]:
        """Raises Unavailable where the tenure is over or the queue is full."""
        if self._lost is not None:
            raise self._not_open()
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
                if self._waiting:
                    await self._serve()
                if self._writing is not None or self._checkpoint_due():
                    await self._checkpoint_on()
                if not self._waiting and not self._chores and self._writing is None:
                    self._wake.clear()
        except TenureLost as lost:
            self._end(lost)
            raise
        except BaseException:
            self._end(TenureLost("the shard has stopped"))
            raise

    async def _called(self) -> None:
        """Wait for work, beat for topics that have been silent for too long, or go on where a checkpoint is due."""
        while not self._wake.is_set() and not self._checkpoint_due():
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._wake.wait()
            await self._idle_heartbeats()
        await self._idle_heartbeats()  # who is never idle comes here, too

    async def _do(self, chore: Chore, done: asyncio.Future[None]) -> None:
        try:
            await chore()
        except TenureLost as lost:
            if not done.done():
                done.set_exception(Unavailable("shard-not-open", str(lost)))
            raise
        except BaseException as broken:
            if not done.done():
                done.set_exception(Unavailable("shard-not-open", f"the shard opens again: {broken!r}"))
            raise
        if not done.done():
            done.set_result(None)

    async def between_groups(self, chore: Chore) -> None:
        """Have it done by the shard's own loop, so that one request is in flight. Raises Unavailable."""
        if self._lost is not None:
            raise self._not_open()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._chores.append((chore, done))
        self._wake.set()
        await in_time(done, self.partition)

    async def forget(self, subject: SubjectId) -> bool:
        """Throw the subject's key of this partition away; what it sealed stays on the log and opens no more. Whether
        there was one. Raises Unavailable."""
        known: list[bool] = []

        async def throw_away() -> None:
            known.append(self._keyring.knows(self.partition, subject))
            if known[0]:
                stand = await self._append({KEYS.name: [(subject.encode(), None, self._control(DataKeyWrapped))]})
                self._keyring.take(self.partition, stand[KEYS.name], subject, None)

        await self.between_groups(throw_away)
        return known[0]

    async def account(self) -> Account:
        """What this owner knows, between two groups. Raises Unavailable."""
        told: list[Account] = []

        async def tell() -> None:
            await self._confirm()
            held = sorted(self.memory.ids()) if self._snapshots.evicted else None
            offsets = dict(self._log.next_offset)
            told.append(Account(self.partition, len(self.memory), self.memory.digest(), offsets, held))

        await self.between_groups(tell)
        return told[0]

    async def release(self) -> None:
        """Give the shard up: what waits is served, all that is known goes into a checkpoint, `run` ends by `Released`.

        Raises Unavailable where the tenure is over already.
        """
        await self.checkpoint()
        with suppress(Unavailable):
            await self.between_groups(self._release)

    async def _release(self) -> None:
        self._lost = Released("it is being handed over")
        while self._waiting:
            await self._serve()
        while self._writing is not None or len(self._snapshots):
            await self._checkpoint_on()
        raise self._lost

    # Heartbeats and other records of our own

    async def confirm(self) -> None:
        """Write something, so that a tenure that another owner has ended ends here, too. Raises Unavailable."""
        await self.between_groups(self._heartbeat)

    async def _confirm(self) -> None:
        """By a write that says nothing, where none was made just now. Raises TenureLost where we are fenced."""
        if standing_s() - self._confirmed_s > TENURE_CONFIRMED_FOR_S:
            await self._heartbeat()

    async def _heartbeat(self) -> None:
        """A write that says nothing but that the tenure holds: raises TenureLost where it does not."""
        await self._append({SHARDS.name: [self._beat(SHARDS.name)]})

    async def _idle_heartbeats(self) -> None:
        """One in each topic that has been silent, well before the broker forgets its producer."""
        silent = self._silent()
        if silent:
            await self._append({topic: [self._beat(topic)] for topic in silent})

    def _silent(self) -> list[str]:
        return [topic for topic, written_s in self._written_s.items() if monotonic() - written_s > IDLE_HEARTBEAT_S]

    def _beat(self, topic: str) -> Entry:
        beat = Heartbeat(shard=self._log.partition, epoch=self._log.epoch)
        key = f"tenure-{self._log.partition}".encode()
        value = catalog.write(beat, nothing_personal)
        headers = self._control(Heartbeat)
        if topic not in self._chain:
            return key, value, headers
        self._chain[topic] = chained(self._chain[topic], key, value, headers)
        return key, value, [*headers, ("hash", self._chain[topic].hex().encode())]

    def _control(self, cls: type[Event]) -> list[tuple[str, bytes]]:
        now = self._clock()
        identity = derived("control", self._source, str(self._log.epoch), now.isoformat())
        name = catalog.BY_CLASS[cls].name
        return list(control_headers(name, self._source, now, self._log.epoch, identity))

    def _of_state(self, cls: type[Event]) -> Headers:
        return state_headers(catalog.BY_CLASS[cls].name, self._log.epoch)

    async def _append(self, groups: Mapping[str, list[Entry]]) -> Mapping[str, int]:
        """The offsets. Raises TenureLost, also where nothing was written since it is too large."""
        confirmed_s, sent_s = standing_s(), monotonic()
        told = await self._log.append(groups)
        stand = {topic: offset for topic, offset in told.items() if offset is not None}
        if len(stand) < len(groups):
            raise TenureLost("a batch within our bounds is too large for the topic: check max.message.bytes")
        self._confirmed_s = confirmed_s
        self._written_s |= dict.fromkeys(self._written_s.keys() & groups.keys(), sent_s)
        return stand

    # Checkpoints

    async def checkpoint(self) -> None:
        """One that begins from here on, while commands go on. Raises Unavailable."""
        if self._lost is not None:
            raise self._not_open()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked_for.append(done)
        self._wake.set()
        await done

    def _checkpoint_due(self) -> bool:
        if self._asked_for or self._records >= EVERY_RECORDS:
            return True
        return bool(len(self._snapshots)) and monotonic() - self._checkpointed_s >= EVERY_S

    async def _checkpoint_on(self) -> None:
        """One slice of it."""
        if self._writing is None:
            self._awaited, self._asked_for = self._asked_for, []
            self._writing = self._checkpoint(self._awaited)
        try:
            await anext(self._writing)
        except StopAsyncIteration:
            self._writing = None

    async def _checkpoint(self, asked_for: list[asyncio.Future[None]]) -> AsyncIterator[None]:
        try:
            places = {
                topic.name: Place(
                    self._log.next_offset[topic.name], self._chain[topic.name], self._log.producer_id, self._log.epoch
                )
                for topic in HISTORY
            }
            self._checkpointed_s, self._records = monotonic(), 0
            changed = self._snapshots.take_changed()
            for entries in self._snapshots.slices(changed, self._of_state):
                await self._append({SNAPSHOTS.name: entries})
                yield
            if self._cold is not None:
                for entries, over in self._snapshots.evictions(self._clock(), self._of_state):
                    await self._append({SNAPSHOTS.name: entries})
                    self._let_go += 1
                    for aggregate_id in over:
                        self.memory.drop(aggregate_id)
                    yield
            evicted = len(self._snapshots.evicted)
            said = checkpoint_entry(self.partition, self._log.epoch, places, evicted, self._control)
            await self._append({SNAPSHOTS.name: [said]})
        except BaseException as failed:
            for done in asked_for:
                if not done.done():
                    done.set_exception(Unavailable("shard-not-open", f"the checkpoint was not finished: {failed!r}"))
            raise
        for done in asked_for:
            if not done.done():
                done.set_result(None)

    # Groups

    async def _serve(self) -> None:
        """What waits, group by group, until nothing does or something is to be done between two groups.

        One group is on its way at a time; the next is decided meanwhile, and told of only after it.
        """
        sent: Draft | None = None
        writing: asyncio.Task[None] | None = None
        draft = Draft(self._chain, self._log.next_offset, self._clock())
        try:
            self._decide(draft, GROUP_LIMIT if self._is_called_away() else FIRST_GROUP)
            while draft.outcomes:
                sent, writing = draft, asyncio.create_task(self._write(draft))
                draft = sent.following()
                await self._decide_while(writing, draft)
                await writing
                self._take(sent)
                draft.before = sent = None
                if not draft.outcomes and not self._is_called_away():
                    await asyncio.sleep(0)  # who was answered may go on
                    self._decide(draft, FIRST_GROUP)
        except BaseException:
            for lost in (draft, sent):
                if lost is not None:
                    self._withdraw(lost)
            if writing is not None:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
            raise
        finally:
            self._wake.set()

    def _decide(self, draft: Draft, most: int) -> None:
        """So many of those who wait, or fewer: what the group has room for."""
        draft.now = max(draft.now, self._clock())
        for _ in range(most):
            if not self._waiting or not has_room(draft):
                return
            pending = self._waiting.popleft()
            if pending.answer.done():
                continue  # nobody waits for it any more: its repeats would be decided, too
            if self._is_cold(pending, draft):
                self._thaw(pending)
            else:
                self._judge.decide(pending, draft)

    async def _decide_while(self, writing: asyncio.Task[None], draft: Draft) -> None:
        """A few at a time, so that the acknowledgement is heard and others have their turn."""
        writing.add_done_callback(lambda _: self._wake.set())
        await asyncio.sleep(0)  # it is to be on its way first
        while not writing.done():
            if self._waiting and has_room(draft) and not self._is_called_away():
                self._decide(draft, DECIDED_AT_ONCE)
                await asyncio.sleep(0)
            else:
                self._wake.clear()
                await self._wake.wait()

    def _is_called_away(self) -> bool:
        """Also by refusals alone, which write nothing, its topics may fall silent."""
        return bool(self._chores or self._silent()) or self._writing is not None or self._checkpoint_due()

    def _withdraw(self, draft: Draft) -> None:
        """As if nothing of it had been decided: who waits is to be told that the tenure is over."""
        for subject in draft.keys:
            self._keyring.withdraw(self._log.partition, subject)
        self._waiting.extendleft(pending for pending, _ in reversed(draft.outcomes))

    async def _write(self, draft: Draft) -> None:
        if draft.keys:
            headers = self._control(DataKeyWrapped)
            entries = [key_entry(subject, wrapped, headers) for subject, wrapped in draft.keys.items()]
            first = (await self._append({KEYS.name: entries}))[KEYS.name]
            for number, (subject, wrapped) in enumerate(draft.keys.items()):
                self._keyring.take(self.partition, first + number, subject, wrapped)
            draft.keys.clear()
        if draft.entries:
            await self._append(draft.entries)
        else:
            await self._confirm()

    def _take(self, draft: Draft) -> None:
        """The broker has acknowledged: the draft is true, and its callers may hear of it."""
        self._chain |= draft.chain
        self._records += sum(map(len, draft.entries.values()))
        for aggregate_id, live in draft.live.items():
            self.memory.put(aggregate_id, live)
            self._snapshots.changed(aggregate_id, live)
        for event, source in draft.directory:
            self._policy.take(event, source, self._log.partition, source.offset)
        for pending, outcome in draft.outcomes:
            if not pending.answer.done():
                if isinstance(outcome, Refused):
                    pending.answer.set_exception(outcome)
                else:
                    pending.answer.set_result(self._answer(pending.order, outcome))

    def _answer(self, order: Order, outcome: Written | Repeated | Quiet) -> Answer:
        if isinstance(outcome, Quiet):
            live = self.memory.get(outcome.aggregate_id)
            assert live is not None, "what takes a command is known"
            given = live.latest()
        else:
            given = outcome.given
        return Answer(
            aggregate_id=outcome.aggregate_id,
            version=given.version,
            command_id=outcome.command_id if isinstance(outcome, Repeated) else order.command_id,
            recorded_at=given.recorded_at,
            position={(AGGREGATES[order.kind].topic, self._log.partition): given.offset + 1},
            events=() if isinstance(outcome, Quiet) else given.events,
            repeated=isinstance(outcome, Repeated),
        )

    # What was let go

    def _is_cold(self, pending: Pending, draft: Draft) -> bool:
        aggregate_id = pending.order.aggregate_id
        if (
            self._cold is None
            or pending.looked_up == self._let_go
            or draft.drafted(aggregate_id) is not None
            or aggregate_id in self.memory
        ):
            return False
        return aggregate_id in self._snapshots.evicted

    def _thaw(self, pending: Pending) -> None:
        wanted = AGGREGATES[pending.order.kind].topic, pending.order.tenant, pending.order.aggregate_id
        if sum(map(len, self._thawing.values())) >= THAWING_LIMIT:
            if not pending.answer.done():
                said = f"{THAWING_LIMIT} commands wait for aggregates that are loaded again"
                pending.answer.set_exception(Unavailable("shard-busy", said))
        elif wanted in self._thawing:
            self._thawing[wanted].append(pending)
        else:
            self._thawing[wanted] = [pending]
            thaw = asyncio.create_task(self._thawed(*wanted))
            self._thaws.add(thaw)
            thaw.add_done_callback(self._thaws.discard)

    async def _thawed(self, topic: str, tenant: str, aggregate_id: str) -> None:
        """Load it; then those who wait for it stand first again. Where it cannot be loaded, they are told."""
        assert self._cold is not None, "what is cold can be loaded"
        try:
            live, let_go = None, -1
            while let_go != self._let_go:  # what was let go meanwhile may be more of it
                let_go, up_to = self._let_go, self._snapshots.evicted_to.get(topic, 0)
                live = thawed(await self._cold.load(topic, self.partition, tenant, aggregate_id, up_to))
        except Exception as failed:
            told = failed
            if not isinstance(failed, Unavailable):
                logger.exception("aggregate not loaded", shard=self.partition, aggregate=aggregate_id)
                told = Unavailable("aggregate-cold", f"{aggregate_id} cannot be loaded now")
            for pending in self._thawing.pop((topic, tenant, aggregate_id)):
                if not pending.answer.done():
                    pending.answer.set_exception(told)
            return
        waited = self._thawing.pop((topic, tenant, aggregate_id), [])
        if self._lost is not None:
            for pending in waited:
                if not pending.answer.done():
                    pending.answer.set_exception(self._not_open())
            return
        if live is not None and aggregate_id not in self.memory:
            self.memory.put(aggregate_id, live)
            self._snapshots.changed(aggregate_id, live)
        for pending in reversed(waited):
            pending.looked_up = let_go
            self._waiting.appendleft(pending)
        self._wake.set()

    # The end

    def _not_open(self) -> Unavailable:
        return Unavailable("shard-not-open", f"shard {self._log.partition} is not open: {self._lost}")

    def _end(self, lost: TenureLost) -> None:
        self._lost = lost
        told = self._not_open()
        for pending in self._waiting:
            if not pending.answer.done():
                pending.answer.set_exception(told)
        for done in [*(done for _, done in self._chores), *self._asked_for, *self._awaited]:
            if not done.done():
                done.set_exception(told)
        for thaw in self._thaws:
            thaw.cancel()
        for waiting in self._thawing.values():
            for pending in waiting:
                if not pending.answer.done():
                    pending.answer.set_exception(told)
        self._waiting.clear()
        self._chores.clear()
        self._asked_for.clear()


def has_room(draft: Draft) -> bool:
    return len(draft.outcomes) < GROUP_LIMIT and draft.size_bytes < GROUP_LIMIT_BYTES


def key_entry(subject: SubjectId, wrapped: bytes, headers: Headers) -> Entry:
    value = catalog.write(DataKeyWrapped(subject=subject, wrapped=wrapped), nothing_personal)
    return subject.encode(), value, headers


def standing_s() -> float:
    """Seconds that go on while the machine is suspended: another may have taken over in its sleep."""
    return clock_gettime(CLOCK_BOOTTIME)


async def in_time[Told](answer: asyncio.Future[Told], partition: int) -> Told:
    """Raises Unavailable where the log does not acknowledge: a repeat of the command meets its first answer."""
    timer = asyncio.get_running_loop().call_later(ANSWER_WITHIN_S, too_late, answer, partition)
    try:
        return await answer
    finally:
        timer.cancel()


def too_late(answer: asyncio.Future[Any], partition: int) -> None:
    if not answer.done():
        said = f"the log acknowledged nothing of shard {partition} within {ANSWER_WITHIN_S:g} s"
        answer.set_exception(Unavailable("log-unavailable", f"{said}; the command may have taken effect all the same"))
