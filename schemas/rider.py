"""Rider: who drives, whether they may, and what stands on their itinerary."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.geo import Location, Window
from schemas.hours import HoursLimit, HoursRule
from schemas.itinerary import MAX_ROUTE_STOPS, MAX_ROUTE_TASKS, Bundled, Placed, StopRef
from schemas.load import NOTHING, Load
from schemas.message import (
    Code,
    Command,
    Count,
    DeviceId,
    DocumentId,
    Event,
    ExternalReference,
    GeofenceId,
    Id,
    Input,
    Metadata,
    Moment,
    Name,
    OfferId,
    Personal,
    PlanId,
    Record,
    ReferenceSource,
    ShiftId,
    Skills,
    StopId,
    TaskId,
    TenderId,
    Text,
    VehicleId,
)
from schemas.rider_vehicle import VehicleKind
from schemas.rule_numbers import Rating
from schemas.vehicle_fitness import VehicleFitness

MAX_DOCUMENTS = 50
MAX_DEVICES = 10
MAX_RIDER_ZONES = 50
MAX_PLANNED_SHIFTS = 60
MAX_VEHICLES = 20
"""At once."""
HAND_OVER_ANSWERED = "hand-over-answered"
"""The rule that says so."""

Employment = Literal["staff", "freelance"]
RiderZones = Annotated[list[Id], msgspec.Meta(max_length=MAX_RIDER_ZONES)]
"""Ids of geofences of kind `zone`. Without any, a rider may be sent anywhere."""
StopKind = Literal["pickup", "dropoff", "hold", "return"]
HandOverReason = Literal["rider_suspended", "rider_silent", "incident"]


# What can be asked


class RegisterRider(Command, frozen=True, kw_only=True):
    name: Name
    phone: Annotated[str, msgspec.Meta(min_length=3, max_length=40)] | None = None
    employment: Employment = "staff"
    vehicle: VehicleKind = "car"
    capacity_g: Count = 100_000
    skills: Skills = []
    zones: RiderZones = []
    external_reference: ExternalReference = None
    source: ReferenceSource = None
    metadata: Metadata = {}


class SetRiderSkills(Command, frozen=True, kw_only=True):
    """All of them anew. What is under way goes on."""

    skills: Skills


class SetRiderZones(Command, frozen=True, kw_only=True):
    """All of them anew: the rider is asked for and given nothing that has a stop outside. What is under way goes on."""

    zones: RiderZones


class SetRiderRating(Command, frozen=True, kw_only=True):
    """What is thought of the rider, by who gathers that; dispatch can go by it. None takes it back."""

    rating: Rating | None


class RegisterSimulatedRider(Command, frozen=True, kw_only=True):
    """Sent when a simulated task of a test tenant needs its courier: registered, approved, and always at work."""

    number: Count


class ApproveRider(Command, frozen=True, kw_only=True):
    pass


class RejectRider(Command, frozen=True, kw_only=True):
    reason_code: Code


class SuspendRider(Command, frozen=True, kw_only=True):
    reason_code: Code
    note: Text | None = None
    incident_id: Id | None = None
    """That asks for it: it is linked to each task that cannot be taken away, and no other is reported."""


class ReinstateRider(Command, frozen=True, kw_only=True):
    """Who was suspended may work again. Whom an open incident keeps off dispatch is asked for tasks again."""


class ConfirmRiderRegistered(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where there is no such rider."""


class SubmitDocument(Command, frozen=True, kw_only=True):
    """`kind` is one of the tenant's registry, for riders."""

    document_id: Id
    kind: Code
    number: Annotated[str, msgspec.Meta(min_length=1, max_length=80)] | None = None


class VerifyDocument(Command, frozen=True, kw_only=True):
    document_id: DocumentId
    valid_from: Moment
    expires_at: Moment


class RejectDocument(Command, frozen=True, kw_only=True):
    document_id: DocumentId
    reason_code: Code


class ReportComplianceBreach(Command, frozen=True, kw_only=True):
    """Found out later: from `since` up to `until` the rider worked without being allowed to. A document that was named
    counts as rejected from now on; what happened meanwhile stays as it was."""

    since: Moment
    until: Moment
    reason_code: Code
    document_id: Id | None = None


class PlanShift(Command, frozen=True, kw_only=True):
    """Ahead of time. A plan under the same `shift_id` stands in the place of the one before."""

    shift_id: Id
    starts_at: Moment
    ends_at: Moment


class StartShift(Command, frozen=True, kw_only=True):
    """`location` is where the rider starts, until the first fix tells better. `shift_id` may name a planned one."""

    ends_at: Moment
    shift_id: Id | None = None
    location: Location | None = None


class StartBreak(Command, frozen=True, kw_only=True):
    """Not with goods aboard, unless the tenant's rules allow."""


class EndBreak(Command, frozen=True, kw_only=True):
    pass


class EndShift(Command, frozen=True, kw_only=True):
    pass


class WarnHoursLimit(Command, frozen=True, kw_only=True):
    """Sent when the deadline is due; firing late or twice changes nothing."""

    shift_id: ShiftId


class WarnDocumentExpiry(Command, frozen=True, kw_only=True):
    """Sent so long before it expires as its kind says; firing late or twice changes nothing."""

    document_id: DocumentId


class RecordRiderSilence(Command, frozen=True, kw_only=True):
    """Sent when nothing was heard of the rider for long: the last was at `last_heard_at`, None where there was nothing.
    The rider judges; sending it late or twice changes nothing."""

    last_heard_at: datetime | None


class RecordRiderHeard(Command, frozen=True, kw_only=True):
    """Sent when something is heard of a rider who was silent."""

    heard_at: datetime


class RecordVehicleFitness(Command, frozen=True, kw_only=True):
    """Sent when a vehicle that the rider has says how fit it is, in its statement of that number, or is theirs no more.
    An older one changes nothing."""

    vehicle_id: VehicleId
    number: Count
    fitness: VehicleFitness | None


class BindDevice(Command, frozen=True, kw_only=True):
    """From `valid_from` on (default: now) the device's fixes are this rider's."""

    device_id: Id
    valid_from: Moment | None = None


class UnbindDevice(Command, frozen=True, kw_only=True):
    device_id: DeviceId
    valid_until: Moment | None = None


class DismissAnomaly(Command, frozen=True, kw_only=True):
    """Somebody has looked at it, and it is nothing that anybody has to see to. It is dismissed whatever is told of it
    later; said again with another reason, or a note, that one stands."""

    anomaly_id: Id
    reason_code: Code
    note: Text | None = None


class NewPlannedStop(Input, frozen=True, kw_only=True):
    """A stop as the road ahead needs it. `subject` is whose data its place is."""

    stop_id: StopId
    kind: StopKind
    subject: str
    location: Location
    window: Window | None = None
    service_seconds: Count = 120
    load: Load = NOTHING
    after: list[StopId] = []


class HandOverAllTasks(Command, frozen=True, kw_only=True):
    """An incident asks for it, in its record of that number: what the rider has is to be handed over, what is only held
    is let go, and they come off dispatch for as long as it is open. Of who is suspended that was asked for before."""

    incident_id: Id
    number: Count


class ReturnToDispatch(Command, frozen=True, kw_only=True):
    """Sent when the incident that asked for it is resolved, or is not about the rider any more, by its record of that
    number. What it asked for later stands."""

    incident_id: Id
    number: Count


class ConfirmHandOverRequested(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where the request was answered before: who comes back to it later has nothing to do."""

    task_id: TaskId
    round: Count


class CloseHandOver(Command, frozen=True, kw_only=True):
    """The task was taken away; or a rule said no, and a person was told."""

    task_id: TaskId
    round: Count
    rule: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class ReservedToo(Input, frozen=True, kw_only=True):
    """A task for which the rider is reserved together with another, all or none."""

    task_id: TaskId
    round: Count
    required_skills: Skills = []
    stops: Annotated[list[NewPlannedStop], msgspec.Meta(min_length=1, max_length=50)]


class ReserveRider(Command, frozen=True, kw_only=True):
    """Once `hold_until` has passed it is a quiet nothing, so a process replayed later adds no fact.

    `round` is the task's: it tells one assignment of a task from the next. A dispatcher's order has no tender, and no
    plan. The tasks of `bundle` are reserved with it, all or none: they are judged together.
    """

    task_id: TaskId
    round: Count
    tender_id: TenderId | None = None
    offer_id: OfferId | None = None
    plan_id: PlanId | None = None
    handed_over: bool = False
    """By another rider: it is active once the goods have changed hands."""
    has_goods: bool = False
    """They have: what could be said against it comes too late."""
    hold_until: Moment
    required_skills: Skills = []
    stops: Annotated[list[NewPlannedStop], msgspec.Meta(min_length=1, max_length=50)]
    bundle: Annotated[list[ReservedToo], msgspec.Meta(max_length=MAX_ROUTE_TASKS - 1)] = []
    """In the order in which their stops are put on the itinerary, after those of `task_id`."""
    placed: Annotated[list[Placed], msgspec.Meta(max_length=MAX_ROUTE_STOPS)] = []
    """Where they are to go on the itinerary, each among those that were put there before; those of which it is not said
    go to its end."""
    ends_at: Moment | None = None
    """When all that is on the itinerary then would be through, as far as whoever sends it can tell."""


class ActivateReservation(Command, frozen=True, kw_only=True):
    """The task is the rider's: its stops go into the itinerary."""

    task_id: TaskId
    round: Count


class ReleaseReservation(Command, frozen=True, kw_only=True):
    """Of this tender or plan, and of no other: the hold may have passed meanwhile, and the task be reserved again."""

    task_id: TaskId
    round: Count
    reason_code: Code
    tender_id: TenderId | None = None
    plan_id: PlanId | None = None


class ExpireReservation(Command, frozen=True, kw_only=True):
    """Sent when the deadline is due; firing late or twice changes nothing."""

    task_id: TaskId
    round: Count


class InsertStops(Command, frozen=True, kw_only=True):
    """More stops of a task that the rider already has, such as the way back."""

    task_id: TaskId
    round: Count
    stops: Annotated[list[NewPlannedStop], msgspec.Meta(min_length=1, max_length=50)]


class RemoveStops(Command, frozen=True, kw_only=True):
    """Done, failed, or taken away. Without `stop_ids` the rider is through with the task."""

    task_id: TaskId
    round: Count
    reason_code: Code
    stop_ids: list[StopId] | None = None


class ChangePlannedWindow(Command, frozen=True, kw_only=True):
    """Sent when a stop that lies ahead of the rider was rescheduled."""

    task_id: TaskId
    round: Count
    stop_id: StopId
    window: Window


class ResequenceItinerary(Command, frozen=True, kw_only=True):
    """The same stops in another order."""

    itinerary_version: Count
    order: Annotated[list[StopRef], msgspec.Meta(max_length=500)]
    reason_code: Code


class FollowRoute(Command, frozen=True, kw_only=True):
    """Sent when a plan's route is the rider's. What of it still lies ahead comes into this order; what came meanwhile
    stays behind what it is behind. Where that would break what an order must keep it stays as it is. Once `until` has
    passed it is a quiet nothing: who follows it later would undo what others have ordered since."""

    plan_id: PlanId
    until: Moment
    order: Annotated[list[StopRef], msgspec.Meta(max_length=500)]


class LockNextStop(Command, frozen=True, kw_only=True):
    """What is first on the itinerary stays first until it is over or gone, or the lock is taken off."""

    itinerary_version: Count
    reason_code: Code


class UnlockNextStop(Command, frozen=True, kw_only=True):
    reason_code: Code


type RiderCommand = (
    RegisterRider
    | SetRiderSkills
    | SetRiderZones
    | SetRiderRating
    | RegisterSimulatedRider
    | ApproveRider
    | RejectRider
    | SuspendRider
    | ReinstateRider
    | ConfirmRiderRegistered
    | SubmitDocument
    | VerifyDocument
    | RejectDocument
    | ReportComplianceBreach
    | PlanShift
    | StartShift
    | StartBreak
    | EndBreak
    | EndShift
    | WarnHoursLimit
    | WarnDocumentExpiry
    | RecordRiderSilence
    | RecordRiderHeard
    | RecordVehicleFitness
    | BindDevice
    | UnbindDevice
    | DismissAnomaly
    | HandOverAllTasks
    | ReturnToDispatch
    | ConfirmHandOverRequested
    | CloseHandOver
    | ReserveRider
    | ActivateReservation
    | ReleaseReservation
    | ExpireReservation
    | InsertStops
    | RemoveStops
    | ChangePlannedWindow
    | ResequenceItinerary
    | FollowRoute
    | LockNextStop
    | UnlockNextStop
)


# What can happen


class PlannedStop(Record, frozen=True, kw_only=True):
    task_id: TaskId
    stop_id: StopId
    kind: StopKind
    location: Personal[Location]
    window: Window | None
    service_seconds: int
    load: Load
    after: list[StopId] = []
    """Stops of the same task that come before it."""


class RiderRegistered(Event, frozen=True, kw_only=True):
    name: Personal[str]
    phone: Personal[str] | None
    employment: Employment
    vehicle: VehicleKind
    capacity_g: int
    skills: list[str]
    zones: list[GeofenceId] = []
    external_reference: str | None
    source: str
    metadata: dict[str, str]
    simulated: bool = False


class RiderSkillsSet(Event, frozen=True, kw_only=True):
    skills: list[str]


class RiderZonesSet(Event, frozen=True, kw_only=True):
    zones: list[GeofenceId]


class RiderRated(Event, frozen=True, kw_only=True):
    rating: float | None


class RiderApproved(Event, frozen=True, kw_only=True):
    pass


class RiderRejected(Event, frozen=True, kw_only=True):
    reason_code: str


class RiderSuspended(Event, frozen=True, kw_only=True):
    reason_code: str
    note: str | None


class RiderReinstated(Event, frozen=True, kw_only=True):
    """Whatever kept them from work or off dispatch."""


class RiderTakenOffDispatch(Event, frozen=True, kw_only=True):
    """The incident asks for it, in its record of that number: while it is open the rider is asked for nothing new."""

    incident_id: str
    number: int


class RiderReturnedToDispatch(Event, frozen=True, kw_only=True):
    """As far as that incident goes."""

    incident_id: str


class DocumentSubmitted(Event, frozen=True, kw_only=True):
    document_id: DocumentId
    kind: str
    number: Personal[str] | None


class DocumentVerified(Event, frozen=True, kw_only=True):
    """Somebody is to be warned at `warn_at`."""

    document_id: DocumentId
    kind: str
    valid_from: datetime
    expires_at: datetime
    warn_at: datetime


class DocumentExpiryWarned(Event, frozen=True, kw_only=True):
    """`covered_until`: so long there is a valid one of its kind, be it another."""

    document_id: DocumentId
    kind: str
    expires_at: datetime
    covered_until: datetime


class DocumentRejected(Event, frozen=True, kw_only=True):
    document_id: DocumentId
    reason_code: str


class ComplianceBreachFound(Event, frozen=True, kw_only=True):
    """`task_ids` are those the rider had meanwhile, as far back as is known."""

    since: datetime
    until: datetime
    reason_code: str
    document_id: DocumentId | None
    task_ids: list[TaskId]


class ShiftPlanned(Event, frozen=True, kw_only=True):
    shift_id: ShiftId
    starts_at: datetime
    ends_at: datetime


class ShiftStarted(Event, frozen=True, kw_only=True):
    """`hours_limit` is where duty without a break would come to its end, where the tenant's rules limit it."""

    shift_id: ShiftId
    started_at: datetime
    ends_at: datetime
    location: Personal[Location] | None
    hours_limit: HoursLimit | None


class BreakStarted(Event, frozen=True, kw_only=True):
    shift_id: ShiftId
    started_at: datetime


class BreakEnded(Event, frozen=True, kw_only=True):
    """`hours_limit` as of the duty that begins now."""

    shift_id: ShiftId
    ended_at: datetime
    hours_limit: HoursLimit | None


class HoursLimitWarned(Event, frozen=True, kw_only=True):
    shift_id: ShiftId
    rule: HoursRule
    reached_at: datetime


class ShiftEnding(Event, frozen=True, kw_only=True):
    """No new reservations; what is under way is finished."""

    shift_id: ShiftId


class ShiftEnded(Event, frozen=True, kw_only=True):
    shift_id: ShiftId
    ended_at: datetime


class RiderFellSilent(Event, frozen=True, kw_only=True):
    """Nothing was heard of the rider since then. The tasks are to be handed over; what they come to have later follows
    in its time."""

    since: datetime
    task_ids: list[TaskId]


class RiderHeardAgain(Event, frozen=True, kw_only=True):
    heard_at: datetime


class VehicleFitnessChanged(Event, frozen=True, kw_only=True):
    """Of a vehicle that the rider has; None: has no more."""

    vehicle_id: VehicleId
    number: int
    fitness: VehicleFitness | None


class TaskHandOverRequested(Event, frozen=True, kw_only=True):
    """The rider has the task and was suspended, is silent, or an incident asks for it: the reason says which. Where the
    goods cannot be taken away, an incident of this kind is reported, or the one that asks is linked to the task."""

    task_id: TaskId
    round: int
    reason_code: HandOverReason
    incident_kind: str
    incident_id: str | None = None


class TaskHandOverClosed(Event, frozen=True, kw_only=True):
    """`rule` is what said no; None where the task was taken away, or was over."""

    task_id: TaskId
    round: int
    rule: str | None


class DeviceBound(Event, frozen=True, kw_only=True):
    device_id: DeviceId
    valid_from: datetime


class DeviceUnbound(Event, frozen=True, kw_only=True):
    device_id: DeviceId
    valid_until: datetime


class AnomalyDismissed(Event, frozen=True, kw_only=True):
    """`anomaly_id` is the id of the signal that told of it."""

    anomaly_id: str
    reason_code: str
    note: Personal[str] | None


class RiderReserved(Event, frozen=True, kw_only=True):
    """One for each task. The first of several names the others in `bundle`, and they name it as their `lead`; each of
    their stops is `placed` behind the one that comes before it once all are there."""

    task_id: TaskId
    round: int
    tender_id: TenderId | None
    offer_id: OfferId | None
    handed_over: bool
    hold_until: datetime
    stops: list[PlannedStop]
    placed: list[Placed] = []
    plan_id: PlanId | None = None
    bundle: list[Bundled] = []
    lead: TaskId | None = None


class ReservationActivated(Event, frozen=True, kw_only=True):
    task_id: TaskId
    round: int
    activated_at: datetime


class ReservationReleased(Event, frozen=True, kw_only=True):
    task_id: TaskId
    round: int
    reason_code: str
    released_at: datetime


class ItineraryStopsInserted(Event, frozen=True, kw_only=True):
    itinerary_version: int
    stops: list[PlannedStop]


class ItineraryStopsRemoved(Event, frozen=True, kw_only=True):
    itinerary_version: int
    task_id: TaskId
    stop_ids: list[StopId]
    reason_code: str


class PlannedWindowChanged(Event, frozen=True, kw_only=True):
    itinerary_version: int
    task_id: TaskId
    stop_id: StopId
    window: Window


class ItineraryResequenced(Event, frozen=True, kw_only=True):
    itinerary_version: int
    order: list[StopRef]
    reason_code: str


class NextStopLocked(Event, frozen=True, kw_only=True):
    task_id: TaskId
    stop_id: StopId
    reason_code: str


class NextStopUnlocked(Event, frozen=True, kw_only=True):
    """Before it was over."""

    task_id: TaskId
    stop_id: StopId
    reason_code: str


type RiderEvent = (
    RiderRegistered
    | RiderSkillsSet
    | RiderZonesSet
    | RiderRated
    | RiderApproved
    | RiderRejected
    | RiderSuspended
    | RiderReinstated
    | RiderTakenOffDispatch
    | RiderReturnedToDispatch
    | DocumentSubmitted
    | DocumentVerified
    | DocumentExpiryWarned
    | DocumentRejected
    | ComplianceBreachFound
    | ShiftPlanned
    | ShiftStarted
    | BreakStarted
    | BreakEnded
    | HoursLimitWarned
    | ShiftEnding
    | ShiftEnded
    | RiderFellSilent
    | RiderHeardAgain
    | VehicleFitnessChanged
    | TaskHandOverRequested
    | TaskHandOverClosed
    | DeviceBound
    | DeviceUnbound
    | AnomalyDismissed
    | RiderReserved
    | ReservationActivated
    | ReservationReleased
    | ItineraryStopsInserted
    | ItineraryStopsRemoved
    | PlannedWindowChanged
    | ItineraryResequenced
    | NextStopLocked
    | NextStopUnlocked
)
