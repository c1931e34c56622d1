"""Facts that somebody outside is asked for: where an address is, and for a way. They are followed beside all others."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

from infra.followed_facts import ASKING, AT_ONCE, FollowedFacts, Pool, until_postgres
from schemas.record import Stored
from schemas.topics import DISPATCH, TASK
from streams.beside import Beside
from streams.runner import Runner

ASKED_FOR_IN: Sequence[str] = (TASK.name, DISPATCH.name)
"""Topics whose facts ask."""


class Asking:
    """`runner` follows one fact; many are under way, within bounds (see Turns). A place advances once all before it are
    through: what was under way when this ended is asked again."""

    def __init__(self, args: Mapping[str, Any], pool: Pool, partitions: int, runner: Runner) -> None:
        self._followed = FollowedFacts(args, pool, ASKING, ASKED_FOR_IN, partitions, before=AT_ONCE)
        self._runner = runner

    async def start(self) -> None:
        await self._followed.start()

    async def run(self) -> None:
        """Until it is cancelled. Raises what a fact ended with."""
        async with asyncio.TaskGroup() as group:
            beside = Beside(group, self._runner.concerns, self._fact)
            group.create_task(self._read(beside))
            group.create_task(self._keep_places(beside))

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
        await until_postgres(lambda: self._runner.fact(stored))
