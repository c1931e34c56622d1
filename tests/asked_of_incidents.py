"""What may be asked of an incident."""

from typing import Any

from drawn import PARCELS, Repertoire, always, some
from story import NOON

from schemas import incident as i
from schemas.message import (
    TaskId,
)
from schemas.money import Money

ACTIONS: Any = ["suspend_rider", "ground_vehicle", "hand_over_tasks"]
INCIDENT: Repertoire = [
    (
        lambda draw, now: i.ReportIncident(
            kind=draw.choice(("accident", "loss")),
            description="!",
            links=some(draw, [LINK, OF_TASK]),
            evidence=some(draw, [SHOT]),
        ),
        "ann",
        "rider",
    ),
    (lambda draw, now: i.AssignIncident(assignee=draw.choice(("dora", "dirk"))), "dora", "dispatcher"),
    (always(i.CommentIncident(comment="…")), "dora", "dispatcher"),
    (
        lambda draw, now: i.AttachEvidence(evidence=[i.NewEvidence(sha256=f"{draw.randrange(9)}" * 64)]),
        "dora",
        "dispatcher",
    ),
    (lambda draw, now: i.LinkIncident(link=LINK), "dora", "dispatcher"),
    (lambda draw, now: i.UnlinkIncident(link=LINK, reason_code="wrong"), "dora", "dispatcher"),
    (
        lambda draw, now: i.ChangeIncidentSeverity(severity=draw.choice(("low", "high")), reason_code="x"),
        "dora",
        "dispatcher",
    ),
    (lambda draw, now: i.TakeIncidentAction(action=draw.choice(ACTIONS)), "dora", "dispatcher"),
    (
        lambda draw, now: i.StateClaimValue(
            claim_value=Money(amount_minor=draw.randrange(9), currency="EUR"), reason_code="x"
        ),
        "shop",
        "integrator",
    ),
    (lambda draw, now: i.NoteActionRefused(action="suspend_rider", link=LINK, rule="x"), "dispatch", "system"),
    (lambda draw, now: i.NoteActionRefused(action="write_off_parcels", link=OF_TASK, rule="x"), "dispatch", "system"),
    (always(i.EscalateIncident(reason_code="press")), "dora", "dispatcher"),
    (lambda draw, now: i.EscalateUnattended(level=draw.randint(1, 3)), "deadlines", "system"),
    (
        lambda draw, now: i.ResolveIncident(
            resolution_code="well", waived=[*ACTIONS, "write_off_parcels", "state_claim_value"], lost=some(draw, [GONE])
        ),
        "dora",
        "dispatcher",
    ),
    (always(i.ReopenIncident(reason_code="worse")), "dora", "dispatcher"),
    (
        always(i.SealIncident(timeline=i.SealedTimeline(merkle_root="ab" * 32, records=1, since=NOON, up_to="x"))),
        "olga",
        "operator",
    ),
    (
        lambda draw, now: i.FileAddendum(text="…", evidence=[i.NewEvidence(sha256=f"{draw.randrange(9)}" * 64)]),
        "dora",
        "dispatcher",
    ),
]
LINK = i.IncidentLink(kind="rider", id="ann")
OF_TASK = i.IncidentLink(kind="task", id="task-1")
GONE = i.LostParcels(task_id=TaskId("task-1"), parcel_ids=PARCELS[:1])
SHOT = i.NewEvidence(sha256="0" * 64)
