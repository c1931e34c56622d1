"""What a check found: which invariant, where, and what is wrong."""

from collections.abc import Awaitable, Collection
from typing import Literal

import msgspec
import structlog

INVARIANTS = {
    "I1": "an aggregate's versions are contiguous",
    "I2": "a command takes effect at most once",
    "I3": "what was acknowledged is in the log",
    "I4": "an owner's memory is the fold of the log",
    "I5": "read models are the fold of the log, both ways",
    "I7": "one winner, one assignee, one party at a time",
    "I8": "commands are whole, and readers stop between",
    "I9": "processes replayed from nothing add nothing",
    "I10": "the chain of hashes verifies",
}
KEPT_AT_MOST = 100
"""Findings of one invariant that are kept with their words; of the rest only the count."""

logger = structlog.get_logger()


class NotJudged(Exception):
    """An invariant could not be looked at: says what stands in the way."""


class Finding(msgspec.Struct, frozen=True):
    invariant: str
    where: str
    what: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Of one invariant. `reason` says why it was not judged."""

    invariant: str
    meaning: str
    looked_at: int
    """How many of what it is about were judged."""
    state: Literal["holds", "broken", "nothing to judge", "not judged"]
    broken: int = 0
    """How many findings there are; `findings` holds the first of them."""
    findings: list[Finding] = []
    reason: str | None = None

    @property
    def passes(self) -> bool:
        return self.state in ("holds", "nothing to judge")


class Judgement:
    """Of one invariant, while it is looked at."""

    def __init__(self, invariant: str) -> None:
        self.invariant = invariant
        self.looked_at = 0
        self._broken = 0
        self._findings: list[Finding] = []

    def found(self, where: str, what: str) -> None:
        self.counted(1)
        if len(self._findings) < KEPT_AT_MOST:
            self._findings.append(Finding(self.invariant, where, what))

    def counted(self, findings: int) -> None:
        """More that are wrong, without their words."""
        self._broken += findings

    def verdict(self) -> Verdict:
        if not (self.looked_at or self._broken):
            return nothing_to_judge(self.invariant, "there is nothing here that it is about")
        return Verdict(
            invariant=self.invariant,
            meaning=INVARIANTS[self.invariant],
            looked_at=self.looked_at,
            state="broken" if self._broken else "holds",
            broken=self._broken,
            findings=self._findings,
        )


def holding(verdicts: Collection[Verdict]) -> bool:
    """Nothing is wrong, and something was judged: on an empty log, or a wrong one, nothing is proved."""
    return all(verdict.passes for verdict in verdicts) and any(verdict.state == "holds" for verdict in verdicts)


def nothing_to_judge(invariant: str, reason: str) -> Verdict:
    return Verdict(
        invariant=invariant, meaning=INVARIANTS[invariant], looked_at=0, state="nothing to judge", reason=reason
    )


def not_judged(invariant: str, reason: str) -> Verdict:
    return Verdict(invariant=invariant, meaning=INVARIANTS[invariant], looked_at=0, state="not judged", reason=reason)


async def judged(invariant: str, judging: Awaitable[Verdict]) -> Verdict:
    """What stands in the way of one judgement does not stand in the way of the others."""
    try:
        return await judging
    except NotJudged as hindered:
        return not_judged(invariant, str(hindered))
    except Exception as failed:
        logger.exception("not judged", invariant=invariant)
        return not_judged(invariant, f"{type(failed).__name__}: {failed}")
