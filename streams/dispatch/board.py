"""What a decision knows, in columns: stops, riders and the ways between them, by number."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.dispatch_rules import DispatchRules
from schemas.rule_numbers import MAX_RATING
from schemas.vehicle_fitness import VehicleFitness
from streams.dispatch.batch_question import BatchQuestion
from streams.dispatch.known import Ahead, KnownRider
from streams.dispatch.question import Ways
from streams.dispatch.straight import INT32
from streams.routing.measured import Grid

NEVER_S = 1e12
ENOUGH = 2**62
"""More than anybody carries."""

type Numbers = npt.NDArray[np.int64]
type Flags = npt.NDArray[np.bool_]


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """Stops are numbered: first those ahead of riders, rider by rider, then those of tasks. Riders are those whose
    place is known."""

    rules: DispatchRules
    now: datetime
    riders: Sequence[KnownRider]
    stops: Sequence[Ahead]
    seconds: Grid
    """From each point to each: first where riders are, then the stops. Infinite where there is no way."""
    metres: Grid
    opens: Grid
    closes: Grid
    service: Grid
    loads: Numbers
    """Of each stop: grams, cubic centimetres, parcels."""
    pickup: Flags
    task_of: Numbers
    """Of each stop."""
    routes: Sequence[tuple[int, ...]]
    """Of each rider, the stops ahead."""
    of_task: Sequence[tuple[int, ...]]
    """Of each task, its stops."""
    first: Numbers
    """Of each rider: 1 where the first stop stays the first."""
    ends_by: Grid
    """Of each rider, seconds until the shift ends."""
    hours_by: Grid
    below_5: Grid
    per_hour: Grid
    per_km: Grid
    too_far: Flags
    """Of each task (rows) whether it is for each rider, as the crow flies."""

    @property
    def cost_counts(self) -> bool:
        return bool(self.per_hour.any() or self.per_km.any())


def board_of(question: BatchQuestion, ways: Ways) -> Board:
    riders = [rider for rider in question.riders if rider.placed]
    routes, stops = numbered([rider.itinerary for rider in riders], [])
    of_task, stops = numbered([task.stops for task in question.tasks], stops)
    to_first = np.frombuffer(question.to_first, INT32).reshape(len(riders), len(question.tasks))
    limit_m = question.rules.dispatch.filters.max_distance_m
    seconds, metres = ways.grids()
    return board_with(
        question.rules.dispatch,
        question.decided_at,
        riders=riders,
        stops=stops,
        routes=routes,
        of_task=of_task,
        at_first_stop=(np.frombuffer(question.to_ahead, INT32) <= question.rules.arrival_radius_m).tolist(),
        seconds=seconds,
        metres=metres,
        too_far=np.zeros(to_first.T.shape, bool) if limit_m is None else limit_m < to_first.T,
    )


def board_with(
    rules: DispatchRules,
    now: datetime,
    *,
    riders: Sequence[KnownRider],
    stops: Sequence[Ahead],
    routes: Sequence[tuple[int, ...]],
    of_task: Sequence[tuple[int, ...]],
    at_first_stop: Sequence[bool],
    seconds: Grid,
    metres: Grid,
    too_far: Flags,
) -> Board:
    """Of ways not a number is none."""
    opens, closes, service = timings(stops, now)
    tasks = {task_id: number for number, task_id in enumerate(dict.fromkeys(stop.task_id for stop in stops))}
    costs = {each.vehicle: each for each in rules.costs}
    loads = [(stop.load.weight_g, stop.load.volume_cm3, stop.load.parcels) for stop in stops]
    return Board(
        rules=rules,
        now=now,
        riders=riders,
        stops=stops,
        seconds=np.where(np.isnan(seconds), np.inf, seconds),
        metres=np.where(np.isnan(metres), np.inf, metres),
        opens=opens,
        closes=closes,
        service=service,
        loads=np.array(loads, np.int64).reshape(-1, 3),
        pickup=np.array([stop.kind == "pickup" for stop in stops], bool),
        task_of=np.array([tasks[stop.task_id] for stop in stops], np.int64),
        routes=routes,
        of_task=of_task,
        first=np.array(
            [bool(r.itinerary) and bool(r.locked or at) for r, at in zip(riders, at_first_stop, strict=True)], np.int64
        ),
        ends_by=np.array([seconds_until(rider.shift_ends_at, now) for rider in riders]),
        hours_by=np.array([seconds_until(rider.hours_end_at, now) for rider in riders]),
        below_5=np.array([round(MAX_RATING - (rules.unrated if r.rating is None else r.rating), 2) for r in riders]),
        per_hour=np.array([float(costs[r.vehicle].per_hour) if r.vehicle in costs else 0.0 for r in riders]),
        per_km=np.array([float(costs[r.vehicle].per_km) if r.vehicle in costs else 0.0 for r in riders]),
        too_far=too_far,
    )


def numbered(groups: Sequence[Sequence[Ahead]], before: Sequence[Ahead]) -> tuple[list[tuple[int, ...]], list[Ahead]]:
    """The numbers of each group's stops behind those `before`, and all stops."""
    stops, numbers = [*before], []
    for group in groups:
        numbers.append(tuple(range(len(stops), len(stops) + len(group))))
        stops += group
    return numbers, stops


def timings(ahead: Sequence[Ahead], now: datetime) -> tuple[Grid, Grid, Grid]:
    """When the window of each opens and closes, in seconds from now, and how long it takes."""
    opens = [-NEVER_S if stop.window is None else (stop.window.start - now).total_seconds() for stop in ahead]
    closes = [NEVER_S if stop.window is None else (stop.window.end - now).total_seconds() for stop in ahead]
    return np.array(opens), np.array(closes), np.array([float(stop.service_seconds) for stop in ahead])


def seconds_until(limit: datetime | None, now: datetime) -> float:
    return NEVER_S if limit is None else (limit - now).total_seconds()


def room_of(rider: KnownRider, fit: Sequence[VehicleFitness]) -> list[tuple[int, int, int]]:
    """What each vehicle holds; of who has none the weight alone binds."""
    if not fit:
        return [(rider.capacity_g, ENOUGH, ENOUGH)]
    return [(min(v.capacity.weight_g, rider.capacity_g), v.capacity.volume_cm3, v.capacity.parcels) for v in fit]
