"""Which SLA policy holds for a task: of those that fit the one that says most of it."""

from collections.abc import Collection, Iterable
from datetime import datetime

import msgspec

from schemas.message import GeofenceId, SlaPolicyId
from schemas.sla_policy import SlaScope, SlaTerms
from schemas.task_kind import Priority, TaskKind


class SlaPolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as decisions see it. A task keeps its id and version, and so what was promised."""

    policy_id: SlaPolicyId
    version: int
    created_at: datetime
    applies_to: SlaScope
    terms: SlaTerms


class Promisee(msgspec.Struct, frozen=True, kw_only=True):
    """What policies ask of a task. Zones may overlap: its place may lie in several."""

    task_kind: TaskKind
    outlet: str
    zones: Collection[GeofenceId] = ()
    priority: Priority


def chosen(policies: Iterable[SlaPolicyView], task: Promisee) -> SlaPolicyView | None:
    return min((policy for policy in policies if fits(policy.applies_to, task)), key=rank, default=None)


def fits(scope: SlaScope, task: Promisee) -> bool:
    return (
        scope.task_kind in (None, task.task_kind)
        and scope.outlet in (None, task.outlet)
        and (scope.zone is None or scope.zone in task.zones)
        and scope.priority in (None, task.priority)
    )


def oldest(policies: Iterable[SlaPolicyView], scope: SlaScope) -> SlaPolicyView | None:
    """Of those of one scope, which may have been created at one moment, that one holds."""
    return min((policy for policy in policies if policy.applies_to == scope), key=rank, default=None)


def rank(policy: SlaPolicyView) -> tuple[int, tuple[bool, ...], datetime, SlaPolicyId]:
    """The least is chosen: who leaves least open; then who names the outlet, else the zone, else the priority; then
    the oldest."""
    scope = policy.applies_to
    left_open = (scope.outlet is None, scope.zone is None, scope.priority is None, scope.task_kind is None)
    return sum(left_open), left_open, policy.created_at, policy.policy_id
