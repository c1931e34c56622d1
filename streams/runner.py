"""Runs processes over what a fetch brings: partitions side by side, each partition's facts one after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from schemas.codec import Unseal
from schemas.message import Event, SubjectId
from schemas.record import Envelope, Stored, Unreadable, envelope_of, event_of, source_of
from streams.process import Process, Stuck

type Dead = Callable[[Stored, str], Awaitable[None]]
type Opener = Callable[[Envelope, int], Unseal]
type AllKeys = Callable[[], Awaitable[None]]
"""Returns once every key is known that stands on the log when it is called."""


async def known_already() -> None:
    """Where the keys of whoever writes the log are at hand."""


class Runner:
    def __init__(
        self, processes: Sequence[Process], opener: Opener, dead: Dead, all_keys: AllKeys = known_already
    ) -> None:
        """`opener` gives, for an envelope and its partition, what opens its personal data; what does not open once
        `all_keys` are known is forgotten. `dead` takes what cannot be read or followed, with the reason."""
        self._processes = processes
        self._opener = opener
        self._dead = dead
        self._all_keys = all_keys
        self._names = {cls.__name__ for process in processes for cls in process.facts}

    async def take(self, fetched: Mapping[tuple[str, int], Sequence[Stored]]) -> None:
        """Once it returns every fact of the fetch is through, and the place may advance."""
        async with asyncio.TaskGroup() as lanes:
            for records in fetched.values():
                lanes.create_task(self._lane(records))

    async def _lane(self, records: Sequence[Stored]) -> None:
        for stored in records:
            if self.concerns(stored):
                await self.fact(stored)

    def concerns(self, stored: Stored) -> bool:
        name = stored.header("ce_type") or ""
        return not stored.is_control and name.rpartition(".")[2] in self._names

    async def fact(self, stored: Stored) -> None:
        """Until it is through, or put aside."""
        try:
            envelope = envelope_of(stored)
            event = await self._event(envelope, stored)
        except Unreadable as unreadable:
            await self._dead(stored, unreadable.reason)
            return
        for process in self._processes:
            if type(event) in process.facts:
                try:
                    await process.take(event, source_of(envelope, stored))
                except Stuck as stuck:
                    await self._dead(stored, str(stuck))

    async def _event(self, envelope: Envelope, stored: Stored) -> Event:
        """A key stands on the log before what it seals, and is read beside it: it may be known a moment later. Raises
        Unreadable."""
        opening = Opening(self._opener(envelope, stored.partition))
        event = event_of(stored, opening)
        if not opening.is_closed_to:
            return event
        await self._all_keys()
        return event_of(stored, self._opener(envelope, stored.partition))


class Opening:
    """Remembers whether anything did not open."""

    def __init__(self, unseal: Unseal) -> None:
        self._unseal = unseal
        self.is_closed_to = False

    def __call__(self, subject: SubjectId, field: str, sealed: bytes) -> bytes | None:
        plain = self._unseal(subject, field, sealed)
        self.is_closed_to |= plain is None
        return plain
