"""What may be asked of a tender, of a pick wave, and of a route."""

from datetime import timedelta
from random import Random
from typing import Any

from drawn import HOME, TASKS, Draws, Repertoire, always, some
from story import KAMPPI

from schemas import pick_wave as j
from schemas import route as w
from schemas import tender as o
from schemas.dispatch_rules import TenderMode
from schemas.message import (
    OfferId,
    RiderId,
)
from schemas.money import Money

PICK_WAVE: Repertoire = [
    (
        lambda draw, now: j.CreatePickWave(outlet="kamppi", goods_ready_at=now + timedelta(hours=1)),
        "shop",
        "integrator",
    ),
    (
        lambda draw, now: j.RetimePickWave(goods_ready_at=now + timedelta(minutes=draw.randint(1, 90))),
        "shop",
        "integrator",
    ),
    (always(j.ReleasePickWave()), "shop", "integrator"),
    (always(j.CancelPickWave(reason_code="closed")), "shop", "integrator"),
    (lambda draw, now: j.JoinPickWave(task_id=draw.choice(TASKS)), "dispatch", "system"),
    (lambda draw, now: j.LeavePickWave(task_id=draw.choice(TASKS)), "dispatch", "system"),
]
OFFERS = [OfferId("offer-1"), OfferId("offer-2")]


def opening(draw: Random, now: Any) -> o.OpenTender:
    until = now + timedelta(minutes=10)
    riders = list(zip(OFFERS, ("ann", "bob"), strict=True))
    offers = some(draw, [o.PlannedOffer(offer_id=each, rider_id=RiderId(r), expires_at=until) for each, r in riders])
    asked = {offer.offer_id for offer in offers}
    waiting = [o.WaitingOffer(offer_id=each, rider_id=RiderId(r)) for each, r in riders if each not in asked]
    mode: TenderMode = draw.choice(("broadcast", "ranked", "bid"))
    return o.OpenTender(
        task_id=TASKS[0],
        round=1,
        mode=mode,
        candidates=[],
        excluded=[],
        offers=offers,
        queue=o.Queue(waiting=waiting, at_once=1, seconds=60) if mode == "ranked" and offers else None,
        bids_until=until if mode == "bid" and offers else None,
        bids_in="EUR" if mode == "bid" and offers else None,
        policy_version=1,
        input_hash="x",
        solver="x",
    )


def of_offer(cls: Any, **more: Any) -> Draws:
    return lambda draw, now: cls(offer_id=draw.choice(OFFERS), **more)


TENDER: Repertoire = [
    (opening, "dispatch", "system"),
    *((of_offer(o.ViewOffer), who, "rider") for who in ("ann", "bob")),
    *((of_offer(o.ClaimOffer), who, "rider") for who in ("ann", "bob")),
    *((of_offer(o.ClaimOffer, bid=Money(amount_minor=900, currency="EUR")), who, "rider") for who in ("ann", "bob")),
    *((of_offer(o.DeclineOffer, reason_code="far"), who, "rider") for who in ("ann", "bob")),
    (of_offer(o.AwardTender), "dispatch", "system"),
    (of_offer(o.RejectClaim, reason_code="busy"), "dispatch", "system"),
    (of_offer(o.ExpireClaim), "deadlines", "system"),
    (of_offer(o.ExpireOffer), "deadlines", "system"),
    (always(o.CloseBidding()), "deadlines", "system"),
    (always(o.WithdrawTender(reason_code="cancelled")), "dispatch", "system"),
]

ROUTE: Repertoire = [
    (always(w.RequestRoute(waypoints=[HOME, KAMPPI], external_reference="way")), "shop", "integrator"),
    (
        always(w.RecordRoute(legs=[w.RouteLeg(distance_m=9, duration_s=3)], geometry="??", provider="osrm")),
        "dispatch",
        "system",
    ),
    (always(w.RecordRouteFailure(reason_code="no_way")), "dispatch", "system"),
]
