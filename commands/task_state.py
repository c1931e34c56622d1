"""What a task is, folded from its events; its state is derived from its assignment, stops and parcels."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from commands.clones import Clones
from commands.sla_clock import SlaState
from commands.waiting_state import Waiting
from schemas.field_report import ReportCollected, ReportCustomerArrived, ReportCustomerOnTheWay
from schemas.goods import AfterInspection, Condition, InspectReturn, Party, ReceiveTransfer
from schemas.message import (
    CarrierBookingId,
    CarrierId,
    Command,
    NotInThisState,
    OutletSlug,
    ParcelId,
    ProofId,
    Refused,
    RiderId,
    StopId,
    TenderId,
)
from schemas.proof import PinlessKind, ProofKind
from schemas.simulation import SimulatedOutcome, Simulation
from schemas.stop import Parcel, Stop
from schemas.task import AuthoriseReturn, Outcome
from schemas.task_kind import Priority, TaskKind

type StopStatus = Literal["pending", "en_route", "arrived", "completed", "failed", "skipped"]
type ParcelStatus = Literal["expected", "in_custody", "delivered", "refused", "returned", "lost", "disposed"]
type ProofStatus = Literal["accepted", "failed", "rejected"]
type Ended = Literal["completed", "failed", "cancelled", "returned"]
type TaskState = Literal[
    "created",
    "dispatchable",
    "offering",
    "assigned",
    "accepted",
    "in_progress",
    "returning",
    "completed",
    "failed",
    "cancelled",
    "returned",
]

MAX_OPEN_CONFLICTS = 50
MAX_BOOKINGS = 16
"""Of carriers for one task, one after the other."""
OVER: frozenset[StopStatus] = frozenset({"completed", "failed", "skipped"})


class ProofState(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    proof_id: ProofId
    kind: ProofKind
    status: ProofStatus
    parcel_id: ParcelId | None = None
    mark: str | None = None
    """What the same proof, told again, has again: the artefact's hash, the code that was read, the tag's hash."""


class StopState(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    stop: Stop
    status: StopStatus = "pending"
    attempts: int = 0
    pin_failures: int = 0
    proofs: tuple[ProofState, ...] = ()
    contacts: int = 0
    """Attempts at contact since the last attempt at delivery."""
    at_door: bool = False
    """The goods may be left there: a photo is then the proof."""
    goods_ready: bool = False
    """Not expected only, but so."""
    handed_over: bool = False
    """The parcels have changed hands; what may be missing is the proof."""
    sought: int = 0
    """How often it was asked where its address is."""
    sought_answered: bool = True
    seek_again: bool = False
    """Nobody has answered."""


class ParcelState(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    parcel: Parcel
    party: Party
    status: ParcelStatus = "expected"
    short: bool = False
    damaged: bool = False
    bound_for: StopId | None = None
    """The hold that it is brought to, or waits at; the return where it comes back to."""
    first_pickup: StopId | None = None
    """Where it came from, once another attempt fetches it from elsewhere."""


class LineState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was found of an item, or of a parcel without items; without a disposition it was received."""

    quantity: int
    condition: Condition
    disposition: AfterInspection | None = None


class HandOverState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Offered, and not answered yet."""

    to_rider: RiderId
    round: int
    expires_at: datetime


class CarrierAssignment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    carrier_id: CarrierId
    booking_id: CarrierBookingId


class BookingState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A booking that the task was with, or that reported of it, and up to which of its facts it was told."""

    booking_id: CarrierBookingId
    heard_version: int = 0
    picked_up_at: datetime | None = None
    moved_at: datetime | None = None
    """When the latest of what was told of its courier's way was observed."""
    delivered_at: datetime | None = None


class Simulated(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`number` counts the courier's steps; the next one is at `step_at`, if they have anything to do by themselves."""

    simulation: Simulation
    number: int = 0
    step_at: datetime | None = None
    lost_at: datetime | None = None
    """When a step would have been that fell away with a reservation: the next courier goes on from there."""


class Uncreated(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


class CreatedTask(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True, gc=False):
    kind: TaskKind
    outlet: OutletSlug
    priority: Priority = "normal"
    required_skills: list[str] = []
    stops: Mapping[StopId, StopState]
    parcels: Mapping[ParcelId, ParcelState]
    latest_stop: StopId | None = None
    """Where somebody went, or was, as far as is known."""
    max_attempts: int
    arrival_radius_m: int
    pin_attempts: int
    dispatch_lead_s: int
    return_proof: list[list[PinlessKind]] = []
    authorised: bool = True
    """Only a return may still wait for it."""
    sla: SlaState | None = None
    """None where nothing was promised."""
    hold_reason: str | None = None
    """Why goods wait, or are brought to where they will, until another attempt comes to dispatch."""
    held: str | None = None
    """Why it is kept from dispatch, if it is."""
    dispatch_at: datetime | None = None
    """When it comes to dispatch, while it waits for that."""
    waits: bool = True
    """Until it comes to dispatch: at first, and again once another attempt is planned."""
    round: int = 0
    tender_id: TenderId | None = None
    closed_round: int = 0
    """The last round whose tender ended without a winner."""
    closed_tender: TenderId | None = None
    """That tender."""
    retry_at: datetime | None = None
    rider_id: RiderId | None = None
    accepted: bool = False
    carrier: CarrierAssignment | None = None
    """Never beside a rider."""
    bookings: tuple[BookingState, ...] = ()
    assigned_at: datetime | None = None
    """When the rider or the carrier that has it got it."""
    hand_over: HandOverState | None = None
    lapsed: HandOverState | None = None
    """That was not accepted in time, as far as was told in time."""
    former_riders: tuple[RiderId, ...] = ()
    return_reason: str | None = None
    cancelling: bool = False
    """The way back is because it was cancelled: nothing of it is attempted again."""
    ended: Ended | None = None
    outcome: Outcome | None = None
    proof_disputed: bool = False
    """A flag beside the state: a proof was rejected after its stop had completed."""
    conflicts: tuple[str, ...] = ()
    """Field reports that did not fit and that nobody has reviewed, the latest of them."""
    lines: Mapping[str, tuple[LineState, ...]] = {}
    """What was received of a transfer or inspected of a return, by `line_of`."""
    waiting: Waiting = Waiting()
    clones: Clones = ()
    """What was made from it, by number."""
    external_reference: str | None = None
    """No clone of it has the same."""
    simulated: Simulated | None = None
    """Of a test tenant: no rider is asked."""
    seek_at: datetime | None = None
    """When it is asked again where stops are that nobody answered for."""

    @property
    def script(self) -> SimulatedOutcome | None:
        """What its simulated courier goes by, if it has one: an attempt that somebody has planned anew succeeds."""
        if self.simulated is None:
            return None
        again = any(stop_id.startswith(AGAIN) for stop_id in self.stops)
        return "delivered" if again else self.simulated.simulation.outcome


type Task = Uncreated | CreatedTask


class StopNotKnown(Refused):
    rule = "unknown-stop"
    stands_in = ("stop_id",)

    def __init__(self, stop_id: str) -> None:
        super().__init__(f"the task has no stop {stop_id}")
        self.stop_id = stop_id


class NotTheAssignee(Refused):
    rule = "not-the-assignee"

    def __init__(self, actor: str) -> None:
        super().__init__(f"{actor} does not have this task")
        self.actor = actor


class GoodsInCustody(Refused):
    rule = "goods-in-custody"

    def __init__(self, parcels: int) -> None:
        super().__init__(f"{parcels} of its parcels are in a rider's or a carrier's custody")
        self.parcels = parcels


class NotForThisKind(Refused):
    rule = "not-for-this-kind"

    def __init__(self, needed: TaskKind, actual: TaskKind, field: str | None = None) -> None:
        """`field` of the command, where it is not all of it."""
        super().__init__(f"{f'{field} ' if field else ''}is for a {needed}, this is a {actual}")
        self.needed = needed
        self.actual = actual
        if field is not None:
            self.field = field


def known_stop(task: "CreatedTask", stop_id: StopId) -> "StopState":
    stop = task.stops.get(stop_id)
    if stop is None:
        raise StopNotKnown(stop_id)
    return stop


def created(task: "Task") -> "CreatedTask":
    if isinstance(task, Uncreated):
        raise NotInThisState(needed="created", actual="new")
    return task


ONLY_FOR: Mapping[type[Command], TaskKind] = {
    AuthoriseReturn: "return",
    InspectReturn: "return",
    ReceiveTransfer: "transfer",
    ReportCustomerOnTheWay: "collection",
    ReportCustomerArrived: "collection",
    ReportCollected: "collection",
}


def only_for(task: "CreatedTask", command: Command) -> None:
    kind = ONLY_FOR[type(command)]
    if task.kind != kind:
        raise NotForThisKind(kind, task.kind)


def is_taken(task: "CreatedTask") -> bool:
    """Somebody has it, be it a rider or a carrier."""
    return task.rider_id is not None or task.carrier is not None


def bearer(task: "CreatedTask", actor: str) -> Party:
    """Who has the goods after a pickup that is reported now, be it by somebody who dispatches."""
    if task.carrier is not None:
        return Party(kind="carrier", id=task.carrier.carrier_id)
    return Party(kind="rider", id=task.rider_id or actor)


def booking_of(task: "CreatedTask", booking_id: CarrierBookingId) -> BookingState | None:
    return next((each for each in task.bookings if each.booking_id == booking_id), None)


HOLD, AGAIN, RETURN = "hold-", "again-", "return-"
"""So begin the ids of the stops that are added on the way: a hold, a pickup where goods waited, a return."""


def next_stop_id(task: "CreatedTask", prefix: str, others: int = 0) -> StopId:
    """An itinerary takes no stop twice. `others` of that kind are to be added before."""
    return StopId(f"{prefix}{1 + others + sum(stop_id.startswith(prefix) for stop_id in task.stops)}")


def line_of(parcel_id: str, sku: str | None) -> str:
    return f"{parcel_id}/{sku or ''}"


def is_over(task: Task) -> bool:
    return isinstance(task, CreatedTask) and task.ended is not None


def state_of(task: CreatedTask) -> TaskState:
    if task.ended is not None:
        return task.ended
    if task.return_reason is not None:
        return "returning"
    if task.kind == "collection":
        return "created" if all(stop.status == "pending" for stop in task.stops.values()) else "in_progress"
    if is_taken(task):
        if any(stop.status != "pending" for stop in task.stops.values()):
            return "in_progress"
        return "accepted" if task.accepted else "assigned"
    if task.tender_id is not None:
        return "offering"
    return "created" if task.waits else "dispatchable"


def leg_of(task: CreatedTask) -> str | None:
    """Where an underway task is: the stop that was told of last, such as `en_route_dropoff`. One before it may not be
    over yet: its proof is missing, or a carrier has not told of it."""
    if (not is_taken(task) and task.kind != "collection") or task.ended is not None:
        return None
    latest = [stop for stop_id, stop in task.stops.items() if stop_id == task.latest_stop]
    for stop in (*latest, *task.stops.values()):
        if stop.status in ("en_route", "arrived"):
            return f"{stop.status}_{stop.stop.kind}"
    picked_up = any(stop.status == "completed" and stop.stop.kind == "pickup" for stop in task.stops.values())
    return "picked_up" if picked_up else None


def located(task: CreatedTask) -> bool:
    return all(stop.stop.location is not None for stop in task.stops.values())


def open_stops(task: CreatedTask) -> list[StopState]:
    return [stop for stop in task.stops.values() if stop.status not in OVER]


def parcels_of(task: CreatedTask, stop: StopState) -> Iterator[ParcelState]:
    """The parcels that this stop is about: neither short at the pickup nor settled otherwise since."""
    stop_id = stop.stop.stop_id
    for parcel in task.parcels.values():
        if parcel.short or parcel.status in ("lost", "returned", "disposed"):
            continue
        if parcel.bound_for is not None and stop.stop.kind == "dropoff":
            continue
        if stop.stop.kind == "dropoff" and left_behind(task, parcel):
            continue
        if stop.stop.kind == "hold":
            if parcel.bound_for == stop_id:
                yield parcel
        elif stop.stop.kind == "return":
            if parcel.bound_for == stop_id and parcel.party.kind in ("rider", "carrier"):
                yield parcel
        elif stop_id in (parcel.parcel.pickup_stop, parcel.parcel.dropoff_stop):
            yield parcel


def left_behind(task: CreatedTask, parcel: ParcelState) -> bool:
    """It was never picked up, and will not be: its pickup is over."""
    return parcel.status == "expected" and task.stops[parcel.parcel.pickup_stop].status in OVER


def taker_at(stop: Stop) -> Party:
    """Who has the goods after the stop: at a collection the recipient, who came for them."""
    return Party(kind="recipient") if stop.kind == "collection" else stop.party


def unsettled(task: CreatedTask) -> list[ParcelState]:
    """Those that somebody still has to move, or has to say what became of them."""
    return [parcel for parcel in task.parcels.values() if parcel.status in ("expected", "in_custody", "refused")]


def waiting_elsewhere(task: CreatedTask) -> list[ParcelState]:
    """Those at a hold."""
    return [p for p in unsettled(task) if p.bound_for is not None and p.party.kind in ("hub", "outlet")]


def ids_of(parcels: Iterable[ParcelState]) -> list[ParcelId]:
    return [parcel.parcel.parcel_id for parcel in parcels]


def carried(task: CreatedTask) -> list[ParcelState]:
    return [parcel for parcel in task.parcels.values() if parcel.party.kind in ("rider", "carrier")]


def outcome_of(task: CreatedTask) -> Outcome:
    """Judged by where the parcels are; a task without parcels by where they would have gone."""
    if not task.parcels:
        drops = [stop.status for stop in task.stops.values() if stop.stop.kind in ("dropoff", "collection")]
        done = sum(status == "completed" for status in drops)
        return "delivered" if done == len(drops) else "partially_delivered" if done else "not_delivered"
    delivered = sum(parcel.status == "delivered" for parcel in task.parcels.values())
    returned = sum(parcel.status == "returned" for parcel in task.parcels.values())
    disposed = sum(parcel.status == "disposed" for parcel in task.parcels.values())
    if delivered == len(task.parcels):
        return "delivered"
    if delivered:
        return "partially_delivered"
    return "returned" if returned else "disposed" if disposed else "not_delivered"
