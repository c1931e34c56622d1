"""Simulated couriers on their ways: what of real decisions is told as fixes, and goes on after a restart."""

from collections.abc import Sequence

import msgspec
import pytest
from following import Sent, anew
from memory_desk import PARTITIONS
from read_models import ReadModels
from reception import HOME, KAMPPI, House, Json, MemoryFrames, delivery
from story import NOON, minutes

from commands.order import Unavailable
from infra.simulated_ways import SimulatedWays
from projections.deadlines import DEADLINES
from projections.folding import Parked, folded
from projections.model import fact_of
from schemas import ids
from schemas.fixes import MICRODEGREES, FixFrame, fixes_of
from schemas.geo import Location
from schemas.message import TenantSlug
from schemas.partition import partition_of
from schemas.position import Vector
from schemas.topics import TASK
from streams.deadlines import source_of, step_of
from streams.routing.great_circle import straight
from streams.simulation import SIMULATION
from streams.telemetry.eta import Way

SEEN = """
INSERT INTO live_map (tenant, rider_id, device_id, lat, lon, accuracy_m, observed_at, received_at)
VALUES ('acme', %s, 'simulated-1', %s, %s, 5, %s, %s)
"""


class Crow:
    async def way(self, places: Sequence[Location]) -> Way:
        return straight(places)


class DeafLog(MemoryFrames):
    async def write(self, tenant: str, actor: str, frames: Sequence[tuple[int, FixFrame]]) -> Vector:
        raise Unavailable("log-unavailable", "not now")


class Streets:
    def __init__(self, house: House, models: ReadModels) -> None:
        self.house, self.models = house, models
        self.frames = MemoryFrames()
        self.ways = self.anew()
        self.task = self.courier = ""

    def anew(self, frames: MemoryFrames | None = None) -> SimulatedWays:
        """As after a restart: nothing is remembered."""
        house = self.house
        return SimulatedWays(frames or self.frames, Crow(), house.policy, house.keyring, PARTITIONS, lambda: house.now)

    async def begins(self) -> None:
        order = delivery(external_reference="1", simulation={"step_seconds": 60})
        made = await self.house.caller().post("/v1/acme/tasks", json=order)
        self.task = made.json()["id"]
        await anew(self.house, "simulation", SIMULATION, TASK)
        self.courier = ids.simulated_courier("acme", ids.courier_number(self.task))

    async def goes_on(self, minute: float, ways: SimulatedWays | None = None) -> list[tuple[float, float, float]]:
        """What is due by the minute happens, then fixes are told: of each the minute, latitude and longitude."""
        told_before = len(self.frames.frames)
        self.house.now = minutes(minute)
        while await self._fired():
            pass
        await self.models.fold()
        await (ways or self.ways).go_on(self.house.door.pool)
        return [fix for _, frame in self.frames.frames[told_before:] for fix in unpacked(frame)]

    async def _fired(self) -> bool:
        rows, _ = folded(DEADLINES, [fact_of(stored) for stored in self.house.desk.log], {}, Parked())
        due = [row for row in rows.values() if row is not None and row.kind == "simulate_step"]
        due = [row for row in due if row.due_at <= self.house.now]
        for row in due:
            deadline = msgspec.structs.asdict(row)
            await Sent(self.house)(step_of(deadline), source_of(deadline, self.house.now), TenantSlug("acme"))
        return bool(due)

    async def seen(self, fix: tuple[float, float, float]) -> None:
        """As the telemetry stream has it."""
        minute, lat, lon = fix
        async with self.house.door.pool.connection() as connection:
            await connection.execute(SEEN, (self.courier, lat, lon, minutes(minute), minutes(minute)))


def unpacked(frame: FixFrame) -> list[tuple[float, float, float]]:
    columns = fixes_of(frame)
    times = [(ms / 1000 - NOON.timestamp()) / 60 for ms in columns.at_ms.tolist()]
    lat, lon = ((column / MICRODEGREES).tolist() for column in (columns.lat, columns.lon))
    return list(zip(times, lat, lon, strict=True))


def is_at(fix: tuple[float, float, float], minute: float, place: Json) -> bool:
    return fix == (minute, place["lat"], place["lon"])


@pytest.fixture
async def streets(library) -> Streets:
    made = Streets(*library)
    await made.begins()
    return made


async def test_a_courier_is_seen_on_the_way_to_each_stop_and_at_it(streets: Streets):
    """On the way to the pickup after a minute, there after two, with the goods after three, on the way to the door."""
    assert await streets.goes_on(0.5) == [], "they have taken it, and have not gone yet"
    assert await streets.goes_on(1) == []
    half = await streets.goes_on(1.5)
    assert [minute for minute, _, _ in half] == [pytest.approx(1 + number / 12) for number in range(1, 7)]
    there = await streets.goes_on(2)
    assert len(there) == 6
    assert is_at(there[-1], 2, KAMPPI)
    assert await streets.goes_on(3.5) == [], "they pick the goods up"
    await streets.goes_on(4.5)
    at_the_door = await streets.goes_on(5)
    assert is_at(at_the_door[-1], 5, HOME)
    assert {frame.riders[0] for _, frame in streets.frames.frames} == {streets.courier}
    assert {partition for partition, _ in streets.frames.frames} == {partition_of(streets.courier, PARTITIONS)}


async def test_where_the_clock_leaps_both_ways_are_told_each_by_its_time(streets: Streets):
    told = await streets.goes_on(60)
    assert [minute for minute, _, _ in told] == sorted(minute for minute, _, _ in told)
    assert len(told) == 24
    assert is_at(told[11], 2, KAMPPI)
    assert is_at(told[-1], 5, HOME)
    assert await streets.goes_on(61) == []


async def test_whoever_starts_again_goes_on_from_where_they_were_seen(streets: Streets):
    half = await streets.goes_on(1.5)
    await streets.seen(half[-1])
    rest = await streets.goes_on(2, streets.anew())
    assert rest[0][0] > half[-1][0]
    assert is_at(rest[-1], 2, KAMPPI)
    north = [lat for _, lat, _ in (*half, *rest)]
    assert north in (sorted(north), sorted(north, reverse=True)), "straight on"


async def test_what_the_log_does_not_take_is_told_later(streets: Streets):
    with pytest.raises(Unavailable):
        await streets.goes_on(2, streets.anew(DeafLog()))
    told = await streets.goes_on(2)
    assert len(told) == 12


async def test_a_place_that_is_forgotten_is_as_the_outlets(streets: Streets):
    await streets.goes_on(3)
    subject = ids.contact_subject("acme", f"{streets.task}/stop-2")
    assert await streets.house.desk.forget(subject) > 0
    told = await streets.goes_on(5)
    assert is_at(told[-1], 5, KAMPPI)
