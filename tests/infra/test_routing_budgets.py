"""What routing providers are asked a day is counted by all processes together."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool

from infra import routing_budgets
from infra.routing_budgets import KEPT_DAYS, CountedInPostgres
from streams.routing.budgets import Budget
from streams.routing.provider import Cost

DAY = date(2026, 3, 2)
ONE = Cost(1, 10)


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[AsyncConnectionPool[Any]]:
    async with AsyncConnectionPool(postgres, min_size=1, max_size=6, open=False) as made:
        yield made


@pytest.fixture
async def counted(pool: AsyncConnectionPool[Any], monkeypatch: pytest.MonkeyPatch) -> CountedInPostgres:
    monkeypatch.setattr(routing_budgets, "WITHIN_S", 20.0)
    made = CountedInPostgres(pool)
    await made.make()
    return made


async def test_two_processes_that_ask_at_once_take_no_more_than_there_is(counted, pool):
    other = CountedInPostgres(pool)
    asked = [each.take("acme", "mapbox", DAY, ONE, Budget(requests=7)) for each in [counted, other] * 10]
    assert sorted(await asyncio.gather(*asked)) == ["taken"] * 7 + ["used_up"] * 13


async def test_elements_are_taken_all_or_none(counted):
    budget = Budget(elements=25)
    told = [await counted.take("acme", "google", DAY, cost, budget) for cost in (ONE, ONE, ONE, Cost(1, 5), Cost(1, 1))]
    assert told == ["taken", "taken", "used_up", "taken", "used_up"]


async def test_each_tenant_provider_and_day_has_its_own(counted):
    places = [
        ("a", "mapbox", DAY),
        ("b", "mapbox", DAY),
        ("a", "google", DAY),
        ("a", "mapbox", DAY + timedelta(days=1)),
    ]
    assert [await counted.take(*place, ONE, Budget(requests=1)) for place in places] == ["taken"] * 4
    assert [await counted.take(*place, ONE, Budget(requests=1)) for place in places] == ["used_up"] * 4


async def test_a_count_of_long_ago_is_let_go(counted, pool):
    old = datetime.now(UTC).date() - timedelta(days=KEPT_DAYS + 1)
    await counted.take("old", "mapbox", old, ONE, Budget(requests=1))
    await counted.make()
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT count(*) FROM routing_budgets WHERE tenant = 'old'")
        assert await cursor.fetchone() == (0,)


async def test_where_the_database_is_lost_nobody_knows():
    lost = AsyncConnectionPool("postgresql://127.0.0.1:1/none", min_size=0, max_size=1, open=False)
    await lost.open()
    assert await CountedInPostgres(lost).take("acme", "mapbox", DAY, ONE, Budget(requests=1)) == "unknown"
    await lost.close()
