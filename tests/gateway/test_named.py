"""What a command names is asked for at the door: what is not there is told by field and value before anything comes of
it, and what was there a moment ago is there."""

import asyncio

import httpx
from following import anew, made
from reception import HOME, House, Json, delivery, house, key

from gateway.door import Limits
from schemas.ids import aggregate_id
from schemas.topics import TASK
from streams.cloning import CLONING

AT_ONCE = Limits(ask_again_after_s=())
"""Nobody waits for what may come a moment later."""


async def ordered(at: House, **more: object) -> httpx.Response:
    return await at.caller().post("/v1/acme/tasks", json=delivery(external_reference="order-1") | more)


async def a_wave(at: House, outlet: str = "kamppi") -> str:
    body = {"outlet": outlet, "goods_ready_at": "2026-03-01T13:00:00Z", "external_reference": f"wave-{outlet}"}
    return await made(at, "pick-waves", body)


def told(answer: httpx.Response) -> tuple[int, str, Json]:
    return answer.status_code, answer.json()["code"], answer.json()["values"]


async def test_all_that_is_not_there_is_told_with_where_it_stands_and_nothing_is_created():
    async with house(AT_ONCE) as at:
        first = await made(at, "tasks", delivery(external_reference="first"))
        refused = await ordered(at, depends_on=[first, "no-such-task"], pick_wave="no-such-wave")
        assert told(refused) == (422, "unknown-task", {"field": "depends_on", "task_id": "no-such-task"})
        assert [error["pointer"] for error in refused.json()["errors"]] == ["/depends_on/1", "/pick_wave"]
        assert aggregate_id("task", "acme", "shop", "order-1") not in at.desk.kept
        wave = await ordered(at, pick_wave="no-such-wave")
        assert told(wave) == (422, "unknown-pick-wave", {"pick_wave": "no-such-wave"})


async def test_what_was_created_a_moment_ago_is_there():
    async with house(AT_ONCE) as at:
        first = await made(at, "tasks", delivery(external_reference="first"))
        answer = await ordered(at, depends_on=[first], pick_wave=await a_wave(at))
        assert answer.status_code == 201, answer.text


async def test_what_is_no_task_is_no_task_to_wait_for():
    async with house(AT_ONCE) as at:
        refused = await ordered(at, depends_on=[await a_wave(at)])
        assert refused.json()["code"] == "unknown-task"


async def test_a_wave_is_of_the_tasks_own_outlet():
    async with house(AT_ONCE) as at:
        other = {"outlet": "kallio", "name": "Kallio", "location": HOME, "zone": "Europe/Helsinki"}
        await made(at, "outlets", other)
        refused = await ordered(at, pick_wave=await a_wave(at, "kallio"))
        values = {"outlet": "kallio", "task_outlet": "kamppi"}
        assert told(refused) == (409, "pick-wave-of-another-outlet", values)
        assert [error["pointer"] for error in refused.json()["errors"]] == ["/pick_wave"]


async def test_a_clone_is_waited_for_that_is_there_a_moment_after_its_id_was_told():
    async with house() as at:
        first = await made(at, "tasks", delivery(external_reference="first"))
        url = f"/v1/acme/tasks/{first}/clone-task"
        clone = (await at.caller().post(url, json={}, headers=key("clone"))).json()["created"]
        answer = asyncio.create_task(ordered(at, depends_on=[clone]))
        await asyncio.sleep(0.05)
        await anew(at, "cloning", CLONING, TASK)
        assert (await answer).status_code == 201, answer.result().text


async def test_a_task_that_is_there_answers_for_itself_whatever_it_is_said_to_wait_for():
    async with house(AT_ONCE) as at:
        assert (await ordered(at)).status_code == 201
        again = await ordered(at, depends_on=["no-such-task"])
        assert (again.status_code, again.json()["code"]) == (409, "already-exists")


async def test_a_task_that_waits_for_itself_is_told_so():
    async with house(AT_ONCE) as at:
        itself = await ordered(at, depends_on=[aggregate_id("task", "acme", "shop", "order-1")])
        assert itself.json()["code"] == "circular-dependency"


async def test_in_a_batch_what_follows_may_name_what_went_before():
    async with house(AT_ONCE) as at:
        first, second = aggregate_id("task", "acme", "shop", "first"), aggregate_id("task", "acme", "shop", "second")
        bodies = [
            delivery(external_reference="first"),
            delivery(external_reference="second", depends_on=[first]),
            delivery(external_reference="third", depends_on=["no-such-task", second]),
        ]
        batch = {"commands": [{"command": "tasks", "body": body} for body in bodies]}
        answer = await at.caller().post("/v1/acme/commands:batch", json=batch)
        assert [result["status"] for result in answer.json()["results"]] == [201, 201, 422]


async def test_an_incident_is_about_what_is_there():
    async with house(AT_ONCE) as at:
        task = await made(at, "tasks", delivery(external_reference="first"))
        carries = {"weight_g": 9_000, "volume_cm3": 40_000, "parcels": 4}
        vehicle = await made(at, "vehicles", {"kind": "bicycle", "capacity": carries, "external_reference": "bike"})
        links = [{"kind": "task", "id": task}, {"kind": "vehicle", "id": vehicle}]
        report = {"kind": "accident", "description": "!", "external_reference": "first"}
        incident = await made(at, "incidents", report | {"links": links})
        kinds = ("task", "rider", "vehicle", "tender", "incident")
        unknown = [{"kind": kind, "id": "nowhere"} for kind in kinds]
        again = report | {"links": [*links, *unknown]}
        refused = await at.caller("dispatcher", "dora").post("/v1/acme/incidents", json=again)
        assert (refused.status_code, refused.json()["code"]) == (409, "already-exists"), "it answers for itself"
        body = {"kind": "accident", "description": "!", "links": [*links, *unknown]}
        refused = await at.caller().post("/v1/acme/incidents", json=body, headers=key("i"))
        assert told(refused) == (422, "unknown-task", {"field": "links", "task_id": "nowhere"})
        assert [error["pointer"] for error in refused.json()["errors"]] == [
            f"/links/{place}/id" for place in range(2, 7)
        ]
        path = f"/v1/acme/incidents/{incident}"
        for kind in kinds[1:]:
            body = {"link": {"kind": kind, "id": "nowhere"}}
            refused = await at.caller("dispatcher", "dora").post(f"{path}/link-incident", json=body, headers=key(kind))
            assert told(refused) == (422, f"unknown-{kind}", {f"{kind}_id": "nowhere"})
        body = {"link": {"kind": "incident", "id": incident}}
        linked = await at.caller("dispatcher", "dora").post(f"{path}/link-incident", json=body, headers=key("self"))
        assert linked.status_code == 200, linked.text


async def test_what_is_said_to_be_lost_is_of_a_task_that_has_it_and_that_the_incident_is_linked_to():
    async with house(AT_ONCE) as at:
        task = await made(at, "tasks", delivery(external_reference="first"))
        dora = at.caller("dispatcher", "dora")
        links = [{"kind": "task", "id": task}]
        incident = await made(at, "incidents", {"kind": "theft", "description": "!", "links": links})
        path = f"/v1/acme/incidents/{incident}"
        await dora.post(f"{path}/assign-incident", json={"assignee": "dora"}, headers=key("a"))

        async def resolved(*lost: Json) -> httpx.Response:
            body = {"resolution_code": "stolen", "lost": list(lost), "waived": ["state_claim_value"]}
            return await dora.post(f"{path}/resolve-incident", json=body, headers=key(f"r-{lost[0]['task_id']}"))

        some = {"task_id": task, "parcel_ids": ["parcel-1", "parcel-9"]}
        refused = await resolved(some)
        assert told(refused) == (422, "unknown-parcel", {"parcel_id": "parcel-9"})
        assert [error["pointer"] for error in refused.json()["errors"]] == ["/lost/0/parcel_ids/1"]
        refused = await resolved({"task_id": "nowhere", "parcel_ids": ["parcel-1"]})
        assert told(refused) == (422, "unknown-link", {"kind": "task", "id": "nowhere"})
        assert [error["pointer"] for error in refused.json()["errors"]] == ["/lost/0/task_id"]
        other = await made(at, "tasks", delivery(external_reference="second"))
        refused = await resolved({"task_id": other, "parcel_ids": ["parcel-1"]})
        assert told(refused) == (422, "unknown-link", {"kind": "task", "id": other})
        assert [error["pointer"] for error in refused.json()["errors"]] == ["/lost/0/task_id"]


async def test_what_a_carrier_offers_is_for_a_task_that_is_there():
    async with house(AT_ONCE) as at:
        quote = {
            "task_id": "no-such-task",
            "carrier_id": "pulu",
            "service_level": "same_day",
            "price": {"amount_minor": 990, "currency": "EUR"},
            "estimated_pickup_at": "2026-03-01T13:00:00Z",
            "estimated_dropoff_at": "2026-03-01T14:00:00Z",
            "expires_at": "2026-03-01T12:30:00Z",
        }
        refused = await at.caller("dispatcher", "dora").post(
            "/v1/acme/carrier-bookings", json=quote, headers=key("quote")
        )
        assert told(refused) == (422, "unknown-task", {"field": "task_id", "task_id": "no-such-task"})
