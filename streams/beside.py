"""Follows facts side by side that take long, and tells up to where of each topic and partition all are through."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from prometheus_client import Gauge

from schemas.record import Stored
from streams.turns import Bounds, Turns

MOST_WAITING = 10_000
"""Facts that wait in memory for their turn, some 50 MB of addresses; behind them the log is read no further."""

WAITING = Gauge("logistics_beside_waiting", "Facts that wait until it is their tenant's turn", ["group"])
UNDER_WAY = Gauge("logistics_beside_under_way", "Facts that somebody outside is being asked for", ["group"])

type Place = tuple[str, int]
type Follow = Callable[[Stored], Awaitable[None]]


class Beside:
    """`follow` returns once a fact is through; what it raises ends the `tasks`. What it does not concern is through."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        group: str,
        concerns: Callable[[Stored], bool],
        follow: Follow,
        bounds: Bounds | None = None,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._tasks = tasks
        self._waiting, self._under_way = WAITING.labels(group), UNDER_WAY.labels(group)
        self._concerns, self._follow = concerns, follow
        self._most_waiting = most_waiting
        self._turns = Turns(bounds or Bounds())
        self._through = Through()
        self._room, self._moved = asyncio.Event(), asyncio.Event()

    async def take(self, fetched: Mapping[Place, Sequence[Stored]]) -> None:
        """Returns once there was room for each."""
        for records in fetched.values():
            for stored in records:
                await self._one_more(stored)
            self._moved.set()

    async def moved(self) -> dict[Place, int]:
        """Of the places that have moved since the last time the next offset, once there is one. All before it are
        through."""
        await self._moved.wait()
        self._moved.clear()
        return self._through.moved()

    async def _one_more(self, stored: Stored) -> None:
        if not self._concerns(stored):
            self._through.read(stored, waits=False)
            return
        await self._has_room()
        self._turns.add(stored)
        self._through.read(stored, waits=True)
        self._begin()

    async def _has_room(self) -> None:
        while self._turns.waiting >= self._most_waiting:
            self._room.clear()
            await self._room.wait()

    def _begin(self) -> None:
        while (stored := self._turns.next()) is not None:
            self._tasks.create_task(self._one(stored))
            self._room.set()
        self._waiting.set(self._turns.waiting)
        self._under_way.set(self._turns.underway)

    async def _one(self, stored: Stored) -> None:
        await self._follow(stored)
        self._turns.done(stored)
        self._through.done(stored)
        self._moved.set()
        self._begin()


class Through:
    """Up to where all are through, of each place."""

    def __init__(self) -> None:
        self._read: dict[Place, int] = {}
        self._open: dict[Place, dict[int, None]] = {}
        """Offsets that are not through yet, the first of them first."""
        self._told: dict[Place, int] = {}

    def read(self, stored: Stored, *, waits: bool) -> None:
        place = stored.topic, stored.partition
        self._read[place] = stored.offset + 1
        if waits:
            self._open.setdefault(place, {})[stored.offset] = None

    def done(self, stored: Stored) -> None:
        del self._open[stored.topic, stored.partition][stored.offset]

    def moved(self) -> dict[Place, int]:
        at = {place: next(iter(self._open.get(place, ())), after) for place, after in self._read.items()}
        fresh = {place: after for place, after in at.items() if self._told.get(place) != after}
        self._told |= fresh
        return fresh
