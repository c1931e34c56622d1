"""The clock of what was promised for a task: when it starts, pauses, is at risk, broken, kept, and stops."""

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace
from story import CENTRE, KAMPPI, NOON, NORTH, PROMISED, UP_NORTH, Story, minutes, nothing_yet

from commands.context import HubPolicy
from schemas.field_report import (
    ReportArrived,
    ReportAttemptFailed,
    ReportCollected,
    ReportCustomerArrived,
    ReportDelivered,
    ReportHeld,
    ReportPickedUp,
    ReportReturned,
)
from schemas.geo import Location, ObservedFix
from schemas.goods import ReportParcelsLost
from schemas.message import GeofenceId, HubSlug, ParcelId, RiderId, StopId, TenderId
from schemas.sla import (
    MarkSlaAtRisk,
    MarkSlaBreach,
    SlaAtRisk,
    SlaBreached,
    SlaClockPaused,
    SlaClockStarted,
    SlaClockStopped,
    SlaPromiseSettled,
    SlaTarget,
)
from schemas.sla_policy import SlaScope, SlaTerms
from schemas.stop import NewParcel, NewStop
from schemas.task import (
    AcceptAssignment,
    AssignTask,
    CancelTask,
    CreateTask,
    ForceCompleteTask,
    HoldTask,
    LocateStop,
    ReattemptDelivery,
    RecordTender,
    ReleaseTask,
    StartDispatch,
    UnassignTask,
    UpdateGoodsReady,
)
from schemas.task_kind import TaskKind

HOME = Location(lat=60.1610, lon=24.9420)
PICKUP, DROPOFF = StopId("stop-1"), StopId("stop-2")
ANN, TENDER = RiderId("ann"), TenderId("tender-1")
HOUR = SlaTerms(
    deliver_within_s=3_600, at_risk_margin_s=600, breach_levels_minutes=[15, 30], pauses=["stock", "nobody"]
)
ALL = replace(HOUR, dispatch_within_s=300, pickup_within_s=1_800)


def a_task(terms: SlaTerms = HOUR, pickup: NewStop | None = None, **changes: Any) -> Story:
    stops = [pickup or NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME)]
    wanted = {"kind": "delivery", "outlet": "kamppi", "stops": stops, "parcels": [NewParcel()]} | changes
    return nothing_yet("task").promising(terms).when(CreateTask(**wanted))


def under_way(terms: SlaTerms = HOUR) -> Story:
    story = a_task(terms).happened().when(RecordTender(tender_id=TENDER, round=1)).happened()
    story.when(AssignTask(rider_id=ANN, tender_id=TENDER)).happened()
    return story.by(ANN).when(ReportPickedUp(stop_id=PICKUP, observed_at=minutes(5))).happened()


def of(story: Story, *kinds: type) -> list[Any]:
    return [event for event in story.decided() if isinstance(event, kinds)]


def at_risk(target_at: datetime, predicted_at: datetime | None = None) -> MarkSlaAtRisk:
    return MarkSlaAtRisk(promise="deliver", target_at=target_at, predicted_at=predicted_at)


DUE = minutes(60)


def breach(level: int, target_at: datetime = DUE) -> MarkSlaBreach:
    return MarkSlaBreach(promise="deliver", target_at=target_at, level=level)


# It starts


def test_a_task_keeps_what_was_promised_when_it_was_created():
    created = a_task().decided()[0]
    assert (created.sla.policy_id, created.sla.policy_version, created.sla.terms) == (PROMISED, 1, HOUR)


TO_NORTH, AT_OUTLET = NewStop(kind="dropoff", location=UP_NORTH), NewStop(kind="dropoff", outlet="kamppi")
FROM_NORTH, FROM_OUTLET = NewStop(kind="pickup", location=UP_NORTH), NewStop(kind="pickup")


def promised_in(zone: GeofenceId, kind: TaskKind, *stops: NewStop) -> bool:
    """Whether such a task is promised what a policy of that zone promises."""
    order = CreateTask(kind=kind, outlet="kamppi", stops=list(stops), parcels=[NewParcel()])
    story = nothing_yet("task").promising(HOUR, SlaScope(zone=zone)).when(order)
    story.hubs = {HubSlug("north"): HubPolicy(UP_NORTH, "Europe/Helsinki")}
    return story.decided()[0].sla is not None


@pytest.mark.parametrize(
    ("kind", "stops", "zone"),
    [
        ("delivery", [FROM_OUTLET, TO_NORTH], NORTH),
        ("delivery", [FROM_OUTLET, NewStop(kind="dropoff", location=KAMPPI), TO_NORTH], CENTRE),
        ("delivery", [NewStop(kind="pickup", hub="north"), NewStop(kind="dropoff", location=KAMPPI)], CENTRE),
        ("transfer", [FROM_OUTLET, NewStop(kind="dropoff", hub="north")], NORTH),
        ("pickup", [FROM_NORTH, AT_OUTLET], NORTH),
        ("pickup", [FROM_NORTH, NewStop(kind="pickup", location=KAMPPI), AT_OUTLET], NORTH),
        ("return", [FROM_NORTH, AT_OUTLET], NORTH),
        ("collection", [NewStop(kind="collection")], CENTRE),
    ],
)
def test_the_zone_of_a_promise_is_where_the_goods_are_to_come_or_the_customer_gives_them(
    kind: TaskKind, stops: list[NewStop], zone: GeofenceId
):
    assert promised_in(zone, kind, *stops)
    other = CENTRE if zone == NORTH else NORTH
    assert not promised_in(other, kind, *stops)


def test_a_stop_that_is_located_later_is_in_no_zone_and_changes_no_promise():
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff")]
    story = a_task(stops=stops).promising(HOUR, SlaScope(zone=CENTRE))
    assert story.decided()[0].sla is None
    story.happened().when(LocateStop(stop_id=DROPOFF, location=KAMPPI)).happened()
    assert story.state.sla is None
    elsewhere = a_task(stops=stops).happened().when(LocateStop(stop_id=DROPOFF, location=UP_NORTH)).happened()
    assert [*elsewhere.state.sla.promises] == ["deliver"]


def test_a_zone_that_is_removed_takes_no_promise_with_it():
    story = a_task().promising(HOUR, SlaScope(zone=CENTRE)).happened()
    story.zones = {}
    assert of(story.at(minutes(60)).when(breach(0)), SlaBreached)
    again = nothing_yet("task").promising(HOUR, SlaScope(zone=CENTRE)).when(a_task().command)
    again.zones = {}
    assert again.decided()[0].sla is None


def test_the_clock_starts_as_the_task_comes_to_dispatch():
    [started] = of(a_task(), SlaClockStarted)
    deliver = SlaTarget(
        promise="deliver", target_at=minutes(60), at_risk_at=minutes(50), level=0, breach_at=minutes(60)
    )
    assert started.targets == [deliver]
    waiting = a_task(pickup=NewStop(kind="pickup", goods_ready_at=minutes(120)))
    assert of(waiting, SlaClockStarted) == []
    [started] = of(waiting.happened().at(minutes(105)).when(StartDispatch()), SlaClockStarted)
    assert started.targets[0].target_at == minutes(165)


def test_a_collection_is_not_dispatched_and_its_clock_starts_with_it():
    story = a_task(kind="collection", stops=[NewStop(kind="collection")])
    assert of(story, SlaClockStarted)
    story.happened().at(minutes(30)).by("staff", "operator")
    [settled] = of(story.when(ReportCollected(stop_id=PICKUP, observed_at=minutes(20))), SlaPromiseSettled)
    assert (settled.promise, settled.late_s) == ("deliver", 0)


def test_where_nothing_is_promised_there_is_no_clock():
    story = nothing_yet("task").when(a_task().command)
    story.tells("TaskCreated", "TaskDispatchable")


# It is settled


def test_each_promise_is_settled_by_what_it_was_about():
    story = a_task(ALL).happened().when(RecordTender(tender_id=TENDER, round=1)).happened().at(minutes(4))
    [dispatched] = of(story.when(AssignTask(rider_id=ANN, tender_id=TENDER)), SlaPromiseSettled)
    assert (dispatched.promise, dispatched.late_s) == ("dispatch", 0)
    story.happened().by(ANN).at(minutes(40))
    [picked_up] = of(story.when(ReportPickedUp(stop_id=PICKUP, observed_at=minutes(40))), SlaPromiseSettled)
    assert (picked_up.promise, picked_up.late_s) == ("pickup", 600)
    story.happened().at(minutes(50))
    [delivered] = of(story.when(ReportDelivered(stop_id=DROPOFF, observed_at=minutes(50))), SlaPromiseSettled)
    assert (delivered.promise, delivered.late_s) == ("deliver", 0)
    assert story.happened().state.sla.promises == {}


def test_it_goes_by_when_it_happened_and_not_by_when_it_was_told():
    story = under_way().at(minutes(61)).when(breach(0)).happened()
    story.at(minutes(90)).when(ReportDelivered(stop_id=DROPOFF, observed_at=minutes(55)))
    [settled] = of(story, SlaPromiseSettled)
    assert (settled.settled_at, settled.late_s) == (minutes(55), 0)


def two_of_them(refused: list[ParcelId]) -> Story:
    story = a_task(parcels=[NewParcel(), NewParcel()]).happened().by("dora", "dispatcher")
    story.when(AssignTask(rider_id=ANN)).happened().by(ANN)
    story.when(ReportPickedUp(stop_id=PICKUP, observed_at=minutes(5))).happened()
    return story.at(minutes(30)).when(ReportDelivered(stop_id=DROPOFF, observed_at=minutes(30), refused=refused))


def test_what_was_taken_came_when_it_was_taken_though_the_rest_is_carried_back():
    story = two_of_them(refused=[ParcelId("parcel-2")])
    [settled] = of(story, SlaPromiseSettled)
    assert (settled.promise, settled.settled_at, settled.late_s) == ("deliver", minutes(30), 0)
    back = ReportReturned(stop_id=StopId("return-1"), observed_at=minutes(90))
    story.happened().at(minutes(90)).when(back).tells("ParcelsReturned", "StopCompleted", "TaskReturned")


def test_where_nothing_was_taken_nothing_came():
    story = two_of_them(refused=[ParcelId("parcel-1"), ParcelId("parcel-2")])
    assert of(story, SlaPromiseSettled) == []
    back = ReportReturned(stop_id=StopId("return-1"), observed_at=minutes(90))
    assert of(story.happened().when(back), SlaClockStopped) == [
        SlaClockStopped(promises=["deliver"], outcome="returned")
    ]


def test_a_task_that_ends_without_it_stops_the_clock():
    cancelled = a_task(ALL).happened().when(CancelTask(reason_code="asked"))
    assert of(cancelled, SlaClockStopped) == [
        SlaClockStopped(promises=["dispatch", "pickup", "deliver"], outcome="cancelled")
    ]
    lost = ReportParcelsLost(parcel_ids=[ParcelId("parcel-1")], reason_code="theft", observed_at=NOON)
    assert of(under_way().when(lost), SlaClockStopped) == [SlaClockStopped(promises=["deliver"], outcome="failed")]
    forced = under_way().by("olga", "operator")
    forced.when(ForceCompleteTask(disposition="delivered", reason_code="seen"))
    assert [event.promise for event in of(forced, SlaPromiseSettled)] == ["deliver"]


def test_what_was_dispatched_once_was_dispatched_in_time_whoever_has_it_afterwards():
    story = a_task(ALL).happened().by("dora", "dispatcher").when(AssignTask(rider_id=ANN)).happened()
    story.at(minutes(10)).when(UnassignTask(reason_code="ill"))
    assert of(story, SlaClockStarted, SlaPromiseSettled) == []


# It is at risk, and broken


def test_a_promise_is_at_risk_once_its_margin_is_used_up_and_only_once():
    story = under_way().at(minutes(49)).when(at_risk(minutes(60)))
    story.then()
    story.at(minutes(50)).then(SlaAtRisk(promise="deliver", target_at=minutes(60), predicted_at=None))
    story.and_then(at_risk(minutes(60))).then()


def test_a_promise_is_at_risk_by_the_forecast_long_before():
    story = under_way().at(minutes(10)).when(at_risk(minutes(60), minutes(59)))
    story.then()
    story.when(at_risk(minutes(60), minutes(61)))
    story.then(SlaAtRisk(promise="deliver", target_at=minutes(60), predicted_at=minutes(61)))


def test_a_promise_is_broken_level_by_level_and_the_answerable_is_named():
    story = under_way().at(minutes(59)).when(breach(0))
    story.then()
    [event] = story.at(minutes(60)).decided()
    assert (event.level, event.minutes, event.at_fault, event.next_at) == (0, 0, "rider", minutes(75))
    story.and_then(breach(0)).then()
    story.when(breach(1)).then()
    [event] = story.at(minutes(75)).decided()
    assert (event.level, event.minutes, event.next_at) == (1, 15, minutes(90))
    [event] = story.and_then(breach(2)).at(minutes(90)).decided()
    assert (event.level, event.next_at) == (2, None)
    story.and_then(breach(3)).at(minutes(900)).then()


def test_while_nobody_has_it_we_are_answerable():
    [event] = a_task().happened().at(minutes(60)).when(breach(0)).decided()
    assert isinstance(event, SlaBreached)
    assert event.at_fault == "system"


# It pauses


def test_the_clock_stands_still_for_what_the_terms_name_and_goes_on_afterwards():
    story = a_task().happened().at(minutes(10)).when(HoldTask(reason_code="stock"))
    [paused] = of(story, SlaClockPaused)
    assert (paused.reason_code, paused.paused_at, paused.promises) == ("stock", minutes(10), ["deliver"])
    story.happened().at(minutes(70)).when(breach(0)).then()
    story.when(ReleaseTask(reason_code="stock")).tells("TaskReleased", "SlaClockResumed")
    [_, resumed] = story.decided()
    assert (resumed.paused_s, resumed.targets[0].target_at) == (3_600, minutes(120))
    story.happened().when(breach(0)).then()
    story.at(minutes(120)).when(breach(0, minutes(120))).tells("SlaBreached")


def test_for_anything_else_it_runs_on():
    story = a_task().happened().at(minutes(10)).when(HoldTask(reason_code="lunch"))
    assert of(story, SlaClockPaused) == []


def test_the_clock_stands_still_while_goods_wait_for_another_attempt():
    story = under_way().after("nobody", "hold_at_hub", retryable=False).at(minutes(30))
    failed = ReportAttemptFailed(stop_id=DROPOFF, observed_at=minutes(30), reason_code="nobody")
    [paused] = of(story.when(failed), SlaClockPaused)
    assert (paused.at_fault, paused.paused_at) == ("recipient", minutes(30))
    story.happened().at(minutes(40)).when(ReportHeld(stop_id=StopId("hold-1"), observed_at=minutes(40))).happened()
    story.by("dora", "dispatcher").at(minutes(90)).when(ReattemptDelivery(reason_code="asked"))
    story.tells("ReattemptPlanned", "TaskReleased", "TaskDispatchable", "SlaClockResumed")
    assert story.decided()[-1].targets[0].target_at == minutes(120)


def test_a_task_that_is_cancelled_while_its_clock_stands_still_stops_it():
    story = a_task().happened().when(HoldTask(reason_code="stock")).happened().when(CancelTask(reason_code="asked"))
    story.tells("TaskCancelled", "SlaClockStopped")


def test_an_order_that_waits_for_the_riders_yes_keeps_no_promise():
    story = a_task(ALL).happened().by("dora", "dispatcher").when(AssignTask(rider_id=ANN))
    assert of(story, SlaPromiseSettled) == []
    accepted = story.happened().by(ANN).at(minutes(3)).when(AcceptAssignment())
    assert [settled.promise for settled in of(accepted, SlaPromiseSettled)] == ["dispatch"]


def test_nobody_keeps_a_promise_by_a_time_before_they_had_the_task():
    story = a_task(HOUR).happened().by("dora", "dispatcher").at(minutes(70)).when(AssignTask(rider_id=ANN)).happened()
    story = story.by(ANN).when(ReportPickedUp(stop_id=PICKUP, observed_at=minutes(20))).happened()
    [settled] = of(story.when(ReportDelivered(stop_id=DROPOFF, observed_at=minutes(30))), SlaPromiseSettled)
    assert (settled.settled_at, settled.target_at) == (minutes(70), minutes(60))


def test_nobody_keeps_a_promise_by_a_time_that_is_still_to_come():
    delivered = ReportDelivered(stop_id=DROPOFF, observed_at=minutes(50))
    [settled] = of(under_way().at(minutes(20)).when(delivered), SlaPromiseSettled)
    assert settled.settled_at == minutes(20)


def test_what_is_settled_while_the_clock_stands_still_is_as_late_as_it_was_when_that_began():
    story = under_way().after("nobody", "hold_at_hub", retryable=False).at(minutes(30))
    failed = ReportAttemptFailed(stop_id=DROPOFF, observed_at=minutes(30), reason_code="nobody")
    story = story.when(failed).happened().at(minutes(90)).by("olga", "operator")
    forced = story.when(ForceCompleteTask(disposition="delivered", reason_code="fetched"))
    [settled] = of(forced, SlaPromiseSettled)
    assert (settled.target_at, settled.settled_at, settled.late_s) == (minutes(60), minutes(90), 0)


def test_what_ends_before_its_clock_began_keeps_nothing():
    story = a_task(on_hold=True).happened().when(CancelTask(reason_code="asked"))
    assert story.decided()[-1] == SlaClockStopped(promises=["deliver"], outcome="cancelled")


# Who is answerable


def at_fault(story: Story) -> str:
    [event] = story.at(minutes(60)).when(breach(0)).decided()
    assert isinstance(event, SlaBreached)
    return event.at_fault


def test_while_the_goods_are_not_ready_it_is_who_sends_them():
    pickup = NewStop(kind="pickup", goods_ready_at=minutes(10))
    story = a_task(pickup=pickup).happened().when(AssignTask(rider_id=ANN)).happened().by(ANN)
    here = ObservedFix(lat=60.1688, lon=24.9316, observed_at=NOON)
    assert at_fault(story) == "rider", "who is not there yet waits for nobody"
    story = story.when(ReportArrived(stop_id=PICKUP, observed_at=NOON, fix=here)).happened()
    assert at_fault(story) == "sender"
    ready = story.when(UpdateGoodsReady(stop_id=PICKUP, ready_at=minutes(20), actual=True)).happened()
    assert at_fault(ready) == "rider"


def test_at_a_collection_it_is_who_does_not_come_and_then_who_lets_them_wait():
    stop = NewStop(kind="collection")
    story = a_task(kind="collection", stops=[stop]).happened()
    assert at_fault(story) == "recipient"
    there = story.when(ReportCustomerArrived(stop_id=PICKUP, observed_at=NOON)).happened()
    assert at_fault(there) == "sender"
