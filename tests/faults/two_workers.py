"""Two workers of the telemetry stream as processes of their own, to be killed and frozen, and what they leave behind."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from world import KEK

from commands.follow import Follower
from infra.check.reading import ends_of
from infra.kafka import client_args
from infra.role_process import RoleProcess
from infra.settings import PREFIX, Settings
from schemas.control import ShardOpened
from schemas.record import Stored, event_of
from schemas.topics import FIXES, SIGNALS

WITHIN_S = 60.0
SESSION_MS = 3_000
LOOK_EVERY_S = 0.05


class Workers:
    """`told` is the whole log of signals, as it grows."""

    def __init__(self, settings: Settings, folder: Path, names: tuple[str, ...] = ("streams-1", "streams-2")) -> None:
        self._settings = settings
        more = {
            f"{PREFIX}CLUSTER": settings.cluster,
            f"{PREFIX}PARTITIONS": str(settings.partitions),
            f"{PREFIX}KEY_ENCRYPTION_KEY": KEK.hex(),
            f"{PREFIX}STREAMS_SESSION_MS": str(SESSION_MS),
        }
        self._parts = {name: RoleProcess("streams", settings, folder, name, more) for name in names}
        self.told: list[Stored] = []
        self._following = Follower(client_args(settings), [SIGNALS.name], self.told.append)

    async def start(self) -> None:
        await self._following.start()
        for part in self._parts.values():
            await part.start()

    async def stop(self) -> None:
        for part in self._parts.values():
            await part.stop()
        await self._following.stop()

    def send(self, name: str, sign: signal.Signals) -> None:
        os.kill(self._parts[name].child.pid, sign)

    async def killed(self, name: str) -> None:
        """And started again."""
        self.send(name, signal.SIGKILL)
        await self._parts[name].child.wait()
        await self._parts[name].start()

    def opened(self, name: str) -> list[Stored]:
        """The barriers that this process has written."""
        mine = f":{self._parts[name].child.pid}"
        return [
            stored
            for stored in self.told
            if isinstance(told := control_of(stored), ShardOpened) and told.owner.endswith(mine)
        ]

    async def folds(self, name: str, more_than: int = 0) -> None:
        """Until it has opened so many partitions, and one more."""

        async def opened() -> bool:
            return len(self.opened(name)) > more_than

        await until(opened)

    async def moves_all(self, partitions: int) -> None:
        """Until the places of all partitions have moved, by whomever."""
        before = await places_of(self._settings)

        async def moved() -> bool:
            places = await places_of(self._settings)
            return all(places[p] > before[p] for p in range(partitions))

        await until(moved)

    async def caught_up(self) -> None:
        """Until every frame on the log is folded, and all that was told is known here."""

        async def there() -> bool:
            ends = await ends_of(client_args(self._settings), [FIXES.name], self._settings.partitions)
            return await places_of(self._settings) == {p: end for (_, p), end in ends.items()}

        await until(there)
        await self.all_known()

    async def all_known(self) -> None:
        """Whatever has been told until now."""
        await self._following.up_to()


def control_of(stored: Stored) -> Any:
    return event_of(stored, None) if stored.is_control else None


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await holds():  # noqa: ASYNC110 - it happens in other processes
            await asyncio.sleep(LOOK_EVERY_S)


@asynccontextmanager
async def locked(settings: Settings, table: str) -> AsyncIterator[None]:
    """Nobody writes to it meanwhile."""
    async with await AsyncConnection.connect(settings.postgres.get_secret_value()) as connection:
        await connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE".encode())
        yield
        await connection.rollback()


async def all_wait_for_it(settings: Settings, workers: int) -> None:
    """Each in the middle of its transaction."""

    async def wait() -> bool:
        found = await rows(settings, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return found[0][0] >= workers

    await until(wait)


async def emptied(settings: Settings) -> None:
    """All that stood in the database is lost."""
    async with await AsyncConnection.connect(settings.postgres.get_secret_value()) as connection:
        await connection.execute("DROP SCHEMA public CASCADE")
        await connection.execute("CREATE SCHEMA public")


async def rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    async with await AsyncConnection.connect(settings.postgres.get_secret_value(), row_factory=tuple_row) as connection:
        return await (await connection.execute(sql.encode())).fetchall()


async def places_of(settings: Settings) -> dict[int, int]:
    """The next frame of each partition, as it stands beside the rows."""
    return dict(await rows(settings, f"SELECT partition, next_offset FROM stream_places WHERE topic = '{FIXES.name}'"))
