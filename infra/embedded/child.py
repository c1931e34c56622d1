"""Child processes that end with their parent, and the free ports they listen on."""

import asyncio
import ctypes
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
STOP_AFTER_S = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def dies_with_parent() -> None:
    """Have the kernel send SIGTERM when the parent is gone, killed ones included (Linux only)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """One process with its output in a file."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        user: int | None = None,
        prepare: Callable[[], None] = dies_with_parent,
    ) -> None:
        self._command, self._log, self._env, self._user = command, log, env, user
        self._prepare = prepare
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "start first"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                user=self._user,
                preexec_fn=self._prepare,
                start_new_session=True,
            )

    async def wait(self) -> int:
        assert self._process is not None, "start first"
        return await self._process.wait()

    async def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        if not self.running:
            return
        assert self._process is not None, "it is running"
        with suppress(ProcessLookupError):
            self._process.send_signal(sign)
        try:
            async with asyncio.timeout(STOP_AFTER_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def kill(self) -> None:
        assert self._process is not None, "start first"
        self._process.kill()

    def tail(self, lines: int = 12) -> str:
        """The end of what it said."""
        if not self._log.exists():
            return ""
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - 8_192))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
