"""A process that owns shards: a member of their group, with the listener by which our other processes reach it."""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from commands.context import Secrets
from commands.listener import listener
from commands.membership import Membership
from commands.owners import Shards
from commands.policy import Policy
from commands.router import Router
from infra.embedded.ports import free_port
from infra.history_cold import HistoryCold
from infra.secrets import internal_key
from infra.serving import server
from infra.settings import Settings
from infra.side_by_side import side_by_side
from schemas.keyring import Keyring

ANY_HOST = "0.0.0.0"


class Owning:
    """`keyring` and `policy` are kept up to date for all shards, owned here or not."""

    def __init__(
        self,
        settings: Settings,
        client_args: Mapping[str, Any],
        *,
        keyring: Keyring,
        policy: Policy,
        secrets: Secrets,
        clock: Callable[[], datetime],
        pool: AsyncConnectionPool[AsyncConnection[Any]],
    ) -> None:
        self._port = settings.internal_port or free_port()
        self._host = settings.internal_host
        self._cold = HistoryCold(client_args, pool)
        self.shards = Shards(
            client_args=client_args,
            cluster=settings.cluster,
            partitions=settings.partitions,
            keyring=keyring,
            policy=policy,
            secrets=secrets,
            clock=clock,
            owner=settings.owner or f"{socket.gethostname()}-{os.getpid()}",
            address=settings.internal_address or f"{reachable(settings.internal_host)}:{self._port}",
            cold=self._cold,
            asks=lambda shard: self.router.ask_to_release(shard),
        )
        key = internal_key(secrets)
        self.router = Router(self.shards.following.announced, settings.partitions, key, self.shards)
        self._membership = Membership(client_args, settings.cluster, self.shards, settings.owner_session_ms)
        self._door = server(listener(self.shards, key, self._membership.rejoin), self._host, self._port)
        self._serving: asyncio.Task[None] | None = None

    async def start_alone(self) -> None:
        """Own every shard, in no group and without a listener. Raises what keeps them from opening."""
        await self._cold.start()
        await self.shards.start()

    async def stop_alone(self) -> None:
        await self.shards.stop()
        await self._cold.stop()
        await self.router.stop()

    async def start(self) -> None:
        """Join the group; returns when it has said what is ours, which is being opened then."""
        await self._cold.start()
        self._serving = asyncio.create_task(self._door.serve())
        await self.shards.join()
        await self._membership.start()
        await self._membership.joined()

    async def run(self) -> None:
        """Until it is cancelled. Raises what it cannot go on after."""
        await side_by_side(self._served(), self._membership.run(), self.shards.following.run())

    async def _served(self) -> None:
        assert self._serving is not None, "start first"
        await asyncio.shield(self._serving)

    async def stop(self) -> None:
        """What is owned here is handed over first."""
        await self._membership.leave()
        self._door.should_exit = True
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)
        await self.shards.stop()
        await self.router.stop()
        await self._cold.stop()


def reachable(host: str) -> str:
    return socket.gethostname() if host == ANY_HOST else host
