"""Where a rider is on a way: between the last place and the next stop, whatever streets come again later."""

from datetime import UTC, datetime

import numpy as np

from streams.telemetry.eta import Way, place_on
from streams.telemetry.found import LiveRow

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
STEP = 0.001
"""Degrees of latitude: 111 m."""


def there_and_back() -> Way:
    """Five points to the north, where the first stop is, then the same street back to where the second is."""
    lat = [60 + STEP * n for n in (0, 1, 2, 3, 4, 3, 2, 1, 0)]
    return Way(
        lat=np.array(lat),
        lon=np.full(9, 24.9),
        seconds=np.arange(9) * 20.0,
        metres=np.arange(9) * 111.0,
        stops=[4, 8],
        source="osrm",
    )


def at(lat: float, lon: float = 24.9) -> LiveRow:
    return LiveRow(
        tenant="acme",
        rider_id="ann",
        device_id="phone",
        lat=lat,
        lon=lon,
        accuracy_m=5.0,
        speed_mps=None,
        bearing_deg=None,
        observed_at=NOON,
        received_at=NOON,
    )


def test_a_rider_on_a_street_that_comes_again_has_not_been_at_the_stop():
    segment, seconds, metres, _ = place_on(there_and_back(), at(60 + 0.5 * STEP))
    assert (segment, round(seconds), round(metres)) == (0, 10, 56)


def test_a_rider_does_not_go_back_by_the_noise_of_a_fix():
    segment, seconds, _, off_m = place_on(there_and_back(), at(60 + 1.9 * STEP), since=2)
    assert (segment, seconds, round(off_m)) == (2, 40.0, 11)


def test_at_the_stop_the_way_to_it_is_done():
    segment, seconds, _, _ = place_on(there_and_back(), at(60 + 4 * STEP))
    assert segment == 3
    assert round(seconds) == 80


def test_who_has_left_the_way_is_on_none():
    assert place_on(there_and_back(), at(60 + STEP, 24.91)) is None


def test_past_the_first_stop_the_rest_is_not_looked_at_before_the_itinerary_says_so():
    segment, seconds, _, _ = place_on(there_and_back(), at(60 + 3 * STEP), since=3)
    assert (segment, seconds) == (3, 60.0)
