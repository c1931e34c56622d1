"""Hand-over: goods on their way go from one rider to another, who scans them where the two meet."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.device_report import DeviceReport
from schemas.geo import Location, ObservedFix
from schemas.goods import MAX_PARCELS, Party
from schemas.load import Overload
from schemas.message import Code, Command, Count, Event, ParcelId, Personal, RiderId
from schemas.proof import ScanEntry

HandOverEnd = Literal["declined", "withdrawn", "expired", "not_reserved", "task_over"]


# What can be asked


class OfferHandOver(Command, frozen=True, kw_only=True):
    """`place` is where the two meet. Until the other has accepted, whoever has the goods has them."""

    to_rider: RiderId
    place: Location
    reason_code: Code


class AcceptHandOver(DeviceReport, frozen=True, kw_only=True):
    """By the rider to whom it was offered, with a scan of each parcel that has a code to scan. Late is normal."""

    fix: ObservedFix | None = None
    scans: Annotated[list[ScanEntry], msgspec.Meta(max_length=MAX_PARCELS)] = []


class DeclineHandOver(Command, frozen=True, kw_only=True):
    reason_code: Code


class WithdrawHandOver(Command, frozen=True, kw_only=True):
    reason_code: Code


class ExpireHandOver(Command, frozen=True, kw_only=True):
    """Sent when it was not accepted in time; firing early or twice changes nothing."""

    round: Count


class RefuseHandOver(Command, frozen=True, kw_only=True):
    """Sent when the rider to whom it was offered cannot take it, by a rule of theirs."""

    to_rider: RiderId
    reason_code: Code
    overload: Overload | None = None
    """Of what it would be too much for them, where that is why."""


type HandOverCommand = (
    OfferHandOver | AcceptHandOver | DeclineHandOver | WithdrawHandOver | ExpireHandOver | RefuseHandOver
)


# What can happen


class HandOverOffered(Event, frozen=True, kw_only=True):
    """`round` is what the task's will be once it is accepted."""

    from_rider: RiderId
    to_rider: RiderId
    round: int
    place: Personal[Location]
    reason_code: str
    expires_at: datetime


class HandOverClosed(Event, frozen=True, kw_only=True):
    """The goods stay with whoever has them."""

    to_rider: RiderId
    round: int
    end: HandOverEnd
    reason_code: str | None
    overload: Overload | None = None
    """Of what it would be too much for the rider to whom it was offered, where that is why."""


class ParcelsHandedOver(Event, frozen=True, kw_only=True):
    parcel_ids: list[ParcelId]
    from_party: Party
    to_party: Party
    fix: Personal[ObservedFix] | None


type HandOverEvent = HandOverOffered | HandOverClosed | ParcelsHandedOver
