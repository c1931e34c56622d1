"""`logistics ingest`: the fixes of GPX and CSV files, through the door as it is served."""

import asyncio
import gzip
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reception import TOKENS, House, MemoryFrames, key
from story import NOON

from gateway.door import Limits
from gateway.osmand import HDOP_M
from infra.embedded.ports import free_port
from infra.fix_files import FixLine, NotThatFile, fixes_in
from infra.serving import server
from infra.settings import PREFIX, WrongSetting
from schemas.fixes import MAX_BATCH, NewFix, fixes_of

ROOT = Path(__file__).parents[2]
TRACES = Path(os.environ.get("LOGISTICS_SAMPLE_DATA", "")) / "traces"
GPX = '<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1"><trk><trkseg>\n{}\n</trkseg></trk></gpx>'
HEADER = "observed_at,lat,lon\n"
BUS = {"device_id": "vehicle_id", "observed_at": "timestamp", "lat": "latitude", "lon": "longitude"}


def file_of(tmp_path: Path, content: str | bytes, name: str = "fixes.csv") -> Path:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def lines(path: Path, device: str | None = "phone", **columns: str) -> list[FixLine]:
    return fixes_in(path, device, columns).lines


def at(minute: float) -> str:
    return (NOON + timedelta(minutes=minute)).isoformat()


def csv_of(*minutes: float) -> str:
    return HEADER + "".join(f"{at(minute)},60.17,24.94\n" for minute in minutes)


def point(inside: str, place: str = 'lat="60.17" lon="24.94"') -> str:
    return GPX.format(f"<trkpt {place}>{inside}</trkpt>")


# What a file says


def test_a_line_on_streets_is_passed_over_only_where_it_has_no_times(tmp_path: Path):
    """As `logistics trips export --matched` writes it; what others call a matched track may be fixes."""
    bare = '<trkpt lat="60.17" lon="24.94">{}</trkpt>'
    timed = bare.format(f"<time>{at(0)}</time>")
    matched = f"<trk><type>matched</type><trkseg>{timed}{bare}</trkseg></trk>"
    track = f"{matched}<trk><trkseg>{bare}</trkseg></trk>"
    read = fixes_in(file_of(tmp_path, f"<gpx>{track}</gpx>", "a.gpx"), "phone", {})
    assert ([line.wrong for line in read.lines], read.passed_over) == ([None, "the point has no time"], 1)


def test_a_csv_has_our_columns_or_says_what_it_calls_them(tmp_path: Path):
    ours = "device_id,observed_at,lat,lon,accuracy_m,speed_mps,bearing_deg,battery_pct\n"
    told = lines(file_of(tmp_path, f"{ours}van-7,2026-03-01T12:00:00Z,60.17,24.94,8,5.5,90,80\n"), None)
    fix = NewFix(observed_at=NOON, lat=60.17, lon=24.94, accuracy_m=8, speed_mps=5.5, bearing_deg=90, battery_pct=80)
    assert told == [FixLine(2, "van-7", fix)]
    theirs = file_of(tmp_path, f"when,y,x,colour\n{NOON.timestamp():.0f},60.17,24.94,red\n")
    found = fixes_in(theirs, "van-7", {"observed_at": "when", "lat": "y", "lon": "x"})
    assert found.lines == [FixLine(2, "van-7", NewFix(observed_at=NOON, lat=60.17, lon=24.94))]
    assert found.unread == ["colour"]


def test_a_point_of_a_track_tells_its_speed_wherever_it_stands(tmp_path: Path):
    time = "<time>2026-03-01T12:00:00Z</time>"
    deep = "<extensions><t:x xmlns:t='t'><t:speed>5.5</t:speed><t:course>90</t:course></t:x></extensions><hdop>2</hdop>"
    for inside in (f"{time}{deep}", f"<ele>5</ele>{time}<speed> 5.5 </speed><course>90</course><hdop>2</hdop>"):
        [told] = lines(file_of(tmp_path, point(inside), "track.gpx"))
        assert told == FixLine(
            2,
            "phone",
            NewFix(observed_at=NOON, lat=60.17, lon=24.94, speed_mps=5.5, bearing_deg=90, accuracy_m=2 * HDOP_M),
        )


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (f"{HEADER}noon,60,24\n", "observed_at: must be Unix seconds or milliseconds"),
        (f"{HEADER},60,24\n", "observed_at: must be"),
        (f"{HEADER}{at(0)},,24\n", "lat: a number is needed, not nothing"),
        (f"{HEADER}{at(0)},60,east\n", "lon: a number is needed, not east"),
        (f"{HEADER}{at(0)},NaN,24\n", "lat: a number is needed, not NaN"),
        (f"{HEADER}{at(0)},60,24,more\n", "it has more cells than the header"),
        (f"speed_mps,{HEADER}-1,{at(0)},60,24\n", "speed_mps: must be at least 0"),
        (point(""), "the point has no time"),
        (point("<time>noon</time>"), "time: must be Unix seconds or milliseconds"),
        (point(f"<time>{at(0)}</time>", 'lat="60.17"'), "lon: a number is needed, not nothing"),
        (point(f"<time>{at(0)}</time><course>400</course>"), "course: must be at most 360"),
    ],
)
def test_a_line_that_is_no_fix_is_told_by_its_number(tmp_path: Path, content: str, wrong: str):
    name = "track.gpx" if content.startswith("<gpx") else "fixes.csv"
    [told] = lines(file_of(tmp_path, content, name))
    assert told.number == 2
    assert told.fix is None
    assert (told.wrong or "").startswith(wrong)


BOMB = '<!DOCTYPE gpx [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><gpx>&b;</gpx>'


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("fixes.csv", "", "the column observed_at and the column lat and the column lon is missing"),
        ("fixes.csv", b"observed_at,lat,lon\n\xff,1,1\n", "line 2 is not UTF-8"),
        ("fixes.csv", f'{HEADER}"unended', "it is no CSV"),
        ("fixes.xlsx", "", "none of .gpx, .csv"),
        ("fixes.csv.gz", b"not gzip", "it cannot be read"),
        ("fixes.csv.gz", gzip.compress(csv_of(1, 2).encode())[:-12], "it cannot be read"),
        ("track.gpx", "<gpx><trk>", "it is no XML: line 1"),
        ("track.gpx", "", "it is no XML: line 1"),
        ("track.gpx", "<kml></kml>", "it is no GPX, but kml"),
        ("track.gpx", BOMB, "it has a DOCTYPE"),
        ("track.gpx.gz", gzip.compress(b""), "it is no XML: line 1"),
        ("track.gpx", bytes(range(256)), "it is no XML: line 1"),
        ("fixes.csv", b"\x7fELF\x02\x01\x01" + bytes(100), "the column observed_at .* is missing"),
        ("fixes.csv", bytes(10_000), "the column observed_at .* is missing"),
        ("fixes.csv.gz", gzip.compress(b"0" * (4 << 20)), "line 1 is longer than 1,048,576 bytes"),
        ("fixes.csv.gz", gzip.compress(HEADER.encode() + b"0" * (4 << 20)), "line 2 is longer"),
        ("track.gpx.gz", gzip.compress(b'<gpx x="' + b"0" * (4 << 20)), "more than 1,048,576 bytes are one thing"),
        ("track.gpx.gz", gzip.compress(b"<gpx" + b" " * (4 << 20)), "more than 1,048,576 bytes are one thing"),
        (
            "track.gpx.gz",
            gzip.compress(GPX.format('<trkpt lat="1" lon="1"><time>' + "2" * (1 << 20)).encode()),
            "time has more than 20,000 characters",
        ),
        ("track.gpx", '<!DOCTYPE gpx SYSTEM "file:///etc/passwd"><gpx/>', "it has a DOCTYPE"),
    ],
)
def test_a_file_that_is_none_is_told_as_a_whole(tmp_path: Path, name: str, content: str | bytes, told: str):
    with pytest.raises(NotThatFile, match=told):
        lines(file_of(tmp_path, content, name))


WHOLE = {
    ".csv": csv_of(1, 2, 3).encode(),
    ".csv.gz": gzip.compress(csv_of(*range(50)).encode()),
    ".gpx": point(f"<time>{at(1)}</time><speed>5</speed>").encode(),
}


@pytest.mark.parametrize("suffix", WHOLE)
def test_a_file_that_is_broken_somewhere_is_told_or_read_and_never_more(tmp_path: Path, suffix: str):
    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.integers(0, len(WHOLE[suffix])), st.binary(max_size=4), st.integers(0, 4))
    def broken(place: int, put: bytes, cut: int) -> None:
        content = WHOLE[suffix][:place] + put + WHOLE[suffix][place + cut :]
        with suppress(NotThatFile):
            lines(file_of(tmp_path, content, f"broken{suffix}"))

    broken()


@pytest.mark.parametrize("line", ["\0,60,24", f"{NOON.isoformat()},6\0,24", "\0" * 100, f"{NOON.isoformat()},60,24\0"])
def test_a_line_with_the_null_character_is_told_by_its_number(tmp_path: Path, line: str):
    right, wrong, also_right = lines(file_of(tmp_path, f"{csv_of(1)}{line}\n{at(2)},60,24\n"))
    assert (right.wrong, also_right.wrong, wrong.number) == (None, None, 3)
    assert wrong.fix is None


def test_a_device_with_the_null_character_is_none(tmp_path: Path):
    [told] = lines(file_of(tmp_path, f"device_id,{HEADER}ph\0ne,{at(1)},60,24\n"), None)
    assert "is no device's id" in (told.wrong or "")


def test_a_packed_file_that_grows_without_end_takes_no_more_memory_than_what_it_tells(tmp_path: Path):
    """Thirty kilobytes that are thirty megabytes."""
    before, after = GPX.format("|").encode().split(b"|")
    file = file_of(tmp_path, gzip.compress(before + b"\n" * (30 << 20) + after), "track.gpx.gz")
    tracemalloc.start()
    assert lines(file) == []
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 5 << 20


def test_a_file_has_so_many_fixes_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("infra.fix_files.MAX_FIXES", 2)
    with pytest.raises(NotThatFile, match="more than 2 lines"):
        lines(file_of(tmp_path, csv_of(1, 2, 3)))
    points = "".join(f'<trkpt lat="60" lon="24"><time>{at(n)}</time></trkpt>' for n in range(3))
    with pytest.raises(NotThatFile, match="more than 2 points"):
        lines(file_of(tmp_path, GPX.format(points), "track.gpx"))


def test_whose_device_it_is_must_be_said_once(tmp_path: Path):
    with pytest.raises(NotThatFile, match="no column says whose device it is"):
        lines(file_of(tmp_path, csv_of(1)), None)
    with pytest.raises(WrongSetting, match="give --device"):
        lines(file_of(tmp_path, point(""), "track.gpx"), None)
    with pytest.raises(WrongSetting, match="give one of the two"):
        lines(file_of(tmp_path, f"van,{HEADER}"), "phone", device_id="van")


@pytest.mark.skipif(not TRACES.is_dir(), reason="LOGISTICS_SAMPLE_DATA names no folder with traces/")
def test_files_of_real_devices_are_read():
    bus = fixes_in(TRACES / "liverpool_bus_route14.csv.gz", None, BUS | {"bearing_deg": "bearing"})
    assert len(bus.lines) == 1_533
    assert len({line.device_id for line in bus.lines}) == 8
    assert [line for line in bus.lines if line.wrong] == []
    first = bus.lines[0].fix
    assert first is not None
    assert first.observed_at == datetime(2026, 1, 26, 15, 57, 2, tzinfo=UTC)
    assert first.bearing_deg is None
    read = {path.name: lines(path) for path in (TRACES / "gpx").glob("*.gpx")}
    right = {name: sum(line.fix is not None for line in told) for name, told in read.items()}
    assert right == {
        "around-visnjan-with-car.gpx": 104,
        "cerknicko-without-times.gpx": 5,
        "graphhopper_no_trk.gpx": 0,
        "graphhopper_test-only-wpt.gpx": 0,
        "gpx1.1_with_all_fields.gpx": 1,
        "track-with-empty-segment.gpx": 9,
        "track-with-less-sec-time.gpx": 2,
        "track_with_speed.gpx": 3,
        "unicode.gpx": 0,
        "unicode_with_bom.gpx": 0,
    }
    wrong = {line.wrong for told in read.values() for line in told if line.fix is None}
    assert wrong == {"the point has no time"}
    [slow, _, _] = read["track_with_speed.gpx"]
    assert (slow.number, slow.fix.speed_mps if slow.fix else None) == (6, 1.2)


# Through the door


@pytest.fixture
async def served() -> AsyncIterator[tuple[House, str]]:
    """Ann is on shift from noon to eight with the device `phone`."""
    limits = Limits(device_fixes_per_s=2_000, device_fixes_burst=600)
    house = House(limits, frames=MemoryFrames())
    house.desk.heard = house.follow
    await house.settle()
    dora = house.caller("dispatcher", "dora")
    made = await dora.post("/v1/acme/riders", json={"name": "Ann", "external_reference": "ann"})
    path = f"/v1/acme/riders/{made.json()['id']}"
    shift = {"ends_at": (NOON + timedelta(hours=8)).isoformat()}
    for word, body in (("approve-rider", {}), ("start-shift", shift), ("bind-device", {"device_id": "phone"})):
        await dora.post(f"{path}/{word}", json=body, headers=key(word))
    house.now = NOON + timedelta(hours=4)
    await dora.post(f"{path}/end-shift", json={}, headers=key("end"))
    port = free_port()
    serving = server(house.app, "127.0.0.1", port)
    task = asyncio.create_task(serving.serve())
    while not serving.started:  # noqa: ASYNC110 - uvicorn tells it so
        await asyncio.sleep(0.01)
    yield house, f"http://127.0.0.1:{port}"
    serving.should_exit = True
    await task
    await house.close()


async def ingested(url: str, tmp_path: Path, *more: str | Path) -> tuple[int, str, str]:
    token = TOKENS.issue("acme", "integrator", "import", 3600)
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    command = [sys.executable, "-m", "infra.cli", "ingest", "--tenant", "acme", "--data", str(tmp_path / "data")]
    process = await asyncio.create_subprocess_exec(
        *command,
        *("--url", url, "--token", token),
        *map(str, more),
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def told_of(house: House) -> list[tuple[str, int]]:
    """Of each fix on the log the rider and the time."""
    frames = house.door.frames
    assert isinstance(frames, MemoryFrames)
    return [
        (frame.riders[device], at_ms)
        for _, frame in frames.frames
        for device, at_ms in zip(fixes_of(frame).device.tolist(), fixes_of(frame).at_ms.tolist(), strict=True)
    ]


async def test_each_file_is_reported_by_what_became_of_its_fixes(served: tuple[House, str], tmp_path: Path):
    house, url = served
    day = file_of(tmp_path, csv_of(-1, 2, 1, 300, 301, *(3 + n / 10 for n in range(MAX_BATCH))), "day.csv")
    other = file_of(tmp_path, point(f"<time>{at(5)}</time>"), "other.gpx")
    code, out, err = await ingested(url, tmp_path, "--device", "phone", day, other)
    assert (code, err) == (1, ""), "not every fix has a rider"
    assert out.splitlines() == [
        f"{day}: 505 fixes: 502 sent, 2 off duty, 1 unbound, 0 refused",
        f"{other}: 1 fixes: 1 sent, 0 off duty, 0 unbound, 0 refused",
    ]
    assert len(told_of(house)) == 504
    of_ann = [at_ms for rider, at_ms in told_of(house) if rider][:502]
    assert of_ann == sorted(of_ann), "the file's fixes go in order of time"


async def test_where_it_is_too_much_at_once_it_waits_and_sends_the_rest(served: tuple[House, str], tmp_path: Path):
    house, url = served
    much = file_of(tmp_path, csv_of(*(1 + n / 10 for n in range(2 * MAX_BATCH))))
    code, out, _ = await ingested(url, tmp_path, "--device", "phone", much)
    assert (code, out) == (0, f"{much}: 1,000 fixes: 1,000 sent, 0 off duty, 0 unbound, 0 refused\n")
    assert len(told_of(house)) == 1_000


async def test_of_a_file_with_a_wrong_line_nothing_is_sent_and_of_a_dry_run_neither(
    served: tuple[House, str], tmp_path: Path
):
    house, url = served
    bad = file_of(tmp_path, csv_of(1, 2) + "noon,60,24\n", "bad.csv")
    good, none = file_of(tmp_path, csv_of(1), "good.csv"), file_of(tmp_path, GPX.format(""), "none.gpx")
    code, out, err = await ingested(url, tmp_path, "--device", "phone", bad, good, none, "--dry-run")
    assert (code, told_of(house)) == (1, [])
    assert f"{bad}, line 4: observed_at: must be" in err
    assert f"{none}: there is no fix in it" in err
    assert f"{good}: 1 fixes; nothing was sent" in out
    code, out, _ = await ingested(url, tmp_path, "--device", "phone", bad, good, "--json")
    told = json.loads(out)["files"]
    assert (code, len(told_of(house))) == (1, 1)
    assert (told[0]["refused"], told[0]["wrong"][0]["line"], told[0]["sent"]) == (1, 4, 0)
    assert told[1] == {
        "file": str(good),
        "fixes": 1,
        "sent": 1,
        "off_duty": 0,
        "unbound": 0,
        "refused": 0,
        "why": None,
        "wrong": [],
        "unread": [],
        "passed_over": 0,
    }, "what did not happen is told, too"


async def test_where_it_is_not_let_in_or_used_wrongly_it_says_so(served: tuple[House, str], tmp_path: Path):
    _, url = served
    good = file_of(tmp_path, csv_of(1))
    code, _, err = await ingested(url, tmp_path, good, "--device", "phone", "--token", "no-token")
    assert (code, "401 token-invalid" in err) == (2, True)
    code, _, err = await ingested(url, tmp_path, good, "--device", "phone", "--column", "colour=red")
    assert (code, "--column colour=red" in err) == (2, True)
    code, _, err = await ingested(url, tmp_path, good, "--device", "two words")
    assert (code, "--device two words: it is no device's id" in err) == (2, True)
