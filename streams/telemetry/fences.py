"""The fences of all tenants, as the directory tells of them: each in its shapes, one after the other."""

from collections.abc import Iterable

import msgspec

from schemas.directory import GeofenceChanged, GeofenceCreated, GeofenceRemoved
from schemas.message import Event, Source
from streams.telemetry.fence_index import FenceIndex, FenceVersion, version_of
from streams.telemetry.moments import unix_ms

MOST_VERSIONS = 100
"""Of one fence; the oldest go, and a fix from their time finds no fence."""


class Fences:
    """Folded from `logistics.directory`; a change holds from its own moment on."""

    def __init__(self) -> None:
        self._versions: dict[str, dict[str, list[FenceVersion]]] = {}
        self._indexes: dict[str, FenceIndex] = {}

    def take(self, event: Event, source: Source) -> None:
        of_tenant = self._versions.setdefault(source.tenant, {})
        versions = of_tenant.setdefault(source.aggregate_id, [])
        match event:
            case GeofenceCreated() | GeofenceChanged():
                ended(versions, unix_ms(event.valid_from))
                del versions[: -MOST_VERSIONS + 1]
                from_ms = unix_ms(event.valid_from)
                versions.append(
                    version_of(
                        source.aggregate_id, event.shape, from_ms, dwell_s=event.dwell_s, calendar=event.calendar
                    )
                )
            case GeofenceRemoved():
                ended(versions, unix_ms(event.valid_until))
            case _:
                return
        self._indexes.pop(source.tenant, None)

    def index(self, tenant: str) -> FenceIndex:
        if tenant not in self._indexes:
            self._indexes[tenant] = FenceIndex(list(standing(self._versions.get(tenant, {}).values())))
        return self._indexes[tenant]


def ended(versions: list[FenceVersion], until_ms: int) -> None:
    """What began later than this never held."""
    versions[:] = [
        msgspec.structs.replace(version, until_ms=min(version.until_ms, until_ms))
        for version in versions
        if version.from_ms < until_ms
    ]


def standing(of_fences: Iterable[list[FenceVersion]]) -> Iterable[FenceVersion]:
    for versions in of_fences:
        yield from versions
