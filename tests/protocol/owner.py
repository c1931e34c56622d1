"""An owner of the simulated shard: a coroutine that is driven by hand, over a connection whose requests are flights."""

import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from protocol.witness import CONFIRMED_FOR_S, TOPICS

from commands.connection import Identity, Told
from commands.log import Entry, Fenced, ShardLog, TenureLost

if TYPE_CHECKING:
    from protocol.simulation import World

type Steps = Coroutine[Any, Any, None]


@types.coroutine
def turn() -> Generator[None]:
    """Here another one may go first."""
    yield


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
        if self.clock() - self.confirmed_s > CONFIRMED_FOR_S and not await self.beat(TOPICS[-1:]):
            return
        self.world.witness.answered(self.known, asked_s)

    async def beat(self, topics: Sequence[str] = TOPICS) -> bool:
        assert self.log is not None, "open first"
        return await self.write({t: [self.entry("beat", self.world.next_fact())] for t in topics})

    async def idle(self) -> None:
        """Six hours without a word."""
        await self.beat()

    async def write(self, groups: Mapping[str, Sequence[Entry]]) -> bool:
        """Whether all stands: what is too large does not, and confirms nothing."""
        assert self.log is not None, "open first"
        asked_s = self.clock()
        told = await self.log.append(groups)
        stand = {topic: offset for topic, offset in told.items() if offset is not None}
        self.acknowledge(groups, stand)
        if len(stand) < len(groups):
            return False
        self.confirmed_s = asked_s
        return True

    def acknowledge(self, groups: Mapping[str, Sequence[Entry]], stand: Mapping[str, int]) -> None:
        for topic, offset in stand.items():
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
