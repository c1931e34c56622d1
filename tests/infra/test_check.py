"""`logistics check` on real engines: a system that is well holds, and what is spoiled is named."""

import asyncio
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from aiokafka import AIOKafkaProducer
from played import Played, command, execute, listening, played, settings_of
from psycopg.errors import LockNotAvailable
from pydantic import SecretStr
from rich.console import Console
from world import PARTITIONS, World

from infra.check import models
from infra.check.finding import INVARIANTS, Judgement, NotJudged, Verdict, holding, not_judged
from infra.check.reading import ends_of, whole_log
from infra.check.replay import check_replay
from infra.check.run import MOST_TOLD, checked, told
from infra.demo.command import every_holds
from infra.lookups import Lookups
from infra.settings import Settings
from projections.model import ReadModel
from projections.models import MODELS
from projections.tables import migrate
from schemas.topics import DISPATCH, FLEET, HISTORY, TASK


async def spoil(settings: Settings, statement: str, *values: object) -> None:
    assert await execute(settings.postgres.get_secret_value(), statement, *values) > 0, "there is something to spoil"


async def column(settings: Settings, query: str) -> list[Any]:
    async with await psycopg.AsyncConnection.connect(settings.postgres.get_secret_value()) as connection:
        return [value for (value,) in await (await connection.execute(query.encode())).fetchall()]


async def verdicts(settings: Settings, journals: Sequence[Path] = ()) -> dict[str, Verdict]:
    found, _ = await checked(settings, journals)
    return {verdict.invariant: verdict for verdict in found}


async def only(settings: Settings, invariant: str) -> Verdict:
    """The one that is broken."""
    found = await verdicts(settings)
    assert [i for i, verdict in found.items() if not verdict.passes] == [invariant]
    return found[invariant]


async def test_a_system_that_is_well_holds(system: Played):
    found, log = await checked(system.settings, [system.journal])
    assert {verdict.invariant: (verdict.state, verdict.findings) for verdict in found} == dict.fromkeys(
        INVARIANTS, ("holds", [])
    )
    assert all(verdict.looked_at for verdict in found)
    assert log.by_type["TaskCreated"] == 6
    assert log.by_type["TaskAssigned"] == 2
    assert log.by_type["ClaimRejected"] == 1
    assert set(log.by_topic) == {TASK.name, FLEET.name, DISPATCH.name, "logistics.directory"}


async def test_it_writes_nothing(system: Played):
    args = {"bootstrap_servers": system.settings.kafka}
    topics = [topic.name for topic in HISTORY]
    before = await ends_of(args, topics, PARTITIONS)
    await verdicts(system.settings)
    assert await ends_of(args, topics, PARTITIONS) == before


async def test_the_table_names_each_invariant_and_what_was_found(copy: Settings):
    await spoil(copy, "UPDATE task_board SET state = 'cancelled' WHERE state = 'completed'")
    found, _ = await checked(copy)
    console = Console(width=120, file=StringIO())
    told(found, console)
    text = console.file.getvalue()
    assert all(meaning in text for meaning in INVARIANTS.values())
    assert text.count("BROKEN") == 1
    assert "I5 task_board" in text
    assert "I3 nothing to judge: no client has kept a journal here" in text


def test_of_many_findings_the_first_are_told_and_the_others_counted():
    judgement = Judgement("I5")
    for number in range(MOST_TOLD + 3):
        judgement.found(f"row {number}", "is missing")
    console = Console(width=120, file=StringIO())
    told([judgement.verdict()], console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("is missing") == MOST_TOLD
    assert "I5: and 3 more" in text


def test_where_nothing_was_looked_at_nothing_holds():
    assert Judgement("I1").verdict().state == "nothing to judge"
    assert not holding([Judgement(invariant).verdict() for invariant in INVARIANTS])
    looked = Judgement("I1")
    looked.looked_at = 1
    assert holding([looked.verdict(), Judgement("I2").verdict()])
    assert not holding([looked.verdict(), not_judged("I4", "nobody answers")])


def test_the_demo_holds_only_where_every_invariant_was_judged():
    looked = Judgement("I1")
    looked.looked_at = 1
    assert every_holds([looked.verdict()])
    assert not every_holds([looked.verdict(), Judgement("I2").verdict()])


def test_a_long_value_is_told_by_its_beginning():
    assert len(models.shown("x" * 1_000)) == models.SHOWN_CHARACTERS + 1


# I3


async def test_a_lost_acknowledged_command_is_named(system: Played, tmp_path: Path):
    journal = tmp_path / "client.jsonl"
    journal.write_text(json.dumps({"command_id": "c-9", "aggregate_id": "t-9", "version": 1}) + "\n")
    found = (await verdicts(system.settings, [system.journal, journal]))["I3"]
    assert (found.state, found.broken, found.findings[0].where) == ("broken", 1, "client.jsonl:1")


# I4


async def test_an_owners_memory_that_differs_is_named(system: Played):
    memory, task = memory_of(system, system.tasks["won"])
    live = memory.get(task)
    memory.put(task, msgspec.structs.replace(live, version=live.version + 1))
    try:
        found = (await verdicts(system.settings))["I4"]
    finally:
        memory.put(task, live)
    assert (found.state, found.broken) == ("broken", 1)
    assert found.findings[0].what.endswith("and in another state")


async def test_an_owner_who_knows_too_much_is_named(system: Played):
    memory, task = memory_of(system, system.tasks["won"])
    memory.put("t-9", memory.get(task))
    try:
        found = (await verdicts(system.settings))["I4"]
    finally:
        memory.drop("t-9")
    assert (found.state, found.broken) == ("broken", 1)


def memory_of(system: Played, aggregate_id: str) -> tuple[Any, str]:
    [memory] = [s.memory for s in system.shards.shards().values() if s.memory.get(aggregate_id) is not None]
    return memory, aggregate_id


async def test_owners_who_do_not_answer_are_not_judged_and_the_rest_is(system: Played):
    found = await verdicts(system.settings.model_copy(update={"server_secret": SecretStr("ef" * 32)}))
    assert (found["I4"].state, found["I4"].passes) == ("not judged", False)
    assert {found[i].state for i in ("I1", "I5", "I9", "I10")} == {"holds"}


async def test_owners_in_this_process_need_no_listener(system: Played):
    found, _ = await checked(system.settings, accounts=system.shards.accounts)
    assert all(verdict.passes for verdict in found)


# I5


async def test_a_changed_row_is_named_with_its_field(copy: Settings, system: Played):
    await spoil(copy, "UPDATE task_board SET state = 'failed' WHERE task_id = %s", system.tasks["won"])
    found = await only(copy, "I5")
    assert found.findings[0].where == f"task_board {system.world.tenant} {system.tasks['won']}"
    assert found.findings[0].what == "state is 'failed', and the log says 'completed'"


async def test_all_rows_that_differ_are_counted_however_few_are_told(copy: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(models, "KEPT_AT_MOST", 2)
    await spoil(copy, "UPDATE history SET actor = 'somebody else'")
    [changed] = await column(copy, "SELECT count(*) FROM history")
    assert changed > 2
    assert (await only(copy, "I5")).broken == changed


async def test_a_row_changed_deep_within_is_named(copy: Settings, system: Played):
    deep = """UPDATE task_detail SET progress = jsonb_set(progress, '{stops,stop-1,status}', '"failed"')"""
    await spoil(copy, f"{deep} WHERE task_id = %s", system.tasks["won"])
    assert (await only(copy, "I5")).findings[0].what.startswith("progress is ")


async def test_a_missing_row_is_named(copy: Settings, system: Played):
    await spoil(copy, "DELETE FROM rider_roster WHERE rider_id = %s", system.riders["ann"])
    found = await only(copy, "I5")
    assert (found.broken, found.findings[0].what) == (1, "is missing in the live table")


async def test_an_added_row_is_named(copy: Settings, system: Played):
    await spoil(copy, "UPDATE outlets SET outlet_id = 'forged' WHERE outlet = 'kamppi'")
    found = await only(copy, "I5")
    assert {finding.what for finding in found.findings} == {
        "is only in the live table",
        "is missing in the live table",
    }


async def test_a_rewritten_history_is_named(copy: Settings):
    await spoil(copy, "UPDATE history SET actor = 'somebody else' WHERE type = 'TaskCancelled'")
    assert (await only(copy, "I5")).findings[0].what.startswith("actor is 'somebody else'")


async def test_a_model_that_stands_behind_the_log_is_compared_there(copy: Settings):
    """As when the projector has not come further yet."""
    await spoil(copy, "DELETE FROM history WHERE topic = %s", TASK.name)
    behind = "UPDATE projection_positions SET next_offset = 0 WHERE model = 'history' AND topic = %s"
    await spoil(copy, behind, TASK.name)
    assert all(verdict.passes for verdict in (await verdicts(copy)).values())


async def test_a_model_that_has_folded_what_is_not_there_is_named(copy: Settings):
    ahead = (
        "UPDATE projection_positions SET next_offset = next_offset + 1000 WHERE model = 'deadlines' AND partition = 0"
    )
    await spoil(copy, ahead)
    assert "and the log ends at" in (await only(copy, "I5")).findings[0].what


async def test_no_rebuilt_table_takes_the_place_of_one_that_is_looked_at(
    copy: Settings, monkeypatch: pytest.MonkeyPatch
):
    refolded = models.rebuild
    held_off = []

    async def swapped_meanwhile(connection: Any, client_args: Any, model: ReadModel, *more: Any) -> None:
        try:
            swap = f"SET lock_timeout = '100ms'; ALTER TABLE {model.physical} RENAME TO swapped_away"
            await execute(copy.postgres.get_secret_value(), swap)
        except LockNotAvailable:
            held_off.append(model.name)
        await refolded(connection, client_args, model, *more)

    monkeypatch.setattr(models, "rebuild", swapped_meanwhile)
    assert (await verdicts(copy))["I5"].state == "holds"
    assert held_off == list(MODELS)


# I8


async def test_a_place_within_a_command_is_named(copy: Settings, system: Played):
    """Between TaskCreated and TaskDispatchable, which one command has led to."""
    found = 'SELECT partition, "offset" FROM history WHERE aggregate_id = %s AND version = 2'
    async with await psycopg.AsyncConnection.connect(copy.postgres.get_secret_value()) as connection:
        row = await (await connection.execute(found, (system.tasks["unseen"],))).fetchone()
    assert row is not None
    within = "UPDATE projection_positions SET next_offset = %s WHERE model = 'etas' AND topic = %s AND partition = %s"
    await spoil(copy, within, row[1], TASK.name, row[0])
    found_within = (await verdicts(copy))["I8"]
    assert (found_within.state, found_within.broken) == ("broken", 1)
    assert found_within.findings[0].what.startswith("etas has stopped within command")


# I9


async def test_a_process_that_would_add_something_is_named(copy: Settings, system: Played):
    """Nobody has dispatched the unseen task; a place behind it says that somebody has."""
    ends = await ends_of({"bootstrap_servers": copy.kafka}, [TASK.name], PARTITIONS)
    for (topic, partition), end in ends.items():
        moved = "UPDATE deciding_positions SET next_offset = %s WHERE topic = %s AND partition = %s"
        await spoil(copy, moved, end, topic, partition)
    found = await only(copy, "I9")
    assert found.findings[0].what.startswith("OpenTender, caused by event ")
    assert "adds DispatchDecisionRecorded, TenderOpened, OfferSent" in found.findings[0].what


async def test_a_process_that_asks_again_for_what_was_refused_is_named(system: Played, monkeypatch: pytest.MonkeyPatch):
    """Bob was too busy for it, and is free by now, within the time of the hold."""

    async def still_claimed(*asked: object) -> bool:
        return True

    monkeypatch.setattr(Lookups, "claimed", still_claimed)
    found = await only(system.settings, "I9")
    assert (found.broken, found.findings[0].where) == (1, f"rider {system.riders['bob']}")
    assert found.findings[0].what.endswith("adds RiderReserved")


async def test_where_no_process_has_run_there_is_nothing_to_replay(copy: Settings):
    await execute(copy.postgres.get_secret_value(), "DROP TABLE process_positions")
    found = (await verdicts(copy))["I9"]
    assert (found.state, found.passes) == ("nothing to judge", True)


async def test_read_models_that_lag_are_waited_for_and_then_told(copy: Settings, system: Played, monkeypatch):
    monkeypatch.setattr("infra.check.run.check_replay", hurried)
    await spoil(copy, "UPDATE task_detail SET version = 0 WHERE task_id = %s", system.tasks["won"])
    found = (await verdicts(copy))["I9"]
    assert (found.state, found.passes) == ("not judged", False)
    assert "the read models do not know" in (found.reason or "")


async def hurried(*given: Any) -> Verdict:
    return await check_replay(*given, wait_s=0.3)


# The log


async def test_a_log_that_does_not_give_its_records_is_told(system: Played):
    args = {"bootstrap_servers": system.settings.kafka}
    with pytest.raises(NotJudged, match="gives nothing from"):
        async for _ in whole_log(args, {(TASK.name, 0): 1_000_000}, stalled_after_s=0.3):
            pass


async def test_a_record_that_no_owner_wrote_is_named(lone_world: World, postgres: str, osrm: str, tmp_path: Path):
    """Appended behind the owner's back: no fence stops a producer without an epoch."""
    settings = settings_of(lone_world, postgres, osrm, tmp_path)
    async with played(lone_world, settings, tmp_path / "journal.jsonl") as story:
        producer = AIOKafkaProducer(bootstrap_servers=lone_world.kafka)
        await producer.start()
        headers = [("ce_type", b"logistics.task.TaskCancelled")]
        forged = await producer.send_and_wait(TASK.name, b"forged", key=b"x", partition=0, headers=headers)
        await producer.stop()
        found = await only(story.settings, "I10")
    assert found.findings[0].where == f"{TASK.name}/0@{forged.offset}"


# The command


async def test_from_the_command_line_it_ends_with_0_where_all_holds(system: Played, tmp_path: Path):
    (tmp_path / "client.jsonl").write_bytes(system.journal.read_bytes())
    ended = await asyncio.to_thread(command, system.settings, "check", "--json", "--journals", str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert report["holds"] is True
    assert [each["invariant"] for each in report["invariants"]] == list(INVARIANTS)
    assert report["events"]["logistics.task"] > 0


async def test_from_the_command_line_it_ends_with_1_where_something_is_broken(copy: Settings):
    await spoil(copy, "DELETE FROM outlets")
    ended = await asyncio.to_thread(command, copy, "check")
    assert ended.returncode == 1
    assert "BROKEN" in ended.stdout


async def test_what_could_not_be_judged_is_told_beside_the_report_for_machines(copy: Settings):
    await execute(
        copy.postgres.get_secret_value(), f"ALTER TABLE {MODELS['history'].physical} RENAME COLUMN actor TO gone"
    )
    ended = await asyncio.to_thread(command, copy, "check", "--json")
    states = {each["invariant"]: each["state"] for each in json.loads(ended.stdout)["invariants"]}
    assert (ended.returncode, states["I5"], states["I10"]) == (1, "not judged", "holds")
    assert "UndefinedColumn" in ended.stderr


async def test_from_the_command_line_an_empty_cluster_proves_nothing(
    lone_world: World, postgres: str, osrm: str, tmp_path: Path
):
    """As where the addresses lead to another system than the one that is meant."""
    settings = settings_of(lone_world, postgres, osrm, tmp_path)
    async with await psycopg.AsyncConnection.connect(postgres, autocommit=True) as connection:
        await migrate(connection, MODELS.values())
    async with listening(lone_world, settings):
        ended = await asyncio.to_thread(command, settings, "check", "--json")
    report = json.loads(ended.stdout)
    states = {each["invariant"]: each["state"] for each in report["invariants"]}
    assert states == dict.fromkeys(INVARIANTS, "nothing to judge") | {"I10": "holds"}, "only owners' barriers stand"
    assert (ended.returncode, report["holds"]) == (1, False)
    assert "nothing to judge: no event stands on the log" in ended.stderr


async def test_a_folder_of_journals_that_is_not_there_is_wrong_use(system: Played, tmp_path: Path):
    ended = await asyncio.to_thread(command, system.settings, "check", "--journals", str(tmp_path / "nowhere"))
    assert ended.returncode == 2
    assert "nowhere" in ended.stderr


def test_where_nothing_runs_it_says_how_to_start(tmp_path: Path):
    ended = command(Settings(data=tmp_path), "check")
    assert ended.returncode == 1
    assert "start it with `logistics up" in ended.stderr
