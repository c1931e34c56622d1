"""A rider's fixes as frames, folded by the telemetry stream's own parts; what follows from them, without a log."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from logged import logged
from story import NOON

from schemas.anomaly_rules import AnomalyRules
from schemas.fix_rules import FixRules
from schemas.fixes import FixFrame, HeldFix, NewFix, fixes_of, frames_of
from schemas.geo import Location, Window
from schemas.load import Capacity, Load
from schemas.message import Event, Personal, Source, StopId, SubjectId, TaskId, TenantSlug, VehicleId
from schemas.record import Stored
from schemas.rider import (
    BreakStarted,
    ItineraryStopsInserted,
    ItineraryStopsRemoved,
    PlannedStop,
    VehicleFitnessChanged,
)
from schemas.vehicle_fitness import VehicleFitness
from streams.telemetry.anomalies import Anomalies
from streams.telemetry.eta import Way
from streams.telemetry.fence_index import FenceIndex
from streams.telemetry.found import Draft, Found, Frame
from streams.telemetry.itineraries import Itineraries
from streams.telemetry.partition import FROM_OUTSIDE, Partition
from streams.telemetry.rider import kept, restored

HOME = Location(lat=60.17, lon=24.94)
METRE = 1 / 111_195
"""Degrees of latitude."""

type Row = tuple[float, float] | tuple[float, float, float]
"""Seconds after noon, metres north of HOME, and the speed that the device tells."""


class RidingAlong:
    """Ann and her phone."""

    def __init__(
        self,
        rules: AnomalyRules = AnomalyRules(),  # noqa: B008
        source: str = "/logistics/test/gateway",
        future_s: int = 60,
        rider: str = "ann",
        partition: int = 0,
    ) -> None:
        believed = FixRules(max_future_seconds=future_s)
        self._rider = rider
        self.partition = Partition(partition, lambda _: FenceIndex([]), lambda *_: believed)
        self.itineraries = Itineraries()
        self.route: Way | None = None
        self._source = source
        self._offset = 0
        self.anomalies = Anomalies(lambda *_: rules, self.itineraries, lambda *_: self.route)
        self.told: list[Draft] = []
        self.log: list[Stored] = []
        self.aside: set[tuple[int, int]] = set()
        """Offset and place of what was put aside."""

    def tells(self, *rows: Row, device: str = "phone", late_s: float = 1, **more: Any) -> list[Event]:
        """The rows' fixes, in as few frames as hold them: what is told of them."""
        held = [HeldFix(device, self._rider, fix(row, **more)) for row in rows]
        return self.frames(held, NOON + timedelta(seconds=rows[-1][0] + late_s))

    def frames(self, held: list[HeldFix], received_at: datetime) -> list[Event]:
        before = len(self.told)
        for frame in frames_of(held, received_at):
            found = Found()
            stored = self._logged(frame)
            from_outside = self._source.endswith(FROM_OUTSIDE)
            self.log.append(stored)
            self.partition.take([Frame(stored, "acme", fixes_of(frame), from_outside)], found)
            self.told += self.anomalies.of(self.partition, found)
            self.aside |= {(row.offset, row.place) for row in found.aside}
            self._offset += 1
            for key in found.touched:
                self.partition.riders[key] = restored(kept(self.partition.riders[key]))
        return [draft.event for draft in self.told[before:]]

    def _logged(self, frame: FixFrame) -> Stored:
        event_id = f"frame-{self._offset}"
        return logged(frame, self._offset, self.partition.partition, source=self._source, event_id=event_id)

    def has_ahead(self, *stops: PlannedStop, at_s: float = 0) -> None:
        event = ItineraryStopsInserted(itinerary_version=1, stops=list(stops))
        self.itineraries.take(event, source(at_s), lambda: event)

    def is_done(self, stop: PlannedStop, at_s: float) -> None:
        event = ItineraryStopsRemoved(
            itinerary_version=2, task_id=stop.task_id, stop_ids=[stop.stop_id], reason_code="completed"
        )
        self.itineraries.take(event, source(at_s), lambda: event)

    def has_vehicle(self, vehicle_id: str, number: int = 1, *, still: bool = True) -> None:
        fitness = VehicleFitness(
            grounded=False,
            inspection_failed=False,
            maintenance_due=False,
            maintenance_due_at=None,
            capacity=Capacity(weight_g=1_000, volume_cm3=1_000, parcels=1),
            documents=[],
        )
        event = VehicleFitnessChanged(
            vehicle_id=VehicleId(vehicle_id), number=number, fitness=fitness if still else None
        )
        self.itineraries.take(event, source(0), lambda: event)

    def takes_a_break(self, at_s: float) -> None:
        event = BreakStarted(shift_id="shift", started_at=NOON)  # type: ignore[arg-type]
        self.itineraries.take(event, source(at_s), lambda: event)


def fix(row: Row, east_m: float = 0, **more: Any) -> NewFix:
    seconds, north_m, *speed = row
    return NewFix(
        observed_at=NOON + timedelta(seconds=seconds),
        lat=HOME.lat + north_m * METRE,
        lon=HOME.lon + east_m * METRE * 2.01,
        speed_mps=speed[0] if speed else None,
        **more,
    )


def north(metres: float) -> Location:
    return Location(lat=HOME.lat + metres * METRE, lon=HOME.lon)


def stop(metres: float, name: str = "stop-1", opens_s: float | None = None) -> PlannedStop:
    """So far north of HOME."""
    window = None
    if opens_s is not None:
        begins = NOON + timedelta(seconds=opens_s)
        window = Window(start=begins, end=begins + timedelta(hours=1))
    return PlannedStop(
        task_id=TaskId("task-1"),
        stop_id=StopId(name),
        kind="dropoff",
        location=Personal(SubjectId("cleo"), north(metres)),
        window=window,
        service_seconds=60,
        load=Load(),
    )


def straight(metres: float, source: Any = "osrm") -> Way:
    """Streets from HOME to so far north of it."""
    at = np.array([0.0, metres])
    return Way(HOME.lat + at * METRE, np.full(2, HOME.lon), at / 10, at, [1], source)


def source(at_s: float) -> Source:
    at = NOON + timedelta(seconds=at_s)
    return Source(
        event_id="e",
        tenant=TenantSlug("acme"),
        outlet=None,
        aggregate_id="ann",
        version=1,
        event_time=at,
        recorded_at=at,
        actor="olga",
        command_id="c",
        correlation_id="c",
        topic="logistics.fleet",
        partition=0,
        offset=0,
    )


def drive(since_s: float, until_s: float, mps: float, every_s: float = 5, from_m: float = 0) -> list[Row]:
    """North at a steady speed, which the device tells."""
    steps = range(int((until_s - since_s) / every_s) + 1)
    return [(since_s + step * every_s, from_m + step * every_s * mps, mps) for step in steps]


def stand(since_s: float, until_s: float, at_m: float = 0, every_s: float = 30) -> list[Row]:
    steps = range(int((until_s - since_s) / every_s) + 1)
    return [(since_s + step * every_s, at_m + step % 3, 0.0) for step in steps]


def of_kind[T: Event](events: Sequence[Event], cls: type[T]) -> list[T]:
    return [event for event in events if isinstance(event, cls)]
