"""What was told of anomalies and trips, beside what would have been: by when, and with what was measured."""

from collections.abc import Iterator
from typing import Literal, get_args

import msgspec

from infra.recompute.facts import Compared, Fact, compared, held_in_memory
from infra.recompute.table import Row, iso
from schemas.message import Event
from schemas.signals import ANOMALIES, AnomalyCleared, AnomalyDetected, TripEnded
from streams.telemetry.found import Draft, place_of
from streams.telemetry.moments import unix_ms

type Word = Literal["detected", "cleared", "ended"]
WORDS: tuple[Word, ...] = get_args(Word.__value__)
TRIP = "trip"
KINDS = (*ANOMALIES, TRIP)

COLUMNS = (
    *("outcome", "told", "kind", "rider_id", "device_id", "recorded_at", "recomputed_at", "moved_s"),
    *("recorded_since", "recomputed_since", "recorded_limit", "recomputed_limit"),
    *("recorded_measured", "recomputed_measured"),
)


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Of a trip `measured` are its metres. Nothing of what is over."""

    since_ms: int | None = None
    limit: float | None = None
    measured: float | None = None


NOTHING = Measured()


class Oddities:
    """One side: what the frames from `first` up to `end` led to."""

    def __init__(self, first: int, end: int) -> None:
        self._first, self._end = first, end
        self._told: dict[str, tuple[Fact, Measured]] = {}
        """By the id of the signal."""

    def take(self, draft: Draft) -> None:
        """Raises WrongSetting where they are too many."""
        if self._first <= place_of(draft.cause) < self._end:
            known = told_of(draft.rider_id, draft.event)
            if known is not None:
                self._told[draft.event_id] = known
                held_in_memory(len(self._told), "signals")

    @property
    def facts(self) -> dict[Fact, Measured]:
        return dict(self._told.values())


class Held(msgspec.Struct, frozen=True):
    """One of them on both sides."""

    found: Compared
    recorded: Measured
    recomputed: Measured

    @property
    def kind(self) -> str:
        return self.found.fact.what[2]

    @property
    def word(self) -> str:
        return self.found.fact.what[3]


def told_of(rider_id: str, event: Event) -> tuple[Fact, Measured] | None:
    """None for what is of neither. What is over does not name a device: one of a kind stands at a time."""
    match event:
        case AnomalyDetected():
            fact = Fact((rider_id, event.device_id, event.kind, "detected"), unix_ms(event.at))
            return fact, Measured(since_ms=unix_ms(event.since), limit=event.limit, measured=event.measured)
        case AnomalyCleared():
            return Fact((rider_id, "", event.kind, "cleared"), unix_ms(event.at)), NOTHING
        case TripEnded():
            fact = Fact((rider_id, event.device_id, TRIP, "ended"), unix_ms(event.ended_at))
            return fact, Measured(since_ms=unix_ms(event.started_at), measured=event.metres)
        case _:
            return None


def held(recorded: Oddities, recomputed: Oddities) -> Iterator[Held]:
    """In order of time."""
    theirs, ours = recorded.facts, recomputed.facts
    for each in compared(theirs, ours):
        yield Held(each, of_time(theirs, each, each.recorded_ms), of_time(ours, each, each.recomputed_ms))


def of_time(facts: dict[Fact, Measured], each: Compared, at_ms: int | None) -> Measured:
    return NOTHING if at_ms is None else facts[Fact(each.fact.what, at_ms)]


def row_of(each: Held) -> Row:
    rider_id, device_id, kind, word = each.found.fact.what
    return {
        "outcome": each.found.outcome,
        "told": word,
        "kind": kind,
        "rider_id": rider_id,
        "device_id": device_id or None,
        "recorded_at": iso(each.found.recorded_ms),
        "recomputed_at": iso(each.found.recomputed_ms),
        "moved_s": each.found.moved_s,
        "recorded_since": iso(each.recorded.since_ms),
        "recomputed_since": iso(each.recomputed.since_ms),
        "recorded_limit": each.recorded.limit,
        "recomputed_limit": each.recomputed.limit,
        "recorded_measured": each.recorded.measured,
        "recomputed_measured": each.recomputed.measured,
    }
