"""The supervisor: what dies comes back, what dies again and again is told, and all stops in order."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from infra import supervisor
from infra.embedded.child import Child
from infra.supervisor import GaveUp, Supervisor

SLEEPS = "import time; time.sleep(600)"


class Script:
    """A part that runs Python code; notes when it was stopped."""

    def __init__(self, code: str, folder: Path, name: str = "script", stops: list[str] | None = None) -> None:
        self.child = Child([sys.executable, "-c", code], folder / f"{name}.log")
        self.name, self.stops = name, [] if stops is None else stops

    async def start(self) -> None:
        await self.child.start()

    async def stop(self) -> None:
        await self.child.stop()
        self.stops.append(self.name)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
async def supervised(said: list[str]) -> AsyncIterator[Supervisor]:
    one = Supervisor(said.append)
    yield one
    await one.stop()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(supervisor, "BACK_OFF_S", (0.01, 0.02))


async def until(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.01)


async def test_a_part_that_is_killed_comes_back(tmp_path: Path, said: list[str], supervised: Supervisor):
    await supervised.start(sleeper=Script(SLEEPS, tmp_path))
    first = supervised.processes()["sleeper"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: any("sleeper is back" in line for line in said))
    assert supervised.processes()["sleeper"] != first
    assert "sleeper ended with -9" in said[0]


async def test_a_part_that_does_not_stay_up_is_told_with_what_it_said(tmp_path: Path, supervised: Supervisor):
    await supervised.start(failing=Script("import sys; sys.exit('the disk is full')", tmp_path))
    with pytest.raises(GaveUp, match=r"(?s)failing does not stay up.*the disk is full"):
        await asyncio.wait_for(supervised.watch(asyncio.Event()), 20)


async def test_a_part_is_given_five_tries(tmp_path: Path, said: list[str], supervised: Supervisor):
    await supervised.start(failing=Script("raise SystemExit(1)", tmp_path))
    with pytest.raises(GaveUp):
        await asyncio.wait_for(supervised.watch(asyncio.Event()), 20)
    assert len([line for line in said if "starting it again" in line]) == supervisor.MOST_ENDS - 1


async def test_a_wrong_setting_is_not_tried_again(tmp_path: Path, said: list[str], supervised: Supervisor):
    await supervised.start(wrong=Script("raise SystemExit(2)", tmp_path))
    with pytest.raises(GaveUp, match="ended with 2"):
        await asyncio.wait_for(supervised.watch(asyncio.Event()), 20)
    assert said == []


async def test_parts_stop_in_groups_the_last_started_first(tmp_path: Path, said: list[str]):
    stops: list[str] = []
    one = Supervisor(said.append)
    await one.start(engine=Script(SLEEPS, tmp_path, "engine", stops))
    await one.start(role=Script(SLEEPS, tmp_path, "role", stops), other=Script(SLEEPS, tmp_path, "other", stops))
    pids = one.processes().values()
    await one.stop()
    assert stops[-1] == "engine"
    assert sorted(stops) == ["engine", "other", "role"]
    assert not any(psutil.pid_exists(pid) for pid in pids)


async def test_watching_ends_when_a_stop_is_asked_for(tmp_path: Path, supervised: Supervisor):
    await supervised.start(sleeper=Script(SLEEPS, tmp_path))
    stopped = asyncio.Event()
    stopped.set()
    await asyncio.wait_for(supervised.watch(stopped), 5)
