"""Registries: a tenant's own failure reasons, kinds of incidents and kinds of documents, in place of the defaults."""

from collections.abc import Callable

import msgspec
import pytest
from story import given, nothing_yet, policy

from commands.context import TenantPolicy
from commands.registries import (
    DuplicateCode,
    Registries,
    UnknownCode,
    UnknownDocumentKind,
    UnknownFailureReason,
    UnknownIncidentKind,
)
from schemas.directory import ChangeTenantRules, TenantCreated, TenantRules, TenantRulesChanged
from schemas.message import Command, Event, NotInThisState, TenantSlug
from schemas.registries import (
    MAX_ENTRIES,
    DocumentKind,
    DocumentKindsSet,
    FailureReason,
    FailureReasonsSet,
    IncidentKind,
    IncidentKindsSet,
    SetDocumentKinds,
    SetFailureReasons,
    SetIncidentKinds,
)

CREATED = TenantCreated(tenant=TenantSlug("acme"), name="Acme", mode="test", rules=TenantRules())
DOG = FailureReason(code="dog", title="A dog", at_fault="recipient", after="hold_at_hub")
FLOOD = IncidentKind(code="flood", title="Flood", severity="high", actions=["hand_over_tasks"])
HYGIENE = DocumentKind(code="hygiene_pass", title="Hygiene pass", of="rider", required=True)

REGISTRIES = pytest.mark.parametrize(
    ("command", "event", "cleared", "emptied"),
    [
        (
            SetFailureReasons(reasons=[DOG]),
            FailureReasonsSet(reasons=[DOG]),
            SetFailureReasons(reasons=[]),
            FailureReasonsSet(reasons=[]),
        ),
        (
            SetIncidentKinds(kinds=[FLOOD]),
            IncidentKindsSet(kinds=[FLOOD]),
            SetIncidentKinds(kinds=[]),
            IncidentKindsSet(kinds=[]),
        ),
        (
            SetDocumentKinds(kinds=[HYGIENE]),
            DocumentKindsSet(kinds=[HYGIENE]),
            SetDocumentKinds(kinds=[]),
            DocumentKindsSet(kinds=[]),
        ),
    ],
    ids=["failure reasons", "incident kinds", "document kinds"],
)


@REGISTRIES
def test_a_registry_is_set_once_and_the_same_list_again_changes_nothing(
    command: Command, event: Event, cleared: Command, emptied: Event
):
    given(CREATED).when(command).then(event)
    given(CREATED, event).when(command).then()


@REGISTRIES
def test_an_empty_list_returns_to_the_defaults_and_changes_nothing_where_they_are_in_force(
    command: Command, event: Event, cleared: Command, emptied: Event
):
    given(CREATED, event).when(cleared).then(emptied)
    given(CREATED).when(cleared).then()
    given(CREATED, event, emptied).when(cleared).then()


@REGISTRIES
def test_a_registry_belongs_to_a_tenant_that_is_there(command: Command, event: Event, cleared: Command, emptied: Event):
    nothing_yet("tenant").when(command).refuses(NotInThisState)


@pytest.mark.parametrize(
    ("command", "double"),
    [
        (SetFailureReasons(reasons=[DOG, DOG]), "dog"),
        (SetIncidentKinds(kinds=[IncidentKind(code="theft", title="Theft"), FLOOD, FLOOD]), "flood"),
        (
            SetDocumentKinds(kinds=[HYGIENE, DocumentKind(code="hygiene_pass", title="Other", of="vehicle")]),
            "hygiene_pass",
        ),
    ],
)
def test_a_code_that_is_given_twice_is_refused_and_named(command: Command, double: str):
    refused = given(CREATED).when(command).refuses(DuplicateCode)
    assert refused.values() == {"code": double}


def test_each_registry_stands_by_itself():
    given(CREATED, FailureReasonsSet(reasons=[DOG])).when(SetIncidentKinds(kinds=[FLOOD])).tells("IncidentKindsSet")
    both = given(CREATED, FailureReasonsSet(reasons=[DOG]), IncidentKindsSet(kinds=[FLOOD]))
    both.when(SetFailureReasons(reasons=[DOG])).then()


def test_rules_that_change_leave_the_registries_as_they_are():
    changed = given(CREATED, FailureReasonsSet(reasons=[DOG]), TenantRulesChanged(rules=TenantRules(max_attempts=3)))
    changed.when(SetFailureReasons(reasons=[DOG])).then()
    changed.when(ChangeTenantRules(rules=TenantRules())).tells("TenantRulesChanged")


def test_a_registry_has_its_bound():
    reasons = [{"code": f"r{n}", "title": "x", "at_fault": "system"} for n in range(MAX_ENTRIES + 1)]
    assert msgspec.convert({"reasons": reasons[1:]}, SetFailureReasons)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"reasons": reasons}, SetFailureReasons)


# What a code stands for


def with_own(**own: list[object]) -> TenantPolicy:
    return msgspec.structs.replace(policy(), registries=Registries(**own))  # type: ignore[arg-type]


def test_a_tenant_without_its_own_knows_the_defaults():
    assert policy().failure_reason("wrong_address").at_fault == "sender"
    assert "call_emergency" in policy().incident_kind("safety").actions
    assert policy().document_kind("roadworthiness").of == "vehicle"


def test_a_tenants_own_stand_in_place_of_the_defaults():
    acme = with_own(own_failure_reasons=[DOG], own_incident_kinds=[FLOOD], own_document_kinds=[HYGIENE])
    assert acme.failure_reason("dog") == DOG
    assert acme.incident_kind("flood") == FLOOD
    assert acme.document_kind("hygiene_pass") == HYGIENE
    with pytest.raises(UnknownFailureReason):
        acme.failure_reason("wrong_address")


@pytest.mark.parametrize(
    ("lookup", "rule", "known"),
    [
        (TenantPolicy.failure_reason, UnknownFailureReason, "dog"),
        (TenantPolicy.incident_kind, UnknownIncidentKind, "flood"),
        (TenantPolicy.document_kind, UnknownDocumentKind, "hygiene_pass"),
    ],
)
def test_an_unknown_code_is_refused_with_those_that_are_known(
    lookup: Callable[[TenantPolicy, str], object], rule: type[UnknownCode], known: str
):
    acme = with_own(own_failure_reasons=[DOG], own_incident_kinds=[FLOOD], own_document_kinds=[HYGIENE])
    with pytest.raises(rule) as refused:
        lookup(acme, "meteor")
    assert refused.value.values() == {"code": "meteor", "known": [known]}
    assert str(refused.value).endswith(f"meteor; known are {known}")
