"""What may be asked of a carrier, and of a booking with one."""

from datetime import timedelta
from random import Random
from typing import Any, get_args

from drawn import Repertoire, always, some
from story import POSTI, SAME_DAY

from schemas import carrier as c
from schemas import carrier_booking as b
from schemas.ids import conflict_id
from schemas.money import Money

CHANNEL = c.CarrierChannel(url="https://posti.example/offers", secret="env:POSTI")

CARRIER: Repertoire = [
    (lambda draw, now: c.RegisterCarrier(name="Posti", terms=agreed(draw)), "shop", "integrator"),
    (lambda draw, now: c.ChangeCarrierDetails(name=draw.choice(("Posti", "Matka"))), "shop", "integrator"),
    (lambda draw, now: c.ChangeCarrierTerms(terms=agreed(draw)), "shop", "integrator"),
    (lambda draw, now: c.SetCarrierChannel(channel=draw.choice((None, CHANNEL))), "olga", "operator"),
    (always(c.ActivateCarrier()), "dora", "dispatcher"),
    (always(c.SuspendCarrier(reason_code="strike")), "dora", "dispatcher"),
    (always(c.ReinstateCarrier()), "dora", "dispatcher"),
    (always(c.EndCarrierContract(reason_code="notice")), "dora", "dispatcher"),
]


def agreed(draw: Random) -> c.CarrierTerms:
    area = c.ServedArea(postal_prefixes=draw.choice(([], ["FI-00"], ["SE"])))
    return c.CarrierTerms(
        service_levels=some(draw, [SAME_DAY]), area=area, currencies=["EUR"], tariff_reference=draw.choice(("a", "b"))
    )


def quoting(draw: Random, now: Any) -> b.QuoteCarrierBooking:
    return b.QuoteCarrierBooking(
        task_id="task-1",
        carrier_id=POSTI,
        service_level="same_day",
        price=Money(amount_minor=900, currency="EUR"),
        estimated_pickup_at=now,
        estimated_dropoff_at=now + timedelta(hours=1),
        expires_at=now + timedelta(minutes=draw.choice((1, 20))),
    )


WORDS: Any = list(get_args(b.CarrierWord))


def saying(draw: Random, now: Any) -> b.RecordCarrierStatus:
    at = now - timedelta(minutes=draw.choice((0, 0, 3)))
    return b.RecordCarrierStatus(status=draw.choice(WORDS), observed_at=at, carrier_event_id=f"e-{draw.randrange(99)}")


def cancelling_carrier(draw: Random, now: Any) -> b.CancelCarrierBooking:
    fee = Money(amount_minor=draw.choice((300, 500)), currency="EUR")
    return b.CancelCarrierBooking(reason_code="changed_mind", fee=draw.choice((None, fee)))


CARRIER_BOOKING: Repertoire = [
    (quoting, "shop", "integrator"),
    *[(always(b.BookCarrier(carrier_reference="P-1")), "shop", "integrator")] * 2,
    (lambda draw, now: b.NameCarrierCourier(name=draw.choice(("Cai", "Kim"))), "shop", "integrator"),
    *[(saying, "shop", "integrator")] * 3,
    *[(always(b.ReviewCarrierStatus(conflict_id=conflict_id("c-1"), decision_code="called")), "dora", "dispatcher")]
    * 2,
    (
        lambda draw, now: b.SettleCarrierBooking(outcome=draw.choice(("delivered", "failed")), reason_code="called"),
        "dora",
        "dispatcher",
    ),
    (cancelling_carrier, "shop", "integrator"),
    (always(b.ExpireCarrierQuote()), "deadlines", "system"),
    (always(b.RefuseCarrierBooking(reason_code="unknown_task")), "carriers", "system"),
    *[(always(b.RecordCarrierSilence()), "deadlines", "system")] * 2,
]
