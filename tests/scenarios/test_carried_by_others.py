"""A delivery by a carrier: booked, picked up, brought, and proven by whoever has the proof."""

from typing import Any

import pytest
from quarter import HOME, Json, Quarter, until

pytestmark = pytest.mark.timeout(240)

TO_HER_DOOR = [{"kind": "pickup"}, {"kind": "dropoff", "location": HOME, "required_proof": [["nfc"]]}]
SAME_DAY = {"code": "same_day", "title": "Same day", "commitment_seconds": 600, "silence_seconds": 1_800}


async def a_delivery(quarter: Quarter) -> str:
    order = {"kind": "delivery", "outlet": "kamppi", "stops": TO_HER_DOOR, "parcels": [{"description": "a lamp"}]}
    return str((await quarter.shop.makes("tasks", order))["id"])


async def booked(quarter: Quarter, task: str, carrier: str) -> str:
    quote = {
        "task_id": task,
        "carrier_id": carrier,
        "service_level": "same_day",
        "price": {"amount_minor": 1_250, "currency": "EUR"},
        "estimated_pickup_at": quarter.in_(hours=1),
        "estimated_dropoff_at": quarter.in_(hours=2),
        "expires_at": quarter.in_(minutes=10),
    }
    booking: str = (await quarter.shop.makes("carrier-bookings", quote))["id"]
    await quarter.shop.does(f"carrier-bookings/{booking}/book-carrier", {"carrier_reference": "P-1"})
    return booking


async def a_carrier(quarter: Quarter) -> str:
    carrier: str = (await quarter.shop.makes("carriers", {"name": "Posti", "terms": {"service_levels": [SAME_DAY]}}))[
        "id"
    ]
    await quarter.dora.does(f"carriers/{carrier}/activate-carrier")
    return carrier


async def becomes(quarter: Quarter, task: str, **known: Any) -> Json:
    async def told() -> Json:
        row: Json = await quarter.dora.reads(f"tasks/{task}")
        return row

    return await until(told, lambda row: all(row[name] == value for name, value in known.items()))


async def says(quarter: Quarter, booking: str, status: str) -> None:
    told = {"status": status, "observed_at": quarter.ago(seconds=1), "carrier_event_id": status}
    await quarter.shop.does(f"carrier-bookings/{booking}/record-carrier-status", told)


async def test_a_carrier_brings_a_delivery_another_does_not_and_a_cancelled_one_is_told(quarter: Quarter):
    carrier = await a_carrier(quarter)
    brought, back, dropped = [await a_delivery(quarter) for _ in range(3)]
    bookings = {task: await booked(quarter, task, carrier) for task in (brought, back, dropped)}
    for task, booking in bookings.items():
        has = {"carrier_id": carrier, "booking_id": booking}
        await becomes(quarter, task, state="accepted", carrier=has, rider_id=None)

    await says(quarter, bookings[brought], "arrived_at_pickup")
    await becomes(quarter, brought, state="in_progress", leg="arrived_pickup")
    await says(quarter, bookings[brought], "picked_up")
    told = await becomes(quarter, brought, state="in_progress", leg="picked_up")
    assert told["stops"][0]["arrived_at"] is not None
    assert told["parcels"]["parcel-1"]["party"] == {"kind": "carrier", "id": carrier}
    await says(quarter, bookings[brought], "arrived_at_dropoff")
    await becomes(quarter, brought, state="in_progress", leg="arrived_dropoff")
    await says(quarter, bookings[brought], "delivered")

    async def party() -> str:
        kind: str = (await quarter.dora.reads(f"tasks/{brought}"))["parcels"]["parcel-1"]["party"]["kind"]
        return kind

    await until(party, lambda kind: kind == "recipient")
    tag = {"kind": "nfc", "tag_id": "tag-1"}
    proof = {"stop_id": "stop-2", "observed_at": quarter.ago(seconds=1), "proofs": [tag]}
    await quarter.dora.does(f"tasks/{brought}/capture-proof", proof)
    await becomes(quarter, brought, state="completed", outcome="delivered")

    await says(quarter, bookings[back], "picked_up")
    await says(quarter, bookings[back], "failed")
    await becomes(quarter, back, state="returning")

    async def desk() -> list[Json]:
        return await quarter.dora.lists("exception-desk", kind="carrier_brings_back")

    [row] = await until(desk, bool)
    assert (row["aggregate_id"], row["items"][0]["carrier_id"]) == (back, carrier)
    await quarter.dora.does(row["mends"][0], {"stop_id": "return-1", "observed_at": quarter.ago(seconds=1)})
    await becomes(quarter, back, state="returned")
    assert await desk() == []

    await quarter.shop.does(f"tasks/{dropped}/cancel-task", {"reason_code": "customer_cancelled"})

    async def booking() -> Json:
        known: Json = await quarter.shop.reads(f"carrier-bookings/{bookings[dropped]}")
        return known

    cancelled = await until(booking, lambda known: known["status"] == "cancelled")
    assert cancelled["ended_by"] == "system"
