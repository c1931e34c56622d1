"""What clients on this machine were told, counted against what stands on the log: from one moment on, as it comes."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.check.finding import NotJudged
from infra.check.journals import Acknowledged, acknowledged
from schemas.topics import HISTORY

MOST_EARLY = 100_000
"""Commands on the log that nobody has been told of yet: our own processes' are never told, so the oldest go."""

LOOK_EVERY_S = 0.5


class Ledger:
    """`acknowledged` and `found` are to be equal; a command is found a moment before it is told, or after."""

    def __init__(self) -> None:
        self._early: dict[str, None] = {}
        self._waiting: set[str] = set()
        self.acknowledged = 0
        self.found = 0

    @property
    def early(self) -> int:
        return len(self._early)

    def on_log(self, command_id: str) -> None:
        if command_id in self._waiting:
            self._waiting.discard(command_id)
            self.found += 1
            return
        self._early[command_id] = None
        if len(self._early) > MOST_EARLY:
            del self._early[next(iter(self._early))]

    def told(self, command_id: str) -> None:
        self.acknowledged += 1
        if command_id in self._early:
            del self._early[command_id]
            self.found += 1
        else:
            self._waiting.add(command_id)


class JournalTail:
    """What is added to the journals of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.unreadable = 0
        """Lines that are no acknowledgements: torn ones, or somebody else's."""
        self._read = {file: file.stat().st_size for file in self._files()}

    def fresh(self) -> Iterator[Acknowledged]:
        """The whole lines since the last look; a shorter file than then is a new one."""
        for file in self._files():
            with suppress(FileNotFoundError), file.open("rb") as lines:
                at = self._read.get(file, 0)
                at = at if at <= file.stat().st_size else 0
                lines.seek(at)
                for line in lines:
                    if not line.endswith(b"\n"):
                        break
                    at += len(line)
                    self._read[file] = at
                    if (told := self._acknowledged(line, file)) is not None:
                        yield told

    def _acknowledged(self, line: bytes, file: Path) -> Acknowledged | None:
        told = None
        with suppress(NotJudged):
            told = acknowledged(line, str(file))
        self.unreadable += told is None
        return told

    def _files(self) -> list[Path]:
        return [file for file in self._folder.glob("*.jsonl") if ".older." not in file.name]


class Bookkeeper:
    """Keeps a ledger, from its start on."""

    def __init__(self, client_args: Mapping[str, Any], partitions: int, journals: Path) -> None:
        self._consumer = AIOKafkaConsumer(
            **client_args, enable_auto_commit=False, auto_offset_reset="latest", fetch_max_wait_ms=200
        )
        self._places = [TopicPartition(topic.name, p) for topic in HISTORY for p in range(partitions)]
        self._journals = journals
        self._tasks: list[asyncio.Task[None]] = []
        self._tail: JournalTail | None = None
        self.ledger = Ledger()

    async def start(self) -> None:
        await self._consumer.start()
        self._consumer.assign(self._places)
        ends = await self._consumer.end_offsets(self._places)
        for place, end in ends.items():
            self._consumer.seek(place, end)
        self._tail = JournalTail(self._journals)
        self._tasks = [
            asyncio.create_task(self._log(), name="the log"),
            asyncio.create_task(self._told(self._tail), name="the journals"),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._consumer.stop()

    def wrong(self) -> str:
        """What makes the count less than it says; nothing where it is whole."""
        unreadable = self._tail.unreadable if self._tail is not None else 0
        said = [f"{unreadable:,} lines of the journals unreadable"] if unreadable else []
        for task in self._tasks:
            if task.done() and not task.cancelled():
                said.append(f"{task.get_name()} not counted any more: {task.exception()!r}")
        return "; ".join(said)

    def ends(self) -> dict[tuple[str, int], int]:
        """Where the log has come to, as far as the last fetch knows."""
        return {(p.topic, p.partition): self._consumer.highwater(p) or 0 for p in self._places}

    async def _log(self) -> None:
        while True:
            for records in (await self._consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    for name, value in record.headers:
                        if name == "command_id":
                            self.ledger.on_log(value.decode())

    async def _told(self, journals: JournalTail) -> None:
        while True:
            for line in journals.fresh():
                self.ledger.told(line.command_id)
            await asyncio.sleep(LOOK_EVERY_S)
