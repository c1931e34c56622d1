"""Shards as a process of their own: one more takes its part of them, one less leaves its part to the others."""

from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from commands.policy import Policy
from infra.clock import real_time
from infra.kafka import client_args
from infra.log_setup import set_up_log
from infra.owning import Owning
from infra.secrets import secret, server_secrets
from infra.settings import Settings
from schemas.keyring import Keyring


async def serve_shards(settings: Settings) -> None:
    """Until it is cancelled; then its shards are handed over. Raises NotTrusted, WrongTopic."""
    args = client_args(settings)
    if settings.prepare_log:
        await set_up_log(settings, args, outside=True)
    async with AsyncConnectionPool[AsyncConnection[Any]](
        settings.postgres.get_secret_value(), min_size=0, max_size=2, open=False
    ) as pool:
        owning = Owning(
            settings,
            args,
            keyring=Keyring(secret(settings, "key_encryption_key")),
            policy=Policy(),
            secrets=server_secrets(settings),
            clock=real_time,
            pool=pool,
        )
        try:
            await owning.start()
            await owning.run()
        finally:
            await owning.stop()
