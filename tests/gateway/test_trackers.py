"""Fixes as trackers send them: what each message says of a device, and what the tracker is answered."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from reception import House, MemoryFrames, key
from story import NOON

from gateway.door import Limits
from gateway.osmand import HDOP_M, KNOT_MPS, moment, parameters_in, told_by, told_in
from gateway.problems import Problem
from gateway.traccar import forwarded
from schemas.fixes import FixFrame, NewFix, fixes_of

OSMAND = "/v1/acme/fixes/osmand"
SAMPLES = Path(os.environ.get("LOGISTICS_SAMPLE_DATA", "")) / "wire" / "gps_device_messages.jsonl"


WORDS = (
    *("id", "deviceid", "lat", "lon", "location", "timestamp", "speed", "speed_mps", "bearing", "accuracy", "hdop"),
    *("batt", "valid", "device_id", "coords", "latitude", "longitude", "heading", "battery", "level", "mock"),
    *("position", "device", "uniqueId", "fixTime", "deviceTime", "course", "attributes", "batteryLevel", "outdated"),
)


@pytest.fixture
def frames() -> MemoryFrames:
    return MemoryFrames()


@pytest.fixture
async def house(frames: MemoryFrames) -> AsyncIterator[House]:
    made = House(frames=frames)
    await made.settle()
    made.desk.heard = made.follow
    yield made
    await made.close()


async def a_rider(house: House, device: str = "48241179") -> str:
    """On shift since noon with the device."""
    dora = house.caller("dispatcher", "dora")
    made = await dora.post("/v1/acme/riders", json={"name": "ann", "external_reference": "ann"})
    path = f"/v1/acme/riders/{made.json()['id']}"
    ends_at = (NOON + timedelta(hours=8)).isoformat()
    for word, body in (
        ("approve-rider", {}),
        ("start-shift", {"ends_at": ends_at}),
        ("bind-device", {"device_id": device}),
    ):
        answer = await dora.post(f"{path}/{word}", json=body, headers=key(word))
        assert answer.status_code == 200, answer.text
    return str(made.json()["id"])


async def link_of(house: House, device: str = "48241179", **more: Any) -> str:
    answer = await house.caller().post(f"/v1/acme/devices/{device}/links", json=more)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"])


def told(frames: MemoryFrames) -> list[tuple[str, str, float, float]]:
    """Device, rider, latitude and longitude of each fix on the log."""
    return [row for _, frame in frames.frames for row in rows(frame)]


def rows(frame: FixFrame) -> Iterator[tuple[str, str, float, float]]:
    fixes = fixes_of(frame)
    for device, lat, lon in zip(fixes.device.tolist(), fixes.lat.tolist(), fixes.lon.tolist(), strict=True):
        yield frame.devices[device], frame.riders[device], lat / 1e6, lon / 1e6


def of_query(query: str) -> tuple[str, NewFix | None]:
    return told_by(parameters_in(query), NOON)


def phone(**coords: Any) -> dict[str, Any]:
    """Traccar Client's message."""
    at = (NOON + timedelta(minutes=1)).isoformat()
    place = {"latitude": 60.17, "longitude": 24.94, "accuracy": 5, "speed": -1, "heading": -1, "altitude": 0} | coords
    location = {"timestamp": at, "coords": place, "battery": {"level": 0.79, "is_charging": False}, "extras": {}}
    return {"location": location, "device_id": "48241179"}


# What a message says


@pytest.mark.parametrize(
    ("word", "at"),
    [
        ("1377177267", datetime(2013, 8, 22, 13, 14, 27, tzinfo=UTC)),
        ("1442068686579", datetime(2015, 9, 12, 14, 38, 6, 579_000, tzinfo=UTC)),
        ("2016-01-27T18:55:47Z", datetime(2016, 1, 27, 18, 55, 47, tzinfo=UTC)),
        ("2016-01-27T20:55:47.5+02:00", datetime(2016, 1, 27, 18, 55, 47, 500_000, tzinfo=UTC)),
        ("2014-06-04 09:10:11", datetime(2014, 6, 4, 9, 10, 11, tzinfo=UTC)),
    ],
)
def test_a_time_may_be_written_in_five_ways(word: str, at: datetime):
    assert moment(word) == at


@pytest.mark.parametrize("word", ["", "noon", "99999999999999", "-99999999999", "2014-13-04 09:10:11", "NaN", "1e9"])
def test_what_is_no_time_of_these_centuries_is_none(word: str):
    with pytest.raises(ValueError, match="must be Unix seconds"):
        moment(word)


def test_a_query_tells_where_and_how_fast_in_the_trackers_own_units():
    device, fix = of_query("id=902064&lat=42.06288&lon=-88.23412&speed=10&heading=90&accuracy=7&hdop=6.0&batt=87")
    assert device == "902064"
    assert fix == NewFix(
        observed_at=NOON,
        lat=42.06288,
        lon=-88.23412,
        speed_mps=10 * KNOT_MPS,
        bearing_deg=90,
        accuracy_m=7,
        battery_pct=87,
    )


@pytest.mark.parametrize(
    ("query", "known"),
    [
        ("speed_mps=5&speed=99", {"speed_mps": 5}),
        ("hdop=1.5", {"accuracy_m": 1.5 * HDOP_M}),
        ("hdop=0.0&speed=-1&bearing=-1&batt=-1&accuracy=-1", {}),
        ("bearing=400&batt=900&accuracy=NaN&speed=inf", {}),
        ("bearing=&batt=&speed=", {}),
        ("rpm=933&ignition=true&fuel=24&cell=257,02,16,2224&cell=257,02,16,2223,-90", {}),
    ],
)
def test_what_was_not_measured_is_not_known(query: str, known: dict[str, float]):
    _, fix = of_query(f"deviceid=1&location=60.0,30.0&{query}")
    assert fix == NewFix(observed_at=NOON, lat=60, lon=30, **known)


@pytest.mark.parametrize("query", ["cell=257,02,16,2224&wifi=00-14-22-01-23-45,-80", "lat=60&lon=30&valid=false"])
def test_a_tracker_may_live_and_not_know_where_it_is(query: str):
    assert of_query(f"id=123456&timestamp=1377177267&{query}") == ("123456", None)


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("timestamp=1377177267&lat=60.0&lon=30.0", {"id"}),
        ("id=one two&lat=60&lon=30", {"id"}),
        ("id=1&lat=60", {"lon"}),
        ("id=1&lat=NaN&lon=inf", {"lat", "lon"}),
        ("id=1&location=60", {"location"}),
        ("id=1&location=60,north", {"location"}),
        ("id=1&lat=60&lon=30&timestamp=noon&speed=fast&hdop=x", {"timestamp", "speed", "hdop"}),
    ],
)
def test_nonsense_is_told_all_at_once(query: str, wrong: set[str]):
    with pytest.raises(Problem) as problem:
        of_query(query)
    assert problem.value.code == "invalid-parameter"
    assert {error.pointer for error in problem.value.errors} >= wrong


def test_a_phones_json_tells_metres_a_second_and_a_battery_from_0_to_1():
    device, fix = told_in(json.dumps(phone(speed=18.67, heading=63)).encode(), NOON)
    assert device == "48241179"
    assert fix == NewFix(
        observed_at=NOON + timedelta(minutes=1),
        lat=60.17,
        lon=24.94,
        accuracy_m=5,
        speed_mps=18.67,
        bearing_deg=63,
        battery_pct=79,
    )


def test_a_phone_says_itself_where_its_place_is_made_up():
    message = phone()
    message["location"]["mock"] = True
    _, fix = told_in(json.dumps(message).encode(), NOON)
    assert fix is not None
    assert fix.mock


@pytest.mark.skipif(not SAMPLES.is_file(), reason="LOGISTICS_SAMPLE_DATA names no folder with wire/")
def test_messages_that_real_trackers_sent_are_read():
    for line in SAMPLES.read_text().splitlines():
        case = json.loads(line)
        if case["form"] == "http_post":
            _, fix = told_in(case["message"].encode(), NOON)
        elif case["expect"] == "Null":
            with pytest.raises(Problem):
                of_query(case["message"].partition("?")[2])
            continue
        else:
            _, fix = of_query(case["message"].partition("?")[2])
        assert (fix is not None) == (case["expect"] != "NotNull"), case["message"]
        if fix is not None and case["form"] == "http_get":
            said = dict(parse_qsl(case["message"].partition("?")[2]))
            lat, lon = said["location"].split(",") if "location" in said else (said["lat"], said["lon"])
            assert (fix.lat, fix.lon) == (float(lat), float(lon))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=20,
)


@given(st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_whatever_json_is_sent_is_read_or_told(body: bytes):
    for read in (told_in, forwarded):
        with suppress(Problem):
            read(body, NOON)


@given(st.dictionaries(st.sampled_from(WORDS), st.text(max_size=20) | st.floats().map(str), max_size=8))
def test_whatever_query_is_sent_is_read_or_told(given: dict[str, str]):
    with suppress(Problem):
        of_query(urlencode(given))
    with suppress(Problem):
        of_query("&".join(f"{name}={value}" for name, value in given.items()))


# At the door


@pytest.mark.parametrize("how", ["query", "form", "json"])
async def test_a_tracker_with_its_link_is_answered_by_nothing_and_its_fix_goes_by_the_rider(house, frames, how):
    rider = await a_rider(house)
    url, tracker = await link_of(house), house.client()
    place = {"id": "48241179", "lat": "60.17", "lon": "24.94", "timestamp": str(int(NOON.timestamp()) + 60)}
    answer = await {
        "query": lambda: tracker.get(f"{url}&{urlencode(place)}"),
        "form": lambda: tracker.post(url, data=place),
        "json": lambda: tracker.post(url, json=phone()),
    }[how]()
    assert (answer.status_code, answer.content) == (200, b"")
    assert told(frames) == [("48241179", rider, 60.17, 24.94)]


async def test_a_post_may_have_its_parameters_in_the_query(house, frames):
    await house.client().post(f"{await link_of(house)}&id=48241179&lat=60.17&lon=24.94")
    assert told(frames) == [("48241179", "", 60.17, 24.94)]


async def test_who_can_send_a_token_sends_any_devices_places(house, frames):
    rider = await a_rider(house)
    answer = await house.caller().get(f"{OSMAND}?id=48241179&lat=60&lon=24")
    assert answer.status_code == 200
    answer = await house.caller("rider", "somebody-else").get(f"{OSMAND}?id=48241179&lat=61&lon=24")
    assert answer.status_code == 200
    assert told(frames) == [("48241179", rider, 60, 24), ("48241179", "", 61, 24)], "nobody speaks for another"


async def test_a_message_without_a_place_is_taken_and_tells_nothing(house, frames):
    answer = await house.client().get(f"{await link_of(house)}&id=48241179&cell=257,02,16,2224")
    assert (answer.status_code, frames.frames) == (200, [])


async def test_whoever_only_looks_changes_nothing(house, frames):
    answer = await house.client().head(f"{await link_of(house)}&id=48241179&lat=60&lon=24")
    assert (answer.status_code, frames.frames) == (200, [])


@pytest.mark.parametrize(
    ("send", "status", "code"),
    [
        (lambda tracker, url: tracker.get(f"{url}&lat=60&lon=24"), 400, "invalid-parameter"),
        (lambda tracker, url: tracker.get(f"{url}&id=48241179&lat=NaN&lon=24"), 400, "invalid-parameter"),
        (lambda tracker, url: tracker.get(url + "&x=1" * 201), 400, "invalid-parameter"),
        (lambda tracker, url: tracker.post(url, content=b"\xff\x00"), 400, "invalid-parameter"),
        (lambda tracker, url: posted(tracker, url, b'{"location": {'), 400, "malformed-json"),
        (lambda tracker, url: posted(tracker, url, b'{"device_id": "48241179"}'), 422, "invalid-body"),
        (lambda tracker, url: posted(tracker, url, json.dumps(phone() | {"device_id": "?"})), 422, "invalid-body"),
        (lambda tracker, url: posted(tracker, url, json.dumps(at("noon"))), 422, "invalid-body"),
        (lambda tracker, url: tracker.post(url, content=b"x" * 70_000), 413, "body-too-large"),
        (lambda tracker, url: tracker.get(f"{url}&id=another&lat=60&lon=24"), 403, "link-invalid"),
        (lambda tracker, url: tracker.get(f"{OSMAND}?id=1&lat=60&lon=24&token=made-up"), 403, "link-invalid"),
        (lambda tracker, url: tracker.get(f"{OSMAND}?id=1&lat=60&lon=24"), 401, "token-missing"),
        (lambda tracker, url: tracker.get(url.replace("acme", "other")), 403, "link-invalid"),
        (lambda tracker, url: tracker.delete(url), 405, "method-not-allowed"),
    ],
)
async def test_nonsense_is_answered_by_a_problem(house, frames, send, status, code):
    answer = await send(house.client(), await link_of(house))
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert frames.frames == []


async def posted(tracker: httpx.AsyncClient, url: str, body: bytes | str) -> httpx.Response:
    return await tracker.post(url, content=body, headers={"content-type": "application/json"})


def at(time: str) -> dict[str, Any]:
    message = phone()
    message["location"]["timestamp"] = time
    return message


async def test_a_link_ends_by_itself(house, monkeypatch: pytest.MonkeyPatch):
    url = await link_of(house, expires_in_s=60)
    assert (await house.client().get(f"{url}&id=48241179&lat=60&lon=24")).status_code == 200
    monkeypatch.setattr("gateway.device_links.time", lambda: 2**40)
    answer = await house.client().get(f"{url}&id=48241179&lat=60&lon=24")
    assert (answer.status_code, answer.json()["detail"]) == (403, "the link has expired")


@pytest.mark.parametrize("role", ["analyst", "auditor"])
async def test_who_sends_no_fixes_gets_no_link(house, role):
    answer = await house.caller(role).post("/v1/acme/devices/48241179/links", json={})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_riders_link_is_worth_what_the_rider_is(house, frames):
    await a_rider(house)
    bob = house.caller("rider", "bob")
    url = (await bob.post("/v1/acme/devices/48241179/links")).json()["url"]
    await house.client().get(f"{url}&id=48241179&lat=60&lon=24")
    assert told(frames) == [("48241179", "", 60, 24)], "the device is not bob's"


async def test_no_log_line_has_a_links_word_or_a_place(house):
    with structlog.testing.capture_logs() as lines:
        url = await link_of(house)
        await house.client().get(f"{url}&id=48241179&lat=60.123456&lon=24.654321")
        await house.client().get(f"{url}&lat=60.123456")
        await house.client().get(f"{url[:-4]}&id=48241179&lat=60.123456&lon=24.654321")
    assert [line["status"] for line in lines if line["event"] == "request"] == [201, 200, 400, 403]
    assert not any(word in str(lines) for word in (url.partition("token=")[2], "60.123456", "24.654321"))


async def test_a_tracker_may_not_come_too_often():
    house = House(Limits(rate_per_s=0.001, burst=3), frames=MemoryFrames())
    house.desk.heard = house.follow
    await house.settle()
    url = await link_of(house)
    answers = [await house.client().get(f"{url}&id=48241179&lat=60&lon=24") for _ in range(3)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    await house.close()


# What a Traccar server forwards


def position(unique_id: str = "48241179", **more: Any) -> dict[str, Any]:
    """As Traccar writes it, with what nobody here asks for."""
    at = (NOON + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S.000+00:00")
    told = {
        "id": 18336,
        "protocol": "teltonika",
        "deviceId": 7,
        "serverTime": at,
        "deviceTime": at,
        "fixTime": at,
        "valid": True,
        "latitude": 60.17,
        "longitude": 24.94,
        "altitude": 12.0,
        "speed": 10.0,
        "course": 271.0,
        "accuracy": 0.0,
        "address": None,
        "attributes": {"batteryLevel": 87, "ignition": True, "distance": 1.5},
    }
    return {"position": told | more, "device": {"id": 7, "uniqueId": unique_id, "name": "Van", "status": "online"}}


def told_of(message: dict[str, Any]) -> tuple[str, NewFix | None]:
    return forwarded(json.dumps(message).encode(), NOON)


def test_a_forwarded_position_is_in_knots_and_of_the_devices_own_id():
    assert told_of(position()) == (
        "48241179",
        NewFix(
            observed_at=NOON + timedelta(minutes=1),
            lat=60.17,
            lon=24.94,
            speed_mps=10 * KNOT_MPS,
            bearing_deg=271,
            battery_pct=87,
        ),
    )


@pytest.mark.parametrize("word", ["2026-03-01T11:59:00.000+0000", int(NOON.timestamp() - 60) * 1000])
def test_of_a_position_the_time_of_the_fix_counts_however_it_is_written(word: str | int):
    _, fix = told_of(position(fixTime=word))
    assert fix is not None
    assert fix.observed_at == NOON - timedelta(minutes=1)
    _, fix = told_of(position(fixTime=None, deviceTime=word))
    assert fix is not None
    assert fix.observed_at == NOON - timedelta(minutes=1)


@pytest.mark.parametrize("more", [{"valid": False}, {"outdated": True}])
def test_a_position_that_the_device_does_not_know_is_none(more: dict[str, Any]):
    """Traccar repeats the last one then."""
    assert told_of(position(**more)) == ("48241179", None)


async def test_what_is_forwarded_goes_by_the_rider_who_has_the_device(house, frames):
    rider = await a_rider(house)
    answer = await house.caller().post("/v1/acme/fixes/traccar", json=position(accuracy=8.0, attributes={}))
    assert (answer.status_code, answer.content) == (200, b"")
    assert told(frames) == [("48241179", rider, 60.17, 24.94)]


@pytest.mark.parametrize(
    ("message", "pointer"),
    [
        ({}, "/position"),
        (position() | {"device": {}}, "/device/uniqueId"),
        (position("two words"), "/device/uniqueId"),
        (position(latitude="north"), "/position/latitude"),
        (position(fixTime="noon"), "/position/fixTime"),
    ],
)
async def test_what_is_no_forwarded_position_is_told_with_its_place(house, frames, message, pointer):
    answer = await house.caller().post("/v1/acme/fixes/traccar", json=message)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-body")
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert frames.frames == []


async def test_a_server_comes_in_by_its_token_alone(house):
    url = (await link_of(house)).replace("osmand", "traccar")
    assert (await house.client().post(url, json=position())).status_code == 401
