"""A closed window: what is gathered for its decision, what is kept of it, and the tenders that come of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from choosing import Straight, km, rider, rules, stop
from msgspec.structs import replace
from story import ACME, NOON, minutes, source_of

from schemas.dispatch_window import MOST_WINDOW_TASKS, DecideWindow, JoinWindow, WaitingTask, WindowDecided
from schemas.geo import Location
from schemas.ids import tender_id, window_id
from schemas.message import RiderId, Source, StopId, TaskId, TenantSlug, WindowId
from schemas.rider import NewPlannedStop
from schemas.task import CloseTender, TaskDispatchable
from schemas.tender import OpenTender
from streams.dispatch import windows
from streams.dispatch.batch_question import record_of
from streams.dispatch.known import Seen
from streams.dispatch.tendering import KnownTask
from streams.dispatch.windowing import MOST_LATER, windowing
from streams.dispatch.windows import (
    ClosedWindow,
    Remembered,
    StillWaiting,
    WindowDecision,
    WindowTenders,
    not_decided,
)
from streams.process import Done, NotAllowed, Process, Step
from streams.routing.measured import Measured

WINDOW = WindowId("window-1")


def task(name: str, at: Location, to: Location, task_round: int = 1) -> KnownTask:
    stops = [
        NewPlannedStop(stop_id=StopId(f"{name}-{kind}"), kind=kind, subject=name, location=place)  # type: ignore[arg-type]
        for kind, place in (("pickup", at), ("dropoff", to))
    ]
    return KnownTask(task_id=TaskId(name), round=task_round, stops=stops, ahead=stops)


class Known:
    """What is known of a tenant: `waiting` are the tasks that still wait, each since noon."""

    def __init__(self, riders: Sequence[Seen], *tasks: KnownTask) -> None:
        self.seen, self.tasks = riders, tasks
        self.asked: list[Location] = []
        self.kept: dict[str, bytes] = {}
        self.held: set[str] = set()

    async def rules(self, tenant: TenantSlug) -> Any:
        return replace(rules(), max_active_tasks=1)

    async def waiting(self, tenant: TenantSlug, tasks: Sequence[WaitingTask]) -> Sequence[StillWaiting]:
        joined = {each.task_id for each in tasks}
        return [
            StillWaiting(task=each, since=NOON, declined=frozenset(), held=each.task_id in self.held)
            for each in self.tasks
            if each.task_id in joined
        ]

    async def riders(self, tenant: TenantSlug, rules: Any) -> Sequence[Seen]:
        return self.seen

    async def declined(self, tenant: TenantSlug, task_id: str) -> frozenset[RiderId]:
        raise AssertionError("that is asked of all of them together")

    async def documents_of_vehicles(self, tenant: TenantSlug) -> Sequence[str]:
        return ()

    async def zones(self, tenant: TenantSlug, places: Sequence[Location], at: datetime) -> Sequence[frozenset[str]]:
        return [frozenset() for _ in places]

    async def policy_version(self, tenant: TenantSlug) -> int:
        return 3

    async def matrix(self, tenant: TenantSlug, origins: Sequence[Location], goals: Sequence[Location]) -> Measured:
        self.asked += origins
        return await Straight().matrix(tenant, origins, goals)

    async def keep(self, tenant: TenantSlug, digest: str, content: bytes) -> None:
        self.kept[digest] = content

    async def record(self, tenant: TenantSlug, digest: str) -> bytes | None:
        return self.kept.get(digest)


def closed(*names: str, since: datetime = NOON) -> ClosedWindow:
    tasks = [WaitingTask(task_id=TaskId(name), round=1, since=since) for name in names]
    return ClosedWindow(tenant=ACME, window_id=WINDOW, tasks=tasks)


def decision(known: Known, now: datetime = NOON, remembered: Remembered | None = None) -> WindowDecision:
    return WindowDecision(known, known, known, lambda tenant: now, known.keep, remembered)


def given(outcome: DecideWindow) -> dict[str, str]:
    return {each.task_id: one.rider_id for one in outcome.given for each in one.tasks}


def fact(outcome: DecideWindow) -> WindowDecided:
    return WindowDecided(**{name: getattr(outcome, name) for name in WindowDecided.__struct_fields__})


# What is gathered


async def test_it_gives_what_still_waits_and_says_what_is_gone():
    known = Known([rider("ann", km(0))], task("a", km(1), km(2)))
    outcome = await decision(known)(closed("a", "b"))
    assert (given(outcome), outcome.left, outcome.gone) == ({"a": "ann"}, [], ["b"])
    assert (outcome.riders, outcome.policy_version, outcome.solver) == (1, 3, "batch-1")


async def test_what_was_put_on_hold_meanwhile_is_left_so_that_its_release_begins_another_round():
    known = Known([rider("ann", km(0))], task("a", km(1), km(2)))
    known.held = {"a"}
    outcome = await decision(known)(closed("a"))
    assert (outcome.given, outcome.gone) == ([], [])
    assert [(each.task_id, each.code) for each in outcome.left] == [("a", "on_hold")]


async def test_a_window_in_which_nothing_waits_any_more_is_decided_on_too():
    outcome = await decision(Known([rider("ann", km(0))]))(closed("a"))
    assert (outcome.given, outcome.left, outcome.gone) == ([], [], ["a"])


async def test_what_it_knew_is_kept_under_its_hash_and_holds_no_place():
    known = Known([rider("ann", km(0.123456))], task("a", km(1), km(2)))
    outcome = await decision(known, minutes(1))(closed("a"))
    [(digest, content)] = known.kept.items()
    assert digest == outcome.input_hash
    assert record_of(content).question.decided_at == minutes(1)
    assert not hasattr(record_of(content).question.tasks[0], "location")


async def test_it_is_not_made_before_a_task_came_where_the_clock_was_advanced_and_nobody_has_said_so_here():
    known = Known([rider("ann", km(0))], task("a", km(1), km(2)))
    outcome = await decision(known, NOON)(closed("a", since=minutes(30)))
    assert record_of(known.kept[outcome.input_hash]).question.decided_at == minutes(30)


async def test_for_those_who_can_do_nothing_no_way_is_asked_and_why_they_cannot_is_said():
    riders = [rider("ann", km(0)), rider("bob", km(7), shift_ends_at=None), rider("cyd", km(8), seen_at=minutes(-99))]
    known, remembered = Known(riders, task("a", km(1), km(2))), Remembered()
    outcome = await decision(known, remembered=remembered)(closed("a"))
    assert km(7) not in known.asked
    [opening] = await WindowTenders(lambda tenant: NOON, remembered=remembered)(fact(outcome), source_of(WINDOW))
    assert {each.rider_id: each.code for each in opening.excluded} == {"bob": "off_shift", "cyd": "stale_fix"}


async def test_a_stop_that_still_stands_on_the_way_of_the_rider_who_lost_it_does_not_count():
    before = rider("ann", km(0), (stop("a", "pickup"), km(30)), tasks=0)
    outcome = await decision(Known([before], task("a", km(1), km(2))))(closed("a"))
    assert given(outcome) == {"a": "ann"}


async def test_what_there_is_no_room_for_comes_after_what_has_waited_longer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(windows, "MOST_POINTS", 5)
    known = Known([rider("ann", km(0)), rider("bob", km(0))], *(task(name, km(1), km(2)) for name in ("a", "b", "c")))
    outcome = await decision(known)(closed("a", "b", "c"))
    assert set(given(outcome)) == {"a"}, "two riders and two stops: there is room for one"
    assert [(each.task_id, each.code) for each in outcome.left] == [
        ("b", "window_too_large"),
        ("c", "window_too_large"),
    ]


async def test_of_too_many_riders_the_nearest_are_looked_at(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(windows, "MOST_RIDER_POINTS", 2)
    riders = [rider("ann", km(9)), rider("bob", km(1)), rider("cyd", km(2)), rider("dan", km(0), on_break=True)]
    known = Known(riders, task("a", km(1), km(2)))
    outcome = await decision(known)(closed("a"))
    question = record_of(known.kept[outcome.input_hash]).question
    assert [each.rider_id for each in question.riders] == ["bob", "cyd", "dan"]
    assert (question.passed_over, outcome.riders) == (1, 4)


# What comes of it


async def test_where_nobody_remembers_the_tenders_are_told_from_the_record_the_same():
    known, remembered = Known([rider("ann", km(0)), rider("bob", km(3))], task("a", km(1), km(2))), Remembered()
    event = fact(await decision(known, remembered=remembered)(closed("a")))
    at_once = await WindowTenders(lambda tenant: NOON, remembered=remembered)(event, source_of(WINDOW))
    later = await WindowTenders(lambda tenant: NOON, known.record)(event, source_of(WINDOW))
    assert at_once == later
    known.kept.clear()
    [bare] = await WindowTenders(lambda tenant: NOON, known.record)(event, source_of(WINDOW))
    assert bare.offers == at_once[0].offers


async def test_offers_stand_from_when_they_are_sent():
    known = Known([rider("ann", km(0))], task("a", km(1), km(2)))
    event = fact(await decision(known)(closed("a")))
    [opening] = await WindowTenders(lambda tenant: minutes(30))(event, source_of(WINDOW))
    assert opening.offers[0].expires_at == minutes(31)


def test_where_deciding_fails_all_of_it_comes_again():
    outcome = not_decided(closed("a", "b"))
    assert [(each.task_id, each.code) for each in outcome.left] == [("a", "not_decided"), ("b", "not_decided")]
    assert len(outcome.left) <= MOST_WINDOW_TASKS


# The process


class Desk:
    """Refuses the first so many steps."""

    def __init__(self, refused: int = 0) -> None:
        self.refused, self.steps = refused, list[Step]()

    async def __call__(self, step: Step, source: Source, tenant: TenantSlug) -> Done | NotAllowed:
        self.steps.append(step)
        return NotAllowed("not-in-this-state", "not_in_this_state") if len(self.steps) <= self.refused else Done({})


async def no_tenders(event: WindowDecided, source: Source) -> Sequence[OpenTender]:
    return []


async def dispatched(desk: Desk, event: TaskDispatchable, at: datetime = NOON) -> None:
    await Process("windows", windowing(no_tenders), desk).take(event, source_of("task-1", at=at))


async def test_a_task_joins_the_window_of_the_time_at_which_it_came():
    desk = Desk()
    await dispatched(desk, TaskDispatchable(round=2, window_seconds=60), minutes(0.5))
    [step] = desk.steps
    assert step.aggregate_id == window_id(ACME, 60, int(NOON.timestamp()) // 60)
    wanted = JoinWindow(task_id=TaskId("task-1"), round=2, since=minutes(0.5), closes_at=minutes(1), seconds=60)
    assert step.command == wanted


async def test_one_that_waits_for_no_window_joins_none():
    desk = Desk()
    await dispatched(desk, TaskDispatchable(round=1))
    assert desk.steps == []


async def test_where_a_window_is_closed_the_task_joins_the_next_that_is_not():
    desk = Desk(refused=2)
    await dispatched(desk, TaskDispatchable(round=1, window_seconds=60))
    assert [step.command.closes_at for step in desk.steps] == [minutes(1), minutes(2), minutes(3)]  # type: ignore[attr-defined]
    assert len({step.aggregate_id for step in desk.steps}) == 3


async def test_where_none_takes_it_its_round_is_over_and_the_next_comes_by_the_tenants_rules():
    desk = Desk(refused=1 + MOST_LATER)
    await dispatched(desk, TaskDispatchable(round=1, window_seconds=60))
    assert len(desk.steps) == 1 + MOST_LATER + 1
    tender = tender_id(TaskId("task-1"), 1)
    assert desk.steps[-1].command == CloseTender(tender_id=tender, round=1, outcome="exhausted")


async def test_each_tender_of_a_window_is_opened_under_an_id_of_its_own():
    known = Known([rider("ann", km(0)), rider("bob", km(5))], task("a", km(1), km(2)), task("b", km(5), km(6)))
    event, desk = fact(await decision(known)(closed("a", "b"))), Desk()
    await Process("windows", windowing(WindowTenders(lambda tenant: NOON, known.record)), desk).take(
        event, source_of(WINDOW)
    )
    assert [step.aggregate_id for step in desk.steps] == [tender_id(TaskId(name), 1) for name in ("a", "b")]
    assert len({step.command_id(source_of(WINDOW)) for step in desk.steps}) == 2
