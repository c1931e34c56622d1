"""Fixes are judged all at once or one by one: what follows is the same."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random

import pytest
from logged import logged
from story import NOON

from schemas.directory import Circle
from schemas.fix_rules import FixRules
from schemas.fixes import HeldFix, NewFix, frames_of
from schemas.geo import Location
from schemas.record import Stored
from streams.telemetry.fence_index import FenceIndex, version_of
from streams.telemetry.found import Draft, Found
from streams.telemetry.partition import Partition
from streams.telemetry.rider import Rider, kept, restored
from streams.telemetry.told_so_far import ToldSoFar

RIDERS = ("ann", "bob", "cleo")
FENCES = FenceIndex(
    [
        version_of(
            str(number), Circle(center=Location(lat=60.17 + number * 0.002, lon=24.94), radius_m=150), dwell_s=dwell
        )
        for number, dwell in enumerate((None, 60, None, 30))
    ]
)


def folding() -> Partition:
    return Partition(0, lambda tenant: FENCES, lambda *_: FixRules())


def told(found: Sequence[Found], partition: Partition) -> tuple[object, ...]:
    """All that a fold leads to, as it stands at its end."""
    live: dict[tuple[str, str], object] = {}
    for each in found:
        for key, row in each.live.items():
            if key not in live or live[key].observed_at <= row.observed_at:  # type: ignore[attr-defined]
                live[key] = row
    return (
        [draft for each in found for draft in each.signals],
        [row for each in found for row in each.aside],
        live,
        set().union(*(each.touched for each in found)),
        [(each.cause, list(each.places), list(each.strays)) for one in found for each in one.taken],
        {key: state(rider) for key, rider in partition.riders.items()},
    )


def state(rider: Rider) -> bytes:
    """What can be corrected no more is forgotten sooner or later."""
    for track in rider.tracks.values():
        told, track.told = sorted(track.told.items()), ToldSoFar()
        for what, event_id in told:
            if what[2] > track.before_ms:
                track.told[what] = event_id
    return kept(rider)


def way(draw: Random, device: str, rider: str) -> list[HeldFix]:
    """To and fro over the fences, now and then with a jump, a long pause or a fix that is not believed."""
    lat, at_s, found = 60.168 + draw.random() * 0.01, draw.uniform(0, 60), []
    for _ in range(draw.randrange(5, 60)):
        at_s += draw.choice((1, 1, 5, 20, 200)) if draw.random() < 0.97 else 90_000
        lat += draw.gauss(0, 0.0008)
        jump = 0.5 if draw.random() < 0.04 else 0.0
        where = NewFix(
            observed_at=NOON + timedelta(seconds=at_s),
            lat=lat + jump,
            lon=24.94,
            accuracy_m=500.0 if draw.random() < 0.05 else 5.0,
            mock=draw.random() < 0.02,
        )
        found.append(HeldFix(device, rider, where))
    return found


def records(draw: Random) -> list[Stored]:
    """Frames of several riders' devices, some of whose fixes come late or twice."""
    fixes = [
        each
        for rider in RIDERS
        for device in ("phone", "watch")[: draw.randint(1, 2)]
        for each in way(draw, device, rider)
    ]
    late = draw.choice((0.0, 0.1, 0.5))
    arrivals = [
        (each.fix.observed_at + timedelta(seconds=draw.randrange(900) * (draw.random() < late)), each) for each in fixes
    ]
    arrivals += draw.sample(arrivals, len(arrivals) // 10)
    arrivals.sort(key=lambda arrival: arrival[0])
    made: list[Stored] = []
    while arrivals:
        count = draw.randint(1, 12)
        together, arrivals = arrivals[:count], arrivals[count:]
        for frame in frames_of([each for _, each in together], together[-1][0] + timedelta(seconds=1)):
            source = f"/logistics/test/{'gateway' if draw.random() < 0.9 else 'processes'}"
            tenant = draw.choice(("acme", "acme", "bolt"))
            made.append(logged(frame, len(made), tenant=tenant, source=source))
    return made


@pytest.mark.parametrize("seed", range(30))
def test_what_follows_does_not_hang_on_how_many_frames_come_together(seed: int):
    draw = Random(seed)
    given = records(draw)
    apart, together, by_chance = folding(), folding(), folding()
    expected = told([apart.fold([record]) for record in given], apart)
    assert told([together.fold(given)], together) == expected
    cuts = sorted(draw.sample(range(len(given) + 1), min(5, len(given))))
    pieces = [given[start:end] for start, end in zip([0, *cuts], [*cuts, len(given)], strict=True)]
    assert told([by_chance.fold(piece) for piece in pieces], by_chance) == expected
    assert expected[0], "it leads to signals"


@pytest.mark.parametrize("seed", range(20))
def test_who_begins_anew_with_what_was_kept_of_each_rider_at_some_time_comes_to_the_same(seed: int):
    draw = Random(seed)
    given = records(draw)
    whole = folding()
    found, kept_of = [], {}
    for record in given:
        found.append(whole.fold([record]))
        for key in found[-1].touched:
            if key not in kept_of or draw.random() < 0.3:
                kept_of[key] = kept(whole.riders[key]), record.offset + 1
    again = folding()
    again.riders = {key: restored(state) for key, (state, _) in kept_of.items()}
    again.as_of = {key: as_of for key, (_, as_of) in kept_of.items()}
    since = draw.randrange(min(again.as_of.values()) + 1)
    told_again = [again.fold(given[start : start + 7]) for start in range(since, len(given), 7)]
    assert {key: state(rider) for key, rider in again.riders.items()} == {
        key: state(rider) for key, rider in whole.riders.items()
    }
    told_before = {draft.event_id: draft for each in found for draft in each.signals}
    assert all(told_before[draft.event_id] == draft for each in told_again for draft in each.signals)
    late_enough = [
        draft.event_id
        for draft in told_before.values()
        if int(draft.cause.rpartition("@")[2]) >= again_from(draft, kept_of)
    ]
    assert [draft.event_id for each in told_again for draft in each.signals] == late_enough


def again_from(draft: Draft, kept_of: dict[tuple[str, str], tuple[bytes, int]]) -> int:
    return kept_of[draft.tenant, draft.rider_id][1]


def test_a_device_that_goes_on_is_followed_without_asking_its_track(monkeypatch: pytest.MonkeyPatch):
    """What is fast stays fast: of a hundred devices that come in order none is held against its track."""
    partition = folding()
    asked: list[object] = []
    for second in range(4):
        held = [
            HeldFix(f"d{n}", f"r{n}", NewFix(observed_at=NOON + timedelta(seconds=second), lat=60 + n / 1e3, lon=25.0))
            for n in range(100)
        ]
        [frame] = frames_of(held, NOON + timedelta(seconds=5))
        stored = logged(frame, second)
        if second == 1:
            monkeypatch.setattr(Partition, "track", lambda *given: asked.append(given))
        partition.fold([stored])
    assert asked == []
    assert all(len(rider.tracks[f"d{key[1][1:]}"].times) == 4 for key, rider in partition.riders.items())
