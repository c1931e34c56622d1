"""A tenant's providers in their order: who is dead, used up or wrong is passed over, and the answer says so."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import httpx
import numpy as np
import pytest
from prometheus_client import REGISTRY
from story import ACME, NOON

from schemas.geo import Location, distance_m
from schemas.provider_config import Capability, ProviderName
from streams.routing import budgets as budgeting
from streams.routing import chain as chaining
from streams.routing import kept as keeping
from streams.routing.budgets import Budget, Budgets, CountedHere, Taken
from streams.routing.chain import Chain, Entry, NobodyKnows
from streams.routing.circuit import LONGEST_REST_S, Circuit
from streams.routing.great_circle import DETOUR, SPEED_MPS, haversine_m
from streams.routing.kept import DECIMALS, Kept
from streams.routing.legs import Leg, Stretch, way_through
from streams.routing.measured import Passed
from streams.routing.polyline import MOST_CHARACTERS, decoded
from streams.routing.provider import Candidate, Cost, Provider
from streams.routing.routers import RouterSaysNo
from streams.routing.tiling import MOST_TILES, Grids, Limits, tile_of, tiled, tiles
from streams.routing.wire import NotAdmitted, QuotaUsedUp, SecretMissing
from streams.telemetry.eta import Way

HERE = Location(lat=60.17, lon=24.94)
THERE = Location(lat=60.18, lon=24.95)
PATIENT_S = 20.0
"""Where nobody is silent nothing is to hang on how fast this machine is."""


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


class Scripted(Provider):
    """Tells the seconds it is given, unless it has something else to say."""

    def __init__(self, name: ProviderName = "osrm", seconds: float = 100.0) -> None:
        self.name = name
        self.at = name
        self.seconds = seconds
        self.says: Exception | None = None
        self.hangs = False
        self.missing = False
        self.one = Limits()
        self.begun = asyncio.Event()
        self.asked: list[tuple[int, int]] = []

    @property
    def limits(self) -> Limits:
        return self.one

    def ready(self) -> None:
        if self.missing:
            raise SecretMissing("env:TOKEN", "is not set")

    async def said(self) -> None:
        self.begun.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.says is not None:
            raise self.says

    async def tile(self, origins: Sequence[Location], goals: Sequence[Location], departing: datetime | None) -> Grids:
        self.asked.append((len(origins), len(goals)))
        await self.said()
        return np.full((len(origins), len(goals)), self.seconds), np.full((len(origins), len(goals)), 500.0)

    async def route(self, places: Sequence[Location]) -> Way:
        self.asked.append((len(places), 1))
        await self.said()
        return way_through([Leg([Stretch([(a.lat, a.lon) for a in places], 1, 1)], self.seconds, 500)], self.name)

    async def geocode(self, text: str) -> list[Candidate]:
        self.asked.append((1, 1))
        await self.said()
        return [] if text == "nowhere" else [Candidate(HERE, text, 0.97)]


ALL: frozenset[Capability] = frozenset({"matrix", "route", "match", "geocode"})


class Asked:
    """Providers in their order, and what they are asked."""

    def __init__(self, *providers: Scripted, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.providers = providers
        self.budgets: Budgets = CountedHere()
        self.bounds = [Budget() for _ in providers]
        self.can = [ALL for _ in providers]
        self.timeouts_s: list[float | None] = [None for _ in providers]
        self.within_s, self.keeps_s, self.opens_after = PATIENT_S, 0.0, 3
        self.day = date(2026, 3, 2)
        self.kept = Kept(self.clock)
        self._chain: Chain | None = None

    @property
    def chain(self) -> Chain:
        if self._chain is None:
            entries = [
                Entry(provider, Circuit(self.opens_after, 30, self.clock), can, bound, timeout_s, (ACME, provider.at))
                for provider, can, bound, timeout_s in zip(
                    self.providers, self.can, self.bounds, self.timeouts_s, strict=True
                )
            ]
            self._chain = Chain(
                ACME,
                entries,
                within_s=self.within_s,
                keeps_s=self.keeps_s,
                budgets=self.budgets,
                kept=self.kept,
                day=lambda: self.day,
            )
        return self._chain

    async def pair(self, origin: Location = HERE, goal: Location = THERE) -> tuple[str, list[tuple[str, str]]]:
        told = await self.chain.matrix([origin], [goal])
        return told.source, [(each.provider, each.why) for each in told.passed]


async def test_the_first_that_answers_is_believed_and_no_other_is_asked():
    first, second = Scripted("osrm"), Scripted("mapbox")
    assert await Asked(first, second).pair() == ("osrm", [])
    assert second.asked == []


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (RouterSaysNo("NoSegment"), "no_way"),
        (QuotaUsedUp(None), "quota"),
        (NotAdmitted("status 401"), "refused"),
        (ValueError("no JSON"), "wrong"),
        (KeyError("durations"), "wrong"),
        (httpx.ConnectError("nobody there"), "gone"),
    ],
)
async def test_who_does_not_answer_is_passed_over_and_that_is_told(says, why):
    first, second = Scripted("valhalla"), Scripted("google")
    first.says = says
    assert await Asked(first, second).pair() == ("google", [("valhalla", why)])


async def test_the_great_circle_is_last_and_is_named():
    first, second = Scripted("valhalla"), Scripted("mapbox")
    first.says, second.missing = ValueError(), True
    told = await Asked(first, second).chain.matrix([HERE, THERE], [THERE])
    assert told.source == "great_circle"
    assert told.passed == (Passed("valhalla", "wrong"), Passed("mapbox", "no_credentials"))
    np.testing.assert_allclose(told.metres[:, 0], [distance_m(HERE, THERE) * DETOUR, 0])
    np.testing.assert_allclose(told.seconds, told.metres / SPEED_MPS)


async def test_a_way_falls_back_to_the_great_circle_too():
    first = Scripted("mapbox")
    asked = Asked(first)
    assert (await asked.chain.way([HERE, THERE])).source == "mapbox"
    first.says = ValueError()
    assert (await asked.chain.way([HERE, THERE])).source == "great_circle"


async def test_a_way_through_more_places_than_one_takes_is_asked_of_the_next():
    first, second = Scripted("valhalla"), Scripted("google")
    first.most_places = 2
    first.says = ValueError()
    asked = Asked(first, second)
    asked.opens_after, asked.bounds = 1, [Budget(requests=1), Budget()]
    for _ in range(2):
        assert (await asked.chain.way([HERE, THERE, HERE])).source == "google"
    assert first.asked == []
    assert (await asked.pair())[1] == [("valhalla", "wrong")], "nothing was taken of its budget"


async def test_a_matrix_of_more_requests_than_anybody_waits_for_is_asked_of_the_next():
    first, second = Scripted("mapbox"), Scripted("osrm")
    first.one = Limits(pairs=1)
    told = await Asked(first, second).chain.matrix([HERE] * (MOST_TILES + 1), [THERE])
    assert (told.source, told.passed, first.asked) == ("osrm", (Passed("mapbox", "too_large"),), [])


async def test_who_is_asked_too_much_at_once_is_passed_over_without_waiting(monkeypatch):
    monkeypatch.setattr(chaining, "MOST_AT_ONCE", 1)
    first, second = Scripted("osrm"), Scripted("mapbox")
    first.hangs = True
    asked = Asked(first, second)
    waiting = asyncio.create_task(asked.pair())
    await first.begun.wait()
    assert await asked.pair() == ("mapbox", [("osrm", "busy")])
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_who_cannot_do_it_or_is_not_set_for_it_is_not_asked():
    first, second = Scripted("osrm"), Scripted("mapbox")
    asked = Asked(first, second)
    asked.can = [frozenset({"route"}), ALL]
    assert await asked.pair() == ("mapbox", [])
    assert (await asked.chain.way([HERE, THERE])).source == "osrm"


async def test_nobody_to_match_a_trace_is_said():
    asked = Asked(Scripted("google"))
    asked.can = [frozenset({"matrix"})]
    with pytest.raises(NobodyKnows, match="nobody can be asked"):
        await asked.chain.match([])


async def test_an_address_that_the_first_does_not_know_is_asked_of_the_next():
    first, second = Scripted("mapbox"), Scripted("google")
    asked = Asked(first, second)
    found = await asked.chain.geocode("Satamakatu 2")
    assert (found.source, found.candidates[0].confidence) == ("mapbox", 0.97)
    nowhere = await asked.chain.geocode("nowhere")
    assert (nowhere.source, list(nowhere.candidates)) == (None, [])
    assert [each.why for each in nowhere.passed] == ["no_way", "no_way"]


# Time


async def test_who_is_silent_has_a_share_of_the_time_and_the_next_has_the_rest():
    first, second = Scripted("osrm"), Scripted("mapbox")
    first.hangs = True
    asked = Asked(first, second)
    asked.within_s = 0.2
    assert await asked.pair() == ("mapbox", [("osrm", "silent")])


async def test_a_provider_may_have_less_time_than_its_share():
    first, second = Scripted("osrm"), Scripted("mapbox")
    first.hangs = True
    asked = Asked(first, second)
    asked.timeouts_s = [0.05, None]
    assert await asked.pair() == ("mapbox", [("osrm", "silent")])


# Circuits


async def test_after_failures_in_a_row_it_is_not_asked_until_it_has_rested():
    first, second = Scripted("osrm"), Scripted("mapbox")
    first.says = ValueError()
    asked = Asked(first, second)
    whys = [(await asked.pair())[1][0][1] for _ in range(5)]
    assert (whys, len(first.asked)) == (["wrong"] * 3 + ["circuit_open"] * 2, 3)
    asked.clock.s, first.says = 30, None
    assert await asked.pair() == ("osrm", [])


async def test_a_failure_between_answers_opens_nothing():
    first, second = Scripted("osrm"), Scripted("mapbox")
    asked = Asked(first, second)
    for says in [ValueError(), ValueError(), None] * 3:
        first.says = says
        await asked.pair()
    assert len(first.asked) == 9


async def test_that_there_is_no_way_opens_nothing():
    first = Scripted("osrm")
    first.says = RouterSaysNo("NoRoute")
    asked = Asked(first, Scripted("mapbox"))
    for _ in range(9):
        await asked.pair()
    assert len(first.asked) == 9


async def test_one_that_fails_when_it_is_tried_rests_again_at_once():
    first, second = Scripted("osrm"), Scripted("mapbox")
    first.says = ValueError()
    asked = Asked(first, second)
    for at_s in (0, 0, 0, 30, 31, 59, 60):
        asked.clock.s = at_s
        await asked.pair()
    assert len(first.asked) == 5


async def test_while_one_request_tries_it_the_others_pass_it_over():
    first, second = Scripted("osrm"), Scripted("mapbox")
    first.says = ValueError()
    asked = Asked(first, second)
    for _ in range(3):
        await asked.pair()
    asked.clock.s, first.says, first.hangs = 30, None, True
    trying = asyncio.create_task(asked.pair())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await asked.pair() == ("mapbox", [("osrm", "circuit_open")])
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    first.hangs = False
    assert await asked.pair() == ("osrm", []), "who was cut off while trying tells nothing of it"


async def test_a_quota_rests_as_long_as_it_says():
    first, second = Scripted("mapbox"), Scripted("osrm")
    first.says = QuotaUsedUp(3_600)
    asked = Asked(first, second)
    assert await asked.pair() == ("osrm", [("mapbox", "quota")])
    first.says = None
    for at_s, source in ((3_599, "osrm"), (3_600, "mapbox")):
        asked.clock.s = at_s
        assert (await asked.pair())[0] == source


async def test_no_rest_is_longer_than_a_day():
    clock = Clock()
    circuit = Circuit(1, 30, clock)
    circuit.opens_for(float("inf"))
    clock.s = LONGEST_REST_S
    assert circuit.lets_through()


async def test_a_refused_secret_is_not_tried_again_at_once():
    first, second = Scripted("google"), Scripted("osrm")
    first.says = NotAdmitted("status 403")
    asked = Asked(first, second)
    assert [(await asked.pair())[1][0][1] for _ in range(2)] == ["refused", "circuit_open"]


# Budgets


async def test_a_budget_that_is_used_up_leaves_the_next_to_be_asked_until_the_day_is_over():
    first, second = Scripted("mapbox"), Scripted("osrm")
    asked = Asked(first, second)
    asked.bounds = [Budget(requests=2), Budget()]
    found = [await asked.pair() for _ in range(3)]
    assert found == [("mapbox", []), ("mapbox", []), ("osrm", [("mapbox", "budget_used_up")])]
    asked.day += timedelta(days=1)
    assert await asked.pair() == ("mapbox", [])


async def test_elements_are_the_pairs_of_a_matrix_and_are_taken_all_or_none():
    first, second = Scripted("mapbox"), Scripted("osrm")
    asked = Asked(first, second)
    asked.bounds = [Budget(elements=7), Budget()]
    for rows, source in ((2, "mapbox"), (2, "osrm"), (1, "mapbox"), (1, "osrm")):
        assert (await asked.chain.matrix([HERE] * rows, [THERE] * 2 if rows == 2 else [THERE] * 3)).source == source


async def test_a_budget_of_nothing_is_never_asked():
    first = Scripted("google")
    asked = Asked(first)
    asked.bounds = [Budget(requests=0)]
    assert await asked.pair() == ("great_circle", [("google", "budget_used_up")])
    assert first.asked == []


class Lost:
    async def take(self, tenant: str, provider: str, day: date, cost: Cost, budget: Budget) -> Taken:
        return "unknown"


async def test_where_nobody_counts_what_costs_money_is_not_asked():
    first, second = Scripted("mapbox"), Scripted("osrm")
    asked = Asked(first, second)
    asked.bounds, asked.budgets = [Budget(requests=9), Budget()], Lost()
    assert await asked.pair() == ("osrm", [("mapbox", "budget_unknown")])


async def test_so_many_are_counted_by_one_process(monkeypatch):
    monkeypatch.setattr(budgeting, "MOST_COUNTED", 2)
    counted, day = CountedHere(), date(2026, 3, 2)
    for tenant in ("a", "b", "c"):
        assert await counted.take(tenant, "mapbox", day, Cost(1, 1), Budget(requests=1)) == "taken"
    told = [await counted.take(t, "mapbox", day, Cost(1, 1), Budget(requests=1)) for t in ("c", "b", "a")]
    assert told == ["used_up", "used_up", "taken"]


# What is kept


async def test_what_was_told_a_moment_ago_is_not_asked_again():
    first = Scripted("mapbox")
    asked = Asked(first)
    asked.keeps_s, asked.bounds = 300, [Budget(requests=1)]
    near = Location(lat=HERE.lat + 0.4 * 10**-DECIMALS, lon=HERE.lon)
    assert [await asked.pair(), await asked.pair(near)] == [("mapbox", []), ("mapbox", [])]
    asked.clock.s = 300
    assert (await asked.pair())[0] == "great_circle", "it is too old, and the budget is used up"


async def test_only_what_is_not_known_is_asked_for():
    first = Scripted("mapbox")
    asked = Asked(first)
    asked.keeps_s = 300
    others = [Location(lat=60.2 + n / 100, lon=24.9) for n in range(3)]
    await asked.chain.matrix(others[:2], [HERE])
    first.seconds = 50.0
    told = await asked.chain.matrix(others, [HERE])
    assert (told.seconds[:, 0].tolist(), first.asked) == ([100, 100, 50], [(2, 1), (1, 1)])


async def test_a_dead_provider_still_tells_what_is_kept_of_it():
    first = Scripted("mapbox")
    asked = Asked(first)
    asked.keeps_s, asked.opens_after = 300, 1
    await asked.pair()
    first.says = ValueError()
    assert (await asked.pair(THERE, HERE))[0] == "great_circle"
    assert await asked.pair() == ("mapbox", [])


async def test_what_terms_do_not_allow_to_be_kept_is_not_kept():
    first = Scripted("google")
    first.keeps = False
    asked = Asked(first)
    asked.keeps_s = 300
    await asked.pair()
    await asked.pair()
    assert len(first.asked) == 2


async def test_so_many_pairs_are_kept_and_what_nobody_asked_for_the_longest_goes(monkeypatch):
    monkeypatch.setattr(keeping, "MOST_PAIRS", 2)
    first = Scripted("osrm")
    asked = Asked(first)
    asked.keeps_s = 300
    a, b, c = (Location(lat=60 + n / 100, lon=24.9) for n in range(3))
    for origin in (a, b, a, c):
        await asked.pair(origin)
    assert (len(asked.kept), len(first.asked)) == (2, 3)
    await asked.pair(a)
    assert len(first.asked) == 3
    await asked.pair(b)
    assert len(first.asked) == 4


async def test_departures_of_another_quarter_of_an_hour_are_kept_apart():
    first = Scripted("google")
    first.heeds = lambda departing: departing  # type: ignore[method-assign]
    asked = Asked(first)
    asked.keeps_s = 300
    for minutes in (0, 14, 15):
        await asked.chain.matrix([HERE], [THERE], NOON + timedelta(minutes=minutes))
    assert len(first.asked) == 2


async def test_hits_and_misses_are_counted():
    def counted(outcome: str) -> float:
        return REGISTRY.get_sample_value("logistics_routing_kept_total", {"outcome": outcome}) or 0

    asked = Asked(Scripted("osrm"))
    asked.keeps_s = 300
    before = counted("hit"), counted("miss")
    await asked.chain.matrix([HERE], [THERE, HERE])
    await asked.chain.matrix([HERE], [THERE, HERE])
    assert (counted("hit") - before[0], counted("miss") - before[1]) == (2, 2)


# Matrices, lines and legs


async def test_a_matrix_of_nobody_is_empty():
    told = await Asked(Scripted("osrm")).chain.matrix([], [HERE])
    assert told.seconds.shape == (0, 1)


def test_the_great_circle_of_a_grid_is_that_of_each_pair():
    places = [Location(lat=lat, lon=lon) for lat, lon in ((60.17, 24.94), (-33.9, 151.2), (0.0, -179.9))]
    expected = [[distance_m(a, b) for b in places] for a in places]
    np.testing.assert_allclose(haversine_m(places, places), expected, rtol=1e-9, atol=1e-3)


@pytest.mark.parametrize(
    ("rows", "columns", "limits", "count"),
    [
        (24, 1, Limits(places=25), 1),
        (25, 1, Limits(places=25), 2),
        (1, 49, Limits(places=25), 3),
        (12, 13, Limits(places=25), 1),
        (50, 50, Limits(pairs=625), 4),
        (1_000, 1, Limits(pairs=625), 2),
        (3, 3, Limits(), 1),
    ],
)
def test_tiles_are_as_few_as_fit_and_cover_each_pair_once(rows, columns, limits, count):
    covered = np.zeros((rows, columns), int)
    found = tiles(rows, columns, limits)
    for across, down in found:
        covered[across, down] += 1
        height, width = covered[across, down].shape
        assert height + width <= limits.places
        assert height * width <= limits.pairs
    assert (len(found), covered.min(), covered.max()) == (count, 1, 1)


async def test_a_matrix_of_too_many_tiles_is_not_asked_for():
    most = tile_of(30, 3, Limits(pairs=1))
    assert most == (1, 1)
    with pytest.raises(RouterSaysNo, match="TooManyPairs"):
        await tiled([HERE] * (MOST_TILES + 1), [THERE], Limits(pairs=1), never)


async def never(rows: Sequence[Location], columns: Sequence[Location]) -> Grids:
    raise AssertionError("nobody is to ask")


async def test_a_tile_that_fails_fails_the_matrix_as_it_failed():
    async def ask(rows: Sequence[Location], columns: Sequence[Location]) -> Grids:
        raise QuotaUsedUp(5)

    with pytest.raises(QuotaUsedUp):
        await tiled([HERE] * 3, [THERE], Limits(pairs=1), ask)


async def test_where_one_tile_is_off_the_map_the_others_are_told():
    async def ask(rows: Sequence[Location], columns: Sequence[Location]) -> Grids:
        if off.intersection(columns):
            raise RouterSaysNo("OffTheMap")
        return np.ones((len(rows), len(columns))), np.full((len(rows), len(columns)), 7.0)

    off = {THERE}
    seconds, metres = await tiled([HERE] * 2, [HERE, THERE], Limits(pairs=1), ask)
    np.testing.assert_array_equal(seconds, [[1, np.nan]] * 2)
    np.testing.assert_array_equal(metres, [[7, np.nan]] * 2)
    off = {HERE, THERE}
    with pytest.raises(RouterSaysNo, match="OffTheMap"):
        await tiled([HERE] * 2, [HERE, THERE], Limits(pairs=1), ask)


def test_a_line_is_read_as_it_is_described():
    """The example of Google's description of its lines."""
    assert decoded("_p~iF~ps|U_ulLnnqC_mqNvxq`@", 5) == [(38.5, -120.2), (40.7, -120.95), (43.252, -126.453)]


@pytest.mark.parametrize(
    "line", ["_p~iF", "_p~iF~ps|", "\x00", "_p~iF~ps|U é", "~" * 30 + "?" + "?", "?" * (MOST_CHARACTERS + 1)]
)
def test_what_is_no_line_is_not_read(line):
    with pytest.raises(ValueError, match="a line"):
        decoded(line, 5)


def test_a_leg_that_goes_nowhere_is_a_stop_all_the_same():
    leg = Leg([Stretch([(60.17, 24.94)], 0, 0)], 0, 0)
    on = Leg([Stretch([(60.17, 24.94), (60.18, 24.94)], 0, 0)], 60, 1_112)
    way = way_through([leg, on], "valhalla")
    assert (list(way.stops), way.seconds.tolist()) == ([1, 2], [0, 0, 60])


def test_a_way_without_anything_to_go_along_is_none():
    for legs in ([], [Leg([], 1, 1)]):
        with pytest.raises(ValueError, match="without"):
            way_through(legs, "google")
