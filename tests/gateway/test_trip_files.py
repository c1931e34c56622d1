"""Trips with their lines on streets, as files: each format tells which line is which."""

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from arro3.io import read_parquet
from story import NOON

from gateway import trip_files
from gateway.trip_files import FORMATS, Exported
from infra.fix_files import fixes_in
from schemas.fixes import NewFix
from schemas.signals import StopMade
from streams.routing.matching import Matched, Part
from streams.telemetry.recorded import Point

LATER = NOON + timedelta(seconds=30)
STREETS = [(24.94, 60.17), (24.941, 60.17), (24.941, 60.171)]
IN_PART = Matched(
    status="in_part",
    why="not_sure",
    metres=210,
    matched_metres=170,
    parts=[
        Part(since=NOON, until=LATER, metres=120.0, confidence=0.9, line=STREETS[:2]),
        Part(since=LATER, until=LATER + timedelta(seconds=30), metres=50.0, confidence=0.7, line=STREETS[1:]),
    ],
)
GPX = "{http://www.topografix.com/GPX/1/1}"


STOPS = [
    StopMade(since=NOON + timedelta(seconds=5), until=LATER, lat=60.1705, lon=24.9405),
    StopMade(since=LATER, until=LATER + timedelta(seconds=90.4), lat=60.171, lon=24.941),
]


def trip(name: str, matched: Matched | None = IN_PART, *stops: StopMade) -> Exported:
    return Exported(
        trip_id=name,
        rider_id="ann",
        device_id="phone",
        vehicle_id=None,
        started_at=NOON,
        ended_at=LATER,
        metres=200,
        moving_s=30,
        idle_s=0,
        stops=0,
        why="stood",
        stops_made=list(stops),
        points=[
            Point(observed_at=NOON, lat=60.17, lon=24.94),
            Point(observed_at=LATER, lat=60.171, lon=24.941, speed_mps=5.0, bearing_deg=360.0, accuracy_m=5.0),
        ],
        matched=matched,
    )


def made(name: str, *trips: Exported) -> bytes:
    return b"".join(FORMATS[name].write(trips))


def test_gpx_has_the_line_on_streets_as_a_track_of_its_own_with_a_segment_for_each_part():
    root = ElementTree.fromstring(made("gpx", trip("one"), trip("<two>", None)))
    tracks = [(track.findtext(f"{GPX}name"), track.findtext(f"{GPX}type")) for track in root]
    assert tracks == [("one", "recorded"), ("one", "matched"), ("<two>", "recorded")]
    assert [len(segment) for segment in root[1].findall(f"{GPX}trkseg")] == [2, 2]
    assert next(point.get("lon") for point in root[1].iter(f"{GPX}trkpt")) == "24.940000"


def test_geojson_has_it_as_a_feature_that_says_how_sure_the_router_is():
    told = json.loads(made("geojson", trip("one"), trip("two", None)))
    assert [feature["id"] for feature in told["features"]] == ["one", "one/matched", "two"]
    matched = told["features"][1]
    assert matched["geometry"]["type"] == "MultiLineString"
    assert [len(line) for line in matched["geometry"]["coordinates"]] == [2, 2]
    assert matched["properties"] == {
        "trip_id": "one",
        "line": "matched",
        "status": "in_part",
        "why": "not_sure",
        "metres": 210,
        "matched_metres": 170,
        "confidences": [0.9, 0.7],
    }


@pytest.mark.parametrize(("suffix", "device", "north"), [("gpx", "phone", 0.0), ("csv", None, 360.0)])
def test_what_is_exported_with_the_line_on_streets_can_be_ingested_again(
    tmp_path: Path, suffix: str, device: str | None, north: float
):
    file = tmp_path / f"trips.{suffix}"
    file.write_bytes(made(suffix, trip("one", IN_PART, *STOPS), trip("two", None)))
    read = fixes_in(file, device, {})
    assert [line.wrong for line in read.lines] == [None] * 4
    assert [(line.device_id, line.fix) for line in read.lines] == 2 * [
        ("phone", NewFix(observed_at=NOON, lat=60.17, lon=24.94)),
        ("phone", NewFix(observed_at=LATER, lat=60.171, lon=24.941, speed_mps=5.0, accuracy_m=5.0, bearing_deg=north)),
    ]
    assert read.passed_over == 4


def test_gpx_has_a_waypoint_for_each_stop_before_all_tracks():
    root = ElementTree.fromstring(made("gpx", trip("<one>", IN_PART, *STOPS), trip("two", None, STOPS[0])))
    assert [child.tag.removeprefix(GPX) for child in root] == ["wpt"] * 3 + ["trk"] * 3
    assert [child.findtext(f"{GPX}name") for child in root][:3] == ["<one> stop 1", "<one> stop 2", "two stop 1"]
    first = root[0]
    assert (first.get("lat"), first.get("lon"), first.findtext(f"{GPX}type")) == ("60.170500", "24.940500", "stop")
    assert first.findtext(f"{GPX}time") == "2026-03-01T12:00:05.000Z"
    assert first.findtext(f"{GPX}desc") == ("stood from 2026-03-01T12:00:05.000Z to 2026-03-01T12:00:30.000Z, 25 s")


def test_tracks_wait_in_a_file_where_they_are_many(monkeypatch: pytest.MonkeyPatch):
    whole = made("gpx", trip("one", IN_PART, *STOPS), trip("two"))
    monkeypatch.setattr(trip_files, "MOST_IN_MEMORY", 100)
    monkeypatch.setattr(trip_files, "PIECE", 7)
    assert made("gpx", trip("one", IN_PART, *STOPS), trip("two")) == whole


def test_geojson_has_a_point_for_each_stop():
    told = json.loads(made("geojson", trip("one", IN_PART, *STOPS)))
    assert [feature["id"] for feature in told["features"]] == ["one", "one/stop-1", "one/stop-2", "one/matched"]
    assert "stops_made" not in told["features"][0]["properties"]
    assert told["features"][2]["geometry"] == {"type": "Point", "coordinates": [24.941, 60.171]}
    assert told["features"][2]["properties"] == {
        "trip_id": "one",
        "kind": "stop",
        "arrived_at": "2026-03-01T12:00:30Z",
        "left_at": "2026-03-01T12:02:00.400000Z",
        "stood_s": 90,
    }


def test_in_rows_it_comes_after_the_fixes_part_by_part_and_without_times():
    rows = list(csv.DictReader(io.StringIO(made("csv", trip("one"), trip("two", None)).decode())))
    assert [(row["trip_id"], row["line"], row["part"]) for row in rows] == [
        *[("one", "recorded", "0")] * 2,
        *[("one", "matched", "1")] * 2,
        *[("one", "matched", "2")] * 2,
        *[("two", "recorded", "0")] * 2,
    ]
    assert (rows[2]["observed_at"], rows[2]["lat"], rows[2]["confidence"]) == ("", "60.17", "0.9")
    columns = read_parquet(io.BytesIO(made("parquet", trip("one"), trip("two", None)))).read_all()
    assert columns.column("line").to_pylist() == [row["line"] for row in rows]
    assert columns.column("confidence").to_pylist() == [None, None, 0.9, 0.9, 0.7, 0.7, None, None]
    assert columns.column("observed_at").to_pylist()[2] is None


def test_json_is_a_line_for_each_trip_and_can_be_read_again():
    told = [json.loads(line) for line in made("json", trip("one"), trip("two")).splitlines()]
    assert [each["trip_id"] for each in told] == ["one", "two"]
    assert told[0]["matched"]["parts"][1]["line"] == [list(place) for place in STREETS[1:]]


def test_of_no_trips_there_is_a_file_that_holds_none():
    assert len(ElementTree.fromstring(made("gpx"))) == 0
    assert json.loads(made("geojson"))["features"] == []
    assert made("csv").count(b"\n") == 1
    assert read_parquet(io.BytesIO(made("parquet"))).read_all().num_rows == 0
