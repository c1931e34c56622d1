"""What a check found: which invariant, where, and what is wrong."""

import msgspec

INVARIANTS = {
    "I1": "versions are contiguous for each aggregate",
    "I2": "a command takes effect at most once",
    "I3": "what was acknowledged is in the log",
    "I4": "the fold of the log is the owner's memory",
    "I5": "a rebuilt read model is the live one, row for row",
    "I7": "one winner a tender, one assignee a task, one party a parcel",
    "I8": "a command's records stand together, and the projector stops between commands",
    "I9": "processes replayed from nothing add nothing",
    "I10": "the chain of hashes verifies",
}
MOST_TOLD = 20


class Finding(msgspec.Struct, frozen=True):
    invariant: str
    where: str
    what: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Of one invariant. `looked_at` counts what was judged; `skipped` says why nothing was."""

    invariant: str
    meaning: str
    looked_at: int
    findings: list[Finding]
    skipped: str | None = None

    @property
    def holds(self) -> bool:
        return not self.findings


def verdict(invariant: str, looked_at: int, findings: list[Finding], skipped: str | None = None) -> Verdict:
    return Verdict(
        invariant=invariant,
        meaning=INVARIANTS[invariant],
        looked_at=looked_at,
        findings=findings,
        skipped=skipped,
    )
