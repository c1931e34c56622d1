"""What is due becomes the command that the aggregate judges: early, late or twice, it changes nothing more."""

import msgspec
import pytest
from garage import VAN, Garage
from story import NOON, minutes

from projections.deadlines import DEADLINES, DeadlineRow
from schemas.message import TenantSlug
from schemas.vehicle import (
    CancelVehicleMaintenance,
    Capacity,
    CompleteVehicleMaintenance,
    PlanVehicleMaintenance,
    RecordVehicleMaintenanceDue,
    RegisterVehicle,
    ReportVehicleOdometer,
    RetireVehicle,
)
from streams.deadlines import KINDS, source_of, step_of

REGISTER = RegisterVehicle(kind="van", capacity=Capacity(weight_g=1, volume_cm3=1, parcels=1))


def plan(minute: float | None = 30, due_km: int | None = None) -> PlanVehicleMaintenance:
    at = None if minute is None else minutes(minute)
    return PlanVehicleMaintenance(maintenance_id="m-1", kind="oil_change", due_at=at, due_km=due_km)


def deadlines(garage: Garage) -> list[DeadlineRow]:
    return list(garage.rows(DEADLINES).values())


def fire(garage: Garage, deadline: DeadlineRow) -> tuple[str, ...]:
    step = step_of(msgspec.structs.asdict(deadline))
    return garage.send(step.kind, step.aggregate_id, step.command, "system").events


def test_a_planned_date_stands_as_a_deadline_where_its_vehicle_stands():
    garage = Garage().sends(REGISTER, plan())
    [deadline] = deadlines(garage)
    assert (deadline.kind, deadline.aggregate_id, deadline.subject) == ("record_maintenance_due", VAN, "m-1")
    assert (deadline.due_at, deadline.round) == (minutes(30), None)
    planned = garage.facts()[-1]
    assert (deadline.set_by, deadline.partition) == (planned.source.event_id, planned.source.partition)


def test_a_fired_date_makes_the_maintenance_due_and_is_gone():
    garage = Garage().sends(REGISTER, plan())
    [deadline] = deadlines(garage)
    garage.now = minutes(31)
    assert fire(garage, deadline) == ("VehicleMaintenanceFellDue",)
    assert deadlines(garage) == []
    assert fire(garage, deadline) == ()


def test_a_date_that_fires_early_stands_until_it_has_come():
    garage = Garage().sends(REGISTER, plan())
    [deadline] = deadlines(garage)
    garage.now = minutes(29)
    assert fire(garage, deadline) == ()
    assert deadlines(garage) == [deadline]


def test_a_date_that_is_moved_moves_its_deadline():
    garage = Garage().sends(REGISTER, plan())
    [before] = deadlines(garage)
    garage.sends(plan(60))
    [after] = deadlines(garage)
    assert (after.due_at, after.set_by != before.set_by) == (minutes(60), True)
    garage.now = minutes(31)
    assert fire(garage, before) == ()
    garage.sends(plan(None, 9_000))
    assert deadlines(garage) == []


@pytest.mark.parametrize(
    "over",
    [
        ReportVehicleOdometer(odometer_km=500, observed_at=NOON),
        CompleteVehicleMaintenance(maintenance_id="m-1"),
        CancelVehicleMaintenance(maintenance_id="m-1", reason_code="changed"),
        RetireVehicle(reason_code="sold"),
    ],
    ids=lambda command: type(command).__name__,
)
def test_nothing_is_waited_for_once_it_is_due_by_distance_done_off_or_without_its_vehicle(over):
    garage = Garage().sends(REGISTER, plan(due_km=500))
    [deadline] = deadlines(garage)
    garage.sends(over)
    assert deadlines(garage) == []
    garage.now = minutes(31)
    assert fire(garage, deadline) == ()


def test_maintenance_by_distance_alone_waits_for_no_date():
    assert deadlines(Garage().sends(REGISTER, plan(None, 500))) == []


def test_a_deadline_fires_the_same_command_whenever_it_fires():
    garage = Garage().sends(REGISTER, plan())
    row = msgspec.structs.asdict(deadlines(garage)[0])
    step = step_of(row)
    assert step.command == RecordVehicleMaintenanceDue(maintenance_id="m-1")  # type: ignore[arg-type]
    assert step.command_id(source_of(row, minutes(31))) == step.command_id(source_of(row, minutes(90)))
    assert source_of(row, minutes(31)).tenant == TenantSlug("acme")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_deadline_has_its_command(kind):
    row = {"kind": kind, "aggregate_id": "a-1", "subject": "s-1", "round": 1}
    assert step_of(row).purpose == kind


def test_what_is_no_deadline_of_ours_is_not_fired():
    with pytest.raises(ValueError, match="expire_everything is no deadline of ours"):
        step_of({"kind": "expire_everything", "aggregate_id": "a-1", "subject": "s-1", "round": 1})
