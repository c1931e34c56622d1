"""Fixes through the door: whose they are, what is dropped, what an answer means."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from decoders import answers
from frame_vectors import fixes_told
from fresh import fresh_name
from hypothesis import given
from hypothesis import strategies as st
from reception import House, Json, MemoryFrames, key
from story import NOON
from world import PARTITIONS, World, now

from commands.order import Unavailable
from gateway.bindings import KEPT_FOR, MOST_KEPT, Bindings
from gateway.door import Limits
from gateway.new_frame import NewFrame, fixes_in
from gateway.problems import Problem
from gateway.validation import EXPLAINED_BYTES, MAX_ERRORS
from infra.frame_log import KafkaFrameLog
from schemas.fixes import MAX_BATCH, FixFrame, HeldFix, NewFix, fixes_of, frames_of, packed
from schemas.message import DeviceId, Source, TenantSlug
from schemas.position import vector
from schemas.record import envelope_of, event_of
from schemas.rider import DeviceBound, DeviceUnbound
from schemas.topics import FIXES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def frames() -> MemoryFrames:
    return MemoryFrames()


@pytest.fixture
async def house(frames: MemoryFrames):
    made = House(frames=frames)
    await made.settle()
    yield made
    await made.close()


def body(*minutes: float, device: str = "phone", **more: Any) -> dict[str, Any]:
    times = [(NOON + timedelta(minutes=minute)).isoformat() for minute in minutes]
    return {"device_id": device, "fixes": [{"observed_at": at, "lat": 60.17, "lon": 24.94} | more for at in times]}


async def a_rider(house: House, device: str = "phone", name: str = "ann") -> str:
    """On shift since noon, with the device since noon."""
    shop, dispatcher = house.caller(), house.caller("dispatcher", "dora")
    made = await shop.post("/v1/acme/riders", json={"name": name, "external_reference": name})
    rider = made.json()["id"]
    path = f"/v1/acme/riders/{rider}"
    await dispatcher.post(f"{path}/approve-rider", json={}, headers=key("approve"))
    ends_at = (NOON + timedelta(hours=8)).isoformat()
    shift = await dispatcher.post(f"{path}/start-shift", json={"ends_at": ends_at}, headers=key("shift"))
    assert shift.status_code == 200, shift.text
    bound = await dispatcher.post(f"{path}/bind-device", json={"device_id": device}, headers=key("bind"))
    assert bound.status_code == 200, bound.text
    learn(house)
    return str(rider)


def learn(house: House) -> None:
    """As the follower of the fleet does, later."""
    for stored in house.desk.log[house.learned :]:
        house.follow(stored)
    house.learned = len(house.desk.log)


async def test_a_fix_goes_by_the_rider_who_held_its_device(house, frames):
    rider = await a_rider(house)
    answer = await house.caller("rider", rider).post("/v1/acme/fixes", json=body(1, 2, speed_mps=5.5))
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["accepted"], told["off_duty"], told["unbound"]) == (2, 0, 0)
    [(_, frame)] = frames.frames
    assert (frame.devices, frame.riders, frame.count) == (["phone"], [rider], 2)
    assert fixes_of(frame).speed.tolist() == [550, 550]
    assert vector(told["consistency"])


async def test_what_a_rider_tells_off_duty_is_dropped_and_counted(house, frames):
    rider = await a_rider(house)
    answer = await house.caller("rider", rider).post("/v1/acme/fixes", json=body(-1, 1))
    assert (answer.json()["accepted"], answer.json()["off_duty"], answer.json()["unbound"]) == (1, 0, 1)
    house.now = NOON + timedelta(hours=1)
    ended = await house.caller("rider", rider).post(f"/v1/acme/riders/{rider}/end-shift", json={}, headers=key("end"))
    assert ended.status_code == 200, ended.text
    learn(house)
    answer = await house.caller("rider", rider).post("/v1/acme/fixes", json=body(59, 61))
    assert (answer.json()["accepted"], answer.json()["off_duty"]) == (1, 1)


async def test_a_device_that_nobody_holds_is_kept_for_the_quarantine(house, frames):
    answer = await house.caller().post("/v1/acme/fixes", json=body(1, device="stray"))
    assert (answer.json()["accepted"], answer.json()["unbound"]) == (0, 1)
    assert frames.frames[0][1].riders == [""]


async def test_nobody_speaks_for_another_riders_device(house, frames):
    await a_rider(house)
    bob = await a_rider(house, "bobs", "bob")
    answer = await house.caller("rider", bob).post("/v1/acme/fixes", json=body(1))
    told = answer.json()
    assert (told["accepted"], told["unbound"], told["anothers"]) == (0, 1, 1)
    stray = (await house.caller("rider", bob).post("/v1/acme/fixes", json=body(1, device="stray"))).json()
    assert (stray["unbound"], stray["anothers"]) == (1, 0), "which nobody holds"


async def test_coordinates_that_no_place_has_are_taken(house, frames):
    rider = await a_rider(house)
    answer = await house.caller("rider", rider).post("/v1/acme/fixes", json=body(1, lat=91.0))
    assert answer.json()["accepted"] == 1


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"device_id": "phone"}, "/fixes"),
        ({"device_id": "phone", "fixes": []}, "/fixes"),
        (body(1) | {"more": 1}, "/more"),
        (body(1, lat="north"), "/fixes/0/lat"),
        (body(1, speed_mps=-1), "/fixes/0/speed_mps"),
        (body(*range(MAX_BATCH + 1)), "/fixes"),
    ],
)
async def test_what_is_no_batch_is_told_with_its_place(house, wrong, pointer):
    answer = await house.caller().post("/v1/acme/fixes", json=wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-body")
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_each_wrong_fix_of_a_full_batch_is_named_and_none_of_it_is_taken(house, frames):
    await a_rider(house)
    full = body(*range(MAX_BATCH), accuracy_m=12.5, speed_mps=8.25, bearing_deg=180.0, battery_pct=77.0)
    assert len(msgspec.json.encode(full)) > EXPLAINED_BYTES
    full["fixes"][7]["speed_mps"] = -1
    full["fixes"][7]["accuracy_m"] = -1
    full["fixes"][499]["bearing_deg"] = 361
    answer = await house.caller().post("/v1/acme/fixes", json=full)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-body")
    assert {(error["pointer"], error["detail"]) for error in answer.json()["errors"]} == {
        ("/fixes/7/speed_mps", "must be at least 0"),
        ("/fixes/7/accuracy_m", "must be at least 0"),
        ("/fixes/499/bearing_deg", "must be at most 360"),
    }
    assert not frames.frames


async def test_wrong_fixes_are_named_up_to_a_bound(house):
    wrong = body(*range(MAX_BATCH), accuracy_m=12.5, bearing_deg=180.0, battery_pct=77.0, speed_mps=-1)
    errors = (await house.caller().post("/v1/acme/fixes", json=wrong)).json()["errors"]
    assert [error["pointer"] for error in errors] == [f"/fixes/{number}/speed_mps" for number in range(MAX_ERRORS)]


async def test_a_body_beyond_the_bound_is_refused():
    house = House(Limits(fixes_body_bytes=100))
    await house.settle()
    answer = await house.caller().post("/v1/acme/fixes", json=body(*range(5)))
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    await house.close()


@pytest.mark.parametrize("role", ["analyst", "auditor"])
async def test_who_only_looks_sends_no_fixes(house, role):
    answer = await house.caller(role).post("/v1/acme/fixes", json=body(1))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_foreign_tenants_fixes_meet_nothing(house):
    answer = await house.caller(tenant="other").post("/v1/acme/fixes", json=body(1))
    assert answer.status_code == 404


class Silent:
    async def write(self, tenant: str, actor: str, frames: Any) -> Any:
        raise Unavailable("log-unavailable", "the log did not take the fixes")


async def test_what_is_not_on_the_log_is_not_accepted():
    house = House(frames=Silent())
    await house.settle()
    answer = await house.caller().post("/v1/acme/fixes", json=body(1))
    assert (answer.status_code, answer.json()["code"]) == (503, "log-unavailable")
    assert answer.headers["retry-after"]
    await house.close()


async def test_accepted_frames_stand_on_the_log_where_the_answer_says_and_others_read_them(
    world: World, programs: Mapping[str, list[str]]
):
    log = KafkaFrameLog({"bootstrap_servers": world.kafka}, world.cluster, now)
    await log.start()
    began = now()
    fix = HeldFix("phone", "ann", NewFix(observed_at=now(), lat=60.17, lon=24.94))
    [frame] = frames_of([fix], now())
    after = await log.write(world.tenant, "ann", [(1, frame), (1, frame)])
    await log.stop()
    [(place, offset)] = after.items()
    assert place == (FIXES.name, 1)
    first = await log.first_since(1, began)
    read = [each async for frames in log.read(1, first, offset - 1) for each in frames]
    stored = [each for each in read if each.header("tenant") == world.tenant]
    assert [each.offset for each in stored] == [offset - 2, offset - 1]
    assert [envelope_of(each).tenant for each in stored] == [world.tenant, world.tenant]
    assert all(isinstance(event_of(each, None), FixFrame) for each in stored)
    asked = [{"decode": b64encode(each.value or b"").decode()} for each in stored]
    for language, program in programs.items():
        assert [each["fixes"] for each in answers(program, asked)] == [fixes_told(frame)] * 2, language
    assert place[1] < PARTITIONS


# Of many devices at once, in columns


def columns(*rows: tuple[int, int, float, float], devices: Sequence[str] = ("phone", "bobs"), **more: Any) -> Json:
    """Of each fix the place of its device, milliseconds after noon, latitude and longitude."""
    device, offset, lat, lon = zip(*rows, strict=True)
    return {
        "count": len(rows),
        "base_time": NOON.isoformat(),
        "devices": list(devices),
        "device": base64(packed("<u4", list(device))),
        "offset_ms": base64(packed("<u2", list(offset))),
        "lat": base64(packed("<i4", [round(each * 1e6) for each in lat])),
        "lon": base64(packed("<i4", [round(each * 1e6) for each in lon])),
    } | more


def base64(column: bytes) -> str:
    return b64encode(column).decode()


async def test_a_frame_of_many_devices_goes_by_who_holds_each(house, frames):
    riders = [await a_rider(house), await a_rider(house, "bobs", "bob")]
    known = {"speed": base64(packed("<u2", [550, 0xFFFF, 0]))}
    sent = columns((0, 0, 60.17, 24.94), (1, 1_000, 60.18, 24.95), (1, 65_535, 60.19, 24.96), **known)
    answer = await house.caller().post("/v1/acme/fixes/frames", json=sent)
    assert answer.status_code == 202, answer.text
    assert (answer.json()["accepted"], answer.json()["off_duty"], answer.json()["unbound"]) == (3, 0, 0)
    told = sorted(row for _, frame in frames.frames for row in rows_of(frame))
    assert told == [
        ("bobs", riders[1], 1_000, 60_180_000, 24_950_000, 0xFFFF),
        ("bobs", riders[1], 65_535, 60_190_000, 24_960_000, 0),
        ("phone", riders[0], 0, 60_170_000, 24_940_000, 550),
    ]


def rows_of(frame: FixFrame) -> list[tuple[str, str, int, int, int, int]]:
    noon_ms = round(NOON.timestamp() * 1000)
    opened = fixes_of(frame)
    names = [(frame.devices[each], frame.riders[each]) for each in opened.device.tolist()]
    return [
        (*name, at_ms - noon_ms, lat, lon, speed)
        for name, at_ms, lat, lon, speed in zip(
            names,
            opened.at_ms.tolist(),
            opened.lat.tolist(),
            opened.lon.tolist(),
            opened.speed.tolist(),
            strict=True,
        )
    ]


async def test_a_frame_as_it_stands_on_the_log_says_the_same_when_it_is_sent(house, frames):
    await a_rider(house)
    fix = NewFix(
        observed_at=NOON,
        lat=-60.17,
        lon=179.9,
        speed_mps=7.77,
        bearing_deg=182,
        accuracy_m=12,
        battery_pct=80,
        mock=True,
    )
    [frame] = frames_of([HeldFix("phone", "whoever", fix)], NOON)
    told = {name: getattr(frame, name) for name in NewFrame.__struct_fields__}
    sent = msgspec.json.encode(
        {name: value for name, value in told.items() if name != "base_time"} | {"base_time": NOON}
    )
    answer = await house.caller().post("/v1/acme/fixes/frames", content=sent)
    assert answer.json()["accepted"] == 1, answer.text
    [(_, again)] = frames.frames
    assert {name: getattr(again, name) for name in told} == told


async def test_what_a_frame_says_of_its_riders_is_not_asked_for(house, frames):
    sent = columns((0, 0, 60.17, 24.94), devices=["phone"], riders=["ann"])
    answer = await house.caller().post("/v1/acme/fixes/frames", json=sent)
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/riders"]
    assert frames.frames == []


async def test_the_docs_show_how_a_frame_is_made(house, frames):
    [shown] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "telemetry.md").read_text(), re.DOTALL)
    made: dict[str, Any] = {}
    exec(shown, made)  # as a reader would
    fixes = [("bobs", NOON + timedelta(seconds=1), -60.5, 24.5), ("phone", NOON, 60.17, 24.94)]
    answer = await house.caller().post("/v1/acme/fixes/frames", json=made["frame_of"](fixes))
    assert answer.json()["unbound"] == 2
    told = sorted(row for _, frame in frames.frames for row in rows_of(frame))
    assert told == [
        ("bobs", "", 1_000, -60_500_000, 24_500_000, 0xFFFF),
        ("phone", "", 0, 60_170_000, 24_940_000, 0xFFFF),
    ]


ONE = (0, 0, 60.17, 24.94)


@pytest.mark.parametrize(
    ("sent", "errors"),
    [
        ({}, {"/count", "/base_time", "/devices", "/device", "/offset_ms", "/lat", "/lon"}),
        (columns(ONE, count=0), {"/count"}),
        (columns(ONE, count=501), {"/count"}),
        (columns(ONE, layout=2), {"/layout"}),
        (columns(ONE, devices=[]), {"/devices"}),
        (columns(ONE, devices=["two words"]), {"/devices/0"}),
        (columns(ONE, lat="no Base64!"), {"/lat"}),
        (columns(ONE, count=2), {"/device", "/offset_ms", "/lat", "/lon"}),
        (columns(ONE, ONE, speed=base64(b"12")), {"/speed"}),
        (columns((2, 0, 60.17, 24.94)), {"/device"}),
        (
            columns(ONE, bearing=base64(b"\xb5"), battery=base64(b"\x65"), flags=base64(b"\2")),
            {"/bearing", "/battery", "/flags"},
        ),
        (columns(ONE, base_time="0001-01-01T00:00:00Z"), {"/base_time"}),
    ],
)
async def test_columns_that_do_not_hold_together_are_each_told(house, frames, sent, errors):
    answer = await house.caller().post("/v1/acme/fixes/frames", json=sent)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-body")
    assert {error["pointer"] for error in answer.json()["errors"]} == errors
    assert frames.frames == []


columns_of_anything = st.fixed_dictionaries(
    {
        "count": st.integers(1, 3),
        "base_time": st.just(NOON.isoformat()),
        "devices": st.lists(st.sampled_from(["phone", "van"]), min_size=1, max_size=3),
        **{name: st.binary(max_size=13).map(base64) for name in ("device", "offset_ms", "lat", "lon")},
    },
    optional={name: st.binary(max_size=4).map(base64) for name in ("speed", "bearing", "accuracy", "flags")},
)


@given(columns_of_anything)
def test_whatever_columns_are_sent_they_are_read_whole_or_told(sent: Json):
    with suppress(Problem):
        told = fixes_in(msgspec.json.encode(sent))
        assert len(told) == sent["count"]
        frames_of([HeldFix(device, "", fix) for device, fix in told], NOON)


# Too many, and the worst that is sent


@pytest.fixture
async def narrow(frames: MemoryFrames):
    """Four fixes at once of a device, ten of the tenant; then one in a hundred seconds."""
    limits = Limits(
        device_fixes_per_s=0.01, device_fixes_burst=4, tenant_fixes_per_s=0.01, tenant_fixes_burst=10, burst=1_000
    )
    made = House(limits, frames=frames)
    await made.settle()
    yield made
    await made.close()


async def test_a_device_that_floods_is_told_when_to_come_again_and_the_others_are_served(narrow, frames):
    shop = narrow.caller()
    assert (await shop.post("/v1/acme/fixes", json=body(1, 2, 3))).status_code == 202
    flood = await shop.post("/v1/acme/fixes", json=body(4, 5))
    assert (flood.status_code, flood.json()["code"]) == (429, "too-many-fixes")
    assert flood.json()["values"] == {"fixes_per_s": 0.01, "device_id": "phone"}
    assert 90 < int(flood.headers["retry-after"]) <= 100
    assert (await shop.post("/v1/acme/fixes", json=body(4))).status_code == 202, "what still fits is taken"
    assert (await shop.post("/v1/acme/fixes", json=body(1, 2, device="other"))).status_code == 202
    assert sum(frame.count for _, frame in frames.frames) == 6


async def test_a_tenant_has_a_bound_of_its_own(narrow):
    await narrow.settle("lumi")
    shop = narrow.caller()
    for device in ("one", "two"):
        assert (await shop.post("/v1/acme/fixes", json=body(1, 2, 3, 4, device=device))).status_code == 202
    flood = await shop.post("/v1/acme/fixes", json=body(1, 2, 3, device="three"))
    assert (flood.status_code, flood.json()["values"]) == (429, {"fixes_per_s": 0.01})
    other = await narrow.caller(tenant="lumi").post("/v1/lumi/fixes", json=body(1, 2, 3, device="three"))
    assert other.status_code == 202


async def test_of_a_frame_what_a_device_sends_too_much_is_left_out_and_told(narrow, frames):
    shop = narrow.caller()
    sent = columns(*((0, n, 60.17, 24.94) for n in range(5)), (1, 0, 60.17, 24.94))
    answer = await shop.post("/v1/acme/fixes/frames", json=sent)
    assert (answer.status_code, answer.json()["unbound"]) == (202, 1)
    assert list(answer.json()["too_many"]) == ["phone"]
    assert [frame.devices for _, frame in frames.frames] == [["bobs"]]
    alone = await shop.post("/v1/acme/fixes/frames", json=columns(*((0, n, 60.17, 24.94) for n in range(5))))
    assert (alone.status_code, alone.json()["values"]["device_id"]) == (429, "phone")


async def test_no_rider_uses_up_what_anothers_phone_may_send(narrow):
    await a_rider(narrow)
    assert (await narrow.caller("rider", "bob").post("/v1/acme/fixes", json=body(1, 2, 3, 4))).status_code == 202
    assert (await narrow.caller("rider", "ann").post("/v1/acme/fixes", json=body(1, 2, 3, 4))).status_code == 202


def fixes_json(place: str) -> bytes:
    return b'{"device_id": "phone", "fixes": [{"observed_at": "%s", %s}]}' % (NOON.isoformat().encode(), place.encode())


@pytest.mark.parametrize(
    ("place", "status", "code"),
    [
        ('"lat": NaN, "lon": 24', 400, "malformed-json"),
        ('"lat": Infinity, "lon": 24', 400, "malformed-json"),
        ('"lat": null, "lon": 24', 422, "invalid-body"),
        ('"lat": 1e999, "lon": 24', 422, "invalid-body"),
        ('"lat": "60.17", "lon": 24', 422, "invalid-body"),
        ('"lat": 60.17, "lon": 24, "accuracy_m": -1', 422, "invalid-body"),
        ('"lat": 60.17, "lon": 24, "observed_at": "2999-01-01T00:00:00Z"', 422, "invalid-body"),
        ('"lat": 60.17, "lon": 24, "observed_at": "2026-03-01T12:00:00"', 422, "invalid-body"),
    ],
)
async def test_what_no_device_can_mean_is_refused_where_it_stands(house, frames, place, status, code):
    answer = await house.caller().post("/v1/acme/fixes", content=fixes_json(place))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert frames.frames == []


@pytest.mark.parametrize("place", ['"lat": 1e300, "lon": -1e300', '"lat": 0, "lon": 0', '"lat": -0.0, "lon": 181'])
async def test_what_a_broken_device_means_is_taken_and_judged_by_the_stream(house, frames, place):
    answer = await house.caller().post("/v1/acme/fixes", content=fixes_json(place))
    assert (answer.status_code, answer.json()["unbound"]) == (202, 1)


async def test_of_a_body_of_100_megabytes_nothing_beyond_the_bound_is_read(house):
    read = 0

    async def chunks():
        nonlocal read
        for _ in range(1_600):
            read += 65_536
            yield b" " * 65_536

    for path in ("fixes", "fixes/frames", "fixes/osmand", "fixes/traccar"):
        read = 0
        answer = await house.caller().post(f"/v1/acme/{path}", content=chunks())
        assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
        assert read <= house.door.limits.fixes_body_bytes + 2 * 65_536
        announced = {"content-length": "100000000"}
        assert (await house.caller().post(f"/v1/acme/{path}", headers=announced)).status_code == 413


# Right after a shift began or a device was bound


async def off_duty_then_on(house: House) -> tuple[str, str]:
    """A rider whose shift and device are acknowledged, but not followed yet, and the last answer's position."""
    shop, dispatcher = house.caller(), house.caller("dispatcher", "dora")
    made = await shop.post("/v1/acme/riders", json={"name": "ann", "external_reference": "ann"})
    path = f"/v1/acme/riders/{made.json()['id']}"
    ends_at = (NOON + timedelta(hours=8)).isoformat()
    await dispatcher.post(f"{path}/approve-rider", json={}, headers=key("approve"))
    await dispatcher.post(f"{path}/start-shift", json={"ends_at": ends_at}, headers=key("shift"))
    bound = await dispatcher.post(f"{path}/bind-device", json={"device_id": "phone"}, headers=key("bind"))
    return made.json()["id"], bound.headers["logistics-consistency"]


async def test_a_fix_waits_for_what_this_gateway_acknowledged(house, frames):
    rider, _ = await off_duty_then_on(house)
    sent = asyncio.create_task(house.caller("rider", rider).post("/v1/acme/fixes", json=body(1)))
    while not sent.done() and not house.bindings.waiting:  # noqa: ASYNC110 - nobody is told that somebody waits
        await asyncio.sleep(0)
    assert not sent.done(), "it is not judged by bindings that are behind"
    learn(house)
    answer = (await sent).json()
    assert (answer["accepted"], answer["off_duty"], answer["unbound"]) == (1, 0, 0)


async def test_a_fix_waits_for_what_another_gateway_acknowledged(house, frames):
    rider, told = await off_duty_then_on(house)
    house.bindings.acknowledged.clear()
    phone, header = house.caller("rider", rider), {"logistics-consistency": told}
    late = await phone.post("/v1/acme/fixes", json=body(1), headers=header | {"prefer": "wait=0"})
    assert (late.status_code, late.json()["code"]) == (503, "projection-lagging")
    assert late.json()["values"] == {"model": "bindings", "lag_records": 4}
    assert not frames.frames
    learn(house)
    answer = await phone.post("/v1/acme/fixes", json=body(1), headers=header)
    assert answer.json()["accepted"] == 1


async def test_a_consistency_that_is_none_is_told(house):
    answer = await house.caller().post("/v1/acme/fixes", json=body(1), headers={"logistics-consistency": "?"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-header")


async def test_no_more_batches_wait_than_the_bound():
    house = House(Limits(waiters=0))
    await house.settle()
    await off_duty_then_on(house)
    answer = await house.caller().post("/v1/acme/fixes", json=body(1))
    assert (answer.status_code, answer.json()["code"]) == (503, "too-many-waiters")
    await house.close()


# Who held a device


def source(at: datetime, rider: str = "ann") -> Source:
    return Source(
        event_id=fresh_name("e"),
        tenant=TenantSlug("acme"),
        outlet=None,
        aggregate_id=rider,
        version=1,
        event_time=at,
        recorded_at=at,
        actor="dora",
        command_id="c",
        correlation_id="c",
        topic="logistics.fleet",
        partition=0,
        offset=0,
    )


def test_a_late_fix_belongs_to_whoever_held_the_device_then():
    known = Bindings()
    phone = DeviceId("phone")
    later = NOON + timedelta(hours=1)
    known.take(DeviceBound(device_id=phone, valid_from=NOON), source(NOON, "ann"))
    known.take(DeviceUnbound(device_id=phone, valid_until=later), source(later, "ann"))
    known.take(DeviceBound(device_id=phone, valid_from=later), source(later, "bob"))
    assert known.holder("acme", "phone", NOON - timedelta(seconds=1)) is None
    assert known.holder("acme", "phone", NOON) == "ann"
    assert known.holder("acme", "phone", later) == "bob"
    assert known.holder("other", "phone", later) is None


def test_who_was_given_a_device_last_has_it():
    known = Bindings()
    phone = DeviceId("phone")
    later = NOON + timedelta(hours=1)
    known.take(DeviceBound(device_id=phone, valid_from=NOON), source(NOON, "ann"))
    known.take(DeviceBound(device_id=phone, valid_from=later), source(later, "bob"))
    assert known.holder("acme", "phone", later) == "bob"
    assert known.holder("acme", "phone", NOON) == "ann"


def test_no_rider_takes_anothers_device_but_who_dispatches_gives_it_to_them():
    phone, later = DeviceId("phone"), NOON + timedelta(hours=1)
    own = msgspec.structs.replace(source(later, "bob"), actor="bob")
    for order in (0, 1):
        known = Bindings()
        bound = [(DeviceBound(device_id=phone, valid_from=NOON), source(NOON, "ann"))]
        bound.insert(order, (DeviceBound(device_id=phone, valid_from=later), own))
        for event, told_by in bound:
            known.take(event, told_by)
        assert known.holder("acme", "phone", later) == "ann", "in whatever order they are heard of"
        given = later + timedelta(minutes=1)
        known.take(DeviceBound(device_id=phone, valid_from=given), source(given, "bob"))
        assert known.holder("acme", "phone", given) == "bob"


async def test_a_rider_who_binds_anothers_device_is_told_so(house):
    await a_rider(house)
    bob = (await house.caller().post("/v1/acme/riders", json={"name": "bob", "external_reference": "bob"})).json()["id"]
    house.now += timedelta(hours=1)

    async def binds(role: Any, subject: str, **more: str) -> httpx.Response:
        wanted = {"device_id": "phone"} | more
        return await house.caller(role, subject).post(
            f"/v1/acme/riders/{bob}/bind-device", json=wanted, headers=key(f"{role}-{len(more)}")
        )

    refused = await binds("rider", bob)
    assert (refused.status_code, refused.json()["code"]) == (409, "device-taken")
    assert refused.json()["errors"][0]["pointer"] == "/device_id"
    before = await binds("rider", bob, valid_from=(NOON - timedelta(hours=1)).isoformat())
    assert before.status_code == 200, "nobody had it then"
    assert (await binds("dispatcher", "dora")).status_code == 200


def test_what_is_long_past_is_forgotten_and_never_more_than_the_bound():
    known = Bindings()
    phone = DeviceId("phone")
    for number in range(MOST_KEPT + 10):
        start = NOON + timedelta(minutes=number)
        known.take(DeviceBound(device_id=phone, valid_from=start), source(start, f"r{number}"))
        known.take(
            DeviceUnbound(device_id=phone, valid_until=start + timedelta(seconds=30)), source(start, f"r{number}")
        )
    assert known.holder("acme", "phone", NOON) is None
    assert known.holder("acme", "phone", NOON + timedelta(minutes=20)) == "r20"
    much_later = NOON + KEPT_FOR + timedelta(days=1)
    known.take(DeviceBound(device_id=phone, valid_from=much_later), source(much_later, "zoe"))
    assert known.holder("acme", "phone", NOON + timedelta(minutes=20)) is None
