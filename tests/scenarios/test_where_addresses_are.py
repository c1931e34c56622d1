"""Orders that give an address, and ways that are asked for, in the whole system as a user starts it."""

import pytest
from quarter import HOME, HUB, Json, Quarter, until

pytestmark = pytest.mark.timeout(240)

NOT_ON_THE_MAP = "Kasarmikatu 9999, Helsinki"


async def ordered(quarter: Quarter, address: str) -> str:
    stops = [{"kind": "pickup"}, {"kind": "dropoff", "address": address, "contact": {"name": "Aino"}}]
    made = await quarter.shop.makes("tasks", {"kind": "delivery", "outlet": "kamppi", "stops": stops})
    return str(made["id"])


async def door_of(quarter: Quarter, task: str) -> Json:
    """The stop, once somebody has said where it is, or that they do not know. That nobody answers is no last word: a
    machine under load may be slow to look, and it is asked again ten seconds later."""

    async def stop() -> Json:
        found: Json = (await quarter.dora.reads(f"tasks/{task}"))["stops"][1]
        return found

    def is_told(door: Json) -> bool:
        needs = door.get("needs_location")
        return bool(door.get("located_by") or (needs and needs["reason_code"] != "nobody_answers"))

    return await until(stop, is_told)


async def test_an_address_is_located_and_what_a_dispatcher_corrects_is_remembered(quarter: Quarter):
    door = await door_of(quarter, await ordered(quarter, "Kasarmik. 40, 00130 Helsinki"))
    assert (door["located_by"]["source"], door["location"]["lat"]) == ("osm", pytest.approx(60.1656, abs=1e-3))
    unknown = await ordered(quarter, NOT_ON_THE_MAP)
    assert (await door_of(quarter, unknown))["needs_location"]["reason_code"] == "not_sure"
    [row] = await quarter.dora.lists("exception-desk", kind="needs_location")
    assert row["aggregate_id"] == unknown
    located = {"stop_id": "stop-2", "location": HOME, "reason_code": "asked_by_phone"}
    assert "StopLocated" in (await quarter.dora.does(f"tasks/{unknown}/locate-stop", located))["events"]
    assert await quarter.dora.lists("exception-desk", kind="needs_location") == []
    again = await door_of(quarter, await ordered(quarter, NOT_ON_THE_MAP.upper()))
    assert (again["located_by"]["source"], again["location"]) == ("remembered", HOME)


async def test_a_way_is_told_once_it_is_known(quarter: Quarter):
    answer = await quarter.shop.sends("routes", {"waypoints": [HOME, HUB]})
    assert answer.status_code == 202, answer.text
    route = quarter.told(answer)["id"]

    async def told() -> Json:
        found: Json = await quarter.shop.reads(f"routes/{route}")
        return found

    found = await until(told, lambda found: found["status"] != "requested")
    assert (found["status"], found["provider"], found["distance_m"] > 0) == ("computed", "osrm", True)
