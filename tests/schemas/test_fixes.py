"""Frames hold what devices told, as exactly as their columns say."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from story import NOON

from schemas import catalog
from schemas.fixes import MAX_FRAME, MAX_MICRODEGREES, FixFrame, HeldFix, NewFix, fixes_of, frames_of

coordinates = st.floats(-180, 180)
fixes = st.builds(
    NewFix,
    observed_at=st.integers(0, 200_000).map(lambda ms: NOON + timedelta(milliseconds=ms)),
    lat=st.floats(-90, 90),
    lon=coordinates,
    accuracy_m=st.none() | st.floats(0, 1_000),
    speed_mps=st.none() | st.floats(0, 100),
    bearing_deg=st.none() | st.floats(0, 360),
    battery_pct=st.none() | st.floats(0, 100),
    mock=st.booleans(),
)
held = st.lists(
    st.builds(HeldFix, st.sampled_from(["d1", "d2", "d3"]), st.sampled_from(["r1", ""]), fixes), max_size=60
)


def told(frames: list[FixFrame]) -> list[tuple[str, str, int, int, int]]:
    """Device, rider, milliseconds, microdegrees."""
    rows = []
    for frame in frames:
        opened = fixes_of(frame)
        for index, device in enumerate(opened.device.tolist()):
            at_ms, lat, lon = (int(column[index]) for column in (opened.at_ms, opened.lat, opened.lon))
            rows.append((frame.devices[device], frame.riders[device], at_ms, lat, lon))
    return sorted(rows)


def given_row(each: HeldFix) -> tuple[str, str, int, int, int]:
    fix = each.fix
    at_ms = int(fix.observed_at.timestamp() * 1000)
    return each.device_id, each.rider_id, at_ms, round(fix.lat * 1e6), round(fix.lon * 1e6)


@given(held)
def test_every_fix_comes_back_as_it_was_told(given: list[HeldFix]):
    assert told(frames_of(given, NOON)) == sorted(map(given_row, given))


def fix(seconds: float = 0, **more: float) -> HeldFix:
    place = {"lat": 60.17, "lon": 24.94} | more
    return HeldFix("d1", "r1", NewFix(observed_at=NOON + timedelta(seconds=seconds), **place))


def test_what_is_not_known_stays_unknown_and_what_is_too_much_is_cut():
    [frame] = frames_of(
        [fix(), fix(1, speed_mps=700.0, accuracy_m=9_999.0, bearing_deg=360.0, battery_pct=100.0)], NOON
    )
    opened = fixes_of(frame)
    assert opened.speed.tolist() == [65_535, 65_534]
    assert opened.accuracy.tolist() == [255, 254]
    assert opened.bearing.tolist() == [255, 0]
    assert opened.battery.tolist() == [255, 100]


def test_coordinates_that_no_place_has_are_kept_for_the_quarantine():
    [frame] = frames_of([fix(lat=1e12, lon=-181.0)], NOON)
    assert fixes_of(frame).lat.tolist() == [MAX_MICRODEGREES]
    assert fixes_of(frame).lon.tolist() == [-181_000_000]


def test_a_frame_is_never_larger_than_its_bound():
    frames = frames_of([fix(number / 1000) for number in range(MAX_FRAME + 1)], NOON)
    assert [frame.count for frame in frames] == [MAX_FRAME, 1]


def test_fixes_that_are_far_apart_in_time_stand_in_frames_of_their_own():
    frames = frames_of([fix(0), fix(65), fix(66)], NOON)
    assert [frame.count for frame in frames] == [2, 1]


def test_a_frame_is_stored_and_read_as_any_other_record():
    [frame] = frames_of([fix()], NOON)
    assert catalog.read(catalog.write(frame, lambda *_: b""), None) == frame


@pytest.mark.parametrize(
    "change",
    [{"layout": 2}, {"count": 2}, {"riders": []}, {"device": b"\x01\x00\x00\x00"}, {"lat": b""}],
)
def test_columns_that_do_not_hold_together_are_told(change: dict[str, object]):
    [frame] = frames_of([fix()], NOON)
    with pytest.raises(ValueError):
        fixes_of(msgspec.structs.replace(frame, **change))
