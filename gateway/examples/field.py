"""What is reported from the way: by riders, and by who comes for a collection."""

from gateway.examples.lumi import (
    AT_HOLD,
    AT_HOME,
    BACK,
    BAG,
    COUNTER,
    FROM_SHOP,
    OTHER_RIDER_ID,
    PHOTO,
    SECOND_BAG,
    SIGNATURE,
    TO_DOOR,
    at,
)
from schemas.field_report import (
    CaptureProof,
    ContactAttempt,
    ReportArrived,
    ReportAttemptFailed,
    ReportCollected,
    ReportContactAttempt,
    ReportCustomerArrived,
    ReportCustomerOnTheWay,
    ReportDelivered,
    ReportEnRoute,
    ReportHeld,
    ReportPickedUp,
    ReportReturned,
)
from schemas.geo import Location, ObservedFix
from schemas.goods import ReportParcelsDamaged, ReportParcelsLost
from schemas.hand_over import AcceptHandOver, DeclineHandOver, OfferHandOver, WithdrawHandOver
from schemas.message import Command
from schemas.proof import IdCheckEntry, PhotoEntry, PinEntry, ScanEntry, SignatureEntry

HERE = ObservedFix(lat=AT_HOME.lat, lon=AT_HOME.lon, accuracy_m=12.0, observed_at=at(10, 38))
CORNER = Location(lat=60.1625, lon=24.9412)
SCAN = ScanEntry(parcel_id=BAG, code="LUMI-10042-1")
CALL = ContactAttempt(channel="call", attempted_at=at(10, 41))

BY_RIDERS: dict[str, Command] = {
    "On the way to the shop": ReportEnRoute(
        stop_id=FROM_SHOP, observed_at=at(9, 40), device_id="phone-7", device_sequence=17
    ),
    "At the door": ReportArrived(stop_id=TO_DOOR, observed_at=at(10, 38), fix=HERE),
    "Further away than is allowed, and why": ReportArrived(
        stop_id=TO_DOOR, observed_at=at(10, 38), fix=HERE, override_reason="road_closed"
    ),
    "All is there, the bag is scanned": ReportPickedUp(stop_id=FROM_SHOP, observed_at=at(9, 55), proofs=[SCAN]),
    "The second bag was not there": ReportPickedUp(stop_id=FROM_SHOP, observed_at=at(9, 55), short=[SECOND_BAG]),
    "Handed over for the PIN": ReportDelivered(
        stop_id=TO_DOOR, observed_at=at(10, 41), proofs=[PinEntry(pin="4821", fix=HERE)]
    ),
    "Left with a photo; one bag was not taken": ReportDelivered(
        stop_id=TO_DOOR,
        observed_at=at(10, 41),
        refused=[SECOND_BAG],
        refusal_reason="thawed",
        proofs=[PhotoEntry(sha256=PHOTO, taken_at=at(10, 40), fix=HERE)],
    ),
    "Nobody opened; the rider called, waited and took a photo": ReportAttemptFailed(
        stop_id=TO_DOOR,
        observed_at=at(10, 47),
        reason_code="customer_unavailable",
        evidence=[PHOTO],
        contacts=[CALL],
        waited_seconds=300,
    ),
    "A call that nobody answered": ReportContactAttempt(stop_id=TO_DOOR, observed_at=at(10, 41), contact=CALL),
    "The goods wait at the hub": ReportHeld(
        stop_id=AT_HOLD, observed_at=at(11, 20), proofs=[SignatureEntry(sha256=SIGNATURE, signer="Veikko Aalto")]
    ),
    "Back at the shop": ReportReturned(stop_id=BACK, observed_at=at(11, 35), proofs=[SCAN]),
    "A photo that had to wait for the network": CaptureProof(
        stop_id=TO_DOOR, observed_at=at(10, 40), proofs=[PhotoEntry(sha256=PHOTO, taken_at=at(10, 40))]
    ),
    "A puncture: another rider takes it": OfferHandOver(to_rider=OTHER_RIDER_ID, place=CORNER, reason_code="puncture"),
    "The other rider has the bag": AcceptHandOver(observed_at=at(10, 20), scans=[SCAN]),
    "The other rider is too far away": DeclineHandOver(reason_code="too_far"),
    "The wheel is mended": WithdrawHandOver(reason_code="mended"),
    "Stolen off the bicycle": ReportParcelsLost(
        parcel_ids=[BAG], reason_code="stolen", observed_at=at(10, 12), note="At the corner of Fredrikinkatu."
    ),
    "Wet from the rain": ReportParcelsDamaged(
        parcel_ids=[BAG], reason_code="wet", observed_at=at(10, 12), evidence=[PHOTO]
    ),
}

AT_A_COLLECTION: dict[str, Command] = {
    "The customer has set out": ReportCustomerOnTheWay(stop_id=COUNTER, observed_at=at(15, 5), expected_at=at(15, 20)),
    "The customer waits in a parking bay": ReportCustomerArrived(
        stop_id=COUNTER, observed_at=at(15, 18), spot="Bay 3", vehicle="A red Fiat"
    ),
    "Collected, after a look at the customer's age": ReportCollected(
        stop_id=COUNTER, observed_at=at(15, 22), proofs=[IdCheckEntry(result="pass", age_band="25_or_over")]
    ),
}

EXAMPLES = (BY_RIDERS, AT_A_COLLECTION)
