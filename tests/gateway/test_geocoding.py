"""Where an address is, asked at the door."""

from collections.abc import AsyncIterator

import pytest
from extracts import index_of_town
from reception import House

from schemas.address import LONGEST_ADDRESS
from streams.addresses.index import HOUSE, AddressIndex

GEOCODE = "/v1/acme/geocode"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> AddressIndex:
    return index_of_town(tmp_path_factory.mktemp("town"))


@pytest.fixture
async def house(town: AddressIndex) -> AsyncIterator[House]:
    made = House(addresses=town)
    await made.settle()
    yield made
    await made.close()


async def test_an_address_is_answered_with_how_sure_that_is_and_by_whom(house):
    answer = await house.caller().post(GEOCODE, json={"address": "Annank. 12", "postal_code": "FI-00100"})
    told = answer.json()
    assert (answer.status_code, told["source"], told["passed"]) == (200, "osm", [])
    [found] = told["candidates"]
    assert (found["label"], found["confidence"]) == ("Annankatu 12, 00100 Kylä", HOUSE)
    assert found["location"]["lat"] == pytest.approx(60.17, abs=1e-3)
    assert answer.headers["cache-control"] == "no-store"


async def test_who_was_passed_over_is_named_before_whoever_answered(house):
    providers = [{"provider": "google", "credentials": "env:TOKEN"}, {"provider": "osm"}]
    olga = house.caller("operator", "olga")
    assert (await olga.post("/v1/acme/provider-configs", json={"routing": {"providers": providers}})).is_success
    told = (await house.caller().post(GEOCODE, json={"address": "Annankatu 12"})).json()
    assert (told["source"], told["passed"]) == ("osm", [{"provider": "google", "why": "no_credentials"}])


async def test_that_nobody_knows_it_is_an_answer(house):
    answer = await house.caller().post(GEOCODE, json={"address": "zzz qqq"})
    assert answer.status_code == 200
    passed = [{"provider": "osm", "why": "no_way"}]
    assert answer.json() == {"candidates": [], "answered": True, "source": None, "passed": passed}


async def test_that_nobody_could_be_asked_is_another_answer(house):
    olga = house.caller("operator", "olga")
    routing = {"providers": [{"provider": "google", "credentials": "env:TOKEN"}]}
    assert (await olga.post("/v1/acme/provider-configs", json={"routing": routing})).is_success
    told = (await house.caller().post(GEOCODE, json={"address": "Annankatu 12"})).json()
    passed = [{"provider": "google", "why": "no_credentials"}]
    assert told == {"candidates": [], "answered": False, "source": None, "passed": passed}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/address"),
        ({"address": ""}, "/address"),
        ({"address": "   "}, "/address"),
        ({"address": "x" * (LONGEST_ADDRESS + 1)}, "/address"),
        ({"address": "Annankatu 12", "postal_code": "00100"}, "/postal_code"),
        ({"address": "Annankatu 12", "text": "?"}, "/text"),
    ],
)
async def test_what_is_wrong_with_the_question_is_told_with_its_place(house, body, pointer):
    answer = await house.caller().post(GEOCODE, json=body)
    assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (422, [pointer])


async def test_an_address_in_the_url_is_not_taken(house):
    answer = await house.caller().post(f"{GEOCODE}?address=Annankatu", json={"address": "Annankatu 12"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    assert (await house.caller().get(GEOCODE)).status_code == 405


@pytest.mark.parametrize("role", ["analyst", "auditor", "rider"])
async def test_who_gives_no_task_its_stops_does_not_ask(house, role):
    answer = await house.caller(role, "somebody").post(GEOCODE, json={"address": "Annankatu 12"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
