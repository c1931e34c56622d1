"""When a task comes to dispatch: what it waits for, and what sets another time."""

import pytest
from msgspec.structs import replace
from story import NOON, Story, minutes, nothing_yet

from commands.refusals import NotAnInterval
from commands.task_state import StopNotKnown, state_of
from commands.task_timing import NotAPlaceOfGoods
from schemas.batch_rules import BatchRules
from schemas.dispatch_rules import Asked, DispatchRules, TenderStep
from schemas.field_report import ReportPickedUp
from schemas.geo import Location, Window
from schemas.message import NotInThisState, RiderId, StopId, TenderId
from schemas.stop import NewParcel, NewStop
from schemas.task import (
    AssignTask,
    CancelTask,
    CloseTender,
    CreateTask,
    HoldTask,
    LocateStop,
    RecordTender,
    ReleaseTask,
    RescheduleStop,
    RetryDispatch,
    StartDispatch,
    TaskDispatchable,
    TaskScheduled,
    UnassignTask,
    UpdateGoodsReady,
)

HOME = Location(lat=60.1610, lon=24.9420)
PICKUP, DROPOFF = StopId("stop-1"), StopId("stop-2")
TENDER = TenderId("tender-1")
LEAD = {"dispatch_lead_seconds": 15 * 60}
AT_PICKUP = NewStop(kind="pickup")
AT_HOME = NewStop(kind="dropoff", location=HOME)


def a_task(pickup: NewStop = AT_PICKUP, dropoff: NewStop = AT_HOME, **changes: object) -> Story:
    wanted = {"kind": "delivery", "outlet": "kamppi", "stops": [pickup, dropoff], "parcels": [NewParcel()]} | changes
    return nothing_yet("task").where(**LEAD).when(CreateTask(**wanted))  # type: ignore[arg-type]


def ready_in(count: float) -> NewStop:
    return replace(AT_PICKUP, goods_ready_at=minutes(count))


def test_a_task_comes_to_dispatch_so_long_before_its_goods_are_ready():
    a_task(ready_in(15)).tells("TaskCreated", "TaskDispatchable")
    story = a_task(ready_in(60))
    assert story.decided()[1:] == [TaskScheduled(dispatch_at=minutes(45))]
    waiting = story.happened()
    assert state_of(waiting.state) == "created"
    waiting.at(minutes(44)).when(StartDispatch()).then()
    waiting.at(minutes(45)).when(StartDispatch()).tells("TaskDispatchable")
    waiting.and_then(StartDispatch()).then()


def test_a_window_of_the_pickup_is_waited_for_as_well():
    window = Window(start=minutes(120), end=minutes(180))
    assert a_task(replace(ready_in(60), window=window)).decided()[1:] == [TaskScheduled(dispatch_at=minutes(105))]


def test_a_slipping_estimate_sets_another_time_and_goods_that_are_ready_end_the_wait():
    story = a_task(ready_in(60)).happened()
    later = story.when(UpdateGoodsReady(stop_id=PICKUP, ready_at=minutes(90)))
    later.tells("GoodsReadyUpdated", "TaskScheduled").happened()
    story.at(minutes(50)).when(StartDispatch()).then()
    now_ready = UpdateGoodsReady(stop_id=PICKUP, ready_at=minutes(50), actual=True)
    story.when(now_ready).tells("GoodsReadyUpdated", "TaskDispatchable")
    story.and_then(now_ready).then()


def test_goods_are_ready_at_a_pickup_that_is_ahead():
    story = a_task(ready_in(60)).happened()
    story.when(UpdateGoodsReady(stop_id=DROPOFF, ready_at=NOON)).refuses(NotAPlaceOfGoods)
    story.when(UpdateGoodsReady(stop_id=StopId("other"), ready_at=NOON)).refuses(StopNotKnown)
    story.when(CancelTask(reason_code="x")).happened()
    story.when(UpdateGoodsReady(stop_id=PICKUP, ready_at=NOON)).refuses(NotInThisState)


def test_a_task_that_waits_for_a_place_is_scheduled_once_it_has_one():
    story = a_task(ready_in(60), NewStop(kind="dropoff")).tells("TaskCreated").happened()
    story.when(LocateStop(stop_id=DROPOFF, location=HOME)).tells("StopLocated", "TaskScheduled")


def test_a_stop_is_rescheduled_while_it_is_ahead():
    tomorrow = Window(start=minutes(24 * 60), end=minutes(25 * 60))
    story = a_task().happened()
    story.when(RescheduleStop(stop_id=DROPOFF, window=tomorrow, reason_code="asked")).tells("StopRescheduled")
    story.and_then(RescheduleStop(stop_id=DROPOFF, window=tomorrow, reason_code="asked")).then()
    backwards = Window(start=minutes(2), end=minutes(1))
    story.when(RescheduleStop(stop_id=DROPOFF, window=backwards, reason_code="x")).refuses(NotAnInterval)
    waiting = a_task(ready_in(60)).happened()
    moved = waiting.when(RescheduleStop(stop_id=PICKUP, window=tomorrow, reason_code="asked"))
    moved.tells("StopRescheduled", "TaskScheduled")


def test_what_is_held_does_not_come_to_dispatch_until_it_is_released():
    story = a_task(on_hold=True).tells("TaskCreated").happened()
    story.when(ReleaseTask(reason_code="wave")).tells("TaskReleased", "TaskDispatchable")
    waiting = a_task(ready_in(60)).happened().when(HoldTask(reason_code="stock")).tells("TaskHeld", "TaskScheduled")
    waiting.happened().at(minutes(50)).when(StartDispatch()).then()
    waiting.when(HoldTask(reason_code="stock")).then()
    waiting.when(ReleaseTask(reason_code="stock")).tells("TaskReleased", "TaskDispatchable")
    waiting.and_then(ReleaseTask(reason_code="stock")).then()


def test_a_hold_keeps_a_task_from_its_next_round():
    story = a_task().happened().when(RecordTender(tender_id=TENDER, round=1)).happened()
    story.when(HoldTask(reason_code="stock")).tells("TaskHeld").happened()
    [closed] = story.when(CloseTender(tender_id=TENDER, round=1, outcome="exhausted")).decided()
    assert closed.retry_at is None, "nothing is due until it is released"
    story.happened()
    story.at(minutes(60)).when(RetryDispatch(round=1)).then()
    story.when(ReleaseTask(reason_code="stock")).tells("TaskReleased", "TaskDispatchable")


def test_what_a_rider_has_is_not_held_and_a_claim_that_is_won_ends_the_hold():
    story = a_task().happened().when(RecordTender(tender_id=TENDER, round=1)).happened()
    story.when(HoldTask(reason_code="stock")).happened()
    story.when(AssignTask(rider_id=RiderId("ann"), tender_id=TENDER)).happened()
    assert story.state.held is None
    story.when(HoldTask(reason_code="stock")).refuses(NotInThisState)


def test_a_cancelled_task_waits_for_nothing():
    story = a_task(on_hold=True).happened().when(CancelTask(reason_code="x")).happened()
    story.when(ReleaseTask(reason_code="wave")).refuses(NotInThisState)
    story.when(StartDispatch()).then()


def test_a_stop_that_is_over_is_not_rescheduled():
    tomorrow = Window(start=minutes(24 * 60), end=minutes(25 * 60))
    story = a_task().happened().when(AssignTask(rider_id=RiderId("ann"))).happened().by("ann")
    story = story.when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)).happened()
    story.when(RescheduleStop(stop_id=PICKUP, window=tomorrow, reason_code="asked")).refuses(NotInThisState)
    story.when(RescheduleStop(stop_id=DROPOFF, window=tomorrow, reason_code="asked")).tells("StopRescheduled")


@pytest.mark.parametrize(("to", "waits"), [("riders", 60), ("carriers", None), ("both", None)])
def test_a_round_that_asks_riders_alone_waits_for_a_window(to: Asked, waits: int | None):
    by_windows = DispatchRules(
        batch=BatchRules(window_seconds=60), steps=[TenderStep(mode="direct"), TenderStep(mode="direct", to=to)]
    )
    story = a_task().where(dispatch=by_windows)
    first = [event for event in story.decided() if isinstance(event, TaskDispatchable)]
    assert [event.window_seconds for event in first] == [60]
    story.happened()
    story.by("dora", "dispatcher").when(AssignTask(rider_id=RiderId("ann"))).happened()
    again = story.when(UnassignTask(reason_code="late")).decided()
    assert [event.window_seconds for event in again if isinstance(event, TaskDispatchable)] == [waits]
