"""The points of a trip are the fixes that it was made of: read from the frames once more, none more and none less."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riding_along import METRE, NOON, RidingAlong, Row, drive, fix, of_kind, stand

from schemas.fixes import HeldFix
from schemas.signals import TripEnded
from streams.telemetry.recorded import Point, Recorded, TooManyPoints, Wanted


def wanted(trip: TripEnded, rider_id: str = "ann") -> Wanted:
    return Wanted(tenant="acme", rider_id=rider_id, started_at=trip.started_at, ended_at=trip.ended_at)


def recorded(ann: RidingAlong, trip: TripEnded, most: int = 10_000, first: int = 0) -> Recorded:
    found = Recorded(wanted(trip), ann.aside, most)
    found.take(ann.log[first:])
    return found


def seconds(points: list[Point]) -> list[float]:
    return [(point.observed_at - NOON).total_seconds() for point in points]


def within(trip: TripEnded, *rows: Row) -> list[float]:
    """When those rows were that are the trip's."""
    since, until = ((at - NOON).total_seconds() for at in (trip.started_at, trip.ended_at))
    return [row[0] for row in rows if since <= row[0] <= until]


def only_trip(ann: RidingAlong) -> TripEnded:
    [trip] = of_kind([draft.event for draft in ann.told], TripEnded)
    return trip


def test_a_trips_points_are_its_fixes_from_the_first_to_the_last():
    ann = RidingAlong()
    rows = *stand(0, 60), *drive(65, 200, 10, from_m=10), *stand(210, 600, 1_400)
    ann.tells(*rows)
    found = recorded(ann, trip := only_trip(ann))
    assert found.is_whole
    assert seconds(found.points) == within(trip, *rows)
    assert len(found.points) > 25
    assert (found.points[3].speed_mps, found.points[3].accuracy_m) == (10.0, None)
    assert (found.points[3].lat - 60.17) * 111_195 == pytest.approx(10 * seconds(found.points)[3] - 640, abs=1)


def by_steps_m(points: list[Point], least_m: float = 20.0) -> float:
    """As the documentation says that metres are counted."""
    metres, since = 0.0, points[0]
    for point in points[1:]:
        step_m = abs(point.lat - since.lat) / METRE  # all of them are on one meridian
        if step_m >= least_m or point is points[-1]:
            metres, since = metres + step_m, point
    return metres


@pytest.mark.parametrize(
    "rows",
    [
        (*stand(0, 60), (70, 45), *drive(75, 200, 10, from_m=100), *stand(210, 600, 1_400)),
        ((0, 0), (10, 40), (20, 100), (30, 60), (40, 140), (50, 90), *drive(60, 100, 10, 200), *stand(110, 600, 700)),
    ],
    ids=["off from where they stood last", "about before they leave"],
)
def test_a_trips_metres_and_places_are_those_of_its_points(rows: tuple[Row, ...]):
    ann = RidingAlong()
    ann.tells(*rows)
    trip = only_trip(ann)
    points = recorded(ann, trip).points
    assert trip.metres == pytest.approx(by_steps_m(points), abs=1)
    assert trip.places is not None
    places = trip.places.value
    assert (places.start.lat, places.end.lat) == (points[0].lat, points[-1].lat)


def test_what_was_put_aside_and_what_another_device_told_is_none_of_it():
    ann = RidingAlong()
    rows = *drive(0, 100, 10), *drive(105, 200, 10, from_m=1_050), *stand(210, 600, 2_000)
    ann.tells(*rows[:21])
    ann.tells((52, 40, 1.0), device="tracker")
    ann.tells((103, 1_030, 10.0), mock=True)
    ann.tells((104, 1_040, 10.0), accuracy_m=250.0)
    ann.tells(*rows[21:])
    ann.tells((152, 1_500, 10.0), late_s=600)
    trip = only_trip(ann)
    assert seconds(recorded(ann, trip).points) == within(trip, *rows), "nor what came late"


def test_other_riders_and_tenants_in_the_same_frames_are_passed_over():
    ann = RidingAlong()
    rows = *drive(0, 200, 10), *stand(210, 600, 2_000)
    for row in rows:
        held = [HeldFix("phone", "ann", fix(row)), HeldFix("other", "annabel", fix((row[0] + 1, row[1])))]
        ann.frames(held, held[-1].fix.observed_at)
    trip = next(draft.event for draft in ann.told if draft.rider_id == "ann")
    assert isinstance(trip, TripEnded)
    assert seconds(recorded(ann, trip).points) == within(trip, *rows)
    foreign = Recorded(Wanted(tenant="other", rider_id="ann", started_at=NOON, ended_at=trip.ended_at), (), 100)
    foreign.take(ann.log)
    assert not foreign.points


def test_where_retention_has_taken_the_beginning_it_is_not_whole():
    ann = RidingAlong()
    ann.tells(*drive(0, 60, 10))
    ann.tells(*drive(65, 200, 10, from_m=650), *stand(210, 600, 2_000))
    assert not recorded(ann, only_trip(ann), first=1).is_whole


def test_a_trip_of_too_many_points_is_given_up():
    ann = RidingAlong()
    ann.tells(*drive(0, 200, 10), *stand(210, 600, 2_000))
    with pytest.raises(TooManyPoints):
        recorded(ann, only_trip(ann), most=10)


rides = st.lists(
    st.tuples(
        st.integers(1, 400), st.integers(-300, 300), st.sampled_from(["phone", "phone", "tracker"]), st.booleans()
    ),
    min_size=5,
    max_size=80,
)


@given(rides, st.integers(0, 60))
def test_whatever_was_told_of_trips_their_points_are_there(steps: list[Any], late_s: int):
    """Of any ride with two devices, silences, strays and fixes that come late."""
    ann = RidingAlong()
    second, metres = 0, 0
    for gap, north, device, mock in steps:
        second, metres = second + gap, metres + north
        ann.tells((second, metres, 5.0), device=device, mock=mock and gap % 5 == 0)
        if late_s and gap % 7 == 0:
            ann.tells((second - gap / 2, metres, 5.0), device=device, late_s=late_s)
    ann.tells(*stand(second + 30, second + 900, metres))
    for trip in of_kind([draft.event for draft in ann.told], TripEnded):
        assert recorded(ann, trip).is_whole
