"""Child processes that end with their parent, even by kill -9, and that the next start can find.

The kernel sends a child its signal when the parent dies (PR_SET_PDEATHSIG, prctl(2)). Each runs in a session of its
own, so that Ctrl-C reaches only the parent, which then stops its children in order.
"""

import asyncio
import ctypes
import os
import pwd
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from infra.embedded import leftover
from infra.embedded.bounded_log import BoundedLog, copied, tail

PR_SET_PDEATHSIG = 1
STOP_AFTER_S = 20.0

_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    """One process with its output in a bounded file.

    `dies_by` is what asks it to end: sent by `stop`, and by the kernel when we die. `user` is a uid, None for ours.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        user: int | None = None,
        dies_by: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._command, self._log, self._env, self._user = command, log, env, user
        self._dies_by = dies_by
        self._note = log.with_suffix(".pid")
        self._process: asyncio.subprocess.Process | None = None
        self._copying: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "start first"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Ends what an earlier start left over, then starts anew."""
        log = BoundedLog(self._log)
        await leftover.end(self._note)
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=None if self._env is None else {**os.environ, **self._env},
            preexec_fn=bound_to(os.getpid(), self._dies_by),
            start_new_session=True,
            **self._identity(),  # type: ignore[arg-type]
        )
        leftover.note(self._note, self._process.pid)
        assert self._process.stdout is not None, "it is a pipe"
        self._copying = asyncio.create_task(copied(self._process.stdout, log))

    def _identity(self) -> dict[str, object]:
        if self._user is None:
            return {}
        return {"user": self._user, "group": pwd.getpwuid(self._user).pw_gid, "extra_groups": [], "cwd": "/"}

    async def wait(self) -> int:
        """The exit code, minus the signal if one ended it; all that it said is in the log by then."""
        assert self._process is not None, "start first"
        code = await self._process.wait()
        if self._copying is not None:
            await asyncio.wait([self._copying], timeout=1.0)
        self._note.unlink(missing_ok=True)
        return code

    async def stop(self) -> None:
        """Asks, waits, kills."""
        if self.running:
            assert self._process is not None, "it is running"
            with suppress(ProcessLookupError):
                self._process.send_signal(self._dies_by)
            try:
                async with asyncio.timeout(STOP_AFTER_S):
                    await self.wait()
            except TimeoutError:
                self._process.kill()
                await self.wait()

    def kill(self) -> None:
        assert self._process is not None, "start first"
        self._process.kill()

    def tail(self, lines: int = 12) -> str:
        """The end of what it said."""
        return tail(self._log, lines)


def bound_to(parent: int, dies_by: signal.Signals) -> Callable[[], None]:
    """What a child does between fork and exec: calls into the kernel only, since other threads' locks are not ours."""

    def bind() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, int(dies_by))
        if os.getppid() != parent:
            os._exit(1)

    return bind
