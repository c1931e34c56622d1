"""Who uses the system meanwhile: integrators who order, call off and look; riders who deliver. All keep journals.

An integrator asks until it is told: where nobody answers, or nobody can judge, the same again at the next gateway. What
it was told it has written down before it goes on.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import msgspec

from gateway.tokens import Tokens
from infra.check.journals import Acknowledged
from infra.clock import real_time
from infra.demo.api import OVERLOADED, Api, Json, Refusal
from infra.demo.cities import CITIES
from infra.demo.journal import Journal
from infra.demo.plan import order, personas
from infra.demo.play import Play
from infra.demo.rider import Rider
from infra.demo.settled import RULES, settle_rider, settle_tenant, start_shift
from infra.demo.settled import TENANT as TOWN
from infra.demo.streets import Streets
from infra.settings import Settings
from schemas.ids import tenant_id
from schemas.message import Role
from streams.routing.osrm import OsrmRouter
from tests.faults.told import Asked, First, Told

TENANT = "orders"
"""No rider works there: nothing but its client's word ends a task."""
OUTLET = "kamppi"
PATIENCE_S = 5.0
"""Without an answer for so long the same is asked elsewhere."""
AGAIN_AFTER_S = (0.05, 0.4)
THINKS_S = (0.1, 0.5)
TWICE, REPEATS, OTHERWISE, CALLED_OFF, AGAIN, ANEW, READS = 0.15, 0.25, 0.08, 0.5, 0.4, 0.3, 0.5
"""Of what is ordered so much is asked for at two gateways at once, asked for again later, asked for with another body;
called off; that asked for again, and under another key; of what is told so much is read."""

PLACED = 0.1
"""Of all orders so many have a place, so that they are dispatched, in vain; more would keep the town's own waiting."""

INTERNAL_ERROR = 500


class Counts:
    """Of all clients."""

    def __init__(self) -> None:
        self.asked = 0
        """Commands, each once however often it was sent."""
        self.sent = 0
        self.acknowledged_at: list[float] = []
        """By the monotonic clock."""
        self.turned_away: Counter[str] = Counter()
        """What was told, or happened, instead of an answer."""
        self.unanswered: list[str] = []
        """What nobody answered to the end."""
        self.ticks_failed: Counter[str] = Counter()

    def acknowledged(self) -> None:
        self.acknowledged_at.append(time.monotonic())


class AnyGateway(httpx.AsyncBaseTransport):
    """A request goes to the next gateway in turn; where one cannot be reached, to another."""

    def __init__(self, urls: Sequence[str], counts: Counts) -> None:
        self._inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=200))
        self._urls = [httpx.URL(url) for url in urls]
        self._turn, self._counts = cycle(self._urls), counts

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        failed: httpx.TransportError | None = None
        for _ in self._urls:
            to = next(self._turn)
            request.url = request.url.copy_with(host=to.host, port=to.port)
            request.headers["host"] = f"{to.host}:{to.port}"
            self._counts.sent += 1
            try:
                return await self._inner.handle_async_request(request)
            except httpx.ConnectError as down:
                failed = down
        assert failed is not None, "there are gateways"
        raise failed

    async def aclose(self) -> None:
        await self._inner.aclose()


class ToldJournal:
    """Lines of JSON, with the operating system before the client goes on."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._open = file.open("ab")

    def note(self, told: Told) -> None:
        self._open.write(msgspec.json.encode(told) + b"\n")
        self._open.flush()

    def close(self) -> None:
        self._open.close()


class Task(msgspec.Struct, kw_only=True):
    """As its client knows it."""

    reference: str
    body: Json
    key: str
    """Empty where the reference alone names it."""
    id: str = ""
    created: First | None = None
    version: int = 0
    cancelled: First | None = None


class Integrator:
    """Drives tasks of its own, one after the other."""

    def __init__(
        self, name: str, seed: str, client: httpx.AsyncClient, tokens: Tokens, folder: Path, counts: Counts
    ) -> None:
        self.name, self._client, self._counts = name, client, counts
        self._chance = random.Random(f"{seed}|{name}")
        self._headers = {"authorization": f"Bearer {tokens.issue(TENANT, 'integrator', name, 7 * 86_400)}"}
        self._journal = Journal(folder / "journals" / f"{name}.jsonl")
        self._told = ToldJournal(folder / "told" / f"{name}.jsonl")
        self._stopping = False
        self._done: list[Task] = []

    async def run(self) -> None:
        number = 0
        while not self._stopping:
            number += 1
            await self._one(self._new(number))
            await asyncio.sleep(self._chance.uniform(*THINKS_S))

    def stop(self) -> None:
        """After the task at hand."""
        self._stopping = True

    def close(self) -> None:
        self._journal.__exit__(None, None, None)
        self._told.close()

    def _new(self, number: int) -> Task:
        reference = f"{self.name}-{number:05}"
        lat, lon = 60.165 + self._chance.random() / 100, 24.936 + self._chance.random() / 100
        place: Json = {"location": {"lat": lat, "lon": lon}} if self._chance.random() < PLACED else {}
        dropoff = place | {
            "kind": "dropoff",
            "address": f"Street {number}",
            "contact": {"name": f"Recipient {number}", "phone": f"+35840{number:07}"},
            "required_proof": [["pin", "photo"]],
        }
        body: Json = {
            "kind": "delivery",
            "outlet": OUTLET,
            "stops": [{"kind": "pickup"}, dropoff],
            "parcels": [{"description": f"parcel {number}", "weight_g": 500}],
        }
        if self._chance.random() < 0.75:
            return Task(reference=reference, body=body | {"external_reference": reference}, key="")
        return Task(reference=reference, body=body, key=f"key-{reference}")

    async def _one(self, task: Task) -> None:
        of = self._chance
        if of.random() < TWICE:
            await asyncio.gather(self._create(task), self._create(task))
        else:
            await self._create(task)
        if task.created is None:
            return
        if of.random() < READS:
            await self._read(task)
        if of.random() < OTHERWISE:
            await self._create(task, otherwise=True)
        if self._done and of.random() < REPEATS:
            await self._create(of.choice(self._done))
        if of.random() < CALLED_OFF:
            await self._call_off(task)
        self._done = [*self._done, task][-50:]

    async def _call_off(self, task: Task) -> None:
        of = self._chance
        if of.random() < TWICE:
            await asyncio.gather(self._cancel(task, "off"), self._cancel(task, "off"))
        else:
            await self._cancel(task, "off")
        if task.cancelled is None:
            return
        if of.random() < READS:
            await self._read(task)
        if of.random() < AGAIN:
            await self._cancel(task, "off")
        if of.random() < ANEW:
            await self._cancel(task, "off-anew")

    async def _create(self, task: Task, *, otherwise: bool = False) -> None:
        body = task.body | {"parcels": [{"description": "something else"}]} if otherwise else task.body
        known = task.version
        answer = await self._insist("/tasks", body, task.key)
        if answer is None:
            return
        asked: Asked = "create otherwise" if otherwise else "create"
        first = self._note(asked, task, answer, task.key, None if otherwise else task.created, known)
        if first is not None and task.created is None:
            task.created, task.id = first, answer.json()["id"]

    async def _cancel(self, task: Task, key: str) -> None:
        anew, known = key != "off", task.version
        answer = await self._insist(f"/tasks/{task.id}/cancel-task", {"reason_code": "changed_mind"}, key)
        if answer is None:
            return
        first = self._note(
            "cancel anew" if anew else "cancel", task, answer, key, None if anew else task.cancelled, known
        )
        if not anew and first is not None and task.cancelled is None:
            task.cancelled = first

    def _note(
        self, asked: Asked, task: Task, answer: httpx.Response, key: str, before: First | None, known: int
    ) -> First | None:
        """Written down; what was told, if it is an acceptance. `known` is the version when it was asked."""
        body: Json = answer.json()
        taken = answer.is_success
        first = first_of(body) if taken else None
        told = Told(
            at=time.time(),
            client=self.name,
            gateway=gateway_of(answer),
            asked=asked,
            aggregate_id=body["id"] if taken else task.id,
            key=key or task.reference,
            status=answer.status_code,
            code=body.get("code"),
            answer=first,
            events=body["events"] if taken else (),
            first=before,
            version=known,
        )
        if first is not None:
            task.version = max(task.version, first.version)
            if body["events"]:
                self._journal.note(Acknowledged(first.command_id, body["id"], first.version))
            self._counts.acknowledged()
        self._told.note(told)
        return first

    async def _read(self, task: Task) -> None:
        """What it was told it must see, or hear that it is not there yet."""
        last = task.cancelled or task.created
        assert last is not None, "something was told"
        if self._chance.random() < 0.5:
            path, more = f"/tasks/{task.id}?min_version={last.version}", {}
        else:
            path, more = f"/tasks/{task.id}", {"logistics-consistency": last.consistency}
        try:
            answer = await self._client.get(f"/v1/{TENANT}{path}", headers=self._headers | more)
        except httpx.TransportError as lost:
            self._counts.turned_away[f"read: {type(lost).__name__}"] += 1
            return
        body = answer.json()
        if answer.status_code in OVERLOADED or answer.status_code == INTERNAL_ERROR:
            self._counts.turned_away[f"read: {answer.status_code} {body.get('code')}"] += 1
            return
        seen = First(body["version"], "", "", "") if answer.is_success else None
        self._told.note(
            Told(
                at=time.time(),
                client=self.name,
                gateway=gateway_of(answer),
                asked="read",
                aggregate_id=task.id,
                key=path,
                status=answer.status_code,
                code=body.get("code"),
                answer=seen,
                version=last.version,
            )
        )

    async def _insist(self, path: str, body: Json, key: str) -> httpx.Response | None:
        """A final answer, however often it must be asked for. None where this client is cancelled before."""
        headers = self._headers | ({"idempotency-key": key} if key else {})
        self._counts.asked += 1
        said = ""
        try:
            while True:
                try:
                    answer = await self._client.post(f"/v1/{TENANT}{path}", json=body, headers=headers)
                except httpx.TransportError as lost:
                    said = type(lost).__name__
                else:
                    if answer.status_code not in OVERLOADED and answer.status_code != INTERNAL_ERROR:
                        return answer
                    said = f"{answer.status_code} {answer.json().get('code')}"
                self._counts.turned_away[said] += 1
                await asyncio.sleep(self._chance.uniform(*AGAIN_AFTER_S))
        except asyncio.CancelledError:
            self._counts.unanswered.append(f"{self.name} {path} {key or body.get('external_reference')}: {said}")
            raise


def first_of(body: Json) -> First:
    return First(body["version"], body["command_id"], body["consistency"], body["recorded_at"])


def gateway_of(answer: httpx.Response) -> str:
    return f"port {answer.request.url.port}"


class NotingApi(Api):
    """The play's own, with an eye on refusals that cannot be: of what the read models have shown."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        tokens: Tokens,
        tenant: str,
        journal: Journal,
        told: ToldJournal,
        counts: Counts,
    ) -> None:
        super().__init__(client, tokens, tenant, journal)
        self._told, self._counts = told, counts

    async def command(self, role: Role, subject: str, path: str, body: Json, key: str = "") -> Json:
        self._counts.asked += 1
        try:
            answer = await super().command(role, subject, path, body, key)
        except Refusal as refused:
            if refused.status == 404 or refused.code in ("idempotency-key-reused", "already-exists"):
                self._told.note(self._ride(subject, path, key, refused.status, refused.code, None))
            raise
        self._counts.acknowledged()
        self._told.note(self._ride(subject, path, key, 200, None, first_of(answer)))
        return answer

    def _ride(self, subject: str, path: str, key: str, status: int, code: str | None, answer: First | None) -> Told:
        return Told(
            at=time.time(),
            client=subject,
            gateway="any",
            asked="ride",
            aggregate_id=path,
            key=key,
            status=status,
            code=code,
            answer=answer,
        )


RIDERS = 8
PACE = 12.0
"""So many times faster than people they ride and hand over: a delivery takes a minute at most."""
ORDER_EVERY_S = 3.0
TICK_S = 1.0
FIX_EVERY = timedelta(seconds=2)
DAY_S = 86_400.0


ASKED_BY: list[Json] = [
    {"mode": "broadcast", "size": 4, "seconds": 30},
    {"mode": "ranked", "size": 2, "seconds": 15},
    {"mode": "self_claim", "seconds": 30},
]
"""Several want the same, and it is offered to others where nobody does."""
PLANNED_EVERY_S = 20.0


class Town:
    """Riders at work, orders for them, and now and then a plan of all that waits."""

    def __init__(self, seed: str, settings: Settings, api: NotingApi, counts: Counts) -> None:
        self._seed, self._api, self._counts = seed, api, counts
        self._city = CITIES[settings.city]
        self._streets = Streets(settings.osrm, self._city)
        self._router = OsrmRouter(settings.osrm)
        self._play: Play | None = None
        self._doors: Sequence[Any] = ()

    @property
    def counts(self) -> Counter[str]:
        return Counter() if self._play is None else self._play.counts

    async def settle(self) -> None:
        """Tenant, outlets, fences; riders on shift, each with a phone."""
        await settle_tenant(self._api, self._city, self._streets)
        rules = {"rules": RULES | {"dispatch": {"steps": ASKED_BY}}}
        await self._api.command("operator", "root", f"/tenants/{tenant_id(TOWN)}/change-tenant-rules", rules)
        self._doors = await self._streets.places(f"{self._seed}|doors", 40)
        shops = [await self._streets.snapped(shop.lat, shop.lon) for shop in self._city.shops]
        now = real_time()
        play = Play(self._seed, self._api, self._router, shops, now, at_once, pace=PACE)
        people = personas(self._seed, await self._streets.places(f"{self._seed}|starts", RIDERS), DAY_S)
        people = [msgspec.structs.replace(each, papers_end_s=None, thinks_s=(0.5, 3.0), offline=()) for each in people]
        for person, rider_id in zip(
            people, await asyncio.gather(*(settle_rider(self._api, each, now) for each in people)), strict=True
        ):
            await start_shift(self._api, rider_id, person.start, now)
            play.join(Rider(self._seed, person, rider_id, person.start, now, FIX_EVERY))
        self._play = play

    async def run(self) -> None:
        """Until it is cancelled."""
        await asyncio.gather(self._live(), self._plan())

    async def _plan(self) -> None:
        """What is not begun may change hands. Nobody waits for what comes of it."""
        while True:
            await asyncio.sleep(PLANNED_EVERY_S)
            wanted = {"seconds": 1, "replan": True, "commit": "at_once"}
            try:
                await self._api.command("dispatcher", "dora", "/plans", wanted)
            except Exception as failed:
                self._counts.ticks_failed[repr(failed)[:120]] += 1

    async def _live(self) -> None:
        """What fails in one tick is tried again in the next."""
        play, began, number = self._play, time.monotonic(), 0
        assert play is not None, "settle first"
        while True:
            ticked = time.monotonic()
            while number * ORDER_EVERY_S <= ticked - began:
                number += 1
                play.plan([order(self._seed, number, 0.0, self._city.shops, self._doors)])
            try:
                await play.tick(real_time())
            except Exception as failed:
                self._counts.ticks_failed[str(failed)[:120] if isinstance(failed, Refusal) else repr(failed)[:120]] += 1
            await asyncio.sleep(max(0.0, ticked + TICK_S - time.monotonic()))

    async def close(self) -> None:
        await self._router.close()


async def at_once() -> None:
    """Nobody waits for what follows: time is real."""


INTEGRATORS = 8


class Clients:
    """All of them on one plant's gateways."""

    def __init__(self, seed: str, settings: Settings, urls: Sequence[str], folder: Path) -> None:
        self.counts = Counts()
        self._folder = folder
        self._tokens = Tokens(bytes.fromhex(settings.token_key.get_secret_value()))
        self._client = httpx.AsyncClient(
            transport=AnyGateway(urls, self.counts), base_url="http://gateway", timeout=PATIENCE_S, trust_env=False
        )
        self._ride_journal = Journal(folder / "journals" / "riders.jsonl")
        self._ride_told = ToldJournal(folder / "told" / "riders.jsonl")
        api = NotingApi(self._client, self._tokens, TOWN, self._ride_journal, self._ride_told, self.counts)
        self.town = Town(seed, settings, api, self.counts)
        self._integrators = [
            Integrator(f"integrator-{n}", seed, self._client, self._tokens, folder, self.counts)
            for n in range(1, INTEGRATORS + 1)
        ]
        self._working: list[asyncio.Task[None]] = []
        self._riding: asyncio.Task[None] | None = None

    async def settle(self) -> None:
        api = Api(self._client, self._tokens, TENANT, self._ride_journal)
        rules = {"retry_seconds": 10, "max_rounds": 2}
        await api.create_tenant({"tenant": TENANT, "name": "Orders", "mode": "test", "rules": rules})
        outlet = {"outlet": OUTLET, "name": "Kamppi", "zone": "Europe/Helsinki"}
        await api.command("dispatcher", "dora", "/outlets", outlet | {"location": {"lat": 60.1688, "lon": 24.9404}})
        await self.town.settle()

    def start(self) -> None:
        self._working = [asyncio.create_task(each.run(), name=each.name) for each in self._integrators]
        self._riding = asyncio.create_task(self.town.run(), name="town")

    def failed(self) -> None:
        """Raises what a client has ended by."""
        for task in [*self._working, *([self._riding] if self._riding else [])]:
            if task.done() and not task.cancelled():
                task.result()

    async def stop(self, within_s: float) -> None:
        """Each after its task at hand; who is not answered by then is counted."""
        for each in self._integrators:
            each.stop()
        if self._riding is not None:
            self._riding.cancel()
            await asyncio.gather(self._riding, return_exceptions=True)
        if self._working:
            _, late = await asyncio.wait(self._working, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self.failed()

    async def close(self) -> None:
        for task in [*self._working, *([self._riding] if self._riding else [])]:
            task.cancel()
            with suppress(BaseException):
                await task
        for each in self._integrators:
            each.close()
        self._ride_journal.__exit__(None, None, None)
        self._ride_told.close()
        await self.town.close()
        await self._client.aclose()
