"""Who follows facts goes on from the places that are kept, each follower from its own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from world import PARTITIONS, World, records

from infra.followed_beside import ASKS
from infra.followed_facts import ADVANCE, AT_ONCE, STORED, FollowedFacts, places_in
from schemas.topics import TASK

type Pool = AsyncConnectionPool[AsyncConnection[Any]]


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[Pool]:
    async with AsyncConnectionPool(postgres, min_size=1, max_size=2, open=False) as made:
        yield made


@asynccontextmanager
async def followed(world: World, pool: Pool, table: str, before: str | None = None) -> AsyncIterator[FollowedFacts]:
    args = {"bootstrap_servers": world.kafka}
    made = FollowedFacts(args, pool, table, [TASK.name], PARTITIONS, before=before)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def kept(pool: Pool, table: str) -> dict[int, int]:
    """By partition."""
    async with pool.connection() as connection:
        rows = await (await connection.execute(STORED.format(table=table).encode())).fetchall()
    return {partition: offset for _, partition, offset in rows}


async def an_older_release_was_at(pool: Pool, places: Mapping[int, int]) -> None:
    async with pool.connection() as connection:
        await connection.execute(places_in(AT_ONCE).encode())
        for partition, offset in places.items():
            row = TASK.name, partition, offset
            await connection.execute(ADVANCE.format(table=AT_ONCE).encode(), row)


async def first_offset(facts: FollowedFacts, partition: int) -> int:
    while True:
        fetched = await facts.fetch()
        if (TASK.name, partition) in fetched:
            return fetched[TASK.name, partition][0].offset


@pytest.fixture
async def partition(world: World) -> int:
    """One in which facts stand."""
    shards = await world.owner()
    await world.settle(shards)
    for number in range(3):
        await world.create(shards, f"task-{number}")
    return next(each.partition for each in await records(world.kafka, TASK.name) if not each.is_control)


async def test_it_goes_on_where_it_was_through(world: World, pool: Pool, partition: int):
    async with followed(world, pool, AT_ONCE) as facts:
        assert await first_offset(facts, partition) == 0
        await facts.advance({(TASK.name, partition): 2})
    async with followed(world, pool, AT_ONCE) as facts:
        assert await first_offset(facts, partition) == 2


async def test_a_new_follower_begins_where_the_one_was_that_did_the_same_until_a_release(
    world: World, pool: Pool, partition: int
):
    await an_older_release_was_at(pool, {partition: 2})
    async with followed(world, pool, ASKS.kept_in, before=AT_ONCE) as facts:
        assert await first_offset(facts, partition) == 2
    assert await kept(pool, ASKS.kept_in) == {p: 2 if p == partition else 0 for p in range(PARTITIONS)}
    assert await kept(pool, AT_ONCE) == {partition: 2}, "which stays as it is"


async def test_it_does_so_once_for_what_is_under_way_as_it_ends_must_not_be_passed_over(
    world: World, pool: Pool, partition: int
):
    async with followed(world, pool, ASKS.kept_in, before=AT_ONCE):
        pass
    await an_older_release_was_at(pool, {partition: 2})
    async with followed(world, pool, ASKS.kept_in, before=AT_ONCE) as facts:
        assert await first_offset(facts, partition) == 0


async def test_it_has_caught_up_once_all_before_the_ends_is_through(world: World, pool: Pool, partition: int):
    async with followed(world, pool, AT_ONCE) as facts:
        ends = await facts.ends(facts._places)
        assert not await facts.caught_up(ends)
        await facts.advance({(place.topic, place.partition): end for place, end in ends.items()})
        assert await facts.caught_up(ends)
