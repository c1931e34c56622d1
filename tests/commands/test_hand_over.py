"""Goods on their way go from one rider to another: who has them has them until the other has scanned them."""

from typing import Any

from story import NOON, Story, minutes, nothing_yet

from commands.hand_over import HandOverIncomplete, HandOverPending, NotOfferedToYou
from commands.task_state import NotTheAssignee, state_of
from schemas.field_report import ReportDelivered, ReportPickedUp, ReportReturned
from schemas.geo import Location
from schemas.goods import Party
from schemas.hand_over import (
    AcceptHandOver,
    DeclineHandOver,
    ExpireHandOver,
    HandOverClosed,
    OfferHandOver,
    RefuseHandOver,
    WithdrawHandOver,
)
from schemas.load import Overload
from schemas.message import NotInThisState, ParcelId, RiderId, StopId, TenderId
from schemas.proof import ScanEntry
from schemas.stop import NewParcel, NewStop
from schemas.task import AssignTask, CancelTask, CreateTask, RecordTender

HOME = Location(lat=60.1610, lon=24.9420)
CORNER = Location(lat=60.1650, lon=24.9380)
PICKUP, DROPOFF = StopId("stop-1"), StopId("stop-2")
CODED, PLAIN = ParcelId("parcel-1"), ParcelId("parcel-2")
ANN, BOB, TENDER = RiderId("ann"), RiderId("bob"), TenderId("tender-1")
SCAN = ScanEntry(parcel_id=CODED, code="A1")
OFFER = OfferHandOver(to_rider=BOB, place=CORNER, reason_code="puncture")
ACCEPT = AcceptHandOver(observed_at=NOON, scans=[SCAN])


def assigned(**pickup: Any) -> Story:
    stops = [NewStop(kind="pickup", **pickup), NewStop(kind="dropoff", location=HOME)]
    parcels = [NewParcel(barcode="A1"), NewParcel()]
    story = nothing_yet("task").when(CreateTask(kind="delivery", outlet="kamppi", stops=stops, parcels=parcels))
    return story.and_then(RecordTender(tender_id=TENDER, round=1)).and_then(AssignTask(rider_id=ANN, tender_id=TENDER))


def on_the_road() -> Story:
    return assigned().happened().by(ANN).when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)).happened()


def offered() -> Story:
    return on_the_road().when(OFFER).happened()


def test_an_offer_says_to_whom_where_and_how_long_it_stands():
    [event] = on_the_road().where(hand_over_seconds=600).when(OFFER).decided()
    assert (event.from_rider, event.to_rider, event.round, event.expires_at) == (ANN, BOB, 2, minutes(10))
    assert event.place.value == CORNER
    offered().when(OFFER).then()


def test_until_it_is_accepted_the_goods_are_with_who_has_them():
    story = offered()
    assert {parcel.party.id for parcel in story.state.parcels.values()} == {ANN}
    story.when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)).tells(
        "ParcelsDelivered", "StopCompleted", "TaskCompleted", "HandOverClosed"
    )


def test_with_the_scan_the_goods_and_the_task_go_over():
    story = offered().by(BOB).when(ACCEPT)
    story.tells("ParcelsHandedOver", "TaskUnassigned", "TaskAssigned", "AssignmentAccepted").happened()
    assert (state_of(story.state), story.state.rider_id, story.state.round) == ("in_progress", BOB, 2)
    assert {parcel.party for parcel in story.state.parcels.values()} == {Party(kind="rider", id=BOB)}
    story.when(ACCEPT).then()
    story.by(ANN).when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)).tells("FieldReportConflicted")
    story.by(BOB).when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)).tells(
        "ParcelsDelivered", "StopCompleted", "TaskCompleted"
    )


def test_what_has_a_code_is_scanned():
    story = offered().by(BOB)
    refused = story.when(AcceptHandOver(observed_at=NOON)).refuses(HandOverIncomplete)
    assert refused.values() == {"missing": [CODED]}
    wrong = ScanEntry(parcel_id=CODED, code="B2")
    story.when(AcceptHandOver(observed_at=NOON, scans=[wrong])).refuses(HandOverIncomplete)


def test_nobody_accepts_what_is_not_offered_to_them():
    on_the_road().by(BOB).when(ACCEPT).refuses(NotOfferedToYou)
    offered().by("cyd").when(ACCEPT).refuses(NotOfferedToYou)


def test_what_was_scanned_in_time_is_theirs_though_it_is_told_when_the_offer_has_lapsed():
    story = offered().at(minutes(30)).when(ExpireHandOver(round=2)).happened().by(BOB)
    late = AcceptHandOver(observed_at=minutes(31), scans=[SCAN])
    story.at(minutes(40)).when(late).refuses(NotOfferedToYou)
    story.when(ACCEPT).tells("ParcelsHandedOver", "TaskUnassigned", "TaskAssigned", "AssignmentAccepted")


def test_what_waits_for_its_proof_is_not_handed_over():
    story = assigned(required_proof=[["photo"]]).happened().by(ANN)
    story.when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)).happened()
    story.when(OFFER).refuses(NotInThisState)


def test_the_goods_on_their_way_back_are_handed_over_too():
    story = offered().when(CancelTask(reason_code="asked")).happened()
    story.by(BOB).when(ACCEPT).happened()
    assert state_of(story.state) == "returning"
    story.when(ReportReturned(stop_id=StopId("return-1"), observed_at=NOON)).tells(
        "ParcelsReturned", "StopCompleted", "TaskReturned"
    )


def test_an_offer_is_declined_withdrawn_refused_or_expires_and_the_goods_stay():
    offered().by(BOB).when(DeclineHandOver(reason_code="far")).then(
        HandOverClosed(to_rider=BOB, round=2, end="declined", reason_code="far")
    )
    offered().by("dora", "dispatcher").when(WithdrawHandOver(reason_code="mended")).tells("HandOverClosed")
    too_much = Overload(measure="parcels", load=3, limit=2)
    offered().when(RefuseHandOver(to_rider=BOB, reason_code="over_capacity", overload=too_much)).then(
        HandOverClosed(to_rider=BOB, round=2, end="not_reserved", reason_code="over_capacity", overload=too_much)
    )
    offered().at(minutes(29)).when(ExpireHandOver(round=2)).then()
    story = offered().at(minutes(30)).when(ExpireHandOver(round=2)).tells("HandOverClosed").happened()
    story.when(ExpireHandOver(round=2)).then()
    story.by(BOB).when(DeclineHandOver(reason_code="far")).refuses(NotOfferedToYou)
    story.by(ANN).when(OFFER).tells("HandOverOffered")


def test_only_goods_in_custody_are_offered_to_one_other_rider_at_a_time():
    assigned().happened().by(ANN).when(OFFER).refuses(NotInThisState)
    story = offered()
    story.when(OfferHandOver(to_rider=RiderId("cyd"), place=CORNER, reason_code="puncture")).refuses(HandOverPending)
    on_the_road().when(OfferHandOver(to_rider=ANN, place=CORNER, reason_code="x")).refuses(NotInThisState)
    on_the_road().by(BOB).when(OFFER).refuses(NotTheAssignee)
    story.by(BOB).when(WithdrawHandOver(reason_code="x")).refuses(NotTheAssignee)
