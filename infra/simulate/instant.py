"""Each order is tendered as it comes: by the decision and the tender's own rules, round by round."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from commands import tender as tenders
from commands.context import Context, Secrets, TenantPolicy
from infra.simulate.day import WINDOW_OVER, World, stops_of
from infra.simulate.fate import Fate, answer_of, bid_minor
from infra.simulate.riding import TENANT, moment, place_of
from schemas.directory import TenantRules
from schemas.geo import Location
from schemas.ids import tender_id
from schemas.message import OfferId, Refused, RiderId, Source, TaskId, TenantSlug, TenderId
from schemas.money import Money
from schemas.rider import NewPlannedStop
from schemas.tender import (
    AwardTender,
    ClaimOffer,
    ClaimRejected,
    CloseBidding,
    DeclineOffer,
    ExpireOffer,
    OfferDeclined,
    OfferExpired,
    OfferLost,
    OfferSent,
    OfferWithdrawn,
    OpenTender,
    RejectClaim,
    ReservationRequested,
    TenderAwarded,
    TenderCommand,
    TenderEvent,
    TenderExhausted,
    TenderOpened,
)
from streams.dispatch.decision import Decision
from streams.dispatch.known import KnownCarrier, Seen
from streams.dispatch.tendering import KnownTask

NOBODY_WANTED_IT = "nobody_wanted_it"
"""Riders were asked, and none took it."""


SECRETS = Secrets(bytes(32))
"""Nothing is kept from anybody here."""


class Asked:
    """A tender that is open, and what was asked of whom."""

    def __init__(self, tender: TenderId, fate: Fate) -> None:
        self.tender, self.fate = tender, fate
        self.state: tenders.Tender = tenders.Unopened()
        self.sent: dict[OfferId, OfferSent] = {}
        self.bids: dict[OfferId, Money] = {}


class Instant:
    """Riders, rules and the rest, as a decision looks them up."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._now_s = 0.0
        rules = world.policy.rules
        self._policy = TenantPolicy(tenant=TENANT, mode="test", rules=rules, outlets={}, version=1)
        self._decide = Decision(self, self, world.roads.router, lambda tenant: moment(self._now_s))

    async def rules(self, tenant: TenantSlug) -> TenantRules:
        return self._world.policy.rules

    async def riders(self, tenant: TenantSlug, rules: TenantRules) -> Sequence[Seen]:
        decline_s = 60.0 * rules.dispatch.filters.decline_minutes
        return [riding.seen(self._now_s, decline_s) for riding in self._world.ridings]

    async def declined(self, tenant: TenantSlug, task_id: str) -> frozenset[RiderId]:
        return frozenset(RiderId(each) for each in self._world.fates[TaskId(task_id)].declined)

    async def carriers(self, tenant: TenantSlug, task_id: TaskId) -> Sequence[KnownCarrier]:
        """A simulated day has riders alone."""
        return []

    async def documents_of_vehicles(self, tenant: TenantSlug) -> Sequence[str]:
        return []

    async def zones(self, tenant: TenantSlug, places: Sequence[Location], at: datetime) -> Sequence[frozenset[str]]:
        return [frozenset() for _ in places]

    async def policy_version(self, tenant: TenantSlug) -> int:
        return 1

    async def task(self, tenant: TenantSlug, task_id: str, source: Source) -> KnownTask:
        fate = self._world.fates[TaskId(task_id)]
        stops = [
            NewPlannedStop(
                stop_id=stop.stop_id,
                kind=stop.kind,
                subject=stop.location.subject,
                location=place_of(stop),
                window=stop.window,
                service_seconds=stop.service_seconds,
                load=stop.load,
            )
            for stop in stops_of(fate.order)
        ]
        skills = [*fate.order.skills]
        return KnownTask(task_id=TaskId(task_id), round=fate.round, stops=stops, ahead=stops, required_skills=skills)

    async def claimed(self, tender: TenderId, offer: OfferId, source: Source) -> bool:
        return True

    async def came(self, fate: Fate, now_s: float) -> None:
        closes_s = fate.order.closes_s
        if closes_s is not None and now_s >= closes_s:
            fate.code = fate.code or WINDOW_OVER
            return
        self._now_s = now_s
        task_id = TaskId(fate.order.id)
        source = self._source(task_id, now_s)
        opening = await self._decide(await self.task(TENANT, task_id, source), fate.round, source)
        assert opening is not None, "it has stops ahead"
        if opening.offers:
            fate.code = NOBODY_WANTED_IT
        else:
            fate.code = why_nobody(opening)
        asked = Asked(tender_id(task_id, fate.round), fate)
        asked.bids = self._bids(opening) if opening.mode == "bid" else {}
        await self._do(asked, opening, now_s)

    def _source(self, task_id: str, now_s: float) -> Source:
        now = moment(now_s)
        return Source(
            event_id=task_id,
            topic="",
            partition=0,
            offset=0,
            tenant=TENANT,
            outlet=None,
            aggregate_id=task_id,
            version=1,
            event_time=now,
            recorded_at=now,
            actor="simulator",
            command_id=task_id,
            correlation_id=task_id,
        )

    def _bids(self, opening: OpenTender) -> dict[OfferId, Money]:
        currency, seed = self._world.policy.rules.dispatch.currency, self._world.seed
        costs = {each.rider_id: each.parts.cost if each.parts else 0.0 for each in opening.candidates}
        return {
            offer.offer_id: Money(
                amount_minor=bid_minor(costs[offer.rider_id], opening.task_id, offer.rider_id, seed), currency=currency
            )
            for offer in opening.offers
        }

    async def _do(self, asked: Asked, command: TenderCommand, now_s: float, actor: str = "simulator") -> None:
        """What the tender refuses came too late."""
        context = Context(
            now=moment(now_s),
            tenant=TENANT,
            aggregate_id=asked.tender,
            command_id=asked.tender,
            actor=actor,
            role="rider",
            secrets=SECRETS,
            policy_or_none=self._policy,
        )
        try:
            events = tenders.decide(asked.state, command, context)
        except Refused:
            return
        for event in events:
            asked.state = tenders.evolve(asked.state, event)
        for event in events:
            await self._follows(asked, event, now_s)

    async def _follows(self, asked: Asked, event: TenderEvent, now_s: float) -> None:
        match event:
            case TenderOpened(bids_until=datetime() as until):
                self._later(asked, CloseBidding(), until.timestamp())
            case OfferSent():
                self._asks(asked, event, now_s)
            case OfferDeclined() | OfferExpired() | ClaimRejected():
                asked.fate.declined.add(event.rider_id)
                self._world.by_id[event.rider_id].offers -= 1
                if not isinstance(event, ClaimRejected):
                    self._world.by_id[event.rider_id].declined_s.append(now_s)
            case OfferLost() | OfferWithdrawn():
                self._world.by_id[event.rider_id].offers -= 1
            case ReservationRequested():
                await self._reserves(asked, event, now_s)
            case TenderAwarded():
                self._world.by_id[event.rider_id].offers -= 1
                placed = asked.sent[event.offer_id].placed
                await self._world.assign(event.task_id, event.rider_id, placed, now_s)
            case TenderExhausted():
                self._again(asked.fate, now_s)
            case _:
                pass

    def _asks(self, asked: Asked, offer: OfferSent, now_s: float) -> None:
        world = self._world
        riding = world.by_id[offer.rider_id]
        riding.offers += 1
        asked.sent[offer.offer_id] = offer
        answers_s = now_s + world.policy.answer_seconds
        match answer_of(world.policy, riding.spec, asked.fate.order.id, asked.fate.round, world.seed):
            case "accept":
                claim = ClaimOffer(offer_id=offer.offer_id, bid=asked.bids.get(offer.offer_id))
                self._later(asked, claim, answers_s, offer.rider_id)
            case "decline":
                decline = DeclineOffer(offer_id=offer.offer_id, reason_code="busy")
                self._later(asked, decline, answers_s, offer.rider_id)
            case _:
                pass
        self._later(asked, ExpireOffer(offer_id=offer.offer_id), offer.expires_at.timestamp())

    def _later(self, asked: Asked, command: TenderCommand, at_s: float, actor: str = "simulator") -> None:
        async def happening(now_s: float) -> None:
            await self._do(asked, command, now_s, actor)

        self._world.clock.at(at_s, happening)

    async def _reserves(self, asked: Asked, event: ReservationRequested, now_s: float) -> None:
        """A rider who has won elsewhere meanwhile, or whose shift is over, is not reserved."""
        riding = self._world.by_id[event.rider_id]
        if not riding.on_shift(now_s):
            why = "off_shift"
        elif riding.tasks >= self._world.policy.rules.max_active_tasks:
            why = "too_many_tasks"
        else:
            await self._do(asked, AwardTender(offer_id=event.offer_id), now_s)
            return
        await self._do(asked, RejectClaim(offer_id=event.offer_id, reason_code=why), now_s)

    def _again(self, fate: Fate, now_s: float) -> None:
        rules = self._world.policy.rules
        if fate.round >= rules.max_rounds:
            return

        async def happening(now_s: float) -> None:
            fate.round += 1
            await self.came(fate, now_s)

        self._world.clock.at(now_s + rules.retry_seconds, happening)


def why_nobody(opening: OpenTender) -> str:
    """What shuts out most."""
    counted = Counter(each.code for each in opening.excluded)
    return min(counted, key=lambda code: (-counted[code], code)) if counted else "no_riders"
