"""Tenant: who the platform works for, and the rules that all their decisions go by."""

from typing import assert_never

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.directory import NotThere, misplaced
from commands.life import NEW, Life, to, within
from commands.registries import Registries, UnknownDocumentKind, set_registry, with_registry
from schemas.directory import (
    ChangeTenantRules,
    CreateTenant,
    TenantCommand,
    TenantCreated,
    TenantEvent,
    TenantMode,
    TenantRules,
    TenantRulesChanged,
)
from schemas.message import TenantSlug
from schemas.registries import (
    DocumentKindsSet,
    FailureReasonsSet,
    IncidentKindsSet,
    SetDocumentKinds,
    SetFailureReasons,
    SetIncidentKinds,
)


class TenantState(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    mode: TenantMode
    rules: TenantRules
    registries: Registries = Registries()


type Tenant = NotThere | TenantState


def status_of(tenant: Tenant) -> str:
    return NEW if isinstance(tenant, NotThere) else "created"


LIFE = Life(
    status_of,
    {
        TenantCreated: to("created", NEW),
        TenantRulesChanged: within("created"),
        FailureReasonsSet: within("created"),
        IncidentKindsSet: within("created"),
        DocumentKindsSet: within("created"),
    },
)


def decide(tenant: Tenant, command: TenantCommand, context: Context) -> list[TenantEvent]:
    match command, tenant:
        case CreateTenant(), NotThere():
            with_known_documents(command.rules, Registries())
            created = TenantCreated(
                tenant=TenantSlug(command.tenant), name=command.name, mode=command.mode, rules=command.rules
            )
            return [created]
        case ChangeTenantRules(), TenantState():
            with_known_documents(command.rules, tenant.registries)
            return [] if command.rules == tenant.rules else [TenantRulesChanged(rules=command.rules)]
        case ((SetFailureReasons() | SetIncidentKinds() | SetDocumentKinds()), TenantState()):
            return [*set_registry(tenant.registries, command)]
        case _:
            raise misplaced(tenant)


def with_known_documents(rules: TenantRules, registries: Registries) -> None:
    """Nobody could submit what the registry does not have. Raises UnknownDocumentKind."""
    kinds = [kind.code for kind in registries.document_kinds if kind.of == "rider"]
    for code in rules.required_documents:
        if code not in kinds:
            raise UnknownDocumentKind(code, kinds)


def evolve(tenant: Tenant, event: TenantEvent) -> Tenant:
    match event:
        case TenantCreated():
            return TenantState(event.mode, event.rules)
        case TenantRulesChanged():
            assert isinstance(tenant, TenantState), "rules change on a tenant"
            return replace(tenant, rules=event.rules)
        case FailureReasonsSet() | IncidentKindsSet() | DocumentKindsSet():
            assert isinstance(tenant, TenantState), "registries are set on a tenant"
            return replace(tenant, registries=with_registry(tenant.registries, event))
        case _:
            assert_never(event)
