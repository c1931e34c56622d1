"""The ways of a simulated courier: where they are between two stops, and when."""

from datetime import timedelta

from story import KAMPPI, NOON, UP_NORTH, minutes

from schemas.geo import Location, distance_m
from streams.routing.great_circle import straight
from streams.simulated_ways import FARTHEST_M, FIX_EVERY_S, MOST_FIXES, Arrival, Leg, Seen, fixes, legs

HOME = Location(lat=60.1610, lon=24.9420)
TOKYO = Location(lat=35.68, lon=139.69)


def arrival(minute: float, place: Location = HOME, way_s: int = 60) -> Arrival:
    return Arrival(minutes(minute), place, way_s)


def ways(seen: Seen | None, *arrivals: Arrival) -> list[Leg]:
    return list(legs("courier-1", seen, arrivals))


def places(leg: Leg, until: float, after: float | None = None) -> list[tuple[float, int]]:
    """Of each fix the minute, and the metres that are left to the stop."""
    told = fixes(leg, straight([leg.start, leg.goal]), None if after is None else minutes(after), minutes(until))
    return [
        ((fix.observed_at - NOON) / timedelta(minutes=1), round(distance_m(Location(lat=fix.lat, lon=fix.lon), HOME)))
        for fix in told
    ]


AT_KAMPPI = Seen(NOON, KAMPPI)
[TO_HOME] = ways(AT_KAMPPI, arrival(2))


def test_they_rest_where_they_are_until_it_is_time_to_go():
    assert (TO_HOME.begins, TO_HOME.ends) == (minutes(1), minutes(2))
    assert (TO_HOME.start, TO_HOME.goal) == (KAMPPI, HOME)
    assert places(TO_HOME, until=1) == []


def test_on_the_way_a_fix_comes_every_few_seconds_and_the_last_is_at_the_stop():
    told = places(TO_HOME, until=5)
    assert len(told) == 60 / FIX_EVERY_S
    assert [left for _, left in told] == sorted((left for _, left in told), reverse=True)
    assert told[-1] == (2.0, 0)
    assert abs(told[5][1] * 2 - distance_m(KAMPPI, HOME)) < 2, "half of it is behind them by half of the time"


def test_what_was_told_is_not_told_again():
    assert places(TO_HOME, until=1.5) + places(TO_HOME, until=5, after=1.5) == places(TO_HOME, until=5)
    assert places(TO_HOME, until=5, after=2) == []


def test_a_long_way_has_so_many_fixes_and_no_more():
    [long] = ways(AT_KAMPPI, arrival(2_000, way_s=86_400))
    assert len(places(long, until=2_000)) == MOST_FIXES


def test_a_way_that_takes_a_second_is_told_at_its_end():
    [short] = ways(AT_KAMPPI, arrival(2, way_s=1))
    assert places(short, until=5) == [(2.0, 0)]


def test_one_way_follows_the_other_in_order_of_their_ends():
    first, second = ways(AT_KAMPPI, arrival(4, HOME), arrival(2, UP_NORTH))
    assert (first.goal, second.start, second.goal) == (UP_NORTH, UP_NORTH, HOME)
    assert (first.ends, second.begins) == (minutes(2), minutes(3))


def test_two_stops_that_are_due_soon_after_another_leave_no_time_to_rest():
    first, second = ways(AT_KAMPPI, arrival(2, UP_NORTH), arrival(2.25, HOME))
    assert (first.ends, second.begins, second.ends) == (minutes(2), minutes(2), minutes(2.25))


def test_what_they_have_come_to_before_they_were_seen_is_behind_them():
    assert ways(Seen(minutes(2), HOME), arrival(2), arrival(1)) == []


def test_who_was_seen_nowhere_or_far_off_comes_from_near():
    for seen in (None, Seen(NOON, TOKYO)):
        [leg] = ways(seen, arrival(2))
        assert 300 < distance_m(leg.start, HOME) < 1_500 < FARTHEST_M
        assert leg == ways(seen, arrival(2))[0], "always the same way"


def test_a_fix_tells_how_fast_and_where_to():
    told = fixes(TO_HOME, straight([KAMPPI, HOME]), None, minutes(5))
    assert told[0].bearing_deg is not None
    assert 90 < told[0].bearing_deg < 180, "to the south-east"
    assert told[0].speed_mps is not None
    assert 10 < told[0].speed_mps < 40
    assert told[-1].speed_mps == 0.0
