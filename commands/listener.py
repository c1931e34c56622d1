"""The shards' internal door, for our own processes: orders, many at once; accounts; hand-over; forgetting a subject."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from commands.order import Unavailable
from commands.owners import Shards
from commands.wire import (
    Directed,
    Elsewhere,
    NotJudged,
    NotOurs,
    Outcome,
    Pinning,
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
from schemas.partition import partition_of

BODY_LIMIT_BYTES = 64 << 20
"""As many of the largest commands as are sent together."""

logger = structlog.get_logger()


type Answering = Callable[[bytes], Awaitable[bytes]]


def listener(shards: Shards, key: bytes, moved: Callable[[], None] = lambda: None) -> Starlette:
    """`moved` is called when somebody has been pinned: the group is to assign anew."""

    async def judge(body: bytes) -> bytes:
        asked = orders.decode(body)
        return encode(await asyncio.gather(*(judged(shards, order) for order in asked)))

    async def account(body: bytes) -> bytes:
        return encode(await shards.accounts())

    async def serving(body: bytes) -> bytes:
        return encode({shard: opened.epoch for shard, opened in shards.shards().items()})

    async def forget(body: bytes) -> bytes:
        shard, subject = msgspec.msgpack.decode(body, type=tuple[int, str])
        return encode(await shards.forget_in(shard, SubjectId(subject)))

    async def release(body: bytes) -> bytes:
        asked = msgspec.msgpack.decode(body, type=Directed)
        opened = shards.shards().get(asked.shard)
        if opened is None or opened.epoch != asked.epoch:
            return encode(False)
        await shards.release(asked.shard)
        return encode(True)

    async def pin(body: bytes) -> bytes:
        asked = msgspec.msgpack.decode(body, type=Pinning)
        await shards.pin(asked.shard, asked.owner)
        moved()
        return encode(None)

    paths = {
        "/orders": judge,
        "/accounts": account,
        "/serving": serving,
        "/forget": forget,
        "/release": release,
        "/pin": pin,
    }
    return Starlette(
        routes=[Route(path, signed(path, handle, key), methods=["POST"]) for path, handle in paths.items()]
    )


def signed(path: str, answering: Answering, key: bytes) -> Callable[[Request], Awaitable[Response]]:
    """Takes only what is signed with our key, and signs its answer."""

    async def take(request: Request) -> Response:
        body = await request.body()
        if len(body) > BODY_LIMIT_BYTES:
            return PlainTextResponse("too much at once", 413)
        try:
            at_s = int(request.headers.get("x-at", "0"))
            check(key, f"request {path}", at_s, body, request.headers.get("x-signature", ""), time.time())
            answer = await answering(body)
        except NotOurs as refused:
            return PlainTextResponse(str(refused), 401)
        except (ValueError, msgspec.MsgspecError) as malformed:
            return PlainTextResponse(str(malformed), 400)
        except Unavailable as unavailable:
            return PlainTextResponse(str(unavailable), 503)
        now_s = int(time.time())
        headers = {"x-at": str(now_s), "x-signature": signature(key, f"answer {path}", now_s, answer)}
        return Response(answer, media_type="application/msgpack", headers=headers)

    return take


async def judged(shards: Shards, order: SentOrder) -> Outcome:
    """By a shard of this process, or by nobody: an order goes one hop."""
    shard = partition_of(order.aggregate_id, shards.partitions)
    if shard not in shards.shards():
        return elsewhere(shards, shard)
    try:
        return outcome_of(await shards.submit(received(order)))
    except Refused as refused:
        return rejected(refused)
    except Unavailable as unavailable:
        return NotJudged(unavailable.code, str(unavailable), unavailable.retry_after_s)
    except (KeyError, msgspec.MsgspecError) as unknown:
        return Rejected("unknown-command", f"{order.kind} {order.command}: {unknown}", {})
    except Exception:
        logger.exception("order failed", command=order.command)
        return NotJudged("internal-error", "the order could not be judged", 1)


def elsewhere(shards: Shards, shard: int) -> Elsewhere:
    """The next owner is known, or will be announced under a higher epoch."""
    known = shards.following.announced.owner(shard)
    if known is None:
        return Elsewhere(shard, 0)
    return Elsewhere(shard, known.epoch + 1 if known.address == shards.address else known.epoch)
