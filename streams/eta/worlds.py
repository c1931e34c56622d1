"""Which tenants are played? What happens to them is no part of the world that the others live in."""

from schemas.directory import TenantCreated
from schemas.message import Event


class Worlds:
    def __init__(self) -> None:
        self._played: set[str] = set()

    def take(self, event: Event) -> None:
        if isinstance(event, TenantCreated) and event.mode == "test":
            self._played.add(event.tenant)

    def is_live(self, tenant: str) -> bool:
        return tenant not in self._played
