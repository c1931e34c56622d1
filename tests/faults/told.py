"""What a client was told, and whether it may have been: I6, and that no read is older than its token.

Each of these clients drives its tasks alone, in a tenant where nobody else does anything that could forbid a command.
So it knows of each command what the answer must be, whoever gives it.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from infra.check.finding import KEPT_AT_MOST, Finding, Verdict

type Asked = Literal["create", "create otherwise", "cancel", "cancel anew", "ride", "read"]
"""`create otherwise`: under a reference that was used, with another body. `cancel anew`: of what is cancelled, under
another key. `ride`: a rider's command for what the read models showed them."""

TAKEN = 300
"""Statuses below are acceptances."""


class First(msgspec.Struct, frozen=True):
    """The first answer to a command: every repeat of it is told the same."""

    version: int
    command_id: str
    consistency: str
    recorded_at: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One final answer, as the client wrote it down before it went on."""

    at: float
    """Seconds since 1970."""
    client: str
    gateway: str
    asked: Asked
    aggregate_id: str
    key: str
    status: int
    code: str | None = None
    """Of a problem."""
    answer: First | None = None
    events: Sequence[str] = ()
    first: First | None = None
    """What the client had been told of this command before."""
    version: int = 0
    """Of the aggregate, as far as the client knew before it asked."""


def wrong(told: Told) -> str | None:
    """What is wrong about it."""
    said = f"{told.status} {told.code or ''}".strip()
    if told.asked == "read":
        return wrong_read(told, said)
    if told.asked == "create otherwise":
        right = told.status >= TAKEN and told.code in ("already-exists", "idempotency-key-reused")
        return None if right else f"another body under the same reference is told {said}"
    if told.status >= TAKEN:
        return f"{told.asked} is refused: {said}"
    return wrong_answer(told)


def wrong_read(told: Told, said: str) -> str | None:
    if told.status >= TAKEN:
        return f"nothing is found of version {told.version}: {said}"
    seen = 0 if told.answer is None else told.answer.version
    return f"version {seen} is read after {told.version} was told" if seen < told.version else None


def wrong_answer(told: Told) -> str | None:
    assert told.answer is not None, "an acceptance tells what it did"
    if told.first is not None and told.answer != told.first:
        return f"{told.asked} was told {told.first} and is now told {told.answer}"
    if told.first is None and told.answer.version < told.version:
        return f"{told.asked} is told version {told.answer.version} after {told.version}"
    if told.asked == "cancel anew" and told.events:
        return f"what is cancelled is cancelled again: {', '.join(told.events)}"
    return None


def lines(files: Iterable[Path]) -> list[Told]:
    decoder = msgspec.json.Decoder(Told)
    return [decoder.decode(line) for file in files if file.exists() for line in file.read_bytes().splitlines() if line]


def verdict(invariant: str, meaning: str, told: Iterable[Told]) -> Verdict:
    looked_at, broken, findings = 0, 0, list[Finding]()
    for each in told:
        looked_at += 1
        if (what := wrong(each)) is not None:
            broken += 1
            if len(findings) < KEPT_AT_MOST:
                where = (
                    f"{each.client} by {each.gateway} at {each.at:.3f}, {each.aggregate_id or 'of no id'} {each.key}"
                )
                findings.append(Finding(invariant, where, what))
    return Verdict(
        invariant=invariant,
        meaning=meaning,
        looked_at=looked_at,
        state="broken" if broken else "holds" if looked_at else "nothing to judge",
        broken=broken,
        findings=findings,
    )


def verdicts(told: Sequence[Told]) -> list[Verdict]:
    commands = [each for each in told if each.asked != "read"]
    reads = [each for each in told if each.asked == "read"]
    return [
        verdict("I6", "whoever is fenced acknowledges what is on the log, and refuses nothing", commands),
        verdict("reads", "no read is older than the token it came with", reads),
    ]
