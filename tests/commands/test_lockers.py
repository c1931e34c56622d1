"""Lockers: goods are put in and taken out where nobody is, by a code."""

import pytest
from msgspec.structs import replace
from story import KAMPPI, NOON, Story, nothing_yet

from commands.attempts import holding_party
from commands.context import HubPolicy
from commands.task_creation import HubClosedNow, StopsMismatch, pin_of
from commands.task_state import outcome_of, state_of
from schemas.field_report import (
    CaptureProof,
    ReportAttemptFailed,
    ReportCollected,
    ReportDelivered,
    ReportPickedUp,
    ReportReturned,
)
from schemas.goods import Party
from schemas.hub import CreateHub, HubCreated
from schemas.message import HubSlug, RiderId, StopId, TenderId
from schemas.proof import NfcEntry, PinEntry, ProofKind
from schemas.stop import NewParcel, NewStop
from schemas.stop_events import ParcelsDelivered, ReturnStarted
from schemas.task import AssignTask, CancelTask, CreateTask, RecordTender
from schemas.template import CloneTask, CreateFromTemplate

ANN, TENDER = RiderId("ann"), TenderId("tender-1")
PICKUP, DROPOFF = StopId("stop-1"), StopId("stop-2")
WALL = Party(kind="locker", id="wall")
LOCKERS = {
    HubSlug("wall"): HubPolicy(KAMPPI, "Europe/Helsinki", kind="locker"),
    HubSlug("shut"): HubPolicy(KAMPPI, "Europe/Helsinki", kind="locker", closed=True),
}
TO_IT = NewStop(kind="dropoff", hub="wall", required_proof=[["pin"]])
TO_WALL = (NewStop(kind="pickup"), TO_IT)


def new(*stops: NewStop, kind: str = "delivery", parcel: NewParcel | None = None, **fields: object) -> Story:
    parcels = [parcel or NewParcel()]
    create = CreateTask(kind=kind, outlet="kamppi", stops=[*stops], parcels=parcels, **fields)  # type: ignore[arg-type]
    story = nothing_yet("task").when(create)
    story.hubs = LOCKERS
    return story


def picked_up(story: Story) -> Story:
    story = story.and_then(RecordTender(tender_id=TENDER, round=1)).and_then(AssignTask(rider_id=ANN, tender_id=TENDER))
    return story.happened().by(ANN).when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)).happened()


def code(story: Story, stop_id: StopId, right: bool = True) -> PinEntry:
    pin = pin_of(story.context(), stop_id)
    return PinEntry(pin=pin if right else "0000" if pin != "0000" else "1111")


def test_a_locker_is_a_hub_of_its_own_kind():
    create = CreateHub(hub="wall", name="The wall", kind="locker", location=KAMPPI, zone="Europe/Helsinki")
    [created] = nothing_yet("hub").when(create).decided()
    assert isinstance(created, HubCreated)
    assert created.kind == "locker"


def test_what_is_put_into_a_locker_is_there_once_its_code_is_told():
    story = picked_up(new(*TO_WALL))
    stop = story.state.stops[DROPOFF].stop
    assert (stop.party, stop.location.value, stop.required_proof) == (WALL, KAMPPI, [["pin"]])
    proven = ReportDelivered(stop_id=DROPOFF, observed_at=NOON, proofs=[code(story, DROPOFF)])
    done = story.when(proven).tells("ParcelsDelivered", "ProofCaptured", "StopCompleted", "TaskCompleted")
    told = done.decided()[0]
    assert isinstance(told, ParcelsDelivered)
    assert (told.from_party, told.to_party) == (Party(kind="rider", id=ANN), WALL)
    assert outcome_of(done.happened().state) == "delivered"


def test_without_its_code_it_is_there_and_not_proven():
    story = picked_up(new(*TO_WALL))
    wrong = ReportDelivered(stop_id=DROPOFF, observed_at=NOON, proofs=[code(story, DROPOFF, right=False)])
    story = story.when(wrong).tells("ParcelsDelivered", "PinRejected").happened()
    assert state_of(story.state) == "in_progress"
    told = CaptureProof(stop_id=DROPOFF, observed_at=NOON, proofs=[code(story, DROPOFF)])
    story.when(told).tells("ProofCaptured", "StopCompleted", "TaskCompleted")


def test_a_recipient_takes_it_out_by_the_code_of_a_collection_there():
    story = new(NewStop(kind="collection", hub="wall", required_proof=[["pin"]]), kind="collection").happened()
    stop_id = StopId("stop-1")
    assert story.state.stops[stop_id].stop.required_proof == [["pin"]]
    taken = ReportCollected(stop_id=stop_id, observed_at=NOON, proofs=[code(story, stop_id)])
    told = story.by("wall", "integrator").when(taken)
    done = told.tells("ParcelsDelivered", "ProofCaptured", "StopCompleted", "TaskCompleted").happened()
    [parcel] = done.state.parcels.values()
    assert parcel.party == Party(kind="recipient")


def test_what_was_taken_out_of_a_locker_goes_back_into_it_and_nobody_there_signs_for_it():
    at_return = {"kind": "return", "authorisation": "R-1", "return_proof": [["signature"], ["nfc", "signature"]]}
    story = picked_up(new(NewStop(kind="pickup", hub="wall"), NewStop(kind="dropoff"), **at_return))
    [back] = story.when(CancelTask(reason_code="asked")).decided()
    assert isinstance(back, ReturnStarted)
    assert (back.stop.party, back.stop.required_proof) == (WALL, [["nfc", "signature"]])
    tag = NfcEntry(tag_id="compartment-7")
    returned = ReportReturned(stop_id=back.stop.stop_id, observed_at=NOON, proofs=[tag])
    story.happened().when(returned).tells("ParcelsReturned", "ProofCaptured", "StopCompleted", "TaskReturned")


@pytest.mark.parametrize(
    "asked",
    [
        replace(TO_IT, minimum_age=18),
        replace(TO_IT, required_proof=[["pin"], ["signature"]]),
        replace(TO_IT, required_proof=[["pin"], ["signature", "id_check"]]),
        NewStop(kind="pickup", hub="wall", required_proof=[["signature"]]),
    ],
)
def test_nobody_is_at_a_locker_who_could_sign_or_show_how_old_they_are(asked: NewStop):
    other = NewStop(kind="pickup") if asked.kind == "dropoff" else NewStop(kind="dropoff")
    new(*sorted([asked, other], key=lambda stop: stop.kind, reverse=True)).refuses(StopsMismatch)


def test_nor_for_a_parcel_and_what_nobody_is_needed_for_may_be_asked_for_besides():
    new(*TO_WALL, parcel=NewParcel(required_proof=[["signature"]])).refuses(StopsMismatch)
    new(*TO_WALL, parcel=NewParcel(required_proof=[["signature", "photo"]])).tells("TaskCreated", "TaskDispatchable")
    asked = NewStop(kind="dropoff", hub="wall", required_proof=[["pin"], ["photo", "signature"]])
    story = new(NewStop(kind="pickup"), asked).happened()
    assert story.state.stops[DROPOFF].stop.required_proof == [["pin"], ["photo", "signature"]]


@pytest.mark.parametrize("proof", [[], [["photo"]], [["pin", "photo"]]])
def test_nothing_is_put_in_or_taken_out_without_a_code(proof: list[list[ProofKind]]):
    new(NewStop(kind="pickup"), replace(TO_IT, required_proof=proof)).refuses(StopsMismatch)
    new(NewStop(kind="collection", hub="wall", required_proof=proof), kind="collection").refuses(StopsMismatch)


def test_nothing_is_put_into_a_locker_that_is_closed():
    new(NewStop(kind="pickup"), replace(TO_IT, hub="shut")).refuses(HubClosedNow)


def test_what_cannot_be_put_in_is_left_at_no_door_and_waits_at_no_locker():
    story = picked_up(new(*TO_WALL).after("jammed", "leave_at_door", retryable=False))
    jammed = ReportAttemptFailed(stop_id=DROPOFF, observed_at=NOON, reason_code="jammed")
    story.when(jammed).tells("DeliveryAttemptFailed", "StopFailed", "ReturnStarted")
    assert holding_party(story.state, KAMPPI, story.context()) == Party(kind="outlet", id="kamppi")


def test_a_clone_goes_to_the_same_locker():
    story = new(*TO_WALL).happened().when(CloneTask())
    [cloned] = [event for event in story.decided() if type(event).__name__ == "TaskCloned"]
    again = nothing_yet("task").when(CreateFromTemplate(task=cloned.template))
    again.hubs = LOCKERS
    assert [stop.stop.party for stop in again.happened().state.stops.values()] == [
        Party(kind="outlet", id="kamppi"),
        WALL,
    ]
