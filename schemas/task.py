"""Task: what can be asked of it and what can happen to it."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.carried import CarriedCommand, CarriedEvent
from schemas.field_report import CollectionReport, TaskReport
from schemas.geo import Location, Window
from schemas.geocoding import GeocodingCommand, GeocodingEvent
from schemas.goods import MAX_PARCELS, GoodsCommand, GoodsEvent
from schemas.hand_over import HandOverCommand, HandOverEvent
from schemas.message import (
    CarrierBookingId,
    CarrierId,
    Code,
    Command,
    Count,
    Event,
    ExternalReference,
    Id,
    Metadata,
    Moment,
    OfferId,
    OutletSlug,
    ParcelId,
    Personal,
    PlanId,
    ProofId,
    RecurrenceId,
    Reference,
    ReferenceSource,
    RiderId,
    Skills,
    Slug,
    StopId,
    TaskId,
    TenderId,
    Text,
)
from schemas.proof import (
    PinlessKind,
    PinlessProof,
    PinRejected,
    ProofCaptured,
    ProofDisputed,
    ProofDisputeSettled,
    ProofRejected,
)
from schemas.simulation import SimulatedOutcome, Simulation
from schemas.sla import PinnedSla, SlaCommand, SlaEvent
from schemas.stop import MAX_STOPS, NewParcel, NewStop, Parcel, Stop
from schemas.stop_events import (
    ContactAttempted,
    CustomerArrived,
    CustomerOnTheWay,
    DeliveryAttemptFailed,
    Disposition,
    HoldStarted,
    ParcelsDelivered,
    ParcelsHeld,
    ParcelsPickedUp,
    ParcelsRefused,
    ParcelsReturned,
    ParcelsShort,
    ParcelsWrittenOff,
    ReattemptPlanned,
    ReturnStarted,
    StopArrived,
    StopCompleted,
    StopEnRoute,
    StopFailed,
    StopSkipped,
)
from schemas.task_kind import Priority, TaskKind
from schemas.template import CloneCommand, CloneEvent
from schemas.waiting import DependsOn, WaitingCommand, WaitingEvent

RESERVATION_LOST = "reservation_lost"
"""Why a task is unassigned whose rider could not be reserved in time."""
CREATED_ON_HOLD = "created_on_hold"
"""Why a task is held that was so from the start."""
Outcome = Literal["delivered", "partially_delivered", "not_delivered", "returned", "disposed"]
TenderOutcome = Literal["awarded", "exhausted", "expired", "withdrawn"]


class CreateTask(Command, frozen=True, kw_only=True):
    """A delivery goes from the outlet to a recipient, a pickup from a sender to the outlet, a transfer from an outlet
    or hub to another, a return from who received back to the outlet; for a collection the recipient comes to the
    outlet, and its only stop is one. A return without an `authorisation` waits until it is given.

    `on_hold` keeps it from dispatch until it is released, `depends_on` until those tasks have ended well, `pick_wave`
    until that is released. Only riders who have all `required_skills` are given it. `return_proof` is what is needed
    where goods that were not delivered come back to.

    A test tenant's task may be simulated: a simulated courier takes it, and does what `simulation` says.
    """

    kind: TaskKind
    outlet: Slug
    priority: Priority = "normal"
    stops: Annotated[list[NewStop], msgspec.Meta(min_length=1, max_length=MAX_STOPS)]
    parcels: Annotated[list[NewParcel], msgspec.Meta(max_length=MAX_PARCELS)] = []
    return_proof: PinlessProof = []
    authorisation: Reference | None = None
    on_hold: bool = False
    required_skills: Skills = []
    depends_on: DependsOn = []
    pick_wave: Id | None = None
    simulation: Simulation | None = None
    external_reference: ExternalReference = None
    source: ReferenceSource = None
    shipment_id: Reference | None = None
    metadata: Metadata = {}


class ConfirmTaskCreated(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where there is no such task, or it lacks one of these parcels."""

    parcel_ids: Annotated[list[ParcelId], msgspec.Meta(max_length=MAX_PARCELS)] = []


class LocateStop(Command, frozen=True, kw_only=True):
    """Where a stop is, whatever is known of its address. Of who dispatches that is remembered: the next stop at the
    same address is there."""

    stop_id: StopId
    location: Location
    reason_code: Code | None = None


class AuthoriseReturn(Command, frozen=True, kw_only=True):
    authorisation: Reference


class ReattemptDelivery(Command, frozen=True, kw_only=True):
    """What waits at a hold is brought again: within `window`, or as soon as somebody takes it."""

    reason_code: Code
    window: Window | None = None


class UpdateGoodsReady(Command, frozen=True, kw_only=True):
    """When the goods of a pickup or a collection are expected to be ready, or that they are: `actual`."""

    stop_id: StopId
    ready_at: Moment
    actual: bool = False


class RescheduleStop(Command, frozen=True, kw_only=True):
    """The stop has another window from now on, and another place in time for dispatch with it."""

    stop_id: StopId
    window: Window
    reason_code: Code


class HoldTask(Command, frozen=True, kw_only=True):
    """It is kept from dispatch, or from the next round of it."""

    reason_code: Code


class ReleaseTask(Command, frozen=True, kw_only=True):
    reason_code: Code


class StartDispatch(Command, frozen=True, kw_only=True):
    """Sent when the time has come that the task waited for; firing late or twice changes nothing."""


class RecordTender(Command, frozen=True, kw_only=True):
    """Sent when a tender for this task has opened."""

    tender_id: TenderId
    round: Count


class CloseTender(Command, frozen=True, kw_only=True):
    """Sent when the tender of this round has ended without a winner. One that asked nobody was never recorded."""

    tender_id: TenderId
    round: Count
    outcome: TenderOutcome
    bundled: bool = False
    """Where it is withdrawn, another task that was offered with this one may be why: then this one goes on at once."""


class RetryDispatch(Command, frozen=True, kw_only=True):
    """Nobody took it in this round: the next one begins. Sent when due; firing late or twice changes nothing."""

    round: Count


class AssignTask(Command, frozen=True, kw_only=True):
    """With a tender it is a won claim; without one a dispatcher's order, which waits for the rider's yes. It overrides
    what dispatch would have chosen; `reason_code` says why, and `logistics why` tells it."""

    rider_id: RiderId
    tender_id: TenderId | None = None
    offer_id: OfferId | None = None
    reason_code: Code | None = None


class AssignByPlan(Command, frozen=True, kw_only=True):
    """Sent when a rider is reserved for it as part of a plan's route: before it comes to dispatch, while it is offered,
    or from another rider who has not begun it. `round` is the one that it is in then: otherwise too much has happened
    since it was planned. Once `until` has passed it is refused, but to who has it: nobody is held for it any more."""

    rider_id: RiderId
    plan_id: PlanId
    round: Count
    until: Moment


class AssignSimulatedCourier(Command, frozen=True, kw_only=True):
    """Sent when a simulated task has come to dispatch in this round."""

    round: Count


class SimulateStep(Command, frozen=True, kw_only=True):
    """The simulated courier's next step. Sent when due; firing late or twice changes nothing. `observed_at` is when it
    was due: it happens then, however far the clock has leapt."""

    number: Count
    observed_at: datetime | None = None


class AcceptAssignment(Command, frozen=True, kw_only=True):
    pass


class DeclineAssignment(Command, frozen=True, kw_only=True):
    reason_code: Code


class UnassignTask(Command, frozen=True, kw_only=True):
    """Before custody the task goes back to dispatch. `round` guards against a later assignment."""

    reason_code: Code
    round: Count | None = None


class CancelTask(Command, frozen=True, kw_only=True):
    """After custody the goods start on their way back instead."""

    reason_code: Code
    note: Text | None = None


class ForceCompleteTask(Command, frozen=True, kw_only=True):
    """An operator states where the goods are."""

    disposition: Disposition
    reason_code: Code
    note: Text | None = None


class SettleProofDispute(Command, frozen=True, kw_only=True):
    """Somebody has seen to it that a proof was rejected after its stop had completed; what it leads to is another
    command."""

    decision_code: Code


class ReviewFieldReport(Command, frozen=True, kw_only=True):
    """A report that did not fit was looked at; what it leads to is another command."""

    conflict_id: Id
    decision_code: Code


class RejectProof(Command, frozen=True, kw_only=True):
    """A dispatcher finds that it shows nothing. Before the stop's completion it counts no more and is captured again;
    afterwards the completion is disputed, and stands."""

    stop_id: StopId
    proof_id: ProofId
    reason_code: Code


type TaskCommand = (
    CreateTask
    | ConfirmTaskCreated
    | LocateStop
    | GeocodingCommand
    | AuthoriseReturn
    | ReattemptDelivery
    | UpdateGoodsReady
    | RescheduleStop
    | HoldTask
    | ReleaseTask
    | StartDispatch
    | RecordTender
    | CloseTender
    | RetryDispatch
    | AssignTask
    | AssignByPlan
    | AssignSimulatedCourier
    | SimulateStep
    | AcceptAssignment
    | DeclineAssignment
    | UnassignTask
    | CancelTask
    | ForceCompleteTask
    | RejectProof
    | SettleProofDispute
    | ReviewFieldReport
    | TaskReport
    | CollectionReport
    | GoodsCommand
    | HandOverCommand
    | CarriedCommand
    | SlaCommand
    | WaitingCommand
    | CloneCommand
)


class TaskCreated(Event, frozen=True, kw_only=True):
    kind: TaskKind
    outlet: OutletSlug
    priority: Priority
    stops: list[Stop]
    parcels: list[Parcel]
    return_proof: list[list[PinlessKind]]
    authorisation: str | None
    on_hold: bool
    required_skills: list[str]
    sla: PinnedSla | None
    external_reference: str | None
    source: str
    shipment_id: str | None
    metadata: dict[str, str]
    tracking_code: str
    tracking_token_hash: str
    max_attempts: int
    arrival_radius_m: int
    pin_attempts: int
    dispatch_lead_s: int
    cloned_from: TaskId | None = None
    recurrence_id: RecurrenceId | None = None
    simulation: Simulation | None = None


class StopLocated(Event, frozen=True, kw_only=True):
    """`source` and `confidence` say who knew it, and how surely; without them a person has told. `remember_as` is the
    key of the stop's address where that is to be remembered of it. `seek_at` is when other stops of this task are asked
    for again."""

    stop_id: StopId
    location: Personal[Location]
    confidence: float | None = None
    source: str | None = None
    reason_code: str | None = None
    remember_as: str | None = None
    seek_at: datetime | None = None


class ReturnAuthorised(Event, frozen=True, kw_only=True):
    authorisation: str


class GoodsReadyUpdated(Event, frozen=True, kw_only=True):
    """Expected to be ready at, or so since where it is `actual`."""

    stop_id: StopId
    ready_at: datetime
    actual: bool


class StopRescheduled(Event, frozen=True, kw_only=True):
    """`rider_id` is who has to be told."""

    stop_id: StopId
    window: Window
    reason_code: str
    rider_id: RiderId | None
    round: int


class TaskHeld(Event, frozen=True, kw_only=True):
    reason_code: str


class TaskReleased(Event, frozen=True, kw_only=True):
    """Nothing holds it any more."""

    reason_code: str


class TaskScheduled(Event, frozen=True, kw_only=True):
    """It comes to dispatch at `dispatch_at`, unless that changes; None: something else has to happen first."""

    dispatch_at: datetime | None


class TaskDispatchable(Event, frozen=True, kw_only=True):
    """`round` counts how often the task has come to dispatch, from 1. `simulated` is what becomes of it where no rider
    is asked. With `window_seconds` it waits for the next window of that length, in which it is decided on together with
    all others that wait."""

    round: int
    simulated: SimulatedOutcome | None = None
    window_seconds: int | None = None


class TaskTendered(Event, frozen=True, kw_only=True):
    tender_id: TenderId
    round: int


class TaskTenderClosed(Event, frozen=True, kw_only=True):
    """`retry_at` is when it comes to dispatch again; without one a dispatcher must help."""

    tender_id: TenderId
    round: int
    outcome: TenderOutcome
    retry_at: datetime | None


class TaskAssigned(Event, frozen=True, kw_only=True):
    rider_id: RiderId
    round: int
    tender_id: TenderId | None
    offer_id: OfferId | None
    assigned_at: datetime | None = None
    handed_over: bool = False
    """By another rider, who had the goods."""
    reason_code: str | None = None
    """Of a dispatcher's order."""
    plan_id: PlanId | None = None
    passed_over: TenderId | None = None
    """That it was offered by."""


class AssignmentAccepted(Event, frozen=True, kw_only=True):
    rider_id: RiderId


class SimulatedStepScheduled(Event, frozen=True, kw_only=True):
    """`step_at` is when the simulated courier goes on; without one they have nothing to do by themselves."""

    number: int
    step_at: datetime | None


class TaskUnassigned(Event, frozen=True, kw_only=True):
    """`waits` until another attempt is planned: its goods are at a hold."""

    rider_id: RiderId
    round: int
    reason_code: str
    waits: bool = False


class TaskCompleted(Event, frozen=True, kw_only=True):
    """`rider_id` and `tender_id` say who has to be told."""

    outcome: Outcome
    rider_id: RiderId | None
    tender_id: TenderId | None = None
    round: int


class TaskFailed(Event, frozen=True, kw_only=True):
    """`rider_id`, `tender_id` and `booking_id` say who has to be told."""

    outcome: Outcome
    rider_id: RiderId | None
    tender_id: TenderId | None = None
    round: int
    reason_code: str
    booking_id: CarrierBookingId | None = None


class TaskCancelled(Event, frozen=True, kw_only=True):
    """`rider_id`, `tender_id` and `booking_id` say who has to be told."""

    outcome: Outcome
    rider_id: RiderId | None
    tender_id: TenderId | None
    round: int
    reason_code: str
    note: str | None
    booking_id: CarrierBookingId | None = None


class TaskReturned(Event, frozen=True, kw_only=True):
    """`rider_id` and `booking_id` say who has to be told."""

    outcome: Outcome
    rider_id: RiderId | None
    round: int
    booking_id: CarrierBookingId | None = None


class TaskForceCompleted(Event, frozen=True, kw_only=True):
    outcome: Outcome
    rider_id: RiderId | None
    tender_id: TenderId | None
    round: int
    reason_code: str
    note: str | None
    booking_id: CarrierBookingId | None = None


class FieldReportConflicted(Event, frozen=True, kw_only=True):
    """A report that does not fit the state. A dispatcher must look at it. With `carrier_id` it is the carrier's, of all
    stops; with neither somebody else reported."""

    conflict_id: str
    report: str
    stop_id: StopId | None
    rider_id: RiderId | None
    observed_at: datetime
    conflict: str
    carrier_id: CarrierId | None = None


class FieldReportReviewed(Event, frozen=True, kw_only=True):
    """A dispatcher has looked at a report that did not fit, and decided what to make of it."""

    conflict_id: str
    decision_code: str


type TaskEvent = (
    TaskCreated
    | StopLocated
    | GeocodingEvent
    | ReturnAuthorised
    | GoodsReadyUpdated
    | StopRescheduled
    | TaskHeld
    | TaskReleased
    | TaskScheduled
    | TaskDispatchable
    | TaskTendered
    | TaskTenderClosed
    | TaskAssigned
    | AssignmentAccepted
    | SimulatedStepScheduled
    | TaskUnassigned
    | StopEnRoute
    | StopArrived
    | ParcelsPickedUp
    | ParcelsShort
    | ParcelsDelivered
    | ParcelsRefused
    | ParcelsReturned
    | CustomerOnTheWay
    | CustomerArrived
    | GoodsEvent
    | HandOverEvent
    | CarriedEvent
    | SlaEvent
    | WaitingEvent
    | CloneEvent
    | ParcelsWrittenOff
    | ProofCaptured
    | PinRejected
    | ProofRejected
    | ProofDisputed
    | ProofDisputeSettled
    | DeliveryAttemptFailed
    | ContactAttempted
    | HoldStarted
    | ParcelsHeld
    | ReattemptPlanned
    | StopCompleted
    | StopFailed
    | StopSkipped
    | ReturnStarted
    | TaskCompleted
    | TaskFailed
    | TaskCancelled
    | TaskReturned
    | TaskForceCompleted
    | FieldReportConflicted
    | FieldReportReviewed
)
