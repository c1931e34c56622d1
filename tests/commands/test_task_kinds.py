"""The five kinds of tasks: who has the goods at each stop, what a collection, a transfer and a return ask for."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from story import KAMPPI, NOON, Story, minutes, nothing_yet

from commands.context import HubPolicy, UnknownHub, UnknownOutlet
from commands.goods import ItemNotKnown, NotADropoff, ParcelNotKnown
from commands.task_creation import HubClosedNow, ParcelMismatch, StopsMismatch, pin_of
from commands.task_state import NotForThisKind, NotTheAssignee, leg_of, state_of
from schemas.field_report import (
    ReportAttemptFailed,
    ReportCollected,
    ReportCustomerArrived,
    ReportCustomerOnTheWay,
    ReportDelivered,
    ReportPickedUp,
)
from schemas.geo import Location
from schemas.goods import (
    InspectedLine,
    InspectReturn,
    NewItem,
    Party,
    ReceivedLine,
    ReceiveTransfer,
    ReportParcelsDamaged,
    ReportParcelsLost,
)
from schemas.message import HubSlug, NotInThisState, ParcelId, RiderId, StopId, TenderId
from schemas.proof import IdCheckEntry, PinEntry
from schemas.stop import NewContact, NewParcel, NewStop
from schemas.stop_events import ParcelsWrittenOff, ReturnStarted
from schemas.task import (
    AssignTask,
    AuthoriseReturn,
    CancelTask,
    ConfirmTaskCreated,
    CreateTask,
    ForceCompleteTask,
    RecordTender,
)
from schemas.task_kind import TaskKind

HOME = Location(lat=60.1610, lon=24.9420)
STOP, PICKUP, DROPOFF = StopId("stop-1"), StopId("stop-1"), StopId("stop-2")
FIRST, SECOND = ParcelId("parcel-1"), ParcelId("parcel-2")
ANN, TENDER = RiderId("ann"), TenderId("tender-1")
AT_OUTLET = Party(kind="outlet", id="kamppi")
SHIRTS = [NewItem(sku="shirt", quantity=10), NewItem(sku="hat", quantity=2)]


def new(kind: TaskKind, stops: Sequence[NewStop], **changes: object) -> Story:
    parcels = [NewParcel(), NewParcel()]
    wanted = {"kind": kind, "outlet": "kamppi", "stops": list(stops), "parcels": parcels} | changes
    return nothing_yet("task").when(CreateTask(**wanted))  # type: ignore[arg-type]


def a_collection(**changes: object) -> Story:
    return new("collection", [NewStop(kind="collection", contact=NewContact(name="Cleo"), **changes)])  # type: ignore[arg-type]


def a_transfer(**changes: object) -> Story:
    return new("transfer", [NewStop(kind="pickup"), NewStop(kind="dropoff", hub="north")], **changes)


def a_return(**changes: object) -> Story:
    return new("return", [NewStop(kind="pickup", location=HOME), NewStop(kind="dropoff")], **changes)


def on_the_road(story: Story) -> Story:
    claimed = story.and_then(RecordTender(tender_id=TENDER, round=1)).and_then(
        AssignTask(rider_id=ANN, tender_id=TENDER)
    )
    return claimed.happened().by(ANN).when(ReportPickedUp(stop_id=PICKUP, observed_at=NOON)).happened()


def brought(story: Story) -> Story:
    return (
        on_the_road(story).when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)).happened().by("staff", "operator")
    )


def state(story: Story) -> str:
    return state_of(story.state)


def with_parties(story: Story) -> list[tuple[str, str | None]]:
    return [(stop.stop.party.kind, stop.stop.party.id) for stop in story.state.stops.values()]


def test_each_kind_says_who_has_the_goods_before_and_after():
    two = [NewStop(kind="pickup", location=HOME), NewStop(kind="dropoff", location=HOME)]
    own = ("outlet", "kamppi")
    assert with_parties(new("delivery", two).happened()) == [own, ("recipient", None)]
    assert with_parties(new("pickup", two).happened()) == [("sender", None), own]
    assert with_parties(new("return", two, authorisation="R-1").happened()) == [("sender", None), own]
    assert with_parties(a_transfer().happened()) == [own, ("hub", "north")]
    assert with_parties(a_collection().happened()) == [own]


def test_a_stop_at_an_outlet_or_a_hub_is_located_by_it():
    story = a_transfer().happened()
    assert story.state.stops[DROPOFF].stop.location.value == HOME, "the hub's"
    back = a_return(authorisation="R-1").happened()
    assert back.state.stops[DROPOFF].stop.location.value == KAMPPI, "the outlet's"


def test_a_pickup_brings_goods_from_a_sender_to_the_outlet():
    story = new("pickup", [NewStop(kind="pickup", location=HOME), NewStop(kind="dropoff")])
    done = brought(story)
    assert (state(done), done.state.outcome) == ("completed", "delivered")
    assert {parcel.party for parcel in done.state.parcels.values()} == {AT_OUTLET}


def test_a_kind_has_the_stops_that_it_is_about():
    pickup, dropoff, collection = (NewStop(kind=kind) for kind in ("pickup", "dropoff", "collection"))
    new("collection", [pickup, dropoff]).refuses(StopsMismatch)
    new("collection", [collection, collection]).refuses(StopsMismatch)
    new("delivery", [collection]).refuses(StopsMismatch)
    new("delivery", [pickup, collection, dropoff]).refuses(StopsMismatch)
    new("transfer", [pickup, dropoff]).refuses(StopsMismatch)
    new("transfer", [pickup, replace(dropoff, outlet="nowhere")]).refuses(UnknownOutlet)
    new("transfer", [pickup, replace(dropoff, hub="nowhere")]).refuses(UnknownHub)
    new("transfer", [pickup, replace(dropoff, hub="north", outlet="kamppi")]).refuses(StopsMismatch)
    new("delivery", [pickup, replace(dropoff, goods_ready_at=NOON)]).refuses(StopsMismatch)


def test_nothing_is_brought_to_a_hub_that_is_closed():
    story = a_transfer()
    story.hubs = {HubSlug("north"): HubPolicy(HOME, "Europe/Helsinki", closed=True)}
    story.refuses(HubClosedNow)


def test_a_parcel_has_each_item_once():
    twice = [NewItem(sku="hat", quantity=1), NewItem(sku="hat", quantity=2)]
    a_transfer(parcels=[NewParcel(items=twice)]).refuses(ParcelMismatch)


# Collection


def test_a_collection_goes_from_ready_goods_to_a_customer_who_has_them():
    story = a_collection().happened().by("staff", "integrator")
    assert state(story) == "created", "nobody is sent for it"
    story.when(ReportCustomerOnTheWay(stop_id=STOP, observed_at=NOON, expected_at=minutes(9))).happened()
    assert (state(story), leg_of(story.state)) == ("in_progress", "en_route_collection")
    story.when(ReportCustomerArrived(stop_id=STOP, observed_at=minutes(8), spot="bay 4", vehicle="red van")).happened()
    assert leg_of(story.state) == "arrived_collection"
    story.when(ReportCollected(stop_id=STOP, observed_at=minutes(10))).tells(
        "ParcelsDelivered", "StopCompleted", "TaskCompleted"
    )
    done = story.happened()
    assert (state(done), done.state.outcome) == ("completed", "delivered")
    assert {parcel.party.kind for parcel in done.state.parcels.values()} == {"recipient"}


def test_who_arrives_unannounced_is_served_all_the_same():
    story = a_collection().happened().by("staff", "integrator")
    story.when(ReportCollected(stop_id=STOP, observed_at=NOON)).tells(
        "ParcelsDelivered", "StopCompleted", "TaskCompleted"
    )


def test_what_was_short_or_refused_at_a_collection_stays_at_the_outlet():
    story = a_collection().happened().by("staff", "integrator")
    story.when(ReportCollected(stop_id=STOP, observed_at=NOON, refused=[FIRST])).tells(
        "ParcelsRefused", "ParcelsDelivered", "StopCompleted", "TaskCompleted"
    )
    done = story.happened()
    assert done.state.outcome == "partially_delivered"
    assert done.state.parcels[FIRST].party == AT_OUTLET
    none = a_collection().happened().when(ReportCollected(stop_id=STOP, observed_at=NOON, short=[FIRST, SECOND]))
    none.tells("ParcelsShort", "StopFailed", "TaskFailed")


def test_a_collection_needs_its_proof():
    story = a_collection(required_proof=[["pin"]]).happened().by("staff", "integrator")
    pin = pin_of(story.context(), STOP)
    story.when(ReportCollected(stop_id=STOP, observed_at=NOON)).tells("ParcelsDelivered")
    wrong = PinEntry(pin="0000" if pin != "0000" else "1111")
    story.when(ReportCollected(stop_id=STOP, observed_at=NOON, proofs=[wrong])).tells("ParcelsDelivered", "PinRejected")
    story.when(ReportCollected(stop_id=STOP, observed_at=NOON, proofs=[PinEntry(pin=pin)])).tells(
        "ParcelsDelivered", "ProofCaptured", "StopCompleted", "TaskCompleted"
    )


def test_after_a_wrong_pin_at_a_collection_the_right_one_is_told_with_the_same_report():
    story = a_collection(required_proof=[["pin"]]).happened().by("staff", "integrator")
    pin = pin_of(story.context(), STOP)
    wrong = PinEntry(pin="0000" if pin != "0000" else "1111")
    story.when(ReportCollected(stop_id=STOP, observed_at=NOON, proofs=[wrong])).happened()
    story.when(ReportCollected(stop_id=STOP, observed_at=NOON)).then()
    story.when(ReportCollected(stop_id=STOP, observed_at=NOON, proofs=[wrong])).tells("PinRejected")
    right = ReportCollected(stop_id=STOP, observed_at=NOON, proofs=[PinEntry(pin=pin)])
    story.when(right).tells("ProofCaptured", "StopCompleted", "TaskCompleted")
    story.and_then(right).then()


def test_who_is_too_young_gets_nothing():
    story = a_collection(minimum_age=18).happened().by("staff", "integrator")
    young = IdCheckEntry(result="pass", age_band="16_to_17")
    story.when(ReportCollected(stop_id=STOP, observed_at=NOON, proofs=[young])).happened()
    assert story.state.conflicts, "the goods have gone to somebody too young: a person has to see to it"


def test_a_collection_that_nobody_came_for_is_cancelled_and_the_goods_stay():
    done = a_collection().happened().when(CancelTask(reason_code="not_collected")).happened()
    assert (state(done), done.state.parcels[FIRST].party) == ("cancelled", AT_OUTLET)
    late = done.by("staff", "integrator").when(ReportCollected(stop_id=STOP, observed_at=NOON))
    late.tells("FieldReportConflicted")


def test_a_rider_has_no_part_in_a_collection_nor_its_customer_in_a_delivery():
    a_collection().happened().by(ANN).when(ReportPickedUp(stop_id=STOP, observed_at=NOON)).refuses(NotTheAssignee)
    two = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME)]
    delivery = new("delivery", two).happened()
    delivery.when(ReportCollected(stop_id=PICKUP, observed_at=NOON)).refuses(NotForThisKind)


# Transfer


def received(*lines: ReceivedLine) -> ReceiveTransfer:
    return ReceiveTransfer(stop_id=DROPOFF, lines=list(lines))


def test_a_transfer_is_received_line_by_line_and_what_differs_is_named():
    story = brought(a_transfer(parcels=[NewParcel(items=SHIRTS)]))
    assert state(story) == "completed"
    first = story.when(received(ReceivedLine(parcel_id=FIRST, sku="shirt", received=8)))
    [event] = first.decided()
    assert (event.complete, event.lines[0].expected, event.lines[0].discrepancy) == (False, 10, "short")
    rest = first.and_then(
        received(
            ReceivedLine(parcel_id=FIRST, sku="hat", received=2, condition="damaged"),
            ReceivedLine(parcel_id=FIRST, sku="scarf", received=1),
        )
    )
    [event] = rest.decided()
    assert event.complete
    assert [line.discrepancy for line in event.lines] == ["damaged", "unexpected"]
    rest.and_then(received(ReceivedLine(parcel_id=FIRST, sku="hat", received=2, condition="damaged"))).then()


def test_a_line_told_again_corrects_what_was_told():
    story = brought(a_transfer(parcels=[NewParcel(items=SHIRTS)]))
    story.when(received(ReceivedLine(parcel_id=FIRST, sku="shirt", received=8))).happened()
    [event] = story.when(received(ReceivedLine(parcel_id=FIRST, sku="shirt", received=10))).decided()
    assert event.lines[0].discrepancy is None
    [event] = story.when(received(ReceivedLine(parcel_id=FIRST, sku="shirt", received=11))).decided()
    assert event.lines[0].discrepancy == "over"


def test_a_parcel_without_items_is_one_line_itself():
    story = brought(a_transfer())
    lines = [ReceivedLine(parcel_id=FIRST, received=1), ReceivedLine(parcel_id=SECOND, received=0)]
    [event] = story.when(received(*lines)).decided()
    assert (event.complete, [line.discrepancy for line in event.lines]) == (True, [None, "short"])


def test_goods_are_received_where_and_once_they_have_come():
    line = ReceivedLine(parcel_id=FIRST, received=1)
    on_the_road(a_transfer()).when(received(line)).refuses(NotInThisState)
    there = brought(a_transfer())
    there.when(ReceiveTransfer(stop_id=PICKUP, lines=[line])).refuses(NotADropoff)
    there.when(received(replace(line, parcel_id=ParcelId("other")))).refuses(ParcelNotKnown)
    brought(a_return(authorisation="R-1")).when(received(line)).refuses(NotForThisKind)


# Return


def inspected(*lines: InspectedLine) -> InspectReturn:
    return InspectReturn(lines=list(lines))


WORN = InspectedLine(parcel_id=FIRST, quantity=1, condition="used", disposition="refurbish")


def test_a_return_waits_until_it_is_authorised():
    story = a_return().tells("TaskCreated").happened()
    assert state(story) == "created"
    story.when(AuthoriseReturn(authorisation="RMA-7")).tells("ReturnAuthorised", "TaskDispatchable")
    story.and_then(AuthoriseReturn(authorisation="RMA-7")).then()
    a_return(authorisation="RMA-7").tells("TaskCreated", "TaskDispatchable")
    a_transfer().happened().when(AuthoriseReturn(authorisation="RMA-7")).refuses(NotForThisKind)


def test_a_return_that_is_not_authorised_is_cancelled():
    refused = a_return().happened().when(CancelTask(reason_code="out_of_warranty")).happened()
    refused.when(AuthoriseReturn(authorisation="RMA-7")).refuses(NotInThisState)


def test_what_came_back_is_inspected_item_by_item():
    story = brought(a_return(authorisation="R-1", parcels=[NewParcel(items=SHIRTS)]))
    good = replace(WORN, sku="shirt", quantity=7, condition="new", disposition="restock")
    torn = replace(WORN, sku="shirt", quantity=3, condition="damaged", disposition="dispose")
    [event] = story.when(inspected(good, torn)).decided()
    assert (len(event.lines), event.complete) == (2, False)
    [event] = story.and_then(inspected(replace(WORN, sku="hat", quantity=2))).decided()
    assert event.complete
    story.and_then(inspected(good, torn)).then()
    story.when(inspected(replace(WORN, sku="scarf"))).refuses(ItemNotKnown)
    story.when(inspected(WORN)).refuses(ItemNotKnown)


def test_only_what_has_come_back_is_inspected():
    on_the_road(a_return(authorisation="R-1")).when(inspected(WORN)).refuses(NotInThisState)
    brought(a_transfer()).when(inspected(WORN)).refuses(NotForThisKind)


# Lost and damaged


def lost(*parcels: ParcelId) -> ReportParcelsLost:
    return ReportParcelsLost(parcel_ids=list(parcels), reason_code="theft", observed_at=NOON)


def test_of_what_an_incident_says_is_lost_a_parcel_that_nobody_knows_keeps_none_from_being_lost():
    nowhere, also = ParcelId("parcel-9"), ParcelId("parcel-8")
    story = on_the_road(a_transfer()).by("incident-response", "system").when(lost(FIRST, nowhere, also))
    [gone, told] = story.tells("ParcelsLost", "FieldReportConflicted").decided()
    assert gone.parcel_ids == [FIRST]
    assert told.conflict == "the task has no parcels parcel-9, parcel-8"
    story.when(lost(nowhere)).refuses(ParcelNotKnown)
    story.by("dora", "dispatcher").when(lost(FIRST, nowhere)).refuses(ParcelNotKnown)


def test_who_asks_for_parcels_of_a_task_is_told_which_it_does_not_have():
    story = a_transfer().happened()
    story.when(ConfirmTaskCreated(parcel_ids=[FIRST])).then()
    asked = ConfirmTaskCreated(parcel_ids=[FIRST, ParcelId("parcel-9")])
    assert story.when(asked).refuses(ParcelNotKnown).values() == {"parcel_id": "parcel-9"}


def test_of_what_is_lost_nobody_has_custody_and_the_rest_goes_on():
    story = on_the_road(a_transfer()).when(lost(FIRST)).tells("ParcelsLost").happened()
    assert story.state.parcels[FIRST].party == Party(kind="nobody")
    story.when(lost(FIRST)).then()
    story.when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)).tells(
        "ParcelsDelivered", "StopCompleted", "TaskCompleted"
    )
    assert story.happened().state.outcome == "partially_delivered"


def test_with_all_of_it_lost_the_task_has_failed():
    story = on_the_road(a_transfer()).when(lost(FIRST, SECOND)).tells("ParcelsLost", "StopSkipped", "TaskFailed")
    assert story.happened().state.outcome == "not_delivered"


def test_what_is_lost_on_its_way_back_ends_the_way():
    story = on_the_road(a_transfer()).when(CancelTask(reason_code="changed")).happened()
    story.when(lost(FIRST, SECOND)).tells("ParcelsLost", "StopSkipped", "TaskReturned")


def test_what_was_handed_over_cannot_be_lost_any_more_but_somebody_is_told():
    brought(a_transfer()).when(lost(FIRST)).tells("FieldReportConflicted")


def test_a_rider_tells_of_their_own_task_only():
    story = on_the_road(a_transfer())
    story.by("bob").when(lost(FIRST)).refuses(NotTheAssignee)
    story.by(ANN).when(lost(ParcelId("other"))).refuses(ParcelNotKnown)


def test_damage_is_a_fact_on_the_parcel_told_once_and_at_any_time():
    wet = ReportParcelsDamaged(parcel_ids=[FIRST], reason_code="wet", observed_at=NOON)
    story = brought(a_transfer()).when(wet).tells("ParcelsDamaged").happened()
    assert story.state.parcels[FIRST].damaged
    assert story.state.parcels[FIRST].status == "delivered"
    story.when(wet).then()


# Statements of an operator


@pytest.mark.parametrize(
    ("disposition", "party"),
    [("delivered", Party(kind="hub", id="north")), ("returned", AT_OUTLET), ("lost", Party(kind="nobody"))],
)
def test_goods_that_an_operator_states_to_be_somewhere_are_with_whom_the_stop_says(disposition: str, party: Party):
    story = on_the_road(a_transfer()).by("olga", "operator")
    forced = ForceCompleteTask(disposition=disposition, reason_code="stuck")  # type: ignore[arg-type]
    [written_off, _] = story.when(forced).decided()
    assert isinstance(written_off, ParcelsWrittenOff)
    assert written_off.to_party == party


def test_a_transfer_goes_somewhere_else():
    there = new("transfer", [NewStop(kind="pickup"), NewStop(kind="dropoff", outlet="kamppi")])
    assert "where the transfer comes from" in str(there.refuses(StopsMismatch))


def test_a_stop_at_an_outlet_is_not_in_another_town():
    tampere = Location(lat=61.4978, lon=23.7610)
    stops = [NewStop(kind="pickup", outlet="kamppi", location=tampere), NewStop(kind="dropoff", location=HOME)]
    assert "outlet kamppi" in str(new("delivery", stops).refuses(StopsMismatch))
    gate = replace(stops[0], location=Location(lat=KAMPPI.lat + 0.002, lon=KAMPPI.lon))
    assert new("delivery", [gate, stops[1]]).happened().state.stops[PICKUP].stop.location.value == gate.location


def test_with_all_of_it_lost_before_anybody_has_it_the_task_has_failed():
    story = new("delivery", [NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME)]).happened()
    story = story.when(RecordTender(tender_id=TENDER, round=1)).happened()
    lost = ReportParcelsLost(parcel_ids=[FIRST, SECOND], reason_code="stolen", observed_at=NOON)
    told = story.by("staff", "operator").when(lost)
    told.tells("ParcelsLost", "StopSkipped", "StopSkipped", "TaskFailed")
    assert told.decided()[-1].tender_id == TENDER, "those who were asked are told"
    assert state(told.happened()) == "failed"


def test_who_refuses_everything_proves_nothing():
    story = a_collection(required_proof=[["pin"]]).happened()
    refused = ReportCollected(stop_id=STOP, observed_at=NOON, refused=[FIRST, SECOND])
    done = story.by("staff", "operator").when(refused).tells("ParcelsRefused", "StopCompleted", "TaskFailed").happened()
    assert [parcel.party for parcel in done.state.parcels.values()] == [AT_OUTLET, AT_OUTLET]


def test_a_cancel_says_where_the_goods_have_come():
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME, required_proof=[["photo"]])]
    story = on_the_road(new("delivery", stops))
    story = story.when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)).happened().by("shop", "integrator")
    cancelled = story.when(CancelTask(reason_code="no_photo")).tells("TaskCancelled").happened()
    assert (state(cancelled), cancelled.state.outcome) == ("cancelled", "delivered")


def test_an_inspection_names_what_is_missing_and_what_is_too_much():
    parcels = [NewParcel(items=SHIRTS)]
    story = brought(a_return(authorisation="R-1", parcels=parcels))
    told = [
        InspectedLine(parcel_id=FIRST, sku="shirt", quantity=quantity, condition=condition, disposition=then)
        for quantity, condition, then in ((8, "new", "restock"), (1, "damaged", "dispose"))
    ]
    told.append(InspectedLine(parcel_id=FIRST, sku="hat", quantity=3, condition="new", disposition="restock"))
    [inspected] = story.when(InspectReturn(lines=told)).decided()  # type: ignore[list-item]
    found = [(each.sku, each.expected, each.inspected, each.discrepancy) for each in inspected.differences]
    assert found == [("shirt", 10, 9, "short"), ("hat", 2, 3, "over")]
    assert inspected.complete


def test_what_was_never_picked_up_keeps_nobody_from_delivering_the_rest():
    stops = [NewStop(kind="pickup"), NewStop(kind="pickup", location=HOME), NewStop(kind="dropoff", location=HOME)]
    parcels = [NewParcel(pickup_stop="stop-1"), NewParcel(pickup_stop="stop-2")]
    story = on_the_road(new("delivery", stops, parcels=parcels))
    early = ReportDelivered(stop_id=StopId("stop-3"), observed_at=NOON)
    story.when(early).tells("FieldReportConflicted")
    closed = ReportAttemptFailed(stop_id=StopId("stop-2"), observed_at=NOON, reason_code="closed_shop")
    while story.state.stops[StopId("stop-2")].status != "failed":
        story = story.when(closed).happened()
    done = story.when(early).tells("ParcelsDelivered", "StopCompleted", "TaskCompleted").happened()
    assert done.state.outcome == "partially_delivered"
    assert [parcel.party.kind for parcel in done.state.parcels.values()] == ["recipient", "outlet"]


def test_what_a_sender_gave_goes_back_to_them():
    story = on_the_road(new("pickup", [NewStop(kind="pickup", location=HOME), NewStop(kind="dropoff")]))
    story = story.when(CancelTask(reason_code="asked"))
    [started] = [event for event in story.decided() if isinstance(event, ReturnStarted)]
    assert started.stop.party.kind == "sender"


def test_what_was_handed_over_on_the_way_is_not_lost_with_the_rest():
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME), NewStop(kind="dropoff", location=HOME)]
    parcels = [NewParcel(dropoff_stop="stop-2"), NewParcel(dropoff_stop="stop-3")]
    story = on_the_road(new("delivery", stops, parcels=parcels))
    story = story.when(ReportDelivered(stop_id=DROPOFF, observed_at=NOON)).happened()
    story.when(lost(FIRST, SECOND)).tells("ParcelsLost", "FieldReportConflicted", "StopSkipped", "TaskCompleted")
    told = story.happened()
    assert [told.state.parcels[parcel].party.kind for parcel in (FIRST, SECOND)] == ["recipient", "nobody"]
