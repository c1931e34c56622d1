"""Which tenders are there, who has been asked, and who won?"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from schemas.carrier_offer import CarrierOfferTerms, CounterDeclined, OfferCountered
from schemas.catalog import members_of
from schemas.itinerary import Bundled
from schemas.load import Overload
from schemas.message import Event
from schemas.money import Money
from schemas.tender import (
    BiddingClosed,
    ClaimRejected,
    DispatchDecisionRecorded,
    OfferAccepted,
    OfferClaimed,
    OfferDeclined,
    OfferExpired,
    OfferLost,
    OfferSent,
    OfferViewed,
    OfferWithdrawn,
    TenderAwarded,
    TenderEvent,
    TenderExhausted,
    TenderOpened,
    TenderWithdrawn,
)

TABLE = """
CREATE TABLE {table} (
    tenant     text        NOT NULL,
    tender_id  text        NOT NULL,
    task_id    text        NOT NULL,
    round      bigint      NOT NULL,
    bundle     jsonb       NOT NULL,
    mode       text        NOT NULL,
    state      text        NOT NULL,
    offers     jsonb       NOT NULL,
    waiting    jsonb       NOT NULL,
    bids_until timestamptz,
    winner     text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version    bigint      NOT NULL,
    PRIMARY KEY (tenant, tender_id)
);
CREATE INDEX ON {table} (tenant, created_at, tender_id);
CREATE INDEX ON {table} (tenant, task_id);
CREATE INDEX ON {table} USING gin (bundle jsonb_path_ops) WITH (fastupdate = off) WHERE bundle <> '[]';
CREATE INDEX ON {table} (tenant) WHERE state = 'open';
CREATE INDEX ON {table} (tenant, updated_at)
"""

OFFER_STATES: dict[type[Event], str] = {
    OfferViewed: "viewed",
    OfferClaimed: "claimed",
    ClaimRejected: "rejected",
    OfferDeclined: "declined",
    OfferExpired: "expired",
    OfferAccepted: "accepted",
    OfferLost: "lost",
    OfferWithdrawn: "withdrawn",
    OfferCountered: "countered",
    CounterDeclined: "counter_declined",
}


class CounterRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a carrier asks for in place of what it was offered."""

    price: Money
    pickup_at: datetime
    dropoff_at: datetime
    within_limit: bool


class OfferRow(msgspec.Struct, frozen=True, kw_only=True):
    """A rider's or a carrier's, which has `terms`."""

    rider_id: str | None
    carrier_id: str | None = None
    terms: CarrierOfferTerms | None = None
    counter: CounterRow | None = None
    expires_at: datetime
    state: str = "sent"
    bid: Money | None = None
    reason_code: str | None = None
    overload: Overload | None = None


class WaitingRow(msgspec.Struct, frozen=True, kw_only=True):
    """Of somebody who is asked where those before do not take it."""

    offer_id: str
    rider_id: str | None
    carrier_id: str | None = None


class TenderRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    tender_id: str
    task_id: str
    round: int
    bundle: list[Bundled] = []
    """The other tasks that it offers."""
    mode: str
    state: str = "open"
    offers: Mapping[str, OfferRow] = {}
    waiting: list[WaitingRow] = []
    bids_until: datetime | None = None
    winner: str | None = None
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: TenderRow | None, fact: Fact, key: Key) -> TenderRow:
    event, source = fact.event, fact.source
    if isinstance(event, DispatchDecisionRecorded):
        row = TenderRow(
            tenant=source.tenant,
            tender_id=source.aggregate_id,
            task_id=event.task_id,
            round=event.round,
            bundle=event.bundle,
            mode=event.mode,
            created_at=source.recorded_at,
            updated_at=source.recorded_at,
            version=source.version,
        )
    assert row is not None, "a tender begins with its decision"
    return replace(changed(row, fact), updated_at=source.recorded_at, version=source.version)


def changed(row: TenderRow, fact: Fact) -> TenderRow:
    match fact.event:
        case TenderOpened() as event:
            return replace(row, waiting=waiting(event), bids_until=event.bids_until)
        case OfferSent() as event:
            offer = OfferRow(
                rider_id=event.rider_id or None,
                carrier_id=event.carrier_id,
                terms=event.terms,
                expires_at=event.expires_at,
            )
            rest = [each for each in row.waiting if each.offer_id != event.offer_id]
            return replace(row, offers={**row.offers, event.offer_id: offer}, waiting=rest)
        case BiddingClosed():
            return replace(row, bids_until=None)
        case TenderAwarded() as event:
            return replace(row, state="awarded", winner=event.carrier_id or event.rider_id)
        case TenderExhausted():
            return replace(row, state="exhausted")
        case TenderWithdrawn():
            return replace(row, state="withdrawn")
        case event if type(event) in OFFER_STATES:
            return with_offer(row, event)
        case _:
            return row


def waiting(event: TenderOpened) -> list[WaitingRow]:
    queued = [] if event.queue is None else event.queue.waiting
    return [
        WaitingRow(offer_id=each.offer_id, rider_id=each.rider_id or None, carrier_id=each.carrier_id)
        for each in queued
    ]


def with_offer(row: TenderRow, event: Any) -> TenderRow:
    before = row.offers[event.offer_id]
    offer = replace(
        before,
        state=OFFER_STATES[type(event)],
        bid=event.bid if isinstance(event, OfferClaimed) else before.bid,
        counter=counter(event) if isinstance(event, OfferCountered) else before.counter,
        reason_code=getattr(event, "reason_code", None),
        overload=getattr(event, "overload", None),
    )
    return replace(row, offers={**row.offers, event.offer_id: offer})


def counter(event: OfferCountered) -> CounterRow:
    return CounterRow(
        price=event.price,
        pickup_at=event.pickup_at,
        dropoff_at=event.dropoff_at,
        within_limit=event.within_limit,
    )


TENDER_BOARD = ReadModel(
    name="tender_board",
    version=5,
    table=TABLE,
    row=TenderRow,
    key=("tenant", "tender_id"),
    events=frozenset(members_of(TenderEvent)),
    keys=by_aggregate,
    apply=apply,
)

KNOWN = "SELECT count(*) FROM tender_board WHERE tenant = %s AND tender_id = ANY(%s)"
PAGE = """
SELECT * FROM tender_board
WHERE tenant = %(tenant)s
  AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(task_id)s::text IS NULL OR task_id = %(task_id)s
    OR bundle <> '[]' AND bundle @> jsonb_build_array(jsonb_build_object('task_id', %(task_id)s::text)))
  AND (%(at)s::timestamptz IS NULL OR (created_at, tender_id) > (%(at)s, %(id)s))
ORDER BY created_at, tender_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Tenders, oldest first."""


async def known(connection: AsyncConnection, tenant: str, tender_ids: Sequence[str]) -> int:
    """How many of these there are."""
    cursor = await connection.execute(KNOWN, (tenant, list(tender_ids)))
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])
