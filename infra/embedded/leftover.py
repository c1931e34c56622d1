"""What an earlier start left over: its parent was killed and it has not noticed yet."""

import asyncio
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil

GRACE_S = 5.0
"""How long it may take to end before it is killed; all that we start comes back from a kill."""


class Running(msgspec.Struct, frozen=True):
    """Which process that is: a pid alone may be another's by now."""

    pid: int
    started: float
    """Seconds since 1970, as the kernel tells."""


def note(file: Path, pid: int) -> None:
    """One that has ended already leaves nothing over."""
    with suppress(psutil.NoSuchProcess):
        file.write_bytes(msgspec.json.encode(Running(pid, psutil.Process(pid).create_time())))


async def end(file: Path) -> None:
    """Ends the process that `file` tells of, if it still runs."""
    process = noted(file)
    if process is not None:
        await asyncio.to_thread(_end, process)
    file.unlink(missing_ok=True)


def noted(file: Path) -> psutil.Process | None:
    try:
        running = msgspec.json.decode(file.read_bytes(), type=Running)
        process = psutil.Process(running.pid)
        return process if abs(process.create_time() - running.started) < 1 else None
    except (FileNotFoundError, msgspec.MsgspecError, psutil.NoSuchProcess):
        return None


def _end(process: psutil.Process) -> None:
    try:
        process.terminate()
        process.wait(GRACE_S)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(GRACE_S)
    except psutil.NoSuchProcess:
        return
