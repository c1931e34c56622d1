"""Carriers' bookings and their tasks: what the process sends on real decisions, and how it comes out."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from following import anew, made
from reception import House, Json, delivery, house, key

from commands.carrier_booking_state import status_of
from commands.task_state import state_of
from schemas.carrier_booking import QuoteCarrierBooking
from schemas.ids import aggregate_id
from schemas.record import event_of
from schemas.stop_events import StopArrived
from schemas.topics import DISPATCH, TASK
from streams.carriers import CARRIERS

SAME_DAY = {"code": "same_day", "title": "Same day", "commitment_seconds": 600, "silence_seconds": 1_800}
CONFIRMED = ("ConfirmCarrierBooking", "")
ANSWERED = ("ConfirmCarrierBooking", "carrier-booking-answered")
SERVES = ("ConfirmCarrierServes", "")
GIVEN = [SERVES, CONFIRMED, ("AssignTaskToCarrier", "TaskGivenToCarrier")]
AGAIN = [SERVES, CONFIRMED, ("AssignTaskToCarrier", "")]


async def by_bookings(at: House) -> list[tuple[str, str]]:
    return await anew(at, "carriers", CARRIERS, DISPATCH)


async def by_tasks(at: House) -> list[tuple[str, str]]:
    return await anew(at, "carriers", CARRIERS, TASK)


def forgotten(at: House) -> None:
    """What was answered long ago is not remembered by its command's id."""
    for kept in at.desk.kept.values():
        kept.answers = {}


async def does(at: House, path: str, **body: Any) -> None:
    answer = await at.caller("dispatcher", "dora").post(f"/v1/acme/{path}", json=body, headers=key(path))
    assert answer.status_code == 200, answer.text


async def a_task(at: House) -> str:
    door = {"kind": "dropoff", "location": {"lat": 60.161, "lon": 24.942}, "postal_code": "FI-00150"}
    stops = [{"kind": "pickup"}, door]
    body = delivery(external_reference="1", stops=stops)
    return str((await at.caller().post("/v1/acme/tasks", json=body)).json()["id"])


async def booked(at: House, task: str, **area: list[str]) -> str:
    booking = await quoted(at, task, **area)
    await does(at, f"carrier-bookings/{booking}/book-carrier", carrier_reference="P-1")
    return booking


async def quoted(at: House, task: str, **area: list[str]) -> str:
    terms = {"service_levels": [SAME_DAY], "area": area}
    carrier = await made(at, "carriers", {"name": "Posti", "terms": terms})
    await does(at, f"carriers/{carrier}/activate-carrier")
    quote: Json = {
        "task_id": task,
        "carrier_id": carrier,
        "service_level": "same_day",
        "price": {"amount_minor": 1_250, "currency": "EUR"},
        "estimated_pickup_at": (at.now + timedelta(hours=1)).isoformat(),
        "estimated_dropoff_at": (at.now + timedelta(hours=2)).isoformat(),
        "expires_at": (at.now + timedelta(minutes=10)).isoformat(),
    }
    booking = aggregate_id("carrier_booking", "acme", "carriers", task)
    await at.process("carrier_booking", booking, msgspec.convert(quote, QuoteCarrierBooking))  # the door would ask
    return booking


async def says(at: House, booking: str, status: str, **more: Any) -> None:
    body = {"status": status, "observed_at": at.now.isoformat(), "carrier_event_id": status, **more}
    url = f"/v1/acme/carrier-bookings/{booking}/record-carrier-status"
    answer = await at.caller().post(url, json=body, headers=key(status))
    assert answer.status_code == 200, answer.text


async def test_a_booked_task_is_given_to_the_carrier_and_goes_by_what_it_says():
    async with house() as at:
        booking = await booked(at, await a_task(at))
        assert await by_bookings(at) == GIVEN
        await says(at, booking, "picked_up")
        await says(at, booking, "delivered")
        up = [CONFIRMED, ("RecordCarrierReport", "CarrierReported, ParcelsPickedUp, StopCompleted")]
        down = [CONFIRMED, ("RecordCarrierReport", "CarrierReported, ParcelsDelivered, StopCompleted, TaskCompleted")]
        forgotten(at)
        assert await by_bookings(at) == [*AGAIN, *up, *down]
        forgotten(at)
        assert await by_bookings(at) == [*AGAIN, *[CONFIRMED, ("RecordCarrierReport", "")] * 2]


async def test_where_the_carriers_courier_is_makes_the_stops_go_on_and_is_told_once():
    async with house() as at:
        booking = await booked(at, await a_task(at))
        for status in ("courier_assigned", "en_route_to_pickup", "arrived_at_pickup", "en_route_to_dropoff"):
            await says(at, booking, status)
        moves = [
            (CONFIRMED, ("RecordCarrierReport", f"CarrierReported, {event}"))
            for event in ("StopEnRoute", "StopArrived", "StopEnRoute")
        ]
        assert await by_bookings(at) == [*GIVEN, *[step for move in moves for step in move]]
        forgotten(at)
        assert await by_bookings(at) == [*AGAIN, *[CONFIRMED, ("RecordCarrierReport", "")] * 3]


async def test_the_way_of_what_came_back_to_dispatch_is_not_told_to_whoever_has_it_next():
    async with house() as at:
        task = await a_task(at)
        booking = await booked(at, task)
        await says(at, booking, "en_route_to_pickup")
        await by_bookings(at)
        await says(at, booking, "cancelled")
        forgotten(at)
        taken = ("TakeTaskFromCarrier", "TaskTakenFromCarrier, TaskDispatchable")
        assert await by_bookings(at) == [SERVES, ANSWERED, ANSWERED, taken]
        assert state_of(at.desk.kept[task].state) == "dispatchable"


async def test_where_the_courier_was_goes_with_it_sealed():
    async with house() as at:
        booking = await booked(at, await a_task(at))
        fix = {"lat": 60.1688, "lon": 24.9316, "accuracy_m": 8.0, "observed_at": at.now.isoformat()}
        await says(at, booking, "arrived_at_pickup", fix=fix)
        await by_bookings(at)
        [arrived] = [event for stored in at.desk.log if isinstance(event := event_of(stored, None), StopArrived)]
        assert arrived.fix is not None
        assert (arrived.rider_id, arrived.fix.value, arrived.fix.subject) == (None, None, booking)
        assert arrived.distance_m is not None


async def test_a_carrier_that_was_quicker_than_our_process_has_its_task_all_the_same():
    async with house() as at:
        booking = await booked(at, await a_task(at))
        await says(at, booking, "delivered")
        [*given, confirmed, (command, events)] = await by_bookings(at)
        assert (given, confirmed, command) == (GIVEN, CONFIRMED, "RecordCarrierReport")
        assert events.endswith("TaskCompleted")


async def test_a_booking_that_is_cancelled_brings_its_task_back_to_dispatch_and_does_not_come_by_it_again():
    async with house() as at:
        booking = await booked(at, await a_task(at))
        await by_bookings(at)
        await does(at, f"carrier-bookings/{booking}/cancel-carrier-booking", reason_code="too_dear")
        forgotten(at)
        taken = ("TakeTaskFromCarrier", "TaskTakenFromCarrier, TaskDispatchable")
        assert await by_bookings(at) == [SERVES, ANSWERED, taken]
        forgotten(at)
        assert await by_bookings(at) == [SERVES, ANSWERED, ("TakeTaskFromCarrier", "")]


async def test_a_task_that_cannot_be_with_a_carrier_cancels_the_booking():
    async with house() as at:
        task = await a_task(at)
        rider = await made(at, "riders", {"name": "Ann"})
        await does(at, f"tasks/{task}/assign-task", rider_id=rider)
        await booked(at, task)
        refused = ("RefuseCarrierBooking", "CarrierBookingRefused, CarrierBookingCancelled")
        assert await by_bookings(at) == [SERVES, CONFIRMED, ("AssignTaskToCarrier", "task-with-rider"), refused]
        await does(at, f"tasks/{task}/unassign-task", reason_code="late")
        forgotten(at)
        assert await by_bookings(at) == [SERVES, ANSWERED, ("TakeTaskFromCarrier", "")], "though it could be by now"


async def test_goods_in_hand_of_a_task_that_nobody_knows_are_told_to_no_task_that_comes_later():
    async with house() as at:
        booking = await booked(at, "task-9")
        await says(at, booking, "picked_up")
        unknown = [("ConfirmCarrierServes", "not-found"), ("RefuseCarrierBooking", "CarrierBookingRefused")]
        assert await by_bookings(at) == [*unknown, ANSWERED, ANSWERED]


async def test_a_task_that_is_cancelled_cancels_its_booking():
    async with house() as at:
        task = await a_task(at)
        await booked(at, task)
        await by_bookings(at)
        await does(at, f"tasks/{task}/cancel-task", reason_code="changed_mind")
        forgotten(at)
        *_, cancelled = await by_tasks(at)
        assert cancelled == ("CancelCarrierBooking", "CarrierBookingCancelled")
        forgotten(at)
        assert await by_bookings(at) == [SERVES, ANSWERED, ("TakeTaskFromCarrier", "")]


@pytest.mark.parametrize("is_booked", [False, True], ids=["quoted", "booked at once"])
async def test_a_task_that_lies_outside_the_carriers_area_refuses_it_though_the_terms_have_changed(is_booked: bool):
    async with house() as at:
        make = booked if is_booked else quoted
        booking = await make(at, await a_task(at), postal_prefixes=["SE-1"])
        carrier = at.desk.kept[booking].state.carrier_id
        await does(at, f"carriers/{carrier}/change-carrier-terms", terms={"service_levels": [SAME_DAY]})
        refused = ("RefuseCarrierBooking", "CarrierBookingRefused, CarrierBookingCancelled")
        of_booked = [ANSWERED] if is_booked else []
        outside = ("ConfirmCarrierServes", "postal-code-not-served")
        assert await by_bookings(at) == [outside, refused, *of_booked]
        assert at.desk.kept[booking].state.refused_for == "postal_code_not_served"
        forgotten(at)
        assert await by_bookings(at) == [outside, ("RefuseCarrierBooking", ""), *of_booked, ("TakeTaskFromCarrier", "")]


async def test_a_booking_in_time_is_told_why_its_task_refused_the_quote():
    async with house() as at:
        booking = await quoted(at, await a_task(at), outlets=["kamppi"], postal_prefixes=["EE"])
        await by_bookings(at)
        url = f"/v1/acme/carrier-bookings/{booking}/book-carrier"
        answer = await at.caller("dispatcher", "dora").post(url, json={"carrier_reference": "P-1"}, headers=key("b"))
        assert (answer.status_code, answer.json()["code"]) == (409, "task-refused-carrier")
        assert answer.json()["values"] == {"reason_code": "postal_code_not_served"}


async def test_a_booking_whose_goods_came_back_ends_and_is_waited_for_no_more():
    async with house() as at:
        task = await a_task(at)
        booking = await booked(at, task)
        await says(at, booking, "picked_up")
        await by_bookings(at)
        await does(at, f"tasks/{task}/cancel-task", reason_code="changed_mind")
        await does(at, f"tasks/{task}/report-returned", stop_id="return-1", observed_at=at.now.isoformat())
        *_, settled = await by_tasks(at)
        assert settled == ("SettleCarrierBooking", "CarrierDeliveryFailed")
        state = at.desk.kept[booking].state
        assert (status_of(state), state.silent_at) == ("failed", None)
        forgotten(at)
        *_, settled = await by_tasks(at)
        assert settled == ("SettleCarrierBooking", "")
        *_, reported = await by_bookings(at)
        assert reported == ("RecordCarrierReport", "CarrierReported"), "which the task knows by then"


async def test_what_a_carrier_has_in_hand_is_not_cancelled_with_its_task():
    async with house() as at:
        task = await a_task(at)
        booking = await booked(at, task)
        await says(at, booking, "picked_up")
        await by_bookings(at)
        operator = at.caller("operator", "olga")
        body = {"disposition": "lost", "reason_code": "fire"}
        answer = await operator.post(f"/v1/acme/tasks/{task}/force-complete-task", json=body, headers=key("force"))
        assert answer.status_code == 200, answer.text
        assert ("CancelCarrierBooking", "goods-with-carrier") in await by_tasks(at)
