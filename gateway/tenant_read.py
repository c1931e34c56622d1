"""A tenant as decisions see it, for those who read it."""

from collections.abc import Sequence

import msgspec

from commands.context import TenantPolicy
from schemas.directory import TenantMode, TenantRules
from schemas.ids import tenant_id
from schemas.registries import DocumentKind, FailureReason, IncidentKind


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """The registries are those in force: the tenant's own, else the defaults. `id` is where its commands go."""

    id: str
    tenant: str
    mode: TenantMode
    live: bool
    rules: TenantRules
    failure_reasons: Sequence[FailureReason]
    incident_kinds: Sequence[IncidentKind]
    document_kinds: Sequence[DocumentKind]
    outlets: list[str]
    hubs: list[str]
    clock_ahead_s: int
    """Of a test tenant: how far decisions and deadlines are ahead of real time."""
    version: int


def as_read(known: TenantPolicy) -> Tenant:
    return Tenant(
        id=tenant_id(known.tenant),
        tenant=known.tenant,
        mode=known.mode,
        live=known.mode == "live",
        rules=known.rules,
        failure_reasons=known.registries.failure_reasons,
        incident_kinds=known.registries.incident_kinds,
        document_kinds=known.registries.document_kinds,
        outlets=sorted(known.outlets),
        hubs=sorted(known.hubs),
        clock_ahead_s=known.clock_ahead_s,
        version=known.version,
    )
