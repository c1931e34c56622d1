"""What is due becomes the command that the aggregate judges: early, late or twice, it changes nothing more."""

import msgspec
import pytest
from garage import VAN, Garage
from story import ACME, NOON, SAME_DAY, minutes

from projections.deadlines import DEADLINES, DeadlineRow
from schemas import ids
from schemas.carrier import ActivateCarrier, CarrierTerms, RegisterCarrier
from schemas.carrier_booking import (
    BookCarrier,
    CancelCarrierBooking,
    NameCarrierCourier,
    QuoteCarrierBooking,
    RecordCarrierStatus,
    SettleCarrierBooking,
)
from schemas.load import Capacity
from schemas.message import TenantSlug
from schemas.money import Money
from schemas.vehicle import (
    CancelVehicleMaintenance,
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


# Carriers' bookings

POSTI = ids.aggregate_id("carrier", ACME, "shop", "posti")
BOOKING = ids.aggregate_id("carrier_booking", ACME, "shop", "first")
BOOK = BookCarrier(carrier_reference="P-77")


def quoted() -> Garage:
    """Until ten past noon; silent once nothing is heard for half an hour."""
    garage = Garage()
    garage.send("carrier", POSTI, RegisterCarrier(name="Posti", terms=CarrierTerms(service_levels=[SAME_DAY])))
    garage.send("carrier", POSTI, ActivateCarrier())
    quote = QuoteCarrierBooking(
        task_id="task-1",
        carrier_id=POSTI,
        service_level="same_day",
        price=Money(amount_minor=1_250, currency="EUR"),
        estimated_pickup_at=minutes(60),
        estimated_dropoff_at=minutes(120),
        expires_at=minutes(10),
    )
    garage.send("carrier_booking", BOOKING, quote)
    return garage


def booked() -> Garage:
    garage = quoted()
    garage.send("carrier_booking", BOOKING, BOOK)
    return garage


def heard(event: str, minute: float, word: str = "arrived_at_pickup") -> RecordCarrierStatus:
    return RecordCarrierStatus(status=word, observed_at=minutes(minute), carrier_event_id=event)  # type: ignore[arg-type]


def test_a_quote_that_fires_expires_once_and_not_before_its_time():
    garage = quoted()
    [deadline] = deadlines(garage)
    assert (deadline.kind, deadline.subject, deadline.due_at) == ("expire_carrier_quote", BOOKING, minutes(10))
    garage.now = minutes(9)
    assert fire(garage, deadline) == ()
    garage.now = minutes(10)
    assert fire(garage, deadline) == ("CarrierBookingExpired",)
    assert (fire(garage, deadline), deadlines(garage)) == ((), [])


def test_a_quote_that_is_booked_waits_for_the_carrier_instead():
    garage = quoted()
    [quote] = deadlines(garage)
    garage.send("carrier_booking", BOOKING, BOOK)
    [silence] = deadlines(garage)
    assert (silence.kind, silence.due_at) == ("record_carrier_silence", minutes(30))
    garage.now = minutes(11)
    assert fire(garage, quote) == ()


def test_a_carrier_of_which_nothing_is_heard_is_silent_once():
    garage = booked()
    [deadline] = deadlines(garage)
    garage.now = minutes(30)
    assert fire(garage, deadline) == ("CarrierFellSilent",)
    assert (fire(garage, deadline), deadlines(garage)) == ((), [])


@pytest.mark.parametrize(
    "news", [heard("e-1", 5), NameCarrierCourier(name="Cai")], ids=lambda command: type(command).__name__
)
def test_what_is_heard_moves_the_silence_and_the_deadline_from_before_changes_nothing(news):
    garage = booked()
    [before] = deadlines(garage)
    garage.now = minutes(10)
    garage.send("carrier_booking", BOOKING, news)
    [after] = deadlines(garage)
    assert (after.due_at, after.set_by != before.set_by) == (minutes(40), True)
    garage.now = minutes(31)
    assert fire(garage, before) == ()
    garage.now = minutes(40)
    assert fire(garage, before) == ("CarrierFellSilent",), "whichever fires: nothing was heard"
    assert fire(garage, after) == ()


def test_a_carrier_that_is_heard_again_is_waited_for_again():
    garage = booked()
    [deadline] = deadlines(garage)
    garage.now = minutes(30)
    fire(garage, deadline)
    garage.now = minutes(33)
    garage.send("carrier_booking", BOOKING, heard("e-1", 32))
    [again] = deadlines(garage)
    assert again.due_at == minutes(63)
    garage.now = minutes(63)
    assert fire(garage, again) == ("CarrierFellSilent",)


@pytest.mark.parametrize(
    "over",
    [
        heard("e-1", 5, "delivered"),
        heard("e-1", 5, "failed"),
        heard("e-1", 5, "cancelled"),
        CancelCarrierBooking(reason_code="changed_mind"),
        SettleCarrierBooking(outcome="delivered", reason_code="called"),
    ],
    ids=["delivered", "failed", "cancelled by the carrier", "cancelled", "settled"],
)
def test_nothing_is_waited_for_once_a_booking_is_over(over):
    garage = booked()
    [deadline] = deadlines(garage)
    garage.send("carrier_booking", BOOKING, over)
    assert deadlines(garage) == []
    garage.now = minutes(90)
    assert fire(garage, deadline) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_deadline_has_its_command(kind):
    row = {"kind": kind, "aggregate_id": "a-1", "subject": "s-1", "round": 1, "target_at": NOON}
    row |= {"due_at": NOON, "predicted_at": NOON, "heard_at": NOON}
    assert step_of(row).purpose == kind


def test_what_is_no_deadline_of_ours_is_not_fired():
    with pytest.raises(ValueError, match="expire_everything is no deadline of ours"):
        step_of({"kind": "expire_everything", "aggregate_id": "a-1", "subject": "s-1", "round": 1})
