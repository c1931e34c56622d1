"""A rider's offers told in the log's order: what has changed since, what is pending, then what comes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
from msgspec import UNSET

from gateway import log
from gateway.call import Call
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.offers.following import Following, Listener, rows_of
from gateway.offers.told import (
    MOST_PENDING,
    Change,
    Heartbeat,
    OfferedTask,
    Pending,
    PendingOffer,
    as_change,
    as_offered,
    as_pending,
    named_by,
    opened_as,
    pending_rows,
    task_of,
)
from gateway.parameters import id_of
from gateway.personal import opener
from gateway.positions import Positions, position_of
from gateway.problems import Problem, not_found
from gateway.reading import Reading, Row, row_of
from projections.history import HISTORY
from projections.rider_roster import RIDER_ROSTER
from projections.task_detail import TASK_DETAIL
from projections.tender_board import TENDER_BOARD
from schemas.position import Vector, reached, token
from schemas.topics import DISPATCH

MOST_SINCE = 500
"""Changes that are told to who comes again. With more it is time to begin anew."""

TASK_WAIT_S = 5.0
"""How long an offer waits for its task's read model."""

ONE_MOMENT = b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"

type Say = Callable[[bytes | msgspec.Struct], Awaitable[None]]


class Beginning(msgspec.Struct, frozen=True):
    """`pending` holds at `at`; `changes` come before it, all of them of who comes again."""

    changes: list[Row]
    since: Vector
    pending: list[tuple[Row, list[Row]]]
    """Offers, each with its tasks."""
    more: bool
    at: Vector


class Telling:
    def __init__(self, door: Door, reading: Reading, positions: Positions, following: Following) -> None:
        self._door, self._reading, self._positions, self._following = door, reading, positions, following

    async def beginning(self, call: Call, after: Vector | None) -> Beginning:
        """Raises Problem: 404, 410, 503."""
        tenant, rider = tenant_of(call), id_of(call)
        await self._following.looks()
        if after is not None:
            await self._as_far(after)
        async with self._reading.connection() as connection:
            await connection.execute(ONE_MOMENT)
            if await row_of(connection, RIDER_ROSTER, tenant, rider) is None:
                raise not_found(f"there is no rider {rider}")
            at = self._following.of_offers(await position_of(connection, TENDER_BOARD))
            seen = await position_of(connection, HISTORY)
            rows = await pending_rows(connection, tenant, rider)
            told = [
                (row, [await task_of(connection, tenant, task_id) for task_id in named_by(row)])
                for row in rows[:MOST_PENDING]
            ]
        if not reached(at, seen):
            await self._positions.until(HISTORY, at, self._door.limits.wait_s)
            return await self.beginning(call, after)
        known = [(row, [task for task in tasks if task is not None]) for row, tasks in told]
        if any(len(tasks) < len(named_by(row)) for row, tasks in known):
            raise Problem("projection-lagging", f"{TASK_DETAIL.name} has not seen a task that is offered yet")
        since = at if after is None else after
        changes = [] if after is None else await self._since(call, after, at)
        return Beginning(changes, since, known, len(rows) > MOST_PENDING, at)

    async def _as_far(self, after: Vector) -> None:
        """What is told is at least as new as what was. Raises Problem."""
        for model in (TENDER_BOARD, HISTORY):
            async with self._reading.connection() as connection:
                at = await position_of(connection, model)
            if not reached(after, at):
                await self._positions.until(model, after, self._door.limits.wait_s)

    async def _since(self, call: Call, after: Vector, at: Vector) -> list[Row]:
        """Up to `at`. Raises Problem."""
        async with self._reading.connection() as connection:
            rows = await rows_of(connection, (tenant_of(call), id_of(call)), after, MOST_SINCE + 1)
        changes = [row for row in rows if row["offset"] < at[DISPATCH.name, row["partition"]]]
        if len(changes) > MOST_SINCE:
            raise Problem(
                "cursor-gone",
                f"more than {MOST_SINCE} changes have come since: connect without `after`, and begin anew",
            )
        return changes

    async def tell(self, call: Call, listener: Listener, beginning: Beginning, say: Say) -> None:
        """Until it is cancelled. Raises Problem and what `say` raises."""
        places = dict(beginning.since)
        for row in beginning.changes:
            await say(await self._change(call, row, places))
        places = beginning.at
        currency = self._currency(call)
        offers = [
            as_pending(row, [self._offered(call, task) for task in tasks], currency) for row, tasks in beginning.pending
        ]
        await say(Pending(position=token(places), offers=offers, more=beginning.more))
        await self._caught_up(call, places, say)
        await self._live(call, listener, places, say)

    async def _caught_up(self, call: Call, places: Vector, say: Say) -> None:
        """What had come before it began to listen, and after what was pending."""
        whom = tenant_of(call), id_of(call)
        while True:
            async with self._reading.connection() as connection:
                rows = await rows_of(connection, whom, places, MOST_SINCE)
            for row in rows:
                await say(await self._change(call, row, places))
            if len(rows) < MOST_SINCE:
                return

    async def _live(self, call: Call, listener: Listener, places: Vector, say: Say) -> None:
        while True:
            row: Row | None = None
            with suppress(TimeoutError):
                async with asyncio.timeout(self._door.limits.heartbeat_s):
                    row = await listener.changes.get()
            if row is None:
                looked = self._following.looked_up_to
                if listener.changes.empty():
                    places |= {place: max(offset, looked.get(place, 0)) for place, offset in places.items()}
                await say(Heartbeat(position=token(places), heartbeat=self._door.clock()))
            elif row["offset"] >= places[DISPATCH.name, row["partition"]]:
                await say(await self._change(call, row, places))

    async def _change(self, call: Call, row: Row, places: Vector) -> Change:
        """The places move past it."""
        offer = await self._as_sent(call, row) if row["type"] == "OfferSent" else UNSET
        places[DISPATCH.name, row["partition"]] = row["offset"] + 1
        return as_change(row, token(places), offer)

    async def _as_sent(self, call: Call, row: Row) -> PendingOffer | None:
        tenant, sent = tenant_of(call), row["body"]
        async with self._reading.connection() as connection:
            opened = await opened_as(connection, tenant, row["aggregate_id"])
        tasks = [await self._task(tenant, task_id) for task_id in named_by(opened)]
        known = [task for task in tasks if task is not None]
        if len(known) < len(tasks):
            return None
        about = {
            "tender_id": row["aggregate_id"],
            "offer_id": sent["offer_id"],
            "mode": opened["mode"],
            "bids_until": opened["bids_until"],
            "asked": {"state": "sent", "bid": None},
            "sent": sent,
            "sent_at": row["event_time"],
        }
        return as_pending(about, [self._offered(call, task) for task in known], self._currency(call))

    async def _task(self, tenant: str, task_id: str) -> Row | None:
        """Its own read model may be a moment behind: both follow different topics."""
        with suppress(TimeoutError), self._positions.watching():
            async with asyncio.timeout(TASK_WAIT_S):
                while True:
                    moves = self._positions.moves
                    async with self._reading.connection() as connection:
                        if (task := await task_of(connection, tenant, task_id)) is not None:
                            return task
                    await self._positions.moved_since(moves, TASK_WAIT_S)
        return None

    def _offered(self, call: Call, task: Row) -> OfferedTask:
        by = opener(self._door.keyring, self._door.partitions, tenant_of(call), task["task_id"])
        offered = as_offered(task, by)
        if by.subjects:
            log.personal_read(call, task["task_id"], sorted(by.subjects))
        return offered

    def _currency(self, call: Call) -> str:
        known = self._door.policy.tenant(tenant_of(call))
        assert known is not None, "the caller was admitted to it"
        return known.rules.dispatch.currency
