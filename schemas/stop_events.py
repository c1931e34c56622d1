"""What happens at a task's stops, and to its goods on the way between them."""

from datetime import datetime
from typing import Literal

from schemas.fault import AtFault
from schemas.field_report import ContactAttempt
from schemas.geo import Location, ObservedFix, Window
from schemas.goods import Party
from schemas.message import (
    CarrierId,
    Event,
    ParcelId,
    Personal,
    RiderId,
    StopId,
)
from schemas.stop import Stop

Disposition = Literal["delivered", "returned", "lost", "disposed"]
AttemptPolicy = Literal["retry_now", "reattempt_later", "hold_at_hub", "leave_at_door", "return", "dispose"]


class StopEnRoute(Event, frozen=True, kw_only=True):
    """Without a rider it is a carrier's courier."""

    stop_id: StopId
    rider_id: RiderId | None


class StopArrived(Event, frozen=True, kw_only=True):
    """`override_reason` marks an arrival out of the stop's radius; `late` one reported after what followed it: of two
    that are told of a stop the first by its time stands. Without a rider it is a carrier's courier, and where they were
    the carrier may not say. `entrance` is where the rider says that the stop really is, and `remember_as` the key of
    its address, for which that is remembered."""

    stop_id: StopId
    rider_id: RiderId | None
    fix: Personal[ObservedFix] | None
    distance_m: int | None
    override_reason: str | None
    late: bool
    entrance: Personal[Location] | None = None
    remember_as: str | None = None


class ParcelsPickedUp(Event, frozen=True, kw_only=True):
    stop_id: StopId
    parcel_ids: list[ParcelId]
    from_party: Party
    to_party: Party


class ParcelsShort(Event, frozen=True, kw_only=True):
    """They were not at the pickup; they stay with whoever had them."""

    stop_id: StopId
    parcel_ids: list[ParcelId]


class ParcelsDelivered(Event, frozen=True, kw_only=True):
    stop_id: StopId
    parcel_ids: list[ParcelId]
    from_party: Party
    to_party: Party


class ParcelsRefused(Event, frozen=True, kw_only=True):
    """The recipient did not take them; custody does not change."""

    stop_id: StopId
    parcel_ids: list[ParcelId]
    reason_code: str


class ParcelsReturned(Event, frozen=True, kw_only=True):
    stop_id: StopId
    parcel_ids: list[ParcelId]
    from_party: Party
    to_party: Party


class CustomerOnTheWay(Event, frozen=True, kw_only=True):
    stop_id: StopId
    expected_at: datetime | None


class CustomerArrived(Event, frozen=True, kw_only=True):
    stop_id: StopId
    spot: Personal[str] | None
    vehicle: Personal[str] | None


class ParcelsWrittenOff(Event, frozen=True, kw_only=True):
    """Where goods are by statement, not by report: an operator closed the task, or the tenant's rule disposes of
    them."""

    parcel_ids: list[ParcelId]
    disposition: Disposition
    to_party: Party


class DeliveryAttemptFailed(Event, frozen=True, kw_only=True):
    stop_id: StopId
    attempt: int
    reason_code: str
    note: str | None
    evidence: list[str]
    contacts: list[ContactAttempt]
    waited_seconds: int | None
    override_reason: str | None
    at_fault: AtFault
    policy: AttemptPolicy


class ContactAttempted(Event, frozen=True, kw_only=True):
    stop_id: StopId
    rider_id: RiderId
    contact: ContactAttempt


class HoldStarted(Event, frozen=True, kw_only=True):
    """The goods of a stop that failed are to be brought to a hub, or to the outlet where there is none, and wait there
    for another attempt: `stop` is new and stands last."""

    stop: Stop
    parcel_ids: list[ParcelId]
    rider_id: RiderId
    round: int
    reason_code: str


class ParcelsHeld(Event, frozen=True, kw_only=True):
    stop_id: StopId
    parcel_ids: list[ParcelId]
    from_party: Party
    to_party: Party


class ReattemptPlanned(Event, frozen=True, kw_only=True):
    """The goods are fetched at `pickup`, which is new, and the stops of `stop_ids` are ahead again."""

    pickup: Stop
    parcel_ids: list[ParcelId]
    stop_ids: list[StopId]
    window: Window | None
    reason_code: str


class StopCompleted(Event, frozen=True, kw_only=True):
    stop_id: StopId
    rider_id: RiderId | None
    round: int


class StopFailed(Event, frozen=True, kw_only=True):
    stop_id: StopId
    rider_id: RiderId | None
    round: int
    reason_code: str


class StopSkipped(Event, frozen=True, kw_only=True):
    stop_id: StopId
    rider_id: RiderId | None
    round: int
    reason_code: str


class ReturnStarted(Event, frozen=True, kw_only=True):
    """These goods go back: `stop`, where they were picked up, is new and stands last. What came from elsewhere goes
    back by another. Without a rider a carrier has them."""

    stop: Stop
    parcel_ids: list[ParcelId]
    rider_id: RiderId | None
    round: int
    reason_code: str
    cancelled: bool = False
    carrier_id: CarrierId | None = None
