"""Our own log read by the eventsourcing library: its notification log, its projections, and nothing written."""

import asyncio
from threading import Event
from time import sleep
from typing import Any

import pytest
from eventsourcing.application import Application
from eventsourcing.persistence import ProgrammingError, Tracking
from eventsourcing.popo import POPOTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from world import PARTITIONS, World

from commands.history_recorder import HistoryLog, Told
from schemas.partition import partition_of
from schemas.task import CancelTask, TaskCancelled, TaskCreated


class Tasks(Application[str]):
    """Of one partition."""


class Counts(POPOTrackingRecorder):
    def __init__(self) -> None:
        super().__init__()
        self.created: set[str] = set()
        self.cancelled: set[str] = set()

    def told(self, told: Told, tracking: Tracking) -> None:
        with self._database_lock:
            self._assert_tracking_uniqueness(tracking)
            if isinstance(told.event, TaskCreated):
                self.created.add(told.originator_id)
            if isinstance(told.event, TaskCancelled):
                self.cancelled.add(told.originator_id)
            self._insert_tracking(tracking)


class Counting(Projection[Counts]):
    topics = ("logistics.task.TaskCreated", "logistics.task.TaskCancelled")

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        self.view.told(domain_event, tracking)


def env(world: World, partition: int) -> dict[str, str]:
    return {
        "PERSISTENCE_MODULE": "commands.history_recorder",
        "KAFKA_BOOTSTRAP_SERVERS": world.kafka,
        "HISTORY_PARTITION": str(partition),
    }


async def test_history_is_a_notification_log_that_is_only_read(lone_world: World):
    shards = await lone_world.owner()
    await lone_world.settle(shards)
    made = [(await lone_world.create(shards, f"order-{n}")).aggregate_id for n in range(6)]

    def read() -> None:
        for partition in range(PARTITIONS):
            with Tasks(env=env(lone_world, partition)) as tasks:
                mine = [task for task in made if partition_of(task, PARTITIONS) == partition]
                notifications = tasks.recorder.select_notifications(start=1, limit=100)
                assert [each.id for each in notifications] == list(range(1, 2 * len(mine) + 1))
                assert {each.originator_id for each in notifications} == set(mine)
                told = tasks.mapper.to_domain_event(notifications[0])
                assert isinstance(told.event, TaskCreated)
                assert "Cleo" not in repr(told)
                assert [e.originator_version for e in tasks.recorder.select_events(mine[0])] == [1, 2]
                with pytest.raises(ProgrammingError):
                    tasks.recorder.insert_events([])

    await asyncio.to_thread(read)


async def test_a_projection_of_the_library_follows_our_tasks(lone_world: World):
    shards = await lone_world.owner()
    await lone_world.settle(shards)
    first = (await lone_world.create(shards, "order-1")).aggregate_id
    partition = partition_of(first, PARTITIONS)
    settings = {"PERSISTENCE_MODULE": "eventsourcing.popo"} | {
        f"TASKS_{name}": value for name, value in env(lone_world, partition).items()
    }
    loop = asyncio.get_running_loop()

    def follow() -> Counts:
        runner = ProjectionRunner(application_class=Tasks, projection_class=Counting, view_class=Counts, env=settings)
        with runner:
            cancel = lone_world.order("task", first, CancelTask(reason_code="changed_mind"), "cancel")
            asyncio.run_coroutine_threadsafe(shards.submit(cancel), loop).result(20)
            runner.wait(runner.app.recorder.max_notification_id(), 20)
        return runner.projection.view

    seen = await asyncio.to_thread(follow)
    assert (seen.created, seen.cancelled) == ({first}, {first})


async def test_who_listens_hears_also_of_what_somebody_else_has_read_first(lone_world: World):
    shards = await lone_world.owner()
    await lone_world.settle(shards)
    first = (await lone_world.create(shards, "order-1")).aggregate_id
    cancel = lone_world.order("task", first, CancelTask(reason_code="changed_mind"), "cancel")
    loop, heard = asyncio.get_running_loop(), Event()

    def listen() -> bool:
        log = HistoryLog(lone_world.kafka, "logistics.task", partition_of(first, PARTITIONS))
        log.listen(heard)
        asyncio.run_coroutine_threadsafe(shards.submit(cancel), loop).result(20)
        while log.newest() != 3:
            sleep(0.001)
        heard_of_it = heard.wait(20)
        log.close()
        return heard_of_it

    assert await asyncio.to_thread(listen)
