"""What a tenant sets up through the door: registries, hubs, SLA policies."""

import httpx
import pytest
from reception import KAMPPI, House, Json, key

from schemas import ids
from schemas.registries import DOCUMENT_KINDS, FAILURE_REASONS, INCIDENT_KINDS

TENANT = f"/v1/acme/tenants/{ids.tenant_id('acme')}"
DOG = {"code": "dog", "title": "A dog", "at_fault": "recipient", "after": "hold_at_hub"}
FLOOD = {"code": "flood", "title": "Flood", "actions": ["hand_over_tasks"]}
HYGIENE = {"code": "hygiene_pass", "title": "Hygiene pass", "of": "rider", "required": True}
HUB = {"hub": "north", "name": "North", "location": KAMPPI, "zone": "Europe/Helsinki"}
GOLD = {"name": "Gold", "terms": {"deliver_within_s": 3600}, "external_reference": "gold"}

REGISTRIES = pytest.mark.parametrize(
    ("word", "field", "entry", "shown", "event"),
    [
        ("set-failure-reasons", "reasons", DOG, "failure_reasons", "FailureReasonsSet"),
        ("set-incident-kinds", "kinds", FLOOD, "incident_kinds", "IncidentKindsSet"),
        ("set-document-kinds", "kinds", HYGIENE, "document_kinds", "DocumentKindsSet"),
    ],
)


def olga(house: House) -> httpx.AsyncClient:
    return house.caller("operator", "olga")


async def told(house: House, url: str, body: Json | None = None, word: str = "k") -> Json:
    answer = await olga(house).post(url, json=body or {}, headers=key(word))
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def tenant(house: House) -> Json:
    return (await house.caller().get("/v1/acme/tenant")).json()


async def test_a_tenant_that_has_set_nothing_shows_the_defaults_and_where_its_commands_go(house):
    read = await tenant(house)
    for shown, defaults in (
        ("failure_reasons", FAILURE_REASONS),
        ("incident_kinds", INCIDENT_KINDS),
        ("document_kinds", DOCUMENT_KINDS),
    ):
        assert [entry["code"] for entry in read[shown]] == [entry.code for entry in defaults]
    assert (read["id"], read["hubs"]) == (ids.tenant_id("acme"), [])


@REGISTRIES
async def test_a_registry_that_is_set_is_the_one_that_is_shown(house, word, field, entry, shown, event):
    answer = await told(house, f"{TENANT}/{word}", {field: [entry]})
    assert answer["events"] == [event]
    read = await tenant(house)
    [found] = read[shown]
    assert entry.items() <= found.items()
    assert read["version"] == answer["version"] == 2


@REGISTRIES
async def test_the_same_registry_again_is_no_change(house, word, field, entry, shown, event):
    await told(house, f"{TENANT}/{word}", {field: [entry]}, "first")
    again = await told(house, f"{TENANT}/{word}", {field: [entry]}, "second")
    assert (again["events"], again["version"]) == ([], 2)


@REGISTRIES
async def test_only_operators_set_registries(house, word, field, entry, shown, event):
    refused = await house.caller("dispatcher", "dora").post(f"{TENANT}/{word}", json={field: [entry]}, headers=key("k"))
    assert (refused.status_code, refused.json()["values"]["allowed"]) == (403, ["operator"])


async def test_a_code_given_twice_is_named(house):
    refused = await olga(house).post(f"{TENANT}/set-failure-reasons", json={"reasons": [DOG, DOG]}, headers=key("k"))
    body = refused.json()
    assert (refused.status_code, body["code"], body["values"]) == (422, "duplicate-code", {"code": "dog"})


async def test_a_hub_is_named_by_its_slug_and_the_same_again_is_the_same_hub(house):
    shop = house.caller()
    made = await shop.post("/v1/acme/hubs", json=HUB)
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"/v1/acme/hubs/{ids.hub_id('acme', 'north')}"
    assert (await shop.post("/v1/acme/hubs", json=HUB)).json()["repeated"] is True
    other = await shop.post("/v1/acme/hubs", json=HUB | {"name": "South"})
    assert (other.status_code, other.json()["code"]) == (409, "already-exists")
    assert (await tenant(house))["hubs"] == ["north"]


async def test_a_hub_moves_closes_and_opens_again(house):
    made = (await house.caller().post("/v1/acme/hubs", json=HUB)).json()
    url = f"/v1/acme/hubs/{made['id']}"
    here = {"location": {"lat": 60.2, "lon": 25.0}}
    assert (await told(house, f"{url}/move-hub", here, "m"))["events"] == ["HubMoved"]
    assert (await told(house, f"{url}/close-hub", word="c"))["events"] == ["HubClosed"]
    assert house.policy.tenant("acme").hub("north").closed
    assert (await told(house, f"{url}/reopen-hub", word="o"))["events"] == ["HubReopened"]
    assert not house.policy.tenant("acme").hub("north").closed


async def test_a_hub_and_an_outlet_may_have_the_same_slug(house):
    made = await house.caller().post("/v1/acme/hubs", json=HUB | {"hub": "kamppi"})
    assert made.status_code == 201, made.text
    read = await tenant(house)
    assert (read["outlets"], read["hubs"]) == (["kamppi"], ["kamppi"])


async def test_an_sla_policy_is_made_changed_and_removed_under_a_path_of_words(house):
    made = await olga(house).post("/v1/acme/sla-policies", json=GOLD)
    assert made.status_code == 201, made.text
    policy_id = ids.aggregate_id("sla_policy", "acme", "olga", "gold")
    url = f"/v1/acme/sla-policies/{policy_id}"
    assert made.headers["location"] == url
    changed = GOLD | {"terms": {"deliver_within_s": 1800}, "applies_to": {"outlet": "kamppi"}}
    del changed["external_reference"]
    await told(house, f"{url}/change-sla-policy", changed, "c")
    held = house.policy.tenant("acme").sla_policy_for("delivery", "kamppi", "normal", None, house.now)
    assert (held.policy_id, held.version, held.terms.deliver_within_s) == (policy_id, 2, 1800)
    await told(house, f"{url}/remove-sla-policy", word="r")
    assert house.policy.tenant("acme").sla_policy_for("delivery", "kamppi", "normal", None, house.now) is None


async def test_only_operators_promise(house):
    refused = await house.caller("dispatcher", "dora").post("/v1/acme/sla-policies", json=GOLD)
    assert (refused.status_code, refused.json()["values"]["allowed"]) == (403, ["operator"])


@pytest.mark.parametrize(
    ("more", "code", "values"),
    [
        ({"terms": {}}, "nothing-promised", {}),
        (
            {"terms": {"deliver_within_s": 60, "breach_levels_minutes": [30, 15]}},
            "levels-not-ascending",
            {"levels_minutes": [30, 15]},
        ),
        ({"applies_to": {"outlet": "nowhere"}}, "unknown-outlet", {"outlet": "nowhere"}),
    ],
)
async def test_a_promise_that_cannot_be_is_refused_with_what_is_wrong(house, more, code, values):
    refused = await olga(house).post("/v1/acme/sla-policies", json=GOLD | more)
    body = refused.json()
    assert (refused.status_code, body["code"], body.get("values", {})) == (422, code, values)


async def test_a_priority_that_is_none_is_explained_with_those_there_are(house):
    refused = await olga(house).post("/v1/acme/sla-policies", json=GOLD | {"applies_to": {"priority": "asap"}})
    [error] = refused.json()["errors"]
    assert error == {"pointer": "/applies_to/priority", "detail": "must be high or low or normal or urgent"}
