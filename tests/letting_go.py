"""What an owner lets go since it has been over for a day, and where that is found again."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from world import World, now, records

from commands.checkpoint import EVICTED_AFTER
from commands.cold import Cold
from commands.owners import Shards
from schemas.record import Stored
from schemas.task import CancelTask

CANCEL = CancelTask(reason_code="changed_mind")


class Watch:
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return now() + self.ahead

    def a_day_later(self) -> None:
        self.ahead += EVICTED_AFTER + timedelta(minutes=1)


class OnTheLog:
    """Loads what was let go from the log itself, as long as `fails` is not set."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self.asked: list[str] = []
        self.fails: Exception | None = None
        self.waits: asyncio.Event | None = None

    async def load(self, topic: str, partition: int, tenant: str, aggregate_id: str, up_to: int) -> Sequence[Stored]:
        self.asked.append(aggregate_id)
        if self.waits is not None:
            await self.waits.wait()
        if self.fails is not None:
            raise self.fails
        return [r for r in await records(self._kafka, topic) if r.key == aggregate_id.encode()]


async def checkpointed(shards: Shards) -> None:
    await asyncio.gather(*(s.checkpoint() for s in shards.shards().values()))


def held(shards: Shards) -> set[str]:
    return {aggregate_id for s in shards.shards().values() for aggregate_id in s.memory.ids()}


async def let_go(world: World, cold: Cold) -> Shards:
    """Four tasks cancelled a day ago, order-0 to order-3; others that are not over; the owner holds only the latter."""
    world.clock = watch = Watch()
    shards = await world.owner(cold)
    await world.settle(shards)
    for number in range(4):
        await world.create(shards, f"order-{number}")
        await shards.submit(world.order("task", world.task(f"order-{number}"), CANCEL, "cancel"))
    await world.create(shards, "still live")
    watch.a_day_later()
    await world.create(shards, "later")
    await checkpointed(shards)
    assert world.task("still live") in held(shards)
    assert not held(shards) & {world.task(f"order-{n}") for n in range(4)}
    return shards
