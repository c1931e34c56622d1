"""Rider: registered, approved and on shift; reserved for tasks, whose stops become the itinerary."""

from collections.abc import Collection
from typing import assert_never

from msgspec.structs import replace

from commands.context import Context
from commands.documents import with_rejected, with_verified, with_warned
from commands.refusals import NotAnInterval, NotATestTenant, TooMany
from commands.rider_anomalies import dismiss_anomaly, with_dismissed
from commands.rider_documents import (
    reject_document,
    report_breach,
    submit_document,
    verify_document,
    warn_expiry,
    with_breach,
    with_submitted,
)
from commands.rider_hand_over import (
    close_hand_over,
    confirm_requested,
    hand_over_all,
    return_to_dispatch,
    suspend_rider,
    with_closed,
    with_incident,
    with_requested,
    without_incident,
)
from commands.rider_itinerary import (
    change_planned_window,
    follow_route,
    in_order,
    insert_stops,
    lock_next_stop,
    remove_stops,
    resequence_itinerary,
    unlock_next_stop,
    with_stops,
    with_window,
    without_stops,
)
from commands.rider_refusals import SimulatedRider
from commands.rider_reservations import (
    activate_reservation,
    expire_reservation,
    release_reservation,
    reserve_rider,
    with_activated,
    with_released,
    with_reserved,
)
from commands.rider_shift import (
    back_from_break,
    end_break,
    end_shift,
    off_shift,
    on_break,
    plan_shift,
    start_break,
    start_shift,
    warn_hours_limit,
    with_planned,
    with_shift,
    with_started,
)
from commands.rider_silence import back_in_touch, record_heard, record_silence
from commands.rider_state import RegisteredRider, Rider, Silence, Unregistered, registered
from commands.rider_vehicles import record_vehicle_fitness, with_vehicle
from schemas.ids import rider_subject
from schemas.itinerary import StopRef
from schemas.message import DeviceId, GeofenceId, NotInThisState, Personal, RiderId
from schemas.rider import (
    MAX_DEVICES,
    ActivateReservation,
    AnomalyDismissed,
    ApproveRider,
    BindDevice,
    BreakEnded,
    BreakStarted,
    ChangePlannedWindow,
    CloseHandOver,
    ComplianceBreachFound,
    ConfirmHandOverRequested,
    ConfirmRiderRegistered,
    DeviceBound,
    DeviceUnbound,
    DismissAnomaly,
    DocumentExpiryWarned,
    DocumentRejected,
    DocumentSubmitted,
    DocumentVerified,
    EndBreak,
    EndShift,
    ExpireReservation,
    FollowRoute,
    HandOverAllTasks,
    HoursLimitWarned,
    InsertStops,
    ItineraryResequenced,
    ItineraryStopsInserted,
    ItineraryStopsRemoved,
    LockNextStop,
    NextStopLocked,
    NextStopUnlocked,
    PlannedWindowChanged,
    PlanShift,
    RecordRiderHeard,
    RecordRiderSilence,
    RecordVehicleFitness,
    RegisterRider,
    RegisterSimulatedRider,
    ReinstateRider,
    RejectDocument,
    RejectRider,
    ReleaseReservation,
    RemoveStops,
    ReportComplianceBreach,
    ResequenceItinerary,
    ReservationActivated,
    ReservationReleased,
    ReserveRider,
    ReturnToDispatch,
    RiderApproved,
    RiderCommand,
    RiderEvent,
    RiderFellSilent,
    RiderHeardAgain,
    RiderRated,
    RiderRegistered,
    RiderReinstated,
    RiderRejected,
    RiderReserved,
    RiderReturnedToDispatch,
    RiderSkillsSet,
    RiderSuspended,
    RiderTakenOffDispatch,
    RiderZonesSet,
    SetRiderRating,
    SetRiderSkills,
    SetRiderZones,
    ShiftEnded,
    ShiftEnding,
    ShiftPlanned,
    ShiftStarted,
    StartBreak,
    StartShift,
    SubmitDocument,
    SuspendRider,
    TaskHandOverClosed,
    TaskHandOverRequested,
    UnbindDevice,
    UnlockNextStop,
    VehicleFitnessChanged,
    VerifyDocument,
    WarnDocumentExpiry,
    WarnHoursLimit,
)


def decide(rider: Rider, command: RiderCommand, context: Context) -> list[RiderEvent]:
    must_be_spoken_to(rider, command, context)
    match command:
        case RegisterRider():
            return register_rider(rider, command, context)
        case SetRiderSkills():
            return set_skills(registered(rider), command)
        case SetRiderRating():
            return set_rating(registered(rider), command)
        case SetRiderZones():
            return set_zones(registered(rider), command, context)
        case RegisterSimulatedRider():
            return register_simulated(rider, command, context)
        case ApproveRider():
            return approve_rider(registered(rider))
        case RejectRider():
            return reject_rider(registered(rider), command)
        case SuspendRider():
            return suspend_rider(registered(rider), command, context)
        case ReinstateRider():
            return reinstate_rider(registered(rider))
        case ConfirmRiderRegistered():
            registered(rider)
            return []
        case SubmitDocument():
            return submit_document(registered(rider), command, context)
        case VerifyDocument():
            return verify_document(registered(rider), command, context)
        case WarnDocumentExpiry():
            return warn_expiry(registered(rider), command, context)
        case RejectDocument():
            return reject_document(registered(rider), command, context)
        case ReportComplianceBreach():
            return report_breach(registered(rider), command, context)
        case PlanShift():
            return plan_shift(registered(rider), command, context)
        case StartShift():
            return start_shift(registered(rider), command, context)
        case StartBreak():
            return start_break(registered(rider), context)
        case EndBreak():
            return end_break(registered(rider), context)
        case WarnHoursLimit():
            return warn_hours_limit(registered(rider), command, context)
        case RecordRiderSilence():
            return record_silence(registered(rider), command, context)
        case RecordRiderHeard():
            return record_heard(registered(rider), command, context)
        case EndShift():
            return end_shift(registered(rider), context)
        case RecordVehicleFitness():
            return record_vehicle_fitness(registered(rider), command)
        case BindDevice():
            return bind_device(registered(rider), command, context)
        case UnbindDevice():
            return unbind_device(registered(rider), command, context)
        case DismissAnomaly():
            return dismiss_anomaly(registered(rider), command, context)
        case HandOverAllTasks():
            return hand_over_all(registered(rider), command, context)
        case ReturnToDispatch():
            return return_to_dispatch(registered(rider), command)
        case ConfirmHandOverRequested():
            return confirm_requested(registered(rider), command)
        case CloseHandOver():
            return close_hand_over(registered(rider), command)
        case ReserveRider():
            return reserve_rider(registered(rider), command, context)
        case ActivateReservation():
            return activate_reservation(registered(rider), command, context)
        case ReleaseReservation():
            return release_reservation(registered(rider), command, context)
        case ExpireReservation():
            return expire_reservation(registered(rider), command, context)
        case InsertStops():
            return insert_stops(registered(rider), command)
        case RemoveStops():
            return remove_stops(registered(rider), command, context)
        case ChangePlannedWindow():
            return change_planned_window(registered(rider), command)
        case ResequenceItinerary():
            return resequence_itinerary(registered(rider), command)
        case FollowRoute():
            return follow_route(registered(rider), command, context)
        case LockNextStop():
            return lock_next_stop(registered(rider), command)
        case UnlockNextStop():
            return unlock_next_stop(registered(rider), command)
        case _:
            assert_never(command)


def register_rider(rider: Rider, command: RegisterRider, context: Context) -> list[RiderEvent]:
    if not isinstance(rider, Unregistered):
        raise NotInThisState(needed="new", actual=rider.status)
    assert context.policy, "the tenant is known"
    subject = rider_subject(RiderId(context.aggregate_id))
    return [
        RiderRegistered(
            name=Personal(subject, command.name),
            phone=Personal(subject, command.phone) if command.phone else None,
            employment=command.employment,
            vehicle=command.vehicle,
            capacity_g=command.capacity_g,
            skills=list(dict.fromkeys(command.skills)),
            zones=[*zones_of(command, context)],
            external_reference=command.external_reference,
            source=command.source or context.actor,
            metadata=command.metadata,
        )
    ]


def set_skills(rider: RegisteredRider, command: SetRiderSkills) -> list[RiderEvent]:
    skills = tuple(dict.fromkeys(command.skills))
    return [] if skills == rider.skills else [RiderSkillsSet(skills=[*skills])]


def set_rating(rider: RegisteredRider, command: SetRiderRating) -> list[RiderEvent]:
    return [] if command.rating == rider.rating else [RiderRated(rating=command.rating)]


def set_zones(rider: RegisteredRider, command: SetRiderZones, context: Context) -> list[RiderEvent]:
    """Raises UnknownServiceZone."""
    zones = zones_of(command, context, rider.zones)
    return [] if zones == rider.zones else [RiderZonesSet(zones=[*zones])]


def zones_of(
    command: RegisterRider | SetRiderZones, context: Context, known: Collection[GeofenceId] = ()
) -> tuple[GeofenceId, ...]:
    """Those that the rider has already may have ended."""
    told = [GeofenceId(zone) for zone in dict.fromkeys(command.zones)]
    return tuple(zone if zone in known else context.policy.standing_zone(zone, context.now) for zone in told)


SIMULATED_G = 1_000_000_000
"""What a simulated courier carries: whatever there is."""


def register_simulated(rider: Rider, command: RegisterSimulatedRider, context: Context) -> list[RiderEvent]:
    if not isinstance(rider, Unregistered):
        return []
    if context.policy.mode != "test":
        raise NotATestTenant
    name = f"simulated-{command.number}"
    registered_now = RiderRegistered(
        name=Personal(rider_subject(RiderId(context.aggregate_id)), name),
        phone=None,
        employment="staff",
        vehicle="car",
        capacity_g=SIMULATED_G,
        skills=[],
        external_reference=name,
        source=context.actor,
        metadata={},
        simulated=True,
    )
    return [registered_now, RiderApproved()]


def must_be_spoken_to(rider: Rider, command: RiderCommand, context: Context) -> None:
    """Raises SimulatedRider: such a one is our own processes' alone, and never suspended, which would leave their tasks
    to nobody."""
    if isinstance(rider, Unregistered) or not rider.simulated:
        return
    if context.role != "system" or isinstance(command, SuspendRider):
        raise SimulatedRider


def approve_rider(rider: RegisteredRider) -> list[RiderEvent]:
    match rider.status:
        case "invited" | "rejected":
            return [RiderApproved()]
        case "approved":
            return []
        case _:
            raise NotInThisState(needed="invited or rejected", actual=rider.status)


def reject_rider(rider: RegisteredRider, command: RejectRider) -> list[RiderEvent]:
    match rider.status:
        case "invited":
            return [RiderRejected(reason_code=command.reason_code)]
        case "rejected":
            return []
        case _:
            raise NotInThisState(needed="invited", actual=rider.status)


def reinstate_rider(rider: RegisteredRider) -> list[RiderEvent]:
    match rider.status:
        case "suspended":
            return [RiderReinstated()]
        case "approved":
            return [RiderReinstated()] if rider.off_dispatch_for else []
        case _:
            raise NotInThisState(needed="suspended", actual=rider.status)


def bind_device(rider: RegisteredRider, command: BindDevice, context: Context) -> list[RiderEvent]:
    device_id = DeviceId(command.device_id)
    bound_from = rider.devices.get(device_id)
    if bound_from is not None and command.valid_from in (None, bound_from):
        return []
    if bound_from is None and len(rider.devices) >= MAX_DEVICES:
        raise TooMany("devices", MAX_DEVICES)
    return [DeviceBound(device_id=device_id, valid_from=command.valid_from or context.now)]


def unbind_device(rider: RegisteredRider, command: UnbindDevice, context: Context) -> list[RiderEvent]:
    bound_from = rider.devices.get(command.device_id)
    if bound_from is None:
        return []
    until = command.valid_until or context.now
    if until <= bound_from:
        raise NotAnInterval(bound_from, until)
    return [DeviceUnbound(device_id=command.device_id, valid_until=until)]


def evolve(rider: Rider, event: RiderEvent) -> Rider:
    if isinstance(event, RiderRegistered):
        return RegisteredRider(
            employment=event.employment,
            vehicle=event.vehicle,
            capacity_g=event.capacity_g,
            skills=tuple(event.skills),
            zones=tuple(event.zones),
            simulated=event.simulated,
        )
    rider = registered(rider)
    match event:
        case RiderSkillsSet():
            return replace(rider, skills=tuple(event.skills))
        case RiderZonesSet():
            return replace(rider, zones=tuple(event.zones))
        case RiderRated():
            return replace(rider, rating=event.rating)
        case RiderApproved():
            return replace(rider, status="approved")
        case RiderReinstated():
            return replace(rider, status="approved", off_dispatch_for={})
        case RiderTakenOffDispatch():
            return with_incident(rider, event)
        case RiderReturnedToDispatch():
            return without_incident(rider, event.incident_id)
        case RiderRejected():
            return replace(rider, status="rejected")
        case RiderSuspended():
            return replace(rider, status="suspended", silence=None, off_dispatch_for={})
        case DocumentSubmitted():
            return with_submitted(rider, event)
        case DocumentVerified():
            return replace(rider, documents=with_verified(rider.documents, event))
        case DocumentExpiryWarned():
            return replace(rider, documents=with_warned(rider.documents, event.document_id))
        case DocumentRejected():
            return replace(rider, documents=with_rejected(rider.documents, event.document_id))
        case ComplianceBreachFound():
            return with_breach(rider, event)
        case ShiftPlanned():
            return with_planned(rider, event)
        case ShiftStarted():
            return with_started(rider, event)
        case BreakStarted():
            return on_break(rider, event)
        case BreakEnded():
            return back_from_break(rider, event)
        case HoursLimitWarned():
            return with_shift(rider, hours_limit=None)
        case ShiftEnding():
            return with_shift(rider, ending=True)
        case ShiftEnded():
            return off_shift(rider, event)
        case RiderFellSilent():
            return replace(rider, silence=Silence(event.since))
        case RiderHeardAgain():
            return back_in_touch(rider, event)
        case TaskHandOverRequested():
            return with_requested(rider, event)
        case TaskHandOverClosed():
            return with_closed(rider, event)
        case VehicleFitnessChanged():
            return with_vehicle(rider, event)
        case DeviceBound():
            return replace(rider, devices={**rider.devices, event.device_id: event.valid_from})
        case DeviceUnbound():
            rest = {device: at for device, at in rider.devices.items() if device != event.device_id}
            return replace(rider, devices=rest)
        case AnomalyDismissed():
            return with_dismissed(rider, event)
        case RiderReserved():
            return with_reserved(rider, event)
        case ReservationActivated():
            return with_activated(rider, event)
        case ReservationReleased():
            return with_released(rider, event)
        case ItineraryStopsInserted():
            return with_stops(rider, event)
        case ItineraryStopsRemoved():
            return without_stops(rider, event)
        case PlannedWindowChanged():
            return with_window(rider, event)
        case ItineraryResequenced():
            return in_order(rider, event)
        case NextStopLocked():
            return replace(rider, locked=StopRef(task_id=event.task_id, stop_id=event.stop_id))
        case NextStopUnlocked():
            return replace(rider, locked=None)
        case _:
            assert_never(event)
