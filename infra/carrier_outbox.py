"""What carriers are to be told, kept until their channels have taken it: signed by Standard Webhooks, sent again and
again with longer and longer pauses, by any of the processes."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec
import structlog
from prometheus_client import Counter
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from commands.carrier_booking_state import ENDS
from commands.policy import Policy
from gateway.webhook_signature import key_of, signed
from infra.told_stops import stops_of
from projections.tables import MIGRATION_LOCK
from projections.task_detail import one as task_detail
from schemas.carrier import CarrierChannel
from schemas.keyring import Keyring
from schemas.message import CarrierId
from schemas.partition import partition_of
from streams.carrier_telling import CarrierMessage
from streams.routing.wire import SecretMissing, SecretOf

AT_ONCE = 20
LEASE_S = 60.0
"""So long whoever has taken a message has it."""
AGAIN_S = (1, 2, 5, 15, 30, 60, 300, 900, 1_800, 3_600)
"""After each time that it was not taken; the last one for all that follow."""
GIVEN_UP_AFTER = timedelta(days=1)
KEPT = timedelta(days=7)
"""Those that were told, so that nothing is told again when facts are followed again."""
WITHIN_S, CONNECT_WITHIN_S = 10.0, 3.0
LET_GO_EVERY = timedelta(hours=1)
MAX_KEPT_ERROR = 200
OFFERED, CONFIRMED = "logistics.offer.sent", "logistics.booking.confirmed"

MESSAGES = Counter(
    "logistics_carrier_messages_total",
    "Messages to carriers: taken, not taken and sent again, or given up",
    ["type", "outcome"],
)
TABLE = """
CREATE TABLE IF NOT EXISTS carrier_outbox (
    tenant      text        NOT NULL,
    message_id  text        NOT NULL,
    type        text        NOT NULL,
    carrier_id  text,
    tender_id   text,
    booking_id  text,
    happened_at timestamptz NOT NULL,
    until       timestamptz,
    data        jsonb       NOT NULL,
    kept_at     timestamptz NOT NULL,
    next_at     timestamptz,
    attempts    bigint      NOT NULL DEFAULT 0,
    outcome     text,
    PRIMARY KEY (tenant, message_id)
);
CREATE INDEX IF NOT EXISTS carrier_outbox_next ON carrier_outbox (next_at) WHERE next_at IS NOT NULL
"""
LET_GO = "DELETE FROM carrier_outbox WHERE kept_at < %s AND next_at IS NULL"
KEEP = """
INSERT INTO carrier_outbox
    (tenant, message_id, type, carrier_id, tender_id, booking_id, happened_at, until, data, kept_at, next_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
TAKE = """
UPDATE carrier_outbox SET next_at = %(lease)s, attempts = attempts + 1
WHERE (tenant, message_id) IN (
    SELECT tenant, message_id FROM carrier_outbox WHERE next_at <= %(now)s
    ORDER BY next_at LIMIT %(most)s FOR UPDATE SKIP LOCKED)
RETURNING *
"""
DONE = "UPDATE carrier_outbox SET next_at = %s, outcome = %s WHERE tenant = %s AND message_id = %s"
TASK_OF_TENDER = "SELECT task_id FROM tender_board WHERE tenant = %s AND tender_id = %s"
BOOKING = """
SELECT carrier_id, carrier_reference, status FROM carrier_bookings WHERE tenant = %s AND carrier_booking_id = %s
"""

type Pool = AsyncConnectionPool[AsyncConnection[Any]]
type Row = Mapping[str, Any]

logger = structlog.get_logger()


class NotYet(Exception):
    """The read models do not know of it yet."""


class InVain(Exception):
    """There is nobody who could be told, or nothing to be told any more."""


class CarrierOutbox:
    """`clock` is real; a tenant's may be ahead of it."""

    def __init__(
        self,
        pool: Pool,
        policy: Policy,
        keyring: Keyring,
        secret_of: SecretOf,
        partitions: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._policy, self._keyring, self._secret_of = policy, keyring, secret_of
        self._partitions, self._clock = partitions, clock
        self._let_go_at = clock()
        timeout = httpx.Timeout(WITHIN_S, connect=CONNECT_WITHIN_S)
        self._client = httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False)

    async def make(self) -> None:
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
            await connection.execute(TABLE)

    async def close(self) -> None:
        await self._client.aclose()

    async def tell(self, message: CarrierMessage) -> None:
        """Not what is long past: the log is read anew, and everybody has heard of it."""
        now = self._clock()
        if message.recorded_at < self._policy.now(message.tenant, now) - GIVEN_UP_AFTER:
            return
        row = (
            message.tenant,
            message.message_id,
            message.type,
            message.carrier_id,
            message.tender_id,
            message.booking_id,
            message.happened_at,
            message.until,
            Jsonb(msgspec.to_builtins(message.data)),
            now,
            now,
        )
        async with self._pool.connection() as connection:
            await connection.execute(KEEP, row)

    async def go_on(self) -> int:
        """Sends what is due, some at once; how many that was."""
        now = self._clock()
        await self._let_go(now)
        wanted = {"now": now, "lease": now + timedelta(seconds=LEASE_S), "most": AT_ONCE}
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(TAKE, wanted)
            rows = await cursor.fetchall()
        await asyncio.gather(*(self._told(row) for row in rows))
        return len(rows)

    async def _let_go(self, now: datetime) -> None:
        if now < self._let_go_at:
            return
        async with self._pool.connection() as connection:
            await connection.execute(LET_GO, (now - KEPT,))
        self._let_go_at = now + LET_GO_EVERY

    async def _told(self, row: Row) -> None:
        log = logger.bind(tenant=row["tenant"], type=row["type"], message_id=row["message_id"])
        try:
            outcome, next_at = await self._sent(row), None
        except InVain as vain:
            log.warning("carrier is not told", why=str(vain))
            outcome, next_at = "given_up", None
        except (NotYet, SecretMissing, ValueError, httpx.HTTPError) as failed:
            log.info("carrier is told again", error=repr(failed)[:MAX_KEPT_ERROR])
            outcome, next_at = "not_taken", self._again_at(row)
        MESSAGES.labels(row["type"], outcome).inc()
        async with self._pool.connection() as connection:
            await connection.execute(DONE, (next_at, outcome, row["tenant"], row["message_id"]))

    def _again_at(self, row: Row) -> datetime:
        return self._clock() + timedelta(seconds=AGAIN_S[min(row["attempts"], len(AGAIN_S)) - 1])

    async def _sent(self, row: Row) -> str:
        """Raises InVain, NotYet, SecretMissing, ValueError for a secret that is none, httpx.HTTPError."""
        now = self._policy.now(row["tenant"], self._clock())
        if row["until"] is not None and now >= row["until"]:
            raise InVain("it is over")
        if self._clock() > row["kept_at"] + GIVEN_UP_AFTER:
            raise InVain("its channel has not taken it for too long")
        async with self._pool.connection() as connection:
            carrier, data = await self._whole(connection, row)
        channel = self._channel(row["tenant"], carrier)
        body = msgspec.json.encode({"type": row["type"], "timestamp": row["happened_at"], "data": data})
        headers = signed(key_of(self._secret_of(channel.secret)), row["message_id"], int(time.time()), body)
        answer = await self._client.post(
            channel.url, content=body, headers=headers | {"content-type": "application/json"}
        )
        if not answer.is_success:
            raise httpx.HTTPStatusError(f"it answered {answer.status_code}", request=answer.request, response=answer)
        return "taken"

    def _channel(self, tenant: str, carrier: str) -> CarrierChannel:
        known = self._policy.tenant(tenant)
        view = None if known is None else known.carriers.get(CarrierId(carrier))
        if view is None or view.channel is None:
            raise InVain(f"carrier {carrier} has no channel")
        return view.channel

    async def _whole(self, connection: AsyncConnection[Any], row: Row) -> tuple[str, dict[str, Any]]:
        """With what is not kept in it. Whom one meets is told to who has the task."""
        data: dict[str, Any] = dict(row["data"])
        if row["booking_id"] is not None:
            cursor = await connection.execute(BOOKING, (row["tenant"], row["booking_id"]))
            carrier, reference, status = await one(cursor, "the booking")
            data["carrier_reference"] = reference
            if row["type"] == CONFIRMED:
                if status in ENDS:
                    raise InVain(f"the booking is {status}")
                data |= await self._task(connection, row["tenant"], data["task_id"], meets=True)
            return str(carrier), data
        if row["type"] == OFFERED:
            cursor = await connection.execute(TASK_OF_TENDER, (row["tenant"], row["tender_id"]))
            (task_id,) = await one(cursor, "the tender")
            data |= await self._task(connection, row["tenant"], task_id, meets=False)
        return str(row["carrier_id"]), data

    async def _task(
        self, connection: AsyncConnection[Any], tenant: str, task_id: str, *, meets: bool
    ) -> dict[str, Any]:
        row = await task_detail(connection, tenant, task_id)
        if row is None:
            raise NotYet("the task is not known yet")
        if meets:
            logger.info("personal data told to a carrier", tenant=tenant, task_id=task_id)
        unseal = self._keyring.unsealer(partition_of(task_id, self._partitions), tenant, task_id)
        return {
            "task_id": task_id,
            "kind": row["kind"],
            "tracking_code": row["tracking_code"],
            "required_skills": row["required_skills"],
            "stops": stops_of(row, unseal, meets=meets),
        }


async def one(cursor: Any, what: str) -> Sequence[Any]:
    """Raises NotYet."""
    row: Sequence[Any] | None = await cursor.fetchone()
    if row is None:
        raise NotYet(f"{what} is not known yet")
    return row
