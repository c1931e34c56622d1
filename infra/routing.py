"""The way to whoever owns the shards, for a command line that is there for a moment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from commands.announced import Announced
from commands.follow import Follower
from commands.router import Router
from infra.kafka import client_args
from infra.secrets import internal_key, server_secrets
from infra.settings import Settings
from schemas.topics import SHARDS


@asynccontextmanager
async def routed(settings: Settings) -> AsyncIterator[Router]:
    """It knows the owners as they are announced now."""
    announced = Announced()
    follower = Follower(client_args(settings), [SHARDS.name], announced.take)
    router = Router(announced, settings.partitions, internal_key(server_secrets(settings)))
    try:
        await follower.start()
        yield router
    finally:
        await router.stop()
        await follower.stop()
