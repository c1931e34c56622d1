"""Where on one rider's itinerary the stops of a task fit best: each place is tried, one rider at a time. An oracle for
`streams.dispatch.insertion`, which tries them for many riders at once."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.dispatch_rules import DispatchRules
from schemas.load import Overload
from schemas.rule_numbers import MAX_RATING
from schemas.tender import Exclusion, ScoreParts
from schemas.vehicle_fitness import VehicleFitness, overloads
from streams.dispatch.board import timings
from streams.dispatch.insertion import Insertion
from streams.dispatch.known import Ahead, KnownRider
from streams.dispatch.orders import Orders, orders_of, peak_of, placed
from streams.dispatch.question import Ways
from streams.routing.measured import Grid

type Judged = npt.NDArray[np.bool_]


class Walked(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of each order: seconds from now, seconds and metres driven."""

    arrives: Grid
    """At each stop (columns), by its number."""
    ends: Grid
    driven_s: Grid
    driven_m: Grid
    lateness_s: Grid
    """Summed over the stops."""
    rides_s: Grid
    """Of each task (columns) whose goods are still to be picked up, from the first pickup to the last drop."""


class Judgement(msgspec.Struct, frozen=True):
    code: Exclusion
    holds: Judged
    """Of each order."""


def insertion(
    rider: KnownRider,
    fit: Sequence[VehicleFitness],
    stops: Sequence[Ahead],
    ways: Ways,
    rules: DispatchRules,
    at_first: bool,
    now: datetime,
) -> Insertion | Exclusion | Overload:
    """`fit` are the vehicles that may drive. `at_first`: the rider is at the first stop, which is not left undone."""
    ahead = [*rider.itinerary, *stops]
    seconds, metres = (np.where(np.isnan(grid), np.inf, grid) for grid in ways.grids())
    known, new = len(rider.itinerary), len(stops)
    first = 1 if known and (rider.locked or at_first) else 0
    orders = orders_of(known, new, first)
    walked = walk(orders, ahead, seconds, metres, now)
    before = walk(orders_of(known, 0, 0), list(rider.itinerary), seconds, metres, now)
    if not (np.isfinite(before.driven_s[0]) and np.isfinite(walked.driven_s).any()):
        return "unreachable"
    detour_s = walked.driven_s - before.driven_s[0]
    parts = {
        "travel": np.round(walked.arrives[:, known], 1),
        "detour": np.round(np.maximum(0.0, detour_s), 1),
        "lateness": np.round(np.maximum(0.0, walked.lateness_s - before.lateness_s[0]), 1),
        "cost": np.round(costs(rider, rules, detour_s, walked.driven_m - before.driven_m[0]), 2),
    }
    below_5 = round(MAX_RATING - (rules.unrated if rider.rating is None else rider.rating), 2)
    weights = rules.weights
    fixed = weights.balance * rider.tasks + weights.rating * below_5
    with np.errstate(invalid="ignore"):  # where there is no way
        score: Grid = fixed + np.sum([getattr(weights, name) * part for name, part in parts.items()], axis=0)
    judged = judgements(rider, fit, ahead, orders, walked, before, parts, rules, now)
    holds = np.logical_and.reduce([np.isfinite(walked.driven_s), *(each.holds for each in judged)])
    ranked = np.argsort(np.where(np.isfinite(score), score, np.inf), kind="stable")
    able = ranked[holds[ranked]]
    if not len(able):
        return why_none(int(ranked[0]), judged, rider, fit, ahead, orders)
    best = int(able[0])
    return Insertion(
        score=round(float(score[best]), 3),
        parts=ScoreParts(
            travel_s=float(parts["travel"][best]),
            detour_s=float(parts["detour"][best]),
            lateness_s=float(parts["lateness"][best]),
            tasks=rider.tasks,
            cost=float(parts["cost"][best]),
            rating_below_5=below_5,
        ),
        placed=placed(orders[best], ahead, known),
        ends_at=now + timedelta(seconds=round(float(walked.ends[best]))),
    )


def walk(orders: Orders, ahead: Sequence[Ahead], seconds: Grid, metres: Grid, now: datetime) -> Walked:
    """Whoever is early waits until the window opens."""
    opens, closes, service = timings(ahead, now)
    at, lateness = np.zeros(len(orders)), np.zeros(len(orders))
    arrives, leaves = np.full((len(orders), len(ahead)), np.nan), np.full((len(orders), len(ahead)), np.nan)
    rows = np.arange(len(orders))
    for step in range(1, orders.shape[1]):
        stop = orders[:, step] - 1
        at = at + seconds[orders[:, step - 1], orders[:, step]]
        arrives[rows, stop] = at
        lateness = lateness + np.maximum(0.0, at - closes[stop])
        at = np.maximum(at, opens[stop]) + service[stop]
        leaves[rows, stop] = at
    return Walked(
        arrives=arrives,
        ends=at,
        driven_s=seconds[orders[:, :-1], orders[:, 1:]].sum(axis=1),
        driven_m=metres[orders[:, :-1], orders[:, 1:]].sum(axis=1),
        lateness_s=lateness,
        rides_s=rides(ahead, arrives, leaves),
    )


def rides(ahead: Sequence[Ahead], arrives: Grid, leaves: Grid) -> Grid:
    """Tasks in the order of their first pickup in `ahead`."""
    columns = []
    for task_id in dict.fromkeys(stop.task_id for stop in ahead if stop.kind == "pickup"):
        pickups = [i for i, stop in enumerate(ahead) if stop.task_id == task_id and stop.kind == "pickup"]
        drops = [i for i, stop in enumerate(ahead) if stop.task_id == task_id and stop.kind != "pickup"]
        if drops:
            with np.errstate(invalid="ignore"):  # where there is no way
                columns.append(arrives[:, drops].max(axis=1) - leaves[:, pickups].min(axis=1))
    return np.stack(columns, axis=1) if columns else np.zeros((len(arrives), 0))


def costs(rider: KnownRider, rules: DispatchRules, detour_s: Grid, detour_m: Grid) -> Grid:
    """In minor units."""
    of = next((each for each in rules.costs if each.vehicle == rider.vehicle), None)
    if of is None:
        return np.zeros(len(detour_s))
    found: Grid = np.maximum(0.0, of.per_hour * detour_s / 3_600 + of.per_km * detour_m / 1_000)
    return found


def judgements(
    rider: KnownRider,
    fit: Sequence[VehicleFitness],
    ahead: Sequence[Ahead],
    orders: Orders,
    walked: Walked,
    before: Walked,
    parts: dict[str, Grid],
    rules: DispatchRules,
    now: datetime,
) -> list[Judgement]:
    filters = rules.filters
    found = [
        Judgement("over_capacity", has_room(rider, fit, ahead, orders)),
        Judgement("shift_ends_too_soon", ends_by(walked, rider.shift_ends_at, now)),
        Judgement("hours_exhausted", ends_by(walked, rider.hours_end_at, now)),
        Judgement("travel_too_long", at_most(parts["travel"], filters.max_travel_seconds)),
        Judgement("detour_too_long", at_most(parts["detour"], filters.max_detour_seconds)),
        Judgement("would_be_late", at_most(parts["lateness"], filters.max_lateness_seconds)),
    ]
    if filters.max_ride_seconds is not None:
        found.append(Judgement("ride_too_long", rides_within(walked.rides_s, before.rides_s, filters.max_ride_seconds)))
    return found


def at_most(part: Grid, limit: float | None) -> Judged:
    return np.ones(len(part), bool) if limit is None else part <= limit


def ends_by(walked: Walked, limit: datetime | None, now: datetime) -> Judged:
    return at_most(walked.ends, None if limit is None else (limit - now).total_seconds())


def rides_within(rides_s: Grid, before_s: Grid, limit_s: float) -> Judged:
    """What rode too long before is not shut out for that, but where it rides longer."""
    already = np.zeros(rides_s.shape[1])
    already[: before_s.shape[1]] = before_s[0] if before_s.size else 0.0
    holds: Judged = (rides_s <= np.maximum(limit_s, already)).all(axis=1)
    return holds


def has_room(rider: KnownRider, fit: Sequence[VehicleFitness], ahead: Sequence[Ahead], orders: Orders) -> Judged:
    """As `overloads` tells of the peak load along each order."""
    loads = np.array([(each.load.weight_g, each.load.volume_cm3, each.load.parcels) for each in ahead], np.int64)
    along = np.cumsum(loads[orders[:, 1:] - 1], axis=1)
    peaks = np.maximum(along.max(axis=1), 0) - np.minimum(along.min(axis=1), 0)
    if not fit:
        return np.asarray(peaks[:, 0] <= rider.capacity_g)
    held = [(min(v.capacity.weight_g, rider.capacity_g), v.capacity.volume_cm3, v.capacity.parcels) for v in fit]
    holds: Judged = np.logical_or.reduce([(peaks <= np.array(limits)).all(axis=1) for limits in held])
    return holds


def why_none(
    best: int,
    judged: Sequence[Judgement],
    rider: KnownRider,
    fit: Sequence[VehicleFitness],
    ahead: Sequence[Ahead],
    orders: Orders,
) -> Exclusion | Overload:
    """What shuts out every order; where each is shut out by something else, what does the best one."""
    everywhere: list[Exclusion] = [each.code for each in judged if not each.holds.any()]
    here: list[Exclusion] = [each.code for each in judged if not each.holds[best]]
    code = (everywhere or here)[0]
    if code != "over_capacity":
        return code
    return overloads(peak_of(orders[best], ahead), rider.capacity_g, fit)[0]
