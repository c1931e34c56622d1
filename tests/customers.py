"""Customers who order one thing after the other, and ask again for as long as nobody can tell them."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from world import World, records, verify_chain

from commands.order import Answer, Unavailable
from commands.owners import Shards
from schemas.record import envelope_of
from schemas.topics import HISTORY, TASK

CUSTOMERS = 8
ANSWERED_WITHIN_S = 60


class Customers:
    """All of them ask at `shards`, which may be other shards from one moment to the next."""

    def __init__(self, world: World, shards: Shards) -> None:
        self.world, self.shards = world, shards
        self.answers: dict[int, list[Answer]] = defaultdict(list)
        """Of each customer, in the order of the questions."""
        self.turned_away: list[Unavailable] = []
        self._ordering: list[asyncio.Task[None]] = []
        self._stopping = False

    def start(self) -> None:
        self._ordering = [asyncio.create_task(self._order(customer)) for customer in range(CUSTOMERS)]

    async def _order(self, customer: int) -> None:
        number = 0
        while not self._stopping:
            self.answers[customer].append(await self.insist(f"customer-{customer}-{number}"))
            number += 1

    async def insist(self, reference: str) -> Answer:
        """Asked until somebody can tell."""
        while True:
            try:
                return await self.world.create(self.shards, reference)
            except Unavailable as nobody:
                self.turned_away.append(nobody)
                await asyncio.sleep(0.05)

    def answered(self) -> int:
        return sum(map(len, self.answers.values()))

    async def more(self, count: int = 200) -> None:
        """Until so many more are answered."""
        wanted = self.answered() + count
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while self.answered() < wanted:
                for ended in filter(asyncio.Task.done, self._ordering):
                    ended.result()
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self._stopping = True
        await asyncio.gather(*self._ordering)

    def leave(self) -> None:
        """Whether or not they were answered."""
        for task in self._ordering:
            task.cancel()

    async def verify(self) -> None:
        """What was answered stands on the log once, where it was said, in each customer's order, and nothing else."""
        stored = await records(self.world.kafka, TASK.name)
        mine = [r for r in stored if not r.is_control and envelope_of(r).tenant == self.world.tenant]
        versions: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for record in mine:
            envelope = envelope_of(record)
            versions[envelope.aggregate_id].append((envelope.version, record.offset))
        for answers in self.answers.values():
            latest: dict[tuple[str, int], int] = {}
            for answer in answers:
                ((place, end),) = answer.position.items()
                assert versions.pop(answer.aggregate_id) == [(1, end - 2), (2, end - 1)]
                assert end > latest.get(place, 0)
                latest[place] = end
        assert versions == {}, "nobody was told of these"
        for topic in HISTORY:
            verify_chain(await records(self.world.kafka, topic.name))


@asynccontextmanager
async def ordering(world: World, shards: Shards) -> AsyncIterator[Customers]:
    """Customers who have begun; at the end they stop, and the log is what they were told."""
    customers = Customers(world, shards)
    customers.start()
    try:
        await customers.more()
        yield customers
        await customers.more()
        await customers.stop()
    finally:
        customers.leave()
    await customers.verify()
