"""What docs/decoders shows to those who read and send frames is run: Python, Node and Go, each once for all frames."""

import json
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from decoders import answers
from frame_vectors import FILE, fixes_told, value_of, vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from story import NOON

from gateway.new_frame import fixes_in
from schemas.fixes import MAX_FRAME, FixFrame, HeldFix, NewFix, frame_of

LANGUAGES = ("python", "node", "go")

type Json = dict[str, Any]

maybe_known: Any = st.none()
fixes = st.builds(
    NewFix,
    observed_at=st.integers(0, 65_000).map(lambda ms: NOON + timedelta(milliseconds=ms)),
    lat=st.integers(-90_000_000, 90_000_000).map(lambda micro: micro / 1e6),
    lon=st.integers(-180_000_000, 180_000_000).map(lambda micro: micro / 1e6),
    accuracy_m=maybe_known | st.integers(0, 254).map(float),
    speed_mps=maybe_known | st.integers(0, 65_534).map(lambda cms: cms / 100),
    bearing_deg=maybe_known | st.integers(0, 179).map(lambda half: half * 2.0),
    battery_pct=maybe_known | st.integers(0, 100).map(float),
    mock=st.booleans(),
)
held = st.lists(
    st.builds(HeldFix, st.sampled_from(["d1", "d2", "D-3"]), st.sampled_from(["r1", ""]), fixes),
    min_size=1,
    max_size=40,
)


def drawn() -> list[list[HeldFix]]:
    """Random frames' fixes, in order of time."""
    found: list[list[HeldFix]] = []

    @settings(max_examples=60, database=None)
    @given(held)
    def draw(some: list[HeldFix]) -> None:
        found.append(sorted(some, key=lambda each: each.fix.observed_at))

    draw()
    return found


def decode(value: bytes) -> Json:
    return {"decode": b64encode(value).decode()}


def test_the_vectors_are_those_that_our_own_code_makes():
    assert FILE.read_text() == vectors(), "python -m tests.frame_vectors"


@pytest.mark.parametrize("language", LANGUAGES)
def test_frames_are_read_alike(programs: Mapping[str, list[str]], language: str):
    known = json.loads(FILE.read_text())["frames"]
    frames: list[FixFrame] = [frame_of(some, NOON) for some in drawn()]
    cut = [value_of(frame)[: 3 + 7 * number % 40] for number, frame in enumerate(frames)]
    asked = [{"decode": each["value"]} for each in known]
    asked += [decode(value_of(frame)) for frame in frames] + [decode(value) for value in cut]
    read = answers(programs[language], asked)
    of_vectors, of_frames, of_cut = (
        read[: len(known)],
        read[len(known) : len(known) + len(frames)],
        read[len(known) + len(frames) :],
    )
    assert [each.get("fixes") for each in of_vectors] == [each.get("fixes") for each in known]
    assert [each["fixes"] for each in of_frames] == [fixes_told(frame) for frame in frames]
    assert all("error" in each for each in of_cut)


def as_sent(some: list[HeldFix]) -> list[Json]:
    return [
        {
            "device_id": each.device_id,
            "rider_id": None,
            "at_ms": round(each.fix.observed_at.timestamp() * 1000),
            **{
                name: getattr(each.fix, name)
                for name in ("lat", "lon", "speed_mps", "bearing_deg", "accuracy_m", "battery_pct", "mock")
            },
        }
        for each in some
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_they_make_is_taken_for_what_it_was_made_of(programs: Mapping[str, list[str]], language: str):
    given_fixes = drawn()
    made = answers(programs[language], [{"encode": as_sent(some)} for some in given_fixes])
    for some, answer in zip(given_fixes, made, strict=True):
        assert fixes_in(json.dumps(answer["frame"]).encode()) == [(each.device_id, each.fix) for each in some]


def test_what_does_not_fit_exactly_is_rounded_and_cut_alike(programs: Mapping[str, list[str]]):
    at_ms = round(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)
    some = {"device_id": "d", "rider_id": None, "at_ms": at_ms, "lat": 60.1700004, "lon": -24.9400006, "mock": False}
    told = [
        some | {"speed_mps": speed, "bearing_deg": bearing, "accuracy_m": accuracy, "battery_pct": battery}
        for speed, bearing, accuracy, battery in (
            (12.346, 359.0, 4.5, 99.5),
            (1e6, 360.0, 1e6, 100.0),
            (0.004, 1.0, 0.4, 0.5),
        )
    ]
    answered = [answers(programs[language], [{"encode": told}]) for language in LANGUAGES]
    assert answered[0] == answered[1] == answered[2]
    [frame] = answered[0]
    read = fixes_in(json.dumps(frame["frame"]).encode())
    assert [(fix.lat, fix.lon) for _, fix in read] == [(60.17, -24.940001)] * 3
    assert [fix.bearing_deg for _, fix in read] == [360.0, 0.0, 2.0]


def test_what_a_fix_leaves_out_is_not_known(programs: Mapping[str, list[str]]):
    at_ms = round(NOON.timestamp() * 1000)
    for language in LANGUAGES:
        [made] = answers(programs[language], [{"encode": [{"device_id": "d", "at_ms": at_ms, "lat": 1, "lon": 2}]}])
        [(_, fix)] = fixes_in(json.dumps(made["frame"]).encode())
        assert (fix.speed_mps, fix.bearing_deg, fix.accuracy_m, fix.battery_pct) == (None,) * 4, language


def test_what_is_no_frame_is_refused_by_who_makes_it(programs: Mapping[str, list[str]]):
    late = HeldFix("d", "", NewFix(observed_at=NOON + timedelta(seconds=66), lat=0, lon=0))
    first = HeldFix("d", "", NewFix(observed_at=NOON, lat=0, lon=0))
    asked = [{"encode": as_sent(some)} for some in ([], [first, late], [first] * (MAX_FRAME + 1))]
    for language in LANGUAGES:
        assert all("error" in each for each in answers(programs[language], asked)), language


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_line_that_asks_for_nothing_is_named_and_the_next_ones_are_answered(
    programs: Mapping[str, list[str]], language: str
):
    good = json.dumps({"encode": [{"device_id": "d1", "at_ms": 0, "lat": 60.17, "lon": 24.94}]})
    bad = ["{not json", "7", "{}", '{"decode": 5}', '{"encode": [7]}']
    lines = "\n".join([good, *bad, good]) + "\n"
    told = subprocess.run(programs[language], input=lines, capture_output=True, text=True, check=False)
    first, *wrong, last = [json.loads(line) for line in told.stdout.splitlines()]
    assert first == last
    assert first["frame"]["count"] == 1
    assert [each["error"].partition(":")[0] for each in wrong] == [f"line {number}" for number in range(2, 7)]
    assert told.returncode == 1
    fine = subprocess.run(programs[language], input=good + "\n", capture_output=True, text=True, check=False)
    assert fine.returncode == 0
