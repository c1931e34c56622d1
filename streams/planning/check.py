"""Whether a plan can be driven, and what it truly costs: one judge for every solver, who shares no code with them.

Each job at most once, a pickup before its delivery on one route, windows, loads at each stop, skills, the break, ride
limits, the end of the shift and what was committed before.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec

from schemas.load import Load, Measure
from streams.planning.problem import Delivery, Job, Problem, Route, Shipment, Solution, Stop, Vehicle, Visit
from streams.planning.timetable import EVER, Network, Ride, Timetable, forward, network, soonest, timetable

Code = Literal[
    "unknown_vehicle",
    "vehicle_twice",
    "unknown_visit",
    "visited_twice",
    "left_aboard",
    "never_picked_up",
    "delivered_before_pickup",
    "late",
    "over_capacity",
    "skill_missing",
    "wrong_vehicle",
    "break_missed",
    "ride_too_long",
    "shift_overrun",
    "prefix_broken",
]
type Table = Sequence[Sequence[float]]
MEASURES: tuple[Measure, ...] = ("weight_g", "volume_cm3", "parcels")


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """`at`: the position on the route, None where it is about the whole of it. `told`: what exactly, with values."""

    code: Code
    vehicle: str
    at: int | None = None
    job: str | None = None
    told: str


class Cost(msgspec.Struct, frozen=True, order=True):
    """Compared from the left: jobs left out that no penalty allows; vehicles, where they come first; the rest in the
    objective's unit, penalties among it."""

    left_out: int
    vehicles: int
    amount: float


class Real(NamedTuple):
    """The true matrices of an instance whose problem had to be rounded, in the problem's units."""

    seconds: Table
    metres: Table


class Driven(msgspec.Struct, frozen=True, kw_only=True):
    """A route that can be driven."""

    vehicle: str
    timetable: Timetable
    metres: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`routes`: with stops, in the solution's order, only those without a violation of their times."""

    violations: tuple[Violation, ...]
    cost: Cost
    routes: tuple[Driven, ...]
    left_out: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.violations


REAL_SLACK_S = 1e-3
"""What adding doubles of this size may err by: a tenth of a millionth of an instance's unit (literature.py)."""


def check(problem: Problem, solution: Solution, real: Real | None = None) -> Verdict:
    """`real`: judge by these instead of the problem's matrices."""
    judge = Judge(problem, real)
    violations = [*judge.whole(solution)]
    routes: list[Driven] = []
    for route in solution.routes:
        if route.visits and route.vehicle in judge.vehicles:
            found, driven = judge.route(route)
            violations += found
            routes += [] if driven is None else [driven]
    return Verdict(
        violations=tuple(violations),
        cost=judge.cost(solution, routes),
        routes=tuple(routes),
        left_out=tuple(judge.left_out(solution)),
    )


class Judge:
    def __init__(self, problem: Problem, real: Real | None) -> None:
        self.problem = problem
        self.seconds: Table = problem.matrices.seconds if real is None else real.seconds
        self.metres: Table = problem.matrices.metres if real is None else real.metres
        self.slack_s = 0.0 if real is None else REAL_SLACK_S
        self.vehicles = {each.id: each for each in problem.vehicles}
        self.jobs: Mapping[str, Job] = {each.id: each for each in problem.jobs}

    def whole(self, solution: Solution) -> Iterator[Violation]:
        for name, times in Counter(route.vehicle for route in solution.routes).items():
            if name not in self.vehicles:
                yield Violation(code="unknown_vehicle", vehicle=name, told=f"vehicle {name} is not there")
            elif times > 1:
                yield Violation(code="vehicle_twice", vehicle=name, told=f"it has {times} routes")
        visits: Counter[Visit] = Counter()
        for route in solution.routes:
            for at, visit in enumerate(route.visits):
                visits[visit] += 1
                if self.stop(visit) is None:
                    yield told_of(route, at, "unknown_visit", "there is no such visit")
                elif visits[visit] == 2:
                    yield told_of(route, at, "visited_twice", "it has been visited before")
        driven = {route.vehicle: route.visits for route in solution.routes}
        for vehicle in self.problem.vehicles:
            visited = driven.get(vehicle.id, ())[: len(vehicle.prefix)]
            for at, (meant, got) in enumerate(
                zip(vehicle.prefix, (*visited, *[None] * len(vehicle.prefix)), strict=False)
            ):
                if meant != got:
                    yield Violation(
                        code="prefix_broken",
                        vehicle=vehicle.id,
                        at=at,
                        job=meant.job,
                        told=f"{meant.action} of {meant.job} is committed as stop {at}",
                    )

    def stop(self, visit: Visit) -> Stop | None:
        match self.jobs.get(visit.job), visit.action:
            case Shipment(pickup=stop), "pick_up":
                return stop
            case Shipment(delivery=stop), "deliver":
                return stop
            case Delivery(stop=stop), "deliver":
                return stop
            case _:
                return None

    def route(self, route: Route) -> tuple[list[Violation], Driven | None]:
        vehicle = self.vehicles[route.vehicle]
        known = [visit for visit in route.visits if self.stop(visit) is not None]
        route = Route(vehicle=route.vehicle, visits=tuple(known))
        if not known:
            return [], None
        found = [*self.pairs(route), *self.fitness(route, vehicle), *self.loads(route, vehicle)]
        late, times = self.times(route, vehicle)
        driven = (
            None if times is None else Driven(vehicle=vehicle.id, timetable=times, metres=self.length(route, vehicle))
        )
        return found + late, driven

    def pairs(self, route: Route) -> Iterator[Violation]:
        picked = {visit.job: at for at, visit in reversed([*enumerate(route.visits)]) if visit.action == "pick_up"}
        dropped = {visit.job for visit in route.visits if visit.action == "deliver"}
        for at, visit in enumerate(route.visits):
            if not isinstance(self.jobs[visit.job], Shipment):
                continue
            if visit.action == "pick_up" and visit.job not in dropped:
                yield told_of(route, at, "left_aboard", "it is picked up and not delivered on this route")
            elif visit.action == "deliver" and visit.job not in picked:
                yield told_of(route, at, "never_picked_up", "it is delivered and not picked up on this route")
            elif visit.action == "deliver" and picked[visit.job] > at:
                yield told_of(route, at, "delivered_before_pickup", f"it is picked up at stop {picked[visit.job]}")

    def fitness(self, route: Route, vehicle: Vehicle) -> Iterator[Violation]:
        for at, visit in enumerate(route.visits):
            job = self.jobs[visit.job]
            if missing := sorted(job.skills - vehicle.skills):
                yield told_of(route, at, "skill_missing", f"it needs {', '.join(missing)}")
            if isinstance(job, Delivery) and job.only not in (None, vehicle.id):
                yield told_of(route, at, "wrong_vehicle", f"vehicle {job.only} has it aboard")

    def loads(self, route: Route, vehicle: Vehicle) -> Iterator[Violation]:
        """What comes from the depot is aboard from the start."""
        jobs = [self.jobs[visit.job] for visit in route.visits]
        for measure in MEASURES:
            aboard = sum(getattr(job.load, measure) for job in jobs if isinstance(job, Delivery))
            limit = getattr(vehicle.capacity, measure)
            if aboard > limit:
                yield told_of(route, 0, "over_capacity", f"{measure} {aboard} at departure, limit {limit}")
            for at, visit in enumerate(route.visits):
                load: Load = jobs[at].load
                aboard += getattr(load, measure) * (1 if visit.action == "pick_up" else -1)
                if visit.action == "pick_up" and aboard > limit:
                    yield told_of(route, at, "over_capacity", f"{measure} {aboard} from there on, limit {limit}")

    def times(self, route: Route, vehicle: Vehicle) -> tuple[list[Violation], Timetable | None]:
        stops = [stop for visit in route.visits if (stop := self.stop(visit)) is not None]
        rides = self.rides(route)
        given = network(stops, self.legs(self.seconds, stops, vehicle), vehicle.shift, rides)
        times = timetable(given, vehicle, self.problem.objective == "duration", self.slack_s)
        return ([], times) if times is not None else (list(self.why_not(route, given, rides)), None)

    def why_not(self, route: Route, given: Network, rides: Sequence[Ride]) -> Iterator[Violation]:
        """What alone makes it impossible; the break where nothing else does."""
        bare = given._replace(rides=())
        moments = forward(bare.earliest, bare.gap)
        hard = False
        for at, (moment, until) in enumerate(zip(moments[1:-1], given.latest[1:-1], strict=True)):
            if moment > until + self.slack_s:
                hard = True
                yield told_of(route, at, "late", f"service begins at {moment:g} s, the window ends at {until:g} s")
        if moments[-1] > given.latest[-1] + self.slack_s:
            hard = True
            told = f"it ends at {moments[-1]:g} s, the shift at {given.latest[-1]:g} s"
            yield Violation(code="shift_overrun", vehicle=route.vehicle, told=told)
        if hard:
            return
        tight = list(self.too_long(route, given, rides))
        yield from tight
        if not tight:
            yield Violation(code="break_missed", vehicle=route.vehicle, told="its break fits in nowhere")

    def too_long(self, route: Route, given: Network, rides: Sequence[Ride]) -> Iterator[Violation]:
        if soonest(given, self.slack_s) is not None:
            return
        alone = [ride for ride in given.rides if soonest(given._replace(rides=(ride,)), self.slack_s) is None]
        for ride in alone or given.rides:
            together = "" if alone else " together with the other limits"
            yield told_of(route, ride.delivery - 1, "ride_too_long", f"its limit is {ride.limit_s:g} s{together}")

    def rides(self, route: Route) -> list[Ride]:
        picked = {visit.job: at for at, visit in enumerate(route.visits) if visit.action == "pick_up"}
        return [
            Ride(picked[visit.job], at, job.ride_limit_s)
            for at, visit in enumerate(route.visits)
            if isinstance(job := self.jobs[visit.job], Shipment)
            and job.ride_limit_s is not None
            and visit.action == "deliver"
            and picked.get(visit.job, at) < at
        ]

    def legs(self, table: Table, stops: Sequence[Stop], vehicle: Vehicle) -> list[float]:
        places = [vehicle.start, *(stop.place for stop in stops)]
        legs = [table[a][b] for a, b in pairwise(places)]
        return [*legs, 0 if vehicle.end is None else table[places[-1]][vehicle.end]]

    def length(self, route: Route, vehicle: Vehicle) -> float:
        stops = [stop for visit in route.visits if (stop := self.stop(visit)) is not None]
        return sum(self.legs(self.metres, stops, vehicle))

    def left_out(self, solution: Solution) -> list[str]:
        """Who is not delivered."""
        done = {visit.job for route in solution.routes for visit in route.visits if visit.action == "deliver"}
        return [name for name in self.jobs if name not in done]

    def cost(self, solution: Solution, routes: Sequence[Driven]) -> Cost:
        """Infinite where a route has no times."""
        out = [self.jobs[name].penalty for name in self.left_out(solution)]
        used = [route for route in solution.routes if route.visits]
        amount: float = sum(penalty for penalty in out if penalty is not None)
        if self.problem.objective == "duration":
            amount += sum(each.timetable.duration_s for each in routes)
        else:
            amount += sum(each.metres for each in routes)
        return Cost(
            left_out=sum(penalty is None for penalty in out),
            vehicles=len(used) if self.problem.objective == "vehicles" else 0,
            amount=amount if len(routes) == len(used) else EVER,
        )


def told_of(route: Route, at: int, code: Code, told: str) -> Violation:
    visit = route.visits[at]
    whole = f"{visit.action} of {visit.job}: {told}"
    return Violation(code=code, vehicle=route.vehicle, at=at, job=visit.job, told=whole)
