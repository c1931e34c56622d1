"""Child processes: they end when we do, their logs stay small, and what was left over is found."""

import asyncio
import os
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from infra.embedded import leftover
from infra.embedded.bounded_log import BoundedLog, older, tail
from infra.embedded.child import Child

SLEEPS = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
PARENT = """
import asyncio, sys
from pathlib import Path
from infra.embedded.child import Child
async def main():
    child = Child([sys.executable, "-c", "import time; time.sleep(600)"], Path(sys.argv[1]) / "child.log")
    await child.start()
    print(child.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def until(holds: Callable[[], bool], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.02)


async def gone(pid: int) -> bool:
    await until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


async def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path):
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, str(tmp_path), stdout=PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    assert psutil.pid_exists(child)
    parent.kill()
    await parent.wait()
    assert await gone(child)


async def test_a_child_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("infra.embedded.child.STOP_AFTER_S", 0.3)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    child = Child([sys.executable, "-c", deaf], tmp_path / "deaf.log")
    await child.start()
    await until(lambda: "up" in child.tail())
    await child.stop()
    assert await child.wait() == -signal.SIGKILL


async def test_what_an_earlier_start_left_over_is_ended_before_the_next(tmp_path: Path):
    before = await asyncio.create_subprocess_exec(*SLEEPS, stdout=DEVNULL)
    leftover.note(tmp_path / "part.pid", before.pid)
    child = Child(SLEEPS, tmp_path / "part.log")
    await child.start()
    assert await gone(before.pid)
    assert child.running
    await child.stop()


async def test_a_process_that_took_the_same_number_later_is_left_alone(tmp_path: Path):
    note = tmp_path / "part.pid"
    leftover.note(note, os.getpid())
    other = leftover.Running(os.getpid(), psutil.Process().create_time() - 100)
    note.write_bytes(leftover.msgspec.json.encode(other))
    assert leftover.noted(note) is None
    await leftover.end(note)
    assert not note.exists()


def test_one_that_has_ended_before_it_could_be_noted_leaves_nothing_over(tmp_path: Path):
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    leftover.note(tmp_path / "part.pid", ended.pid)
    assert leftover.noted(tmp_path / "part.pid") is None


async def test_all_that_a_child_said_is_in_its_log_when_it_has_ended(tmp_path: Path):
    child = Child(["sh", "-c", "echo first; echo last >&2; exit 3"], tmp_path / "said.log")
    await child.start()
    assert await child.wait() == 3
    assert child.tail().splitlines() == ["first", "last"]


def test_a_log_keeps_two_generations_within_its_bound(tmp_path: Path):
    file = tmp_path / "part.log"
    log = BoundedLog(file, max_bytes=100)
    for number in range(50):
        log.write(f"line {number:02}\n".encode())
    log.close()
    assert file.stat().st_size <= 100
    assert older(file).stat().st_size <= 100
    assert len(list(tmp_path.iterdir())) == 2
    assert tail(file, lines=1) == "line 49"
