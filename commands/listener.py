"""The shards' internal door, for our own processes: POST /orders with many orders at once."""

import asyncio
import time

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

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
from schemas.message import Refused

BODY_LIMIT_BYTES = 16 << 20

logger = structlog.get_logger()


def listener(desk: Desk, key: bytes) -> Starlette:
    async def take(request: Request) -> Response:
        body = await request.body()
        if len(body) > BODY_LIMIT_BYTES:
            return PlainTextResponse("too many orders at once", 413)
        try:
            at_s = int(request.headers.get("x-at", "0"))
            check(key, "request", at_s, body, request.headers.get("x-signature", ""), time.time())
            asked = orders.decode(body)
        except (NotOurs, ValueError) as refused:
            return PlainTextResponse(str(refused), 401 if isinstance(refused, NotOurs) else 400)
        answers = encode(await asyncio.gather(*(judged(desk, order) for order in asked)))
        now_s = int(time.time())
        signed = {"x-at": str(now_s), "x-signature": signature(key, "answer", now_s, answers)}
        return Response(answers, media_type="application/msgpack", headers=signed)

    return Starlette(routes=[Route("/orders", take, methods=["POST"])])


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
