"""Whom to ask for a task: what is known is gathered and recorded, and the choice is made from that record alone."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import Any, Never, Protocol

from msgspec.structs import replace
from prometheus_client import Counter, Histogram

from schemas.directory import TenantRules
from schemas.geo import Location
from schemas.message import RiderId, Source, TaskId, TenantSlug
from schemas.tender import OpenTender
from streams.dispatch.choice import Looked, chosen, enough, looked_at, step_of
from streams.dispatch.known import Ahead, KnownCarrier, KnownRider, Seen
from streams.dispatch.question import Question, Ways, Writing
from streams.dispatch.shortlist import LOOKED_AT_CLOSELY, MOST_LOOKED_AT, Shortlist, shortlist
from streams.dispatch.straight import straight_ways
from streams.dispatch.tendering import KnownTask
from streams.dispatch.ways import AskedWays, Router

DECISIONS = Counter(
    "logistics_dispatch_decisions_total",
    "Decisions on whom to ask, and whether there was somebody",
    ["mode", "outcome"],
)
DECISION_SECONDS = Histogram(
    "logistics_dispatch_decision_seconds",
    "From asking what is known to whom to ask",
    buckets=(0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
)


ASKED_WITHIN_S = 0.002
"""So long routers are given to be asked, before the question is written down meanwhile."""
SENT_AGAIN_S = 10.0
"""So long a decision that could not be sent is sent as it was made; then it is made anew."""
MOST_MADE = 1_000


class RulesInForce(Protocol):
    async def rules(self, tenant: TenantSlug) -> TenantRules: ...


class Fleet(Protocol):
    async def riders(self, tenant: TenantSlug, rules: TenantRules) -> Sequence[Seen]:
        """All riders of the tenant in order of id, as of everything that was decided before."""
        ...

    async def declined(self, tenant: TenantSlug, task_id: str) -> frozenset[RiderId]:
        """Those who have declined, let expire or lost their claim to this task."""
        ...

    async def carriers(self, tenant: TenantSlug, task_id: TaskId) -> Sequence[KnownCarrier]:
        """All that are under contract with the tenant in order of id, as they stand to the task."""
        ...

    async def documents_of_vehicles(self, tenant: TenantSlug) -> Sequence[str]:
        """Kinds that every vehicle needs."""
        ...

    async def zones(self, tenant: TenantSlug, places: Sequence[Location], at: datetime) -> Sequence[frozenset[str]]:
        """Of each place, the zones that hold it then."""
        ...

    async def policy_version(self, tenant: TenantSlug) -> int: ...


type Clock = Callable[[TenantSlug], datetime]
"""A tenant's."""
type Keep = Callable[[TenantSlug, str, bytes], Awaitable[None]]
"""Keeps what a decision rested on, under its hash."""


async def nowhere(tenant: TenantSlug, digest: str, content: bytes) -> None:
    """For a decision that is not to be made again."""


async def none() -> Sequence[Never]:
    return ()


class Decision:
    """Decides for one task. It is not earlier than the fact that asks: a tenant's clock that was advanced may be known
    here a little later."""

    def __init__(self, policy: RulesInForce, fleet: Fleet, router: Router, clock: Clock, keep: Keep = nowhere) -> None:
        self._policy = policy
        self._fleet = fleet
        self._ways = AskedWays(router)
        self._clock = clock
        self._keep = keep
        self._made: OrderedDict[tuple[str, int], tuple[float, OpenTender]] = OrderedDict()
        """By the fact that asked."""

    async def __call__(self, task: KnownTask, task_round: int, source: Source) -> OpenTender | None:
        if task.round != task_round or not task.ahead or task.settled:
            return None
        asked_by = source.event_id, task_round
        known = self._made.get(asked_by)
        if known is not None and monotonic() < known[0] + SENT_AGAIN_S:
            return known[1]
        with DECISION_SECONDS.time():
            now = max(self._clock(source.tenant), source.recorded_at)
            opening = await self.opening(task, source.tenant, now)
        DECISIONS.labels(opening.mode, "asked" if opening.offers else "nobody").inc()
        self._made[asked_by] = monotonic(), opening
        if len(self._made) > MOST_MADE:
            self._made.popitem(last=False)
        return opening

    async def opening(self, task: KnownTask, tenant: TenantSlug, now: datetime) -> OpenTender:
        """In the task's round."""
        task_round, rules = task.round, await self._policy.rules(tenant)
        policy_version = await self._fleet.policy_version(tenant)
        of_vehicles = list(await self._fleet.documents_of_vehicles(tenant))
        places = [stop.location for stop in task.ahead]
        zones = [sorted(holding) for holding in await self._fleet.zones(tenant, places, now)]
        asked = step_of(rules, task_round).to
        seen, carriers, declined = await asyncio.gather(
            none() if asked == "carriers" else self._fleet.riders(tenant, rules),
            none() if asked == "riders" else self._fleet.carriers(tenant, task.task_id),
            self._fleet.declined(tenant, task.task_id),
        )
        itself = frozenset({task.task_id})
        riders = [without(each, itself) for each in seen]
        question = Question(
            task_id=task.task_id,
            round=task_round,
            decided_at=now,
            stops=ahead_of(task),
            zones=zones,
            required_skills=sorted(task.required_skills),
            rules=rules,
            policy_version=policy_version,
            of_vehicles=of_vehicles,
            declined=sorted(declined),
            riders=[seen.rider for seen in riders],
            straight=straight_ways(riders, places),
            kind=task.kind,
            carriers=carriers,
        )
        short, by_id = shortlist(question), {each.rider.rider_id: each for each in riders}
        ways: dict[RiderId, Ways] = {}
        looked, writing = looked_at(question, short, ways), None
        while more := next_looked_at(question, short, ways, looked):
            asked_for = self._ways.between(tenant, [by_id[rider.rider_id] for rider in more], places)
            if writing is None:
                found, writing = await with_meanwhile(asked_for, lambda: written_down(question, riders))
            else:
                found = await asked_for
            ways |= found
            looked = looked_at(question, short, ways)
        digest, content = (writing or written_down(question, riders)).ended(ways)
        await self._keep(tenant, digest, content)
        opening = chosen(question, ways, digest, short, looked)
        stops = list(zip(question.stops, places, strict=True))
        self._ways.remember(tenant, [by_id[rider] for rider in ways], stops, opening.candidates, ways)
        return opening


async def with_meanwhile[Told, Made](asked: Coroutine[Any, Any, Told], make: Callable[[], Made]) -> tuple[Told, Made]:
    """`make` is called while others answer."""
    asked_for = asyncio.create_task(asked)
    try:
        await asyncio.wait([asked_for], timeout=ASKED_WITHIN_S)
        made = make()
        return await asked_for, made
    finally:
        asked_for.cancel()


def written_down(question: Question, riders: Sequence[Seen]) -> Writing:
    return Writing(question, [None if each.at_hand is None else each.at_hand.encoded for each in riders])


def next_looked_at(
    question: Question, short: Shortlist, ways: Mapping[RiderId, Ways], looked: Looked
) -> Sequence[KnownRider]:
    """The best of those whose ways were not asked for; nobody where enough of the others could do it."""
    if len(ways) >= MOST_LOOKED_AT or len(looked.candidates) >= enough(step_of(question.rules, question.round)):
        return []
    return [rider for rider in short.riders if rider.rider_id not in ways][:LOOKED_AT_CLOSELY]


def without(seen: Seen, tasks: Collection[TaskId]) -> Seen:
    """What lies ahead of a rider from whom one of these was taken a moment ago may still show it."""
    if seen.task_ids.isdisjoint(tasks):
        return seen
    rest = [pair for pair in zip(seen.rider.itinerary, seen.ahead, strict=True) if pair[0].task_id not in tasks]
    rider = replace(seen.rider, itinerary=[stop for stop, _ in rest])
    return Seen(rider=rider, here=seen.here, ahead=[place for _, place in rest])


def ahead_of(task: KnownTask) -> list[Ahead]:
    return [
        Ahead(
            task_id=task.task_id,
            stop_id=stop.stop_id,
            kind=stop.kind,
            window=stop.window,
            service_seconds=stop.service_seconds,
            load=stop.load,
        )
        for stop in task.ahead
    ]
