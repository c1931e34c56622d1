"""`logistics recompute eta`: what would have been foretold of the recorded fixes by the model that stands now?

By the stream's own functions, over the frames, the itineraries and the arrivals as they stand on the log, each known
from when it was written. Nothing is changed.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from aiokafka import TopicPartition

from infra.log_reading import stretch
from infra.recompute.asked import LEAD, Asked, begun
from infra.recompute.directory import Directory, learnt
from infra.recompute.facts import Compared, Outcome, compared
from infra.recompute.forecasts import Errors, Forecasts, Stood, stood
from infra.recompute.reading import Span, of_tenant, signals_since, spans_of
from infra.recompute.result import counted, in_full, left_out
from infra.recompute.table import Row, Write, iso, written
from infra.recompute.world import Session, arrived, known_in, learn_arrival, models, session
from infra.settings import Settings, with_secrets
from schemas.message import TenantSlug
from schemas.record import stored_of
from schemas.topics import FIXES
from streams.eta.model import Model
from streams.telemetry.arrivals import Arrivals
from streams.telemetry.eta import Etas
from streams.telemetry.fences import Fences
from streams.telemetry.moments import moment, unix_ms
from streams.telemetry.partition import Partition

OF_ETAS = "logistics.signals.Eta"
COLUMNS = (
    *("outcome", "told", "rider_id", "task_id", "stop_id", "at"),
    *("recorded", "recomputed", "moved_s", "recorded_model", "recomputed_model", "arrived_at"),
)
COMES_WITHIN = timedelta(minutes=10)
"""A fix of that time may come later, and a signal follows it."""


class Reckoned(msgspec.Struct, frozen=True, kw_only=True):
    """What came out. Errors are seconds between p50 and the arrival, in the mean over the same moments."""

    tenant: str
    since: datetime
    until: datetime
    model: str
    by_router: bool
    fixes: int
    first_came_in_at: datetime | None
    """The first of them, where there is one: what came in before was not, or is not kept any more."""
    frames_not_told: int
    lead_is_whole: bool
    """Whether the log holds the day before: else it is not known where devices were."""
    forecasts: dict[Outcome, int]
    thresholds: dict[Outcome, int]
    moments_with_arrival: int
    recorded_error_s: float | None
    recomputed_error_s: float | None
    out: str | None


def recompute_eta(
    tenant: str, since: str, until: str, partition: int | None, out: Path | None, data: Path | None, as_json: bool
) -> None:
    """Raises WrongSetting, NotRunning."""
    settings, asked = begun(tenant, since, until, partition, out, data)
    told = asyncio.run(reckoned(with_secrets(settings), asked))
    print(msgspec.json.format(msgspec.json.encode(told)).decode() if as_json else "\n".join(in_words(told)))


async def reckoned(settings: Settings, asked: Asked) -> Reckoned:
    """Raises WrongSetting, NotRunning."""
    async with session(settings) as using:
        return await Reckoning(settings, asked, using).run()


class Reckoning:
    def __init__(self, settings: Settings, asked: Asked, using: Session) -> None:
        self._settings, self._asked, self._using = settings, asked, using
        self._directory = Directory(asked.tenant)
        self._fixes = 0
        self._first_ms: int | None = None
        self._forecasts, self._thresholds = Counter[Outcome](), Counter[Outcome]()
        self._errors = Errors()

    async def run(self) -> Reckoned:
        asked, consumer, partitions = self._asked, self._using.consumer, self._settings.partitions
        await learnt(consumer, partitions, self._directory)
        model = (await models(consumer, self._directory.worlds)).of(asked.tenant)
        came = await arrived(consumer, partitions, asked)
        arrivals = Arrivals()
        for r in came:
            learn_arrival(arrivals, stored_of(r))
        longer = msgspec.structs.replace(asked, until=asked.until + COMES_WITHIN)
        spans = await spans_of(consumer, partitions, asked, self._using.folded)
        ends = await spans_of(consumer, partitions, longer, self._using.folded)
        with written(asked.out, COLUMNS) as write:
            for partition, span in spans.items():
                recorded = await self._recorded(partition)
                recomputed = await self._recomputed(partition, span, ends[partition].end, model, came)
                self._count(recorded, recomputed, arrivals, write)
        return Reckoned(
            tenant=asked.tenant,
            since=asked.since,
            until=asked.until,
            model=model.version,
            by_router=bool(self._settings.osrm),
            fixes=self._fixes,
            first_came_in_at=None if self._first_ms is None else moment(self._first_ms),
            frames_not_told=sum(span.not_told for span in spans.values()),
            lead_is_whole=all(span.lead_is_whole for span in spans.values()),
            forecasts=in_full(self._forecasts),
            thresholds=in_full(self._thresholds),
            moments_with_arrival=self._errors.moments,
            recorded_error_s=self._errors.recorded_s,
            recomputed_error_s=self._errors.recomputed_s,
            out=None if asked.out is None else str(asked.out),
        )

    def _side(self) -> Forecasts:
        return Forecasts(unix_ms(self._asked.since), unix_ms(self._asked.until))

    async def _recorded(self, partition: int) -> Forecasts:
        side = self._side()
        since = self._asked.since - LEAD
        async for draft in signals_since(self._using.consumer, partition, since, self._asked.tenant, OF_ETAS):
            side.take(draft)
        return side

    async def _recomputed(self, partition: int, span: Span, end: int, model: Model, came: list[object]) -> Forecasts:
        """Up to `end`, where what comes later than the fixes that are asked for may still lead to signals of then."""
        known = await known_in(self._using, self._settings, self._asked.tenant, partition, came)
        etas = Etas(known.itineraries, self._using.router_of, lambda _: model, known.arrivals)
        folding = Partition(partition, Fences().index, self._directory.quality.rules)
        side = self._side()
        async for records in stretch(self._using.consumer, TopicPartition(FIXES.name, partition), span.lead, end):
            for r in records:
                if not (ours := of_tenant([r], self._asked.tenant)):
                    continue
                await known.up_to(r.timestamp)
                found = folding.fold(ours)
                if span.first <= r.offset < span.end:
                    self._counted(found.fixes, r.timestamp)
                for draft in await etas.of(folding, found):
                    side.take(draft)
        return side

    def _counted(self, fixes: int, came_in_ms: int) -> None:
        self._fixes += fixes
        self._first_ms = came_in_ms if self._first_ms is None else min(self._first_ms, came_in_ms)

    def _count(self, recorded: Forecasts, recomputed: Forecasts, arrivals: Arrivals, write: Write) -> None:
        for each in stood(TenantSlug(self._asked.tenant), recorded, recomputed, arrivals):
            self._forecasts[each.outcome] += 1
            self._errors.take(each)
            write(row_of_forecast(each))
        for threshold in compared(recorded.thresholds, recomputed.thresholds):
            self._thresholds[threshold.outcome] += 1
            write(row_of_threshold(threshold))


def row_of_forecast(each: Stood) -> Row:
    rider_id, task_id, stop_id = each.stop
    return {
        "outcome": each.outcome,
        "told": "forecast",
        "rider_id": rider_id,
        "task_id": task_id,
        "stop_id": stop_id,
        "at": iso(each.at_ms),
        "recorded": iso(each.recorded.p50_ms if each.recorded else None),
        "recomputed": iso(each.recomputed.p50_ms if each.recomputed else None),
        "moved_s": each.moved_s,
        "recorded_model": each.recorded.model if each.recorded else None,
        "recomputed_model": each.recomputed.model if each.recomputed else None,
        "arrived_at": iso(each.arrived_ms),
    }


def row_of_threshold(each: Compared) -> Row:
    rider_id, task_id, stop_id, word = each.fact.what
    return {
        "outcome": each.outcome,
        "told": word,
        "rider_id": rider_id,
        "task_id": task_id,
        "stop_id": stop_id,
        "at": iso(each.fact.at_ms),
        "recorded": iso(each.recorded_ms),
        "recomputed": iso(each.recomputed_ms),
        "moved_s": each.moved_s,
        "recorded_model": None,
        "recomputed_model": None,
        "arrived_at": None,
    }


def in_words(told: Reckoned) -> Sequence[str]:
    said = [
        f"{told.fixes:,} fixes of {told.tenant} with model {told.model}",
        *(
            []
            if told.first_came_in_at is None
            else [f"the first of them came in at {told.first_came_in_at.isoformat()}"]
        ),
        f"forecasts at {sum(told.forecasts.values()):,} moments: {counted(told.forecasts)}",
        f"thresholds: {counted(told.thresholds)}",
    ]
    if told.moments_with_arrival:
        said.append(
            f"from p50 to the arrival at {told.moments_with_arrival:,} of them, in the mean: "
            f"{told.recorded_error_s:,.1f} s as recorded, {told.recomputed_error_s:,.1f} s as recomputed"
        )
    said += left_out(told.frames_not_told)
    if not told.lead_is_whole:
        said.append("of the day before not all is held any more: the first forecasts know nothing of the way till then")
    if not told.by_router:
        said.append("no router is known (LOGISTICS_OSRM): all ways are those of the great circle")
    if told.out is not None:
        said.append(f"each of them: {told.out}")
    return said
