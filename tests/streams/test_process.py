"""What a process does with the steps of one fact."""

from datetime import UTC, datetime

import pytest

from schemas.message import Source, TaskId, TenantSlug
from schemas.task import TaskDispatchable, UnassignTask
from streams.process import Done, NotAllowed, Process, Rule, Step

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
