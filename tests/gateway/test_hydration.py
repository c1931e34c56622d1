"""Tenants and outlets that the platform knows and we do not: looked up once, and told by a signed call back."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from reception import HOME, KAMPPI, House, delivery, house, key

from commands.order import Unavailable
from gateway.app import app
from gateway.hydration import AGAIN_S, MOST_AT_ONCE, MOST_OF_A_TENANT, WAITS_S, Hydration, LookUpFailed, Wanted
from gateway.webhook_signature import TOLERANCE_S, key_of, signed

KEY = key_of("whsec_" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB")
OUTLET = {"outlet": "kallio", "name": "Kallio", "location": HOME, "zone": "Europe/Helsinki"}


class Platform:
    """Who is asked; what it says in answer comes by a call of its own."""

    def __init__(self) -> None:
        self.asked: list[Wanted] = []
        self.down = False
        self.now_s = 0.0

    async def __call__(self, wanted: Wanted) -> None:
        self.asked.append(wanted)
        if self.down:
            raise LookUpFailed("nobody answers")


@pytest.fixture
async def platform() -> Platform:
    return Platform()


@pytest.fixture
async def at(platform: Platform) -> AsyncIterator[House]:
    async with house() as made:
        hydration = Hydration(platform, lambda: platform.now_s)
        made.app = app(replace(made.door, hydration=hydration, platform_key=KEY))
        yield made
        await hydration.stop()


async def calls_back(at: House, told: dict[str, Any], message: str = "m-1", **headers: str) -> httpx.Response:
    body = json.dumps({"timestamp": "2026-03-01T12:00:00Z"} | told).encode()
    sent = signed(KEY, message, int(time.time()), body) | {"content-type": "application/json"} | headers
    return await at.client().post("/callbacks/v1/auth", content=body, headers=sent)


def tenant(slug: str, **more: Any) -> dict[str, Any]:
    return {"type": "auth.tenant.updated", "data": {"tenant": slug, "name": slug.title()} | more}


async def board(at: House, slug: str) -> tuple[int, str]:
    """The first thing that somebody of a tenant asks for."""
    answer = await at.caller("integrator", "shop", slug).post(f"/v1/{slug}/tasks", json=delivery(), headers=key("k"))
    return answer.status_code, answer.json().get("code", "")


async def test_a_tenant_is_looked_up_once_and_known_after_the_call_back(at: House, platform: Platform):
    for _ in range(3):
        assert await board(at, "lumi") == (503, "tenant-hydrating")
    await asyncio.sleep(0)
    assert platform.asked == [Wanted("lumi")]
    told = await calls_back(at, tenant("lumi", mode="test", outlets=[OUTLET | {"outlet": "kamppi"}]))
    assert (told.status_code, told.json()) == (200, {"events": ["TenantCreated", "OutletCreated"]})
    assert (await board(at, "lumi"))[0] == 201


async def test_whoever_waits_is_told_when_to_ask_again(at: House):
    answer = await at.caller(tenant="lumi").post("/v1/lumi/tasks", json=delivery(), headers=key("k"))
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["values"] == {"tenant": "lumi", "outlet": None}


async def test_an_outlet_is_looked_up_and_known_after_the_call_back(at: House, platform: Platform):
    order = delivery(outlet="kallio")
    asks = at.caller().post("/v1/acme/tasks", json=order, headers=key("k"))
    assert (await asks).json()["code"] == "tenant-hydrating"
    await asyncio.sleep(0)
    assert platform.asked == [Wanted("acme", "kallio")]
    told = {"type": "auth.outlet.updated", "data": OUTLET | {"tenant": "acme"}}
    assert (await calls_back(at, told)).json()["events"] == ["OutletCreated"]
    assert (await at.caller().post("/v1/acme/tasks", json=order, headers=key("k"))).status_code == 201


async def test_what_the_platform_does_not_have_is_not_there(at: House, platform: Platform):
    assert await board(at, "lumi") == (503, "tenant-hydrating")
    await calls_back(at, {"type": "auth.tenant.unknown", "data": {"tenant": "lumi"}})
    assert await board(at, "lumi") == (404, "unknown-tenant")
    assert (await at.caller().post("/v1/acme/tasks", json=delivery(outlet="x"), headers=key("k"))).status_code == 503
    await calls_back(at, {"type": "auth.outlet.unknown", "data": {"tenant": "acme", "outlet": "x"}})
    refused = await at.caller().post("/v1/acme/tasks", json=delivery(outlet="x"), headers=key("k"))
    assert refused.json()["code"] == "unknown-outlet"


async def test_a_tenant_that_was_mistyped_is_soon_told_to_be_none_and_stays_so(at: House, platform: Platform):
    async def read(slug: str) -> tuple[int, str]:
        answer = await at.caller("operator", "root", tenant="*").get(f"/v1/{slug}/task-board")
        return answer.status_code, answer.json()["code"]

    for slug in ("Lumi", "lumi_fi", "x" * 64):
        assert await read(slug) == (404, "unknown-tenant"), "no tenant is called so"
    assert await read("lumy") == (503, "tenant-hydrating")
    await asyncio.sleep(0)
    assert platform.asked == [Wanted("lumy")]
    for platform.now_s in (WAITS_S + 1, AGAIN_S):
        assert await read("lumy") == (404, "unknown-tenant")
    await asyncio.sleep(0)
    assert platform.asked == [Wanted("lumy")]


async def test_a_platform_that_says_nothing_is_waited_for_and_asked_again_later(at: House, platform: Platform):
    assert (await board(at, "lumi"))[0] == 503
    platform.now_s = WAITS_S + 1
    assert await board(at, "lumi") == (404, "unknown-tenant")
    platform.now_s = AGAIN_S + 1
    assert (await board(at, "lumi"))[0] == 503
    await asyncio.sleep(0)
    assert platform.asked == [Wanted("lumi")] * 2


async def test_a_platform_that_does_not_answer_is_asked_again_soon(at: House, platform: Platform):
    platform.down = True
    assert (await board(at, "lumi"))[0] == 503
    await asyncio.sleep(0)
    assert (await board(at, "lumi"))[0] == 503
    assert len(platform.asked) == 1
    platform.now_s = 6
    assert (await board(at, "lumi"))[0] == 503
    await asyncio.sleep(0)
    assert len(platform.asked) == 2


async def test_so_many_are_looked_up_at_once_and_no_more(platform: Platform):
    never = asyncio.Event()

    async def asks(wanted: Wanted) -> None:
        await never.wait()

    hydration = Hydration(asks)
    for tenant_number in range(20):
        for number in range(MOST_OF_A_TENANT + 1):
            assert hydration._is_under_way(Wanted(f"t-{tenant_number}", f"o-{number}")), "nobody is told that it is not"
    assert len(hydration._asking) == MOST_AT_ONCE
    assert max(Counter(each.tenant for each in hydration._asking.values()).values()) == MOST_OF_A_TENANT
    assert hydration._is_under_way(Wanted("lumi"))
    assert len(hydration._asking) == MOST_AT_ONCE + 1, "a tenant does not wait for others' outlets"
    await hydration.stop()


async def test_what_is_told_again_changes_nothing_and_what_has_changed_does(at: House):
    told = tenant("lumi", rules={"max_attempts": 3}, outlets=[OUTLET])
    assert (await calls_back(at, told)).json()["events"] == ["TenantCreated", "OutletCreated"]
    assert (await calls_back(at, told)).json()["events"] == []
    assert (await calls_back(at, told, "m-2")).json()["events"] == []
    moved = tenant("lumi", rules={"max_attempts": 4}, outlets=[OUTLET | {"location": KAMPPI}])
    assert (await calls_back(at, moved, "m-3")).json()["events"] == ["TenantRulesChanged", "OutletMoved"]
    assert (await calls_back(at, told, "m-4")).json()["events"] == ["TenantRulesChanged", "OutletMoved"], "and back"


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook-signature": "v1,bm90IG91cnM="},
        {"webhook-timestamp": str(int(time.time()) - TOLERANCE_S - 60)},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "9" * 5_000},
        {"webhook-id": ""},
    ],
)
async def test_only_what_the_platform_has_signed_is_taken(at: House, wrong: dict[str, str]):
    refused = await calls_back(at, tenant("lumi"), **wrong)
    assert (refused.status_code, refused.json()["code"]) == (401, "signature-invalid")


async def test_a_message_that_does_not_fit_is_told_where(at: House):
    told = await calls_back(at, tenant("lumi", outlets=[OUTLET | {"zone": 7}]))
    assert (told.status_code, told.json()["errors"][0]["pointer"]) == (422, "/data/outlets/0/zone")
    told = await calls_back(at, {"type": "auth.tenant.sold", "data": {}})
    assert (told.status_code, told.json()["errors"][0]["pointer"]) == (422, "/type")


async def test_an_outlet_that_a_rule_refuses_is_named_by_its_place_and_keeps_no_other_away(at: House):
    wrong = {"zone": "Europe/Atlantis"}
    outlets = [OUTLET, OUTLET | {"outlet": "a"} | wrong, OUTLET | {"outlet": "b"}, OUTLET | {"outlet": "c"} | wrong]
    told = await calls_back(at, tenant("lumi", outlets=outlets))
    problem = told.json()
    assert (told.status_code, problem["code"], problem["values"]) == (422, "unknown-zone", wrong)
    assert problem["detail"] == "data.outlets[1].zone: Europe/Atlantis is not an IANA time zone"
    assert [error["pointer"] for error in problem["errors"]] == ["/data/outlets/1/zone", "/data/outlets/3/zone"]
    known = at.policy.tenant("lumi")
    assert known is not None
    assert known.outlets.keys() == {"kallio", "b"}


async def test_the_one_outlet_that_is_told_of_is_named_too(at: House):
    told = {"type": "auth.outlet.updated", "data": OUTLET | {"tenant": "acme", "zone": "Europe/Atlantis"}}
    problem = (await calls_back(at, told)).json()
    assert problem["detail"] == "data.zone: Europe/Atlantis is not an IANA time zone"
    assert [error["pointer"] for error in problem["errors"]] == ["/data/zone"]


async def test_a_tenant_that_a_rule_refuses_is_told_where_in_the_message(at: House):
    told = await calls_back(at, tenant("acme", rules={"required_documents": ["visa"]}))
    assert (told.status_code, told.json()["code"]) == (422, "unknown-document-kind")
    assert [error["pointer"] for error in told.json()["errors"]] == ["/data/rules/required_documents/0"]


async def test_where_nobody_can_judge_it_the_whole_message_is_to_come_again(at: House):
    assert (await calls_back(at, tenant("lumi"))).status_code == 200
    at.desk.fails = Unavailable("log-unavailable", "not now")
    assert (await calls_back(at, tenant("lumi", outlets=[OUTLET]), "m-2")).status_code == 503
    at.desk.fails = None
    assert (await calls_back(at, tenant("lumi", outlets=[OUTLET]), "m-2")).json()["events"] == ["OutletCreated"]


async def test_without_a_platform_nobody_calls_back_and_nobody_is_asked():
    async with house() as made:
        assert await board(made, "lumi") == (404, "unknown-tenant")
        assert (await calls_back(made, tenant("lumi"))).status_code == 404
