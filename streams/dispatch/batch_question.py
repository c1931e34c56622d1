"""All that a batch window rests on, as it may be recorded: tasks that wait, riders, rules. No place stands in it."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

import msgspec

from schemas.batch_rules import BatchRules
from schemas.directory import TenantRules
from schemas.dispatch_window import Given, Left
from schemas.message import RiderId, TaskId
from streams.dispatch.candidates import Work
from streams.dispatch.known import Ahead, KnownRider
from streams.dispatch.question import ENCODER, Question, Ways
from streams.dispatch.shortlist import work_of
from streams.dispatch.straight import StraightWays


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A task that waits, since when, and what it asks for."""

    task_id: TaskId
    round: int = 1
    since: datetime
    stops: Sequence[Ahead]
    zones: Sequence[Sequence[str]] = ()
    required_skills: Sequence[str] = ()
    declined: Sequence[RiderId] = ()


class BatchQuestion(msgspec.Struct, frozen=True, kw_only=True):
    decided_at: datetime
    tasks: Sequence[Waiting]
    riders: Sequence[KnownRider]
    rules: TenantRules
    batch: BatchRules = BatchRules()
    policy_version: int
    of_vehicles: Sequence[str] = ()
    """Documents that vehicles need."""
    passed_over: int = 0
    """Riders who were not looked at: there are too many of them."""
    to_first: bytes
    """Whole metres as the crow flies, little-endian 32-bit integers: from each rider whose place is known (rows) to
    each task's first stop (columns)."""
    to_ahead: bytes
    """From each of those riders to the first stop of their itinerary; without one nothing."""


class BatchRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer rests on. `ways` are between where each placed rider is, each stop ahead of them, rider by rider,
    and each task's."""

    question: BatchQuestion
    ways: Ways


DECODER = msgspec.msgpack.Decoder(BatchRecord)


def recorded(record: BatchRecord) -> tuple[str, bytes]:
    """Its SHA-256 in hexadecimal, and the bytes that this is of."""
    encoded = ENCODER.encode(record)
    return sha256(encoded).hexdigest(), encoded


def record_of(encoded: bytes) -> BatchRecord:
    """Raises msgspec.ValidationError, msgspec.DecodeError."""
    return DECODER.decode(encoded)


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`total` is the sum of scores and of what is counted for tasks that are left."""

    given: list[Given]
    left: list[Left]
    total: float
    by: str
    """Which way to divide them was the best."""


def work_for(task: Waiting, question: BatchQuestion) -> Work:
    return work_of(asked_alone(task, question))


def asked_alone(task: Waiting, question: BatchQuestion) -> Question:
    """As if it were the only one."""
    nothing = StraightWays(to_task=b"", onward=b"", between=b"")
    return Question(
        task_id=task.task_id,
        round=task.round,
        decided_at=question.decided_at,
        stops=task.stops,
        zones=task.zones,
        required_skills=task.required_skills,
        rules=question.rules,
        policy_version=question.policy_version,
        of_vehicles=question.of_vehicles,
        declined=task.declined,
        riders=[],
        straight=nothing,
    )
