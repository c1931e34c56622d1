"""A window that has closed: what is known is gathered and recorded, and who gets what is decided from that alone.

Beside the processes, which wait for nobody's windows: a closed window stands in its read model until it is decided on.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec
from msgspec.structs import replace
from prometheus_client import Counter, Histogram

from schemas.batch_rules import BatchRules
from schemas.directory import TenantRules
from schemas.dispatch_rules import ScoreWeights
from schemas.dispatch_window import DecideWindow, Left, WaitingTask, WindowDecided
from schemas.geo import Location
from schemas.load import NOTHING
from schemas.message import RiderId, Source, TaskId, TenantSlug, WindowId
from schemas.tender import LeftBecause, OpenTender
from streams.dispatch.batch import SOLVER, answer_of, divided
from streams.dispatch.batch_question import BatchQuestion, BatchRecord, Waiting, record_of, recorded
from streams.dispatch.batch_reasons import Reasons, reasons
from streams.dispatch.batch_tenders import Tenders, outcome_of
from streams.dispatch.batch_ways import BatchedWays, straight_of
from streams.dispatch.candidates import Work, exclusion_of
from streams.dispatch.decision import Clock, Fleet, Keep, ahead_of, nowhere, without
from streams.dispatch.known import Seen
from streams.dispatch.tendering import KnownTask
from streams.dispatch.ways import Router
from streams.routing.great_circle import metres, radians

WINDOWS = Counter("logistics_dispatch_windows_total", "Windows that were decided on")
WINDOW_TASKS = Counter("logistics_dispatch_window_tasks_total", "Tasks of windows, by what became of them", ["outcome"])
WINDOW_SECONDS = Histogram(
    "logistics_dispatch_window_seconds",
    "From asking what is known to who gets what, by window",
    buckets=(0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)

MOST_POINTS = 4_000
"""Of one window: where riders are, the stops ahead of them, those of its tasks. Its ways are 256 MB."""
MOST_RIDER_POINTS = MOST_POINTS // 2
"""Riders beyond are not looked at: those farthest from every task."""
MOST_REMEMBERED = 4
"""Windows whose tenders need not be told from their records."""
MOST_TENANTS = 8
"""Whose ways are known from the window before."""


class ClosedWindow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: TenantSlug
    window_id: WindowId
    tasks: Sequence[WaitingTask]


class StillWaiting(msgspec.Struct, frozen=True, kw_only=True):
    """`since` it came to dispatch first."""

    task: KnownTask
    since: datetime
    declined: frozenset[RiderId]
    held: bool = False
    """It is on hold: its round ends with the window, and the next comes with its release."""


class WaitingTasks(Protocol):
    async def rules(self, tenant: TenantSlug) -> TenantRules: ...

    async def waiting(self, tenant: TenantSlug, tasks: Sequence[WaitingTask]) -> Sequence[StillWaiting]:
        """Of these, those that still wait in that round. Raises NotNow until it knows each as of then."""
        ...


class Told(msgspec.Struct, frozen=True):
    """What the tenders of a window say besides who gets what."""

    reasons: Mapping[TaskId, Reasons]
    weights: ScoreWeights | None


NOTHING_TOLD = Told({}, None)

type Records = Callable[[TenantSlug, str], Awaitable[bytes | None]]
"""What a decision rested on, by its hash; None where it is not kept, or cannot be had."""


async def no_record(tenant: TenantSlug, digest: str) -> None:
    """For who needs no reasons."""


class Remembered:
    """What was told of the latest windows, by the hash of what they knew."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, Told] = OrderedDict()

    def get(self, digest: str) -> Told | None:
        return self._told.get(digest)

    def keep(self, digest: str, told: Told) -> None:
        self._told[digest] = told
        if len(self._told) > MOST_REMEMBERED:
            self._told.popitem(last=False)


class WindowDecision:
    def __init__(
        self,
        waiting: WaitingTasks,
        fleet: Fleet,
        router: Router,
        clock: Clock,
        keep: Keep = nowhere,
        remembered: Remembered | None = None,
    ) -> None:
        self._waiting, self._fleet, self._router, self._clock, self._keep = waiting, fleet, router, clock, keep
        self._remembered = remembered or Remembered()
        self._ways: OrderedDict[TenantSlug, BatchedWays] = OrderedDict()

    async def __call__(self, window: ClosedWindow) -> DecideWindow:
        """Raises NotNow."""
        with WINDOW_SECONDS.time():
            found = await self._decided(window)
        WINDOWS.inc()
        given = sum(len(each.tasks) for each in found.given)
        for outcome, count in (("given", given), ("left", len(found.left)), ("gone", len(found.gone))):
            WINDOW_TASKS.labels(outcome).inc(count)
        return found

    async def _decided(self, window: ClosedWindow) -> DecideWindow:
        tenant = window.tenant
        now = max([self._clock(tenant), *(each.since for each in window.tasks)])
        rules = await self._waiting.rules(tenant)
        still = sorted(
            await self._waiting.waiting(tenant, window.tasks), key=lambda each: (each.since, each.task.task_id)
        )
        waiting = {each.task.task_id for each in still}
        gone = [each.task_id for each in window.tasks if each.task_id not in waiting]
        of_vehicles = list(await self._fleet.documents_of_vehicles(tenant))
        seen = [without(each, waiting) for each in await self._fleet.riders(tenant, rules)]
        seen = [somewhere_for_nothing(each, rules, now, of_vehicles) for each in seen]
        riders = nearest(seen, firsts(still))
        held = [each for each in still if each.held]
        still = [each for each in still if not each.held]
        looked_at = within(still, MOST_POINTS - sum(points_of(each) for each in riders))
        to_first, to_ahead = straight_of(riders, firsts(looked_at))
        question = BatchQuestion(
            decided_at=now,
            tasks=[await self._asked(tenant, each, now) for each in looked_at],
            riders=[each.rider for each in riders],
            rules=rules,
            batch=rules.dispatch.batch or BatchRules(),
            policy_version=await self._fleet.policy_version(tenant),
            of_vehicles=of_vehicles,
            passed_over=len(seen) - len(riders),
            to_first=to_first,
            to_ahead=to_ahead,
        )
        stops = [[stop.location for stop in each.task.ahead] for each in looked_at]
        ways = await self._ways_of(tenant).between(tenant, riders, stops)
        record = BatchRecord(question=question, ways=ways)
        left = [*left_by("window_too_large", still[len(looked_at) :]), *left_by("on_hold", held)]
        outcome, told, encoded = await asyncio.to_thread(decided_from, record, gone, left)
        await self._keep(tenant, outcome.input_hash, encoded)
        self._remembered.keep(outcome.input_hash, told)
        return outcome

    async def _asked(self, tenant: TenantSlug, still: StillWaiting, now: datetime) -> Waiting:
        places = [stop.location for stop in still.task.ahead]
        return Waiting(
            task_id=still.task.task_id,
            round=still.task.round,
            since=still.since,
            stops=ahead_of(still.task),
            zones=[sorted(holding) for holding in await self._fleet.zones(tenant, places, now)],
            required_skills=sorted(still.task.required_skills),
            declined=sorted(still.declined),
        )

    def _ways_of(self, tenant: TenantSlug) -> BatchedWays:
        known = self._ways.pop(tenant, None) or BatchedWays(self._router)
        self._ways[tenant] = known
        if len(self._ways) > MOST_TENANTS:
            self._ways.popitem(last=False)
        return known


def decided_from(record: BatchRecord, gone: Sequence[TaskId], left: Sequence[Left]) -> tuple[DecideWindow, Told, bytes]:
    """Up to some seconds of a processor's time."""
    digest, encoded = recorded(record)
    outcome, told = told_of(record, digest)
    return replace(outcome, gone=[*gone], left=[*outcome.left, *left]), told, encoded


def told_of(record: BatchRecord, digest: str) -> tuple[DecideWindow, Told]:
    question = record.question
    found = divided(question, record.ways)
    answer = answer_of(question, found)
    told = Told(reasons(question, found, answer, record.ways.source), question.rules.dispatch.weights)
    return outcome_of(question, answer, digest), told


def not_decided(window: ClosedWindow) -> DecideWindow:
    """Deciding has failed: all of it comes again."""
    return DecideWindow(
        given=[],
        left=[Left(task_id=each.task_id, round=each.round, code="not_decided") for each in window.tasks],
        riders=0,
        total=0.0,
        by="",
        policy_version=0,
        input_hash="",
        solver=SOLVER,
    )


def firsts(tasks: Sequence[StillWaiting]) -> list[Location]:
    return [each.task.ahead[0].location for each in tasks]


def points_of(rider: Seen) -> int:
    return 0 if rider.here is None else 1 + len(rider.ahead)


def within(still: Sequence[StillWaiting], points: int) -> Sequence[StillWaiting]:
    """Those that have waited longest, as far as there is room for their stops."""
    for number, each in enumerate(still):
        points -= len(each.task.ahead)
        if points < 0:
            return still[:number]
    return still


def left_by(code: LeftBecause, still: Sequence[StillWaiting]) -> list[Left]:
    """Without being looked at."""
    return [Left(task_id=each.task.task_id, round=each.task.round, code=code) for each in still]


def nearest(riders: Sequence[Seen], places: Sequence[Location]) -> list[Seen]:
    """In their order: as far as there is room those who are nearest to any of the places, and all who are nowhere."""
    if sum(points_of(each) for each in riders) <= MOST_RIDER_POINTS or not places:
        return [*riders]
    placed = [(each, each.here) for each in riders if each.here is not None]
    there = radians(places)[None, :, :]
    near_m = metres(radians([here for _, here in placed])[:, None, :], there).min(axis=1).tolist()
    ranked = sorted(zip(near_m, [each for each, _ in placed], strict=True), key=lambda pair: (pair[0], id_of(pair[1])))
    room, taken = MOST_RIDER_POINTS, set[RiderId]()
    for _, each in ranked:
        room -= points_of(each)
        if room < 0:
            break
        taken.add(each.rider.rider_id)
    return [each for each in riders if each.here is None or each.rider.rider_id in taken]


def id_of(rider: Seen) -> RiderId:
    return rider.rider.rider_id


def somewhere_for_nothing(seen: Seen, rules: TenantRules, now: datetime, of_vehicles: Sequence[str]) -> Seen:
    """Nobody asks for the ways of who could do nothing at all. Those of whom it is the place that is too old keep it:
    that is said of them."""
    easiest = Work(load=NOTHING, closes_at=now)
    why = exclusion_of(seen.rider, rules, easiest, frozenset(), now, of_vehicles)
    if why is None or why == "stale_fix" or seen.here is None:
        return seen
    return Seen(rider=replace(seen.rider, placed=False, itinerary=()), here=None)


class WindowTenders:
    """The tenders of a window that is decided on: from the fact, and what its decision knew."""

    def __init__(self, clock: Clock, records: Records = no_record, remembered: Remembered | None = None) -> None:
        self._clock, self._records, self._remembered = clock, records, remembered or Remembered()

    async def __call__(self, event: WindowDecided, source: Source) -> list[OpenTender]:
        told = await self._told(event.input_hash, source.tenant)
        now = max(self._clock(source.tenant), source.recorded_at)
        return Tenders(WindowId(source.aggregate_id), event, now, told.reasons, told.weights).all()

    async def _told(self, digest: str, tenant: TenantSlug) -> Told:
        known = self._remembered.get(digest)
        if known is not None or not digest:
            return known or NOTHING_TOLD
        record = await self._records(tenant, digest)
        if record is None:
            return NOTHING_TOLD
        told = await asyncio.to_thread(told_from, record, digest)
        self._remembered.keep(digest, told)
        return told


def told_from(record: bytes, digest: str) -> Told:
    return told_of(record_of(record), digest)[1]
