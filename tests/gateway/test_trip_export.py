"""A trip's fixes as a file: each format holds what the log holds, and who may not have them hears why."""

import asyncio
import csv
import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from arro3.io import read_parquet
from read_models import ReadModels
from reception import TOKENS, House
from riding_along import drive, stand
from trip_house import ANN, PARTITION, TRIP, log_of, makes_a_trip
from typer.testing import CliRunner, Result

from gateway.trip_files import FORMATS
from infra.cli import app
from infra.embedded.ports import free_port
from infra.fix_files import fixes_in
from infra.serving import server
from infra.settings import WrongSetting
from schemas.ids import rider_subject
from schemas.message import RiderId


@pytest.fixture
async def house(library: tuple[House, ReadModels]) -> House:
    house = library[0]
    await makes_a_trip(house)
    return house


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


async def test_stops_on_the_way_are_told_with_their_places_and_times(house):
    on_the_way = *drive(65, 200, 10, from_m=10), *stand(210, 330, 1_400), *drive(340, 440, 10, from_m=1_500)
    await makes_a_trip(house, [*stand(0, 60), *on_the_way, *stand(450, 840, 2_500)])
    [stop] = json.loads(await content(house, "format=json"))["stops_made"]
    assert (stop["since"], stop["lat"]) == ("2026-03-01T12:03:20Z", pytest.approx(60.17 + 1_360 / 111_195, abs=1e-5))
    _, point = json.loads(await content(house, "format=geojson"))["features"]
    told = point["properties"]
    assert (told["kind"], told["arrived_at"], told["left_at"]) == ("stop", stop["since"], stop["until"])
    assert b"<type>stop</type></wpt>" in await content(house, "format=gpx")


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


# By the command line


@pytest.fixture
async def url(house: House) -> AsyncIterator[str]:
    port = free_port()
    serving = server(house.app, "127.0.0.1", port)
    task = asyncio.create_task(serving.serve())
    while not serving.started:  # noqa: ASYNC110 - uvicorn tells it so
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    serving.should_exit = True
    await task


def words(url: str, out: Path, *more: str, role: Any = "dispatcher") -> list[str]:
    given = ["--tenant", "acme", "--from", "2026-03-01T00:00:00Z", "--to", "2026-03-02T00:00:00Z", "--out", str(out)]
    word = ["--url", url, "--token", TOKENS.issue("acme", role, "dora", 3600), "--data", str(out.parent / "data")]
    return ["trips", "export", *given, *word, *more]


async def command(url: str, out: Path, *more: str, role: Any = "dispatcher") -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, words(url, out, *more, role=role))


async def test_trips_of_a_time_go_into_one_file_or_into_one_each(house, url: str, tmp_path: Path):
    points = json.loads(await content(house, "format=json"))["points"]
    asked = [sys.executable, "-m", "infra.cli", *words(url, tmp_path / "all.csv", "--json")]
    process = await asyncio.create_subprocess_exec(*asked, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert {"trips": 1, "points": len(points), "left_out": []}.items() <= json.loads(out).items()
    assert len((tmp_path / "all.csv").read_text().splitlines()) == len(points) + 1
    (tmp_path / "each").mkdir()
    assert (await command(url, tmp_path / "each", "--format", "gpx", "--matched")).exit_code == 0
    assert [file.name for file in (tmp_path / "each").iterdir()] == [f"trip-{TRIP}.gpx"]
    assert (await command(url, tmp_path / "all.parquet")).exit_code == 0
    assert read_parquet(io.BytesIO((tmp_path / "all.parquet").read_bytes())).read_all().num_rows == len(points)


async def test_what_could_not_be_exported_is_told_and_the_rest_is_there(house, url: str, tmp_path: Path):
    del log_of(house)[0]
    told = await command(url, tmp_path / "all.jsonl")
    assert told.exit_code == 1
    assert "fixes-gone" in told.stderr
    assert (tmp_path / "all.jsonl").read_text() == ""


async def test_of_other_riders_and_vehicles_there_are_none(url: str, tmp_path: Path):
    for chosen in ("--rider", "--vehicle"):
        told = await command(url, tmp_path / "all.geojson", chosen, "somebody-else")
        assert (told.exit_code, json.loads((tmp_path / "all.geojson").read_text())["features"]) == (0, [])


@pytest.mark.parametrize(
    ("out", "more", "role", "said"),
    [
        ("all.shp", (), "dispatcher", "give --format"),
        ("all.gpx", ("--format", "shp"), "dispatcher", "it is one of gpx"),
        ("nowhere/all.gpx", (), "dispatcher", "there is no folder"),
        ("all.gpx", (), "analyst", "403 forbidden"),
    ],
)
async def test_what_is_asked_wrongly_is_said(url: str, tmp_path: Path, out: str, more: Any, role: str, said: str):
    told = await command(url, tmp_path / out, *more, role=role)
    assert isinstance(told.exception, WrongSetting)
    assert said in str(told.exception)
    assert not (tmp_path / out).exists()


async def test_times_the_wrong_way_round_are_refused(url: str, tmp_path: Path):
    told = await command(url, tmp_path / "all.gpx", "--to", "2026-02-01T00:00:00Z")
    assert isinstance(told.exception, WrongSetting)
    assert "--from 2026-03-01T00:00:00Z must be before --to 2026-02-01T00:00:00Z" in str(told.exception)


async def test_a_parquet_file_is_bounded(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("infra.trips_export.MOST_ROWS", 10)
    told = await command(url, tmp_path / "all.parquet")
    assert "ask for less time" in str(told.exception)
