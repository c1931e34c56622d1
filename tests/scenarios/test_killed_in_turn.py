"""Every process is killed in turn while deliveries are played: each comes back, and nothing that was told is lost."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.embedded.ports import free_port

PARTS = ("gateway", "shards-2", "projector", "processes", "streams", "trainer", "demo", "osrm", "kafka", "postgres")
READY_WITHIN_S = 120
BACK_WITHIN_S = 60


class Played:
    """`logistics up --demo` on data of its own."""

    def __init__(self, data: Path, port: int) -> None:
        self.data, self.url = data, f"http://127.0.0.1:{port}"
        self.env = os.environ | {"LOGISTICS_HTTP_PORT": str(port), "LOGISTICS_DATA": str(data)}

    async def start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *self._program("up", "--demo", "--owners", "2"), env=self.env, stdout=PIPE
        )

    async def told(self, *words: str) -> tuple[int, Any]:
        process = await asyncio.create_subprocess_exec(*self._program(*words, "--json"), env=self.env, stdout=PIPE)
        out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, json.loads(out)

    async def pids(self) -> dict[str, int]:
        _, status = await self.told("status")
        return {each["part"]: each["pid"] for each in status["processes"]}

    async def ready(self, within_s: float) -> None:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client, asyncio.timeout(within_s):
            while True:
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/readyz")).is_success:
                        return
                await asyncio.sleep(0.2)

    async def acknowledged_more(self, within_s: float) -> None:
        """Somebody is told of a command once more."""
        before = self.acknowledged()
        async with asyncio.timeout(within_s):
            while self.acknowledged() <= before:  # noqa: ASYNC110 - it is another process's file
                await asyncio.sleep(0.2)

    def acknowledged(self) -> int:
        journal = self.data / "journals" / "demo.jsonl"
        return journal.read_bytes().count(b"\n") if journal.exists() else 0

    def _program(self, *words: str) -> tuple[str, ...]:
        return sys.executable, "-m", "infra.cli", *words


@pytest.fixture
async def played(jars: Path, osrm: str, tmp_path: Path) -> AsyncIterator[Played]:
    tmp_path.chmod(0o755)
    made = Played(tmp_path / "run", free_port())
    process = await made.start()
    try:
        await made.ready(READY_WITHIN_S)
        yield made
    finally:
        process.send_signal(signal.SIGINT)
        await process.wait()


@pytest.mark.timeout(600)
async def test_each_process_comes_back_from_a_kill_and_every_invariant_holds(played: Played):
    await played.acknowledged_more(BACK_WITHIN_S)
    for part in PARTS:
        killed = (await played.pids())[part]
        os.kill(killed, signal.SIGKILL)
        await back(played, part, killed)
        await played.ready(BACK_WITHIN_S)
        await played.acknowledged_more(2 * BACK_WITHIN_S)
    code, told = await played.told("check")
    assert code == 0, told
    assert told["holds"]


async def back(played: Played, part: str, killed: int) -> None:
    async with asyncio.timeout(BACK_WITHIN_S):
        while (await played.pids()).get(part, killed) == killed:  # noqa: ASYNC110 - another process comes up
            await asyncio.sleep(0.3)
