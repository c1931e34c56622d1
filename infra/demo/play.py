"""The play: orders come, riders answer and ride, phones tell. One tick after another, on whatever clock there is."""

import asyncio
import heapq
import struct
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from infra.demo.api import Api, Json, Refusal
from infra.demo.chance import chance, slower
from infra.demo.plan import PlannedOrder, body_of
from infra.demo.rider import Drive, Report, Rider, Visit
from schemas.geo import Location
from streams.routing.osrm import OsrmRouter

PICKS_UP_S, HANDS_OVER_S, TRIES_AGAIN_S = (20.0, 60.0), (20.0, 75.0), (40.0, 90.0)
TELLS_AGAIN = timedelta(seconds=30)
"""A report whose effect is not seen yet is told again after this: a phone cannot know better."""

IDLE = timedelta(seconds=60)
"""Then a rider without work drives to where work comes from."""

MOST_REMEMBERED = 5_000
"""Deliveries and PINs; whose PIN is forgotten is handed over with a photo."""

AT_ONCE = 16
"""Requests under way."""

type Settle = Callable[[], Awaitable[None]]
"""Returns once everything that follows from what was sent has happened; at once where time is real."""


class Play:
    """`shops` are where idle riders wait. `counts` tell what the phones were answered.

    `pace`: how many times faster than people the riders ride and hand over.
    """

    def __init__(
        self,
        seed: str,
        api: Api,
        router: OsrmRouter,
        shops: list[Location],
        began_at: datetime,
        settle: Settle,
        *,
        pace: float = 1.0,
    ) -> None:
        self._seed, self._api, self._router, self._shops = seed, api, router, shops
        self._began_at, self._settle, self._pace = began_at, settle, pace
        self._riders: dict[str, Rider] = {}
        self._orders: list[tuple[datetime, int, PlannedOrder]] = []
        self._calls_off: list[tuple[datetime, str]] = []
        self._ordered: dict[str, PlannedOrder] = {}
        """By task."""
        self._pins: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self._at_once = asyncio.Semaphore(AT_ONCE)

    def join(self, rider: Rider) -> None:
        self._riders[rider.rider_id] = rider

    def plan(self, orders: Iterable[PlannedOrder]) -> None:
        for order in orders:
            heapq.heappush(self._orders, (self._began_at + timedelta(seconds=order.at_s), order.number, order))

    @property
    def planned(self) -> int:
        """Orders that are still to come."""
        return len(self._orders)

    @property
    def ordered(self) -> Mapping[str, PlannedOrder]:
        return self._ordered

    async def tick(self, now: datetime) -> None:
        """What happens up to `now`, in this order: orders, answers to offers, the road, fixes. Raises Unanswered."""
        await self._order(now)
        await self._call_off(now)
        await self._answer(now)
        await self._ride(now)
        await self._locate(now)

    # Who orders

    async def _order(self, now: datetime) -> None:
        while self._orders and self._orders[0][0] <= now:
            _, _, order = heapq.heappop(self._orders)
            told = await self._api.command("integrator", "shop", "/tasks", body_of(order, now))
            self._remember(told["id"], order, told["pins"])
            if order.character == "cancelled":
                heapq.heappush(self._calls_off, (now + timedelta(seconds=order.cancelled_after_s), told["id"]))
            self.counts["ordered"] += 1
            await self._settle()

    def _remember(self, task: str, order: PlannedOrder, pins: Json) -> None:
        self._ordered[task] = order
        self._pins |= {f"{task}/{stop}": pin for stop, pin in pins.items()}
        for known in (self._ordered, self._pins):
            while len(known) > MOST_REMEMBERED:
                del known[next(iter(known))]

    async def _call_off(self, now: datetime) -> None:
        while self._calls_off and self._calls_off[0][0] <= now:
            _, task = heapq.heappop(self._calls_off)
            await self._try("integrator", "shop", f"/tasks/{task}/cancel-task", {"reason_code": "changed_mind"}, "off")
            await self._settle()

    # What riders are asked

    async def _answer(self, now: datetime) -> None:
        """One after the other, in the order of their times: who is first matters."""
        tenders = await self._api.items("/tender-board?state=open")
        due: list[tuple[datetime, str, Json, str]] = []
        open_offers = {offer for tender in tenders for offer in tender["offers"]}
        for each in self._riders.values():
            each.answers = {offer: at for offer, at in each.answers.items() if offer in open_offers}
        for tender in tenders:
            for offer_id, offer in tender["offers"].items():
                rider = self._riders.get(offer["rider_id"])
                if rider is None or offer["state"] not in ("sent", "viewed") or not rider.phone.online(now):
                    continue
                answers_at = rider.answers.setdefault(offer_id, now + self._thinks(rider, offer_id))
                if answers_at <= now:
                    due.append((answers_at, offer_id, tender, rider.rider_id))
        for _, offer_id, tender, rider_id in sorted(due, key=lambda each: each[:2]):
            await self._answer_one(self._riders[rider_id], offer_id, tender)

    def _thinks(self, rider: Rider, offer_id: str) -> timedelta:
        return timedelta(seconds=chance(self._seed, "thinks", offer_id).uniform(*rider.persona.thinks_s))

    async def _answer_one(self, rider: Rider, offer_id: str, tender: Json) -> None:
        says = self._says(rider, offer_id, tender["task_id"])
        if says == "ignores":
            return
        body = {"offer_id": offer_id}
        word = "claim-offer" if says == "claims" else "decline-offer"
        if says != "claims":
            body["reason_code"] = says
        path = f"/tenders/{tender['tender_id']}/{word}"
        if await self._try("rider", rider.rider_id, path, body, offer_id):
            self.counts["claimed" if says == "claims" else "declined"] += 1
        await self._settle()

    def _says(self, rider: Rider, offer_id: str, task: str) -> str:
        of = chance(self._seed, "says", offer_id)
        order = self._ordered.get(task)
        if order is not None and order.character == "unwanted":
            return of.choice(("too_heavy", "too_many_stairs", "ignores"))
        said = of.random()
        if said < rider.persona.ignores:
            return "ignores"
        return "busy" if said < rider.persona.ignores + rider.persona.declines else "claims"

    # The road

    async def _ride(self, now: datetime) -> None:
        roster = await self._api.items("/rider-roster?on_shift=true")
        for row in roster:
            if (known := self._riders.get(row["rider_id"])) is not None:
                await self._go_on(known, row["itinerary"], now)
        telling = [
            self._tell_all(rider, reports) for rider in self._riders.values() if (reports := rider.phone.told(now))
        ]
        await self._all_then_settle(telling)

    async def _go_on(self, rider: Rider, itinerary: list[Json], now: datetime) -> None:
        ahead = [(stop["task_id"], stop["stop_id"]) for stop in itinerary]
        if rider.visit is not None and rider.visit.key not in ahead:
            rider.place, rider.visit, rider.idle_since = rider.at(now), None, now
        if rider.visit is None and itinerary:
            await self._set_out(rider, itinerary[0], now)
        if rider.visit is not None:
            self._visit(rider, rider.visit, now)
        elif rider.wandering is None:
            await self._wander(rider, now)
        elif rider.wandering.arrives_at <= now:
            rider.place, rider.wandering = rider.wandering.place(now), None

    async def _set_out(self, rider: Rider, stop: Json, now: datetime) -> None:
        """Not before the rider knows of it: an itinerary changes only where there is network."""
        if not rider.phone.online(now) or not isinstance(stop["location"], dict):
            return
        rider.place, rider.wandering = rider.at(now), None
        goal = Location(lat=stop["location"]["lat"], lon=stop["location"]["lon"])
        drive = await self._drive(rider, goal, now, f"{stop['task_id']}/{stop['stop_id']}")
        rider.visit = Visit(
            task_id=stop["task_id"],
            stop_id=stop["stop_id"],
            kind=stop["kind"],
            goal=goal,
            since=now,
            drive=drive,
            due_at=drive.arrives_at,
        )
        self._report(rider, rider.visit, "report-en-route", now)

    async def _drive(self, rider: Rider, goal: Location, now: datetime, words: str) -> Drive:
        way = await self._router.way([rider.place, goal])
        return Drive(way, now, slower(chance(self._seed, "drive", rider.persona.reference, words)) / self._pace)

    def _visit(self, rider: Rider, visit: Visit, now: datetime) -> None:
        """Everything at this stop that is due by now."""
        while visit.due_at <= now:
            at = visit.due_at
            of = chance(self._seed, "visit", visit.task_id, visit.stop_id, visit.reported)
            if visit.drive is not None:
                rider.place, visit.drive = visit.goal, None
                fix = {"lat": visit.goal.lat, "lon": visit.goal.lon, "accuracy_m": 8.0, "observed_at": at.isoformat()}
                self._report(rider, visit, "report-arrived", at, fix=fix)
                visit.due_at = at + timedelta(seconds=of.uniform(*stays_s(visit.kind)) / self._pace)
            elif visit.kind == "dropoff" and self._nobody_home(visit.task_id):
                rang = {"channel": "doorbell", "attempted_at": at.isoformat()}
                reason = "customer_unavailable"
                self._report(rider, visit, "report-attempt-failed", at, reason_code=reason, contacts=[rang])
                visit.due_at = at + timedelta(seconds=of.uniform(*TRIES_AGAIN_S) / self._pace)
            else:
                self._hand_over(rider, visit, at)
                visit.due_at = now + TELLS_AGAIN
            visit.reported += 1

    def _nobody_home(self, task: str) -> bool:
        order = self._ordered.get(task)
        return order is not None and order.character == "nobody_home"

    def _hand_over(self, rider: Rider, visit: Visit, at: datetime) -> None:
        match visit.kind:
            case "pickup":
                self._report(rider, visit, "report-picked-up", at)
            case "return":
                self._report(rider, visit, "report-returned", at)
            case _:
                self._report(rider, visit, "report-delivered", at, proofs=[self._proof(visit)])

    def _proof(self, visit: Visit) -> Json:
        """The recipient's PIN; a photo where the recipient has none to tell."""
        pin = self._pins.get(f"{visit.task_id}/{visit.stop_id}")
        if pin is not None and chance(self._seed, "proof", visit.task_id).random() < 0.8:
            return {"kind": "pin", "pin": pin}
        return {"kind": "photo", "sha256": sha256(self._photo(visit.task_id, visit.stop_id)).hexdigest()}

    def _photo(self, task: str, stop: str) -> bytes:
        """Of a door: no two look alike."""
        return picture(chance(self._seed, "photo", task, stop).randbytes)

    def _report(self, rider: Rider, visit: Visit, command: str, at: datetime, **more: Any) -> None:
        """The same key for the same report of the same visit, so that telling again is a repeat."""
        body = {"stop_id": visit.stop_id, "observed_at": at.isoformat()} | more
        key = f"{rider.persona.reference}-{visit.stop_id}-{visit.since.timestamp():.3f}-{command}-{visit.reported}"
        rider.phone.reports.append(Report(task_id=visit.task_id, command=command, body=body, key=key))

    async def _tell_all(self, rider: Rider, reports: list[Report]) -> None:
        """In the order in which it happened."""
        for report in reports:
            await self._tell(rider, report)

    async def _tell(self, rider: Rider, report: Report) -> None:
        path = f"/tasks/{report.task_id}/{report.command}"
        if any(proof["kind"] == "photo" for proof in report.body.get("proofs", ())):
            await self._api.photo(rider.rider_id, self._photo(report.task_id, report.body["stop_id"]))
        await self._try("rider", rider.rider_id, path, report.body, report.key)

    async def _wander(self, rider: Rider, now: datetime) -> None:
        if now - rider.idle_since < IDLE:
            return
        of = chance(self._seed, "wander", rider.persona.reference, rider.idle_since.isoformat())
        goal = of.choice(self._shops)
        rider.wandering = await self._drive(rider, goal, now, rider.idle_since.isoformat())
        rider.idle_since = rider.wandering.arrives_at + timedelta(minutes=4)

    # The phones

    async def _locate(self, now: datetime) -> None:
        for rider in self._riders.values():
            rider.phone.locate(rider.drive, rider.place, now)
        sending = [self._send(rider, fixes) for rider in self._riders.values() if (fixes := rider.phone.sent(now))]
        await self._all_then_settle(sending)

    async def _send(self, rider: Rider, fixes: list[Json]) -> None:
        told = await self._api.fixes(rider.rider_id, rider.persona.device, fixes)
        for name in ("accepted", "off_duty", "unbound"):
            self.counts[f"fixes {name}"] += told[name]

    # Sending

    async def _all_then_settle(self, sendings: Sequence[Coroutine[Any, Any, None]]) -> None:
        if not sendings:
            return

        async def one(sending: Coroutine[Any, Any, None]) -> None:
            async with self._at_once:
                await sending

        await asyncio.gather(*(one(sending) for sending in sendings))
        await self._settle()

    async def _try(self, role: Any, subject: str, path: str, body: Json, key: str) -> bool:
        """Whether it was taken. What the system refuses by a rule is life, and counted."""
        try:
            await self._api.command(role, subject, path, body, key)
        except Refusal as refused:
            if refused.status not in (404, 409, 422):
                raise
            self.counts[f"refused {refused.code}"] += 1
            return False
        return True


def picture(pixels: Callable[[int], bytes], side: int = 16) -> bytes:
    """A PNG of grey squares."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\x00" + pixels(side) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def stays_s(kind: str) -> tuple[float, float]:
    return PICKS_UP_S if kind == "pickup" else HANDS_OVER_S
