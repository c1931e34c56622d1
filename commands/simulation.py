"""The simulated courier: which report comes next, when, and what is decided on it as on anybody's."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import assert_never

from msgspec.structs import replace

from commands.attempts import reason_of
from commands.context import Context
from commands.field_reports import comes_before
from commands.proof_needed import moved
from commands.task_creation import pin_of
from commands.task_evolve import evolved
from commands.task_state import CreatedTask, StopState, Task, carried, created, ids_of, is_taken, open_stops, parcels_of
from schemas.field_report import (
    CaptureProof,
    ContactAttempt,
    ReportArrived,
    ReportAttemptFailed,
    ReportContactAttempt,
    ReportDelivered,
    ReportEnRoute,
    ReportHeld,
    ReportPickedUp,
    ReportReturned,
    TaskReport,
)
from schemas.geo import Location, ObservedFix
from schemas.goods import ReportParcelsDamaged, ReportParcelsLost
from schemas.ids import courier_number, simulated_courier
from schemas.message import ParcelId, Refused, StopId
from schemas.proof import AnyProof, IdCheckEntry, NfcEntry, PhotoEntry, PinEntry, ProofKind, ScanEntry, SignatureEntry
from schemas.simulation import PICTURE_SHA256
from schemas.task import (
    AssignmentAccepted,
    AssignSimulatedCourier,
    SimulatedStepScheduled,
    SimulateStep,
    TaskAssigned,
    TaskEvent,
)

type CourierReport = TaskReport | ReportParcelsLost | ReportParcelsDamaged
type Decided = Callable[[Task, CourierReport, Context], list[TaskEvent]]


def assign_courier(task: CreatedTask, command: AssignSimulatedCourier, context: Context) -> list[TaskEvent]:
    """They say yes at once."""
    if task.simulated is None or command.round != task.round:
        return []
    if is_taken(task) or task.ended or task.waits:
        return []
    courier = simulated_courier(context.tenant, courier_number(context.aggregate_id))
    assigned = TaskAssigned(rider_id=courier, round=task.round, tender_id=None, offer_id=None, assigned_at=context.now)
    return [assigned, AssignmentAccepted(rider_id=courier)]


def simulate_step(task: CreatedTask, command: SimulateStep, context: Context, decided: Decided) -> list[TaskEvent]:
    """What they do next, as of when it was due. Where a rule says no to it, or nothing comes of it, they rest until
    something else has happened."""
    state = task.simulated
    if state is None or task.rider_id is None or task.ended or state.number != command.number:
        return []
    if state.step_at is None or context.now < state.step_at:
        return []
    report = next_report(task, state.step_at, context)
    try:
        events = [] if report is None else decided(task, report, replace(context, actor=task.rider_id, role="rider"))
    except Refused:
        events = []
    if not events:
        return [SimulatedStepScheduled(number=state.number, step_at=None)]
    return [*events, *scheduled(evolved(task, events), state.step_at, context, rests=True)]


def with_next_step(task: Task, events: list[TaskEvent], context: Context) -> list[TaskEvent]:
    """Whatever has happened may have given a courier who rests something to do."""
    if not events or not isinstance(task, CreatedTask) or task.simulated is None:
        return events
    after = created(evolved(task, events))
    assert after.simulated is not None, "what is simulated stays so"
    if after.simulated.step_at is not None:
        return events
    return [*events, *scheduled(after, after.simulated.lost_at or context.now, context, rests=False)]


def scheduled(task: Task, since: datetime, context: Context, *, rests: bool) -> Iterator[TaskEvent]:
    """The step that follows one at `since`; with `rests` also that there is none."""
    if not isinstance(task, CreatedTask) or task.simulated is None or task.rider_id is None or task.ended:
        return
    report = next_report(task, since, context)
    if report is not None:
        at = due(task, report, since)
        yield SimulatedStepScheduled(number=task.simulated.number + 1, step_at=at)
    elif rests:
        yield SimulatedStepScheduled(number=task.simulated.number, step_at=None)


def due(task: CreatedTask, report: CourierReport, since: datetime) -> datetime:
    assert task.simulated is not None, "a simulated task"
    simulation = task.simulated.simulation
    at = since + timedelta(seconds=simulation.step_seconds)
    if task.script != "late" or not isinstance(report, ReportArrived):
        return at
    stop = task.stops[report.stop_id]
    if stop.stop.kind != "dropoff":
        return at
    expected = at if stop.stop.window is None else max(at, stop.stop.window.end)
    return expected + timedelta(seconds=simulation.late_seconds)


def next_report(task: CreatedTask, at: datetime, context: Context) -> CourierReport | None:
    """As it happens at `at`; None where they are through, or only somebody else can go on."""
    stop = next((stop for stop in open_stops(task) if not comes_before(task, stop)), None)
    if stop is None:
        return None
    if stop.handed_over:
        return proving(task, stop, at, context)
    if stop.stop.kind == "dropoff" and (told := of_goods(task, at)) is not None:
        return told
    match stop.status:
        case "pending":
            return ReportEnRoute(stop_id=stop.stop.stop_id, observed_at=at)
        case "en_route":
            return ReportArrived(stop_id=stop.stop.stop_id, observed_at=at, fix=fix_at(task, stop, at, context))
        case _:
            return at_stop(task, stop, at, context)


def of_goods(task: CreatedTask, at: datetime) -> ReportParcelsLost | ReportParcelsDamaged | None:
    """On the way with them."""
    goods = carried(task)
    if task.script == "lost" and goods:
        return ReportParcelsLost(parcel_ids=ids_of(goods), reason_code="simulated", observed_at=at)
    sound = [parcel for parcel in goods if not parcel.damaged]
    if task.script == "damaged" and sound:
        return ReportParcelsDamaged(parcel_ids=ids_of(sound), reason_code="simulated", observed_at=at)
    return None


def fix_at(task: CreatedTask, stop: StopState, at: datetime, context: Context) -> ObservedFix:
    place = context.opened(stop.stop.location, Location) or context.policy.outlet(task.outlet).location
    return ObservedFix(lat=place.lat, lon=place.lon, accuracy_m=5.0, observed_at=at)


def at_stop(task: CreatedTask, stop: StopState, at: datetime, context: Context) -> CourierReport:
    stop_id = stop.stop.stop_id
    goods = ids_of(parcels_of(task, stop))
    proofs = proofs_of(task, stop, goods, context)
    match stop.stop.kind:
        case "pickup":
            return ReportPickedUp(stop_id=stop_id, observed_at=at, proofs=proofs)
        case "hold":
            return ReportHeld(stop_id=stop_id, observed_at=at, proofs=proofs)
        case "return":
            return ReportReturned(stop_id=stop_id, observed_at=at, proofs=proofs)
        case "dropoff" | "collection":
            return at_door(task, stop, at, goods, context) or ReportDelivered(
                stop_id=stop_id, observed_at=at, proofs=proofs
            )
        case _:
            assert_never(stop.stop.kind)


def at_door(
    task: CreatedTask, stop: StopState, at: datetime, goods: list[ParcelId], context: Context
) -> CourierReport | None:
    """What comes instead of a delivery, if anything does."""
    stop_id = stop.stop.stop_id
    match task.script:
        case "customer_unavailable" if not stop.at_door:
            if stop.contacts < max(1, reason_of("customer_unavailable", context).contact_attempts):
                call = ContactAttempt(channel="call", attempted_at=at)
                return ReportContactAttempt(stop_id=stop_id, observed_at=at, contact=call)
            return given_up(stop_id, at, "customer_unavailable", context)
        case "wrong_pin" if stop.stop.pin_hash is not None and not stop.at_door:
            if stop.pin_failures < task.pin_attempts:
                wrong = PinEntry(pin=another_pin(pin_of(context, stop_id)))
                return CaptureProof(stop_id=stop_id, observed_at=at, proofs=[wrong])
            return given_up(stop_id, at, "wrong_pin", context)
        case "refused":
            return ReportDelivered(stop_id=stop_id, observed_at=at, refused=goods, refusal_reason="refused")
        case _:
            return None


def given_up(stop_id: StopId, at: datetime, code: str, context: Context) -> ReportAttemptFailed:
    """After as long a wait as the tenant's reason asks for."""
    waited_s = reason_of(code, context).waiting_seconds or None
    return ReportAttemptFailed(stop_id=stop_id, observed_at=at, reason_code=code, waited_seconds=waited_s)


def another_pin(pin: str) -> str:
    return f"{(int(pin) + 1) % 10_000:04}"


def proving(task: CreatedTask, stop: StopState, at: datetime, context: Context) -> CaptureProof | None:
    """What is missing after the goods have changed hands."""
    proofs = proofs_of(task, stop, moved(task, stop, ()), context)
    return CaptureProof(stop_id=stop.stop.stop_id, observed_at=at, proofs=proofs) if proofs else None


def proofs_of(task: CreatedTask, stop: StopState, goods: list[ParcelId], context: Context) -> list[AnyProof]:
    """Of each group that the stop and its goods need, the kind that is named first."""
    groups: list[Sequence[ProofKind]] = list(stop.stop.required_proof)
    if stop.stop.kind == "dropoff":
        groups += [group for parcel_id in goods for group in task.parcels[parcel_id].parcel.required_proof]
    kinds = ["photo"] if stop.at_door else dict.fromkeys(group[0] for group in groups)
    return [proof for kind in kinds for proof in given(kind, task, stop, goods, context)]


def given(kind: str, task: CreatedTask, stop: StopState, goods: list[ParcelId], context: Context) -> Iterator[AnyProof]:
    match kind:
        case "pin":
            yield PinEntry(pin=pin_of(context, stop.stop.stop_id))
        case "photo":
            yield PhotoEntry(sha256=PICTURE_SHA256)
        case "signature":
            yield SignatureEntry(sha256=PICTURE_SHA256, signer="Simulated")
        case "id_check":
            yield IdCheckEntry(result="pass", age_band="25_or_over")
        case "nfc":
            yield NfcEntry(tag_id="simulated")
        case _:
            for parcel_id in goods:
                yield ScanEntry(parcel_id=parcel_id, code=task.parcels[parcel_id].parcel.barcode or "simulated")
