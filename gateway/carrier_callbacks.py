"""What a carrier says, signed with the secret of its channel: to an offer, and of what it is booked for."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from commands.carrier_contract import CarrierView
from commands.order import Order
from gateway.call import Call
from gateway.callbacks import CallbackAnswer
from gateway.commands import answer_of, request_hash
from gateway.door import Door
from gateway.parameters import id_of, parameters_of
from gateway.problems import Problem, not_found
from gateway.reply import Reply, json_reply
from gateway.validation import decoded
from gateway.webhook_caller import message_id_of
from gateway.webhook_signature import key_of
from schemas.carrier_booking import CarrierWord, RecordCarrierStatus
from schemas.carrier_offer import CarrierAnswer, RecordCarrierAnswer
from schemas.geo import ObservedFix
from schemas.ids import command_id
from schemas.message import CarrierId, Code, Command, Id, Input, Moment, OfferId, Reference, TenantSlug, Text
from schemas.money import Money
from streams.routing.wire import SecretMissing

ROUTE = "/callbacks/v1/{tenant}/carriers/{id}"

SaidType = Literal[
    "carrier.offer.accepted", "carrier.offer.declined", "carrier.offer.countered", "carrier.booking.status"
]


class Acceptance(Input, frozen=True, kw_only=True):
    """`price` where carriers bid. `carrier_reference` is the carrier's own for the booking."""

    tender_id: Id
    offer_id: Id
    pickup_at: Moment
    dropoff_at: Moment
    price: Money | None = None
    carrier_reference: Reference | None = None


class Decline(Input, frozen=True, kw_only=True):
    tender_id: Id
    offer_id: Id
    reason_code: Code


class Counter(Input, frozen=True, kw_only=True):
    """What the carrier asks for in place of what it was offered: another price, later times, or both."""

    tender_id: Id
    offer_id: Id
    pickup_at: Moment
    dropoff_at: Moment
    price: Money | None = None
    carrier_reference: Reference | None = None


class Status(Input, frozen=True, kw_only=True):
    """As of `record-carrier-status`."""

    booking_id: Id
    status: CarrierWord
    observed_at: Moment
    reason_code: Code | None = None
    fix: ObservedFix | None = None
    note: Text | None = None


class OfferAcceptedByCarrier(Input, frozen=True, kw_only=True):
    type: Literal["carrier.offer.accepted"]
    timestamp: Moment
    data: Acceptance


class OfferDeclinedByCarrier(Input, frozen=True, kw_only=True):
    type: Literal["carrier.offer.declined"]
    timestamp: Moment
    data: Decline


class OfferCounteredByCarrier(Input, frozen=True, kw_only=True):
    type: Literal["carrier.offer.countered"]
    timestamp: Moment
    data: Counter


class StatusToldByCarrier(Input, frozen=True, kw_only=True):
    type: Literal["carrier.booking.status"]
    timestamp: Moment
    data: Status


class AnySaid(msgspec.Struct, frozen=True):
    type: SaidType


type Said = OfferAcceptedByCarrier | OfferDeclinedByCarrier | OfferCounteredByCarrier | StatusToldByCarrier
kinds = msgspec.json.Decoder(AnySaid)
MESSAGES: Mapping[str, type[Said]] = {
    "carrier.offer.accepted": OfferAcceptedByCarrier,
    "carrier.offer.declined": OfferDeclinedByCarrier,
    "carrier.offer.countered": OfferCounteredByCarrier,
    "carrier.booking.status": StatusToldByCarrier,
}
decoders: Mapping[str, msgspec.json.Decoder[Said]] = {name: msgspec.json.Decoder(cls) for name, cls in MESSAGES.items()}


class Meant(msgspec.Struct, frozen=True):
    """The one command that a message amounts to."""

    kind: str
    aggregate_id: str
    command: Command


class CarrierCallbacks:
    def __init__(self, door: Door) -> None:
        self._door = door

    async def post(self, call: Call) -> Reply:
        parameters_of(call, {})
        tenant, carrier = call.param("tenant"), CarrierId(id_of(call))
        body = await call.body(self._door.limits.body_bytes)
        message_id = message_id_of(call, self._key(tenant, carrier), body)
        call.tenant, call.live = tenant, self._door.live(tenant)
        kind = decoded(kinds, AnySaid, body).type
        meant = meant_by(decoded(decoders[kind], MESSAGES[kind], body), message_id)
        answer = await answer_of(self._door, self._order(call, tenant, carrier, meant, message_id))
        return json_reply(CallbackAnswer(events=[] if answer.repeated else [*answer.events]))

    def _order(self, call: Call, tenant: str, carrier: CarrierId, meant: Meant, message_id: str) -> Order:
        """By the carrier's own id of what it says: again it is the same command."""
        call.command_id = command_id(meant.aggregate_id, f"{carrier}:{message_id}")
        return Order(
            tenant=TenantSlug(tenant),
            kind=meant.kind,
            aggregate_id=meant.aggregate_id,
            command=meant.command,
            command_id=call.command_id,
            request_hash=request_hash(self._door, meant.kind, meant.command),
            actor=carrier,
            role="system",
            natural=False,
            correlation_id=call.request_id,
            traceparent=call.traceparent,
        )

    def _key(self, tenant: str, carrier: CarrierId) -> bytes:
        """Raises Problem: 404 where there is no such carrier or it has no channel, 503."""
        known = self._door.policy.tenant(tenant)
        view: CarrierView | None = None if known is None else known.carriers.get(carrier)
        if view is None or view.channel is None:
            raise not_found("there is no carrier of that id with a channel")
        try:
            return key_of(self._door.secret_of(view.channel.secret))
        except (SecretMissing, ValueError) as missing:
            raise Problem(
                "unavailable", "the secret of the carrier's channel cannot be read", retry_after_s=5
            ) from missing


def meant_by(said: Said, message_id: str) -> Meant:
    match said:
        case OfferAcceptedByCarrier(data=data):
            return taken(data, "accept", message_id)
        case OfferCounteredByCarrier(data=data):
            return taken(data, "counter", message_id)
        case OfferDeclinedByCarrier(data=data):
            declined = RecordCarrierAnswer(
                offer_id=OfferId(data.offer_id),
                answer="decline",
                carrier_event_id=message_id,
                reason_code=data.reason_code,
            )
            return Meant("tender", data.tender_id, declined)
        case StatusToldByCarrier(data=data):
            told = RecordCarrierStatus(
                status=data.status,
                observed_at=data.observed_at,
                carrier_event_id=message_id,
                reason_code=data.reason_code,
                fix=data.fix,
                note=data.note,
            )
            return Meant("carrier_booking", data.booking_id, told)


def taken(data: Acceptance | Counter, answer: CarrierAnswer, message_id: str) -> Meant:
    command = RecordCarrierAnswer(
        offer_id=OfferId(data.offer_id),
        answer=answer,
        carrier_event_id=message_id,
        price=data.price,
        pickup_at=data.pickup_at,
        dropoff_at=data.dropoff_at,
        carrier_reference=data.carrier_reference,
    )
    return Meant("tender", data.tender_id, command)
