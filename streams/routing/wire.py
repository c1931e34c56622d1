"""HTTP to providers. A secret, places, and all that is asked behind a `?` are put in where the request leaves: httpx
logs the address of each, and what is asked may be where somebody lives."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import httpx
import msgspec
import orjson

from streams.routing.authorities import authorities
from streams.routing.routers import KEPT_CONNECTIONS, RouterFailed, target_of

MAX_ANSWER_BYTES = 16 << 20
AGAIN = 2
"""Where the server has closed a connection that was kept."""

type SecretOf = Callable[[str], str]
"""Of a reference. Raises SecretMissing."""


class SecretMissing(Exception):
    """It names the reference, and never what stands there."""

    def __init__(self, reference: str, why: str) -> None:
        super().__init__(f"{reference}: {why}")
        self.reference = reference
        self.why = why


class WrongAnswer(ValueError):
    """What a provider says is none of its protocol's answers. The words are ours."""


class QuotaUsedUp(RouterFailed):
    """It says so itself, and perhaps when to come again."""

    def __init__(self, retry_after_s: float | None) -> None:
        super().__init__("its quota is used up")
        self.retry_after_s = retry_after_s


class NotAdmitted(RouterFailed):
    """The secret is not one, or not for this."""


class Credentials(msgspec.Struct, frozen=True):
    """Which secret, and under which name it goes where."""

    place: Literal["query", "header"]
    name: str
    reference: str


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Raises ValueError where it is none, QuotaUsedUp and NotAdmitted where that is all it says."""
        if self.status == 429:
            raise QuotaUsedUp(retry_after_s(self.headers))
        if self.status in (401, 403):
            raise NotAdmitted(f"status {self.status}")
        if self.status >= 500:
            raise WrongAnswer(f"status {self.status}")
        return orjson.loads(self.content)


class Wire:
    """One for all providers and tenants of a process."""

    def __init__(self, secret_of: SecretOf) -> None:
        self._secret_of = secret_of
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=KEPT_CONNECTIONS)
        transport = Completes(httpx.AsyncHTTPTransport(verify=authorities(), limits=limits, trust_env=False), secret_of)
        self._client = httpx.AsyncClient(transport=transport, trust_env=False, timeout=None)

    async def aclose(self) -> None:
        await self._client.aclose()

    def has(self, credentials: Credentials | None) -> None:
        """Raises SecretMissing."""
        if credentials is not None:
            self._secret_of(credentials.reference)

    async def get(
        self, url: str, params: Mapping[str, str], credentials: Credentials | None = None, places: str = ""
    ) -> Answer:
        """`places` come behind the path."""
        return await self._told(self._client.build_request("GET", url), Unlogged(params, credentials, places))

    async def post(
        self, url: str, body: object, credentials: Credentials | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        content = msgspec.json.encode(body)
        sent = {"content-type": "application/json", **(headers or {})}
        request = self._client.build_request("POST", url, content=content, headers=sent)
        return await self._told(request, Unlogged({}, credentials))

    async def _told(self, request: httpx.Request, more: "Unlogged") -> Answer:
        """However long it takes: who asks has a bound. Raises httpx.HTTPError, SecretMissing, WrongAnswer."""
        request.extensions[Completes.KEY] = more
        for _ in range(AGAIN):
            try:
                return await self._once(request)
            except httpx.RemoteProtocolError:
                continue
        return await self._once(request)

    async def _once(self, request: httpx.Request) -> Answer:
        answer = await self._client.send(request, stream=True)
        try:
            content = bytearray()
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > MAX_ANSWER_BYTES:
                    raise WrongAnswer(f"more than {MAX_ANSWER_BYTES} bytes")
        finally:
            await answer.aclose()
        return Answer(answer.status_code, answer.headers, bytes(content))


class Unlogged(msgspec.Struct, frozen=True):
    """What is put into a request behind httpx' back."""

    params: Mapping[str, str]
    credentials: Credentials | None
    places: str = ""


class Completes(httpx.AsyncBaseTransport):
    """Errors carry the request as it was before."""

    KEY = "logistics.unlogged"

    def __init__(self, inner: httpx.AsyncBaseTransport, secret_of: SecretOf) -> None:
        self._inner, self._secret_of = inner, secret_of

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(completed(request, self._secret_of))

    async def aclose(self) -> None:
        await self._inner.aclose()


def completed(request: httpx.Request, secret_of: SecretOf) -> httpx.Request:
    more: Unlogged = request.extensions[Completes.KEY]
    headers, params = httpx.Headers(request.headers), dict(more.params)
    if more.credentials is not None:
        holder = params if more.credentials.place == "query" else headers
        holder[more.credentials.name] = secret_of(more.credentials.reference)
    extensions = {name: value for name, value in request.extensions.items() if name != Completes.KEY}
    extensions["target"] = target_of(request.url.raw_path, more.places, params)
    return httpx.Request(request.method, request.url, headers=headers, stream=request.stream, extensions=extensions)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds (RFC 9110, 10.2.3), or the moment of Mapbox' `X-Rate-Limit-Reset`, a unix time."""
    for name, before in (("retry-after", 0.0), ("x-rate-limit-reset", time.time())):
        try:
            return max(0.0, float(headers[name]) - before)
        except (KeyError, ValueError):
            continue
    return None
