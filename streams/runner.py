"""Runs processes over what a fetch brings: partitions side by side, each partition's facts one after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from schemas.codec import Unseal
from schemas.record import Envelope, Stored, Unreadable, envelope_of, event_of, source_of
from streams.process import Process, Stuck

type Dead = Callable[[Stored, str], Awaitable[None]]
type Opener = Callable[[Envelope, int], Unseal]

logger = structlog.get_logger()


class Runner:
    def __init__(self, processes: Sequence[Process], opener: Opener, dead: Dead) -> None:
        """`opener` gives, for an envelope and its partition, what opens its personal data. `dead` takes what cannot be
        read or followed, with the reason."""
        self._processes = processes
        self._opener = opener
        self._dead = dead
        self._names = {cls.__name__ for process in processes for cls in process.facts}

    async def take(self, fetched: Mapping[tuple[str, int], Sequence[Stored]]) -> None:
        """Once it returns every fact of the fetch is through, and the place may advance."""
        async with asyncio.TaskGroup() as lanes:
            for records in fetched.values():
                lanes.create_task(self._lane(records))

    async def _lane(self, records: Sequence[Stored]) -> None:
        for stored in records:
            if self._concerns(stored):
                await self._fact(stored)

    def _concerns(self, stored: Stored) -> bool:
        name = stored.header("ce_type") or ""
        return not stored.is_control and name.rpartition(".")[2] in self._names

    async def _fact(self, stored: Stored) -> None:
        try:
            envelope = envelope_of(stored)
            event = event_of(stored, self._opener(envelope, stored.partition))
        except Unreadable as unreadable:
            await self._dead(stored, unreadable.reason)
            return
        for process in self._processes:
            if type(event) in process.facts:
                try:
                    await process.take(event, source_of(envelope, stored))
                except Stuck as stuck:
                    await self._dead(stored, str(stuck))
