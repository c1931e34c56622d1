"""Who gets what in a batch window: as good as can be, within every limit, and the same each time."""

from collections import Counter
from datetime import timedelta
from itertools import accumulate, permutations
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from batching import job, some_jobs, some_riders, window
from choosing import KM_S, km, rider, rules, stop
from msgspec.structs import replace
from one_insertion import insertion
from story import ACME, NOON, minutes

from schemas.batch_rules import BatchRules
from schemas.directory import TenantRules
from schemas.dispatch_rules import VehicleCost
from schemas.itinerary import StopRef
from schemas.load import Capacity, Overload
from schemas.vehicle_fitness import VehicleFitness
from streams.dispatch import batch as engine
from streams.dispatch import batch_ways
from streams.dispatch.admission import admitted
from streams.dispatch.batch import assign, greedily, left_out, plan
from streams.dispatch.batch_question import (
    BatchAnswer,
    BatchQuestion,
    BatchRecord,
    record_of,
    recorded,
    work_for,
)
from streams.dispatch.batch_ways import BatchedWays, TooManyPlaces
from streams.dispatch.board import board_of
from streams.dispatch.bundles import bundles_of
from streams.dispatch.candidates import exclusion_of
from streams.dispatch.fitting import CODES, FITS
from streams.dispatch.insertion import Insertion
from streams.dispatch.known import Ahead
from streams.dispatch.question import Ways
from streams.dispatch.table import Table
from streams.routing.great_circle import straight_matrix
from streams.routing.measured import Measured

STRICT: dict[str, Any] = {"max_lateness_seconds": 120, "max_ride_seconds": 2_400, "max_detour_seconds": 2_400}
COSTS = [VehicleCost(vehicle="car", per_km=40, per_hour=1_500)]
ALL_WEIGHTS = {"balance": 30.0, "cost": 0.5, "rating": 60.0}


def strictly(tasks: int = 3, **more: Any) -> TenantRules:
    by = rules(STRICT | more, ALL_WEIGHTS, costs=COSTS)
    return replace(by, max_active_tasks=tasks)


async def of_seed(seed: int, by: TenantRules | None = None, **batch: Any) -> tuple[BatchQuestion, Ways]:
    draw = Random(seed)
    riders, jobs = some_riders(draw, draw.randint(1, 8)), some_jobs(draw, draw.randint(1, 14))
    return await window(riders, jobs, by or strictly(), BatchRules(**batch))


# The same as for a task by itself


async def test_each_pair_scores_as_a_task_by_itself_would():
    pairs = kept_apart = 0
    for seed in range(40):
        question, ways = await of_seed(seed)
        board = board_of(question, ways)
        admission = admitted(question, board)
        table = Table(board, admission, 100, None)
        table.fit(range(len(question.tasks)), range(len(board.riders)))
        for (task, number), may in np.ndenumerate(admission.may):
            if not may:
                continue
            alone = by_itself(question, ways, task, number)
            pairs += 1
            if isinstance(alone, Insertion):
                slot = table.slot(task, number)
                [[told]] = [each.tasks for each in engine.given(board, number, [slot], question)]
                assert (told.score, told.parts, told.placed) == (alone.score, alone.parts, alone.placed)
                assert NOON + timedelta(seconds=round(slot.ends_s)) == alone.ends_at
            else:
                kept_apart += 1
                code = "over_capacity" if isinstance(alone, Overload) else alone
                assert table.code[task, number] != FITS
                assert CODES[table.code[task, number]] == code
    assert pairs > 300
    assert kept_apart > 50


def by_itself(question: BatchQuestion, ways: Ways, task: int, number: int) -> Any:
    board = board_of(question, ways)
    points = [number, *(len(board.riders) + stop for stop in (*board.routes[number], *board.of_task[task]))]
    seconds, metres = (grid[np.ix_(points, points)] for grid in ways.grids())
    return insertion(
        board.riders[number],
        (),
        question.tasks[task].stops,
        Ways.of(seconds, metres, "straight"),
        question.rules.dispatch,
        bool(board.first[number]) and not board.riders[number].locked,
        question.decided_at,
    )


async def test_who_may_be_thought_of_is_who_no_rule_shuts_out():
    told = Counter[bool]()
    for seed in range(60):
        question, ways = await of_seed(seed, strictly(max_distance_m=2_500))
        board = board_of(question, ways)
        may = admitted(question, board).may
        for task, waiting in enumerate(question.tasks):
            for number, known in enumerate(board.riders):
                why = exclusion_of(
                    known, question.rules, work_for(waiting, question), frozenset(waiting.declined), NOON, ()
                )
                assert may[task, number] == (why is None and not board.too_far[task, number])
                told[bool(may[task, number])] += 1
    assert min(told.values()) > 300


# Within every limit, by a walk of its own


async def test_nothing_is_given_twice_and_nobody_gets_beyond_any_limit():
    given = 0
    for seed in range(120):
        question, ways = await of_seed(seed)
        answer = assign(question, ways)
        told = [each.task_id for one in answer.given for each in one.tasks] + [left.task_id for left in answer.left]
        assert sorted(told) == sorted(task.task_id for task in question.tasks), "each once, given or left"
        assert len({one.rider_id for one in answer.given}) == len(answer.given)
        for one in answer.given:
            must_hold(question, ways, one.rider_id, answer)
            given += len(one.tasks)
    assert given > 400


def must_hold(question: BatchQuestion, ways: Ways, rider_id: str, answer: BatchAnswer) -> None:
    seconds, _ = ways.grids()
    points = points_of(question)
    known = next(each for each in question.riders if each.rider_id == rider_id)
    [one] = [each for each in answer.given if each.rider_id == rider_id]
    assert known.status == "approved"
    assert known.tasks + len(one.tasks) <= question.rules.max_active_tasks
    way = list(known.itinerary)
    filters = question.rules.dispatch.filters
    late_before = walked(question, rider_id, way, seconds, points)[1]
    for each in one.tasks:
        task = next(task for task in question.tasks if task.task_id == each.task_id)
        assert rider_id not in task.declined
        assert known.skills >= set(task.required_skills)
        driven_before = walked(question, rider_id, way, seconds, points)[2]
        before = list(way)
        way = put(way, task.stops, {placed.stop_id: placed.behind for placed in each.placed})
        assert [stop for stop in way if stop in before] == before, "what was there keeps its order"
        if known.locked:
            assert way[: len(before[:1])] == before[:1]
        ends, late, driven, aboard = walked(question, rider_id, way, seconds, points)
        assert aboard <= known.capacity_g
        assert filters.max_detour_seconds is not None
        assert driven - driven_before <= filters.max_detour_seconds + 0.1
        assert filters.max_lateness_seconds is not None
        assert late - late_before <= filters.max_lateness_seconds + 0.1
        late_before = late
        for limit in (known.shift_ends_at, known.hours_end_at):
            assert limit is None or NOON + timedelta(seconds=ends) <= limit
    assert way.index(one_of(way, one.tasks[0].task_id, "pickup")) < way.index(
        one_of(way, one.tasks[0].task_id, "dropoff")
    )


def one_of(way: list[Ahead], task_id: str, kind: str) -> Ahead:
    return next(stop for stop in way if (stop.task_id, stop.kind) == (task_id, kind))


def put(way: list[Ahead], stops: Any, behind: dict[str, StopRef | None]) -> list[Ahead]:
    way = list(way)
    for new in stops:
        if new.stop_id not in behind:
            way.append(new)
            continue
        ref = behind[new.stop_id]
        way.insert(0 if ref is None else [each.ref for each in way].index(ref) + 1, new)
    return way


def points_of(question: BatchQuestion) -> dict[Any, int]:
    numbers: dict[Any, int] = {known.rider_id: number for number, known in enumerate(question.riders)}
    for group in (*(known.itinerary for known in question.riders), *(task.stops for task in question.tasks)):
        for each in group:
            numbers[each.ref] = len(numbers)
    return numbers


def walked(
    question: BatchQuestion, rider_id: str, way: list[Ahead], seconds: Any, points: dict[Any, int]
) -> tuple[float, float, float, int]:
    """When it ends, how late stops are in all, how long they drive, the most grams aboard at once."""
    at = late = driven = 0.0
    here, aboard = points[rider_id], [0]
    for each in way:
        leg = float(seconds[here, points[each.ref]])
        at, driven, here = at + leg, driven + leg, points[each.ref]
        if each.window is not None:
            late += max(0.0, at - (each.window.end - NOON).total_seconds())
            at = max(at, (each.window.start - NOON).total_seconds())
        at += each.service_seconds
        aboard.append(aboard[-1] + each.load.weight_g)
    return at, late, driven, max(aboard) - min(aboard)


# As good as can be


async def test_without_bundles_and_with_one_task_each_nothing_sums_up_to_less():
    """Against every way to divide them."""
    for seed in range(60):
        draw = Random(seed)
        riders, jobs = some_riders(draw, draw.randint(1, 4)), some_jobs(draw, draw.randint(1, 4))
        by = replace(strictly(), max_active_tasks=2)
        question, ways = await window(
            [replace(each, rider=replace(each.rider, tasks=1)) for each in riders],
            jobs,
            by,
            BatchRules(max_bundle=1, left_out=1_500.0),
        )
        board = board_of(question, ways)
        table = Table(board, admitted(question, board), 2, None)
        table.fit(range(len(jobs)), range(len(riders)))
        counts = left_out(question)
        rows = range(len(jobs))
        least = min(
            sum(
                table.score[task, number] if number < len(riders) else counts[task]
                for task, number in zip(rows, chosen, strict=True)
            )
            for chosen in permutations(range(len(riders) + len(jobs)), len(jobs))
        )
        assert assign(question, ways).total == pytest.approx(least, abs=0.01)


async def test_it_never_sums_up_to_more_than_each_by_itself_in_the_order_of_waiting():
    better = 0
    for seed in range(80):
        question, ways = await of_seed(seed)
        board = board_of(question, ways)
        table = Table(board, admitted(question, board), question.rules.max_active_tasks, None)
        table.fit(range(len(question.tasks)), range(len(board.riders)))
        order = sorted(range(len(question.tasks)), key=lambda task: (question.tasks[task].since, task))
        peer = plan(
            "peer", lambda table, counts, order=order: greedily(table, counts, order), table, left_out(question)
        )
        total = assign(question, ways).total
        assert total <= peer.total + 0.01
        better += total < peer.total - 0.01
    assert better > 10


async def test_what_goes_together_goes_together():
    """Two from one kitchen to doors beside each other, and two riders of whom one stands at the kitchen."""
    riders = [rider("at-the-kitchen", km(0)), rider("near", km(0.3))]
    jobs = [job("a", km(0), km(3)), job("b", km(0), km(3.1))]
    [one] = assign(*await window(riders, jobs)).given
    assert (one.rider_id, [each.task_id for each in one.tasks]) == ("at-the-kitchen", ["a", "b"])
    apart = assign(*await window(riders, jobs, replace(rules(), max_active_tasks=1))).given
    assert [len(each.tasks) for each in apart] == [1, 1]


async def test_no_more_than_so_many_are_given_at_once_in_a_bundle():
    jobs = [job(name, km(0), km(3)) for name in "abcdefg"]
    question, ways = await window([rider("ann", km(0))], jobs)
    board = board_of(question, ways)
    for most in (1, 2, 3, 5):
        bundles = bundles_of(board, BatchRules(max_bundle=most), range(7), 100_000)
        assert max(len(each) for each in bundles) == most
        assert sorted(task for each in bundles for task in each) == [*range(7)]
    heavy = [job(name, km(0), km(3), grams=400) for name in "abc"]
    board = board_of(*await window([rider("ann", km(0))], heavy))
    assert max(len(each) for each in bundles_of(board, BatchRules(), range(3), 800)) == 2


async def test_what_is_ready_at_other_times_or_lies_elsewhere_is_no_bundle():
    jobs = [job("a", km(0), km(3)), job("b", km(0), km(3), ready=16), job("c", km(1.5), km(3))]
    board = board_of(*await window([rider("ann", km(0))], jobs))
    assert bundles_of(board, BatchRules(), range(3), 1_000) == [(0,), (1,), (2,)]
    assert bundles_of(board, BatchRules(bundle_ready_seconds=960), range(3), 1_000) == [(0, 1), (2,)]
    wider = BatchRules(bundle_pickups_seconds=round(1.6 * KM_S))
    assert bundles_of(board, wider, range(3), 1_000) == [(0, 2), (1,)]


# The same each time


async def test_the_same_window_has_the_same_answer_from_its_record_too():
    for seed in range(10):
        question, ways = await of_seed(seed)
        digest, encoded = recorded(BatchRecord(question=question, ways=ways))
        again = record_of(encoded)
        assert recorded(again) == (digest, encoded)
        answers = {
            msgspec.json.encode(assign(*each))
            for each in ((question, ways), await of_seed(seed), (again.question, again.ways))
        }
        assert len(answers) == 1


# Why something is left


async def left_because(*given: Any, **more: Any) -> str:
    [left] = assign(*await window(*given, **more)).left
    return left.code


FAR_OFF = job("task", km(0), km(5), closes=30)


async def test_what_is_left_says_why():
    assert await left_because([], [FAR_OFF]) == "no_riders"
    ann = rider("ann", km(1))
    assert await left_because([rider("ann", km(1), status="suspended")], [FAR_OFF]) == "suspended"
    full = rider("ann", km(1), tasks=3)
    assert await left_because([full], [FAR_OFF], replace(rules(), max_active_tasks=3)) == "too_many_tasks"
    late = rules({"max_lateness_seconds": 0})
    assert await left_because([ann], [job("task", km(0), km(5), closes=5)], late) == "would_be_late"
    assert await left_because([ann], [FAR_OFF], rules({"max_distance_m": 999})) == "too_far"
    assert await left_because([rider("ann", km(1), shift_ends_at=minutes(16))], [FAR_OFF]) == "shift_ends_too_soon"
    heavy = job("task", km(0), km(5), grams=100_001)
    assert await left_because([ann], [heavy]) == "over_capacity"
    cheap = BatchRules(left_out=100.0)
    assert await left_because([ann], [FAR_OFF], None, cheap) == "dearer_than_waiting"


async def test_what_shuts_out_on_the_way_is_truer_than_what_shuts_out_before():
    """Of three two are suspended; the third would be late."""
    riders = [rider("ann", km(1)), rider("bob", km(1), status="suspended"), rider("cid", km(1), status="suspended")]
    late = rules({"max_lateness_seconds": 0})
    assert await left_because(riders, [job("task", km(0), km(5), closes=5)], late) == "would_be_late"


async def test_who_has_waited_longer_goes_first_where_one_is_left():
    ann = rider("ann", km(0))
    jobs = [job("new", km(0), km(2)), job("old", km(0), km(2.1), since=minutes(-10))]
    one = replace(rules(), max_active_tasks=1)
    [given] = assign(*await window([ann], jobs, one)).given
    assert [each.task_id for each in given.tasks] == ["old"]
    [indifferent] = assign(*await window([ann], jobs, one, BatchRules(left_out_per_second=0.0))).given
    assert [each.task_id for each in indifferent.tasks] == ["new"]


# What is driven, and by whom


async def test_vehicles_hold_what_they_hold_and_only_fit_ones_count():
    small, large = (
        VehicleFitness(
            grounded=grounded,
            inspection_failed=False,
            maintenance_due=False,
            maintenance_due_at=None,
            capacity=Capacity(weight_g=9_000, volume_cm3=1_000, parcels=parcels),
            documents=[],
        )
        for grounded, parcels in ((False, 1), (True, 9))
    )
    jobs = [job("a", km(0), km(3)), job("b", km(0), km(3.1))]
    driver = rider("ann", km(0), vehicles=[small, large])
    assert parcels_aboard(*await window([driver], jobs)) == 1, "the grounded one would hold both"
    fit = rider("ann", km(0), vehicles=[small, replace(large, grounded=False)])
    assert parcels_aboard(*await window([fit], jobs)) == 2


def parcels_aboard(question: BatchQuestion, ways: Ways) -> int:
    """At most, by the only rider."""
    [one] = assign(question, ways).given
    way: list[Ahead] = []
    for each in one.tasks:
        [stops] = [task.stops for task in question.tasks if task.task_id == each.task_id]
        way = put(way, stops, {placed.stop_id: placed.behind for placed in each.placed})
    return max(accumulate(each.load.parcels for each in way))


async def test_whom_no_way_leads_to_it_is_left():
    class Ferry:
        async def matrix(self, tenant: Any, origins: Any, goals: Any) -> Measured:
            told = straight_matrix(origins, goals)
            told.seconds[[place == km(1) for place in origins]] = float("inf")
            return told

    assert await left_because([rider("ann", km(1))], [FAR_OFF], router=Ferry()) == "unreachable"


async def test_a_large_window_looks_at_the_nearest_first_and_at_all_for_what_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine, "TRIED_ONE_BY_ONE", 0)
    monkeypatch.setattr(engine, "LOOKED_AT_FIRST", 1)
    near, far = rider("near", km(0)), rider("far", km(4))
    jobs = [job("a", km(0), km(1)), job("b", km(0), km(-1))]
    answer = assign(*await window([near, far], jobs, replace(rules(), max_active_tasks=1)))
    assert sorted(each.rider_id for each in answer.given) == ["far", "near"]
    assert not answer.left


# The ways


class Counting:
    def __init__(self) -> None:
        self.asked = 0

    async def matrix(self, tenant: Any, origins: Any, goals: Any) -> Measured:
        self.asked += len(origins) * len(goals)
        told = straight_matrix(origins, goals)
        return Measured(told.seconds, told.metres, "osrm")


async def test_ways_between_stops_are_asked_for_once_and_are_those_of_the_router():
    router, draw = Counting(), Random(3)
    ways = BatchedWays(router)
    riders, jobs = some_riders(draw, 6), some_jobs(draw, 9)
    first = await ways.between(ACME, riders, [places for _, places in jobs[:6]])
    asked = router.asked
    assert await ways.between(ACME, riders, [places for _, places in jobs[:6]]) == first
    places = {place for seen in riders for place in seen.ahead} | {p for _, each in jobs[:6] for p in each}
    assert router.asked - asked == len(riders) * len(places), "where riders are, and nothing else"
    whole = await ways.between(ACME, riders, [places for _, places in jobs])
    assert whole == await BatchedWays(Counting()).between(ACME, riders, [places for _, places in jobs])


class OffTheMap(Counting):
    """Knows no street near this place."""

    async def matrix(self, tenant: Any, origins: Any, goals: Any) -> Measured:
        told = await super().matrix(tenant, origins, goals)
        off = np.logical_or.outer([each == km(5) for each in origins], [each == km(5) for each in goals])
        return Measured(np.where(off, np.nan, told.seconds), np.where(off, np.nan, told.metres), "osrm")


async def test_a_stop_that_no_map_knows_shuts_nobody_out_its_ways_are_guessed_and_that_is_said():
    riders, jobs = [rider("ann", km(0))], [job("a", km(1), km(5)), job("b", km(1), km(2))]
    question, ways = await window(riders, jobs, router=OffTheMap())
    assert ways.source == "great_circle"
    assert sorted(task.task_id for each in assign(question, ways).given for task in each.tasks) == ["a", "b"]
    _, on_the_map = await window(riders, jobs[1:], router=OffTheMap())
    assert on_the_map.source == "osrm"


async def test_a_window_of_too_many_places_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batch_ways, "MOST_PLACES", 3)
    riders = [rider("ann", km(0), (stop("had", "dropoff"), km(7)))]
    with pytest.raises(TooManyPlaces, match="5"):
        await window(riders, [job("a", km(0), km(1)), job("b", km(2), km(3))])
