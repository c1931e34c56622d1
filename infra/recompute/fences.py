"""`logistics recompute fences`: what would have been told of the recorded fixes, with these fences?

By the stream's own functions, over the frames as they stand on the log. Without a file the fences are those that stood
at the time of each fix, as is known by now. Nothing is changed.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console

from infra.kafka import client_args
from infra.log_reading import reading, stretch
from infra.recompute.asked import CLOCKS_DIFFER, Asked, begun
from infra.recompute.directory import Directory, learnt
from infra.recompute.facts import Compared, Outcome, Told, compared
from infra.recompute.fence_file import ALWAYS, DrawnFence, drawn_in
from infra.recompute.reading import Span, folded_up_to, gone_through, of_tenant, signals_since, spans_of
from infra.recompute.result import OfFence, Recomputed, in_full, most_different, shown
from infra.recompute.table import Row, Write, iso, written
from infra.settings import Settings
from schemas.directory import GeofenceCreated
from schemas.message import Source
from schemas.topics import FIXES
from streams.telemetry.fences import Fences
from streams.telemetry.partition import Partition

COLUMNS = (
    *("outcome", "rider_id", "device_id", "geofence_id", "fence", "transition"),
    *("recorded_at", "recomputed_at", "moved_s"),
)
OF_FENCES = "logistics.signals.Geofence"


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
    settings, asked = begun(tenant, since, until, partition, out, data)
    told = asyncio.run(recomputed(settings, asked, file))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(told)).decode())
    else:
        shown(told, Console())


async def recomputed(settings: Settings, asked: Asked, file: Path | None) -> Recomputed:
    """Raises WrongSetting, NotRunning."""
    with gone_through(settings.kafka):
        folded = await folded_up_to(settings.postgres.get_secret_value())
        async with reading(client_args(settings)) as consumer:
            return await Recomputing(consumer, settings.partitions, asked, folded).run(file)


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
        await learnt(self._consumer, self._partitions, self._directory)
        drawn = None if file is None else drawn_in(file, self._directory.names)
        fences = self._directory.fences if drawn is None else fences_of(asked.tenant, drawn)
        names = {each.geofence_id: each.fence.name for each in drawn or ()} | self._directory.names
        spans = await spans_of(self._consumer, self._partitions, asked, self._folded)
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
            new=[each.geofence_id for each in drawn or () if each.is_new],
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

    async def _recorded(self, partition: int, span: Span) -> Told:
        told = Told(span.first, span.end)
        since = self._asked.since - CLOCKS_DIFFER
        async for draft in signals_since(self._consumer, partition, since, self._asked.tenant, OF_FENCES):
            told.take(draft)
        return told

    async def _told(self, partition: int, span: Span, fences: Fences) -> Told:
        folding = Partition(partition, fences.index, self._directory.quality.rules)
        told = Told(span.first, span.end)
        async for records in stretch(self._consumer, TopicPartition(FIXES.name, partition), span.lead, span.end):
            ours = of_tenant(records, self._asked.tenant)
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
            _, _, geofence_id, _ = each.fact.what
            self._counts.setdefault(geofence_id, Counter())[each.outcome] += 1
            self._moved_most_s = max(self._moved_most_s, abs(each.moved_s or 0.0))
            write(row_of(each, names))


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
            dwell_s=each.fence.dwell_s,
            calendar=each.fence.calendar,
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
    rider_id, device_id, geofence_id, transition = each.fact.what
    return {
        "outcome": each.outcome,
        "rider_id": rider_id,
        "device_id": device_id,
        "geofence_id": geofence_id,
        "fence": names.get(geofence_id),
        "transition": transition,
        "recorded_at": iso(each.recorded_ms),
        "recomputed_at": iso(each.recomputed_ms),
        "moved_s": each.moved_s,
    }
