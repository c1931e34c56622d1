"""How good the forecasts were: each beside what came true, and counted by how long before it they were made."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from read_models import ReadModels
from reception import House

from projections.eta_scores import ETA_SCORES
from projections.folding import Parked
from projections.model import Fact
from projections.rows import fold_into
from schemas import catalog
from schemas.message import StopId, TaskId
from schemas.record import Stored, derived_headers, envelope_of, source_of
from schemas.signals import EtaScored, ForecastMade


@pytest.fixture
def house(library: tuple[House, ReadModels]) -> House:
    return library[0]


def made(at: datetime, p50: datetime, model: str = "forest-1") -> ForecastMade:
    minute = timedelta(minutes=1)
    return ForecastMade(at=at, p10=p50 - minute, p50=p50, p90=p50 + minute, model=model, source="osrm")


def scored(task: str, rider: str, there: datetime, *forecasts: ForecastMade) -> Fact:
    event = EtaScored(task_id=TaskId(task), stop_id=StopId("stop-2"), arrived_at=there, forecasts=list(forecasts))
    headers = derived_headers(
        event_id=f"{task}-{rider}",
        type_name=catalog.BY_CLASS[EtaScored].name,
        source="/logistics/test/stream/0",
        event_time=there,
        recorded_at=there,
        subject=rider,
        tenant="acme",
        actor="telemetry",
        epoch=1,
    )
    stored = Stored("logistics.signals", 0, 0, rider.encode(), b"", headers)
    return Fact(event, source_of(envelope_of(stored), stored), envelope_of(stored), stored)


async def fold(house: House, *facts: Fact) -> None:
    async with house.door.pool.connection() as connection, connection.transaction(), connection.cursor() as cursor:
        await cursor.execute(f"TRUNCATE {ETA_SCORES.physical}".encode())
        await fold_into(cursor, ETA_SCORES, ETA_SCORES.physical, facts, Parked())


async def read(house: House, path: str, role: Any = "dispatcher") -> list[dict[str, Any]]:
    answer = await house.caller(role, "dora").get(f"/v1/acme/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def two_arrivals(house: House) -> list[Fact]:
    """One foretold too late, then nearly right; one as it came. Both told again as they are."""
    there, minute = house.now, timedelta(minutes=1)
    late = made(there - 20 * minute, there + 6 * minute, "factor-1"), made(there - 4 * minute, there + 0.5 * minute)
    return [
        scored("task-1", "ann", there, *late),
        scored("task-2", "bob", there, made(there - 3 * minute, there - 0.5 * minute)),
        scored("task-1", "ann", there, *late),
    ]


async def test_each_forecast_stands_beside_what_came_true(house):
    await fold(house, *two_arrivals(house))
    items = await read(house, "eta-scores")
    assert [(row["task_id"], row["error_s"], row["horizon_s"]) for row in items] == [
        ("task-1", 360, 1_200),
        ("task-1", 30, 240),
        ("task-2", -30, 180),
    ]
    assert [(row["by_p50"], row["by_p90"], row["in_band"]) for row in items] == [
        (True, True, False),
        (True, True, True),
        (False, True, True),
    ]
    assert [row["task_id"] for row in await read(house, "eta-scores?rider_id=bob")] == ["task-2"]


async def test_they_are_counted_by_how_long_before_the_arrival_they_were_made(house):
    await fold(house, *two_arrivals(house))
    near, far = await read(house, "eta-statistics")
    assert (near["group"], near["forecasts"], near["arrivals"]) == ("under 5 min", 2, 2)
    assert (near["mean_absolute_s"], near["bias_s"], near["by_p50"], near["in_band"]) == (30, 0, 0.5, 1)
    assert (far["group"], far["mean_absolute_s"], far["bias_s"], far["width_s"]) == ("15 to 30 min", 360, 360, 120)


async def test_or_by_model_within_a_period(house):
    await fold(house, *two_arrivals(house))
    by_model = {row["group"]: row["forecasts"] for row in await read(house, "eta-statistics?by=model")}
    assert by_model == {"factor-1": 1, "forest-1": 2}
    later = (house.now + timedelta(hours=1)).isoformat().replace("+", "%2B")
    assert await read(house, f"eta-statistics?by=model&since={later}") == []
    refused = await house.caller("dispatcher", "dora").get("/v1/acme/eta-statistics?by=weather")
    assert refused.status_code == 400
    assert "horizon" in refused.text


async def test_a_rider_does_not_read_how_others_ride(house):
    for path in ("eta-scores", "eta-statistics"):
        assert (await house.caller("rider", "ann").get(f"/v1/acme/{path}")).status_code == 403
