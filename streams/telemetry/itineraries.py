"""What lies ahead of each rider: the stops of their itinerary in order, folded from `logistics.fleet`."""

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from schemas.geo import Location, Window
from schemas.itinerary import StopRef
from schemas.message import Event, Source, StopId, TaskId
from schemas.rider import (
    BreakEnded,
    BreakStarted,
    ItineraryResequenced,
    ItineraryStopsInserted,
    ItineraryStopsRemoved,
    PlannedStop,
    PlannedWindowChanged,
    RiderRegistered,
    ShiftEnded,
    StopKind,
    VehicleFitnessChanged,
)
from schemas.rider_vehicle import VehicleKind
from streams.telemetry.moments import unix_ms

type Reread = Callable[[], Event]
"""The same event once more: what its keys open by now."""


class Ahead(msgspec.Struct, frozen=True):
    """`place` is None where the stop's key has not come yet, or is gone."""

    task_id: TaskId
    stop_id: StopId
    place: Location | None
    window: Window | None
    service_s: int
    since_ms: int
    """When it became the rider's, Unix time."""
    kind: StopKind = "dropoff"


class Itinerary(msgspec.Struct, frozen=True):
    version: int = 0
    stops: tuple[Ahead, ...] = ()


NOTHING_AHEAD = Itinerary()


class Itineraries:
    def __init__(self) -> None:
        self._of: dict[tuple[str, str], Itinerary] = {}
        self._rereads: dict[tuple[str, TaskId, StopId], Reread] = {}
        """Of stops whose place could not be opened."""
        self._vehicles: dict[tuple[str, str], VehicleKind] = {}
        """Of riders who have no car."""
        self._resting: set[tuple[str, str]] = set()
        self._assigned: dict[tuple[str, str], tuple[str, ...]] = {}

    def take(self, event: Event, source: Source, reread: Reread) -> None:
        rider = source.tenant, source.aggregate_id
        known = self._of.get(rider, NOTHING_AHEAD)
        match event:
            case ItineraryStopsInserted():
                fresh = tuple(ahead(stop, unix_ms(source.event_time)) for stop in event.stops)
                self._of[rider] = Itinerary(event.itinerary_version, (*known.stops, *fresh))
                for stop in fresh:
                    if stop.place is None:
                        self._rereads[source.aggregate_id, stop.task_id, stop.stop_id] = reread
            case ItineraryStopsRemoved():
                gone = {(event.task_id, stop_id) for stop_id in event.stop_ids}
                rest = tuple(stop for stop in known.stops if (stop.task_id, stop.stop_id) not in gone)
                self._keep(rider, Itinerary(event.itinerary_version, rest))
                for task_id, stop_id in gone:
                    self._rereads.pop((source.aggregate_id, task_id, stop_id), None)
            case PlannedWindowChanged():
                meant = event.task_id, event.stop_id
                changed = tuple(
                    replace(stop, window=event.window) if (stop.task_id, stop.stop_id) == meant else stop
                    for stop in known.stops
                )
                self._keep(rider, Itinerary(event.itinerary_version, changed))
            case ItineraryResequenced():
                stops = {StopRef(task_id=stop.task_id, stop_id=stop.stop_id): stop for stop in known.stops}
                self._keep(rider, Itinerary(event.itinerary_version, tuple(stops[ref] for ref in event.order)))
            case BreakStarted():
                self._resting.add(rider)
            case BreakEnded() | ShiftEnded():
                self._resting.discard(rider)
            case VehicleFitnessChanged():
                others = tuple(each for each in self._assigned.pop(rider, ()) if each != event.vehicle_id)
                has = others if event.fitness is None else (*others, event.vehicle_id)
                if has:
                    self._assigned[rider] = has
            case RiderRegistered() if event.vehicle != "car":
                self._vehicles[rider] = event.vehicle
            case _:
                pass

    def vehicle(self, tenant: str, rider_id: str) -> VehicleKind:
        return self._vehicles.get((tenant, rider_id), "car")

    def drives(self, tenant: str, rider_id: str) -> str | None:
        """The one vehicle that was assigned to the rider; of several nobody knows which."""
        has = self._assigned.get((tenant, rider_id), ())
        return has[0] if len(has) == 1 else None

    def rests(self, tenant: str, rider_id: str) -> bool:
        """Whether the rider is on a break."""
        return (tenant, rider_id) in self._resting

    def of(self, tenant: str, rider_id: str) -> Itinerary:
        """With the places that can be opened now."""
        known = self._of.get((tenant, rider_id), NOTHING_AHEAD)
        if all(stop.place is not None for stop in known.stops):
            return known
        opened = tuple(stop if stop.place else self._again(rider_id, stop) for stop in known.stops)
        again = self._of[tenant, rider_id] = Itinerary(known.version, opened)
        return again

    def _keep(self, rider: tuple[str, str], itinerary: Itinerary) -> None:
        """Who has nothing ahead is not remembered."""
        if itinerary.stops:
            self._of[rider] = itinerary
        else:
            self._of.pop(rider, None)

    def _again(self, rider_id: str, stop: Ahead) -> Ahead:
        reread = self._rereads.get((rider_id, stop.task_id, stop.stop_id))
        event = reread() if reread else None
        if not isinstance(event, ItineraryStopsInserted):
            return stop
        placed = [ahead(each, stop.since_ms) for each in event.stops if each.stop_id == stop.stop_id]
        return replace(placed[0], window=stop.window) if placed else stop


def ahead(stop: PlannedStop, since_ms: int) -> Ahead:
    return Ahead(
        stop.task_id, stop.stop_id, stop.location.value, stop.window, stop.service_seconds, since_ms, stop.kind
    )
