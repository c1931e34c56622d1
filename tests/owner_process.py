"""Shards in a process of their own, which can be frozen: it is told orders by its input and says what became of them.

`python owner_process.py KAFKA CLUSTER TENANT CONFIRMED_FOR_S`; then each line is `create REFERENCE`, `cancel REFERENCE`
or `locate REFERENCE` (a stop that is not there, of a task that was just created).
"""

import asyncio
import sys

from world import HOME, World

from commands import shard
from commands.order import Answer, Unavailable
from commands.owners import Shards
from schemas.message import Refused, StopId, TenantSlug
from schemas.task import CancelTask, LocateStop


async def outcome(world: World, shards: Shards, what: str, reference: str) -> str:
    try:
        answer = await done(world, shards, what, reference)
    except Unavailable:
        return "unavailable"
    except Refused as refused:
        return type(refused).__name__
    return f"version {answer.version}"


async def done(world: World, shards: Shards, what: str, reference: str) -> Answer:
    task = world.task(reference)
    match what:
        case "create":
            return await world.create(shards, reference)
        case "cancel":
            return await shards.submit(world.order("task", task, CancelTask(reason_code="changed_mind"), "cancel"))
        case _:
            nowhere = LocateStop(stop_id=StopId("nowhere"), location=HOME)
            return await shards.submit(world.order("task", task, nowhere, "locate", expected_version=2))


async def main(kafka: str, cluster: str, tenant: str, confirmed_for_s: str) -> None:
    shard.TENURE_CONFIRMED_FOR_S = float(confirmed_for_s)
    world = World(kafka, cluster, TenantSlug(tenant))
    shards = await world.owner()
    print("open", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(await outcome(world, shards, *line.split()), flush=True)
    await shards.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
