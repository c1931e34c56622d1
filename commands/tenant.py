"""Tenant: who the platform works for, and the rules that all their decisions go by."""

from collections.abc import Mapping
from typing import assert_never

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.directory import NotThere, misplaced
from commands.life import NEW, Life, to, when, within
from commands.refusals import NotATestTenant, TooMany
from commands.registries import Registries, UnknownDocumentKind, set_registry, with_registry
from schemas.directory import (
    MAX_CLOCK_AHEAD_S,
    AdvanceTenantClock,
    ChangeTenantRules,
    CreateTenant,
    TenantClockAdvanced,
    TenantCommand,
    TenantCreated,
    TenantEvent,
    TenantMode,
    TenantRules,
    TenantRulesChanged,
)
from schemas.ids import contact_subject
from schemas.message import Refused, SubjectId, TenantSlug
from schemas.person import CloseForgetting, ConfirmForgetting, ForgetPerson, PersonForgotten, PersonKeysDropped
from schemas.registries import (
    DocumentKindsSet,
    FailureReasonsSet,
    IncidentKindsSet,
    SetDocumentKinds,
    SetFailureReasons,
    SetIncidentKinds,
)

MAX_FORGETTING = 1_000


class TenantState(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    mode: TenantMode
    rules: TenantRules
    registries: Registries = Registries()
    clock_ahead_s: int = 0
    forgotten: int = 0
    """People, so far."""
    forgetting: Mapping[int, SubjectId] = {}
    """Those whose keys are still to be thrown away, by number."""


class ClockTooFarAhead(Refused):
    rule = "clock-too-far-ahead"
    is_about = ("seconds",)

    def __init__(self, ahead_seconds: int, limit: int) -> None:
        super().__init__(f"the clock would be {ahead_seconds} s ahead, {limit} are allowed")
        self.ahead_seconds = ahead_seconds
        self.limit = limit


class OnePersonToForget(Refused):
    rule = "one-person-to-forget"
    is_about = ("contact",)

    def __init__(self) -> None:
        super().__init__("name one person, by the contact's reference")


class UnknownPerson(Refused):
    rule = "unknown-person"
    stands_in = ("contact",)

    def __init__(self, contact: str) -> None:
        super().__init__(
            f"nothing is sealed of {contact}: it names nobody, or they go by a reference, or are forgotten"
        )
        self.contact = contact


class ForgettingAnswered(Refused):
    rule = "forgetting-answered"

    def __init__(self, number: int) -> None:
        super().__init__(f"the keys of person {number} were thrown away before")
        self.number = number


type Tenant = NotThere | TenantState


def status_of(tenant: Tenant) -> str:
    return NEW if isinstance(tenant, NotThere) else "created"


LIFE = Life(
    status_of,
    {
        TenantCreated: to("created", NEW),
        TenantRulesChanged: within("created"),
        TenantClockAdvanced: within("created"),
        FailureReasonsSet: within("created"),
        IncidentKindsSet: within("created"),
        DocumentKindsSet: within("created"),
        PersonForgotten: within("created"),
        PersonKeysDropped: within("created"),
    },
    {
        ChangeTenantRules: when("created"),
        AdvanceTenantClock: when("created"),
        SetFailureReasons: when("created"),
        SetIncidentKinds: when("created"),
        SetDocumentKinds: when("created"),
        ForgetPerson: when("created"),
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
        case AdvanceTenantClock(), TenantState():
            return [advanced(tenant, command)]
        case ((SetFailureReasons() | SetIncidentKinds() | SetDocumentKinds()), TenantState()):
            return [*set_registry(tenant.registries, command)]
        case ForgetPerson(), TenantState():
            return [forgotten(tenant, command, context)]
        case ConfirmForgetting(), TenantState():
            if command.number not in tenant.forgetting:
                raise ForgettingAnswered(command.number)
            return []
        case CloseForgetting(), TenantState():
            subject = tenant.forgetting.get(command.number)
            return [] if subject is None else [PersonKeysDropped(number=command.number, subject=subject)]
        case _:
            raise misplaced(tenant)


def with_known_documents(rules: TenantRules, registries: Registries) -> None:
    """Nobody could submit what the registry does not have. Raises UnknownDocumentKind."""
    kinds = [kind.code for kind in registries.document_kinds if kind.of == "rider"]
    for code in rules.required_documents:
        if code not in kinds:
            raise UnknownDocumentKind(code, kinds)


def advanced(tenant: TenantState, command: AdvanceTenantClock) -> TenantClockAdvanced:
    if tenant.mode != "test":
        raise NotATestTenant
    ahead = tenant.clock_ahead_s + command.seconds
    if ahead > MAX_CLOCK_AHEAD_S:
        raise ClockTooFarAhead(ahead, MAX_CLOCK_AHEAD_S)
    return TenantClockAdvanced(seconds=command.seconds, ahead_seconds=ahead)


def forgotten(tenant: TenantState, command: ForgetPerson, context: Context) -> PersonForgotten:
    if len(tenant.forgetting) >= MAX_FORGETTING:
        raise TooMany("people whose keys are still to be thrown away", MAX_FORGETTING)
    subject = subject_of(command, context)
    if command.is_known is False:
        raise UnknownPerson(command.contact or subject)
    return PersonForgotten(number=tenant.forgotten + 1, subject=subject, reason_code=command.reason_code)


def subject_of(command: ForgetPerson, context: Context) -> SubjectId:
    """A reference is the tenant's own: nobody can have another tenant's people forgotten."""
    match command:
        case ForgetPerson(contact=str(reference), subject=None):
            return contact_subject(context.tenant, reference)
        case ForgetPerson(contact=None, subject=str(subject)):
            return SubjectId(subject)
        case _:
            raise OnePersonToForget


def evolve(tenant: Tenant, event: TenantEvent) -> Tenant:
    match event:
        case TenantCreated():
            return TenantState(event.mode, event.rules)
        case TenantRulesChanged():
            assert isinstance(tenant, TenantState), "rules change on a tenant"
            return replace(tenant, rules=event.rules)
        case TenantClockAdvanced():
            assert isinstance(tenant, TenantState), "a tenant has a clock"
            return replace(tenant, clock_ahead_s=event.ahead_seconds)
        case FailureReasonsSet() | IncidentKindsSet() | DocumentKindsSet():
            assert isinstance(tenant, TenantState), "registries are set on a tenant"
            return replace(tenant, registries=with_registry(tenant.registries, event))
        case PersonForgotten():
            assert isinstance(tenant, TenantState), "a tenant forgets"
            forgetting = {**tenant.forgetting, event.number: event.subject}
            return replace(tenant, forgotten=event.number, forgetting=forgetting)
        case PersonKeysDropped():
            assert isinstance(tenant, TenantState), "a tenant forgets"
            left = {number: subject for number, subject in tenant.forgetting.items() if number != event.number}
            return replace(tenant, forgetting=left)
        case _:
            assert_never(event)
