"""A partition of `logistics.signals` as the telemetry stream writes it: fenced, chained, each signal once."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec.structs import replace

from commands.connection import KafkaConnection
from commands.log import Entry, ShardLog
from commands.opening import control_entries
from commands.shard import IDLE_HEARTBEAT_S
from schemas import catalog
from schemas.control import Heartbeat, ShardOpened
from schemas.keyring import Keyring
from schemas.message import Event, Personal
from schemas.record import GENESIS, Stored, Unreadable, chained, derived_headers, envelope_of, event_of, stored_of
from schemas.signals import (
    TRANSITIONS,
    AnomalyCleared,
    AnomalyDetected,
    EtaForecast,
    EtaScored,
    EtaThresholdReached,
    TripEnded,
)
from schemas.topics import FIXES, SIGNALS
from streams.telemetry.eta import name_of_threshold
from streams.telemetry.found import Draft, drafted

LOOK_BACK = 64
"""So many records before the place are read for the chain and the last barrier; then ever more, up to all."""
MARGIN = timedelta(days=1)
PLACES = ("fix", "seen", "evidence", "places")
"""Fields that tell where a rider was."""
MOST_TOGETHER = 2_000
"""Signals in one batch."""
MORE = b"+"
"""After a place of which more is told in the next batch."""

logger = structlog.get_logger()


class SignalTooLarge(RuntimeError):
    """One signal alone is more than the broker takes."""


class SignalLog:
    def __init__(
        self,
        client_args: Mapping[str, Any],
        cluster: str,
        partition: int,
        keyring: Keyring,
        clock: Callable[[], datetime],
    ) -> None:
        self._client_args = client_args
        identity = f"logistics.{cluster}.stream.{partition}"
        self._log = ShardLog(KafkaConnection(client_args, identity, partition, [SIGNALS.name]))
        self._source = f"/logistics/{cluster}/stream/{partition}"
        self._keyring = keyring
        self._clock = clock
        self._chain = GENESIS
        self._stands = Stands(0, 0, clock())
        self._written_s = monotonic()
        self._writing = asyncio.Lock()
        """One batch at a time: a second one built meanwhile would have its sequence, and be taken for it."""

    @property
    def next_offset(self) -> int:
        return self._log.next_offset[SIGNALS.name]

    @property
    def told_to(self) -> int:
        return self._stands.all_told_to

    def tells(self, event_id: str) -> bool:
        return event_id in self._stands.ids

    def kept_from(self, place: int) -> int:
        return self.next_offset if place >= self._stands.told_to else self._stands.since

    def standing(self) -> tuple[Sequence[Draft], Sequence[Draft]]:
        """Crossings told after the place; of each stop the latest forecast and then the thresholds, and what was told
        of anomalies and trips."""
        of_stops = [draft for told in self._stands.forecasts.values() for draft in told.values()]
        of_stops.sort(key=lambda draft: isinstance(draft.event, EtaThresholdReached))
        return self._stands.crossings, [*of_stops, *self._stands.anomalies]

    async def open(self, owner: str, since: int, told_to: int = 0) -> None:
        """Fence every earlier writer; remember what stands from `since` on. Of frames before `told_to` all is known to
        be told. Raises TenureLost."""
        await self._log.connect()
        await self._log.take_epoch()
        stands = await self._looked_back(since)
        stands.all_told_to = max(stands.all_told_to, told_to)
        if stands.producer_id is not None:
            replaced = await self._log.replaced({SIGNALS.name: stands.producer_id})
            await self._log.retire(replaced, self._control(Heartbeat, owner))
        await self._log.barriers(self._control(ShardOpened, owner))
        await self._read(stands)
        self._chain, self._stands = stands.chain, stands

    async def tell(self, drafts: Sequence[Draft], place: int = 0) -> None:
        """Raises TenureLost. More than fit into one batch go into several, each of which may stand alone."""
        async with self._writing:
            for first in range(0, len(drafts), MOST_TOGETHER):
                end = first + MOST_TOGETHER
                await self._tell(drafts[first:end], b"%d" % place + MORE * (end < len(drafts)))
            self._written_s = monotonic()

    async def _tell(self, drafts: Sequence[Draft], place: bytes) -> None:
        """What is too large together goes in halves. Raises TenureLost, SignalTooLarge."""
        entries, chain = self._entries(drafts, place)
        if (await self._log.append({SIGNALS.name: entries}))[SIGNALS.name] is not None:
            self._chain = chain
            return
        if len(drafts) == 1:
            raise SignalTooLarge(f"{type(drafts[0].event).__name__} {drafts[0].event_id} fits into no batch")
        half = len(drafts) // 2
        await self._tell(drafts[:half], place.rstrip(MORE) + MORE)
        await self._tell(drafts[half:], place)

    async def beat_if_idle(self) -> None:
        """Well before the broker forgets its producer, which would let a zombie write."""
        async with self._writing:
            if monotonic() - self._written_s <= IDLE_HEARTBEAT_S:
                return
            [(key, value, headers)] = self._control(Heartbeat, "").values()
            chain = chained(self._chain, key, value, headers)
            await self._log.append({SIGNALS.name: [(key, value, [*headers, ("hash", chain.hex().encode())])]})
            self._chain = chain
            self._written_s = monotonic()

    async def close(self) -> None:
        await self._log.close()

    def _entries(self, drafts: Sequence[Draft], place: bytes) -> tuple[list[Entry], bytes]:
        entries: list[Entry] = []
        chain, now = self._chain, self._clock()
        for draft in drafts:
            seal = self._keyring.sealer(self._log.partition, draft.tenant, draft.rider_id)
            key, value = draft.rider_id.encode(), catalog.write(self._event(draft), seal)
            headers = [*self._headers(draft, now), ("place", place)]
            chain = chained(chain, key, value, headers)
            entries.append((key, value, [*headers, ("hash", chain.hex().encode())]))
        return entries, chain

    def _headers(self, draft: Draft, now: datetime) -> list[tuple[str, bytes]]:
        return list(
            derived_headers(
                event_id=draft.event_id,
                type_name=catalog.BY_CLASS[type(draft.event)].name,
                source=self._source,
                event_time=draft.at,
                recorded_at=now,
                subject=draft.rider_id,
                tenant=draft.tenant,
                actor="telemetry",
                epoch=self._log.epoch,
                causation_id=draft.cause,
            )
        )

    def _event(self, draft: Draft) -> Event:
        """Without the places where the rider is forgotten: there is no key, and there shall be none."""
        event = draft.event
        for name in PLACES:
            told: Personal[Any] | None = getattr(event, name, None)
            if told is not None and not self._keyring.knows(self._log.partition, told.subject):
                event = replace(event, **{name: None})
        return event

    def _control(self, cls: type[ShardOpened | Heartbeat], owner: str) -> dict[str, Entry]:
        return control_entries([SIGNALS.name], cls, self._log, self._clock(), self._source, owner)

    async def _looked_back(self, since: int) -> "Stands":
        """Up to the end, from so far before `since` that a barrier and what the chain hangs on are seen."""
        back = LOOK_BACK
        recomputed_from = self._clock() - timedelta(milliseconds=int(FIXES.config["retention.ms"])) - MARGIN
        while True:
            stands = Stands(max(0, since - back), since, recomputed_from)
            await self._read(stands)
            if stands.first == 0 or (stands.producer_id is not None and stands.chained):
                return stands
            back *= 8

    async def _read(self, stands: "Stands") -> None:
        """On from where it is to where the partition ends now."""
        consumer = AIOKafkaConsumer(**self._client_args, enable_auto_commit=False, fetch_max_wait_ms=50)
        await consumer.start()
        try:
            place = TopicPartition(SIGNALS.name, self._log.partition)
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
            consumer.seek(place, stands.next_offset)
            while await consumer.position(place) < end:
                for r in (await consumer.getmany(place, timeout_ms=200)).get(place, []):
                    stands.take(stored_of(r))
        finally:
            await consumer.stop()


class Stands:
    """What the partition holds, record by record: the chain, the last barrier's producer, and what was told since.

    Of forecasts the latest of each stop is kept; a signal of before `recomputed_from` can follow from no frame that
    is still there, so it needs no remembering.
    """

    def __init__(self, first: int, since: int, recomputed_from: datetime) -> None:
        self.first, self.since, self._recomputed_from = first, since, recomputed_from
        self.next_offset = first
        self.chain = GENESIS
        self.chained = False
        self.producer_id: int | None = None
        self.told_to = self.all_told_to = 0
        """The frame after the last one of which something was told, and of which everything was."""
        self.ids: set[str] = set()
        self.crossings: list[Draft] = []
        self.anomalies: list[Draft] = []
        self.forecasts: dict[tuple[str, ...], dict[str, Draft]] = {}
        """Of each stop, by the name of a threshold; the forecast itself has none."""

    def take(self, stored: Stored) -> None:
        claimed = stored.header("hash")
        after = chained(self.chain, stored.key, stored.value, stored.headers)
        self.chain = after if claimed is None else bytes.fromhex(claimed)
        self.chained = self.chained or claimed is not None
        self.next_offset = stored.offset + 1
        if stored.header("ce_type") == catalog.BY_CLASS[ShardOpened].name:
            opened = event_of(stored, None)
            assert isinstance(opened, ShardOpened), "the type says so"
            self.producer_id = opened.producer_id
        if stored.offset >= self.since and not stored.is_control:
            self._told(stored)

    def _told(self, stored: Stored) -> None:
        place = (stored.header("place") or "0").encode()
        self.told_to = max(self.told_to, int(place.rstrip(MORE)))
        if not place.endswith(MORE):
            self.all_told_to = max(self.all_told_to, int(place))
        envelope = envelope_of(stored)
        if envelope.event_time < self._recomputed_from:
            return
        self.ids.add(envelope.event_id)
        try:
            event = event_of(stored, None)
        except Unreadable:  # of a newer release: it stands, and that is all there is to know
            return
        draft = drafted(envelope, event)
        if isinstance(event, (EtaForecast, EtaThresholdReached)):
            which = name_of_threshold(event) if isinstance(event, EtaThresholdReached) else ""
            stop = draft.tenant, draft.rider_id, event.task_id, event.stop_id
            self.forecasts.setdefault(stop, {})[which] = draft
        elif isinstance(event, EtaScored):
            self.forecasts.pop((draft.tenant, draft.rider_id, event.task_id, event.stop_id), None)
        elif type(event) in TRANSITIONS:
            self.crossings.append(draft)
        elif isinstance(event, (AnomalyDetected, AnomalyCleared, TripEnded)):
            self.anomalies.append(draft)
