"""`logistics tail`: the log in the order of its writing, with nothing in it that is a person's."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from delivery_log import BOB, delivered, place_of
from fresh import fresh_name
from msgspec.structs import replace
from played import Played, command
from story import NOON
from world import World

from infra import cli
from infra.dead_letters import DeadLetter
from infra.endpoints import NotRunning
from infra.kafka import client_args
from infra.settings import Settings, WrongSetting
from infra.tail import BY_WORD, Asked, Line, begins, lines, printed, shown, text_of, told, topics_of, until
from schemas.fixes import HeldFix, NewFix, frames_of
from schemas.record import Stored
from schemas.topics import DEAD, DISPATCH, FIXES, TASK


def asked(*topics: str, tenant: str | None = None, follow: bool = False, from_beginning: bool = True) -> Asked:
    return Asked(topics=topics, tenant=tenant, follow=follow, from_beginning=from_beginning)


async def read(settings: Settings, wanted: Asked) -> list[Line]:
    return [line async for line in lines(client_args(settings), settings.partitions, wanted)]


async def test_it_tells_every_event_in_the_order_of_its_writing(system: Played):
    told_lines = await read(system.settings, asked(*topics_of(None), tenant=system.world.tenant))
    of_won = [line.type for line in told_lines if line.subject == system.tasks["won"]]
    assert of_won[:3] == ["TaskCreated", "TaskDispatchable", "TaskTendered"]
    assert of_won[-1] == "TaskCompleted"
    first = {line.type: n for n, line in reversed(list(enumerate(told_lines)))}
    assert first["TaskDispatchable"] < first["DispatchDecisionRecorded"] < first["TaskTendered"]
    assert first["OfferClaimed"] < first["RiderReserved"] < first["TenderAwarded"] < first["TaskAssigned"]


async def test_of_each_partition_the_offsets_rise(system: Played):
    seen: dict[tuple[str, int], int] = {}
    for line in await read(system.settings, asked(*topics_of(None))):
        assert line.offset > seen.get((line.topic, line.partition), -1)
        seen[line.topic, line.partition] = line.offset
    assert {topic for topic, _ in seen} == {"task", "fleet", "dispatch", "directory"}


async def test_one_topic_is_only_that_topic(system: Played):
    assert {line.topic for line in await read(system.settings, asked(DISPATCH.name))} == {"dispatch"}


async def test_another_tenants_records_are_not_shown(system: Played):
    assert await read(system.settings, asked(TASK.name, tenant="nobody")) == []


async def test_personal_data_are_sealed(system: Played):
    told_lines = await read(system.settings, asked(*topics_of(None)))
    [register, *_] = [line for line in told_lines if line.type == "RiderRegistered"]
    assert register.body is not None
    assert register.body["name"] == "sealed"
    assert not {"Unusual", "Cleo", "Cyd"} & set(" ".join(map(text_of, told_lines)).replace('"', " ").split())


async def test_who_follows_from_the_end_is_told_what_comes(world: World):
    shards = await world.owner()
    await world.settle(shards)
    await world.create(shards, "before")
    settings = Settings(kafka=world.kafka, partitions=2)
    coming = lines(client_args(settings), 2, asked(TASK.name, tenant=world.tenant, follow=True, from_beginning=False))
    first = asyncio.create_task(anext(coming))
    while not first.done():
        await world.create(shards, fresh_name("after"))
        await asyncio.sleep(0.1)
    line = await first
    await coming.aclose()
    assert (line.type, line.subject != world.task("before")) == ("TaskCreated", True)


async def test_who_follows_from_the_beginning_misses_nothing_in_between(world: World):
    shards = await world.owner()
    await world.settle(shards)
    before = (await world.create(shards, "before")).aggregate_id
    settings = Settings(kafka=world.kafka, partitions=2)
    coming = lines(client_args(settings), 2, asked(TASK.name, tenant=world.tenant, follow=True))
    assert [(await anext(coming)).subject for _ in range(2)] == [before] * 2
    after = (await world.create(shards, "after")).aggregate_id
    assert [(await anext(coming)).subject for _ in range(2)] == [after] * 2
    await coming.aclose()


async def test_what_cannot_be_read_is_told_as_such(kafka: str, world: World):
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    headers = [("ce_type", b"logistics.fixes.FixFrame"), ("tenant", world.tenant.encode())]
    await producer.send_and_wait(FIXES.name, b"garbage", partition=0, headers=headers)
    await producer.stop()
    [line] = await read(Settings(kafka=kafka, partitions=2), asked(FIXES.name, tenant=world.tenant))
    assert (line.type, line.body) == ("FixFrame", None)
    assert "unreadable: header ce_id is missing" in text_of(line)


async def test_a_line_reads_from_left_to_right():
    log = await delivered()
    approved = log[place_of(log, "RiderApproved")]
    line = told(approved)
    assert text_of(line) == (
        f"fleet/{approved.partition}@{approved.offset} 2026-03-01T12:00:00.000Z acme {BOB} v2 RiderApproved {{}}"
    )


def test_columns_of_bytes_are_told_by_their_size():
    fix = HeldFix("phone", "r-1", NewFix(observed_at=NOON, lat=60.0, lon=24.0))  # type: ignore[arg-type]
    [frame] = frames_of([fix], NOON)
    said: dict[str, Any] = shown(frame)
    assert "4 bytes" in said.values()
    assert all(not isinstance(value, bytes) for value in said.values())


def test_a_signal_has_no_version():
    stored = Stored("logistics.signals", 0, 7, b"r", b"", [])
    assert " - unknown unreadable:" in text_of(told(stored))


def test_a_topic_has_its_short_name_and_its_long_one():
    assert topics_of("task") == topics_of("logistics.task") == [TASK.name]


def test_an_unknown_topic_is_told_with_all_that_are_known():
    with pytest.raises(WrongSetting, match=r"--topic tasks: .* one of " + ", ".join(BY_WORD)):
        topics_of("tasks")


def test_who_follows_starts_at_the_end_and_who_reads_at_the_beginning():
    assert (begins(None, False), begins(None, True)) == (True, False)
    assert (begins("beginning", True), begins("end", False)) == (True, False)
    with pytest.raises(WrongSetting, match="beginning or end"):
        begins("yesterday", False)


async def test_a_broker_that_does_not_answer_is_told():
    with pytest.raises(NotRunning, match=r"Kafka at 127\.0\.0\.1:1 does not answer"):
        await printed(Settings(kafka="127.0.0.1:1", partitions=2), asked(TASK.name), False)


async def test_a_partition_that_gives_nothing_is_told(world: World, monkeypatch: pytest.MonkeyPatch):
    """As one without a leader. Here the log is said to go on where it ends."""
    monkeypatch.setattr("infra.tail.STALLED_AFTER_S", 0.5)
    consumer = AIOKafkaConsumer(bootstrap_servers=world.kafka, enable_auto_commit=False)
    await consumer.start()
    place = TopicPartition(TASK.name, 0)
    consumer.assign([place])
    [end] = (await consumer.end_offsets([place])).values()
    consumer.seek(place, end)
    try:
        async with asyncio.timeout(20):
            with pytest.raises(KafkaError, match=r"logistics\.task/0 gave nothing for"):
                async for _ in until(consumer, {place: end + 1}):
                    pass
    finally:
        await consumer.stop()


async def test_from_the_command_line(system: Played):
    ended = await asyncio.to_thread(command, system.settings, "tail", "--topic", "task", "--json")
    first = json.loads(ended.stdout.splitlines()[0])
    assert (ended.returncode, first["topic"], first["version"]) == (0, "task", 1)
    wrong = await asyncio.to_thread(command, system.settings, "tail", "--topic", "tasks")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "one of task, fleet" in wrong.stderr


async def test_what_was_given_up_is_shown_by_a_command_of_its_own(system: Played):
    letter = DeadLetter(
        topic=TASK.name, partition=1, offset=7, reader="projector", reason="nobody knows it", found_at=NOON
    )
    other = replace(letter, topic=FIXES.name, reader="streams")
    producer = AIOKafkaProducer(bootstrap_servers=system.settings.kafka)
    await producer.start()
    for each in (letter, letter, other):
        await producer.send_and_wait(DEAD.name, msgspec.json.encode(each))
    await producer.stop()
    shown_lines = command(system.settings, "dead-letters").stdout.splitlines()
    assert f"2026-03-01T12:00:00Z  {TASK.name}/1@7  projector: nobody knows it" in shown_lines
    assert len([line for line in shown_lines if "projector: nobody knows it" in line]) == 1
    [told_line] = command(system.settings, "dead-letters", "--topic", "fixes", "--json").stdout.splitlines()
    assert msgspec.json.decode(told_line, type=DeadLetter) == other


def test_dead_letters_of_a_topic_that_there_is_not_are_refused_with_those_that_there_are(tmp_path: Path):
    with pytest.raises(WrongSetting) as told:
        cli.app(["dead-letters", "--topic", "nosuch", "--data", str(tmp_path)], standalone_mode=False)
    assert str(told.value).startswith("--topic nosuch: there is no such topic; one of task, fleet,")
    assert " fixes, " in str(told.value)
