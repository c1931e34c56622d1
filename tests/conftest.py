"""The engines that tests run on: real ones, started once per run, each on data of its own."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import decoders
import pytest
from fresh import fresh_name
from played import database
from shelf import Shelf
from world import World, make_topics

from infra.embedded.city import city_extract
from infra.embedded.jars import fetch_jars
from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.osrm import EmbeddedOsrm
from infra.embedded.postgres import EmbeddedPostgres
from infra.garbage import look_seldom
from schemas.message import TenantSlug

JARS = Path(os.environ.get("LOGISTICS_JARS", ".logistics/jars"))
CITIES = Path(os.environ.get("LOGISTICS_CITY_DATA", ".logistics/city"))
GO_CACHE = CITIES.parent / "go"


def pytest_collection_finish() -> None:
    """As the roles do: looking for garbage seldom saves a twentieth of the time."""
    look_seldom()


@contextmanager
def alone_at(folder: Path) -> Iterator[None]:
    """Two halves of the suite may run side by side: what both need in `folder`, one makes while the other waits."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def engines() -> Iterator[Path]:
    """A folder for the engines' data, on the disk where tests may write."""
    folder = Path(tempfile.mkdtemp(prefix="logistics-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def jars() -> Path:
    with alone_at(JARS):
        fetch_jars(JARS)
    return JARS


@pytest.fixture(scope="session")
async def kafka(engines: Path, jars: Path) -> AsyncIterator[str]:
    """The bootstrap address of a broker."""
    broker = EmbeddedKafka(engines / "kafka", jars)
    yield await broker.start()
    await broker.stop()


@pytest.fixture(scope="session")
async def postgres_server(engines: Path) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(engines / "postgres")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def postgres(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """The DSN of an empty database that is this test's own."""
    async with database(postgres_server) as dsn:
        yield dsn


@pytest.fixture(scope="session")
async def shelf(postgres_server: EmbeddedPostgres) -> Shelf:
    return Shelf(postgres_server)


@pytest.fixture
async def tables(shelf: Shelf) -> AsyncIterator[str]:
    """The DSN of a database that is this test's own, in which nothing stands but the tables of all read models."""
    dsn = await shelf.take()
    yield dsn
    await shelf.put_back(dsn)


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[str]]:
    """The decoders of docs/decoders, by their language. What Go compiles of itself is kept."""
    with alone_at(GO_CACHE):
        return decoders.programs(GO_CACHE, tmp_path_factory.mktemp("decoders"))


@pytest.fixture
async def lone_world(tmp_path: Path, jars: Path) -> AsyncIterator[World]:
    """A world on a broker of its own, for tests that spoil the log."""
    broker = EmbeddedKafka(tmp_path / "kafka", jars)
    await broker.start()
    await make_topics(broker.bootstrap)
    world = World(broker.bootstrap, fresh_name("cluster"), TenantSlug(fresh_name("acme")))
    yield world
    for shards in world.owned:
        await shards.stop()
    await broker.stop()


@pytest.fixture(scope="session")
async def osrm(engines: Path) -> AsyncIterator[str]:
    """The URL of a router on Helsinki's streets."""
    router = EmbeddedOsrm(engines / "osrm", CITIES, city_extract("helsinki", None))
    with alone_at(CITIES):
        await router.prepare()
    yield await router.start()
    await router.stop()


@pytest.fixture
async def world(kafka: str) -> AsyncIterator[World]:
    """A tenant and a cluster name of the test's own, on the shared topics."""
    await make_topics(kafka)
    world = World(kafka, fresh_name("cluster"), TenantSlug(fresh_name("acme")))
    yield world
    for shards in world.owned:
        await shards.stop()
