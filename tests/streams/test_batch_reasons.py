"""Why a window gave each task to whom it did: candidates, who was shut out, and that it comes out the same again."""

from datetime import datetime
from random import Random
from typing import Any

import msgspec
import pytest
from batching import Job, job, some_jobs, some_riders, window
from choosing import km, rider, rules, stop
from msgspec.structs import asdict, replace
from story import NOON, minutes

from schemas.batch_rules import BatchRules
from schemas.directory import TenantRules
from schemas.dispatch_window import DecideWindow
from schemas.message import TaskId, WindowId
from schemas.tender import OpenTender
from streams.dispatch import batch_reasons
from streams.dispatch.again import differences
from streams.dispatch.batch import assign
from streams.dispatch.batch_question import BatchRecord
from streams.dispatch.batch_tenders import UNKNOWN, Tenders
from streams.dispatch.known import Seen
from streams.dispatch.windows import Told, decided_from

WINDOW = WindowId("window-1")
ONE_BY_ONE = BatchRules(max_bundle=1)
NEAR, FAR = km(1), km(40)


async def decided(
    riders: list[Seen], jobs: list[Job], by: TenantRules | None = None, batch: BatchRules = ONE_BY_ONE, **more: Any
) -> tuple[DecideWindow, Told, bytes]:
    question, ways = await window(riders, jobs, by, batch)
    return decided_from(BatchRecord(question=replace(question, **more), ways=ways), [], [])


def tenders(outcome: DecideWindow, told: Told, now: datetime = NOON) -> dict[str, OpenTender]:
    return {each.task_id: each for each in Tenders(WINDOW, outcome, now, told.reasons, told.weights).all()}


def as_row(opening: OpenTender) -> dict[str, Any]:
    """As the read model gives it back."""
    told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(asdict(opening)))
    return told


async def test_a_given_task_is_offered_to_its_rider_alone_until_the_steps_time_is_over():
    outcome, told, _ = await decided([rider("ann", km(0)), rider("bob", km(3))], [job("a", NEAR, km(2))])
    opening = tenders(outcome, told, minutes(1))["a"]
    [offer] = opening.offers
    assert (offer.rider_id, opening.mode, opening.queue) == ("ann", "direct", None)
    assert offer.expires_at == minutes(2), "by default an offer stands for a minute"
    assert [(each.rider_id, each.rank) for each in opening.candidates] == [("ann", 1), ("bob", 2)]
    assert opening.in_window is not None
    assert (opening.in_window.tasks, opening.in_window.riders, opening.in_window.given_to) == (1, 2, "ann")


async def test_who_gets_it_may_not_be_who_would_be_the_best_for_it_alone():
    """Bob could only do the one that Ann is nearer to."""
    ann, bob = rider("ann", km(1.2)), rider("bob", km(0), capacity_g=100)
    jobs = [job("light", km(1), km(2), grams=50), job("heavy", km(1.4), km(2), grams=5_000)]
    outcome, told, _ = await decided([ann, bob], jobs, replace(rules(), max_active_tasks=1))
    opened = tenders(outcome, told)
    assert [each.rider_id for each in opened["light"].candidates] == ["ann", "bob"]
    assert opened["light"].offers[0].rider_id == "bob"
    assert opened["heavy"].offers[0].rider_id == "ann"
    assert [(each.rider_id, each.code) for each in opened["heavy"].excluded] == [("bob", "over_capacity")]


async def test_the_winners_score_is_that_of_the_place_where_it_is_put_behind_what_else_they_got():
    jobs = [job("a", km(1), km(2)), job("b", km(1.1), km(2.1))]
    outcome, told, _ = await decided([rider("ann", km(0))], jobs)
    assert [(each.rider_id, len(each.tasks)) for each in outcome.given] == [("ann", 1), ("ann", 1)]
    for given in outcome.given:
        [task] = given.tasks
        [candidate] = tenders(outcome, told)[task.task_id].candidates
        assert (candidate.score, candidate.parts, candidate.placed) == (task.score, task.parts, task.placed)
        assert candidate.ends_at == given.ends_at


async def test_what_goes_together_is_one_offer_whose_stops_stand_in_the_order_of_the_way():
    ann = rider("ann", km(0), (stop("had", "dropoff"), km(3)))
    jobs = [job("a", km(1), km(5)), job("b", km(1.1), km(4))]
    outcome, told, record = await decided([ann], jobs, batch=BatchRules(max_bundle=2))
    [opening] = tenders(outcome, told).values()
    assert {opening.task_id, *(each.task_id for each in opening.bundle)} == {"a", "b"}
    [offer] = opening.offers
    way = [(each.stop_id, each.behind and each.behind.stop_id) for each in offer.placed]
    assert way == [
        ("a-pickup", None),
        ("b-pickup", "a-pickup"),
        ("b-dropoff", "had-dropoff"),
        ("a-dropoff", "b-dropoff"),
    ]
    assert differences(as_row(opening), record) == []


async def test_no_more_go_together_than_the_rules_say():
    jobs = [job(name, km(1), km(2)) for name in "abc"]
    outcome, _, _ = await decided([rider("ann", km(0))], jobs, batch=BatchRules(max_bundle=2))
    assert [len(each.tasks) for each in outcome.given] == [2, 1]


async def test_who_is_shut_out_is_named_with_the_rule():
    riders = [
        rider("at-home", km(0), shift_ends_at=None),
        rider("busy", km(0), (stop("x", "dropoff"), km(1)), tasks=100),
        rider("far", FAR),
        rider("full", km(0), capacity_g=10),
        rider("keen", km(0)),
        rider("unfond", km(0)),
        rider("wet", km(0), seen_at=minutes(-60)),
    ]
    by = rules({"max_distance_m": 5_000})
    outcome, told, _ = await decided(riders, [job("a", NEAR, km(2), grams=500, declined=["unfond"])], by)
    opening = tenders(outcome, told)["a"]
    assert [each.rider_id for each in opening.candidates] == ["keen"]
    assert {each.rider_id: each.code for each in opening.excluded} == {
        "at-home": "off_shift",
        "busy": "too_many_tasks",
        "far": "too_far",
        "full": "over_capacity",
        "unfond": "declined_before",
        "wet": "stale_fix",
    }


async def test_a_task_that_is_left_says_why_of_each_rider_as_they_are_by_then():
    by = replace(rules(), max_active_tasks=1)
    outcome, told, _ = await decided([rider("ann", km(0))], [job("a", km(1), km(2)), job("b", km(9), km(10))], by)
    left = tenders(outcome, told)["b"]
    assert (left.offers, left.candidates) == ([], [])
    assert [(each.rider_id, each.code) for each in left.excluded] == [("ann", "too_many_tasks")]
    assert left.in_window is not None
    assert left.in_window.left_because == "too_many_tasks"


async def test_what_is_too_dear_names_those_who_could_take_it():
    cheap = BatchRules(max_bundle=1, left_out=1, left_out_per_second=0)
    outcome, told, _ = await decided([rider("ann", km(0))], [job("a", NEAR, km(2))], batch=cheap)
    left = tenders(outcome, told)["a"]
    assert [each.rider_id for each in left.candidates] == ["ann"]
    assert left.in_window is not None
    assert left.in_window.left_because == "dearer_than_waiting"


async def test_of_very_many_the_best_are_told_in_full_the_rest_by_columns_and_then_counted(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(batch_reasons, "NAMED_IN_ALL", 3)
    monkeypatch.setattr(batch_reasons, "LEAST_NAMED", 3)
    able = [rider(f"r{number:02}", km(number / 10)) for number in range(15)]
    ill = [rider(f"s{number:02}", km(0), on_break=True) for number in range(5)]
    outcome, told, _ = await decided([*able, *ill], [job("a", km(0), km(1))], passed_over=7)
    opening = tenders(outcome, told)["a"]
    assert [each.rank for each in opening.candidates] == [*range(1, 11)]
    assert (opening.others.rider_ids, opening.others.more) == (["r10", "r11", "r12"], 2 + 7)
    assert [each.rider_id for each in opening.excluded] == ["s00", "s01", "s02"]
    assert opening.more_excluded == {"on_break": 2}
    assert outcome.riders == 27


async def test_of_a_record_that_is_lost_it_is_still_told_who_got_it_and_why_it_was_left():
    by = replace(rules(), max_active_tasks=1)
    outcome, told, _ = await decided([rider("ann", km(0))], [job("a", km(1), km(2)), job("b", km(9), km(10))], by)
    full, bare = tenders(outcome, told), tenders(outcome, Told({}, None))
    assert [each.source for each in bare["a"].candidates] == [UNKNOWN]
    assert bare["a"].offers == full["a"].offers
    assert bare["b"].in_window == full["b"].in_window


@pytest.mark.parametrize("seed", range(12))
async def test_made_again_from_its_record_each_task_of_a_window_is_decided_the_same(seed: int):
    draw = Random(seed)
    riders, jobs = some_riders(draw, draw.randint(0, 8)), some_jobs(draw, draw.randint(1, 14))
    outcome, told, record = await decided(riders, jobs, rules({"max_ride_seconds": 2_400}), BatchRules())
    opened = tenders(outcome, told)
    named = [each.task_id for opening in opened.values() for each in (opening, *opening.bundle)]
    assert sorted(named) == sorted(task.task_id for task, _ in jobs)
    for opening in opened.values():
        assert differences(as_row(opening), record) == []
        everybody = [*opening.candidates, *opening.excluded]
        assert sorted(each.rider_id for each in everybody) == sorted(each.rider.rider_id for each in riders)


async def test_another_winner_than_the_record_leads_to_is_found():
    outcome, told, record = await decided([rider("ann", km(0)), rider("bob", km(3))], [job("a", NEAR, km(2))])
    row = as_row(tenders(outcome, told)["a"])
    row["in_window"]["given_to"] = "bob"
    assert differences(row, record) == ["in_window"]


async def test_each_task_is_told_as_the_answer_has_it():
    draw = Random(5)
    question, ways = await window(some_riders(draw, 5), some_jobs(draw, 12), rules())
    outcome, told, _ = decided_from(BatchRecord(question=question, ways=ways), [TaskId("gone")], [])
    answer = assign(question, ways)
    assert (outcome.given, outcome.left, outcome.gone) == (answer.given, answer.left, ["gone"])
    assert told.reasons.keys() == {task.task_id for task in question.tasks}
