"""Tracking through the door: who has a link sees their own stop, the rider once near, and nothing of another's."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from read_models import ReadModels
from reception import HOME, House, Json, delivery, key
from story import SECRETS
from street import FIRST, SECOND, THIRD, Street, parcels

from gateway.app import app
from gateway.call import Call
from gateway.door import Limits
from gateway.tracking import address_of
from gateway.tracking_links import handle_of, stop_link, tracked_by
from projections.etas import ETAS
from projections.public_tracking import PUBLIC_TRACKING
from schemas import ids
from schemas.message import Role
from streams.routing.tiles import OsrmTiles, tile_at

GUARDS = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-robots-tag": "noindex"}
NEIGHBOURS = ("Cleo", "Nora", "Otto", "+358", "Pursimiehenkatu", "Ring twice", "Ann")


@pytest.fixture
async def house(library: tuple[House, ReadModels]) -> House:
    house = library[0]
    async with house.door.pool.connection() as connection:
        await connection.execute("TRUNCATE live_map")
    return house


@pytest.fixture
def models(library: tuple[House, ReadModels]) -> ReadModels:
    return library[1]


@pytest.fixture
def street(house: House, models: ReadModels) -> Street:
    return Street(house, models)


# Links


async def test_the_answer_to_the_creation_has_a_link_for_whoever_waits_at_a_stop(street):
    await street.ordered()
    links = street.made["tracking_links"]
    assert set(links) == {FIRST, SECOND, THIRD}
    assert all(link.startswith("/track/") for link in links.values())
    assert len({*links.values()}) == 3
    again = await street.house.caller().post("/v1/acme/tasks", json=same_order(), headers=key("t"))
    assert (again.json()["repeated"], again.json()["tracking_links"]) == (True, links)


def same_order() -> Json:
    contact = {"phone": "+358401234567", "notes": "Ring twice"}
    dropoffs = [
        {"kind": "dropoff", "location": HOME, "address": "Pursimiehenkatu 1", "contact": {"name": name, **contact}}
        for name in ("Cleo Contact", "Nora Neighbour", "Otto Opposite")
    ]
    return delivery(stops=[{"kind": "pickup"}, *dropoffs], parcels=parcels(3))


async def test_who_waits_at_a_pickup_has_one_too(street):
    pickup = {"kind": "pickup", "contact": {"name": "Pia Packer"}}
    body = delivery(stops=[pickup, {"kind": "dropoff", "location": HOME, "stop_id": "a.b:c_d-e"}])
    street.made = (await street.house.caller().post("/v1/acme/tasks", json=body, headers=key("p"))).json()
    assert set(street.made["tracking_links"]) == {"stop-1", "a.b:c_d-e"}
    assert (await street.told("stop-1"))["stop"]["kind"] == "pickup"
    assert (await street.told("a.b:c_d-e"))["stop"]["kind"] == "dropoff"


def test_a_link_to_a_stop_does_not_give_the_tasks_token_away():
    token = "0123456789abcdef" * 2
    link = stop_link(token, FIRST, SECRETS)
    assert token not in link
    of_stop, of_task = tracked_by(link, SECRETS), tracked_by(token, SECRETS)
    assert of_stop is not None
    assert of_task is not None
    assert of_stop.handle == of_task.handle == handle_of(token, SECRETS)
    as_a_token = tracked_by(link[:32], SECRETS)
    assert as_a_token is not None
    assert as_a_token.handle != of_task.handle


async def test_whatever_is_no_link_is_answered_like_any_path_that_leads_nowhere(street):
    await street.ordered()
    link = street.token(FIRST)
    handle, _, mac = link.split(".")
    wrong = [
        "0" * 32,
        "none",
        "NONE" * 8,
        link[:-1],
        link + "0",
        link.upper(),
        f"{handle}.{SECOND}.{mac}",
        f"{handle}.{FIRST}.{'0' * 32}",
        f"{'0' * 32}.{FIRST}.{mac}",
        handle,
        stop_link(street.token(None), "stop-99", SECRETS),
        "%00" * 32,
        street.made["tracking_code"],
    ]
    await street.models.fold()
    nobody = street.house.client()
    bodies = []
    for word in [*wrong, "tasks/none"]:
        answer = await nobody.get(httpx.URL(f"http://door/v1/tracking/{word}"))
        assert answer.status_code in (404, 401), word
        bodies.append((answer.status_code, {k: v for k, v in answer.json().items() if k != "request_id"}))
    assert all(body == bodies[0] for body in bodies[:-1])
    assert bodies[0][1]["code"] == "not-found"
    assert bodies[-1][0] == 401, "that is a tenant of this name"


async def test_a_link_is_worth_the_same_with_no_token_and_with_any(street):
    await street.ordered()
    wanted = await street.told(FIRST)
    with_token = await street.house.caller(tenant="other").get(f"/v1/tracking/{street.token(FIRST)}")
    assert with_token.json() == wanted


async def test_a_link_that_was_made_just_now_waits_for_its_task(street):
    await street.ordered()
    path = f"/v1/tracking/{street.token(FIRST)}"
    asked = asyncio.create_task(street.house.client().get(path))
    await asyncio.sleep(0.2)
    assert not asked.done()
    await street.models.fold()
    assert (await asked).status_code == 200


async def test_it_does_not_wait_for_ever_nor_for_a_word_that_anybody_may_have_made_up(street):
    await street.ordered()
    limits = Limits(wait_s=0.05, waiters=1)
    street.house.app = app(msgspec.structs.replace(street.house.door, limits=limits))
    client = street.house.client()
    assert (await client.get(f"/v1/tracking/{street.token(FIRST)}")).status_code == 404
    street.house.app = app(msgspec.structs.replace(street.house.door, limits=Limits(waiters=0)))
    client = street.house.client()
    assert (await client.get(f"/v1/tracking/{street.token(FIRST)}")).status_code == 503
    assert (await client.get(f"/v1/tracking/{street.token(None)}")).status_code == 404


async def test_nobody_keeps_or_passes_on_what_a_link_shows(street):
    answer = await (await street.ordered()).read(FIRST)
    assert {name: answer.headers[name] for name in GUARDS} == GUARDS
    unknown = await street.house.client().get(f"/v1/tracking/{'0' * 32}")
    assert {name: unknown.headers[name] for name in GUARDS} == GUARDS


# What it tells


async def test_before_anybody_has_it_there_is_nothing_to_see(street):
    told = await (await street.ordered()).told(FIRST)
    assert (told["phase"], told["rider"], told["live"], told["outlet"]) == ("waiting", None, False, "Kamppi")
    assert (told["zone"], told["tracking_code"]) == ("Europe/Helsinki", street.made["tracking_code"])
    assert (told["stop"]["stops_ahead"], told["stop"]["forecast"]) == (None, None)


async def test_a_live_tenants_says_so(street):
    platform = street.house.caller("operator", "root", "*")
    await platform.post("/v1/tenants", json={"tenant": "real", "name": "Real"})
    shop = street.house.caller(tenant="real")
    outlet = {"outlet": "kamppi", "name": "Kamppi", "location": HOME, "zone": "Europe/Helsinki"}
    await shop.post("/v1/real/outlets", json=outlet)
    street.made = (await shop.post("/v1/real/tasks", json=delivery(), headers=key("t"))).json()
    assert (await street.told(None))["live"] is True


async def test_the_window_and_the_forecast_are_those_of_the_own_stop(street):
    await (await street.ordered()).picked_up()
    await street.seen()
    for number, stop in enumerate((FIRST, SECOND, THIRD), start=1):
        told = await street.told(stop)
        due = street.house.now + timedelta(minutes=10 * number)
        assert datetime.fromisoformat(told["stop"]["forecast"]["p50"]) == due
        assert told["stop"]["stops_ahead"] == number - 1
        assert told["picked_up_at"] is not None


async def test_a_forecast_of_a_rider_who_has_it_no_more_is_not_told(street):
    await (await street.ordered()).picked_up()
    await street.seen()
    async with street.house.door.pool.connection() as connection:
        of_bob = """rider_id = 'bob', latest = latest || '{"rider_id": "bob"}'"""
        await connection.execute(f"UPDATE {ETAS.physical} SET {of_bob}".encode())
    assert (await street.told(FIRST))["stop"]["forecast"] is None


# Where the rider is


async def test_the_rider_is_shown_where_the_own_stop_is_near_and_not_where_it_is_far(street):
    await (await street.ordered()).picked_up()
    await street.seen()
    place = {"lat": 60.1651, "lon": 24.9361, "observed_at": "2026-03-01T12:00:00Z"}
    assert [(await street.told(stop))["rider"] for stop in (FIRST, SECOND, THIRD)] == [place, place, None]
    await street.says("report-delivered", FIRST)
    assert [(await street.told(stop))["rider"] for stop in (FIRST, SECOND, THIRD)] == [None, place, place]


async def test_before_the_task_is_under_way_the_rider_is_not_shown(street):
    await (await street.ordered()).accepted()
    await street.seen()
    told = await street.told(FIRST)
    assert (told["phase"], told["rider"]) == ("accepted", None)


async def test_once_the_stop_is_over_nothing_is_shown_any_more(street):
    await (await street.ordered()).picked_up()
    await street.seen()
    await street.says("report-en-route", FIRST)
    told = await street.told(FIRST)
    assert (told["phase"], told["rider"] is None) == ("en_route", False)
    fix = HOME | {"accuracy_m": 5.0, "observed_at": street.house.now.isoformat()}
    await street.says("report-arrived", FIRST, fix=fix)
    told = await street.told(FIRST)
    assert (told["phase"], told["rider"] is None, told["stop"]["forecast"]) == ("arrived", False, None)
    await street.says("report-delivered", FIRST)
    told = await street.told(FIRST)
    assert (told["phase"], told["rider"]) == ("completed", None)
    assert (told["stop"]["stops_ahead"], told["stop"]["forecast"]) == (None, None)
    assert told["ended_at"] is not None
    assert "state" not in told, "how the others fare is not told"


async def test_after_an_attempt_in_vain_the_rider_is_not_shown_until_they_set_out_again(street):
    await (await street.ordered()).picked_up()
    await street.seen()
    await street.says("report-attempt-failed", FIRST, reason_code="access_denied")
    told = await street.told(FIRST)
    assert (told["rider"], told["stop"]["attempts"], told["stop"]["stops_ahead"]) == (None, 1, None)
    await street.says("report-en-route", FIRST)
    assert (await street.told(FIRST))["rider"] is not None


async def test_other_tasks_of_the_rider_come_before_it_too(street):
    await (await street.ordered(doors=1)).accepted()
    await street.also_has("x-1", "x-2", "x-3")
    await street.reserve(street.task, "stop-1", FIRST)
    await street.says("report-picked-up", "stop-1")
    await street.seen()
    told = await street.told(FIRST)
    assert (told["stop"]["stops_ahead"], told["rider"]) == (3, None)


async def test_what_is_not_on_the_itinerary_yet_comes_last(street):
    await (await street.ordered()).accepted()
    await street.also_has("x-1", "x-2")
    await street.says("report-picked-up", "stop-1")
    await street.seen()
    assert (await street.told(SECOND))["stop"]["stops_ahead"] == 3


async def test_an_old_place_is_not_shown(street):
    await (await street.ordered()).picked_up()
    await street.seen(fix_age_s=901)
    assert (await street.told(FIRST))["rider"] is None


@pytest.mark.parametrize(("stops", "seen"), [(0, []), (1, [FIRST]), (3, [FIRST, SECOND, THIRD])])
async def test_the_tenant_says_how_near_is_near(street, stops, seen):
    await rules(street.house, tracking_visible_stops=stops)
    await (await street.ordered()).picked_up()
    await street.seen()
    assert [stop for stop in (FIRST, SECOND, THIRD) if (await street.told(stop))["rider"]] == seen


async def test_what_does_not_follow_the_log_any_more_shows_no_place(street):
    await (await street.ordered()).picked_up()
    await street.seen()
    parked = "INSERT INTO projection_parked VALUES ('public_tracking', %s, 'logistics.task', 0, %s, 0, 'poison')"
    async with street.house.door.pool.connection() as connection:
        await connection.execute(parked, (PUBLIC_TRACKING.version, street.task))
    assert (await street.told(FIRST))["rider"] is None


async def test_who_sees_the_rider_gets_the_streets_around_them(street, osrm):
    streets = OsrmTiles(osrm)
    street.house.app = app(msgspec.structs.replace(street.house.door, streets=streets))
    await (await street.ordered()).picked_up()
    await street.seen()
    await street.models.fold()
    x, y = tile_at(60.1651, 24.9361, 14)
    client = street.house.client()
    answers = {}
    for stop, tile in ((FIRST, f"14/{x}/{y}"), (FIRST, f"14/{x + 9}/{y}"), (FIRST, "14/x/1"), (THIRD, f"14/{x}/{y}")):
        answer = await client.get(f"/track/{street.token(stop)}/tiles/{tile}.mvt")
        answers[stop, tile] = answer.status_code
    await streets.close()
    assert list(answers.values()) == [200, 404, 404, 404]


# Another's stop


async def test_nothing_of_another_stop_is_told(street):
    await (await street.ordered()).picked_up()
    await street.seen()
    await street.says("report-attempt-failed", SECOND, reason_code="access_denied")
    for stop in (FIRST, THIRD, None):
        answer = await street.read(stop)
        for other in (*NEIGHBOURS, street.rider, "stop-", "customer_unavailable", str(HOME["lat"])):
            assert other not in answer.text, (stop, other)
    assert (await street.told(THIRD))["stop"]["attempts"] == 0


async def test_another_stops_end_is_only_a_count(street):
    await (await street.ordered()).picked_up()
    before = await street.told(THIRD)
    await street.says("report-delivered", FIRST)
    after = await street.told(THIRD)
    assert (before["stop"].pop("stops_ahead"), after["stop"].pop("stops_ahead")) == (2, 1)
    assert before == after


# The task's own token


async def test_the_tasks_token_shows_its_only_dropoff(street):
    await (await street.ordered(doors=1)).picked_up()
    await street.seen()
    told = await street.told(None)
    assert (told["stop"]["kind"], told["dropoffs"], told["rider"] is None) == ("dropoff", None, False)


async def test_of_several_it_shows_how_many_are_done_and_no_place(street):
    await (await street.ordered()).picked_up()
    await street.seen()
    await street.says("report-delivered", FIRST)
    told = await street.told(None)
    assert (told["stop"], told["dropoffs"], told["rider"]) == (None, {"done": 1, "total": 3}, None)
    assert told["phase"] == "in_progress"


# Ends


@pytest.mark.parametrize(
    ("role", "command", "body", "phase"),
    [
        ("dispatcher", "cancel-task", {"reason_code": "x"}, "cancelled"),
        ("operator", "force-complete-task", {"disposition": "delivered", "reason_code": "x"}, "completed"),
        ("operator", "force-complete-task", {"disposition": "lost", "reason_code": "x"}, "closed"),
    ],
)
async def test_a_task_that_ends_otherwise_says_how(street, role: Role, command, body, phase):
    await (await street.ordered()).accepted()
    path = f"/v1/acme/tasks/{street.task}/{command}"
    done = await street.house.caller(role, "olga").post(path, json=body, headers=key("end"))
    assert done.status_code == 200, done.text
    told = await street.told(FIRST)
    assert (told["phase"], told["rider"], told["ended_at"] is None) == (phase, None, False)


async def test_a_stop_that_has_nothing_left_to_bring_says_so_while_the_others_go_on(street):
    await (await street.ordered()).accepted()
    await street.says("report-picked-up", "stop-1", short=["parcel-1"])
    await street.seen()
    assert [(await street.told(stop))["phase"] for stop in (FIRST, SECOND)] == ["failed", "in_progress"]
    told = await street.told(FIRST)
    assert (told["rider"], told["stop"]["stops_ahead"]) == (None, None)


async def test_what_comes_back_says_so(street):
    await (await street.ordered(doors=1)).picked_up()
    path = f"/v1/acme/tasks/{street.task}/cancel-task"
    await street.house.caller("dispatcher", "dora").post(path, json={"reason_code": "x"}, headers=key("c"))
    told = await street.told(FIRST)
    assert (told["phase"], told["rider"]) == ("returning", None)


async def test_links_end_some_days_after_the_task(street):
    await rules(street.house, tracking_days=2)
    await (await street.ordered(doors=1)).picked_up()
    await street.says("report-delivered", FIRST)
    street.house.now += timedelta(days=2, seconds=-1)
    assert (await street.read(FIRST)).status_code == 200
    street.house.now += timedelta(seconds=1)
    past, unknown = await street.read(FIRST), await street.house.client().get(f"/v1/tracking/{'0' * 32}")
    assert (past.status_code, without_id(past)) == (404, without_id(unknown))
    assert (await street.read(None)).status_code == 404


def without_id(answer: httpx.Response) -> Json:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


async def rules(house: House, **changed: Any) -> None:
    tenant = ids.tenant_id("acme")
    olga = house.caller("operator", "olga")
    said = await olga.post(f"/v1/acme/tenants/{tenant}/change-tenant-rules", json={"rules": changed}, headers=key("r"))
    assert said.status_code == 200, said.text


@pytest.mark.parametrize("wrong", [{"tracking_visible_stops": -1}, {"tracking_days": 0}, {"tracking_days": 91}])
async def test_rules_of_tracking_have_bounds(house, wrong):
    tenant = ids.tenant_id("acme")
    path = f"/v1/acme/tenants/{tenant}/change-tenant-rules"
    said = await house.caller("operator", "olga").post(path, json={"rules": wrong}, headers=key("r"))
    assert said.status_code == 422


# How often


async def test_each_address_may_come_so_often(street):
    await street.ordered()
    await street.models.fold()
    limits = Limits(tracking_rate_per_s=0.001, tracking_burst=3)
    door = msgspec.structs.replace(street.house.door, limits=limits)
    street.house.app = app(door)
    good, bad = f"/v1/tracking/{street.token(FIRST)}", f"/v1/tracking/{'0' * 32}"
    page = f"/track/{street.token(FIRST)}"
    client = street.house.client()
    assert [(await client.get(path)).status_code for path in (good, bad, page, good)] == [200, 404, 200, 429]
    refused = await client.get(good)
    assert refused.json()["code"] == "rate-limited"
    assert int(refused.headers["retry-after"]) > 0
    assert (await client.get(page)).status_code == 429
    elsewhere = httpx.ASGITransport(street.house.app, client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://door") as other:
        assert (await other.get(good)).status_code == 200


def test_an_address_is_a_network_in_ipv6():
    def called(host: str) -> str:
        return address_of(Call({"headers": [], "client": (host, 1)}, None))  # type: ignore[arg-type]

    assert called("2001:db8:1:2::1") == called("2001:db8:1:2:ffff::9") != called("2001:db8:1:3::1")
    assert called("198.51.100.7") == called("::ffff:198.51.100.7") != called("198.51.100.8")
    assert called("testclient") == "testclient"


# By code, for staff


async def test_staff_find_a_task_by_its_code(street):
    await street.ordered()
    await street.models.fold()
    code = street.made["tracking_code"]
    for role in ("integrator", "dispatcher", "operator"):
        found = await street.house.caller(role, "sue").get(f"/v1/acme/tracking?code={code.lower()}")
        assert found.status_code == 200
        [match] = found.json()["items"]
        assert (match["task_id"], match["state"], match["outlet"]) == (street.task, "dispatchable", "kamppi")
        assert not any(word in found.text for word in NEIGHBOURS)


async def test_codes_may_collide_within_a_tenant_and_do_not_reach_into_another(house, models):
    await house.settle("other")
    made = {}
    for tenant, word in (("acme", "one"), ("acme", "two"), ("other", "three")):
        ordered = await house.caller(tenant=tenant).post(f"/v1/{tenant}/tasks", json=delivery(), headers=key(word))
        made[word] = ordered.json()["id"]
    await models.fold()
    async with house.door.pool.connection() as connection:
        await connection.execute(f"UPDATE {PUBLIC_TRACKING.physical} SET tracking_code = 'CV-20260301-AAAAAA'")
    found = await house.caller("dispatcher", "dora").get("/v1/acme/tracking?code=CV-20260301-AAAAAA")
    assert {match["task_id"] for match in found.json()["items"]} == {made["one"], made["two"]}


@pytest.mark.parametrize(
    ("query", "said"), [("", "is needed"), ("?code=CV-1", "must be a tracking code"), ("?code=a&x=1", "is not known")]
)
async def test_what_is_no_code_is_told(house, query, said):
    refused = await house.caller("dispatcher", "dora").get(f"/v1/acme/tracking{query}")
    assert refused.status_code == 400
    assert said in refused.text


async def test_nobody_tries_codes_out(street):
    await street.ordered()
    limits = Limits(tracking_rate_per_s=0.001, tracking_burst=2)
    street.house.app = app(msgspec.structs.replace(street.house.door, limits=limits))
    dora, code = street.house.caller("dispatcher", "dora"), street.made["tracking_code"]
    answers = [(await dora.get(f"/v1/acme/tracking?code={code}")).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    assert (await street.house.caller("dispatcher", "dan").get(f"/v1/acme/tracking?code={code}")).status_code == 200


async def test_a_code_is_for_staff_alone(street):
    await street.ordered()
    path = f"/v1/acme/tracking?code={street.made['tracking_code']}"
    assert (await street.house.client().get(path)).status_code == 401
    for role in ("rider", "analyst", "auditor"):
        assert (await street.house.caller(role, "x").get(path)).status_code == 403
    assert (await street.house.caller(tenant="other").get(path)).status_code == 404


async def test_a_tenant_may_be_called_tracking(house, models):
    await house.settle("tracking")
    shop = house.caller(tenant="tracking")
    made = await shop.post("/v1/tracking/tasks", json=delivery(), headers=key("t"))
    await models.fold()
    listed = await shop.get("/v1/tracking/task-board")
    assert [row["task_id"] for row in listed.json()["items"]] == [made.json()["id"]]
    followed = await house.client().get(f"/v1/tracking/{made.json()['tracking_token']}")
    assert followed.json()["tracking_code"] == made.json()["tracking_code"]
