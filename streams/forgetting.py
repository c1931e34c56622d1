"""Whoever is to be forgotten has their keys thrown away, in every shard.

| fact            | command                    | then                                    | refused → |
|-----------------|----------------------------|-----------------------------------------|-----------|
| PersonForgotten | ConfirmForgetting (Tenant) | keys are thrown away, CloseForgetting   | nothing   |

Throwing keys away is no command, since no aggregate knows them: they stand in `logistics.keys`, and what they sealed
opens no more. It cannot be done twice: who was forgotten may have come back since, under a new key. So the tenant is
asked first whether it is still to be done.
"""

from collections.abc import Sequence
from typing import Protocol

from schemas.message import Source, SubjectId
from schemas.person import CloseForgetting, ConfirmForgetting, PersonForgotten
from streams.process import NotAllowed, Rule, Send, Step


class Forget(Protocol):
    async def __call__(self, subject: SubjectId) -> None:
        """Returns once no shard has a key of the subject. Raises NotNow."""
        ...


def forgetting(send: Send, forget: Forget) -> tuple[Rule, ...]:
    async def throw_keys_away(event: PersonForgotten, source: Source) -> Sequence[Step]:
        still = step(source, ConfirmForgetting(number=event.number), "asked")
        if isinstance(await send(still, source, source.tenant), NotAllowed):
            return []
        await forget(event.subject)
        return [step(source, CloseForgetting(number=event.number), "close")]

    return (Rule(PersonForgotten, throw_keys_away),)


def step(source: Source, command: ConfirmForgetting | CloseForgetting, purpose: str) -> Step:
    return Step(kind="tenant", aggregate_id=source.aggregate_id, command=command, purpose=purpose)
