"""Incidents: what went wrong, and what is done about it."""

from gateway.examples.lumi import AT_HOME, PHOTO, RIDER_ID, TASK_ID, VEHICLE_ID, at
from schemas.incident import (
    AssignIncident,
    AttachEvidence,
    ChangeIncidentSeverity,
    CommentIncident,
    EscalateIncident,
    FileAddendum,
    IncidentLink,
    LinkIncident,
    LostParcels,
    NewEvidence,
    ReopenIncident,
    ReportIncident,
    ResolveIncident,
    SealIncident,
    StateClaimValue,
    TakeIncidentAction,
    UnlinkIncident,
)
from schemas.message import Command, ParcelId, TaskId
from schemas.money import Money

RIDER = IncidentLink(kind="rider", id=RIDER_ID)
TASK = IncidentLink(kind="task", id=TASK_ID)
VEHICLE = IncidentLink(kind="vehicle", id=VEHICLE_ID)

INCIDENTS: dict[str, Command] = {
    "The rider fell": ReportIncident(
        kind="accident",
        description="Slipped on the tram rails at Tehtaankatu. A scratched arm; the goods are whole.",
        occurred_at=at(8, 40),
        severity="high",
        location=AT_HOME,
        links=[RIDER, TASK],
        external_reference="case-19",
    ),
    "To whoever is on duty": AssignIncident(assignee="dispatcher-ilona"),
    "What the rider said": CommentIncident(comment="Can go on after a rest."),
    "A photo of the place": AttachEvidence(evidence=[NewEvidence(sha256=PHOTO, note="The rails")]),
    "The vehicle belongs to it": LinkIncident(link=VEHICLE),
    "It was another vehicle": UnlinkIncident(link=VEHICLE, reason_code="mistaken"),
    "Less than it seemed": ChangeIncidentSeverity(severity="medium", reason_code="rider_is_well"),
    "What the shop claims for the box": StateClaimValue(
        claim_value=Money(amount_minor=4_990, currency="EUR"), reason_code="invoice_seen"
    ),
    "The rider is kept from work": TakeIncidentAction(action="suspend_rider", link=RIDER, note="Until tomorrow."),
    "Nobody has looked at it": EscalateIncident(reason_code="no_answer"),
    "All is well": ResolveIncident(
        resolution_code="rider_is_well",
        note="The tour went to somebody else.",
        waived=["ground_vehicle", "hand_over_tasks"],
    ),
    "A box is gone for good": ResolveIncident(
        resolution_code="not_found",
        lost=[LostParcels(task_id=TaskId(TASK_ID), parcel_ids=[ParcelId("parcel-1")])],
    ),
    "The arm is broken after all": ReopenIncident(reason_code="rider_is_worse"),
    "Closed for good": SealIncident(),
    "What the insurer wrote later": FileAddendum(text="The insurer accepts the claim, reference 26-5531."),
}

EXAMPLES = (INCIDENTS,)
