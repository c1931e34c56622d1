"""I7: a tender has one winner and settles each of its offers, a task has one assignee at a time, a parcel one party who
hands it on."""

from infra.check.finding import Judgement
from schemas import catalog
from schemas.carried import TaskGivenToCarrier, TaskTakenFromCarrier
from schemas.carrier_offer import CounterDeclined
from schemas.goods import ParcelsLost, Party
from schemas.hand_over import ParcelsHandedOver
from schemas.message import Event
from schemas.record import Envelope, Stored, Unreadable, event_of
from schemas.stop_events import ParcelsDelivered, ParcelsHeld, ParcelsPickedUp, ParcelsReturned, ParcelsWrittenOff
from schemas.task import TaskAssigned, TaskCreated, TaskUnassigned
from schemas.tender import (
    ClaimRejected,
    OfferAccepted,
    OfferDeclined,
    OfferExpired,
    OfferLost,
    OfferSent,
    OfferWithdrawn,
    TenderAwarded,
    TenderExhausted,
    TenderWithdrawn,
)

TOLD_BY: tuple[type[Event], ...] = (
    TaskCreated,
    TaskAssigned,
    TaskUnassigned,
    TaskGivenToCarrier,
    TaskTakenFromCarrier,
    ParcelsPickedUp,
    ParcelsDelivered,
    ParcelsReturned,
    ParcelsHeld,
    ParcelsHandedOver,
    ParcelsLost,
    ParcelsWrittenOff,
    OfferSent,
    OfferAccepted,
    OfferDeclined,
    OfferExpired,
    OfferLost,
    OfferWithdrawn,
    ClaimRejected,
    CounterDeclined,
    TenderAwarded,
    TenderExhausted,
    TenderWithdrawn,
)
NAMES = frozenset(catalog.BY_CLASS[cls].name for cls in TOLD_BY)
"""No other record needs to be decoded."""


class Custody:
    """Of one partition's aggregates."""

    def __init__(self, judgement: Judgement) -> None:
        self._judgement = judgement
        self._winners: dict[str, str] = {}
        self._pending: dict[str, set[str]] = {}
        """Of each tender the offers that are not settled."""
        self._over: dict[str, str] = {}
        """Tenders that are over with such offers, and where they ended."""
        self._assignees: dict[str, str] = {}
        self._parcels: dict[tuple[str, str], Party] = {}

    def take(self, envelope: Envelope, stored: Stored) -> None:
        if envelope.type not in NAMES:
            return
        at = f"{stored.topic}/{stored.partition}@{stored.offset}"
        try:
            event = event_of(stored, None)
        except Unreadable as unreadable:
            self._judgement.found(at, unreadable.reason)
            return
        self._fact(envelope.aggregate_id, event, at)

    def _fact(self, aggregate_id: str, event: Event, at: str) -> None:
        match event:
            case OfferSent():
                self._sent(aggregate_id, event.offer_id)
            case (
                OfferDeclined() | OfferExpired() | OfferLost() | OfferWithdrawn() | ClaimRejected() | CounterDeclined()
            ):
                self._settled(aggregate_id, event.offer_id)
            case TenderExhausted() | TenderWithdrawn():
                self._ended(aggregate_id, at)
            case OfferAccepted():
                self._settled(aggregate_id, event.offer_id)
                self._won(aggregate_id, event.offer_id, at)
            case TenderAwarded():
                self._ended(aggregate_id, at)
                self._won(aggregate_id, event.offer_id, at)
            case TaskAssigned():
                self._assigned(aggregate_id, f"rider {event.rider_id}", at)
            case TaskUnassigned():
                self._unassigned(aggregate_id, f"rider {event.rider_id}", at)
            case TaskGivenToCarrier():
                self._assigned(aggregate_id, f"carrier {event.carrier_id}", at)
            case TaskTakenFromCarrier():
                self._unassigned(aggregate_id, f"carrier {event.carrier_id}", at)
            case TaskCreated():
                self._judgement.looked_at += 1 + len(event.parcels)
                at_stop = {stop.stop_id: stop.party for stop in event.stops}
                self._parcels |= {(aggregate_id, p.parcel_id): at_stop[p.pickup_stop] for p in event.parcels}
            case (
                ParcelsPickedUp()
                | ParcelsDelivered()
                | ParcelsReturned()
                | ParcelsHeld()
                | ParcelsHandedOver()
                | ParcelsLost()
            ):
                for parcel_id in event.parcel_ids:
                    self._handed_on(aggregate_id, parcel_id, event.from_party, event.to_party, at)
            case ParcelsWrittenOff():  # by statement, whoever had them
                self._parcels |= {(aggregate_id, parcel_id): event.to_party for parcel_id in event.parcel_ids}
            case _:
                pass

    def end(self) -> None:
        """Nothing more will come: an offer whose tender is over can be taken by nobody."""
        for tender, at in self._over.items():
            lost = ", ".join(sorted(self._pending[tender]))
            self._judgement.found(at, f"tender {tender} is over, and of offer {lost} nobody was told what became")

    def _sent(self, tender: str, offer: str) -> None:
        self._judgement.looked_at += 1
        self._pending.setdefault(tender, set()).add(offer)

    def _settled(self, tender: str, offer: str) -> None:
        left = self._pending.get(tender)
        if left is None:
            return
        left.discard(offer)
        if not left:
            del self._pending[tender]
            self._over.pop(tender, None)

    def _ended(self, tender: str, at: str) -> None:
        if tender in self._pending:
            self._over[tender] = at

    def _won(self, tender: str, offer: str, at: str) -> None:
        self._judgement.looked_at += tender not in self._winners
        before = self._winners.setdefault(tender, offer)
        if before != offer:
            self._judgement.found(at, f"tender {tender} is won by offer {offer}, and was by {before}")

    def _assigned(self, task: str, taker: str, at: str) -> None:
        if task in self._assignees:
            self._judgement.found(at, f"task {task} goes to {taker}, and {self._assignees[task]} still has it")
        self._assignees[task] = taker

    def _unassigned(self, task: str, taker: str, at: str) -> None:
        has = self._assignees.pop(task, None)
        if has != taker:
            self._judgement.found(at, f"task {task} is taken from {taker}, and {name_of(has)} has it")

    def _handed_on(self, task: str, parcel_id: str, giver: Party, taker: Party, at: str) -> None:
        has = self._parcels.get((task, parcel_id))
        if has != giver:
            has_it = "nobody" if has is None else f"{has.kind} {name_of(has.id)}"
            what = f"parcel {parcel_id} of task {task} comes from {giver.kind} {name_of(giver.id)}"
            self._judgement.found(at, f"{what}, and {has_it} has it")
        self._parcels[task, parcel_id] = taker


def name_of(party: str | None) -> str:
    return party or "nobody"
