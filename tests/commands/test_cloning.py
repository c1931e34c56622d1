"""The same again: what a clone has of its original, what it has not, and how it comes to be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from story import ACME, KAMPPI, Story, context, minutes, nothing_yet

from commands.cloning import CloneAnswered
from commands.order import AlreadyExists
from commands.refusals import TooMany
from commands.task_creation import HubClosedNow, StopsMismatch
from commands.task_state import NotForThisKind
from schemas import ids
from schemas.geo import Location, Window
from schemas.goods import NewItem
from schemas.message import Event, Personal, StopId
from schemas.stop import NewContact, NewParcel, NewStop
from schemas.task import CancelTask, CreateTask, LocateStop, RescheduleStop, TaskCreated
from schemas.template import (
    MAX_CLONES,
    CloneRefused,
    CloneTask,
    ConfirmClone,
    CreateFromTemplate,
    RefuseClone,
    TaskCloned,
    TaskTemplate,
)

HOME, ELSEWHERE = Location(lat=60.161, lon=24.942), Location(lat=60.2, lon=24.9)
AT_THE_GATE = Location(lat=60.1692, lon=24.932)
CLEO = NewContact(name="Cleo", phone="+358401234567", notes="Two flights up", reference="customer-881")
OF_CLEO = ids.contact_subject(ACME, "customer-881")
DOOR = StopId("door")
WINDOW = Window(start=minutes(60), end=minutes(120))
WEEK_S = 7 * 86_400

ORDER = CreateTask(
    kind="delivery",
    outlet="kamppi",
    priority="urgent",
    stops=[
        NewStop(kind="pickup", stop_id="shop", goods_ready_at=minutes(45)),
        NewStop(
            kind="dropoff",
            stop_id=DOOR,
            location=HOME,
            address="Tehtaankatu 12",
            postal_code="FI-00140",
            contact=CLEO,
            window=WINDOW,
            service_seconds=300,
            required_proof=[["pin"]],
            minimum_age=18,
        ),
    ],
    parcels=[NewParcel(barcode="B-1", weight_g=900, items=[NewItem(sku="tea", quantity=2)])],
    return_proof=[["photo"]],
    external_reference="order-1",
    shipment_id="shipment-1",
    metadata={"channel": "web"},
)


def ordered(**changes: Any) -> Story:
    return nothing_yet("task").when(replace(ORDER, **changes)).happened()


def cloned(story: Story, **wanted: Any) -> TaskCloned:
    (event,) = story.when(CloneTask(**wanted)).decided()
    assert isinstance(event, TaskCloned)
    return event


def made(event: TaskCloned, **where: Any) -> TaskCreated:
    """What the clone begins with."""
    command = CreateFromTemplate(task=event.template, cloned_from="a-1")
    story = nothing_yet("task").when(command)
    for name, value in where.items():
        setattr(story, name, value)
    (first, *_) = story.decided()
    assert isinstance(first, TaskCreated)
    return first


def test_a_clone_has_the_stops_contacts_parcels_and_proofs_of_its_original():
    original, clone = nothing_yet("task").when(ORDER).decided()[0], made(cloned(ordered()))
    assert isinstance(original, TaskCreated)
    assert clone.stops[1].contact == original.stops[1].contact
    assert clone.stops[1].address == Personal(OF_CLEO, "Tehtaankatu 12")
    assert clone.stops[1].postal_code == Personal(OF_CLEO, "FI-00140")
    assert clone.stops[1].location == Personal(OF_CLEO, HOME)
    for name in ("stop_id", "kind", "party", "service_seconds", "required_proof", "minimum_age"):
        assert [getattr(s, name) for s in clone.stops] == [getattr(s, name) for s in original.stops], name
    (parcel,) = clone.parcels
    assert parcel == replace(original.parcels[0], barcode=None)
    for name in ("kind", "outlet", "priority", "return_proof"):
        assert getattr(clone, name) == getattr(original, name), name
    assert clone.cloned_from == "a-1"


def test_what_names_the_order_is_not_copied():
    clone = made(cloned(ordered()))
    told = (clone.external_reference, clone.shipment_id, clone.authorisation, clone.metadata, clone.parcels[0].barcode)
    assert told == (None, None, None, {}, None)


def test_it_may_be_given_names_of_its_own():
    names = {"external_reference": "order-2", "source": "till", "shipment_id": "s-2", "metadata": {"gift": "yes"}}
    clone = made(cloned(ordered(), **names))
    assert {name: getattr(clone, name) for name in names} == names


def test_without_a_shift_it_has_no_times_and_comes_to_dispatch_at_once():
    event = cloned(ordered())
    assert [(stop.window, stop.goods_ready_at) for stop in event.template.stops] == [(None, None)] * 2
    command = CreateFromTemplate(task=event.template)
    nothing_yet("task").when(command).tells("TaskCreated", "TaskDispatchable")


def test_with_a_shift_its_times_are_the_originals_so_much_later():
    week = timedelta(seconds=WEEK_S)
    clone = made(cloned(ordered(), shift_seconds=WEEK_S))
    assert clone.stops[0].goods_ready_at == minutes(45) + week
    assert clone.stops[1].window == Window(start=WINDOW.start + week, end=WINDOW.end + week)
    command = CreateFromTemplate(task=cloned(ordered(), shift_seconds=WEEK_S).template)
    nothing_yet("task").when(command).tells("TaskCreated", "TaskScheduled")


def test_no_calendar_goes_on_for_ever():
    last = Window(start=datetime(9999, 12, 30, tzinfo=UTC), end=datetime(9999, 12, 31, tzinfo=UTC))
    stops = [ORDER.stops[0], replace(ORDER.stops[1], window=last)]
    ordered(stops=stops).when(CloneTask(shift_seconds=WEEK_S)).refuses(StopsMismatch)


def test_it_is_as_the_original_is_known_by_now():
    later = Window(start=minutes(200), end=minutes(260))
    story = ordered().when(LocateStop(stop_id=DOOR, location=ELSEWHERE)).happened()
    story.when(RescheduleStop(stop_id=DOOR, window=later, reason_code="asked")).happened()
    clone = made(cloned(story, shift_seconds=0))
    assert clone.stops[1].location == Personal(OF_CLEO, ELSEWHERE)
    assert clone.stops[1].window == later


def test_a_place_of_the_directory_is_where_the_directory_has_it_when_the_clone_is_made():
    event = cloned(ordered())
    assert event.template.stops[0].location is None
    assert made(event).stops[0].location == Personal(event.template.stops[0].subject, KAMPPI)


def test_a_place_that_was_given_for_a_stop_at_the_outlet_stays():
    stops = [replace(ORDER.stops[0], location=AT_THE_GATE), ORDER.stops[1]]
    assert made(cloned(ordered(stops=stops))).stops[0].location.value == AT_THE_GATE


def test_its_pin_is_drawn_anew():
    first = nothing_yet("task").when(ORDER).decided()[0]
    assert isinstance(first, TaskCreated)
    task = CreateFromTemplate(task=cloned(ordered()).template)
    other = context(aggregate_id="a-2")
    (clone, *_) = nothing_yet("task").aggregate.decide(nothing_yet("task").state, task, other)
    assert clone.stops[1].pin_hash not in (None, first.stops[1].pin_hash)


def test_of_who_is_forgotten_nothing_is_copied():
    forgotten = [
        replace(event, stops=[event.stops[0], replace(event.stops[1], address=None, contact=None, location=gone())])
        if isinstance(event, TaskCreated)
        else event
        for event in nothing_yet("task").when(ORDER).decided()
    ]
    clone = cloned(Story("task", forgotten)).template.stops[1]
    assert (clone.location, clone.address, clone.name) == (None, None, None)
    assert clone.subject == OF_CLEO


def gone() -> Personal[Location]:
    return Personal(OF_CLEO, None, b"sealed under a key that is erased", "Stop.location")


def test_who_is_forgotten_before_the_clone_is_made_is_not_in_it():
    event = cloned(ordered())
    stop = event.template.stops[1]
    erased = replace(stop, name=Personal(OF_CLEO), phone=Personal(OF_CLEO), location=Personal(OF_CLEO))
    template = replace(event.template, stops=[event.template.stops[0], erased])
    clone = made(replace(event, template=template))
    assert (clone.stops[1].contact, clone.stops[1].location) == (None, None)


def test_a_task_that_is_over_is_cloned_as_well():
    cloned(ordered().when(CancelTask(reason_code="changed_mind")).happened())


def test_by_the_callers_reference_the_same_clone_has_the_same_id():
    event = cloned(ordered(), external_reference="order-2")
    assert event.clone_id == ids.aggregate_id("task", ACME, "shop", "order-2")
    story = ordered().take([event])
    story.when(CloneTask(external_reference="order-2")).then()
    refused = story.when(CloneTask(external_reference="order-2", on_hold=True)).refuses(AlreadyExists)
    assert refused.values()["aggregate_id"] == event.clone_id


def test_a_task_is_no_clone_of_its_own():
    story = ordered()
    own = context(aggregate_id=ids.aggregate_id("task", ACME, "shop", "order-1"))
    with pytest.raises(AlreadyExists):
        story.aggregate.decide(story.state, CloneTask(external_reference="order-1"), own)


def test_nor_has_a_clone_the_reference_of_its_original_whoever_asks_for_it():
    story = ordered().by("dora", "dispatcher")
    for source in (None, "till"):
        refused = story.when(CloneTask(external_reference="order-1", source=source)).refuses(AlreadyExists)
        assert refused.values()["aggregate_id"] == "a-1"
    assert cloned(story).template.external_reference is None


def test_nobody_is_sent_for_a_collection_so_that_none_is_held():
    stops = [NewStop(kind="collection", contact=CLEO)]
    story = ordered(kind="collection", stops=stops)
    story.when(CloneTask(on_hold=True)).refuses(NotForThisKind)
    assert made(cloned(story)).kind == "collection"


def test_a_clone_that_was_refused_is_told_and_not_made_by_who_reads_anew():
    event = cloned(ordered())
    refuse = RefuseClone(number=1, rule="hub-closed", reason_code="hub_closed")
    story = ordered().take([event])
    story.when(ConfirmClone(number=1)).then()
    told = CloneRefused(number=1, clone_id=event.clone_id, rule="hub-closed", reason_code="hub_closed")
    story.when(refuse).then(told)
    story.take([told]).when(refuse).then()
    story.when(ConfirmClone(number=1)).refuses(CloneAnswered)


def test_one_that_was_refused_is_tried_again_under_the_same_name():
    first = cloned(ordered(), external_reference="order-2")
    refused = CloneRefused(number=1, clone_id=first.clone_id, rule="hub-closed", reason_code="hub_closed")
    story = ordered().take([first, refused])
    again = cloned(story, external_reference="order-2")
    assert (again.number, again.clone_id) == (2, first.clone_id)
    story.take([again]).when(ConfirmClone(number=2)).then()
    story.when(ConfirmClone(number=1)).refuses(CloneAnswered)


def test_a_hub_that_has_closed_since_refuses_the_clone():
    to_hub = [ORDER.stops[0], NewStop(kind="dropoff", stop_id=DOOR, hub="north")]
    event = cloned(ordered(stops=to_hub, kind="transfer"))
    closed = {slug: replace(hub, closed=True) for slug, hub in nothing_yet("task").hubs.items()}
    story = nothing_yet("task").when(CreateFromTemplate(task=event.template))
    story.hubs = closed
    story.refuses(HubClosedNow)


def test_a_task_has_so_many_clones_and_no_more():
    event = cloned(ordered())
    many: list[Event] = [replace(event, number=n, clone_id=f"clone-{n}") for n in range(1, MAX_CLONES + 1)]
    ordered().take(many).when(CloneTask(external_reference="one-more")).refuses(TooMany)


def test_a_parcel_that_was_brought_again_from_a_hold_is_fetched_where_it_came_from_at_first():
    story = ordered()
    (parcel,) = story.state.parcels.values()
    moved = replace(parcel, parcel=replace(parcel.parcel, pickup_stop=StopId("again-1")), first_pickup=StopId("shop"))
    story.state = replace(story.state, parcels={parcel.parcel.parcel_id: moved})
    template: TaskTemplate = cloned(story).template
    assert template.parcels[0].pickup_stop == "shop"
