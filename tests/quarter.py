"""A quarter of a town for told stories: a tenant of mode `test` and its people, each with a token of their own.

They do everything over HTTP, and read what has been told so far: every read carries the consistency token of all that
was answered before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import httpx
from fresh import fresh_name
from whole_system import WholeSystem

from schemas.ids import tenant_id
from schemas.message import Role
from schemas.position import merged, token, vector

OUTLET = {"lat": 60.1702, "lon": 24.9375}
HUB = {"lat": 60.1695, "lon": 24.9521}
HOME = {"lat": 60.1675, "lon": 24.9445}
SOON_S = 30
"""A bound for what should take a second or two."""

type Json = dict[str, Any]


class Person:
    """Who comes to the door with a token: `does` and `makes` what is granted, is `refused`, `reads`."""

    def __init__(self, quarter: "Quarter", role: Role, subject: str, tenant: str) -> None:
        self._town = quarter
        self.id = subject
        self._authorisation = f"Bearer {quarter.system.tokens.issue(tenant, role, subject, 3_600)}"

    async def makes(self, plural: str, body: Json) -> Json:
        answer = await self.sends(plural, body)
        assert answer.status_code == 201, answer.text
        return self._town.told(answer)

    async def does(self, path: str, body: Json | None = None, *, key: str | None = None) -> Json:
        answer = await self.sends(path, body or {}, key=key)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return self._town.told(answer)

    async def contradicts(self, path: str, body: Json, *, key: str | None = None) -> Json:
        """What is reported does not fit, and is taken down all the same."""
        answer = await self.sends(path, body, key=key)
        assert (answer.status_code, answer.json().get("conflict")) == (202, True), answer.text
        return self._town.told(answer)

    async def has_a_wrong_pin(self, path: str, body: Json) -> Json:
        """All else that is reported is taken down."""
        answer = await self.sends(path, body)
        assert (answer.status_code, answer.json().get("pin_rejected")) == (202, True), answer.text
        return self._town.told(answer)

    async def refused(self, path: str, body: Json | None = None) -> tuple[int, str, Json]:
        """The status, the rule and its values."""
        answer = await self.sends(path, body or {})
        assert answer.is_client_error, answer.text
        problem = self._town.told(answer)
        return answer.status_code, problem["code"], problem.get("values", {})

    async def sends(self, path: str, body: Json, *, key: str | None = None) -> httpx.Response:
        headers = self._headers() | {"idempotency-key": key or fresh_name("k")}
        return await self._town.http.post(self._town.path(path), json=body, headers=headers)

    async def reads(self, path: str, **query: str) -> Any:
        answer = await self.asks(path, **query)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def lists(self, word: str, **query: str) -> list[Json]:
        page = await self.reads(word, **query)
        assert "next" not in page, "a story has few of anything"
        items: list[Json] = page["items"]
        return items

    async def asks(self, path: str, **query: str) -> httpx.Response:
        headers = self._headers() | {"prefer": "wait=10"}
        return await self._town.http.get(self._town.path(path), params=query, headers=headers)

    def _headers(self) -> dict[str, str]:
        return {"authorization": self._authorisation, "logistics-consistency": self._town.seen}


class Quarter:
    """`shop` orders and keeps its systems in step, `dora` dispatches, `root` sets the rules, `aino` audits."""

    def __init__(self, system: WholeSystem) -> None:
        self.system = system
        self.tenant = fresh_name("quarter")
        self.http = httpx.AsyncClient(base_url=system.url, timeout=30, trust_env=False)
        self.seen = token({})
        self._ahead = timedelta()
        self.shop = Person(self, "integrator", "shop", self.tenant)
        self.dora = Person(self, "dispatcher", "dora", self.tenant)
        self.root = Person(self, "operator", "root", self.tenant)
        self.aino = Person(self, "auditor", "aino", self.tenant)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    def path(self, path: str) -> str:
        return path if path.startswith("/") else f"/v1/{self.tenant}/{path}"

    def told(self, answer: httpx.Response) -> Json:
        """From now on everybody reads what this answer rests on. A refusal may rest on something: a wrong PIN does."""
        body: Json = answer.json()
        if (rests_on := answer.headers.get("logistics-consistency")) is not None:
            self.seen = token(merged([vector(self.seen), vector(rests_on)]))
        return body

    @property
    def itself(self) -> str:
        return f"tenants/{tenant_id(self.tenant)}"

    # Its places, people and time

    async def settle(self) -> None:
        platform = Person(self, "operator", "root", "*")
        await platform.makes("/v1/tenants", {"tenant": self.tenant, "name": "Acme", "mode": "test"})
        zone = {"zone": "Europe/Helsinki"}
        await self.shop.makes("outlets", {"outlet": "kamppi", "name": "Kamppi Kitchen", "location": OUTLET, **zone})
        await self.shop.makes("hubs", {"hub": "kaisa", "name": "Kaisaniemi", "location": HUB, **zone})

    async def registered(self, name: str) -> Person:
        """Approved, and not at work."""
        made = await self.shop.makes("riders", {"name": name})
        await self.dora.does(f"riders/{made['id']}/approve-rider")
        return Person(self, "rider", made["id"], self.tenant)

    async def at_work(self, name: str) -> Person:
        rider = await self.registered(name)
        await self.begins(rider)
        return rider

    async def begins(self, rider: Person) -> None:
        """A shift of eight hours, at the outlet."""
        shift = {"ends_at": self.in_(hours=8), "location": OUTLET}
        await rider.does(f"riders/{rider.id}/start-shift", shift)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def in_(self, **span: float) -> str:
        """So long after now, by the quarter's clock."""
        return (self.now() + timedelta(**span)).isoformat()

    def ago(self, **span: float) -> str:
        return (self.now() - timedelta(**span)).isoformat()

    async def later(self, **span: float) -> None:
        """So much time passes. Whoever decides knows of it when this returns."""
        passed = timedelta(**span)
        await self.shop.does(f"{self.itself}/advance-tenant-clock", {"seconds": int(passed.total_seconds())})
        self._ahead += passed

        async def ahead() -> int:
            seconds: int = (await self.shop.reads("tenant"))["clock_ahead_s"]
            return seconds

        await until(ahead, lambda seconds: seconds == int(self._ahead.total_seconds()))

    # How riders come by work

    async def wins(self, rider: Person, task: str) -> None:
        """Dispatch asks the rider, who claims; the task is theirs once its stops lie ahead of them."""
        tender, offer = await self.offered(rider, task)
        await rider.does(f"tenders/{tender}/claim-offer", {"offer_id": offer})
        await self.reserved(rider, task)

    async def offered(self, rider: Person, task: str) -> tuple[str, str]:
        async def offers() -> list[tuple[str, str]]:
            tenders = await rider.lists("tender-board", task_id=task)
            return [
                (tender["tender_id"], offer)
                for tender in tenders
                for offer, asked in tender["offers"].items()
                if asked["state"] == "sent"
            ]

        return (await until(offers, bool))[0]

    async def reserved(self, rider: Person, task: str) -> None:
        async def reservation() -> Json | None:
            known: Json = await rider.reads(f"riders/{rider.id}")
            return known["reservations"].get(task)

        await until(reservation, lambda held: held is not None and held["active"])

    async def free(self, rider: Person) -> None:
        """Nothing is reserved, nothing lies ahead."""

        async def ahead() -> tuple[Json, list[Json]]:
            known = await rider.reads(f"riders/{rider.id}")
            return known["reservations"], known["itinerary"]

        await until(ahead, lambda left: left == ({}, []))


async def until[T](read: Callable[[], Awaitable[T]], holds: Callable[[T], bool]) -> T:
    """What our processes do on their own comes a moment after the fact that they follow."""
    found = await read()
    try:
        async with asyncio.timeout(SOON_S):
            while not holds(found):
                await asyncio.sleep(0.05)
                found = await read()
    except TimeoutError:
        raise AssertionError(f"it came to nothing: {found}") from None
    return found
