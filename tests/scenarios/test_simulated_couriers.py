"""What docs/testing.md shows, done as it stands there; and an order for whom nobody is at home."""

import json
import re
from pathlib import Path

import pytest
from quarter import HOME, Json, Person, Quarter, until
from whole_system import WholeSystem

pytestmark = pytest.mark.timeout(240)

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
SHOWN = re.findall(r"```json (POST|GET) (\S+)\n(.*?)```", PAGE, re.DOTALL)


async def ended(quarter: Quarter, task: str) -> Json:
    async def told() -> Json:
        known: Json = await quarter.shop.reads(f"tasks/{task}")
        return known

    return await until(told, lambda known: known["state"] in ("completed", "returned", "failed"))


async def taken(quarter: Quarter, task: str) -> Json:
    async def told() -> Json:
        known: Json = await quarter.shop.reads(f"tasks/{task}")
        return known

    return await until(told, lambda known: known["state"] == "accepted")


async def seen_at(quarter: Quarter, place: Json) -> Json:
    """Where the one who is under way is, once they are there."""

    async def places() -> list[Json]:
        return await quarter.dora.lists("live-map")

    def there(rows: list[Json]) -> bool:
        return any(abs(row["lat"] - place["lat"]) + abs(row["lon"] - place["lon"]) < 1e-5 for row in rows)

    [row] = await until(places, there)
    return row


async def test_from_nothing_to_a_delivered_order_as_the_page_shows_it(system: WholeSystem):
    assert [method for method, _, _ in SHOWN] == ["POST", "POST", "POST", "POST", "GET"]
    async with Quarter(system) as quarter:
        ids: dict[str, str] = {}
        for method, shown, body in SHOWN:
            path = shown.format(**ids).replace("/acme-test/", f"/{quarter.tenant}/")
            wanted: Json = json.loads(body.replace("acme-test", quarter.tenant))
            if method == "GET":
                found = await ended(quarter, ids["task_id"])
                assert path.endswith(f"/tasks/{ids['task_id']}")
                assert {name: found[name] for name in wanted} == wanted
                assert [(proof["kind"], proof["status"]) for proof in found["proofs"]] == [("pin", "accepted")]
                courier = await seen_at(quarter, HOME)
                assert courier["rider_id"] == found["rider_id"]
            elif path.endswith("/advance-tenant-clock"):
                await taken(quarter, ids["task_id"])
                await quarter.shop.does(path, wanted)
            else:
                who = Person(quarter, "operator", "root", "*") if path == "/v1/tenants" else quarter.shop
                made = await who.makes(path, wanted)
                ids["task_id" if path.endswith("/tasks") else "tenant_id" if path == "/v1/tenants" else "-"] = made[
                    "id"
                ]


async def test_nobody_is_at_home_and_the_goods_come_back(quarter: Quarter):
    door = {"kind": "dropoff", "location": HOME, "required_proof": [["photo"]]}
    order = {
        "kind": "delivery",
        "outlet": "kamppi",
        "stops": [{"kind": "pickup", "required_proof": [["photo"]]}, door],
        "parcels": [{}],
        "simulation": {"outcome": "customer_unavailable"},
    }
    made = await quarter.shop.makes("tasks", order)
    told = await taken(quarter, made["id"])
    assert told["simulation"]["outcome"] == "customer_unavailable"
    await quarter.later(hours=1)
    told = await ended(quarter, made["id"])
    assert (told["state"], told["parcels"]["parcel-1"]["status"]) == ("returned", "returned")
    [photo] = told["proofs"]
    shown = await quarter.shop.asks(f"artefacts/{photo['sha256']}")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")
    [courier] = await quarter.dora.lists("rider-roster")
    assert (courier["simulated"], courier["name"]) == (True, f"simulated-{courier['external_reference'][-1]}")
    assert await quarter.dora.lists("tender-board", task_id=made["id"]) == []

    real = await quarter.shop.makes("tasks", {**order, "simulation": None})
    status, rule, _ = await quarter.dora.refused(f"tasks/{real['id']}/assign-task", {"rider_id": courier["rider_id"]})
    assert (status, rule) == (409, "simulated-apart")

    async def decisions() -> list[Json]:
        return await quarter.dora.lists("dispatch-decisions", task_id=real["id"])

    [decision, *_] = await until(decisions, bool)
    assert (decision["candidates"], decision["excluded"]) == ([], []), "no simulated courier was looked at"
