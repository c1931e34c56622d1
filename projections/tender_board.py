"""Which tenders are there, who has been asked, and who won?"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from schemas.catalog import members_of
from schemas.load import Overload
from schemas.message import Event
from schemas.tender import (
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
    TenderWithdrawn,
)

TABLE = """
CREATE TABLE {table} (
    tenant     text        NOT NULL,
    tender_id  text        NOT NULL,
    task_id    text        NOT NULL,
    round      bigint      NOT NULL,
    mode       text        NOT NULL,
    state      text        NOT NULL,
    offers     jsonb       NOT NULL,
    winner     text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version    bigint      NOT NULL,
    PRIMARY KEY (tenant, tender_id)
);
CREATE INDEX ON {table} (tenant, created_at, tender_id);
CREATE INDEX ON {table} (tenant, task_id)
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
}


class OfferRow(msgspec.Struct, frozen=True, kw_only=True):
    rider_id: str
    expires_at: datetime
    state: str = "sent"
    reason_code: str | None = None
    overload: Overload | None = None


class TenderRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    tender_id: str
    task_id: str
    round: int
    mode: str
    state: str = "open"
    offers: Mapping[str, OfferRow] = {}
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
            mode=event.mode,
            created_at=source.recorded_at,
            updated_at=source.recorded_at,
            version=source.version,
        )
    assert row is not None, "a tender begins with its decision"
    return replace(changed(row, fact), updated_at=source.recorded_at, version=source.version)


def changed(row: TenderRow, fact: Fact) -> TenderRow:
    match fact.event:
        case OfferSent() as event:
            offer = OfferRow(rider_id=event.rider_id, expires_at=event.expires_at)
            return replace(row, offers={**row.offers, event.offer_id: offer})
        case TenderAwarded() as event:
            return replace(row, state="awarded", winner=event.rider_id)
        case TenderExhausted():
            return replace(row, state="exhausted")
        case TenderWithdrawn():
            return replace(row, state="withdrawn")
        case event if type(event) in OFFER_STATES:
            return with_offer(row, event)
        case _:
            return row


def with_offer(row: TenderRow, event: Any) -> TenderRow:
    offer = replace(
        row.offers[event.offer_id],
        state=OFFER_STATES[type(event)],
        reason_code=getattr(event, "reason_code", None),
        overload=getattr(event, "overload", None),
    )
    return replace(row, offers={**row.offers, event.offer_id: offer})


TENDER_BOARD = ReadModel(
    name="tender_board",
    version=2,
    table=TABLE,
    row=TenderRow,
    key=("tenant", "tender_id"),
    events=frozenset(members_of(TenderEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM tender_board
WHERE tenant = %(tenant)s
  AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(task_id)s::text IS NULL OR task_id = %(task_id)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, tender_id) > (%(at)s, %(id)s))
ORDER BY created_at, tender_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Tenders, oldest first."""
