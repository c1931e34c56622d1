"""Owners of one shard on a model broker, interleaved by a schedule, with whatever a network and a scheduler can do.

Nothing here waits: each owner is a coroutine that is driven by hand, a request is a flight whose fate the schedule
draws, time is a number. So a run is its schedule, and the same one plays the same.

What must hold, checked at each step: see `Witness`.
"""

import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from typing import Any

from model_broker import HOUR_S, LAST_EPOCH_GIVEN, NO_ERROR, NOT_LEADER, TIMED_OUT, TOO_LARGE, ModelBroker

from commands.connection import Identity, Told
from commands.log import Entry, Fenced, ShardLog, TenureLost

TOPICS = ("facts", "shards")
TRANSACTIONAL_ID = "logistics.simulated.shard.0"
CONFIRMED_FOR_S = 1.0
"""As commands/shard.py has it: so long after an acknowledged write an owner may answer from memory."""
HEARTBEAT_EVERY_S = 6 * HOUR_S
STUCK_AFTER = 2_000
LONGEST_WITH_STOPPED_CLOCKS_S = 6 * 24 * HOUR_S

type Steps = Coroutine[Any, Any, None]


class Violation(AssertionError):
    """What must never happen has happened."""


@types.coroutine
def turn() -> Generator[None]:
    """Here another one may go first."""
    yield


class Schedule:
    """Numbers that decide what comes next. Zeros at the end: the plain course of things."""

    def __init__(self, drawn: bytes) -> None:
        self._drawn = drawn
        self._at = 0

    @property
    def over(self) -> bool:
        return self._at >= len(self._drawn)

    def below(self, limit: int) -> int:
        if self.over:
            return 0
        self._at += 1
        return self._drawn[self._at - 1] % limit


class Flight:
    """A request on its way: sent, then done by the broker or not, then told or not."""

    def __init__(self, batches: Mapping[str, bytes] | None) -> None:
        self.batches = batches
        """None: it asks for an epoch."""
        self.answer: list[Told] | Identity | None = None
        self.told: list[Told] | Identity | None = None
        self.over = False


class ModelConnection:
    def __init__(self, world: "World", owner: "Owner") -> None:
        self._world, self._owner = world, owner
        self.partition = 0

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def pause(self, seconds: float) -> None:
        await turn()

    async def init_producer_id(self) -> Identity | None:
        flight = await self._flown(None)
        return flight if isinstance(flight, Identity) else None

    async def send(self, batches: Mapping[str, bytes]) -> Sequence[Told]:
        told = await self._flown(dict(batches))
        return told if isinstance(told, list) else []

    async def _flown(self, batches: Mapping[str, bytes] | None) -> list[Told] | Identity | None:
        flight = Flight(batches)
        self._owner.flights.append(flight)
        while not flight.over:
            await turn()
        return flight.told


class Witness:
    """Sees all that the broker takes and all that owners say, and holds it against what was promised.

    1. What is acknowledged stands in the log, once, at the offset that was told, after all that its owner knew, and
       its owner knew all that stands before it.
    2. What one owner wrote stands in the order in which it was decided.
    3. Nothing of an older owner is taken after a newer one's barrier, nor anywhere once a newer one serves.
    4. A batch stands whole. (The broker sees to that; the first promise would not hold without.)
    5. An answer from memory knows all that was acknowledged until a second before it was asked for.
    """

    def __init__(self, broker: ModelBroker) -> None:
        self._broker = broker
        self._numbers: dict[tuple[int, int], int] = {}
        self._serving = -1
        self._barrier = dict.fromkeys(TOPICS, -1)
        self._latest: dict[tuple[str, int], int] = {}
        self._facts: set[int] = set()
        self._acknowledged: list[tuple[float, str, bytes]] = []
        self.acknowledgements = 0

    def epoch_given(self, producer_id: int, epoch: int) -> None:
        self._numbers[producer_id, epoch] = len(self._numbers)

    def number(self, log: ShardLog) -> int:
        """Owners by the order in which they got their epochs."""
        return self._numbers[log.producer_id, log.epoch]

    def serves(self, log: ShardLog) -> None:
        self._serving = max(self._serving, self.number(log))

    def taken(self, topic: str, values: Sequence[bytes]) -> None:
        for value in values:
            kind, number, *rest = value.decode().split()
            owner = int(number)
            if owner < self._barrier[topic]:
                raise Violation(f"{topic}: {kind} of owner {owner} after the barrier of owner {self._barrier[topic]}")
            if owner < self._serving:
                raise Violation(f"{topic}: {kind} of owner {owner} while owner {self._serving} serves")
            if kind == "barrier":
                self._barrier[topic] = owner
            if kind in ("fact", "beat"):
                self._in_order(topic, owner, int(rest[0]))

    def _in_order(self, topic: str, owner: int, fact: int) -> None:
        if fact in self._facts:
            raise Violation(f"{topic}: fact {fact} stands twice")
        if (latest := self._latest.get((topic, owner), -1)) >= fact:
            raise Violation(f"{topic}: fact {fact} of owner {owner} after its fact {latest}")
        self._facts.add(fact)
        self._latest[topic, owner] = fact

    def acknowledged(self, topic: str, offset: int, values: Sequence[bytes], known: Sequence[bytes]) -> None:
        log = self._broker.partitions[topic].log
        if log[offset : offset + len(values)] != list(values):
            raise Violation(f"{topic}: {values} acknowledged at {offset}, where {log[offset:]} stands")
        if log[:offset] != list(known):
            raise Violation(f"{topic}: acknowledged at {offset} by one who knew {len(known)} records before it")
        self._acknowledged += [(self._broker.now_s, topic, value) for value in values]
        self.acknowledgements += 1

    def answered(self, known: Mapping[str, Sequence[bytes]], asked_s: float) -> None:
        for at_s, topic, value in self._acknowledged:
            if at_s < asked_s - CONFIRMED_FOR_S and value not in known[topic]:
                raise Violation(f"{topic}: an answer from memory does not know {value!r}")

    def all_stand(self) -> None:
        for _, topic, value in self._acknowledged:
            if value not in self._broker.partitions[topic].log:
                raise Violation(f"{topic}: {value!r} was acknowledged and does not stand")


class Owner:
    """A process that owns the shard, or believes so: what commands/opening.py and commands/shard.py do, in small."""

    log_class: type[ShardLog] = ShardLog
    connection_class: type[ModelConnection] = ModelConnection

    def __init__(self, world: "World") -> None:
        self.world = world
        self.log: ShardLog | None = None
        self.known: dict[str, list[bytes]] = {}
        self.serving = self.fenced = self.frozen = self.clock_stands = False
        self.behind_s = 0.0
        self.confirmed_s = 0.0
        self.steps: Steps | None = None
        self.flights: list[Flight] = []

    @property
    def flight(self) -> Flight | None:
        """What it waits for."""
        return self.flights[0] if self.flights else None

    def clock(self) -> float:
        return self.world.broker.now_s - self.behind_s

    # What it does

    async def open(self) -> None:
        self.serving = self.fenced = False
        log = self.log = self.log_class(self.connection_class(self.world, self), self.clock)
        await self.take_epoch(log)
        await self.retire(log, self.found())
        asked_s = self.clock()
        stand = await self.bar(log)
        self.known = self.read_up(stand)
        self.confirmed_s = asked_s
        self.world.witness.serves(log)
        self.serving = True

    async def take_epoch(self, log: ShardLog) -> None:
        await log.take_epoch()

    def found(self) -> dict[str, int]:
        """The producer id of each topic's latest barrier."""
        self.known = self.world.read()
        return {topic: found for topic in TOPICS if (found := barrier_of(self.known[topic])) is not None}

    async def retire(self, log: ShardLog, found: Mapping[str, int]) -> None:
        replaced = await log.replaced(found)
        await log.retire(replaced, dict.fromkeys(replaced, self.entry("retired", log.producer_id)))

    async def bar(self, log: ShardLog) -> Mapping[str, int]:
        return await log.barriers(dict.fromkeys(TOPICS, self.entry("barrier", log.producer_id)))

    def read_up(self, barriers: Mapping[str, int]) -> dict[str, list[bytes]]:
        return self.world.read(barriers)

    async def append(self, topics: Sequence[str], count: int) -> None:
        assert self.log is not None, "open first"
        groups = {t: [self.entry("fact", self.world.next_fact()) for _ in range(count)] for t in topics}
        await self.write(groups)

    async def answer(self) -> None:
        asked_s = self.world.broker.now_s
        if self.clock() - self.confirmed_s > CONFIRMED_FOR_S:
            await self.beat(TOPICS[-1:])
        self.world.witness.answered(self.known, asked_s)

    async def beat(self, topics: Sequence[str] = TOPICS) -> None:
        assert self.log is not None, "open first"
        groups = {t: [self.entry("beat", self.world.next_fact())] for t in topics}
        await self.write(groups)

    async def idle(self) -> None:
        """Six hours without a word."""
        await self.beat()

    async def write(self, groups: Mapping[str, Sequence[Entry]]) -> None:
        assert self.log is not None, "open first"
        asked_s = self.clock()
        self.acknowledge(groups, await self.log.append(groups))
        self.confirmed_s = asked_s

    def acknowledge(self, groups: Mapping[str, Sequence[Entry]], stand: Mapping[str, int | None]) -> None:
        for topic, offset in stand.items():
            if offset is None:  # too large
                continue
            values = [value or b"" for _, value, _ in groups[topic]]
            self.world.witness.acknowledged(topic, offset, values, self.known[topic])
            self.known[topic] += values

    def entry(self, kind: str, number: int) -> Entry:
        assert self.log is not None, "open first"
        return b"key", f"{kind} {self.world.witness.number(self.log)} {number}".encode(), []

    # How it is driven

    def begin(self, doing: Callable[..., Awaitable[None]], *told: Any) -> None:
        self.steps = self._guarded(doing, *told)
        self.step()

    async def _guarded(self, doing: Callable[..., Awaitable[None]], *told: Any) -> None:
        try:
            await doing(*told)
        except TenureLost as lost:
            self.serving, self.fenced = False, isinstance(lost, Fenced)

    def step(self) -> None:
        assert self.steps is not None, "begin first"
        try:
            self.steps.send(None)
        except StopIteration:
            self.steps = None


def barrier_of(values: Sequence[bytes]) -> int | None:
    """The producer id of the last one."""
    barriers = [value for value in values if value.startswith(b"barrier ")]
    return int(barriers[-1].split()[2]) if barriers else None


class World:
    """`topics_emptied`: somebody trims the log, which ours forbids."""

    def __init__(
        self,
        schedule: Schedule,
        owner: Callable[["World"], Owner] = Owner,
        owners: int = 3,
        topics_emptied: bool = False,
    ) -> None:
        self.schedule = schedule
        self._topics_emptied = topics_emptied
        self.clocks_may_stand = schedule.below(4) == 3
        """As of a suspended machine. Then no id changes: see `_let_pass`."""
        epochs_left = (LAST_EPOCH_GIVEN, 1, 2)[0 if self.clocks_may_stand else schedule.below(3)]
        self.broker = ModelBroker(TOPICS, LAST_EPOCH_GIVEN - epochs_left)
        self.witness = Witness(self.broker)
        self._facts = 0
        self._late: list[Flight] = []
        self.owners = [owner(self) for _ in range(owners)]
        self.steps = 0

    # What owners see of it

    def read(self, barriers: Mapping[str, int] | None = None) -> dict[str, list[bytes]]:
        """The log, up to the barriers and with them."""
        ends = {topic: None if barriers is None else barriers[topic] + 1 for topic in TOPICS}
        return {topic: self.broker.partitions[topic].log[: ends[topic]] for topic in TOPICS}

    def next_fact(self) -> int:
        self._facts += 1
        return self._facts

    # The run

    def run(self) -> None:
        """Raises Violation."""
        self._finish(self.owners[0], self.owners[0].open)
        while not self.schedule.over:
            self._next()
        self._conclude()

    def _next(self) -> None:
        self.steps += 1
        what, owner = self.schedule.below(32), self.owners[self.schedule.below(len(self.owners))]
        match what:
            case 17 | 18 | 19 | 20 | 21:
                self._spoil(owner)
            case 22 | 23:
                self._freeze(owner)
            case 24 | 25:
                owner.frozen = owner.clock_stands = False
            case 26 | 27:
                self._open(owner)
            case 28:
                self._deliver_late()
            case 16 | 29:
                self.broker.now_s += 2
            case 30:
                self._let_pass((7, 26, 26, 8 * 24)[self.schedule.below(4)] * HOUR_S)
            case 31:
                self._trouble_at_the_leader()
            case _:
                self._go(owner)

    def _go(self, owner: Owner) -> None:
        if owner.frozen:
            return
        if owner.steps is None:
            self._begin(owner)
        elif owner.flight is None:
            owner.step()
        elif owner.flight.answer is None:
            self._deliver(owner.flight)
        else:
            self._tell(owner, owner.flight.answer)

    def _begin(self, owner: Owner) -> None:
        if not owner.serving:
            if not owner.fenced:
                owner.begin(owner.open)
            return
        match self.schedule.below(6):
            case 3 | 4 if not self.clocks_may_stand:
                owner.begin(owner.answer)
            case 5:
                owner.begin(owner.append, TOPICS, 2)
            case which:
                owner.begin(owner.append, [TOPICS[which % 2]], 1 + which // 2)

    def _open(self, owner: Owner) -> None:
        """As if started anew: what it was about is forgotten, what it had sent may still arrive."""
        if owner.frozen:
            return
        self._late += [flight for flight in owner.flights if flight.answer is None]
        owner.flights.clear()
        if owner.steps is not None:
            owner.steps.close()
        owner.begin(owner.open)

    def _freeze(self, owner: Owner) -> None:
        owner.frozen = True
        owner.clock_stands = self.clocks_may_stand and self.schedule.below(2) == 1

    def _trouble_at_the_leader(self) -> None:
        partition = self.broker.partitions[TOPICS[self.schedule.below(len(TOPICS))]]
        match self.schedule.below(3):
            case 2:
                partition.log.append(b"stranger's %d" % self.next_fact())
            case 1 if self._topics_emptied:
                partition.empty()
                partition.reload()
            case _:
                partition.reload()

    # Flights

    def _deliver(self, flight: Flight) -> None:
        if flight.batches is None:
            producer_id, epoch = self.broker.init_producer_id(TRANSACTIONAL_ID)
            self.witness.epoch_given(producer_id, epoch)
            flight.answer = Identity(NO_ERROR, producer_id, epoch)
        else:
            flight.answer = [self._append(topic, data) for topic, data in flight.batches.items()]

    def _append(self, topic: str, data: bytes) -> Told:
        log = self.broker.partitions[topic].log
        end = len(log)
        code, offset = self.broker.append(topic, data)
        self.witness.taken(topic, log[end:])
        return Told(topic, code, offset)

    def _tell(self, owner: Owner, told: list[Told] | Identity | None) -> None:
        flight = owner.flights.pop(0)
        flight.told, flight.over = told, True

    def _spoil(self, owner: Owner) -> None:
        """Something happens to what it has sent."""
        flight = owner.flight
        if flight is None:
            return
        fate = self.schedule.below(8)
        if flight.answer is not None or fate == 0:  # lost: the answer, or the request
            self._tell(owner, None)
        elif fate == 1 or flight.batches is None:
            self._late.append(flight)
            self._tell(owner, None)
        elif fate in (2, 3, 4):
            self._time_out(owner, flight, flight.batches, ("before", "never", "later")[fate - 2])
        elif fate in (5, 6):  # not the leader any more; or for a moment the topic takes less
            self._tell(owner, [Told(topic, (NOT_LEADER, TOO_LARGE)[fate - 5], -1) for topic in flight.batches])
        else:
            first = next(iter(flight.batches))
            self._tell(owner, [self._append(first, flight.batches[first])])

    def _time_out(self, owner: Owner, flight: Flight, batches: Mapping[str, bytes], written: str) -> None:
        """The leader did not hear from its replicas in time: it says so, with the offset that the batch would have."""
        told = [Told(topic, TIMED_OUT, len(self.broker.partitions[topic].log)) for topic in batches]
        if written == "before":
            for topic, data in batches.items():
                self._append(topic, data)
        if written == "later":
            self._late.append(flight)
        self._tell(owner, told)

    def _deliver_late(self) -> None:
        if self._late:
            self._deliver(self._late.pop(self.schedule.below(len(self._late))))

    # Time

    def _let_pass(self, seconds: float) -> None:
        """Hours or days: who is awake finishes and beats, what is on its way arrives, connections break.

        Two things are believed not to come together: a machine that stood still for a day with its clock, and a
        changed producer id; nor that it was alone in that time.
        """
        if self.clocks_may_stand:
            seconds = min(seconds, LONGEST_WITH_STOPPED_CLOCKS_S - self.broker.now_s)
        self._arrive()
        until_s = self.broker.now_s + seconds
        while self.broker.now_s < until_s:
            awake = [owner for owner in self.owners if not owner.frozen]
            for owner in awake:
                if owner.steps is not None:
                    self._finish(owner)
                if owner.serving:
                    self._finish(owner, owner.idle)
            if self.clocks_may_stand and not any(owner.serving for owner in awake):
                return
            passed_s = min(HEARTBEAT_EVERY_S, until_s - self.broker.now_s)
            self.broker.now_s += passed_s
            for owner in self.owners:
                owner.behind_s += passed_s if owner.clock_stands else 0

    def _arrive(self) -> None:
        for owner in self.owners:
            while owner.frozen and owner.flight is not None:
                if owner.flight.answer is None:
                    self._deliver(owner.flight)
                self._tell(owner, None)
        while self._late:
            self._deliver(self._late.pop(0))

    def _finish(self, owner: Owner, doing: Callable[..., Awaitable[None]] | None = None, *told: Any) -> None:
        if doing is not None:
            owner.begin(doing, *told)
        for _ in range(STUCK_AFTER):
            if owner.steps is None:
                return
            self._go(owner)
        raise Violation(f"an owner finds no end in {STUCK_AFTER} steps")

    def _conclude(self) -> None:
        """Everyone wakes, everything arrives; then the first one opens anew, knows everything, and can write."""
        for owner in self.owners:
            owner.frozen = owner.clock_stands = False
            if owner.steps is not None:
                self._finish(owner)
        while self._late:
            self._deliver(self._late.pop(0))
        self.witness.all_stand()
        last = self.owners[0]
        for doing in (last.open, last.append):
            self._finish(last, doing, *([TOPICS, 2] if doing == last.append else []))
            if not last.serving:
                raise Violation("the only owner that is left cannot open and write")
        self.witness.answered(last.known, self.broker.now_s)
        self.witness.all_stand()
