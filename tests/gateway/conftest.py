from collections.abc import AsyncIterator

import pytest
import reception
from psycopg_pool import AsyncConnectionPool
from read_models import ReadModels
from reception import House

from gateway.door import Limits


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A door with the tenant acme and its outlet kamppi; there is no database behind it."""
    async with reception.house() as made:
        yield made


@pytest.fixture
def postgres(tables: str) -> str:
    """With the tables of all read models."""
    return tables


@pytest.fixture
async def library(postgres: str) -> AsyncIterator[tuple[House, ReadModels]]:
    """A door with read models behind it. They follow when they are told to fold."""
    pool = AsyncConnectionPool(postgres, min_size=2, max_size=6, open=False)
    async with pool, reception.house(Limits(ask_again_after_s=()), pool) as made:
        models = ReadModels(pool, made.desk.log)
        async with made.app.router.lifespan_context(made.app):
            yield made, models
