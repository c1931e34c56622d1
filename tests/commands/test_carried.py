"""A task with a carrier: nobody else is asked for it, and its goods go by what the carrier reports."""

from typing import Any

import pytest
from msgspec.structs import replace
from story import KAMPPI, NOON, POSTI, Story, minutes, nothing_yet

from commands.carried import TaskOnHold, TaskWithCarrier, TaskWithRider
from commands.carrier_area import OutletNotServed, PostalCodeNotServed
from commands.refusals import TooMany
from commands.task_state import MAX_BOOKINGS, GoodsInCustody, NotForThisKind, NotTheAssignee, leg_of, state_of
from schemas.carried import (
    AssignTaskToCarrier,
    CarrierReported,
    ConfirmCarrierServes,
    RecordCarrierReport,
    TakeTaskFromCarrier,
    TaskGivenToCarrier,
    TaskTakenFromCarrier,
)
from schemas.carrier import ServedArea
from schemas.field_report import CaptureProof, ReportDelivered, ReportPickedUp, ReportReturned
from schemas.geo import Location, ObservedFix
from schemas.goods import Party, ReportParcelsLost
from schemas.ids import conflict_id, courier_subject
from schemas.message import CarrierBookingId, Command, NotInThisState, ParcelId, Personal, RiderId, StopId, TenderId
from schemas.proof import PhotoEntry
from schemas.sla import MarkSlaBreach
from schemas.sla_policy import SlaTerms
from schemas.stop import NewParcel, NewStop
from schemas.stop_events import StopArrived, StopEnRoute
from schemas.task import (
    AcceptAssignment,
    AssignTask,
    CancelTask,
    CloseTender,
    CreateTask,
    FieldReportConflicted,
    ForceCompleteTask,
    HoldTask,
    RecordTender,
    ReleaseTask,
    RetryDispatch,
    StartDispatch,
    TaskDispatchable,
    UnassignTask,
)

HOME = Location(lat=60.1610, lon=24.9420)
PICKUP, DROPOFF = StopId("stop-1"), StopId("stop-2")
BOOKING, OTHER = CarrierBookingId("booking-1"), CarrierBookingId("booking-2")
TENDER = TenderId("tender-1")
GIVE = AssignTaskToCarrier(carrier_id=POSTI, booking_id=BOOKING)
GIVEN = TaskGivenToCarrier(carrier_id=POSTI, booking_id=BOOKING, round=1, given_at=NOON)
TAKE = TakeTaskFromCarrier(booking_id=BOOKING, reason_code="strike")
TAKEN = TaskTakenFromCarrier(carrier_id=POSTI, booking_id=BOOKING, round=1, reason_code="strike")
WITH_POSTI = Party(kind="carrier", id=POSTI)
PHOTO = PhotoEntry(sha256="ab" * 32)


ORDER = [
    "en_route_to_pickup",
    "arrived_at_pickup",
    "picked_up",
    "en_route_to_dropoff",
    "arrived_at_dropoff",
    "delivered",
    "failed",
]
"""Of a booking's facts, unless the story has another."""


def says(
    word: Any,
    booking: CarrierBookingId = BOOKING,
    reason_code: str | None = None,
    version: int | None = None,
    minute: float = 0,
    **more: Any,
) -> RecordCarrierReport:
    return RecordCarrierReport(
        carrier_id=POSTI,
        booking_id=booking,
        booking_version=ORDER.index(word) + 3 if version is None else version,
        says=word,
        observed_at=minutes(minute),
        reason_code=reason_code,
        **more,
    )


def a_task(**fields: Any) -> Story:
    stops = fields.pop("stops", [NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME)])
    parcels = fields.pop("parcels", [NewParcel(), NewParcel()])
    create = CreateTask(**{"kind": "delivery", "outlet": "kamppi", "stops": stops, "parcels": parcels, **fields})
    return nothing_yet("task").when(create).happened().by("carriers", "system")


def with_carrier(**fields: Any) -> Story:
    return a_task(**fields).when(GIVE).happened()


def picked_up(**fields: Any) -> Story:
    return with_carrier(**fields).when(says("picked_up")).happened()


def proving(**stop: Any) -> list[NewStop]:
    return [NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME, **stop)]


def parties(story: Story) -> set[Party]:
    return {parcel.party for parcel in story.state.parcels.values()}


def conflict(story: Story) -> str:
    """Why it cannot be: it is recorded, and changes nothing."""
    reported, conflicted = story.decided()
    assert isinstance(reported, CarrierReported)
    assert isinstance(conflicted, FieldReportConflicted)
    assert (conflicted.carrier_id, conflicted.rider_id, conflicted.stop_id) == (POSTI, None, None)
    return conflicted.conflict


# Given


def test_a_booked_carrier_has_the_task_as_a_rider_who_has_said_yes():
    a_task().when(GIVE).then(GIVEN)
    assert state_of(with_carrier().state) == "accepted"
    with_carrier().when(GIVE).then()


def test_nobody_else_gets_what_a_carrier_has():
    story = with_carrier().by("dora", "dispatcher")
    story.when(AssignTask(rider_id=RiderId("ann"))).refuses(NotInThisState)
    story.when(AssignTaskToCarrier(carrier_id=POSTI, booking_id=OTHER)).refuses(TaskWithCarrier)
    story.when(RecordTender(tender_id=TENDER, round=1)).refuses(NotInThisState)
    story.when(HoldTask(reason_code="stock")).refuses(NotInThisState)
    story.when(UnassignTask(reason_code="late")).refuses(NotInThisState)
    story.by("ann").when(AcceptAssignment()).refuses(NotInThisState)


def test_an_order_for_a_carrier_outruns_the_tender():
    story = a_task().when(RecordTender(tender_id=TENDER, round=1)).happened().when(GIVE)
    story.tells("TaskGivenToCarrier").happened()
    story.when(CloseTender(tender_id=TENDER, round=1, outcome="exhausted")).then()
    story.when(AssignTask(rider_id=RiderId("ann"), tender_id=TENDER)).refuses(NotInThisState)


def test_a_round_without_a_taker_is_not_tried_again_once_a_carrier_has_it():
    story = a_task().when(RecordTender(tender_id=TENDER, round=1)).happened()
    story.when(CloseTender(tender_id=TENDER, round=1, outcome="exhausted")).happened().when(GIVE).happened()
    story.at(minutes(60)).when(RetryDispatch(round=1)).then()


def test_one_that_waits_for_its_time_comes_to_dispatch_by_it():
    ready = [NewStop(kind="pickup", goods_ready_at=minutes(600)), NewStop(kind="dropoff", location=HOME)]
    story = a_task(stops=ready).when(GIVE)
    story.then(TaskDispatchable(round=1), GIVEN)
    story.happened().at(minutes(600)).when(StartDispatch()).then()


@pytest.mark.parametrize(
    "before",
    [{"stops": [NewStop(kind="pickup"), NewStop(kind="dropoff")]}, {"depends_on": ["task-9"]}],
    ids=["nowhere to go", "waits for another"],
)
def test_what_is_kept_from_dispatch_is_kept_from_carriers(before: dict[str, Any]):
    a_task(**before).when(GIVE).refuses(NotInThisState)


def test_what_a_rider_has_is_over_or_is_fetched_by_its_recipient_is_given_to_no_carrier():
    ordered = a_task().when(AssignTask(rider_id=RiderId("ann"))).happened()
    ordered.when(GIVE).refuses(TaskWithRider)
    a_task().when(CancelTask(reason_code="x")).happened().when(GIVE).refuses(NotInThisState)
    fetched = a_task(kind="collection", stops=[NewStop(kind="collection")])
    fetched.when(GIVE).refuses(NotForThisKind)


def test_a_task_has_so_many_bookings_one_after_the_other():
    story = a_task()
    for number in range(MAX_BOOKINGS):
        booking = CarrierBookingId(f"b-{number}")
        story.when(AssignTaskToCarrier(carrier_id=POSTI, booking_id=booking)).happened()
        story.when(TakeTaskFromCarrier(booking_id=booking, reason_code="x")).happened()
    story.when(GIVE).refuses(TooMany)


def test_the_promise_to_dispatch_is_kept_by_it_and_what_is_late_then_is_the_carriers_fault():
    terms = SlaTerms(dispatch_within_s=60, deliver_within_s=600)
    story = nothing_yet("task").promising(terms)
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME)]
    story.when(CreateTask(kind="delivery", outlet="kamppi", stops=stops)).happened()
    story.when(GIVE).tells("TaskGivenToCarrier", "SlaPromiseSettled").happened()
    [breached] = story.at(minutes(10)).when(MarkSlaBreach(promise="deliver", target_at=minutes(10), level=0)).decided()
    assert breached.at_fault == "carrier"


# Where it serves


def asked(area: ServedArea, dropoff: dict[str, Any] | None = None, **fields: Any) -> Story:
    """A task from Kamppi to a postal code of Helsinki, unless it is another."""
    door = NewStop(**{"kind": "dropoff", "location": HOME, "postal_code": "FI-00150", **(dropoff or {})})
    stops = fields.pop("stops", [NewStop(kind="pickup"), door])
    return a_task(stops=stops, **fields).when(ConfirmCarrierServes(area=area))


@pytest.mark.parametrize(
    "area",
    [
        ServedArea(),
        ServedArea(outlets=["kamppi"]),
        ServedArea(postal_prefixes=["FI-00"]),
        ServedArea(postal_prefixes=["FI"]),
        ServedArea(outlets=["kallio", "kamppi"], postal_prefixes=["EE-10", "FI-0 01"]),
    ],
    ids=["anywhere", "its outlets", "its postal codes", "its country", "both"],
)
def test_a_carrier_that_serves_where_the_stops_are_may_have_the_task(area: ServedArea):
    asked(area).then()


def test_a_stop_at_an_outlet_that_the_carrier_does_not_serve_is_named():
    refused = asked(ServedArea(outlets=["kallio"])).refuses(OutletNotServed)
    assert refused.values() == {"stop_id": PICKUP, "outlet": "kamppi"}
    to_kallio = [NewStop(kind="pickup"), NewStop(kind="dropoff", outlet="kallio")]
    moved = asked(ServedArea(outlets=["kamppi"], postal_prefixes=["SE-1"]), kind="transfer", stops=to_kallio)
    assert moved.refuses(OutletNotServed).values() == {"stop_id": DROPOFF, "outlet": "kallio"}


@pytest.mark.parametrize("prefix", ["FI-02", "SE-00", "FI-00151"])
def test_a_postal_code_that_the_carrier_does_not_serve_names_its_stop_and_not_the_code(prefix: str):
    refused = asked(ServedArea(postal_prefixes=[prefix])).refuses(PostalCodeNotServed)
    assert refused.values() == {"stop_id": DROPOFF}
    assert "00150" not in str(refused)


@pytest.mark.parametrize(
    ("code", "prefix"), [("SE-114 55", "SE-11455"), ("SE-11455", "SE-114 5"), ("PL-00-950", "PL-00 9")]
)
def test_spaces_and_hyphens_in_a_postal_code_do_not_count(code: str, prefix: str):
    asked(ServedArea(postal_prefixes=[prefix]), {"postal_code": code}).then()


def test_what_a_stop_does_not_tell_is_not_held_against_the_carrier():
    nowhere = ServedArea(outlets=["kamppi"], postal_prefixes=["SE-1"])
    asked(nowhere, {"postal_code": None}).then()
    asked(nowhere, {"hub": "north", "location": None, "postal_code": None}).then()
    asked(nowhere, {"hub": "north", "location": None}).refuses(PostalCodeNotServed)


def test_it_is_judged_alike_until_a_stop_is_over_for_ever():
    """A refusal does not come of a task that has gone on."""
    elsewhere = ServedArea(outlets=["kallio"])
    story = asked(elsewhere).when(GIVE).happened()
    story.when(ConfirmCarrierServes(area=elsewhere)).refuses(OutletNotServed)
    story.when(says("picked_up")).happened().when(ConfirmCarrierServes(area=elsewhere)).then()
    story.when(says("failed")).happened()
    abroad = ServedArea(outlets=["kallio"], postal_prefixes=["SE-1"])
    assert story.when(ConfirmCarrierServes(area=abroad)).refuses(PostalCodeNotServed).values() == {"stop_id": DROPOFF}
    assert "return-1" in story.state.stops, (
        "which is at an outlet that is not served, and was not there when it was asked"
    )
    story.when(ConfirmCarrierServes(area=elsewhere)).then()


def test_of_who_is_forgotten_the_postal_code_is_not_known():
    story = asked(ServedArea(postal_prefixes=["SE-1"]))
    door = story.state.stops[DROPOFF]
    sealed = Personal(door.stop.postal_code.subject, None, b"sealed", "Stop.postal_code")
    forgotten = replace(door, stop=replace(door.stop, postal_code=sealed))
    story.state = replace(story.state, stops={**story.state.stops, DROPOFF: forgotten})
    story.then()


# What it reports


def test_the_goods_go_to_the_carrier_and_from_it_to_the_recipient():
    story = with_carrier().when(says("picked_up"))
    story.tells("CarrierReported", "ParcelsPickedUp", "StopCompleted").happened()
    assert (parties(story), state_of(story.state)) == ({WITH_POSTI}, "in_progress")
    story.when(says("picked_up")).then()
    story.when(says("delivered")).tells("CarrierReported", "ParcelsDelivered", "StopCompleted", "TaskCompleted")
    assert parties(story.happened()) == {Party(kind="recipient")}
    story.when(says("delivered")).then()


def test_a_delivery_of_what_was_never_said_to_be_picked_up_is_a_pickup_too():
    with_carrier().when(says("delivered")).tells(
        "CarrierReported",
        "ParcelsPickedUp",
        "StopCompleted",
        "ParcelsDelivered",
        "StopCompleted",
        "TaskCompleted",
    )


def test_a_status_is_of_all_stops_in_their_order():
    stops = [
        NewStop(kind="pickup"),
        NewStop(kind="dropoff", location=HOME),
        NewStop(kind="pickup", location=HOME, after=["stop-2"]),
        NewStop(kind="dropoff", location=HOME),
    ]
    parcels = [
        NewParcel(dropoff_stop=StopId("stop-2")),
        NewParcel(pickup_stop=StopId("stop-3"), dropoff_stop=StopId("stop-4")),
    ]
    story = picked_up(stops=stops, parcels=parcels)
    assert [stop.status for stop in story.state.stops.values()] == ["completed", "pending", "pending", "pending"]
    story.when(says("delivered")).happened()
    assert (state_of(story.state), story.state.conflicts) == ("completed", ())


def test_what_needs_a_proof_waits_for_it_and_a_dispatcher_gives_it():
    story = picked_up(stops=proving(required_proof=[["photo"]]))
    story.when(says("delivered")).tells("CarrierReported", "ParcelsDelivered").happened()
    capture = CaptureProof(stop_id=DROPOFF, observed_at=NOON, proofs=[PHOTO])
    story.by("ann").when(capture).refuses(NotTheAssignee)
    story.by("dora", "dispatcher").when(capture).tells("ProofCaptured", "StopCompleted", "TaskCompleted")


def test_a_rider_who_had_the_task_before_is_not_believed():
    story = a_task().when(AssignTask(rider_id=RiderId("ann"))).happened()
    story.by("dora", "dispatcher").when(UnassignTask(reason_code="late")).happened()
    story.by("carriers", "system").when(GIVE).happened()
    story.by("ann").when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)).tells("FieldReportConflicted")


# Where its courier is


def told(story: Story, *words: str) -> Story:
    """In this order, a minute after the other, each observed as it is told."""
    for number, word in enumerate(words, start=1):
        story.at(minutes(number)).when(says(word, version=number + 2, minute=number)).happened()
    return story


def stops(story: Story) -> list[str]:
    return [stop.status for stop in story.state.stops.values()]


def test_the_courier_goes_from_stop_to_stop_as_a_rider_does():
    story, legs = with_carrier(), []
    for word in ORDER[:5]:
        story.when(says(word)).happened()
        legs.append(leg_of(story.state))
        assert state_of(story.state) == "in_progress"
    assert legs == ["en_route_pickup", "arrived_pickup", "picked_up", "en_route_dropoff", "arrived_dropoff"]


def test_on_the_way_and_there_are_facts_of_the_stop_and_a_repeat_changes_nothing():
    story = with_carrier().when(says("en_route_to_pickup"))
    reported = CarrierReported(
        carrier_id=POSTI,
        booking_id=BOOKING,
        booking_version=3,
        says="en_route_to_pickup",
        observed_at=NOON,
        reason_code=None,
    )
    story.then(reported, StopEnRoute(stop_id=PICKUP, rider_id=None))
    story.happened().when(says("en_route_to_pickup")).then()
    there = StopArrived(stop_id=PICKUP, rider_id=None, fix=None, distance_m=None, override_reason=None, late=False)
    assert story.when(says("arrived_at_pickup")).decided()[-1] == there


def test_a_fact_of_the_booking_is_never_taken_after_a_later_one():
    story = told(with_carrier(), "en_route_to_pickup", "arrived_at_pickup", "picked_up")
    for word, version in (("en_route_to_pickup", 3), ("arrived_at_pickup", 4), ("picked_up", 5), ("delivered", 2)):
        story.when(says(word, version=version)).then()


def test_what_was_observed_before_the_latest_moves_no_stop_back():
    story = with_carrier().at(minutes(9)).when(says("en_route_to_dropoff", version=3, minute=9)).happened()
    story.when(says("en_route_to_pickup", version=4, minute=1)).tells("CarrierReported").happened()
    story.when(says("arrived_at_pickup", version=5, minute=5)).tells("CarrierReported", "StopArrived")
    assert story.decided()[-1].late
    assert (stops(story.happened()), leg_of(story.state)) == (["pending", "en_route"], "en_route_dropoff")


def test_an_arrival_that_is_told_after_the_goods_were_picked_up_is_late_and_no_conflict():
    story = with_carrier().at(minutes(30)).when(says("picked_up", version=3, minute=20)).happened()
    late = story.when(says("arrived_at_pickup", version=4, minute=15))
    late.tells("CarrierReported", "StopArrived")
    assert (late.decided()[-1].stop_id, late.decided()[-1].late) == (PICKUP, True)
    before = stops(story)
    assert (stops(late.happened()), leg_of(story.state)) == (before, "picked_up")
    story.when(says("en_route_to_pickup", version=5, minute=10)).tells("CarrierReported")


@pytest.mark.parametrize("word", ["en_route_to_pickup", "arrived_at_pickup"])
def test_who_is_at_the_pickup_after_all_was_picked_up_is_put_to_a_person(word: str):
    story = with_carrier().at(minutes(30)).when(says("picked_up", version=3, minute=20)).happened()
    story.when(says(word, version=4, minute=25))
    assert conflict(story) == f"the carrier has had the goods since {minutes(20).isoformat()}"
    report = {"en_route_to_pickup": "ReportEnRoute", "arrived_at_pickup": "ReportArrived"}[word]
    assert (story.decided()[-1].report, story.decided()[-1].observed_at) == (report, minutes(25))
    assert stops(story.happened()) == ["completed", "pending"]


def test_who_arrives_at_the_door_after_all_was_delivered_is_put_to_a_person():
    story = picked_up(stops=proving(required_proof=[["nfc"]])).at(minutes(30))
    story.when(says("delivered", version=6, minute=20)).happened()
    story.when(says("arrived_at_dropoff", version=7, minute=25))
    assert conflict(story) == f"the carrier delivered the goods at {minutes(20).isoformat()}"
    story.happened().when(says("arrived_at_dropoff", version=8, minute=18)).tells("CarrierReported", "StopArrived")


def test_why_a_task_is_not_for_a_carrier_is_told_apart():
    a_task(on_hold=True).when(GIVE).refuses(TaskOnHold)
    with_carrier().when(AssignTaskToCarrier(carrier_id=POSTI, booking_id=OTHER)).refuses(TaskWithCarrier)
    a_task().when(AssignTask(rider_id=RiderId("ann"))).happened().when(GIVE).refuses(TaskWithRider)
    words = [rule.rule for rule in (TaskOnHold, TaskWithCarrier, TaskWithRider)]
    assert words == ["task-on-hold", "task-with-carrier", "task-with-rider"]


def test_a_second_pickup_is_still_ahead_of_who_has_the_first():
    two = [
        NewStop(kind="pickup"),
        NewStop(kind="dropoff", location=HOME),
        NewStop(kind="pickup", location=HOME, after=["stop-2"]),
        NewStop(kind="dropoff", location=HOME),
    ]
    parcels = [
        NewParcel(dropoff_stop=StopId("stop-2")),
        NewParcel(pickup_stop=StopId("stop-3"), dropoff_stop=StopId("stop-4")),
    ]
    story = told(with_carrier(stops=two, parcels=parcels), "picked_up", "en_route_to_dropoff", "arrived_at_dropoff")
    story.at(minutes(9)).when(says("en_route_to_pickup", version=9, minute=9))
    story.tells("CarrierReported", "StopEnRoute").happened()
    assert stops(story) == ["completed", "arrived", "en_route", "pending"]
    assert leg_of(story.state) == "en_route_pickup"


def test_each_way_after_an_arrival_is_to_the_next_stop_and_the_same_way_told_twice_is_one():
    doors = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME), NewStop(kind="dropoff", location=HOME)]
    to_each = [NewParcel(dropoff_stop=StopId(stop)) for stop in ("stop-2", "stop-3")]

    def after(*words: str) -> Story:
        return told(with_carrier(stops=doors, parcels=to_each), "picked_up", *words)

    assert stops(after("en_route_to_dropoff", "en_route_to_dropoff"))[1:] == ["en_route", "pending"]
    assert stops(after("arrived_at_dropoff", "arrived_at_dropoff"))[1:] == ["arrived", "pending"]
    way = ["en_route_to_dropoff", "arrived_at_dropoff"]
    story = after(*way, *way)
    assert (stops(story)[1:], leg_of(story.state)) == (["arrived", "arrived"], "arrived_dropoff")
    story.at(minutes(9)).when(says("delivered", version=9)).tells("CarrierReported", *DELIVERED, *DELIVERED, DONE)


DELIVERED, DONE = ("ParcelsDelivered", "StopCompleted"), "TaskCompleted"


def test_the_way_to_the_door_is_the_leg_though_nothing_was_told_of_the_pickup():
    story = told(with_carrier(), "arrived_at_pickup", "en_route_to_dropoff")
    assert (stops(story), leg_of(story.state)) == (["arrived", "en_route"], "en_route_dropoff")
    assert parties(story) == {Party(kind="outlet", id="kamppi")}, "where the goods are it has not said"


def test_how_far_from_the_stop_the_courier_was_is_flagged_and_not_refused():
    near = ObservedFix(lat=KAMPPI.lat, lon=KAMPPI.lon, accuracy_m=10, observed_at=NOON)
    arrived = with_carrier().when(says("arrived_at_pickup", fix=near)).decided()[-1]
    assert (arrived.distance_m, arrived.override_reason) == (0, None)
    assert arrived.fix == Personal(courier_subject(BOOKING), near)
    far = replace(near, lat=KAMPPI.lat + 0.01)
    arrived = with_carrier().when(says("arrived_at_pickup", fix=far)).decided()[-1]
    assert (arrived.distance_m, arrived.override_reason, arrived.late) == (1_112, "carrier_status", False)


def test_the_way_of_a_carrier_that_does_not_have_the_task_changes_nothing():
    a_task().when(says("arrived_at_pickup")).then()
    with_carrier().when(says("arrived_at_pickup", OTHER)).then()
    with_carrier().when(CancelTask(reason_code="x")).happened().when(says("arrived_at_pickup")).then()
    taken = told(with_carrier(), "en_route_to_pickup").when(TAKE).happened()
    assert (stops(taken), state_of(taken.state)) == (["pending", "pending"], "dispatchable")
    taken.when(says("arrived_at_pickup", version=9)).then()


def test_who_waits_at_the_pickup_for_goods_that_are_not_ready_waits_for_the_sender():
    terms = SlaTerms(deliver_within_s=600)
    ready = [NewStop(kind="pickup", goods_ready_at=minutes(5)), NewStop(kind="dropoff", location=HOME)]
    story = nothing_yet("task").promising(terms).when(CreateTask(kind="delivery", outlet="kamppi", stops=ready))
    story.happened().by("carriers", "system").when(GIVE).happened()
    breach = MarkSlaBreach(promise="deliver", target_at=story.state.sla.promises["deliver"].target_at, level=0)
    [breached] = story.at(breach.target_at).when(breach).decided()
    assert breached.at_fault == "carrier"
    story.when(says("arrived_at_pickup")).happened()
    [breached] = story.when(breach).decided()
    assert breached.at_fault == "sender"


def test_what_is_told_of_the_way_while_the_goods_go_back_moves_nothing():
    story = told(with_carrier(), "picked_up", "en_route_to_dropoff", "failed")
    assert state_of(story.state) == "returning"
    late = story.at(minutes(9)).when(says("arrived_at_dropoff", version=9, minute=2.5))
    late.tells("CarrierReported", "StopArrived")
    assert late.decided()[-1].late
    story.when(says("en_route_to_dropoff", version=10, minute=2.5)).tells("CarrierReported")


# It came to nothing


def test_before_the_goods_are_with_it_the_task_goes_back_to_dispatch():
    with_carrier().when(TAKE).then(TAKEN, TaskDispatchable(round=2))
    with_carrier().when(says("failed")).tells("CarrierReported", "TaskTakenFromCarrier", "TaskDispatchable")
    story = with_carrier().when(TAKE).happened()
    assert state_of(story.state) == "dispatchable"
    story.when(AssignTask(rider_id=RiderId("ann"))).tells("TaskAssigned")


def test_a_booking_gets_its_task_once():
    story = with_carrier().when(TAKE).happened()
    story.when(GIVE).then()
    story.when(TAKE).then()
    story.when(AssignTaskToCarrier(carrier_id=POSTI, booking_id=OTHER)).tells("TaskGivenToCarrier").happened()
    story.when(TAKE).then()


def test_what_it_has_in_hand_and_does_not_deliver_goes_back():
    story = picked_up().after("gone", "return").when(says("failed", reason_code="gone"))
    story.tells("CarrierReported", "DeliveryAttemptFailed", "StopFailed", "ReturnStarted")
    failed, back = story.decided()[1], story.decided()[-1]
    assert (failed.at_fault, failed.policy, back.rider_id, back.carrier_id) == ("recipient", "return", None, POSTI)
    assert (parties(story.happened()), state_of(story.state)) == ({WITH_POSTI}, "returning")
    story.when(TAKE).refuses(GoodsInCustody)


def test_a_reason_that_the_tenant_does_not_know_is_the_carriers_own():
    [_, failed, *_] = picked_up().when(says("failed")).decided()
    assert (failed.reason_code, failed.at_fault) == ("carrier_failed", "carrier")


def test_a_dispatcher_tells_that_it_is_back():
    story = picked_up().when(says("failed")).happened()
    back = ReportReturned(stop_id=StopId("return-1"), observed_at=NOON)
    story.by("ann").when(back).refuses(NotTheAssignee)
    story.by("dora", "dispatcher").when(back).tells("ParcelsReturned", "StopCompleted", "TaskReturned")
    assert story.decided()[-1].booking_id == BOOKING
    story.happened()
    assert parties(story) == {Party(kind="outlet", id="kamppi")}


def test_goods_that_wait_for_the_proof_of_their_pickup_are_not_given_to_another():
    stops = [NewStop(kind="pickup", required_proof=[["photo"]]), NewStop(kind="dropoff", location=HOME)]
    story = picked_up(stops=stops).when(says("failed"))
    story.tells("CarrierReported", "DeliveryAttemptFailed", "StopFailed").happened()
    capture = CaptureProof(stop_id=PICKUP, observed_at=NOON, proofs=[PHOTO])
    story.by("dora", "dispatcher").when(capture).tells("ProofCaptured", "StopCompleted", "ReturnStarted")


def test_who_has_to_be_told_of_an_end_stands_in_it():
    [cancelled] = with_carrier().when(CancelTask(reason_code="x")).decided()
    assert cancelled.booking_id == BOOKING
    forced = with_carrier().when(ForceCompleteTask(disposition="lost", reason_code="x")).decided()[-1]
    assert forced.booking_id == BOOKING
    lost = ReportParcelsLost(
        parcel_ids=[ParcelId("parcel-1"), ParcelId("parcel-2")], reason_code="theft", observed_at=NOON
    )
    failed = picked_up().by("dora", "dispatcher").when(lost).decided()[-1]
    assert (type(failed).__name__, failed.booking_id) == ("TaskFailed", BOOKING)


# What cannot be


def test_a_carrier_that_does_not_have_the_task_is_put_to_a_person_once():
    story = a_task().when(says("picked_up"))
    assert conflict(story) == "reported by a carrier that does not have the task"
    story.happened().when(says("picked_up")).then()
    assert story.state.conflicts == (conflict_id("c-1"),)
    assert (
        conflict(with_carrier().when(says("delivered", OTHER))) == "reported by a carrier that does not have the task"
    )


def test_that_it_came_to_nothing_contradicts_nothing():
    a_task().when(says("failed")).tells("CarrierReported")
    with_carrier().when(CancelTask(reason_code="x")).happened().when(says("failed")).tells("CarrierReported")


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (CancelTask(reason_code="x"), "the task is cancelled"),
        (ForceCompleteTask(disposition="lost", reason_code="x"), "the task is completed"),
    ],
)
def test_what_it_does_after_the_end_is_put_to_a_person(end: Command, why: str):
    assert conflict(with_carrier().when(end).happened().when(says("picked_up"))) == why


def test_what_an_operator_knew_before_fits():
    story = picked_up().when(ForceCompleteTask(disposition="delivered", reason_code="called")).happened()
    story.when(says("delivered")).tells("CarrierReported")


def test_what_is_delivered_though_it_was_called_back_is_put_to_a_person():
    story = picked_up().when(CancelTask(reason_code="x")).happened()
    assert conflict(story.when(says("delivered"))) == "its goods are on their way back"


def test_a_round_of_its_own_follows_a_hold_that_was_lifted():
    story = a_task(on_hold=True).when(ReleaseTask(reason_code="found")).happened()
    story.when(GIVE).then(GIVEN)


def test_a_dispatcher_does_not_report_a_delivery_in_its_stead_for_a_rider():
    story = a_task().when(AssignTask(rider_id=RiderId("ann"))).happened().by("dora", "dispatcher")
    story.when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)).refuses(NotTheAssignee)
