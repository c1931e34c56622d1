"""`logistics recompute eta`: what was foretold, beside what the model that stands now would have foretold."""

import csv
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr
from ride import Ride, folded, streaming
from world import HOME, KEK, PARTITIONS, World, now

from infra import cli
from infra.recompute import facts
from infra.recompute.anomalies import reconsidered
from infra.recompute.asked import Asked
from infra.recompute.eta import COLUMNS, in_words, reckoned
from infra.recompute.facts import Fact
from infra.recompute.forecasts import Errors, Forecasts, Stood, stood
from infra.recompute.rules_file import AS_THEY_WERE, OtherRules
from infra.recompute.world import Coming
from infra.settings import Settings, WrongSetting, load_settings
from projections.models import MODELS
from projections.tables import migrate
from schemas.geo import Location
from schemas.message import Event, RiderId, Source, StopId, TaskId, TenantSlug
from schemas.signals import EtaForecast, EtaThresholdReached
from schemas.stop_events import StopArrived
from streams.telemetry.arrivals import Arrivals
from streams.telemetry.found import Draft
from streams.telemetry.moments import moment

ACME = TenantSlug("acme")
MINUTE = 60_000


def draft(event: Event, minute: float) -> Draft:
    return Draft(
        event_id="s", tenant=ACME, rider_id="ann", event=event, at=moment(round(minute * MINUTE)), cause="fix/phone@0"
    )


def foretold(minute: float, p50: float, model: str = "factor-1") -> Draft:
    at = moment(round(p50 * MINUTE))
    told = EtaForecast(
        task_id=TaskId("t-1"),
        stop_id=StopId("stop-2"),
        p10=at,
        p50=at,
        p90=at,
        remaining_m=100,
        model=model,
        source="osrm",
        ahead_since=at,
    )
    return draft(told, minute)


def late(minute: float, by_s: int) -> Draft:
    told = EtaThresholdReached(
        task_id=TaskId("t-1"),
        stop_id=StopId("stop-2"),
        threshold="late",
        late_by_s=by_s,
        p50=moment(0),
        window_end=moment(0),
        ahead_since=moment(0),
    )
    return draft(told, minute)


def side(*drafts: Draft, since: float = 0, until: float = 1_000) -> Forecasts:
    made = Forecasts(round(since * MINUTE), round(until * MINUTE))
    for each in drafts:
        made.take(each)
    return made


def held(recorded: Forecasts, recomputed: Forecasts, arrivals: Arrivals | None = None) -> list[Stood]:
    return stood(ACME, recorded, recomputed, arrivals or Arrivals())


def arrived(minute: float) -> Arrivals:
    arrivals = Arrivals()
    at = moment(round(minute * MINUTE))
    source = Source(
        event_id="e",
        tenant=ACME,
        outlet=None,
        aggregate_id="t-1",
        version=1,
        event_time=at,
        recorded_at=at,
        actor="ann",
        command_id="c",
        correlation_id="c",
        topic="logistics.task",
        partition=0,
        offset=0,
    )
    came = StopArrived(
        stop_id=StopId("stop-2"), rider_id=RiderId("ann"), fix=None, distance_m=None, override_reason=None, late=False
    )
    arrivals.take(came, source)
    return arrivals


def test_at_each_moment_at_which_either_told_it_is_compared_what_stood():
    found = held(side(foretold(1, 20), foretold(5, 25)), side(foretold(1, 20), foretold(3, 22)))
    assert [(each.at_ms // MINUTE, each.outcome, each.moved_s) for each in found] == [
        (1, "both", 0.0),
        (3, "moved", 120.0),
        (5, "moved", -180.0),
    ]


def test_before_a_side_has_told_and_long_after_it_has_nothing_stands_there():
    found = held(side(foretold(1, 200), foretold(90, 200)), side(foretold(100, 200)))
    assert [each.outcome for each in found] == ["only_recorded", "only_recorded", "both"]
    found = held(side(foretold(1, 200)), side(foretold(62, 200)))
    assert [each.outcome for each in found] == ["only_recorded", "only_recomputed"]


def test_what_was_told_before_the_time_that_is_asked_for_still_stands():
    found = held(
        side(foretold(1, 20), since=5), side(foretold(1, 30), foretold(6, 30), foretold(9, 40), since=5, until=9)
    )
    assert [(each.at_ms // MINUTE, each.moved_s) for each in found] == [(6, 600.0)]


def test_errors_are_of_the_moments_at_which_both_had_foretold_and_the_rider_came_later():
    errors = Errors()
    for each in held(side(foretold(1, 20), foretold(15, 16)), side(foretold(2, 12), foretold(15, 16)), arrived(10)):
        errors.take(each)
    assert (errors.moments, errors.recorded_s, errors.recomputed_s) == (1, 600.0, 120.0)
    assert (Errors().recorded_s, Errors().recomputed_s) == (None, None)


def test_thresholds_are_told_apart_by_how_late():
    of = ("ann", "t-1", "stop-2")
    assert side(late(1, 0), late(2, 900), late(0, 0), since=1).thresholds == [
        Fact((*of, "late"), MINUTE),
        Fact((*of, "late by 900 s"), 2 * MINUTE),
    ]


def test_more_forecasts_than_memory_is_meant_for_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(facts, "MOST_FACTS", 1)
    with pytest.raises(WrongSetting, match="ask for less time at once"):
        side(foretold(1, 20), foretold(2, 20))


def test_wrong_input_is_told_before_anything_is_asked(tmp_path: Path):
    words = "recompute eta --tenant acme --from 2026-03-02T00:00:00 --to 2026-03-03T00:00:00Z --data"
    with pytest.raises(WrongSetting, match="its offset from UTC is missing"):
        cli.app([*words.split(), str(tmp_path)], standalone_mode=False)


class Record:
    def __init__(self, at_ms: int) -> None:
        self.timestamp = at_ms


async def fetches(*of: tuple[int, ...]) -> AsyncIterator[list[Any]]:
    for times in of:
        yield [Record(at_ms) for at_ms in times]


async def test_what_was_written_later_is_not_known_yet():
    coming = Coming(fetches((1, 2), (3, 5), (7,)))
    known = [[r.timestamp for r in await coming.up_to(at_ms)] for at_ms in (0, 3, 4, 6, 9, 10)]
    assert known == [[], [1, 2, 3], [], [5], [7], []]


# On a log


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[AsyncConnectionPool[Any]]:
    async with AsyncConnectionPool(postgres, min_size=1, max_size=6, open=False) as pool:
        async with pool.connection() as connection:
            await migrate(connection, MODELS.values())
        yield pool


@pytest.fixture
def settings(world: World, postgres: str, osrm: str) -> Settings:
    return load_settings(
        kafka=world.kafka,
        postgres=SecretStr(postgres),
        osrm=osrm,
        cluster=world.cluster,
        partitions=PARTITIONS,
        key_encryption_key=SecretStr(KEK.hex()),
    )


async def test_with_the_same_model_it_is_foretold_as_it_was_and_by_other_ways_otherwise(
    world, settings, pool, tmp_path
):
    ride = Ride(world, await world.owner())
    await ride.begin()
    await ride.give_a_stop()
    async with streaming(settings, pool) as streams:
        for minute, north in ((30.05, 0.0), (31.1, 0.0), (32.2, 0.001), (36.0, 0.003)):
            await ride.tell(ride.fix(minute, Location(lat=HOME.lat + north, lon=HOME.lon)), received_at=ride.at(minute))
            await folded(streams, ride)
    whole = Asked(tenant=world.tenant, since=now() - timedelta(hours=1), until=now() + timedelta(hours=1))
    told = await reckoned(settings, whole)
    assert told.forecasts["both"] == sum(told.forecasts.values()) == len(await ride.forecasts()) > 0
    assert told.thresholds["both"] == sum(told.thresholds.values())
    assert (told.model, told.by_router, told.fixes) == ("factor-1", True, 4)
    out = tmp_path / "told.csv"
    flown = await reckoned(
        settings.model_copy(update={"osrm": ""}),
        Asked(tenant=world.tenant, since=whole.since, until=whole.until, out=out),
    )
    assert flown.forecasts["moved"] > 0
    assert "all ways are those of the great circle" in " ".join(in_words(flown))
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == sum(flown.forecasts.values()) + sum(flown.thresholds.values())
    odd = await reconsidered(settings, whole, AS_THEY_WERE)
    assert (odd.outcomes["both"], odd.by_router, odd.fixes) == (sum(odd.outcomes.values()), True, 4)
    stricter = await reconsidered(settings, whole, OtherRules({"late_departure_minutes": 1}, {}))
    [late_departure] = [each for each in stricter.by_kind if each.kind == "late_departure" and each.told == "detected"]
    assert late_departure.outcomes["only_recomputed"] == 1, "the stop was ahead of the rider then"


async def test_only_fixes_of_the_time_that_is_asked_for_are_counted_and_when_the_first_came_in_is_told(
    world, settings, pool
):
    ride = Ride(world, await world.owner())
    await ride.begin()
    await ride.give_a_stop()
    parted = []
    async with streaming(settings, pool) as streams:
        for minute in (30.05, 31.1, 32.2):
            parted.append(now())
            await ride.tell(ride.fix(minute, HOME), received_at=ride.at(minute))
            await folded(streams, ride)
    hour = timedelta(hours=1)
    for since, until, fixes in (
        (parted[0] - hour, parted[1], 1),
        (parted[1], parted[2], 1),
        (parted[1], parted[2] + hour, 2),
        (parted[0] - hour, parted[0], 0),
    ):
        told = await reckoned(settings, Asked(tenant=world.tenant, since=since, until=until))
        assert told.fixes == fixes
        assert (told.first_came_in_at is None) == (fixes == 0)
        if told.first_came_in_at is not None:
            assert since <= told.first_came_in_at < until
            assert f"the first of them came in at {told.first_came_in_at.isoformat()}" in in_words(told)
