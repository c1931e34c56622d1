"""Incident: reported, assigned, resolved and perhaps reopened, and in the end sealed."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import assert_never

from msgspec.structs import replace

from commands.context import Context
from commands.incident_state import UNDER_WAY, UNSEALED, Incident, IncidentStatus, ReportedIncident, Unreported
from commands.refusals import InTheFuture
from schemas.ids import incident_subject
from schemas.incident import (
    ACTION_ANSWERED,
    HIGHEST_LEVEL,
    MAX_ACTIONS,
    MAX_ADDENDA,
    MAX_COMMENTS,
    MAX_EVIDENCE,
    MAX_LINKS,
    AddendumFiled,
    AssignIncident,
    AttachEvidence,
    ChangeIncidentSeverity,
    ClaimValueStated,
    CommentIncident,
    ConfirmActionRequested,
    ConfirmIncidentReported,
    EscalateIncident,
    EscalateUnattended,
    EvidenceAttached,
    FileAddendum,
    IncidentActionRefused,
    IncidentActionRequested,
    IncidentActionTaken,
    IncidentAssigned,
    IncidentCommand,
    IncidentCommented,
    IncidentEscalated,
    IncidentEvent,
    IncidentLink,
    IncidentLinked,
    IncidentReopened,
    IncidentReported,
    IncidentResolved,
    IncidentSealed,
    IncidentSeverityChanged,
    IncidentUnlinked,
    LinkIncident,
    LinkKind,
    LinkTaskInCustody,
    NewEvidence,
    NoteActionRefused,
    ReopenIncident,
    ReportIncident,
    ResolveIncident,
    SealIncident,
    StateClaimValue,
    TakeIncidentAction,
    UnlinkIncident,
)
from schemas.incident_actions import CLAIM, WRITE_OFF, ActionRequest, answered, outstanding, withdrawn, without_link
from schemas.message import NotInThisState, ParcelId, Personal, Refused, RiderId, Role, TaskId
from schemas.money import Money
from schemas.registries import IncidentAction

MAY_ACT: frozenset[Role] = frozenset({"dispatcher", "operator", "system"})
"""Who may suspend riders, ground vehicles and take tasks away by a command of their own."""

OF_TASKS: IncidentAction = "hand_over_tasks"

OURS: Mapping[IncidentAction, tuple[LinkKind, ...]] = {
    "suspend_rider": ("rider",),
    "ground_vehicle": ("vehicle",),
    OF_TASKS: ("task", "rider"),
}
"""What our own process does, and to what; the rest is for people."""


class IncidentFull(Refused):
    rule = "incident-full"

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"an incident has at most {limit} {what}")
        self.what = what
        self.limit = limit


class ActionsOutstanding(Refused):
    rule = "actions-outstanding"
    is_about = ("waived",)

    def __init__(self, actions: list[IncidentAction]) -> None:
        super().__init__(f"its kind asks for {', '.join(actions)}: take them, or waive them")
        self.actions = actions


class ActionAnswered(Refused):
    rule = ACTION_ANSWERED

    def __init__(self, action: IncidentAction) -> None:
        super().__init__(f"whether {action} could be done is known already")
        self.action = action


class HighestLevel(Refused):
    rule = "highest-level"

    def __init__(self, level: int) -> None:
        super().__init__(f"it is at level {level} already, and nobody is above that")
        self.level = level


class NotInvolved(Refused):
    rule = "not-involved"

    def __init__(self, actor: str) -> None:
        super().__init__(f"{actor} neither reported the incident nor is it about them")
        self.actor = actor


class TimelineMissing(Refused):
    rule = "timeline-missing"

    def __init__(self) -> None:
        super().__init__("an incident is sealed with its timeline, which the door fills in")


class ClaimValueMissing(Refused):
    rule = "claim-value-missing"
    is_about = ("action",)

    def __init__(self) -> None:
        super().__init__("nothing is claimed before somebody states what")


class UnknownLink(Refused):
    rule = "unknown-link"
    stands_in = ("id", "task_id")

    def __init__(self, link: IncidentLink) -> None:
        super().__init__(f"the incident is not linked to {link.kind} {link.id}")
        self.kind = link.kind
        self.id = link.id


def decide(incident: Incident, command: IncidentCommand, context: Context) -> list[IncidentEvent]:
    match command:
        case ReportIncident():
            return report(incident, command, context)
        case AssignIncident():
            return assign(within(incident, UNDER_WAY), command, context)
        case CommentIncident():
            return comment(involved(within(incident, UNSEALED), context), command, context)
        case AttachEvidence():
            return attached(involved(within(incident, UNSEALED), context), command.evidence, context)
        case LinkIncident():
            return link(within(incident, UNSEALED), command, context)
        case UnlinkIncident():
            return unlink(within(incident, UNSEALED), command)
        case ChangeIncidentSeverity():
            return change_severity(within(incident, UNDER_WAY), command)
        case StateClaimValue():
            return state_claim_value(within(incident, UNSEALED), command)
        case TakeIncidentAction():
            return take_action(within(incident, UNSEALED), command, context)
        case ConfirmIncidentReported():
            return []
        case ConfirmActionRequested():
            return confirm_requested(reported(incident), command)
        case NoteActionRefused():
            return note_refused(within(incident, UNSEALED), command)
        case LinkTaskInCustody():
            return link_in_custody(within(incident, UNDER_WAY), command)
        case EscalateIncident():
            return escalate(involved(within(incident, UNDER_WAY), context), command.reason_code, context.now)
        case EscalateUnattended():
            return escalate_unattended(reported(incident), command, context.now)
        case ResolveIncident():
            return resolve(within(incident, UNDER_WAY - {"reported"}), command, context)
        case ReopenIncident():
            return reopen(within(incident, frozenset({"resolved"})), command, context)
        case SealIncident():
            return seal(within(incident, frozenset({"resolved", "sealed"})), command)
        case FileAddendum():
            return file_addendum(within(incident, frozenset({"sealed"})), command, context)
        case _:
            assert_never(command)


def report(incident: Incident, command: ReportIncident, context: Context) -> list[IncidentEvent]:
    if not isinstance(incident, Unreported):
        raise NotInThisState(needed="new", actual=incident.status)
    kind = context.policy.incident_kind(command.kind)
    occurred_at = command.occurred_at or context.now
    if occurred_at > context.now:
        raise InTheFuture("occurred_at", occurred_at, context.now)
    subject = incident_subject(context.aggregate_id)
    made = IncidentReported(
        kind=kind.code,
        severity=command.severity or kind.severity,
        description=Personal(subject, command.description),
        occurred_at=occurred_at,
        location=Personal(subject, command.location) if command.location else None,
        links=once_each(command.links),
        actions=list(kind.actions),
        escalate_after_seconds=kind.escalate_after_seconds,
        escalate_at=after(context.now, kind.escalate_after_seconds),
        reporter=context.actor,
        claim_value=command.claim_value,
        external_reference=command.external_reference,
        source=command.source or context.actor,
        metadata=command.metadata,
    )
    evidence = attached(reported(evolve(incident, made)), command.evidence, context)
    return [made, *evidence, *requested(reported(evolve(incident, made)), made.links, context)]


def requested(incident: ReportedIncident, links: Iterable[IncidentLink], context: Context) -> list[IncidentEvent]:
    """What our own process is to do about these, once. It may do more than a rider or an integrator may: of what they
    report nothing is done before somebody who may has taken it."""
    if context.role not in MAY_ACT:
        return []
    before = {(each.action, each.link) for each in incident.requests}
    return [
        IncidentActionRequested(action=action, link=link)
        for link in links
        for action in incident.asked
        if link.kind in OURS.get(action, ()) and (action, link) not in before
    ]


def assign(incident: ReportedIncident, command: AssignIncident, context: Context) -> list[IncidentEvent]:
    if incident.status == "assigned" and incident.assignee == command.assignee:
        return []
    return [IncidentAssigned(assignee=command.assignee), *requested(incident, incident.links, context)]


def comment(incident: ReportedIncident, command: CommentIncident, context: Context) -> list[IncidentEvent]:
    room_for(1, incident.comments, MAX_COMMENTS, "comments")
    return [IncidentCommented(comment=sealed_words(command.comment, context))]


def attached(incident: ReportedIncident, evidence: list[NewEvidence], context: Context) -> list[IncidentEvent]:
    """Each artefact once, whoever attaches it again."""
    new = {each.sha256: each for each in evidence if each.sha256 not in incident.evidence}
    room_for(len(new), len(incident.evidence), MAX_EVIDENCE, "pieces of evidence")
    return [EvidenceAttached(sha256=e.sha256, kind=e.kind, note=note(e.note, context)) for e in new.values()]


def link(incident: ReportedIncident, command: LinkIncident, context: Context) -> list[IncidentEvent]:
    if command.link in incident.links:
        return []
    room_for(1, len(incident.links), MAX_LINKS, "links")
    requests = requested(incident, [command.link], context) if incident.status in UNDER_WAY else []
    return [IncidentLinked(link=command.link), *requests]


def link_in_custody(incident: ReportedIncident, command: LinkTaskInCustody) -> list[IncidentEvent]:
    """Unless the task was asked for already: what became of that stands there."""
    link, action = IncidentLink(kind="task", id=command.task_id), OF_TASKS
    asked = [each for each in incident.requests if (each.action, each.link) == (action, link)]
    if any(each.status != "withdrawn" for each in asked):
        return []
    linked: list[IncidentEvent] = []
    if link not in incident.links:
        room_for(1, len(incident.links), MAX_LINKS, "links")
        linked = [IncidentLinked(link=link)]
    refused = IncidentActionRefused(action=action, link=link, rule=command.rule)
    return [*linked, IncidentActionRequested(action=action, link=link), refused]


def unlink(incident: ReportedIncident, command: UnlinkIncident) -> list[IncidentEvent]:
    must_be_linked(incident, command.link)
    return [IncidentUnlinked(link=command.link, reason_code=command.reason_code)]


def must_be_linked(incident: ReportedIncident, link: IncidentLink) -> None:
    if link not in incident.links:
        raise UnknownLink(link)


def change_severity(incident: ReportedIncident, command: ChangeIncidentSeverity) -> list[IncidentEvent]:
    if command.severity == incident.severity:
        return []
    return [IncidentSeverityChanged(severity=command.severity, reason_code=command.reason_code)]


def state_claim_value(incident: ReportedIncident, command: StateClaimValue) -> list[IncidentEvent]:
    if command.claim_value == incident.claim_value:
        return []
    return [ClaimValueStated(claim_value=command.claim_value, reason_code=command.reason_code)]


def take_action(incident: ReportedIncident, command: TakeIncidentAction, context: Context) -> list[IncidentEvent]:
    if command.action == CLAIM and incident.claim_value is None:
        raise ClaimValueMissing
    if not is_requested(incident, command.action, command.link):
        room_for(1, incident.actions, MAX_ACTIONS, "actions")
    return [IncidentActionTaken(action=command.action, link=command.link, note=note(command.note, context))]


def confirm_requested(incident: ReportedIncident, command: ConfirmActionRequested) -> list[IncidentEvent]:
    wanted = ActionRequest(action=command.action, link=command.link, parcel_ids=command.parcel_ids)
    if wanted not in incident.requests:
        raise ActionAnswered(command.action)
    return []


def note_refused(incident: ReportedIncident, command: NoteActionRefused) -> list[IncidentEvent]:
    if not is_requested(incident, command.action, command.link):
        return []
    return [IncidentActionRefused(action=command.action, link=command.link, rule=command.rule)]


def is_requested(incident: ReportedIncident, action: IncidentAction, link: IncidentLink | None) -> bool:
    """And waits for our own process; there is always room for its answer."""
    return any(r.status == "pending" and (r.action, r.link) == (action, link) for r in incident.requests)


def escalate(incident: ReportedIncident, reason_code: str, now: datetime) -> list[IncidentEvent]:
    """The clock runs on while nobody has taken it."""
    if incident.level >= HIGHEST_LEVEL:
        raise HighestLevel(incident.level)
    level = incident.level + 1
    waits = incident.status != "assigned" and level < HIGHEST_LEVEL
    again_at = after(now, incident.escalate_after_seconds) if waits else None
    return [IncidentEscalated(level=level, reason_code=reason_code, escalate_at=again_at)]


def escalate_unattended(incident: ReportedIncident, command: EscalateUnattended, now: datetime) -> list[IncidentEvent]:
    if incident.escalate_at is None or now < incident.escalate_at or command.level != incident.level + 1:
        return []
    return escalate(incident, "unattended", now)


def resolve(incident: ReportedIncident, command: ResolveIncident, context: Context) -> list[IncidentEvent]:
    told = {lost.task_id for lost in command.lost}
    for task_id in told:
        must_be_linked(incident, IncidentLink(kind="task", id=task_id))
    to_do = outstanding(incident.asked, incident.requests, incident.taken)
    if told and WRITE_OFF in to_do:
        to_do.remove(WRITE_OFF)
    left: list[IncidentAction] = [action for action in to_do if action not in command.waived]
    if left:
        raise ActionsOutstanding(left)
    waived: list[IncidentAction] = [action for action in to_do if action in command.waived]
    resolved = IncidentResolved(
        resolution_code=command.resolution_code,
        note=note(command.note, context),
        waived=waived,
        riders=off_dispatch(incident),
    )
    return [resolved, *write_offs(command)]


def off_dispatch(incident: ReportedIncident) -> list[RiderId]:
    """Riders whose tasks it asked for, whatever came of that."""
    asked = [each.link for each in incident.requests if each.action == OF_TASKS]
    return list(dict.fromkeys(RiderId(link.id) for link in asked if link.kind == "rider"))


def write_offs(command: ResolveIncident) -> list[IncidentEvent]:
    """One for each task."""
    lost: dict[TaskId, list[ParcelId]] = {}
    for each in command.lost:
        lost.setdefault(each.task_id, []).extend(each.parcel_ids)
    return [
        IncidentActionRequested(
            action=WRITE_OFF, link=IncidentLink(kind="task", id=task_id), parcel_ids=list(dict.fromkeys(parcel_ids))
        )
        for task_id, parcel_ids in lost.items()
    ]


def reopen(incident: ReportedIncident, command: ReopenIncident, context: Context) -> list[IncidentEvent]:
    reopened = IncidentReopened(
        reason_code=command.reason_code,
        note=note(command.note, context),
        level=incident.level,
        escalate_at=after(context.now, incident.escalate_after_seconds) if incident.level < HIGHEST_LEVEL else None,
    )
    return [reopened]


def seal(incident: ReportedIncident, command: SealIncident) -> list[IncidentEvent]:
    """Not while tasks are still to be told what of them is lost: that belongs to it."""
    if incident.status == "sealed":
        return []
    if any(request.status == "pending" for request in incident.requests):
        raise ActionsOutstanding([WRITE_OFF])
    if command.timeline is None:
        raise TimelineMissing
    return [IncidentSealed(timeline=command.timeline)]


def file_addendum(incident: ReportedIncident, command: FileAddendum, context: Context) -> list[IncidentEvent]:
    room_for(1, incident.addenda, MAX_ADDENDA, "addenda")
    filed = AddendumFiled(text=sealed_words(command.text, context))
    return [filed, *attached(incident, command.evidence, context)]


def reported(incident: Incident) -> ReportedIncident:
    if isinstance(incident, Unreported):
        raise NotInThisState(needed="reported", actual="new")
    return incident


def within(incident: Incident, statuses: frozenset[IncidentStatus]) -> ReportedIncident:
    known = reported(incident)
    if known.status not in statuses:
        raise NotInThisState(needed=" or ".join(sorted(statuses)), actual=known.status)
    return known


def involved(incident: ReportedIncident, context: Context) -> ReportedIncident:
    """A rider has a say in what they reported, and in what is about themself."""
    own = IncidentLink(kind="rider", id=context.actor)
    if context.role == "rider" and incident.reporter != context.actor and own not in incident.links:
        raise NotInvolved(context.actor)
    return incident


def room_for(more: int, standing: int, limit: int, what: str) -> None:
    if more and standing + more > limit:
        raise IncidentFull(what, limit)


def once_each(links: list[IncidentLink]) -> list[IncidentLink]:
    return [link for place, link in enumerate(links) if link not in links[:place]]


def after(now: datetime, seconds: int | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)


def sealed_words(words: str, context: Context) -> Personal[str]:
    """People write names: what they write belongs to the incident's own subject."""
    return Personal(incident_subject(context.aggregate_id), words)


def note(words: str | None, context: Context) -> Personal[str] | None:
    return None if words is None else sealed_words(words, context)


def evolve(incident: Incident, event: IncidentEvent) -> Incident:
    if isinstance(event, IncidentReported):
        return born(event)
    incident = reported(incident)
    match event:
        case IncidentAssigned():
            return replace(incident, status="assigned", assignee=event.assignee, escalate_at=None)
        case IncidentCommented():
            return replace(incident, comments=incident.comments + 1)
        case EvidenceAttached():
            return replace(incident, evidence=(*incident.evidence, event.sha256))
        case IncidentLinked():
            return replace(incident, links=(*incident.links, event.link))
        case IncidentUnlinked():
            links = tuple(link for link in incident.links if link != event.link)
            return replace(incident, links=links, requests=without_link(incident.requests, event.link))
        case IncidentSeverityChanged():
            return replace(incident, severity=event.severity)
        case ClaimValueStated():
            return claimed(incident, event.claim_value)
        case IncidentActionRequested():
            request = ActionRequest(action=event.action, link=event.link, parcel_ids=event.parcel_ids)
            return replace(incident, requests=(*incident.requests, request))
        case IncidentActionTaken():
            requests = answered(incident.requests, event.action, event.link, "taken")
            taken = (*incident.taken, *({event.action} - {*incident.taken}))
            return replace(incident, requests=requests, taken=taken, actions=incident.actions + 1)
        case IncidentActionRefused():
            return replace(incident, requests=answered(incident.requests, event.action, event.link, "refused"))
        case IncidentEscalated():
            return replace(incident, level=event.level, escalate_at=event.escalate_at)
        case IncidentResolved():
            return resolved(incident, event)
        case IncidentReopened():
            return replace(incident, status="reopened", escalate_at=event.escalate_at)
        case IncidentSealed():
            return replace(incident, status="sealed")
        case AddendumFiled():
            return replace(incident, addenda=incident.addenda + 1)
        case _:
            assert_never(event)


def resolved(incident: ReportedIncident, event: IncidentResolved) -> ReportedIncident:
    """What was waived is not asked for again, should it be reopened."""
    taken = (*incident.taken, *event.waived)
    return replace(incident, status="resolved", requests=withdrawn(incident.requests), taken=taken, escalate_at=None)


def claimed(incident: ReportedIncident, value: Money | None) -> ReportedIncident:
    """Once it is stated it is done."""
    if value is None:
        return incident
    return replace(incident, claim_value=value, taken=(*incident.taken, *({CLAIM} - {*incident.taken})))


def born(event: IncidentReported) -> ReportedIncident:
    incident = ReportedIncident(
        status="reported",
        severity=event.severity,
        reporter=event.reporter,
        links=tuple(event.links),
        asked=tuple(event.actions),
        escalate_after_seconds=event.escalate_after_seconds,
        escalate_at=event.escalate_at,
    )
    return claimed(incident, event.claim_value)
