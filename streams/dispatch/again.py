"""A recorded decision, made again: from the same record the same must come; and what by other rules?"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from schemas.carrier_offer import CarrierCandidate, ExcludedCarrier
from schemas.dispatch_rules import DispatchRules, ScoreWeights
from schemas.itinerary import Bundled
from schemas.message import RiderId
from schemas.tender import Candidate, Excluded, InWindow, OpenTender, Others
from streams.dispatch import batch, batch_question
from streams.dispatch.batch_reasons import reasons
from streams.dispatch.batch_tenders import Tenders, outcome_of
from streams.dispatch.choice import SOLVER, choose
from streams.dispatch.question import Question, Record, Ways, record_of
from streams.dispatch.shortlist import LOOKED_AT_CLOSELY, shortlist
from streams.dispatch.straight import read
from streams.routing.great_circle import DETOUR, SPEED_MPS


class CannotBeMadeAgain(ValueError):
    """Says why: another solver made it, or its record is none."""


def differences(decision: Mapping[str, Any], record: bytes) -> list[str]:
    """What of a decision, as the read model has it, would be different if it were made now from its record. Raises
    CannotBeMadeAgain."""
    again = of_window if decision["in_window"] is not None else of_one
    try:
        opening = again(decision, record)
    except msgspec.DecodeError as broken:
        raise CannotBeMadeAgain(f"its record cannot be read: {broken}") from broken
    return [name for name, recorded in as_recorded(decision).items() if recorded != getattr(opening, name)]


def of_one(decision: Mapping[str, Any], record: bytes) -> OpenTender:
    made_by(decision, SOLVER)
    known = record_of(record)
    return choose(known.question, known.ways, decision["input_hash"])


def of_window(decision: Mapping[str, Any], record: bytes) -> OpenTender:
    """The whole window's, and of that this task's."""
    made_by(decision, batch.SOLVER)
    known = batch_question.record_of(record)
    question = known.question
    found = batch.divided(question, known.ways)
    answer = batch.answer_of(question, found)
    outcome = outcome_of(question, answer, decision["input_hash"])
    told = reasons(question, found, answer, known.ways.source)
    window = msgspec.convert(decision["in_window"], InWindow).window_id
    tenders = Tenders(window, outcome, question.decided_at, told, question.rules.dispatch.weights)
    for opening in tenders.all():
        if opening.task_id == decision["task_id"]:
            return opening
    raise CannotBeMadeAgain(f"there was no room to look at task {decision['task_id']} in window {window}")


def made_by(decision: Mapping[str, Any], solver: str) -> None:
    """Raises CannotBeMadeAgain."""
    if decision["solver"] != solver:
        raise CannotBeMadeAgain(f"it was made by {decision['solver']}, and this is {solver}")


def as_recorded(decision: Mapping[str, Any]) -> dict[str, Any]:
    types = {
        "bundle": list[Bundled],
        "candidates": list[Candidate],
        "others": Others,
        "excluded": list[Excluded],
        "carriers": list[CarrierCandidate],
        "carriers_excluded": list[ExcludedCarrier],
        "weights": ScoreWeights | None,
        "in_window": InWindow | None,
    }
    plain = {name: decision[name] for name in ("task_id", "round", "mode", "policy_version", "more_excluded")}
    return plain | {name: msgspec.convert(decision[name], tp) for name, tp in types.items()}


def by_other_rules(record: Record, rules: DispatchRules) -> OpenTender:
    """What would have been decided by these. Of riders whose ways nobody asked for then they are told as the crow
    flies."""
    question = replace(record.question, rules=replace(record.question.rules, dispatch=rules))
    starts = rows_of(question)
    closely = [rider.rider_id for rider in shortlist(question).riders[:LOOKED_AT_CLOSELY]]
    guessed = {rider: guess(question, starts[rider]) for rider in closely if rider not in record.ways}
    return choose(question, {**record.ways, **guessed}, "")


def rows_of(question: Question) -> dict[RiderId, tuple[int, int]]:
    """Of each rider whose place is known the first of their points, and how many they have."""
    rows: dict[RiderId, tuple[int, int]] = {}
    row = 0
    for rider in question.riders:
        if rider.placed:
            rows[rider.rider_id] = row, 1 + len(rider.itinerary)
            row += 1 + len(rider.itinerary)
    return rows


def guess(question: Question, points: tuple[int, int]) -> Ways:
    first, count = points
    stops = len(question.stops)
    to_task = read(question.straight.to_task, stops)[first : first + count]
    metres = np.full((count + stops, count + stops), np.nan)
    metres[:count, count:] = to_task
    metres[count:, :count] = to_task.T
    metres[count:, count:] = read(question.straight.between, stops)
    for point, leg in enumerate(read(question.straight.onward)[first : first + count - 1]):
        metres[point, point + 1] = leg
    return Ways.of(metres * DETOUR / SPEED_MPS, metres * DETOUR, "great_circle")
