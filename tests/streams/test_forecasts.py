"""A rider on the way: what is foretold, when it is told, which thresholds it reaches, and how it is scored."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from schemas.geo import Location, Window, distance_m
from schemas.ids import rider_subject
from schemas.load import Load
from schemas.message import Event, Personal, RiderId, Source, StopId, SubjectId, TaskId
from schemas.rider import (
    ItineraryStopsInserted,
    ItineraryStopsRemoved,
    PlannedStop,
    PlannedWindowChanged,
    RiderRegistered,
)
from schemas.signals import EtaForecast, EtaScored, EtaThresholdReached
from schemas.stop_events import DeliveryAttemptFailed, StopArrived
from streams.eta import seen
from streams.eta.journey import COLUMNS, Floats
from streams.eta.model import BY_FACTORS, FACTORS, Model, Told
from streams.telemetry.arrivals import Arrivals
from streams.telemetry.eta import LOOKS_EVERY_MS, Etas, Way
from streams.telemetry.found import Draft, Found, LiveRow
from streams.telemetry.itineraries import Itineraries
from streams.telemetry.partition import Partition
from streams.telemetry.quality import Quality
from streams.telemetry.rider import Rider, kept, restored

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TASK, FIRST, SECOND = TaskId("task-1"), StopId("stop-1"), StopId("stop-2")
ANN = RiderId("ann")
START, SHOP, DOOR = (Location(lat=lat, lon=24.9) for lat in (60.0, 60.03, 60.05))
MPS = 10.0
"""Of the router."""


class Straight:
    """Streets straight to everywhere."""

    async def way(self, places: list[Location]) -> Way:
        metres = np.cumsum([0.0, *(distance_m(a, b) for a, b in pairwise(places))])
        lat, lon = np.array([place.lat for place in places]), np.array([place.lon for place in places])
        return Way(lat, lon, metres / MPS, metres, list(range(1, len(places))), "osrm")


class Flat:
    """A forest of one leaf."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.asked = 0

    def predict(self, rows: Floats) -> Floats:
        self.asked += len(rows)
        return np.full(len(rows), self.value)


def learned(times: float, **more: object) -> Model:
    """A city in which everything takes so many times as long as the router says, a tenth more or less."""
    told = Told(np.array([5.0]), np.array([[-0.1, 0.0, 0.1]]))
    return Model("forest-1", Flat(np.log(times)), Flat(1.0), told, **more)  # type: ignore[arg-type]


class Trip:
    """Ann rides north, to the shop and then to the door."""

    def __init__(self, model: Model | None = None) -> None:
        self.itineraries, self.arrivals = Itineraries(), Arrivals()
        self.model = model or Model(BY_FACTORS)
        self.etas = Etas(self.itineraries, lambda _: Straight(), lambda _: self.model, self.arrivals)
        self.partition = Partition(0, lambda _: None, Quality().rules)  # type: ignore[arg-type, return-value]
        self.partition.riders["acme", ANN] = Rider()
        self.version = 0

    @property
    def rider(self) -> Rider:
        return self.partition.riders["acme", ANN]

    def fact(self, event: Event, aggregate: str = ANN, at: float = 0) -> None:
        source = source_of(aggregate, NOON + timedelta(seconds=at))
        self.itineraries.take(event, source, lambda: event)
        self.arrivals.take(event, source)

    def planned(self, *stops: PlannedStop, at: float = -10) -> "Trip":
        self.version += 1
        self.fact(ItineraryStopsInserted(itinerary_version=self.version, stops=list(stops)), at=at)
        return self

    def gone(self, stop_id: StopId, at: float) -> None:
        self.version += 1
        removed = ItineraryStopsRemoved(
            itinerary_version=self.version, task_id=TASK, stop_ids=[stop_id], reason_code="completed"
        )
        self.fact(removed, at=at)

    def arrived(self, stop_id: StopId, at: float, rider: str | None = ANN) -> None:
        event = StopArrived(
            stop_id=stop_id,
            rider_id=None if rider is None else RiderId(rider),
            fix=None,
            distance_m=None,
            override_reason=None,
            late=False,
        )
        self.fact(event, TASK, at)

    def is_taken_over(self) -> None:
        """By a worker who knows what was kept."""
        self.partition.riders["acme", ANN] = restored(kept(self.rider))
        self.etas = Etas(self.itineraries, lambda _: Straight(), lambda _: self.model, self.arrivals)

    async def fix(self, at: float, north_m: float) -> list[Draft]:
        return await self.etas.of(self.partition, Found(live={("acme", ANN): row_of(ANN, at, north_m)}))


def row_of(rider: str, at: float, north_m: float) -> LiveRow:
    return LiveRow(
        tenant="acme",
        rider_id=rider,
        device_id="phone",
        lat=START.lat + north_m / 111_195,
        lon=START.lon,
        accuracy_m=5.0,
        speed_mps=None,
        bearing_deg=None,
        observed_at=NOON + timedelta(seconds=at),
        received_at=NOON + timedelta(seconds=at),
    )


def source_of(aggregate: str, at: datetime) -> Source:
    fields = dict.fromkeys(Source.__struct_fields__, "")
    return Source(**fields | {"tenant": "acme", "aggregate_id": aggregate, "version": 1, "event_time": at})  # type: ignore[arg-type]


def stop(stop_id: StopId, place: Location, *, window: Window | None = None, service_s: int = 60) -> PlannedStop:
    kind = "pickup" if stop_id == FIRST else "dropoff"
    where = Personal(SubjectId("s"), place)
    return PlannedStop(
        task_id=TASK, stop_id=stop_id, kind=kind, location=where, window=window, service_seconds=service_s, load=Load()
    )


def both(**more: object) -> list[PlannedStop]:
    return [stop(FIRST, SHOP), stop(SECOND, DOOR, **more)]  # type: ignore[arg-type]


def forecasts(drafts: list[Draft]) -> dict[str, EtaForecast]:
    return {draft.event.stop_id: draft.event for draft in drafts if isinstance(draft.event, EtaForecast)}


def of_kind[E: Event](drafts: list[Draft], kind: type[E]) -> list[E]:
    return [draft.event for draft in drafts if isinstance(draft.event, kind)]


def seconds(at: datetime) -> float:
    return (at - NOON).total_seconds()


# What is foretold


async def test_before_anything_is_learned_it_is_the_routers_time_and_fixed_factors():
    told = forecasts(await Trip().planned(stop(FIRST, SHOP)).fix(0, 0))[FIRST]
    by_router = distance_m(START, SHOP) / MPS
    assert [seconds(at) for at in (told.p10, told.p50, told.p90)] == pytest.approx(
        [by_router * f for f in FACTORS], 1e-3
    )
    assert (told.model, told.source, told.remaining_m) == ("factor-1", "osrm", round(distance_m(START, SHOP)))


async def test_what_was_learned_tells_and_the_forecast_names_it():
    told = forecasts(await Trip(learned(2.0)).planned(stop(FIRST, SHOP)).fix(0, 0))[FIRST]
    by_router = distance_m(START, SHOP) / MPS
    assert seconds(told.p50) == pytest.approx(2 * by_router, rel=0.1)
    assert seconds(told.p10) < seconds(told.p50) < seconds(told.p90) < 1.3 * seconds(told.p50)
    assert told.model == "forest-1"


async def test_a_stop_further_on_adds_the_stop_between_and_its_width_grows():
    told = forecasts(await Trip(learned(2.0)).planned(*both()).fix(0, 0))
    drive = distance_m(SHOP, DOOR) / MPS * 2
    assert seconds(told[SECOND].p50) - seconds(told[FIRST].p50) == pytest.approx(60 + drive, rel=0.1)
    widths = [seconds(told[each].p90) - seconds(told[each].p50) for each in (FIRST, SECOND)]
    assert widths[0] < widths[1] < 2 * widths[0], "errors of drives add up as squares"


async def test_how_long_stops_really_take_is_told_too():
    slow = learned(2.0, service_times={("acme", "pickup"): 5.0})
    told, planned = [forecasts(await Trip(each).planned(*both()).fix(0, 0)) for each in (slow, learned(2.0))]
    assert seconds(told[SECOND].p50) - seconds(planned[SECOND].p50) == pytest.approx(240, abs=1)
    assert told[FIRST].p50 == planned[FIRST].p50


async def test_who_comes_before_a_window_begins_waits_for_it():
    late = Window(start=NOON + timedelta(seconds=3_000), end=NOON + timedelta(seconds=4_000))
    stops = [stop(FIRST, SHOP, window=late), stop(SECOND, DOOR)]
    told = forecasts(await Trip(learned(2.0)).planned(*stops).fix(0, 0))
    assert seconds(told[FIRST].p50) < 1_000
    assert seconds(told[SECOND].p50) > 3_060


async def test_a_tenant_and_a_vehicle_that_take_longer_are_known_for_it():
    paces = {("acme", ""): 0.2, ("acme", "bicycle"): 0.3, ("else", ""): 5.0}
    trip = Trip(learned(2.0, paces=paces))
    car = forecasts(await trip.planned(stop(FIRST, SHOP)).fix(0, 0))[FIRST]
    cyclist = Trip(learned(2.0, paces=paces))
    cyclist.fact(registered("bicycle"))
    bicycle = forecasts(await cyclist.planned(stop(FIRST, SHOP)).fix(0, 0))[FIRST]
    assert (seconds(bicycle.p50) + 15) / (seconds(car.p50) + 15) == pytest.approx(np.exp(0.3), rel=1e-3)


def registered(vehicle: str) -> RiderRegistered:
    return RiderRegistered(
        name=Personal(SubjectId("s"), "Ann"),
        phone=None,
        employment="employee",  # type: ignore[arg-type]
        vehicle=vehicle,  # type: ignore[arg-type]
        capacity_g=1,
        skills=[],
        external_reference=None,
        source="test",
        metadata={},
    )


@pytest.mark.parametrize("taken_over_s", [None, 0, 40, 100, 175], ids=str)
async def test_at_the_arrival_it_is_told_what_was_seen_on_the_way_whoever_folded_it(taken_over_s: int | None):
    trip = Trip(learned(2.0)).planned(*both())
    trip.fact(registered("bicycle"))
    for second in (0, 20, 40, 100, 170, 175):
        await trip.fix(second, min(150, 5 * second))
        if second == taken_over_s:
            trip.is_taken_over()
    trip.arrived(FIRST, at=600)
    [scored] = of_kind(await trip.fix(610, 3_330), EtaScored)
    assert scored.seen is not None
    assert scored.seen.subject == rider_subject(ANN)
    first, later, *_ = scored.seen.value or []
    assert (first[0], later[0]) == (580, 500), "once a minute at most, from when she has left"
    known = dict(zip(COLUMNS, later[1], strict=True))
    assert (known["elapsed_s"], known["standing_s"], known["vehicle"]) == (100, 60, 1)
    assert known["router_s"] == pytest.approx((distance_m(START, SHOP) - 150) / MPS, rel=1e-3)
    assert known["speed_mps"] == pytest.approx(150 / 100, rel=1e-2)
    assert known["hour"] == pytest.approx(12 + 100 / 3_600)


async def test_what_another_release_saw_teaches_nothing(monkeypatch: pytest.MonkeyPatch):
    trip = Trip(learned(2.0)).planned(*both())
    for second in (0, 20, 40):
        await trip.fix(second, 5 * second)
    state = kept(trip.rider)
    assert len(restored(state).approach.sightings.let_go(f"{TASK}/{FIRST}")) == 1
    monkeypatch.setattr(seen, "COLUMNS_NAME", "others")
    assert len(restored(state).approach.trail) == 3
    assert restored(state).approach.sightings.let_go(f"{TASK}/{FIRST}") == []


# When it is told


async def test_it_is_told_once_a_minute_and_only_if_it_has_moved():
    trip = Trip(learned(2.0)).planned(stop(FIRST, SHOP))
    assert len(forecasts(await trip.fix(0, 0))) == 1
    assert not forecasts(await trip.fix(30, 150))
    assert not forecasts(await trip.fix(61, 305)), "5 m/s is what was foretold"
    assert forecasts(await trip.fix(200, 305)), "it stands, and comes later"


async def test_the_model_is_asked_now_and_then():
    model = learned(2.0)
    trip = Trip(model).planned(*both())
    for second in range(40):
        await trip.fix(second, 5 * second)
    assert isinstance(model.middle, Flat)
    assert model.middle.asked == 2 * (1 + 39_000 // LOOKS_EVERY_MS)


# Thresholds


async def test_the_way_that_was_asked_for_first_is_known_until_another_stop_is_next():
    trip = Trip().planned(*both())
    assert trip.etas.first_way(("acme", ANN), trip.itineraries.of("acme", ANN).stops[0]) is None
    await trip.fix(0, 0)
    first = trip.etas.first_way(("acme", ANN), trip.itineraries.of("acme", ANN).stops[0])
    await trip.fix(1_000, 900)
    assert trip.etas._followed["acme", ANN].way is not first, "it was asked for anew"
    assert trip.etas.first_way(("acme", ANN), trip.itineraries.of("acme", ANN).stops[0]) is first
    trip.gone(FIRST, 1_010)
    await trip.fix(1_020, 1_000)
    assert trip.etas.first_way(("acme", ANN), trip.itineraries.of("acme", ANN).stops[0]) is not first


async def test_three_minutes_before_it_is_imminent_once():
    trip = Trip(learned(2.0)).planned(stop(FIRST, SHOP))
    reached = []
    for second in range(0, 620, 5):
        for each in of_kind(await trip.fix(second, 5 * second), EtaThresholdReached):
            reached.append((second, each.threshold, each.late_by_s))
    [(second, threshold, late_by_s)] = reached
    assert (threshold, late_by_s) == ("imminent", None)
    remaining_s = (distance_m(START, SHOP) - 5 * second) / 5
    assert 120 < remaining_s < 240


async def test_later_than_the_window_is_told_by_how_much_and_each_once():
    window = Window(start=NOON - timedelta(hours=1), end=NOON + timedelta(seconds=1_000))
    trip = Trip(learned(2.0)).planned(stop(FIRST, SHOP, window=window))
    told = {second: of_kind(await trip.fix(second, 0), EtaThresholdReached) for second in range(0, 3_000, 50)}
    late = [(second, each.late_by_s) for second, all_told in told.items() for each in all_told]
    assert [late_by_s for _, late_by_s in late] == [0, 900, 1_800]
    remaining_s = seconds((await last_forecast(trip, 3_000)).p50) - 3_000
    assert late[0][0] == pytest.approx(1_000 - remaining_s, abs=100)


async def last_forecast(trip: Trip, second: float) -> EtaForecast:
    trip.rider.forecasts.clear()
    return forecasts(await trip.fix(second, 0))[FIRST]


# Scores


async def test_at_the_arrival_all_that_was_foretold_is_scored_once():
    trip = Trip(learned(2.0)).planned(*both())
    for second in range(0, 900, 100):
        await trip.fix(second, 3 * second)
    trip.arrived(FIRST, at=905)
    [scored] = of_kind(await trip.fix(910, 3_300), EtaScored)
    assert (scored.task_id, scored.stop_id, seconds(scored.arrived_at)) == (TASK, FIRST, 905)
    assert seconds(scored.forecasts[0].at) == 0
    assert [seconds(each.at) for each in scored.forecasts] == sorted(seconds(each.at) for each in scored.forecasts)
    assert all(each.model == "forest-1" for each in scored.forecasts)
    later = [draft for second in (915, 920, 940) for draft in await trip.fix(second, 3_330)]
    assert not of_kind(later, EtaScored)
    assert FIRST not in forecasts(later), "who is there is not foretold to come"


async def test_a_stop_that_has_gone_is_scored_when_its_arrival_is_told_later():
    trip = Trip(learned(2.0)).planned(*both())
    await trip.fix(0, 0)
    trip.gone(FIRST, at=700)
    await trip.fix(705, 3_330)
    trip.arrived(FIRST, at=650)
    assert len(of_kind(await trip.fix(710, 3_330), EtaScored)) == 1


async def test_another_rider_or_a_courier_scores_nothing_of_hers():
    trip = Trip(learned(2.0)).planned(*both())
    await trip.fix(0, 0)
    for rider in ("bob", None):
        trip.arrived(FIRST, at=100, rider=rider)
        assert not of_kind(await trip.fix(110, 500), EtaScored)


async def test_what_was_foretold_of_a_stop_that_was_not_reached_is_let_go_after_a_while():
    trip = Trip(learned(2.0)).planned(*both())
    await trip.fix(0, 0)
    trip.gone(FIRST, at=100)
    trip.gone(SECOND, at=100)
    await trip.fix(200, 0)
    assert len(trip.rider.forecasts) == 2
    await trip.fix(4_000, 0)
    assert not trip.rider.forecasts


async def test_while_the_rider_is_at_a_stop_the_rest_of_its_time_is_ahead():
    trip = Trip(learned(2.0)).planned(stop(FIRST, SHOP, service_s=600), stop(SECOND, DOOR))
    await trip.fix(0, 0)
    trip.arrived(FIRST, at=800)
    told = forecasts(await trip.fix(1_000, 3_330))[SECOND]
    drive = distance_m(SHOP, DOOR) / MPS * 2
    assert seconds(told.p50) == pytest.approx(1_400 + drive, rel=0.05)


def failed(stop_id: StopId, policy: str = "retry_now") -> DeliveryAttemptFailed:
    return DeliveryAttemptFailed(
        stop_id=stop_id,
        attempt=1,
        reason_code="nobody_there",
        note=None,
        evidence=[],
        contacts=[],
        waited_seconds=None,
        override_reason=None,
        at_fault="customer",  # type: ignore[arg-type]
        policy=policy,  # type: ignore[arg-type]
    )


async def test_who_has_to_come_again_is_foretold_and_scored_again():
    """The attempt failed, and the stop stays hers: she drives off and comes back."""
    trip = Trip(learned(2.0)).planned(stop(FIRST, SHOP))
    await trip.fix(0, 0)
    trip.arrived(FIRST, at=660)
    assert len(of_kind(await trip.fix(670, 3_330), EtaScored)) == 1
    trip.fact(failed(FIRST), TASK, at=700)
    again = forecasts(await trip.fix(900, 2_000))[FIRST]
    assert seconds(again.p50) > 900
    trip.arrived(FIRST, at=1_200)
    [scored] = of_kind(await trip.fix(1_210, 3_330), EtaScored)
    assert seconds(scored.arrived_at) == 1_200


async def test_a_stop_that_comes_back_to_her_is_a_stay_of_its_own():
    trip = Trip(learned(2.0)).planned(stop(FIRST, SHOP))
    for second in (0, 60, 120, 180):
        await trip.fix(second, 2 * second)
    trip.gone(FIRST, at=200)
    await trip.fix(210, 400)
    trip.planned(stop(FIRST, SHOP), at=3_000)
    for second in (3_010, 3_070, 3_130):
        await trip.fix(second, 400 + 5 * (second - 3_000))
    trip.arrived(FIRST, at=3_500)
    [scored] = of_kind(await trip.fix(3_510, 3_330), EtaScored)
    assert all(seconds(each.at) >= 3_000 for each in scored.forecasts)
    assert scored.seen is not None
    assert all(left_s <= 490 for left_s, _ in scored.seen.value or [])


async def test_while_she_waits_for_a_window_the_rest_waits_too():
    late = Window(start=NOON + timedelta(seconds=3_000), end=NOON + timedelta(seconds=4_000))
    trip = Trip(learned(2.0)).planned(stop(FIRST, SHOP, window=late), stop(SECOND, DOOR))
    before = forecasts(await trip.fix(0, 0))[SECOND]
    trip.arrived(FIRST, at=700)
    told_there = await trip.fix(800, 3_330)
    assert not of_kind(told_there, EtaThresholdReached)
    there = forecasts(told_there).get(SECOND, before)
    assert seconds(there.p50) == pytest.approx(3_060 + 2 * distance_m(SHOP, DOOR) / MPS, rel=0.05)


async def test_of_another_window_it_is_told_late_again():
    def until(second: float) -> PlannedStop:
        return stop(FIRST, SHOP, window=Window(start=NOON - timedelta(hours=1), end=NOON + timedelta(seconds=second)))

    trip = Trip(learned(2.0)).planned(until(500))
    assert len(of_kind(await trip.fix(0, 0), EtaThresholdReached)) == 1
    other = PlannedWindowChanged(itinerary_version=2, task_id=TASK, stop_id=FIRST, window=until(2_000).window)
    trip.fact(other, at=50)
    assert not of_kind(await trip.fix(100, 0), EtaThresholdReached)
    [reached] = of_kind(await trip.fix(1_500, 0), EtaThresholdReached)
    assert reached.window_end == NOON + timedelta(seconds=2_000)


async def test_more_riders_than_ways_in_memory_are_foretold_all_the_same(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("streams.telemetry.eta.MOST_ROUTES", 1)
    trip = Trip(learned(2.0)).planned(stop(FIRST, SHOP))
    trip.itineraries.take(
        ItineraryStopsInserted(itinerary_version=1, stops=[stop(FIRST, SHOP)]),
        source_of("bob", NOON - timedelta(seconds=10)),
        lambda: registered("car"),
    )
    trip.partition.riders["acme", "bob"] = Rider()
    for second in (0, 30, 60):
        rows = {("acme", name): row_of(name, second, 5 * second) for name in (ANN, "bob")}
        drafts = await trip.etas.of(trip.partition, Found(live=rows))
        if second == 0:
            assert {draft.rider_id for draft in drafts} == {ANN, "bob"}


async def test_what_is_remembered_of_forecasts_is_bounded_and_kept():
    trip = Trip(learned(2.0)).planned(stop(FIRST, SHOP))
    for minute in range(200):
        await trip.fix(61 * minute, 0)
    known = trip.rider.forecasts[f"{TASK}/{FIRST}"]
    assert 2 < len(known.past) <= 8
    assert known.past[0].at_ms == round(NOON.timestamp() * 1000)
    assert restored(kept(trip.rider)).forecasts[f"{TASK}/{FIRST}"] == known
