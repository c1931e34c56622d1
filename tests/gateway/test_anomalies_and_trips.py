"""What was odd about riders' ways, and which trips they made, asked for through the door."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

import httpx
import pytest
from memory_desk import PARTITIONS
from read_models import ReadModels
from reception import House

from projections.anomalies import ANOMALIES
from projections.folding import Parked, folded
from projections.model import Fact, ReadModel, fact_of
from projections.rows import fold_into
from projections.trips import TRIPS
from schemas import catalog, ids
from schemas.ids import rider_subject
from schemas.message import Event, Personal, RiderId
from schemas.partition import partition_of
from schemas.record import Stored, as_if_commanded, derived_headers
from schemas.rider import AnomalyDismissed
from schemas.signals import AnomalyCleared, AnomalyDetected, FixSeen, StopMade, TripEnded, TripPlaces

ANN, BOB = (ids.aggregate_id("rider", "acme", "shop", name) for name in ("ann", "bob"))


@pytest.fixture
def house(library: tuple[House, ReadModels]) -> House:
    return library[0]


async def fold(house: House, model: ReadModel, *told: tuple[str, str, Event]) -> None:
    """(rider, id of the signal, signal)."""
    for rider in (ANN, BOB):
        await house.knows(rider)
    facts: Sequence[Fact] = [fact(house, *each, minute=minute) for minute, each in enumerate(told)]
    async with house.door.pool.connection() as connection, connection.transaction(), connection.cursor() as cursor:
        await cursor.execute(f"TRUNCATE {model.physical}".encode())
        await fold_into(cursor, model, model.physical, facts, Parked())


def fact(house: House, rider: str, event_id: str, event: Event, minute: int) -> Fact:
    at = house.now + timedelta(minutes=minute)
    headers = derived_headers(
        event_id=event_id,
        type_name=catalog.BY_CLASS[type(event)].name,
        source="/logistics/test/stream/0",
        event_time=at,
        recorded_at=at,
        subject=rider,
        tenant="acme",
        actor="telemetry",
        epoch=1,
    )
    partition = partition_of(rider, PARTITIONS)
    value = catalog.write(event, house.keyring.sealer(partition, "acme", rider))
    topic = catalog.BY_CLASS[type(event)].name.rpartition(".")[0]
    told = (as_if_commanded({"ce_id": event_id}) | {name: text.decode() for name, text in headers}).items()
    headers = [(name, text.encode()) for name, text in told]
    return fact_of(Stored(topic, partition, minute, rider.encode(), value, headers))


def seen(at: datetime) -> FixSeen:
    return FixSeen(at=at, lat=60.17, lon=24.94, speed_mps=41.5)


def fast(house: House, rider: str) -> AnomalyDetected:
    return AnomalyDetected(
        kind="speeding",
        device_id="phone",
        since=house.now,
        at=house.now + timedelta(seconds=10),
        limit=36.0,
        measured=41.5,
        evidence=Personal(rider_subject(RiderId(rider)), [seen(house.now)]),
    )


def over(house: House, anomaly_id: str) -> AnomalyCleared:
    at = house.now + timedelta(minutes=1)
    return AnomalyCleared(anomaly_id=anomaly_id, kind="speeding", at=at, why="quiet")


async def items(house: House, path: str, role: Any = "dispatcher", subject: str = "dora") -> list[dict[str, Any]]:
    read = await house.caller(role, subject).get(f"/v1/acme/{path}")
    assert read.status_code == 200, read.text
    return read.json()["items"]


async def two_riders_speed_and_one_slows_down(house: House) -> None:
    told = (ANN, "s-1", fast(house, ANN)), (BOB, "s-2", fast(house, BOB)), (ANN, "s-3", over(house, "s-1"))
    await fold(house, ANOMALIES, *told)


async def test_an_anomaly_is_open_until_it_is_over_and_shows_what_led_to_it(house):
    await two_riders_speed_and_one_slows_down(house)
    cleared, still = await items(house, "anomalies")
    assert (cleared["anomaly_id"], cleared["state"], cleared["why_over"]) == ("s-1", "cleared", "quiet")
    assert (still["anomaly_id"], still["state"], still["over_at"]) == ("s-2", "open", None)
    assert (still["kind"], still["limit"], still["measured"]) == ("speeding", 36.0, 41.5)
    [fix] = still["evidence"]
    assert (fix["lat"], fix["lon"], fix["speed_mps"]) == (60.17, 24.94, 41.5)


async def test_anomalies_are_found_by_rider_kind_and_state(house):
    await two_riders_speed_and_one_slows_down(house)

    async def found(asked: str) -> list[str]:
        return [row["anomaly_id"] for row in await items(house, f"anomalies?{asked}")]

    assert await found(f"rider_id={ANN}") == ["s-1"]
    assert await found("state=open") == ["s-2"]
    assert await found("kind=idling") == []
    moments = [(house.now + timedelta(seconds=s)).isoformat().replace("+", "%2B") for s in (-1, 0, 30, 61)]
    before, began, meanwhile, after = moments
    assert await found(f"until={began}") == []
    assert await found(f"since={before}&until={meanwhile}") == ["s-1", "s-2"]
    assert await found(f"since={meanwhile}") == ["s-1", "s-2"]
    assert await found(f"since={after}") == ["s-2"], "which is not over"
    refused = await house.caller("dispatcher", "dora").get("/v1/acme/anomalies?kind=odd")
    assert refused.status_code == 400
    assert "late_departure" in refused.text


async def test_a_rider_reads_their_own_and_an_analyst_sees_no_places(house):
    await two_riders_speed_and_one_slows_down(house)
    [own] = await items(house, "anomalies", "rider", BOB)
    assert (own["anomaly_id"], own["evidence"][0]["lat"]) == ("s-2", 60.17)
    assert {row["evidence"] for row in await items(house, "anomalies", "analyst")} == {"hidden"}


async def test_what_is_over_twice_was_over_at_first(house):
    later = AnomalyCleared(anomaly_id="s-1", kind="speeding", at=house.now + timedelta(hours=1), why="quiet")
    await fold(house, ANOMALIES, (ANN, "s-1", fast(house, ANN)), (ANN, "s-2", over(house, "s-1")), (ANN, "s-3", later))
    [row] = await items(house, "anomalies")
    assert datetime.fromisoformat(row["over_at"]) == house.now + timedelta(minutes=1)


def trip(house: House, rider: str, hour: float, vehicle_id: str | None = None) -> TripEnded:
    """So many hours after now."""
    began = house.now + timedelta(hours=hour)
    waited = StopMade(since=began + timedelta(minutes=5), until=began + timedelta(minutes=7), lat=60.171, lon=24.94)
    places = TripPlaces(start=seen(began), end=seen(began + timedelta(minutes=20)), stops=[waited])
    return TripEnded(
        device_id="phone",
        vehicle_id=vehicle_id,
        started_at=began,
        ended_at=began + timedelta(minutes=20),
        metres=5_200,
        moving_s=1_080,
        idle_s=120,
        stops=1,
        why="stood",
        places=Personal(rider_subject(RiderId(rider)), places),
    )


def dismissed(rider: str, anomaly_id: str = "s-1", reason: str = "not_riding") -> AnomalyDismissed:
    note = Personal(rider_subject(RiderId(rider)), "on the train")
    return AnomalyDismissed(anomaly_id=anomaly_id, reason_code=reason, note=note)


async def test_a_dismissed_anomaly_says_why_and_by_whom_and_is_found_as_such(house):
    await fold(
        house, ANOMALIES, (ANN, "s-1", fast(house, ANN)), (BOB, "s-2", fast(house, BOB)), (ANN, "e-1", dismissed(ANN))
    )
    [row] = await items(house, "anomalies?state=dismissed")
    assert (row["anomaly_id"], row["dismissed_reason"], row["dismissed_by"]) == ("s-1", "not_riding", "telemetry")
    assert (row["dismissed_note"], row["measured"]) == ("on the train", 41.5)
    assert [row["anomaly_id"] for row in await items(house, "anomalies?state=open")] == ["s-2"]
    assert {row["dismissed_note"] for row in await items(house, "anomalies", "analyst")} == {"hidden", None}


async def test_in_whatever_order_signals_and_dismissals_are_read_an_anomaly_stays_dismissed(house):
    await house.knows(ANN)
    told = fact(house, ANN, "s-1", fast(house, ANN), 0)
    again, gone = fact(house, ANN, "s-1", fast(house, ANN), 5), fact(house, ANN, "s-2", over(house, "s-1"), 6)
    ours = fact(house, ANN, "e-1", dismissed(ANN, reason="mistake"), 2), fact(house, ANN, "e-2", dismissed(ANN), 3)
    rows = set()
    for places in combinations(range(5), 2):
        signals, commands = iter((told, again, gone)), iter(ours)
        order = [next(commands if place in places else signals) for place in range(5)]
        found, _ = folded(ANOMALIES, order, {}, parked := Parked())
        assert not parked.fresh
        [row] = found.values()
        rows.add(row)
    [row] = rows
    assert (row.state, row.dismissed_reason, row.why_over, row.recorded_at) == (
        "dismissed",
        "not_riding",
        "quiet",
        house.now,
    )


async def test_only_an_anomaly_of_the_rider_is_dismissed(library):
    house, models = library
    await fold(house, ANOMALIES, (ANN, "s-1", fast(house, ANN)), (BOB, "s-2", fast(house, BOB)))

    async def dismiss(anomaly_id: str, role: Any = "dispatcher") -> httpx.Response:
        body, key = {"anomaly_id": anomaly_id, "reason_code": "not_riding"}, {"idempotency-key": f"{role}-{anomaly_id}"}
        return await house.caller(role, "dora").post(f"/v1/acme/riders/{ANN}/dismiss-anomaly", json=body, headers=key)

    wrong = (await dismiss("s-2")).json()
    assert (wrong["code"], wrong["errors"][0]["pointer"]) == ("unknown-anomaly", "/anomaly_id")
    assert (await dismiss("s-1", "integrator")).status_code == 403
    assert (await dismiss("s-1")).json()["events"] == ["AnomalyDismissed"]
    await models.fold(["anomalies"])
    [row] = await items(house, "anomalies?state=dismissed")
    assert (row["anomaly_id"], row["dismissed_by"], row["dismissed_note"]) == ("s-1", "dora", None)


async def test_trips_are_found_by_rider_and_by_when_they_were(house):
    told = (ANN, "t-3", trip(house, ANN, 3)), (ANN, "t-1", trip(house, ANN, 1)), (BOB, "t-2", trip(house, BOB, 2))
    await fold(house, TRIPS, *told)

    async def found(asked: str) -> list[str]:
        return [row["trip_id"] for row in await items(house, f"trips?{asked}")]

    def at(hours: float) -> str:
        return (house.now + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")

    assert await found("") == ["t-3", "t-1", "t-2"], "as they were told"
    assert await found(f"rider_id={ANN}&until={at(3)}") == ["t-1"]
    assert await found(f"since={at(1.1)}&until={at(3)}") == ["t-1", "t-2"], "as far as they overlap"
    [own] = await items(house, "trips", "rider", BOB)
    assert (own["metres"], own["places"]["start"]["lat"]) == (5_200, 60.17)
    assert own["places"]["stops"][0]["until"] == at(2 + 7 / 60)
    assert {row["places"] for row in await items(house, "trips", "analyst")} == {"hidden"}


async def test_mileage_is_told_day_by_day_of_a_zone_by_rider_or_by_vehicle(house):
    told = [(ANN, "t-1", 1, "van"), (ANN, "t-2", 9.5, "van"), (ANN, "t-3", 10.5, None), (BOB, "t-4", 11, "van")]
    await fold(house, TRIPS, *[(rider, name, trip(house, rider, hour, van)) for rider, name, hour, van in told])
    noon = house.now.date()
    tomorrow = noon + timedelta(days=1)

    def days(rows: list[dict[str, Any]], whose: str) -> list[tuple[Any, ...]]:
        return [(row["day"], row[whose], row["trips"], row["metres"]) for row in rows]

    helsinki = await items(house, "mileage?zone=Europe/Helsinki")
    assert days(helsinki, "rider_id") == [
        (noon.isoformat(), ANN, 2, 10_400),
        *sorted([(tomorrow.isoformat(), ANN, 1, 5_200), (tomorrow.isoformat(), BOB, 1, 5_200)]),
    ], "noon in UTC is two hours later there"
    assert (helsinki[0]["moving_s"], helsinki[0]["idle_s"], helsinki[0]["stops"]) == (2_160, 240, 2)
    by_vehicle = await items(house, "mileage?by=vehicle")
    assert days(by_vehicle, "vehicle_id") == [
        (noon.isoformat(), None, 1, 5_200),
        (noon.isoformat(), "van", 3, 15_600),
    ]
    until = (house.now + timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    assert days(await items(house, f"mileage?vehicle_id=van&until={until}"), "rider_id") == [
        (noon.isoformat(), ANN, 1, 5_200)
    ]
    assert {row["rider_id"] for row in await items(house, "mileage", "rider", BOB)} == {BOB}
    refused = await house.caller("dispatcher", "dora").get("/v1/acme/mileage?zone=Mars/Olympus")
    assert refused.status_code == 400


async def test_mileage_goes_on_page_by_page(house):
    await fold(house, TRIPS, *[(ANN, f"t-{day}", trip(house, ANN, 24 * day)) for day in range(5)])
    seen_days, path = [], "/v1/acme/mileage?limit=2"
    while path:
        read = await house.caller("dispatcher", "dora").get(path)
        seen_days += [row["day"] for row in read.json()["items"]]
        path = read.links["next"]["url"] if "next" in read.links else ""
    assert seen_days == sorted(set(seen_days))
    assert len(seen_days) == 5
