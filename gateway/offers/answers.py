"""What a rider answers to an offer on the connection on which they were told of it."""

from typing import Annotated, Any, Literal

import msgspec

from commands.order import Order
from gateway.allowed import SENDERS
from gateway.call import Call
from gateway.commands import CommandAnswer, answer_body, answer_of, kebab, request_hash, tenant_of
from gateway.door import Door
from gateway.entry import permit
from gateway.problems import FieldError
from gateway.sockets import fields_of
from gateway.tokens import Caller
from gateway.validation import decoded, invalid
from schemas.ids import command_id
from schemas.message import Code, Id, Input, OfferId, TenantSlug
from schemas.money import Money
from schemas.tender import ClaimOffer, DeclineOffer, ViewOffer

Seq = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""The sender's own number; the answer has it, too."""


class Alive(Input, frozen=True, kw_only=True):
    """Nothing, but that somebody is there."""

    answer: Literal["alive"]
    seq: Seq


class View(Input, frozen=True, kw_only=True):
    answer: Literal["view"]
    seq: Seq
    tender_id: Id
    offer_id: Id


class Claim(Input, frozen=True, kw_only=True):
    """`bid` where the offer asks for one."""

    answer: Literal["claim"]
    seq: Seq
    tender_id: Id
    offer_id: Id
    bid: Money | None = None


class Decline(Input, frozen=True, kw_only=True):
    answer: Literal["decline"]
    seq: Seq
    tender_id: Id
    offer_id: Id
    reason_code: Code


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    seq: int


class Answered(CommandAnswer, kw_only=True, omit_defaults=True):
    """As over HTTP."""

    seq: int


type Answer = Alive | View | Claim | Decline
ANSWERS: dict[str, type[Any]] = {"alive": Alive, "view": View, "claim": Claim, "decline": Decline}
DECODERS: dict[str, msgspec.json.Decoder[Any]] = {word: msgspec.json.Decoder(cls) for word, cls in ANSWERS.items()}


def answer_in(body: bytes) -> Answer:
    """Raises Problem."""
    word = fields_of(body).get("answer")
    if not isinstance(word, str) or word not in ANSWERS:
        decoded(DECODERS["alive"], Alive, body)  # which says what is wrong where it is not even JSON
        raise invalid([FieldError("/answer", f"must be {' or '.join(ANSWERS)}")])
    found: Answer = decoded(DECODERS[word], ANSWERS[word], body)
    return found


def command_of(answer: View | Claim | Decline) -> ViewOffer | ClaimOffer | DeclineOffer:
    offer = OfferId(answer.offer_id)
    match answer:
        case View():
            return ViewOffer(offer_id=offer)
        case Claim():
            return ClaimOffer(offer_id=offer, bid=answer.bid)
        case Decline():
            return DeclineOffer(offer_id=offer, reason_code=answer.reason_code)


async def answered(door: Door, call: Call, caller: Caller, answer: Answer) -> Heard | Answered:
    """What is sent again, word for word, is the same command: it is answered as it was the first time. Raises
    Problem."""
    if isinstance(answer, Alive):
        return Heard(seq=answer.seq)
    wanted = command_of(answer)
    permit(caller, SENDERS[type(wanted)], f"send {type(wanted).__name__}")
    asked = request_hash(door, "tender", wanted)
    order = Order(
        tenant=TenantSlug(tenant_of(call)),
        kind="tender",
        aggregate_id=answer.tender_id,
        command=wanted,
        command_id=command_id(answer.tender_id, f"{kebab(type(wanted).__name__)}:{caller.subject}:{asked}"),
        request_hash=asked,
        actor=caller.subject,
        role=caller.role,
        natural=False,
        correlation_id=call.request_id,
        traceparent=call.traceparent,
    )
    body = answer_body(await answer_of(door, order))
    return Answered(seq=answer.seq, **msgspec.structs.asdict(body))
