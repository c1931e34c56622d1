"""Two of three brokers are killed, or all: nothing is acknowledged, callers hear so, and all recovers by itself."""

import asyncio

import pytest
from customers import ordering
from three_brokers import ThreeBrokers, writing
from world import PARTITIONS, World, records

from commands.order import Unavailable
from schemas.topics import TASK

FIRST = -1
"""The customer who was there before the others."""


async def test_nothing_is_acknowledged_until_they_are_back(brokers: ThreeBrokers):
    topic = await brokers.topic()
    async with writing(brokers, topic) as writer:
        leader, follower = await brokers.leader(topic), await brokers.follower(topic)
        await brokers.kill(leader, follower)
        await asyncio.sleep(0.5)
        before = len(writer.journal)
        await asyncio.sleep(3)
        assert len(writer.journal) == before
        await brokers.back(leader, follower)


async def test_a_caller_hears_that_nobody_can_tell_and_the_same_command_meets_its_first_answer(
    brokers: ThreeBrokers, world: World
):
    shards = await world.owner()
    await world.settle(shards)
    lost = [await brokers.leader(TASK.name), await brokers.follower(TASK.name)]
    await brokers.kill(*lost)
    asking = asyncio.create_task(world.create(shards, "order-1"))
    await asyncio.sleep(0.2)
    told = await asyncio.gather(asking, shards.accounts(), return_exceptions=True)
    assert [isinstance(each, Unavailable) and each.code for each in told] == ["log-unavailable"] * 2
    await brokers.back(*lost)
    answer = await world.create(shards, "order-1")
    assert (answer.repeated, answer.version) == (True, 2)
    mine = [r for r in await records(world.kafka, TASK.name) if r.key == answer.aggregate_id.encode()]
    assert len(mine) == 2
    assert len(await shards.accounts()) == PARTITIONS


async def test_customers_who_ask_again_and_again_are_told_once_they_are_back(brokers: ThreeBrokers, world: World):
    shards = await world.owner()
    await world.settle(shards)
    async with ordering(world, shards) as customers:
        lost = [await brokers.leader(TASK.name), await brokers.follower(TASK.name)]
        await brokers.kill(*lost)
        async with asyncio.timeout(30):
            while not customers.turned_away:  # noqa: ASYNC110 - the customers' own pace
                await asyncio.sleep(0.1)
        await brokers.back(*lost)
    codes = {nobody.code for nobody in customers.turned_away}
    assert codes <= {"log-unavailable", "directory-lagging"}, "the directory cannot be read either"
    assert "log-unavailable" in codes


async def test_a_shard_that_opens_again_while_no_broker_runs_opens_once_they_are_back(
    brokers: ThreeBrokers, world: World
):
    shards = await world.owner()
    await world.settle(shards)
    for shard in shards.shards().values():
        shard._log.next_offset[TASK.name] += 7
    with pytest.raises(Unavailable, match="not open"):
        await world.create(shards, "order-1")
    await brokers.kill(*brokers.nodes)
    await asyncio.sleep(3)
    await brokers.back(*brokers.nodes)
    async with ordering(world, shards) as customers:
        customers.answers[FIRST].append(await customers.insist("order-1"))
