"""One cluster of three brokers for the whole folder; each test finds it whole."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fresh import fresh_name
from three_brokers import ThreeBrokers
from world import World, make_topics

from infra.embedded.brokers import Brokers
from schemas.message import TenantSlug


@pytest.fixture(scope="session")
async def cluster(engines: Path, jars: Path) -> AsyncIterator[ThreeBrokers]:
    brokers = Brokers(engines, jars, 3)
    nodes = brokers.nodes.values()
    await asyncio.gather(*(node.start() for node in nodes))
    yield ThreeBrokers(brokers)
    await asyncio.gather(*(node.stop() for node in nodes))


@pytest.fixture
async def brokers(cluster: ThreeBrokers) -> ThreeBrokers:
    down = [number for number, node in cluster.nodes.items() if not node.child.running]
    await cluster.back(*down)
    return cluster


@pytest.fixture
async def world(brokers: ThreeBrokers) -> AsyncIterator[World]:
    """A log with three replicas of everything, two of which acknowledge."""
    await make_topics(brokers.kafka, replication=3)
    await brokers.whole()
    world = World(brokers.kafka, fresh_name("cluster"), TenantSlug(fresh_name("acme")))
    yield world
    for shards in world.owned:
        await shards.stop()
