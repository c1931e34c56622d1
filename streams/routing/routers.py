"""One OSRM server or several, asked in their order: the first that answers is believed.

One that is silent, gone or wrong rests for some seconds, for whoever waits for it would hold up everybody else, and the
next is asked at once. What each has of the time is what is left of it, shared by those that are left. That a server
knows no way is an answer: nobody else is asked.
"""

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Literal
from urllib.parse import urlencode

import httpx
import orjson
import structlog
from prometheus_client import Counter

from streams.routing.authorities import authorities

ANSWERS = Counter("logistics_router_answers_total", "What became of requests to routers", ["router", "outcome"])

TIMEOUT_S = 2.0
"""For all of them together."""
RESTS_S = 5.0
AT_ONCE = 100
KEPT_CONNECTIONS = 8
AS_IT_IS = {"accept-encoding": "identity"}
"""They are near: to pack a table takes a server as long as to make it."""
OF_OSRM = ";,:"
"""What parts numbers from each other: escaped they would take three times the room."""

type Fault = Literal["silent", "gone", "wrong"]
type Outcome = Literal["answered", "no_way"] | Fault

WRONG = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""How what is no answer of OSRM's shows."""

logger = structlog.get_logger()


class RouterFailed(Exception):
    """Nobody answered, or the answer is of no use."""


class RouterSaysNo(RouterFailed):
    """It understood, and has nothing to tell: such as `NoRoute`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Asked:
    """One of them."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.name = httpx.URL(url).netloc.decode()
        """Host and port: what else stands in an address may be a secret."""
        self.base = httpx.URL(self.url).raw_path.rstrip(b"/")
        self._failed_at_s: float | None = None

    @property
    def rests(self) -> bool:
        return self._failed_at_s is not None and monotonic() < self._failed_at_s + RESTS_S

    def answered(self, outcome: Outcome) -> None:
        ANSWERS.labels(self.name, outcome).inc()
        if self._failed_at_s is not None:
            logger.info("router answers again", router=self.name)
        self._failed_at_s = None

    def failed(self, outcome: Outcome, error: Exception) -> None:
        ANSWERS.labels(self.name, outcome).inc()
        self._failed_at_s = monotonic()
        logger.warning("router failed, it rests", router=self.name, outcome=outcome, error=repr(error))


class Routers:
    """`urls` are separated by commas; of none nobody answers. `at_once` is how many requests are under way."""

    def __init__(self, urls: str, timeout_s: float = TIMEOUT_S, at_once: int = AT_ONCE) -> None:
        self._routers = [Asked(url.strip()) for url in urls.split(",") if url.strip()]
        self._timeout_s = timeout_s
        self._turns = asyncio.Semaphore(at_once)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=KEPT_CONNECTIONS)
        self._client = httpx.AsyncClient(verify=authorities(), trust_env=False, limits=limits, headers=AS_IT_IS)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def told[T](self, path: str, params: Mapping[str, str], read: Callable[[Any], T]) -> T:
        """What an answer says, as `read` has it: what it cannot read is wrong. Raises RouterFailed, RouterSaysNo."""
        return await self.got(path, params, lambda answer: read(ok(answer)))

    async def got[T](self, path: str, params: Mapping[str, str], read: Callable[[httpx.Response], T]) -> T:
        """Raises RouterFailed, RouterSaysNo."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._turns.acquire()
        except TimeoutError as full:
            raise RouterFailed("too many ask at once") from full
        try:
            return await self._first(path, params, read)
        finally:
            self._turns.release()

    async def _first[T](self, path: str, params: Mapping[str, str], read: Callable[[httpx.Response], T]) -> T:
        until_s = monotonic() + self._timeout_s
        awake = [router for router in self._routers if not router.rests]
        for number, router in enumerate(awake):
            share_s = max(0.0, until_s - monotonic()) / (len(awake) - number)
            try:
                async with asyncio.timeout(share_s):
                    answer = await self._get(router, path, params, share_s)
                found = read(answer)
            except RouterSaysNo:
                router.answered("no_way")
                raise
            except (httpx.HTTPError, TimeoutError, *WRONG) as failed:
                router.failed(outcome_of(failed), failed)
            else:
                router.answered("answered")
                return found
        raise RouterFailed(why_not(self._routers, awake))

    async def _get(self, router: Asked, path: str, params: Mapping[str, str], within_s: float) -> httpx.Response:
        """Again where the server has closed a connection that was kept: it does so after 512 requests."""
        target = {"target": target_of(router.base, path, params, OF_OSRM)}
        asked = self._client.build_request("GET", router.url, timeout=within_s, extensions=target)
        for _ in range(KEPT_CONNECTIONS):
            try:
                return await self._client.send(asked)
            except httpx.RemoteProtocolError:
                continue  # a connection that was kept, and closed over there meanwhile
        return await self._client.send(asked)


def target_of(base: bytes, path: str, params: Mapping[str, str], plain: str = "") -> bytes:
    """What is asked for at a server, put past httpx: it would take an address with hundreds of places apart several
    times over, for longer than the server needs to answer, and write it into the log. `plain` are characters that stand
    in the query as they are, besides letters, digits and `_.-~`."""
    query = f"{'&' if b'?' in base else '?'}{urlencode(params, safe=plain)}" if params else ""
    return base + f"{path}{query}".encode()


def ok(answer: httpx.Response) -> Any:
    """Raises RouterSaysNo, and ValueError or the like where it is none of OSRM's."""
    if answer.is_server_error:
        raise ValueError(f"status {answer.status_code}")
    told = orjson.loads(answer.content)
    if told["code"] != "Ok":
        raise RouterSaysNo(str(told["code"]))
    return told


def outcome_of(failed: Exception) -> Fault:
    if isinstance(failed, (TimeoutError, httpx.TimeoutException)):
        return "silent"
    return "gone" if isinstance(failed, httpx.TransportError) else "wrong"


def why_not(known: list[Asked], awake: list[Asked]) -> str:
    if not known:
        return "no router is known"
    return f"of {len(known)} routers {len(awake)} were asked, and the others had failed a moment ago"
