"""What is odd about a rider's way is told once when it is sure, and again when it is over; trips, when they are."""

import re
from collections.abc import Sequence
from datetime import timedelta
from itertools import batched
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from riding_along import HOME, METRE, NOON, RidingAlong, drive, fix, of_kind, stand, stop, straight

from schemas.anomaly_rules import AnomalyRules
from schemas.fixes import HeldFix
from schemas.message import Event
from schemas.signals import ANOMALIES, AnomalyCleared, AnomalyDetected, TripEnded
from streams.telemetry import anomalies, trips
from streams.telemetry.found import Draft
from streams.telemetry.rider import Rider, kept, restored


def at_s(moment: Any) -> float:
    return (moment - NOON).total_seconds()


def anomalies_in(events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """(kind, when) of each that is told, (kind, when, why) of each that is over."""
    return [
        (event.kind, at_s(event.at)) if isinstance(event, AnomalyDetected) else (event.kind, at_s(event.at), event.why)
        for event in events
        if isinstance(event, (AnomalyDetected, AnomalyCleared))
    ]


def told(ann: RidingAlong, *rows: Any, **more: Any) -> list[tuple[Any, ...]]:
    return anomalies_in(ann.tells(*rows, **more))


def test_the_docs_name_every_kind_and_every_rule_at_its_default():
    page = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text()
    section = page.partition("## What is odd")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \| ", section, re.MULTILINE)) == sorted(ANOMALIES)
    for name, default in msgspec.structs.asdict(AnomalyRules()).items():
        assert f"`{name}` ({default})" in section


# Speed


def test_who_is_too_fast_for_long_enough_is_told_once_and_again_when_it_is_over():
    ann = RidingAlong()
    assert told(ann, *drive(0, 5, 40)) == [], "not for long enough"
    assert told(ann, *drive(10, 60, 40, from_m=400)) == [("speeding", 10.0)]
    assert told(ann, *drive(65, 85, 30, from_m=2_600)) == [], "too soon to say"
    assert told(ann, *drive(90, 120, 30, from_m=3_400)) == [("speeding", 90.0, "quiet")]


def test_the_evidence_is_where_it_began_and_where_it_was_sure_and_it_is_the_riders():
    ann = RidingAlong()
    [event] = of_kind(ann.tells(*drive(0, 10, 40)), AnomalyDetected)
    assert (event.limit, event.measured, at_s(event.since), at_s(event.at)) == (36.0, 40.0, 0.0, 10.0)
    assert event.evidence is not None
    assert event.evidence.subject == "ann"
    assert [(at_s(seen.at), seen.speed_mps) for seen in event.evidence.value or []] == [(0.0, 40.0), (10.0, 40.0)]


def test_one_fix_that_is_too_fast_is_nothing():
    assert told(RidingAlong(), (0, 0, 20.0), (12, 240, 60.0), (24, 480, 20.0), (36, 720, 60.0), (48, 960, 20.0)) == []


def test_of_a_device_that_tells_no_speed_it_is_reckoned_from_its_places():
    rows = [(step * 5, step * 5 * 45) for step in range(10)]
    assert told(RidingAlong(), *rows) == [("speeding", 20.0)]
    assert told(RidingAlong(), *[(step * 5, step * 5 * 30) for step in range(10)]) == []
    assert told(RidingAlong(), *rows, accuracy_m=100.0) == [], "what it does not know of its places counts for it"


def test_one_place_that_is_wrong_is_no_speed_there_and_back():
    assert told(RidingAlong(), (0, 0), (15, 100), (30, 900), (45, 200), (60, 300)) == []


def test_a_tenant_says_what_is_too_fast():
    rules = AnomalyRules(speeding_mps=10, speeding_seconds=0)
    assert told(RidingAlong(rules), *drive(0, 5, 11)) == [("speeding", 0.0)]


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        ([(0, 0, 15.0), (2, 25, 8.0)], []),
        ([(0, 0, 15.0), (2, 25, 6.0)], ["hard_braking"]),
        ([(0, 0, 5.0), (2, 15, 11.0)], []),
        ([(0, 0, 5.0), (2, 15, 13.0)], ["hard_acceleration"]),
        ([(0, 0, 30.0), (1, 15, 5.0)], []),
        ([(0, 0, 30.0), (11, 200, 0.0)], []),
        ([(0, 0, 15.0), (0.1, 2, 5.0)], []),
        ([(0, 0), (2, 25, 6.0)], []),
    ],
    ids=[
        "gentle braking",
        "hard braking",
        "gentle acceleration",
        "hard acceleration",
        "no wheels do that",
        "too far apart",
        "too close together",
        "from an unknown speed",
    ],
)
def test_speeds_that_change_fast_are_told(rows: Any, kinds: list[str]):
    assert [kind for kind, *_ in told(RidingAlong(), *rows)] == kinds


# Standing


def test_standing_with_a_stop_ahead_and_none_near_is_idling_then_a_prolonged_stop_until_the_rider_moves():
    ann = RidingAlong(AnomalyRules(late_departure_minutes=1_000))
    ann.has_ahead(stop(3_000))
    assert told(ann, *stand(0, 2_400)) == [("idling", 600.0), ("prolonged_stop", 1_800.0)]
    assert told(ann, (2_430, 60, 2.0)) == [("idling", 2_430.0, "moved"), ("prolonged_stop", 2_430.0, "moved")]


def test_at_a_stop_it_is_work_for_half_an_hour():
    ann = RidingAlong()
    ann.has_ahead(stop(100))
    assert told(ann, *stand(0, 2_400)) == [("prolonged_stop", 1_800.0)]


def test_who_has_nothing_ahead_may_stand_as_long_as_they_like():
    ann, stops = RidingAlong(AnomalyRules(late_departure_minutes=1_000)), stop(3_000)
    assert told(ann, *stand(0, 3_600)) == []
    ann.has_ahead(stops, at_s=3_600)
    assert told(ann, *stand(3_630, 4_170)) == [], "it counts from then"
    assert told(ann, *stand(4_200, 4_230)) == [("idling", 4_200.0)]
    ann.is_done(stops, at_s=4_240)
    assert told(ann, *stand(4_260, 4_290)) == [("idling", 4_260.0, "nothing_ahead")]


def test_who_is_on_a_break_may_stand_too():
    ann = RidingAlong()
    ann.has_ahead(stop(3_000))
    ann.takes_a_break(10)
    assert told(ann, *stand(0, 3_600)) == []


def test_what_was_between_two_fixes_far_apart_nobody_knows():
    ann = RidingAlong(AnomalyRules(late_departure_minutes=1_000))
    ann.has_ahead(stop(3_000))
    assert told(ann, *stand(0, 660)) == [("idling", 600.0)]
    assert told(ann, (3_000, 0, 0.0)) == [("idling", 3_000.0, "unheard")]


# Strays


def test_strays_in_a_row_are_an_anomaly_until_ten_quiet_minutes():
    ann = RidingAlong()
    ann.tells((0, 0, 0.0))
    assert told(ann, (1, 50_000), (2, -50_000)) == []
    assert told(ann, (3, 60_000)) == [("gps_jump", 3.0)]
    assert told(ann, *stand(10, 590)) == []
    assert told(ann, *stand(610, 640)) == [("gps_jump", 610.0, "quiet")]


def test_a_stray_that_is_sent_again_is_one_stray():
    ann = RidingAlong()
    ann.tells((0, 0, 0.0))
    assert told(ann, (1, 50_000)) + told(ann, (1, 50_000)) + told(ann, (1, 50_000)) == []


def test_places_that_an_app_has_set_are_an_anomaly_when_there_are_some():
    assert told(RidingAlong(), (1, 0), (2, 0), (3, 0), mock=True) == [("suspected_spoof", 3.0)]
    ann = RidingAlong()
    assert [told(ann, (minute * 60, 0), mock=True) for minute in (0, 6, 12)] == [[], [], []], "too far apart"


# The way to the stop


def test_who_leaves_the_way_by_more_than_the_rules_say_is_told_until_they_are_back():
    ann = RidingAlong()
    ann.has_ahead(stop(9_000))
    ann.route = straight(9_000)
    away = [(step * 30, step * 300.0, 10.0) for step in range(5)]
    assert told(ann, *away, east_m=400) == []
    assert told(ann, (150, 1_500, 10.0), east_m=600) == [("route_deviation", 150.0)]
    assert told(ann, (180, 1_800, 10.0), east_m=300) == [], "not yet back"
    assert told(ann, (210, 2_100, 10.0), east_m=200) == [("route_deviation", 210.0, "on_route")]


def test_a_way_that_was_asked_for_since_takes_nobody_back_to_the_one_they_left():
    ann = RidingAlong()
    ann.has_ahead(stop(9_000))
    ann.route = straight(9_000)
    away = [(step * 30, step * 300.0, 10.0) for step in range(5)]
    assert told(ann, *away, (150, 1_500, 10.0), east_m=600) == [("route_deviation", 0.0)]
    from_here = msgspec.structs.replace(
        straight(9_000), lon=ann.route.lon + 600 / 55_660, asked_ms=round(NOON.timestamp() * 1000) + 160_000
    )
    ann.route = from_here
    assert told(ann, (180, 1_800, 10.0), (240, 2_400, 10.0), east_m=600) == []
    ann.is_done(stop(9_000), 250)
    [over] = told(ann, (270, 2_700, 10.0), east_m=600)
    assert over[::2] == ("route_deviation", "nothing_ahead")


def test_a_way_that_no_street_was_asked_for_is_not_deviated_from():
    ann = RidingAlong()
    ann.has_ahead(stop(9_000))
    ann.route = straight(9_000, "great_circle")
    assert told(ann, *[(step * 30, step * 300.0, 10.0) for step in range(9)], east_m=2_000) == []


def test_who_does_not_set_out_in_time_is_told_until_they_come_nearer():
    ann = RidingAlong(AnomalyRules(idling_minutes=1_000, prolonged_stop_minutes=1_000))
    ann.has_ahead(stop(3_000), at_s=60)
    assert told(ann, *stand(0, 930)) == []
    assert told(ann, *stand(960, 1_200)) == [("late_departure", 960.0)]
    assert told(ann, *drive(1_230, 1_260, 10, every_s=30)) == [("late_departure", 1_260.0, "departed")]


def test_a_window_that_opens_later_is_waited_for():
    ann = RidingAlong(AnomalyRules(idling_minutes=1_000, prolonged_stop_minutes=1_000))
    ann.has_ahead(stop(3_000, opens_s=1_800))
    assert told(ann, *stand(0, 2_670)) == []
    assert told(ann, *stand(2_700, 2_730)) == [("late_departure", 2_700.0)]


def test_the_next_stop_has_its_own_time():
    ann, first = RidingAlong(AnomalyRules(idling_minutes=1_000, prolonged_stop_minutes=1_000)), stop(3_000)
    ann.has_ahead(first, stop(6_000, "stop-2"))
    assert told(ann, *stand(0, 930)) == [("late_departure", 900.0)]
    ann.is_done(first, at_s=940)
    assert told(ann, *stand(960, 1_830)) == [("late_departure", 960.0, "other_stop")]
    assert told(ann, *stand(1_860, 1_890)) == [("late_departure", 1_860.0)]


# Once, in order, within bounds


def braking(minute: float) -> list[tuple[float, float, float]]:
    return [(minute * 60, 0, 15.0), (minute * 60 + 2, 20, 5.0)]


def test_so_many_of_a_kind_are_told_in_an_hour():
    ann = RidingAlong(AnomalyRules(most_an_hour=2, hard_acceleration_mps2=12.0))
    kinds = [len(of_kind(ann.tells(*braking(minute)), AnomalyDetected)) for minute in (0, 5, 10, 20, 59, 61, 66)]
    assert kinds == [1, 1, 0, 0, 0, 1, 1]


def test_what_stands_is_not_told_again():
    ann = RidingAlong()
    first, second = ann.tells(*braking(0)), ann.tells(*braking(0.5))
    assert [len(of_kind(events, AnomalyDetected)) for events in (first, second)] == [1, 0]


def test_a_fix_that_comes_late_is_passed_over():
    ann = RidingAlong()
    assert told(ann, (0, 0, 15.0), (10, 100, 15.0)) == []
    assert told(ann, (2, 20, 5.0)) == []


def test_a_clock_that_is_far_ahead_keeps_nothing_away():
    ann = RidingAlong(future_s=3_600)
    assert told(ann, (400, 0, 15.0), late_s=-400) == []
    assert told(ann, *braking(1)) == [("hard_braking", 62.0)]


def test_of_two_devices_the_one_that_tells_is_followed():
    ann = RidingAlong()
    assert told(ann, (0, 0, 15.0)) == []
    assert told(ann, (2, 0, 2.0), device="tracker") == [], "no braking"
    ann.tells((130, 0, 2.0), device="tracker")
    assert ann.partition.riders["acme", "ann"].watch.device == "tracker"


def test_simulated_couriers_are_no_anomaly():
    assert RidingAlong(source="/logistics/test/processes").tells(*braking(0), *stand(60, 900)) == []


rows = st.lists(
    st.tuples(st.integers(0, 3_000), st.integers(-400, 400), st.sampled_from([0.0, 5.0, 15.0, 45.0])),
    max_size=60,
    unique_by=lambda row: row[0],
)


@settings(deadline=None)
@given(rows, st.integers(1, 20))
def test_however_the_fixes_fall_into_fetches_the_same_is_told(given: list[Any], at_once: int):
    together, apart = RidingAlong(), RidingAlong()
    given = sorted(given)
    for run in batched(given, at_once, strict=False):
        together.tells(*run)
    for row in given:
        apart.tells(row)
    assert without_order(together.told) == without_order(apart.told)


def without_order(told: Sequence[Draft]) -> dict[str, Draft]:
    """A frame's strays are looked at before its fixes: what they lead to may be told before what was earlier."""
    return {draft.event_id: without_cause(draft) for draft in told}


def without_cause(draft: Draft) -> Draft:
    return msgspec.structs.replace(draft, cause="")


def test_every_signal_has_an_id_of_its_own_that_is_the_same_when_it_is_told_again():
    ids = []
    for _ in range(2):
        ann = RidingAlong()
        ann.has_ahead(stop(9_000))
        ann.tells(*drive(0, 60, 40), *stand(90, 2_400, 2_400), *drive(2_430, 2_500, 40, from_m=2_400))
        ids.append([draft.event_id for draft in ann.told])
    assert len(ids[0]) > 4
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(ids[0])


def test_what_the_log_says_of_an_anomaly_is_remembered_as_it_was_told():
    first = RidingAlong()
    first.tells(*drive(0, 10, 40))
    again = RidingAlong()
    for draft in first.told:
        anomalies.remember(again.partition.rider(("acme", "ann")).watch, draft)
    assert told(again, *drive(0, 60, 40)) == [], "it stands"
    [over] = of_kind(again.tells(*drive(70, 120, 20, from_m=2_400)), AnomalyCleared)
    assert over.anomaly_id == first.told[0].event_id


def test_what_stood_before_a_crash_and_was_over_in_what_was_lost_is_told_no_second_time():
    ann = RidingAlong()
    fast = [(second, 45.0 * second, 45.0) for second in range(0, 30, 5)]
    assert [kind for kind, _ in told(ann, *fast)] == ["speeding"]
    state = kept(ann.partition.riders["acme", "ann"])
    lost = [(35, 45.0 * 35, 45.0), *((second, 1_600 + 10.0 * second, 10.0) for second in range(40, 120, 5))]
    before = len(ann.told)
    ann.tells(*lost)
    on_the_log = ann.told[before:]
    assert [type(draft.event).__name__ for draft in on_the_log if "Anomaly" in type(draft.event).__name__]
    ann.partition.riders["acme", "ann"] = again = restored(state)
    for draft in on_the_log:
        anomalies.remember(again.watch, draft)
    before = len(ann.told)
    ann.tells(*lost)
    assert {draft.event_id for draft in ann.told[before:]} <= {draft.event_id for draft in on_the_log}


def test_who_falls_silent_has_nothing_the_matter_any_more():
    ann = RidingAlong()
    assert [kind for kind, *_ in told(ann, (0, 0, 20.0), (1, 15, 12.0))] == ["hard_braking"]
    assert told(ann, (2, 27, 12.0), late_s=2) == []
    held = [HeldFix("other", "bob", fix((4_000, 0)))]
    events = ann.frames(held, NOON + timedelta(seconds=4_001))
    assert [(event.kind, event.why) for event in of_kind(events, AnomalyCleared)] == [("hard_braking", "unheard")]


def test_a_state_that_another_release_kept_begins_anew():
    for other in ([{}, {}], [{"phone": [1, 2]}, {}, []], "no state"):
        assert restored(msgspec.msgpack.encode(other)).watch == Rider().watch
    assert restored(b"no state").watch == Rider().watch


# Trips


def trips_in(events: Sequence[Event]) -> list[TripEnded]:
    return of_kind(events, TripEnded)


def test_a_trip_is_from_where_the_rider_had_stood_to_where_they_stand_again():
    ann = RidingAlong()
    assert trips_in(ann.tells(*stand(0, 600), *drive(630, 1_230, 10), *stand(1_260, 1_530, 6_000))) == []
    [trip] = trips_in(ann.tells(*stand(1_560, 1_800, 6_000)))
    assert (at_s(trip.started_at), trip.why) == (630.0, "stood")
    assert at_s(trip.ended_at) == pytest.approx(1_230.0, abs=60), "she may have stood before, within fifty metres"
    assert trip.metres == pytest.approx(6_000, rel=0.02)
    assert (trip.moving_s, trip.idle_s, trip.stops) == (at_s(trip.ended_at) - 630, 0, 0)
    places = trip.places and trip.places.value
    assert places is not None
    assert (places.start.lat, places.end.lat) == pytest.approx((60.17, 60.17 + 6_000 / 111_195), abs=0.0005)


def test_a_short_stop_on_the_way_is_counted():
    ann = RidingAlong()
    ann.tells(*drive(0, 300, 10), *stand(310, 490, 3_000), *drive(500, 800, 10, from_m=3_000))
    [trip] = trips_in(ann.tells(*stand(830, 1_230, 6_000)))
    assert (trip.stops, trip.metres) == (1, pytest.approx(6_000, rel=0.02))
    assert trip.idle_s == pytest.approx(200, abs=15)
    [waited] = trip.places.value.stops if trip.places and trip.places.value else []
    assert (waited.until - waited.since).total_seconds() == trip.idle_s
    assert (waited.lat - HOME.lat) / METRE == pytest.approx(3_000, abs=60)
    assert trip.moving_s + trip.idle_s == (trip.ended_at - trip.started_at).total_seconds()


def test_a_trip_names_the_one_vehicle_that_the_rider_had_when_it_began():
    ann = RidingAlong()
    ann.has_vehicle("van-1")
    ann.tells(*drive(0, 300, 10))
    ann.has_vehicle("van-1", number=2, still=False)
    ann.has_vehicle("van-2")
    [first] = trips_in(ann.tells(*stand(305, 700, 3_000)))
    ann.has_vehicle("van-3")
    [second] = trips_in(ann.tells(*drive(710, 1_010, 10, from_m=3_000), *stand(1_020, 1_400, 6_000)))
    assert (first.vehicle_id, second.vehicle_id) == ("van-1", None), "of two nobody knows which"


def test_of_very_many_stops_the_first_fifty_are_told_one_by_one():
    ann = RidingAlong()
    for number in range(trips.MOST_STOPS + 5):
        ann.tells(*drive(number * 150, number * 150 + 60, 10, from_m=600 * number))
        ann.tells(*stand(number * 150 + 65, number * 150 + 140, 600 * (number + 1), every_s=5))
    [trip] = trips_in(ann.tells(*stand(number * 150 + 145, number * 150 + 600, 600 * (number + 1))))
    places = trip.places and trip.places.value
    assert places is not None
    assert trip.stops == trips.MOST_STOPS + 4, "where it ended is no stop on the way"
    assert len(places.stops) == trips.MOST_STOPS


def test_who_strolls_about_where_they_stand_is_on_no_trip():
    ann = RidingAlong()
    rows = [(minute * 60, 120.0 * (minute % 2), 1.0) for minute in range(60)]
    assert trips_in(ann.tells(*rows)) == []


def test_what_a_device_wavers_where_it_stands_is_no_way():
    ann = RidingAlong()
    ann.tells(*drive(0, 100, 10))
    [trip] = trips_in(ann.tells(*[(110 + n, 1_000 + 15.0 * (n % 2), 0.0) for n in range(400)]))
    assert trip.metres == pytest.approx(1_000, abs=30)


def test_after_long_silence_the_trip_is_over_where_it_was_seen_last():
    ann = RidingAlong()
    ann.tells(*drive(0, 300, 10))
    [trip] = trips_in(ann.tells((300 + trips.GONE_MS / 1000, 9_000, 10.0)))
    assert (at_s(trip.ended_at), trip.why) == (300.0, "unheard")


def test_of_whom_nothing_comes_any_more_the_trip_is_told_when_others_are_heard():
    ann = RidingAlong()
    ann.tells(*drive(0, 300, 10))

    def bob_tells(minute: float) -> list[Event]:
        at = NOON + timedelta(minutes=minute)
        return ann.frames([HeldFix("other", "bob", fix((minute * 60, 0)))], at)

    assert trips_in(bob_tells(60)) == []
    [trip] = trips_in(bob_tells(70))
    assert ann.told[-1].rider_id == "ann"
    assert (at_s(trip.ended_at), trip.why) == (300.0, "unheard")
    assert trips_in(bob_tells(140)) == []


def test_a_leap_to_another_place_is_no_way_that_was_driven():
    ann = RidingAlong()
    ann.tells(*drive(0, 100, 10))
    assert told(ann, *drive(105, 205, 10, from_m=80_000)) == [], "three strays that agree are believed"
    [trip] = trips_in(ann.tells(*stand(210, 600, 81_000)))
    assert trip.metres == pytest.approx(1_900, abs=50)


def test_what_is_walked_about_where_a_trip_has_ended_is_none_of_its_metres():
    ann = RidingAlong()
    ann.tells(*drive(0, 300, 10))
    about = [(305 + 5 * step, 3_060 + 24.0 * (step % 2), 5.0) for step in range(100)]
    [trip] = trips_in(ann.tells(*about))
    assert trip.places is not None
    assert trip.places.value is not None
    end_m = (trip.places.value.end.lat - HOME.lat) / METRE
    assert trip.metres == pytest.approx(end_m, abs=1), "as far as the place where it ended"
    [later] = trips_in(ann.tells(*drive(810, 1_110, 10, from_m=3_060), *stand(1_120, 1_500, 6_060)))
    assert later.metres == pytest.approx(3_000, abs=60), "and of the next one neither"


def test_who_stood_long_enough_has_arrived_whenever_it_was_looked():
    ann = RidingAlong()
    ann.tells(*drive(0, 305, 10))
    stood = [(second, 3_060.0, 0.0) for second in (320, 335, 600, 625)]
    assert trips_in(ann.tells(*stood)) == [], "it is looked every thirty seconds"
    [trip] = trips_in(ann.tells(*drive(640, 700, 10, from_m=3_200)))
    assert (at_s(trip.ended_at), trip.why) == (320.0, "stood")


def silence_in_the_middle(ann: RidingAlong, *minutes: float) -> None:
    """What others tell meanwhile, so many minutes after noon."""
    for minute in minutes:
        at = NOON + timedelta(minutes=minute)
        ann.frames([HeldFix("other", "bob", fix((minute * 60, 0)))], at)


def test_what_comes_after_an_hour_of_silence_is_another_trip_though_its_fixes_were_kept_meanwhile():
    ann = RidingAlong()
    ann.tells(*drive(0, 300, 10))
    kept_back = [*drive(305, 900, 10, from_m=3_050), *stand(905, 1_300, 9_000)]
    first, second = trips_in(ann.tells(*kept_back, late_s=trips.HEARD_MS / 1000))
    assert (at_s(first.ended_at), first.why) == (300.0, "unheard")
    assert (at_s(second.started_at), second.why) == (305.0, "stood")
    assert first.metres + second.metres == pytest.approx(9_000, abs=100)


def test_a_trip_that_was_told_before_a_crash_is_over_when_its_fixes_are_folded_again():
    """The sweep that told it came between two frames; with the memory gone, it comes between others."""
    ann = RidingAlong()
    ann.tells(*drive(0, 300, 10))
    silence_in_the_middle(ann, 64.4)
    state = kept(ann.partition.riders["acme", "ann"])

    def lost() -> list[Draft]:
        before = len(ann.told)
        silence_in_the_middle(ann, 64.6, 65.5)
        ann.tells(*drive(305, 900, 10, from_m=3_050), late_s=2_995)  # by a clock that lags
        ann.tells(*stand(905, 1_300, 9_000), late_s=2_995)
        return [draft for draft in ann.told[before:] if isinstance(draft.event, TripEnded)]

    on_the_log = lost()
    assert len(on_the_log) == 2
    ann.partition.riders["acme", "ann"] = again = restored(state)
    ann.partition.swept_ms = 0
    for draft in on_the_log:
        anomalies.remember(again.watch, draft)
    told_again = [without_cause(draft) for draft in lost()]
    assert told_again == [without_cause(draft) for draft in on_the_log[1:]], (
        "the first is over, and nothing is left of it"
    )
