"""Carriers' bookings through the door: who may ask what of them, and who reads them."""

from datetime import timedelta

import pytest
from read_models import ReadModels
from reception import House, Json, key

from schemas.carrier_booking import RecordCarrierSilence, RefuseCarrierBooking

SAME_DAY = {"code": "same_day", "title": "Same day", "commitment_seconds": 600, "silence_seconds": 1_800}
PRICE = {"amount_minor": 1_250, "currency": "EUR"}
CAI = {"name": "Cai Courier", "phone": "+358409998887", "vehicle_plate": "XYZ-1"}


@pytest.fixture
def house(library) -> House:
    return library[0]


@pytest.fixture
def models(library) -> ReadModels:
    return library[1]


async def posti(house: House, *words: str) -> str:
    """A carrier, and what is asked of it."""
    body = {"name": "Posti", "terms": {"service_levels": [SAME_DAY]}, "external_reference": "posti"}
    made = await house.caller().post("/v1/acme/carriers", json=body)
    carrier = str(made.json()["id"])
    for word in words:
        body = {"reason_code": "strike"} if word == "suspend-carrier" else {}
        url = f"/v1/acme/carriers/{carrier}/{word}"
        told = await house.caller("dispatcher", "dora").post(url, json=body, headers=key(word))
        assert told.status_code == 200, told.text
    return carrier


def quote(house: House, carrier: str, reference: str = "q-1") -> Json:
    return {
        "task_id": "task-1",
        "carrier_id": carrier,
        "service_level": "same_day",
        "price": PRICE,
        "estimated_pickup_at": (house.now + timedelta(hours=1)).isoformat(),
        "estimated_dropoff_at": (house.now + timedelta(hours=2)).isoformat(),
        "expires_at": (house.now + timedelta(minutes=10)).isoformat(),
        "external_reference": reference,
    }


async def a_booking(house: House, reference: str = "q-1", **more: object) -> str:
    """Quoted by a carrier whose contract is in force."""
    known = house.policy.tenant("acme")
    assert known is not None
    carrier = next(iter(known.carriers), None) or await posti(house, "activate-carrier")
    wanted = quote(house, carrier, reference) | more
    await house.expects(wanted["task_id"])
    made = await house.caller().post("/v1/acme/carrier-bookings", json=wanted)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def asked(house: House, booking: str, word: str, role: str = "integrator", **body: object):
    headers = key(f"{word}-{len(house.desk.orders)}")
    caller = house.caller(role, "shop" if role == "integrator" else "dora")  # type: ignore[arg-type]
    return await caller.post(f"/v1/acme/carrier-bookings/{booking}/{word}", json=body, headers=headers)


async def booked(house: House, booking: str) -> None:
    answer = await asked(house, booking, "book-carrier", carrier_reference="P-77")
    assert answer.json()["events"] == ["CarrierBooked"], answer.text


def says(house: House, status: str, event: str = "e-1") -> Json:
    return {"status": status, "observed_at": house.now.isoformat(), "carrier_event_id": event}


async def read(house: House, booking: str, role: str = "dispatcher") -> Json:
    answer = await house.caller(role, "dora").get(f"/v1/acme/carrier-bookings/{booking}")  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return answer.json()


# Commands


async def test_a_quote_is_booked_driven_and_delivered(house: House):
    booking = await a_booking(house)
    await booked(house, booking)
    named = await asked(house, booking, "name-carrier-courier", **CAI)
    assert named.json()["events"] == ["CarrierCourierKnown"]
    picked = await asked(house, booking, "record-carrier-status", **says(house, "picked_up"))
    assert (picked.status_code, picked.json()["events"]) == (200, ["CarrierStatusRecorded", "CarrierPickedUp"])
    again = await asked(house, booking, "record-carrier-status", **says(house, "picked_up"))
    assert again.json()["events"] == []
    done = await asked(house, booking, "record-carrier-status", **says(house, "delivered", "e-2"))
    assert done.json()["events"] == ["CarrierStatusRecorded", "CarrierDelivered"]


async def test_a_status_that_does_not_fit_is_recorded_and_answered_as_such(house: House):
    booking = await a_booking(house)
    told = await asked(house, booking, "record-carrier-status", **says(house, "picked_up"))
    assert (told.status_code, told.json()["conflict"]) == (202, True)
    assert told.json()["events"] == ["CarrierStatusConflicted"]


async def test_the_same_event_of_the_carriers_with_another_status_waits_for_a_person(house: House, models: ReadModels):
    booking = await a_booking(house)
    await booked(house, booking)
    said = says(house, "arrived_at_pickup") | {"carrier_event_id": "evt-9"}
    assert (await asked(house, booking, "record-carrier-status", **said)).status_code == 200
    house.now += timedelta(minutes=1)
    told = await asked(house, booking, "record-carrier-status", **said | {"status": "picked_up"})
    assert (told.status_code, told.json()["conflict"]) == (202, True)
    await models.fold()
    [conflict] = (await read(house, booking))["conflicts"]
    assert (conflict["carrier_event_id"], conflict["status"]) == ("evt-9", "picked_up")
    assert conflict["conflict"] == "evt-9 was told as arrived_at_pickup before"


async def test_a_fee_that_the_carrier_asks_for_later_is_told_by_cancelling_again(house: House, models: ReadModels):
    booking = await a_booking(house)
    await booked(house, booking)
    await asked(house, booking, "cancel-carrier-booking", reason_code="changed_mind")
    house.now += timedelta(minutes=1)
    fee = {"amount_minor": 300, "currency": "EUR"}
    other = await asked(house, booking, "cancel-carrier-booking", reason_code="x", fee=fee | {"currency": "SEK"})
    assert (other.status_code, other.json()["code"]) == (422, "fee-currency-differs")
    assert other.json()["values"] == {"given": "SEK", "agreed": "EUR"}
    house.now += timedelta(minutes=1)
    told = await asked(house, booking, "cancel-carrier-booking", reason_code="changed_mind", fee=fee)
    assert told.json()["events"] == ["CarrierCancellationCharged"]
    await models.fold()
    assert ((await read(house, booking))["fee"], (await read(house, booking))["reason_code"]) == (fee, "changed_mind")


async def test_only_a_carrier_whose_contract_is_in_force_is_quoted(house: House):
    await house.expects("task-1")
    nobody = await house.caller().post("/v1/acme/carrier-bookings", json=quote(house, "nobody"))
    assert (nobody.status_code, nobody.json()["code"]) == (422, "unknown-carrier")
    carrier = await posti(house, "activate-carrier", "suspend-carrier")
    refused = await house.caller().post("/v1/acme/carrier-bookings", json=quote(house, carrier))
    assert (refused.status_code, refused.json()["code"]) == (409, "carrier-not-active")
    assert refused.json()["values"] == {"carrier_id": carrier, "status": "suspended"}
    url = f"/v1/acme/carriers/{carrier}/reinstate-carrier"
    await house.caller("dispatcher", "dora").post(url, json={}, headers=key("back"))
    level = quote(house, carrier) | {"service_level": "next_day"}
    unknown = await house.caller().post("/v1/acme/carrier-bookings", json=level)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown-service-level")
    assert unknown.json()["values"]["known"] == ["same_day"]


async def test_a_quote_is_booked_in_time_or_not_at_all(house: House):
    booking = await a_booking(house)
    house.now += timedelta(minutes=10)
    refused = await asked(house, booking, "book-carrier", carrier_reference="P-77")
    assert (refused.status_code, refused.json()["code"]) == (409, "quote-expired")


async def test_what_the_carrier_has_is_settled_and_not_cancelled(house: House):
    booking = await a_booking(house)
    await booked(house, booking)
    await asked(house, booking, "record-carrier-status", **says(house, "picked_up"))
    refused = await asked(house, booking, "cancel-carrier-booking", reason_code="changed_mind")
    assert (refused.status_code, refused.json()["code"]) == (409, "goods-with-carrier")
    settled = await asked(house, booking, "settle-carrier-booking", "dispatcher", outcome="failed", reason_code="lost")
    assert settled.json()["events"] == ["CarrierDeliveryFailed"]


async def test_a_price_is_in_a_currency_of_the_contract(house: House):
    carrier = await posti(house, "activate-carrier")
    terms = {"service_levels": [SAME_DAY], "currencies": ["SEK"]}
    url = f"/v1/acme/carriers/{carrier}/change-carrier-terms"
    changed = await house.caller("dispatcher", "dora").post(url, json={"terms": terms}, headers=key("terms"))
    assert changed.status_code == 200, changed.text
    await house.expects("task-1")
    refused = await house.caller().post("/v1/acme/carrier-bookings", json=quote(house, carrier))
    assert (refused.status_code, refused.json()["code"]) == (422, "currency-not-agreed")
    assert refused.json()["values"] == {"given": "EUR", "agreed": ["SEK"]}


async def test_why_a_task_is_not_with_its_carrier_is_read_and_looked_for(house: House, models: ReadModels):
    refused, other = await a_booking(house), await a_booking(house, "q-2", task_id="task-2")
    await booked(house, refused)
    command = RefuseCarrierBooking(reason_code="outlet_not_served")
    await house.process("carrier_booking", refused, command)
    await models.fold()
    told = await read(house, refused)
    assert (told["status"], told["ended_by"]) == ("cancelled", "system")
    assert (told["refusal"]["reason_code"], told["refusal"]["has_goods"]) == ("outlet_not_served", False)
    ada = house.caller("analyst", "ada")
    for asked_for, found in (("true", [refused]), ("false", [other])):
        rows = (await ada.get(f"/v1/acme/carrier-bookings?refused={asked_for}")).json()["items"]
        assert [row["carrier_booking_id"] for row in rows] == found


async def test_a_price_is_whole_minor_units_of_a_currency(house: House):
    carrier = await posti(house, "activate-carrier")
    body = quote(house, carrier) | {"price": {"amount_minor": -1, "currency": "euro"}}
    refused = await house.caller().post("/v1/acme/carrier-bookings", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-body")
    assert {error["pointer"] for error in refused.json()["errors"]} == {"/price/amount_minor", "/price/currency"}


@pytest.mark.parametrize(
    ("word", "role"),
    [
        ("book-carrier", "rider"),
        ("record-carrier-status", "dispatcher"),
        ("review-carrier-status", "integrator"),
        ("settle-carrier-booking", "integrator"),
        ("cancel-carrier-booking", "analyst"),
    ],
)
async def test_who_may_not_ask_it_is_refused(house: House, word: str, role: str):
    refused = await asked(house, await a_booking(house), word, role)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("word", ["expire-carrier-quote", "record-carrier-silence"])
async def test_nobody_fires_a_deadline_through_the_door(house: House, word: str):
    refused = await asked(house, await a_booking(house), word, "operator")
    assert (refused.status_code, refused.json()["code"]) == (404, "not-found")


# Reads


async def test_bookings_are_found_by_what_is_asked(house: House, models: ReadModels):
    first, second = await a_booking(house), await a_booking(house, "q-2", task_id="task-2")
    carrier = house.desk.kept[first].state.carrier_id
    await booked(house, first)
    house.now += timedelta(minutes=30)
    await house.process("carrier_booking", first, RecordCarrierSilence())
    await models.fold()
    for query, found in (
        ("", [first, second]),
        ("status=quoted", [second]),
        ("task_id=task-2", [second]),
        (f"carrier_id={carrier}", [first, second]),
        ("carrier_id=nobody", []),
        ("silent=true", [first]),
        ("silent=false", [second]),
        ("external_reference=q-2", [second]),
        ("updated_since=2026-03-01T12:30:00Z", [first]),
    ):
        rows = (await house.caller("analyst", "ada").get(f"/v1/acme/carrier-bookings?{query}")).json()["items"]
        assert {row["carrier_booking_id"] for row in rows} == set(found), query


async def test_bookings_come_page_by_page(house: House, models: ReadModels):
    made = [await a_booking(house, f"q-{number}") for number in range(3)]
    await models.fold()
    auditor, seen, path = house.caller("auditor", "otto"), [], "/v1/acme/carrier-bookings?limit=2"
    while path:
        page = await auditor.get(path)
        seen += [row["carrier_booking_id"] for row in page.json()["items"]]
        path = page.links["next"]["url"] if page.links else ""
    assert sorted(seen) == sorted(made)


async def test_one_booking_is_read_whole_with_what_may_be_asked_of_it(house: House, models: ReadModels):
    booking = await a_booking(house)
    await booked(house, booking)
    await asked(house, booking, "name-carrier-courier", **CAI)
    fix = {"lat": 60.17, "lon": 24.94, "accuracy_m": 12.0, "observed_at": house.now.isoformat()}
    await asked(house, booking, "record-carrier-status", **says(house, "arrived_at_pickup"), fix=fix, note="Cai waits")
    await models.fold()
    told = await read(house, booking)
    assert (told["status"], told["price"], told["courier"]) == ("courier_known", PRICE, CAI)
    assert (told["latest"]["status"], told["latest"]["note"]) == ("arrived_at_pickup", "Cai waits")
    assert told["latest"]["fix"]["lat"] == 60.17
    assert f"carrier-bookings/{booking}/cancel-carrier-booking" in told["allowed_commands"]
    assert told["forbidden_commands"]["book-carrier"]["actual"] == "courier_known"
    assert told["forbidden_commands"]["record-carrier-status"]["allowed"] == ["integrator"]


async def test_who_drives_is_hidden_from_those_who_only_look(house: House, models: ReadModels):
    booking = await a_booking(house)
    await booked(house, booking)
    await asked(house, booking, "name-carrier-courier", **CAI)
    await models.fold()
    told = await read(house, booking, "auditor")
    assert told["courier"] == dict.fromkeys(CAI, "hidden")
    history = await house.caller("auditor", "otto").get(f"/v1/acme/carrier-bookings/{booking}/history")
    assert [event["type"].rsplit(".")[-1] for event in history.json()["items"]] == [
        "CarrierBookingQuoted",
        "CarrierBooked",
        "CarrierCourierKnown",
    ]
    assert "Cai" not in history.text


async def test_the_deadline_of_a_silence_is_read_until_it_has_fired(house: House, models: ReadModels):
    booking = await a_booking(house)
    await booked(house, booking)
    await models.fold()
    dora = house.caller("dispatcher", "dora")
    [row] = (await dora.get("/v1/acme/deadlines")).json()["items"]
    assert (row["kind"], row["aggregate_id"]) == ("record_carrier_silence", booking)
    house.now += timedelta(minutes=30)
    await house.process("carrier_booking", booking, RecordCarrierSilence())
    await models.fold()
    assert (await dora.get("/v1/acme/deadlines")).json()["items"] == []
    assert (await read(house, booking))["unheard_since"].startswith("2026-03-01T12:00:00")
