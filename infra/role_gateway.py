"""The gateway with the shards in one process: commands are decided where they come in."""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import structlog
import uvicorn
from aiokafka import TopicPartition
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from commands.context import Secrets
from commands.follow import Follower
from commands.listener import listener
from commands.owners import Shards
from commands.policy import Policy
from gateway.app import app
from gateway.bindings import Bindings
from gateway.door import Door, Limits
from gateway.registry import Registry
from gateway.tokens import Tokens
from infra.artefacts import FolderArtefacts
from infra.frame_log import KafkaFrameLog
from infra.kafka import client_args
from infra.log_setup import set_up_log
from infra.settings import Settings
from schemas.keyring import Keyring
from schemas.record import Stored, envelope_of, event_of, source_of
from schemas.topics import FLEET, SCHEMAS
from streams.routing.tiles import OsrmTiles

POOL = 16
WS_MESSAGE_BYTES = 1 << 20
"""What is larger ends the connection before it is read."""

logger = structlog.get_logger()


def secret(settings: Settings, name: str) -> bytes:
    return bytes.fromhex(getattr(settings, name).get_secret_value())


def real_time() -> datetime:
    return datetime.now(UTC)


def internal_key(secrets: Secrets) -> bytes:
    """What our own processes sign with."""
    return secrets.derived("internal")


async def serve_gateway(settings: Settings) -> None:
    """Until it is cancelled or told to stop. Raises NotTrusted, WrongTopic, and what keeps the shards from opening."""
    if settings.prepare_log:
        await set_up_log(settings, client_args(settings), outside=True)
    gateway = Gateway(settings, real_time)
    await gateway.start()
    public = server(app(gateway.door), settings.http_host, settings.http_port, lifespan="on")
    internal = server(gateway.internal, "127.0.0.1", settings.internal_port)
    serving = [asyncio.create_task(work) for work in (public.serve(), internal.serve(), gateway.run())]
    try:
        done, _ = await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
        public.should_exit = internal.should_exit = True
        for task in done:
            task.result()
        await asyncio.gather(*serving[:2])
    finally:
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await gateway.stop()


class Gateway:
    """The door and the shards behind it. `clock` is what decisions take for now."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        args = client_args(settings)
        keyring, policy = Keyring(secret(settings, "key_encryption_key")), Policy()
        secrets = Secrets(secret(settings, "server_secret"))
        self.shards = Shards(
            client_args=args,
            cluster=settings.cluster,
            partitions=settings.partitions,
            keyring=keyring,
            policy=policy,
            secrets=secrets,
            clock=clock,
            owner=f"{socket.gethostname()}:{os.getpid()}",
            address=f"127.0.0.1:{settings.internal_port}",
        )
        bindings = Bindings()
        self._fleet = Follower(args, [FLEET.name], lambda stored: bind(bindings, stored))
        registry = Registry()
        self._schemas = Follower(args, [SCHEMAS.name], lambda stored: learn_schema(registry, stored))
        self._frames = KafkaFrameLog(args, settings.cluster, clock)
        self._pool = AsyncConnectionPool[AsyncConnection[Any]](
            settings.postgres.get_secret_value(), min_size=2, max_size=POOL, open=False
        )
        self._streets = OsrmTiles(settings.osrm)
        self.door = Door(
            desk=self.shards,
            pool=self._pool,
            keyring=keyring,
            secrets=secrets,
            tokens=Tokens(secret(settings, "token_key")),
            bindings=bindings,
            frames=self._frames,
            artefacts=FolderArtefacts(settings.data / "artefacts"),
            policy=policy,
            clock=clock,
            partitions=settings.partitions,
            cluster=settings.cluster,
            readiness=lambda: readiness(self.shards, self._pool),
            registry=registry,
            limits=Limits(rate_per_s=settings.rate_per_s, burst=settings.rate_burst),
            streets=self._streets,
        )
        self.internal = listener(self.shards, internal_key(secrets))

    async def start(self) -> None:
        """Raises what keeps the shards from opening."""
        await self.shards.start()
        await self._fleet.start()
        await self._schemas.start()
        await self._frames.start()
        await self._pool.open()

    async def run(self) -> None:
        """Until it is cancelled. Raises what it follows the fleet by ended with: fixes would go to nobody."""
        await self._fleet.run()

    async def stop(self) -> None:
        await self._fleet.stop()
        await self._schemas.stop()
        await self._frames.stop()
        await self.shards.stop()
        await self._pool.close()
        await self._streets.close()

    async def caught_up(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether it knows of every device before `ends` who holds it."""
        return await self._fleet.caught_up(ends)


def bind(bindings: Bindings, stored: Stored) -> None:
    """Personal data stay sealed: who holds a device is not one of them. What cannot be read is passed, too."""
    try:
        if not stored.is_control:
            bindings.take(event_of(stored, None), source_of(envelope_of(stored), stored))
    finally:
        bindings.passed(stored.topic, stored.partition, stored.offset)


def learn_schema(registry: Registry, stored: Stored) -> None:
    """Others may keep theirs in the same topic: what is not in Confluent's form is passed over."""
    try:
        registry.take(stored.key, stored.value)
    except msgspec.DecodeError as broken:
        logger.warning("schema record passed over", offset=stored.offset, error=broken)


async def readiness(shards: Shards, pool: AsyncConnectionPool[Any]) -> Mapping[str, str]:
    closed = shards.closed()
    parts = {"shards": "ok" if not closed else "; ".join(f"{p}: {why}" for p, why in sorted(closed.items()))}
    try:
        async with asyncio.timeout(2), pool.connection() as connection:
            await connection.execute("SELECT 1")
        parts["postgres"] = "ok"
    except Exception as failed:
        parts["postgres"] = repr(failed)
    return parts


def server(application: Any, host: str, port: int, lifespan: Literal["on", "off"] = "off") -> uvicorn.Server:
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan=lifespan,
        timeout_graceful_shutdown=5,
        server_header=False,
        proxy_headers=False,
        ws_max_size=WS_MESSAGE_BYTES,
        ws_max_queue=4,
    )
    return uvicorn.Server(config)
