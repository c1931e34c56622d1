"""Whom to ask for a task: the nearest compliant riders on shift by travel time, and a record of why."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Protocol

import msgspec

from schemas.directory import TenantRules
from schemas.geo import Location
from schemas.ids import offer_id, tender_id
from schemas.load import peak_load
from schemas.message import RiderId, Source, TenantSlug
from schemas.rider import NewPlannedStop
from schemas.soonest import soonest_end
from schemas.tender import Candidate, OpenTender, PlannedOffer
from streams.dispatch.candidates import KnownRider, Travel, Work, eligible, nearest, ranked
from streams.dispatch.tendering import KnownTask, Lookup

SOLVER = "nearest-1"
ASKED_FOR_TRAVEL = 25
"""Of the able riders, so many are asked of the router: the nearest as the crow flies."""


class Fleet(Protocol):
    async def riders(self, tenant: TenantSlug) -> Sequence[KnownRider]:
        """All riders of the tenant, as of everything that was decided before."""
        ...

    async def declined(self, tenant: TenantSlug, task_id: str) -> frozenset[str]:
        """Those who have declined, let expire or lost their claim to this task."""
        ...

    async def documents_of_vehicles(self, tenant: TenantSlug) -> Sequence[str]:
        """Kinds that every vehicle needs."""
        ...

    async def zones(self, tenant: TenantSlug, places: Sequence[Location], at: datetime) -> Sequence[frozenset[str]]:
        """Of each place, the zones that hold it then."""
        ...

    async def policy_version(self, tenant: TenantSlug) -> int: ...


class Router(Protocol):
    async def travel(self, riders: Sequence[KnownRider], goal: Location) -> dict[RiderId, Travel]:
        """Seconds to the goal; who cannot get there is missing."""
        ...


type Clock = Callable[[TenantSlug], datetime]
"""A tenant's."""


class Decision:
    """Decides for one task. It is not pure: what it knew is hashed into the record.

    It is not earlier than the fact that asks: a tenant's clock that was advanced may be known here a little later.
    """

    def __init__(self, lookup: Lookup, fleet: Fleet, router: Router, clock: Clock) -> None:
        self._lookup = lookup
        self._fleet = fleet
        self._router = router
        self._clock = clock

    async def __call__(self, task: KnownTask, task_round: int, source: Source) -> OpenTender | None:
        if task.round != task_round or not task.ahead:
            return None
        tenant, now = source.tenant, max(self._clock(source.tenant), source.recorded_at)
        rules = await self._lookup.rules(tenant)
        riders = await self._fleet.riders(tenant)
        declined = await self._fleet.declined(tenant, task.task_id)
        of_vehicles = await self._fleet.documents_of_vehicles(tenant)
        zones = await self._fleet.zones(tenant, [stop.location for stop in task.ahead], now)
        able, excluded = eligible(riders, rules, work_of(task, zones, now), declined, now, of_vehicles)
        goal = task.ahead[0].location
        travel = await self._router.travel(nearest(able, goal, ASKED_FOR_TRAVEL), goal)
        candidates = ranked(able, travel, goal)
        return OpenTender(
            task_id=task.task_id,
            round=task_round,
            mode=rules.tender_mode,
            candidates=candidates,
            excluded=excluded,
            offers=offers(task, task_round, candidates, rules, now),
            policy_version=await self._fleet.policy_version(tenant),
            input_hash=input_hash(task.ahead, riders, travel, rules, declined, of_vehicles, zones),
            solver=SOLVER,
        )


def work_of(task: KnownTask, zones: Sequence[frozenset[str]], now: datetime) -> Work:
    load = peak_load(stop.load for stop in task.ahead)
    closes_at = max((stop.window.end for stop in task.ahead if stop.window), default=None)
    return Work(load, closes_at, soonest_end(task.ahead, now), frozenset(task.required_skills), zones)


def offers(
    task: KnownTask, task_round: int, candidates: Sequence[Candidate], rules: TenantRules, now: datetime
) -> list[PlannedOffer]:
    """Direct asks the best; broadcast the best few at once."""
    asked = candidates[: 1 if rules.tender_mode == "direct" else rules.broadcast_size]
    tender = tender_id(task.task_id, task_round)
    expires_at = now + timedelta(seconds=rules.offer_seconds)
    return [
        PlannedOffer(offer_id=offer_id(tender, c.rider_id), rider_id=c.rider_id, expires_at=expires_at) for c in asked
    ]


def input_hash(
    stops: Sequence[NewPlannedStop],
    riders: Sequence[KnownRider],
    travel: dict[RiderId, Travel],
    rules: TenantRules,
    declined: frozenset[str],
    of_vehicles: Sequence[str],
    zones: Sequence[frozenset[str]],
) -> str:
    known = [
        list(stops),
        sorted(riders, key=lambda rider: rider.rider_id),
        sorted(travel.items()),
        rules,
        sorted(declined),
        list(of_vehicles),
        [sorted(holding) for holding in zones],
    ]
    return sha256(msgspec.json.encode(known)).hexdigest()
