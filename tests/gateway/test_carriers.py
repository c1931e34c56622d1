"""Carriers through the door: who may ask what of them, and who reads them."""

from datetime import timedelta

import pytest
from read_models import ReadModels
from reception import House, Json, key

SAME_DAY = {"code": "same_day", "title": "Same day", "commitment_seconds": 600, "silence_seconds": 1_800}
TERMS = {
    "service_levels": [SAME_DAY],
    "area": {"outlets": ["kamppi"], "postal_prefixes": ["FI-00"]},
    "currencies": ["EUR"],
    "tariff_reference": "posti-2026",
    "capabilities": ["chilled"],
}
PIA = {"name": "Pia Postimies", "phone": "+358401112223", "email": "pia@posti.example"}


@pytest.fixture
def house(library) -> House:
    return library[0]


@pytest.fixture
def models(library) -> ReadModels:
    return library[1]


async def a_carrier(house: House, reference: str = "posti", **more: object) -> str:
    body = {"name": "Posti", "contact": PIA, "terms": TERMS, "external_reference": reference} | more
    made = await house.caller().post("/v1/acme/carriers", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def asked(house: House, carrier: str, word: str, role: str = "dispatcher", **body: object):
    headers = key(f"{word}-{len(house.desk.orders)}")
    caller = house.caller(role, "dora")  # type: ignore[arg-type]
    return await caller.post(f"/v1/acme/carriers/{carrier}/{word}", json=body, headers=headers)


async def read(house: House, carrier: str, role: str = "dispatcher") -> Json:
    answer = await house.caller(role, "dora").get(f"/v1/acme/carriers/{carrier}")  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_every_wrong_field_of_a_carrier_is_told_at_once(house: House):
    area = {"postal_prefixes": ["00100"]}
    levels = [SAME_DAY | {"silence_seconds": 1}]
    body = {"name": "", "contact": {"name": "Pia", "email": "pia"}, "terms": {"area": area, "service_levels": levels}}
    refused = await house.caller().post("/v1/acme/carriers", json=body, headers=key("k"))
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-body")
    assert {error["pointer"] for error in refused.json()["errors"]} == {
        "/name",
        "/contact/email",
        "/terms/area/postal_prefixes/0",
        "/terms/service_levels/0/silence_seconds",
    }


async def test_a_carrier_without_a_service_level_is_not_put_in_force(house: House):
    carrier = await a_carrier(house, terms={})
    refused = await asked(house, carrier, "activate-carrier")
    assert (refused.status_code, refused.json()["code"]) == (409, "no-service-level")
    await asked(house, carrier, "change-carrier-terms", "integrator", terms=TERMS)
    assert (await asked(house, carrier, "activate-carrier")).json()["events"] == ["CarrierActivated"]


@pytest.mark.parametrize(
    ("word", "role"),
    [
        ("activate-carrier", "integrator"),
        ("suspend-carrier", "integrator"),
        ("end-carrier-contract", "integrator"),
        ("change-carrier-terms", "rider"),
    ],
)
async def test_who_may_not_ask_it_is_refused(house: House, word: str, role: str):
    refused = await asked(house, await a_carrier(house), word, role)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_carriers_are_found_by_how_they_stand(house: House, models: ReadModels):
    posti, matka = await a_carrier(house), await a_carrier(house, "matka", name="Matka")
    house.now += timedelta(minutes=5)
    await asked(house, posti, "activate-carrier")
    await models.fold()
    for query, found in (
        ("", [posti, matka]),
        ("status=active", [posti]),
        ("status=ended", []),
        ("external_reference=matka", [matka]),
        ("updated_since=2026-03-01T12:05:00Z", [posti]),
    ):
        rows = (await house.caller("analyst", "ada").get(f"/v1/acme/carriers?{query}")).json()["items"]
        assert {row["carrier_id"] for row in rows} == set(found), query


async def test_carriers_come_page_by_page(house: House, models: ReadModels):
    made = [await a_carrier(house, f"c-{number}") for number in range(3)]
    await models.fold()
    auditor, seen, path = house.caller("auditor", "otto"), [], "/v1/acme/carriers?limit=2"
    while path:
        page = await auditor.get(path)
        seen += [row["carrier_id"] for row in page.json()["items"]]
        path = page.links["next"]["url"] if page.links else ""
    assert sorted(seen) == sorted(made)


async def test_one_carrier_is_read_with_its_terms_and_what_may_be_asked_of_it(house: House, models: ReadModels):
    carrier = await a_carrier(house)
    await models.fold()
    told = await read(house, carrier)
    [level], terms = TERMS["service_levels"], told["terms"]
    as_told = TERMS | {"service_levels": [level | {"kinds": [], "capacity": None, "price": None}]}
    assert (told["status"], terms, told["contact"], told["channel_url"]) == ("registered", as_told, PIA, None)
    assert f"carriers/{carrier}/activate-carrier" in told["allowed_commands"]
    assert told["forbidden_commands"]["suspend-carrier"]["needed"] == ["active"]
    await asked(house, carrier, "end-carrier-contract", reason_code="notice")
    await models.fold()
    over = await read(house, carrier)
    assert (over["status"], over["reason_code"], over["allowed_commands"]) == ("ended", "notice", [])


async def test_whom_to_ask_is_hidden_from_those_who_only_look(house: House, models: ReadModels):
    carrier = await a_carrier(house)
    await models.fold()
    assert (await read(house, carrier, "auditor"))["contact"] == dict.fromkeys(PIA, "hidden")


async def test_the_history_of_a_carrier_tells_all_that_happened_but_no_names(house: House, models: ReadModels):
    carrier = await a_carrier(house)
    await asked(house, carrier, "activate-carrier")
    await models.fold()
    history = await house.caller("auditor", "otto").get(f"/v1/acme/carriers/{carrier}/history")
    assert [event["type"] for event in history.json()["items"]] == [
        "logistics.directory.CarrierRegistered",
        "logistics.directory.CarrierActivated",
    ]
    assert "Pia" not in history.text


async def test_where_a_carrier_is_told_is_set_by_an_operator_alone(house: House, models: ReadModels):
    carrier = await a_carrier(house)
    url = f"/v1/acme/carriers/{carrier}/set-carrier-channel"
    channel = {"channel": {"url": "https://posti.example/offers", "secret": "env:POSTI"}}
    refused = await house.caller("integrator").post(url, json=channel, headers=key("i"))
    assert refused.json()["code"] == "forbidden"
    told = await house.caller("operator", "olga").post(url, json=channel, headers=key("o"))
    assert told.json()["events"] == ["CarrierChannelSet"]
    await models.fold()
    row = await read(house, carrier)
    assert row["channel_url"] == "https://posti.example/offers"
    assert "env:POSTI" not in str(row)


@pytest.mark.parametrize(
    "url", ["posti.example", "https://user@posti.example/", "http://169.254.169.254/", "ftp://p.example"]
)
async def test_a_channel_that_cannot_be_reached_or_must_not_be_is_refused(house: House, url: str):
    carrier = await a_carrier(house)
    path = f"/v1/acme/carriers/{carrier}/set-carrier-channel"
    body = {"channel": {"url": url, "secret": "env:POSTI"}}
    refused = await house.caller("operator", "olga").post(path, json=body, headers=key("o"))
    assert (refused.status_code, refused.json()["code"]) == (422, "channel-unusable")
