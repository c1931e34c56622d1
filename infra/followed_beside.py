"""Facts that wait for somebody outside: for an address, a way, travel times. They are followed beside all others."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import TopicPartition

from infra.followed_facts import AT_ONCE, FollowedFacts, Pool, until_postgres
from schemas.record import Stored
from schemas.topics import DISPATCH, TASK
from streams.beside import Beside
from streams.runner import Runner
from streams.turns import Bounds


class Group(msgspec.Struct, frozen=True):
    """Of processes that are followed together."""

    name: str
    """On metrics."""
    kept_in: str
    """The table of its places: one of its own, and not a column. An older release that comes back reads the others' as
    they always were."""
    topics: Sequence[str]
    """Whose facts it follows."""
    bounds: Bounds


ASKS = Group("addresses_and_ways", "asking_positions", (TASK.name, DISPATCH.name), Bounds())
DECIDES = Group("decisions", "deciding_positions", (TASK.name,), Bounds(of_a_line=1))
"""Of a tenant one at a time in each partition: the next one knows whom the last one has asked."""
GROUPS = (ASKS, DECIDES)


async def at_once(stored: Stored) -> None:
    """Nothing is waited for."""


class FollowedBeside:
    """`runner` follows one fact; many are under way, within bounds (see Turns). A place advances once all before it are
    through: what was under way when this ended is followed again."""

    def __init__(
        self,
        args: Mapping[str, Any],
        pool: Pool,
        partitions: int,
        group: Group,
        runner: Runner,
        begins: Callable[[Stored], Awaitable[None]] = at_once,
    ) -> None:
        """`begins` is called in the asyncio task of each fact, before it is followed."""
        self._begins = begins
        self._followed = FollowedFacts(args, pool, group.kept_in, group.topics, partitions, before=AT_ONCE)
        self._group, self._runner = group, runner

    async def start(self) -> None:
        await self._followed.start()

    async def run(self) -> None:
        """Until it is cancelled. Raises what a fact ended with."""
        async with asyncio.TaskGroup() as tasks:
            beside = Beside(tasks, self._group.name, self._runner.concerns, self._fact, self._group.bounds)
            tasks.create_task(self._read(beside))
            tasks.create_task(self._keep_places(beside))

    async def stop(self) -> None:
        await self._followed.stop()

    async def caught_up(self, ends: Mapping[TopicPartition, int]) -> bool:
        return await self._followed.caught_up(ends)

    async def _read(self, beside: Beside) -> None:
        while True:
            await beside.take(await self._followed.fetch())

    async def _keep_places(self, beside: Beside) -> None:
        while True:
            await self._followed.advance(await beside.moved())

    async def _fact(self, stored: Stored) -> None:
        await self._begins(stored)
        await until_postgres(lambda: self._runner.fact(stored))
