"""What falls due, when, and for whom? A deadline stands here until what it waits for has happened or it has fired."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.model import Fact, Key, ReadModel
from projections.page import Page
from schemas.carried import TaskGivenToCarrier
from schemas.carrier_booking import (
    CarrierBooked,
    CarrierBookingCancelled,
    CarrierBookingExpired,
    CarrierBookingQuoted,
    CarrierCourierKnown,
    CarrierDelivered,
    CarrierDeliveryFailed,
    CarrierFellSilent,
    CarrierStatusConflicted,
    CarrierStatusRecorded,
)
from schemas.carrier_offer import CarrierBookingRequested, CounterDeclined
from schemas.dispatch_window import WindowClosed, WindowOpened
from schemas.geocoding import StopLocationSought, StopNeedsLocation
from schemas.hand_over import HandOverClosed, HandOverOffered, ParcelsHandedOver
from schemas.hours import HoursLimit
from schemas.incident import (
    IncidentAssigned,
    IncidentEscalated,
    IncidentReopened,
    IncidentReported,
    IncidentResolved,
)
from schemas.plan import (
    PROPOSAL_STANDS,
    PlanCommitStarted,
    PlanCommitted,
    PlanPartlyCommitted,
    PlanProposed,
    PlanRejected,
)
from schemas.recurrence import (
    OccurrenceCreated,
    OccurrenceScheduled,
    OccurrencesMissed,
    RecurrenceEnded,
    RecurrencePaused,
)
from schemas.rider import (
    BreakEnded,
    BreakStarted,
    ComplianceBreachFound,
    DocumentExpiryWarned,
    DocumentRejected,
    DocumentVerified,
    HoursLimitWarned,
    ReservationActivated,
    ReservationReleased,
    RiderReserved,
    ShiftEnded,
    ShiftStarted,
)
from schemas.sla import SLA_EVENTS, SlaAtRisk, SlaBreached, SlaClockResumed, SlaClockStarted, SlaEvent, promises_of
from schemas.task import (
    SimulatedStepScheduled,
    StopLocated,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskDispatchable,
    TaskFailed,
    TaskForceCompleted,
    TaskHeld,
    TaskReturned,
    TaskScheduled,
    TaskTenderClosed,
    TaskUnassigned,
)
from schemas.tender import (
    BiddingClosed,
    ClaimRejected,
    OfferAccepted,
    OfferClaimed,
    OfferDeclined,
    OfferExpired,
    OfferLost,
    OfferSent,
    OfferWithdrawn,
    ReservationRequested,
    TenderExhausted,
    TenderOpened,
    TenderWithdrawn,
)
from schemas.vehicle import (
    VehicleDocumentExpiryWarned,
    VehicleDocumentRejected,
    VehicleDocumentVerified,
    VehicleMaintenanceCancelled,
    VehicleMaintenanceCompleted,
    VehicleMaintenanceFellDue,
    VehicleMaintenancePlanned,
    VehicleRetired,
)
from schemas.waiting import (
    DependencyAskedFor,
    DependencyDropped,
    DependencyFailed,
    DependencyMet,
    DependencyNotFound,
    DependencyWaived,
)

TABLE = """
CREATE TABLE {table} (
    tenant       text        NOT NULL,
    kind         text        NOT NULL,
    aggregate_id text        NOT NULL,
    subject      text        NOT NULL,
    due_at       timestamptz NOT NULL,
    set_by       text        NOT NULL,
    partition    bigint      NOT NULL,
    round        bigint,
    target_at    timestamptz,
    PRIMARY KEY (tenant, kind, aggregate_id, subject)
);
CREATE INDEX ON {table} (partition, due_at)
"""

SOUGHT = (StopLocationSought, StopNeedsLocation, StopLocated)
SOUGHT_NO_MORE = (TaskCancelled, TaskForceCompleted, TaskCompleted, TaskFailed)
DISPATCHED = (
    TaskDispatchable,
    TaskAssigned,
    TaskGivenToCarrier,
    TaskHeld,
    TaskCancelled,
    TaskForceCompleted,
    TaskCompleted,
    TaskFailed,
)
"""Nothing is left to be tried again; a hold ends in another round of its own."""
SCHEDULED = (
    TaskScheduled,
    TaskDispatchable,
    TaskAssigned,
    TaskCancelled,
    TaskForceCompleted,
    TaskCompleted,
    TaskFailed,
)
STEPS_OVER = (TaskUnassigned, TaskCancelled, TaskForceCompleted, TaskCompleted, TaskFailed, TaskReturned)
"""A simulated courier has it no more."""
OFFER_OVER = (
    OfferClaimed,
    ClaimRejected,
    OfferDeclined,
    OfferExpired,
    OfferAccepted,
    OfferLost,
    OfferWithdrawn,
    CounterDeclined,
)
PLANNED = (PlanProposed, PlanCommitStarted, PlanCommitted, PlanPartlyCommitted, PlanRejected)
BIDDING = (TenderOpened, BiddingClosed, TenderExhausted, TenderWithdrawn)
CLAIM_OVER = (ClaimRejected, OfferAccepted, OfferWithdrawn)
CLAIM_TRIED = (ReservationRequested, CarrierBookingRequested)
UNATTENDED = (IncidentReported, IncidentEscalated, IncidentReopened, IncidentAssigned, IncidentResolved)
DUTY = (ShiftStarted, BreakEnded)
DUTY_OVER = (BreakStarted, HoursLimitWarned, ShiftEnded)
ASKED = (DependencyAskedFor, DependencyMet, DependencyFailed, DependencyWaived, DependencyDropped)
"""For what the task waits for nobody has to ask again."""
HAND_OVER = (HandOverOffered, HandOverClosed, ParcelsHandedOver)
HOLD_OVER = (ReservationActivated, ReservationReleased)
MAINTENANCE_OVER = (VehicleMaintenanceFellDue, VehicleMaintenanceCompleted, VehicleMaintenanceCancelled)

DOCUMENTS = (DocumentVerified, DocumentExpiryWarned, DocumentRejected, ComplianceBreachFound)
PAPERS = (VehicleDocumentVerified, VehicleDocumentExpiryWarned, VehicleDocumentRejected)

RECURS = (OccurrenceScheduled, OccurrenceCreated, OccurrencesMissed, RecurrencePaused, RecurrenceEnded)
"""Each begins with what comes next, or with nothing."""

WINDOW = (WindowOpened, WindowClosed)

QUOTE = (CarrierBookingQuoted, CarrierBookingExpired)
BOOKING = (CarrierBooked, CarrierBookingCancelled)
"""The quote is over; of the carrier something was heard, or need not be any more."""
HEARD = (CarrierCourierKnown, CarrierStatusRecorded, CarrierStatusConflicted)
UNHEARD = (CarrierFellSilent, CarrierDelivered, CarrierDeliveryFailed)


class DeadlineRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    kind: str
    """expire_offer, expire_claim, expire_reservation, retry_dispatch, start_dispatch, escalate_incident,
    record_maintenance_due, warn_hours_limit, warn_document_expiry, warn_vehicle_document_expiry, expire_carrier_quote,
    record_carrier_silence, sla_at_risk, sla_breach, expire_hand_over, ask_for_dependency, simulate_step, close_plan,
    close_window, seek_locations or create_occurrence."""
    aggregate_id: str
    subject: str
    """The offer, the task of the reservation, what a task waits for, the maintenance, the shift, the document, or the
    aggregate itself."""
    due_at: datetime
    set_by: str
    """The id of the event that set it."""
    partition: int
    round: int | None = None
    """The task's; of a simulated courier the step's number, of what is asked for again how often, of an incident or a
    breach the level that it comes to."""
    target_at: datetime | None = None
    """What was promised for the task is to happen by then; of a recurrence: when the occurrence begins."""


def keys(fact: Fact) -> Sequence[Key]:
    event, source = fact.event, fact.source
    if isinstance(event, SLA_EVENTS):
        return [
            (source.tenant, kind, source.aggregate_id, promise)
            for promise in promises_of(event)
            for kind in kinds_of(event)
        ]
    if isinstance(event, BIDDING):
        return ((source.tenant, "close_bidding", source.aggregate_id, source.aggregate_id),)
    if isinstance(event, PLANNED):
        return ((source.tenant, "close_plan", source.aggregate_id, source.aggregate_id),)
    offer = getattr(event, "offer_id", None)
    of_offer = (source.tenant, "expire_offer", source.aggregate_id, offer)
    of_claim = (source.tenant, "expire_claim", source.aggregate_id, offer)
    if isinstance(event, CLAIM_OVER):
        return of_offer, of_claim
    if isinstance(event, CLAIM_TRIED):
        return (of_claim,)
    if isinstance(event, (OfferSent, *OFFER_OVER)):
        return (of_offer,)
    if isinstance(event, (TaskTenderClosed, TaskScheduled, SimulatedStepScheduled, *STEPS_OVER, *DISPATCHED, *SOUGHT)):
        of = source.aggregate_id
        kinds = ("retry_dispatch",) * isinstance(event, (TaskTenderClosed, *DISPATCHED))
        kinds += ("start_dispatch",) * isinstance(event, SCHEDULED)
        kinds += ("simulate_step",) * isinstance(event, (SimulatedStepScheduled, *STEPS_OVER))
        kinds += ("seek_locations",) * isinstance(event, (*SOUGHT, *SOUGHT_NO_MORE))
        return tuple((source.tenant, kind, of, of) for kind in kinds)
    if isinstance(event, HAND_OVER):
        return ((source.tenant, "expire_hand_over", source.aggregate_id, source.aggregate_id),)
    if isinstance(event, (DependencyNotFound, *ASKED)):
        return ((source.tenant, "ask_for_dependency", source.aggregate_id, event.on),)
    if isinstance(event, WINDOW):
        return ((source.tenant, "close_window", source.aggregate_id, source.aggregate_id),)
    if isinstance(event, RECURS):
        return ((source.tenant, "create_occurrence", source.aggregate_id, source.aggregate_id),)
    if isinstance(event, UNATTENDED):
        return ((source.tenant, "escalate_incident", source.aggregate_id, source.aggregate_id),)
    if isinstance(event, (VehicleMaintenancePlanned, *MAINTENANCE_OVER)):
        return ((source.tenant, "record_maintenance_due", source.aggregate_id, event.maintenance_id),)
    if isinstance(event, DOCUMENTS):
        documents = [event.document_id] if event.document_id is not None else []
        return [(source.tenant, "warn_document_expiry", source.aggregate_id, document) for document in documents]
    if isinstance(event, (*PAPERS, VehicleRetired)):
        papers = event.document_ids if isinstance(event, VehicleRetired) else [event.document_id]
        return [(source.tenant, "warn_vehicle_document_expiry", source.aggregate_id, paper) for paper in papers]
    of_quote = (source.tenant, "expire_carrier_quote", source.aggregate_id, source.aggregate_id)
    of_silence = (source.tenant, "record_carrier_silence", source.aggregate_id, source.aggregate_id)
    if isinstance(event, BOOKING):
        return of_quote, of_silence
    if isinstance(event, QUOTE):
        return (of_quote,)
    if isinstance(event, (*HEARD, *UNHEARD)):
        return (of_silence,)
    if isinstance(event, (*DUTY, *DUTY_OVER)):
        return ((source.tenant, "warn_hours_limit", source.aggregate_id, event.shift_id),)
    task = getattr(event, "task_id", None)
    return ((source.tenant, "expire_reservation", source.aggregate_id, task),)


def kinds_of(event: SlaEvent) -> tuple[str, ...]:
    """What is broken is at risk no more, whichever of the two was fired first."""
    return ("sla_at_risk",) if isinstance(event, SlaAtRisk) else ("sla_at_risk", "sla_breach")


def apply(row: DeadlineRow | None, fact: Fact, key: Key) -> DeadlineRow | None:
    event, source = fact.event, fact.source
    tenant, kind, aggregate_id, subject = key
    target_at: datetime | None = None
    task_round: int | None
    match event:
        case SlaClockStarted() | SlaClockResumed():
            target = next(target for target in event.targets if target.promise == subject)
            at = target.at_risk_at if kind == "sla_at_risk" else target.breach_at
            if at is None:
                return None
            due_at, task_round, target_at = at, target.level, target.target_at
        case SlaBreached(next_at=datetime() as due_at) if kind == "sla_breach":
            task_round, target_at = event.level + 1, event.target_at
        case TenderOpened(bids_until=datetime() as due_at):
            task_round = None
        case PlanProposed(proposal=proposal):
            due_at, task_round = proposal.decided_at + PROPOSAL_STANDS, None
        case PlanCommitStarted(settled_by=due_at):
            task_round = None
        case OfferSent():
            due_at, task_round = event.expires_at, None
        case ReservationRequested() | CarrierBookingRequested():
            due_at, task_round = event.hold_until, None
        case RiderReserved():
            due_at, task_round = event.hold_until, event.round
        case TaskTenderClosed(retry_at=datetime() as retry_at):
            due_at, task_round = retry_at, event.round
        case SimulatedStepScheduled(step_at=datetime() as due_at):
            task_round = event.number
        case StopNeedsLocation(seek_at=datetime() as due_at) | StopLocated(seek_at=datetime() as due_at):
            task_round = None
        case DependencyNotFound(ask_again_at=due_at, number=task_round):
            pass
        case TaskScheduled(dispatch_at=datetime() as due_at):
            task_round = None
        case OccurrenceScheduled():
            due_at, task_round, target_at = event.due_at, None, event.occurrence.at
        case WindowOpened():
            due_at, task_round = event.closes_at, None
        case HandOverOffered():
            due_at, task_round = event.expires_at, event.round
        case IncidentReported(escalate_at=datetime() as escalate_at):
            due_at, task_round = escalate_at, 1
        case (
            IncidentEscalated(escalate_at=datetime() as escalate_at, level=level)
            | IncidentReopened(escalate_at=datetime() as escalate_at, level=level)
        ):
            due_at, task_round = escalate_at, level + 1
        case VehicleMaintenancePlanned(due_at=datetime() as due_at):
            task_round = None
        case ShiftStarted(hours_limit=HoursLimit(warn_at=due_at)) | BreakEnded(hours_limit=HoursLimit(warn_at=due_at)):
            task_round = None
        case DocumentVerified(warn_at=due_at) | VehicleDocumentVerified(warn_at=due_at):
            task_round = None
        case CarrierBookingQuoted():
            due_at, task_round = event.expires_at, None
        case CarrierBooked(silent_at=due_at) if kind == "record_carrier_silence":
            task_round = None
        case (
            CarrierCourierKnown(silent_at=datetime() as due_at)
            | CarrierStatusRecorded(silent_at=datetime() as due_at)
            | CarrierStatusConflicted(silent_at=datetime() as due_at)
        ):
            task_round = None
        case _:
            return None
    return DeadlineRow(
        tenant=tenant,
        kind=kind,
        aggregate_id=aggregate_id,
        subject=subject,
        due_at=due_at,
        set_by=source.event_id,
        partition=source.partition,
        round=task_round,
        target_at=target_at,
    )


DEADLINES = ReadModel(
    name="deadlines",
    version=14,
    table=TABLE,
    row=DeadlineRow,
    key=("tenant", "kind", "aggregate_id", "subject"),
    events=frozenset(
        {
            *BIDDING,
            *PLANNED,
            OfferSent,
            *CLAIM_TRIED,
            RiderReserved,
            TaskTenderClosed,
            TaskScheduled,
            SimulatedStepScheduled,
            *STEPS_OVER,
            *SOUGHT,
            *OFFER_OVER,
            *HOLD_OVER,
            *DISPATCHED,
            *UNATTENDED,
            VehicleMaintenancePlanned,
            *MAINTENANCE_OVER,
            *DUTY,
            *DUTY_OVER,
            *DOCUMENTS,
            *PAPERS,
            VehicleRetired,
            *QUOTE,
            *BOOKING,
            *HEARD,
            *UNHEARD,
            *SLA_EVENTS,
            *HAND_OVER,
            DependencyNotFound,
            *ASKED,
            *RECURS,
            *WINDOW,
        }
    ),
    keys=keys,
    apply=apply,
)

DUE = """
SELECT deadlines.* FROM deadlines
LEFT JOIN unnest(%(tenants)s::text[], %(ahead_s)s::bigint[]) AS clock (tenant, ahead_s) USING (tenant)
WHERE partition = ANY(%(partitions)s)
  AND due_at <= %(latest)s
  AND due_at <= %(now)s::timestamptz + make_interval(secs => coalesce(clock.ahead_s, 0))
ORDER BY due_at, aggregate_id, subject
LIMIT %(limit)s
"""
PAGE = """
SELECT * FROM deadlines
WHERE tenant = %(tenant)s AND (%(at)s::timestamptz IS NULL OR (due_at, subject) > (%(at)s, %(id)s))
ORDER BY due_at, subject
LIMIT %(limit)s
"""


async def due(
    connection: AsyncConnection,
    partitions: Sequence[int],
    now: datetime,
    limit: int,
    clocks_ahead: Mapping[Any, int] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """What is due by now in these partitions, the longest overdue first. `clocks_ahead`: seconds, by tenant."""
    latest = now + timedelta(seconds=max(clocks_ahead.values(), default=0))  # what an index can find
    wanted = {"partitions": list(partitions), "now": now, "latest": latest, "limit": limit}
    clocks = {"tenants": list(clocks_ahead), "ahead_s": list(clocks_ahead.values())}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(DUE, wanted | clocks)
        return await cursor.fetchall()


page = Page(PAGE)
"""A tenant's deadlines, the next one first."""
