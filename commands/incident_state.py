"""What an incident is, folded from its events: how far it is, what is to be done, and whether it waits for somebody."""

from datetime import datetime
from typing import Literal

import msgspec

from commands.life import NEW, Life, to, when, within
from schemas.incident import (
    AddendumFiled,
    AssignIncident,
    AttachEvidence,
    ChangeIncidentSeverity,
    ClaimValueStated,
    CommentIncident,
    EscalateIncident,
    EvidenceAttached,
    FileAddendum,
    IncidentActionRefused,
    IncidentActionRequested,
    IncidentActionTaken,
    IncidentAssigned,
    IncidentCommented,
    IncidentEscalated,
    IncidentLink,
    IncidentLinked,
    IncidentReopened,
    IncidentReported,
    IncidentResolved,
    IncidentSealed,
    IncidentSeverityChanged,
    IncidentUnlinked,
    LinkIncident,
    ReopenIncident,
    ResolveIncident,
    SealIncident,
    StateClaimValue,
    TakeIncidentAction,
    UnlinkIncident,
)
from schemas.incident_actions import Requests
from schemas.money import Money
from schemas.registries import IncidentAction, Severity

type IncidentStatus = Literal["reported", "assigned", "resolved", "reopened", "sealed"]

UNDER_WAY: frozenset[IncidentStatus] = frozenset({"reported", "assigned", "reopened"})
UNSEALED: frozenset[IncidentStatus] = frozenset({*UNDER_WAY, "resolved"})


class Unreported(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


class ReportedIncident(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True, gc=False):
    status: IncidentStatus
    severity: Severity
    reporter: str
    links: tuple[IncidentLink, ...]
    asked: tuple[IncidentAction, ...]
    """What its kind asks for."""
    requests: Requests = ()
    taken: tuple[IncidentAction, ...] = ()
    claim_value: Money | None = None
    escalate_after_seconds: int | None
    escalate_at: datetime | None
    assignee: str | None = None
    level: int = 0
    evidence: tuple[str, ...] = ()
    comments: int = 0
    actions: int = 0
    addenda: int = 0


type Incident = Unreported | ReportedIncident


def status_of(incident: Incident) -> str:
    return NEW if isinstance(incident, Unreported) else incident.status


LIFE = Life(
    status_of,
    {
        IncidentReported: to("reported", NEW),
        IncidentAssigned: to("assigned", "reported", "reopened") | within("assigned"),
        IncidentCommented: within(*UNSEALED),
        EvidenceAttached: within(*UNSEALED, "sealed"),
        IncidentLinked: within(*UNSEALED),
        IncidentUnlinked: within(*UNSEALED),
        IncidentSeverityChanged: within(*UNDER_WAY),
        ClaimValueStated: within(*UNSEALED),
        IncidentActionRequested: within(*UNSEALED),
        IncidentActionTaken: within(*UNSEALED),
        IncidentActionRefused: within(*UNSEALED),
        IncidentEscalated: within(*UNDER_WAY),
        IncidentResolved: to("resolved", "assigned", "reopened"),
        IncidentReopened: to("reopened", "resolved"),
        IncidentSealed: to("sealed", "resolved"),
        AddendumFiled: within("sealed"),
    },
    {
        AssignIncident: when("reported", "assigned", "reopened"),
        CommentIncident: when("reported", "assigned", "reopened", "resolved"),
        AttachEvidence: when("reported", "assigned", "reopened", "resolved"),
        LinkIncident: when("reported", "assigned", "reopened", "resolved"),
        UnlinkIncident: when("reported", "assigned", "reopened", "resolved"),
        ChangeIncidentSeverity: when("reported", "assigned", "reopened"),
        StateClaimValue: when("reported", "assigned", "reopened", "resolved"),
        TakeIncidentAction: when("reported", "assigned", "reopened", "resolved"),
        EscalateIncident: when("reported", "assigned", "reopened"),
        ResolveIncident: when("assigned", "reopened"),
        ReopenIncident: when("resolved"),
        SealIncident: when("resolved"),
        FileAddendum: when("sealed"),
    },
)
