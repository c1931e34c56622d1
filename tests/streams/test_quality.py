"""Which fixes are believed: by themselves, by the tenant's rules of their time, and by where the device was before."""

import re
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fresh import fresh_name
from hypothesis import given
from hypothesis import strategies as st
from story import NOON

from schemas.directory import TenantCreated, TenantRules, TenantRulesChanged
from schemas.fix_rules import REASONS, FixRules, Reason
from schemas.fixes import Fixes, HeldFix, NewFix, fixes_of, frames_of
from schemas.message import Event, Source, TenantSlug
from schemas.record import Stored
from streams.telemetry.fence_index import FenceIndex
from streams.telemetry.found import Found, Frame, LiveRow
from streams.telemetry.partition import FROM_OUTSIDE, Partition
from streams.telemetry.quality import (
    CONFIRMED_BY,
    MOST_VERSIONS,
    SLACK_M,
    Place,
    Quality,
    Reach,
    follow,
    judged,
    packed,
    places_of,
    rows_of,
    unpacked,
    within_reach,
)

NOON_MS = round(NOON.timestamp() * 1000)
METRE = 9
"""Microdegrees of latitude, as good as."""
RULES = FixRules()


def fix(seconds: float = 0, lat: float = 60.17, lon: float = 24.94, rider: str = "ann", **more: Any) -> HeldFix:
    return HeldFix("phone", rider, NewFix(observed_at=NOON + timedelta(seconds=seconds), lat=lat, lon=lon, **more))


def frame(*fixes: HeldFix, received_at: datetime = NOON) -> Fixes:
    [made] = frames_of(list(fixes), received_at)
    return fixes_of(made)


def reasons(*fixes: HeldFix, rules: FixRules = RULES) -> list[Reason | None]:
    wrong = judged(rows_of([(frame(*fixes), rules, NOON_MS)]))
    return [REASONS[place] if place >= 0 else None for place in wrong.tolist()]


# By itself


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (fix(), None),
        (fix(lat=90, lon=-180), None),
        (fix(lat=90.000001), "invalid"),
        (fix(lon=-180.000001), "invalid"),
        (fix(lat=1e300, lon=-1e300), "invalid"),
        (fix(lat=0, lon=0), "zero"),
        (fix(lat=0), None),
        (fix(rider=""), "unbound"),
        (fix(mock=True), "suspected_spoof"),
        (fix(60), None),
        (fix(60.001), "future"),
        (fix(4 * 365 * 86_400), "future"),
        (fix(-7 * 86_400), None),
        (fix(-7 * 86_400 - 1), "outdated"),
        (fix(accuracy_m=200), None),
        (fix(accuracy_m=201), "inaccurate"),
        (fix(accuracy_m=9_999), "inaccurate"),
        (fix(lat=91, lon=0, rider="", mock=True), "invalid"),
        (fix(lat=0, lon=0, rider=""), "zero"),
        (fix(100, rider=""), "unbound"),
    ],
)
def test_each_reason_has_its_bound_and_of_several_the_first_is_told(wrong: HeldFix, reason: Reason | None):
    assert reasons(wrong) == [reason]


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (FixRules(max_accuracy_m=254), fix(accuracy_m=9_999)),
        (FixRules(max_future_seconds=3_600), fix(3_600)),
        (FixRules(max_age_seconds=30 * 86_400), fix(-30 * 86_400)),
    ],
)
def test_a_tenant_may_believe_more(rules: FixRules, told: HeldFix):
    assert reasons(told)[0] is not None
    assert reasons(told, rules=rules) == [None]


def test_what_a_device_does_not_tell_is_not_shown_as_nothing():
    shown = seen(frame(fix()))
    assert (shown.accuracy_m, shown.speed_mps, shown.bearing_deg) == (None, None, None)
    sure = seen(frame(fix(accuracy_m=0, speed_mps=0, bearing_deg=0)))
    assert (sure.accuracy_m, sure.speed_mps, sure.bearing_deg) == (0, 0, 0)


def test_the_docs_name_every_reason_in_its_order():
    page = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text()
    section = page.partition("## What is believed")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \| ", section, re.MULTILINE)) == REASONS


def test_one_wrong_fix_in_a_frame_keeps_no_other_away():
    assert reasons(fix(1), fix(2, mock=True), fix(3)) == [None, "suspected_spoof", None]


# By the rules of its time


def source(at: datetime, tenant: str = "acme") -> Source:
    return Source(
        event_id=fresh_name("e"),
        tenant=TenantSlug(tenant),
        outlet=None,
        aggregate_id=tenant,
        version=1,
        event_time=at,
        recorded_at=at,
        actor="olga",
        command_id="c",
        correlation_id="c",
        topic="logistics.directory",
        partition=0,
        offset=0,
    )


def rules_of(speed: int) -> TenantRules:
    return TenantRules(fixes=FixRules(max_speed_mps=speed))


def known(*told: tuple[float, Event]) -> Quality:
    quality = Quality()
    for minute, event in told:
        quality.take(event, source(NOON + timedelta(minutes=minute)))
    return quality


def test_rules_hold_from_their_change_on_for_what_is_received_then():
    created = TenantCreated(tenant=TenantSlug("acme"), name="Acme", mode="live", rules=rules_of(10))
    quality = known((0, created), (10, TenantRulesChanged(rules=rules_of(20))))
    speeds = [quality.rules("acme", NOON_MS + minute * 60_000).max_speed_mps for minute in (-1, 0, 9, 10, 999)]
    assert speeds == [10, 10, 10, 20, 20]
    assert quality.rules("other", NOON_MS) == FixRules()


def test_so_many_versions_are_remembered_and_the_oldest_go():
    quality = known(*((minute, TenantRulesChanged(rules=rules_of(minute + 1))) for minute in range(MOST_VERSIONS + 5)))
    assert quality.rules("acme", NOON_MS).max_speed_mps == 6


# By where it was before


def at(seconds: float, metres: float, accuracy: int = 0) -> Place:
    return (NOON_MS + round(seconds * 1000), 60_170_000 + round(metres * METRE), 24_940_000, accuracy)


def told(*places: Place, rules: FixRules = RULES) -> str:
    """`.` for each that is believed, `x` for each that is not."""
    reach = Reach()
    return "".join("x" if reach.refuses(place, rules) else "." for place in places)


def test_nobody_comes_faster_than_the_rules_say():
    assert told(at(0, 0), at(10, 700), at(20, 1_400)) == "..."
    assert told(at(0, 0), at(10, 1_000)) == ".x"
    assert told(at(0, 0), at(10, 1_000), rules=FixRules(max_speed_mps=100)) == ".."


def test_what_two_fixes_do_not_know_of_their_place_is_no_jump():
    assert told(at(0, 0), at(0.1, SLACK_M)) == ".."
    assert told(at(0, 0), at(0.1, SLACK_M + 60)) == ".x"
    assert told(at(0, 0, 30), at(0.1, SLACK_M + 60, 30)) == ".."


def test_a_stray_is_put_aside_and_the_way_goes_on():
    assert told(at(0, 0), at(1, 50_000), at(2, 20), at(3, -90_000), at(4, 40)) == ".x.x."


def test_strays_that_agree_are_believed_in_the_end():
    there = [at(second, 50_000 + second) for second in range(1, 6)]
    assert told(at(0, 0), *there) == "." + "x" * (CONFIRMED_BY - 1) + "..."
    assert told(at(0, 0), at(1, 50_000), at(2, -50_000), at(3, 50_000), at(4, 10)) == ".xxx.", "they do not agree"
    assert told(at(0, 0), at(1, 50_000), at(2, 10), at(3, 50_000), at(4, 50_001)) == ".x.xx", "not in a row"
    assert told(at(0, 0), *[at(1, 50_000)] * 5, at(2, 10)) == ".xxxxx.", "one that is sent again confirms nothing"


def test_a_late_fix_is_judged_like_any_and_moves_nothing():
    assert told(at(60, 0), at(0, 4_000), at(30, 9_000), at(61, 50)) == "..x."


def come_apart(*fixes: Place) -> list[int]:
    """When those were that were put aside as jumps, of fixes that come one by one: milliseconds after noon."""
    aside = put_aside([(at_ms - NOON_MS, *place) for at_ms, *place in fixes], at_once=1)
    assert {reason for reason, _ in aside} <= {"gps_jump"}
    return [at_ms for _, at_ms in aside]


def test_a_late_fix_is_held_against_those_before_and_after_it():
    there, back = at(29, 0), at(60, 0)
    near, far = at(30, 60), at(30, 2_000)
    assert within_reach(back, far, RULES), "from where the device was last it could be"
    assert come_apart(there, back, far) == [30_000]
    assert come_apart(there, back, near) == []
    assert come_apart(at(0, 0), at(58, 3_900), at(60, 3_900), at(57, 0)) == [57_000]
    assert come_apart(at(10, 0), at(20, 0), at(9, 5_000)) == [9_000], "which has none before it"


def test_a_late_fix_confirms_no_stray_and_ends_no_row_of_them():
    strays = [at(60 + second, 50_000 + second) for second in range(1, CONFIRMED_BY + 1)]
    told_of = come_apart(at(0, 0), at(60, 0), *strays[:-1], at(30, 5), strays[-1])
    assert told_of == [at_ms - NOON_MS for at_ms, *_ in strays[:-1]], "the last one confirms them"


def test_where_strays_were_confirmed_what_comes_late_of_before_is_held_against_its_own_neighbours():
    strays = [at(60 + second, 50_000 + second) for second in range(1, CONFIRMED_BY + 1)]
    assert 30_000 not in come_apart(at(0, 0), at(60, 0), *strays, at(30, 5))


def test_across_the_antimeridian_and_over_the_pole_it_is_not_far():
    assert within_reach((0, 0, 179_999_900, 0), (0, 0, -179_999_900, 0), RULES)
    assert within_reach((0, 90_000_000, 0, 0), (0, 90_000_000, 170_000_000, 0), RULES)


places = st.tuples(
    st.integers(0, 60_000), st.integers(60_160_000, 60_200_000), st.integers(24_900_000, 24_980_000), st.integers(0, 90)
)


@given(st.lists(places, min_size=1, max_size=20))
def test_a_frame_at_once_is_judged_as_fix_by_fix(given: list[Place]):
    given = sorted(given)
    fixes = frame(*(fix(at_ms / 1000, lat / 1e6, lon / 1e6, accuracy_m=m) for at_ms, lat, lon, m in given))
    apart = [within_reach(a, b, RULES) for a, b in pairwise(given)]
    here = places_of(rows_of([(fixes, RULES, NOON_MS)]))
    assert follow(here[:-1], here[1:], np.full(len(here) - 1, RULES.max_speed_mps)).tolist() == apart


@given(st.lists(places, max_size=30), st.integers(0, 30))
def test_a_reach_that_was_kept_goes_on_as_one_that_was_not(given: list[Place], kept_after: int):
    reach = Reach()
    before = [reach.refuses(place, RULES) for place in given[:kept_after]]
    again = unpacked(packed(reach))
    after = [again.refuses(place, RULES) for place in given[kept_after:]]
    assert told(*given) == "".join("x" if each else "." for each in before + after)


@given(st.lists(places, max_size=40, unique_by=lambda place: place[0]), st.integers(1, 40))
def test_however_the_fixes_fall_into_frames_the_same_are_put_aside(given: list[Place], at_once: int):
    given = sorted(given)
    aside = put_aside(given, at_once)
    strays = [place for place, mark in zip(given, told(*given), strict=True) if mark == "x"]
    assert aside == [("gps_jump", place[0]) for place in strays]


def test_a_simulated_courier_is_as_fast_as_their_steps_are_short():
    jumps = [(0, 60_170_000, 24_940_000, 5), (1_000, 60_270_000, 24_940_000, 5)]
    assert put_aside(jumps) == [("gps_jump", 1_000)]
    assert put_aside(jumps, source="/logistics/test/processes") == []


def seen(come: Fixes) -> LiveRow:
    partition, found = Partition(0, lambda _: FenceIndex([]), Quality().rules), Found()
    stored = Stored(topic="logistics.fixes", partition=0, offset=0, key=None, value=None, headers=())
    partition.take([Frame(stored, "acme", come, True)], found)
    return found.live["acme", "ann"]


def put_aside(given: list[Place], at_once: int = 40, source: str = "/logistics/test/gateway") -> list[tuple[str, int]]:
    """Why, and at how many milliseconds after noon, of fixes that come in frames of so many."""
    partition, found = Partition(0, lambda _: FenceIndex([]), Quality().rules), Found()
    stored = Stored(topic="logistics.fixes", partition=0, offset=0, key=None, value=None, headers=())
    for start in range(0, len(given), at_once):
        rows = given[start : start + at_once]
        held = [fix(at_ms / 1000, lat / 1e6, lon / 1e6, accuracy_m=metres) for at_ms, lat, lon, metres in rows]
        come = frame(*held, received_at=NOON + timedelta(minutes=2))
        partition.take([Frame(stored, "acme", come, source.endswith(FROM_OUTSIDE))], found)
    return [(row.reason, round(row.observed_at.timestamp() * 1000) - NOON_MS) for row in found.aside]
