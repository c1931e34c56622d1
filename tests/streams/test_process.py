"""What a process does with the steps of one fact."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from schemas.message import Source, TaskId, TenantSlug
from schemas.task import TaskDispatchable, UnassignTask
from streams import process
from streams.process import CannotBeJudged, Done, NotAllowed, NotNow, Process, Rule, Step, Stuck

AT = datetime(2026, 3, 1, tzinfo=UTC)
SOURCE = Source(
    event_id="e",
    tenant=TenantSlug("acme"),
    outlet=None,
    aggregate_id="wave",
    version=1,
    event_time=AT,
    recorded_at=AT,
    actor="dora",
    command_id="c",
    correlation_id="c",
    topic="logistics.dispatch",
    partition=0,
    offset=0,
)
UNASSIGN = UnassignTask(reason_code="x")


def of(task: str) -> Step:
    return Step(kind="task", aggregate_id=TaskId(task), command=UNASSIGN, purpose=f"tell-{task}")


async def three(event: TaskDispatchable, source: Source) -> list[Step]:
    return [of("a"), of("b"), of("c")]


def undo(event: TaskDispatchable, source: Source, refused: NotAllowed) -> list[Step]:
    return [of("undone")]


@pytest.mark.parametrize(
    ("apart", "sent"), [(False, ["a", "b", "undone"]), (True, ["a", "b", "undone", "c"])], ids=["in a row", "apart"]
)
async def test_a_refused_step_keeps_back_only_what_rests_on_it(apart: bool, sent: list[str]):
    told: list[str] = []

    async def send(step: Step, source: Source, tenant: TenantSlug) -> Done | NotAllowed:
        told.append(step.aggregate_id)
        return NotAllowed("not-in-this-state", "ended") if step.aggregate_id == "b" else Done({})

    rule = Rule(TaskDispatchable, three, undo, apart=apart)
    await Process("telling", [rule], send).take(TaskDispatchable(round=1), SOURCE)
    assert told == sent


async def each_with_its_own(event: TaskDispatchable, source: Source) -> list[Step]:
    return [replace(of(task), otherwise=of(f"{task}-undone")) for task in ("a", "b", "c")]


async def test_a_step_that_answers_its_refusal_itself_is_answered_by_that_and_by_nothing_else():
    told: list[str] = []

    async def send(step: Step, source: Source, tenant: TenantSlug) -> Done | NotAllowed:
        told.append(step.aggregate_id)
        return NotAllowed("not-in-this-state", "ended") if step.aggregate_id == "b" else Done({})

    rule = Rule(TaskDispatchable, each_with_its_own, undo, apart=True)
    await Process("telling", [rule], send).take(TaskDispatchable(round=1), SOURCE)
    assert told == ["a", "b", "b-undone", "c"]


async def one(event: TaskDispatchable, source: Source) -> list[Step]:
    return [of("a")]


async def broken(event: TaskDispatchable, source: Source) -> list[Step]:
    raise OverflowError("date value out of range")


async def test_a_fact_that_breaks_our_code_is_told_once_all_else_that_follows_from_it_was_sent():
    told: list[str] = []

    async def send(step: Step, source: Source, tenant: TenantSlug) -> Done | NotAllowed:
        told.append(step.aggregate_id)
        return Done({})

    telling = Process("telling", [Rule(TaskDispatchable, broken), Rule(TaskDispatchable, one)], send)
    with pytest.raises(Stuck, match="telling cannot follow it: OverflowError: date value out of range"):
        await telling.take(TaskDispatchable(round=1), SOURCE)
    assert told == ["a"]


@pytest.mark.parametrize("fails", [2, 100])
async def test_what_its_judge_fails_at_is_tried_again_though_not_for_ever(monkeypatch: pytest.MonkeyPatch, fails: int):
    monkeypatch.setattr(process, "BACK_OFF_S", (0.0,))
    tries = 0

    async def send(step: Step, source: Source, tenant: TenantSlug) -> Done | NotAllowed:
        nonlocal tries
        tries += 1
        if tries <= fails:
            raise CannotBeJudged("internal-error")
        return Done({})

    telling = Process("telling", [Rule(TaskDispatchable, one)], send)
    if fails < process.MOST_FAILURES:
        await telling.take(TaskDispatchable(round=1), SOURCE)
    else:
        with pytest.raises(Stuck, match="internal-error"):
            await telling.take(TaskDispatchable(round=1), SOURCE)
    assert tries == min(fails + 1, process.MOST_FAILURES)


async def test_where_nobody_is_there_to_judge_it_waits_however_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "BACK_OFF_S", (0.0,))
    tries = 0

    async def send(step: Step, source: Source, tenant: TenantSlug) -> Done | NotAllowed:
        nonlocal tries
        tries += 1
        if tries <= 10 * process.MOST_FAILURES:
            raise NotNow("shard-not-open")
        return Done({})

    await Process("telling", [Rule(TaskDispatchable, one)], send).take(TaskDispatchable(round=1), SOURCE)
    assert tries > process.MOST_FAILURES
