"""Of whom the examples tell: Lumi, a shop in Helsinki, on a Monday in March."""

from datetime import UTC, datetime

from schemas.geo import Location
from schemas.ids import aggregate_id, command_id, conflict_id, derived, proof_id, tender_id
from schemas.message import DeviceId, OfferId, ParcelId, RiderId, StopId, TaskId

TENANT = "lumi"
SHOP = "shop"
"""The subject of the token that its orders come with."""
OUTLET, SECOND_OUTLET, HUB, LOCKER = "kamppi", "kallio", "pasila", "rautatientori"
ZONE = "Europe/Helsinki"

AT_KAMPPI = Location(lat=60.1688, lon=24.9316)
AT_KALLIO = Location(lat=60.1841, lon=24.9511)
AT_PASILA = Location(lat=60.1986, lon=24.9337)
AT_HOME = Location(lat=60.161, lon=24.942)


def at(hour: int, minute: int = 0, day: int = 2) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def id_of(kind: str, reference: str) -> str:
    """As it is derived from the shop's own reference."""
    return aggregate_id(kind, TENANT, SHOP, reference)


ORDER, TRANSFER, VEHICLE, CARRIER, BOOKING = "order-10042", "transfer-311", "van-7", "carrier-pulu", "booking-58"
WAVE, PLAN = "wave-9", "morning-2026-03-02"
RECURRENCE = "bread-881"
TASK_ID = id_of("task", ORDER)
WAVE_ID = id_of("pick_wave", WAVE)
TRANSFER_ID = id_of("task", TRANSFER)
RIDER_ID = RiderId(id_of("rider", "rider-aino"))
OTHER_RIDER_ID = RiderId(id_of("rider", "rider-eero"))
VEHICLE_ID = id_of("vehicle", VEHICLE)
ZONE_ID = id_of("geofence", "zone-centre")
CARRIER_ID = id_of("carrier", CARRIER)
TENDER_ID = tender_id(TaskId(TASK_ID), 1)
SLA_POLICY_ID = id_of("sla_policy", "urgent")
INCIDENT_ID = id_of("incident", "case-19")
OFFER_ID = OfferId(id_of("tender", "offer-1"))
PROOF_ID = proof_id(command_id(TASK_ID, "delivered"), 0)
CONFLICT_ID = conflict_id(command_id(TASK_ID, "arrived"))
STATUS_CONFLICT_ID = conflict_id(command_id(id_of("carrier_booking", BOOKING), "picked-up"))

FROM_SHOP, TO_DOOR, COUNTER = StopId("shop"), StopId("door"), StopId("counter")
AT_OUTLET, AT_HOLD, BACK = StopId("kallio"), StopId("hold-1"), StopId("return-1")
BAG, SECOND_BAG, CRATE = ParcelId("bag-1"), ParcelId("bag-2"), ParcelId("crate-1")
PHONE = DeviceId("phone-aino")
ANOMALY_ID = derived("signal", RIDER_ID, "AnomalyDetected", "speeding", PHONE, "1772449200000")
PHOTO = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
SIGNATURE = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
