"""A role as a process of its own, told by its environment where everything is."""

import sys
from collections.abc import Mapping
from pathlib import Path

from infra.embedded.child import Child
from infra.settings import PREFIX, Settings


class RoleProcess:
    """`logistics serve ROLE` with `settings`; what it says goes to `folder`/NAME.log.

    `name` tells several of one role apart; `more` are variables for this process alone.
    """

    def __init__(
        self,
        role: str,
        settings: Settings,
        folder: Path,
        name: str | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self._child = Child(
            [sys.executable, "-m", "infra.cli", "serve", role],
            folder / f"{name or role}.log",
            env={**environment(settings), **(more or {})},
        )

    @property
    def child(self) -> Child:
        return self._child

    async def start(self) -> None:
        """Returns at once: whether it is ready it says by its own answers."""
        await self._child.start()

    async def stop(self) -> None:
        await self._child.stop()


def environment(settings: Settings) -> Mapping[str, str]:
    """The addresses that were only known after the start. Secrets it finds where we keep them, in the data; the log
    has been made ready by who starts it."""
    return {
        f"{PREFIX}DATA": str(settings.data.resolve()),
        f"{PREFIX}KAFKA": settings.kafka,
        f"{PREFIX}REPLICATION": str(settings.replication),
        f"{PREFIX}FSYNC": settings.fsync,
        f"{PREFIX}POSTGRES": settings.postgres.get_secret_value(),
        f"{PREFIX}OSRM": settings.osrm,
        **({} if settings.addresses is None else {f"{PREFIX}ADDRESSES": str(settings.addresses.resolve())}),
        f"{PREFIX}OWNER_SESSION_MS": str(settings.owner_session_ms),
        f"{PREFIX}PREPARE_LOG": "false",
        "PYTHONUNBUFFERED": "1",
    }
