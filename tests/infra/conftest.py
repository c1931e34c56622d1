"""A story told once, for whatever looks at a system from outside."""

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from fresh import fresh_name
from played import Played, database, played, settings_of
from pydantic import SecretStr
from world import World, make_topics

from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.postgres import EmbeddedPostgres
from infra.settings import Settings
from schemas.message import TenantSlug


@pytest.fixture(scope="session")
async def system(engines: Path, jars: Path, postgres_server: EmbeddedPostgres, osrm: str) -> AsyncIterator[Played]:
    """On a log and a database of its own, since a check looks at everything that is there."""
    broker = EmbeddedKafka(engines / fresh_name("checked"), jars)
    await broker.start()
    await make_topics(broker.bootstrap)
    world = World(broker.bootstrap, fresh_name("cluster"), TenantSlug(fresh_name("acme")))
    async with database(postgres_server) as dsn:
        settings = settings_of(world, dsn, osrm, engines / fresh_name("data"))
        async with played(world, settings, engines / f"{world.cluster}.jsonl") as story:
            yield story
    for shards in world.owned:
        await shards.stop()
    await broker.stop()


@pytest.fixture
async def copy(system: Played, postgres_server: EmbeddedPostgres) -> AsyncIterator[Settings]:
    """The same log, with a database that the test may spoil."""
    name = psycopg.conninfo.conninfo_to_dict(system.settings.postgres.get_secret_value())["dbname"]
    async with database(postgres_server, template=str(name)) as dsn:
        yield system.settings.model_copy(update={"postgres": SecretStr(dsn)})
