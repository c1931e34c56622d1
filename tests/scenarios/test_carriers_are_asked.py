"""Nobody of our own takes a delivery, and carriers are asked for it: told, answering, booked, and back where they fail."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from carrier_desk import WORD, CarrierDesk, answers
from quarter import HOME, Json, Quarter, until

pytestmark = pytest.mark.timeout(240)

STOPS = [
    {"kind": "pickup"},
    {"kind": "dropoff", "location": HOME, "contact": {"name": "Aino Virta", "phone": "+358401234567"}},
]
RIDERS = {"mode": "broadcast", "size": 5, "seconds": 60}
CARRIERS = {"mode": "waterfall", "to": "carriers"}


@pytest.fixture
async def desk() -> AsyncIterator[CarrierDesk]:
    made = CarrierDesk()
    await made.start()
    yield made
    await made.stop()


class Market:
    """Carriers of a quarter that are all told at one desk."""

    def __init__(self, quarter: Quarter, desk: CarrierDesk) -> None:
        self.quarter, self.desk = quarter, desk
        self.carriers: dict[str, str] = {}
        (quarter.system.secrets / "carriers").write_text(WORD)
        self._said = 0

    async def rules(self, *steps: Json, **more: Any) -> None:
        rules = {"rules": {"dispatch": {"steps": [*steps]} | more}}
        await self.quarter.root.does(f"{self.quarter.itself}/change-tenant-rules", rules)

        async def known() -> int:
            dispatch = (await self.quarter.shop.reads("tenant"))["rules"]["dispatch"]
            return len(dispatch["steps"])

        await until(known, lambda count: count == len(steps))

    async def under_contract(self, name: str, base_minor: int) -> None:
        price = {"currency": "EUR", "base_minor": base_minor}
        level = {"code": "same_day", "title": "Same day", "commitment_seconds": 600, "silence_seconds": 1_800}
        body = {"name": name, "terms": {"service_levels": [level | {"price": price}]}}
        carrier = (await self.quarter.shop.makes("carriers", body))["id"]
        secret = f"file:{self.quarter.system.secrets}/carriers"
        channel = {"channel": {"url": self.desk.url, "secret": secret}}
        await self.quarter.root.does(f"carriers/{carrier}/set-carrier-channel", channel)
        await self.quarter.dora.does(f"carriers/{carrier}/activate-carrier")
        self.carriers[name] = carrier

    async def delivery(self) -> str:
        order = {"kind": "delivery", "outlet": "kamppi", "stops": STOPS, "parcels": [{"weight_g": 800}]}
        return str((await self.quarter.shop.makes("tasks", order))["id"])

    async def says(self, name: str, kind: str, data: Json) -> tuple[int, Json]:
        self._said += 1
        url = f"/callbacks/v1/{self.quarter.tenant}/carriers/{self.carriers[name]}"
        said = await answers(self.quarter.http, url, f"evt-{self._said}", kind, data, self.quarter.ago())
        return said.status_code, said.json()

    async def accepts(self, name: str, offer: Json) -> tuple[int, Json]:
        times = {"pickup_at": self.quarter.in_(minutes=20), "dropoff_at": self.quarter.in_(minutes=50)}
        data = {"tender_id": offer["tender_id"], "offer_id": offer["offer_id"]} | times
        return await self.says(name, "carrier.offer.accepted", data | {"carrier_reference": "P-1"})

    async def has(self, task: str) -> str | None:
        carrier = (await self.quarter.dora.reads(f"tasks/{task}"))["carrier"]
        return None if carrier is None else str(carrier["carrier_id"])

    async def why(self, task: str) -> list[str]:
        told: list[str] = (await self.quarter.dora.reads(f"tasks/{task}/why"))["told"]
        return told


@pytest.fixture
async def market(quarter: Quarter, desk: CarrierDesk) -> Market:
    made = Market(quarter, desk)
    await made.under_contract("Posti", 900)
    await made.under_contract("Matka", 1_100)
    return made


async def test_where_no_rider_takes_it_carriers_are_asked_one_after_the_other_and_one_brings_it(market: Market):
    await market.rules(RIDERS, CARRIERS)
    task = await market.delivery()
    offer = await market.desk.hears(
        "logistics.offer.sent", task_id=task, price={"amount_minor": 900, "currency": "EUR"}
    )
    assert [stop["kind"] for stop in offer["stops"]] == ["pickup", "dropoff"]
    assert offer["stops"][1]["location"] == HOME
    assert "contact" not in offer["stops"][1], "whom one meets is told to who has it"
    declined = {"tender_id": offer["tender_id"], "offer_id": offer["offer_id"], "reason_code": "no_courier"}
    assert (await market.says("Posti", "carrier.offer.declined", declined))[0] == 200

    second = await market.desk.hears(
        "logistics.offer.sent", task_id=task, price={"amount_minor": 1_100, "currency": "EUR"}
    )
    status, body = await market.accepts("Matka", second)
    assert (status, body["events"][0]) == (200, "CarrierAnswered")
    booked = await market.desk.hears("logistics.booking.confirmed", task_id=task)
    assert booked["stops"][1]["contact"]["name"] == "Aino Virta"
    assert await market.has(task) == market.carriers["Matka"]
    late, problem = await market.accepts("Posti", offer)
    assert (late, problem["code"], problem["values"]["how"]) == (409, "answered-too-late", "awarded")

    for word in ("picked_up", "delivered"):
        told = {"booking_id": booked["booking_id"], "status": word, "observed_at": market.quarter.ago(seconds=1)}
        assert (await market.says("Matka", "carrier.booking.status", told))[0] == 200

    async def state() -> str:
        return str((await market.quarter.dora.reads(f"tasks/{task}"))["state"])

    await until(state, lambda known: known == "completed")
    told = " ".join(await market.why(task))
    assert "2 of 2 carriers could take it. The cheapest: carrier Posti, 9.00 EUR (same day)" in told
    assert "for 9.00 EUR and declined (no courier)." in told
    assert "Carrier Matka won." in told


async def test_what_a_carrier_gives_back_goes_to_a_rider_and_not_to_it_again(market: Market):
    await market.rules(CARRIERS, RIDERS, CARRIERS)
    task = await market.delivery()
    offer = await market.desk.hears("logistics.offer.sent", task_id=task)
    assert (await market.accepts("Posti", offer))[0] == 200
    booked = await market.desk.hears("logistics.booking.confirmed", task_id=task)
    ann = await market.quarter.at_work("Ann")
    cancelled = {
        "booking_id": booked["booking_id"],
        "status": "cancelled",
        "observed_at": market.quarter.ago(seconds=1),
    }
    assert (await market.says("Posti", "carrier.booking.status", cancelled))[0] == 200
    await market.quarter.wins(ann, task)
    assert await market.has(task) is None
    assert await market.accepts("Posti", offer) == (200, {"events": []}), "it had won then, and that changes nothing"
    await market.quarter.dora.does(f"tasks/{task}/unassign-task", {"reason_code": "changed_mind"})

    async def third() -> list[Json]:
        return [row for row in await market.quarter.dora.lists("dispatch-decisions", task_id=task) if row["round"] == 3]

    [decided] = await until(third, bool)
    shut_out = {"carrier_id": market.carriers["Posti"], "code": "gave_it_back"}
    assert [{name: each[name] for name in shut_out} for each in decided["carriers_excluded"]] == [shut_out]
    assert "Carriers not considered: 1 gave_it_back (had it, and gave it back): Posti." in await market.why(task)


async def test_a_counter_stands_on_the_desk_until_a_dispatcher_agrees(market: Market):
    await market.rules(CARRIERS, counters={"max_over_percent": 5})
    task = await market.delivery()
    offer = await market.desk.hears("logistics.offer.sent", task_id=task)
    times = {"pickup_at": market.quarter.in_(minutes=20), "dropoff_at": market.quarter.in_(minutes=50)}
    of = {"tender_id": offer["tender_id"], "offer_id": offer["offer_id"]}
    dear = of | times | {"price": {"amount_minor": 1_500, "currency": "EUR"}}
    status, body = await market.says("Posti", "carrier.offer.countered", dear)
    assert (status, body["events"]) == (200, ["CarrierAnswered", "OfferCountered"])

    async def waiting() -> list[Json]:
        return await market.quarter.dora.lists("exception-desk", kind="carrier_countered")

    [row] = await until(waiting, bool)
    assert row["items"][0]["price"] == {"amount_minor": 1_500, "currency": "EUR"}
    agree = next(mend for mend in row["mends"] if mend.endswith("accept-counter"))
    await market.quarter.dora.does(agree, {"offer_id": offer["offer_id"]})
    await market.desk.hears("logistics.booking.confirmed", task_id=task)
    assert await market.has(task) == market.carriers["Posti"]
    assert await waiting() == []


async def test_a_channel_that_fails_is_told_again_and_of_what_is_withdrawn(market: Market):
    await market.rules(CARRIERS)
    market.desk.status = 503
    task = await market.delivery()

    async def came() -> int:
        return market.desk.came

    await until(came, lambda count: count >= 2)
    market.desk.status = 204
    offer = await market.desk.hears("logistics.offer.sent", task_id=task)
    await market.quarter.shop.does(f"tasks/{task}/cancel-task", {"reason_code": "customer_cancelled"})
    await market.desk.hears("logistics.offer.withdrawn", offer_id=offer["offer_id"])
    late, problem = await market.accepts("Posti", offer)
    assert (late, problem["code"], problem["values"]["how"]) == (409, "answered-too-late", "withdrawn")
