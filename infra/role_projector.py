"""The projector as a process of its own."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from infra.dead_letters import DeadLetters
from infra.kafka import client_args
from infra.settings import Settings
from projections.models import MODELS
from projections.projector import Projector
from projections.tables import migrate


async def serve_projector(settings: Settings) -> None:
    """Until it is cancelled."""
    args = client_args(settings)
    producer = AIOKafkaProducer(**args, enable_idempotence=True)
    await producer.start()
    async with AsyncConnectionPool[AsyncConnection[Any]](
        settings.postgres.get_secret_value(), min_size=1, max_size=3, open=False
    ) as pool:
        async with pool.connection() as connection:
            await migrate(connection, MODELS.values())
        projector = Projector(
            client_args=args,
            group=f"logistics.projector.{settings.cluster}",
            instance=settings.projector,
            pool=pool,
            models=list(MODELS.values()),
            dead=DeadLetters(producer, "projector"),
        )
        await projector.start()
        try:
            await projector.run()
        finally:
            await projector.stop()
            await asyncio.shield(producer.stop())
