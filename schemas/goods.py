"""Goods: who has a parcel, what is in it, and what is found when it has come."""

from typing import Annotated, Literal

import msgspec

from schemas.device_report import DeviceReport
from schemas.message import (
    Code,
    Command,
    Event,
    Input,
    Name,
    ParcelId,
    Record,
    Reference,
    Sha256,
    StopId,
    Text,
)

MAX_PARCELS = 200
MAX_ITEMS = 100
"""Of a parcel."""
MAX_LINES = 500
"""Of a receipt or an inspection, and of all that is kept of them."""
MOST_OF_A_SKU = 1_000_000

PartyKind = Literal["outlet", "hub", "locker", "sender", "rider", "carrier", "recipient", "nobody"]
Condition = Literal["new", "opened", "used", "damaged", "defective", "spoiled"]
Discrepancy = Literal["short", "over", "damaged", "unexpected"]
AfterInspection = Literal["restock", "refurbish", "quarantine", "send_back", "dispose"]


# What can be asked


class NewItem(Input, frozen=True, kw_only=True):
    sku: Reference
    quantity: Annotated[int, msgspec.Meta(ge=1, le=MOST_OF_A_SKU)]
    description: Name | None = None


class ParcelReport(DeviceReport, frozen=True, kw_only=True):
    """What has happened to parcels, wherever they are. Late is normal, and a physical fact is never refused."""

    parcel_ids: Annotated[list[ParcelId], msgspec.Meta(min_length=1, max_length=MAX_PARCELS)]
    reason_code: Code
    note: Text | None = None
    evidence: Annotated[list[Sha256], msgspec.Meta(max_length=10)] = []


class ReportParcelsLost(ParcelReport, frozen=True, kw_only=True):
    """Nobody has them any more: stolen, or not to be found."""


class ReportParcelsDamaged(ParcelReport, frozen=True, kw_only=True):
    """They stay with whoever has them."""


class ReceivedLine(Input, frozen=True, kw_only=True):
    """So many have come of an item of a parcel. Without a `sku` the line is the parcel itself, and there is one."""

    parcel_id: ParcelId
    sku: Reference | None = None
    received: Annotated[int, msgspec.Meta(ge=0, le=MOST_OF_A_SKU)]
    condition: Condition = "new"
    note: Text | None = None


class ReceiveTransfer(Command, frozen=True, kw_only=True):
    """What has come, line by line, at a dropoff of a transfer. A line told again stands in place of what it was."""

    stop_id: StopId
    lines: Annotated[list[ReceivedLine], msgspec.Meta(min_length=1, max_length=MAX_LINES)]


class InspectedLine(Input, frozen=True, kw_only=True):
    """What was found of an item of a parcel, and what becomes of it."""

    parcel_id: ParcelId
    sku: Reference | None = None
    quantity: Annotated[int, msgspec.Meta(ge=0, le=MOST_OF_A_SKU)]
    condition: Condition
    disposition: AfterInspection
    note: Text | None = None
    evidence: Annotated[list[Sha256], msgspec.Meta(max_length=10)] = []


class InspectReturn(Command, frozen=True, kw_only=True):
    """Once it has come back. Lines of one item may differ in condition; an item told again is inspected anew."""

    lines: Annotated[list[InspectedLine], msgspec.Meta(min_length=1, max_length=MAX_LINES)]


type GoodsCommand = ReportParcelsLost | ReportParcelsDamaged | ReceiveTransfer | InspectReturn


# What can happen


class Party(Record, frozen=True, kw_only=True):
    """Who has a parcel. `id` is the outlet's or the hub's slug, or the rider's or the carrier's id; sender, recipient
    and nobody have none."""

    kind: PartyKind
    id: str | None = None


class Item(Record, frozen=True, kw_only=True):
    sku: str
    quantity: int
    description: str | None


class ParcelsLost(Event, frozen=True, kw_only=True):
    """Nobody has them any more. `from_party` had them last."""

    parcel_ids: list[ParcelId]
    from_party: Party
    to_party: Party
    reason_code: str
    note: str | None
    evidence: list[str]


class ParcelsDamaged(Event, frozen=True, kw_only=True):
    """Custody does not change."""

    parcel_ids: list[ParcelId]
    reason_code: str
    note: str | None
    evidence: list[str]


class ReceiptLine(Record, frozen=True, kw_only=True):
    """`expected` of an item that stood in no parcel is 0."""

    parcel_id: ParcelId
    sku: str | None
    expected: int
    received: int
    condition: Condition
    discrepancy: Discrepancy | None
    note: str | None


class TransferReceived(Event, frozen=True, kw_only=True):
    """`complete` once each line that was expected at this stop has been told."""

    stop_id: StopId
    lines: list[ReceiptLine]
    complete: bool


class InspectionLine(Record, frozen=True, kw_only=True):
    parcel_id: ParcelId
    sku: str | None
    quantity: int
    condition: Condition
    disposition: AfterInspection
    note: str | None
    evidence: list[str]


class InspectionDifference(Record, frozen=True, kw_only=True):
    """So many of an item were looked at, and so many were sent back by what the parcel says."""

    parcel_id: ParcelId
    sku: str | None
    expected: int
    inspected: int
    discrepancy: Literal["short", "over"]


class ReturnInspected(Event, frozen=True, kw_only=True):
    """`complete` once every item of every parcel that came back has been inspected."""

    lines: list[InspectionLine]
    differences: list[InspectionDifference]
    complete: bool


type GoodsEvent = ParcelsLost | ParcelsDamaged | TransferReceived | ReturnInspected
