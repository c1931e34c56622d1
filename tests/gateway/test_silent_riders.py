"""Of whom nothing is heard is looked up where all is known that came in: fixes, and what riders say of their tasks."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pytest
from aiokafka import TopicPartition
from memory_desk import PARTITIONS
from read_models import ReadModels
from reception import House, Json, delivery, key
from story import KAMPPI, NOON, minutes

from infra.sending import Sending
from infra.silence import SilenceWatch
from projections.silent_riders import silent
from schemas import ids
from schemas.directory import AdvanceTenantClock, ChangeTenantRules, TenantRules
from schemas.message import Command, StopId, TaskId, TenantSlug
from schemas.partition import partition_of
from schemas.rider import ActivateReservation, NewPlannedStop, RemoveStops, ReserveRider
from schemas.topics import FIXES, TASK
from streams.deadlines import source_of, step_of

SEEN = """
INSERT INTO live_map (tenant, rider_id, device_id, lat, lon, accuracy_m, observed_at, received_at)
VALUES ('acme', %s, 'phone', 60, 24, 5, %s, %s)
ON CONFLICT (tenant, rider_id) DO UPDATE SET observed_at = excluded.observed_at
"""
FOLDED = """
INSERT INTO stream_places SELECT %s, p, %s, 0 FROM generate_series(0, %s) AS p
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
"""


class AtWork:
    """Ann, since noon, with a task of hers."""

    def __init__(self, house: House, models: ReadModels) -> None:
        self.house, self.models = house, models
        self.rider = self.task = ""

    async def begins(self) -> None:
        self.rider = await self.makes("riders", {"name": "Ann"})
        await self.does(f"riders/{self.rider}/approve-rider")
        await self.does(f"riders/{self.rider}/start-shift", {"ends_at": minutes(480).isoformat()})
        self.task = await self.makes("tasks", delivery(external_reference="1"))
        await self.does(f"tasks/{self.task}/assign-task", {"rider_id": self.rider})
        stops = [NewPlannedStop(stop_id=StopId("stop-1"), kind="pickup", subject="s", location=KAMPPI)]
        task = TaskId(self.task)
        await self.process(ReserveRider(task_id=task, round=1, hold_until=minutes(5), stops=stops))
        await self.process(ActivateReservation(task_id=task, round=1))

    async def makes(self, path: str, body: Json) -> str:
        made = await self.house.caller("dispatcher", "dora").post(f"/v1/acme/{path}", json=body, headers=key(path))
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def does(self, path: str, body: Json | None = None, rider: bool = False) -> None:
        who = self.house.caller("rider", self.rider) if rider else self.house.caller("dispatcher", "dora")
        done = await who.post(f"/v1/acme/{path}", json=body or {}, headers=key(f"{path}-{self.house.now.timestamp()}"))
        assert done.status_code == 200, done.text

    async def process(self, command: Command) -> None:
        await self.house.process("rider", self.rider, command)

    async def seen(self, at: datetime) -> None:
        async with self.house.door.pool.connection() as connection:
            await connection.execute(SEEN, (self.rider, at, at))

    async def found(self, minute: float, **more: Mapping[str, int]) -> list[tuple[str, datetime | None]]:
        self.house.now = minutes(minute)
        await self.models.fold()
        async with self.house.door.pool.connection() as connection:
            rows = await silent(connection, self.house.now, 9, **more)
        assert {row["aggregate_id"] for row in rows} <= {self.rider}
        return [(row["kind"], row["heard_at"]) for row in rows]

    async def fired(self, minute: float) -> list[str]:
        """What comes of what is found."""
        self.house.now = minutes(minute)
        await self.models.fold()
        async with self.house.door.pool.connection() as connection:
            rows = await silent(connection, self.house.now, 9)
        before = len(self.house.desk.log)
        fire = Sending(self.house.desk, "deadlines", lambda position: None)
        for row in rows:
            placed = row | {"partition": partition_of(self.rider, PARTITIONS)}
            await fire(step_of(placed), source_of(placed, self.house.now), TenantSlug("acme"))
        return [(stored.header("ce_type") or "").rpartition(".")[2] for stored in self.house.desk.log[before:]]

    async def desk(self) -> list[Json]:
        await self.models.fold()
        read = await self.house.caller("dispatcher", "dora").get("/v1/acme/exception-desk?kind=rider_silent")
        assert read.status_code == 200, read.text
        rows: list[Json] = read.json()["items"]
        return rows


@pytest.fixture
async def ann(library: tuple[House, ReadModels]) -> AtWork:
    made = AtWork(*library)
    async with made.house.door.pool.connection() as connection:
        await connection.execute("TRUNCATE live_map, stream_places")
    await made.begins()
    return made


async def test_who_is_silent_is_found_once_and_found_again_once_they_are_heard(ann: AtWork):
    assert await ann.found(14.9) == []
    assert await ann.fired(15) == ["RiderFellSilent", "TaskHandOverRequested"]
    [row] = await ann.desk()
    assert (row["aggregate_id"], row["items"][0]["task_ids"]) == (ann.rider, [ann.task])
    assert datetime.fromisoformat(row["items"][0]["since"]) == NOON
    assert row["mends"] == [f"riders/{ann.rider}/suspend-rider", f"riders/{ann.rider}/end-shift"]
    assert await ann.found(40) == [], "what is told is told"
    await ann.seen(minutes(20))
    assert await ann.found(40) == [], "that came late: it is silence again"
    await ann.seen(minutes(39))
    assert await ann.found(40) == [("record_rider_heard", minutes(39))]
    assert await ann.fired(40) == ["RiderHeardAgain"]
    assert await ann.desk() == []
    read = (await ann.house.caller("dispatcher", "dora").get(f"/v1/acme/riders/{ann.rider}")).json()
    assert read["silent_since"] is None


async def test_a_fix_is_heard_and_so_is_what_the_rider_says_of_a_task(ann: AtWork):
    await ann.seen(minutes(3))
    assert await ann.found(17) == []
    assert await ann.found(18) == [("record_rider_silence", minutes(3))]
    await ann.does(f"tasks/{ann.task}/accept-assignment", rider=True)
    assert await ann.found(32.9) == []
    assert await ann.found(33) == [("record_rider_silence", minutes(18))], "the later of the two counts"


async def test_the_last_word_on_a_task_is_heard_though_it_is_over_by_then(ann: AtWork):
    assert await ann.fired(15) == ["RiderFellSilent", "TaskHandOverRequested"]
    ann.house.now = minutes(16)
    await ann.does(f"tasks/{ann.task}/accept-assignment", rider=True)
    await ann.process(RemoveStops(task_id=TaskId(ann.task), round=1, reason_code="task_over"))
    assert await ann.found(17) == [("record_rider_heard", minutes(16))]


async def test_it_is_found_by_the_tenants_rule_and_by_its_clock(ann: AtWork):
    tenant = ids.tenant_id("acme")
    await ann.house.process("tenant", tenant, ChangeTenantRules(rules=TenantRules(silent_after_seconds=120)))
    await ann.house.process("tenant", tenant, AdvanceTenantClock(seconds=60))
    policy = ann.house.policy
    more = {"clocks_ahead": policy.clocks_ahead(), "silent_after": policy.silent_after()}
    assert (more["clocks_ahead"], more["silent_after"]) == ({"acme": 60}, {"acme": 120})
    assert await ann.found(0.9, **more) == []
    assert await ann.found(1, **more) == [("record_rider_silence", None)]


async def test_nobody_is_silent_where_not_all_is_known_that_came_in(ann: AtWork):
    ends = {FIXES.name: 0, TASK.name: 0}

    async def end_offsets(places: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {place: ends.get(place.topic, 0) for place in places}

    watch = SilenceWatch(end_offsets, ann.house.policy, PARTITIONS)

    async def looked() -> list[Any]:
        async with ann.house.door.pool.connection() as connection:
            return [row["kind"] for row in await watch.look(connection, ann.house.now, 9)]

    async def stream_folds(offset: int) -> None:
        async with ann.house.door.pool.connection() as connection:
            await connection.execute(FOLDED, (FIXES.name, offset, PARTITIONS - 1))

    assert await ann.found(15) == [("record_rider_silence", None)]
    assert await looked() == [], "what stands on the log now is not yet known to be folded"
    assert await looked() == ["record_rider_silence"]
    ends[FIXES.name] = 7
    assert await looked() == ["record_rider_silence"], "so far it was"
    assert await looked() == [], "there is more, and it may be hers"
    await stream_folds(6)
    assert await looked() == []
    await stream_folds(7)
    assert await looked() == ["record_rider_silence"]
    ends[TASK.name] = 1_000
    assert await looked() == ["record_rider_silence"]
    assert await looked() == [], "she may have said something of her task"
    await ann.seen(ann.house.now)
    assert await looked() == []
