"""What needs a person now, since when, and which commands would mend it?

Each row hangs on one aggregate. Stops that will be late are no rows of its own: the query takes them from `etas`. Nor
are riders whose zones have all ended: those it finds in the roster, by the time of the question. Nor are SLA policies
that never hold, as an older one is for the same tasks: two of one scope may be created at one moment, each before who
decides it knows of the other.
"""

from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection

from projections.model import Fact, Key, ReadModel
from projections.page import Page
from schemas.carried import TaskGivenToCarrier, TaskTakenFromCarrier
from schemas.carrier_booking import (
    CarrierBookingCancelled,
    CarrierBookingRefused,
    CarrierDelivered,
    CarrierDeliveryFailed,
    CarrierFellSilent,
    CarrierHeardAgain,
    CarrierStatusConflicted,
    CarrierStatusReviewed,
)
from schemas.carrier_offer import CounterDeclined, OfferCountered
from schemas.geocoding import StopLocationSought, StopNeedsLocation
from schemas.goods import Party
from schemas.incident import (
    IncidentActionRefused,
    IncidentActionTaken,
    IncidentAssigned,
    IncidentEscalated,
    IncidentReopened,
    IncidentReported,
    IncidentResolved,
    IncidentSealed,
    IncidentUnlinked,
)
from schemas.message import Event
from schemas.proof import PinRejected, ProofDisputed, ProofDisputeSettled
from schemas.recurrence import OccurrenceRefused, OccurrenceReviewed
from schemas.rider import (
    BreakStarted,
    ComplianceBreachFound,
    DocumentExpiryWarned,
    DocumentRejected,
    DocumentVerified,
    HoursLimitWarned,
    RiderFellSilent,
    RiderHeardAgain,
    RiderSuspended,
    ShiftEnded,
)
from schemas.sla import SlaAtRisk, SlaBreached, SlaClockStopped, SlaPromiseSettled
from schemas.stop_events import (
    ParcelsDelivered,
    ParcelsPickedUp,
    ParcelsReturned,
    ReattemptPlanned,
    ReturnStarted,
    StopCompleted,
    StopFailed,
    StopSkipped,
)
from schemas.task import (
    FieldReportConflicted,
    FieldReportReviewed,
    StopLocated,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDispatchable,
    TaskFailed,
    TaskForceCompleted,
    TaskReturned,
    TaskTenderClosed,
    TaskUnassigned,
)
from schemas.tender import OfferClaimed, OfferDeclined, OfferExpired, OfferLost, OfferWithdrawn
from schemas.vehicle import (
    VehicleDocumentExpiryWarned,
    VehicleDocumentRejected,
    VehicleDocumentVerified,
    VehicleInspectionFailed,
    VehicleInspectionPassed,
    VehicleMaintenanceCancelled,
    VehicleMaintenanceCompleted,
    VehicleMaintenanceFellDue,
    VehicleMaintenancePlanned,
    VehicleRetired,
)
from schemas.waiting import DependencyFailed, DependencyWaived

TABLE = """
CREATE TABLE {table} (
    tenant       text        NOT NULL,
    aggregate_id text        NOT NULL,
    kind         text        NOT NULL,
    since        timestamptz NOT NULL,
    items        jsonb       NOT NULL,
    observed_at  timestamptz,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant, aggregate_id, kind)
);
CREATE INDEX ON {table} (tenant, since, aggregate_id, kind)
"""
MAX_ITEMS = 50

type ExceptionKind = Literal[
    "report_conflicted",
    "no_taker",
    "needs_location",
    "goods_waiting",
    "incident_unattended",
    "action_refused",
    "maintenance_due",
    "inspection_failed",
    "hours_ending",
    "document_expiring",
    "vehicle_document_expiring",
    "rider_silent",
    "zones_ended",
    "carrier_silent",
    "carrier_status_conflicted",
    "carrier_refused",
    "carrier_brings_back",
    "carrier_countered",
    "carrier_proof_missing",
    "proof_missing",
    "predicted_late",
    "sla_at_risk",
    "sla_breached",
    "sla_scope_taken",
    "proof_disputed",
    "dependency_failed",
    "occurrence_refused",
]
KINDS: tuple[str, ...] = get_args(ExceptionKind.__value__)
MENDS: Mapping[str, tuple[str, ...]] = {
    "report_conflicted": ("tasks/{id}/review-field-report",),
    "no_taker": ("tasks/{id}/assign-task", "tasks/{id}/cancel-task"),
    "needs_location": ("tasks/{id}/locate-stop", "tasks/{id}/cancel-task"),
    "goods_waiting": ("tasks/{id}/reattempt-delivery", "tasks/{id}/cancel-task", "tasks/{id}/force-complete-task"),
    "incident_unattended": ("incidents/{id}/assign-incident",),
    "action_refused": (
        "tasks/{task}/offer-hand-over",
        "tasks/{task}/report-parcels-lost",
        "incidents/{id}/take-incident-action",
        "incidents/{id}/resolve-incident",
        "incidents/{id}/reopen-incident",
    ),
    "maintenance_due": (
        "vehicles/{id}/complete-vehicle-maintenance",
        "vehicles/{id}/cancel-vehicle-maintenance",
        "vehicles/{id}/ground-vehicle",
    ),
    "inspection_failed": ("vehicles/{id}/report-vehicle-inspection", "vehicles/{id}/ground-vehicle"),
    "hours_ending": ("riders/{id}/start-break", "riders/{id}/end-shift"),
    "document_expiring": ("riders/{id}/submit-document", "riders/{id}/verify-document"),
    "vehicle_document_expiring": (
        "vehicles/{id}/submit-vehicle-document",
        "vehicles/{id}/verify-vehicle-document",
        "vehicles/{id}/retire-vehicle",
    ),
    "rider_silent": ("riders/{id}/suspend-rider", "riders/{id}/end-shift"),
    "zones_ended": ("riders/{id}/set-rider-zones", "riders/{id}/suspend-rider"),
    "carrier_silent": (
        "carrier-bookings/{id}/record-carrier-status",
        "carrier-bookings/{id}/settle-carrier-booking",
        "carrier-bookings/{id}/cancel-carrier-booking",
    ),
    "carrier_status_conflicted": ("carrier-bookings/{id}/review-carrier-status",),
    "carrier_refused": ("carrier-bookings/{id}/settle-carrier-booking",),
    "carrier_countered": ("tenders/{id}/accept-counter", "tenders/{id}/decline-counter"),
    "carrier_proof_missing": ("tasks/{id}/capture-proof", "tasks/{id}/force-complete-task"),
    "proof_missing": ("tasks/{id}/report-collected", "tasks/{id}/force-complete-task"),
    "carrier_brings_back": ("tasks/{id}/report-returned", "tasks/{id}/force-complete-task"),
    "sla_at_risk": ("tasks/{id}/assign-task", "tasks/{id}/unassign-task", "tasks/{id}/cancel-task"),
    "sla_breached": ("tasks/{id}/assign-task", "tasks/{id}/unassign-task", "tasks/{id}/cancel-task"),
    "sla_scope_taken": ("sla-policies/{id}/remove-sla-policy",),
    "proof_disputed": ("tasks/{id}/settle-proof-dispute",),
    "dependency_failed": ("tasks/{id}/waive-dependency", "tasks/{id}/cancel-task"),
    "occurrence_refused": (
        "recurrences/{id}/review-occurrence",
        "recurrences/{id}/change-recurrence",
        "recurrences/{id}/pause-recurrence",
    ),
    "predicted_late": ("tasks/{id}/unassign-task", "tasks/{id}/cancel-task"),
}
"""The commands, as the API's paths have them. `{task}` is a task that an incident's action was refused for."""

COUNTER_OVER = (OfferClaimed, OfferDeclined, OfferExpired, OfferLost, OfferWithdrawn, CounterDeclined)
"""Nobody has to decide on it any more, or the carrier takes what it was offered."""

UNPROVEN: tuple[ExceptionKind, ...] = ("carrier_proof_missing", "proof_missing")
"""Goods have changed hands, and the stop waits for its proof: a carrier's, or a rider's or a collection's."""

TOUCHED: Mapping[type[Event], tuple[ExceptionKind, ...]] = {
    FieldReportConflicted: ("report_conflicted",),
    FieldReportReviewed: ("report_conflicted",),
    TaskCreated: ("needs_location",),
    StopNeedsLocation: ("needs_location",),
    StopLocationSought: ("needs_location",),
    StopLocated: ("needs_location",),
    TaskTenderClosed: ("no_taker",),
    TaskDispatchable: ("no_taker",),
    TaskAssigned: ("no_taker",),
    TaskGivenToCarrier: ("no_taker",),
    ReturnStarted: ("carrier_brings_back", *UNPROVEN),
    TaskReturned: ("goods_waiting", "carrier_brings_back", *UNPROVEN),
    ParcelsPickedUp: UNPROVEN,
    ParcelsDelivered: UNPROVEN,
    ParcelsReturned: UNPROVEN,
    PinRejected: ("proof_missing",),
    StopCompleted: ("carrier_brings_back", *UNPROVEN),
    StopSkipped: ("carrier_brings_back", *UNPROVEN),
    StopFailed: ("carrier_brings_back", *UNPROVEN),
    TaskTakenFromCarrier: ("carrier_proof_missing",),
    TaskUnassigned: ("goods_waiting",),
    ReattemptPlanned: ("goods_waiting",),
    TaskCancelled: ("needs_location", "no_taker", "goods_waiting", "dependency_failed", *UNPROVEN),
    TaskForceCompleted: (
        "needs_location",
        "no_taker",
        "goods_waiting",
        "dependency_failed",
        "carrier_brings_back",
        *UNPROVEN,
    ),
    TaskCompleted: ("needs_location", "no_taker", "goods_waiting", "dependency_failed", *UNPROVEN),
    TaskFailed: ("needs_location", "no_taker", "goods_waiting", "dependency_failed", *UNPROVEN),
    DependencyFailed: ("dependency_failed",),
    DependencyWaived: ("dependency_failed",),
    SlaAtRisk: ("sla_at_risk",),
    SlaBreached: ("sla_at_risk", "sla_breached"),
    SlaPromiseSettled: ("sla_at_risk", "sla_breached"),
    SlaClockStopped: ("sla_at_risk", "sla_breached"),
    ProofDisputed: ("proof_disputed",),
    ProofDisputeSettled: ("proof_disputed",),
    IncidentReported: ("incident_unattended",),
    IncidentEscalated: ("incident_unattended",),
    IncidentReopened: ("incident_unattended",),
    IncidentAssigned: ("incident_unattended",),
    IncidentActionRefused: ("action_refused",),
    IncidentActionTaken: ("action_refused",),
    IncidentUnlinked: ("action_refused",),
    IncidentResolved: ("incident_unattended", "action_refused"),
    IncidentSealed: ("action_refused",),
    VehicleMaintenanceFellDue: ("maintenance_due",),
    VehicleMaintenancePlanned: ("maintenance_due",),
    VehicleMaintenanceCompleted: ("maintenance_due",),
    VehicleMaintenanceCancelled: ("maintenance_due",),
    VehicleInspectionFailed: ("inspection_failed",),
    VehicleInspectionPassed: ("inspection_failed",),
    HoursLimitWarned: ("hours_ending",),
    BreakStarted: ("hours_ending",),
    ShiftEnded: ("hours_ending", "rider_silent"),
    RiderFellSilent: ("rider_silent",),
    RiderHeardAgain: ("rider_silent",),
    RiderSuspended: ("rider_silent",),
    CarrierFellSilent: ("carrier_silent",),
    CarrierHeardAgain: ("carrier_silent",),
    CarrierBookingRefused: ("carrier_refused",),
    CarrierDelivered: ("carrier_silent", "carrier_refused"),
    CarrierDeliveryFailed: ("carrier_silent", "carrier_refused"),
    CarrierBookingCancelled: ("carrier_silent",),
    CarrierStatusConflicted: ("carrier_status_conflicted",),
    CarrierStatusReviewed: ("carrier_status_conflicted",),
    OfferCountered: ("carrier_countered",),
    **dict.fromkeys(COUNTER_OVER, ("carrier_countered",)),
    OccurrenceRefused: ("occurrence_refused",),
    OccurrenceReviewed: ("occurrence_refused",),
    VehicleRetired: ("maintenance_due", "inspection_failed", "vehicle_document_expiring"),
    DocumentExpiryWarned: ("document_expiring",),
    DocumentVerified: ("document_expiring",),
    DocumentRejected: ("document_expiring",),
    ComplianceBreachFound: ("document_expiring",),
    VehicleDocumentExpiryWarned: ("vehicle_document_expiring",),
    VehicleDocumentVerified: ("vehicle_document_expiring",),
    VehicleDocumentRejected: ("vehicle_document_expiring",),
}

ASSIGNABLE = frozenset({"dispatchable", "offering"})
IN_CUSTODY = ("hand_over_tasks", "goods-in-custody")
IN_VAIN_OF_INCIDENT: Mapping[str, frozenset[str]] = {
    "reported": frozenset({"resolve-incident", "reopen-incident"}),
    "assigned": frozenset({"reopen-incident"}),
    "reopened": frozenset({"reopen-incident"}),
    "resolved": frozenset({"resolve-incident"}),
    "sealed": frozenset({"take-incident-action", "resolve-incident", "reopen-incident"}),
}
"""By its status."""

SLA_KINDS = ("sla_at_risk", "sla_breached")
INSPECTED = (VehicleInspectionFailed, VehicleInspectionPassed)

type Item = dict[str, Any]


class ExceptionRow(msgspec.Struct, frozen=True, kw_only=True):
    """`items` are what it is about, the oldest first, each with an `id` of its own."""

    tenant: str
    aggregate_id: str
    kind: str
    since: datetime
    items: list[Item]
    """Empty where nothing is left to be looked at, and the row is there for what it still knows."""
    observed_at: datetime | None = None
    """Of a vehicle's inspections: when the latest was; one that is told later and was earlier changes nothing."""
    updated_at: datetime


def keys(fact: Fact) -> Sequence[Key]:
    return [(fact.source.tenant, fact.source.aggregate_id, kind) for kind in touched(fact.event)]


def touched(event: Event) -> Sequence[ExceptionKind]:
    match event:
        case ParcelsPickedUp(to_party=bearer) | ParcelsDelivered(from_party=bearer):
            return UNPROVEN[:1] if bearer.kind == "carrier" else UNPROVEN[1:]
        case ParcelsReturned(from_party=bearer):
            return () if bearer.kind == "carrier" else UNPROVEN[1:]
        case StopCompleted() | StopFailed() | StopSkipped() if event.rider_id is not None:
            return UNPROVEN[1:]
        case ReturnStarted(carrier_id=None):
            return UNPROVEN[1:]
        case (
            OfferClaimed(carrier_id=None)
            | OfferDeclined(carrier_id=None)
            | OfferExpired(carrier_id=None)
            | OfferLost(carrier_id=None)
            | OfferWithdrawn(carrier_id=None)
        ):
            return ()
        case _:
            return TOUCHED[type(event)]


def apply(row: ExceptionRow | None, fact: Fact, key: Key) -> ExceptionRow | None:
    """Without anything left to be looked at there is no row, but of inspections."""
    tenant, aggregate_id, kind = key
    if isinstance(fact.event, INSPECTED):
        return inspected(row, fact, key)
    before = [] if row is None else row.items
    items = promises(before, fact, kind) if kind in SLA_KINDS else changed(before, fact, kind)
    if not items:
        return None
    at = fact.source.recorded_at
    if row is None:
        return ExceptionRow(tenant=tenant, aggregate_id=aggregate_id, kind=kind, since=at, items=items, updated_at=at)
    return replace(row, items=items, updated_at=at)


def changed(items: list[Item], fact: Fact, kind: str) -> list[Item]:
    match fact.event:
        case FieldReportConflicted() as event:
            told = {"report": event.report, "stop_id": event.stop_id, "rider_id": event.rider_id}
            told |= {"carrier_id": event.carrier_id} if event.carrier_id else {}
            return with_item(items, event.conflict_id, told | {"conflict": event.conflict}, fact)
        case FieldReportReviewed(conflict_id=conflict_id):
            return without(items, conflict_id)
        case TaskCreated() as event:
            nowhere = [stop.stop_id for stop in event.stops if stop.location is None and stop.address is None]
            return [item for stop_id in nowhere for item in with_item([], stop_id, unlocated("no_address"), fact)]
        case StopNeedsLocation() as event:
            surest = max((each.confidence for each in event.candidates), default=None)
            return with_item(items, event.stop_id, unlocated(event.reason_code, len(event.candidates), surest), fact)
        case StopLocated(stop_id=stop_id) | StopLocationSought(stop_id=stop_id):
            return without(items, stop_id)
        case TaskTenderClosed(retry_at=None, outcome="exhausted") as event:
            return with_item([], f"round-{event.round}", {"tender_id": event.tender_id}, fact)
        case TaskUnassigned(waits=True) as event:
            told = {"rider_id": event.rider_id, "reason_code": event.reason_code}
            return with_item([], f"round-{event.round}", told, fact)
        case IncidentReported() as event:
            return with_item([], "incident", {"kind": event.kind, "severity": event.severity, "level": 0}, fact)
        case IncidentReopened() as event:
            return with_item([], "incident", {"reason_code": event.reason_code, "level": event.level}, fact)
        case IncidentEscalated(level=level):
            return [item | {"level": level} for item in items]
        case IncidentActionRefused() as event:
            told = {"action": event.action, "link": msgspec.to_builtins(event.link), "rule": event.rule}
            return with_item(items, f"{event.action} {event.link.kind} {event.link.id}", told, fact)
        case IncidentActionTaken() as event:
            return [item for item in items if not answers(event, item)]
        case IncidentUnlinked(link=link):
            return [item for item in items if item["link"] != msgspec.to_builtins(link)]
        case VehicleMaintenanceFellDue() as event:
            return with_item(items, event.maintenance_id, {"trigger": event.trigger}, fact)
        case VehicleMaintenancePlanned() | VehicleMaintenanceCompleted() | VehicleMaintenanceCancelled() as event:
            return without(items, event.maintenance_id)
        case RiderFellSilent() as event:
            return with_item([], "silence", {"since": event.since.isoformat(), "task_ids": event.task_ids}, fact)
        case CarrierFellSilent() as event:
            of = {"carrier_id": event.carrier_id, "task_id": event.task_id}
            heard = {"last_heard_at": event.last_heard_at.isoformat(), "has_goods": event.has_goods}
            return with_item([], "silence", of | heard, fact)
        case CarrierStatusConflicted() as event:
            told = {"carrier_id": event.carrier_id, "task_id": event.task_id, "status": event.status}
            told |= {"carrier_event_id": event.carrier_event_id, "conflict": event.conflict}
            return with_item(items, event.conflict_id, told, fact)
        case CarrierStatusReviewed(conflict_id=conflict_id):
            return without(items, conflict_id)
        case CarrierBookingRefused(has_goods=True) as event:
            told = {"carrier_id": event.carrier_id, "task_id": event.task_id, "reason_code": event.reason_code}
            return with_item([], "refused", told, fact)
        case OfferCountered(within_limit=False) as event:
            asks = {"price": msgspec.to_builtins(event.price), "dropoff_at": event.dropoff_at.isoformat()}
            told = {
                "carrier_id": event.carrier_id,
                "task_id": event.task_id,
                "expires_at": event.expires_at.isoformat(),
            }
            return with_item(items, event.offer_id, told | asks, fact)
        case (
            OfferCountered(offer_id=offer_id)
            | OfferClaimed(offer_id=offer_id)
            | OfferDeclined(offer_id=offer_id)
            | OfferExpired(offer_id=offer_id)
            | OfferLost(offer_id=offer_id)
            | OfferWithdrawn(offer_id=offer_id)
            | CounterDeclined(offer_id=offer_id)
        ):
            return without(items, offer_id)
        case ReturnStarted() if kind in UNPROVEN:  # what was ahead is passed over
            return [item for item in items if item.get("moved") == "returned"]
        case ReturnStarted() as event:
            told = {"carrier_id": event.carrier_id, "reason_code": event.reason_code}
            return with_item(items, event.stop.stop_id, told, fact)
        case ParcelsPickedUp(to_party=bearer) as event:
            return with_unproven(items, event.stop_id, {"moved": "picked_up"} | named(bearer), fact)
        case ParcelsDelivered(from_party=bearer) as event:
            return with_unproven(items, event.stop_id, {"moved": "delivered"} | named(bearer), fact)
        case ParcelsReturned(from_party=bearer) as event:
            return with_unproven(items, event.stop_id, {"moved": "returned"} | named(bearer), fact)
        case PinRejected(attempts_left=0) as event:
            return with_unproven(items, event.stop_id, {"pin": "attempts_exhausted"}, fact)
        case PinRejected():
            return items
        case StopCompleted(stop_id=stop_id) | StopSkipped(stop_id=stop_id) | StopFailed(stop_id=stop_id):
            return without(items, stop_id)
        case ProofDisputed() as event:
            told = {"stop_id": event.stop_id, "reason_code": event.reason_code}
            return with_item(items, event.proof_id, told, fact)
        case DependencyFailed() as event:
            told = {"kind": event.kind, "reason_code": event.reason_code}
            return with_item(items, event.on, told, fact)
        case DependencyWaived(on=on):
            return without(items, on)
        case OccurrenceRefused() as event:
            told = {"local": event.local, "task_id": event.task_id, "rule": event.rule}
            return with_item(items, event.occurrence_at.isoformat(), told, fact)
        case OccurrenceReviewed(occurrence_at=occurrence_at):
            return without(items, occurrence_at.isoformat())
        case DocumentExpiryWarned() | VehicleDocumentExpiryWarned() as event:
            if event.covered_until > event.expires_at:
                return items
            told = {"kind": event.kind, "expires_at": event.expires_at.isoformat()}
            return with_item(items, event.document_id, told, fact)
        case DocumentVerified() | VehicleDocumentVerified() as event:
            return [item for item in items if not outlasts(event, item)]
        case DocumentRejected() | VehicleDocumentRejected() | ComplianceBreachFound() as event:
            return items if event.document_id is None else without(items, event.document_id)
        case HoursLimitWarned() as event:
            return with_item([], event.shift_id, {"rule": event.rule, "reached_at": event.reached_at.isoformat()}, fact)
        case _:
            return []


def promises(items: list[Item], fact: Fact, kind: str) -> list[Item]:
    """One item for each promise: what is broken is not at risk any more, and what is settled or given up is neither."""
    match fact.event:
        case SlaAtRisk() as event:
            told: Item = {"target_at": event.target_at.isoformat(), "predicted_at": text_of(event.predicted_at)}
            return with_item(items, event.promise, told, fact)
        case SlaBreached() as event if kind == "sla_breached":
            told = {"target_at": event.target_at.isoformat(), "level": event.level, "minutes": event.minutes}
            return with_item(items, event.promise, told | {"at_fault": event.at_fault}, fact)
        case SlaBreached(promise=promise) | SlaPromiseSettled(promise=promise):
            return without(items, promise)
        case SlaClockStopped():
            return []
        case _:
            return items


def text_of(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def inspected(row: ExceptionRow | None, fact: Fact, key: Key) -> ExceptionRow:
    event = fact.event
    assert isinstance(event, INSPECTED), "nothing else is an inspection"
    if row is not None and row.observed_at is not None and event.observed_at < row.observed_at:
        return row
    items = []
    if isinstance(event, VehicleInspectionFailed):
        items = with_item([], event.inspection_id, {"defects": msgspec.to_builtins(event.defects)}, fact)
    tenant, aggregate_id, kind = key
    at = fact.source.recorded_at
    return ExceptionRow(
        tenant=tenant,
        aggregate_id=aggregate_id,
        kind=kind,
        since=row.since if row is not None and row.items and items else at,
        items=items,
        observed_at=event.observed_at,
        updated_at=at,
    )


def answers(event: IncidentActionTaken, item: Item) -> bool:
    """Without a link it was done to all."""
    if item["action"] != event.action:
        return False
    return event.link is None or item["link"] == msgspec.to_builtins(event.link)


def outlasts(event: DocumentVerified | VehicleDocumentVerified, item: Item) -> bool:
    """Without a gap between the two."""
    expires_at = datetime.fromisoformat(item["expires_at"])
    return item["kind"] == event.kind and event.valid_from <= expires_at < event.expires_at


def with_item(items: list[Item], item_id: str, told: Item, fact: Fact) -> list[Item]:
    item = {"id": item_id, "at": fact.source.event_time.isoformat()} | told
    return [*without(items, item_id), item][-MAX_ITEMS:]


def unlocated(reason_code: str, candidates: int = 0, confidence: float | None = None) -> Item:
    return {"reason_code": reason_code, "candidates": candidates, "confidence": confidence}


def with_unproven(items: list[Item], stop_id: str, told: Item, fact: Fact) -> list[Item]:
    """One for each stop, with all that is known of it."""
    known = next((item for item in items if item["id"] == stop_id), {})
    return with_item(items, stop_id, {name: known[name] for name in known if name not in ("id", "at")} | told, fact)


def named(bearer: Party) -> Item:
    """An outlet's, of a collection, is nobody's to name."""
    return {f"{bearer.kind}_id": bearer.id} if bearer.kind in ("rider", "carrier") else {}


def without(items: list[Item], item_id: str) -> list[Item]:
    return [item for item in items if item["id"] != item_id]


EXCEPTION_DESK = ReadModel(
    name="exception_desk",
    version=6,
    table=TABLE,
    row=ExceptionRow,
    key=("tenant", "aggregate_id", "kind"),
    events=frozenset(TOUCHED),
    keys=keys,
    apply=apply,
)

PAGE = """
SELECT known.*, CASE
    WHEN task.task_id IS NOT NULL THEN jsonb_build_object(
        'tracking_code', task.tracking_code, 'external_reference', task.external_reference, 'kind', task.kind,
        'state', task.state, 'rider_id', task.rider_id,
        'in_custody', EXISTS (
            SELECT FROM task_detail AS detail, jsonb_each(detail.parcels) AS of_task (id, parcel)
            WHERE detail.tenant = known.tenant AND detail.task_id = known.aggregate_id
              AND parcel -> 'party' ->> 'kind' IN ('rider', 'carrier')))
    WHEN incident.incident_id IS NOT NULL THEN jsonb_build_object(
        'external_reference', incident.external_reference, 'kind', incident.kind, 'status', incident.status,
        'links', incident.links)
    WHEN policy.sla_policy_id IS NOT NULL THEN jsonb_build_object(
        'external_reference', policy.external_reference, 'name', policy.name, 'applies_to', policy.applies_to)
    END AS about
FROM (SELECT * FROM (
    SELECT desk.tenant, desk.aggregate_id, desk.kind, desk.since, shown.items, desk.updated_at,
           desk.kind || ' ' || desk.aggregate_id AS id
    FROM exception_desk AS desk
    LEFT JOIN rider_roster AS rider ON desk.kind = 'document_expiring'
        AND rider.tenant = desk.tenant AND rider.rider_id = desk.aggregate_id
    LEFT JOIN vehicle_roster AS vehicle ON desk.kind = 'vehicle_document_expiring'
        AND vehicle.tenant = desk.tenant AND vehicle.vehicle_id = desk.aggregate_id
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_agg(item ORDER BY place), '[]') AS items
        FROM jsonb_array_elements(desk.items) WITH ORDINALITY AS of_desk (item, place)
        WHERE NOT EXISTS (
            SELECT FROM jsonb_each(coalesce(rider.documents, vehicle.documents)) AS known (id, document)
            WHERE document ->> 'kind' = item ->> 'kind' AND document ->> 'status' = 'verified'
              AND (document ->> 'valid_from')::timestamptz <= %(now)s
              AND (document ->> 'expires_at')::timestamptz
                  > greatest(%(now)s, (item ->> 'expires_at')::timestamptz))
    ) AS shown
    WHERE desk.tenant = %(tenant)s AND shown.items <> '[]'
    UNION ALL
    SELECT etas.tenant, etas.task_id, 'predicted_late', etas.first_forecast_at,
           jsonb_build_array(jsonb_build_object(
               'id', etas.stop_id, 'at', etas.forecast_at, 'rider_id', etas.rider_id,
               'window_end', etas.window_end, 'p50', etas.p50)),
           etas.forecast_at, 'predicted_late ' || etas.task_id || '/' || etas.stop_id
    FROM etas JOIN task_board USING (tenant, task_id)
    WHERE etas.ended IS NULL AND etas.p50 > etas.window_end
      AND task_board.state NOT IN ('completed', 'failed', 'cancelled', 'returned')
    UNION ALL
    SELECT riders.tenant, riders.rider_id, 'zones_ended', max(zone.valid_until),
           jsonb_agg(jsonb_build_object('id', zone.geofence_id, 'at', zone.valid_until, 'name', zone.name)
                     ORDER BY zone.valid_until, zone.geofence_id),
           max(zone.updated_at), 'zones_ended ' || riders.rider_id
    FROM rider_roster AS riders
    CROSS JOIN LATERAL jsonb_array_elements_text(riders.zones) AS of_rider (zone)
    LEFT JOIN geofences AS zone ON zone.tenant = riders.tenant AND zone.geofence_id = of_rider.zone
    WHERE riders.tenant = %(tenant)s AND riders.status = 'approved'
    GROUP BY riders.tenant, riders.rider_id
    HAVING bool_and(coalesce(zone.valid_until <= %(now)s, false))
    UNION ALL
    SELECT younger.tenant, younger.sla_policy_id, 'sla_scope_taken', younger.created_at,
           jsonb_build_array(jsonb_build_object(
               'id', older.sla_policy_id, 'at', younger.created_at, 'name', older.name)),
           younger.updated_at, 'sla_scope_taken ' || younger.sla_policy_id
    FROM sla_policies AS younger
    CROSS JOIN LATERAL (
        SELECT sla_policy_id, name FROM sla_policies AS other
        WHERE other.tenant = younger.tenant AND other.applies_to = younger.applies_to AND NOT other.removed
          AND (other.created_at, other.sla_policy_id COLLATE "C")
              < (younger.created_at, younger.sla_policy_id COLLATE "C")
        ORDER BY other.created_at, other.sla_policy_id COLLATE "C" LIMIT 1
    ) AS older
    WHERE younger.tenant = %(tenant)s AND NOT younger.removed
) AS found
WHERE tenant = %(tenant)s
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(aggregate_id)s::text IS NULL OR aggregate_id = %(aggregate_id)s)
  AND (%(at)s::timestamptz IS NULL OR (since, id) > (%(at)s, %(id)s))
ORDER BY since, id
LIMIT %(limit)s) AS known
LEFT JOIN task_board AS task ON task.tenant = known.tenant AND task.task_id = known.aggregate_id
LEFT JOIN incident_register AS incident
    ON incident.tenant = known.tenant AND incident.incident_id = known.aggregate_id
LEFT JOIN sla_policies AS policy
    ON policy.tenant = known.tenant AND policy.sla_policy_id = known.aggregate_id
ORDER BY known.since, known.id
"""
"""`about` says what a task, an incident or an SLA policy is called, and how it stands, as far as that is known.
`in_custody`: a rider or a carrier has goods of the task. A document whose successor begins after a gap stands there
until that one begins."""


exceptions = Page(PAGE)


async def page(connection: AsyncConnection, tenant: str, filters: dict[str, Any]) -> list[dict[str, Any]]:
    """What waits for the longest comes first, each with the commands that would mend it."""
    return [row | {"mends": mends(row)} for row in await exceptions(connection, tenant, filters)]


def mends(row: Mapping[str, Any]) -> list[str]:
    """Without those that would be refused as it stands."""
    vain = in_vain(row["kind"], row["items"], row["about"] or {})
    wanted = [path for path in MENDS[row["kind"]] if path.rsplit("/", 1)[1] not in vain]
    return [
        path.replace("{id}", row["aggregate_id"]).replace("{task}", task)
        for path in wanted
        for task in (tasks_of(row["items"], path) if "{task}" in path else [""])
    ]


def in_vain(kind: str, items: list[Item], about: Mapping[str, Any]) -> Container[str]:
    """Of what is not known nothing is."""
    match kind:
        case "carrier_silent" if items[0]["has_goods"]:  # what it has in hand is not cancelled
            return {"cancel-carrier-booking"}
        case "proof_missing" if about.get("kind") != "collection":  # a rider tells of it, and nobody else
            return {"report-collected"}
        case "sla_at_risk" | "sla_breached" | "predicted_late" if about:
            return {
                *(["unassign-task"] if about["rider_id"] is None or about["in_custody"] else []),
                *(["cancel-task"] if about["state"] == "returning" else []),
                *(["assign-task"] if about["state"] not in ASSIGNABLE else []),
            }
        case "action_refused" if about:
            return IN_VAIN_OF_INCIDENT[about["status"]]
        case _:
            return ()


def tasks_of(items: list[Item], path: str) -> list[str]:
    """Those whose parcels may be handed over where they are, or be told as lost."""
    refused = [item for item in items if item["link"]["kind"] == "task"]
    if path.endswith("/offer-hand-over"):
        refused = [item for item in refused if (item["action"], item["rule"]) == IN_CUSTODY]
    else:
        refused = [item for item in refused if item["action"] == "write_off_parcels"]
    return list(dict.fromkeys(item["link"]["id"] for item in refused))
