"""The telemetry stream: fixes become rows, signals and forecasts."""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from commands.follow import Follower
from commands.learning import key_in
from infra.clock import real_time
from infra.dead_letters import DeadLetters
from infra.kafka import client_args
from infra.provider_secrets import ProviderSecrets
from infra.routing_budgets import CountedInPostgres
from infra.secrets import secret
from infra.settings import Settings
from infra.signal_log import SignalLog
from projections import quarantine
from projections.models import MODELS
from projections.tables import migrate
from schemas import catalog
from schemas.keyring import Keyring
from schemas.person import PersonForgotten
from schemas.record import Stored, envelope_of, event_of, source_of
from schemas.stop_events import DeliveryAttemptFailed, ReattemptPlanned, StopArrived
from schemas.topics import DIRECTORY, ETA_MODELS, FIXES, FLEET, KEYS, TASK
from streams.eta.models import Models
from streams.eta.worlds import Worlds
from streams.routing.osrm import OsrmRouter
from streams.routing.tenants import Chains, Configs, TenantRouting
from streams.source import Source
from streams.telemetry.anomalies import Anomalies
from streams.telemetry.arrivals import Arrivals
from streams.telemetry.eta import Etas
from streams.telemetry.fences import Fences
from streams.telemetry.gone import MARGIN, Forgotten, let_go_of_forgotten, let_go_of_long_gone, let_go_of_marks
from streams.telemetry.itineraries import Itineraries
from streams.telemetry.moments import unix_ms
from streams.telemetry.quality import Quality
from streams.telemetry.store import Store
from streams.telemetry.work import Telemetry

CARE_EVERY_S = 600.0
AGAIN_AFTER_S = 20.0
"""Where somebody was forgotten: what was on its way to the tables just then goes, too."""
FIXES_KEPT = timedelta(milliseconds=int(FIXES.config["retention.ms"]))
ARRIVALS_KEPT = timedelta(days=1)
"""Whatever was foretold before needs no score."""
ARRIVED = {catalog.BY_CLASS[cls].name for cls in (StopArrived, DeliveryAttemptFailed, ReattemptPlanned)}

logger = structlog.get_logger()

type Pool = AsyncConnectionPool[AsyncConnection[Any]]


async def serve_streams(settings: Settings) -> None:
    """Until it is cancelled. Raises what the stream crashed by."""
    async with AsyncConnectionPool[AsyncConnection[Any]](
        settings.postgres.get_secret_value(), min_size=2, max_size=4, open=False
    ) as pool:
        async with pool.connection() as connection:
            await migrate(connection, MODELS.values())
        streams = Streams(settings, pool, real_time)
        await streams.start()
        try:
            await streams.run()
        finally:
            await streams.stop()


class Streams:
    """`clock` says what time stands on the signals."""

    def __init__(self, settings: Settings, pool: Pool, clock: Callable[[], datetime]) -> None:
        args = client_args(settings)
        self._args = args
        self._settings = settings
        self._pool = pool
        self._clock = clock
        self._keyring = Keyring(secret(settings, "key_encryption_key"))
        self._fences, self._quality = Fences(), Quality()
        self._itineraries = Itineraries()
        self._keys = Follower(args, [KEYS.name], self._learn_key)
        self._facts = Follower(args, [DIRECTORY.name, FLEET.name], self._learn)
        self._arrivals = Arrivals()
        arrived_since = real_time() - ARRIVALS_KEPT
        self._arrived = Follower(args, [TASK.name], self._learn_arrival, arrived_since)
        self._worlds = Worlds()
        self._models = Models(self._worlds)
        self._learned = Follower(args, [ETA_MODELS.name], lambda stored: self._models.take(event_of(stored, None)))
        self._producer = AIOKafkaProducer(**args, enable_idempotence=True)
        self._router = OsrmRouter(settings.osrm)
        self._budgets, self._configs = CountedInPostgres(pool), Configs()
        secrets = ProviderSecrets(settings.provider_secrets)
        self._chains = Chains(settings.osrm, self._configs.of, secrets, self._budgets)
        etas = Etas(self._itineraries, TenantRouting(self._chains, self._router).of, self._models.of, self._arrivals)
        self._telemetry = Telemetry(
            Store(pool),
            self._fences,
            self._quality,
            self._open_signals,
            etas,
            Anomalies(self._quality.anomalies, self._itineraries, etas.first_way),
            DeadLetters(self._producer, "streams"),
        )
        group, session_s = f"logistics.streams.{settings.cluster}", settings.streams_session_ms / 1_000
        self._source = Source(group, args, FIXES.name, self._telemetry, session_s)
        self._caring: asyncio.Task[None] | None = None
        self._forgotten: dict[tuple[str, str], Forgotten] = {}
        """As long as their fixes may be on the log, from which a stream that begins anew learns where they were."""
        self._somebody_forgotten = asyncio.Event()

    async def start(self) -> None:
        await Store(self._pool).make()
        await self._budgets.make()
        await self._producer.start()
        await self._keys.start()
        await self._facts.start()
        await self._arrived.start()
        await self._learned.start()
        await self._source.start()
        self._caring = asyncio.create_task(self._care())

    async def run(self) -> None:
        """Until it is cancelled. Raises what the stream, or what it knows the world by, ended with."""
        followed = (self._keys, self._facts, self._arrived, self._learned)
        await asyncio.gather(self._source.run(), *(each.run() for each in followed))

    async def stop(self) -> None:
        if self._caring is not None:
            self._caring.cancel()
            await asyncio.gather(self._caring, return_exceptions=True)
        await self._source.stop()
        await self._telemetry.close()
        for followed in (self._learned, self._arrived, self._facts, self._keys):
            await followed.stop()
        await self._producer.stop()
        await self._chains.close()
        await self._router.close()

    async def caught_up(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether every frame before `ends` is folded, and every fact is known by which the next one will be."""
        if not (await self._keys.caught_up(ends) and await self._facts.caught_up(ends)):
            return False
        places = [TopicPartition(FIXES.name, p) for p in range(self._settings.partitions)]
        done = self._telemetry.places_done
        return all(done.get(place.partition, -1) >= ends[place] for place in places)

    async def _open_signals(self, partition: int, since: int, told_to: int) -> SignalLog:
        signals = SignalLog(self._args, self._settings.cluster, partition, self._keyring, self._clock)
        await signals.open(f"{socket.gethostname()}:{os.getpid()}", since, told_to)
        return signals

    def _learn_key(self, stored: Stored) -> None:
        if (told := key_in(stored)) is not None:
            self._keyring.apply(stored.partition, *told)

    def _learn(self, stored: Stored) -> None:
        if stored.is_control:
            return
        envelope = envelope_of(stored)
        source = source_of(envelope, stored)
        if stored.topic == DIRECTORY.name:
            event = event_of(stored, None)
            self._fences.take(event, source)
            self._quality.take(event, source)
            self._worlds.take(event)
            self._configs.take(event, source)
            if isinstance(event, PersonForgotten) and source.recorded_at > self._clock() - FIXES_KEPT:
                gone = Forgotten(source.tenant, event.subject, source.recorded_at)
                self._forgotten[gone.key] = gone
                self._somebody_forgotten.set()
        else:
            unseal = self._keyring.unsealer(stored.partition, envelope.tenant, envelope.aggregate_id)
            self._itineraries.take(event_of(stored, unseal), source, lambda: event_of(stored, unseal))

    def _learn_arrival(self, stored: Stored) -> None:
        if stored.header("ce_type") in ARRIVED:
            self._arrivals.take(event_of(stored, None), source_of(envelope_of(stored), stored))

    async def _care(self) -> None:
        """What has to be done now and then: beats on silent partitions, and what is kept for too long."""
        while True:
            fresh = self._somebody_forgotten.is_set()
            self._somebody_forgotten.clear()
            await self._telemetry.beat()
            try:
                await self.let_go()
            except Exception as failed:
                logger.warning("what is old is still kept", error=failed)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._somebody_forgotten.wait(), AGAIN_AFTER_S if fresh else CARE_EVERY_S)

    async def let_go(self) -> None:
        """Of what is kept for a while only."""
        now = self._clock()
        self._forgotten = {key: each for key, each in self._forgotten.items() if each.at > now - FIXES_KEPT}
        forgotten = list(self._forgotten.values())
        held_since, before = now - FIXES_KEPT, now - timedelta(days=self._settings.rider_places_days)
        gone = self._telemetry.gone({each.key: unix_ms(each.at) for each in forgotten}, unix_ms(before))
        async with self._pool.connection() as connection:
            await quarantine.forget(connection, held_since)
            await let_go_of_long_gone(connection, gone, before)
            await let_go_of_forgotten(connection, forgotten)
            await let_go_of_marks(connection, held_since)
        self._telemetry.let_go(gone, unix_ms(held_since - MARGIN))
