"""Facts that take long go on side by side: in turn, within bounds, and no place moves beyond one that is not through."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from schemas.record import Stored
from streams.beside import MOST_WAITING, Beside
from streams.turns import MOST_AT_ONCE, MOST_OF_A_LINE, MOST_OF_A_PARTITION, MOST_OF_A_TENANT, Bounds, Turns

TOPIC = "logistics.task"
PLACE = (TOPIC, 0)


def fact(offset: int, tenant: str = "acme", aggregate: str | None = None, partition: int = 0) -> Stored:
    """Of an aggregate of its own, unless one is named."""
    subject = aggregate or f"{tenant}-{partition}-{offset}"
    return Stored(TOPIC, partition, offset, None, b"", (("tenant", tenant.encode()), ("ce_subject", subject.encode())))


def spread(tenant: str, count: int, first: int = 0) -> list[Stored]:
    """Each in another of five partitions."""
    return [fact(first + n, tenant, partition=n % 5) for n in range(count)]


def taken(turns: Turns) -> list[Stored]:
    return list(iter(turns.next, None))


class Slow:
    """Follows each fact until it is let go of; once it is `quick` until it has begun."""

    def __init__(self) -> None:
        self.quick = False
        self.begun: list[Stored] = []
        self.ended: list[Stored] = []
        self._lets: dict[Stored, asyncio.Event] = {}

    async def __call__(self, stored: Stored) -> None:
        self.begun.append(stored)
        if not self.quick:
            await self._lets.setdefault(stored, asyncio.Event()).wait()
        self.ended.append(stored)

    async def let(self, *facts: Stored) -> None:
        for each in facts:
            self._lets.setdefault(each, asyncio.Event()).set()
        await rounds()


async def rounds() -> None:
    """As many as anything here needs to come to rest."""
    for _ in range(50):
        await asyncio.sleep(0)


@asynccontextmanager
async def beside(slow: Slow, most_waiting: int = MOST_WAITING) -> AsyncIterator[Beside]:
    async with asyncio.TaskGroup() as group:
        made = Beside(group, "them", lambda stored: stored.value == b"", slow, most_waiting=most_waiting)
        yield made
        slow.quick = True
        await slow.let(*slow.begun)


def of(tenant: str, facts: Sequence[Stored]) -> list[Stored]:
    return [each for each in facts if each.header("tenant") == tenant]


# Whose turn it is


def test_a_tenant_has_no_more_under_way_than_its_share():
    turns = Turns(Bounds())
    for each in spread("acme", 100):
        turns.add(each)
    assert len(taken(turns)) == MOST_OF_A_TENANT
    assert turns.waiting == 100 - MOST_OF_A_TENANT


def test_no_more_are_under_way_than_there_may_be_in_all():
    turns = Turns(Bounds())
    for tenant in range(20):
        for each in spread(f"tenant-{tenant}", 10):
            turns.add(each)
    under_way = taken(turns)
    assert len(under_way) == MOST_AT_ONCE
    turns.done(under_way[0])
    assert len(taken(turns)) == 1


def test_a_partition_that_nobody_judges_for_leaves_room_for_the_others():
    turns = Turns(Bounds())
    for tenant in range(20):
        for offset in range(10):
            turns.add(fact(offset, f"tenant-{tenant}", partition=3))
    stuck = taken(turns)
    assert len(stuck) == MOST_OF_A_PARTITION
    turns.add(other := fact(0, "lumi", partition=4))
    assert taken(turns) == [other]


def test_a_tenant_whose_facts_nobody_judges_for_in_one_partition_goes_on_in_the_others():
    turns = Turns(Bounds())
    for offset in range(20):
        turns.add(fact(offset, "acme", partition=3))
    assert len(taken(turns)) == MOST_OF_A_LINE < MOST_OF_A_TENANT
    turns.add(other := fact(0, "acme", partition=4))
    assert taken(turns) == [other]


def test_of_one_aggregate_the_next_begins_when_the_one_before_is_through():
    turns = Turns(Bounds())
    facts = [fact(0, aggregate="task"), fact(1, aggregate="task"), fact(2), fact(3, aggregate="task")]
    for each in facts:
        turns.add(each)
    assert taken(turns) == [facts[0], facts[2]]
    turns.done(facts[0])
    assert taken(turns) == [facts[1]]
    turns.done(facts[1])
    assert taken(turns) == [facts[3]]


def test_who_comes_later_waits_for_one_turn_of_each_and_not_for_all_that_they_have():
    """All are slow, and all that may be are under way: the next that is free is the newcomer's, after those whose turn
    came before."""
    turns = Turns(Bounds(at_once=2, of_a_tenant=2))
    for tenant in ("acme", "beta"):
        for offset in range(50):
            turns.add(fact(offset, tenant))
    under_way = taken(turns)
    turns.add(fact(99, "lumi"))
    order = []
    for _ in range(3):
        turns.done(under_way.pop(0))
        under_way += (fresh := taken(turns))
        order += [each.header("tenant") for each in fresh]
    assert order.index("lumi") < 3
    assert Counter(order) == {"acme": 1, "beta": 1, "lumi": 1}


def test_nothing_is_kept_of_who_has_nothing_left():
    turns = Turns(Bounds())
    facts = [*spread("acme", 30), *spread("lumi", 30)]
    for each in facts:
        turns.add(each)
    while under_way := taken(turns):
        for each in under_way:
            turns.done(each)
    assert (turns.waiting, turns.underway) == (0, 0)
    assert (turns._facts, turns._ready, turns._of_tenant) == ({}, {}, {})


# How they are followed


async def test_whom_a_tenant_asks_may_never_answer_and_the_others_are_answered():
    slow = Slow()
    async with beside(slow) as made:
        await made.take({PLACE: [*[fact(n) for n in range(20)], fact(20, "lumi")]})
        await rounds()
        [others] = of("lumi", slow.begun)
        await slow.let(others)
        assert (slow.ended, len(of("acme", slow.begun))) == ([others], MOST_OF_A_LINE)


async def test_a_place_moves_to_the_first_that_is_not_through():
    slow, facts = Slow(), [fact(n) for n in range(3)]
    async with beside(slow) as made:
        await made.take({PLACE: [*facts, Stored(TOPIC, 0, 3, None, b"none of ours", ())]})
        assert await made.moved() == {PLACE: 0}
        await slow.let(facts[1])
        assert await made.moved() == {}
        await slow.let(facts[0])
        assert await made.moved() == {PLACE: 2}
        await slow.let(facts[2])
        assert await made.moved() == {PLACE: 4}


async def test_what_concerns_nobody_moves_it_at_once():
    async with beside(Slow()) as made:
        await made.take({PLACE: [Stored(TOPIC, 0, n, None, b"none of ours", ()) for n in (5, 6)]})
        assert await made.moved() == {PLACE: 7}


async def test_where_as_many_wait_as_may_no_more_are_taken_until_one_has_had_its_turn():
    slow, facts = Slow(), [fact(n) for n in range(MOST_OF_A_LINE + MOST_WAITING + 1)]
    async with beside(slow, most_waiting=MOST_WAITING) as made:
        taking = asyncio.create_task(made.take({PLACE: facts}))
        await rounds()
        assert not taking.done()
        await slow.let(facts[0])
        await taking
    assert slow.ended[-1] == facts[-1]


async def test_what_cannot_go_on_ends_all():
    class Broken(Exception):
        pass

    async def breaks(stored: Stored) -> None:
        raise Broken

    with pytest.RaisesGroup(Broken):
        async with asyncio.TaskGroup() as group:
            await Beside(group, "them", lambda stored: True, breaks).take({PLACE: [fact(0)]})
            await asyncio.Event().wait()
