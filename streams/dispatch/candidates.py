"""Who could do it, and who could not and why: a pure choice over what is known of the riders."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from schemas.directory import TenantRules
from schemas.dispatch_rules import DispatchFilters
from schemas.load import Load, Overload, peak_load
from schemas.message import RiderId
from schemas.soonest import soonest_end
from schemas.tender import Excluded, Exclusion
from schemas.validity import shortfall
from schemas.vehicle_fitness import VehicleFitness, fit_for, overloads
from streams.dispatch.known import Ahead, KnownRider

SHIFT_MARGIN = timedelta(minutes=15)
"""A shift that ends sooner than this takes no new task."""


class Work(msgspec.Struct, frozen=True):
    """What a rider would have to do: the most that is aboard at once, when the last of its windows closes, if it has
    any, and before when it cannot be done."""

    load: Load
    closes_at: datetime | None
    soonest: datetime | None = None
    skills: frozenset[str] = frozenset()
    """What it asks for."""
    zones: Sequence[frozenset[str]] = ()
    """Of each stop, those that hold it."""


class Exclusions:
    """Of one task, whom its rules shut out. `of_vehicles` are the documents that vehicles need."""

    def __init__(
        self,
        rules: TenantRules,
        work: Work,
        declined: frozenset[str],
        now: datetime,
        of_vehicles: Sequence[str] = (),
    ) -> None:
        self._rules, self._work, self._declined, self._now, self._of_vehicles = rules, work, declined, now, of_vehicles
        self._filters = rules.dispatch.filters
        self._soonest = max(now + SHIFT_MARGIN, work.soonest or now)
        self._seen_since = now - timedelta(seconds=rules.stale_fix_seconds)

    def of(self, rider: KnownRider) -> Exclusion | Overload | None:
        """The first rule that shuts the rider out, if any."""
        if rider.status != "approved":
            return "suspended" if rider.status == "suspended" else "not_approved"
        if rider.shift_ends_at is None:
            return "off_shift"
        if rider.on_break:
            return "on_break"
        if rider.silent:
            return "silent"
        if rider.incident_open:
            return "incident_open"
        if rider.hours_end_at is not None and rider.hours_end_at <= self._now:
            return "hours_exhausted"
        until = planned_until(rider.shift_ends_at, self._work, self._now)
        if (document := document_problem(rider, self._rules, self._now, until)) is not None:
            return document
        fit, unfit = fit_for(rider.vehicles, self._of_vehicles, self._now, until)
        if unfit is not None:
            return unfit
        if rider.shift_ends_at < self._soonest:
            return "shift_ends_too_soon"
        if rider.rider_id in self._declined:
            return "declined_before"
        return self._for_the_work(rider, fit) or self._of_now(rider)

    def _for_the_work(self, rider: KnownRider, fit: Sequence[VehicleFitness]) -> Exclusion | Overload | None:
        if self._filters.vehicles and rider.vehicle not in self._filters.vehicles:
            return "vehicle_kind"
        if not self._work.skills <= rider.skills:
            return "skill_missing"
        if rider.zones and any(rider.zones.isdisjoint(holding) for holding in self._work.zones):
            return "outside_zones"
        too_much = overloads(self._work.load, rider.capacity_g, fit)
        return too_much[0] if too_much else None

    def _of_now(self, rider: KnownRider) -> Exclusion | None:
        if rider.tasks >= self._rules.max_active_tasks:
            return "too_many_tasks"
        if rider.offers:
            return "reserved_elsewhere"
        if (misliked := history_problem(rider, self._filters)) is not None:
            return misliked
        if not rider.placed:
            return "no_fix"
        if rider.seen_at is not None and rider.seen_at < self._seen_since:
            return "stale_fix"
        return None


def exclusion_of(
    rider: KnownRider,
    rules: TenantRules,
    work: Work,
    declined: frozenset[str],
    now: datetime,
    of_vehicles: Sequence[str] = (),
) -> Exclusion | Overload | None:
    """Where it is asked of one rider alone."""
    return Exclusions(rules, work, declined, now, of_vehicles).of(rider)


def history_problem(rider: KnownRider, filters: DispatchFilters) -> Exclusion | None:
    if filters.max_declines is not None and rider.declines > filters.max_declines:
        return "declines_too_often"
    if filters.min_rating is not None and rider.rating is not None and rider.rating < filters.min_rating:
        return "rated_too_low"
    return None


def planned_until(shift_ends_at: datetime, work: Work, now: datetime) -> datetime:
    """The latest that it may take as far as is known, as decisions on riders see it."""
    return shift_ends_at if work.closes_at is None else max(now, min(work.closes_at, shift_ends_at))


def document_problem(rider: KnownRider, rules: TenantRules, now: datetime, until: datetime) -> Exclusion | None:
    for kind in rules.required_documents:
        verified = [d for d in rider.documents if d.kind == kind and d.verified]
        spans = [(d.valid_from, d.expires_at) for d in verified if d.valid_from and d.expires_at]
        lacking = shortfall(spans, now, until)
        if lacking is not None:
            return lacking
    return None


def work_on(stops: Sequence[Ahead], now: datetime, skills: frozenset[str], zones: Sequence[frozenset[str]]) -> Work:
    return Work(
        load=peak_load(stop.load for stop in stops),
        closes_at=max((stop.window.end for stop in stops if stop.window), default=None),
        soonest=soonest_end(stops, now),
        skills=skills,
        zones=zones,
    )


def code_of(why: Exclusion | Overload) -> Exclusion:
    return "over_capacity" if isinstance(why, Overload) else why


def excluded_for(rider_id: RiderId, why: Exclusion | Overload) -> Excluded:
    if isinstance(why, Overload):
        return Excluded(rider_id=rider_id, code="over_capacity", overload=why)
    return Excluded(rider_id=rider_id, code=why)
