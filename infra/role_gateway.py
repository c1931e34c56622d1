"""The gateway: the door, and behind it in the same process, if that is wanted, shards."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
import structlog
from aiokafka import TopicPartition
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from commands.follow import Follower
from commands.owners import Following, Shards
from commands.policy import Policy
from commands.router import Router
from gateway.app import app
from gateway.bindings import Bindings
from gateway.door import Door, Limits
from gateway.hydration import Hydration
from gateway.registry import Registry
from gateway.tokens import Tokens
from gateway.webhook_signature import key_of
from infra.addresses import addresses_of
from infra.artefacts import artefacts_of
from infra.clock import real_time
from infra.dry_runs import DispatchDryRuns
from infra.frame_log import KafkaFrameLog
from infra.kafka import client_args
from infra.log_setup import set_up_log
from infra.look_ups import PlatformLookUps
from infra.lookups import Lookups
from infra.owning import Owning
from infra.provider_secrets import ProviderSecrets
from infra.routing_budgets import CountedInPostgres
from infra.secrets import internal_key, secret, server_secrets
from infra.serving import server
from infra.settings import Settings, WrongSetting
from infra.side_by_side import side_by_side
from schemas.keyring import Keyring
from schemas.record import Stored, envelope_of, event_of, source_of
from schemas.topics import FLEET, SCHEMAS
from streams.routing.matching import Matcher
from streams.routing.osrm import OsrmRouter
from streams.routing.tenants import Chains, TenantAddresses, TenantMatching, TenantRouting
from streams.routing.tiles import OsrmTiles

POOL = 16

logger = structlog.get_logger()


async def serve_gateway(settings: Settings) -> None:
    """Until it is cancelled or told to stop. Raises NotTrusted, WrongTopic, and what keeps the shards from opening."""
    if settings.prepare_log:
        await set_up_log(settings, client_args(settings), outside=True)
    gateway = Gateway(settings, real_time)
    public = server(app(gateway.door), settings.http_host, settings.http_port, lifespan="on", proxies=settings.proxies)
    serving: list[asyncio.Task[None]] = []
    try:
        await gateway.start()
        serving += [asyncio.create_task(work) for work in (public.serve(), gateway.run())]
        done, _ = await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        public.should_exit = True
        await asyncio.gather(*serving[:1], return_exceptions=True)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await gateway.stop()


class Gateway:
    """The door, with shards behind it in this process or without any. `clock` is what decisions take for now.

    `alone`: it owns every shard, in no group, as a play in virtual time needs it.
    """

    def __init__(self, settings: Settings, clock: Callable[[], datetime], *, alone: bool = False) -> None:
        args = client_args(settings)
        keyring, policy = Keyring(secret(settings, "key_encryption_key")), Policy()
        self.keyring, self.policy = keyring, policy
        secrets = server_secrets(settings)
        self._alone = alone
        self._pool = AsyncConnectionPool[AsyncConnection[Any]](
            settings.postgres.get_secret_value(), min_size=2, max_size=POOL, open=False
        )
        self.owning: Owning | None = None
        if alone or settings.with_shards:
            self.owning = Owning(
                settings, args, keyring=keyring, policy=policy, secrets=secrets, clock=clock, pool=self._pool
            )
            self._following, self.desk = self.owning.shards.following, self.owning.router
        else:
            self._following = Following(args, keyring, policy)
            key = internal_key(secrets)
            self.desk = Router(self._following.announced, settings.partitions, key)
        bindings = Bindings()
        self._fleet = Follower(args, [FLEET.name], lambda stored: bind(bindings, stored))
        registry = Registry()
        self._schemas = Follower(args, [SCHEMAS.name], lambda stored: learn_schema(registry, stored))
        self._frames = KafkaFrameLog(args, settings.cluster, clock)
        self._streets, self._matcher = OsrmTiles(settings.osrm), Matcher(settings.osrm)
        self._budgets = CountedInPostgres(self._pool)
        secrets_of_providers = ProviderSecrets(settings.provider_secrets)
        self._chains = Chains(
            settings.osrm, policy.routing, secrets_of_providers, self._budgets, addresses_of(settings)
        )
        self._router = OsrmRouter(settings.osrm)
        known = Lookups(self._pool, policy, keyring, settings.partitions, clock)
        self._look_ups = look_ups_of(settings)
        self.door = Door(
            desk=self.desk,
            pool=self._pool,
            keyring=keyring,
            secrets=secrets,
            tokens=Tokens(secret(settings, "token_key")),
            bindings=bindings,
            frames=self._frames,
            matching=TenantMatching(self._chains, self._matcher),
            addresses=TenantAddresses(self._chains),
            dry_runs=DispatchDryRuns(self._pool, known, TenantRouting(self._chains, self._router)),
            artefacts=artefacts_of(settings),
            policy=policy,
            clock=clock,
            partitions=settings.partitions,
            cluster=settings.cluster,
            readiness=lambda: readiness(self.desk, self._pool),
            learn=self._following.up_to_now,
            hydration=Hydration(self._look_ups),
            platform_key=platform_key(settings),
            secret_of=secrets_of_providers,
            registry=registry,
            limits=limits_of(settings),
            streets=self._streets,
        )

    @property
    def shards(self) -> Shards:
        assert self.owning is not None, "this gateway owns no shards"
        return self.owning.shards

    async def start(self) -> None:
        """Raises what keeps the shards from opening."""
        await self._pool.open()
        await self._budgets.make()
        if self.owning is None:
            await self._following.start()
        elif self._alone:
            await self.owning.start_alone()
        else:
            await self.owning.start()
        await self._fleet.start()
        await self._schemas.start()
        await self._frames.start()

    async def run(self) -> None:
        """Until it is cancelled. Raises what it follows the fleet by ended with: fixes would go to nobody."""
        if self.owning is None:
            await side_by_side(self._fleet.run(), self._following.run())
        elif self._alone:
            await self._fleet.run()
        else:
            await side_by_side(self._fleet.run(), self.owning.run())

    async def stop(self) -> None:
        await self._fleet.stop()
        await self._schemas.stop()
        await self._frames.stop()
        if self.owning is None:
            await self._following.stop()
            await self.desk.stop()
        elif self._alone:
            await self.owning.stop_alone()
        else:
            await self.owning.stop()
        await self._pool.close()
        await self._streets.close()
        await self._matcher.close()
        await self._chains.close()
        await self._router.close()
        await self.door.hydration.stop()
        if self._look_ups is not None:
            await self._look_ups.stop()

    async def caught_up(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether it knows of every device before `ends` who holds it."""
        return await self._fleet.caught_up(ends)


def limits_of(settings: Settings) -> Limits:
    return Limits(
        rate_per_s=settings.rate_per_s,
        burst=settings.rate_burst,
        device_fixes_per_s=settings.device_fixes_per_s,
        device_fixes_burst=settings.device_fixes_burst,
        tenant_fixes_per_s=settings.tenant_fixes_per_s,
        tenant_fixes_burst=settings.tenant_fixes_burst,
    )


def look_ups_of(settings: Settings) -> PlatformLookUps | None:
    """None where no platform is set. Raises WrongSetting."""
    key = platform_key(settings)
    if not settings.directory_url:
        return None
    if key is None:
        raise WrongSetting("LOGISTICS_DIRECTORY_URL needs LOGISTICS_DIRECTORY_SECRET: what is asked there is signed")
    return PlatformLookUps(settings.directory_url, key)


def platform_key(settings: Settings) -> bytes | None:
    word = settings.directory_secret.get_secret_value()
    return key_of(word) if word else None


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


async def readiness(desk: Router, pool: AsyncConnectionPool[Any]) -> Mapping[str, str]:
    closed = await desk.not_served()
    parts = {"shards": "ok" if not closed else "; ".join(f"{p}: {why}" for p, why in sorted(closed.items()))}
    try:
        async with asyncio.timeout(2), pool.connection() as connection:
            await connection.execute("SELECT 1")
        parts["postgres"] = "ok"
    except Exception as failed:
        parts["postgres"] = repr(failed)
    return parts
