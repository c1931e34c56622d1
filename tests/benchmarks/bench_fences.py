"""What a fix costs at 1,000, 10,000 and 100,000 fences, of which some five hold it: CPU alone, no engine, no fsync."""

from collections.abc import Sequence
from datetime import timedelta
from math import cos, pi, sin
from random import Random
from time import process_time

import pytest
from benchmarks.running import table
from logged import logged
from story import NOON

from schemas.directory import Circle, Polygon, Shape
from schemas.fix_rules import FixRules
from schemas.fixes import HeldFix, NewFix, frames_of
from schemas.geo import Location
from schemas.record import Stored
from streams.telemetry.fence_index import FenceIndex, version_of
from streams.telemetry.partition import Partition

DEVICES = 100
FIXES_OF_EACH = 5
FRAMES = 80
TOGETHER = 40
REACH = 0.0042
"""Degrees to the north, 460 m: half as much to half as much again."""


@pytest.mark.parametrize("fences", [0, 1_000, 10_000, 100_000])
def test_a_fix_beside_fences(fences: int):
    draw = Random(fences)
    side = 0.17 * (max(fences, 1_000) / 10_000) ** 0.5
    began = process_time()
    index = FenceIndex([version_of(str(number), some_shape(draw, side)) for number in range(fences)])
    made_s = process_time() - began
    records = frames(draw, side)
    partition = Partition(0, lambda tenant: index, lambda tenant, at_ms: FixRules())
    signals, best = 0, 1e9
    for _ in range(3):
        partition.riders, signals, began = {}, 0, process_time()
        for first in range(0, FRAMES, TOGETHER):
            signals += len(partition.fold(records[first : first + TOGETHER]).signals)
        best = min(best, process_time() - began)
    count = FRAMES * DEVICES * FIXES_OF_EACH
    inside = [len(track.insides[-1]) for rider in partition.riders.values() for track in rider.tracks.values()]
    rows = [
        ("a fix folded", f"{best / count * 1e6:.1f} µs"),
        ("signals", f"{signals / count:.2f} a fix"),
        ("fences around a device", f"{sum(inside) / len(inside):.1f}"),
        ("the index made", f"{made_s:.1f} s"),
    ]
    table(f"Fences: {fences:,}, half circles, half polygons of 20 vertices", rows)


def some_shape(draw: Random, side: float) -> Shape:
    lat, lon = 60.17 + draw.uniform(-side, side), 24.9 + 2 * draw.uniform(-side, side)
    reach = REACH * draw.uniform(0.5, 1.5)
    if draw.random() < 0.5:
        return Circle(center=Location(lat=lat, lon=lon), radius_m=reach * 111_000)
    turns = sorted(draw.uniform(0, 2 * pi) for _ in range(20))
    ring = [(lon + 2 * reach * cos(turn), lat + reach * sin(turn)) for turn in turns]
    return Polygon(rings=[[*ring, ring[0]]])


def frames(draw: Random, side: float) -> Sequence[Stored]:
    """Of devices that go some twelve metres from second to second."""
    places = [
        [60.17 + side * draw.uniform(-0.8, 0.8), 24.9 + 2 * side * draw.uniform(-0.8, 0.8)] for _ in range(DEVICES)
    ]
    heads = [draw.uniform(0, 2 * pi) for _ in range(DEVICES)]
    found: list[Stored] = []
    for frame in range(FRAMES):
        held = []
        for device in range(DEVICES):
            for number in range(FIXES_OF_EACH):
                heads[device] += draw.gauss(0, 0.2)
                places[device][0] += 1e-4 * sin(heads[device])
                places[device][1] += 2e-4 * cos(heads[device])
                at = NOON + timedelta(seconds=frame * FIXES_OF_EACH + number)
                held.append(
                    HeldFix(
                        f"d{device}", f"r{device}", NewFix(observed_at=at, lat=places[device][0], lon=places[device][1])
                    )
                )
        [made] = frames_of(held, NOON + timedelta(hours=1))
        found.append(logged(made, frame))
    return found
