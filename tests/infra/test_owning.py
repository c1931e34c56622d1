"""Shards that change hands between processes: in good order, after a kill, by an operator's word."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr
from world import KEK, PARTITIONS, World, delivery, now

from commands.context import Secrets
from commands.order import Answer, Order, Unavailable
from commands.owners import Shards
from commands.policy import Policy
from commands.router import Router
from infra.owning import Owning
from infra.routing import routed
from infra.settings import Settings, WrongSetting, load_settings
from infra.shards import listed, moved, unpinned
from schemas.keyring import Keyring
from schemas.task import CancelTask

CREATE = delivery()
SERVER_SECRET = bytes(range(32, 64))

type Owner = Callable[[str], Awaitable[Owning]]


@pytest.fixture
def settings(world: World, postgres: str) -> Settings:
    return load_settings(
        kafka=world.kafka,
        postgres=SecretStr(postgres),
        osrm="http://127.0.0.1:1",
        cluster=world.cluster,
        partitions=PARTITIONS,
        owner_session_ms=2_000,
        key_encryption_key=SecretStr(KEK.hex()),
        server_secret=SecretStr(SERVER_SECRET.hex()),
        token_key=SecretStr("cd" * 32),
    )


@pytest.fixture
async def owner(settings: Settings, postgres: str) -> AsyncIterator[Owner]:
    """Makes an owner by its name. Those that have not been stopped are, at the end."""
    made: list[Owning] = []
    running: list[asyncio.Task[None]] = []
    async with AsyncConnectionPool(postgres, min_size=0, max_size=2, open=False) as pool:

        async def start(name: str) -> Owning:
            owning = Owning(
                settings.model_copy(update={"owner": name}),
                {"bootstrap_servers": settings.kafka},
                keyring=Keyring(KEK),
                policy=Policy(),
                secrets=Secrets(SERVER_SECRET),
                clock=now,
                pool=pool,
            )
            made.append(owning)
            await owning.start()
            running.append(asyncio.create_task(owning.run()))
            return owning

        yield start
        for task in running:
            task.cancel()
        for owning in made:
            if not getattr(owning, "gone", False):
                await owning.stop()


async def all_open(*owners: Owning) -> None:
    async with asyncio.timeout(20):
        while sorted(shard for each in owners for shard in each.shards.shards()) != list(range(PARTITIONS)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def shared(*owners: Owning) -> None:
    """Each has its part, and all of it is open."""
    async with asyncio.timeout(20):
        while {len(each.shards.shards()) for each in owners} != {PARTITIONS // len(owners)}:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def insisting(desk: Router | Shards, order: Order) -> Answer:
    """As clients do: where nobody can tell, the same is asked again."""
    async with asyncio.timeout(30):
        while True:
            with suppress(Unavailable):
                return await desk.submit(order)
            await asyncio.sleep(0.05)


async def kill(owning: Owning) -> None:
    """It neither serves nor beats any more, and tells nobody."""
    owning.gone = True  # type: ignore[attr-defined]
    owning._membership._polling.cancel()  # type: ignore[union-attr]
    coordinator = owning._membership._consumer._coordinator
    coordinator._coordination_task.cancel()
    if coordinator._heartbeat_task:
        coordinator._heartbeat_task.cancel()
    owning._door.should_exit = True
    await owning.shards.stop()


async def test_a_second_owner_takes_its_half_in_good_order_and_both_serve_all(owner: Owner, world: World):
    first = await owner("first")
    await all_open(first)
    await world.settle(first.router)
    before = [await world.create(first.router, f"order-{n}") for n in range(10)]
    second = await owner("second")
    await shared(first, second)
    for desk in (first.router, second.router):
        for number, answer in enumerate(before):
            again = await insisting(desk, world.order("task", answer.aggregate_id, CancelTask(reason_code="no"), "c"))
            assert again.version == 3, f"order {number} is served, wherever it is asked for"


async def test_a_shard_is_opened_again_where_it_is_to_be_though_who_was_to_have_it_before_has_asked_for_it(
    owner: Owner,
):
    """The group gave a shard back before the other one, late, asked its former owner for it."""
    first = await owner("first")
    await all_open(first)
    await first.shards.release(0)
    assert 0 not in first.shards.shards()
    await all_open(first)


async def test_an_owner_that_nobody_asks_learns_that_another_had_its_shards_and_opens_them_again(
    owner: Owner, world: World
):
    """The other one was still opening them when the group gave them back, and then gave them up."""
    first = await owner("first")
    await all_open(first)
    before = {number: shard.epoch for number, shard in first.shards.shards().items()}
    other = await world.owner()
    await other.stop()
    async with asyncio.timeout(20):
        while not all(shard.epoch > before[n] + 1 for n, shard in first.shards.shards().items()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await all_open(first)


async def test_no_command_is_lost_or_doubled_while_shards_change_hands(owner: Owner, world: World):
    first = await owner("first")
    await all_open(first)
    await world.settle(first.router)
    done, answers = asyncio.Event(), {}

    async def client(number: int) -> None:
        count = 0
        while not done.is_set():
            reference = f"order-{number}-{count}"
            order = world.order("task", world.task(reference), CREATE, natural=True)
            answers[reference] = await insisting(first.router, order)
            count += 1

    clients = [asyncio.create_task(client(number)) for number in range(8)]
    second = await owner("second")
    await shared(first, second)
    await asyncio.sleep(0.5)
    await second.stop()
    second.gone = True  # type: ignore[attr-defined]
    await all_open(first)
    await asyncio.sleep(0.5)
    done.set()
    await asyncio.gather(*clients)
    for reference, answer in answers.items():
        again = await insisting(first.router, world.order("task", world.task(reference), CREATE, natural=True))
        assert (again.repeated, again.version, again.position) == (True, answer.version, answer.position)


async def test_when_an_owner_dies_the_other_takes_all(owner: Owner, world: World):
    first, second = await owner("first"), await owner("second")
    await shared(first, second)
    await world.settle(first.router)
    answers = [await world.create(first.router, f"order-{n}") for n in range(6)]
    await kill(second)
    await all_open(first)
    for number, answer in enumerate(answers):
        again = await world.create(first.router, f"order-{number}")
        assert (again.repeated, again.position) == (True, answer.position)


async def test_two_owners_that_take_the_same_shard_from_each_other_come_to_rest(owner: Owner, world: World):
    first, second = await owner("first"), await owner("second")
    await shared(first, second)
    theirs = next(iter(second.shards.shards()))
    first.shards.own({*first.shards.held(), theirs})
    async with asyncio.timeout(10):
        while theirs not in first.shards.shards():  # noqa: ASYNC110 - it fences the other
            await asyncio.sleep(0.02)
    await world.settle(first.router)
    async with asyncio.timeout(30):
        while True:
            await all_open(first, second)
            epochs = {s: o.epoch for each in (first, second) for s, o in each.shards.shards().items()}
            await asyncio.sleep(5)
            if epochs == {s: o.epoch for each in (first, second) for s, o in each.shards.shards().items()}:
                break
    assert len(epochs) == PARTITIONS


async def test_an_operator_moves_a_shard_and_it_stays_there(owner: Owner, world: World, settings: Settings):
    first, second = await owner("first"), await owner("second")
    await shared(first, second)
    mine = next(iter(first.shards.shards()))
    state, _ = await moved(settings, mine, "second")
    assert (state.owner, state.open, state.pinned_to) == ("second", True, "second")
    told = await listed(settings)
    assert told.owners == ["first", "second"]
    assert {each.shard for each in told.shards if each.open} == set(range(PARTITIONS))
    back, _ = await moved(settings, mine, "first")
    assert (back.owner, back.open) == ("first", True)
    await unpinned(settings, mine)
    async with asyncio.timeout(10):
        while (await listed(settings)).shards[mine].pinned_to is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_a_shard_is_not_moved_to_nobody(owner: Owner, settings: Settings):
    first = await owner("first")
    await all_open(first)
    with pytest.raises(WrongSetting, match="those that are there: first"):
        await moved(settings, 0, "nobody")
    with pytest.raises(WrongSetting, match="they are 0 to 1"):
        await moved(settings, 99, "first")


async def test_whoever_does_not_sign_with_our_key_is_not_listened_to(owner: Owner, settings: Settings):
    first = await owner("first")
    await all_open(first)
    strange = settings.model_copy(update={"server_secret": SecretStr("ef" * 32)})
    async with routed(strange) as router:
        with pytest.raises(Unavailable, match="401"):
            await router.accounts()


async def test_a_shard_whose_owner_is_gone_is_told_as_not_served(owner: Owner, settings: Settings):
    first, second = await owner("ann"), await owner("bob")
    await shared(first, second)
    assert await first.router.not_served() == {}
    async with routed(settings) as router:
        assert await router.not_served() == {}
        theirs = next(iter(second.shards.shards()))
        second.shards._tenures[theirs].cancel()
        async with asyncio.timeout(10):
            while theirs in second.shards.shards():
                second.shards._close(theirs, "by the test")
                await asyncio.sleep(0.02)
        assert await router.not_served() == {theirs: "bob does not serve it"}
