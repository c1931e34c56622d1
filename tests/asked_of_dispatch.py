"""What may be asked of a tender, of a batch window, of a pick wave, of a plan, and of a route."""

from datetime import timedelta
from random import Random
from typing import Any

from drawn import HOME, TASKS, Draws, Repertoire, always, some
from story import KAMPPI, POSTI

from schemas import carrier_offer as c
from schemas import dispatch_window as w
from schemas import pick_wave as j
from schemas import plan as p
from schemas import route as y
from schemas import tender as o
from schemas.dispatch_rules import TenderMode
from schemas.message import (
    OfferId,
    RiderId,
    StopId,
    TaskId,
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
WINDOW: Repertoire = [
    (
        lambda draw, now: w.JoinWindow(
            task_id=draw.choice(TASKS),
            round=draw.randint(1, 3),
            since=now,
            closes_at=now + timedelta(minutes=draw.randint(-1, 10)),
            seconds=60,
        ),
        "dispatch",
        "system",
    ),
    (always(w.CloseWindow()), "deadlines", "system"),
    (
        always(
            w.DecideWindow(
                given=[], left=[], riders=0, total=0, by="", policy_version=1, input_hash="x", solver="batch-1"
            )
        ),
        "dispatch",
        "system",
    ),
]
OFFERS = [OfferId("offer-1"), OfferId("offer-2")]
TO_CARRIER = OfferId("offer-3")
TERMS = c.CarrierOfferTerms(
    service_level="same_day", commitment_seconds=600, price=Money(amount_minor=900, currency="EUR")
)


def opening(draw: Random, now: Any) -> o.OpenTender:
    until = now + timedelta(minutes=10)
    riders = list(zip(OFFERS, ("ann", "bob"), strict=True))
    offers = some(draw, [o.PlannedOffer(offer_id=each, rider_id=RiderId(r), expires_at=until) for each, r in riders])
    if draw.random() < 0.5:
        offers += [o.PlannedOffer(offer_id=TO_CARRIER, carrier_id=POSTI, terms=TERMS, expires_at=until)]
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


def carrier_says(draw: Random, now: Any) -> c.RecordCarrierAnswer:
    answer: c.CarrierAnswer = draw.choice(("accept", "accept", "decline", "counter", "counter"))
    return c.RecordCarrierAnswer(
        offer_id=TO_CARRIER,
        answer=answer,
        carrier_event_id=f"e-{draw.randrange(99)}",
        price=draw.choice((None, Money(amount_minor=draw.choice((900, 2_000)), currency="EUR"))),
        pickup_at=now,
        dropoff_at=now + timedelta(hours=1),
    )


def of_offer(cls: Any, **more: Any) -> Draws:
    return lambda draw, now: cls(offer_id=draw.choice(OFFERS), **more)


TENDER: Repertoire = [
    (opening, "dispatch", "system"),
    *((of_offer(o.ViewOffer), who, "rider") for who in ("ann", "bob")),
    *((of_offer(o.ClaimOffer), who, "rider") for who in ("ann", "bob")),
    *((of_offer(o.ClaimOffer, bid=Money(amount_minor=900, currency="EUR")), who, "rider") for who in ("ann", "bob")),
    *((of_offer(o.DeclineOffer, reason_code="far"), who, "rider") for who in ("ann", "bob")),
    *[(carrier_says, POSTI, "system")] * 3,
    *[(always(c.AcceptCounter(offer_id=TO_CARRIER)), "dora", "dispatcher")] * 2,
    *[(always(c.DeclineCounter(offer_id=TO_CARRIER, reason_code="dear")), "dora", "dispatcher")] * 2,
    (of_offer(o.AwardTender), "dispatch", "system"),
    (always(o.AwardTender(offer_id=TO_CARRIER)), "dispatch", "system"),
    (always(o.ExpireOffer(offer_id=TO_CARRIER)), "deadlines", "system"),
    (of_offer(o.RejectClaim, reason_code="busy"), "dispatch", "system"),
    (of_offer(o.ExpireClaim), "deadlines", "system"),
    (of_offer(o.ExpireOffer), "deadlines", "system"),
    (always(o.CloseBidding()), "deadlines", "system"),
    (always(o.WithdrawTender(reason_code="cancelled")), "dispatch", "system"),
]


def proposed(draw: Random, now: Any) -> p.ProposePlan:
    """Routes for some of the riders, with some of the tasks, or with nothing but another order."""
    tasks = list(TASKS)
    draw.shuffle(tasks)
    routes = []
    for rider in some(draw, [RiderId("ann"), RiderId("bob")]):
        mine = [tasks.pop() for _ in range(draw.randint(0, 2)) if tasks]
        routes.append(route(rider, mine, now))
    return proposed_as(routes, now)


def proposed_as(routes: list[p.PlannedRoute], at: Any) -> p.ProposePlan:
    return p.ProposePlan(
        proposal=p.Proposal(
            decided_at=at,
            policy_version=1,
            solver="pyvrp",
            version="pyvrp 1",
            seed=0,
            input_hash="x",
            source="osrm",
            seconds_asked=1,
            metres=1,
            driving_seconds=1,
            routes=routes,
        )
    )


def route(rider: RiderId, tasks: list[TaskId], now: Any) -> p.PlannedRoute:
    return p.PlannedRoute(
        rider_id=rider,
        tasks=[p.RoutedTask(task_id=task, round=1) for task in tasks],
        visits=[
            p.PlannedVisit(task_id=task, stop_id=StopId("door"), arrives_at=now, begins_at=now, leaves_at=now, metres=1)
            for task in tasks
        ],
        starts_at=now,
        ends_at=now,
        metres=1,
    )


def settled(draw: Random, now: Any) -> p.SettlePlannedTask:
    given = draw.random() < 0.6
    return p.SettlePlannedTask(
        task_id=draw.choice(TASKS), given=given, reason_code=None if given else draw.choice(("task_gone", "on_break"))
    )


PLAN: Repertoire = [
    (
        lambda draw, now: p.RequestPlan(
            outlets=some(draw, ["kamppi"]), commit=draw.choice(("by_hand", "at_once")), replan=draw.random() < 0.5
        ),
        "shop",
        "integrator",
    ),
    (proposed, "planner", "system"),
    (proposed, "planner", "system"),
    (always(p.FailPlan(reason_code="nothing_to_plan")), "planner", "system"),
    *((always(p.CommitPlan()), "dora", "dispatcher") for _ in range(2)),
    (always(p.RejectPlan(reason_code="not_wanted")), "dora", "dispatcher"),
    *((settled, "dispatch", "system") for _ in range(4)),
    (
        lambda draw, now: p.RefuseRoute(rider_id=draw.choice((RiderId("ann"), RiderId("bob"))), reason_code="on_break"),
        "dispatch",
        "system",
    ),
    (
        lambda draw, now: p.NarrowRoute(
            rider_id=draw.choice((RiderId("ann"), RiderId("bob"))), task_ids=some(draw, TASKS)
        ),
        "dispatch",
        "system",
    ),
    (always(p.ClosePlan()), "deadlines", "system"),
]
ROUTE: Repertoire = [
    (always(y.RequestRoute(waypoints=[HOME, KAMPPI], external_reference="way")), "shop", "integrator"),
    (
        always(y.RecordRoute(legs=[y.RouteLeg(distance_m=9, duration_s=3)], geometry="??", provider="osrm")),
        "dispatch",
        "system",
    ),
    (always(y.RecordRouteFailure(reason_code="no_way")), "dispatch", "system"),
]
