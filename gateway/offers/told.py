"""What a rider is told of offers: those that are pending, and what becomes of each."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from psycopg.rows import dict_row

from gateway.personal import Opener, shown
from gateway.reading import Connection, Row
from schemas.dispatch_rules import TenderMode
from schemas.geo import Window
from schemas.itinerary import Placed, StopRef
from schemas.load import Load
from schemas.message import StopId, TaskId
from schemas.money import Money

MOST_PENDING = 100
"""Of one rider. Those beyond it are told of when they come to something, or once there are fewer."""

CHANGES = {
    "OfferSent": "sent",
    "OfferViewed": "viewed",
    "OfferClaimed": "claimed",
    "ClaimRejected": "rejected",
    "OfferDeclined": "declined",
    "OfferExpired": "expired",
    "OfferAccepted": "won",
    "OfferLost": "lost",
    "OfferWithdrawn": "withdrawn",
}
"""Events that name the rider who was asked, and what they say of the offer."""

PENDING = """
SELECT tender.tender_id, tender.task_id, tender.bundle, tender.mode, tender.bids_until, asked.offer_id,
       asked.told AS asked, sent.body AS sent, sent.event_time AS sent_at
FROM tender_board AS tender
CROSS JOIN LATERAL jsonb_each(tender.offers) AS asked (offer_id, told)
JOIN history AS sent ON sent.tenant = tender.tenant AND sent.aggregate_id = tender.tender_id
    AND sent.type = 'OfferSent' AND sent.body ->> 'offer_id' = asked.offer_id
WHERE tender.tenant = %(tenant)s AND tender.state = 'open'
  AND asked.told ->> 'rider_id' = %(rider)s AND asked.told ->> 'state' IN ('sent', 'viewed', 'claimed')
ORDER BY sent.event_time, asked.offer_id
LIMIT %(limit)s
"""
OPENED = """
SELECT body FROM history
WHERE tenant = %s AND aggregate_id = %s AND type = 'TenderOpened'
ORDER BY version DESC LIMIT 1
"""
TASK = "SELECT task_id, kind, priority, stops, parcels FROM task_detail WHERE tenant = %s AND task_id = %s"


class OfferedStop(msgspec.Struct, frozen=True, kw_only=True):
    """`place` is whose door it is, where it is an outlet's or a hub's; `location` is `erased` once they are forgotten.
    Whom one meets there is told to who has the task."""

    stop_id: str
    kind: str
    place: Any
    location: Any
    window: Window | None
    service_seconds: int
    goods_ready_at: datetime | None
    minimum_age: int | None


class OfferedTask(msgspec.Struct, frozen=True, kw_only=True):
    """`stops` in their order, `load` of all its parcels together."""

    task_id: str
    kind: str
    priority: str
    stops: list[OfferedStop]
    load: Load


class Bids(msgspec.Struct, frozen=True, kw_only=True):
    """A claim says for how much, until then."""

    until: datetime
    currency: str


class PendingOffer(msgspec.Struct, frozen=True, kw_only=True):
    """`placed` is where the stops would go on their itinerary, `ends_at` when they would be through with all of it.
    With `bundle` it is for all of these tasks or none, and `way` has their stops in the order in which they would come.
    """

    tender_id: str
    offer_id: str
    state: str
    mode: TenderMode
    sent_at: datetime
    expires_at: datetime
    placed: list[Placed]
    ends_at: datetime | None
    bids: Bids | None
    bid: Money | None
    task: OfferedTask
    bundle: list[OfferedTask]
    way: list[StopRef]


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """All that are pending, as of `position`. `more`: there are over MOST_PENDING."""

    position: str
    offers: list[PendingOffer]
    more: bool


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """`offer` where it was sent, as it was then; null where its task is not to be seen any more."""

    position: str
    change: str
    at: datetime
    tender_id: str
    offer_id: str
    offer: PendingOffer | UnsetType | None = UNSET
    bid: Money | UnsetType | None = UNSET
    reason_code: str | UnsetType = UNSET


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing has happened to the rider's offers up to `position`."""

    position: str
    heartbeat: datetime


type Opens = Callable[[str], Opener]
"""By the task's id."""


async def pending_rows(connection: Connection, tenant: str, rider: str) -> list[Row]:
    """One more than are told, where there are."""
    return await all_of(connection, PENDING, {"tenant": tenant, "rider": rider, "limit": MOST_PENDING + 1})


async def task_of(connection: Connection, tenant: str, task_id: str) -> Row | None:
    return next(iter(await all_of(connection, TASK, (tenant, task_id))), None)


def named_by(tender: Row) -> list[str]:
    """The tasks that it offers, the one that it is named by first."""
    return [tender["task_id"], *(other["task_id"] for other in tender.get("bundle") or [])]


async def opened_as(connection: Connection, tenant: str, tender_id: str) -> Row:
    """The tender as it was opened: its task, its mode, until when bids are asked."""
    [row] = await all_of(connection, OPENED, (tenant, tender_id))
    body: Row = row["body"]
    return body


async def all_of(connection: Connection, query: str, values: Any) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query.encode(), values)
        return await cursor.fetchall()


def as_pending(row: Row, tasks: Sequence[OfferedTask], currency: str) -> PendingOffer:
    task, *bundle = tasks
    asked, sent, until = row["asked"], row["sent"], row["bids_until"]
    return msgspec.convert(
        {
            "tender_id": row["tender_id"],
            "offer_id": row["offer_id"],
            "state": asked["state"],
            "mode": row["mode"],
            "sent_at": row["sent_at"],
            "expires_at": sent["expires_at"],
            "placed": sent["placed"],
            "ends_at": sent["ends_at"],
            "bids": None if until is None else {"until": until, "currency": currency},
            "bid": asked["bid"],
            "task": task,
            "bundle": bundle,
            "way": way_of(tasks, sent["placed"]),
        },
        PendingOffer,
    )


def way_of(tasks: Sequence[OfferedTask], placed: Sequence[Row]) -> list[StopRef]:
    """As they are placed; those that go to the end in the order of their tasks."""
    stops = [(task.task_id, stop.stop_id) for task in tasks for stop in task.stops]
    told = [(each.get("task_id") or tasks[0].task_id, each["stop_id"]) for each in placed]
    order = dict.fromkeys([each for each in told if each in stops] + stops)
    return [StopRef(task_id=TaskId(task_id), stop_id=StopId(stop_id)) for task_id, stop_id in order]


def as_offered(task: Row, by: Opener) -> OfferedTask:
    return OfferedTask(
        task_id=task["task_id"],
        kind=task["kind"],
        priority=task["priority"],
        stops=[as_stop(stop, by) for stop in task["stops"]],
        load=load_of(task["parcels"]),
    )


def as_stop(stop: Row, by: Opener) -> OfferedStop:
    party = stop["party"]
    return msgspec.convert(
        {
            "stop_id": stop["stop_id"],
            "kind": stop["kind"],
            "place": party if party["kind"] in ("outlet", "hub") else None,
            "location": shown(stop["location"], by),
            "window": stop["window"],
            "service_seconds": stop["service_seconds"],
            "goods_ready_at": stop["goods_ready_at"],
            "minimum_age": stop["minimum_age"],
        },
        OfferedStop,
    )


def load_of(parcels: Mapping[str, Row]) -> Load:
    each = [row["parcel"] for row in parcels.values()]
    return Load(
        weight_g=sum(parcel["weight_g"] for parcel in each),
        volume_cm3=sum(parcel["volume_cm3"] for parcel in each),
        parcels=len(each),
    )


def as_change(row: Row, position: str, offer: PendingOffer | UnsetType | None = UNSET) -> Change:
    body = row["body"]
    return Change(
        position=position,
        change=CHANGES[row["type"]],
        at=row["event_time"],
        tender_id=row["aggregate_id"],
        offer_id=body["offer_id"],
        offer=offer,
        bid=msgspec.convert(body["bid"], Money | None) if row["type"] == "OfferClaimed" else UNSET,
        reason_code=body.get("reason_code", UNSET),
    )
