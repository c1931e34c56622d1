"""Processes on real decisions: the log of a house is followed, and what was sent is told with its outcome."""

from collections.abc import Sequence
from typing import Any

from reception import House, key

from commands.order import Order
from schemas.message import Refused, Source, TenantSlug
from schemas.record import envelope_of, event_of, source_of
from schemas.topics import Topic
from streams.process import Done, NotAllowed, Process, Rule, Step


class Sent:
    """To the desk; each step is kept with its outcome."""

    def __init__(self, at: House) -> None:
        self._at = at
        self.steps: list[tuple[str, str]] = []

    async def __call__(self, step: Step, source: Source, tenant: TenantSlug) -> Done | NotAllowed:
        identity = step.command_id(source)
        order = Order(
            tenant=tenant,
            kind=step.kind,
            aggregate_id=step.aggregate_id,
            command=step.command,
            command_id=identity,
            request_hash=identity,
            actor="dispatch",
            role="system",
            natural=True,
            correlation_id=identity,
        )
        try:
            answer = await self._at.desk.submit(order)
        except Refused as refused:
            self.steps.append((type(step.command).__name__, refused.rule))
            return NotAllowed(refused.rule, refused.rule)
        self.steps.append((type(step.command).__name__, ", ".join(answer.events)))
        return Done(answer.position)


async def anew(at: House, name: str, rules: Sequence[Rule], topic: Topic) -> list[tuple[str, str]]:
    """The whole log of the topic once more, from its first record."""
    sent = Sent(at)
    process = Process(name, rules, sent)
    for stored in [each for each in at.desk.log if each.topic == topic.name]:
        envelope = envelope_of(stored)
        unseal = at.keyring.unsealer(stored.partition, envelope.tenant, envelope.aggregate_id)
        await process.take(event_of(stored, unseal), source_of(envelope, stored))
    return sent.steps


async def made(at: House, path: str, body: dict[str, Any]) -> str:
    answer = await at.caller("dispatcher", "dora").post(f"/v1/acme/{path}", json=body, headers=key(path))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
