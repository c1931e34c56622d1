"""Which carriers could do a task, for how much, and what shuts out the others."""

from collections.abc import Sequence

import msgspec
import numpy as np

from schemas.carrier import CarrierPrice, ServiceLevel
from schemas.carrier_offer import (
    MAX_CARRIER_CANDIDATES,
    CarrierCandidate,
    CarrierExclusion,
    CarrierOfferTerms,
    ExcludedCarrier,
)
from schemas.dispatch_rules import TenderStep
from schemas.load import Load, Overload, beyond, peak_load
from schemas.money import Money
from streams.dispatch.known import KnownCarrier
from streams.dispatch.question import Question
from streams.dispatch.straight import read


class Unfit(msgspec.Struct, frozen=True):
    """Why a carrier, or one of its service levels, cannot do it."""

    code: CarrierExclusion
    price: Money | None = None
    overload: Overload | None = None


class Fit(msgspec.Struct, frozen=True):
    level: ServiceLevel
    price: Money | None


def carriers_for(question: Question, step: TenderStep) -> tuple[list[CarrierCandidate], list[ExcludedCarrier]]:
    """The cheapest first, those without a price last, equal ones by their ids."""
    found: list[tuple[KnownCarrier, Fit]] = []
    excluded: list[ExcludedCarrier] = []
    load, way_m = peak_load(stop.load for stop in question.stops), way_through(question)
    for carrier in question.carriers:
        best = shut_out(carrier, question, step) or best_level(carrier, question, step, load, way_m)
        if isinstance(best, Fit):
            found.append((carrier, best))
        else:
            out = ExcludedCarrier(
                carrier_id=carrier.carrier_id, code=best.code, price=best.price, overload=best.overload
            )
            excluded.append(out)
    found.sort(key=lambda pair: (*cheapest(pair[1]), pair[0].carrier_id))
    able = enumerate(found[:MAX_CARRIER_CANDIDATES], start=1)
    candidates = [candidate(carrier, fit, rank, question, step) for rank, (carrier, fit) in able]
    return candidates, excluded[:MAX_CARRIER_CANDIDATES]


def way_through(question: Question) -> float:
    """Metres through the task's stops, as the crow flies."""
    between = read(question.straight.between, len(question.stops))
    return float(np.diagonal(between, 1).sum())


def shut_out(carrier: KnownCarrier, question: Question, step: TenderStep) -> Unfit | None:
    """By what is so for all its service levels."""
    if step.carriers and carrier.carrier_id not in step.carriers:
        return Unfit("not_named")
    if not carrier.active:
        return Unfit("contract_not_active")
    if not carrier.told:
        return Unfit("not_to_be_told")
    if carrier.answered is not None:
        return Unfit(carrier.answered)
    if carrier.outside is not None:
        return Unfit(carrier.outside)
    if not {skill.replace("-", "_") for skill in question.required_skills} <= carrier.capabilities:
        return Unfit("capability_missing")
    return None


def best_level(carrier: KnownCarrier, question: Question, step: TenderStep, load: Load, way_m: float) -> Fit | Unfit:
    """The cheapest that fits; where none does, why the last one that came closest does not."""
    levels = [level for level in carrier.levels if step.service_level in (None, level.code)]
    judged = [judged_level(level, question, step, load, way_m) for level in levels]
    fits = [each for each in judged if isinstance(each, Fit)]
    if fits:
        return min(fits, key=cheapest)
    unfit = [each for each in judged if isinstance(each, Unfit)]
    return max(unfit, key=lambda each: CLOSENESS.index(each.code), default=Unfit("service_level_missing"))


CLOSENESS: Sequence[CarrierExclusion] = ("kind_not_served", "over_capacity", "no_price", "currency_differs", "too_dear")
"""In the order in which a service level is judged."""


def judged_level(level: ServiceLevel, question: Question, step: TenderStep, load: Load, way_m: float) -> Fit | Unfit:
    if level.kinds and question.kind not in level.kinds:
        return Unfit("kind_not_served")
    if level.capacity is not None and (too_much := beyond(load, level.capacity)):
        return Unfit("over_capacity", overload=too_much[0])
    if level.price is None:
        return Fit(level, None) if step.mode == "bid" else Unfit("no_price")
    price, rules = priced(level.price, way_m), question.rules.dispatch
    if price.currency != rules.currency:
        return Unfit("currency_differs", price)
    if rules.max_carrier_price_minor is not None and price.amount_minor > rules.max_carrier_price_minor:
        return Unfit("too_dear", price)
    return Fit(level, price)


def priced(price: CarrierPrice, way_m: float) -> Money:
    """Each kilometre that is begun counts."""
    kilometres = -(-round(way_m) // 1_000)
    return Money(amount_minor=price.base_minor + price.per_km_minor * kilometres, currency=price.currency)


def cheapest(fit: Fit) -> tuple[bool, int, str]:
    return fit.price is None, 0 if fit.price is None else fit.price.amount_minor, fit.level.code


def candidate(carrier: KnownCarrier, fit: Fit, rank: int, question: Question, step: TenderStep) -> CarrierCandidate:
    ends = [(stop.kind, stop.window.end) for stop in question.stops if stop.window is not None]
    return CarrierCandidate(
        carrier_id=carrier.carrier_id,
        rank=rank,
        score=None if fit.price is None else float(fit.price.amount_minor),
        terms=CarrierOfferTerms(
            service_level=fit.level.code,
            commitment_seconds=fit.level.commitment_seconds,
            price=fit.price,
            pickup_by=next((end for kind, end in ends if kind == "pickup"), None),
            bids=step.mode == "bid",
            deliver_by=next((end for kind, end in reversed(ends) if kind == "dropoff"), None),
        ),
    )
