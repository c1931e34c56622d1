"""`logistics eta score`: past trips in, forecasts out; what is no such file is told by its line."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from infra import cli
from infra.eta_score import map_beside
from infra.porto_trips import destinations_of, trips_of
from infra.settings import WrongSetting
from infra.stages import StageFailed

TRIP = {"TRIP_ID": "a", "TIMESTAMP": "1372636853", "POLYLINE": "[[24.94, 60.17], [24.943, 60.172]]"}
TRUTH = {"trip_id": "a", "dest_lat": "60.172", "dest_lon": "24.943"}


def file_of(folder: Path, name: str, *rows: dict[str, str]) -> Path:
    file = folder / name
    with gzip.open(file, "wt", newline="") if name.endswith(".gz") else file.open("w", newline="") as out:
        lines = csv.DictWriter(out, rows[0])
        lines.writeheader()
        lines.writerows(rows)
    return file


def scored(*arguments: object) -> int:
    """The exit code."""
    try:
        cli.app(["eta", "score", *map(str, arguments)], standalone_mode=False)
    except (WrongSetting, StageFailed) as wrong:
        print(wrong)
        return cli.WRONG_USE
    return 0


def asked(tmp_path: Path, trips: Path, truth: Path, *more: object) -> int:
    return scored("--trips", trips, "--truth", truth, "--forecasts", tmp_path / "out.csv", *more)


def town(count: int = 30) -> list[dict[str, str]]:
    """Trips through Helsinki, one a minute, a fix every 15 s."""
    trips = []
    for number in range(count):
        places = [[24.936 + 0.0009 * step, 60.168 + 0.0002 * (step + number % 5)] for step in range(12)]
        trips.append(
            {"TRIP_ID": f"t{number}", "TIMESTAMP": str(1_700_000_000 + 60 * number), "POLYLINE": json.dumps(places)}
        )
    return trips


def ends(trips: list[dict[str, str]]) -> list[dict[str, str]]:
    last = [(trip["TRIP_ID"], json.loads(trip["POLYLINE"])[-1]) for trip in trips]
    return [{"trip_id": name, "dest_lat": str(lat), "dest_lon": str(lon)} for name, (lon, lat) in last]


def test_each_fix_of_each_trip_with_a_destination_has_a_forecast(tmp_path: Path, osrm: str, capsys):
    trips = town()
    files = file_of(tmp_path, "trips.csv.gz", *trips), file_of(tmp_path, "truth.csv", *ends(trips[5:]))
    assert asked(tmp_path, *files, "--osrm", osrm) == 0
    told = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert len(told) == 25 * 12
    assert {row["trip_id"] for row in told} == {f"t{number}" for number in range(5, 30)}
    assert [row for row in told if row["trip_id"] == "t5"][1]["time"] == str(1_700_000_000 + 300 + 15)
    assert all(0 < float(row["p10"]) <= float(row["p50"]) <= float(row["p90"]) for row in told)
    assert "300 forecasts for 25 of 30 trips" in capsys.readouterr().out


def test_without_streets_it_is_the_great_circle_and_that_is_said(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.delenv("LOGISTICS_SAMPLE_DATA", raising=False)  # where it is set, its map would be taken
    trips = town(5)
    assert asked(tmp_path, file_of(tmp_path, "t.csv", *trips), file_of(tmp_path, "d.csv", *ends(trips))) == 0
    assert "great circle" in capsys.readouterr().out
    assert len(list(csv.DictReader((tmp_path / "out.csv").open()))) == 60


def test_where_the_router_knows_no_way_is_told(tmp_path: Path, osrm: str, capsys):
    trips = town(5)
    trips[0]["POLYLINE"] = json.dumps([[-8.61 + 0.001 * step, 41.14] for step in range(12)])  # another city
    files = file_of(tmp_path, "t.csv", *trips), file_of(tmp_path, "d.csv", *ends(trips))
    assert asked(tmp_path, *files, "--osrm", osrm) == 0
    assert "12 of them go by the great circle" in capsys.readouterr().out


def test_for_machines_it_is_one_object(tmp_path: Path, capsys):
    files = file_of(tmp_path, "t.csv", TRIP, TRIP), file_of(tmp_path, "d.csv", TRUTH, TRUTH | {"trip_id": "b"})
    assert asked(tmp_path, *files, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["trips"], told["forecasts"], told["again"], told["unknown"]) == (1, 2, 1, 1)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"POLYLINE": "[[1, 2"}, "line 3, POLYLINE"),
        ({"POLYLINE": "[[200, 2]]"}, "line 3, POLYLINE: a place is not on earth"),
        ({"POLYLINE": '[["a", 2]]'}, "line 3, POLYLINE"),
        ({"TIMESTAMP": "noon"}, "line 3, TIMESTAMP: 'noon'"),
        ({"TIMESTAMP": "9" * 30}, "line 3, TIMESTAMP"),
        ({"POLYLINE": json.dumps([[24.9, 60.1]] * 20_001)}, "20,001 places"),
    ],
)
def test_a_trip_that_is_none_is_told_by_its_line(tmp_path: Path, capsys, broken: dict[str, str], said: str):
    files = file_of(tmp_path, "t.csv", TRIP, TRIP | {"TRIP_ID": "b"} | broken), file_of(tmp_path, "d.csv", TRUTH)
    assert asked(tmp_path, *files) == cli.WRONG_USE
    assert said in capsys.readouterr().out
    assert not (tmp_path / "out.csv").exists()


def test_a_column_that_is_missing_is_named(tmp_path: Path):
    with pytest.raises(WrongSetting, match="no column POLYLINE"):
        trips_of(file_of(tmp_path, "t.csv", {"TRIP_ID": "a", "TIMESTAMP": "1"}))
    (tmp_path / "short.csv").write_text("TRIP_ID,TIMESTAMP,POLYLINE\na,1\n")
    with pytest.raises(WrongSetting, match="line 2: there is no POLYLINE"):
        trips_of(tmp_path / "short.csv")


def test_what_cannot_be_read_is_said(tmp_path: Path):
    (tmp_path / "no.csv.gz").write_bytes(b"no gzip")
    (tmp_path / "latin.csv").write_bytes(b"TRIP_ID,TIMESTAMP,POLYLINE\n\xe9,1,[]\n")
    for file in (tmp_path / "absent.csv", tmp_path, tmp_path / "no.csv.gz", tmp_path / "latin.csv"):
        with pytest.raises(WrongSetting, match="cannot be read"):
            trips_of(file)


def test_a_destination_is_on_earth_and_one(tmp_path: Path):
    with pytest.raises(WrongSetting, match="line 2, dest_lat"):
        destinations_of(file_of(tmp_path, "a.csv", TRUTH | {"dest_lat": "91"}))
    with pytest.raises(WrongSetting, match="line 3: trip a has another destination"):
        destinations_of(file_of(tmp_path, "b.csv", TRUTH, TRUTH | {"dest_lat": "60.2"}))


def test_a_trip_of_no_place_is_passed_over_and_counted(tmp_path: Path):
    trips = trips_of(file_of(tmp_path, "t.csv", TRIP | {"POLYLINE": "[]"}, TRIP))
    assert (len(trips.journeys), trips.without_fixes) == (1, 1)


def test_where_to_put_them_must_be_there(tmp_path: Path, capsys):
    files = file_of(tmp_path, "t.csv", TRIP), file_of(tmp_path, "d.csv", TRUTH)
    assert scored("--trips", files[0], "--truth", files[1], "--forecasts", tmp_path / "no" / "out.csv") == cli.WRONG_USE
    assert "there is no folder" in capsys.readouterr().out


def test_streets_that_are_not_there_are_said(tmp_path: Path, capsys):
    files = file_of(tmp_path, "t.csv", TRIP), file_of(tmp_path, "d.csv", TRUTH)
    assert asked(tmp_path, *files, "--map", tmp_path / "no.osm.pbf") == cli.WRONG_USE
    assert "there is no such file" in capsys.readouterr().out


@pytest.mark.parametrize("nobody", ["http://127.0.0.1:1", "no url", "http://[", "ftp://127.0.0.1"])
def test_a_router_that_does_not_answer_is_said(tmp_path: Path, capsys, nobody: str):
    files = file_of(tmp_path, "t.csv", TRIP), file_of(tmp_path, "d.csv", TRUTH)
    assert asked(tmp_path, *files, "--osrm", nobody) == cli.WRONG_USE
    assert f"no OSRM answers at {nobody}" in capsys.readouterr().out
    assert not (tmp_path / "out.csv").exists()


def test_the_one_extract_beside_the_files_is_taken(tmp_path: Path):
    for folder in ("traces", "osm", "sample/osm"):
        (tmp_path / folder).mkdir(parents=True)
    trips, truth = tmp_path / "traces" / "t.csv", tmp_path / "truth" / "d.csv"
    assert map_beside(trips, truth, None) is None
    (tmp_path / "sample" / "osm" / "porto.osm.pbf").touch()
    assert map_beside(trips, truth, tmp_path / "sample") == tmp_path / "sample" / "osm" / "porto.osm.pbf"
    (tmp_path / "osm" / "porto.osm.pbf").touch()
    assert map_beside(trips, truth, None) == tmp_path / "osm" / "porto.osm.pbf"
    assert map_beside(trips, truth, tmp_path / "sample") is None, "one of two would be a guess"
