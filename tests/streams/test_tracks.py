"""Transitions after corrections are those of the fixes in order of time, in whatever order they came."""

from hypothesis import given
from hypothesis import strategies as st

from streams.telemetry.fences import Inside
from streams.telemetry.tracks import (
    CUT_AT_LEAST,
    WINDOW_MS,
    Change,
    Crossed,
    Moved,
    Track,
    packed,
    unpacked,
)

A, B = frozenset({"a"}), frozenset({"b"})
OUT: Inside = frozenset()
type Told = set[tuple[str, str, int]]


def truth(points: dict[int, Inside]) -> Told:
    """Sorted, then each point beside the one before."""
    told: Told = set()
    last = OUT
    for at, inside in sorted(points.items()):
        told |= {(fence, "entered", at) for fence in inside - last}
        told |= {(fence, "exited", at) for fence in last - inside}
        last = inside
    return told


def corrected(changes: list[Change]) -> Told:
    told: Told = set()
    for change in changes:
        match change:
            case Crossed():
                what = (change.geofence_id, change.transition, change.at_ms)
                assert what not in told, "nothing is told twice"
                told.add(what)
            case Moved():
                told.remove((change.geofence_id, change.transition, change.told_ms))
                told.add((change.geofence_id, change.transition, change.at_ms))
    return told


insides = st.frozensets(st.sampled_from("abc"))
points = st.dictionaries(st.integers(0, WINDOW_MS), insides, max_size=40)


@given(points, st.randoms())
def test_in_any_order_the_corrected_transitions_are_those_of_the_sorted_fixes(points, random):
    track, changes = Track(), []
    arriving = list(points.items())
    random.shuffle(arriving)
    for at, inside in arriving:
        assert track.refuses(at) is None
        changes += track.take(at, inside)
    assert corrected(changes) == truth(points)


@given(points, st.randoms(), st.integers(0, 40))
def test_a_track_goes_on_where_it_was_kept(points, random, kept_after):
    track, changes = Track(), []
    arriving = list(points.items())
    random.shuffle(arriving)
    for number, (at, inside) in enumerate(arriving):
        if number == kept_after:
            track = unpacked(packed(track))
        changes += track.take(at, inside)
    assert corrected(changes) == truth(points)


def test_an_exit_that_was_told_moves_back_when_a_late_fix_was_outside_already():
    track = Track()
    track.take(0, A)
    track.take(60_000, OUT)
    assert track.take(30_000, OUT) == [Moved("a", "exited", 60_000, 30_000)]
    assert track.take(40_000, OUT) == []


def test_a_visit_that_nobody_saw_is_told_late():
    track = Track()
    track.take(0, OUT)
    track.take(60_000, OUT)
    assert track.take(30_000, B) == [
        Crossed("b", "entered", 30_000, late=True),
        Crossed("b", "exited", 60_000, late=True),
    ]


def test_the_same_moment_twice_is_a_duplicate_and_what_is_too_old_is_outdated():
    track = Track()
    track.take(0, OUT)
    track.take(WINDOW_MS, OUT)
    assert track.refuses(0) == "duplicate"
    assert track.refuses(1) is None
    track.take(WINDOW_MS + 1, OUT)
    assert track.refuses(0) == "outdated"


def test_a_track_keeps_ten_minutes_and_remembers_where_it_was_before():
    track = Track()
    for number in range(1_300):
        track.take(number * 1_000, A)
    assert len(track.times) <= WINDOW_MS // 1_000 + CUT_AT_LEAST
    assert track.take(track.times[0] - 1, A) == []


def test_a_pause_of_months_leaves_nothing_that_cannot_be_kept():
    track = Track()
    for number in range(10):
        track.take(number * 30_000, frozenset({"yard"}))
    changes = track.take(60 * 86_400_000, frozenset())
    assert [(change.geofence_id, change.transition) for change in changes] == [("yard", "exited")]
    again = unpacked(packed(track))
    assert (again.times, again.before) == ([60 * 86_400_000], frozenset({"yard"}))


def test_a_device_that_never_stops_sending_has_a_bound(monkeypatch):
    monkeypatch.setattr("streams.telemetry.tracks.MOST_POINTS", 100)
    track = Track()
    for number in range(1_000):
        track.take(number, frozenset())
    assert len(track.times) <= 100 + CUT_AT_LEAST
    assert track.times[-1] == 999


def test_what_is_older_than_the_points_that_had_to_go_is_outdated(monkeypatch):
    monkeypatch.setattr("streams.telemetry.tracks.MOST_POINTS", 100)
    track = Track()
    for number in range(1_000):
        track.take(number * 2, frozenset("a" if number < 500 else ""))
    again = unpacked(packed(track))
    assert again.refuses(track.times[0] - 2) == track.refuses(track.times[0] - 2) == "outdated"
    assert track.refuses(track.times[0] - 1) is None
