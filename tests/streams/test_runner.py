"""What follows the facts of a log: one that cannot be followed is put aside, and keeps no other waiting."""

from collections.abc import Sequence

import pytest
from reception import House, delivery, house

from schemas import ids
from schemas.codec import Unseal
from schemas.message import Source
from schemas.record import Envelope, Stored
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


class BehindItsKeys:
    """Keys and facts are read side by side: here none of the keys is known until they are asked for."""

    def __init__(self, at: House) -> None:
        self.at = at
        self.knows = False
        self.names: list[str | None] = []
        rules = [Rule(TaskCreated, self.sees)]
        processes = [Process("seeing", rules, None)]  # type: ignore[arg-type]  # it sends nothing
        self.runner = Runner(processes, self.opener, self.dead, self.all_keys)

    async def sees(self, event: TaskCreated, source: Source) -> Sequence[Step]:
        contact = event.stops[-1].contact
        assert contact is not None
        self.names.append(contact.name.value)
        return []

    def opener(self, envelope: Envelope, partition: int) -> Unseal:
        unseal = self.at.keyring.unsealer(partition, envelope.tenant, envelope.aggregate_id)
        return unseal if self.knows else lambda subject, field, sealed: None

    async def all_keys(self) -> None:
        self.knows = True

    async def dead(self, stored: Stored, reason: str) -> None:
        raise AssertionError(reason)

    async def follow(self) -> list[str | None]:
        await self.runner.take({(TASK.name, 0): [each for each in self.at.desk.log if each.topic == TASK.name]})
        return self.names


@pytest.mark.parametrize(("forgotten", "name"), [(False, "Cleo"), (True, None)])
async def test_only_whose_key_is_not_among_all_that_stand_on_the_log_is_forgotten(forgotten, name):
    async with house() as at:
        task = delivery(external_reference="1")
        task["stops"][-1]["contact"] = {"name": "Cleo", "reference": "c-1"}
        assert (await at.caller().post("/v1/acme/tasks", json=task)).is_success
        if forgotten:
            await at.desk.forget(ids.contact_subject("acme", "c-1"))
        assert await BehindItsKeys(at).follow() == [name]
