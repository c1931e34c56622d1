"""Whatever comes late, twice or in any order: after all corrections the log says what really happened at the fences."""

import csv
import gzip
import json
import os
from collections.abc import Callable, Sequence, Set
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random

import pytest
from fence_truth import Happened, Seen, Stood, truth
from logged import logged
from story import NOON

from schemas.calendar import WEEKDAYS, Calendar, ExceptionalDay, Hours, WeeklyHours
from schemas.directory import Circle, Corridor, MultiPolygon, Polygon, Shape
from schemas.fix_rules import FixRules
from schemas.fixes import HeldFix, NewFix, frames_of
from schemas.geo import Location
from schemas.message import GeofenceId
from schemas.record import Stored
from schemas.signals import (
    TRANSITIONS,
    GeofenceCrossed,
    GeofenceDwelled,
    GeofenceEntered,
    GeofenceExited,
    GeofenceTransitionCorrected,
)
from streams.telemetry.fence_index import FenceIndex, version_of
from streams.telemetry.found import Draft
from streams.telemetry.moments import moment, unix_ms
from streams.telemetry.partition import Partition
from streams.telemetry.rider import kept, restored
from streams.telemetry.work import withdrawal

SAMPLE_DATA = os.environ.get("LOGISTICS_SAMPLE_DATA")
TRIPS = Path(SAMPLE_DATA or "nowhere") / "traces/porto_taxi_trips.csv.gz"
START_MS = unix_ms(NOON)

type Arrival = tuple[int, Seen]
"""When it comes, and what."""


def in_order(seen: Sequence[Seen], draw: Random) -> list[Arrival]:
    return [(fix.at_ms, fix) for fix in seen]


def a_tenth_a_minute_late(seen: Sequence[Seen], draw: Random) -> list[Arrival]:
    return late(seen, draw, 0.1, 60_000)


def a_third_five_minutes_late(seen: Sequence[Seen], draw: Random) -> list[Arrival]:
    return late(seen, draw, 0.3, 300_000)


def many_twice(seen: Sequence[Seen], draw: Random) -> list[Arrival]:
    again = late([fix for fix in seen if draw.random() < 0.3], draw, 1, 300_000)
    return a_tenth_a_minute_late(seen, draw) + again


def shuffled(seen: Sequence[Seen], draw: Random) -> list[Arrival]:
    return late(seen, draw, 1, 500_000)


def late(seen: Sequence[Seen], draw: Random, share: float, most_ms: int) -> list[Arrival]:
    return [(fix.at_ms + (draw.randrange(most_ms) if draw.random() < share else 0), fix) for fix in seen]


ARRIVALS = [in_order, a_tenth_a_minute_late, a_third_five_minutes_late, many_twice, shuffled]


def told(arrivals: list[Arrival], fences: Sequence[Stood], draw: Random) -> set[Happened]:
    """What the engine has said when all has come, in frames of a few fixes, its memory kept and restored on the way."""
    partition = partition_with(fences)
    standing: dict[str, Happened] = {}
    waiting = sorted(arrivals, key=lambda arrival: arrival[0])
    offset = 0
    while waiting:
        count = draw.randint(1, 120)
        coming, waiting = waiting[:count], waiting[count:]
        records = frames(coming, offset)
        offset += len(records)
        for draft in partition.fold(records).signals:
            say(standing, draft)
        if draw.random() < 0.03:
            partition.riders = {key: restored(kept(rider)) for key, rider in partition.riders.items()}
    said = list(standing.values())
    assert len(said) == len(set(said)), "nothing stands there twice"
    return set(said)


def partition_with(fences: Sequence[Stood]) -> Partition:
    index = FenceIndex(
        [
            version_of(each.fence, each.shape, each.from_ms, each.until_ms, each.dwell_s, each.calendar)
            for each in fences
        ]
    )
    every = FixRules(max_accuracy_m=254, max_speed_mps=1_000)
    return Partition(0, lambda tenant: index, lambda tenant, received_ms: every)


def frames(coming: Sequence[Arrival], offset: int) -> list[Stored]:
    held = [HeldFix(fix.device, fix.rider, new_fix(fix)) for _, fix in coming]
    received_at = moment(max(at_ms for at_ms, _ in coming)) + timedelta(seconds=1)
    return [logged(frame, offset + number) for number, frame in enumerate(frames_of(held, received_at))]


def new_fix(fix: Seen) -> NewFix:
    return NewFix(observed_at=moment(fix.at_ms), lat=fix.lat / 1e6, lon=fix.lon / 1e6)


def say(standing: dict[str, Happened], draft: Draft) -> None:
    event = draft.event
    match event:
        case GeofenceEntered() | GeofenceExited() | GeofenceDwelled() | GeofenceCrossed():
            assert draft.event_id not in standing, "each signal has its own id"
            what, at_ms = TRANSITIONS[type(event)], unix_ms(event.at)
            since_ms = unix_ms(event.since) if isinstance(event, (GeofenceDwelled, GeofenceCrossed)) else at_ms
            standing[draft.event_id] = (draft.rider_id, event.device_id, event.geofence_id, what, since_ms, at_ms)
        case GeofenceTransitionCorrected(at=None):
            del standing[event.supersedes]
        case GeofenceTransitionCorrected():
            assert event.at is not None
            rider, device, fence, what, *_ = standing[event.supersedes]
            assert (fence, what) == (event.geofence_id, event.transition)
            at_ms = unix_ms(event.at)
            since_ms = unix_ms(event.since) if event.since else at_ms
            standing[event.supersedes] = (rider, device, fence, what, since_ms, at_ms)
        case _:
            raise AssertionError(f"{type(event).__name__} is no word of a fence")


# Random tracks


def wandering(draw: Random, riders: int = 6, minutes: int = 40) -> list[Seen]:
    """Around Kamppi, a fix every few seconds, with pauses of up to an hour."""
    seen = []
    for number in range(riders):
        at_ms, lat, lon = START_MS + draw.randrange(1_000), 60.169e6, 24.933e6
        north, east = draw.uniform(-80, 80), draw.uniform(-160, 160)
        while at_ms < START_MS + minutes * 60_000:
            seen.append(Seen(f"rider-{number}", f"phone-{number % 4}", at_ms, round(lat), round(lon)))
            pause_ms = draw.randrange(3_600_000) if draw.random() < 0.005 else draw.randint(900, 12_000)
            at_ms += pause_ms
            lat, lon = lat + north * pause_ms / 1_000, lon + east * pause_ms / 1_000
            if draw.random() < 0.1 or abs(lat - 60_169_000) > 10_000 or abs(lon - 24_933_000) > 20_000:
                north = draw.uniform(10, 80) * (1 if lat < 60_169_000 else -1)
                east = draw.uniform(10, 160) * (1 if lon < 24_933_000 else -1)
    return seen


def standing_around(draw: Random, lat: float, lon: float, size: float, count: int = 30) -> list[Stood]:
    """Overlapping ones of several sizes; every third one changes its shape on the way, or goes, and many open and close
    on it."""
    fences = []
    for number in range(count):
        shape = some_shape(draw, lat, lon, size)
        changes_ms = START_MS + draw.randrange(2_400_000) if number % 3 == 0 else 2**62
        dwell_s = draw.choice([None, 20, 60, 300])
        calendar = some_hours(draw) if number % 4 == 0 else None
        fences.append(Stood(f"fence-{number}", shape, 0, changes_ms, dwell_s, calendar))
        if number % 6 == 0:
            shape = some_shape(draw, lat, lon, size)
            calendar = some_hours(draw) if number % 4 == 2 else None
            fences.append(Stood(f"fence-{number}", shape, changes_ms, 2**62, draw.choice([None, 30, 90]), calendar))
    return fences


def some_hours(draw: Random) -> Calendar:
    """A quarter of an hour every now and then, all day long; on the next day at other times."""

    def from_minute(minute: int) -> Hours:
        minutes = [minute, minute + draw.randint(1, 15)]
        opens, closes = (f"{hour:02}:{rest:02}" for hour, rest in (divmod(each, 60) for each in minutes))
        return Hours(opens=opens, closes=closes)

    first = draw.randrange(20)
    weekly = [from_minute(minute) for minute in range(first, 1_420, 20)]
    return Calendar(
        zone=draw.choice(["Europe/Helsinki", "Asia/Kolkata", "America/Los_Angeles"]),
        weekly=[WeeklyHours(days=list(WEEKDAYS), opens=hours.opens, closes=hours.closes) for hours in weekly],
        exceptions=[
            ExceptionalDay(date=f"{NOON:%Y-%m-%d}", hours=[from_minute(minute) for minute in range(0, 1_400, 60)])
        ]
        if draw.random() < 0.3
        else [],
    )


def some_shape(draw: Random, lat: float, lon: float, size: float) -> Shape:
    def around(reach: float) -> Location:
        return Location(lat=lat + draw.uniform(-reach, reach), lon=lon + 2 * draw.uniform(-reach, reach))

    center, reach = around(size), size * draw.choice([0.05, 0.2, 0.6])
    match draw.randrange(6):
        case 0 | 1:
            return Circle(center=center, radius_m=reach * 111_000)
        case 2 | 3:
            return Polygon(rings=[box(center, reach), box(center, reach / draw.choice([2, 3, 10]))])
        case 4:
            return MultiPolygon(polygons=[[box(center, reach / 3)], [box(moved(center, reach), reach / 3)]])
        case _:
            points = [around(size) for _ in range(draw.randint(2, 8))]
            return Corridor(line=[(point.lon, point.lat) for point in points], width_m=reach * 20_000)


def moved(place: Location, reach: float) -> Location:
    return Location(lat=place.lat + reach, lon=place.lon)


def box(around: Location, reach: float) -> list[tuple[float, float]]:
    west, east = around.lon - 2 * reach, around.lon + 2 * reach
    south, north = around.lat - reach, around.lat + reach
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


@cache
def a_walk(seed: int) -> tuple[Sequence[Seen], Sequence[Stood], Set[Happened]]:
    draw = Random(seed)
    seen, fences = wandering(draw), standing_around(draw, 60.169, 24.933, 0.008)
    return seen, fences, truth(seen, fences)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("arriving", ARRIVALS)
def test_of_random_ways_the_log_says_what_happened(arriving: Callable[..., list[Arrival]], seed: int):
    seen, fences, wanted = a_walk(seed)
    draw = Random(f"{arriving.__name__}-{seed}")
    assert {what for _, _, _, what, _, _ in wanted} == {"entered", "exited", "dwelled", "crossed"}
    assert len(wanted) > 300
    assert told(arriving(seen, draw), fences, draw) == wanted


def test_what_is_told_does_not_hang_on_how_many_frames_come_together():
    seen, fences, _ = a_walk(0)
    draw = Random(7)
    waiting, records = sorted(shuffled(seen, draw), key=lambda arrival: arrival[0]), list[Stored]()
    while waiting:
        coming, waiting = waiting[:20], waiting[20:]
        records += frames(coming, len(records))
    one_by_one, together = partition_with(fences), partition_with(fences)
    singly = [draft for record in records for draft in one_by_one.fold([record]).signals]
    at_once = together.fold(records).signals
    assert len(singly) > 1_000
    assert {draft.event_id: draft for draft in at_once} == {draft.event_id: draft for draft in singly}


@pytest.mark.parametrize("what", [GeofenceDwelled, GeofenceCrossed])
def test_who_stayed_or_crossed_is_taken_back_like_who_entered(what: type[GeofenceDwelled | GeofenceCrossed]):
    event = what(geofence_id=GeofenceId("f"), device_id="phone", since=NOON, at=NOON, late=False)
    told = Draft(event_id="s-1", tenant="acme", rider_id="ann", event=event, at=NOON, cause="logistics.fixes/0@7")
    taken_back = withdrawal(told).event
    assert taken_back == GeofenceTransitionCorrected(
        supersedes="s-1", geofence_id=GeofenceId("f"), transition=TRANSITIONS[what], at=None
    )


# Real ones


def driven() -> list[Seen]:
    """Of every third of the taxis of Porto: a fix every 15 s, of each moment of a taxi the first."""
    seen: dict[tuple[str, int], Seen] = {}
    with gzip.open(TRIPS, "rt", newline="") as rows:
        for row in csv.DictReader(rows):
            if int(row["TAXI_ID"]) % 3:
                continue
            for number, (lon, lat) in enumerate(json.loads(row["POLYLINE"])):
                at_ms = (int(row["TIMESTAMP"]) + 15 * number) * 1_000
                fix = Seen(row["TAXI_ID"], "meter", at_ms, round(lat * 1e6), round(lon * 1e6))
                seen.setdefault((fix.rider, at_ms), fix)
    return sorted(seen.values(), key=lambda fix: fix.at_ms)


@cache
def a_day_in_porto() -> tuple[Sequence[Seen], Sequence[Stood], Set[Happened]]:
    seen, fences = driven(), standing_around(Random(0), 41.155, -8.62, 0.03, count=40)
    return seen, fences, truth(seen, fences)


@pytest.mark.skipif(not TRIPS.exists(), reason="LOGISTICS_SAMPLE_DATA names no folder with the taxi trips")
@pytest.mark.parametrize("arriving", [a_third_five_minutes_late, many_twice, shuffled])
def test_of_real_ways_the_log_says_what_happened(arriving: Callable[..., list[Arrival]]):
    seen, fences, wanted = a_day_in_porto()
    draw = Random(arriving.__name__)
    assert len(wanted) > 1_500
    assert told(arriving(seen, draw), fences, draw) == wanted
