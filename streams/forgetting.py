"""Whoever is to be forgotten has their keys thrown away, in every shard.

| fact            | what follows                                                  |
|-----------------|---------------------------------------------------------------|
| PersonForgotten | each shard's owner throws the subject's key away, if it has one |

It is no command, since no aggregate knows it: a key stands in `logistics.keys`, and what it sealed opens no more.
"""

from collections.abc import Sequence
from typing import Protocol

from schemas.message import Source, SubjectId
from schemas.person import PersonForgotten
from streams.process import Rule, Step


class Forget(Protocol):
    async def __call__(self, subject: SubjectId) -> None:
        """Returns once no shard has a key of the subject. Raises NotNow."""
        ...


def forgetting(forget: Forget) -> tuple[Rule, ...]:
    async def throw_keys_away(event: PersonForgotten, source: Source) -> Sequence[Step]:
        await forget(event.subject)
        return []

    return (Rule(PersonForgotten, throw_keys_away),)
