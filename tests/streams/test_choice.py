"""Who is chosen for a task, where its stops go on their itinerary, and why nobody else: from a record, again and again."""

from collections import Counter
from datetime import timedelta
from itertools import combinations
from random import Random
from struct import pack
from typing import Any

import numpy as np
import pytest
from choosing import KM_S, Straight, asked, best, chosen, crowd, delivery, km, rider, rules, stop, why_not
from msgspec.structs import replace
from one_insertion import insertion
from story import ACME, NOON, minutes

from schemas.dispatch_rules import VehicleCost
from schemas.geo import Location
from schemas.itinerary import Placed
from schemas.load import Capacity, Load
from schemas.message import TenantSlug
from schemas.tender import MAX_CANDIDATES, MAX_EXCLUDED
from schemas.vehicle_fitness import VehicleFitness
from streams.dispatch.choice import choose
from streams.dispatch.insertion import Insertion, Looking, insertions
from streams.dispatch.known import Seen
from streams.dispatch.orders import MOST_ORDERS, orders_of
from streams.dispatch.question import Ways, record_of, recorded
from streams.dispatch.shortlist import LOOKED_AT_CLOSELY
from streams.dispatch.ways import KEPT_FOR_S, AskedWays, KnownLegs, Way, order_of
from streams.routing.great_circle import straight_matrix
from streams.routing.measured import Measured

NEAR, FAR = rider("near", km(1)), rider("zfar", km(2))
HERE = delivery(km(0), km(-1))


def parcel(grams: int) -> Load:
    return Load(weight_g=grams, parcels=1)


def unloaded(grams: int) -> Load:
    return Load(weight_g=-grams, parcels=-1)


# What a score is made of


async def test_the_nearer_is_the_better():
    opening = await chosen([FAR, NEAR], HERE)
    assert [(each.rider_id, each.rank) for each in opening.candidates] == [("near", 1), ("zfar", 2)]
    [first, _] = opening.candidates
    assert first.parts is not None
    assert first.parts.travel_s == pytest.approx(KM_S, abs=0.2)
    assert first.parts.detour_s == pytest.approx(2 * KM_S, abs=0.2)
    assert first.score == pytest.approx(first.parts.travel_s + first.parts.detour_s)
    assert first.ends_at == NOON + timedelta(seconds=round(2 * KM_S))


async def test_of_equals_the_one_whose_id_comes_first():
    assert await best([rider("bob", km(1)), rider("ann", km(1))], HERE) == "ann"


ON_THE_WAY = rider("on-the-way", km(3), (stop("other", "dropoff"), km(-4)))
"""Farther than `near`, but passes by both stops."""


@pytest.mark.parametrize(
    ("weights", "winner"),
    [({"travel": 1, "detour": 0}, "near"), ({"travel": 0, "detour": 1}, "on-the-way")],
)
async def test_travel_and_detour_each_make_another_win(weights: dict[str, float], winner: str):
    assert await best([NEAR, ON_THE_WAY], HERE, rules(weights=weights)) == winner


async def test_lateness_makes_another_win():
    """Near has goods that are due in five minutes where they go, the other way."""
    promised = rider("promised", km(0.5), (stop("other", "dropoff", closes=5), km(1.5)))
    riders, task = [promised, FAR], delivery(km(0), km(-1), closes=16)
    assert await best(riders, task, rules(weights={"lateness": 0, "detour": 0})) == "promised"
    assert await best(riders, task, rules(weights={"lateness": 10, "detour": 0})) == "zfar"


async def test_balance_makes_another_win():
    busy = rider("busy", km(1), tasks=3)
    assert await best([busy, FAR], HERE) == "busy"
    assert await best([busy, FAR], HERE, rules(weights={"balance": 1_000})) == "zfar"


async def test_cost_makes_another_win():
    van, bicycle = rider("van", km(1), vehicle="van"), rider("wheels", km(2), vehicle="bicycle")
    costs = [VehicleCost(vehicle="van", per_km=90, per_hour=3_000), VehicleCost(vehicle="bicycle", per_km=5)]
    assert await best([van, bicycle], HERE, rules(costs=costs)) == "van"
    dear = rules(weights={"cost": 5}, costs=costs)
    assert await best([van, bicycle], HERE, dear) == "wheels"
    [first, second] = (await chosen([van, bicycle], HERE, dear)).candidates
    assert first.parts is not None
    assert second.parts is not None
    assert first.parts.cost == pytest.approx(3 * 1.4 * 5, rel=0.01), "three kilometres as the crow flies"
    assert second.parts.cost == pytest.approx(2 * 1.4 * 90 + 2 * KM_S / 3_600 * 3_000, rel=0.01)


async def test_rating_makes_another_win_and_who_has_none_counts_as_the_rules_say():
    bad, good = rider("bad", km(1), rating=3.0), rider("good", km(2), rating=4.9)
    assert await best([bad, good], HERE) == "bad"
    weighty = {"rating": 1_000.0}
    assert await best([bad, good], HERE, rules(weights=weighty)) == "good"
    unrated = rider("unrated", km(1))
    assert await best([unrated, good], HERE, rules(weights=weighty, unrated=4.0)) == "good"
    assert await best([unrated, good], HERE, rules(weights=weighty, unrated=5.0)) == "unrated"


# What shuts out


@pytest.mark.parametrize(
    ("filters", "code"),
    [
        ({"max_distance_m": 999}, "too_far"),
        ({"max_travel_seconds": 233}, "travel_too_long"),
        ({"max_detour_seconds": 466}, "detour_too_long"),
        ({"max_ride_seconds": 233}, "ride_too_long"),
        (
            {"max_distance_m": 1_001, "max_travel_seconds": 234, "max_detour_seconds": 467, "max_ride_seconds": 234},
            None,
        ),
    ],
)
async def test_each_filter_of_the_way_shuts_out_by_its_own_code(filters: dict[str, Any], code: str | None):
    """A kilometre to the pickup, and another to the door."""
    assert await why_not("near", [NEAR], HERE, rules(filters=filters)) == code


async def test_who_would_be_late_is_shut_out_where_the_rules_say_so():
    strict, patient = rules(filters={"max_lateness_seconds": 0}), rules(filters={"max_lateness_seconds": 120})
    seven_minutes = delivery(km(0), km(-1), closes=7)
    assert await why_not("near", [NEAR], seven_minutes) is None
    assert await why_not("near", [NEAR], seven_minutes, strict) == "would_be_late"
    assert await why_not("near", [NEAR], seven_minutes, patient) is None
    assert await why_not("near", [NEAR], delivery(km(0), km(-1), closes=8), strict) is None


async def test_whose_shift_or_hours_end_on_the_way_is_shut_out():
    """It takes seven minutes and three quarters, and the shift must last a quarter of an hour anyway."""
    long = delivery(km(0), km(-10))
    assert await why_not("near", [rider("near", km(1), shift_ends_at=minutes(42))], long) == "shift_ends_too_soon"
    assert await why_not("near", [rider("near", km(1), shift_ends_at=minutes(43))], long) is None
    assert await why_not("near", [rider("near", km(1), hours_end_at=minutes(42))], long) == "hours_exhausted"
    assert await why_not("near", [rider("near", km(1), hours_end_at=minutes(43))], long) is None


async def test_whom_no_way_leads_to_the_task_is_unreachable():
    class Ferry:
        async def matrix(self, tenant: Any, origins: list[Location], goals: list[Location]) -> Measured:
            told = straight_matrix(origins, goals)
            told.seconds[[place == NEAR.here for place in origins]] = float("inf")
            return told

    assert await why_not("near", [NEAR, FAR], HERE, router=Ferry()) == "unreachable"
    assert await best([NEAR, FAR], HERE, router=Ferry()) == "zfar"


# Where it goes on the itinerary


async def placed(seen: Seen, *given: Any, **more: Any) -> list[Placed]:
    return (await chosen([seen], *given, **more)).candidates[0].placed


async def test_what_lies_on_the_way_goes_between():
    both = await placed(ON_THE_WAY, HERE)
    assert [(each.stop_id, each.behind) for each in both] == [
        ("task-1-pickup", None),
        ("task-1-dropoff", stop("task-1", "pickup").ref),
    ]


async def test_what_lies_behind_goes_to_the_end_and_nothing_is_said_of_that():
    passing = rider("ann", km(3), (stop("other", "dropoff"), km(1)))
    assert await placed(passing, HERE) == []


async def test_before_a_locked_stop_and_one_where_the_rider_is_nothing_goes():
    locked = rider("ann", km(3), (stop("other", "dropoff"), km(-4)), locked=True)
    assert await placed(locked, HERE) == []
    there = rider("ann", km(3), (stop("one", "pickup"), km(3.1)), (stop("one", "dropoff"), km(-4)))
    [pickup, _] = await placed(there, HERE)
    assert pickup.behind == stop("one", "pickup").ref


async def test_two_parcels_that_do_not_fit_together_are_carried_one_after_the_other():
    has = rider(
        "ann",
        km(3),
        (stop("one", "pickup", load=parcel(600)), km(2)),
        (stop("one", "dropoff", load=unloaded(600)), km(-4)),
        capacity_g=1_000,
    )
    together = await placed(has, delivery(km(0), km(-1), load=parcel(400)))
    assert next(each.behind for each in together) == stop("one", "pickup").ref
    assert await placed(has, delivery(km(0), km(-1), load=parcel(401))) != together
    assert await why_not("ann", [has], delivery(km(0), km(-1), load=parcel(1_001))) == "over_capacity"


async def test_a_vehicles_volume_binds_along_the_way_too():
    capacity = Capacity(weight_g=9_000, volume_cm3=1_000, parcels=9)
    van = VehicleFitness(
        grounded=False,
        inspection_failed=False,
        maintenance_due=False,
        maintenance_due_at=None,
        capacity=capacity,
        documents=[],
    )
    bulky, gone = Load(volume_cm3=600, parcels=1), Load(volume_cm3=-600, parcels=-1)
    has = rider("ann", km(3), (stop("one", "dropoff", load=gone), km(-4)), vehicles=[van], locked=False)
    opening = await chosen([has], delivery(km(0), km(-1), load=bulky))
    assert opening.candidates[0].placed == [], "six hundred are aboard until the other is dropped"
    assert opening.candidates[0].parts is not None


def test_all_places_are_tried_where_they_are_not_too_many_and_each_once():
    for known, new in [(0, 1), (0, 2), (3, 1), (4, 2), (3, 3)]:
        orders = [tuple(row) for row in orders_of(known, new, 0)]
        assert len(set(orders)) == len(orders) == len(list(combinations(range(known + new), new)))
        for order in orders:
            rest = [number for number in order if number]
            assert [n for n in rest if n <= known] == list(range(1, known + 1))
            assert [n for n in rest if n > known] == list(range(known + 1, known + new + 1))
    for known, new in [(20, 6), (6, 50), (50, 50), (200, 3)]:
        assert 0 < len(orders_of(known, new, 0)) <= MOST_ORDERS


def test_the_best_place_is_that_of_trying_each_by_hand():
    """Against a walk of its own: no table, no numpy."""
    for seed in range(60):
        draw = Random(seed)
        known = [
            (
                stop(f"t{i}", draw.choice(("pickup", "dropoff")), closes=draw.choice((None, draw.uniform(5, 90)))),
                km(draw.uniform(-5, 5), draw.uniform(-5, 5)),
            )
            for i in range(draw.randint(0, 5))
        ]
        seen = rider("ann", km(draw.uniform(-5, 5)), *known)
        task = delivery(
            km(draw.uniform(-5, 5)), km(draw.uniform(-5, 5)), closes=draw.choice((None, 20.0)), service_s=60
        )
        found = by_the_engine(seen, task)
        assert found.score == pytest.approx(by_hand(seen, task), abs=0.5), f"seed {seed}"


def by_the_engine(seen: Seen, task: list[Any]) -> Insertion:
    assert seen.here is not None
    places = [seen.here, *seen.ahead, *(place for _, place in task)]
    told = straight_matrix(places, places)
    ways = Ways.of(told.seconds, told.metres, "great_circle")
    looking = Looking(rider=seen.rider, fit=(), ways=ways, at_first=False)
    [found] = insertions([looking], [each for each, _ in task], rules().dispatch, NOON)
    assert isinstance(found, Insertion)
    return found


def test_of_many_riders_each_is_told_what_they_would_be_alone():
    """To the last bit, whatever binds: windows, room, rides, the end of a shift, ways that there are not."""
    told = Counter[str]()
    for seed in range(150):
        draw = Random(seed)
        strict = rules(
            {
                "max_ride_seconds": draw.choice((None, 900)),
                "max_detour_seconds": draw.choice((None, 1_500)),
                "max_lateness_seconds": draw.choice((None, 300)),
                "max_travel_seconds": draw.choice((None, 600)),
            },
            {"rating": 30.0, "balance": 5.0, "cost": draw.choice((0.0, 0.5))},
            costs=[VehicleCost(vehicle="car", per_hour=1_500, per_km=20)],
        ).dispatch
        closes = draw.choice((None, 20.0))
        task = [stop("new", "pickup", load=parcel(400)), stop("new", "dropoff", closes=closes, load=unloaded(400))]
        looking = [one_of(draw, number, len(task)) for number in range(draw.randint(1, 12))]
        for each, said in zip(looking, insertions(looking, task, strict, NOON), strict=True):
            assert said == insertion(each.rider, each.fit, task, each.ways, strict, each.at_first, NOON), f"seed {seed}"
            told["fits" if isinstance(said, Insertion) else said if isinstance(said, str) else "over_capacity"] += 1
    limits = {"travel_too_long", "detour_too_long", "would_be_late", "ride_too_long", "shift_ends_too_soon"}
    assert told.keys() == {"fits", "unreachable", "over_capacity"} | limits
    assert min(told.values()) > 3


def one_of(draw: Random, number: int, new: int) -> Looking:
    kinds = ("pickup", "dropoff")
    known = [
        (stop(f"t{i // 2}", kinds[i % 2], closes=draw.choice((None, draw.uniform(5, 90)))), km(0))
        for i in range(draw.choice((0, 2, 3, 4)))
    ]
    seen = rider(
        f"r{number}",
        km(0),
        *known,
        capacity_g=draw.choice((100, 100_000, 100_000)),
        shift_ends_at=minutes(draw.choice((40, 480))),
        rating=draw.choice((None, 3.5)),
        locked=draw.random() < 0.2,
    )
    size = 1 + len(known) + new
    seconds = np.array([[draw.uniform(0, 1_200) for _ in range(size)] for _ in range(size)])
    seconds[draw.randrange(size), draw.randrange(size)] = draw.choice((np.nan, 5.0))
    fit = [vehicle(draw.choice((100, 5_000, 5_000))) for _ in range(draw.choice((0, 0, 1, 2)))]
    return Looking(rider=seen.rider, fit=fit, ways=Ways.of(seconds, seconds * 8, "r"), at_first=draw.random() < 0.2)


def vehicle(grams: int) -> VehicleFitness:
    return VehicleFitness(
        grounded=False,
        inspection_failed=False,
        maintenance_due=False,
        maintenance_due_at=None,
        capacity=Capacity(weight_g=grams, volume_cm3=100_000, parcels=3),
        documents=[],
    )


def by_hand(seen: Seen, task: list[Any]) -> float:
    known = list(zip(seen.rider.itinerary, seen.ahead, strict=True))

    def walked(way: list[Any]) -> tuple[float, float, float]:
        at, driven, late, reached, here = 0.0, 0.0, 0.0, 0.0, seen.here
        for each, place in way:
            leg = float(straight_matrix([here], [place]).seconds[0, 0])
            at, driven, here = at + leg, driven + leg, place
            if (each.task_id, each.kind) == ("task-1", "pickup"):
                reached = at
            if each.window is not None:
                late += max(0.0, at - (each.window.end - NOON).total_seconds())
                at = max(at, (each.window.start - NOON).total_seconds())
            at += each.service_seconds
        return driven, late, reached

    base_driven, base_late, _ = walked(known)
    scores = []
    for i in range(len(known) + 1):
        for j in range(i, len(known) + 1):
            driven, late, reached = walked([*known[:i], task[0], *known[i:j], task[1], *known[j:]])
            scores.append(reached + max(0, driven - base_driven) + 2 * max(0, late - base_late))
    return min(scores)


# Who is looked at closely, and what is recorded


async def test_of_many_the_rest_stand_by_columns_in_the_order_of_their_estimates():
    opening = await chosen(crowd(200, 1), HERE)
    assert len(opening.candidates) == LOOKED_AT_CLOSELY <= MAX_CANDIDATES
    assert len(opening.others.rider_ids) == len(opening.others.scores) == 200 - LOOKED_AT_CLOSELY
    assert opening.others.scores == sorted(opening.others.scores)
    assert {each.rider_id for each in opening.candidates}.isdisjoint(opening.others.rider_ids)


async def test_whoever_is_the_best_of_all_is_among_those_who_are_looked_at_closely():
    """Where everybody drives straight on, and nothing is promised for a time: an estimate is a score then."""
    for seed in range(10):
        riders = crowd(60, seed)
        opening = await chosen(riders, HERE)
        alone = [(await chosen([each], HERE)).candidates[0] for each in riders]
        assert opening.candidates[0].score == min(each.score for each in alone)
        estimated = dict(zip(opening.others.rider_ids, opening.others.scores, strict=True))
        exact = {each.rider_id: each.score for each in alone}
        assert all(exact[name] == pytest.approx(score, abs=2.0) for name, score in estimated.items())


async def test_of_more_than_can_be_named_how_many_is_told_by_rule():
    resting = [rider(f"r{number:05}", km(1), on_break=True) for number in range(MAX_EXCLUDED + 3)]
    opening = await chosen([*resting, rider("zoe", km(1), silent=True)], HERE)
    assert len(opening.excluded) == MAX_EXCLUDED
    assert opening.more_excluded == {"on_break": 3, "silent": 1}


async def test_who_comes_after_the_first_fifty_is_among_the_others():
    riders = crowd(60, 4)
    record = await asked(riders, HERE)
    ways = dict(record.ways)
    ways |= await AskedWays(Straight()).between(ACME, riders, [place for _, place in HERE])
    opening = choose(record.question, ways, "")
    assert len(opening.candidates) == MAX_CANDIDATES
    told = {each.rider_id for each in opening.candidates} | set(opening.others.rider_ids)
    assert told == {each.rider.rider_id for each in riders}


async def test_from_its_record_the_same_is_decided_to_the_last_bit():
    record = await asked([*crowd(80, 3), ON_THE_WAY, rider("idle", km(9), on_break=True)], HERE)
    digest, content = recorded(record)
    again = record_of(content)
    assert recorded(again) == (digest, content)
    assert choose(again.question, again.ways, digest) == choose(record.question, record.ways, digest)


async def test_no_place_stands_in_the_record():
    secret = Location(lat=61.23456789, lon=24.87654321)
    here = replace(NEAR, here=Location(lat=61.2, lon=24.8))
    _, content = recorded(await asked([here], [(HERE[0][0], secret), (HERE[1][0], km(0))]))
    for degrees in (61.23456789, 24.87654321, 61.2, 24.8):
        assert pack(">d", degrees) not in content
    assert b"\xa3lat" not in content


async def test_who_is_shut_out_by_a_rule_and_who_by_the_way_stand_in_one_list_by_id():
    away = rider("away", km(0), shift_ends_at=None)
    opening = await chosen([away, FAR, NEAR], HERE, rules(filters={"max_travel_seconds": 300}))
    assert [(each.rider_id, each.code) for each in opening.excluded] == [
        ("away", "off_shift"),
        ("zfar", "travel_too_long"),
    ]


async def test_without_anybody_nobody_is_asked():
    opening = await chosen([], HERE)
    assert (opening.candidates, opening.offers, opening.others.rider_ids) == ([], [], [])


# Which ways a router is asked for


class Counting:
    """Counts the pairs that it is asked for."""

    def __init__(self) -> None:
        self.pairs = 0

    async def matrix(self, tenant: Any, origins: list[Location], goals: list[Location]) -> Measured:
        self.pairs += len(origins) * len(goals)
        told = straight_matrix(origins, goals)
        return Measured(told.seconds, told.metres, "osrm")


async def test_the_ways_between_stops_that_dispatch_itself_has_put_together_are_not_asked_for_again():
    router = Counting()
    asking = AskedWays(router)
    seen, stops = ON_THE_WAY, HERE
    places = [place for _, place in stops]
    first = await asking.between(ACME, [seen], places)
    opening = await chosen([seen], stops)
    asking.remember(ACME, [seen], stops, opening.candidates, first)
    assert order_of(seen, stops, opening.candidates[0].placed) == [2, 3, 1]
    after = rider("on-the-way", km(2.5), *stops, (seen.rider.itinerary[0], seen.ahead[0]))
    before, router.pairs = router.pairs, 0
    again = await asking.between(ACME, [after], [km(5), km(6)])
    assert router.pairs == before + 2 * 2 + 2 * 2, "to and from the two more stops, and nothing along them"
    seconds, _ = again[after.rider.rider_id].grids()
    told = straight_matrix(after.ahead, after.ahead).seconds
    assert [seconds[1, 2], seconds[2, 3]] == [told[0, 1], told[1, 2]]


async def test_ways_that_the_great_circle_told_are_asked_for_again():
    guess = AskedWays(Straight())
    [first] = (await guess.between(ACME, [ON_THE_WAY], [km(0)])).values()
    assert first.source == "great_circle"
    legs, leg = KnownLegs(), (km(0), km(1))
    for source in ("great_circle", "google", "osrm+great_circle"):
        legs.keep(ACME, leg, Way(1, 2, source))
        assert legs.get(ACME, leg) is None
    legs.keep(ACME, leg, Way(float("nan"), 2, "osrm"))
    assert legs.get(ACME, leg) is None, "there may be one that is guessed"


def test_legs_are_a_tenants_own_and_kept_for_an_hour():
    now, leg = 0.0, (km(0), km(1))
    legs = KnownLegs(clock=lambda: now)
    legs.keep(ACME, leg, Way(1, 2, "osrm"))
    assert legs.get(TenantSlug("lumi"), leg) is None
    now = KEPT_FOR_S
    assert legs.get(ACME, leg) == Way(1, 2, "osrm")
    now = KEPT_FOR_S + 1
    assert legs.get(ACME, leg) is None


def test_only_so_many_legs_are_kept_those_that_were_asked_for_last():
    legs = KnownLegs(most=2)
    for number in range(3):
        legs.keep(ACME, (km(number), km(9)), Way(number, number, "osrm"))
        legs.get(ACME, (km(0), km(9)))
    assert [legs.get(ACME, (km(number), km(9))) is not None for number in range(3)] == [True, False, True]


class Mapped:
    """Knows no street near some places."""

    def __init__(self, *unknown: Location) -> None:
        self.unknown = unknown

    async def matrix(self, tenant: Any, origins: list[Location], goals: list[Location]) -> Measured:
        told = straight_matrix(origins, goals)
        for grid in (told.seconds, told.metres):
            grid[[place in self.unknown for place in origins]] = float("nan")
            grid[:, [place in self.unknown for place in goals]] = float("nan")
        return Measured(told.seconds, told.metres, "osrm")


@pytest.mark.parametrize("off", [HERE[0][1], HERE[1][1], km(-4)])
async def test_a_stop_that_no_map_knows_shuts_nobody_out_and_its_ways_are_said_to_be_guessed(off: Location):
    """The shop, the door, and what the rider has to do besides."""
    opening = await chosen([ON_THE_WAY], HERE, router=Mapped(off))
    [only] = opening.candidates
    assert only.source == "great_circle"
    by_the_way = (await chosen([ON_THE_WAY], HERE)).candidates[0]
    assert only.score == by_the_way.score


async def test_who_is_where_no_map_knows_a_street_is_unreachable():
    assert NEAR.here is not None
    assert await why_not("near", [NEAR, FAR], HERE, router=Mapped(NEAR.here)) == "unreachable"
