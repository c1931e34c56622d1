"""Riders, and what they are offered."""

from gateway.examples.lumi import ANOMALY_ID, AT_KAMPPI, FROM_SHOP, OFFER_ID, PHONE, TASK_ID, TO_DOOR, ZONE_ID, at
from schemas.itinerary import StopRef
from schemas.message import Command, DocumentId, TaskId
from schemas.money import Money
from schemas.rider import (
    ApproveRider,
    BindDevice,
    DismissAnomaly,
    EndBreak,
    EndShift,
    LockNextStop,
    PlanShift,
    RegisterRider,
    ReinstateRider,
    RejectDocument,
    RejectRider,
    ReportComplianceBreach,
    ResequenceItinerary,
    SetRiderRating,
    SetRiderSkills,
    SetRiderZones,
    StartBreak,
    StartShift,
    SubmitDocument,
    SuspendRider,
    UnbindDevice,
    UnlockNextStop,
    VerifyDocument,
)
from schemas.tender import ClaimOffer, DeclineOffer, ViewOffer

LICENCE = DocumentId("licence-1")
MONDAY = "2026-03-02"

RIDERS: dict[str, Command] = {
    "A courier on a bicycle": RegisterRider(
        name="Aino Virtanen",
        phone="+358501112233",
        employment="freelance",
        vehicle="bicycle",
        capacity_g=20_000,
        skills=["chilled"],
        external_reference="rider-aino",
    ),
    "A course on handing out alcohol": SetRiderSkills(skills=["chilled", "alcohol"]),
    "Where the courier rides from now on": SetRiderZones(zones=[ZONE_ID]),
    "What a month of customers thought of them": SetRiderRating(rating=4.7),
    "The papers are in order": ApproveRider(),
    "Too young to drive": RejectRider(reason_code="under_age"),
    "Kept from work until an accident is cleared up": SuspendRider(reason_code="accident", note="See case-19."),
    "Back at work": ReinstateRider(),
    "A driving licence": SubmitDocument(document_id=LICENCE, kind="licence", number="080485-123A"),
    "The licence was looked at": VerifyDocument(
        document_id=LICENCE, valid_from=at(0, day=1), expires_at=at(0, day=1).replace(year=2031)
    ),
    "The licence cannot be read": RejectDocument(document_id=LICENCE, reason_code="illegible"),
    "The licence turned out to be forged": ReportComplianceBreach(
        since=at(6, day=1), until=at(8), reason_code="forged_document", document_id=LICENCE
    ),
}

AT_WORK: dict[str, Command] = {
    "Tuesday's shift": PlanShift(shift_id="2026-03-03", starts_at=at(8, day=3), ends_at=at(16, day=3)),
    "The shift begins at the outlet": StartShift(ends_at=at(16), shift_id=MONDAY, location=AT_KAMPPI),
    "Lunch": StartBreak(),
    "Lunch is over": EndBreak(),
    "Home": EndShift(),
    "The fixes of this phone are the rider's": BindDevice(device_id=PHONE, valid_from=at(7, 55)),
    "The phone is handed in": UnbindDevice(device_id=PHONE, valid_until=at(16, 10)),
    "The phone lay in a car that overtook": DismissAnomaly(
        anomaly_id=ANOMALY_ID, reason_code="not_riding", note="Anna was on the train home."
    ),
    "First the shop, then the door": ResequenceItinerary(
        itinerary_version=4,
        order=[StopRef(task_id=TaskId(TASK_ID), stop_id=stop_id) for stop_id in (FROM_SHOP, TO_DOOR)],
        reason_code="shop_closes_soon",
    ),
    "The rider is told at the door that they come next": LockNextStop(itinerary_version=5, reason_code="promised"),
    "Somebody else is more pressing": UnlockNextStop(reason_code="more_pressing"),
}

OFFERED: dict[str, Command] = {
    "The rider has seen the offer": ViewOffer(offer_id=OFFER_ID),
    "The rider wants it": ClaimOffer(offer_id=OFFER_ID),
    "The rider would do it for so much": ClaimOffer(offer_id=OFFER_ID, bid=Money(amount_minor=950, currency="EUR")),
    "It is too far for the rider": DeclineOffer(offer_id=OFFER_ID, reason_code="too_far"),
}

EXAMPLES = (RIDERS, AT_WORK, OFFERED)
