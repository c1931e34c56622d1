"""Carriers under contract, and what is booked with them."""

from gateway.examples.lumi import BOOKING, CARRIER, CARRIER_ID, OFFER_ID, OUTLET, STATUS_CONFLICT_ID, TASK_ID, at
from schemas.carrier import (
    ActivateCarrier,
    CarrierChannel,
    CarrierPrice,
    CarrierTerms,
    ChangeCarrierDetails,
    ChangeCarrierTerms,
    EndCarrierContract,
    NewCarrierContact,
    RegisterCarrier,
    ReinstateCarrier,
    ServedArea,
    ServiceLevel,
    SetCarrierChannel,
    SuspendCarrier,
)
from schemas.carrier_booking import (
    BookCarrier,
    CancelCarrierBooking,
    NameCarrierCourier,
    QuoteCarrierBooking,
    RecordCarrierStatus,
    ReviewCarrierStatus,
    SettleCarrierBooking,
)
from schemas.carrier_offer import AcceptCounter, DeclineCounter
from schemas.geo import ObservedFix
from schemas.load import Capacity
from schemas.message import Command
from schemas.money import Money

EXPRESS = ServiceLevel(
    code="express",
    title="Within the hour",
    commitment_seconds=120,
    silence_seconds=1_200,
    kinds=["delivery"],
    capacity=Capacity(weight_g=12_000, volume_cm3=60_000, parcels=4),
    price=CarrierPrice(currency="EUR", base_minor=650, per_km_minor=120),
)
SAME_DAY = ServiceLevel(code="same_day", title="By the evening", commitment_seconds=600, silence_seconds=7_200)
DESK = NewCarrierContact(name="Outi Salo", phone="+358209876543", email="desk@pulu.example")
AREA = ServedArea(outlets=[OUTLET], postal_prefixes=["FI-00", "FI-02"])

CARRIERS: dict[str, Command] = {
    "Bicycle couriers for the inner city": RegisterCarrier(
        name="Pulu Couriers",
        contact=DESK,
        terms=CarrierTerms(
            service_levels=[EXPRESS],
            area=AREA,
            currencies=["EUR"],
            tariff_reference="tariff-2026-1",
            capabilities=["chilled"],
        ),
        external_reference=CARRIER,
    ),
    "Somebody else answers there": ChangeCarrierDetails(
        name="Pulu Couriers", contact=NewCarrierContact(name="Ilmari Laine", phone="+358209876544")
    ),
    "They deliver by the evening, too": ChangeCarrierTerms(
        terms=CarrierTerms(
            service_levels=[EXPRESS, SAME_DAY], area=AREA, currencies=["EUR"], tariff_reference="tariff-2026-2"
        )
    ),
    "Where they are told of offers": SetCarrierChannel(
        channel=CarrierChannel(url="https://dispatch.pulu.example/lumi", secret="env:PULU_WEBHOOK_SECRET")
    ),
    "The contract is in force": ActivateCarrier(),
    "They are on strike": SuspendCarrier(reason_code="strike"),
    "The strike is over": ReinstateCarrier(),
    "Notice was given": EndCarrierContract(reason_code="notice"),
}

BOOKINGS: dict[str, Command] = {
    "12.50 euros, within the hour": QuoteCarrierBooking(
        task_id=TASK_ID,
        carrier_id=CARRIER_ID,
        service_level="express",
        price=Money(amount_minor=1_250, currency="EUR"),
        estimated_pickup_at=at(10, 20),
        estimated_dropoff_at=at(10, 50),
        expires_at=at(10, 10),
        external_reference=BOOKING,
    ),
    "Booked, as the carrier confirms": BookCarrier(carrier_reference="PULU-7F3K2"),
    "Who comes": NameCarrierCourier(name="Tuomas Niemi", phone="+358449990001"),
    "The courier has the goods": RecordCarrierStatus(
        status="picked_up",
        observed_at=at(10, 24),
        carrier_event_id="evt-90017",
        fix=ObservedFix(lat=60.169, lon=24.931, observed_at=at(10, 24)),
    ),
    "It could not be delivered": RecordCarrierStatus(
        status="failed", observed_at=at(10, 58), carrier_event_id="evt-90031", reason_code="nobody_home"
    ),
    "The status was of another booking": ReviewCarrierStatus(
        conflict_id=STATUS_CONFLICT_ID, decision_code="another_booking"
    ),
    "The customer says that it has come": SettleCarrierBooking(outcome="delivered", reason_code="customer_confirmed"),
    "The shop needs it no more, for a fee": CancelCarrierBooking(
        reason_code="customer_cancelled", fee=Money(amount_minor=300, currency="EUR")
    ),
}

COUNTERS: dict[str, Command] = {
    "The carrier may have it for what it asks": AcceptCounter(offer_id=OFFER_ID),
    "It is too much": DeclineCounter(offer_id=OFFER_ID, reason_code="too_dear"),
}

EXAMPLES = (CARRIERS, BOOKINGS, COUNTERS)
