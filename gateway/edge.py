"""The outermost layer: every request gets its id, its log line, and an answer, whatever happens behind it."""

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commands.order import Unavailable
from gateway import log
from gateway.call import Call
from gateway.hydration import Hydration
from gateway.problems import NOTHING_HERE, Problem, TenantNotKnown, answered, not_found, unavailable
from gateway.reply import Reply

CLIENT_GONE = 499
"""As in nginx's log: nobody was there to hear the answer."""

NOT_LIVE = (b"logistics-live", b"false")
"""On every answer to whoever was let in to a test tenant."""

type Endpoint = Callable[[Call], Awaitable[Reply | ASGIApp]]
"""Raises Problem for whatever is wrong. What takes more than one reply answers by an ASGI app of its own."""

type Elsewhere = Callable[[str, str], str]
"""By the method and the last word of a path: what to add to a refusal, where what is looked for stands elsewhere."""


class Edge:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = scope["call"] = Call(scope, receive)
        sent = Sent(call, send)
        try:
            await self._answer(call, sent)
        except ClientDisconnect:
            sent.status = CLIENT_GONE
        finally:
            log.access(call, sent.status)
            del scope["call"]  # which holds the scope: collecting such cycles took 40 ms of every second

    async def _answer(self, call: Call, sent: "Sent") -> None:
        try:
            await self._app(call.scope, call.receive, sent)
        except ClientDisconnect:
            raise
        except Problem as problem:
            if sent.status:
                raise
            await reply_with(answered(problem, call.request_id), sent)
        except Exception as failed:
            log.failure(call, failed)
            if sent.status:
                raise  # half an answer is out: the server must break the connection
            told = Problem("internal-error", "something failed here; it is in our log under the request_id")
            await reply_with(answered(told, call.request_id), sent)


class Sent:
    """`send`, with the request's id in the headers, and that it is not live; the status remembered, 0 before the answer
    began."""

    def __init__(self, call: Call, send: Send) -> None:
        self._call = call
        self._send = send
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            not_live = [] if self._call.live else [NOT_LIVE]
            request_id = (b"x-request-id", self._call.request_id.encode())
            message["headers"] = [*message["headers"], request_id, *not_live]
        await self._send(message)


async def reply_with(reply: Reply, send: Send) -> None:
    headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


class Answering:
    """An endpoint for each method of one path. `learn` and `hydration`: see `Door`."""

    def __init__(
        self,
        route: str,
        endpoints: dict[str, Endpoint],
        learn: Callable[[], Awaitable[None]],
        hydration: Hydration,
        elsewhere: Elsewhere,
    ) -> None:
        self._route, self._learn, self._hydration, self._elsewhere = route, learn, hydration, elsewhere
        self._endpoints = endpoints | ({"HEAD": endpoints["GET"]} if "GET" in endpoints else {})
        self._allow = ", ".join(sorted(self._endpoints)).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call: Call = scope["call"]
        call.route = self._route
        endpoint = self._endpoints.get(scope["method"])
        if endpoint is None:
            raise Problem(
                "method-not-allowed",
                allowed(self._allow.decode()) + self._elsewhere(scope["method"], self._route.rsplit("/", 1)[1]),
                headers=[(b"allow", self._allow)],
            )
        try:
            answer = await self._answer(endpoint, call)
        except Problem as problem:
            raise self._hydration.instead_of(problem, call) from problem
        if isinstance(answer, Reply):
            await reply_with(answer, send)
        else:
            await answer(scope, receive, send)

    async def _answer(self, endpoint: Endpoint, call: Call) -> Reply | ASGIApp:
        try:
            return await endpoint(call)
        except TenantNotKnown:
            await self._directory_is_new()
            return await endpoint(call)

    async def _directory_is_new(self) -> None:
        """Nobody is told that a tenant is not there by who has not heard of it yet. Raises Problem."""
        try:
            await self._learn()
        except Unavailable as nobody:
            raise unavailable(nobody) from nobody


class Branch:
    """Paths of one shape: their words, at the `parameters` of the path, lead to their own endpoints."""

    def __init__(self, parameters: tuple[str, ...], elsewhere: Elsewhere) -> None:
        self._parameters, self._elsewhere = parameters, elsewhere
        self._words: dict[tuple[str, ...], ASGIApp] = {}

    def add(self, words: tuple[str, ...], app: ASGIApp) -> None:
        self._words[words] = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = scope["path_params"]
        app = self._words.get(tuple(given[name] for name in self._parameters))
        if app is None:
            raise not_found(NOTHING_HERE + self._elsewhere(scope["method"], given[self._parameters[-1]]))
        await app(scope, receive, send)


def allowed(methods: str) -> str:
    return f"allowed here: {methods}"


async def as_problem(request: Request, raised: Exception) -> Response:
    """Starlette's own refusals become problems, too."""
    assert isinstance(raised, HTTPException)
    if raised.status_code == 405:
        allow = (raised.headers or {}).get("Allow", "")
        raise Problem("method-not-allowed", allowed(allow), headers=[(b"allow", allow.encode())])
    raise not_found()
