"""Up to which number a device's connection was acknowledged: told at any gateway, and never more than was."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fresh import fresh_name
from psycopg_pool import AsyncConnectionPool

from gateway.uplinks import Uplinks
from projections import uplinks
from projections.tables import migrate
from projections.uplinks import Key


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[AsyncConnectionPool[Any]]:
    async with AsyncConnectionPool(postgres, min_size=1, max_size=2, open=False) as pool:
        async with pool.connection() as connection:
            await migrate(connection, [])
        yield pool


@pytest.fixture
def phone() -> Key:
    return ("acme", "ann", fresh_name("phone"), "s1")


async def test_another_gateway_tells_it_too(pool, phone):
    first, second = Uplinks(pool), Uplinks(pool)
    assert await second.last(phone) is None
    first.acknowledged(phone, 7)
    await first.keep()
    assert await second.last(phone) == 7
    second.acknowledged(phone, 9)
    await second.keep()
    assert await Uplinks(pool).last(phone) == 9


async def test_a_gateway_that_was_behind_takes_nothing_back(pool, phone):
    first, second = Uplinks(pool), Uplinks(pool)
    first.acknowledged(phone, 7)
    second.acknowledged(phone, 3)
    await first.keep()
    await second.keep()
    assert await Uplinks(pool).last(phone) == 7


async def test_without_postgres_it_is_told_from_memory_and_kept_later(pool, phone):
    away = Uplinks(AsyncConnectionPool("", open=False))
    away.acknowledged(phone, 7)
    await away.keep()
    assert await away.last(phone) == 7
    assert await away.last(("acme", "ann", "another", "s1")) is None
    away._pool = pool
    await away.keep()
    assert await Uplinks(pool).last(phone) == 7


async def test_memory_is_bounded_and_what_it_lets_go_is_read_again(pool, phone, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.uplinks.MOST_KNOWN", 2)
    known = Uplinks(pool)
    for number in range(4):
        known.acknowledged((*phone[:3], f"s{number}"), number)
    assert len(known._known) == 2
    await known.keep()
    assert await known.last((*phone[:3], "s1")) == 1


async def test_what_was_not_heard_of_for_long_is_forgotten(pool, phone):
    now = datetime.now(UTC)
    async with pool.connection() as connection:
        await uplinks.keep(connection, {phone: 7}, now - timedelta(days=31))
    known = Uplinks(pool)
    known.acknowledged((*phone[:3], "s2"), 1)
    await known.keep()
    assert await known.last(phone) is None
    assert await Uplinks(pool).last((*phone[:3], "s2")) == 1
