"""What lies ahead of a rider: stops put in, taken out, and brought into another order."""

from msgspec.structs import replace

from commands.context import Context
from commands.placing import keeps_order, out_of_order, pickups_first, ref_of
from commands.rider_refusals import ItineraryChanged, NextStopIsLocked, NotThatItinerary, OutOfOrder, TooHeavyThatWay
from commands.rider_reservations import planned_stops, released, with_reservation
from commands.rider_shift import shift_end_after
from commands.rider_state import RegisteredRider
from commands.rider_vehicles import vehicles_of
from schemas.itinerary import StopRef
from schemas.load import Overload, peak_load
from schemas.message import NotInThisState
from schemas.rider import (
    ChangePlannedWindow,
    FollowRoute,
    InsertStops,
    ItineraryResequenced,
    ItineraryStopsInserted,
    ItineraryStopsRemoved,
    LockNextStop,
    NextStopLocked,
    NextStopUnlocked,
    PlannedStop,
    PlannedWindowChanged,
    RemoveStops,
    ResequenceItinerary,
    RiderEvent,
    UnlockNextStop,
)
from schemas.vehicle_fitness import overloads

AS_PLANNED = "as_planned"
"""Why an itinerary is in another order."""


def insert_stops(rider: RegisteredRider, command: InsertStops) -> list[RiderEvent]:
    reservation = rider.reservations.get(command.task_id)
    if reservation is None or reservation.round != command.round or not reservation.active:
        return []
    there = {stop.stop_id for stop in rider.itinerary if stop.task_id == command.task_id}
    new = [s for s in command.stops if s.stop_id not in there and s.stop_id not in reservation.removed]
    if not new:
        return []
    return [
        ItineraryStopsInserted(itinerary_version=rider.itinerary_version + 1, stops=planned_stops(command.task_id, new))
    ]


def remove_stops(rider: RegisteredRider, command: RemoveStops, context: Context) -> list[RiderEvent]:
    reservation = rider.reservations.get(command.task_id)
    if reservation is None or reservation.round != command.round:
        return []
    there = [stop.stop_id for stop in rider.itinerary if stop.task_id == command.task_id]
    through = command.stop_ids is None
    gone = there if command.stop_ids is None else [s for s in there if s in command.stop_ids]
    events: list[RiderEvent] = []
    if gone:
        events.append(
            ItineraryStopsRemoved(
                itinerary_version=rider.itinerary_version + 1,
                task_id=command.task_id,
                stop_ids=gone,
                reason_code=command.reason_code,
            )
        )
    if not through:
        return events
    events.append(released(command.task_id, command.round, command.reason_code, context))
    return [*events, *shift_end_after(rider, command.task_id, context)]


def change_planned_window(rider: RegisteredRider, command: ChangePlannedWindow) -> list[RiderEvent]:
    """Also of what is only held: it is ahead once the hold becomes active."""
    reservation = rider.reservations.get(command.task_id)
    if reservation is None or reservation.round != command.round:
        return []
    ahead = rider.itinerary if reservation.active else reservation.stops
    planned = [s for s in ahead if (s.task_id, s.stop_id) == (command.task_id, command.stop_id)]
    if not planned or planned[0].window == command.window:
        return []
    return [
        PlannedWindowChanged(
            itinerary_version=rider.itinerary_version + 1,
            task_id=command.task_id,
            stop_id=command.stop_id,
            window=command.window,
        )
    ]


def resequence_itinerary(rider: RegisteredRider, command: ResequenceItinerary) -> list[RiderEvent]:
    must_be_as_seen(rider, command.itinerary_version)
    present = {(stop.task_id, stop.stop_id): stop for stop in rider.itinerary}
    wanted = [(ref.task_id, ref.stop_id) for ref in command.order]
    if sorted(wanted) != sorted(present) or not pickups_first([present[ref] for ref in wanted]):
        raise NotThatItinerary
    if wanted == list(present):
        return []
    if rider.locked is not None and command.order[0] != rider.locked:
        raise NextStopIsLocked(rider.locked.task_id, rider.locked.stop_id)
    must_keep_order([present[ref] for ref in wanted])
    must_have_room(rider, [present[ref] for ref in wanted])
    resequenced = ItineraryResequenced(
        itinerary_version=rider.itinerary_version + 1, order=command.order, reason_code=command.reason_code
    )
    return [resequenced]


def follow_route(rider: RegisteredRider, command: FollowRoute, context: Context) -> list[RiderEvent]:
    """What the plan does not know of stays behind what it is behind, and what is locked first."""
    if command.until <= context.now:
        return []
    present = {ref_of(stop): stop for stop in rider.itinerary}
    wanted = with_others([ref for ref in dict.fromkeys(command.order) if ref in present], list(present))
    if rider.locked is not None and rider.locked in present:
        wanted = [rider.locked, *(ref for ref in wanted if ref != rider.locked)]
    stops = [present[ref] for ref in wanted]
    if wanted == list(present) or not keeps_order(stops) or too_much_that_way(rider, stops):
        return []
    version = rider.itinerary_version + 1
    return [ItineraryResequenced(itinerary_version=version, order=wanted, reason_code=AS_PLANNED)]


def with_others(planned: list[StopRef], present: list[StopRef]) -> list[StopRef]:
    wanted, known = list(planned), set(planned)
    for before, ref in zip((None, *present), present, strict=False):
        if ref not in known:
            wanted.insert(0 if before is None else wanted.index(before) + 1, ref)
    return wanted


def must_have_room(rider: RegisteredRider, stops: list[PlannedStop]) -> None:
    for too_much in too_much_that_way(rider, stops)[:1]:
        raise TooHeavyThatWay(too_much)


def too_much_that_way(rider: RegisteredRider, stops: list[PlannedStop]) -> list[Overload]:
    """What is too much as it is may get better."""
    as_it_is, vehicles = peak_load(stop.load for stop in rider.itinerary), vehicles_of(rider)
    too_much = overloads(peak_load(stop.load for stop in stops), rider.capacity_g, vehicles)
    if too_much and overloads(as_it_is, rider.capacity_g, vehicles):
        return [each for each in too_much if each.load > getattr(as_it_is, each.measure)]
    return too_much


def must_be_as_seen(rider: RegisteredRider, itinerary_version: int) -> None:
    if itinerary_version != rider.itinerary_version:
        raise ItineraryChanged(itinerary_version, rider.itinerary_version)


def lock_next_stop(rider: RegisteredRider, command: LockNextStop) -> list[RiderEvent]:
    must_be_as_seen(rider, command.itinerary_version)
    if not rider.itinerary:
        raise NotInThisState(needed="a stop ahead", actual="nothing ahead")
    first = rider.itinerary[0]
    if rider.locked is not None:
        return []
    return [NextStopLocked(task_id=first.task_id, stop_id=first.stop_id, reason_code=command.reason_code)]


def unlock_next_stop(rider: RegisteredRider, command: UnlockNextStop) -> list[RiderEvent]:
    locked = rider.locked
    if locked is None:
        return []
    return [NextStopUnlocked(task_id=locked.task_id, stop_id=locked.stop_id, reason_code=command.reason_code)]


def must_keep_order(stops: list[PlannedStop]) -> None:
    for stop, earlier in out_of_order(stops):
        raise OutOfOrder(stop.task_id, stop.stop_id, earlier)


def with_stops(rider: RegisteredRider, event: ItineraryStopsInserted) -> RegisteredRider:
    return replace(
        rider,
        itinerary=(*rider.itinerary, *event.stops),
        itinerary_version=event.itinerary_version,
    )


def without_stops(rider: RegisteredRider, event: ItineraryStopsRemoved) -> RegisteredRider:
    gone = set(event.stop_ids)
    rest = tuple(s for s in rider.itinerary if s.task_id != event.task_id or s.stop_id not in gone)
    reservation = rider.reservations[event.task_id]
    marked = replace(reservation, removed=tuple(sorted({*reservation.removed, *gone})))
    locked = rider.locked
    over = locked is not None and locked.task_id == event.task_id and locked.stop_id in gone
    return replace(
        with_reservation(rider, event.task_id, marked),
        itinerary=rest,
        itinerary_version=event.itinerary_version,
        locked=None if over else locked,
    )


def with_window(rider: RegisteredRider, event: PlannedWindowChanged) -> RegisteredRider:
    def changed(stops: tuple[PlannedStop, ...]) -> tuple[PlannedStop, ...]:
        meant = event.task_id, event.stop_id
        return tuple(replace(s, window=event.window) if (s.task_id, s.stop_id) == meant else s for s in stops)

    reservation = rider.reservations[event.task_id]
    held = with_reservation(rider, event.task_id, replace(reservation, stops=changed(reservation.stops)))
    return replace(held, itinerary=changed(rider.itinerary), itinerary_version=event.itinerary_version)


def in_order(rider: RegisteredRider, event: ItineraryResequenced) -> RegisteredRider:
    stops = {StopRef(task_id=s.task_id, stop_id=s.stop_id): s for s in rider.itinerary}
    return replace(
        rider,
        itinerary=tuple(stops[ref] for ref in event.order),
        itinerary_version=event.itinerary_version,
    )
