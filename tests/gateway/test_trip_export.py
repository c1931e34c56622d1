"""A trip's fixes as a file: each format holds what the log holds, and who may not have them hears why."""

import csv
import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from arro3.io import read_parquet
from memory_desk import PARTITIONS
from read_models import ReadModels
from reception import House, MemoryFrames
from riding_along import RidingAlong, drive, stand

from gateway.trip_files import FORMATS
from infra.fix_files import fixes_in
from projections.folding import Parked
from projections.model import fact_of
from projections.rows import fold_into
from projections.trips import TRIPS
from schemas import catalog, ids
from schemas.ids import rider_subject
from schemas.message import RiderId
from schemas.partition import partition_of
from schemas.record import Stored, derived_headers
from schemas.signals import TripEnded
from schemas.topics import SIGNALS

ANN = ids.aggregate_id("rider", "acme", "shop", "ann")
PARTITION = partition_of(ANN, PARTITIONS)
TRIP = "trip-1"
ROWS = *stand(0, 60), *drive(65, 200, 10, from_m=10), *stand(210, 600, 1_400)


@pytest.fixture
async def house(library: tuple[House, ReadModels]) -> House:
    """With Ann's trip on the log and in the read model."""
    house = library[0]
    await house.knows(ANN)
    ann = RidingAlong(rider=ANN, partition=PARTITION)
    ann.tells(*ROWS[:20], accuracy_m=5.0)
    ann.tells((103, 900, 10.0), mock=True)
    ann.tells(*ROWS[20:], accuracy_m=5.0)
    log_of(house)[:] = ann.log
    async with house.door.pool.connection() as connection, connection.transaction(), connection.cursor() as cursor:
        await cursor.execute(f"TRUNCATE {TRIPS.physical}".encode())
        await cursor.execute("DELETE FROM quarantine WHERE tenant = 'acme'")
        for offset, place in ann.aside:
            await cursor.execute(
                "INSERT INTO quarantine VALUES ('acme', %s, %s, %s, 'phone', %s, 'suspected_spoof', 0, 0, now(), now())",
                (PARTITION, offset, place, ANN),
            )
        await fold_into(cursor, TRIPS, TRIPS.physical, [fact_of(told(house, ann))], Parked())
    return house


def log_of(house: House) -> list[Stored]:
    assert isinstance(house.frames, MemoryFrames)
    return house.frames.log


def told(house: House, ann: RidingAlong) -> Stored:
    """The signal as it stands on the log."""
    [draft] = [draft for draft in ann.told if isinstance(draft.event, TripEnded)]
    headers = derived_headers(
        event_id=TRIP,
        type_name=catalog.BY_CLASS[TripEnded].name,
        source="/logistics/test/stream/0",
        event_time=draft.at,
        recorded_at=house.now,
        subject=ANN,
        tenant="acme",
        actor="telemetry",
        epoch=1,
        causation_id=draft.cause,
    )
    value = catalog.write(draft.event, house.keyring.sealer(PARTITION, "acme", ANN))
    return Stored(SIGNALS.name, PARTITION, 0, ANN.encode(), value, headers)


async def export(house: House, asked: str = "", role: Any = "dispatcher", subject: str = "dora") -> Any:
    return await house.caller(role, subject).get(f"/v1/acme/trips/{TRIP}/export?{asked}")


async def content(house: House, asked: str) -> bytes:
    answer = await export(house, asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].startswith('attachment; filename="trip-')
    made: bytes = answer.content
    return made


async def trip(house: House, role: Any = "dispatcher", subject: str = "dora") -> dict[str, Any]:
    read = await house.caller(role, subject).get(f"/v1/acme/trips/{TRIP}")
    assert read.status_code == 200, read.text
    found: dict[str, Any] = read.json()
    return found


async def test_json_has_the_trip_and_each_of_its_fixes(house):
    found = json.loads(await content(house, "format=json"))
    one = await trip(house)
    assert {name: found[name] for name in ("metres", "stops", "started_at", "rider_id")} == {
        name: one[name] for name in ("metres", "stops", "started_at", "rider_id")
    }
    points = found["points"]
    assert (points[0]["observed_at"], points[-1]["observed_at"]) == (one["started_at"], one["ended_at"])
    assert points[4] == {
        "observed_at": "2026-03-01T12:01:25Z",
        "lat": pytest.approx(60.17 + 210 / 111_195, abs=1e-6),
        "lon": 24.94,
        "accuracy_m": 5.0,
        "speed_mps": 10.0,
        "bearing_deg": None,
        "battery_pct": None,
    }
    assert "matched" not in found
    assert "2026-03-01T12:01:43Z" not in [point["observed_at"] for point in points], "it was put aside"


async def test_every_format_holds_the_same_fixes(house, tmp_path: Path):
    points = json.loads(await content(house, "format=json"))["points"]
    places = [(point["lat"], point["lon"]) for point in points]
    [feature] = json.loads(await content(house, "format=geojson"))["features"]
    assert [(lat, lon) for lon, lat in feature["geometry"]["coordinates"]] == places
    assert feature["properties"]["points"]["observed_at"] == [point["observed_at"] for point in points]
    rows = list(csv.DictReader(io.StringIO((await content(house, "format=csv")).decode())))
    assert [(float(row["lat"]), float(row["lon"])) for row in rows] == places
    assert {(row["trip_id"], row["line"], row["device_id"]) for row in rows} == {(TRIP, "recorded", "phone")}
    columns = read_parquet(io.BytesIO(await content(house, "format=parquet"))).read_all()
    assert columns.column("lat").to_pylist() == [lat for lat, _ in places]
    assert columns.column("speed_mps").to_pylist() == [point["speed_mps"] for point in points]
    assert [f"{at.as_py().isoformat()}".replace("+00:00", "Z") for at in columns.column("observed_at")] == [
        point["observed_at"] for point in points
    ]


async def test_what_is_exported_as_gpx_can_be_ingested_again(house, tmp_path: Path):
    points = json.loads(await content(house, "format=json"))["points"]
    file = tmp_path / "trip.gpx"
    file.write_bytes(await content(house, "format=gpx"))
    root = ElementTree.parse(file).getroot()
    assert (root.tag, root.get("version")) == ("{http://www.topografix.com/GPX/1/1}gpx", "1.1")
    read = [line.fix for line in fixes_in(file, "phone", {}).lines if line.fix]
    assert [(fix.lat, fix.lon, fix.speed_mps, fix.accuracy_m) for fix in read] == [
        (point["lat"], point["lon"], point["speed_mps"], point["accuracy_m"]) for point in points
    ]
    assert [fix.observed_at.isoformat().replace("+00:00", "Z") for fix in read] == [p["observed_at"] for p in points]


async def test_where_the_router_is_silent_the_fixes_stand_and_it_is_said(house):
    found = json.loads(await content(house, "format=json&matched=true"))
    assert (found["matched"]["status"], found["matched"]["why"]) == ("not_matched", "router_silent")
    recorded, matched = json.loads(await content(house, "matched=true"))["features"]
    assert len(recorded["geometry"]["coordinates"]) == len(found["points"])
    assert (matched["geometry"], matched["properties"]["why"]) == (None, "router_silent")


async def test_fixes_that_retention_has_taken_are_gone_and_the_trip_is_not(house):
    del log_of(house)[0]
    answer = await export(house)
    assert (answer.status_code, answer.json()["code"]) == (410, "fixes-gone")
    assert answer.json()["values"]["kept_days"] == 30
    assert (await trip(house))["metres"] > 1_000


async def test_a_rider_exports_their_own_and_who_sees_no_places_none(house):
    assert (await export(house, role="rider", subject=ANN)).status_code == 200
    assert (await trip(house, "rider", ANN))["places"]["start"]["lat"]
    assert (await export(house, role="rider", subject="somebody-else")).status_code == 404
    assert (await export(house, role="analyst")).status_code == 403
    assert (await trip(house, "analyst"))["places"] == "hidden"
    assert (await house.caller("dispatcher", "dora").get("/v1/acme/trips/none/export")).status_code == 404


async def test_of_who_is_forgotten_nothing_is_exported(house):
    subject = rider_subject(RiderId(ANN))
    house.keyring.apply(PARTITION, subject, None)
    answer = await export(house)
    assert (answer.status_code, answer.json()["code"]) == (410, "fixes-gone")
    assert (await trip(house))["places"] == "erased"


async def test_what_would_have_to_be_read_is_bounded(house, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.trip_export.MOST_POINTS", 10)
    assert (await export(house)).json()["code"] == "trip-too-large"
    monkeypatch.setattr("gateway.trip_export.MOST_FRAMES", 1)
    assert (await export(house)).json()["code"] == "trip-too-large"


async def test_a_format_that_is_none_is_refused(house):
    answer = await export(house, "format=shp")
    assert answer.status_code == 400
    assert all(name in answer.text for name in FORMATS)
