"""`logistics migrate`: all tables, once."""

import pytest
from psycopg import AsyncConnection
from pydantic import SecretStr

from infra.endpoints import NotRunning
from infra.migrate import migrated
from infra.settings import Settings
from projections.models import MODELS


async def test_everything_is_made_once_and_told(postgres: str):
    settings = Settings(postgres=SecretStr(postgres))
    first = await migrated(settings)
    assert {
        "projection_positions",
        "live_map",
        "asking_positions",
        "deciding_positions",
        "process_positions",
        "stream_riders",
        "routing_budgets",
        *MODELS,
    } <= set(first.made)
    assert (await migrated(settings)).made == []


async def test_what_was_lost_comes_back_and_the_rest_stays(postgres: str):
    settings = Settings(postgres=SecretStr(postgres))
    await migrated(settings)
    async with await AsyncConnection.connect(postgres, autocommit=True) as connection:
        await connection.execute("INSERT INTO process_positions VALUES ('logistics.task', 0, 17)")
        await connection.execute("DROP TABLE stream_riders")
        assert (await migrated(settings)).made == ["stream_riders"]
        cursor = await connection.execute("SELECT next_offset FROM process_positions")
        assert await cursor.fetchall() == [(17,)]


async def test_a_database_that_does_not_answer_is_told():
    settings = Settings(postgres=SecretStr("postgres://nobody@127.0.0.1:1/nowhere"))
    with pytest.raises(NotRunning, match="LOGISTICS_POSTGRES does not answer"):
        await migrated(settings)
