"""The directory as decisions see it: tenants, with what they have set and where they are."""

from typing import Any

from msgspec.structs import replace

from commands.context import OutletPolicy, TenantPolicy
from commands.registries import with_registry
from schemas.directory import (
    OutletCreated,
    OutletMoved,
    TenantCreated,
    TenantRulesChanged,
)
from schemas.ids import outlet_id
from schemas.message import Event, OutletSlug, Source, TenantSlug
from schemas.position import Vector, token
from schemas.registries import DocumentKindsSet, FailureReasonsSet, IncidentKindsSet
from schemas.topics import DIRECTORY


class Policy:
    """Each record is taken once, in its partition's order; what comes again is passed over.

    A tenant's events and its outlets' lie in different partitions and may come in any order.
    """

    def __init__(self) -> None:
        self._tenants: dict[TenantSlug, TenantPolicy] = {}
        self._outlets: dict[TenantSlug, dict[OutletSlug, OutletPolicy]] = {}
        self._slugs: dict[str, OutletSlug] = {}
        self._next: Vector = {}
        self._position: str | None = None

    def tenant(self, slug: str) -> TenantPolicy | None:
        return self._tenants.get(TenantSlug(slug))

    @property
    def position(self) -> str:
        """The directory's vector that decisions see now, opaque."""
        if self._position is None:
            self._position = token(self._next)
        return self._position

    def next_offset(self, partition: int) -> int:
        return self._next.get((DIRECTORY.name, partition), 0)

    def take(self, event: Event | None, source: Source | None, partition: int, offset: int) -> None:
        """One record of the directory; a control record has neither event nor source."""
        if offset < self.next_offset(partition):
            return
        self._next[DIRECTORY.name, partition] = offset + 1
        self._position = None
        if event is not None and source is not None:
            self._apply(event, source)

    def _apply(self, event: Event, source: Source) -> None:
        match event:
            case TenantCreated():
                self._tenants[source.tenant] = TenantPolicy(
                    tenant=source.tenant,
                    mode=event.mode,
                    rules=event.rules,
                    outlets=self._outlets.setdefault(source.tenant, {}),
                    version=source.version,
                )
            case TenantRulesChanged():
                self._changed(source, rules=event.rules)
            case FailureReasonsSet() | IncidentKindsSet() | DocumentKindsSet():
                known = self._tenants[source.tenant]
                self._changed(source, registries=with_registry(known.registries, event))
            case OutletCreated():
                self._slugs[source.aggregate_id] = event.outlet
                self._outlet(source, OutletPolicy(event.location, event.zone))
            case OutletMoved():
                slug = self._slugs[source.aggregate_id]
                zone = self._outlets[source.tenant][slug].zone
                self._outlet(source, OutletPolicy(event.location, zone))
            case _:
                pass  # geofences are the streams' concern

    def _changed(self, source: Source, **fields: Any) -> None:
        self._tenants[source.tenant] = replace(self._tenants[source.tenant], version=source.version, **fields)

    def _outlet(self, source: Source, outlet: OutletPolicy) -> None:
        slug = self._slugs[source.aggregate_id]
        assert source.aggregate_id == outlet_id(source.tenant, slug), "an outlet's id hangs on its slug"
        self._outlets.setdefault(source.tenant, {})[slug] = outlet
