"""Fleets through the door: who may ask what of them, and who reads them."""

from datetime import timedelta

import pytest
from read_models import ReadModels
from reception import House, Json, key


@pytest.fixture
def house(library) -> House:
    return library[0]


@pytest.fixture
def models(library) -> ReadModels:
    return library[1]


async def a_fleet(house: House, reference: str = "north", **more: object) -> str:
    body = {"name": "North", "external_reference": reference} | more
    made = await house.caller().post("/v1/acme/fleets", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def asked(house: House, fleet: str, word: str, role: str = "dispatcher", **body: object):
    headers = key(f"{word}-{len(house.desk.orders)}")
    caller = house.caller(role, "dora")  # type: ignore[arg-type]
    return await caller.post(f"/v1/acme/fleets/{fleet}/{word}", json=body, headers=headers)


async def listed(house: House, query: str = "") -> list[Json]:
    read = await house.caller("analyst", "ada").get(f"/v1/acme/fleets?{query}")
    assert read.status_code == 200, read.text
    return list(read.json()["items"])


async def test_a_fleet_created_again_is_the_same(house: House):
    fleet = await a_fleet(house)
    again = await house.caller().post("/v1/acme/fleets", json={"name": "North", "external_reference": "north"})
    assert (again.json()["id"], again.json()["repeated"]) == (fleet, True)
    assert again.headers["location"] == f"/v1/acme/fleets/{fleet}"


async def test_who_is_added_twice_is_answered_with_nothing_changed(house: House):
    fleet = await a_fleet(house)
    first = await asked(house, fleet, "add-rider-to-fleet", rider_id="ann")
    assert first.json()["events"] == ["RiderAddedToFleet"]
    again = await asked(house, fleet, "add-rider-to-fleet", "integrator", rider_id="ann")
    assert (again.json()["events"], again.json()["version"]) == ([], 2)


@pytest.mark.parametrize(
    ("word", "role"), [("add-rider-to-fleet", "rider"), ("retire-fleet", "integrator"), ("change-fleet", "analyst")]
)
async def test_who_may_not_ask_it_is_refused(house: House, word: str, role: str):
    refused = await asked(house, await a_fleet(house), word, role)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_fleets_are_found_by_who_and_what_is_in_them(house: House, models: ReadModels):
    north, south = await a_fleet(house), await a_fleet(house, "south", name="South", outlet="kamppi")
    await asked(house, north, "add-rider-to-fleet", rider_id="ann")
    house.now += timedelta(minutes=5)
    await asked(house, south, "add-vehicle-to-fleet", vehicle_id="van")
    await models.fold()
    for query, found in (
        ("", [north, south]),
        ("rider_id=ann", [north]),
        ("rider_id=bob", []),
        ("vehicle_id=van", [south]),
        ("external_reference=south", [south]),
        ("updated_since=2026-03-01T12:05:00Z", [south]),
    ):
        assert {row["fleet_id"] for row in await listed(house, query)} == set(found), query


async def test_fleets_come_page_by_page(house: House, models: ReadModels):
    made = [await a_fleet(house, f"f-{number}") for number in range(3)]
    await models.fold()
    auditor, seen, path = house.caller("auditor", "otto"), [], "/v1/acme/fleets?limit=2"
    while path:
        read = await auditor.get(path)
        seen += [row["fleet_id"] for row in read.json()["items"]]
        path = read.links["next"]["url"] if read.links else ""
    assert sorted(seen) == sorted(made)


async def test_one_fleet_says_what_may_be_asked_of_it(house: House, models: ReadModels):
    fleet = await a_fleet(house)
    await asked(house, fleet, "add-vehicle-to-fleet", vehicle_id="van")
    await models.fold()
    read = await house.caller("dispatcher", "dora").get(f"/v1/acme/fleets/{fleet}")
    assert (read.status_code, read.headers["etag"]) == (200, '"v2"')
    assert (read.json()["vehicles"], read.json()["status"]) == (["van"], "active")
    assert f"fleets/{fleet}/retire-fleet" in read.json()["allowed_commands"]
    await asked(house, fleet, "retire-fleet", reason_code="merged")
    await models.fold()
    over = (await house.caller("dispatcher", "dora").get(f"/v1/acme/fleets/{fleet}")).json()
    assert (over["allowed_commands"], over["vehicles"]) == ([], [])
    assert over["forbidden_commands"]["retire-fleet"]["actual"] == "retired"


async def test_riders_do_not_read_fleets(house: House, models: ReadModels):
    await models.fold()
    refused = await house.caller("rider", "ann").get("/v1/acme/fleets")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_the_history_of_a_fleet_tells_all_that_happened(house: House, models: ReadModels):
    fleet = await a_fleet(house)
    await asked(house, fleet, "add-rider-to-fleet", rider_id="ann")
    await models.fold()
    read = await house.caller("auditor", "otto").get(f"/v1/acme/fleets/{fleet}/history")
    assert [event["type"] for event in read.json()["items"]] == [
        "logistics.fleet.FleetCreated",
        "logistics.fleet.RiderAddedToFleet",
    ]
