"""What dispatch knows of carriers for one task, out of the directory and the read models."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from following import made
from reception import House, delivery, key

from commands.order import Order
from infra.lookups import Lookups
from schemas import ids
from schemas.carrier_booking import BookCarrier, CancelCarrierBooking, QuoteCarrierBooking
from schemas.carrier_offer import CarrierExclusion, CarrierOfferTerms, DeclineCounter, RecordCarrierAnswer
from schemas.message import CarrierId, RiderId, TaskId
from schemas.money import Money
from schemas.tender import ExpireOffer, OpenTender, PlannedOffer

LEVEL = {"code": "same_day", "title": "Same day", "commitment_seconds": 600, "silence_seconds": 1_800}
PRICE = Money(amount_minor=900, currency="EUR")


class Known:
    def __init__(self, house: House, models: Any) -> None:
        self.house, self.models = house, models
        door = house.door
        self.lookups = Lookups(door.pool, door.policy, house.keyring, door.partitions, lambda: house.now)

    async def task(self, **stop: Any) -> TaskId:
        door = {"kind": "dropoff", "location": {"lat": 60.161, "lon": 24.942}} | stop
        body = delivery(external_reference="1", stops=[{"kind": "pickup"}, door])
        return TaskId((await self.house.caller().post("/v1/acme/tasks", json=body)).json()["id"])

    async def carrier(self, name: str, **area: list[str]) -> CarrierId:
        terms = {"service_levels": [LEVEL], "area": area, "capabilities": ["chilled"]}
        body = {"name": name, "terms": terms, "external_reference": name}
        return CarrierId(await made(self.house, "carriers", body))

    async def asks(self, task: TaskId, carrier: CarrierId, task_round: int = 1) -> tuple[str, Any]:
        tender = ids.tender_id(task, task_round)
        offer = PlannedOffer(
            offer_id=ids.offer_id(tender, carrier),
            carrier_id=carrier,
            terms=CarrierOfferTerms(service_level="same_day", commitment_seconds=60, price=PRICE),
            expires_at=self.house.now + timedelta(minutes=1),
        )
        rest = {"candidates": [], "excluded": [], "policy_version": 1, "input_hash": "x", "solver": "x"}
        opening = OpenTender(task_id=task, round=task_round, mode="direct", offers=[offer], **rest)
        await self.house.process("tender", tender, opening)
        return tender, offer.offer_id

    async def why_not(self, task: TaskId, carrier: CarrierId) -> CarrierExclusion | None:
        await self.models.fold()
        [known] = [each for each in await self.lookups.carriers("acme", task) if each.carrier_id == carrier]
        return known.answered or known.outside


@pytest.fixture
async def known(library: tuple[House, Any]) -> Known:
    house, models = library
    await house.settle()
    return Known(house, models)


async def test_a_contract_is_known_with_its_levels_and_whether_it_can_be_told(known: Known):
    task, posti = await known.task(), await known.carrier("Posti")
    await known.models.fold()
    [told] = await known.lookups.carriers("acme", task)
    assert (told.carrier_id, told.active, told.told) == (posti, False, False)
    assert (told.levels[0].code, told.capabilities) == ("same_day", frozenset({"chilled"}))
    channel = {"channel": {"url": "https://posti.example/", "secret": "env:POSTI"}}
    url = f"/v1/acme/carriers/{posti}"
    await known.house.caller("operator", "olga").post(f"{url}/set-carrier-channel", json=channel, headers=key("c"))
    await known.house.caller("dispatcher", "dora").post(f"{url}/activate-carrier", headers=key("a"))
    [told] = await known.lookups.carriers("acme", task)
    assert (told.active, told.told) == (True, True)


async def test_who_does_not_serve_a_stop_is_known_by_which_rule(known: Known):
    task = await known.task(postal_code="FI-00150")
    kallio = {"outlet": "kallio", "name": "Kallio", "location": {"lat": 60.18, "lon": 24.95}, "zone": "Europe/Helsinki"}
    await made(known.house, "outlets", kallio)
    assert await known.why_not(task, await known.carrier("A", outlets=["kallio"])) == "outlet_not_served"
    assert await known.why_not(task, await known.carrier("B", postal_prefixes=["FI-02"])) == "postal_code_not_served"
    assert await known.why_not(task, await known.carrier("C", outlets=["kamppi"], postal_prefixes=["FI-00"])) is None


async def test_of_what_is_not_told_nothing_is_held_against_a_carrier(known: Known):
    task = await known.task()
    assert await known.why_not(task, await known.carrier("B", postal_prefixes=["FI-02"])) is None


@pytest.mark.parametrize("how", ["declined", "expired", "counter declined"])
async def test_who_did_not_take_it_is_not_asked_again(known: Known, how: str):
    task, posti, matka = await known.task(), await known.carrier("Posti"), await known.carrier("Matka")
    tender, offer = await known.asks(task, posti)
    assert await known.why_not(task, posti) is None
    if how == "expired":
        known.house.now += timedelta(minutes=1)
        await known.house.process("tender", tender, ExpireOffer(offer_id=offer))
    else:
        answer = {"answer": "decline"} if how == "declined" else {"answer": "counter"}
        times = {"pickup_at": known.house.now, "dropoff_at": known.house.now + timedelta(hours=1)}
        dear = Money(amount_minor=2_000, currency="EUR")
        said = RecordCarrierAnswer(offer_id=offer, carrier_event_id="e", price=dear, **answer, **times)
        await says(known.house, posti, tender, said)
        if how == "counter declined":
            await known.house.process("tender", tender, DeclineCounter(offer_id=offer, reason_code="dear"))
    assert await known.why_not(task, posti) == "declined_before"
    assert await known.why_not(task, matka) is None


async def says(house: House, carrier: CarrierId, tender: str, command: RecordCarrierAnswer) -> None:
    identity = ids.derived("said", carrier, repr(command))
    order = Order(
        tenant="acme",
        kind="tender",
        aggregate_id=tender,
        command=command,
        command_id=identity,
        request_hash=identity,
        actor=carrier,
        role="system",
        correlation_id=identity,
    )
    await house.desk.submit(order)


@pytest.mark.parametrize(
    ("cancelled", "why"),
    [
        ({"by": "sender", "reason_code": "too_slow"}, "gave_it_back"),
        ({"by": "system", "reason_code": "carrier_silent"}, "gave_it_back"),
        ({"by": "system", "reason_code": "task_gone"}, None),
    ],
)
async def test_who_had_it_and_gave_it_back_is_not_asked_again(known: Known, cancelled: Any, why: str | None):
    task, posti = await known.task(), await known.carrier("Posti")
    await known.house.caller("dispatcher", "dora").post(f"/v1/acme/carriers/{posti}/activate-carrier", headers=key("a"))
    now = known.house.now
    quote = QuoteCarrierBooking(
        task_id=task,
        carrier_id=posti,
        service_level="same_day",
        price=PRICE,
        estimated_pickup_at=now,
        estimated_dropoff_at=now + timedelta(hours=1),
        expires_at=now + timedelta(minutes=1),
    )
    await known.house.process("carrier_booking", "b-1", quote)
    await known.house.process("carrier_booking", "b-1", BookCarrier(carrier_reference="P"))
    await known.house.process("carrier_booking", "b-1", msgspec.convert(cancelled, CancelCarrierBooking))
    assert await known.why_not(task, posti) == why


async def test_riders_who_have_declined_are_told_apart_from_carriers(known: Known):
    task, posti = await known.task(), await known.carrier("Posti")
    tender, offer = await known.asks(task, posti)
    known.house.now += timedelta(minutes=1)
    await known.house.process("tender", tender, ExpireOffer(offer_id=offer))
    await known.models.fold()
    assert await known.lookups.declined("acme", task) == frozenset[RiderId]()
