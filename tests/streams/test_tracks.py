"""Transitions after corrections are those of the fixes in order of time, in whatever order they came."""

from hypothesis import given
from hypothesis import strategies as st

from streams.telemetry.fence_index import Inside
from streams.telemetry.tracks import (
    CUT_AT_LEAST,
    WINDOW_MS,
    Change,
    Moved,
    Told,
    Track,
    packed,
    unpacked,
)

A, B = frozenset({"a"}), frozenset({"b"})
OUT: Inside = frozenset()
type Transitions = set[tuple[str, str, int]]


def truth(points: dict[int, Inside]) -> Transitions:
    """Sorted, then each point beside the one before."""
    told: Transitions = set()
    last = OUT
    for at, inside in sorted(points.items()):
        told |= {(fence, "entered", at) for fence in inside - last}
        told |= {(fence, "exited", at) for fence in last - inside}
        last = inside
    return told


def stays(points: dict[int, Inside]) -> Transitions:
    """Of each visit that lasted as long as its fence asks for, up to its end or to the last fix."""
    ordered, told = sorted(points.items()), set()
    for fence in "abc":
        since = None
        for at, inside in ordered:
            due = None if since is None else since + (dwell(fence, since) or 2 * WINDOW_MS)
            if due is not None and due <= at:
                told.add((fence, "dwelled", due))
            if fence not in inside or due is None:
                since = at if fence in inside else None
    return told


def dwell(fence: str, since_ms: int) -> int | None:
    """`b` asks for longer from the fifth minute on, and `c` for nothing."""
    longer = 60_000 if since_ms < 300_000 else 90_000
    return {"a": 20_000, "b": longer}.get(fence)


def corrected(changes: list[Change]) -> Transitions:
    told: Transitions = set()
    for change in changes:
        match change:
            case Told():
                what = (change.geofence_id, change.transition, change.at_ms)
                assert what not in told, "nothing is told twice"
                told.add(what)
            case Moved():
                told.remove((change.geofence_id, change.transition, change.told_ms))
                if change.at_ms is not None:
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


@given(points, st.randoms(), st.integers(0, 40))
def test_in_any_order_the_corrected_stays_are_those_of_the_sorted_fixes(points, random, kept_after):
    track, changes = Track(), []
    arriving = list(points.items())
    random.shuffle(arriving)
    for number, (at, inside) in enumerate(arriving):
        if number == kept_after:
            track = unpacked(packed(track))
        changes += track.take(at, inside, dwell=dwell)
    assert corrected(changes) == truth(points) | stays(points)


def test_who_stays_is_told_of_at_the_first_fix_after_and_for_when_it_was():
    track = Track()
    track.take(0, A, dwell=dwell)
    assert track.take(19_999, A, dwell=dwell) == []
    assert track.take(25_000, OUT, dwell=dwell) == [
        Told("a", "dwelled", 20_000, since_ms=0),
        Told("a", "exited", 25_000),
    ]


def test_a_stay_that_a_late_fix_interrupts_never_was_or_began_later():
    track = Track()
    for at in (0, 15_000, 50_000):
        track.take(at, A, dwell=dwell)
    assert track.take(10_000, OUT, dwell=dwell)[-1] == Moved("a", "dwelled", 20_000, 35_000, since_ms=15_000)
    assert track.take(30_000, OUT, dwell=dwell)[-1] == Moved("a", "dwelled", 35_000, None)
    assert track.take(60_000, A, dwell=dwell) == []
    assert track.take(71_000, A, dwell=dwell) == [Told("a", "dwelled", 70_000, since_ms=50_000)]


def test_a_visit_is_remembered_from_its_beginning_though_its_points_went():
    track = Track()
    for number in range(100):
        track.take(number * 30_000, A, dwell=lambda *_: 2_400_000)
    assert track.times[0] > 0
    again = unpacked(packed(track))
    assert again.entered == {"a": 0}
    [interrupted] = again.take(2_965_000, OUT, dwell=lambda *_: 2_400_000)[:1]
    assert interrupted == Told("a", "exited", 2_965_000, late=True)


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
        Told("b", "entered", 30_000, late=True),
        Told("b", "exited", 60_000, late=True),
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
    assert (list(again.times), again.before) == ([60 * 86_400_000], frozenset({"yard"}))


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
