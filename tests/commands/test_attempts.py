"""What follows an attempt that failed: by the tenant's reason for it, once the attempts are used up."""

from typing import Any

from msgspec.structs import replace
from story import HUBS, NOON, Story, minutes, nothing_yet

from commands.attempts import ContactFirst, WaitFirst
from commands.proof import PinAttemptsExhausted
from commands.refusals import NotAnInterval
from commands.task_state import state_of
from schemas.field_report import (
    CaptureProof,
    ContactAttempt,
    ReportAttemptFailed,
    ReportContactAttempt,
    ReportDelivered,
    ReportHeld,
    ReportPickedUp,
    ReportReturned,
)
from schemas.geo import Location, Window
from schemas.goods import Party
from schemas.message import HubSlug, NotInThisState, ParcelId, RiderId, StopId, TenderId
from schemas.proof import PhotoEntry, PinEntry, SignatureEntry
from schemas.registries import AfterFailure
from schemas.stop import NewParcel, NewStop
from schemas.task import (
    AssignTask,
    CancelTask,
    CreateTask,
    ForceCompleteTask,
    ReattemptDelivery,
    RecordTender,
    ReleaseTask,
)

HOME = Location(lat=60.1610, lon=24.9420)
PICKUP, DROPOFF, HOLD, AGAIN = StopId("stop-1"), StopId("stop-2"), StopId("hold-1"), StopId("again-1")
PARCEL = ParcelId("parcel-1")
ANN, BOB, TENDER = RiderId("ann"), RiderId("bob"), TenderId("tender-1")
NORTH = Party(kind="hub", id="north")
AT_HOME = NewStop(kind="dropoff", location=HOME, required_proof=[["signature"]])
RANG = ContactAttempt(channel="doorbell", attempted_at=NOON)


def on_the_road(follows: AfterFailure, dropoff: NewStop = AT_HOME, **fields: Any) -> Story:
    """With a reason `nobody` after whose last attempt this follows."""
    wanted = CreateTask(
        kind="delivery", outlet="kamppi", stops=[NewStop(kind="pickup"), dropoff], parcels=[NewParcel()]
    )
    story = nothing_yet("task").after("nobody", follows, **({"retryable": False} | fields)).when(wanted)
    story.and_then(RecordTender(tender_id=TENDER, round=1)).and_then(AssignTask(rider_id=ANN, tender_id=TENDER))
    return story.happened().by(ANN).when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)).happened()


def failed(**fields: Any) -> ReportAttemptFailed:
    return ReportAttemptFailed(stop_id=DROPOFF, observed_at=NOON, reason_code="nobody", **fields)


def party(story: Story) -> Party:
    found: Party = story.state.parcels[PARCEL].party
    return found


def test_a_reason_that_allows_it_is_tried_again_until_the_attempts_are_used_up():
    story = on_the_road("return", retryable=True)
    [event] = story.when(failed()).tells("DeliveryAttemptFailed").decided()
    assert (event.policy, event.attempt) == ("retry_now", 1)
    story.and_then(failed()).tells("DeliveryAttemptFailed", "StopFailed", "ReturnStarted")


def test_a_reason_may_ask_that_contact_is_attempted_before():
    story = on_the_road("return", contact_attempts=2)
    refused = story.when(failed(contacts=[RANG])).refuses(ContactFirst)
    assert refused.values() == {"reason_code": "nobody", "needed": 2, "made": 1}
    called = ReportContactAttempt(stop_id=DROPOFF, observed_at=NOON, contact=replace(RANG, channel="call"))
    story.when(called).tells("ContactAttempted")
    story.and_then(failed(contacts=[RANG], waited_seconds=300)).tells(
        "DeliveryAttemptFailed", "StopFailed", "ReturnStarted"
    )


def test_a_reason_may_ask_that_somebody_has_waited_before():
    story = on_the_road("return", waiting_seconds=300)
    for waited in ({}, {"waited_seconds": 299}):
        refused = story.when(failed(**waited)).refuses(WaitFirst)
        assert refused.values() == {
            "reason_code": "nobody",
            "needed_s": 300,
            "waited_s": waited.get("waited_seconds", 0),
        }
    [event, *_] = story.when(failed(waited_seconds=300)).decided()
    assert event.waited_seconds == 300
    [flagged, *_] = story.when(failed(override_reason="told_to_go")).decided()
    assert flagged.override_reason == "told_to_go"


def test_where_nobody_could_be_called_the_attempt_is_flagged():
    story = on_the_road("return", contact_attempts=2)
    event = story.when(failed(override_reason="no_network")).decided()[0]
    assert (event.override_reason, event.at_fault) == ("no_network", "recipient")


def test_contact_of_a_former_attempt_does_not_count_for_the_next():
    story = on_the_road("return", retryable=True, contact_attempts=1)
    story.when(failed(contacts=[RANG])).happened()
    story.when(failed()).refuses(ContactFirst)


def test_a_reason_that_the_tenant_does_not_have_is_no_reason_to_refuse_what_happened():
    story = on_the_road("return")
    [event] = story.when(replace(failed(), reason_code="dragons")).tells("DeliveryAttemptFailed").decided()
    assert (event.policy, event.at_fault) == ("retry_now", "system")


# At the door


def test_goods_may_be_left_at_the_door_with_a_photo_for_proof():
    story = on_the_road("leave_at_door")
    story.when(failed()).tells("DeliveryAttemptFailed").happened()
    story.when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)).tells("ParcelsDelivered")
    photo = PhotoEntry(sha256="ab" * 32)
    story.when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON, proofs=[photo])).tells(
        "ParcelsDelivered", "ProofCaptured", "StopCompleted", "TaskCompleted"
    )


def test_what_needs_an_id_check_is_not_left_at_a_door():
    story = on_the_road("leave_at_door", replace(AT_HOME, minimum_age=18))
    story.when(failed()).tells("DeliveryAttemptFailed", "StopFailed", "ReturnStarted")


def test_what_could_not_be_left_at_the_door_goes_back():
    story = on_the_road("leave_at_door").when(failed()).happened()
    story.when(failed()).tells("DeliveryAttemptFailed", "StopFailed", "ReturnStarted")


# Disposed of


def test_what_spoils_is_disposed_of():
    story = on_the_road("dispose").when(failed())
    story.tells("DeliveryAttemptFailed", "StopFailed", "ParcelsWrittenOff", "TaskFailed")
    done = story.happened()
    assert (done.state.outcome, party(done)) == ("disposed", Party(kind="nobody"))


# Held for another attempt


def at_the_hub(follows: AfterFailure = "hold_at_hub") -> Story:
    story = on_the_road(follows).when(failed()).happened()
    return story.when(ReportHeld(stop_id=HOLD, observed_at=NOON)).happened().by("dora", "dispatcher")


def test_goods_are_brought_to_the_nearest_hub_and_the_rider_is_free():
    story = on_the_road("hold_at_hub").when(failed()).tells("DeliveryAttemptFailed", "StopFailed", "HoldStarted")
    story.happened()
    assert state_of(story.state) == "in_progress"
    assert story.state.stops[HOLD].stop.party == NORTH
    story.when(ReportHeld(stop_id=HOLD, observed_at=NOON)).tells(
        "ParcelsHeld", "StopCompleted", "TaskUnassigned", "TaskHeld"
    )
    story.happened()
    assert (state_of(story.state), story.state.rider_id, party(story)) == ("created", None, NORTH)
    story.when(ReportHeld(stop_id=HOLD, observed_at=NOON)).tells("FieldReportConflicted")


def test_where_there_is_no_hub_that_is_open_goods_wait_at_the_outlet():
    story = on_the_road("reattempt")
    story.hubs = {slug: replace(hub, closed=True) for slug, hub in HUBS.items()}
    story.when(failed()).happened()
    assert story.state.stops[HOLD].stop.party == Party(kind="outlet", id="kamppi")


def test_nobody_is_assigned_until_another_attempt_is_planned():
    story = at_the_hub()
    story.when(AssignTask(rider_id=BOB)).refuses(NotInThisState)
    story.when(ReleaseTask(reason_code="x")).refuses(NotInThisState)


def test_another_attempt_is_fetched_from_the_hub_and_delivered():
    story = at_the_hub().when(ReattemptDelivery(reason_code="asked"))
    story.tells("ReattemptPlanned", "TaskReleased", "TaskDispatchable").happened()
    assert (state_of(story.state), story.state.round) == ("dispatchable", 2)
    assert list(story.state.stops) == [PICKUP, HOLD, AGAIN, DROPOFF], "the order in which they are served"
    story.when(RecordTender(tender_id=TENDER, round=2)).and_then(AssignTask(rider_id=BOB, tender_id=TENDER))
    story.happened().by(BOB).when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)).tells("FieldReportConflicted")
    [picked_up, _] = story.when(ReportPickedUp(stop_id=AGAIN, observed_at=NOON)).decided()
    assert picked_up.from_party == NORTH
    story.happened()
    signed = signed_for(story)
    assert state_of(signed.state) == "completed"
    assert signed.state.outcome == "delivered"


def signed_for(story: Story) -> Story:
    signature = SignatureEntry(sha256="cd" * 32, signer="Cleo")
    return story.when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON, proofs=[signature])).happened()


def test_another_attempt_waits_for_its_window():
    tomorrow = Window(start=minutes(24 * 60), end=minutes(25 * 60))
    story = at_the_hub().when(ReattemptDelivery(reason_code="asked", window=tomorrow))
    story.tells("ReattemptPlanned", "TaskReleased", "TaskScheduled").happened()
    assert story.state.stops[DROPOFF].stop.window == tomorrow
    backwards = Window(start=minutes(2), end=minutes(1))
    at_the_hub().when(ReattemptDelivery(reason_code="asked", window=backwards)).refuses(NotAnInterval)


def test_only_what_waits_is_attempted_again():
    on_the_road("return").by("dora", "dispatcher").when(ReattemptDelivery(reason_code="asked")).refuses(NotInThisState)
    ended = at_the_hub().when(CancelTask(reason_code="asked")).happened()
    assert (state_of(ended.state), party(ended)) == ("cancelled", NORTH)
    ended.when(ReattemptDelivery(reason_code="asked")).refuses(NotInThisState)


def test_an_operator_may_state_that_what_waits_was_fetched():
    story = at_the_hub().by("olga", "operator")
    story.when(ForceCompleteTask(disposition="delivered", reason_code="fetched_by_recipient")).happened()
    assert (state_of(story.state), party(story)) == ("completed", Party(kind="recipient"))


def test_of_several_hubs_the_nearest_to_the_stop_is_meant():
    there = HUBS[HubSlug("north")]
    story = on_the_road("hold_at_hub")
    story.hubs = {HubSlug("far"): replace(there, location=Location(lat=60.30, lon=24.90)), **HUBS}
    story.when(failed()).happened()
    assert story.state.stops[HOLD].stop.party == NORTH


def test_a_pin_that_was_used_up_is_not_given_new_attempts_by_another_attempt():
    story = on_the_road("hold_at_hub", replace(AT_HOME, required_proof=[["pin", "signature"]]))
    wrong = CaptureProof(stop_id=DROPOFF, observed_at=NOON, proofs=[PinEntry(pin="none")])
    story = story.when(replace(wrong, proofs=wrong.proofs * 5)).happened().when(failed()).happened()
    story = story.when(ReportHeld(stop_id=HOLD, observed_at=NOON)).happened().by("dora", "dispatcher")
    story = story.when(ReattemptDelivery(reason_code="asked")).happened()
    story = story.when(AssignTask(rider_id=BOB)).happened().by(BOB)
    story = story.when(ReportPickedUp(stop_id=AGAIN, observed_at=NOON)).happened()
    story.when(wrong).refuses(PinAttemptsExhausted)


def test_a_cancelled_task_does_not_wait_for_what_lies_at_a_hub_once_the_rest_is_back():
    wanted = CreateTask(
        kind="delivery",
        outlet="kamppi",
        stops=[NewStop(kind="pickup"), AT_HOME, replace(AT_HOME, required_proof=[])],
        parcels=[NewParcel(dropoff_stop="stop-2"), NewParcel(dropoff_stop="stop-3")],
    )
    story = nothing_yet("task").after("nobody", "hold_at_hub", retryable=False).when(wanted).happened()
    story = story.when(AssignTask(rider_id=ANN)).happened().by(ANN)
    story = story.when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)).happened().when(failed()).happened()
    story = story.when(ReportHeld(stop_id=HOLD, observed_at=NOON)).happened()
    story = story.when(CancelTask(reason_code="asked")).tells("ReturnStarted").happened()
    story.when(ReportReturned(stop_id=StopId("return-1"), observed_at=NOON)).tells(
        "ParcelsReturned", "StopCompleted", "TaskReturned"
    )


def test_where_nothing_is_aboard_nothing_is_disposed_of_or_held():
    for follows in ("dispose", "hold_at_hub"):
        wanted = CreateTask(kind="delivery", outlet="kamppi", stops=[NewStop(kind="pickup"), AT_HOME])
        story = nothing_yet("task").after("nobody", follows, retryable=False).when(wanted).happened()
        story = story.when(AssignTask(rider_id=ANN)).happened().by(ANN)
        story = story.when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)).happened()
        story.when(failed()).tells("DeliveryAttemptFailed", "StopFailed", "TaskFailed")
