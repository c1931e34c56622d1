"""`logistics recompute anomalies`: what would have been told of riders' ways, and of their trips, by these rules?

By the stream's own functions, over the frames and the itineraries as they stand on the log, each known from when it was
written. Without a file the rules are those that held at the time of each fix. Nothing is changed.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
from aiokafka import TopicPartition
from rich.console import Console

from infra.log_reading import stretch
from infra.recompute.asked import CLOCKS_DIFFER, Asked, begun
from infra.recompute.directory import Directory, learnt
from infra.recompute.facts import Outcome
from infra.recompute.oddities import COLUMNS, KINDS, WORDS, Oddities, held, row_of
from infra.recompute.reading import Span, signals_since, spans_of
from infra.recompute.result import counted, in_full, left_out, side_by_side
from infra.recompute.rules_file import AS_THEY_WERE, OtherRules, rules_in
from infra.recompute.table import Write, written
from infra.recompute.world import Session, known_in, session
from infra.settings import Settings, with_secrets
from schemas import catalog
from schemas.record import Stored, Unreadable, envelope_of, stored_of
from schemas.signals import AnomalyCleared, AnomalyDetected, TripEnded
from schemas.topics import FIXES
from streams.eta.model import Model
from streams.telemetry import trips
from streams.telemetry.anomalies import Anomalies
from streams.telemetry.arrivals import Arrivals
from streams.telemetry.eta import Etas
from streams.telemetry.fences import Fences
from streams.telemetry.found import Found, Taken, cause_of
from streams.telemetry.moments import unix_ms
from streams.telemetry.partition import FROM_OUTSIDE, Partition, opened

OF_ODDITIES = tuple(catalog.BY_CLASS[cls].name for cls in (AnomalyDetected, AnomalyCleared, TripEnded))


class OfKind(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    told: str
    outcomes: dict[Outcome, int]


class Reconsidered(msgspec.Struct, frozen=True, kw_only=True):
    """What came out. `anomaly_rules` and `fix_rules` are those of the file."""

    tenant: str
    since: datetime
    until: datetime
    anomaly_rules: Mapping[str, float]
    fix_rules: Mapping[str, float]
    by_router: bool
    fixes: int
    frames_unreadable: int
    frames_not_told: int
    lead_is_whole: bool
    outcomes: dict[Outcome, int]
    by_kind: list[OfKind]
    out: str | None


def recompute_anomalies(
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
    rules = AS_THEY_WERE if file is None else rules_in(file)
    settings, asked = begun(tenant, since, until, partition, out, data)
    told = asyncio.run(reconsidered(with_secrets(settings), asked, rules))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(told)).decode())
    else:
        shown(told, Console())


async def reconsidered(settings: Settings, asked: Asked, rules: OtherRules) -> Reconsidered:
    """Raises WrongSetting, NotRunning."""
    async with session(settings) as using:
        return await Reconsidering(settings, asked, rules, using).run()


class Reconsidering:
    def __init__(self, settings: Settings, asked: Asked, rules: OtherRules, using: Session) -> None:
        self._settings, self._asked, self._rules, self._using = settings, asked, rules, using
        self._directory = Directory(asked.tenant)
        self._fixes = self._unreadable = 0
        self._counts: dict[tuple[str, str], Counter[Outcome]] = {}

    async def run(self) -> Reconsidered:
        asked, consumer, partitions = self._asked, self._using.consumer, self._settings.partitions
        await learnt(consumer, partitions, self._directory)
        spans = await spans_of(consumer, partitions, asked, self._using.folded)
        with written(asked.out, COLUMNS) as write:
            for partition, span in spans.items():
                self._count(await self._recorded(partition, span), await self._recomputed(partition, span), write)
        return Reconsidered(
            tenant=asked.tenant,
            since=asked.since,
            until=asked.until,
            anomaly_rules=self._rules.anomalies,
            fix_rules=self._rules.fixes,
            by_router=bool(self._settings.osrm),
            fixes=self._fixes,
            frames_unreadable=self._unreadable,
            frames_not_told=sum(span.not_told for span in spans.values()),
            lead_is_whole=all(span.lead_is_whole for span in spans.values()),
            outcomes=in_full(sum(self._counts.values(), Counter())),
            by_kind=[
                OfKind(kind=kind, told=word, outcomes=in_full(self._counts[kind, word]))
                for kind in KINDS
                for word in WORDS
                if (kind, word) in self._counts
            ],
            out=None if asked.out is None else str(asked.out),
        )

    async def _recorded(self, partition: int, span: Span) -> Oddities:
        side = Oddities(span.first, span.end)
        since = self._asked.since - CLOCKS_DIFFER
        async for draft in signals_since(self._using.consumer, partition, since, self._asked.tenant, OF_ODDITIES):
            side.take(draft)
        return side

    async def _recomputed(self, partition: int, span: Span) -> Oddities:
        known = await known_in(self._using, self._settings, self._asked.tenant, partition, [])
        ways = Etas(known.itineraries, self._using.router_of, no_model, Arrivals())
        quality = self._directory.quality
        folding = Partition(partition, Fences().index, self._rules.of_fixes(quality))
        anomalies = Anomalies(self._rules.of_anomalies(quality), known.itineraries, ways.first_way)
        side = Oddities(span.first, span.end)
        async for records in stretch(self._using.consumer, TopicPartition(FIXES.name, partition), span.lead, span.end):
            for r in records:
                stored = stored_of(r)
                if stored.is_control:
                    continue
                if stored.header("tenant") == self._asked.tenant:
                    await known.up_to(r.timestamp)
                    found = folding.fold([stored])
                    self._counted(found, since_first=r.offset >= span.first)
                else:
                    found = passing(folding, stored)
                for draft in anomalies.of(folding, found):
                    side.take(draft)
                await ways.of(folding, found, again=True)
        return side

    def _counted(self, found: Found, *, since_first: bool) -> None:
        if since_first:
            self._fixes += found.fixes
            self._unreadable += len(found.unread)

    def _count(self, recorded: Oddities, recomputed: Oddities, write: Write) -> None:
        for each in held(recorded, recomputed):
            self._counts.setdefault((each.kind, each.word), Counter())[each.found.outcome] += 1
            write(row_of(each))


def passing(folding: Partition, stored: Stored) -> Found:
    """Of another tenant's frame only the time matters: the stream looks by it for riders of whom nothing comes in."""
    try:
        envelope = envelope_of(stored)
        if unix_ms(envelope.recorded_at) - folding.swept_ms < trips.HEARD_MS / 60 or not envelope.source.endswith(
            FROM_OUTSIDE
        ):
            return Found()
        frame = opened(stored)
    except Unreadable:
        return Found()
    return Found(taken=[Taken(frame.tenant, cause_of(stored), frame.fixes, np.empty(0, np.int64), [])])


def no_model(tenant: str) -> Model:
    raise AssertionError(f"ways are asked for, and nothing is foretold of {tenant}")


def shown(told: Reconsidered, console: Console) -> None:
    for sentence in in_words(told):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    if told.by_kind:
        rows = [(f"{each.kind} {each.told}", each.outcomes) for each in told.by_kind]
        console.print(side_by_side("told", rows))


def in_words(told: Reconsidered) -> Sequence[str]:
    said = [f"{told.fixes:,} fixes of {told.tenant} with {rules_in_words(told)}: {counted(told.outcomes)}"]
    said += left_out(told.frames_not_told, told.frames_unreadable)
    if not told.lead_is_whole:
        said.append("of the day before not all is held any more: what stood by then seems to begin")
    if not told.by_router:
        said.append("no router is known (LOGISTICS_OSRM): nobody is told to be off their route")
    if told.out is not None:
        said.append(f"each of them: {told.out}")
    return said


def rules_in_words(told: Reconsidered) -> str:
    given = {**told.anomaly_rules, **{f"fixes.{name}": value for name, value in told.fix_rules.items()}}
    return ", ".join(f"{name} {value:g}" for name, value in given.items()) or "the rules that held"
