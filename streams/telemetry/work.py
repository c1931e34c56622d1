"""The telemetry stream's work on a fetch: fold, tell, keep.

Signals are on the log before the rows are in Postgres. A crash in between leaves signals ahead of the place; at the
next start they are read back, and what follows from the same fix again is not told again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice, takewhile
from time import monotonic
from typing import Any, Protocol

import msgspec
import structlog
from prometheus_client import Counter, Gauge, Histogram

from schemas import ids
from schemas.record import Stored
from schemas.signals import (
    FENCE_SIGNALS,
    TRANSITIONS,
    EtaForecast,
    EtaThresholdReached,
    GeofenceTransitionCorrected,
)
from schemas.topics import FIXES
from streams.source import Batch, Place
from streams.telemetry import anomalies
from streams.telemetry.anomalies import Anomalies
from streams.telemetry.eta import name_of_threshold
from streams.telemetry.fences import Fences
from streams.telemetry.found import Draft, Found, place_of
from streams.telemetry.gone import Gone
from streams.telemetry.moments import unix_ms
from streams.telemetry.partition import Partition
from streams.telemetry.quality import Quality
from streams.telemetry.rider import Forecast, Made, Rider, RiderKey, kept
from streams.telemetry.store import Done, PlaceMoved, RiderRow, Standing, Store

FIXES_FOLDED = Counter("logistics_fixes_folded_total", "Fixes folded, those put aside too")
PUT_ASIDE = Counter("logistics_fixes_quarantined_total", "Fixes put aside", ["reason"])
SIGNALS_TOLD = Counter("logistics_signals_total", "Signals written", ["kind"])
COMMIT = Histogram("logistics_telemetry_commit_seconds", "One transaction for all partitions of a fetch")
PLACE = Gauge("logistics_telemetry_place", "The next frame to fold", ["partition"])
LAG = Gauge("logistics_telemetry_lag_records", "Frames on the log that are not folded yet", ["partition"])

FEW = 100
"""Riders of whom all is kept with each batch."""
SAVED_AFTER_S = 10.0
MOST_SAVED = 500
"""Riders of a partition with one batch."""

logger = structlog.get_logger()


class Signals(Protocol):
    """A partition of `logistics.signals`, fenced: no other writer since it was opened."""

    @property
    def told_to(self) -> int:
        """Of all frames before this place everything was told before it was opened: what is not told of them now is
        never told, whatever has become known since."""
        ...

    def kept_from(self, place: int) -> int:
        """From where on signals are to be remembered by who goes on from this place: from where this one did, until all
        frames are folded of which something was told before it was opened."""
        ...

    def tells(self, event_id: str) -> bool:
        """Whether this signal stands on the log after the place from which it was opened."""
        ...

    def standing(self) -> tuple[Sequence[Draft], Sequence[Draft]]:
        """Crossings that stand there; of each stop the latest forecast and the thresholds after it, and what was told
        of anomalies and trips in order."""
        ...

    async def tell(self, drafts: Sequence[Draft], place: int) -> None:
        """What follows from the frames before this place. Raises what ends the tenure."""
        ...

    async def beat_if_idle(self) -> None: ...

    async def close(self) -> None: ...


type OpenSignals = Callable[[int, int, int], Awaitable[Signals]]
"""(partition, from which offset on its signals are remembered, up to which frame all was told) → the partition,
fenced."""
type Dead = Callable[[Stored, str], Awaitable[None]]


class Forecasts(Protocol):
    async def of(self, partition: Partition, found: Found, *, again: bool) -> list[Draft]:
        """What is to be told of the arrivals of the riders that have moved; nothing where all was told before."""
        ...


class Unsaved(msgspec.Struct, frozen=True):
    """A rider of whom more is remembered than is kept: since which frame, where the signals of what follows from it
    stand, and since when (monotonic seconds)."""

    offset: int
    next_signal: int
    since_s: float


class Opened:
    """A partition in memory, as of one seek."""

    def __init__(self, epoch: int, partition: Partition, signals: Signals, standing: Standing) -> None:
        self.epoch = epoch
        self.partition = partition
        self.signals = signals
        self.tenure = standing.tenure
        self.place = standing.place
        self._gone: dict[RiderKey, int] = {}
        self._unsaved: dict[RiderKey, Unsaved] = {}
        """In the order in which they were touched."""
        partition.riders, partition.as_of = standing.riders, standing.as_of
        partition.let_go(standing.gone)
        crossings, others = signals.standing()
        self._crossings = [told for told in crossings if not partition.knows(told)]
        for draft in others:
            if not partition.knows(draft):
                remember(partition.riders, draft)
                first = Unsaved(standing.folded_from, standing.next_signal, monotonic())
                self._unsaved.setdefault((draft.tenant, draft.rider_id), first)

    def gone(self, forgotten: Mapping[RiderKey, int], before_ms: int) -> Iterator[Gone]:
        """Who was seen last before then, or before they were forgotten: Unix milliseconds."""
        partition = self.partition.partition
        for key, rider in self.partition.riders.items():
            seen_ms = rider.seen_ms
            if seen_ms < forgotten.get(key, 0):
                yield Gone(partition, key, forgotten[key])
            elif seen_ms < before_ms:  # what came in since, and waits to be folded, counts
                yield Gone(partition, key, seen_ms + 1)

    def let_go(self, gone: Mapping[RiderKey, int]) -> None:
        """With the next batch: who was seen last before that time, Unix milliseconds."""
        self._gone |= gone

    def forget_gone(self) -> None:
        for key, before_ms in self._gone.items():
            known = self.partition.riders.get(key)
            if known is not None and known.seen_ms < before_ms:
                del self.partition.riders[key]
                self._unsaved.pop(key, None)
        self.partition.let_go(self._gone)
        self._gone.clear()

    def withdrawn(self, batch: Batch, drafts: Sequence[Draft]) -> list[Draft]:
        """Crossings of this batch's frames that were told before a crash and do not follow from them any more, such as
        after a fence was changed for the past: the log has said them, so the log takes them back."""
        due: list[Draft] = []
        later: list[Draft] = []
        for told in self._crossings:
            (due if place_of(told.cause) < batch.end else later).append(told)
        self._crossings = later
        again = {draft.event_id for draft in drafts}
        return [withdrawal(told) for told in due if told.event_id not in again and place_of(told.cause) >= batch.start]

    def done(self, batch: Batch, found: Found, signals_from: int) -> Done:
        """What is to be kept of the batch, of whose frames signals stand from `signals_from` on. What is remembered of
        riders is kept at once where they are few; of many, once it has waited."""
        for key in found.touched:
            self._unsaved.setdefault(key, Unsaved(batch.start, signals_from, monotonic()))
        saved = self._saved()
        rows = [row_of(key, self.partition.riders[key], batch.end) for key in saved]
        for key in saved:
            del self._unsaved[key]
        since, self.place = self.place, max(self.place, batch.end)
        first = next(iter(self._unsaved.values()), None)
        return Done(
            topic=batch.topic,
            partition=batch.partition,
            tenure=self.tenure,
            since=since,
            place=self.place,
            folded_from=batch.end if first is None else first.offset,
            next_signal=self.signals.kept_from(batch.end) if first is None else first.next_signal,
            riders=rows,
            live=found.live,
            aside=found.aside,
        )

    def _saved(self) -> list[RiderKey]:
        if len(self._unsaved) <= FEW:
            return list(self._unsaved)
        waited_since_s = monotonic() - SAVED_AFTER_S
        waited = takewhile(lambda item: item[1].since_s <= waited_since_s, self._unsaved.items())
        return [key for key, _ in islice(waited, MOST_SAVED)]


class Folded(msgspec.Struct, frozen=True):
    batch: Batch
    done: Done


class Telemetry:
    """The work of `streams.source.Source` on `logistics.fixes`."""

    def __init__(
        self,
        store: Store,
        fences: Fences,
        quality: Quality,
        open_signals: OpenSignals,
        forecasts: Forecasts,
        anomalies: Anomalies,
        dead: Dead,
    ) -> None:
        self._store = store
        self._fences = fences
        self._quality = quality
        self._open_signals = open_signals
        self._forecasts = forecasts
        self._anomalies = anomalies
        self._dead = dead
        self._opened: dict[int, Opened] = {}
        self._beginnings: dict[int, int] = {}
        """Of each partition the first frame that is held."""
        self.places_done: dict[int, int] = {}
        """Of each partition the place that is kept."""

    async def places(self, beginnings: Mapping[Place, int]) -> Mapping[Place, int]:
        """A seek: whatever is in memory of these partitions is void."""
        for (_, partition), first_held in beginnings.items():
            await self._forget(partition)
            self._beginnings[partition] = first_held
            for gauge in (LAG, PLACE):
                with suppress(KeyError):
                    gauge.remove(str(partition))
        standing = await self._store.places(beginnings)
        self.places_done |= {partition: at.place for (topic, partition), at in standing.items() if topic == FIXES.name}
        return {place: at.folded_from for place, at in standing.items()}

    async def fold(self, batches: Sequence[Batch]) -> Sequence[Folded]:
        """Partitions side by side: while one's signals are on their way to the log, the next one is folded."""
        for batch in batches:
            LAG.labels(str(batch.partition)).set(batch.behind + batch.end - batch.start)
        told = await asyncio.gather(*(self._folded(batch) for batch in batches), return_exceptions=True)
        failed = [each for each in told if isinstance(each, BaseException)]
        if failed:
            await self._void(batches)
            raise failed[0] if isinstance(failed[0], Exception) else RuntimeError(f"folding ended by {failed[0]!r}")
        return [Folded(batch, each) for batch, each in zip(batches, told, strict=True) if isinstance(each, Done)]

    async def keep(self, folded: Sequence[Folded]) -> None:
        try:
            with COMMIT.time():
                await self._store.keep([each.done for each in folded])
        except BaseException:
            await self._void([each.batch for each in folded])
            raise
        for each in folded:
            partition = each.done.partition
            self.places_done[partition] = each.done.place
            PLACE.labels(str(partition)).set(each.done.place)
            LAG.labels(str(partition)).set(each.batch.behind)

    async def _void(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            await self._forget(batch.partition)

    async def beat(self) -> None:
        """Between fetches: a silent partition's tenure is held. One that is lost is forgotten, and opened anew if its
        next fetch comes to us."""
        for partition, opened in list(self._opened.items()):
            try:
                await opened.signals.beat_if_idle()
            except Exception as lost:
                logger.info("partition lost", partition=partition, error=lost)
                if self._opened.get(partition) is opened:
                    await self._forget(partition)

    def gone(self, forgotten: Mapping[RiderKey, int], before_ms: int) -> list[Gone]:
        """Whom the partitions that are open here remember, and who was seen last before then, or before they were
        forgotten: Unix milliseconds."""
        return [each for opened in self._opened.values() for each in opened.gone(forgotten, before_ms)]

    def let_go(self, gone: Sequence[Gone], held_since_ms: int) -> None:
        """Riders of whom nothing is kept any more but a mark, of whom some frame may be on the log."""
        for partition, opened in self._opened.items():
            opened.let_go({each.key: each.before_ms for each in gone if each.partition == partition})
            opened.partition.let_go_of_marks(held_since_ms)

    async def close(self) -> None:
        for partition in list(self._opened):
            await self._forget(partition)

    async def _folded(self, batch: Batch) -> Done:
        opened = await self._open(batch)
        opened.forget_gone()
        partition, signals = opened.partition, opened.signals
        signals_from = signals.kept_from(batch.start)
        found = Found()
        for together in partition.groups(batch.records, found):
            partition.take(together, found)
            await asyncio.sleep(0)  # what is kept meanwhile, and the beats, have their turn
        for unread in found.unread:
            if unread.stored.offset >= opened.place:
                await self._dead(unread.stored, unread.reason)
        drafts = [*found.signals, *opened.withdrawn(batch, found.signals)]
        drafts += self._anomalies.of(partition, found, signals)
        drafts += await self._forecasts.of(partition, found, again=batch.end <= signals.told_to)
        fresh = [draft for draft in drafts if not signals.tells(draft.event_id)]
        if fresh:
            await signals.tell(fresh, batch.end)
        count(found, fresh)
        return opened.done(batch, found, signals_from)

    async def _open(self, batch: Batch) -> Opened:
        """Raises PlaceMoved."""
        opened = self._opened.get(batch.partition)
        if opened is not None and opened.epoch == batch.epoch:
            return opened
        await self._forget(batch.partition)
        standing = await self._store.open(batch.topic, batch.partition)
        begins = standing.begins(self._beginnings.get(batch.partition, 0))
        if batch.start != begins:  # it was fetched before a seek, or another worker has folded since
            raise PlaceMoved(f"{batch.topic}/{batch.partition} is folded from {begins} on, not from {batch.start}")
        partition = Partition(batch.partition, self._fences.index, self._quality.rules)
        signals = await self._open_signals(batch.partition, standing.next_signal, standing.place)
        opened = self._opened[batch.partition] = Opened(batch.epoch, partition, signals, standing)
        logger.info(
            "partition opened",
            partition=batch.partition,
            place=standing.place,
            folded_from=batch.start,
            riders=len(standing.riders),
        )
        return opened

    async def _forget(self, partition: int) -> None:
        opened = self._opened.pop(partition, None)
        if opened is not None:
            await opened.signals.close()


def row_of(key: RiderKey, rider: Rider, as_of: int) -> RiderRow:
    return RiderRow(key, kept(rider), as_of, rider.seen_ms)


def remember(riders: dict[RiderKey, Rider], told: Draft) -> None:
    """The log's word on a stop is the last one, whatever was kept of it before the crash; so it is on anomalies."""
    rider, event = riders.setdefault((told.tenant, told.rider_id), Rider()), told.event
    if isinstance(event, EtaThresholdReached):
        known = rider.forecasts.get(f"{event.task_id}/{event.stop_id}")
        if known is not None and known.since_ms == unix_ms(event.ahead_since):
            known.reached.append(name_of_threshold(event))
        return
    if not isinstance(event, EtaForecast):
        anomalies.remember(rider.watch, told)
        return
    name, since_ms, at_ms = f"{event.task_id}/{event.stop_id}", unix_ms(event.ahead_since), unix_ms(told.at)
    known = rider.forecasts.get(name)
    if known is None or known.since_ms < since_ms:
        known = rider.forecasts[name] = Forecast(since_ms=since_ms)
    if known.since_ms == since_ms and known.told_ms < at_ms:
        p10_ms, p50_ms, p90_ms = (unix_ms(at) for at in (event.p10, event.p50, event.p90))
        known.tell(Made(at_ms, p10_ms, p50_ms, p90_ms, event.model, event.source))
        known.ahead_ms = at_ms


def withdrawal(told: Draft) -> Draft:
    assert isinstance(told.event, FENCE_SIGNALS), "what is told of fences is given"
    event = GeofenceTransitionCorrected(
        supersedes=told.event_id,
        geofence_id=told.event.geofence_id,
        transition=TRANSITIONS[type(told.event)],
        at=None,
    )
    event_id = ids.derived("signal", "withdrawn", told.event_id)
    return Draft(
        event_id=event_id, tenant=told.tenant, rider_id=told.rider_id, event=event, at=told.at, cause=told.cause
    )


def count(found: Found, told: Sequence[Draft]) -> None:
    FIXES_FOLDED.inc(found.fixes)
    reasons: dict[str, int] = {}
    for row in found.aside:
        reasons[row.reason] = reasons.get(row.reason, 0) + 1
    for reason, number in reasons.items():
        PUT_ASIDE.labels(reason).inc(number)
    kinds: dict[str, Any] = {}
    for draft in told:
        kinds[type(draft.event).__name__] = kinds.get(type(draft.event).__name__, 0) + 1
    for kind, number in kinds.items():
        SIGNALS_TOLD.labels(kind).inc(number)
