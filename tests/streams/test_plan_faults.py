"""A problem that is wrong is refused before anybody plans, with what and where."""

import pytest
from waves import DAY, delivery, on_a_line, pause, rider, shipment, stop, visits

from schemas.load import Load
from streams.planning.faults import TOLD_MAX, WrongProblem, judged
from streams.planning.problem import JOBS_MAX, PLACES_MAX, VEHICLES_MAX, Matrices, Problem, Window, input_hash


def refused(problem: Problem) -> str:
    with pytest.raises(WrongProblem) as wrong:
        judged(problem)
    return str(wrong.value)


def ragged(seconds: tuple[tuple[int, ...], ...], metres: tuple[tuple[int, ...], ...] = ((0, 1), (1, 0))) -> Problem:
    return Problem(vehicles=(rider(),), matrices=Matrices(seconds=seconds, metres=metres))


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (on_a_line(vehicles=()), "vehicles: there is none"),
        (on_a_line(vehicles=(rider(), rider())), "vehicle ann: is there 2 times"),
        (on_a_line(vehicles=(rider(),), deliveries=(delivery("a", 1), delivery("a", 2))), "job a: is there 2 times"),
        (on_a_line(vehicles=(rider(start=21),)), "vehicle ann: start is 21, the matrices know 0 to 20"),
        (on_a_line(vehicles=(rider(end=-1),)), "vehicle ann: end is -1"),
        (
            on_a_line(vehicles=(rider(shift=Window(from_s=9, until_s=3)),)),
            "vehicle ann: shift ends at 3 s, before it begins at 9 s",
        ),
        (on_a_line(vehicles=(rider(pause=pause(1, 2, -3)),)), "vehicle ann: pause takes -3 s"),
        (on_a_line(vehicles=(rider(prefix=visits("+soup")),)), "vehicle ann: prefix[0] names job soup"),
        (on_a_line(vehicles=(rider(),), deliveries=(delivery("a", 44),)), "job a: stop.place is 44"),
        (
            on_a_line(vehicles=(rider(),), shipments=(shipment("a", 1, stop(2, -5)),)),
            "job a: delivery.window begins at -5 s",
        ),
        (
            on_a_line(vehicles=(rider(),), shipments=(shipment("a", stop(2, service_s=-1), 3),)),
            "job a: pickup.service_s is -1",
        ),
        (
            on_a_line(vehicles=(rider(),), shipments=(shipment("a", 1, 2, ride_limit_s=-1),)),
            "job a: ride_limit_s is -1",
        ),
        (
            on_a_line(vehicles=(rider(),), deliveries=(delivery("a", 1, load=Load(weight_g=-2)),)),
            "job a: load.weight_g is -2",
        ),
        (on_a_line(vehicles=(rider(),), deliveries=(delivery("a", 1, penalty=-2),)), "job a: penalty is -2"),
        (on_a_line(vehicles=(rider(),), deliveries=(delivery("a", 1, only="bob"),)), "job a: only vehicle bob may"),
        (ragged(((0, 1), (1,))), "matrices.seconds[1]: 1 columns, must be 2"),
        (ragged(((0, 1), (-1, 0))), "matrices.seconds[1][0]: -1, must be 0 or more"),
        (ragged(((0, 1), (1, 7))), "matrices.seconds[1][1]: 7, from a place to itself must be 0"),
        (ragged(((0,),)), "matrices.metres: 2 rows, where matrices.seconds has 1"),
    ],
)
def test_what_is_wrong_is_named_with_where_it_is(problem: Problem, told: str):
    assert told in refused(problem)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        (
            {"vehicles": [rider(str(at)) for at in range(VEHICLES_MAX + 1)]},
            f"vehicles: {VEHICLES_MAX + 1}, at most {VEHICLES_MAX}",
        ),
        (
            {"deliveries": [delivery(str(at), 1) for at in range(JOBS_MAX + 1)]},
            f"jobs: {JOBS_MAX + 1}, at most {JOBS_MAX}",
        ),
    ],
)
def test_there_is_a_bound_on_vehicles_and_jobs(fields: dict[str, list[object]], what: str):
    assert what in refused(on_a_line(**{"vehicles": (rider(),)} | {name: tuple(each) for name, each in fields.items()}))


def test_there_is_a_bound_on_places():
    rows = ((),) * (PLACES_MAX + 1)
    assert f"places: {PLACES_MAX + 1}, at most {PLACES_MAX}" in refused(ragged(rows, rows))


def test_all_faults_are_found_and_the_first_are_told():
    problem = on_a_line(vehicles=(rider(),), deliveries=tuple(delivery(str(at), 99) for at in range(TOLD_MAX + 3)))
    with pytest.raises(WrongProblem, match="and 3 more") as wrong:
        judged(problem)
    assert len(wrong.value.faults) == TOLD_MAX + 3


def test_a_prefix_that_is_late_already_is_refused_with_why():
    problem = on_a_line(vehicles=(rider(prefix=visits("a")),), deliveries=(delivery("a", stop(5, 0, 20)),))
    assert "vehicle ann: its prefix cannot be kept: late, deliver of a" in refused(problem)


def test_a_prefix_may_leave_aboard_what_is_delivered_after_it():
    problem = on_a_line(vehicles=(rider(prefix=visits("+soup")),), shipments=(shipment("soup", 1, 2),))
    assert judged(problem) is problem


def test_the_hash_is_of_what_is_asked_and_not_of_the_order_in_a_set():
    def asked(*skills: str) -> Problem:
        return on_a_line(vehicles=(rider(skills=frozenset(skills)),))

    assert input_hash(asked("cold", "tall")) == input_hash(asked("tall", "cold"))
    assert input_hash(asked("cold")) != input_hash(asked("tall"))
    assert input_hash(on_a_line(vehicles=(rider(shift=DAY),))) != input_hash(
        on_a_line(vehicles=(rider(shift=Window(from_s=0, until_s=9)),))
    )
