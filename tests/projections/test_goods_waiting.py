"""Goods that wait for another attempt stand on the exception desk until somebody says what becomes of them."""

import pytest
from garage import Garage
from story import ACME, KAMPPI, NOON

from projections.exception_desk import EXCEPTION_DESK
from schemas import ids
from schemas.field_report import ReportAttemptFailed, ReportDelivered, ReportHeld, ReportPickedUp
from schemas.goods import ReportParcelsLost
from schemas.message import Command, ParcelId, RiderId, Role, StopId
from schemas.registries import FailureReason, SetFailureReasons
from schemas.stop import NewParcel, NewStop
from schemas.task import AssignTask, CancelTask, CreateTask, ForceCompleteTask, ReattemptDelivery

TASK = ids.aggregate_id("task", ACME, "shop", "bread")
ANN, DROPOFF = RiderId("ann"), StopId("stop-2")
NOBODY = FailureReason(code="nobody", title="Nobody", at_fault="recipient", after="hold_at_hub", retryable=False)


def held(*more: NewStop, delivered: bool = False) -> Garage:
    garage = Garage()
    garage.send("tenant", ids.tenant_id(ACME), SetFailureReasons(reasons=[NOBODY]), "operator")
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=KAMPPI), *more]
    parcels = [NewParcel(dropoff_stop=f"stop-{number}") for number in range(2, len(stops) + 1)]
    garage.send("task", TASK, CreateTask(kind="delivery", outlet="kamppi", stops=stops, parcels=parcels))
    garage.send("task", TASK, AssignTask(rider_id=ANN))
    told: tuple[Command, ...] = (
        ReportPickedUp(stop_id=StopId("stop-1"), observed_at=NOON),
        *([ReportDelivered(stop_id=StopId("stop-3"), observed_at=NOON)] if delivered else []),
        ReportAttemptFailed(stop_id=DROPOFF, observed_at=NOON, reason_code="nobody"),
        ReportHeld(stop_id=StopId("hold-1"), observed_at=NOON),
    )
    for report in told:
        garage.send("task", TASK, report, "rider", ANN)
    return garage


def waiting(garage: Garage) -> list[dict[str, object]]:
    row = garage.rows(EXCEPTION_DESK).get((ACME, TASK, "goods_waiting"))
    return [] if row is None else row.items


def test_goods_that_are_lost_where_they_wait_need_nobody_any_more():
    """The rest was delivered: so the task completes, and has not failed."""
    garage = held(NewStop(kind="dropoff", location=KAMPPI), delivered=True)
    assert waiting(garage) != []
    lost = ReportParcelsLost(parcel_ids=[ParcelId("parcel-1")], reason_code="gone", observed_at=NOON)
    garage.send("task", TASK, lost)
    assert waiting(garage) == []


@pytest.mark.parametrize(
    ("command", "role"),
    [
        (ReattemptDelivery(reason_code="asked"), "dispatcher"),
        (CancelTask(reason_code="asked"), "dispatcher"),
        (ForceCompleteTask(disposition="delivered", reason_code="fetched"), "operator"),
    ],
    ids=lambda given: type(given).__name__ if not isinstance(given, str) else given,
)
def test_goods_that_wait_need_somebody_until_it_is_said_what_becomes_of_them(command: Command, role: Role):
    garage = held()
    [item] = waiting(garage)
    assert (item["rider_id"], item["reason_code"]) == (ANN, "nobody")
    garage.send("task", TASK, command, role)
    assert waiting(garage) == []
