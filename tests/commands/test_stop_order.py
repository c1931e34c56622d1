"""Stops that come after others: the order that a rider's itinerary keeps, and what becomes of reports that do not."""

from typing import Any

import pytest
from msgspec.structs import replace
from story import KAMPPI, NOON, Story, minutes, nothing_yet

from commands.rider_refusals import NotThatItinerary, OutOfOrder
from commands.task_creation import StopsMismatch
from schemas.field_report import ReportArrived, ReportAttemptFailed, ReportDelivered, ReportEnRoute, ReportPickedUp
from schemas.geo import Location, ObservedFix
from schemas.message import RiderId, StopId, TaskId
from schemas.rider import (
    ActivateReservation,
    ApproveRider,
    NewPlannedStop,
    RegisterRider,
    RemoveStops,
    ResequenceItinerary,
    ReserveRider,
    StartShift,
    StopRef,
)
from schemas.stop import NewParcel, NewStop
from schemas.task import AssignTask, CreateTask, FieldReportConflicted

HOME = Location(lat=60.1610, lon=24.9420)
SHOP, BANK, DOOR = StopId("shop"), StopId("bank"), StopId("door")
TASK = TaskId("task-1")
ANN = RiderId("ann")
FIRST_THE_BANK = [
    NewStop(kind="pickup", stop_id=SHOP),
    NewStop(kind="dropoff", stop_id=BANK, location=HOME),
    NewStop(kind="dropoff", stop_id=DOOR, location=HOME, after=[BANK, BANK]),
]
PARCELS = [NewParcel(parcel_id="letter", dropoff_stop=BANK), NewParcel(parcel_id="box", dropoff_stop=DOOR)]
SEEN: dict[str, Any] = {"observed_at": minutes(1)}


def a_task(stops: list[NewStop] = FIRST_THE_BANK, parcels: list[NewParcel] = PARCELS) -> Story:
    return nothing_yet("task").when(CreateTask(kind="delivery", outlet="kamppi", stops=stops, parcels=parcels))


def on_the_road(stops: list[NewStop] = FIRST_THE_BANK) -> Story:
    story = a_task(stops).happened().by("dora", "dispatcher").when(AssignTask(rider_id=ANN)).happened()
    return story.by(ANN).at(minutes(2)).when(ReportPickedUp(stop_id=SHOP, **SEEN)).happened()


def conflict_in(story: Story) -> str:
    [told] = [event for event in story.decided() if isinstance(event, FieldReportConflicted)]
    return told.conflict


# As they are given


def test_a_stop_comes_after_earlier_stops_of_its_task():
    assert a_task().happened().state.stops[DOOR].stop.after == [BANK]


@pytest.mark.parametrize("other", [DOOR, StopId("nowhere"), StopId("last")])
def test_it_comes_after_no_later_stop_itself_or_one_that_is_not_there(other: StopId):
    last = NewStop(kind="dropoff", stop_id="last", location=HOME)
    a_task([*FIRST_THE_BANK[:2], replace(FIRST_THE_BANK[2], after=[other]), last]).refuses(StopsMismatch)


# On the itinerary


def planned(stop_id: StopId, kind: Any, after: list[StopId]) -> NewPlannedStop:
    return NewPlannedStop(stop_id=stop_id, kind=kind, subject="s", location=KAMPPI, after=after)


def with_stops_ahead(stops: list[NewPlannedStop] | None = None) -> Story:
    stops = stops or [planned(SHOP, "pickup", []), planned(BANK, "dropoff", []), planned(DOOR, "dropoff", [BANK])]
    story = nothing_yet("rider").when(RegisterRider(name="Ann")).and_then(ApproveRider())
    story = story.and_then(StartShift(ends_at=minutes(480)))
    story = story.and_then(ReserveRider(task_id=TASK, round=1, hold_until=minutes(1), stops=stops))
    return story.and_then(ActivateReservation(task_id=TASK, round=1)).happened()


def order(*stops: StopId) -> list[StopRef]:
    return [StopRef(task_id=TASK, stop_id=stop) for stop in stops]


def test_no_order_brings_a_stop_before_one_that_it_comes_after():
    story = with_stops_ahead().when(
        ResequenceItinerary(itinerary_version=1, order=order(SHOP, DOOR, BANK), reason_code="pressing")
    )
    assert story.refuses(OutOfOrder).values() == {"task_id": TASK, "stop_id": DOOR, "after": BANK}


def test_a_pickup_that_comes_after_a_dropoff_keeps_to_that_and_others_come_first():
    empties = StopId("empties")
    stops = [planned(SHOP, "pickup", []), planned(BANK, "dropoff", []), planned(empties, "pickup", [BANK])]
    story = with_stops_ahead([*stops, planned(DOOR, "dropoff", [])])
    asked = ResequenceItinerary(itinerary_version=1, order=order(SHOP, BANK, empties, DOOR), reason_code="pressing")
    story.when(asked).then()
    story.when(replace(asked, order=order(SHOP, DOOR, BANK, empties))).refuses(NotThatItinerary)
    story.when(replace(asked, order=order(SHOP, empties, BANK, DOOR))).refuses(OutOfOrder)


def test_what_is_over_stands_in_no_ones_way():
    story = with_stops_ahead().when(RemoveStops(task_id=TASK, round=1, reason_code="stop_over", stop_ids=[SHOP, BANK]))
    story.and_then(ResequenceItinerary(itinerary_version=2, order=order(DOOR), reason_code="pressing")).then()


# As it is reported


def test_goods_that_came_too_early_are_where_they_are_and_a_person_looks_at_it():
    story = on_the_road().when(ReportDelivered(stop_id=DOOR, **SEEN))
    story.tells("ParcelsDelivered", "FieldReportConflicted", "StopCompleted")
    assert conflict_in(story) == "door comes after bank, still ahead"
    story.and_then(ReportDelivered(stop_id=DOOR, **SEEN)).then()
    story.when(ReportDelivered(stop_id=BANK, **SEEN)).tells("ParcelsDelivered", "StopCompleted", "TaskCompleted")


def test_in_its_order_there_is_nothing_to_look_at():
    story = on_the_road().when(ReportDelivered(stop_id=BANK, **SEEN)).happened()
    story.when(ReportDelivered(stop_id=DOOR, **SEEN)).tells("ParcelsDelivered", "StopCompleted", "TaskCompleted")


def test_to_be_on_the_way_and_there_early_is_fine():
    fix = ObservedFix(lat=HOME.lat, lon=HOME.lon, accuracy_m=5.0, observed_at=NOON)
    here = ReportArrived(stop_id=DOOR, observed_at=NOON, fix=fix)
    on_the_road().when(ReportEnRoute(stop_id=DOOR, **SEEN)).tells("StopEnRoute")
    on_the_road().when(here).tells("StopArrived")


def test_an_attempt_at_a_stop_that_is_not_next_is_none():
    early = on_the_road().when(ReportAttemptFailed(stop_id=DOOR, reason_code="closed", **SEEN))
    assert conflict_in(early.tells("FieldReportConflicted")) == "door comes after bank, still ahead"


def test_an_attempt_to_bring_what_was_never_picked_up_is_none():
    story = a_task().happened().by("dora", "dispatcher").when(AssignTask(rider_id=ANN)).happened().by(ANN)
    story.when(ReportAttemptFailed(stop_id=BANK, reason_code="closed", **SEEN)).tells("FieldReportConflicted")
    assert conflict_in(story) == "1 of the parcels were never picked up"
    story.when(ReportAttemptFailed(stop_id=SHOP, reason_code="closed", **SEEN)).tells("DeliveryAttemptFailed")
