"""What a carrier answers to an offer, signed with the secret of its channel."""

import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from following import made
from msgspec.structs import replace
from reception import House, delivery, house, key

from gateway.app import app
from gateway.carrier_callbacks import MESSAGES
from gateway.webhook_signature import TOLERANCE_S, key_of, signed
from schemas import ids
from schemas.carrier_booking import BookCarrier, QuoteCarrierBooking
from schemas.carrier_offer import CarrierOfferTerms
from schemas.message import CarrierId, Id, TaskId, TenderId
from schemas.money import Money
from schemas.record import event_of
from schemas.tender import OpenTender, PlannedOffer
from schemas.topics import DISPATCH
from streams.carrier_telling import MessageType
from streams.routing.wire import SecretMissing

WORD = "whsec_" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"
KEY = key_of(WORD)
SECRETS: Mapping[str, str] = {"env:POSTI": WORD, "env:SHORT": "whsec_QUFB"}
PRICE = {"amount_minor": 1_200, "currency": "EUR"}


def secret_of(reference: str) -> str:
    if reference not in SECRETS:
        raise SecretMissing(reference, "is not set")
    return SECRETS[reference]


@pytest.fixture
async def at() -> AsyncIterator[House]:
    async with house() as made_house:
        made_house.app = app(replace(made_house.door, secret_of=secret_of))
        yield made_house


async def a_carrier(at: House, secret: str = "env:POSTI", name: str = "Posti") -> str:
    level = {"code": "same_day", "title": "Same day", "commitment_seconds": 600, "silence_seconds": 1_800}
    carrier = await made(
        at, "carriers", {"name": name, "terms": {"service_levels": [level]}, "external_reference": name}
    )
    channel = {"channel": {"url": "https://posti.example/offers", "secret": secret}}
    url = f"/v1/acme/carriers/{carrier}"
    told = await at.caller("operator", "olga").post(f"{url}/set-carrier-channel", json=channel, headers=key("c"))
    assert told.status_code == 200, told.text
    await at.caller("dispatcher", "dora").post(f"{url}/activate-carrier", headers=key("a"))
    return carrier


class Asked:
    """A carrier that is asked for a task."""

    def __init__(self, at: House, carrier: str, task: str) -> None:
        self._at = at
        self.carrier, self.task = carrier, task
        self.tender = ids.tender_id(TaskId(task), 1)
        self.offer = ids.offer_id(self.tender, carrier)

    async def says(self, type_: str, message: str = "evt-1", word: str = WORD, **changes: Any) -> httpx.Response:
        headers = changes.pop("headers", {})
        at_s = changes.pop("at_s", int(time.time()))
        data = {"tender_id": self.tender, "offer_id": self.offer} | changes
        body = json.dumps({"type": type_, "timestamp": self._at.now.isoformat(), "data": data}).encode()
        sent = signed(key_of(word), message, at_s, body) | {"content-type": "application/json"} | headers
        return await self._at.client().post(f"/callbacks/v1/acme/carriers/{self.carrier}", content=body, headers=sent)

    async def accepts(self, **changes: Any) -> httpx.Response:
        return await self.says("carrier.offer.accepted", **self.times() | changes)

    def times(self) -> dict[str, Any]:
        ends = self._at.now + timedelta(hours=1)
        return {"pickup_at": self._at.now.isoformat(), "dropoff_at": ends.isoformat()}


@pytest.fixture
async def asked(at: House) -> Asked:
    carrier = await a_carrier(at)
    task = (await at.caller().post("/v1/acme/tasks", json=delivery(external_reference="1"))).json()["id"]
    made_for = Asked(at, carrier, task)
    terms = CarrierOfferTerms(
        service_level="same_day", commitment_seconds=600, price=Money(amount_minor=1_200, currency="EUR")
    )
    offer = PlannedOffer(
        offer_id=made_for.offer, carrier_id=CarrierId(carrier), terms=terms, expires_at=at.now + timedelta(minutes=10)
    )
    opening = OpenTender(
        task_id=TaskId(task),
        round=1,
        mode="direct",
        candidates=[],
        excluded=[],
        offers=[offer],
        policy_version=1,
        input_hash="x",
        solver="x",
    )
    await at.process("tender", made_for.tender, opening)
    return made_for


def told(answer: httpx.Response) -> tuple[int, Any]:
    body = answer.json()
    return answer.status_code, body.get("code", body.get("events"))


async def test_an_acceptance_stands_on_the_log_as_it_came_and_again_changes_nothing(at: House, asked: Asked):
    answered = await asked.accepts(carrier_reference="P-1")
    assert told(answered) == (200, ["CarrierAnswered", "OfferClaimed", "CarrierBookingRequested"])
    assert told(await asked.accepts(carrier_reference="P-1")) == (200, [])
    [event] = [
        event
        for stored in at.desk.log
        if stored.topic == DISPATCH.name and type(event := event_of(stored, None)).__name__ == "CarrierAnswered"
    ]
    assert (event.carrier_id, event.carrier_event_id, event.carrier_reference) == (asked.carrier, "evt-1", "P-1")


async def test_the_same_id_with_another_body_is_refused(asked: Asked):
    await asked.accepts()
    assert told(await asked.accepts(carrier_reference="P-2")) == (422, "idempotency-key-reused")


@pytest.mark.parametrize(
    "wrong",
    [
        {"word": "whsec_" + "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJC"},
        {"headers": {"webhook-signature": "v1,bm90IG91cnM="}},
        {"at_s": int(time.time()) - TOLERANCE_S - 60},
        {"headers": {"webhook-id": ""}},
    ],
)
async def test_what_is_not_signed_by_the_carrier_is_refused(asked: Asked, wrong: dict[str, Any]):
    assert told(await asked.accepts(**wrong)) == (401, "signature-invalid")


async def test_a_carrier_without_a_channel_or_that_nobody_knows_is_not_found(at: House, asked: Asked):
    nobody = Asked(at, "nobody", asked.task)
    assert told(await nobody.accepts()) == (404, "not-found")
    url = f"/v1/acme/carriers/{asked.carrier}/set-carrier-channel"
    await at.caller("operator", "olga").post(url, json={"channel": None}, headers=key("n"))
    assert told(await asked.accepts()) == (404, "not-found")


@pytest.mark.parametrize("secret", ["env:NOT_SET", "env:SHORT"])
async def test_where_our_side_cannot_read_the_secret_the_carrier_is_told_to_come_again(at: House, secret: str):
    carrier = await a_carrier(at, secret)
    assert told(await Asked(at, carrier, "t").accepts()) == (503, "unavailable")


async def test_an_offer_of_another_carrier_one_that_is_none_and_one_that_is_over(at: House, asked: Asked):
    other = Asked(at, await a_carrier(at, name="Matka"), asked.task)
    assert told(await other.accepts(offer_id=asked.offer)) == (403, "not-your-offer")
    assert told(await asked.accepts(message="e2", offer_id="none")) == (422, "unknown-offer")
    assert told(await asked.accepts(message="e3", tender_id="none")) == (404, "not-found")
    declined = await asked.says("carrier.offer.declined", "e4", reason_code="no_courier")
    assert told(declined) == (200, ["CarrierAnswered", "OfferDeclined", "TenderExhausted"])
    late = await asked.accepts(message="e5")
    assert (told(late), late.json()["values"]["how"]) == ((409, "answered-too-late"), "exhausted")


async def test_an_offer_is_answered_within_its_commitment(at: House, asked: Asked):
    at.now += timedelta(minutes=10)
    assert told(await asked.accepts()) == (409, "offer-has-expired")


async def test_a_counter_waits_for_a_dispatcher(at: House, asked: Asked):
    dear = {"amount_minor": 2_000, "currency": "EUR"}
    countered = await asked.says("carrier.offer.countered", **asked.times(), price=dear)
    assert told(countered) == (200, ["CarrierAnswered", "OfferCountered"])
    url = f"/v1/acme/tenders/{asked.tender}/accept-counter"
    agreed = await at.caller("dispatcher", "dora").post(url, json={"offer_id": asked.offer}, headers=key("yes"))
    assert told(agreed) == (200, ["CounterAccepted", "OfferClaimed", "CarrierBookingRequested"])


async def test_what_does_not_fit_is_told_by_its_places(asked: Asked):
    answer = await asked.accepts(pickup_at="soon")
    assert told(answer) == (422, "invalid-body")
    assert answer.json()["errors"][0]["pointer"] == "/data/pickup_at"
    assert told(await asked.says("carrier.offer.forgotten")) == (422, "invalid-body")
    assert told(await asked.accepts(message="e" * 201)) == (400, "invalid-header")


def the_page() -> str:
    return (Path(__file__).parents[2] / "docs" / "dispatch.md").read_text()


async def test_the_answer_that_the_page_shows_is_taken(asked: Asked):
    [shown] = re.findall(r"```callback\n(.*?)```", the_page(), re.DOTALL)
    body = json.loads(shown)
    assert body["type"] == "carrier.offer.accepted"
    data = {name: value for name, value in body["data"].items() if value != "…"}
    assert told(await asked.says(body["type"], **data))[0] == 200


def test_the_page_names_all_that_is_told_and_all_that_may_be_answered():
    named = set(re.findall(r"`((?:logistics|carrier)\.[a-z]+\.[a-z]+)`", the_page()))
    assert named == {*get_args(MessageType), *MESSAGES}


async def test_a_carrier_tells_of_its_own_bookings_alone(at: House, asked: Asked):
    now = at.now
    quote = QuoteCarrierBooking(
        task_id=asked.task,
        carrier_id=asked.carrier,
        service_level="same_day",
        price=Money(amount_minor=1_200, currency="EUR"),
        estimated_pickup_at=now,
        estimated_dropoff_at=now + timedelta(hours=1),
        expires_at=now + timedelta(minutes=1),
        tender_id=TenderId(asked.tender),
        offer_id=asked.offer,
    )
    booking: Id = ids.tendered_booking_id(asked.offer)
    await at.process("carrier_booking", booking, quote)
    await at.process("carrier_booking", booking, BookCarrier(carrier_reference="P-1"))
    status = {"booking_id": booking, "status": "picked_up", "observed_at": now.isoformat()}
    body = {"type": "carrier.booking.status", "timestamp": now.isoformat(), "data": status}

    async def tells(carrier: str) -> tuple[int, Any]:
        content = json.dumps(body).encode()
        headers = signed(KEY, "evt-9", int(time.time()), content) | {"content-type": "application/json"}
        return told(await at.client().post(f"/callbacks/v1/acme/carriers/{carrier}", content=content, headers=headers))

    assert await tells(await a_carrier(at, name="Matka")) == (403, "not-your-booking")
    assert await tells(asked.carrier) == (200, ["CarrierStatusRecorded", "CarrierPickedUp"])
    assert await tells(asked.carrier) == (200, [])
