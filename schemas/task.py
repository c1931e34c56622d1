"""Task: what can be asked of it and what can happen to it."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.carried import CarriedCommand, CarriedEvent
from schemas.device_report import DeviceReport
from schemas.fault import AtFault
from schemas.geo import Location, ObservedFix, PostalCode, Window
from schemas.goods import MAX_ITEMS, MAX_PARCELS, GoodsCommand, GoodsEvent, Item, NewItem, Party
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
    Input,
    Metadata,
    Moment,
    Name,
    OfferId,
    OutletSlug,
    ParcelId,
    Personal,
    ProofId,
    Record,
    RecurrenceId,
    Reference,
    ReferenceSource,
    RiderId,
    Sha256,
    Skills,
    Slug,
    StopId,
    TaskId,
    TenderId,
    Text,
)
from schemas.proof import (
    MinimumAge,
    PinlessKind,
    PinlessProof,
    PinRejected,
    ProofCaptured,
    ProofDisputed,
    ProofDisputeSettled,
    ProofKind,
    ProofRejected,
    Proofs,
    RequiredProof,
    SomeProofs,
)
from schemas.simulation import SimulatedOutcome, Simulation
from schemas.sla import PinnedSla, SlaCommand, SlaEvent
from schemas.task_kind import Priority, TaskKind
from schemas.template import CloneCommand, CloneEvent
from schemas.waiting import DependsOn, WaitingCommand, WaitingEvent

MAX_STOPS = 50
MAX_CONTACTS = 20
RESERVATION_LOST = "reservation_lost"
"""Why a task is unassigned whose rider could not be reserved in time."""
CREATED_ON_HOLD = "created_on_hold"
"""Why a task is held that was so from the start."""

StopKind = Literal["pickup", "dropoff", "collection", "hold", "return"]
"""At a collection the recipient comes for the goods; the others are a rider's. A hold is where goods wait for another
attempt, a return where they came from."""
Outcome = Literal["delivered", "partially_delivered", "not_delivered", "returned", "disposed"]
Disposition = Literal["delivered", "returned", "lost", "disposed"]
TenderOutcome = Literal["awarded", "exhausted", "expired", "withdrawn"]
AttemptPolicy = Literal["retry_now", "reattempt_later", "hold_at_hub", "leave_at_door", "return", "dispose"]
ContactChannel = Literal["call", "text", "chat", "doorbell"]


# What can be asked


class NewContact(Input, frozen=True, kw_only=True):
    """`reference` is the caller's own name for the person, so that one erasure reaches all their tasks."""

    name: Name
    phone: Annotated[str, msgspec.Meta(min_length=3, max_length=40)] | None = None
    notes: Text | None = None
    reference: Reference | None = None


class NewStop(Input, frozen=True, kw_only=True):
    """At an outlet or a hub of the tenant's if it names one; its location is then known. A hub may be a locker: what is
    dropped off or collected there has ["pin"] among its required proofs, and who has ordered tells the rider that PIN,
    which opens it. Without any of it the goods of a delivery, a
    transfer and a collection are at the task's outlet, and those of a pickup and a return go there. `minimum_age` asks
    for an ID check of who receives. `after` names earlier stops that are over before this one is, as a parcel's pickup
    is before its dropoff anyhow."""

    kind: Literal["pickup", "dropoff", "collection"]
    stop_id: Id | None = None
    outlet: Slug | None = None
    hub: Slug | None = None
    location: Location | None = None
    address: Text | None = None
    postal_code: PostalCode | None = None
    contact: NewContact | None = None
    window: Window | None = None
    service_seconds: Annotated[int, msgspec.Meta(ge=0, le=14_400)] = 120
    goods_ready_at: Moment | None = None
    required_proof: RequiredProof = []
    minimum_age: MinimumAge | None = None
    after: Annotated[list[Id], msgspec.Meta(max_length=MAX_STOPS)] = []


class NewParcel(Input, frozen=True, kw_only=True):
    """Without stops it goes from the first pickup to the last dropoff. `items` are what is in it, by which a transfer
    is received and a return inspected; without any the parcel is one line itself. `required_proof` is what its dropoff
    needs for it besides, unless the recipient refuses it; a scan is one of this parcel."""

    parcel_id: Id | None = None
    pickup_stop: Id | None = None
    dropoff_stop: Id | None = None
    barcode: Reference | None = None
    description: Text | None = None
    weight_g: Annotated[int, msgspec.Meta(ge=0, le=50_000_000)] = 0
    volume_cm3: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)] = 0
    items: Annotated[list[NewItem], msgspec.Meta(max_length=MAX_ITEMS)] = []
    required_proof: PinlessProof = []


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
    stop_id: StopId
    location: Location


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


class RetryDispatch(Command, frozen=True, kw_only=True):
    """Nobody took it in this round: the next one begins. Sent when due; firing late or twice changes nothing."""

    round: Count


class AssignTask(Command, frozen=True, kw_only=True):
    """With a tender it is a won claim; without one a dispatcher's order, which waits for the rider's yes."""

    rider_id: RiderId
    tender_id: TenderId | None = None
    offer_id: OfferId | None = None


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


class FieldReport(DeviceReport, frozen=True, kw_only=True):
    """What a rider's device says has happened. Late is normal, and a physical fact is never refused. Of a task with a
    carrier a dispatcher tells what the carrier's status cannot: proof, and what has come back."""

    stop_id: StopId


class ReportEnRoute(FieldReport, frozen=True, kw_only=True):
    pass


class ReportArrived(FieldReport, frozen=True, kw_only=True):
    """Too far from the stop needs `override_reason`, and the arrival is flagged."""

    fix: ObservedFix
    override_reason: Code | None = None


class ReportPickedUp(FieldReport, frozen=True, kw_only=True):
    """`short` names parcels that were not there; all others of the stop are now with the rider."""

    short: Annotated[list[ParcelId], msgspec.Meta(max_length=MAX_PARCELS)] = []
    proofs: Proofs = []


class ReportDelivered(FieldReport, frozen=True, kw_only=True):
    """`refused` names parcels that the recipient did not take; they stay with the rider."""

    refused: Annotated[list[ParcelId], msgspec.Meta(max_length=MAX_PARCELS)] = []
    refusal_reason: Code | None = None
    proofs: Proofs = []


class ContactAttempt(Input, frozen=True, kw_only=True):
    """The rider tried to reach whoever is there."""

    channel: ContactChannel
    attempted_at: Moment
    answered: bool = False


class ReportAttemptFailed(FieldReport, frozen=True, kw_only=True):
    """What follows is by the reason, as the tenant has it: another try, a later one, a hub, the door, the way back.

    A reason may ask that contact was attempted before, or that somebody has waited; `contacts` are those that no report
    has told yet. Where it could not be, `override_reason` says why, and the attempt is flagged.
    """

    reason_code: Code
    note: Text | None = None
    evidence: Annotated[list[Sha256], msgspec.Meta(max_length=10)] = []
    contacts: Annotated[list[ContactAttempt], msgspec.Meta(max_length=MAX_CONTACTS)] = []
    waited_seconds: Count | None = None
    override_reason: Code | None = None


class ReportContactAttempt(FieldReport, frozen=True, kw_only=True):
    contact: ContactAttempt


class ReportHeld(FieldReport, frozen=True, kw_only=True):
    """The goods of a hold are where they wait for another attempt."""

    proofs: Proofs = []


class ReportReturned(FieldReport, frozen=True, kw_only=True):
    proofs: Proofs = []


class ReportCustomerOnTheWay(FieldReport, frozen=True, kw_only=True):
    """Who comes for the goods of a collection has set out."""

    expected_at: Moment | None = None


class ReportCustomerArrived(FieldReport, frozen=True, kw_only=True):
    """`spot` says where they wait, such as the number of a parking bay, and `vehicle` what to look for."""

    spot: Name | None = None
    vehicle: Name | None = None


class ReportCollected(FieldReport, frozen=True, kw_only=True):
    """`short` names parcels that were not there, `refused` those that were not taken; all others were."""

    short: Annotated[list[ParcelId], msgspec.Meta(max_length=MAX_PARCELS)] = []
    refused: Annotated[list[ParcelId], msgspec.Meta(max_length=MAX_PARCELS)] = []
    refusal_reason: Code | None = None
    proofs: Proofs = []


class CaptureProof(FieldReport, frozen=True, kw_only=True):
    """Ahead of the hand-over or after it; the stop completes with the last of both."""

    proofs: SomeProofs


class RejectProof(Command, frozen=True, kw_only=True):
    """A dispatcher finds that it shows nothing. Before the stop's completion it counts no more and is captured again;
    afterwards the completion is disputed, and stands."""

    stop_id: StopId
    proof_id: ProofId
    reason_code: Code


type TaskReport = (
    ReportEnRoute
    | ReportArrived
    | ReportPickedUp
    | ReportDelivered
    | ReportAttemptFailed
    | ReportContactAttempt
    | ReportHeld
    | ReportReturned
    | CaptureProof
)
type CollectionReport = ReportCustomerOnTheWay | ReportCustomerArrived | ReportCollected

type TaskCommand = (
    CreateTask
    | ConfirmTaskCreated
    | LocateStop
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


# What can happen


class Contact(Record, frozen=True, kw_only=True):
    name: Personal[str]
    phone: Personal[str] | None = None
    notes: Personal[str] | None = None


class Stop(Record, frozen=True, kw_only=True):
    """`party` is who has the goods there: before a pickup and a collection, after a dropoff and a return.
    `from_directory`: its location is that of its outlet or hub."""

    stop_id: StopId
    kind: StopKind
    party: Party
    location: Personal[Location] | None
    address: Personal[str] | None
    contact: Contact | None
    window: Window | None
    service_seconds: int
    goods_ready_at: datetime | None
    required_proof: list[list[ProofKind]]
    minimum_age: int | None
    pin_hash: str | None
    after: list[StopId] = []
    from_directory: bool = False
    postal_code: Personal[str] | None = None


class Parcel(Record, frozen=True, kw_only=True):
    parcel_id: ParcelId
    pickup_stop: StopId
    dropoff_stop: StopId
    barcode: str | None
    description: str | None
    weight_g: int
    volume_cm3: int
    items: list[Item]
    required_proof: list[list[PinlessKind]]


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
    stop_id: StopId
    location: Personal[Location]


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
    is asked."""

    round: int
    simulated: SimulatedOutcome | None = None


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


class StopEnRoute(Event, frozen=True, kw_only=True):
    """Without a rider it is a carrier's courier."""

    stop_id: StopId
    rider_id: RiderId | None


class StopArrived(Event, frozen=True, kw_only=True):
    """`override_reason` marks an arrival out of the stop's radius; `late` one reported after what followed it: of two
    that are told of a stop the first by its time stands. Without a rider it is a carrier's courier, and where they were
    the carrier may not say."""

    stop_id: StopId
    rider_id: RiderId | None
    fix: Personal[ObservedFix] | None
    distance_m: int | None
    override_reason: str | None
    late: bool


class ParcelsPickedUp(Event, frozen=True, kw_only=True):
    stop_id: StopId
    parcel_ids: list[ParcelId]
    from_party: Party
    to_party: Party


class ParcelsShort(Event, frozen=True, kw_only=True):
    """They were not at the pickup; they stay with whoever had them."""

    stop_id: StopId
    parcel_ids: list[ParcelId]


class ParcelsDelivered(Event, frozen=True, kw_only=True):
    stop_id: StopId
    parcel_ids: list[ParcelId]
    from_party: Party
    to_party: Party


class ParcelsRefused(Event, frozen=True, kw_only=True):
    """The recipient did not take them; custody does not change."""

    stop_id: StopId
    parcel_ids: list[ParcelId]
    reason_code: str


class ParcelsReturned(Event, frozen=True, kw_only=True):
    stop_id: StopId
    parcel_ids: list[ParcelId]
    from_party: Party
    to_party: Party


class CustomerOnTheWay(Event, frozen=True, kw_only=True):
    stop_id: StopId
    expected_at: datetime | None


class CustomerArrived(Event, frozen=True, kw_only=True):
    stop_id: StopId
    spot: Personal[str] | None
    vehicle: Personal[str] | None


class ParcelsWrittenOff(Event, frozen=True, kw_only=True):
    """Where goods are by statement, not by report: an operator closed the task, or the tenant's rule disposes of
    them."""

    parcel_ids: list[ParcelId]
    disposition: Disposition
    to_party: Party


class DeliveryAttemptFailed(Event, frozen=True, kw_only=True):
    stop_id: StopId
    attempt: int
    reason_code: str
    note: str | None
    evidence: list[str]
    contacts: list[ContactAttempt]
    waited_seconds: int | None
    override_reason: str | None
    at_fault: AtFault
    policy: AttemptPolicy


class ContactAttempted(Event, frozen=True, kw_only=True):
    stop_id: StopId
    rider_id: RiderId
    contact: ContactAttempt


class HoldStarted(Event, frozen=True, kw_only=True):
    """The goods of a stop that failed are to be brought to a hub, or to the outlet where there is none, and wait there
    for another attempt: `stop` is new and stands last."""

    stop: Stop
    parcel_ids: list[ParcelId]
    rider_id: RiderId
    round: int
    reason_code: str


class ParcelsHeld(Event, frozen=True, kw_only=True):
    stop_id: StopId
    parcel_ids: list[ParcelId]
    from_party: Party
    to_party: Party


class ReattemptPlanned(Event, frozen=True, kw_only=True):
    """The goods are fetched at `pickup`, which is new, and the stops of `stop_ids` are ahead again."""

    pickup: Stop
    parcel_ids: list[ParcelId]
    stop_ids: list[StopId]
    window: Window | None
    reason_code: str


class StopCompleted(Event, frozen=True, kw_only=True):
    stop_id: StopId
    rider_id: RiderId | None
    round: int


class StopFailed(Event, frozen=True, kw_only=True):
    stop_id: StopId
    rider_id: RiderId | None
    round: int
    reason_code: str


class StopSkipped(Event, frozen=True, kw_only=True):
    stop_id: StopId
    rider_id: RiderId | None
    round: int
    reason_code: str


class ReturnStarted(Event, frozen=True, kw_only=True):
    """These goods go back: `stop`, where they were picked up, is new and stands last. What came from elsewhere goes
    back by another. Without a rider a carrier has them."""

    stop: Stop
    parcel_ids: list[ParcelId]
    rider_id: RiderId | None
    round: int
    reason_code: str
    cancelled: bool = False
    carrier_id: CarrierId | None = None


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
