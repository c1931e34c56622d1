"""The way back: goods that are not delivered go to where each of them was picked up."""

from story import NOON, Story, nothing_yet

from commands.proof_needed import has_moved
from commands.task_state import outcome_of, state_of
from schemas.field_report import ReportAttemptFailed, ReportDelivered, ReportPickedUp, ReportReturned
from schemas.geo import Location
from schemas.goods import Party, ReportParcelsLost
from schemas.message import ParcelId, RiderId, StopId, TenderId
from schemas.proof import ScanEntry
from schemas.stop import NewContact, NewParcel, NewStop
from schemas.stop_events import ParcelsReturned, ReturnStarted
from schemas.task import AssignTask, CancelTask, CreateTask, RecordTender
from schemas.task_kind import TaskKind

HOME = Location(lat=60.1610, lon=24.9420)
ANN, TENDER = RiderId("ann"), TenderId("tender-1")
AT_KAMPPI, AT_NORTH = Party(kind="outlet", id="kamppi"), Party(kind="hub", id="north")
WITH_ANN = Party(kind="rider", id="ann")
ONE, TWO, THREE = ParcelId("one"), ParcelId("two"), ParcelId("three")
DOOR = StopId("stop-3")
TO_KAMPPI, TO_NORTH = StopId("return-1"), StopId("return-2")
CANCEL = CancelTask(reason_code="asked")
PICKUPS = (NewStop(kind="pickup"), NewStop(kind="pickup", hub="north"))


def aboard(*pickups: NewStop, at_return: str | None = None, kind: TaskKind = "delivery") -> Story:
    """One and three were picked up at the first of two places, two at the second."""
    stops = [*(pickups or PICKUPS), NewStop(kind="dropoff", location=HOME)]
    places = {ONE: "stop-1", TWO: "stop-2", THREE: "stop-1"}
    parcels = [NewParcel(parcel_id=each, pickup_stop=place, barcode=each) for each, place in places.items()]
    back = [[at_return]] if at_return else []
    create = CreateTask(kind=kind, outlet="kamppi", stops=stops, parcels=parcels, return_proof=back)  # type: ignore[arg-type]
    story = nothing_yet("task").when(create).and_then(RecordTender(tender_id=TENDER, round=1))
    story = story.and_then(AssignTask(rider_id=ANN, tender_id=TENDER)).happened().by(ANN)
    for stop_id in (StopId("stop-1"), StopId("stop-2")):
        story = story.when(ReportPickedUp(stop_id=stop_id, observed_at=NOON)).happened()
    return story


def on_the_way_back(story: Story) -> Story:
    return story.when(CANCEL).happened()


def back_at(stop_id: StopId, *scanned: ParcelId) -> ReportReturned:
    proofs = [ScanEntry(parcel_id=each, code=each) for each in scanned]
    return ReportReturned(stop_id=stop_id, observed_at=NOON, proofs=[*proofs])


def started(story: Story) -> list[tuple[StopId, Party, list[ParcelId]]]:
    told = [event for event in story.decided() if isinstance(event, ReturnStarted)]
    return [(event.stop.stop_id, event.stop.party, event.parcel_ids) for event in told]


def who_has_what(story: Story) -> list[Party]:
    return [parcel.party for parcel in story.state.parcels.values()]


def test_each_goes_back_to_where_it_was_picked_up():
    story = aboard().when(CANCEL).tells("ReturnStarted", "ReturnStarted")
    assert started(story) == [(TO_KAMPPI, AT_KAMPPI, [ONE, THREE]), (TO_NORTH, AT_NORTH, [TWO])]
    back = story.happened()
    assert state_of(back.state) == "returning"
    assert [back.state.stops[each].status for each in (DOOR, TO_KAMPPI, TO_NORTH)] == ["skipped", "pending", "pending"]


def test_it_has_come_back_once_all_of_it_is_where_it_came_from():
    first = on_the_way_back(aboard()).when(back_at(TO_NORTH)).tells("ParcelsReturned", "StopCompleted")
    assert first.decided()[0] == ParcelsReturned(
        stop_id=TO_NORTH, parcel_ids=[TWO], from_party=WITH_ANN, to_party=AT_NORTH
    )
    half = first.happened()
    assert who_has_what(half) == [WITH_ANN, AT_NORTH, WITH_ANN]
    done = half.when(back_at(TO_KAMPPI)).tells("ParcelsReturned", "StopCompleted", "TaskReturned").happened()
    assert who_has_what(done) == [AT_KAMPPI, AT_NORTH, AT_KAMPPI]
    assert (state_of(done.state), outcome_of(done.state)) == ("returned", "returned")


def test_what_was_delivered_goes_nowhere_and_the_rest_where_it_came_from():
    told = ReportDelivered(stop_id=DOOR, observed_at=NOON, refused=[TWO])
    assert started(aboard().when(told)) == [(StopId("return-1"), AT_NORTH, [TWO])]


def test_what_came_from_one_place_by_two_pickups_goes_there_once():
    twice = aboard(NewStop(kind="pickup"), NewStop(kind="pickup")).when(CANCEL)
    assert started(twice) == [(TO_KAMPPI, AT_KAMPPI, [ONE, TWO, THREE])]
    another = aboard(NewStop(kind="pickup"), NewStop(kind="pickup", location=HOME)).when(CANCEL)
    assert [parcels for _, _, parcels in started(another)] == [[ONE, THREE], [TWO]]


def test_what_two_people_gave_at_one_place_goes_back_to_each_of_them():
    def giver(reference: str) -> NewStop:
        return NewStop(kind="pickup", location=HOME, contact=NewContact(name="Cleo", reference=reference))

    def ways(*references: str) -> list[list[ParcelId]]:
        story = aboard(*map(giver, references), kind="pickup").when(CANCEL)
        return [parcels for _, _, parcels in started(story)]

    assert ways("cleo", "dan") == [[ONE, THREE], [TWO]]
    assert ways("cleo", "cleo") == [[ONE, TWO, THREE]]


def test_nobody_goes_to_a_place_whose_goods_are_lost_on_the_way():
    lost = ReportParcelsLost(parcel_ids=[TWO], reason_code="theft", observed_at=NOON)
    story = on_the_way_back(aboard()).when(lost).tells("ParcelsLost", "StopSkipped").happened()
    assert story.state.stops[TO_NORTH].status == "skipped"
    story.when(back_at(TO_KAMPPI)).tells("ParcelsReturned", "StopCompleted", "TaskReturned")


def test_where_nobody_takes_them_back_they_go_there_again_after_the_others():
    closed = ReportAttemptFailed(stop_id=TO_KAMPPI, observed_at=NOON, reason_code="closed_shop")
    story = on_the_way_back(aboard())
    while story.state.stops[TO_KAMPPI].status != "failed":
        story = story.when(closed).happened()
    story = story.when(back_at(TO_NORTH)).tells("ParcelsReturned", "StopCompleted", "ReturnStarted")
    assert started(story) == [(StopId("return-3"), AT_KAMPPI, [ONE, THREE])]
    story.and_then(back_at(StopId("return-3"))).tells("ParcelsReturned", "StopCompleted", "TaskReturned")


def test_at_each_place_the_proof_is_of_what_comes_back_there():
    story = on_the_way_back(aboard(at_return="scan"))
    story.when(back_at(TO_NORTH, TWO)).tells("ParcelsReturned", "ProofCaptured", "StopCompleted")
    story.when(back_at(TO_NORTH, ONE)).tells("ParcelsReturned", "ProofCaptured")
    story.when(back_at(TO_KAMPPI, ONE)).tells("ParcelsReturned", "ProofCaptured")
    half = story.when(back_at(TO_NORTH, TWO)).happened().state
    assert [has_moved(half, half.stops[TO_NORTH], each) for each in (ONE, TWO)] == [False, True]
    assert not has_moved(half, half.stops[TO_KAMPPI], TWO)
