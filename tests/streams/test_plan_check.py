"""The feasibility checker: it finds each way in which a plan can be broken, and agrees with trying out every moment."""

from collections import Counter
from random import Random

import pytest
from waves import delivery, drawn, on_a_line, pause, plan, rider, route, shipment, stop, visits

from schemas.load import Capacity, Load
from streams.planning.check import Real, Verdict, check
from streams.planning.insertion import inserted
from streams.planning.model import Model
from streams.planning.problem import Problem, Route, Shipment, Solution, Vehicle, Visit, Window


def codes(verdict: Verdict) -> set[str]:
    return {each.code for each in verdict.violations}


SOUP = on_a_line(vehicles=(rider(), rider("bob")), shipments=(shipment("soup", 2, 5), shipment("cake", 3, 6)))


def test_a_plan_that_keeps_everything_passes_with_its_metres():
    verdict = check(SOUP, plan(ann="+soup +cake soup cake"))
    assert verdict.passed
    assert verdict.cost.amount == 1_200
    assert verdict.left_out == ()


def test_what_is_delivered_before_it_is_picked_up_is_found_where_it_is_delivered():
    (violation,) = check(SOUP, plan(ann="soup +soup +cake cake")).violations
    assert (violation.code, violation.vehicle, violation.at, violation.job) == (
        "delivered_before_pickup",
        "ann",
        0,
        "soup",
    )


def test_a_shipment_split_over_two_riders_is_found_on_both():
    found = {(each.code, each.vehicle) for each in check(SOUP, plan(ann="+soup", bob="soup")).violations}
    assert found == {("left_aboard", "ann"), ("never_picked_up", "bob")}


def test_a_job_done_twice_is_found():
    assert codes(check(SOUP, plan(ann="+soup soup", bob="+soup soup"))) == {"visited_twice"}


def test_two_routes_of_one_vehicle_and_one_of_nobody_are_found():
    double = Solution(routes=(route("ann", "+soup", "soup"), route("ann", "+cake", "cake")))
    assert codes(check(SOUP, double)) == {"vehicle_twice"}
    assert codes(check(SOUP, plan(zoe="+soup soup"))) == {"unknown_vehicle"}


def test_a_visit_of_no_job_and_a_pickup_at_the_depot_are_found():
    problem = on_a_line(vehicles=(rider(),), deliveries=(delivery("box", 4),))
    assert codes(check(problem, plan(ann="pie"))) == {"unknown_visit"}
    assert codes(check(problem, plan(ann="+box box"))) == {"unknown_visit"}


def test_who_comes_early_waits_and_who_comes_late_is_found():
    problem = on_a_line(
        vehicles=(rider(),), deliveries=(delivery("a", stop(3, 100, 120)), delivery("b", stop(4, 0, 100)))
    )
    assert check(problem, plan(ann="b a")).routes[0].timetable.begins_s == (90, 100)
    late = check(problem, plan(ann="a b")).violations
    assert [(each.code, each.at) for each in late] == [("late", 1)]


@pytest.mark.parametrize("measure", ["weight_g", "volume_cm3", "parcels"])
def test_each_measure_of_a_load_binds_where_it_is_aboard(measure: str):
    small = Capacity(**{"weight_g": 99, "volume_cm3": 99, "parcels": 99} | {measure: 1})
    load = Load(**{measure: 1})
    problem = on_a_line(
        vehicles=(rider(capacity=small),), shipments=(shipment("a", 1, 2, load=load), shipment("b", 3, 4, load=load))
    )
    assert check(problem, plan(ann="+a a +b b")).passed
    (violation,) = check(problem, plan(ann="+a +b a b")).violations
    assert (violation.code, violation.at) == ("over_capacity", 1)
    assert measure in violation.told


def test_what_comes_from_the_depot_is_aboard_from_departure():
    one = Capacity(weight_g=0, volume_cm3=0, parcels=1)
    problem = on_a_line(vehicles=(rider(capacity=one),), deliveries=(delivery("a", 1), delivery("b", 2)))
    (violation,) = check(problem, plan(ann="a b")).violations
    assert (violation.code, violation.at) == ("over_capacity", 0)


def test_a_missing_skill_is_found_by_its_name():
    problem = on_a_line(
        vehicles=(rider(skills=frozenset({"tall"})),), deliveries=(delivery("a", 1, skills=frozenset({"cold"})),)
    )
    (violation,) = check(problem, plan(ann="a")).violations
    assert violation.code == "skill_missing"
    assert "cold" in violation.told


def test_what_one_has_aboard_another_cannot_bring():
    problem = on_a_line(vehicles=(rider(), rider("bob")), deliveries=(delivery("a", 1, only="bob"),))
    assert check(problem, plan(bob="a")).passed
    assert codes(check(problem, plan(ann="a"))) == {"wrong_vehicle"}


def test_who_is_back_after_the_shift_is_found():
    problem = on_a_line(vehicles=(rider(shift=Window(from_s=0, until_s=79)),), deliveries=(delivery("a", 4),))
    assert codes(check(problem, plan(ann="a"))) == {"shift_overrun"}


def test_an_open_end_needs_no_way_back():
    problem = on_a_line(vehicles=(rider(end=None, shift=Window(from_s=0, until_s=40)),), deliveries=(delivery("a", 4),))
    assert check(problem, plan(ann="a")).cost.amount == 400


def test_a_pickup_waits_for_its_delivery_where_the_ride_would_be_too_long():
    late = shipment("ice", 2, stop(4, 500, 600), ride_limit_s=30)
    problem = on_a_line(vehicles=(rider(),), shipments=(late,), deliveries=(delivery("a", stop(1, 0, 50)),))
    assert check(problem, plan(ann="a +ice ice")).routes[0].timetable.begins_s == (50, 470, 500)


def test_a_ride_that_is_too_long_is_found_at_its_delivery():
    problem = on_a_line(
        vehicles=(rider(),), shipments=(shipment("ice", stop(2, 0, 50), stop(4, 500, 600), ride_limit_s=30),)
    )
    (violation,) = check(problem, plan(ann="+ice ice")).violations
    assert (violation.code, violation.at, violation.job) == ("ride_too_long", 1, "ice")


def test_a_break_is_taken_on_the_road_and_makes_the_rest_later():
    problem = on_a_line(
        vehicles=(rider(pause=pause(30, 40, 100)),), deliveries=(delivery("a", stop(2, 20, 20)), delivery("b", 8))
    )
    times = check(problem, plan(ann="a b")).routes[0].timetable
    assert (times.break_s, times.begins_s) == (30, (20, 180))


def test_a_break_that_fits_in_nowhere_is_found():
    pinned = (delivery("a", stop(2, 20, 20)), delivery("b", stop(8, 80, 100)))
    problem = on_a_line(vehicles=(rider(pause=pause(30, 40, 100)),), deliveries=pinned)
    assert codes(check(problem, plan(ann="a b"))) == {"break_missed"}


@pytest.mark.parametrize("broken", ["", "+cake cake +soup soup", "+soup cake +cake soup", "+soup"])
def test_a_prefix_comes_first_and_in_its_order(broken: str):
    problem = on_a_line(vehicles=(rider(prefix=visits("+soup", "+cake")),), shipments=SOUP.shipments)
    assert check(problem, plan(ann="+soup +cake cake soup")).passed
    assert "prefix_broken" in codes(check(problem, plan(ann=broken)))


def test_a_vehicle_of_a_prefix_that_has_no_route_at_all_is_found():
    problem = on_a_line(vehicles=(rider(prefix=visits("+soup")),), shipments=SOUP.shipments)
    assert codes(check(problem, Solution(routes=()))) == {"prefix_broken"}


def test_jobs_left_out_cost_their_penalty_or_come_before_everything():
    problem = on_a_line(vehicles=(rider(),), deliveries=(delivery("a", 1, penalty=70), delivery("b", 2)))
    verdict = check(problem, Solution(routes=()))
    assert (verdict.passed, verdict.cost.left_out, verdict.cost.amount) == (True, 1, 70)
    assert check(problem, plan(ann="b a")).cost < check(problem, plan(ann="b")).cost < verdict.cost


def test_vehicles_count_first_where_they_are_to_be_few():
    problem = on_a_line(
        vehicles=(rider(), rider("bob", start=10, end=10)),
        deliveries=(delivery("a", 1), delivery("b", 9)),
        objective="vehicles",
    )
    one, two = check(problem, plan(ann="a b")).cost, check(problem, plan(ann="a", bob="b")).cost
    assert one.amount > two.amount
    assert one < two


def test_a_duration_runs_from_the_latest_departure_to_the_end():
    problem = on_a_line(
        vehicles=(rider(),), deliveries=(delivery("a", stop(3, 500, 600, service_s=7)),), objective="duration"
    )
    assert check(problem, plan(ann="a")).cost.amount == 67


def test_who_is_under_way_has_departed():
    box = delivery("a", stop(3, 500, 600))
    problem = on_a_line(vehicles=(rider(prefix=visits("a")),), deliveries=(box,), objective="duration")
    assert check(problem, plan(ann="a")).cost.amount == 530


def test_the_true_matrices_judge_where_they_are_given():
    problem = on_a_line(places=2, vehicles=(rider(),), deliveries=(delivery("a", stop(1, 0, 10)),))
    longer = Real([[0, 10.01], [10.01, 0]], [[0, 100.25], [100.25, 0]])
    assert check(problem, plan(ann="a")).passed
    assert codes(check(problem, plan(ann="a"), longer)) == {"late"}
    wider = on_a_line(places=2, vehicles=(rider(),), deliveries=(delivery("a", 1),))
    assert check(wider, plan(ann="a"), longer).cost.amount == 200.5


# Broken on purpose: whatever feasible plan is broken in one of these ways, that way is found.


def feasible(seed: int) -> tuple[Problem, Solution]:
    problem = drawn(seed, jobs=9, vehicles=3, tight=0.5)
    return problem, inserted(Model(problem)).solution


def longest(solution: Solution) -> Route:
    return max(solution.routes, key=lambda each: len(each.visits))


def with_route(solution: Solution, visits: tuple[Visit, ...]) -> Solution:
    changed = longest(solution)
    return Solution(
        routes=tuple(
            Route(vehicle=each.vehicle, visits=visits) if each is changed else each for each in solution.routes
        )
    )


def with_rider(problem: Problem, name: str, **fields: object) -> Problem:
    changed = tuple(replace(each, **fields) if each.id == name else each for each in problem.vehicles)
    return replace(problem, vehicles=changed)


def replace[T: (Problem, Vehicle, Shipment)](what: T, **fields: object) -> T:
    return type(what)(**{name: getattr(what, name) for name in what.__struct_fields__} | fields)


def twice(problem: Problem, solution: Solution) -> tuple[Problem, Solution]:
    visits = longest(solution).visits
    return problem, with_route(solution, (*visits, visits[0]))


def split(problem: Problem, solution: Solution) -> tuple[Problem, Solution]:
    return problem, with_route(solution, tuple(v for v in longest(solution).visits if v.action == "pick_up"))


def only_dropped(problem: Problem, solution: Solution) -> tuple[Problem, Solution]:
    return problem, with_route(solution, tuple(v for v in longest(solution).visits if v.action == "deliver"))


def backwards(problem: Problem, solution: Solution) -> tuple[Problem, Solution]:
    return problem, with_route(solution, longest(solution).visits[::-1])


def smaller(problem: Problem, solution: Solution) -> tuple[Problem, Solution]:
    return with_rider(problem, longest(solution).vehicle, capacity=replace_capacity(0)), solution


def replace_capacity(parcels: int) -> Capacity:
    return Capacity(weight_g=99, volume_cm3=99, parcels=parcels)


def unskilled(problem: Problem, solution: Solution) -> tuple[Problem, Solution]:
    name = longest(solution).visits[0].job
    jobs = tuple(replace(each, skills=frozenset({"rare"})) if each.id == name else each for each in problem.shipments)
    return replace(problem, shipments=jobs), solution


def overtime(problem: Problem, solution: Solution) -> tuple[Problem, Solution]:
    name = longest(solution).vehicle
    problem = with_rider(problem, name, pause=None)
    driven = next(each for each in check(problem, solution).routes if each.vehicle == name)
    begins = next(each.shift.from_s for each in problem.vehicles if each.id == name)
    ends = round(driven.timetable.ends_s)
    return with_rider(problem, name, shift=Window(from_s=begins, until_s=ends - 1)), solution


def delayed(problem: Problem, solution: Solution) -> tuple[Problem, Solution]:
    name = longest(solution).vehicle
    return with_rider(problem, name, shift=Window(from_s=50_000, until_s=90_000), pause=None), solution


def sleepless(problem: Problem, solution: Solution) -> tuple[Problem, Solution]:
    name = longest(solution).vehicle
    shift = next(each.shift for each in problem.vehicles if each.id == name)
    return with_rider(problem, name, pause=pause(shift.from_s, shift.until_s, 20_000)), solution


def hurried(problem: Problem, solution: Solution) -> tuple[Problem, Solution]:
    carried = {visit.job for visit in longest(solution).visits if visit.action == "pick_up"}
    far = {
        each.id for each in problem.shipments if problem.matrices.seconds[each.pickup.place][each.delivery.place] > 0
    }
    jobs = tuple(replace(each, ride_limit_s=0) if each.id in carried & far else each for each in problem.shipments)
    return replace(problem, shipments=jobs), solution


def committed(problem: Problem, solution: Solution) -> tuple[Problem, Solution]:
    visits = longest(solution).visits
    return with_rider(problem, longest(solution).vehicle, prefix=visits[1:3]), solution


MUTATIONS = {
    "visited_twice": twice,
    "left_aboard": split,
    "never_picked_up": only_dropped,
    "delivered_before_pickup": backwards,
    "over_capacity": smaller,
    "skill_missing": unskilled,
    "shift_overrun": overtime,
    "late": delayed,
    "break_missed": sleepless,
    "ride_too_long": hurried,
    "prefix_broken": committed,
}


@pytest.mark.parametrize("code", MUTATIONS)
def test_whatever_plan_is_broken_so_the_checker_finds_it(code: str):
    broken = 0
    for seed in range(60):
        problem, solution = feasible(seed)
        assert check(problem, solution).passed, seed
        kinds = Counter(visit.action for visit in longest(solution).visits)
        if longest(solution).visits[0].action != "pick_up" or kinds["pick_up"] < 2:
            continue
        assert code in codes(check(*MUTATIONS[code](problem, solution))), seed
        broken += 1
    assert broken > 15


# Beside trying out every moment.


def tiny(seed: int) -> tuple[Problem, Solution]:
    """A route of at most four stops within 14 s."""
    random = Random(seed)
    who = rider(
        end=random.choice((None, 0)),
        shift=Window(from_s=random.randrange(3), until_s=random.randrange(9, 14)),
        pause=random.choice(
            (None, pause(begin := random.randrange(7), begin + random.randrange(4), random.randrange(1, 4)))
        ),
        capacity=Capacity(weight_g=0, volume_cm3=0, parcels=random.randrange(1, 3)),
    )

    def place() -> object:
        begins = random.randrange(8)
        return stop(random.randrange(4), begins, begins + random.randrange(7), random.randrange(2))

    limits = (None, 1, 2, 4)
    problem = on_a_line(
        places=4,
        s=1,
        vehicles=(who,),
        shipments=tuple(
            shipment(name, place(), place(), ride_limit_s=random.choice(limits))
            for name in "ab"[: random.randrange(1, 3)]
        ),  # type: ignore[arg-type]
        deliveries=(delivery("c", place()),) if random.random() < 0.3 else (),  # type: ignore[arg-type]
        objective="duration",
    )
    order = ["+a", "a", "+b", "b"][: 2 * len(problem.shipments)] + ["c"] * len(problem.deliveries)
    random.shuffle(order)
    if order.index("+a") > order.index("a"):
        order.reverse()
    return problem, plan(ann=" ".join(order))


def shortest_tried(problem: Problem, solution: Solution) -> int | None:
    """The least duration of all schedules of whole seconds that keep every rule; None where there is none."""
    who, order = problem.vehicles[0], solution.routes[0].visits
    jobs = {each.id: each for each in problem.jobs}
    picked: dict[str, int] = {}
    aboard = len(problem.deliveries)
    peak = aboard
    for at, visit in enumerate(order):
        if visit.action == "pick_up":
            picked[visit.job] = at
        elif isinstance(jobs[visit.job], Shipment) and visit.job not in picked:
            return None
        aboard += 1 if visit.action == "pick_up" else -1
        peak = max(peak, aboard)
    if peak > who.capacity.parcels:
        return None
    stops = []
    for visit in order:
        job = jobs[visit.job]
        stops.append(
            (job.pickup if visit.action == "pick_up" else job.delivery) if isinstance(job, Shipment) else job.stop
        )
    begin, until = who.shift.from_s, who.shift.until_s
    drive = [
        problem.matrices.seconds[a][b]
        for a, b in zip([0, *(s.place for s in stops)], [s.place for s in stops], strict=False)
    ]
    home = 0 if who.end is None else problem.matrices.seconds[stops[-1].place][who.end]
    best: int | None = None

    def breaks() -> list[int | None]:
        return [None] if who.pause is None else list(range(who.pause.window.from_s, who.pause.window.until_s + 1))

    def fits(moments: list[int], end: int, rest: int | None) -> bool:
        takes = 0 if who.pause is None else who.pause.seconds
        leaves = [moments[0], *(m + s.service_s for m, s in zip(moments[1:], stops, strict=True))]
        comes = [*moments[1:], end]
        legs = [*drive, home]
        slots = [True] if rest is None else []
        for leave, come, leg in zip(leaves, comes, legs, strict=True):
            if come - leave < leg:
                return False
            if rest is not None:
                slots.append(leave <= rest and rest + takes <= come and come - leave >= leg + takes)
        if rest is not None:
            slots.append(begin <= rest and rest + takes <= moments[0])
            slots.append(end <= rest and rest + takes <= until)
        for at, visit in enumerate(order):
            job = jobs[visit.job]
            if isinstance(job, Shipment) and visit.action == "deliver" and job.ride_limit_s is not None:
                rides = moments[at + 1] - leaves[picked[visit.job] + 1]
                slots = slots if rides <= job.ride_limit_s else []
        return any(slots)

    def tried(moments: list[int]) -> None:
        nonlocal best
        if len(moments) == len(stops) + 1:
            last = moments[-1] + stops[-1].service_s + home
            for end in range(last, until + 1):
                if best is not None and end - moments[0] >= best:
                    return
                if any(fits(moments, end, rest) for rest in breaks()):
                    best = end - moments[0]
                    return
            return
        at = len(moments) - 1
        leaves = moments[-1] + (stops[at - 1].service_s if at else 0)
        for moment in range(max(stops[at].window.from_s, leaves + drive[at]), stops[at].window.until_s + 1):
            tried([*moments, moment])

    for departs in range(begin, until + 1):
        tried([departs])
    return best


@pytest.mark.parametrize("part", range(8))
def test_it_agrees_with_trying_out_every_moment(part: int):
    outcomes = Counter()
    for seed in range(part * 60, part * 60 + 60):
        problem, solution = tiny(seed)
        verdict, least = check(problem, solution), shortest_tried(problem, solution)
        assert verdict.passed == (least is not None), (seed, verdict.violations, least)
        if least is not None:
            assert verdict.cost.amount == least, seed
        outcomes[verdict.passed] += 1
    assert min(outcomes.values()) > 4
