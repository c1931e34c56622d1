"""A recorded decision, made again: from the same record the same must come."""

from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.dispatch_rules import ScoreWeights
from schemas.tender import Candidate, Excluded, Others
from streams.dispatch.choice import SOLVER, choose
from streams.dispatch.question import record_of


class CannotBeMadeAgain(ValueError):
    """Says why: another solver made it, or its record is none."""


def differences(decision: Mapping[str, Any], record: bytes) -> list[str]:
    """What of a decision, as the read model has it, would be different if it were made now from its record. Raises
    CannotBeMadeAgain."""
    if decision["solver"] != SOLVER:
        raise CannotBeMadeAgain(f"it was made by {decision['solver']}, and this is {SOLVER}")
    try:
        known = record_of(record)
    except msgspec.DecodeError as broken:
        raise CannotBeMadeAgain(f"its record cannot be read: {broken}") from broken
    opening = choose(known.question, known.ways, decision["input_hash"])
    return [name for name, recorded in as_recorded(decision).items() if recorded != getattr(opening, name)]


def as_recorded(decision: Mapping[str, Any]) -> dict[str, Any]:
    types = {
        "candidates": list[Candidate],
        "others": Others,
        "excluded": list[Excluded],
        "weights": ScoreWeights | None,
    }
    plain = {name: decision[name] for name in ("task_id", "round", "mode", "policy_version")}
    return plain | {name: msgspec.convert(decision[name], tp) for name, tp in types.items()}
