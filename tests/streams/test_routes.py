"""How a way is told: its legs add up, and its line is no longer than anybody wants to read."""

import numpy as np

from schemas.route import LONGEST_GEOMETRY
from streams.routes import legs_of, line_of
from streams.routing.polyline import decoded, encoded
from streams.telemetry.eta import Way


def way(points: int, stops: list[int]) -> Way:
    steps = np.arange(points, dtype=float)
    lat, lon = 60 + 0.01 * np.sin(steps * 37), 24 + 0.01 * np.cos(steps * 53)
    return Way(lat=lat, lon=lon, seconds=steps * 1.3, metres=steps * 9.7, stops=stops, source="osrm")


def test_what_the_legs_take_adds_up_to_the_whole():
    legs = legs_of(way(8, [3, 5, 7]))
    assert len(legs) == 3
    assert (sum(leg.distance_m for leg in legs), sum(leg.duration_s for leg in legs)) == (68, 9)


def test_a_line_is_read_again_as_it_was_written():
    points = [(38.5, -120.2), (40.7, -120.95), (43.252, -126.453)]
    assert encoded(points, 5) == "_p~iF~ps|U_ulLnnqC_mqNvxq`@"
    assert decoded(encoded(points, 5), 5) == points


def test_a_line_that_is_too_long_has_fewer_points_and_the_same_ends():
    long = way(60_000, [59_999])
    line = line_of(long)
    found = decoded(line, 5)
    assert len(line) <= LONGEST_GEOMETRY
    assert [found[0], found[-1]] == [(round(float(long.lat[at]), 5), round(float(long.lon[at]), 5)) for at in (0, -1)]
