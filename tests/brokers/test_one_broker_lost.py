"""One of three brokers is killed while a shard's log is written: whoever it is, nothing is lost and nothing doubled."""

import asyncio

from customers import ordering
from three_brokers import ThreeBrokers, writing
from world import World

from schemas.topics import TASK


async def test_the_leader_is_killed_and_comes_back(brokers: ThreeBrokers):
    topic = await brokers.topic()
    async with writing(brokers, topic) as writer:
        leader = await brokers.leader(topic)
        await brokers.kill(leader)
        await writer.more()
        assert await brokers.leader(topic) != leader
        await brokers.back(leader)


async def test_a_follower_is_killed_and_comes_back(brokers: ThreeBrokers):
    topic = await brokers.topic()
    async with writing(brokers, topic) as writer:
        follower = await brokers.follower(topic)
        await brokers.kill(follower)
        await writer.more()
        await brokers.back(follower)


async def test_the_active_controller_is_killed_and_comes_back(brokers: ThreeBrokers):
    topic = await brokers.topic()
    async with writing(brokers, topic) as writer:
        controller = brokers.controller()
        await brokers.kill(controller)
        await writer.more()
        await brokers.back(controller)
        assert brokers.controller() != controller


async def test_the_disk_of_the_leader_is_full_and_it_comes_back_with_more_room(brokers: ThreeBrokers):
    topic = await brokers.topic()
    async with writing(brokers, topic) as writer:
        leader = await brokers.leader(topic)
        await brokers.fill_disk(leader)
        assert "File too large" in brokers.nodes[leader].child.tail(200)
        await writer.more()
        await brokers.back(leader)


async def test_customers_hear_their_answers_though_the_leader_of_their_tasks_is_killed(
    brokers: ThreeBrokers, world: World
):
    shards = await world.owner()
    await world.settle(shards)
    async with ordering(world, shards) as customers:
        leader = await brokers.leader(TASK.name)
        await brokers.kill(leader)
        await customers.more()
        await brokers.back(leader)
    assert customers.turned_away == []


async def test_a_new_owner_opens_though_the_broker_that_gives_out_its_epoch_is_killed(
    brokers: ThreeBrokers, world: World
):
    first = await world.owner()
    await world.settle(first)
    async with ordering(world, first) as customers:
        coordinator = await brokers.coordinator(f"logistics.{world.cluster}.shard.0")
        opening = asyncio.create_task(world.owner())
        await brokers.kill(coordinator)
        customers.shards = await opening
        await customers.more()
        await brokers.back(coordinator)
