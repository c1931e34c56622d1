"""From what is known to who is asked: a pure choice, which can be made again from its record."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from schemas.directory import TenantRules
from schemas.dispatch_rules import TenderStep
from schemas.ids import offer_id, tender_id
from schemas.message import RiderId
from schemas.tender import (
    MAX_CANDIDATES,
    MAX_EXCLUDED,
    Candidate,
    Excluded,
    OpenTender,
    Others,
    PlannedOffer,
    Queue,
    WaitingOffer,
)
from schemas.vehicle_fitness import VehicleFitness, fit_for
from streams.dispatch.candidates import Work, excluded_for, planned_until
from streams.dispatch.carrier_choice import carriers_for
from streams.dispatch.insertion import Insertion, Looking, insertions
from streams.dispatch.known import KnownRider
from streams.dispatch.question import Question, Ways
from streams.dispatch.shortlist import LOOKED_AT_CLOSELY, Shortlist, shortlist, work_of

SOLVER = "insertion-1"


class Looked(msgspec.Struct, frozen=True):
    """What became of those who were looked at closely."""

    candidates: Sequence[Candidate]
    more: Others
    """Those who come after them."""
    excluded: Sequence[Excluded]


def choose(question: Question, ways: Mapping[RiderId, Ways], input_hash: str) -> OpenTender:
    """Among those whose ways are known."""
    short = shortlist(question)
    return chosen(question, ways, input_hash, short, looked_at(question, short, ways))


def chosen(
    question: Question, ways: Mapping[RiderId, Ways], input_hash: str, short: Shortlist, looked: Looked
) -> OpenTender:
    """For who has the shortlist at hand, and what became of those who were looked at."""
    step = step_of(question.rules, question.round)
    carriers, carriers_excluded = carriers_for(question, step) if step.to != "riders" else ([], [])
    excluded = sorted([*short.excluded, *looked.excluded], key=lambda each: each.rider_id)
    opening = OpenTender(
        task_id=question.task_id,
        round=question.round,
        mode=step.mode,
        candidates=[*looked.candidates],
        others=joined(looked.more, short.others(ways)),
        excluded=excluded[:MAX_EXCLUDED],
        more_excluded=dict(sorted(Counter(each.code for each in excluded[MAX_EXCLUDED:]).items())),
        carriers=carriers,
        carriers_excluded=carriers_excluded,
        offers=[],
        bids_in=question.rules.dispatch.currency if step.mode == "bid" else None,
        policy_version=question.policy_version,
        weights=question.rules.dispatch.weights,
        input_hash=input_hash,
        solver=SOLVER,
    )
    return with_offers(opening, step, question.decided_at)


def looked_at(question: Question, short: Shortlist, ways: Mapping[RiderId, Ways]) -> Looked:
    found: list[tuple[KnownRider, Insertion]] = []
    excluded: list[Excluded] = []
    work = work_of(question)
    looking = [
        Looking(
            rider=rider,
            fit=fit_to_drive(rider, question, work),
            ways=ways[rider.rider_id],
            at_first=short.at_first_stop(rider),
        )
        for rider in short.riders
        if rider.rider_id in ways
    ]
    told = insertions(looking, question.stops, question.rules.dispatch, question.decided_at)
    for rider, best in zip((each.rider for each in looking), told, strict=True):
        if isinstance(best, Insertion):
            found.append((rider, best))
        else:
            excluded.append(excluded_for(rider.rider_id, best))
    found.sort(key=lambda pair: (pair[1].score, pair[0].rider_id))
    candidates = [
        Candidate(
            rider_id=rider.rider_id,
            rank=rank,
            travel_s=best.parts.travel_s,
            distance_m=short.distance_m(rider),
            source=ways[rider.rider_id].source,
            score=best.score,
            parts=best.parts,
            placed=best.placed,
            ends_at=best.ends_at,
        )
        for rank, (rider, best) in enumerate(found[:MAX_CANDIDATES], start=1)
    ]
    rest = found[MAX_CANDIDATES:]
    more = Others(rider_ids=[rider.rider_id for rider, _ in rest], scores=[best.score for _, best in rest])
    return Looked(candidates, more, excluded)


def joined(first: Others, then: Others) -> Others:
    return Others(rider_ids=[*first.rider_ids, *then.rider_ids], scores=[*first.scores, *then.scores])


def fit_to_drive(rider: KnownRider, question: Question, work: Work) -> Sequence[VehicleFitness]:
    assert rider.shift_ends_at is not None, "who is looked at is at work"
    until = planned_until(rider.shift_ends_at, work, question.decided_at)
    return fit_for(rider.vehicles, question.of_vehicles, question.decided_at, until)[0]


def step_of(rules: TenantRules, task_round: int) -> TenderStep:
    """How a round asks."""
    default = TenderStep(mode=rules.tender_mode, size=rules.broadcast_size, seconds=rules.offer_seconds)
    return rules.dispatch.step(task_round) or default


def with_offers(opening: OpenTender, step: TenderStep, now: datetime) -> OpenTender:
    """Who is asked at once, and who waits."""
    riders, carriers = offers_to_riders(opening, step, now), offers_to_carriers(opening, step, now)
    size, one_after_the_other = asked_at_once(step), step.mode in ("waterfall", "ranked")
    if step.mode == "direct" or one_after_the_other:
        offers = [*riders, *carriers]
        at_once = offers[:size]
    else:
        at_once = [*riders[:size], *carriers[:size]]
        offers = at_once
    waiting = [waits(offer) for offer in offers[size:]][:MAX_CANDIDATES] if one_after_the_other else []
    queued = Queue(waiting=waiting, at_once=size, seconds=step.seconds) if waiting else None
    bids_until = now + timedelta(seconds=step.seconds) if step.mode == "bid" and offers else None
    return msgspec.structs.replace(opening, offers=at_once, queue=queued, bids_until=bids_until)


def offers_to_riders(opening: OpenTender, step: TenderStep, now: datetime) -> list[PlannedOffer]:
    tender = tender_id(opening.task_id, opening.round)
    return [
        PlannedOffer(
            offer_id=offer_id(tender, each.rider_id),
            rider_id=each.rider_id,
            expires_at=now + timedelta(seconds=step.seconds),
            placed=each.placed,
            ends_at=each.ends_at,
        )
        for each in opening.candidates
    ]


def offers_to_carriers(opening: OpenTender, step: TenderStep, now: datetime) -> list[PlannedOffer]:
    """Each stands for the carrier's commitment, but where all bid until the same time."""
    tender = tender_id(opening.task_id, opening.round)
    return [
        PlannedOffer(
            offer_id=offer_id(tender, each.carrier_id),
            expires_at=now + timedelta(seconds=step.seconds if step.mode == "bid" else each.terms.commitment_seconds),
            carrier_id=each.carrier_id,
            terms=each.terms,
        )
        for each in opening.carriers
    ]


def waits(offer: PlannedOffer) -> WaitingOffer:
    return WaitingOffer(
        offer_id=offer.offer_id,
        rider_id=offer.rider_id,
        placed=offer.placed,
        ends_at=offer.ends_at,
        carrier_id=offer.carrier_id,
        terms=offer.terms,
    )


def enough(step: TenderStep) -> int:
    """So many candidates a round has use for; where they are asked one batch after the other, two batches at least."""
    if step.mode in ("waterfall", "ranked"):
        return min(MAX_CANDIDATES, max(LOOKED_AT_CLOSELY, 2 * asked_at_once(step)))
    return asked_at_once(step)


def asked_at_once(step: TenderStep) -> int:
    match step.mode:
        case "direct" | "waterfall":
            return 1
        case "self_claim":
            return MAX_CANDIDATES
        case "broadcast" | "ranked" | "bid":
            return step.size
