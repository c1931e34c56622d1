"""Up to a hundred commands in one request, one after the other; each is answered as if it had come alone."""

from typing import Annotated, Any

import msgspec
from starlette.types import ASGIApp, Message, Scope

from gateway.allowed import SENDERS, Roles
from gateway.call import Call
from gateway.commands import OPEN, TENANT
from gateway.door import Door
from gateway.entry import Entry
from gateway.parameters import parameters_of
from gateway.problems import answered, not_found
from gateway.reply import Reply, json_reply
from gateway.validation import decoded

MOST = 100
BODY_BYTES = 1 << 20
"""Of all its commands together."""

ANYBODY: Roles = frozenset().union(*SENDERS.values())
ON_ALL = frozenset(known.plural for known in OPEN if known.creating and known is not TENANT)
ON_ONE = frozenset((known.plural, known.word) for known in OPEN if not known.creating)
OF_THE_BATCH = frozenset({b"content-length", b"content-type", b"idempotency-key", b"if-match", b"x-request-id"})
"""Headers that each command has of its own."""
TOLD = (b"etag", b"location")


class BatchItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`command` is what stands behind `/v1/{tenant}/`: such as `tasks`, or `tasks/{id}/cancel-task`."""

    command: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    body: dict[str, Any] = {}
    idempotency_key: Annotated[str, msgspec.Meta(max_length=202)] | None = None
    if_match: Annotated[str, msgspec.Meta(max_length=20)] | None = None


class CommandBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    commands: Annotated[list[BatchItem], msgspec.Meta(min_length=1, max_length=MOST)]


class BatchResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the command was answered, or the problem that it met."""

    status: int
    body: msgspec.Raw
    etag: str | None = None
    location: str | None = None
    retry_after: int | None = None
    """Seconds, where the same command may be sent again."""


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """In the order of the commands."""

    results: list[BatchResult]


decoder = msgspec.json.Decoder(CommandBatch)


class Batch:
    def __init__(self, door: Door, entry: Entry) -> None:
        self._door = door
        self._entry = entry
        self.app: ASGIApp | None = None
        """Where each command goes; it is made after us."""

    async def post(self, call: Call) -> Reply:
        """One after the other: what follows may rest on what went before. None undoes another."""
        self._entry.admitted(call, ANYBODY, "send commands")
        parameters_of(call, {})
        batch = decoded(decoder, CommandBatch, await call.body(BODY_BYTES))
        results = [await self._one(call, item, number) for number, item in enumerate(batch.commands)]
        return json_reply(BatchAnswer(results=results))

    async def _one(self, call: Call, item: BatchItem, number: int) -> BatchResult:
        if not is_command(item.command):
            nowhere = answered(not_found("this is no command of the API"), f"{call.request_id[:59]}.{number}")
            return BatchResult(status=nowhere.status, body=msgspec.Raw(nowhere.body))
        assert self.app is not None, "the door is whole"
        answer = Heard()
        body = Body(msgspec.json.encode(item.body))
        await self.app(scope_of(call, item, number), body, answer)
        return answer.result()


class Body:
    """`receive` for one command."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __call__(self) -> Message:
        return {"type": "http.request", "body": self._content, "more_body": False}


class Heard:
    """`send` for one command: keeps what it is answered."""

    def __init__(self) -> None:
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = dict(message["headers"])
        else:
            self._body += message.get("body", b"")

    def result(self) -> BatchResult:
        etag, location = (self._headers.get(name, b"").decode() or None for name in TOLD)
        later = self._headers.get(b"retry-after")
        return BatchResult(
            status=self._status,
            body=msgspec.Raw(self._body),
            etag=etag,
            location=location,
            retry_after=None if later is None else int(later),
        )


def is_command(path: str) -> bool:
    match path.split("/"):
        case [plural]:
            return plural in ON_ALL
        case [plural, _, word]:
            return (plural, word) in ON_ONE
        case _:
            return False


def scope_of(call: Call, item: BatchItem, number: int) -> Scope:
    """A request of its own, with the batch's credentials; in the log it has the batch's id and its number."""
    path = f"/v1/{call.param('tenant')}/{item.command}"
    headers = [(name, value) for name, value in call.scope["headers"] if name not in OF_THE_BATCH]
    headers += [(b"content-type", b"application/json"), (b"x-request-id", f"{call.request_id[:59]}.{number}".encode())]
    if item.idempotency_key is not None:
        headers.append((b"idempotency-key", item.idempotency_key.encode()))
    if item.if_match is not None:
        headers.append((b"if-match", item.if_match.encode()))
    fresh = {"type", "asgi", "http_version", "server", "client", "scheme", "root_path", "state"}
    kept = {name: value for name, value in call.scope.items() if name in fresh}
    return kept | {"method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers}
