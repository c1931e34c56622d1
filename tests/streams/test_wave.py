"""A wave becomes a problem for the solvers, and their plan roads ahead: nobody loses what they have, nobody gets what they
may not, and every time is one at which they can be there."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from batching import Job, job, some_jobs, some_riders
from choosing import km, rider, rules, stop
from msgspec.structs import replace
from story import NOON

from schemas.itinerary import MAX_ROUTE_TASKS
from schemas.load import Load, peak_load
from schemas.message import RiderId, TaskId
from schemas.plan import PlannedRoute, Proposal
from streams.dispatch.known import Seen
from streams.planning.check import check
from streams.planning.effort import Effort
from streams.planning.faults import judged
from streams.planning.keeping import with_all_they_had
from streams.planning.planned import Answer, kept, own_answers
from streams.planning.proposal import Found, proposal
from streams.planning.solving import Asked
from streams.planning.wave import (
    MOST_PLACES,
    Posing,
    TooManyPlaces,
    Wave,
    WaveRider,
    WaveTask,
    matrices_of,
    places_of,
    sort_out,
)
from streams.planning.with_pyvrp import WithPyVRP
from streams.routing.great_circle import straight_matrix


def waiting(each: Job, **more: Any) -> WaveTask:
    task, places = each
    return WaveTask(task_id=task.task_id, round=1, stops=task.stops, places=places, **more)


def wave(riders: Sequence[Seen | WaveRider], tasks: Sequence[WaveTask], **more: Any) -> Wave:
    known = [each if isinstance(each, WaveRider) else WaveRider(seen=each) for each in riders]
    asked = Wave(decided_at=NOON, tasks=tasks, riders=known, rules=rules(), of_vehicles=(), objective="duration")
    return replace(asked, **more)


def found(asked: Wave, solved: bool = False) -> Found:
    """As the solvers say, or our own insertion."""
    sorted_out = sort_out(asked)
    places = places_of(sorted_out)
    posed = Posing(asked, sorted_out, places, matrices_of(straight_matrix(places, places))).posed()
    request = Asked(problem=judged(posed.problem), effort=Effort(iterations=60), incumbent=posed.incumbent)
    answers = own_answers(request)
    if solved:
        solution = WithPyVRP().solve(request, lambda _: None)
        answers.append(Answer(solver="pyvrp", version="x", seed=0, seconds=0, solution=solution))
    return Found(
        wave=asked,
        sorted_out=sorted_out,
        posed=posed,
        planned=with_all_they_had(posed.problem, posed.incumbent, kept(request, answers)),
        policy_version=1,
        source="great_circle",
        seconds_asked=1,
    )


def proposed(asked: Wave, solved: bool = False) -> Proposal:
    return proposal(found(asked, solved))


def routes(told: Proposal) -> dict[str, list[str]]:
    return {route.rider_id: [visit.stop_id for visit in route.visits] for route in told.routes}


def left(told: Proposal) -> dict[str, str]:
    return {each.task_id: each.code for each in told.left_out}


def test_what_waits_goes_to_who_is_near():
    told = proposed(
        wave(
            [rider("ann", km(0)), rider("bob", km(9))],
            [waiting(job("here", km(1), km(2))), waiting(job("there", km(8), km(7)))],
        )
    )
    assert routes(told) == {"ann": ["here-pickup", "here-dropoff"], "bob": ["there-pickup", "there-dropoff"]}
    assert [(route.rider_id, [task.task_id for task in route.tasks]) for route in told.routes] == [
        ("ann", ["here"]),
        ("bob", ["there"]),
    ]
    assert left(told) == {}


def test_what_a_rider_has_is_driven_in_the_best_order_and_stays_theirs():
    """A far drop lies ahead; what waits lies on the way to it."""
    far = (stop("had", "dropoff", load=Load(weight_g=-100)), km(10))
    told = proposed(wave([rider("ann", km(0), far), rider("bob", km(-20))], [waiting(job("new", km(4), km(6)))]))
    assert routes(told) == {"ann": ["new-pickup", "new-dropoff", "had-dropoff"]}
    [route] = told.routes
    assert [task.task_id for task in route.tasks] == ["new"]


def test_where_they_are_on_their_way_to_already_comes_first():
    far = (stop("had", "dropoff", load=Load(weight_g=-100)), km(10))
    at_it = WaveRider(seen=rider("ann", km(0), far), begun=True)
    told = proposed(wave([at_it], [waiting(job("new", km(4), km(6)))]))
    assert routes(told) == {"ann": ["had-dropoff", "new-pickup", "new-dropoff"]}
    assert told.routes[0].frozen == 1
    locked = proposed(wave([rider("ann", km(0), far, locked=True)], [waiting(job("new", km(4), km(6)))]))
    assert routes(locked) == routes(told)


def test_something_of_another_shape_is_done_first_all_of_it():
    odd = [
        (stop("odd", "pickup", name="one", load=Load(weight_g=1)), km(1)),
        (stop("odd", "pickup", name="two", load=Load(weight_g=1)), km(2)),
        (stop("odd", "dropoff", name="door", service_s=60, load=Load(weight_g=-2)), km(3)),
    ]
    told = proposed(wave([rider("ann", km(0), *odd)], [waiting(job("new", km(1), km(2)))]))
    assert routes(told) == {"ann": ["one", "two", "door", "new-pickup", "new-dropoff"]}
    [route] = told.routes
    assert route.frozen == 3
    assert route.visits[3].arrives_at > route.visits[2].leaves_at


def test_what_is_late_already_may_be_late_and_no_later():
    late = (stop("late", "dropoff", opens=-60, closes=-30, load=Load(weight_g=-1)), km(3))
    alone = proposed(wave([rider("ann", km(0), late)], [waiting(job("new", km(-1), km(-2)))]))
    assert routes(alone) == {"ann": ["late-dropoff", "new-pickup", "new-dropoff"]}
    assert alone.routes[0].visits[0].begins_at == alone.routes[0].visits[0].arrives_at


def test_who_may_not_does_not():
    skilled = waiting(job("wine", km(1), km(2)), required_skills=frozenset({"alcohol"}))
    able = rider("bob", km(9), skills=frozenset({"alcohol"}))
    assert routes(proposed(wave([rider("ann", km(0)), able], [skilled]))) == {"bob": ["wine-pickup", "wine-dropoff"]}
    nobody = proposed(wave([rider("ann", km(0)), rider("cyd", km(0))], [skilled]))
    assert (left(nobody), nobody.left_out[0].told) == ({"wine": "no_rider"}, "skill_missing: 2")
    unwanted = waiting(job("x", km(1), km(2)), declined=frozenset({RiderId("ann")}))
    assert routes(proposed(wave([rider("ann", km(0)), able], [unwanted]))) == {"bob": ["x-pickup", "x-dropoff"]}
    zoned = waiting(job("z", km(1), km(2)), zones=[frozenset({"west"}), frozenset({"west"})])
    east = rider("ann", km(0), zones=frozenset({"east"}))
    assert routes(proposed(wave([east, able], [zoned]))) == {"bob": ["z-pickup", "z-dropoff"]}


def test_who_is_not_at_work_takes_no_part_and_that_is_told():
    told = proposed(
        wave(
            [rider("ann", km(0)), rider("bob", km(0), on_break=True), rider("cyd", km(0), shift_ends_at=None)],
            [waiting(job("new", km(1), km(2)))],
        )
    )
    assert {each.rider_id: each.code for each in told.not_asked} == {"bob": "on_break", "cyd": "off_shift"}


def test_an_offer_that_is_pending_holds_nobody():
    told = proposed(wave([rider("ann", km(0), offers=2)], [waiting(job("new", km(1), km(2)))]))
    assert "ann" in routes(told)


def test_what_cannot_be_done_is_left_and_says_why():
    told = proposed(
        wave(
            [rider("ann", km(0), capacity_g=1_000)],
            [
                waiting(job("heavy", km(1), km(2), grams=2_000)),
                waiting(job("over", km(1), km(2), closes=-1)),
                waiting(job("far", km(1), km(60), closes=20)),
                waiting(job("fits", km(1), km(2))),
                WaveTask(
                    task_id=TaskId("round-trip"),
                    round=1,
                    stops=[stop("round-trip", "pickup", name=name) for name in ("a", "b", "c")],
                    places=[km(1), km(2), km(3)],
                ),
            ],
        )
    )
    assert left(told) == {
        "heavy": "no_rider",
        "over": "window_unreachable",
        "far": "window_unreachable",
        "round-trip": "several_stops",
    }
    assert routes(told) == {"ann": ["fits-pickup", "fits-dropoff"]}


def test_a_route_has_as_many_tasks_as_one_may_have():
    tasks = [waiting(job(f"t-{number:02}", km(number / 50), km(1))) for number in range(MAX_ROUTE_TASKS + 3)]
    had = (stop("had", "dropoff", load=Load(weight_g=-1)), km(2))
    told = proposed(wave([rider("ann", km(0), had)], tasks))
    [route] = told.routes
    assert len({visit.task_id for visit in route.visits}) == MAX_ROUTE_TASKS
    assert sorted(left(told).values()) == ["route_full"] * 4


def test_planned_anew_what_is_not_begun_goes_to_who_is_nearer():
    had = [
        (stop("had", kind, load=Load(parcels=sign)), km(at))
        for kind, sign, at in (("pickup", 1, 8), ("dropoff", -1, 9))
    ]
    ann, bob = rider("ann", km(0), *had), rider("bob", km(8))
    moved = WaveTask(
        task_id=TaskId("had"),
        round=2,
        stops=[each for each, _ in had],
        places=[place for _, place in had],
        from_rider=RiderId("ann"),
    )
    told = proposed(wave([ann, bob], [moved]), solved=True)
    assert routes(told) == {"bob": ["had-pickup", "had-dropoff"]}
    [task] = told.routes[0].tasks
    assert (task.round, task.from_rider) == (2, "ann")
    assert routes(proposed(wave([ann, bob], []), solved=True)) == {"ann": ["had-pickup", "had-dropoff"]}


def test_too_many_places_are_told():
    tasks = [waiting(job(f"t-{number}", km(number), km(-number - 1))) for number in range(MOST_PLACES // 2 + 1)]
    with pytest.raises(TooManyPlaces, match="1,50"):
        places_of(sort_out(wave([rider("ann", km(0))], tasks)))


@pytest.mark.parametrize("seed", range(40))
def test_whatever_waits_and_whoever_is_at_work_the_roads_ahead_can_be_driven(seed: int):
    draw = Random(seed)
    riders = [WaveRider(seen=each, begun=draw.random() < 0.2) for each in some_riders(draw, draw.randint(1, 5))]
    tasks = [waiting(each) for each in some_jobs(draw, draw.randint(1, 8))]
    asked = wave(riders, tasks, objective=draw.choice(("duration", "distance", "vehicles")))
    if not sort_out(asked).riders:
        return  # there is nobody whose road it could be
    made = found(asked, solved=seed % 4 == 0)
    assert check(made.posed.problem, made.posed.incumbent).passed, "as things are they can go on"
    told = proposal(made)
    taking_part = {each.rider.rider_id: each for each in made.sorted_out.riders}
    for route in told.routes:
        can_be_driven(route, taking_part[route.rider_id], asked)
    for each in taking_part.values():
        had = {(known.task_id, known.stop_id) for known in each.rider.itinerary}
        visited = {
            (visit.task_id, visit.stop_id)
            for route in told.routes
            if route.rider_id == each.rider.rider_id
            for visit in route.visits
        }
        assert had <= visited, "nobody loses anything"
    given = [task.task_id for route in told.routes for task in route.tasks]
    assert sorted([*given, *left(told)]) == sorted(task.task_id for task in tasks), (
        "each is given once, or told why not"
    )


def can_be_driven(route: PlannedRoute, each: WaveRider, asked: Wave) -> None:
    """By a walk that knows nothing of the solvers."""
    assert each.seen.here is not None
    of_task = {
        (known.task_id, known.stop_id): (known, place)
        for task in asked.tasks
        for known, place in zip(task.stops, task.places, strict=True)
    }
    of_task |= {
        (known.task_id, known.stop_id): (known, place)
        for known, place in zip(each.rider.itinerary, each.seen.ahead, strict=True)
    }
    at, here, picked = NOON, each.seen.here, set[str]()
    new = {task.task_id for task in route.tasks}
    loads = []
    for visit in route.visits:
        known, place = of_task[visit.task_id, visit.stop_id]
        leg_s = float(straight_matrix([here], [place]).seconds[0, 0])
        assert (visit.arrives_at - at).total_seconds() >= leg_s - 1e-6, "nobody flies"
        assert visit.begins_at >= visit.arrives_at
        assert (visit.leaves_at - visit.begins_at).total_seconds() == known.service_seconds
        if known.window is not None:
            assert visit.begins_at >= known.window.start
            if visit.task_id in new:
                assert visit.begins_at <= known.window.end
        if known.kind == "pickup":
            picked.add(visit.task_id)
        elif visit.task_id in new:
            assert visit.task_id in picked, "picked up before it is dropped"
        at, here = visit.leaves_at, place
        loads.append(known.load)
    as_it_was = peak_load(known.load for known in each.rider.itinerary)
    assert peak_load(loads).weight_g <= max(each.rider.capacity_g, as_it_was.weight_g)
    if new:
        assert each.rider.shift_ends_at is not None
        ends_as_it_was = max([NOON, *(visit.leaves_at for visit in route.visits if visit.task_id not in new)])
        assert at <= max(each.rider.shift_ends_at, ends_as_it_was)
