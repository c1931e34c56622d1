"""An owner that stands still, is replaced and wakes: it speaks from what it remembers, or not at all."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from owner_process import outcome
from world import World

from commands.connection import Connection, Told
from commands.shard import TENURE_CONFIRMED_FOR_S

SCRIPT = Path(__file__).parents[1] / "owner_process.py"
ROOT = SCRIPT.parents[1]
FOR_EVER_S = 1e9


class OwnerProcess:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def told(self, *order: str) -> str:
        """What became of the order; without one: that it is open."""
        assert self._process.stdin is not None, "it is a pipe"
        assert self._process.stdout is not None, "it is a pipe"
        if order:
            self._process.stdin.write(f"{' '.join(order)}\n".encode())
            await self._process.stdin.drain()
        async with asyncio.timeout(60):
            while line := (await self._process.stdout.readline()).decode().strip():
                if "[" not in line:  # of its own log
                    return line
        raise AssertionError("the process has ended")

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def process(world: World, confirmed_for_s: float) -> AsyncIterator[OwnerProcess]:
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        *(world.kafka, world.cluster, world.tenant, str(confirmed_for_s)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )
    try:
        owner = OwnerProcess(started)
        assert await owner.told() == "open"
        yield owner
    finally:
        started.kill()
        await started.wait()


type Started = Callable[[float], Awaitable[OwnerProcess]]


@pytest.fixture
async def owner_process(world: World) -> AsyncIterator[Started]:
    async with AsyncExitStack() as running:
        yield lambda confirmed_for_s: running.enter_async_context(process(world, confirmed_for_s))


@pytest.mark.parametrize(
    ("confirmed_for_s", "said"),
    [
        pytest.param(FOR_EVER_S, "StopNotKnown", id="the pitfall: it refuses from a stale memory"),
        pytest.param(TENURE_CONFIRMED_FOR_S, "unavailable", id="the remedy: it asks the log first"),
    ],
)
async def test_an_owner_that_stood_still(world: World, owner_process: Started, confirmed_for_s: float, said: str):
    before = await world.owner()
    await world.settle(before)
    frozen = await owner_process(confirmed_for_s)
    assert await frozen.told("create", "order-1") == "version 2"
    assert await frozen.told("locate", "order-1") == "StopNotKnown", "while it is the owner"
    frozen.freeze()
    successor = await world.owner()
    assert await outcome(world, successor, "cancel", "order-1") == "version 3"
    assert await outcome(world, successor, "locate", "order-1") == "VersionConflict"
    await asyncio.sleep(1.2 * TENURE_CONFIRMED_FOR_S)
    frozen.wake()
    assert await frozen.told("locate", "order-1") == said
    assert await frozen.told("cancel", "order-1") == "unavailable", "what it would have to write is refused in any case"


async def test_an_acknowledgement_that_is_heard_late_confirms_nothing(world: World):
    """It stood still between the broker's answer and its own ear, and another owner has opened since."""
    old = await world.owner()
    await world.settle(old)
    assert await outcome(world, old, "create", "order-1") == "version 2"
    answered, heard = asyncio.Event(), asyncio.Event()
    for shard in old.shards().values():
        shard._confirmed_s -= 2 * TENURE_CONFIRMED_FOR_S
        hear_late(shard._log._connection, answered, heard)
    asked_before = asyncio.create_task(outcome(world, old, "locate", "order-1"))
    await answered.wait()
    successor = await world.owner()
    assert await outcome(world, successor, "cancel", "order-1") == "version 3"
    await asyncio.sleep(1.2 * TENURE_CONFIRMED_FOR_S)
    heard.set()
    assert await asked_before == "StopNotKnown", "so it was when its heartbeat was written"
    assert await outcome(world, old, "locate", "order-1") == "unavailable"


def hear_late(connection: Connection, answered: asyncio.Event, heard: asyncio.Event) -> None:
    send = connection.send

    async def sending(batches: Mapping[str, bytes]) -> Sequence[Told]:
        told = await send(batches)
        answered.set()
        await heard.wait()
        return told

    connection.send = sending  # type: ignore[method-assign]
