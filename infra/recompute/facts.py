"""What was told, as it stands after its corrections, and what would have been: held against each other."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from infra.settings import WrongSetting
from schemas.message import Event
from schemas.signals import GeofenceTransitionCorrected
from streams.telemetry.found import Draft, place_of
from streams.telemetry.moments import unix_ms

MOVED_WITHIN_MS = 600_000
"""What is told for another time than before is the same fact moved; what is further off is another one."""
MOST_FACTS = 1_000_000
"""In memory, of one partition."""

type Outcome = Literal["both", "moved", "only_recorded", "only_recomputed"]


type What = tuple[str, str, str, str]
"""Of fences: rider, device, fence and entered, exited or another word for what is told of it."""


class Fact(msgspec.Struct, frozen=True, order=True):
    what: What
    at_ms: int


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """`moved_s`: above nothing it would have been told for a later time."""

    outcome: Outcome
    fact: Fact
    recorded_ms: int | None
    recomputed_ms: int | None

    @property
    def moved_s(self) -> float | None:
        if self.recorded_ms is None or self.recomputed_ms is None:
            return None
        return (self.recomputed_ms - self.recorded_ms) / 1_000


class Told:
    """The facts that the frames from `first` up to `end` led to. Corrections by later frames do not count, as neither
    side has them."""

    def __init__(self, first: int, end: int) -> None:
        self._first, self._end = first, end
        self._facts: dict[str, Fact] = {}
        """By the id of the signal that told of it first."""

    @property
    def facts(self) -> list[Fact]:
        return list(self._facts.values())

    def take(self, draft: Draft) -> None:
        """Raises WrongSetting where they are too many."""
        if not self._first <= place_of(draft.cause) < self._end:
            return
        event = draft.event
        if isinstance(event, GeofenceTransitionCorrected):
            self._corrected(event)
        elif (fact := fact_of(draft.rider_id, event)) is not None:
            self._facts[draft.event_id] = fact
            held_in_memory(len(self._facts), "crossings")

    def _corrected(self, event: GeofenceTransitionCorrected) -> None:
        """Of a fact from before the first frame nothing is known."""
        fact = self._facts.get(event.supersedes)
        if fact is not None and event.at is None:
            del self._facts[event.supersedes]
        elif fact is not None and event.at is not None:
            self._facts[event.supersedes] = replace(fact, at_ms=unix_ms(event.at))


def held_in_memory(count: int, of: str) -> None:
    """Raises WrongSetting where they are too many."""
    if count > MOST_FACTS:
        raise WrongSetting(f"more than {MOST_FACTS:,} {of} in one partition: ask for less time at once")


def fact_of(rider_id: str, event: Event) -> Fact | None:
    """None for what is not of a fence."""
    name = type(event).__name__
    geofence_id, device_id, at = (getattr(event, field, None) for field in ("geofence_id", "device_id", "at"))
    if geofence_id is None or device_id is None or at is None:
        return None
    return Fact((rider_id, device_id, geofence_id, name.removeprefix("Geofence").lower()), unix_ms(at))


def compared(recorded: Iterable[Fact], recomputed: Iterable[Fact]) -> list[Compared]:
    """In order of time."""
    found: list[Compared] = []
    theirs, ours = by_what(recorded), by_what(recomputed)
    for what in theirs.keys() | ours.keys():
        found += (
            judged(Fact(what, min(at for at in pair if at is not None)), *pair)
            for pair in paired(theirs.get(what, []), ours.get(what, []))
        )
    return sorted(found, key=lambda each: (each.fact.at_ms, each.fact))


def judged(fact: Fact, recorded_ms: int | None, recomputed_ms: int | None) -> Compared:
    outcome: Outcome = "both" if recorded_ms == recomputed_ms else "moved"
    if recorded_ms is None:
        outcome = "only_recomputed"
    elif recomputed_ms is None:
        outcome = "only_recorded"
    return Compared(outcome=outcome, fact=fact, recorded_ms=recorded_ms, recomputed_ms=recomputed_ms)


def by_what(facts: Iterable[Fact]) -> dict[What, list[int]]:
    """Times in their order."""
    times: dict[What, list[int]] = {}
    for fact in sorted(facts):
        times.setdefault(fact.what, []).append(fact.at_ms)
    return times


def paired(recorded: Sequence[int], recomputed: Sequence[int]) -> Iterator[tuple[int | None, int | None]]:
    """Equal times first; then in their order, as many as lie within the bound of each other."""
    both = set(recorded) & set(recomputed)
    yield from ((at, at) for at in both)
    theirs = [at for at in recorded if at not in both]
    ours = [at for at in recomputed if at not in both]
    n = m = 0
    while n < len(theirs) and m < len(ours):
        if abs(theirs[n] - ours[m]) <= MOVED_WITHIN_MS:
            yield theirs[n], ours[m]
            n, m = n + 1, m + 1
        elif theirs[n] < ours[m]:
            yield theirs[n], None
            n += 1
        else:
            yield None, ours[m]
            m += 1
    yield from ((at, None) for at in theirs[n:])
    yield from ((None, at) for at in ours[m:])
