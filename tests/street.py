"""A street for tests: a rider with bread for its doors, and whoever follows it by a link."""

from datetime import timedelta
from typing import Any

import httpx
from read_models import ReadModels
from reception import HOME, House, Json, delivery, key

from commands.order import Order
from projections.etas import ETAS
from schemas import ids
from schemas.geo import Location
from schemas.message import StopId, TaskId, TenantSlug
from schemas.rider import ActivateReservation, NewPlannedStop, ReserveRider

FORECAST = f"""
INSERT INTO {ETAS.physical} (tenant, task_id, stop_id, kind, rider_id, p10, p50, p90, forecast_at, latest)
VALUES ('acme', %(task)s, %(stop)s, 'dropoff', %(rider)s, %(p10)s, %(p50)s, %(p90)s, %(at)s, jsonb_build_object(
    'at', %(at)s::timestamptz, 'event_id', 'f', 'rider_id', %(rider)s::text, 'p10', %(p10)s::timestamptz,
    'p50', %(p50)s::timestamptz, 'p90', %(p90)s::timestamptz, 'remaining_m', 1, 'model', 'm', 'source', 'osrm'))
ON CONFLICT (tenant, task_id, stop_id) DO UPDATE SET rider_id = excluded.rider_id, p10 = excluded.p10,
    p50 = excluded.p50, p90 = excluded.p90, forecast_at = excluded.forecast_at, latest = excluded.latest
"""
PLACE = """
INSERT INTO live_map (tenant, rider_id, device_id, lat, lon, accuracy_m, observed_at, received_at)
VALUES ('acme', %(rider)s, 'phone', 60.1651234, 24.9361234, 5, %(at)s, %(at)s)
ON CONFLICT (tenant, rider_id) DO UPDATE SET observed_at = excluded.observed_at
"""
FIRST, SECOND, THIRD = "stop-2", "stop-3", "stop-4"


class Street:
    """A rider with bread for three doors of one street, and whoever follows it."""

    def __init__(self, house: House, models: ReadModels) -> None:
        self.house, self.models = house, models
        self.task, self.rider = "", ""
        self.made: Json = {}
        self.url = ""
        """Where it is served, if it is."""

    async def ordered(self, *, doors: int = 3, **more: Any) -> "Street":
        names = ("Cleo Contact", "Nora Neighbour", "Otto Opposite")
        dropoffs = [
            {
                "kind": "dropoff",
                "location": HOME,
                "address": "Pursimiehenkatu 1",
                "contact": {"name": name, "phone": "+358401234567", "notes": "Ring twice"},
            }
            for name in names[:doors]
        ]
        body = delivery(stops=[{"kind": "pickup"}, *dropoffs], parcels=parcels(doors), **more)
        made = await self.house.caller().post("/v1/acme/tasks", json=body, headers=key("t"))
        assert made.status_code == 201, made.text
        self.made, self.task = made.json(), made.json()["id"]
        return self

    async def accepted(self) -> "Street":
        dora = self.house.caller("dispatcher", "dora")
        made = await dora.post("/v1/acme/riders", json={"name": "Ann", "external_reference": "ann"})
        self.rider = made.json()["id"]
        await dora.post(f"/v1/acme/riders/{self.rider}/approve-rider", headers=key("a"))
        shift = {"ends_at": (self.house.now + timedelta(hours=9)).isoformat()}
        await dora.post(f"/v1/acme/riders/{self.rider}/start-shift", json=shift, headers=key("s"))
        assign = {"rider_id": self.rider}
        await dora.post(f"/v1/acme/tasks/{self.task}/assign-task", json=assign, headers=key("as"))
        return await self.says("accept-assignment")

    async def says(self, report: str, stop: str | None = None, **more: Any) -> "Street":
        """The rider, whose place is known, too."""
        body = {} if stop is None else {"stop_id": stop, "observed_at": self.house.now.isoformat(), **more}
        path = f"/v1/acme/tasks/{self.task}/{report}"
        said = await self.house.caller("rider", self.rider).post(path, json=body, headers=key(f"{report}-{stop}"))
        assert said.status_code == 200, said.text
        return self

    async def picked_up(self) -> "Street":
        await self.accepted()
        return await self.says("report-picked-up", "stop-1")

    async def also_has(self, *stops: str) -> None:
        """Another task on the rider's itinerary, before what comes after it."""
        await self.reserve("another", *stops)

    async def reserve(self, task: str, *stops: str) -> None:
        planned = [
            NewPlannedStop(stop_id=StopId(stop), kind="dropoff", subject="s", location=Location(lat=60.1, lon=24.9))
            for stop in stops
        ]
        reserve = ReserveRider(
            task_id=TaskId(task),
            round=1,
            tender_id=ids.tender_id(TaskId(task), 1),
            hold_until=self.house.now + timedelta(minutes=5),
            stops=planned,
        )
        for command in (reserve, ActivateReservation(task_id=TaskId(task), round=1)):
            identity = ids.derived("process", task, type(command).__name__)
            order = Order(
                tenant=TenantSlug("acme"),
                kind="rider",
                aggregate_id=self.rider,
                command=command,
                command_id=identity,
                request_hash=identity,
                actor="dispatch",
                role="system",
                correlation_id=identity,
            )
            assert (await self.house.desk.submit(order)).events, command

    async def seen(self, *, fix_age_s: float = 0) -> None:
        """Where the rider is, and when each door is reached."""
        at = self.house.now - timedelta(seconds=fix_age_s)
        async with self.house.door.pool.connection() as connection:
            await connection.execute(PLACE.encode(), {"rider": self.rider, "at": at})
            for number, stop in enumerate((FIRST, SECOND, THIRD), start=1):
                due = [self.house.now + timedelta(minutes=10 * number + more) for more in (-2, 0, 5)]
                forecast = {"task": self.task, "stop": stop, "rider": self.rider, "at": at}
                await connection.execute(
                    FORECAST.encode(), forecast | dict(zip(("p10", "p50", "p90"), due, strict=True))
                )

    def token(self, stop: str | None) -> str:
        """Of the link to a stop, or of the task."""
        if stop is None:
            return str(self.made["tracking_token"])
        return str(self.made["tracking_links"][stop]).removeprefix("/track/")

    async def read(self, stop: str | None) -> httpx.Response:
        await self.models.fold()
        return await self.house.client().get(f"/v1/tracking/{self.token(stop)}")

    async def told(self, stop: str | None) -> Json:
        answer = await self.read(stop)
        assert answer.status_code == 200, answer.text
        told: Json = answer.json()
        return told


def parcels(doors: int) -> list[Json]:
    return [{"dropoff_stop": stop} for stop in (FIRST, SECOND, THIRD)[:doors]]
