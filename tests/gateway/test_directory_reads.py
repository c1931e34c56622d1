"""Hubs and SLA policies as they are read."""

from datetime import UTC, datetime

import pytest
from read_models import ReadModels
from reception import KAMPPI, House, Json, key

HUB = {"hub": "north", "name": "North", "location": KAMPPI, "zone": "Europe/Helsinki", "metadata": {"dock": "3"}}
TERMS = {"deliver_within_s": 3600, "breach_levels_minutes": [10, 20], "pauses": ["customer_unavailable"]}
GOLD = {"name": "Gold", "applies_to": {"priority": "high"}, "terms": TERMS, "external_reference": "gold"}


@pytest.fixture
def house(library) -> House:
    return library[0]


@pytest.fixture
def models(library) -> ReadModels:
    return library[1]


async def made(house: House, kind: str, body: Json) -> str:
    answer = await house.caller("operator", "olga").post(f"/v1/acme/{kind}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


async def told(house: House, url: str, body: Json | None = None) -> None:
    answer = await house.caller("operator", "olga").post(url, json=body or {}, headers=key(url))
    assert answer.status_code == 200, answer.text


async def read(house: House, url: str) -> Json:
    answer = await house.caller().get(url)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_hub_is_read_where_it_is_and_whether_it_is_closed(house, models):
    url = await made(house, "hubs", HUB)
    await models.fold()
    first = await read(house, url)
    assert HUB.items() <= first.items()
    assert (first["closed"], first["version"]) == (False, 1)
    here = {"location": {"lat": 60.2, "lon": 25.0}, "address": "2 Way"}
    await told(house, f"{url}/move-hub", here)
    await told(house, f"{url}/close-hub")
    await models.fold()
    [listed] = (await read(house, "/v1/acme/hubs"))["items"]
    assert listed.items() <= (await read(house, url)).items()
    assert (listed["location"], listed["address"]) == (here["location"], "2 Way")
    assert (listed["closed"], listed["version"]) == (True, 3)
    await told(house, f"{url}/reopen-hub")
    await models.fold()
    assert (await read(house, url))["closed"] is False


async def test_hubs_come_page_by_page(house, models):
    for slug in ("a", "b", "c"):
        await made(house, "hubs", HUB | {"hub": slug})
    await models.fold()
    first = await house.caller().get("/v1/acme/hubs?limit=2")
    rest = await house.caller().get(first.links["next"]["url"])
    slugs = [row["hub"] for page in (first, rest) for row in page.json()["items"]]
    assert sorted(slugs) == ["a", "b", "c"]


async def test_lockers_are_hubs_and_found_by_their_kind(house, models):
    for slug, of_kind in (("north", {}), ("wall", {"kind": "locker"})):
        await made(house, "hubs", HUB | {"hub": slug} | of_kind)
    await models.fold()
    for kind, slug in (("hub", "north"), ("locker", "wall")):
        assert [(row["hub"], row["kind"]) for row in (await read(house, f"/v1/acme/hubs?kind={kind}"))["items"]] == [
            (slug, kind)
        ]


async def test_an_sla_policy_is_read_with_its_terms_and_once_removed_says_so(house, models):
    url = await made(house, "sla-policies", GOLD)
    await models.fold()
    first = await read(house, url)
    assert first["applies_to"] == {"task_kind": None, "outlet": None, "zone": None, "priority": "high"}
    assert TERMS.items() <= first["terms"].items()
    assert (first["name"], first["external_reference"], first["removed"]) == ("Gold", "gold", False)
    await told(house, f"{url}/change-sla-policy", {"name": "Silver", "terms": {"pickup_within_s": 600}})
    await told(house, f"{url}/remove-sla-policy")
    await models.fold()
    [listed] = (await read(house, "/v1/acme/sla-policies"))["items"]
    assert listed.items() <= (await read(house, url)).items()
    assert (listed["name"], listed["applies_to"]["priority"], listed["terms"]["pickup_within_s"]) == (
        "Silver",
        None,
        600,
    )
    assert (listed["removed"], listed["version"]) == (True, 3)


async def test_of_two_policies_that_were_made_at_one_moment_the_younger_is_not_in_force(house, models):
    urls = [await made(house, "sla-policies", GOLD)]
    first = house.policy._sla_policies["acme"].popitem()  # whoever decides the second has not heard of the first
    urls.append(await made(house, "sla-policies", GOLD | {"external_reference": "twin"}))
    house.policy._sla_policies["acme"].update([first])
    await models.fold()
    assert sorted([(await read(house, url))["in_force"] for url in urls]) == [False, True]
    listed = (await read(house, "/v1/acme/sla-policies"))["items"]
    assert [row["in_force"] for row in listed] == [True, False]
    answer = await house.caller("operator", "olga").get("/v1/acme/exception-desk")
    [row] = answer.json()["items"]
    assert (row["kind"], row["aggregate_id"]) == ("sla_scope_taken", listed[1]["sla_policy_id"])
    assert [item["id"] for item in row["items"]] == [listed[0]["sla_policy_id"]]
    assert row["mends"] == [f"sla-policies/{listed[1]['sla_policy_id']}/remove-sla-policy"]
    assert (row["about"]["name"], row["about"]["external_reference"]) == ("Gold", listed[1]["external_reference"])
    older, younger = (f"/v1/acme/sla-policies/{row['sla_policy_id']}" for row in listed)
    await told(house, f"{older}/remove-sla-policy")
    await models.fold()
    assert [(await read(house, url))["in_force"] for url in (older, younger)] == [False, True]
    assert (await read(house, "/v1/acme/exception-desk"))["items"] == []


async def test_riders_read_hubs_and_not_what_is_promised(house, models):
    await models.fold()
    ann = house.caller("rider", "ann")
    assert (await ann.get("/v1/acme/hubs")).status_code == 200
    assert (await ann.get("/v1/acme/sla-policies")).status_code == 403


async def test_what_is_not_there_is_said_by_its_kind(house, models):
    await models.fold()
    for kind, word in (("hubs", "hub"), ("sla-policies", "sla_policy")):
        answer = await house.caller().get(f"/v1/acme/{kind}/nobody")
        assert (answer.status_code, answer.json()["detail"]) == (404, f"there is no {word} nobody")


def circle(radius_m: int) -> Json:
    return {"type": "circle", "center": KAMPPI, "radius_m": radius_m}


async def test_a_fence_shows_which_shape_it_had_when_and_until_when(house, models):
    fence = {"name": "Yard", "shape": circle(100), "valid_from": "2026-02-01T00:00:00Z", "external_reference": "yard"}
    url = await made(house, "geofences", fence)
    nights = {"zone": "UTC", "weekly": [{"days": ["monday"], "opens": "22:00", "closes": "06:00"}]}
    change = f"{url}/change-geofence"
    for number, body in enumerate(
        (
            {"shape": circle(200), "valid_from": "2026-04-01T00:00:00Z"},  # and never was: the next one comes before it
            {"shape": circle(300), "valid_from": "2026-03-01T00:00:00Z", "calendar": nights, "dwell_s": 60},
        )
    ):
        answer = await house.caller().post(change, json=body, headers=key(f"change-{number}"))
        assert answer.json()["events"] == ["GeofenceChanged"], answer.text
    await told(house, f"{url}/remove-geofence", {"valid_until": "2026-05-01T00:00:00Z"})
    await models.fold()
    asked = f"/v1/acme/geofence-versions?geofence_id={url.rpartition('/')[2]}"
    first, second = (await read(house, asked))["items"]
    assert (first["shape"], first["valid_from"], first["valid_until"]) == (
        circle(100) | {"radius_m": 100.0},
        "2026-02-01T00:00:00Z",
        "2026-03-01T00:00:00Z",
    )
    assert (second["version"], second["calendar"]["weekly"][0]["opens"], second["dwell_s"]) == (3, "22:00", 60)
    assert second["valid_until"] == "2026-05-01T00:00:00Z"

    async def held(at: str) -> list[int]:
        return [row["version"] for row in (await read(house, f"{asked}&held_at={at}"))["items"]]

    moments = ("2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z")
    assert [await held(at) for at in moments] == [[], [1], [3], []]
    page = await house.caller().get(f"{asked}&limit=1")
    assert [row["version"] for row in (await read(house, page.links["next"]["url"]))["items"]] == [3]


async def test_a_fence_shows_the_shape_in_force_and_apart_from_it_what_comes(house, models):
    fence = {"name": "Pier", "shape": circle(100), "valid_from": "2026-02-01T00:00:00Z", "external_reference": "pier"}
    url = await made(house, "geofences", fence)
    for number, at in enumerate(("2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"), 2):
        body = {"shape": circle(number * 100), "valid_from": at, "dwell_s": 60}
        answer = await house.caller().post(f"{url}/change-geofence", json=body, headers=key(f"change-{at}"))
        assert answer.status_code == 200, answer.text
    ahead = {"name": "Quay", "shape": circle(50), "valid_from": "2026-06-01T00:00:00Z", "external_reference": "quay"}
    not_yet = await made(house, "geofences", ahead)
    await models.fold()

    async def shown(url: str) -> Json:
        one = await read(house, url)
        listed = await read(house, f"/v1/acme/geofences?external_reference={one['external_reference']}")
        [in_list] = listed["items"]
        same = ("shape", "dwell_s", "valid_from", "valid_until", "in_force", "upcoming")
        assert {name: in_list[name] for name in same} == {name: one[name] for name in same}
        return one

    now = await shown(url)
    assert (now["shape"]["radius_m"], now["dwell_s"], now["valid_from"]) == (100, None, "2026-02-01T00:00:00Z")
    assert (now["in_force"], now["valid_until"], now["version"]) == (True, None, 3)
    assert [(each["shape"]["radius_m"], each["valid_from"], each["valid_until"]) for each in now["upcoming"]] == [
        (200, "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"),
        (300, "2026-05-01T00:00:00Z", None),
    ]
    later = await shown(not_yet)
    assert (later["in_force"], later["shape"]["radius_m"], len(later["upcoming"])) == (False, 50, 1)
    house.now = datetime(2026, 4, 15, tzinfo=UTC)
    now = await shown(url)
    assert (now["shape"]["radius_m"], now["dwell_s"], len(now["upcoming"])) == (200, 60, 1)
    await told(house, f"{url}/remove-geofence", {"valid_until": "2026-04-10T00:00:00Z"})
    await models.fold()
    over = await shown(url)
    assert (over["in_force"], over["valid_until"], over["upcoming"]) == (False, "2026-04-10T00:00:00Z", [])


async def test_of_a_fence_so_many_shapes_that_come_are_shown(house, models, monkeypatch):
    monkeypatch.setattr("projections.geofence_versions.MOST_UPCOMING", 1)
    url = await made(house, "geofences", {"name": "Mole", "shape": circle(100), "external_reference": "mole"})
    for month in (4, 5):
        body = {"shape": circle(month * 100), "valid_from": f"2027-0{month}-01T00:00:00Z"}
        await house.caller().post(f"{url}/change-geofence", json=body, headers=key(f"change-{month}"))
    await models.fold()
    assert [each["shape"]["radius_m"] for each in (await read(house, url))["upcoming"]] == [400]
