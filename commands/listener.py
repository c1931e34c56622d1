"""The shards' internal door, for our own processes: orders, many at once; accounts; forgetting a subject."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from commands.memory import Account
from commands.order import Desk, Unavailable
from commands.wire import (
    NotJudged,
    NotOurs,
    Outcome,
    Rejected,
    SentOrder,
    check,
    encode,
    orders,
    outcome_of,
    received,
    rejected,
    signature,
)
from schemas.message import Refused, SubjectId

BODY_LIMIT_BYTES = 16 << 20

logger = structlog.get_logger()


class Owners(Desk, Protocol):
    async def accounts(self) -> list[Account]: ...

    async def forget(self, subject: SubjectId) -> int: ...


type Answering = Callable[[bytes], Awaitable[bytes]]


def listener(owners: Owners, key: bytes) -> Starlette:
    async def judge(body: bytes) -> bytes:
        asked = orders.decode(body)
        return encode(await asyncio.gather(*(judged(owners, order) for order in asked)))

    async def account(body: bytes) -> bytes:
        return encode(await owners.accounts())

    async def forget(body: bytes) -> bytes:
        return encode(await owners.forget(SubjectId(msgspec.msgpack.decode(body, type=str))))

    paths = {"/orders": judge, "/accounts": account, "/forget": forget}
    return Starlette(routes=[Route(path, signed(handle, key), methods=["POST"]) for path, handle in paths.items()])


def signed(answering: Answering, key: bytes) -> Callable[[Request], Awaitable[Response]]:
    """Takes only what is signed with our key, and signs its answer."""

    async def take(request: Request) -> Response:
        body = await request.body()
        if len(body) > BODY_LIMIT_BYTES:
            return PlainTextResponse("too much at once", 413)
        try:
            at_s = int(request.headers.get("x-at", "0"))
            check(key, "request", at_s, body, request.headers.get("x-signature", ""), time.time())
            answer = await answering(body)
        except NotOurs as refused:
            return PlainTextResponse(str(refused), 401)
        except (ValueError, msgspec.MsgspecError) as malformed:
            return PlainTextResponse(str(malformed), 400)
        except Unavailable as unavailable:
            return PlainTextResponse(str(unavailable), 503)
        now_s = int(time.time())
        headers = {"x-at": str(now_s), "x-signature": signature(key, "answer", now_s, answer)}
        return Response(answer, media_type="application/msgpack", headers=headers)

    return take


async def judged(desk: Desk, order: SentOrder) -> Outcome:
    try:
        return outcome_of(await desk.submit(received(order)))
    except Refused as refused:
        return rejected(refused)
    except Unavailable as unavailable:
        return NotJudged(unavailable.code, str(unavailable), unavailable.retry_after_s)
    except (KeyError, msgspec.MsgspecError) as unknown:
        return Rejected("unknown-command", f"{order.kind} {order.command}: {unknown}", {})
    except Exception:
        logger.exception("order failed", command=order.command)
        return NotJudged("internal-error", "the order could not be judged", 1)
