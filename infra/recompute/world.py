"""What the stream knew when it foretold, as time goes on: itineraries and arrivals, in the order of their writing."""

from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from commands.learning import key_in
from infra.eta_score import must_answer
from infra.kafka import client_args
from infra.log_reading import offset_from, reading, stretch
from infra.recompute.asked import LEAD, Asked
from infra.recompute.reading import folded_up_to, gone_through, of_tenant
from infra.secrets import secret
from infra.settings import Settings
from schemas import catalog
from schemas.keyring import Keyring
from schemas.record import Stored, Unreadable, envelope_of, event_of, source_of, stored_of
from schemas.stop_events import DeliveryAttemptFailed, ReattemptPlanned, StopArrived
from schemas.topics import ETA_MODELS, FLEET, KEYS, TASK
from streams.eta.models import Models
from streams.eta.worlds import Worlds
from streams.routing.osrm import OsrmRouter
from streams.telemetry.arrivals import Arrivals
from streams.telemetry.itineraries import Itineraries

ARRIVED = {catalog.BY_CLASS[cls].name for cls in (StopArrived, DeliveryAttemptFailed, ReattemptPlanned)}
ARRIVES_WITHIN = timedelta(days=1)
"""After the time that is asked for: what comes later scores nothing."""


class Session(msgspec.Struct, frozen=True):
    """Who is asked: `beside` reads itineraries while `consumer` reads frames. `folded` is how far the stream is."""

    folded: Mapping[int, int]
    consumer: AIOKafkaConsumer
    beside: AIOKafkaConsumer
    router: OsrmRouter

    def router_of(self, tenant: str) -> OsrmRouter:
        """Whoever the tenant asks costs money, and would tell of today."""
        return self.router


@asynccontextmanager
async def session(settings: Settings) -> AsyncIterator[Session]:
    """Raises WrongSetting where no router answers that is named, NotRunning."""
    if settings.osrm:
        await must_answer(settings.osrm)
    router, args = OsrmRouter(settings.osrm), client_args(settings)
    try:
        with gone_through(settings.kafka):
            folded = await folded_up_to(settings.postgres.get_secret_value())
            async with reading(args) as consumer, reading(args) as beside:
                yield Session(folded, consumer, beside, router)
    finally:
        await router.close()


async def known_in(using: Session, settings: Settings, tenant: str, partition: int, came: list[Any]) -> "Known":
    """What the stream knew in a partition, from its beginning on."""
    keyring = await keys_of(using.consumer, partition, secret(settings, "key_encryption_key"))
    fleet = TopicPartition(FLEET.name, partition)
    end = (await using.beside.end_offsets([fleet]))[fleet]
    return Known(tenant, keyring, planned(using.beside, partition, end), came)


class Coming:
    """Records in their order, each once its time has come."""

    def __init__(self, records: AsyncIterator[list[Any]]) -> None:
        self._records = records
        self._held: deque[Any] = deque()

    async def up_to(self, at_ms: int) -> list[Any]:
        due = []
        while True:
            while self._held and self._held[0].timestamp <= at_ms:
                due.append(self._held.popleft())
            if self._held:
                return due
            fetched = await anext(self._records, None)
            if fetched is None:
                return due
            self._held.extend(fetched)


class Known:
    """`itineraries` and `arrivals` are as of the last `up_to`. Keys are those of now: what is forgotten stays so."""

    def __init__(self, tenant: str, keyring: Keyring, fleet: Coming, arrived: list[Any]) -> None:
        self.itineraries, self.arrivals = Itineraries(), Arrivals()
        self._tenant = tenant
        self._keyring = keyring
        self._fleet = fleet
        self._arrived = deque(sorted(arrived, key=lambda r: r.timestamp))

    async def up_to(self, at_ms: int) -> None:
        for stored in of_tenant(await self._fleet.up_to(at_ms), self._tenant):
            self._planned(stored)
        while self._arrived and self._arrived[0].timestamp <= at_ms:
            learn_arrival(self.arrivals, stored_of(self._arrived.popleft()))

    def _planned(self, stored: Stored) -> None:
        with suppress(Unreadable):  # the stream passes it over, too
            envelope = envelope_of(stored)
            unseal = self._keyring.unsealer(stored.partition, envelope.tenant, envelope.aggregate_id)
            source = source_of(envelope, stored)
            self.itineraries.take(event_of(stored, unseal), source, lambda: event_of(stored, unseal))


def learn_arrival(arrivals: Arrivals, stored: Stored) -> None:
    with suppress(Unreadable):
        arrivals.take(event_of(stored, None), source_of(envelope_of(stored), stored))


def planned(consumer: AIOKafkaConsumer, partition: int, end: int) -> Coming:
    """All that was ever planned in a partition. The consumer is its own."""
    return Coming(stretch(consumer, TopicPartition(FLEET.name, partition), 0, end))


async def arrived(consumer: AIOKafkaConsumer, partitions: int, asked: Asked) -> list[Any]:
    """The tenant's arrivals and attempts, whose tasks may stand in any partition."""
    found = []
    for partition in range(partitions):
        place = TopicPartition(TASK.name, partition)
        first = await offset_from(consumer, place, asked.since - LEAD)
        end = await offset_from(consumer, place, asked.until + ARRIVES_WITHIN)
        async for records in stretch(consumer, place, first, end):
            found += [r for r in records if is_arrival(stored_of(r), asked.tenant)]
    return found


def is_arrival(stored: Stored, tenant: str) -> bool:
    return stored.header("ce_type") in ARRIVED and stored.header("tenant") == tenant


async def keys_of(consumer: AIOKafkaConsumer, partition: int, key_encryption_key: bytes) -> Keyring:
    keyring = Keyring(key_encryption_key)
    async for stored in whole(consumer, TopicPartition(KEYS.name, partition)):
        if (told := key_in(stored)) is not None:
            keyring.apply(partition, *told)
    return keyring


async def models(consumer: AIOKafkaConsumer, worlds: Worlds) -> Models:
    found = Models(worlds)
    async for stored in whole(consumer, TopicPartition(ETA_MODELS.name, 0)):
        found.take(event_of(stored, None))
    return found


async def whole(consumer: AIOKafkaConsumer, place: TopicPartition) -> AsyncIterator[Stored]:
    first = (await consumer.beginning_offsets([place]))[place]
    end = (await consumer.end_offsets([place]))[place]
    async for records in stretch(consumer, place, first, end):
        for r in records:
            yield stored_of(r)
