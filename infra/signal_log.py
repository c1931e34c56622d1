"""A partition of `logistics.signals` as the telemetry stream writes it: fenced, chained, each signal once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec.structs import replace

from commands.log import Entry, ShardLog
from commands.opening import control_entries
from commands.shard import IDLE_HEARTBEAT_S
from schemas import catalog
from schemas.control import Heartbeat, ShardOpened
from schemas.geo import ObservedFix
from schemas.keyring import Keyring
from schemas.message import Event, Personal
from schemas.record import GENESIS, Stored, chained, derived_headers, event_of
from schemas.topics import SIGNALS
from streams.telemetry.partition import Draft

LOOK_BACK = 64
"""So many records before the place are read for the chain and the last barrier; then ever more, up to all."""
MOST_TOGETHER = 2_000
"""Signals in one batch."""

logger = structlog.get_logger()


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
        self._log = ShardLog(client_args, f"logistics.{cluster}.stream.{partition}", partition, [SIGNALS.name])
        self._source = f"/logistics/{cluster}/stream/{partition}"
        self._keyring = keyring
        self._clock = clock
        self._chain = GENESIS
        self._told: set[str] = set()
        self._written_s = monotonic()

    @property
    def next_offset(self) -> int:
        return self._log.next_offset[SIGNALS.name]

    def tells(self, event_id: str) -> bool:
        return event_id in self._told

    async def open(self, owner: str, since: int) -> None:
        """Fence every earlier writer; remember what stands from `since` on. Raises TenureLost."""
        await self._log.connect()
        await self._log.take_epoch()
        before = await self._records(since)
        former = producer_of(before)
        if former is not None and former != self._log.producer_id:
            await self._log.retire({SIGNALS.name: former}, self._control(Heartbeat, owner))
        await self._log.barriers(self._control(ShardOpened, owner))
        records = [*before, *await self._read(before[-1].offset + 1 if before else 0)]
        self._chain = chain_after(records)
        self._told = {stored.header("ce_id") or "" for stored in records if stored.offset >= since}

    async def tell(self, drafts: Sequence[Draft]) -> None:
        """Raises TenureLost. More than fit into one batch go into several, each of which may stand alone."""
        for first in range(0, len(drafts), MOST_TOGETHER):
            entries, chain = self._entries(drafts[first : first + MOST_TOGETHER])
            await self._log.append({SIGNALS.name: entries})
            self._chain = chain
        self._written_s = monotonic()

    async def beat_if_idle(self) -> None:
        """Well before the broker forgets its producer, which would let a zombie write."""
        if monotonic() - self._written_s > IDLE_HEARTBEAT_S:
            [(key, value, headers)] = self._control(Heartbeat, "").values()
            chain = chained(self._chain, key, value, headers)
            await self._log.append({SIGNALS.name: [(key, value, [*headers, ("hash", chain.hex().encode())])]})
            self._chain = chain
            self._written_s = monotonic()

    async def close(self) -> None:
        await self._log.close()

    def _entries(self, drafts: Sequence[Draft]) -> tuple[list[Entry], bytes]:
        entries: list[Entry] = []
        chain = self._chain
        for draft in drafts:
            seal = self._keyring.sealer(self._log.partition, draft.tenant, draft.rider_id)
            key, value = draft.rider_id.encode(), catalog.write(self._event(draft), seal)
            headers = self._headers(draft)
            chain = chained(chain, key, value, headers)
            entries.append((key, value, [*headers, ("hash", chain.hex().encode())]))
        return entries, chain

    def _headers(self, draft: Draft) -> list[tuple[str, bytes]]:
        return list(
            derived_headers(
                event_id=draft.event_id,
                type_name=catalog.BY_CLASS[type(draft.event)].name,
                source=self._source,
                event_time=draft.at,
                recorded_at=self._clock(),
                subject=draft.rider_id,
                tenant=draft.tenant,
                actor="telemetry",
                epoch=self._log.epoch,
                causation_id=draft.cause,
            )
        )

    def _event(self, draft: Draft) -> Event:
        """Without the place where the rider is forgotten: there is no key, and there shall be none."""
        fix: Personal[ObservedFix] | None = getattr(draft.event, "fix", None)
        if fix is None or self._keyring.knows(self._log.partition, fix.subject):
            return draft.event
        return replace(draft.event, fix=None)

    def _control(self, cls: type[ShardOpened | Heartbeat], owner: str) -> dict[str, Entry]:
        return control_entries([SIGNALS.name], cls, self._log, self._clock(), self._source, owner)

    async def _records(self, since: int) -> list[Stored]:
        """From before `since` on: as far back as a barrier and what the chain hangs on."""
        back = LOOK_BACK
        while True:
            first = max(0, since - back)
            records = await self._read(first)
            if first == 0 or (producer_of(records) is not None and any(stored.header("hash") for stored in records)):
                return records
            back *= 8

    async def _read(self, first: int) -> list[Stored]:
        """From `first` to where the partition ends now."""
        consumer = AIOKafkaConsumer(**self._client_args, enable_auto_commit=False, fetch_max_wait_ms=50)
        await consumer.start()
        try:
            place = TopicPartition(SIGNALS.name, self._log.partition)
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
            consumer.seek(place, first)
            records: list[Stored] = []
            while await consumer.position(place) < end:
                for r in (await consumer.getmany(place, timeout_ms=200)).get(place, []):
                    records.append(Stored(r.topic, r.partition, r.offset, r.key, r.value, r.headers))
            return records
        finally:
            await consumer.stop()


def producer_of(records: Sequence[Stored]) -> int | None:
    """Under whose id the last barrier was written."""
    for stored in reversed(records):
        if stored.header("ce_type") == catalog.BY_CLASS[ShardOpened].name:
            opened = event_of(stored, None)
            assert isinstance(opened, ShardOpened), "the type says so"
            return opened.producer_id
    return None


def chain_after(records: Sequence[Stored]) -> bytes:
    """From the first record that claims its hash, or from the first of all."""
    chain = GENESIS
    for stored in records:
        claimed = stored.header("hash")
        after = chained(chain, stored.key, stored.value, stored.headers)
        chain = after if claimed is None else bytes.fromhex(claimed)
    return chain
