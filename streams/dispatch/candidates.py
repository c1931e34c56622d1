"""Who could do it, and who could not and why: a pure choice over what is known of the riders."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from schemas.directory import TenantRules
from schemas.geo import Location, distance_m
from schemas.load import Load, Overload
from schemas.message import RiderId
from schemas.tender import MAX_CANDIDATES, Candidate, Excluded, Exclusion
from schemas.validity import shortfall
from schemas.vehicle_fitness import VehicleFitness, fit_for, overloads

SHIFT_MARGIN = timedelta(minutes=15)
"""A shift that ends sooner than this takes no new task."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    verified: bool
    valid_from: datetime | None
    expires_at: datetime | None


class KnownRider(msgspec.Struct, frozen=True, kw_only=True):
    """A rider as dispatch sees them. `seen_at` is the time of the fix, None for where a shift began."""

    rider_id: RiderId
    status: str
    documents: Sequence[Document]
    shift_ends_at: datetime | None
    on_break: bool
    silent: bool
    incident_open: bool = False
    """That keeps them off dispatch."""
    hours_end_at: datetime | None
    """When their hours of service run out, where those are limited; on a break that is not told."""
    capacity_g: int
    skills: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    """None: anywhere."""
    vehicles: Sequence[VehicleFitness] = ()
    """Assigned to the rider."""
    tasks: int
    """Reserved for or under way with."""
    offers: int
    """Pending from other tenders."""
    place: Location | None
    seen_at: datetime | None


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


class Travel(msgspec.Struct, frozen=True):
    seconds: float
    source: str
    """Which router said so."""


def exclusion_of(
    rider: KnownRider,
    rules: TenantRules,
    work: Work,
    declined: frozenset[str],
    now: datetime,
    of_vehicles: Sequence[str] = (),
) -> Exclusion | Overload | None:
    """The first rule that shuts the rider out, if any. `of_vehicles` are the documents that vehicles need."""
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
    if rider.hours_end_at is not None and rider.hours_end_at <= now:
        return "hours_exhausted"
    until = planned_until(rider.shift_ends_at, work, now)
    if (document := document_problem(rider, rules, now, until)) is not None:
        return document
    fit, unfit = fit_for(rider.vehicles, of_vehicles, now, until)
    if unfit is not None:
        return unfit
    if rider.shift_ends_at < max(now + SHIFT_MARGIN, work.soonest or now):
        return "shift_ends_too_soon"
    if rider.rider_id in declined:
        return "declined_before"
    if not work.skills <= rider.skills:
        return "skill_missing"
    if rider.zones and any(rider.zones.isdisjoint(holding) for holding in work.zones):
        return "outside_zones"
    if too_much := overloads(work.load, rider.capacity_g, fit):
        return too_much[0]
    if rider.tasks >= rules.max_active_tasks:
        return "too_many_tasks"
    if rider.offers:
        return "reserved_elsewhere"
    if rider.place is None:
        return "no_fix"
    if rider.seen_at is not None and rider.seen_at < now - timedelta(seconds=rules.stale_fix_seconds):
        return "stale_fix"
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


def eligible(
    riders: Iterable[KnownRider],
    rules: TenantRules,
    work: Work,
    declined: frozenset[str],
    now: datetime,
    of_vehicles: Sequence[str] = (),
) -> tuple[list[KnownRider], list[Excluded]]:
    """Those whom no rule shuts out, and the others with the rule that does; both in order of id."""
    able: list[KnownRider] = []
    excluded: list[Excluded] = []
    for rider in sorted(riders, key=lambda rider: rider.rider_id):
        why = exclusion_of(rider, rules, work, declined, now, of_vehicles)
        if why is None:
            able.append(rider)
        elif isinstance(why, Overload):
            excluded.append(Excluded(rider_id=rider.rider_id, code="over_capacity", overload=why))
        else:
            excluded.append(Excluded(rider_id=rider.rider_id, code=why))
    return able, excluded


def nearest(riders: Iterable[KnownRider], goal: Location, count: int) -> list[KnownRider]:
    """As the crow flies: those whose travel time is worth asking for."""
    placed = [(distance_m(rider.place, goal), rider) for rider in riders if rider.place is not None]
    return [rider for _, rider in sorted(placed, key=lambda pair: (pair[0], pair[1].rider_id))[:count]]


def ranked(riders: Iterable[KnownRider], travel: Mapping[RiderId, Travel], goal: Location) -> list[Candidate]:
    """The quickest to be there first; who is equally quick by id."""
    timed = [
        (travel[rider.rider_id], distance_m(rider.place, goal), rider)
        for rider in riders
        if rider.place is not None and rider.rider_id in travel
    ]
    timed.sort(key=lambda each: (each[0].seconds, each[2].rider_id))
    return [
        Candidate(
            rider_id=rider.rider_id,
            rank=rank,
            travel_s=round(way.seconds, 1),
            distance_m=round(distance),
            source=way.source,
        )
        for rank, (way, distance, rider) in enumerate(timed[:MAX_CANDIDATES], start=1)
    ]
