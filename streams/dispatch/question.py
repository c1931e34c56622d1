"""All that a decision on whom to ask for a task rests on, as it is recorded: from it the decision can be made again.

No place stands in it, only distances and times.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from schemas.directory import TenantRules
from schemas.message import RiderId, TaskId
from schemas.task_kind import TaskKind
from streams.dispatch.known import Ahead, KnownCarrier, KnownRider
from streams.dispatch.straight import StraightWays
from streams.routing.measured import Grid

FLOAT64 = np.dtype("<f8")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    task_id: TaskId
    round: int
    decided_at: datetime
    stops: Sequence[Ahead]
    """Of the task, those that are not over."""
    zones: Sequence[Sequence[str]]
    """Of each stop, those that hold it."""
    required_skills: Sequence[str]
    rules: TenantRules
    policy_version: int
    of_vehicles: Sequence[str]
    """Documents that vehicles need."""
    declined: Sequence[RiderId]
    """Who has declined, let expire or lost their claim to this task."""
    riders: Sequence[KnownRider]
    straight: StraightWays
    """Of those whose place is known, in their order."""
    kind: TaskKind = "delivery"
    carriers: Sequence[KnownCarrier] = ()
    """In order of id."""


class Ways(msgspec.Struct, frozen=True, kw_only=True):
    """Of one rider: from where they are, then each stop of their itinerary, then each of the task (rows) to each of
    these (columns), as little-endian doubles. Not a number: it was not asked, or there is no way."""

    seconds: bytes
    metres: bytes
    source: str
    """Which router told."""

    @classmethod
    def of(cls, seconds: Grid, metres: Grid, source: str) -> "Ways":
        return cls(seconds=doubles(seconds), metres=doubles(metres), source=source)

    def grids(self) -> tuple[Grid, Grid]:
        return square(self.seconds), square(self.metres)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A question, and the ways of those riders who were looked at closely."""

    question: Question
    ways: Mapping[RiderId, Ways]


ENCODER = msgspec.msgpack.Encoder(order="deterministic")
DECODER = msgspec.msgpack.Decoder(Record)
MAP_OF_TWO = b"\x82"
"""As MessagePack begins one."""


class Writing:
    """A record as it is written: the question may be while its ways are still asked for. `riders` are those of the
    question as `encoded` has them, where somebody has them at hand: most have not changed since the last decision."""

    def __init__(self, question: Question, riders: Sequence[bytes | None] = ()) -> None:
        written: Any = question
        if riders:
            ready = [
                rider if known is None else msgspec.Raw(known)
                for rider, known in zip(question.riders, riders, strict=True)
            ]
            written = replace(question, riders=ready)
        self._begins = MAP_OF_TWO + ENCODER.encode("question") + ENCODER.encode(written)
        self._hashed = sha256(self._begins)

    def ended(self, ways: Mapping[RiderId, Ways]) -> tuple[str, bytes]:
        """Its SHA-256 in hexadecimal, and the bytes that this is of."""
        ends = ENCODER.encode("ways") + ENCODER.encode(ways)
        hashed = self._hashed.copy()
        hashed.update(ends)
        return hashed.hexdigest(), self._begins + ends


def recorded(record: Record, riders: Sequence[bytes | None] = ()) -> tuple[str, bytes]:
    """Written at once."""
    return Writing(record.question, riders).ended(record.ways)


def encoded(rider: KnownRider) -> bytes:
    return ENCODER.encode(rider)


def record_of(encoded: bytes) -> Record:
    """Raises msgspec.ValidationError, msgspec.DecodeError."""
    return DECODER.decode(encoded)


def doubles(grid: Grid) -> bytes:
    return grid.astype(FLOAT64).tobytes()


def square(told: bytes) -> Grid:
    flat = np.frombuffer(told, FLOAT64)
    size = round(len(flat) ** 0.5)
    return flat.reshape(size, size)
