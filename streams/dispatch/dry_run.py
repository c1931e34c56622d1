"""What dispatch would decide about tasks at this moment, by the rules in force and by others. Nothing comes of it.

By either rules it rests on the same: riders are as they were seen first, and a router's answers are told again.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from schemas.directory import TenantRules
from schemas.dispatch_rules import Asked
from schemas.geo import Location
from schemas.message import RiderId, TaskId, TenantSlug
from schemas.tender import OpenTender
from streams.dispatch.choice import step_of
from streams.dispatch.decision import Decision, Fleet
from streams.dispatch.known import KnownCarrier, Seen
from streams.dispatch.tendering import KnownTask
from streams.dispatch.ways import Router
from streams.routing.measured import Measured


class Would(msgspec.Struct, frozen=True):
    """What would be decided, and who is asked in that round."""

    to: Asked
    opening: OpenTender


class ByBoth(msgspec.Struct, frozen=True, kw_only=True):
    in_force: Would
    given: Would


class DryRun:
    """Of one tenant at one time."""

    def __init__(self, tenant: TenantSlug, at: datetime, fleet: Fleet, router: Router) -> None:
        self._tenant, self._at = tenant, at
        self._fleet, self._router = SeenOnce(fleet), ToldOnce(router)

    async def by_both(
        self, task: KnownTask, in_force: TenantRules, given: TenantRules, asked: Collection[RiderId]
    ) -> ByBoth:
        """`asked` are the riders whom the task's own open tender asks."""
        fleet = NotAskedFor(self._fleet, asked)
        first = await self._would(task, in_force, fleet)
        return ByBoth(in_force=first, given=await self._would(task, given, fleet))

    async def _would(self, task: KnownTask, rules: TenantRules, fleet: Fleet) -> Would:
        decision = Decision(TheseRules(rules), fleet, self._router, lambda tenant: self._at)
        opening = await decision.opening(task, self._tenant, self._at)
        return Would(step_of(rules, task.round).to, opening)


class TheseRules:
    def __init__(self, rules: TenantRules) -> None:
        self._rules = rules

    async def rules(self, tenant: TenantSlug) -> TenantRules:
        return self._rules


class SeenOnce:
    """A tenant's fleet. Only of those who have declined something it hangs on the rules how long that counts."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._riders: dict[tuple[bool, int], Sequence[Seen]] = {}
        self._declined: dict[str, frozenset[RiderId]] = {}
        self._carriers: dict[TaskId, Sequence[KnownCarrier]] = {}

    async def riders(self, tenant: TenantSlug, rules: TenantRules) -> Sequence[Seen]:
        filters = rules.dispatch.filters
        declines = filters.max_declines is not None, filters.decline_minutes
        if declines not in self._riders:
            self._riders[declines] = await self._fleet.riders(tenant, rules)
        return self._riders[declines]

    async def declined(self, tenant: TenantSlug, task_id: str) -> frozenset[RiderId]:
        if task_id not in self._declined:
            self._declined[task_id] = await self._fleet.declined(tenant, task_id)
        return self._declined[task_id]

    async def carriers(self, tenant: TenantSlug, task_id: TaskId) -> Sequence[KnownCarrier]:
        if task_id not in self._carriers:
            self._carriers[task_id] = await self._fleet.carriers(tenant, task_id)
        return self._carriers[task_id]

    async def documents_of_vehicles(self, tenant: TenantSlug) -> Sequence[str]:
        return await self._fleet.documents_of_vehicles(tenant)

    async def zones(self, tenant: TenantSlug, places: Sequence[Location], at: datetime) -> Sequence[frozenset[str]]:
        return await self._fleet.zones(tenant, places, at)

    async def policy_version(self, tenant: TenantSlug) -> int:
        return await self._fleet.policy_version(tenant)


class NotAskedFor:
    """A fleet as if nobody of `asked` had the offer that they have of the task."""

    def __init__(self, fleet: Fleet, asked: Collection[RiderId]) -> None:
        self._fleet, self._asked = fleet, asked
        self.declined, self.carriers = fleet.declined, fleet.carriers
        self.documents_of_vehicles, self.zones = fleet.documents_of_vehicles, fleet.zones
        self.policy_version = fleet.policy_version

    async def riders(self, tenant: TenantSlug, rules: TenantRules) -> Sequence[Seen]:
        return [
            replace(seen, rider=replace(seen.rider, offers=max(0, seen.rider.offers - 1)), at_hand=None)
            if seen.rider.rider_id in self._asked
            else seen
            for seen in await self._fleet.riders(tenant, rules)
        ]


class ToldOnce:
    """A router that is not asked the same again."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._told: dict[tuple[tuple[Location, ...], tuple[Location, ...]], Measured] = {}

    async def matrix(self, tenant: TenantSlug, origins: Sequence[Location], goals: Sequence[Location]) -> Measured:
        asked = tuple(origins), tuple(goals)
        if asked not in self._told:
            self._told[asked] = await self._router.matrix(tenant, origins, goals)
        return self._told[asked]
