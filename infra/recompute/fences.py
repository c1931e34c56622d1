"""`logistics recompute fences`: what would have been told of the recorded fixes, with these fences?

By the stream's own functions, over the frames as they stand on the log. Without a file the fences are those that stood
at the time of each fix, as is known by now. Nothing is changed.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from psycopg import AsyncConnection
from rich.console import Console

from infra.clock import real_time
from infra.endpoints import NotRunning, reached
from infra.kafka import client_args
from infra.observability import quiet
from infra.recompute.asked import Asked, asked_of
from infra.recompute.facts import Compared, Outcome, Told, compared
from infra.recompute.fence_file import DrawnFence, drawn_in
from infra.recompute.reading import Span, offset_from, reading, span_of, stretch
from infra.recompute.result import OfFence, Recomputed, in_full, most_different, shown
from infra.recompute.table import Row, Write, written
from infra.settings import Settings, WrongSetting, load_settings
from schemas.directory import GeofenceCreated, TenantCreated
from schemas.message import Source
from schemas.record import Stored, Unreadable, envelope_of, event_of, source_of
from schemas.topics import DIRECTORY, FIXES, SIGNALS
from streams.telemetry.fences import Fences
from streams.telemetry.partition import Draft, Partition, moment
from streams.telemetry.quality import Quality

COLUMNS = (
    *("outcome", "rider_id", "device_id", "geofence_id", "fence", "transition"),
    *("recorded_at", "recomputed_at", "moved_s"),
)
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
OF_FENCES = "logistics.signals.Geofence"
CLOCKS_DIFFER = timedelta(minutes=1)
"""A signal is written after its frame, but maybe on another broker."""
FOLDED = 'SELECT "partition", next_offset FROM stream_places WHERE topic = %s'


class Directory:
    """What the log says of one tenant: by what its fixes are believed, and its fences."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.is_there = False
        self.fences, self.quality = Fences(), Quality()
        self.names: dict[str, str] = {}

    def take(self, stored: Stored) -> None:
        if stored.is_control or stored.header("tenant") != self.tenant:
            return
        try:
            event, source = event_of(stored, None), source_of(envelope_of(stored), stored)
        except Unreadable:  # as the stream passes it over
            return
        self.is_there = self.is_there or isinstance(event, TenantCreated)
        if isinstance(event, GeofenceCreated):
            self.names[source.aggregate_id] = event.name
        self.fences.take(event, source)
        self.quality.take(event, source)


def recompute_fences(
    tenant: str,
    since: str,
    until: str,
    file: Path | None,
    partition: int | None,
    out: Path | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Raises WrongSetting, NotRunning."""
    quiet()
    settings = load_settings(data=data)
    asked = asked_of(tenant, since, until, partition, out, settings.partitions)
    if not (settings.kafka and settings.postgres.get_secret_value()):
        settings = reached(settings)
    told = asyncio.run(recomputed(settings, asked, file))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(told)).decode())
    else:
        shown(told, Console())


async def recomputed(settings: Settings, asked: Asked, file: Path | None) -> Recomputed:
    """Raises WrongSetting, NotRunning."""
    try:
        folded = await folded_up_to(settings.postgres.get_secret_value())
        async with reading(client_args(settings)) as consumer:
            return await Recomputing(consumer, settings.partitions, asked, folded).run(file)
    except (KafkaError, psycopg.OperationalError, OSError) as lost:
        raise NotRunning(f"Kafka at {settings.kafka} or Postgres was lost: {lost}") from lost


async def folded_up_to(dsn: str) -> dict[int, int]:
    """Of each partition the next frame that the stream will fold."""
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("SET default_transaction_read_only = on")
        try:
            cursor = await connection.execute(FOLDED, (FIXES.name,))
        except psycopg.errors.UndefinedTable:
            return {}
        return dict(await cursor.fetchall())


class Recomputing:
    def __init__(self, consumer: AIOKafkaConsumer, partitions: int, asked: Asked, folded: Mapping[int, int]) -> None:
        self._consumer = consumer
        self._partitions = partitions
        self._asked = asked
        self._folded = folded
        self._directory = Directory(asked.tenant)
        self._fixes = self._unreadable = 0
        self._counts: dict[str, Counter[Outcome]] = {}
        self._moved_most_s = 0.0

    async def run(self, file: Path | None) -> Recomputed:
        asked = self._asked
        await self._learn()
        drawn = None if file is None else drawn_in(file, self._directory.names)
        fences = self._directory.fences if drawn is None else fences_of(asked.tenant, drawn)
        names = self._directory.names | {each.geofence_id: each.fence.name for each in drawn or ()}
        wanted = range(self._partitions) if asked.partition is None else [asked.partition]
        now = real_time()
        spans = {p: await span_of(self._consumer, p, asked, self._folded.get(p, 0), now) for p in wanted}
        with written(asked.out, COLUMNS) as write:
            for partition, span in spans.items():
                recorded = await self._recorded(partition, span)
                told = await self._told(partition, span, fences)
                self._count(compared(recorded.facts, told.facts), names, write)
        return Recomputed(
            tenant=asked.tenant,
            since=asked.since,
            until=asked.until,
            drawn=None if drawn is None else len(drawn),
            fixes=self._fixes,
            frames_unreadable=self._unreadable,
            frames_not_told=sum(span.not_told for span in spans.values()),
            lead_is_whole=all(span.lead_is_whole for span in spans.values()),
            outcomes=in_full(sum(self._counts.values(), Counter())),
            moved_most_s=self._moved_most_s,
            by_fence=[
                OfFence(geofence_id=geofence_id, name=names.get(geofence_id), outcomes=in_full(counts))
                for geofence_id, counts in sorted(self._counts.items(), key=most_different)
            ],
            out=None if asked.out is None else str(asked.out),
        )

    async def _learn(self) -> None:
        for partition in range(self._partitions):
            place = TopicPartition(DIRECTORY.name, partition)
            end = (await self._consumer.end_offsets([place]))[place]
            async for records in stretch(self._consumer, place, 0, end):
                for stored in records:
                    self._directory.take(stored)
        if not self._directory.is_there:
            raise WrongSetting(f"--tenant {self._asked.tenant}: there is no such tenant on this log")

    async def _recorded(self, partition: int, span: Span) -> Told:
        place = TopicPartition(SIGNALS.name, partition)
        first = await offset_from(self._consumer, place, self._asked.since - CLOCKS_DIFFER)
        end = (await self._consumer.end_offsets([place]))[place]
        told = Told(span.first, span.end)
        async for records in stretch(self._consumer, place, first, end):
            for stored in records:
                if is_of(stored, self._asked.tenant) and (draft := draft_of(stored)) is not None:
                    told.take(draft)
        return told

    async def _told(self, partition: int, span: Span, fences: Fences) -> Told:
        folding = Partition(partition, fences.index, self._directory.quality.rules)
        told = Told(span.first, span.end)
        async for records in stretch(self._consumer, TopicPartition(FIXES.name, partition), span.lead, span.end):
            ours = [stored for stored in records if is_of(stored, self._asked.tenant)]
            lead = [stored for stored in ours if stored.offset < span.first]
            folding.fold(lead)
            found = folding.fold(ours[len(lead) :])
            self._fixes += found.fixes
            self._unreadable += len(found.unread)
            for draft in found.signals:
                told.take(draft)
        return told

    def _count(self, found: Sequence[Compared], names: Mapping[str, str], write: Write) -> None:
        for each in found:
            self._counts.setdefault(each.fact.geofence_id, Counter())[each.outcome] += 1
            self._moved_most_s = max(self._moved_most_s, abs(each.moved_s or 0.0))
            write(row_of(each, names))


def is_of(stored: Stored, tenant: str) -> bool:
    return not stored.is_control and stored.header("tenant") == tenant


def draft_of(stored: Stored) -> Draft | None:
    """A signal of the log as the stream made it; None for what is not of fences, or of a newer release."""
    if not (stored.header("ce_type") or "").startswith(OF_FENCES):
        return None
    try:
        envelope, event = envelope_of(stored), event_of(stored, None)
    except Unreadable:
        return None
    return Draft(
        event_id=envelope.event_id,
        tenant=envelope.tenant,
        rider_id=envelope.aggregate_id,
        event=event,
        at=envelope.event_time,
        cause=envelope.causation_id or "",
    )


def fences_of(tenant: str, drawn: Sequence[DrawnFence]) -> Fences:
    """As if the tenant had always had these, and no others."""
    fences = Fences()
    for each in drawn:
        created = GeofenceCreated(
            name=each.fence.name,
            kind=each.fence.kind,
            shape=each.fence.shape,
            outlet=None,
            valid_from=ALWAYS,
            external_reference=None,
            source="",
            metadata={},
        )
        fences.take(created, source_drawn(tenant, each.geofence_id))
    return fences


def source_drawn(tenant: str, geofence_id: str) -> Source:
    """Of what stands on no log."""
    nothing = dict.fromkeys(("event_id", "actor", "command_id", "correlation_id", "topic"), "")
    places = dict.fromkeys(("version", "partition", "offset"), 0)
    times = dict.fromkeys(("event_time", "recorded_at"), ALWAYS)
    whose = {"tenant": tenant, "outlet": None, "aggregate_id": geofence_id}
    return msgspec.convert(nothing | places | times | whose, Source)


def row_of(each: Compared, names: Mapping[str, str]) -> Row:
    return {
        "outcome": each.outcome,
        "rider_id": each.fact.rider_id,
        "device_id": each.fact.device_id,
        "geofence_id": each.fact.geofence_id,
        "fence": names.get(each.fact.geofence_id),
        "transition": each.fact.transition,
        "recorded_at": iso(each.recorded_ms),
        "recomputed_at": iso(each.recomputed_ms),
        "moved_s": each.moved_s,
    }


def iso(at_ms: int | None) -> str | None:
    return None if at_ms is None else moment(at_ms).isoformat(timespec="milliseconds")
