"""What carriers are told, each on its own channel: no command follows, only a message that is sent until it is taken.

| fact                                   | message                                            |
|----------------------------------------|----------------------------------------------------|
| OfferSent, to a carrier                | logistics.offer.sent                               |
| OfferExpired, Lost, Withdrawn, of one  | logistics.offer.expired, .lost, .withdrawn         |
| ClaimRejected, of one                  | logistics.offer.rejected                           |
| CounterDeclined                        | logistics.counter.declined                         |
| TaskGivenToCarrier                     | logistics.booking.confirmed                        |
| CarrierBookingCancelled, not by itself | logistics.booking.cancelled                        |

Who reads the log anew tells nothing twice: a message has its id from its fact, and whoever gets it twice knows it by
that.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from schemas.carried import TaskGivenToCarrier
from schemas.carrier_booking import CarrierBookingCancelled
from schemas.carrier_offer import CounterDeclined
from schemas.ids import derived
from schemas.message import Source, TenantSlug
from schemas.tender import ClaimRejected, OfferExpired, OfferLost, OfferSent, OfferWithdrawn
from streams.process import Rule, Step

MessageType = Literal[
    "logistics.offer.sent",
    "logistics.offer.expired",
    "logistics.offer.lost",
    "logistics.offer.withdrawn",
    "logistics.offer.rejected",
    "logistics.counter.declined",
    "logistics.booking.confirmed",
    "logistics.booking.cancelled",
]


class CarrierMessage(msgspec.Struct, frozen=True, kw_only=True):
    """`until`: later there is nothing in it for the carrier. Of a cancelled booking the booking knows the carrier. The
    task's stops are added when it is sent, and kept nowhere."""

    tenant: TenantSlug
    message_id: str
    type: MessageType
    carrier_id: str | None
    happened_at: datetime
    recorded_at: datetime
    tender_id: str | None = None
    booking_id: str | None = None
    until: datetime | None = None
    data: dict[str, Any] = {}


class Tell(Protocol):
    async def __call__(self, message: CarrierMessage) -> None:
        """Returns once it is kept, to be sent."""
        ...


def carrier_telling(tell: Tell) -> list[Rule]:
    async def offered(event: OfferSent, source: Source) -> Sequence[Step]:
        if event.carrier_id is None or event.terms is None:
            return []
        data = {"offer_id": event.offer_id, **msgspec.to_builtins(event.terms), "expires_at": event.expires_at}
        await tell(of_offer(event, source, "logistics.offer.sent", data, event.expires_at))
        return []

    async def over(event: OfferExpired | OfferLost | OfferWithdrawn, source: Source) -> Sequence[Step]:
        await tell_of(event, source, OVER[type(event)])
        return []

    async def rejected(event: ClaimRejected, source: Source) -> Sequence[Step]:
        await tell_of(event, source, "logistics.offer.rejected", {"reason_code": event.reason_code})
        return []

    async def declined(event: CounterDeclined, source: Source) -> Sequence[Step]:
        await tell_of(event, source, "logistics.counter.declined", {"reason_code": event.reason_code})
        return []

    async def tell_of(event: Any, source: Source, kind: MessageType, more: dict[str, Any] | None = None) -> None:
        if event.carrier_id is not None:
            await tell(of_offer(event, source, kind, {"offer_id": event.offer_id} | (more or {})))

    async def confirmed(event: TaskGivenToCarrier, source: Source) -> Sequence[Step]:
        kind: MessageType = "logistics.booking.confirmed"
        data = {"task_id": source.aggregate_id, "booking_id": event.booking_id}
        await tell(message(source, kind, event.carrier_id, booking_id=event.booking_id, data=data))
        return []

    async def cancelled(event: CarrierBookingCancelled, source: Source) -> Sequence[Step]:
        if event.by == "carrier":
            return []
        data = {"task_id": event.task_id, "booking_id": source.aggregate_id, "reason_code": event.reason_code}
        kind: MessageType = "logistics.booking.cancelled"
        await tell(message(source, kind, None, booking_id=source.aggregate_id, data=data))
        return []

    return [
        Rule(OfferSent, offered),
        *(Rule(fact, over) for fact in OVER),
        Rule(ClaimRejected, rejected),
        Rule(CounterDeclined, declined),
        Rule(TaskGivenToCarrier, confirmed),
        Rule(CarrierBookingCancelled, cancelled),
    ]


OVER: dict[type[OfferExpired | OfferLost | OfferWithdrawn], MessageType] = {
    OfferExpired: "logistics.offer.expired",
    OfferLost: "logistics.offer.lost",
    OfferWithdrawn: "logistics.offer.withdrawn",
}


def of_offer(
    event: Any, source: Source, kind: MessageType, data: dict[str, Any], until: datetime | None = None
) -> CarrierMessage:
    told = {"tender_id": source.aggregate_id} | data
    return message(source, kind, event.carrier_id, tender_id=source.aggregate_id, until=until, data=told)


def message(source: Source, kind: MessageType, carrier_id: str | None, **more: Any) -> CarrierMessage:
    return CarrierMessage(
        tenant=source.tenant,
        message_id=derived("carrier-message", source.event_id),
        type=kind,
        carrier_id=carrier_id,
        happened_at=source.event_time,
        recorded_at=source.recorded_at,
        **more,
    )
