"""Solvers in processes: whatever becomes of them, the best plan that the checker passed is there in time."""

import os
import signal
import threading
from pathlib import Path

import pytest
from broken_solvers import Cheating, DyingOnce, Hanging, HangingLate, Killed, Raising, Refusing
from waves import delivery, drawn, on_a_line, plan, rider, shipment, stop, visits

from infra.planning import pool as pools
from infra.planning.pool import SolverPool
from streams.planning.check import check
from streams.planning.effort import Effort
from streams.planning.faults import WrongProblem
from streams.planning.planned import NothingFits, Planned
from streams.planning.problem import Problem, input_hash
from streams.planning.solving import Asked, Solver
from streams.planning.with_pyvrp import WithPyVRP
from streams.planning.with_vroom import WithVroom

DRAWN = drawn(3, jobs=9, tight=0.5)
EASY = on_a_line(vehicles=(rider(),), deliveries=(delivery("near", 1), delivery("far", 9)))
"""Any order will do."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "GRACE_S", 0.3)


def planned_by(*solvers: Solver, problem: Problem = DRAWN, seconds: float = 0.5, **fields: object) -> Planned:
    with SolverPool(solvers) as pool:
        return pool.plan(Asked(problem=problem, effort=Effort(seconds=seconds), **fields))  # type: ignore[arg-type]


def outcomes(planned: Planned) -> dict[str, str]:
    return {attempt.solver: attempt.outcome for attempt in planned.attempts}


@pytest.mark.parametrize(
    ("solver", "outcome", "told"),
    [
        (Killed(), "crashed", "ended with -9"),
        (Hanging(), "overran", "no answer within 0.8 s"),
        (Cheating(), "infeasible", "it is delivered and not picked up"),
        (Raising(), "crashed", "ZeroDivisionError: by nothing"),
        (Refusing(), "no_plan", "it is Sunday"),
    ],
)
def test_a_solver_that_fails_leaves_the_plan_by_insertion(solver: Solver, outcome: str, told: str):
    planned = planned_by(solver)
    assert outcomes(planned) == {"insertion": "passed", solver.name: outcome}
    assert planned.solver == "insertion"
    assert check(DRAWN, planned.solution).passed
    assert told in planned.attempts[-1].told


@pytest.mark.parametrize("solver", [Killed(), Hanging(), Cheating()])
def test_a_solver_that_fails_leaves_the_incumbent_where_that_is_better(solver: Solver):
    problem = on_a_line(
        vehicles=(rider(), rider("bob", start=20, end=20)), deliveries=(delivery("a", 19), delivery("b", 1))
    )
    incumbent = plan(ann="b", bob="a")
    worse = plan(ann="a b")
    assert planned_by(solver, problem=problem, incumbent=incumbent).solution == incumbent
    kept = planned_by(solver, problem=problem, incumbent=worse)
    assert (kept.solver, kept.solution) == ("insertion", incumbent)


def test_an_incumbent_that_is_broken_is_not_kept():
    problem = on_a_line(vehicles=(rider(),), deliveries=(delivery("a", stop(3, 0, 40)), delivery("b", 1)))
    planned = planned_by(Hanging(), problem=problem, incumbent=plan(ann="b b"))
    assert outcomes(planned) == {"incumbent": "infeasible", "insertion": "passed", "hanging": "overran"}
    assert planned.solver == "insertion"


def test_one_that_fails_does_not_keep_the_other_from_its_plan():
    planned = planned_by(Killed(), WithPyVRP(), seconds=1.5)
    assert outcomes(planned) == {"insertion": "passed", "killed": "crashed", "pyvrp": "passed"}


def test_a_solver_killed_from_outside_falls_back_and_is_there_for_the_next_plan():
    with SolverPool([WithPyVRP(), WithVroom()]) as pool:
        asked = Asked(problem=DRAWN, effort=Effort(seconds=3))
        pool.plan(Asked(problem=DRAWN, effort=Effort(seconds=0.2)))
        before = pool.pids
        threading.Timer(0.5, lambda: os.kill(before["pyvrp"] or 0, signal.SIGKILL)).start()
        planned = pool.plan(asked)
        assert outcomes(planned)["pyvrp"] == "crashed"
        assert outcomes(planned)["vroom"] == "passed"
        assert pool.pids["pyvrp"] != before["pyvrp"]
        assert pool.pids["vroom"] == before["vroom"]
        assert outcomes(pool.plan(Asked(problem=DRAWN, effort=Effort(seconds=0.5))))["pyvrp"] == "passed"


def test_all_killed_at_once_leave_the_insertion():
    with SolverPool([WithPyVRP(), WithVroom()]) as pool:
        pool.plan(Asked(problem=DRAWN, effort=Effort(seconds=0.2)))
        pids = list(pool.pids.values())
        threading.Timer(0.5, lambda: [os.kill(pid or 0, signal.SIGKILL) for pid in pids]).start()
        planned = pool.plan(Asked(problem=drawn(8, jobs=20), effort=Effort(seconds=5)))
    assert set(outcomes(planned).values()) <= {"passed", "crashed"}
    assert check(drawn(8, jobs=20), planned.solution).passed


def test_who_dies_once_is_made_anew_and_plans(tmp_path: Path):
    with SolverPool([DyingOnce(tmp_path / "mark")]) as pool:
        asked = Asked(problem=EASY, effort=Effort(seconds=5))
        assert outcomes(pool.plan(asked))["dyingonce"] == "crashed"
        assert outcomes(pool.plan(asked))["dyingonce"] == "passed"


def test_what_a_solver_told_of_before_it_hung_is_judged_too():
    planned = planned_by(HangingLate(), problem=EASY)
    attempt = planned.attempts[-1]
    assert attempt.outcome == "overran"
    assert attempt.cost is not None


def test_a_pool_that_ends_leaves_no_process_behind():
    with SolverPool([Hanging(), WithPyVRP()]) as pool:
        pids = [pid for pid in pool.pids.values() if pid]
    assert not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_plan_tells_who_made_it_of_what_and_by_which_seed():
    planned = planned_by(WithPyVRP(), WithVroom(), seconds=1.5, seed=41)
    assert planned.input_hash == input_hash(DRAWN)
    assert planned.seed == 41
    assert {attempt.solver: attempt.version for attempt in planned.attempts} == {
        "insertion": "1",
        "pyvrp": WithPyVRP.version,
        "vroom": WithVroom.version,
    }


def test_with_a_seed_and_iterations_all_of_it_repeats_in_other_processes():
    asked = Asked(problem=drawn(5, jobs=15), effort=Effort(iterations=300), seed=9)
    plans = []
    for _ in range(2):
        with SolverPool([WithPyVRP(), WithVroom()]) as pool:
            planned = pool.plan(asked)
            plans.append(
                (planned.solver, planned.solution, planned.cost, [attempt.cost for attempt in planned.attempts])
            )
    assert plans[0] == plans[1]


def test_a_wrong_problem_is_refused_before_any_solver_is_asked():
    with SolverPool([Hanging()]) as pool, pytest.raises(WrongProblem, match="vehicle ann: start is 99"):
        pool.plan(Asked(problem=on_a_line(vehicles=(rider(start=99),)), effort=Effort(seconds=60)))


def test_where_nothing_fits_it_says_what_each_came_to():
    late = shipment("box", 9, stop(1, 0, 20))
    stuck = on_a_line(vehicles=(rider(prefix=visits("+box")),), shipments=(late,))
    with pytest.raises(
        NothingFits, match="box: it is picked up and not delivered on this route; refusing: no_plan, it is Sunday"
    ):
        planned_by(Refusing(), problem=stuck)


def test_two_who_ask_at_once_both_get_their_plan():
    plans: list[Planned] = []
    with SolverPool([WithPyVRP()]) as pool:
        asked = Asked(problem=DRAWN, effort=Effort(seconds=0.5))
        threads = [threading.Thread(target=lambda: plans.append(pool.plan(asked))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [outcomes(each)["pyvrp"] for each in plans] == ["passed", "passed"]
