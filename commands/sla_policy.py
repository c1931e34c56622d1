"""SlaPolicy: what is promised for which tasks."""

from itertools import pairwise
from typing import assert_never

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.directory import NotThere, misplaced
from commands.life import NEW, Life, to, when, within
from commands.registries import each_once
from commands.sla_choice import oldest
from schemas.message import NotInDirectory, Refused
from schemas.sla_policy import (
    MAX_POLICIES,
    ChangeSlaPolicy,
    CreateSlaPolicy,
    RemoveSlaPolicy,
    SlaPolicyChanged,
    SlaPolicyCommand,
    SlaPolicyCreated,
    SlaPolicyEvent,
    SlaPolicyRemoved,
    SlaScope,
    SlaTerms,
)


class TooManyPolicies(Refused):
    rule = "too-many"

    def __init__(self, limit: int) -> None:
        super().__init__(f"a tenant has at most {limit} SLA policies")
        self.limit = limit


class SlaScopeTaken(NotInDirectory):
    """Of two that say the same of a task the older one would hold, and the other never."""

    rule = "sla-scope-taken"
    is_about = ("applies_to",)

    def __init__(self, policy_id: str) -> None:
        super().__init__(f"policy {policy_id} applies to the same tasks")
        self.policy_id = policy_id


class NothingPromised(Refused):
    rule = "nothing-promised"
    is_about = ("terms",)

    def __init__(self) -> None:
        super().__init__("the terms promise nothing: neither a dispatch, nor a pickup, nor a delivery")


class LevelsNotAscending(Refused):
    rule = "levels-not-ascending"
    stands_in = ("breach_levels_minutes",)

    def __init__(self, levels_minutes: list[int]) -> None:
        super().__init__(f"the breach levels {levels_minutes} do not ascend")
        self.levels_minutes = levels_minutes


class SlaPolicyState(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    name: str
    applies_to: SlaScope
    terms: SlaTerms
    removed: bool = False


type SlaPolicy = NotThere | SlaPolicyState


def status_of(policy: SlaPolicy) -> str:
    if isinstance(policy, NotThere):
        return NEW
    return "removed" if policy.removed else "in_force"


LIFE = Life(
    status_of,
    {
        SlaPolicyCreated: to("in_force", NEW),
        SlaPolicyChanged: within("in_force"),
        SlaPolicyRemoved: to("removed", "in_force"),
    },
    {
        ChangeSlaPolicy: when("in_force"),
        RemoveSlaPolicy: when("in_force"),
    },
)


def decide(policy: SlaPolicy, command: SlaPolicyCommand, context: Context) -> list[SlaPolicyEvent]:
    match command, policy:
        case CreateSlaPolicy(), NotThere():
            return [created(command, context)]
        case ChangeSlaPolicy(), SlaPolicyState(removed=False):
            return change(policy, command, context)
        case RemoveSlaPolicy(), SlaPolicyState():
            return [] if policy.removed else [SlaPolicyRemoved()]
        case _:
            raise misplaced(policy)


def created(command: CreateSlaPolicy, context: Context) -> SlaPolicyCreated:
    if len(context.policy.sla_policies) >= MAX_POLICIES:
        raise TooManyPolicies(MAX_POLICIES)
    check(command, context)
    must_be_free(command.applies_to, context)
    return SlaPolicyCreated(
        name=command.name,
        applies_to=command.applies_to,
        terms=command.terms,
        external_reference=command.external_reference,
        source=command.source or context.actor,
        metadata=command.metadata,
    )


def change(policy: SlaPolicyState, command: ChangeSlaPolicy, context: Context) -> list[SlaPolicyEvent]:
    if SlaPolicyState(command.name, command.applies_to, command.terms) == policy:
        return []
    check(command, context)
    if command.applies_to != policy.applies_to or not is_oldest(command.applies_to, context):
        must_be_free(command.applies_to, context)
    return [SlaPolicyChanged(name=command.name, applies_to=command.applies_to, terms=command.terms)]


def is_oldest(scope: SlaScope, context: Context) -> bool:
    """Two that were created at one moment do not know of each other: the older one holds, and is changed as ever."""
    first = oldest(context.policy.sla_policies.values(), scope)
    return first is None or first.policy_id == context.aggregate_id


def must_be_free(scope: SlaScope, context: Context) -> None:
    for policy_id, known in context.policy.sla_policies.items():
        if known.applies_to == scope and policy_id != context.aggregate_id:
            raise SlaScopeTaken(policy_id)


def check(command: CreateSlaPolicy | ChangeSlaPolicy, context: Context) -> None:
    """Raises UnknownOutlet, UnknownServiceZone, NothingPromised, LevelsNotAscending, DuplicateCode."""
    scope, terms = command.applies_to, command.terms
    if scope.outlet is not None:
        context.policy.outlet(scope.outlet)
    if scope.zone is not None:
        context.policy.standing_zone(scope.zone, context.now)
    if (terms.dispatch_within_s, terms.pickup_within_s, terms.deliver_within_s) == (None, None, None):
        raise NothingPromised
    if any(later <= earlier for earlier, later in pairwise(terms.breach_levels_minutes)):
        raise LevelsNotAscending(terms.breach_levels_minutes)
    each_once(terms.pauses)


def evolve(policy: SlaPolicy, event: SlaPolicyEvent) -> SlaPolicy:
    match event:
        case SlaPolicyCreated() | SlaPolicyChanged():
            return SlaPolicyState(event.name, event.applies_to, event.terms)
        case SlaPolicyRemoved():
            assert isinstance(policy, SlaPolicyState), "only a policy is removed"
            return replace(policy, removed=True)
        case _:
            assert_never(event)
