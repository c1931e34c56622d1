"""Whether who has a vehicle may be given work with it: what the vehicle says of itself, and how that is judged."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from schemas.load import Capacity, Load, Overload, beyond
from schemas.message import Input
from schemas.tender import Exclusion
from schemas.validity import Shortfall, shortfall

OF_A_VEHICLE: Mapping[Shortfall, Exclusion] = {
    "document_missing": "vehicle_document_missing",
    "document_expired": "vehicle_document_expired",
    "document_expires_too_soon": "vehicle_document_expires_too_soon",
}


class VehicleValidity(Input, frozen=True, kw_only=True):
    """A verified document's."""

    kind: str
    valid_from: datetime
    expires_at: datetime


class VehicleFitness(Input, frozen=True, kw_only=True):
    """`maintenance_due` is what somebody has said; of what is planned for a date the first is `maintenance_due_at`."""

    grounded: bool
    inspection_failed: bool
    maintenance_due: bool
    maintenance_due_at: datetime | None
    capacity: Capacity
    documents: list[VehicleValidity]


def unfit_for(
    vehicle: VehicleFitness, required_kinds: Iterable[str], at: datetime, until: datetime
) -> Exclusion | None:
    """Why nobody may be given work with it from `at` up to `until`, judged by what is known of it now."""
    if vehicle.grounded:
        return "vehicle_grounded"
    if vehicle.inspection_failed:
        return "vehicle_inspection_failed"
    for kind in required_kinds:
        spans = [(each.valid_from, each.expires_at) for each in vehicle.documents if each.kind == kind]
        lacking = shortfall(spans, at, until)
        if lacking is not None:
            return OF_A_VEHICLE[lacking]
    due_at = vehicle.maintenance_due_at
    if vehicle.maintenance_due or (due_at is not None and due_at <= at):
        return "vehicle_maintenance_overdue"
    return None


def fit_for(
    vehicles: Sequence[VehicleFitness], required_kinds: Iterable[str], at: datetime, until: datetime
) -> tuple[Sequence[VehicleFitness], Exclusion | None]:
    """Of the vehicles that a rider has, those that are fit; where none is, why not, of several reasons always the same.
    Who has no vehicle of ours goes by their own."""
    fit: list[VehicleFitness] = []
    why_nots: list[Exclusion] = []
    for vehicle in vehicles:
        why_not = unfit_for(vehicle, required_kinds, at, until)
        if why_not is None:
            fit.append(vehicle)
        else:
            why_nots.append(why_not)
    return fit, None if fit else min(why_nots, default=None)


def overloads(load: Load, capacity_g: int, vehicles: Sequence[VehicleFitness]) -> list[Overload]:
    """What is too much for a rider who can carry `capacity_g`: all of it goes into one vehicle, where there is any. Of
    none that holds it the largest says what is too much; without one nothing but the weight is."""
    if not vehicles:
        too_heavy = load.weight_g > capacity_g
        return [Overload(measure="weight_g", load=load.weight_g, limit=capacity_g)] if too_heavy else []
    capacities = [replace(v.capacity, weight_g=min(v.capacity.weight_g, capacity_g)) for v in vehicles]
    if not all(beyond(load, capacity) for capacity in capacities):
        return []
    return beyond(load, max(capacities, key=lambda each: (each.weight_g, each.volume_cm3, each.parcels)))
