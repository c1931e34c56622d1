"""What follows the facts of a log: one that cannot be followed is put aside, and those behind it are not kept waiting."""

from collections.abc import Sequence

from reception import delivery, house

from schemas.message import Source
from schemas.record import Stored
from schemas.task import TaskCreated, TaskDispatchable
from schemas.topics import TASK
from streams.process import Process, Rule, Step
from streams.runner import Runner


async def test_a_fact_that_cannot_be_followed_keeps_no_other_waiting():
    seen: list[str] = []
    aside: list[tuple[int, str]] = []

    async def breaks(event: TaskCreated, source: Source) -> Sequence[Step]:
        raise ValueError("not made for this")

    async def sees(event: TaskDispatchable, source: Source) -> Sequence[Step]:
        seen.append(source.aggregate_id)
        return []

    async def dead(stored: Stored, reason: str) -> None:
        aside.append((stored.offset, reason))

    async with house() as at:
        made = await at.caller().post("/v1/acme/tasks", json=delivery(external_reference="1"))
        log = [stored for stored in at.desk.log if stored.topic == TASK.name]
        processes = [
            Process("breaking", [Rule(TaskCreated, breaks)], None),  # type: ignore[arg-type]  # it sends nothing
            Process("seeing", [Rule(TaskDispatchable, sees)], None),  # type: ignore[arg-type]
        ]
        runner = Runner(processes, lambda e, p: at.keyring.unsealer(p, e.tenant, e.aggregate_id), dead)
        await runner.take({(TASK.name, 0): log})
    assert aside == [(log[0].offset, "breaking cannot follow it: ValueError: not made for this")]
    assert seen == [made.json()["id"]]
