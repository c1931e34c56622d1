"""`logistics recompute fences`: what was told, beside what would have been told with other fences; nothing is changed."""

import csv
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr
from rich.console import Console
from ride import AWAY, Ride, folded, streaming
from world import HOME, KEK, PARTITIONS, World, now

from infra import cli
from infra.check.reading import ends_of
from infra.recompute import facts, fence_file
from infra.recompute.anomalies import reconsidered
from infra.recompute.asked import HELD_FOR, Asked, asked_of, refused_as_gone
from infra.recompute.facts import Fact, Told, compared, paired
from infra.recompute.fence_file import MOST_BYTES, drawn_in
from infra.recompute.fences import COLUMNS, recomputed
from infra.recompute.result import Recomputed, in_words, shown
from infra.recompute.rules_file import AS_THEY_WERE, OtherRules
from infra.recompute.table import written
from infra.settings import Settings, WrongSetting, load_settings
from projections.models import MODELS
from projections.tables import migrate
from schemas.directory import Circle, Corridor, MultiPolygon, Polygon
from schemas.geo import Location
from schemas.message import DeviceId, Event, GeofenceId
from schemas.signals import GeofenceEntered, GeofenceTransitionCorrected
from schemas.topics import TOPICS
from streams.telemetry.found import Draft
from streams.telemetry.moments import moment

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NEAR = Location(lat=HOME.lat + 0.00135, lon=HOME.lon)
"""150 m to the north of HOME."""
SQUARE = [[24.94, 60.16], [24.95, 60.16], [24.95, 60.17], [24.94, 60.17], [24.94, 60.16]]


# What is asked for


def test_times_need_their_offset():
    with pytest.raises(WrongSetting, match=r"--from 2026-03-01T12:00:00: its offset from UTC is missing"):
        asked_of("acme", "2026-03-01T12:00:00", "2026-03-01T13:00:00Z", None, None, 2)
    with pytest.raises(WrongSetting, match="--to noon: a time as in RFC 3339 is needed"):
        asked_of("acme", "2026-03-01T12:00:00Z", "noon", None, None, 2)


def test_what_begins_after_its_end_is_refused():
    with pytest.raises(WrongSetting, match="must be before --to"):
        asked_of("acme", "2026-03-01T13:00:00Z", "2026-03-01T14:00:00+02:00", None, None, 2)


def test_a_partition_that_there_is_not_is_refused():
    with pytest.raises(WrongSetting, match="--partition 2: there are 2, from 0 to 1"):
        asked_of("acme", "2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z", 2, None, 2)


def test_a_file_says_by_its_name_how_it_is_written(tmp_path: Path):
    for out, said in ((tmp_path / "out.txt", "must end with .csv or .jsonl"), (tmp_path / "no" / "a.csv", "no folder")):
        with pytest.raises(WrongSetting, match=said):
            asked_of("acme", "2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z", None, out, 2)


def test_what_retention_has_taken_is_refused_and_what_it_has_not_is_not():
    def asked(days: float) -> Asked:
        return Asked(tenant="acme", since=NOON - timedelta(days=days), until=NOON)

    old = NOON - HELD_FOR - timedelta(days=2)
    refused_as_gone(asked(400), 0, NOON, NOON)  # nothing was ever taken
    refused_as_gone(asked(29), 7, NOON, NOON)  # the partition was silent
    refused_as_gone(asked(31), 7, old, NOON)  # is still there
    for first_at in (old, NOON, None):
        with pytest.raises(WrongSetting, match="fixes are held for 30 days"):
            refused_as_gone(asked(33), 7, first_at, NOON)


def test_wrong_input_is_told_before_anything_is_asked(tmp_path: Path):
    words = "recompute fences --tenant acme --from 2026-03-02T00:00:00Z --to 2026-03-01T00:00:00Z --data"
    with pytest.raises(WrongSetting, match="must be before"):
        cli.app([*words.split(), str(tmp_path)], standalone_mode=False)


# Fences from a file


def collection(folder: Path, *features: dict[str, Any]) -> Path:
    file = folder / "fences.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return file


def feature(geometry: dict[str, Any], **properties: object) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def polygon(*rings: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": rings}


def point(place: Location) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [place.lon, place.lat]}


def test_polygons_and_points_with_a_radius_are_fences(tmp_path: Path):
    high = [[*vertex, 12.5] for vertex in SQUARE]
    file = collection(tmp_path, feature(polygon(high), name="Kamppi"), feature(point(HOME), id="f-2", radius_m=50))
    square, circle = drawn_in(file, {})
    assert isinstance(square.fence.shape, Polygon)
    assert square.fence.shape.rings == [[(lon, lat) for lon, lat in SQUARE]]
    assert circle.fence.shape == Circle(center=HOME, radius_m=50)


def test_several_polygons_and_a_line_with_a_width_are_fences_and_may_ask_who_stays(tmp_path: Path):
    several = {"type": "MultiPolygon", "coordinates": [[SQUARE], [[[lon + 1, lat] for lon, lat in SQUARE]]]}
    line = {"type": "LineString", "coordinates": [[24.94, 60.16, 3.0], [24.95, 60.17, 4.0]]}
    file = collection(tmp_path, feature(several, id="a", dwell_s=60), feature(line, id="b", width_m=20))
    first, second = drawn_in(file, {})
    assert isinstance(first.fence.shape, MultiPolygon)
    assert (len(first.fence.shape.polygons), first.fence.dwell_s) == (2, 60)
    assert second.fence.shape == Corridor(line=[(24.94, 60.16), (24.95, 60.17)], width_m=20)


def test_a_fence_is_meant_by_its_id_or_by_its_name_or_is_new(tmp_path: Path):
    by_feature = feature(polygon(SQUARE), name="Depot") | {"id": "f-9"}
    by_name, fresh = feature(polygon(SQUARE), name="Home"), feature(polygon(SQUARE), name="Harbour")
    drawn = drawn_in(collection(tmp_path, by_feature, by_name, fresh), {"f-1": "Home"})
    assert [(each.geofence_id, each.is_new) for each in drawn] == [("f-9", True), ("f-1", False), ("Harbour", True)]


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([feature(polygon(SQUARE))], "feature 0: it has neither an id nor a name"),
        ([feature(polygon(SQUARE), id="a"), feature(polygon(SQUARE), id="a")], "feature 1: a is drawn before"),
        ([feature(polygon(SQUARE), name="Twice")], "2 fences are called Twice"),
        ([feature(polygon(SQUARE[:-1]), id="a")], "feature 0: the shape is not valid: the ring is not closed"),
        ([feature(polygon(SQUARE[:-1]), id="a")], r"\(invalid-shape, at /geometry/coordinates/0/3\)"),
        (
            [feature(polygon([[0, 99], *SQUARE[1:]]), id="a")],
            "feature 0: /geometry/coordinates/0/0/1 must be at most 90",
        ),
        ([feature(polygon(SQUARE), id="a"), feature(polygon(SQUARE), name=5)], "feature 1: /properties/name must be"),
        ([feature(polygon(SQUARE), id="a", name=5)], "feature 0: /properties/name must be of type string"),
        ([feature(polygon(SQUARE), id=["a"])], "feature 0: /properties/id must be string or integer"),
        ([feature(point(HOME), id="a", radius_m="50")], "feature 0: /properties/radius_m must be of type number"),
        ([feature(point(Location(lat=-91, lon=0)), id="a", radius_m=5)], "feature 0: /geometry/coordinates/1 must be"),
        ([feature(polygon(SQUARE, [[1]]), id="a")], "its coordinates are not .*: /geometry/coordinates/1/0$"),
        (
            [feature({"type": "Polygon", "coordinates": 7}, id="a")],
            "feature 0: its coordinates are not rings of positions",
        ),
        ([feature(point(HOME), id="a")], "a point needs the property radius_m"),
        ([feature({"type": "LineString", "coordinates": SQUARE}, id="a")], "a line needs the property width_m"),
        ([feature(polygon(SQUARE), id="a", dwell_s="long")], "feature 0: /properties/dwell_s must be integer or null"),
        ([feature({"type": "MultiPoint", "coordinates": []}, id="a")], "MultiPoint is no shape of a fence"),
        (
            [feature(polygon(SQUARE), id="a", calendar={"zone": "UTC"})],
            "feature 0: the calendar is not valid: it is never",
        ),
        ([feature(polygon(SQUARE), id="a", calendar={"zone": "Mars"})], "feature 0: Mars is not an IANA time zone"),
        (
            [feature(polygon(SQUARE), id="a", calendar={"zone": "Mars"})],
            r"\(unknown-zone, at /properties/calendar/zone\)",
        ),
        ([{"type": "Feature", "geometry": None}], "FeatureCollection: /features/0/geometry must be of type object"),
    ],
)
def test_what_is_no_fence_is_told_with_its_place(tmp_path: Path, features: list[Any], said: str):
    with pytest.raises(WrongSetting, match=said):
        drawn_in(collection(tmp_path, *features), {"f-1": "Twice", "f-2": "Twice"})


def test_what_is_wrong_is_told_of_all_features_at_once_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fence_file, "MOST_TOLD", 2)
    features = [feature(polygon(SQUARE[:-1]), id=f"f-{number}") for number in range(4)]
    with pytest.raises(WrongSetting) as told:
        drawn_in(collection(tmp_path, feature(polygon(SQUARE), id="a"), *features), {})
    first, second, more = str(told.value).splitlines()
    assert ("feature 1:" in first, "feature 2:" in second, more) == (True, True, "and 2 features more")


def test_what_is_no_geojson_is_told(tmp_path: Path):
    file = tmp_path / "fences.geojson"
    with pytest.raises(WrongSetting, match="cannot be read: No such file"):
        drawn_in(file, {})
    for content, said in (
        (b"no json", ", but no JSON at all"),
        (b'{"type": "Feature"}', ": /type must be FeatureCollection"),
        (b"[]", ": the whole must be of type object"),
        (b"\xff\xfe", ", but no"),
    ):
        file.write_bytes(content)
        with pytest.raises(WrongSetting, match=f"no GeoJSON FeatureCollection{said}"):
            drawn_in(file, {})
    with file.open("wb") as large:
        large.truncate(MOST_BYTES + 1)
    with pytest.raises(WrongSetting, match="larger than 64 MiB"):
        drawn_in(file, {})


# What is compared


def fact(minute: float, transition: str = "entered", rider: str = "ann") -> Fact:
    return Fact((rider, "phone", "f-1", transition), round(minute * 60_000))


def test_the_same_another_time_more_and_less_are_told_apart():
    found = compared([fact(1), fact(20), fact(90)], [fact(1), fact(22), fact(50)])
    assert [(each.outcome, each.moved_s) for each in found] == [
        ("both", 0.0),
        ("moved", 120.0),
        ("only_recomputed", None),
        ("only_recorded", None),
    ]


def test_only_what_is_alike_is_held_against_each_other():
    found = compared([fact(1)], [fact(1, "exited"), fact(1, rider="bob")])
    assert sorted(each.outcome for each in found) == ["only_recomputed", "only_recomputed", "only_recorded"]


def test_equal_times_go_together_before_near_ones():
    assert set(paired([100, 200], [200, 260])) == {(200, 200), (100, 260)}


def test_what_is_too_far_off_is_not_the_same_moved():
    assert list(paired([0], [600_001])) == [(0, None), (None, 600_001)]
    assert list(paired([0], [600_000])) == [(0, 600_000)]


def draft(event_id: str, event: Event, offset: int = 5) -> Draft:
    return Draft(
        event_id=event_id, tenant="acme", rider_id="ann", event=event, at=NOON, cause=f"logistics.fixes/0@{offset}"
    )


def entered(minute: int) -> GeofenceEntered:
    at = moment(minute * 60_000)
    return GeofenceEntered(geofence_id=GeofenceId("f-1"), device_id=DeviceId("phone"), at=at, fix=None, late=False)


def corrected(supersedes: str, at: datetime | None) -> GeofenceTransitionCorrected:
    return GeofenceTransitionCorrected(
        supersedes=supersedes, geofence_id=GeofenceId("f-1"), transition="entered", at=at
    )


def test_a_fact_stands_as_its_corrections_leave_it():
    told = Told(0, 10)
    for each in (draft("a", entered(5)), draft("b", entered(9)), draft("c", corrected("a", moment(180_000)))):
        told.take(each)
    told.take(draft("d", corrected("b", None)))
    told.take(draft("e", corrected("nobody-knows", None)))
    assert told.facts == [fact(3)]


def test_only_the_frames_that_are_asked_for_count():
    told = Told(5, 7)
    for offset in (4, 5, 6, 7):
        told.take(draft(f"s-{offset}", entered(offset), offset))
    told.take(draft("late", corrected("s-6", None), 7))
    assert told.facts == [fact(5), fact(6)]


def test_more_facts_than_memory_is_meant_for_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(facts, "MOST_FACTS", 1)
    told = Told(0, 10)
    told.take(draft("a", entered(5)))
    with pytest.raises(WrongSetting, match="ask for less time at once"):
        told.take(draft("b", entered(9)))


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path):
    out = tmp_path / "out.jsonl"

    def failing() -> None:
        with written(out, ("a",)) as write:
            write({"a": 1})
            raise OSError("the log was lost")

    with pytest.raises(OSError, match="lost"):
        failing()
    assert list(tmp_path.iterdir()) == []
    with written(out, ("a",)) as write:
        write({"a": 1})
    assert out.read_text() == '{"a":1}\n'


def test_what_was_left_out_is_said():
    told = Recomputed(
        tenant="acme",
        since=NOON,
        until=NOON,
        drawn=3,
        new=["depott"],
        fixes=1_000,
        frames_unreadable=1,
        frames_not_told=2,
        lead_is_whole=False,
        outcomes={"both": 1, "moved": 2, "only_recorded": 3, "only_recomputed": 4},
        moved_most_s=61.5,
        by_fence=[],
        out="out.csv",
    )
    said = in_words(told)
    assert said[0] == (
        "1,000 fixes of acme with 3 fences of the file: 1 crossings in both, 2 moved by at most 62 s, "
        "3 only recorded, 4 only recomputed"
    )
    assert said[1] == "1 fences of the file stand for none of acme's, and are new: depott"
    assert len(said) == 6


# On a log


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[AsyncConnectionPool[Any]]:
    async with AsyncConnectionPool(postgres, min_size=1, max_size=6, open=False) as pool:
        async with pool.connection() as connection:
            await migrate(connection, MODELS.values())
        yield pool


@pytest.fixture
def settings(world: World, postgres: str) -> Settings:
    return load_settings(
        kafka=world.kafka,
        postgres=SecretStr(postgres),
        cluster=world.cluster,
        partitions=PARTITIONS,
        key_encryption_key=SecretStr(KEK.hex()),
    )


@pytest.fixture
async def ride(world: World) -> Ride:
    made = Ride(world, await world.owner())
    await made.begin()
    return made


def asked(ride: Ride, since: datetime | None = None, out: Path | None = None) -> Asked:
    since = since or now() - timedelta(hours=1)
    return Asked(tenant=ride.world.tenant, since=since, until=now() + timedelta(minutes=1), out=out)


def iso(ride: Ride, minute: int) -> str:
    return ride.at(minute).isoformat(timespec="milliseconds")


async def everything(settings: Settings, pool: AsyncConnectionPool[Any]) -> tuple[Any, Any]:
    """Where each topic ends, and the rows of what the stream keeps."""
    ends = await ends_of({"bootstrap_servers": settings.kafka}, [topic.name for topic in TOPICS[:-2]], PARTITIONS)
    async with pool.connection() as connection:
        rows = [
            await (await connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2".encode())).fetchall()
            for table in ("stream_places", "stream_riders", "live_map", "quarantine")
        ]
    return ends, rows


async def test_with_the_fences_that_stood_it_is_as_it_was_told(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME), ride.fix(5, AWAY))
        await folded(streams, ride)
        await ride.tell(ride.fix(3, AWAY))  # late, which moves the exit
        await folded(streams, ride)
    told = await recomputed(settings, asked(ride), None)
    assert (told.outcomes["both"], sum(told.outcomes.values()), told.fixes) == (2, 2, 4)
    assert (told.drawn, told.frames_not_told, told.lead_is_whole) == (None, 0, True)


async def test_other_fences_tell_other_crossings_and_change_nothing(ride, settings, pool, tmp_path):
    async with streaming(settings, pool) as streams:
        ways = enumerate((AWAY, NEAR, HOME, NEAR, AWAY))
        await ride.tell(*(ride.fix(minute, place) for minute, place in ways))
        await folded(streams, ride)
    before = await everything(settings, pool)
    smaller, fresh = feature(point(HOME), name="Home", radius_m=50), feature(point(AWAY), name="North", radius_m=50)
    out = tmp_path / "told.csv"
    told = await recomputed(settings, asked(ride, out=out), collection(tmp_path, smaller, fresh))
    assert told.outcomes == {"both": 0, "moved": 2, "only_recorded": 0, "only_recomputed": 3}
    assert [(each.name, each.geofence_id) for each in told.by_fence] == [("North", "North"), ("Home", ride.fence)]
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    told_of = ("fence", "transition", "recorded_at", "recomputed_at", "moved_s")
    assert {tuple(row[column] for column in told_of) for row in rows} == {
        ("North", "entered", "", iso(ride, 0), ""),
        ("North", "exited", "", iso(ride, 1), ""),
        ("Home", "entered", iso(ride, 1), iso(ride, 2), "60.0"),
        ("Home", "exited", iso(ride, 4), iso(ride, 3), "-60.0"),
        ("North", "entered", "", iso(ride, 4), ""),
    }
    assert await everything(settings, pool) == before
    page = StringIO()
    shown(told, Console(file=page, width=100))
    assert [line.split() for line in page.getvalue().splitlines()[-2:]] == [
        ["North", "0", "0", "0", "3"],
        ["Home", "0", "2", "0", "0"],
    ]


async def test_who_was_inside_before_does_not_enter_and_what_the_stream_has_not_folded_is_left_out(
    ride, settings, pool
):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(1, HOME))
        await folded(streams, ride)
        since = now()
        await ride.tell(ride.fix(2, HOME), ride.fix(3, AWAY))
        await folded(streams, ride)
    await ride.tell(ride.fix(4, HOME))
    told = await recomputed(settings, asked(ride, since), None)
    assert told.outcomes == {"both": 1, "moved": 0, "only_recorded": 0, "only_recomputed": 0}
    assert (told.fixes, told.frames_not_told) == (2, 1)
    assert msgspec.json.decode(msgspec.json.encode(told))["tenant"] == ride.world.tenant
    with pytest.raises(WrongSetting, match="there is no such tenant"):
        await recomputed(settings, Asked(tenant="nobody", since=since, until=now()), None)


async def test_by_the_rules_that_held_ways_are_as_they_were_told_and_by_others_otherwise(
    ride, settings, pool, tmp_path
):
    """Ann drives north at 33 m/s for twenty seconds, at 40 for thirty, and stands; somebody else is heard later."""
    rows = [(step * 5, 33.0 if step < 4 else 40.0) for step in range(11)]
    driven = [ride.fix(at_s / 60, north_of_home(at_s * 35), speed_mps=speed) for at_s, speed in rows]
    stood = [ride.fix(minute, north_of_home(1_750), speed_mps=0) for minute in (2, 5, 9)]
    async with streaming(settings, pool) as streams:
        await ride.tell(*driven, *stood)
        await folded(streams, ride)
    before = await everything(settings, pool)
    told = await reconsidered(settings, asked(ride), AS_THEY_WERE)
    assert [(each.kind, each.told) for each in told.by_kind] == [
        ("speeding", "detected"),
        ("speeding", "cleared"),
        ("trip", "ended"),
    ]
    assert (told.outcomes["both"], sum(told.outcomes.values()), told.fixes) == (3, 3, 14)
    out = tmp_path / "told.jsonl"
    slower = await reconsidered(settings, asked(ride, out=out), OtherRules({"speeding_mps": 30}, {}))
    assert slower.outcomes == {"both": 2, "moved": 1, "only_recorded": 0, "only_recomputed": 0}
    [moved] = [row for row in map(json.loads, out.read_text().splitlines()) if row["outcome"] == "moved"]
    assert (moved["kind"], moved["rider_id"], moved["device_id"]) == ("speeding", ride.rider, "phone")
    assert (moved["recorded_limit"], moved["recomputed_limit"], moved["moved_s"]) == (36.0, 30.0, -20.0)
    assert (moved["recorded_measured"], moved["recomputed_measured"]) == (40.0, 33.0)
    nearer = await reconsidered(settings, asked(ride), OtherRules({}, {"max_speed_mps": 1}))
    assert nearer.outcomes["only_recorded"] == 3
    assert await everything(settings, pool) == before


def north_of_home(metres: float) -> Location:
    return Location(lat=HOME.lat + metres / 111_195, lon=HOME.lon)
