"""What a plan of a wave says: each rider's road ahead with its times, who is given what, and why what is left is."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil

import msgspec
from msgspec.structs import replace

from schemas.itinerary import MAX_ROUTE_TASKS
from schemas.message import RiderId, TaskId
from schemas.plan import (
    MAX_PLAN_RIDERS,
    MAX_PLAN_TASKS,
    LeftOutTask,
    PlannedRoute,
    PlannedVisit,
    Proposal,
    RoutedTask,
    SolverAttempt,
)
from streams.dispatch.known import Ahead
from streams.planning.check import check
from streams.planning.planned import Attempt, Planned
from streams.planning.problem import Route, Solution, Visit
from streams.planning.wave import Posed, Sorted, Wave, WaveRider

TOLD_CHARS = 300
MOST_ATTEMPTS = 20


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the solvers made of a wave."""

    wave: Wave
    sorted_out: Sorted
    posed: Posed
    planned: Planned
    policy_version: int
    source: str
    seconds_asked: int
    never_asked: Sequence[LeftOutTask] = ()
    """Tasks of which it was known before that they are on no route."""


def proposal(found: Found) -> Proposal:
    riders, (solution, full) = found.sorted_out.riders, within_limits(found)
    verdict = check(found.posed.problem, solution)
    assert verdict.passed, f"what is taken off a route breaks nothing, not {verdict.violations}"
    begins = {route.vehicle: route.timetable.begins_s for route in verdict.routes}
    visits = {route.vehicle: route.visits for route in solution.routes}
    places = place_of(found)
    told = [
        routed(found, each, visits.get(each.rider.rider_id, ()), begins.get(each.rider.rider_id, ()), places)
        for each in riders
    ]
    routes = [route for route, _ in told if route.visits]
    left_out = [*found.never_asked, *found.sorted_out.left_out, *full, *left_of(found)]
    not_asked = found.sorted_out.not_asked
    planned = found.planned
    return Proposal(
        decided_at=found.wave.decided_at,
        policy_version=found.policy_version,
        solver=planned.solver,
        version=planned.version,
        seed=planned.seed,
        input_hash=planned.input_hash,
        source=found.source,
        seconds_asked=found.seconds_asked,
        metres=sum(route.metres for route in routes),
        driving_seconds=sum(driven_s for _, driven_s in told),
        routes=routes,
        left_out=left_out[:MAX_PLAN_TASKS],
        more_left_out=counted(each.code for each in left_out[MAX_PLAN_TASKS:]),
        not_asked=list(not_asked[:MAX_PLAN_RIDERS]),
        more_not_asked=counted(each.code for each in not_asked[MAX_PLAN_RIDERS:]),
        attempts=[attempt_of(each) for each in planned.attempts[:MOST_ATTEMPTS]],
    )


def counted(codes: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(codes).items()))


def within_limits(found: Found) -> tuple[Solution, list[LeftOutTask]]:
    """No rider has more tasks than one may have: of what is new to them the last to be begun goes."""
    had = {each.rider.rider_id: {stop.task_id for stop in each.rider.itinerary} for each in found.sorted_out.riders}
    routes: list[Route] = []
    left_out: list[LeftOutTask] = []
    for route in found.planned.solution.routes:
        rider = RiderId(route.vehicle)
        new = [job for job in dict.fromkeys(visit.job for visit in route.visits) if job not in had[rider]]
        room = max(0, MAX_ROUTE_TASKS - len(had[rider]))
        over = set(new[room:])
        left_out += [LeftOutTask(task_id=TaskId(job), code="route_full") for job in new[room:]]
        routes.append(replace(route, visits=tuple(visit for visit in route.visits if visit.job not in over)))
    return Solution(routes=tuple(route for route in routes if route.visits)), left_out


def left_of(found: Found) -> list[LeftOutTask]:
    had = {stop.task_id for each in found.sorted_out.riders for stop in each.rider.itinerary}
    of_nobody = {task.task_id for task in found.sorted_out.tasks} - had
    return [
        LeftOutTask(task_id=TaskId(each.job), code=each.reason, told=each.told[:TOLD_CHARS])
        for each in found.planned.left_out
        if each.job in of_nobody
    ]


def routed(
    found: Found, each: WaveRider, visits: Sequence[Visit], begins: Sequence[float], places: Mapping[Visit, int]
) -> tuple[PlannedRoute, int]:
    """With the seconds driven on it."""
    rider, moment = each.rider, timed(found.wave.decided_at)
    seconds, metres = found.posed.problem.matrices.seconds, found.posed.problem.matrices.metres
    assert each.seen.here is not None
    here, told, driven_s = found.posed.places[each.seen.here], list[PlannedVisit](), 0
    first = found.posed.first.get(rider.rider_id, ())
    at_first = found.posed.first_at_s.get(rider.rider_id, ())
    for stop, place, (arrives, begins_s, leaves) in zip(first, each.seen.ahead, at_first, strict=False):
        there = found.posed.places[place]
        told.append(visited(stop, moment(arrives), moment(begins_s), moment(leaves), metres[here][there]))
        driven_s += seconds[here][there]
        here = there
    left = at_first[-1][2] if at_first else 0
    for visit, begin in zip(visits, begins, strict=True):
        stop, there = found.posed.stop_of[visit], places[visit]
        arrives, leaves = left + seconds[here][there], ceil(begin) + stop.service_seconds
        told.append(visited(stop, moment(arrives), moment(max(begin, arrives)), moment(leaves), metres[here][there]))
        driven_s += seconds[here][there]
        here, left = there, leaves
    vehicle = next(known for known in found.posed.problem.vehicles if known.id == rider.rider_id)
    route = PlannedRoute(
        rider_id=rider.rider_id,
        tasks=given_to(found, each, visits),
        visits=told,
        frozen=len(first) + len(vehicle.prefix),
        starts_at=found.wave.decided_at,
        ends_at=told[-1].leaves_at if told else found.wave.decided_at,
        metres=sum(each.metres for each in told),
    )
    return route, driven_s


def visited(stop: Ahead, arrives: datetime, begins: datetime, leaves: datetime, metres: int) -> PlannedVisit:
    return PlannedVisit(
        task_id=stop.task_id,
        stop_id=stop.stop_id,
        arrives_at=arrives,
        begins_at=begins,
        leaves_at=leaves,
        metres=metres,
    )


def timed(decided_at: datetime) -> Callable[[float], datetime]:
    return lambda seconds: decided_at + timedelta(seconds=ceil(seconds))


def place_of(found: Found) -> Mapping[Visit, int]:
    problem = found.posed.problem
    places = {Visit(job=job.id, action="deliver"): job.stop.place for job in problem.deliveries}
    for shipment in problem.shipments:
        places[Visit(job=shipment.id, action="pick_up")] = shipment.pickup.place
        places[Visit(job=shipment.id, action="deliver")] = shipment.delivery.place
    return places


def given_to(found: Found, each: WaveRider, visits: Sequence[Visit]) -> list[RoutedTask]:
    had = {stop.task_id for stop in each.rider.itinerary}
    tasks = {task.task_id: task for task in found.sorted_out.tasks}
    new = [job for job in dict.fromkeys(TaskId(visit.job) for visit in visits) if job not in had]
    return [RoutedTask(task_id=job, round=tasks[job].round, from_rider=tasks[job].from_rider) for job in new]


def attempt_of(attempt: Attempt) -> SolverAttempt:
    cost = attempt.cost
    return SolverAttempt(
        solver=attempt.solver,
        version=attempt.version,
        outcome=attempt.outcome,
        seconds=round(attempt.seconds, 3),
        left_out=None if cost is None else cost.left_out,
        vehicles=None if cost is None else cost.vehicles,
        amount=None if cost is None else float(cost.amount),
        told=attempt.told.strip().splitlines()[-1][:TOLD_CHARS] if attempt.told.strip() else "",
    )
