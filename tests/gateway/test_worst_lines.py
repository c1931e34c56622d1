"""The worst that is sent as fixes: each is refused or put aside clearly, and whoever is honest is served in between."""

import asyncio
import gzip
import json
import tracemalloc
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from logged import logged
from reception import House, Json, MemoryFrames, key
from story import NOON

from gateway.door import Limits
from infra.role_gateway import bind
from schemas.fix_rules import FixRules
from schemas.fixes import fixes_of
from schemas.topics import FLEET
from streams.telemetry.fence_index import FenceIndex
from streams.telemetry.partition import Partition

MEGABYTE = 1 << 20


class Door:
    """Behind it Ann and her honest phone, which tells where it is whenever it is asked to."""

    def __init__(self, house: House, frames: MemoryFrames, rider: str) -> None:
        self.house, self.frames, self.rider = house, frames, rider
        self._minute = 0

    async def honest(self) -> None:
        self._minute += 1
        at = NOON + timedelta(minutes=self._minute)
        sent = {"device_id": "phone", "fixes": [{"observed_at": at.isoformat(), "lat": 60.17, "lon": 24.94}]}
        answer = await self.house.caller("rider", self.rider).post("/v1/acme/fixes", json=sent)
        assert (answer.status_code, answer.json()["accepted"]) == (202, 1)

    def aside(self) -> list[str]:
        """Why the stream puts aside what has come in so far; the honest phone's never."""
        partition = Partition(0, lambda tenant: FenceIndex([]), lambda *_: FixRules())
        records = [logged(frame, offset) for offset, (_, frame) in enumerate(self.frames.frames)]
        found = partition.fold(records)
        assert found.unread == []
        assert "phone" not in [row.device_id for row in found.aside]
        return [row.reason for row in found.aside]


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    frames = MemoryFrames()
    house = House(Limits(device_fixes_burst=1_000, device_fixes_per_s=1), frames=frames)
    await house.settle()
    dora = house.caller("dispatcher", "dora")
    made = await dora.post("/v1/acme/riders", json={"name": "Ann", "external_reference": "ann"})
    rider, path = made.json()["id"], f"/v1/acme/riders/{made.json()['id']}"
    await dora.post(f"{path}/approve-rider", headers=key("a"))
    ends_at = (NOON + timedelta(hours=8)).isoformat()
    await dora.post(f"{path}/start-shift", json={"ends_at": ends_at}, headers=key("s"))
    for device in ("phone", "broken"):
        await dora.post(f"{path}/bind-device", json={"device_id": device}, headers=key(device))
    for stored in house.desk.log:
        if stored.topic == FLEET.name:
            bind(house.bindings, stored)
    house.now = NOON + timedelta(hours=4)
    yield Door(house, frames, rider)
    await house.close()


def fixes(*told: str, device: str = '"broken"') -> bytes:
    return f'{{"device_id": {device}, "fixes": [{", ".join(f"{{{each}}}" for each in told)}]}}'.encode()


def at(word: str, lat: str = "60.17", lon: str = "24.94", more: str = "") -> str:
    return f'"observed_at": {word}, "lat": {lat}, "lon": {lon}{more}'


NOW = '"2026-03-01T12:30:00Z"'
HERE = at(NOW)
NESTED = b"[" * 100_000 + b"]" * 100_000

REFUSED: dict[str, tuple[bytes, int, str, str | None]] = {
    "nothing at all": (b"", 422, "invalid-body", "/device_id"),
    "no JSON": (b"observed_at,lat,lon", 400, "malformed-json", None),
    "not a number": (fixes(at(NOW, lat="NaN")), 400, "malformed-json", None),
    "infinity": (fixes(at(NOW, lon="-Infinity")), 400, "malformed-json", None),
    "a string for a number": (fixes(at(NOW, lat='"60.17"')), 422, "invalid-body", "/fixes/0/lat"),
    "a list for a number": (fixes(at(NOW, lon="[24.94]")), 422, "invalid-body", "/fixes/0/lon"),
    "an exponent that no number has": (fixes(at(NOW, lat="1e400")), 422, "invalid-body", None),
    "ten thousand digits": (fixes(at(NOW, lat="1" * 10_000)), 422, "invalid-body", None),
    "nested a hundred thousand deep": (NESTED, 400, "malformed-json", None),
    "nested deep within a fix": (
        fixes(at(NOW, more=', "x": ' + "[" * 50_000 + "]" * 50_000)),
        400,
        "malformed-json",
        None,
    ),
    "501 fixes": (fixes(*[HERE] * 501), 422, "invalid-body", "/fixes"),
    "no fix": (fixes(), 422, "invalid-body", "/fixes"),
    "a device of 10 kB": (fixes(HERE, device=f'"{"d" * 10_000}"'), 422, "invalid-body", "/device_id"),
    "a device with the null character": (fixes(HERE, device='"a\\u0000b"'), 422, "invalid-body", "/device_id"),
    "a device that is written backwards": (fixes(HERE, device='"a\\u202eb"'), 422, "invalid-body", "/device_id"),
    "a device of half a character": (fixes(HERE, device='"\\ud800"'), 400, "malformed-json", None),
    "a device that looks like another": (fixes(HERE, device='"рhone"'), 422, "invalid-body", "/device_id"),  # noqa: RUF001
    "bytes that are no text": (fixes(HERE).replace(b"broken", b"\xff\xfe"), 400, "malformed-json", None),
    "a time before all time": (fixes(at("-62135596800")), 422, "invalid-body", "/fixes/0/observed_at"),
    "a time in seconds": (fixes(at("1772366400")), 422, "invalid-body", "/fixes/0/observed_at"),
    "a leap second": (fixes(at('"2016-12-31T23:59:60Z"')), 422, "invalid-body", "/fixes/0/observed_at"),
    "a day that is none": (fixes(at('"2026-02-30T12:00:00Z"')), 422, "invalid-body", "/fixes/0/observed_at"),
    "the year 9999": (fixes(at('"9999-12-31T23:59:59Z"')), 422, "invalid-body", "/fixes/0/observed_at"),
    "the year 1": (fixes(at('"0001-01-01T00:00:00Z"')), 422, "invalid-body", "/fixes/0/observed_at"),
    "a name that nobody knows": (fixes(at(NOW, more=', "__proto__": {}')), 422, "invalid-body", "/fixes/0/__proto__"),
    "a mock that is no word": (fixes(at(NOW, more=', "mock": "no"')), 422, "invalid-body", "/fixes/0/mock"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_no_fix_is_refused_where_it_stands(door: Door, what: str):
    content, status, code, pointer = REFUSED[what]
    await door.honest()
    answer = await door.house.caller().post("/v1/acme/fixes", content=content)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text[:500]
    assert pointer in [None, *(error["pointer"] for error in answer.json().get("errors", []))]
    assert len(answer.content) < 20_000, "whoever sends much is not answered by as much"
    await door.honest()
    assert door.aside() == []


ASIDE = {
    "all zeros": (at(NOW, "0", "0"), "zero"),
    "zeros that are negative": (at(NOW, "-0.0", "-0.0"), "zero"),
    "just beyond the pole": (at(NOW, "90.000001"), "invalid"),
    "just beyond the antimeridian": (at(NOW, lon="-180.000001"), "invalid"),
    "a number as large as there is": (at(NOW, "1.7e308", "-1.7e308"), "invalid"),
    "years ahead": (at('"2031-01-01T00:00:00Z"'), "future"),
    "years behind": (at('"2016-12-31T23:59:59Z"'), "unbound"),
    "before computers had a clock": (at('"1969-12-31T23:59:59Z"'), "unbound"),
    "as sure as a county": (at(NOW, more=', "accuracy_m": 1e9'), "inaccurate"),
    "made up": (at(NOW, more=', "mock": true'), "suspected_spoof"),
}


@pytest.mark.parametrize("what", ASIDE)
async def test_what_a_broken_device_means_is_taken_and_put_aside(door: Door, what: str):
    told, reason = ASIDE[what]
    await door.honest()
    answer = await door.house.caller().post("/v1/acme/fixes", content=fixes(told))
    assert answer.status_code == 202, answer.text
    await door.honest()
    assert door.aside() == [reason]


BELIEVED = {
    "the pole": at(NOW, "90.0"),
    "the pole, and less than a decimetre more": at(NOW, "90.00000001"),
    "180 degrees east": at(NOW, lon="180"),
    "180 degrees west": at(NOW, lon="-180.0"),
    "faster than a frame can say": at(NOW, more=', "speed_mps": 1e12'),
    "twice the same name": at(NOW, "91.0") + ', "lat": 60.17',
}


@pytest.mark.parametrize("what", BELIEVED)
async def test_what_is_just_within_is_believed_and_of_a_name_that_is_there_twice_the_last_counts(door: Door, what: str):
    answer = await door.house.caller().post("/v1/acme/fixes", content=fixes(BELIEVED[what]))
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    assert door.aside() == []


async def test_a_flood_of_one_device_keeps_nobody_waiting(door: Door):
    flood = fixes(*[HERE] * 500)
    statuses = []
    for _ in range(20):
        answer = await door.house.caller().post("/v1/acme/fixes", content=flood)
        statuses.append(answer.status_code)
        await door.honest()
    assert statuses[:2] == [202, 202]
    assert set(statuses[2:]) == {429}
    assert answer.json()["values"]["device_id"] == "broken"
    assert int(answer.headers["retry-after"]) > 0
    assert door.aside() == ["duplicate"] * 999


async def test_a_hundred_megabytes_are_refused_before_they_are_read(door: Door):
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100 * MEGABYTE >> 16):
            yield b" " * 65_536

    tracemalloc.start()
    answer = await door.house.caller().post("/v1/acme/fixes", content=chunks())
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    assert most_bytes < 4 * MEGABYTE
    await door.honest()


@pytest.mark.parametrize("packing", ["gzip", "br", "deflate, gzip", "nonsense"])
async def test_what_is_packed_is_not_unpacked(door: Door, packing: str):
    """A kilobyte may be a hundred megabytes."""
    bomb = gzip.compress(b" " * 100 * MEGABYTE)
    for path in ("fixes", "fixes/frames", "fixes/osmand", "fixes/traccar", "tasks"):
        headers = {"content-encoding": packing, "content-type": "application/json", **key("k")}
        answer = await door.house.caller().post(f"/v1/acme/{path}", content=bomb, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type"), path
        assert answer.headers["accept-encoding"] == "identity"
    plain = await door.house.caller().post(
        "/v1/acme/fixes", content=fixes(HERE), headers={"content-encoding": "identity"}
    )
    assert plain.status_code == 202


def columns(count: int, entries: int, **more: Any) -> Json:
    sizes = {"device": 4, "offset_ms": 2, "lat": 4, "lon": 4}
    packed = {name: b64encode(bytes(entries * size)).decode() for name, size in sizes.items()}
    return {"count": count, "base_time": NOON.isoformat(), "devices": ["broken"]} | packed | more


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        (columns(500, 3), "/lat"),
        (columns(0, 0), "/count"),
        (columns(501, 501), "/count"),
        (columns(-1, 1), "/count"),
        (columns(1, 1, device=b64encode(b"\xff\xff\xff\xff").decode()), "/device"),
        (columns(1, 1, offset_ms=b64encode(b"\xff\xff\xff\xff").decode()), "/offset_ms"),
        (columns(1, 1, offset_ms=70_000), "/offset_ms"),
        (columns(1, 1, lat="not Base64!"), "/lat"),
        (columns(1, 1, devices=["d" * 10_000]), "/devices/0"),
        (columns(1, 1, devices=["broken"] * 501), "/devices"),
        (columns(1, 1, base_time="2999-01-01T00:00:00Z"), "/base_time"),
        (columns(1, 1, layout=2), "/layout"),
        (columns(1, 1, riders=["somebody"]), "/riders"),
    ],
)
async def test_a_frame_whose_columns_lie_is_refused_where_they_do(door: Door, sent: Json, pointer: str):
    await door.honest()
    answer = await door.house.caller().post("/v1/acme/fixes/frames", json=sent)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-body"), answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    await door.honest()
    assert door.aside() == []


async def test_many_bad_ones_at_once_keep_no_honest_one_away(door: Door):
    async def bad(content: bytes) -> int:
        return (await door.house.caller().post("/v1/acme/fixes", content=content)).status_code

    refused = asyncio.gather(*(bad(content) for content, *_ in REFUSED.values()))
    for _ in range(5):
        await door.honest()
    assert set(await refused) == {400, 422}
    assert [fixes_of(frame).frame.count for _, frame in door.frames.frames] == [1] * 5
    assert json.loads(fixes(HERE))["device_id"] == "broken"
