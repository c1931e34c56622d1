from msgspec.structs import replace
from story import NOON, SECRETS, Story, context, minutes, nothing_yet

from commands.context import UnknownOutlet
from commands.field_reports import TooFarFromStop
from commands.proof import ParcelNotHere, PinAttemptsExhausted
from commands.task_creation import ParcelMismatch, StopsMismatch, pin_of
from commands.task_state import GoodsInCustody, NotTheAssignee, StopNotKnown, leg_of, state_of
from schemas.field_report import (
    CaptureProof,
    ReportArrived,
    ReportAttemptFailed,
    ReportDelivered,
    ReportEnRoute,
    ReportPickedUp,
    ReportReturned,
)
from schemas.geo import Location, ObservedFix, Window
from schemas.message import NotInThisState, ParcelId, RiderId, StopId, TenderId
from schemas.proof import PhotoEntry, PinEntry
from schemas.stop import NewContact, NewParcel, NewStop
from schemas.task import (
    AcceptAssignment,
    AssignTask,
    CancelTask,
    CloseTender,
    CreateTask,
    DeclineAssignment,
    ForceCompleteTask,
    HoldTask,
    LocateStop,
    RecordTender,
    ReleaseTask,
    RetryDispatch,
    TaskUnassigned,
    UnassignTask,
)

HOME = Location(lat=60.1610, lon=24.9420)
PICKUP, DROPOFF, RETURN = StopId("stop-1"), StopId("stop-2"), StopId("return-1")
ANN, BOB = RiderId("ann"), RiderId("bob")
TENDER = TenderId("tender-1")
PARCEL = ParcelId("parcel-1")
PIN = pin_of(context(), DROPOFF)
WRONG_PIN = "0000" if PIN != "0000" else "1111"


def delivery(**changes: object) -> CreateTask:
    stops = [
        NewStop(kind="pickup"),
        NewStop(kind="dropoff", location=HOME, contact=NewContact(name="Cleo"), required_proof=[["pin"]]),
    ]
    return CreateTask(**{"kind": "delivery", "outlet": "kamppi", "stops": stops, "parcels": [NewParcel()]} | changes)  # type: ignore[arg-type]


def created(**changes: object) -> Story:
    return told(nothing_yet("task").when(delivery(**changes)))


def told(story: Story) -> Story:
    return story.happened()


def assigned_to(rider: RiderId, **changes: object) -> Story:
    return (
        created(**changes)
        .when(RecordTender(tender_id=TENDER, round=1))
        .and_then(AssignTask(rider_id=rider, tender_id=TENDER))
        .happened()
    )


def state(story: Story) -> str:
    return state_of(story.state)


def picked_up(**changes: object) -> Story:
    return told(assigned_to(ANN, **changes).by(ANN).when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)))


def test_a_located_delivery_is_dispatchable_at_once():
    nothing_yet("task").when(delivery()).tells("TaskCreated", "TaskDispatchable")


def test_a_pickup_without_a_location_is_at_the_outlet():
    story = created()
    assert story.state.stops[PICKUP].stop.location.value.lat == 60.1688


def test_a_dropoff_without_a_location_waits_until_it_is_located():
    story = created(stops=[NewStop(kind="pickup"), NewStop(kind="dropoff")])
    assert state(story) == "created"
    story.when(LocateStop(stop_id=DROPOFF, location=HOME)).tells("StopLocated", "TaskDispatchable")
    story.when(LocateStop(stop_id=StopId("nowhere"), location=HOME)).refuses(StopNotKnown)


def test_stops_and_parcels_must_fit_each_other():
    new = nothing_yet("task")
    new.when(delivery(outlet="nowhere")).refuses(UnknownOutlet)
    new.when(delivery(stops=[NewStop(kind="dropoff", location=HOME), NewStop(kind="pickup")])).refuses(StopsMismatch)
    new.when(delivery(stops=[NewStop(kind="pickup", stop_id="a"), NewStop(kind="dropoff", stop_id="a")])).refuses(
        StopsMismatch
    )
    new.when(delivery(parcels=[NewParcel(dropoff_stop="stop-1")])).refuses(ParcelMismatch)
    new.when(delivery(parcels=[NewParcel(parcel_id="p"), NewParcel(parcel_id="p")])).refuses(ParcelMismatch)
    backwards = NewStop(kind="dropoff", window=Window(start=minutes(1), end=NOON))
    new.when(delivery(stops=[NewStop(kind="pickup"), backwards])).refuses(StopsMismatch)


def test_a_won_claim_makes_the_task_assigned_and_accepted():
    story = created().when(RecordTender(tender_id=TENDER, round=1)).tells("TaskTendered")
    story.and_then(AssignTask(rider_id=ANN, tender_id=TENDER)).tells("TaskAssigned", "AssignmentAccepted")
    assert state(told(story)) == "accepted"


def test_a_dispatchers_order_waits_for_the_riders_yes():
    story = told(created().by("dis", "dispatcher").when(AssignTask(rider_id=ANN)).tells("TaskAssigned"))
    assert state(story) == "assigned"
    story.by(BOB).when(AcceptAssignment()).refuses(NotTheAssignee)
    story.by(ANN).when(AcceptAssignment()).tells("AssignmentAccepted")
    story.by(ANN).when(DeclineAssignment(reason_code="too_far")).tells("TaskUnassigned", "TaskDispatchable")


def test_a_task_has_at_most_one_assignee():
    assigned_to(ANN).when(AssignTask(rider_id=BOB, tender_id=TENDER)).refuses(NotInThisState)
    assigned_to(ANN).when(AssignTask(rider_id=ANN, tender_id=TENDER)).then()


def test_an_award_of_a_former_tender_does_not_assign():
    story = (
        created()
        .when(RecordTender(tender_id=TENDER, round=1))
        .and_then(CloseTender(tender_id=TENDER, round=1, outcome="exhausted"))
    )
    told(story).when(AssignTask(rider_id=ANN, tender_id=TENDER)).refuses(NotInThisState)


def test_a_task_that_nobody_took_comes_to_dispatch_again_when_due_until_the_last_round():
    story = created().where(retry_seconds=60, max_rounds=2).when(RecordTender(tender_id=TENDER, round=1)).happened()
    closed = story.when(CloseTender(tender_id=TENDER, round=1, outcome="exhausted")).decided()[0]
    assert closed.retry_at == minutes(1)
    story = told(story)
    story.when(RetryDispatch(round=1)).then()
    again = story.at(minutes(1)).when(RetryDispatch(round=1)).tells("TaskDispatchable").happened()
    again.when(RetryDispatch(round=1)).then()
    last = again.when(RecordTender(tender_id=TenderId("tender-2"), round=2)).happened()
    assert (
        last.when(CloseTender(tender_id=TenderId("tender-2"), round=2, outcome="exhausted")).decided()[0].retry_at
        is None
    )


def test_an_unassigned_task_comes_back_to_dispatch_in_the_next_round():
    story = assigned_to(ANN).by("dis", "dispatcher").when(UnassignTask(reason_code="late"))
    unassigned, dispatchable = story.decided()
    assert unassigned == TaskUnassigned(rider_id=ANN, round=1, reason_code="late")
    assert dispatchable.round == 2
    told(story).when(UnassignTask(reason_code="late", round=1)).then()


def test_goods_in_custody_are_not_unassigned():
    picked_up().by("dis", "dispatcher").when(UnassignTask(reason_code="late")).refuses(GoodsInCustody)


def test_nor_does_who_has_taken_them_decline_though_they_never_said_yes():
    ordered = told(created().by("dis", "dispatcher").when(AssignTask(rider_id=ANN))).by(ANN)
    taken = told(ordered.when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)))
    taken.when(DeclineAssignment(reason_code="too_far")).refuses(GoodsInCustody)
    taken.by("shop", "integrator").when(CancelTask(reason_code="changed_mind")).tells("ReturnStarted")


def test_the_delivery_is_told_from_stop_to_stop():
    story = assigned_to(ANN).by(ANN)
    here = ObservedFix(lat=60.1688, lon=24.9316, observed_at=NOON)
    home = ObservedFix(lat=HOME.lat, lon=HOME.lon, observed_at=NOON)
    legs = []
    for report in (
        ReportEnRoute(stop_id=PICKUP, observed_at=NOON),
        ReportArrived(stop_id=PICKUP, observed_at=NOON, fix=here),
        ReportPickedUp(stop_id=PICKUP, observed_at=NOON),
        ReportEnRoute(stop_id=DROPOFF, observed_at=NOON),
        ReportArrived(stop_id=DROPOFF, observed_at=NOON, fix=home),
    ):
        story = told(story.when(report))
        legs.append(leg_of(story.state))
    assert legs == ["en_route_pickup", "arrived_pickup", "picked_up", "en_route_dropoff", "arrived_dropoff"]
    story.when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON, proofs=[PinEntry(pin=PIN)])).tells(
        "ParcelsDelivered", "ProofCaptured", "StopCompleted", "TaskCompleted"
    )
    assert told(story).state.outcome == "delivered"


def test_an_arrival_far_from_the_stop_needs_a_reason():
    away = ObservedFix(lat=60.18, lon=24.93, accuracy_m=10, observed_at=NOON)
    story = assigned_to(ANN).by(ANN)
    refused = story.when(ReportArrived(stop_id=PICKUP, observed_at=NOON, fix=away)).refuses(TooFarFromStop)
    assert refused.values()["allowed_m"] == 160
    why = ReportArrived(stop_id=PICKUP, observed_at=NOON, fix=away, override_reason="road_closed")
    arrived = story.when(why).tells("StopArrived").decided()[0]
    assert arrived.override_reason == "road_closed"


def test_goods_handed_over_without_their_proof_leave_the_stop_open():
    story = picked_up().when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)).tells("ParcelsDelivered")
    told(story).when(CaptureProof(stop_id=DROPOFF, observed_at=NOON, proofs=[PinEntry(pin=PIN)])).tells(
        "ProofCaptured", "StopCompleted", "TaskCompleted"
    )


def test_the_leg_is_that_of_the_stop_that_was_told_of_last_though_one_before_waits_for_its_proof():
    stops = [NewStop(kind="pickup", required_proof=[["photo"]]), NewStop(kind="dropoff", location=HOME)]
    story = assigned_to(ANN, stops=stops).by(ANN)
    for report in (ReportEnRoute, ReportPickedUp):
        told(story.when(report(stop_id=PICKUP, observed_at=NOON)))
    told(story.when(ReportEnRoute(stop_id=DROPOFF, observed_at=NOON)))
    assert leg_of(story.state) == "en_route_dropoff"
    assert story.state.stops[PICKUP].status == "en_route", "its photo is missing"


def test_after_a_wrong_pin_the_right_one_is_told_with_the_same_report():
    wrong = ReportDelivered(stop_id=DROPOFF, observed_at=NOON, proofs=[PinEntry(pin=WRONG_PIN)])
    story = told(picked_up().when(wrong).tells("ParcelsDelivered", "PinRejected"))
    right = ReportDelivered(stop_id=DROPOFF, observed_at=NOON, proofs=[PinEntry(pin=PIN)])
    story.when(right).tells("ProofCaptured", "StopCompleted", "TaskCompleted")
    story.and_then(right).then()


def test_either_proof_of_a_group_will_do():
    stops = [
        NewStop(kind="pickup"),
        NewStop(kind="dropoff", location=HOME, required_proof=[["pin", "photo"]]),
    ]
    photo = PhotoEntry(sha256="a" * 64)
    picked_up(stops=stops).when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON, proofs=[photo])).tells(
        "ParcelsDelivered", "ProofCaptured", "StopCompleted", "TaskCompleted"
    )


def test_a_wrong_pin_is_a_fact_and_the_last_one_closes_the_door():
    story = told(picked_up().when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)))
    wrong = CaptureProof(stop_id=DROPOFF, observed_at=NOON, proofs=[PinEntry(pin=WRONG_PIN)])
    for left in (4, 3, 2, 1, 0):
        rejected = story.when(wrong).tells("PinRejected").decided()[0]
        assert rejected.attempts_left == left
        story = told(story)
    story.when(wrong).refuses(PinAttemptsExhausted)
    story.when(CaptureProof(stop_id=DROPOFF, observed_at=NOON, proofs=[PinEntry(pin=PIN)])).refuses(
        PinAttemptsExhausted
    )


def test_a_pin_after_the_last_attempt_does_not_cost_the_physical_fact():
    story = picked_up()
    wrong = CaptureProof(stop_id=DROPOFF, observed_at=NOON, proofs=[PinEntry(pin=WRONG_PIN)] * 5)
    story = told(story.when(wrong))
    story.when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON, proofs=[PinEntry(pin=PIN)])).tells("ParcelsDelivered")


def test_a_failed_attempt_is_tried_again_and_then_the_goods_go_back():
    nobody_home = ReportAttemptFailed(stop_id=DROPOFF, observed_at=NOON, reason_code="access_denied")
    story = told(picked_up().when(nobody_home).tells("DeliveryAttemptFailed"))
    story = told(story.when(nobody_home).tells("DeliveryAttemptFailed", "StopFailed", "ReturnStarted"))
    assert state(story) == "returning"
    story.when(ReportReturned(stop_id=RETURN, observed_at=NOON)).tells(
        "ParcelsReturned", "StopCompleted", "TaskReturned"
    )
    assert told(story).state.outcome == "returned"


def test_a_return_that_fails_for_good_is_followed_by_another_with_a_stop_of_its_own():
    closed = ReportAttemptFailed(stop_id=RETURN, observed_at=NOON, reason_code="outlet_closed")
    story = told(picked_up().when(CancelTask(reason_code="changed_mind")).tells("ReturnStarted"))
    story = told(story.by(ANN).when(closed))
    story = told(story.when(closed).tells("DeliveryAttemptFailed", "StopFailed", "ReturnStarted"))
    again = StopId("return-2")
    story.when(ReportReturned(stop_id=again, observed_at=NOON)).tells(
        "ParcelsReturned", "StopCompleted", "TaskReturned"
    )


def test_a_tender_that_the_task_has_outrun_is_refused_and_one_that_it_knows_is_a_repeat():
    tendered = RecordTender(tender_id=TENDER, round=1)
    told(created().when(tendered)).when(tendered).then()
    told(created().when(AssignTask(rider_id=ANN))).when(tendered).refuses(NotInThisState)
    told(created().when(CancelTask(reason_code="changed_mind"))).when(tendered).refuses(NotInThisState)


def test_a_task_whose_goods_are_delivered_and_not_yet_proven_is_taken_from_nobody():
    story = told(picked_up().when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)))
    story.by("dora", "dispatcher").when(UnassignTask(reason_code="late")).refuses(NotInThisState)


def test_a_pickup_that_fails_for_good_fails_the_task():
    closed = ReportAttemptFailed(stop_id=PICKUP, observed_at=NOON, reason_code="outlet_closed")
    story = told(assigned_to(ANN).by(ANN).when(closed))
    story.when(closed).tells("DeliveryAttemptFailed", "StopFailed", "StopSkipped", "TaskFailed")


def test_refused_parcels_stay_with_the_rider_and_go_back():
    parcels = [NewParcel(), NewParcel()]
    some = ReportDelivered(
        stop_id=DROPOFF, observed_at=NOON, refused=[ParcelId("parcel-2")], proofs=[PinEntry(pin=PIN)]
    )
    story = told(
        picked_up(parcels=parcels)
        .when(some)
        .tells("ParcelsRefused", "ParcelsDelivered", "ProofCaptured", "StopCompleted", "ReturnStarted")
    )
    story = told(story.when(ReportReturned(stop_id=RETURN, observed_at=NOON)))
    assert (state(story), story.state.outcome) == ("returned", "partially_delivered")


def test_a_parcel_short_at_the_pickup_stays_with_the_outlet():
    short = ReportPickedUp(stop_id=PICKUP, observed_at=NOON, short=[PARCEL])
    story = told(assigned_to(ANN).by(ANN).when(short))
    assert story.state.parcels[PARCEL].party.kind == "outlet"
    assert state(story) == "failed"
    unknown = ReportPickedUp(stop_id=PICKUP, observed_at=NOON, short=[ParcelId("other")])
    assigned_to(ANN).by(ANN).when(unknown).refuses(ParcelNotHere)


def test_cancelled_before_custody_it_ends_and_after_custody_it_goes_back():
    assigned_to(ANN).when(CancelTask(reason_code="changed_mind")).tells("TaskCancelled")
    picked_up().when(CancelTask(reason_code="changed_mind")).tells("ReturnStarted")


def test_what_was_ended_is_not_cancelled():
    story = told(created().when(CancelTask(reason_code="changed_mind")))
    story.when(CancelTask(reason_code="changed_mind")).then()
    done = told(created().by("boss", "operator").when(ForceCompleteTask(disposition="delivered", reason_code="told")))
    done.when(CancelTask(reason_code="changed_mind")).refuses(NotInThisState)


def test_what_comes_back_anyhow_is_not_cancelled():
    refused = ReportDelivered(stop_id=DROPOFF, observed_at=NOON, refused=[PARCEL])
    returning = told(picked_up().by(ANN).when(refused)).by("shop", "integrator")
    assert state(returning) == "returning"
    assert returning.when(CancelTask(reason_code="late")).refuses(NotInThisState).values()["actual"] == "returning"
    told(picked_up().when(CancelTask(reason_code="x"))).when(CancelTask(reason_code="x")).then()


def test_what_came_back_is_cancelled_by_nobody_who_had_not_cancelled_it_before():
    back = ReportReturned(stop_id=StopId("return-1"), observed_at=NOON)
    refused = ReportDelivered(stop_id=DROPOFF, observed_at=NOON, refused=[PARCEL])
    returned = told(told(picked_up().by(ANN).when(refused)).when(back)).by("shop", "integrator")
    assert state(returned) == "returned"
    assert returned.when(CancelTask(reason_code="late")).refuses(NotInThisState).values()["actual"] == "returned"
    cancelled = told(told(picked_up().when(CancelTask(reason_code="x"))).by(ANN).when(back)).by("shop", "integrator")
    assert state(cancelled) == "returned"
    cancelled.when(CancelTask(reason_code="x")).then()


def test_an_operator_says_where_the_goods_are():
    lost = ForceCompleteTask(disposition="lost", reason_code="stolen")
    story = told(picked_up().by("boss", "operator").when(lost).tells("ParcelsWrittenOff", "TaskForceCompleted"))
    assert story.state.parcels[PARCEL].party.kind == "nobody"
    assert story.state.outcome == "not_delivered"


def test_what_a_device_tells_again_is_a_quiet_nothing():
    story = picked_up()
    story.when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)).then()
    story.when(ReportEnRoute(stop_id=PICKUP, observed_at=NOON)).then()
    done = told(story.when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON, proofs=[PinEntry(pin=PIN)])))
    done.when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)).then()
    done.when(ReportArrived(stop_id=DROPOFF, observed_at=NOON, fix=ObservedFix(lat=0, lon=0, observed_at=NOON))).then()


def test_an_arrival_told_after_what_followed_it_is_recorded_as_late():
    here = ObservedFix(lat=60.1688, lon=24.9316, observed_at=NOON)
    late = picked_up().when(ReportArrived(stop_id=PICKUP, observed_at=NOON, fix=here)).tells("StopArrived")
    assert late.decided()[0].late
    assert told(late).state.stops[PICKUP].status == "completed"


def test_a_report_that_cannot_be_true_is_put_to_a_person():
    assigned_to(ANN).by(ANN).when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)).tells("FieldReportConflicted")
    cancelled = told(assigned_to(ANN).by("shop", "integrator").when(CancelTask(reason_code="changed_mind"))).by(ANN)
    cancelled.when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)).tells("FieldReportConflicted")


def test_a_former_riders_report_is_a_conflict_and_a_strangers_is_refused():
    story = told(assigned_to(ANN).by("dis", "dispatcher").when(UnassignTask(reason_code="late")))
    story.by(ANN).when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)).tells("FieldReportConflicted")
    story.by(BOB).when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)).refuses(NotTheAssignee)


def test_several_stops_are_delivered_one_by_one():
    stops = [
        NewStop(kind="pickup"),
        NewStop(kind="dropoff", location=HOME),
        NewStop(kind="dropoff", location=HOME),
    ]
    parcels = [NewParcel(dropoff_stop="stop-2"), NewParcel(dropoff_stop="stop-3")]
    story = told(picked_up(stops=stops, parcels=parcels).when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)))
    assert state(story) == "in_progress"
    story.when(ReportDelivered(stop_id=StopId("stop-3"), observed_at=NOON)).tells(
        "ParcelsDelivered", "StopCompleted", "TaskCompleted"
    )


def test_the_pin_is_never_on_the_log():
    made = nothing_yet("task").when(delivery()).decided()[0]
    assert PIN not in repr(made)
    assert made.stops[1].pin_hash == SECRETS.keyed_hash("pin", "a-1", DROPOFF, PIN)


def test_a_tender_that_could_ask_nobody_is_closed_though_it_was_never_recorded():
    story = created().where(retry_seconds=60, max_rounds=2)
    closed = story.when(CloseTender(tender_id=TENDER, round=1, outcome="exhausted")).tells("TaskTenderClosed")
    again = told(closed)
    again.when(CloseTender(tender_id=TENDER, round=1, outcome="exhausted")).then()
    again.at(minutes(1)).when(RetryDispatch(round=1)).tells("TaskDispatchable")


def test_what_is_told_of_a_tender_after_its_end_changes_nothing():
    story = told(created().when(RecordTender(tender_id=TENDER, round=1)))
    closed = told(story.when(CloseTender(tender_id=TENDER, round=1, outcome="exhausted")))
    closed.when(RecordTender(tender_id=TENDER, round=1)).then()
    closed.when(CloseTender(tender_id=TENDER, round=1, outcome="exhausted")).then()


def test_what_was_offered_together_with_something_that_is_gone_goes_on_at_once_though_it_was_the_last_round():
    story = told(created().where(max_rounds=1).when(RecordTender(tender_id=TENDER, round=1)))
    withdrawn = CloseTender(tender_id=TENDER, round=1, outcome="withdrawn", bundled=True)
    story.when(replace(withdrawn, bundled=False)).tells("TaskTenderClosed")
    again = story.when(withdrawn).tells("TaskTenderClosed", "TaskDispatchable").happened()
    assert (state(again), again.state.round) == ("dispatchable", 2)
    again.when(withdrawn).then()


def test_what_is_gone_itself_or_held_does_not_go_on_though_it_was_offered_together_with_others():
    story = told(created().when(RecordTender(tender_id=TENDER, round=1)))
    withdrawn = CloseTender(tender_id=TENDER, round=1, outcome="withdrawn", bundled=True)
    story.when(CancelTask(reason_code="changed_mind")).and_then(withdrawn).then()
    held = told(told(created().when(RecordTender(tender_id=TENDER, round=1))).when(HoldTask(reason_code="stock")))
    held = told(held.when(withdrawn).tells("TaskTenderClosed"))
    held.when(ReleaseTask(reason_code="there")).tells("TaskReleased", "TaskDispatchable")


def test_of_two_tenders_in_a_round_the_other_one_is_refused_also_once_the_first_is_over():
    story = told(created().when(RecordTender(tender_id=TENDER, round=1)))
    other = RecordTender(tender_id=TenderId("tender-2"), round=1)
    story.when(other).refuses(NotInThisState)
    told(story.when(CloseTender(tender_id=TENDER, round=1, outcome="exhausted"))).when(other).refuses(NotInThisState)


def test_an_order_names_the_tender_that_it_passes_over():
    story = told(created().when(RecordTender(tender_id=TENDER, round=1))).by("dis", "dispatcher")
    [assigned] = story.when(AssignTask(rider_id=ANN)).decided()
    assert assigned.passed_over == TENDER
    [won, _] = story.by("dispatch", "system").when(AssignTask(rider_id=ANN, tender_id=TENDER)).decided()
    assert won.passed_over is None


def test_a_stop_is_located_no_more_once_somebody_has_the_task():
    elsewhere = Location(lat=60.2, lon=24.9)
    located = LocateStop(stop_id=DROPOFF, location=elsewhere)
    created().when(located).tells("StopLocated")
    assigned_to(ANN).when(located).refuses(NotInThisState)


def test_who_has_said_yes_does_not_decline():
    assigned_to(ANN).by(ANN).when(DeclineAssignment(reason_code="too_far")).refuses(NotInThisState)


def test_what_has_ended_is_not_completed_by_force():
    done = told(created().when(CancelTask(reason_code="changed_mind")))
    done.when(ForceCompleteTask(disposition="delivered", reason_code="told")).refuses(NotInThisState)


def test_what_is_held_meanwhile_is_not_tried_again():
    story = told(created().where(retry_seconds=60).when(RecordTender(tender_id=TENDER, round=1)))
    story = told(story.when(CloseTender(tender_id=TENDER, round=1, outcome="exhausted")))
    story = told(story.when(HoldTask(reason_code="stock")))
    story.at(minutes(1)).when(RetryDispatch(round=1)).then()


def test_what_is_told_of_a_stop_of_another_kind_is_put_to_a_person():
    assigned_to(ANN).by(ANN).when(ReportPickedUp(stop_id=DROPOFF, observed_at=NOON)).tells("FieldReportConflicted")
    picked_up().when(ReportReturned(stop_id=DROPOFF, observed_at=NOON)).tells("FieldReportConflicted")


def test_what_was_short_keeps_nobody_from_delivering_the_rest_while_the_pickup_lacks_its_proof():
    stops = [NewStop(kind="pickup", required_proof=[["photo"]]), NewStop(kind="dropoff", location=HOME)]
    story = assigned_to(ANN, stops=stops, parcels=[NewParcel(), NewParcel()]).by(ANN)
    story = told(story.when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON, short=[PARCEL])))
    [delivered, _] = story.when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)).decided()
    assert delivered.parcel_ids == ["parcel-2"]
