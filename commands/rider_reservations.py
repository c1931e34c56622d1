"""Riders are reserved for tasks: held for a while, then active until they are through, or released."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.hours import exhausted
from commands.placing import Links, chained, keeps_order, linked_past, links_of, placed_among
from commands.rider_refusals import CannotReserve, NotReserved
from commands.rider_state import (
    PastTask,
    RegisteredRider,
    Reservation,
    Shift,
    held,
    not_compliant,
)
from commands.rider_vehicles import vehicles_of
from schemas.directory import TenantRules
from schemas.itinerary import MAX_ROUTE_TASKS, Bundled, Placed, StopRef
from schemas.load import Overload, peak_load
from schemas.message import Personal, SubjectId, TaskId
from schemas.rider import (
    ActivateReservation,
    ExpireReservation,
    ItineraryResequenced,
    ItineraryStopsInserted,
    NewPlannedStop,
    PlannedStop,
    ReleaseReservation,
    ReservationActivated,
    ReservationReleased,
    ReservedToo,
    ReserveRider,
    RiderEvent,
    RiderHeardAgain,
    RiderReserved,
)
from schemas.soonest import soonest_end
from schemas.tender import Exclusion
from schemas.vehicle_fitness import VehicleFitness, fit_for, overloads

PAST_TASKS_KEPT = 200
"""Of these it is known later when the rider had them."""
AS_DISPATCHED = "as_dispatched"
"""Why an itinerary is in another order."""


class Way(msgspec.Struct, frozen=True):
    """Of the tasks that are to be reserved: their stops, where they go, and when all would be through."""

    stops: list[PlannedStop]
    placed: Sequence[Placed] = ()
    ends_at: datetime | None = None
    tasks: int = 1
    planned: bool = False
    """A route of a plan may have more than what dispatch gives one after the other."""


def reserve_rider(rider: RegisteredRider, command: ReserveRider, context: Context) -> list[RiderEvent]:
    """Raises CannotReserve."""
    if is_reserved(rider, command, context) or command.hold_until <= context.now:
        return []
    if command.plan_id is not None:
        command = without_theirs(rider, command)
    if any(stands_against(rider, each, command) for each in all_of(command)):
        raise CannotReserve("reserved_elsewhere")
    stops = [stop for each in all_of(command) for stop in planned_stops(each.task_id, each.stops)]
    heard = rider.silence is not None and command.offer_id is not None  # whoever claims an offer is heard by that
    judged = replace(rider, silence=None) if heard else rider
    way = Way(stops, command.placed, command.ends_at, len(all_of(command)), command.plan_id is not None)
    skills = [skill for each in all_of(command) for skill in each.required_skills]
    why_not = None if command.has_goods else cannot_reserve(judged, way, skills, context)
    if why_not is not None:
        raise CannotReserve(why_not)
    again: list[RiderEvent] = [RiderHeardAgain(heard_at=context.now)] if heard else []
    return [*again, *reserved(rider, command, stops)]


def reserved(rider: RegisteredRider, command: ReserveRider, stops: list[PlannedStop]) -> list[RiderReserved]:
    tasks = all_of(command)
    assert len({each.task_id for each in tasks}) == len(tasks), "each task is named once"
    placed = {command.task_id: command.placed}
    if command.bundle:
        order = placed_among(rider.itinerary, stops, command.placed, rider.locked)
        placed = chained(order, [each.task_id for each in tasks])
    return [
        RiderReserved(
            task_id=each.task_id,
            round=each.round,
            tender_id=command.tender_id,
            offer_id=command.offer_id,
            handed_over=command.handed_over,
            hold_until=command.hold_until,
            stops=[stop for stop in stops if stop.task_id == each.task_id],
            placed=placed[each.task_id],
            plan_id=command.plan_id,
            bundle=[Bundled(task_id=b.task_id, round=b.round) for b in command.bundle] if each is command else [],
            lead=None if each is command else command.task_id,
        )
        for each in tasks
    ]


def all_of(command: ReserveRider) -> list[ReserveRider | ReservedToo]:
    return [command, *command.bundle]


def known_round(rider: RegisteredRider, task: ReserveRider | ReservedToo) -> Reservation | None:
    known = rider.reservations.get(task.task_id)
    return known if known is not None and known.round == task.round else None


def without_theirs(rider: RegisteredRider, command: ReserveRider) -> ReserveRider:
    """By a plan, which gives nobody what they have got otherwise meanwhile. Raises CannotReserve."""
    tasks = [each for each in all_of(command) if not stands_against(rider, each, command)]
    if len(tasks) == len(all_of(command)):
        return command
    if not tasks:
        raise CannotReserve("reserved_elsewhere")
    kept = {each.task_id for each in tasks}
    first, *rest = tasks
    return replace(
        command,
        task_id=first.task_id,
        round=first.round,
        required_skills=first.required_skills,
        stops=first.stops,
        bundle=[each for each in rest if isinstance(each, ReservedToo)],
        placed=[each for each in command.placed if (each.task_id or command.task_id) in kept],
    )


def stands_against(rider: RegisteredRider, task: ReserveRider | ReservedToo, command: ReserveRider) -> bool:
    """They are reserved for it otherwise: of a bundle in that round or later. A plan gives nobody what they have."""
    known = rider.reservations.get(task.task_id)
    if known is None:
        return False
    if command.plan_id is not None:
        return known.active or known.round == task.round
    return bool(command.bundle) and known.round >= task.round


def is_reserved(rider: RegisteredRider, command: ReserveRider, context: Context) -> bool:
    """Of several, as long as one of them is left of the same reservation: the others were released since."""
    if not command.bundle and command.plan_id is None:
        known = known_round(rider, command)
        return known is not None and not is_let_lapse(known, command, context)
    by = command.tender_id, command.offer_id, command.plan_id
    found = [known for each in all_of(command) if (known := known_round(rider, each)) is not None]
    return any((known.tender_id, known.offer_id, known.plan_id) == by for known in found)


def is_let_lapse(known: Reservation, command: ReserveRider, context: Context) -> bool:
    """The hold for a hand-over has passed, and then they have taken the goods all the same."""
    return command.has_goods and not known.active and known.hold_until <= context.now


def cannot_reserve(
    rider: RegisteredRider, way: Way, skills: Iterable[str], context: Context
) -> Exclusion | Overload | None:
    if rider.simulated:
        return None
    stops, rules, now = way.stops, context.policy.rules, context.now
    why_not = not_compliant(rider, context.policy.required_of_riders, now, now)
    if why_not is not None:
        return why_not
    if rider.shift is None or rider.shift.ending:
        return "off_shift"
    if rider.shift.break_since is not None:
        return "on_break"
    if rider.silence is not None:
        return "silent"
    if rider.off_dispatch_for:
        return "incident_open"
    soonest = max(soonest_end(stops, now), way.ends_at or now)
    if rider.shift.ends_at <= now or rider.shift.ends_at < soonest:
        return "shift_ends_too_soon"
    until = planned_until(stops, rider.shift, now)
    why_not = not_compliant(rider, context.policy.required_of_riders, now, until)
    if why_not is not None:
        return why_not
    fit, why_not = fit_for(vehicles_of(rider), context.policy.required_documents_of("vehicle"), now, until)
    if why_not is not None:
        return why_not
    # Not by the last window's end, as papers are: a parcel for any time of the day would shut everybody out.
    if exhausted(rider.duties, rules, now, soonest) is not None:
        return "hours_exhausted"
    if not set(skills) <= set(rider.skills):
        return "skill_missing"
    if is_outside(rider, stops, context):
        return "outside_zones"
    return without_room(rider, way, fit, rules, now)


def is_outside(rider: RegisteredRider, stops: list[PlannedStop], context: Context) -> bool:
    """One of the stops lies in no zone of theirs."""
    if not rider.zones:
        return False
    places = [stop.location.value for stop in stops if stop.location.value is not None]
    return not all(context.policy.is_in_one_of(rider.zones, place, context.now) for place in places)


def planned_until(stops: list[PlannedStop], shift: Shift, now: datetime) -> datetime:
    """The latest that it may take as far as is known: until the last window closes; without any, the whole shift."""
    closing = [stop.window.end for stop in stops if stop.window is not None]
    return max(now, min(max(closing), shift.ends_at)) if closing else shift.ends_at


def without_room(
    rider: RegisteredRider, way: Way, fit: Sequence[VehicleFitness], rules: TenantRules, now: datetime
) -> Exclusion | Overload | None:
    """Where it is too much as it is placed, but not at the end, it will go there."""
    still_held = held(rider, now)
    most = MAX_ROUTE_TASKS if way.planned else rules.max_active_tasks
    if len(still_held) + way.tasks > most:
        return "too_many_tasks"
    promised = [stop for r in still_held.values() if not r.active for stop in r.stops]
    peak = peak_load(stop.load for stop in (*rider.itinerary, *promised, *way.stops))
    too_much = next(iter(overloads(peak, rider.capacity_g, fit)), None)
    if too_much is None or not way.placed:
        return too_much
    placed = placed_among([*rider.itinerary, *promised], way.stops, way.placed, rider.locked)
    return next(iter(overloads(peak_load(stop.load for stop in placed), rider.capacity_g, fit)), None)


def planned_stops(task_id: TaskId, stops: list[NewPlannedStop]) -> list[PlannedStop]:
    return [
        PlannedStop(
            task_id=task_id,
            stop_id=stop.stop_id,
            kind=stop.kind,
            location=Personal(SubjectId(stop.subject), stop.location),
            window=stop.window,
            service_seconds=stop.service_seconds,
            load=stop.load,
            after=stop.after,
        )
        for stop in stops
    ]


def activate_reservation(rider: RegisteredRider, command: ActivateReservation, context: Context) -> list[RiderEvent]:
    reservation = rider.reservations.get(command.task_id)
    if reservation is None or reservation.round != command.round:
        raise NotReserved(command.task_id)
    if reservation.active:
        return []
    if reservation.hold_until <= context.now:
        raise NotReserved(command.task_id)
    version = rider.itinerary_version + 1
    events: list[RiderEvent] = [
        ReservationActivated(task_id=command.task_id, round=command.round, activated_at=context.now),
        ItineraryStopsInserted(itinerary_version=version, stops=list(reservation.stops)),
    ]
    at_the_end = [*rider.itinerary, *reservation.stops]
    order = order_of(rider, reservation, context)
    if order != at_the_end:
        refs = [StopRef(task_id=stop.task_id, stop_id=stop.stop_id) for stop in order]
        events.append(ItineraryResequenced(itinerary_version=version + 1, order=refs, reason_code=AS_DISPATCHED))
    return events


def order_of(rider: RegisteredRider, reservation: Reservation, context: Context) -> list[PlannedStop]:
    """As dispatch placed them; at the end, where meanwhile that would be too much or in a wrong order."""
    at_the_end = [*rider.itinerary, *reservation.stops]
    if not reservation.placed:
        return at_the_end
    placed = placed_among(rider.itinerary, reservation.stops, reservation.placed, rider.locked, awaited_by(rider))
    required, now = context.policy.required_documents_of("vehicle"), context.now
    fit, _ = fit_for(vehicles_of(rider), required, now, now)
    fits = not overloads(peak_load(stop.load for stop in placed), rider.capacity_g, fit or vehicles_of(rider))
    return placed if fits and keeps_order(placed) else at_the_end


def awaited_by(rider: RegisteredRider) -> Links:
    """Of the stops that are not on the itinerary yet."""
    return {
        ref: behind
        for task_id, r in rider.reservations.items()
        if not r.active
        for ref, behind in links_of(r.placed, task_id).items()
    }


def release_reservation(rider: RegisteredRider, command: ReleaseReservation, context: Context) -> list[RiderEvent]:
    """Of what is only held, and for whom that is said. An active one ends with its task."""
    reservation = rider.reservations.get(command.task_id)
    if reservation is None or reservation.round != command.round or reservation.active:
        return []
    if (reservation.tender_id, reservation.plan_id) != (command.tender_id, command.plan_id):
        return []
    return [released(command.task_id, command.round, command.reason_code, context)]


def expire_reservation(rider: RegisteredRider, command: ExpireReservation, context: Context) -> list[RiderEvent]:
    reservation = rider.reservations.get(command.task_id)
    if reservation is None or reservation.round != command.round or reservation.active:
        return []
    if context.now < reservation.hold_until:
        return []
    return [released(command.task_id, command.round, "hold_expired", context)]


def released(task_id: TaskId, task_round: int, reason_code: str, context: Context) -> ReservationReleased:
    return ReservationReleased(task_id=task_id, round=task_round, reason_code=reason_code, released_at=context.now)


def released_holds(rider: RegisteredRider, reason_code: str, context: Context) -> list[RiderEvent]:
    return [
        released(task_id, r.round, reason_code, context) for task_id, r in rider.reservations.items() if not r.active
    ]


def with_reserved(rider: RegisteredRider, event: RiderReserved) -> RegisteredRider:
    reservation = Reservation(
        round=event.round,
        tender_id=event.tender_id,
        offer_id=event.offer_id,
        hold_until=event.hold_until,
        stops=tuple(event.stops),
        placed=tuple(event.placed),
        plan_id=event.plan_id,
    )
    return with_reservation(rider, event.task_id, reservation)


def with_activated(rider: RegisteredRider, event: ReservationActivated) -> RegisteredRider:
    active = replace(rider.reservations[event.task_id], activated_at=event.activated_at)
    return with_reservation(rider, event.task_id, active)


def with_released(rider: RegisteredRider, event: ReservationReleased) -> RegisteredRider:
    since = rider.reservations[event.task_id].activated_at
    gone = links_of(rider.reservations[event.task_id].placed, event.task_id)
    kept = {
        task: r if r.active else replace(r, placed=linked_past(r.placed, gone))
        for task, r in rider.reservations.items()
        if task != event.task_id
    }
    if since is None:
        return replace(rider, reservations=kept)
    past = (*rider.past_tasks, PastTask(event.task_id, since, event.released_at))
    return replace(rider, reservations=kept, past_tasks=past[-PAST_TASKS_KEPT:])


def with_reservation(rider: RegisteredRider, task_id: TaskId, reservation: Reservation) -> RegisteredRider:
    return replace(rider, reservations={**rider.reservations, task_id: reservation})
