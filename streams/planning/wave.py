"""A wave: tasks that wait, riders with what lies ahead of them, and the problem that this is for the solvers.

A task with a pickup and a drop is a shipment, one with a single stop a delivery; another shape is not planned. What
riders have stays theirs, in what order whatever; a rider with something of another shape does all of it first.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import ceil

import msgspec
import numpy as np
from msgspec.structs import replace

from schemas.directory import TenantRules
from schemas.geo import Location
from schemas.geo import Window as Between
from schemas.itinerary import MAX_ROUTE_TASKS
from schemas.load import NOTHING, Capacity, Load, peak_load
from schemas.message import RiderId, StopId, TaskId
from schemas.plan import LeftOutRider, LeftOutTask, PlanObjective
from schemas.vehicle_fitness import fit_for
from streams.dispatch.candidates import Exclusions, Work, code_of, work_on
from streams.dispatch.known import Ahead, KnownRider, Seen
from streams.planning.problem import (
    Delivery,
    Matrices,
    Problem,
    Route,
    Shipment,
    Solution,
    Stop,
    Vehicle,
    Visit,
    Window,
)
from streams.routing.measured import Measured

NEVER_S = 30 * 86_400
"""Later than any plan; also the way to where there is none."""
MOST_PLACES = 1_500
"""Whose ways are two tables of whole numbers, some 160 MB."""
ANY = 2**31 - 1
"""More than anybody carries."""


class TooManyPlaces(ValueError):
    def __init__(self, places: int) -> None:
        super().__init__(f"{places:,} places: {MOST_PLACES:,} are the most that are planned at once")


type Walked = tuple[int, int, int]
"""When a stop is reached, when its service begins, and when it is over: seconds."""


class WaveTask(msgspec.Struct, frozen=True, kw_only=True):
    """`round`: the one that it is in once a rider has it. `from_rider` has it, and has not begun it."""

    task_id: TaskId
    round: int
    stops: Sequence[Ahead]
    places: Sequence[Location]
    required_skills: frozenset[str] = frozenset()
    zones: Sequence[frozenset[str]] = ()
    declined: frozenset[RiderId] = frozenset()
    from_rider: RiderId | None = None


class WaveRider(msgspec.Struct, frozen=True, kw_only=True):
    """`begun`: they are at, or on their way to, the first stop ahead."""

    seen: Seen
    begun: bool = False

    @property
    def rider(self) -> KnownRider:
        return self.seen.rider


class Wave(msgspec.Struct, frozen=True, kw_only=True):
    decided_at: datetime
    tasks: Sequence[WaveTask]
    riders: Sequence[WaveRider]
    rules: TenantRules
    of_vehicles: Sequence[str]
    objective: PlanObjective


class Sorted(msgspec.Struct, frozen=True, kw_only=True):
    """Who and what takes part, and who may do what."""

    riders: Sequence[WaveRider]
    tasks: Sequence[WaveTask]
    able: Mapping[TaskId, frozenset[RiderId]]
    left_out: Sequence[LeftOutTask]
    not_asked: Sequence[LeftOutRider]


class Posed(msgspec.Struct, frozen=True, kw_only=True):
    """`stop_of`: the stop behind each visit. `first`: of a rider who does all of it before anything else, that."""

    problem: Problem
    stop_of: Mapping[Visit, Ahead]
    first: Mapping[RiderId, Sequence[Ahead]]
    first_at_s: Mapping[RiderId, Sequence[Walked]]
    incumbent: Solution
    places: Mapping[Location, int]


def sort_out(wave: Wave) -> Sorted:
    riders: list[WaveRider] = []
    not_asked: list[LeftOutRider] = []
    rules = replace(wave.rules, max_active_tasks=MAX_ROUTE_TASKS)
    for_nothing = Exclusions(rules, Work(NOTHING, None), frozenset(), wave.decided_at, wave.of_vehicles)
    for each in wave.riders:
        why = for_nothing.of(free(each.rider))
        if why is None:
            riders.append(each)
        else:
            not_asked.append(LeftOutRider(rider_id=each.rider.rider_id, code=code_of(why)))
    able: dict[TaskId, frozenset[RiderId]] = {}
    left_out: list[LeftOutTask] = []
    for task in wave.tasks:
        if shape_of(task.stops) is None:
            left_out.append(LeftOutTask(task_id=task.task_id, code="several_stops"))
            continue
        if (closed := closed_of(task, wave.decided_at)) is not None:
            told = f"the window of stop {closed} has closed"
            left_out.append(LeftOutTask(task_id=task.task_id, code="window_unreachable", told=told))
            continue
        work = work_on(task.stops, wave.decided_at, task.required_skills, task.zones)
        shut_out = Exclusions(rules, work, task.declined, wave.decided_at, wave.of_vehicles)
        whys = {each.rider.rider_id: why_not(task, each, shut_out) for each in riders}
        able[task.task_id] = frozenset(rider for rider, why in whys.items() if why is None)
        if not able[task.task_id]:
            told = ", ".join(f"{code}: {count}" for code, count in Counter(filter(None, whys.values())).most_common())
            left_out.append(LeftOutTask(task_id=task.task_id, code="no_rider", told=told))
    gone = {each.task_id for each in left_out}
    tasks = [task for task in wave.tasks if task.task_id not in gone]
    return Sorted(riders=riders, tasks=tasks, able=able, left_out=left_out, not_asked=not_asked)


def why_not(task: WaveTask, rider: WaveRider, shut_out: Exclusions) -> str | None:
    if task.from_rider == rider.rider.rider_id:
        return None
    why = shut_out.of(free(rider.rider))
    return None if why is None else code_of(why)


def closed_of(task: WaveTask, now: datetime) -> StopId | None:
    """Of a task that somebody has being late is no reason to leave it out."""
    if task.from_rider is not None:
        return None
    return next((stop.stop_id for stop in task.stops if stop.window and stop.window.end <= now), None)


def free(rider: KnownRider) -> KnownRider:
    """An offer that is pending holds nobody: the reservation decides."""
    return replace(rider, offers=0)


def shape_of(stops: Sequence[Ahead]) -> tuple[Ahead | None, Ahead] | None:
    """Pickup and drop of a task, or its single stop, which adds nothing."""
    match stops:
        case [single] if added(single.load) == NOTHING:
            return None, single
        case [pickup, drop] if pickup.kind == "pickup" and drop.kind != "pickup" and opposite(pickup.load, drop.load):
            return pickup, drop
        case _:
            return None


def added(load: Load) -> Load:
    return Load(weight_g=max(0, load.weight_g), volume_cm3=max(0, load.volume_cm3), parcels=max(0, load.parcels))


def opposite(one: Load, other: Load) -> bool:
    return (
        one == added(one)
        and one.weight_g == -other.weight_g
        and one.volume_cm3 == -other.volume_cm3
        and one.parcels == -other.parcels
    )


def negative(load: Load) -> Load:
    return Load(weight_g=-load.weight_g, volume_cm3=-load.volume_cm3, parcels=-load.parcels)


def places_of(sorted_out: Sorted) -> list[Location]:
    """Each once. Raises TooManyPlaces."""
    heres = [each.seen.here for each in sorted_out.riders if each.seen.here is not None]
    ahead = [place for each in sorted_out.riders for place in each.seen.ahead]
    of_tasks = [place for task in sorted_out.tasks for place in task.places]
    places = list(dict.fromkeys([*heres, *ahead, *of_tasks]))
    if len(places) > MOST_PLACES:
        raise TooManyPlaces(len(places))
    return places


def matrices_of(measured: Measured) -> Matrices:
    """Whole seconds and metres, both rounded up; where there is no way it takes for ever."""

    def whole(grid: np.ndarray) -> tuple[tuple[int, ...], ...]:
        rounded = np.where(np.isfinite(grid), np.ceil(np.nan_to_num(grid, posinf=0.0)), NEVER_S).astype(np.int64)
        np.fill_diagonal(rounded, 0)
        return tuple(tuple(row) for row in rounded.tolist())

    return Matrices(seconds=whole(measured.seconds), metres=whole(measured.metres))


class Posing:
    """The problem in the making."""

    def __init__(self, wave: Wave, sorted_out: Sorted, places: Sequence[Location], matrices: Matrices) -> None:
        self.wave, self.sorted = wave, sorted_out
        self.number = {place: at for at, place in enumerate(places)}
        self.matrices = matrices
        self.shipments: list[Shipment] = []
        self.deliveries: list[Delivery] = []
        self.stop_of: dict[Visit, Ahead] = {}
        self.movable = {task.task_id for task in sorted_out.tasks if task.from_rider is not None}
        self.first: dict[RiderId, Sequence[Ahead]] = {}
        self.first_at_s: dict[RiderId, Sequence[Walked]] = {}
        self.routes: dict[RiderId, list[Visit]] = {}
        self.added: set[TaskId] = set()
        everybody = frozenset(each.rider.rider_id for each in sorted_out.riders)
        self.picky = {task for task, able in sorted_out.able.items() if able != everybody}

    def posed(self) -> Posed:
        vehicles = tuple(self.vehicle(each) for each in self.sorted.riders)
        for task in self.sorted.tasks:
            if task.task_id not in self.added:
                self.add_waiting(task)
        problem = Problem(
            vehicles=vehicles,
            matrices=self.matrices,
            shipments=tuple(self.shipments),
            deliveries=tuple(self.deliveries),
            objective=self.wave.objective,
        )
        incumbent = Solution(
            routes=tuple(Route(vehicle=rider, visits=tuple(visits)) for rider, visits in self.routes.items() if visits)
        )
        return Posed(
            problem=problem,
            stop_of=self.stop_of,
            first=self.first,
            first_at_s=self.first_at_s,
            incumbent=incumbent,
            places=self.number,
        )

    # Of riders

    def vehicle(self, each: WaveRider) -> Vehicle:
        rider, here = each.rider, each.seen.here
        assert here is not None, "who is nowhere takes no part"
        walked = self.walked(each)
        tasks = by_task(rider.itinerary)
        start, from_s, prefix = self.number[here], 0, tuple[Visit, ...]()
        if all(shape_ahead(stops) is not None for stops in tasks.values()):
            visits = [self.visit(stop, tasks[stop.task_id]) for stop in rider.itinerary]
            for stop, visit in zip(rider.itinerary, visits, strict=True):
                self.stop_of[visit] = stop
            for task_id, stops in tasks.items():
                self.add_had(each, task_id, stops, walked)
            self.routes[rider.rider_id] = visits
            prefix = tuple(visits[:1]) if rider.locked or each.begun else ()
        elif rider.itinerary:
            self.first[rider.rider_id] = rider.itinerary
            self.added.update(tasks)
            self.first_at_s[rider.rider_id] = walked
            start, from_s = self.number[each.seen.ahead[-1]], walked[-1][2]
        ends_s = walked[-1][2] if walked else 0
        return Vehicle(
            id=rider.rider_id,
            start=start,
            end=None,
            capacity=self.capacity(rider),
            shift=Window(from_s=from_s, until_s=max(from_s, ends_s, self.until_s(rider))),
            skills=frozenset(
                {
                    rider_skill(rider.rider_id),
                    *(task_skill(task) for task in self.picky if rider.rider_id in self.sorted.able[task]),
                }
            ),
            prefix=prefix,
        )

    def walked(self, each: WaveRider) -> list[Walked]:
        """Of each stop ahead, in the order that it is in: reached, begun, left."""
        assert each.seen.here is not None
        at_s, here, found = 0, self.number[each.seen.here], []
        for stop, place in zip(each.rider.itinerary, each.seen.ahead, strict=True):
            arrives = at_s + self.matrices.seconds[here][self.number[place]]
            begins = max(arrives, self.seconds(stop.window.start) if stop.window else 0)
            at_s, here = begins + stop.service_seconds, self.number[place]
            found.append((arrives, begins, at_s))
        return found

    def add_had(self, each: WaveRider, task_id: TaskId, stops: Sequence[Ahead], walked: Sequence[Walked]) -> None:
        """No later than as things are: what is late already may be as late as that."""
        rider = each.rider
        shape = shape_ahead(stops)
        assert shape is not None
        self.added.add(task_id)
        begins = {stop.ref: at for stop, (_, at, _) in zip(rider.itinerary, walked, strict=True)}
        place = {stop.ref: self.number[at] for stop, at in zip(rider.itinerary, each.seen.ahead, strict=True)}

        def placed(stop: Ahead) -> Stop:
            window = self.window(stop.window)
            until_s = max(window.until_s, begins[stop.ref]) if stop.window else NEVER_S
            return Stop(
                place=place[stop.ref],
                window=Window(from_s=window.from_s, until_s=until_s),
                service_s=stop.service_seconds,
            )

        pickup, drop = shape
        if pickup is None:
            load, pinned = negative(drop.load), task_id not in self.movable
            skills = frozenset() if pinned else self.asks_for(task_id)
            only = rider.rider_id if pinned else None
            self.deliveries.append(Delivery(id=task_id, stop=placed(drop), load=load, only=only, skills=skills))
            return
        skills = self.asks_for(task_id) if task_id in self.movable else frozenset({rider_skill(rider.rider_id)})
        shipment = Shipment(id=task_id, pickup=placed(pickup), delivery=placed(drop), load=pickup.load, skills=skills)
        self.shipments.append(shipment)

    def asks_for(self, task_id: TaskId) -> frozenset[str]:
        return frozenset({task_skill(task_id)} if task_id in self.picky else ())

    def visit(self, stop: Ahead, of_task: Sequence[Ahead]) -> Visit:
        picks_up = stop.kind == "pickup" and len(of_task) > 1
        return Visit(job=stop.task_id, action="pick_up" if picks_up else "deliver")

    def capacity(self, rider: KnownRider) -> Capacity:
        """At least what they have on their way as it is."""
        now, until = self.wave.decided_at, rider.shift_ends_at or self.wave.decided_at
        fit, _ = fit_for(rider.vehicles, self.wave.of_vehicles, now, until)
        largest = max(
            (each.capacity for each in fit),
            key=lambda each: (each.weight_g, each.volume_cm3, each.parcels),
            default=Capacity(weight_g=rider.capacity_g, volume_cm3=ANY, parcels=ANY),
        )
        peak = peak_load(stop.load for stop in rider.itinerary)
        return Capacity(
            weight_g=max(peak.weight_g, min(largest.weight_g, rider.capacity_g)),
            volume_cm3=max(peak.volume_cm3, largest.volume_cm3),
            parcels=max(peak.parcels, largest.parcels),
        )

    def until_s(self, rider: KnownRider) -> int:
        ends = [each for each in (rider.shift_ends_at, rider.hours_end_at) if each is not None]
        return max(0, self.seconds(min(ends)))

    # Of tasks that wait

    def add_waiting(self, task: WaveTask) -> None:
        shape = shape_of(task.stops)
        assert shape is not None
        pickup, drop = shape
        skills = self.asks_for(task.task_id)

        def placed(stop: Ahead) -> Stop:
            at = self.number[task.places[[each.ref for each in task.stops].index(stop.ref)]]
            return Stop(place=at, window=self.window(stop.window), service_s=stop.service_seconds)

        self.stop_of[Visit(job=task.task_id, action="deliver")] = drop
        if pickup is None:
            load = negative(drop.load)
            self.deliveries.append(Delivery(id=task.task_id, stop=placed(drop), load=load, skills=skills))
            return
        self.stop_of[Visit(job=task.task_id, action="pick_up")] = pickup
        self.shipments.append(
            Shipment(id=task.task_id, pickup=placed(pickup), delivery=placed(drop), load=pickup.load, skills=skills)
        )

    def window(self, between: Between | None) -> Window:
        if between is None:
            return Window(from_s=0, until_s=NEVER_S)
        until_s = max(0, int((between.end - self.wave.decided_at).total_seconds()))
        return Window(from_s=min(until_s, max(0, self.seconds(between.start))), until_s=until_s)

    def seconds(self, at: datetime) -> int:
        return ceil((at - self.wave.decided_at).total_seconds())


def by_task(stops: Iterable[Ahead]) -> dict[TaskId, list[Ahead]]:
    found: dict[TaskId, list[Ahead]] = {}
    for stop in stops:
        found.setdefault(stop.task_id, []).append(stop)
    return found


def shape_ahead(stops: Sequence[Ahead]) -> tuple[Ahead | None, Ahead] | None:
    """As `shape_of`; what is aboard already may also leave."""
    match stops:
        case [single] if single.kind != "pickup" and added(single.load) == NOTHING:
            return None, single
        case [pickup, drop]:
            return shape_of([pickup, drop])
        case _:
            return None


def rider_skill(rider_id: RiderId) -> str:
    return f"rider {rider_id}"


def task_skill(task_id: TaskId) -> str:
    return f"task {task_id}"
