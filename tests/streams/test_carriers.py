"""Carriers' bookings and their tasks: what the process sends on real decisions, and how it comes out."""

from datetime import timedelta
from typing import Any

import msgspec
from following import anew, made
from reception import House, Json, delivery, house, key

from schemas.carrier_booking import QuoteCarrierBooking
from schemas.ids import aggregate_id
from schemas.topics import DISPATCH, TASK
from streams.carriers import CARRIERS

SAME_DAY = {"code": "same_day", "title": "Same day", "commitment_seconds": 600, "silence_seconds": 1_800}
CONFIRMED = ("ConfirmCarrierBooking", "")
ANSWERED = ("ConfirmCarrierBooking", "carrier-booking-answered")
GIVEN = [CONFIRMED, ("AssignTaskToCarrier", "TaskGivenToCarrier")]
AGAIN = [CONFIRMED, ("AssignTaskToCarrier", "")]


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
    stops = [{"kind": "pickup"}, {"kind": "dropoff", "location": {"lat": 60.161, "lon": 24.942}}]
    body = delivery(external_reference="1", stops=stops)
    return str((await at.caller().post("/v1/acme/tasks", json=body)).json()["id"])


async def booked(at: House, task: str) -> str:
    carrier = await made(at, "carriers", {"name": "Posti", "terms": {"service_levels": [SAME_DAY]}})
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
    await does(at, f"carrier-bookings/{booking}/book-carrier", carrier_reference="P-1")
    return booking


async def says(at: House, booking: str, status: str) -> None:
    body = {"status": status, "observed_at": at.now.isoformat(), "carrier_event_id": status}
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
        assert await by_bookings(at) == [ANSWERED, taken]
        forgotten(at)
        assert await by_bookings(at) == [ANSWERED, ("TakeTaskFromCarrier", "")]


async def test_a_task_that_cannot_be_with_a_carrier_cancels_the_booking():
    async with house() as at:
        task = await a_task(at)
        rider = await made(at, "riders", {"name": "Ann"})
        await does(at, f"tasks/{task}/assign-task", rider_id=rider)
        await booked(at, task)
        refused = ("RefuseCarrierBooking", "CarrierBookingRefused, CarrierBookingCancelled")
        assert await by_bookings(at) == [CONFIRMED, ("AssignTaskToCarrier", "not-in-this-state"), refused]
        await does(at, f"tasks/{task}/unassign-task", reason_code="late")
        forgotten(at)
        assert await by_bookings(at) == [ANSWERED, ("TakeTaskFromCarrier", "")], "though it could be by now"


async def test_goods_in_hand_of_a_task_that_nobody_knows_are_told_to_no_task_that_comes_later():
    async with house() as at:
        booking = await booked(at, "task-9")
        await says(at, booking, "picked_up")
        unknown = [CONFIRMED, ("AssignTaskToCarrier", "not-found"), ("RefuseCarrierBooking", "CarrierBookingRefused")]
        assert await by_bookings(at) == [*unknown, ANSWERED]


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
        assert await by_bookings(at) == [ANSWERED, ("TakeTaskFromCarrier", "")]


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
