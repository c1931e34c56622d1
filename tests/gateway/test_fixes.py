"""Fixes through the door: whose they are, what is dropped, what an answer means."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from fresh import fresh_name
from reception import House, MemoryFrames, key
from story import NOON
from world import PARTITIONS, World, now

from commands.order import Unavailable
from gateway.bindings import KEPT_FOR, MOST_KEPT, Bindings
from gateway.door import Limits
from infra.frame_log import KafkaFrameLog
from schemas.fixes import MAX_BATCH, FixFrame, HeldFix, NewFix, fixes_of, frames_of
from schemas.message import DeviceId, Source, TenantSlug
from schemas.position import vector
from schemas.record import envelope_of, event_of, stored_of
from schemas.rider import DeviceBound, DeviceUnbound
from schemas.topics import FIXES


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
    assert (answer.json()["accepted"], answer.json()["unbound"]) == (0, 1)


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


async def test_accepted_frames_stand_on_the_log_where_the_answer_says(world: World):
    log = KafkaFrameLog({"bootstrap_servers": world.kafka}, world.cluster, now)
    await log.start()
    fix = HeldFix("phone", "ann", NewFix(observed_at=now(), lat=60.17, lon=24.94))
    [frame] = frames_of([fix], now())
    after = await log.write(world.tenant, "ann", [(1, frame), (1, frame)])
    await log.stop()
    [(place, offset)] = after.items()
    assert place == (FIXES.name, 1)
    consumer = AIOKafkaConsumer(bootstrap_servers=world.kafka, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(*place)])
    consumer.seek(TopicPartition(*place), offset - 2)
    records = []
    while len(records) < 2:
        records += (await consumer.getmany(timeout_ms=500)).get(TopicPartition(*place), [])
    await consumer.stop()
    stored = [stored_of(r) for r in records]
    assert [envelope_of(each).tenant for each in stored] == [world.tenant, world.tenant]
    assert all(isinstance(event_of(each, None), FixFrame) for each in stored)
    assert place[1] < PARTITIONS


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
