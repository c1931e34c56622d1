"""Each reason is told where it alone is true."""

import pytest
from waves import delivery, on_a_line, pause, plan, rider, shipment, stop, visits

from schemas.load import Capacity, Load
from streams.planning.model import Model
from streams.planning.problem import Problem, Solution, Vehicle, Window
from streams.planning.reasons import left_out

NOBODY = plan()
ONE = Capacity(weight_g=0, volume_cm3=0, parcels=1)


def reasons(problem: Problem, solution: Solution = NOBODY) -> dict[str, tuple[str, bool]]:
    return {each.job: (each.reason, each.alone) for each in left_out(Model(problem), solution)}


def short(until_s: int, **fields: object) -> Vehicle:
    return rider(shift=Window(from_s=0, until_s=until_s), **fields)


@pytest.mark.parametrize("at", range(1, 11))
@pytest.mark.parametrize(
    ("reason", "made"),
    [
        ("skill_missing", lambda at: ({}, delivery("x", at, skills=frozenset({"cold"})))),
        ("no_capacity", lambda at: ({"capacity": ONE}, delivery("x", at, load=Load(parcels=1 + at)))),
        ("window_unreachable", lambda at: ({}, delivery("x", stop(at, 0, 10 * at - 1)))),
        ("shift_too_short", lambda at: ({"shift": Window(from_s=0, until_s=20 * at - 1)}, delivery("x", at))),
        ("ride_too_long", lambda at: ({}, shipment("x", at, at + 4, ride_limit_s=39))),
        ("break_in_the_way", lambda at: ({"pause": pause(0, 10 * at - 1, 500)}, delivery("x", stop(at, 0, 400)))),
        (
            "several_rules",
            lambda at: ({"capacity": ONE}, delivery("x", stop(at, 0, 10 * at - 1), load=Load(parcels=2))),
        ),
    ],
)
def test_a_job_that_nobody_could_do_alone_says_why(reason: str, at: int, made):
    fields, job = made(at)
    problem = on_a_line(
        vehicles=(rider(**fields),),
        **{"shipments" if hasattr(job, "pickup") else "deliveries": (job,)},
    )
    assert reasons(problem) == {"x": (reason, True)}


def test_beside_the_others_there_is_no_room():
    problem = on_a_line(vehicles=(rider(capacity=ONE),), deliveries=(delivery("a", 1), delivery("b", 2)))
    assert reasons(problem, plan(ann="a")) == {"b": ("no_capacity", False)}


def test_beside_the_others_the_windows_forbid_it():
    first = delivery("a", stop(5, 40, 50, service_s=60))
    problem = on_a_line(vehicles=(rider(end=None),), deliveries=(first, delivery("b", stop(6, 0, 70))))
    assert reasons(problem, plan(ann="a")) == {"b": ("window_unreachable", False)}


def test_what_would_still_fit_says_that_no_solver_has_found_it():
    problem = on_a_line(vehicles=(rider(),), deliveries=(delivery("a", 5), delivery("b", 4)))
    assert reasons(problem, plan(ann="a")) == {"b": ("not_found", False)}


def test_beside_the_others_the_shift_is_over():
    problem = on_a_line(vehicles=(short(100),), deliveries=(delivery("a", stop(4, service_s=15)), delivery("b", 5)))
    assert reasons(problem, plan(ann="a")) == {"b": ("shift_too_short", False)}


def test_beside_the_others_a_ride_would_be_too_long():
    ice = shipment("ice", stop(1, 0, 12), 3, ride_limit_s=30)
    problem = on_a_line(
        vehicles=(rider(),), shipments=(ice,), deliveries=(delivery("a", stop(2, 20, 20, service_s=60)),)
    )
    assert reasons(problem, plan(ann="a")) == {"ice": ("ride_too_long", False)}


def test_what_is_not_worth_its_way_says_what_it_would_add():
    problem = on_a_line(vehicles=(rider(),), deliveries=(delivery("far", 20, penalty=300),))
    (told,) = left_out(Model(problem), NOBODY)
    assert told.reason == "not_worth_it"
    assert told.told == "it would add 4000, leaving it out costs 300"


def test_a_committed_prefix_counts_when_asking_whether_anybody_could_do_it_alone():
    problem = on_a_line(
        vehicles=(rider(prefix=visits("a")),),
        deliveries=(delivery("a", stop(5, service_s=60)), delivery("b", stop(6, 0, 80))),
    )
    assert reasons(problem, plan(ann="a")) == {"b": ("window_unreachable", True)}
