"""What lies ahead of a rider: stops put in, taken out, and brought into another order."""

from msgspec.structs import replace

from commands.context import Context
from commands.rider_refusals import ItineraryChanged, NotThatItinerary, TooHeavyThatWay
from commands.rider_reservations import planned_stops, released, with_reservation
from commands.rider_shift import shift_end_after
from commands.rider_state import RegisteredRider, peak_load_g
from schemas.message import TaskId
from schemas.rider import (
    ChangePlannedWindow,
    InsertStops,
    ItineraryResequenced,
    ItineraryStopsInserted,
    ItineraryStopsRemoved,
    PlannedStop,
    PlannedWindowChanged,
    RemoveStops,
    ResequenceItinerary,
    RiderEvent,
    StopRef,
)


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
    if command.itinerary_version != rider.itinerary_version:
        raise ItineraryChanged(command.itinerary_version, rider.itinerary_version)
    present = {(stop.task_id, stop.stop_id): stop for stop in rider.itinerary}
    wanted = [(ref.task_id, ref.stop_id) for ref in command.order]
    if sorted(wanted) != sorted(present) or not pickups_first([present[ref] for ref in wanted]):
        raise NotThatItinerary
    if wanted == list(present):
        return []
    peak_g = peak_load_g(present[ref] for ref in wanted)
    if peak_g > max(rider.capacity_g, peak_load_g(rider.itinerary)):  # what is too heavy as it is may get better
        raise TooHeavyThatWay(peak_g, rider.capacity_g)
    return [ItineraryResequenced(itinerary_version=rider.itinerary_version + 1, order=command.order)]


def pickups_first(stops: list[PlannedStop]) -> bool:
    dropped: set[TaskId] = set()
    for stop in stops:
        if stop.kind == "pickup" and stop.task_id in dropped:
            return False
        if stop.kind != "pickup":
            dropped.add(stop.task_id)
    return True


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
    return replace(
        with_reservation(rider, event.task_id, marked),
        itinerary=rest,
        itinerary_version=event.itinerary_version,
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
