"""Every solver keeps every rule, finds what is best where that can be tried out, and repeats itself."""

from collections.abc import Callable, Iterator
from itertools import permutations, product
from random import Random

import pytest
from waves import delivery, drawn, on_a_line, pause, plan, rider, shipment, stop, under_way, visits

from schemas.load import Capacity
from streams.planning.check import Cost, check
from streams.planning.effort import Effort
from streams.planning.improvement import improved, repaired
from streams.planning.insertion import inserted
from streams.planning.model import Model
from streams.planning.problem import Problem, Route, Solution, Visit, Window
from streams.planning.solving import Asked
from streams.planning.with_pyvrp import WithPyVRP
from streams.planning.with_vroom import WithVroom

type Planner = Callable[[Problem, int], Solution]


def by_insertion(problem: Problem, seed: int) -> Solution:
    return inserted(Model(problem)).solution


def by_own_search(problem: Problem, seed: int) -> Solution:
    return improved(problem, None, Effort(iterations=150), seed)


def by_pyvrp(problem: Problem, seed: int) -> Solution:
    return WithPyVRP().solve(Asked(problem=problem, effort=Effort(iterations=150), seed=seed), lambda _: None)


def by_vroom(problem: Problem, seed: int) -> Solution:
    return WithVroom().solve(Asked(problem=problem, effort=Effort(iterations=150), seed=seed), lambda _: None)


SOLVERS = [by_own_search, by_pyvrp, by_vroom]


@pytest.mark.parametrize("planner", [by_insertion, *SOLVERS])
def test_whatever_is_asked_the_checker_passes_the_plan(planner: Planner):
    for seed in range(8):
        problem = drawn(seed, tight=1 + seed % 3)
        verdict = check(problem, planner(problem, seed))
        assert verdict.passed, (seed, verdict.violations)


@pytest.mark.parametrize("planner", [by_insertion, *SOLVERS])
def test_what_is_committed_stays_whatever_is_asked(planner: Planner):
    for seed in range(100, 108):
        free = drawn(seed, tight=1 + seed % 2)
        problem = under_way(free, inserted(Model(free)).solution, seed)
        verdict = check(problem, planner(problem, seed))
        assert verdict.passed, (seed, verdict.violations)


def every_plan(problem: Problem) -> list[Solution]:
    """Of two riders, with everything on one or the other, in every order."""
    plans = []
    stops = [Visit(job=each.id, action=action) for each in problem.shipments for action in ("pick_up", "deliver")]
    stops += [Visit(job=each.id, action="deliver") for each in problem.deliveries]
    names = [each.id for each in problem.jobs]
    for whose in product((None, *problem.vehicles), repeat=len(names)):
        of = dict(zip(names, whose, strict=True))
        by_vehicle = [
            [
                Route(vehicle=vehicle.id, visits=order)
                for order in permutations([v for v in stops if of[v.job] is vehicle])
            ]
            for vehicle in problem.vehicles
        ]
        plans += [Solution(routes=routes) for routes in product(*by_vehicle)]
    return plans


def orders(stops: list[Visit]) -> Iterator[tuple[Visit, ...]]:
    """Those with each pickup before its delivery."""
    for order in permutations(stops):
        late = {
            visit.job for at, visit in enumerate(order) if Visit(job=visit.job, action="pick_up") in order[at + 1 :]
        }
        if not late:
            yield order


@pytest.mark.parametrize("planner", SOLVERS)
def test_nothing_is_better_than_what_they_find_where_everything_can_be_tried(planner: Planner):
    better = []
    for seed in range(200, 206):
        problem = drawn(seed, jobs=3, vehicles=2)
        best = min(verdict.cost for each in every_plan(problem) if (verdict := check(problem, each)).passed)
        found = check(problem, planner(problem, seed)).cost
        if shown(best) != shown(found):
            better.append((seed, best, found))
    assert not better


def shown(cost: Cost) -> tuple[int, int, int]:
    return cost.left_out, cost.vehicles, round(cost.amount)


@pytest.mark.parametrize("planner", SOLVERS)
def test_with_a_seed_and_iterations_the_answer_repeats(planner: Planner):
    problem = drawn(7, jobs=14)
    assert planner(problem, 3) == planner(problem, 3)


@pytest.mark.parametrize("planner", SOLVERS)
def test_skills_decide_who_goes(planner: Planner):
    cold = frozenset({"cold"})
    problem = on_a_line(
        vehicles=(rider(), rider("bob", start=20, end=20, skills=cold)),
        deliveries=(delivery("ice", 1, skills=cold), delivery("box", 2)),
    )
    routes = {each.vehicle: each.visits for each in planner(problem, 1).routes}
    assert Visit(job="ice", action="deliver") in routes["bob"]


@pytest.mark.parametrize("planner", SOLVERS)
def test_what_is_aboard_is_brought_by_who_has_it(planner: Planner):
    problem = on_a_line(
        vehicles=(rider(), rider("bob", start=20, end=20)),
        deliveries=(delivery("box", 1, only="bob"), delivery("bag", 19, only="ann")),
    )
    assert {route.vehicle: route.visits for route in planner(problem, 1).routes} == {
        "ann": visits("bag"),
        "bob": visits("box"),
    }


@pytest.mark.parametrize("planner", SOLVERS)
def test_ride_limits_keep_a_rider_from_collecting_on_the_way(planner: Planner):
    loose = on_a_line(vehicles=(rider(),), shipments=(shipment("a", 2, 10), shipment("b", 9, 3)))
    tight = on_a_line(
        vehicles=(rider(),), shipments=(shipment("a", 2, 10, ride_limit_s=80), shipment("b", 9, 3, ride_limit_s=60))
    )
    assert check(loose, planner(loose, 1)).cost.amount == 2_000
    assert planner(tight, 1) == plan(ann="+a a +b b")


@pytest.mark.parametrize("planner", SOLVERS)
def test_a_break_makes_another_order_the_only_one(planner: Planner):
    begins_late, box = delivery("late", stop(3, 0, 200)), delivery("box", stop(2, 0, 30))
    problem = on_a_line(vehicles=(rider(pause=pause(20, 30, 150), end=None),), deliveries=(begins_late, box))
    assert planner(problem, 1) == plan(ann="box late")


@pytest.mark.parametrize("planner", SOLVERS)
def test_an_open_end_is_where_the_last_stop_is(planner: Planner):
    problem = on_a_line(vehicles=(rider(end=None),), deliveries=(delivery("far", 20), delivery("near", 1)))
    assert check(problem, planner(problem, 1)).cost.amount == 2_000


@pytest.mark.parametrize("planner", SOLVERS)
def test_what_costs_more_than_its_penalty_is_left_out(planner: Planner):
    problem = on_a_line(
        vehicles=(rider(),), deliveries=(delivery("far", 20, penalty=300), delivery("near", 1, penalty=300))
    )
    assert planner(problem, 1) == plan(ann="near")


@pytest.mark.parametrize("planner", SOLVERS)
def test_the_fewest_vehicles_come_before_the_shortest_way(planner: Planner):
    problem = on_a_line(
        vehicles=(rider(), rider("bob", start=20, end=20)),
        deliveries=(delivery("a", 1), delivery("b", 19)),
        objective="vehicles",
    )
    assert len(planner(problem, 1).routes) == 1


@pytest.mark.parametrize("planner", SOLVERS)
def test_the_shortest_duration_does_not_wait(planner: Planner):
    """One trip for both would wait for the second window."""
    problem = on_a_line(
        vehicles=(rider(), rider("bob")),
        deliveries=(delivery("a", stop(2, 0, 30)), delivery("b", stop(3, 800, 900))),
        objective="duration",
    )
    assert check(problem, planner(problem, 1)).cost.amount == 100


@pytest.mark.parametrize("planner", SOLVERS)
def test_what_cannot_be_done_does_not_keep_the_rest_from_it(planner: Planner):
    problem = on_a_line(vehicles=(rider(),), deliveries=(delivery("never", stop(9, 0, 20)), delivery("box", 2)))
    assert planner(problem, 1) == plan(ann="box")


@pytest.mark.parametrize("planner", SOLVERS)
def test_with_no_job_nobody_drives(planner: Planner):
    assert planner(on_a_line(vehicles=(rider(),)), 1) == plan()


def test_a_plan_that_is_broken_is_repaired_with_as_little_change_as_can_be():
    small = Capacity(weight_g=0, volume_cm3=0, parcels=1)
    problem = on_a_line(
        vehicles=(rider(capacity=small), rider("bob")),
        shipments=(shipment("a", 1, 5), shipment("b", 2, 4)),
        deliveries=(delivery("c", 9),),
    )
    broken = plan(ann="+a +b b a c c", bob="+nothing")
    fixed = repaired(Model(problem), Solution(routes=broken.routes[:1]), Random(1)).solution
    assert check(problem, fixed).passed
    assert check(problem, fixed).left_out == ()


def test_a_tight_shift_is_kept_by_leaving_out_what_does_not_fit():
    problem = on_a_line(
        vehicles=(rider(shift=Window(from_s=0, until_s=100)),), deliveries=(delivery("a", 4), delivery("b", 6))
    )
    assert {route.visits for route in by_own_search(problem, 1).routes} <= {visits("a"), visits("b")}
    assert by_own_search(problem, 1).routes != ()


@pytest.mark.parametrize("wrong", [{}, {"seconds": 1.0, "iterations": 1}, {"iterations": 0}, {"seconds": -1.0}])
def test_an_effort_is_seconds_or_iterations_and_more_than_nothing(wrong: dict[str, float]):
    with pytest.raises(ValueError, match="an effort is"):
        Effort(**wrong)  # type: ignore[arg-type]
