"""A gateway that nobody has started for: on an outside Kafka it makes the log ready itself, or says what is wrong."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from world import PARTITIONS

from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.ports import free_port
from schemas.topics import TASK, TOPICS


@pytest.fixture
async def broker(jars: Path, tmp_path: Path) -> AsyncIterator[str]:
    """Empty: nobody has made a topic."""
    kafka = EmbeddedKafka(tmp_path / "kafka", jars)
    yield await kafka.start()
    await kafka.stop()


@asynccontextmanager
async def gateway(kafka: str, postgres: str, data: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    env = os.environ | {
        "LOGISTICS_DATA": str(data),
        "LOGISTICS_KAFKA": kafka,
        "LOGISTICS_POSTGRES": postgres,
        "LOGISTICS_OSRM": "http://127.0.0.1:1",
        "LOGISTICS_PARTITIONS": str(PARTITIONS),
        "LOGISTICS_HTTP_PORT": str(port),
        "LOGISTICS_INTERNAL_PORT": str(free_port()),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.cli", "serve", "gateway"), env=env, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


async def ready(port: int) -> None:
    """It answers before its shards are open, and is ready once they are."""
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client, asyncio.timeout(60):
        while True:
            with suppress(httpx.TransportError):
                if (await client.get(f"http://127.0.0.1:{port}/readyz")).is_success:
                    return
            await asyncio.sleep(0.1)


async def test_a_gateway_alone_makes_the_log_ready_before_it_serves(broker: str, postgres: str, tmp_path: Path):
    port = free_port()
    async with gateway(broker, postgres, tmp_path / "data", port):
        await ready(port)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    assert {topic.name for topic in TOPICS} <= set(await admin.list_topics())
    await admin.close()


async def test_a_gateway_alone_serves_nothing_on_a_topic_that_would_forget(broker: str, postgres: str, tmp_path: Path):
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    forgets = dict(TASK.config) | {"retention.ms": "60000"}
    await admin.create_topics([NewTopic(TASK.name, PARTITIONS, 1, topic_configs=forgets)])
    await admin.close()
    async with gateway(broker, postgres, tmp_path / "data", free_port()) as process:
        async with asyncio.timeout(60):
            _, said = await process.communicate()
        assert process.returncode != 0
        assert b"logistics.task: retention.ms is 60000" in said
