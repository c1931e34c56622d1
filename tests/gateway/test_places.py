"""Where in the body stands what a refusal speaks of."""

from collections.abc import Iterator
from typing import Any

import msgspec
from reception import House, delivery, key

from commands.carrier_contract import UnknownCarrier
from commands.context import UnknownHub, UnknownOutlet
from commands.fence_shape import InvalidShape
from commands.goods import ItemNotKnown
from commands.incident import ActionsOutstanding
from commands.order import AlreadyExists, IdempotencyKeyReused
from commands.recurrence_rule import InvalidRule
from commands.refusals import InTheFuture, NotAnInterval
from commands.registries import UnknownIncidentKind
from commands.rider_refusals import NextStopIsLocked
from commands.service_zones import UnknownServiceZone
from commands.simulated import SimulatedApart
from commands.task_creation import ParcelMismatch, StopsMismatch
from commands.task_state import NotForThisKind
from commands.tender import OfferNotPending
from commands.wire import RefusedElsewhere
from gateway.commands import OPEN
from gateway.examples.bodies import every_body
from gateway.examples.lumi import at
from gateway.examples.refusals import REFUSALS
from gateway.places import places_of
from gateway.problem_kinds import KINDS
from gateway.refusals_met import rules_met
from schemas.directory import CreateGeofence
from schemas.geo import Window
from schemas.goods import InspectReturn
from schemas.hub import CreateHub
from schemas.incident import ReportIncident, ResolveIncident
from schemas.message import Command, Refused, StopId, TaskId
from schemas.rider import ResequenceItinerary, SetRiderZones
from schemas.task import AssignTask, CreateTask, RescheduleStop
from schemas.tender import ClaimOffer

OF_NO_BODY = frozenset({IdempotencyKeyReused})
"""It speaks of a header."""
OF_WHAT_WAS_TOLD_BEFORE = frozenset({UnknownOutlet, UnknownHub, UnknownCarrier, InvalidRule})
"""To the aggregate, where the command does not tell it."""


def wherever(cls: type[Command], refused: Refused, **body: Any) -> list[str]:
    """Where it stands in a command of that kind."""
    return [error.pointer for error in places_of(refused, msgspec.convert(body, cls))]


def fields_of(described: msgspec.inspect.Type, seen: set[type]) -> Iterator[str]:
    """All within it, by name."""
    match described:
        case msgspec.inspect.StructType() if described.cls not in seen:
            seen.add(described.cls)
            for field in described.fields:
                yield from (field.encode_name, *fields_of(field.type, seen))
        case msgspec.inspect.ListType():
            yield from fields_of(described.item_type, seen)
        case msgspec.inspect.UnionType():
            for branch in described.types:
                yield from fields_of(branch, seen)
        case _:
            pass


def test_every_rule_about_a_value_says_in_which_field_of_a_command_it_stands():
    silent = {rule for rule in REFUSALS if KINDS[rule.rule].status == 422 and not rule.stands_in + rule.is_about}
    assert silent == OF_NO_BODY


def test_and_every_command_that_it_may_refuse_has_such_a_field():
    without = {
        rule
        for known in OPEN
        for rule in rules_met(known.kind, known.cls)
        if KINDS[rule.rule].status == 422 and rule not in OF_NO_BODY
        if not set(fields_of(msgspec.inspect.type_info(known.cls), set())) & {*rule.stands_in, *rule.is_about}
    }
    assert without == OF_WHAT_WAS_TOLD_BEFORE


def test_each_place_is_told_where_the_value_stands():
    task = delivery() | {"stops": [{"kind": "pickup", "hub": "pasila"}, {"kind": "dropoff", "hub": "pasila"}]}
    assert wherever(CreateTask, UnknownOutlet("kamppi"), **task) == ["/outlet"]
    assert wherever(CreateTask, UnknownHub("pasila"), **task) == ["/stops/0/hub", "/stops/1/hub"]
    assert wherever(SetRiderZones, UnknownServiceZone("b"), zones=["a", "b"]) == ["/zones/1"]


def test_of_a_shape_the_vertex_is_told_with_which_it_begins_to_go_wrong():
    star = [[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]
    body = {"name": "f", "shape": {"type": "multipolygon", "polygons": [[star]]}}
    refused = InvalidShape("it crosses itself", "polygons", 0, 0, 2, place=(1, 1))
    assert wherever(CreateGeofence, refused, **body) == ["/shape/polygons/0/0/2"]
    assert str(refused).endswith("at longitude 1, latitude 1")


def test_what_stands_beside_it_tells_which_of_two_is_meant():
    line = {"quantity": 1, "condition": "damaged", "disposition": "dispose"}
    lines = [line | {"parcel_id": parcel, "sku": "kettle"} for parcel in ("bag-1", "bag-2")]
    assert wherever(InspectReturn, ItemNotKnown("bag-2", "kettle"), lines=lines) == ["/lines/1/sku"]


def test_the_place_nearest_to_the_root_is_meant():
    incident = {"kind": "vehicle", "description": "It fell.", "links": [{"kind": "vehicle", "id": "bike-1"}]}
    assert wherever(ReportIncident, UnknownIncidentKind("vehicle", []), **incident) == ["/kind"]


def test_a_stop_without_an_id_is_told_by_the_stops():
    task = delivery()
    assert wherever(CreateTask, StopsMismatch("the window of stop-2 ends before it starts", "stop-2"), **task) == [
        "/stops/1"
    ]
    assert wherever(CreateTask, ParcelMismatch("parcel-1", "has two items of one sku"), **task) == ["/parcels/0"]
    assert wherever(CreateTask, StopsMismatch("a collection has one stop, which is one"), **task) == ["/stops"]
    task["stops"][1]["stop_id"] = "door"
    named = StopsMismatch("the window of door ends before it starts", "door")
    assert wherever(CreateTask, named, **task) == ["/stops/1/stop_id"]


def test_what_is_not_for_a_task_of_this_kind_is_told_by_its_field():
    task = delivery() | {"kind": "collection", "depends_on": ["task-1"]}
    refused = NotForThisKind("delivery", "collection", "depends_on")
    assert refused.values() == {"needed": "delivery", "actual": "collection", "field": "depends_on"}
    assert wherever(CreateTask, refused, **task) == ["/depends_on"]
    assert wherever(CreateTask, NotForThisKind("delivery", "collection"), **task) == []


def test_a_refusal_that_another_process_told_has_its_place_too():
    wanted = RescheduleStop(stop_id=StopId("door"), window=Window(start=at(12), end=at(10)), reason_code="asked")
    told = RefusedElsewhere("not-an-interval", "", {"start": at(12).isoformat(), "end": at(10).isoformat()})
    for refused in (NotAnInterval(at(12), at(10)), told):
        assert [error.pointer for error in places_of(refused, wanted)] == ["/window/end"]


def test_a_time_is_told_from_a_word_beside_it():
    incident = {"kind": "loss", "description": "!", "occurred_at": "2026-03-02T14:00:00Z"}
    assert wherever(ReportIncident, InTheFuture("occurred_at", at(14), at(10)), **incident) == ["/occurred_at"]


def test_a_refusal_of_a_state_points_at_the_field_that_speaks_of_it():
    task = delivery(external_reference="order-1")
    assert wherever(CreateTask, AlreadyExists("task-1"), **task) == ["/external_reference"]
    hub = {"hub": "pasila", "name": "Pasila", "location": task["stops"][1]["location"], "zone": "Europe/Helsinki"}
    assert wherever(CreateHub, AlreadyExists("hub-1"), **hub) == ["/hub"]
    assert wherever(ClaimOffer, OfferNotPending("offer-1"), offer_id="offer-1") == ["/offer_id"]
    waived = {"resolution_code": "well", "waived": ["hand_over_tasks"]}
    assert wherever(ResolveIncident, ActionsOutstanding(["ground_vehicle"]), **waived) == ["/waived"]
    assert wherever(AssignTask, SimulatedApart(), rider_id="ann") == ["/rider_id"]
    order = [{"task_id": task, "stop_id": "door"} for task in ("one", "two")]
    moved = {"itinerary_version": 3, "order": order, "reason_code": "asked"}
    locked = NextStopIsLocked(TaskId("two"), StopId("door"))
    assert wherever(ResequenceItinerary, locked, **moved) == ["/order/1/stop_id"]


def test_what_is_not_in_the_body_has_no_place():
    assert wherever(SetRiderZones, UnknownOutlet("kamppi"), zones=[]) == []
    assert wherever(CreateTask, UnknownOutlet("kallio"), **delivery()) == []


def test_whatever_refuses_a_command_what_is_pointed_at_is_in_it():
    for body in every_body():
        for refused in REFUSALS.values():
            for error in places_of(refused, body.command):
                found: Any = body.command
                for step in error.pointer.split("/")[1:]:
                    found = found[int(step)] if isinstance(found, list) else getattr(found, step)


async def test_the_door_tells_where(house: House):
    refused = await house.caller().post("/v1/acme/tasks", json=delivery(outlet="nowhere"), headers=key("k"))
    detail = "the tenant has no outlet nowhere"
    assert refused.json()["detail"] == detail
    assert refused.json()["errors"] == [{"pointer": "/outlet", "detail": detail}]
