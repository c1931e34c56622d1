"""A task that gives an address is located by who knows it; where nobody is sure a dispatcher tells."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from extracts import at, index_of_town
from located import LocatedTown, located_town
from reception import key

from schemas import ids
from schemas.geocoding import ConfirmLocationSought, SeekLocations
from streams.addresses.index import HOUSE, AddressIndex

LON, LAT = at(6, 1)
ANNANKATU_12 = {"lat": pytest.approx(LAT, abs=1e-6), "lon": pytest.approx(LON, abs=1e-6)}
ELSEWHERE = {"lat": 60.1705, "lon": 24.9408}


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> AddressIndex:
    return index_of_town(tmp_path_factory.mktemp("town"))


@pytest.fixture
async def town(postgres: str, addresses: AddressIndex) -> AsyncIterator[LocatedTown]:
    async with located_town(postgres, addresses) as made:
        yield made


async def test_a_known_address_is_located_and_the_task_comes_to_dispatch(town):
    task_id = await town.order("one", address="Annank. 12", postal_code="FI-00100")
    assert (await town.follow())[-1] == ("RecordGeocoding", "StopLocated, TaskDispatchable")
    task = await town.task(task_id)
    door = task["stops"][1]
    assert (task["state"], task["needs_location"], door["location"]) == ("dispatchable", False, ANNANKATU_12)
    assert door["located_by"] == {"source": "osm", "confidence": HOUSE, "reason_code": None}
    assert await town.desk() == []


async def test_the_log_read_anew_asks_nobody_and_adds_nothing(town):
    await town.order("one", address="Annankatu 12")
    await town.order("two", address="Annankatu 99")
    await town.follow()
    for kept in town.house.desk.kept.values():
        kept.answers = {}
    before = len(town.house.desk.log)
    assert await town.follow() == []
    assert [type(order.command) for order in town.house.desk.orders] == [ConfirmLocationSought] * 2
    assert len(town.house.desk.log) == before


async def test_what_is_not_sure_is_put_to_a_dispatcher_with_what_it_may_be(town):
    task_id = await town.order("one", address="Annankatu 99")
    await town.follow()
    task = await town.task(task_id)
    needs = task["stops"][1]["needs_location"]
    assert (task["state"], task["needs_location"], needs["reason_code"]) == ("created", True, "not_sure")
    [candidate] = needs["candidates"]
    assert (candidate["label"], candidate["confidence"]) == ("Annankatu", 0.4)
    assert candidate["location"]["lat"] == pytest.approx(60.17, abs=0.01)
    [row] = await town.desk()
    assert row["aggregate_id"] == task_id
    assert row["mends"] == [f"tasks/{task_id}/locate-stop", f"tasks/{task_id}/cancel-task"]
    [item] = row["items"]
    assert (item["id"], item["reason_code"], item["candidates"], item["confidence"]) == ("stop-2", "not_sure", 1, 0.4)
    [listed] = (await town.house.caller().get("/v1/acme/task-board?needs_location=true")).json()["items"]
    assert listed["task_id"] == task_id


async def test_a_dispatcher_locates_it_with_their_name_and_their_reason(town):
    task_id = await town.order("one", address="Annankatu 99")
    await town.follow()
    body = {"stop_id": "stop-2", "location": ELSEWHERE, "reason_code": "asked_by_phone"}
    dora = town.house.caller("dispatcher", "dora")
    answer = await dora.post(f"/v1/acme/tasks/{task_id}/locate-stop", json=body, headers=key("locate"))
    assert answer.json()["events"] == ["StopLocated", "TaskDispatchable"]
    await town.models.fold()
    task = await town.task(task_id)
    door = task["stops"][1]
    assert (task["needs_location"], door["needs_location"], door["location"]) == (False, None, ELSEWHERE)
    assert door["located_by"]["reason_code"] == "asked_by_phone"
    assert await town.desk() == []
    history = (await dora.get(f"/v1/acme/tasks/{task_id}/history")).json()["items"]
    [told] = [each for each in history if each["type"].endswith("StopLocated")]
    assert told["actor"] == "dora"


async def test_a_stop_without_an_address_stands_on_the_desk_from_the_start(town):
    task_id = await town.order("one")
    assert await town.follow() == []
    assert [(row["aggregate_id"], row["items"][0]["reason_code"]) for row in await town.desk()] == [
        (task_id, "no_address")
    ]
    task = await town.task(task_id)
    assert task["needs_location"] is True
    assert [stop.get("needs_location") for stop in task["stops"]] == [
        None,
        {"reason_code": "no_address", "source": None, "candidates": []},
    ]
    await town.house.caller().post(
        f"/v1/acme/tasks/{task_id}/cancel-task", json={"reason_code": "moved"}, headers=key("cancel")
    )
    await town.models.fold()
    assert await town.desk() == []
    assert (await town.task(task_id))["needs_location"] is False


async def test_while_nobody_answers_the_task_waits_and_is_located_once_somebody_does(town):
    olga = town.house.caller("operator", "olga")
    silent = {"providers": [{"provider": "google", "credentials": "env:TOKEN"}]}
    assert (await olga.post("/v1/acme/provider-configs", json={"routing": silent})).is_success
    task_id = await town.order("one", address="Annankatu 12")
    other = await town.order("two", location=ELSEWHERE)
    await town.follow()
    assert (await town.task(task_id))["stops"][1]["needs_location"]["reason_code"] == "nobody_answers"
    assert (await town.task(other))["state"] == "dispatchable", "nobody else waits"
    [due] = (await town.house.caller("dispatcher", "dora").get("/v1/acme/deadlines")).json()["items"]
    assert (due["kind"], due["aggregate_id"]) == ("seek_locations", task_id)
    config = (await olga.get("/v1/acme/provider-configs")).json()["items"][0]["provider_config_id"]
    path = f"/v1/acme/provider-configs/{config}/clear-providers"
    assert (await olga.post(path, json={}, headers=key("clear"))).is_success
    town.house.now += timedelta(minutes=1)
    await town.house.process("task", task_id, SeekLocations())
    assert (await town.follow())[-1] == ("RecordGeocoding", "StopLocated, TaskDispatchable")
    assert (await town.task(task_id))["state"] == "dispatchable"
    assert (await town.house.caller("dispatcher", "dora").get("/v1/acme/deadlines")).json()["items"] == []


async def test_of_who_is_forgotten_the_address_is_asked_of_nobody(town):
    task_id = await town.order("one", address="Annankatu 12")
    await town.models.fold()
    subject = (await town.house.caller().get("/v1/acme/events?limit=200")).json()["items"]
    [sought] = [each["data"]["address"]["subject"] for each in subject if each["type"].endswith("StopLocationSought")]
    await town.house.desk.forget(sought)
    await town.follow()
    task = await town.task(task_id)
    assert task["stops"][1]["needs_location"]["reason_code"] == "person_forgotten"
    assert "Annank" not in str(task)


async def test_neither_address_nor_place_stands_in_the_clear_on_the_log(town):
    await town.order("one", address="Annankatu 99")
    await town.follow()
    for stored in town.house.desk.log:
        assert b"Annank" not in stored.value


async def corrected(town: LocatedTown, task_id: str, word: str = "locate") -> None:
    body = {"stop_id": "stop-2", "location": ELSEWHERE, "reason_code": "wrong_on_the_map"}
    dora = town.house.caller("dispatcher", "dora")
    answer = await dora.post(f"/v1/acme/tasks/{task_id}/locate-stop", json=body, headers=key(word))
    assert answer.is_success, answer.text
    await town.models.fold()


async def test_a_corrected_entrance_is_remembered_for_that_address_however_it_is_written(town):
    first = await town.order("one", address="Annankatu 12", postal_code="FI-00100")
    await town.follow()
    await corrected(town, first)
    second = await town.order("two", address="ANNANK. 12, 00100")
    await town.follow()
    door = (await town.task(second))["stops"][1]
    assert door["location"] == ELSEWHERE
    assert door["located_by"] == {"source": "remembered", "confidence": 1.0, "reason_code": None}
    other = await town.order("three", address="Annankatu 14 a")
    await town.follow()
    assert (await town.task(other))["stops"][1]["located_by"]["source"] == "osm"


async def test_the_door_knows_it_too(town):
    await corrected(town, await town.order("one", address="Annankatu 99"))
    told = (await town.house.caller().post("/v1/acme/geocode", json={"address": "annank. 99"})).json()
    assert (told["source"], told["candidates"][0]["location"]) == ("remembered", ELSEWHERE)
    assert told["candidates"][0]["confidence"] == 1.0


async def test_another_tenant_knows_nothing_of_it(town):
    await corrected(town, await town.order("one", address="Annankatu 99"))
    await town.house.settle("lumi")
    told = (await town.house.caller(tenant="lumi").post("/v1/lumi/geocode", json={"address": "Annankatu 99"})).json()
    assert told["source"] == "osm"


async def test_once_the_person_is_forgotten_so_is_the_place(town):
    first = await town.order("one", address="Annankatu 12")
    await town.follow()
    await corrected(town, first)
    path = f"/v1/acme/tenants/{ids.tenant_id('acme')}/forget-person"
    body = {"contact": "one", "reason_code": "person_asked"}
    assert (await town.house.caller().post(path, json=body, headers=key("forget"))).is_success
    await town.house.desk.forget(ids.contact_subject("acme", "one"))
    second = await town.order("two", address="Annankatu 12")
    await town.follow()
    assert (await town.task(second))["stops"][1]["located_by"]["source"] == "osm"


async def test_it_is_remembered_as_long_as_the_tenant_wants(town):
    await corrected(town, await town.order("one", address="Annankatu 99"))
    olga = town.house.caller("operator", "olga")
    path = f"/v1/acme/tenants/{ids.tenant_id('acme')}/change-tenant-rules"
    body = {"rules": {"remember_places_days": 30}}
    assert (await olga.post(path, json=body, headers=key("rules"))).is_success
    asked = {"address": "Annankatu 99"}
    assert (await olga.post("/v1/acme/geocode", json=asked)).json()["source"] == "remembered"
    town.house.now += timedelta(days=31)
    assert (await olga.post("/v1/acme/geocode", json=asked)).json()["source"] == "osm"
