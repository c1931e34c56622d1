"""Whom a tenant asks for ways, set and read by operators alone."""

import pytest
from read_models import ReadModels
from reception import House, Json, key

from schemas import ids

HERE = f"/v1/acme/provider-configs/{ids.provider_config_id('acme')}"
ROUTING = {"providers": [{"provider": "osrm"}, {"provider": "mapbox", "credentials": "env:MAPBOX_TOKEN"}]}


@pytest.fixture
def house(library) -> House:
    return library[0]


@pytest.fixture
def models(library) -> ReadModels:
    return library[1]


async def created(house: House, body: Json | None = None) -> int:
    olga = house.caller("operator", "olga")
    return (await olga.post("/v1/acme/provider-configs", json=body or {"routing": ROUTING})).status_code


async def test_an_operator_sets_it_once_and_changes_it_then(house, models):
    olga = house.caller("operator", "olga")
    assert await created(house) == 201
    again = await olga.post("/v1/acme/provider-configs", json={"routing": {"providers": [{"provider": "osrm"}]}})
    assert (again.status_code, again.json()["code"]) == (409, "already-exists")
    changed = {"routing": {"providers": [{"provider": "osrm", "url": "http://osrm:5000"}], "rests_s": 60}}
    answer = await olga.post(f"{HERE}/set-providers", json=changed, headers=key("set"))
    assert answer.json()["events"] == ["ProvidersSet"]
    await models.fold()
    read = (await olga.get(HERE)).json()
    assert read["routing"]["providers"][0]["url"] == "http://osrm:5000"
    assert (read["routing"]["rests_s"], read["routing"]["opens_after_failures"], read["version"]) == (60, 3, 2)
    assert "provider-configs/" + read["provider_config_id"] + "/clear-providers" in read["allowed_commands"]


async def test_what_is_cleared_stands_there_as_cleared(house, models):
    await created(house)
    await house.caller("operator", "olga").post(f"{HERE}/clear-providers", json={}, headers=key("clear"))
    await models.fold()
    [item] = (await house.caller("operator", "olga").get("/v1/acme/provider-configs")).json()["items"]
    assert item["cleared"] is True


@pytest.mark.parametrize("role", ["integrator", "dispatcher", "analyst", "auditor", "rider"])
async def test_nobody_else_sets_or_reads_it(house, models, role):
    await created(house)
    await models.fold()
    other = house.caller(role, "somebody")
    answers = [
        await other.get(HERE),
        await other.get("/v1/acme/provider-configs"),
        await other.post("/v1/acme/provider-configs", json={"routing": ROUTING}),
        await other.post(f"{HERE}/clear-providers", json={}, headers=key("clear")),
    ]
    assert [answer.status_code for answer in answers] == [403] * 4


async def test_the_feed_tells_that_it_was_set_and_not_to_what(house, models):
    await created(house)
    await models.fold()
    answer = await house.caller("analyst", "ana").get("/v1/acme/events?limit=200")
    [told] = [item for item in answer.json()["items"] if item["type"].endswith(".ProvidersSet")]
    assert (told["data"], told["subject"]) == ({}, ids.provider_config_id("acme"))
    assert "MAPBOX" not in answer.text


async def test_a_fault_is_told_with_its_place(house):
    answer = await house.caller("operator", "olga").post(
        "/v1/acme/provider-configs", json={"routing": {"providers": [{"provider": "osrm"}, {"provider": "valhalla"}]}}
    )
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "provider-misconfigured")
    assert (problem["values"]["fault"], problem["errors"][0]["pointer"]) == ("url_missing", "/routing/providers/1")
