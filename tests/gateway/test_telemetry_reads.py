"""What the telemetry stream keeps, asked for through the door: the map, the fences, the forecasts, what was put aside."""

from datetime import timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection
from read_models import ReadModels
from reception import House, key

from gateway.queries import LISTINGS
from schemas.position import token, vector
from schemas.topics import FIXES

ON_MAP = """
INSERT INTO live_map (tenant, rider_id, device_id, lat, lon, accuracy_m, speed_mps, bearing_deg, observed_at, received_at)
VALUES (%s, %s, 'phone', %s, %s, NULL, 4.2, NULL, %s, %s)
"""
ASIDE = """
INSERT INTO quarantine (tenant, "partition", "offset", place, device_id, rider_id, reason, lat, lon, observed_at, received_at)
VALUES ('acme', 0, %s, %s, 'phone', NULL, %s, 60, 24, %s, %s)
"""
ALERT = """
INSERT INTO fence_alerts
VALUES ('acme', %s, 'yard', %s, 'phone', 'entered', %s, %s, 'standing', false, %s, NULL)
"""
ETA = """
INSERT INTO etas (tenant, task_id, stop_id, kind, window_end, rider_id, p10, p50, p90, remaining_m, model, source,
                  forecast_at, ended)
VALUES ('acme', %s, 's1', 'dropoff', %s, %s, %s, %s, %s, 900, 'factor-1', 'osrm', %s, %s)
"""
AT = "INSERT INTO stream_places VALUES (%s, 0, %s, 0) ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset"


@pytest.fixture
def house(library: tuple[House, ReadModels]) -> House:
    return library[0]


async def write(house: House, sql: str, *rows: tuple[Any, ...]) -> None:
    async with house.door.pool.connection() as connection:
        for row in rows:
            await connection.execute(sql.encode(), row)


@pytest.fixture(autouse=True)
async def empty(house: House) -> None:
    async with house.door.pool.connection() as connection:
        await clear(connection)


async def clear(connection: AsyncConnection[Any]) -> None:
    await connection.execute("TRUNCATE live_map, quarantine, stream_places")


async def items(house: House, path: str, role: Any = "dispatcher", subject: str = "dora") -> list[dict[str, Any]]:
    read = await house.caller(role, subject).get(f"/v1/acme/{path}")
    assert read.status_code == 200, read.text
    return read.json()["items"]


async def test_the_map_shows_who_is_within_a_box_also_across_the_antimeridian(house):
    now = house.now
    await write(
        house,
        ON_MAP,
        ("acme", "ann", 60.1, 24.9, now, now),
        ("acme", "fiji", -17.0, 179.5, now, now),
        ("acme", "taveuni", -16.8, -179.9, now, now),
        ("other", "spy", 60.1, 24.9, now, now),
    )
    assert {row["rider_id"] for row in await items(house, "live-map")} == {"ann", "fiji", "taveuni"}
    assert [row["rider_id"] for row in await items(house, "live-map?bbox=24,60,25,61")] == ["ann"]
    crossing = await items(house, "live-map?bbox=179,-18,-179,-16")
    assert {row["rider_id"] for row in crossing} == {"fiji", "taveuni"}
    assert "tenant" not in crossing[0]
    assert (crossing[0]["accuracy_m"], crossing[0]["speed_mps"], crossing[0]["bearing_deg"]) == (None, 4.2, None)


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ("24,60,25", "west,south,east,north"),
        ("24,61,25,60", "south below"),
        ("181,0,0,1", "-180..180"),
        ("a,b,c,d", "degrees"),
    ],
)
async def test_a_box_that_is_none_is_told(house, box, said):
    refused = await house.caller("dispatcher", "dora").get(f"/v1/acme/live-map?bbox={box}")
    assert refused.status_code == 400
    [error] = refused.json()["errors"]
    assert error["pointer"] == "bbox"
    assert said in error["detail"]


async def test_a_rider_sees_only_themself_on_the_map_in_alerts_and_forecasts(house):
    now = house.now
    await write(house, ON_MAP, *[("acme", name, 60.1, 24.9, now, now) for name in ("ann", "bob")])
    await write(house, ALERT, *[(f"{name}-1", name, now, now, now) for name in ("ann", "bob")])
    await write(house, ETA, *[(f"task-{name}", now, name, now, now, now, now, None) for name in ("ann", "bob")])
    for path in ("live-map", "fence-alerts", "etas", "etas?rider_id=ann"):
        assert {row["rider_id"] for row in await items(house, path, "rider", "ann")} == {"ann"}, path


@pytest.mark.parametrize(
    "path",
    ["live-map", "fence-alerts", "etas", "anomalies", "trips", "mileage", "task-board", "fixes", "fixes/frames"],
)
async def test_a_rider_who_names_somebody_else_is_told_so_and_answered_with_nothing(house, path):
    ann = house.caller("rider", "ann")
    ask = ann.post if path.startswith("fixes") else ann.get
    refused = await ask(f"/v1/acme/{path}?limit=5&rider_id=bob")
    assert (refused.status_code, refused.json()["code"]) == (403, "another-rider")
    assert refused.json()["values"] == {"rider_id": "bob", "allowed": "ann"}
    assert (await house.caller("dispatcher", "dora").get("/v1/acme/live-map?rider_id=bob")).status_code == 200


async def test_who_is_off_duty_is_not_on_the_map_unless_asked_for(library):
    house, models = library
    shop, now = house.caller("dispatcher", "dora"), house.now
    riders = {}
    for name in ("eve", "finn", "gus"):
        made = await house.caller().post("/v1/acme/riders", json={"name": name, "external_reference": f"map-{name}"})
        riders[name] = made.json()["id"]
        await shop.post(f"/v1/acme/riders/{riders[name]}/approve-rider", json={}, headers=key("approve"))
    for name in ("eve", "finn"):
        body = {"ends_at": (now + timedelta(hours=8)).isoformat()}
        path = f"/v1/acme/riders/{riders[name]}"
        assert (await shop.post(f"{path}/start-shift", json=body, headers=key("start"))).status_code == 200
    assert (await shop.post(f"{path}/end-shift", json={}, headers=key("end"))).status_code == 200
    await models.fold()
    await write(house, ON_MAP, *[("acme", rider, 60.1, 24.9, now, now) for rider in riders.values()])

    async def found(asked: str = "") -> dict[str, bool]:
        return {row["rider_id"]: row["on_duty"] for row in await items(house, f"live-map{asked}")}

    assert await found() == await found("?on_duty=true") == {riders["eve"]: True}
    assert await found("?on_duty=false") == {riders["finn"]: False, riders["gus"]: False}
    assert await items(house, "live-map", "rider", riders["finn"]) == []


async def test_the_map_waits_for_the_fixes_that_a_caller_has_sent(house):
    await write(house, AT, (FIXES.name, 7))
    shop = house.caller("dispatcher", "dora")
    seen = await shop.get("/v1/acme/live-map", headers={"logistics-consistency": token({(FIXES.name, 0): 7})})
    assert seen.status_code == 200
    assert vector(seen.headers["logistics-consistency"]) == {(FIXES.name, 0): 7}
    ahead = {"logistics-consistency": token({(FIXES.name, 0): 9}), "prefer": "wait=0"}
    behind = await shop.get("/v1/acme/live-map", headers=ahead)
    assert (behind.status_code, behind.json()["code"]) == (503, "projection-lagging")


async def test_a_forecast_says_whether_it_will_be_late(house):
    now = house.now
    window = now + timedelta(minutes=10)
    rows = [
        ("task-1", window, "ann", now, now + timedelta(minutes=5), now + timedelta(minutes=8), now, None),
        ("task-2", window, "ann", now, now + timedelta(minutes=8), now + timedelta(minutes=12), now, None),
        ("task-3", window, "ann", now, now + timedelta(minutes=11), now + timedelta(minutes=15), now, "completed"),
    ]
    await write(house, ETA, *rows)
    assert [(row["task_id"], row["risk"]) for row in await items(house, "etas?open=true")] == [
        ("task-1", "on_time"),
        ("task-2", "at_risk"),
    ]
    assert [row["task_id"] for row in await items(house, "etas?open=false")] == ["task-3"]


async def test_what_was_put_aside_pages_in_order_with_its_reason(house):
    now = house.now
    await write(house, ASIDE, *[(offset, place, "duplicate", now, now) for offset in (1, 2) for place in (0, 10, 2)])
    await write(house, ASIDE, (3, 0, "future", now, now))
    dora = house.caller("dispatcher", "dora")
    seen, url = [], "/v1/acme/quarantine?reason=duplicate&limit=4"
    while url:
        read = await dora.get(url)
        seen += [row["id"] for row in read.json()["items"]]
        url = read.links["next"]["url"] if "next" in read.links else ""
    assert len(seen) == 6
    assert seen == sorted(set(seen))
    refused = await dora.get("/v1/acme/quarantine?reason=ugly")
    assert "future" in refused.text
    assert (await house.caller("rider", "ann").get("/v1/acme/quarantine")).status_code == 403


async def test_alerts_are_asked_for_by_when_it_happened_not_by_when_it_was_told(house):
    now = house.now
    told = [(f"at-{minute}", "eve", now + timedelta(minutes=minute), now, now) for minute in (0, 1, 2)]
    await write(house, ALERT, *told)
    since, until = ((now + timedelta(minutes=minute)).isoformat().replace("+", "%2B") for minute in (1, 2))
    for asked, names in (
        (f"since={since}", ["at-1", "at-2"]),
        (f"until={until}", ["at-0", "at-1"]),
        (f"since={since}&until={until}", ["at-1"]),
    ):
        assert [row["signal_id"] for row in await items(house, f"fence-alerts?rider_id=eve&{asked}")] == names


PERIODS = [f"/v1/acme/{listing.word}" for listing in LISTINGS if {"since", "until"} <= listing.filters.keys()] + [
    "/v1/acme/mileage",
    "/v1/acme/sla-statistics",
    "/v1/acme/eta-statistics",
]


@pytest.mark.parametrize("path", PERIODS)
async def test_times_the_wrong_way_round_are_refused(house, path):
    later, sooner = "2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z"
    dora = house.caller("operator", "dora")
    for until in (sooner, later):
        refused = await dora.get(f"{path}?since={later}&until={until}")
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid-parameter")
        [error] = refused.json()["errors"]
        assert error == {"pointer": "until", "detail": f"must be later than since, which is {later}"}
    assert (await dora.get(f"{path}?since={sooner}&until={later}")).status_code == 200


def test_periods_are_asked_for_wherever_something_happened_at_a_time():
    assert {"/v1/acme/trips", "/v1/acme/fence-alerts", "/v1/acme/anomalies"} <= set(PERIODS)
