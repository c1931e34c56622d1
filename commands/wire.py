"""Orders and answers between our own processes: MessagePack, each way signed with the shared secret."""

import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from commands.aggregates import AGGREGATES
from commands.memory import Account
from commands.order import Answer, Order, Unavailable
from schemas.message import Command, Refused, Role, TenantSlug

VALID_FOR_S = 60
"""How far the clocks of two of our machines may be apart, and how long a request may be under way."""


class NotOurs(ValueError):
    """The signature is not of this installation, or is too old."""


class SentOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    tenant: TenantSlug
    kind: str
    aggregate_id: str
    command: str
    body: msgspec.Raw
    command_id: str
    request_hash: str
    actor: str
    role: Role
    correlation_id: str
    natural: bool = False
    expected_version: int | None = None
    causation_id: str | None = None
    traceparent: str | None = None


class Accepted(msgspec.Struct, frozen=True, tag="accepted"):
    aggregate_id: str
    version: int
    command_id: str
    recorded_at: datetime
    position: list[tuple[str, int, int]]
    events: tuple[str, ...]
    repeated: bool


class Rejected(msgspec.Struct, frozen=True, tag="rejected"):
    rule: str
    detail: str
    values: dict[str, Any]


class NotJudged(msgspec.Struct, frozen=True, tag="not-judged"):
    code: str
    detail: str
    retry_after_s: int


class Elsewhere(msgspec.Struct, frozen=True, tag="elsewhere"):
    """The shard is not open where it was asked for; its owner announces itself under `epoch` or a later one.

    What 421 (Misdirected Request, RFC 9110) says of a whole request, of one order.
    """

    shard: int
    epoch: int


type Outcome = Accepted | Rejected | NotJudged | Elsewhere


class Directed(msgspec.Struct, frozen=True):
    """What is meant for one tenure."""

    shard: int
    epoch: int


class Pinning(msgspec.Struct, frozen=True):
    shard: int
    owner: str


class Misdirected(Exception):
    """Not judged: the shard is somebody else's. See `Elsewhere`."""

    def __init__(self, shard: int, epoch: int) -> None:
        super().__init__(f"shard {shard} is owned elsewhere, under epoch {epoch} or later")
        self.shard = shard
        self.epoch = epoch


class RefusedElsewhere(Refused):
    """A refusal as it was told by the owner; `rule` and values are the owner's."""

    def __init__(self, rule: str, detail: str, values: Mapping[str, object]) -> None:
        super().__init__(detail)
        self.rule = rule
        self._values = values

    def values(self) -> Mapping[str, object]:
        return self._values


COMMANDS: dict[tuple[str, str], type[Command]] = {
    (kind, cls.__name__): cls for kind, known in AGGREGATES.items() for cls in known.commands
}
encode = msgspec.msgpack.Encoder().encode
orders = msgspec.msgpack.Decoder(list[SentOrder])
outcomes = msgspec.msgpack.Decoder(list[Accepted | Rejected | NotJudged | Elsewhere])
accounts = msgspec.msgpack.Decoder(list[Account])


def sent(order: Order) -> SentOrder:
    return SentOrder(
        tenant=order.tenant,
        kind=order.kind,
        aggregate_id=order.aggregate_id,
        command=type(order.command).__name__,
        body=msgspec.Raw(encode(order.command)),
        command_id=order.command_id,
        request_hash=order.request_hash,
        actor=order.actor,
        role=order.role,
        correlation_id=order.correlation_id,
        natural=order.natural,
        expected_version=order.expected_version,
        causation_id=order.causation_id,
        traceparent=order.traceparent,
    )


def received(order: SentOrder) -> Order:
    """Raises KeyError for a command that this release does not know, msgspec.ValidationError for a wrong body."""
    cls = COMMANDS[order.kind, order.command]
    return Order(
        tenant=order.tenant,
        kind=order.kind,
        aggregate_id=order.aggregate_id,
        command=msgspec.msgpack.decode(order.body, type=cls),
        command_id=order.command_id,
        request_hash=order.request_hash,
        actor=order.actor,
        role=order.role,
        correlation_id=order.correlation_id,
        natural=order.natural,
        expected_version=order.expected_version,
        causation_id=order.causation_id,
        traceparent=order.traceparent,
    )


def outcome_of(answer: Answer) -> Accepted:
    return Accepted(
        aggregate_id=answer.aggregate_id,
        version=answer.version,
        command_id=answer.command_id,
        recorded_at=answer.recorded_at,
        position=[(topic, partition, offset) for (topic, partition), offset in answer.position.items()],
        events=answer.events,
        repeated=answer.repeated,
    )


def rejected(refused: Refused) -> Rejected:
    values = {name: plain(value) for name, value in refused.values().items()}
    return Rejected(refused.rule, str(refused), values)


def plain(value: object) -> Any:
    return msgspec.to_builtins(value, builtin_types=(datetime,))


def answer_of(outcome: Accepted) -> Answer:
    return Answer(
        aggregate_id=outcome.aggregate_id,
        version=outcome.version,
        command_id=outcome.command_id,
        recorded_at=outcome.recorded_at,
        position={(topic, partition): offset for topic, partition, offset in outcome.position},
        events=outcome.events,
        repeated=outcome.repeated,
    )


def result(outcome: Outcome) -> Answer:
    """Raises what the owner raised, or Misdirected."""
    match outcome:
        case Accepted():
            return answer_of(outcome)
        case Rejected():
            raise RefusedElsewhere(outcome.rule, outcome.detail, outcome.values)
        case NotJudged():
            raise Unavailable(outcome.code, outcome.detail, outcome.retry_after_s)
        case Elsewhere():
            raise Misdirected(outcome.shard, outcome.epoch)


def signature(key: bytes, way: str, at_s: int, body: bytes) -> str:
    """`way` is request or answer with its path, so that none passes for another."""
    return hmac.new(key, f"{way}:{at_s}:".encode() + body, sha256).hexdigest()


def check(key: bytes, way: str, at_s: int, body: bytes, claimed: str, now_s: float) -> None:
    """Raises NotOurs."""
    if abs(now_s - at_s) > VALID_FOR_S:
        raise NotOurs("the signature is too old")
    if not hmac.compare_digest(signature(key, way, at_s, body), claimed):
        raise NotOurs("the signature is not ours")
