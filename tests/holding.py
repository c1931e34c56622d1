"""A shard whose writes are held, so that a test says what happens meanwhile."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from world import PARTITIONS, World

from commands.judging import Draft, Pending
from commands.log import Entry
from commands.owners import Shards
from commands.shard import Shard
from schemas.partition import partition_of
from schemas.topics import KEYS, SNAPSHOTS, TASK

type Groups = Mapping[str, Sequence[Entry]]


class Held:
    """The first of a shard's writes that `when` is true of waits until it is let through.

    Where it is held `after`, it has been written, but its shard has not heard of it.
    """

    def __init__(self, held: Shard, when: Callable[[Groups], bool], *, after: bool = False) -> None:
        self._append = held._log.append
        self._when = when
        self._after = after
        self._through = asyncio.Event()
        self.reached = asyncio.Event()
        held._log.append = self._held  # type: ignore[method-assign]

    def let_through(self) -> None:
        self._through.set()

    async def _held(self, groups: Groups) -> Mapping[str, int | None]:
        if self.reached.is_set() or not self._when(groups):
            return await self._append(groups)
        stand = await self._append(groups) if self._after else None
        self.reached.set()
        await self._through.wait()
        return await self._append(groups) if stand is None else stand


def of_keys(groups: Groups) -> bool:
    return KEYS.name in groups


def of_tasks(groups: Groups) -> bool:
    return TASK.name in groups


def of_snapshots(groups: Groups) -> bool:
    return SNAPSHOTS.name in groups


def ends_a_checkpoint(groups: Groups) -> bool:
    return any((key or b"").startswith(b"checkpoint-") for key, _, _ in groups.get(SNAPSHOTS.name, []))


async def until(come: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not come():  # noqa: ASYNC110 - of what no event tells
            await asyncio.sleep(0.02)


def references_on(world: World, partition: int) -> list[str]:
    """Of tasks that would be in this shard."""
    names = (f"there-{number}" for number in range(100))
    return [name for name in names if partition_of(world.task(name), PARTITIONS) == partition]


def partition_with(world: World, reference: str) -> int:
    return partition_of(world.task(reference), PARTITIONS)


class OnItsWay:
    """A create that is decided and not written yet; what is submitted meanwhile rests on it."""

    def __init__(self, world: World, shards: Shards, reference: str) -> None:
        self.partition = partition_with(world, reference)
        self.shard = shards.shards()[self.partition]
        self._held = Held(self.shard, of_tasks)
        self._decide = self.shard._judge.decide
        self._count = 0
        self.shard._judge.decide = self._counted  # type: ignore[method-assign]
        self.creating = asyncio.ensure_future(world.create(shards, reference))
        self.let_through = self._held.let_through

    def _counted(self, pending: Pending, draft: Draft) -> None:
        self._decide(pending, draft)
        self._count += 1

    async def decided(self, count: int) -> None:
        """So many besides the create."""
        await self._held.reached.wait()
        await until(lambda: self._count == 1 + count)
