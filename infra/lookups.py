"""What processes look up, out of the read models: each answer as new as the fact that asks."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from commands.policy import Policy
from infra.known_carriers import answers_of, known_carriers
from infra.known_riders import KnownRiders
from projections.known_places import remembered
from projections.sealed import Sealed, opened
from projections.task_detail import one as task_detail
from projections.task_detail import some as some_tasks
from projections.task_progress import Progress, is_taken
from schemas.directory import TenantRules
from schemas.dispatch_window import WaitingTask
from schemas.geo import Location, Window
from schemas.keyring import Keyring
from schemas.load import Load
from schemas.message import OfferId, PlanId, RiderId, Source, StopId, TaskId, TenantSlug, TenderId
from schemas.partition import partition_of
from schemas.position import Vector, merged, reached
from schemas.rider import NewPlannedStop
from streams.dispatch.known import KnownCarrier, Seen
from streams.dispatch.tendering import KnownTask
from streams.dispatch.windows import StillWaiting
from streams.process import NotNow
from streams.runner import AllKeys, known_already

OVER = frozenset({"completed", "failed", "skipped"})

type Pool = AsyncConnectionPool[AsyncConnection[Any]]

POSITIONS = """
SELECT topic, partition, min(next_offset)
FROM projection_positions
JOIN read_models USING (model, version)
WHERE model = ANY(%s)
GROUP BY topic, partition
"""
DECLINED = """
SELECT DISTINCT offer.value ->> 'rider_id'
FROM tender_board, jsonb_each(offers) AS offer
WHERE tenant = %(tenant)s AND offer.value ->> 'carrier_id' IS NULL
  AND offer.value ->> 'state' IN ('declined', 'expired', 'rejected')
  AND (task_id = %(task)s
    OR bundle <> '[]' AND bundle @> jsonb_build_array(jsonb_build_object('task_id', %(task)s::text)))
"""

ASKED_BEFORE = """
SELECT named.task_id, min(created_at),
       coalesce(array_agg(DISTINCT offer.value ->> 'rider_id')
                FILTER (WHERE offer.value ->> 'state' IN ('declined', 'expired', 'rejected')), '{}')
FROM tender_board
CROSS JOIN LATERAL (
    SELECT tender_board.task_id UNION SELECT other ->> 'task_id' FROM jsonb_array_elements(bundle) AS other
) AS named
LEFT JOIN LATERAL jsonb_each(offers) AS offer ON true
WHERE tenant = %(tenant)s AND named.task_id = ANY(%(tasks)s)
  AND (tender_board.task_id = ANY(%(tasks)s) OR bundle <> '[]' AND bundle @> ANY(%(bundled)s::jsonb[]))
GROUP BY named.task_id
"""

PLAN_WAITS = """
SELECT version, status = 'committing' AND NOT riders ? %s AND NOT tasks ? %s FROM plans
WHERE tenant = %s AND plan_id = %s
"""
CLAIM = "SELECT version, offers -> %s ->> 'state' FROM tender_board WHERE tenant = %s AND tender_id = %s"


class Lookups:
    """`seen` grows with what was sent: no answer is older than what this process has caused."""

    _as_of: ContextVar[Vector | None] = ContextVar("as_of", default=None)

    def __init__(
        self,
        pool: Pool,
        policy: Policy,
        keyring: Keyring,
        partitions: int,
        clock: Callable[[], datetime],
        all_keys: AllKeys = known_already,
    ) -> None:
        """What does not open once `all_keys` are known is forgotten."""
        self._pool = pool
        self._policy = policy
        self._keyring = keyring
        self._partitions = partitions
        self._clock = clock
        self._all_keys = all_keys
        self._riders = KnownRiders(keyring, partitions, all_keys)
        self._seen: Vector = {}

    def now(self, tenant: TenantSlug) -> datetime:
        """By the tenant's clock."""
        return self._policy.now(tenant, self._clock())

    def saw(self, position: Mapping[tuple[str, int], int]) -> None:
        self._seen = merged([self._seen, position])

    def as_of_now(self) -> None:
        """What this asyncio task looks up from here on need not be newer than all that was sent until now: where others
        go on sending, who waits for what they have sent meanwhile would never come to an end."""
        self._as_of.set(self._seen)

    async def task(self, tenant: TenantSlug, task_id: str, source: Source) -> KnownTask:
        async with self._pool.connection() as connection:
            await self._caught_up(connection, "task_detail")
            row = await task_detail(connection, tenant, task_id)
        needed = source.version if source.aggregate_id == task_id else 1
        if row is None or row["version"] < needed:
            raise NotNow(f"task {task_id} is not yet known as of version {needed}")
        return await self._opened_task(row, tenant)

    async def waiting(self, tenant: TenantSlug, tasks: Sequence[WaitingTask]) -> Sequence[StillWaiting]:
        ids = [each.task_id for each in tasks]
        async with self._pool.connection() as connection:
            await self._caught_up(connection, "task_detail", "tender_board")
            rows = await some_tasks(connection, tenant, ids)
            bundled = [msgspec.json.encode([{"task_id": each}]).decode() for each in ids]
            cursor = await connection.execute(ASKED_BEFORE, {"tenant": tenant, "tasks": ids, "bundled": bundled})
            before = {task_id: (since, declined) for task_id, since, declined in await cursor.fetchall()}
        found = []
        for each in tasks:
            row = rows.get(each.task_id)
            if row is None or row["progress"]["round"] < each.round:
                raise NotNow(f"task {each.task_id} is not yet known as of round {each.round}")
            known = await self._opened_task(row, tenant)
            if row["state"] == "dispatchable" and known.round == each.round and known.ahead:
                since, declined = before.get(each.task_id, (each.since, []))
                found.append(
                    StillWaiting(
                        task=known,
                        since=min(since, each.since),
                        declined=frozenset(declined),
                        held=row["held"] is not None,
                    )
                )
        return found

    async def _opened_task(self, row: Mapping[str, Any], tenant: TenantSlug) -> KnownTask:
        """Rows and keys are read side by side: a key may be known a moment later than what it seals."""
        known = self.known_task(row, tenant)
        if len(known.stops) < sum(stop["location"] is not None for stop in row["stops"]):
            await self._all_keys()
            known = self.known_task(row, tenant)
        return known

    def known_task(self, row: Mapping[str, Any], tenant: TenantSlug) -> KnownTask:
        """Of its row of `task_detail`."""
        task_id: str = row["task_id"]
        stops = [self._stop(stop, row, tenant, task_id) for stop in row["stops"]]
        located = [stop for stop in stops if stop is not None]
        status = {stop_id: stop["status"] for stop_id, stop in row["progress"]["stops"].items()}
        offered, progress = row["hand_over"], msgspec.convert(row["progress"], Progress)
        return KnownTask(
            meeting=None if offered is None else self._opened(offered["place"], tenant, task_id),
            task_id=TaskId(task_id),
            round=row["progress"]["round"],
            stops=located,
            kind=row["kind"],
            required_skills=row["required_skills"],
            aboard=aboard(row["parcels"].values()),
            ahead=[stop for stop in located if status.get(stop.stop_id) not in OVER],
            settled=is_settled(progress),
            held=progress.held is not None and progress.tender_id is None,
        )

    def _stop(
        self, stop: Mapping[str, Any], row: Mapping[str, Any], tenant: str, task_id: str
    ) -> NewPlannedStop | None:
        """None where the place is not known, or not any more."""
        if stop["location"] is None:
            return None
        place = self._opened(stop["location"], tenant, task_id)
        if place is None:
            return None
        return NewPlannedStop(
            stop_id=StopId(stop["stop_id"]),
            kind=stop["kind"],
            subject=stop["location"]["subject"],
            location=place,
            window=msgspec.convert(stop["window"], Window) if stop["window"] else None,
            service_seconds=stop["service_seconds"],
            load=load_of(stop["stop_id"], stop["kind"], row["parcels"].values()),
            after=stop["after"],
        )

    def _opened(self, sealed: Mapping[str, Any], tenant: str, task_id: str) -> Location | None:
        unseal = self._keyring.unsealer(partition_of(task_id, self._partitions), tenant, task_id)
        return opened(msgspec.convert(sealed, Sealed), unseal, Location)

    async def remembered(self, place_key: str, source: Source) -> Location | None:
        """Where an address is, as a person has told it. Many ask at once: whoever waited for what all others have sent
        meanwhile would never come to an end."""
        tenant = source.tenant
        days = (await self.rules(tenant)).remember_places_days
        async with self._pool.connection() as connection:
            await self._folded(connection, {(source.topic, source.partition): source.offset + 1}, "known_places")
            of = self._keyring, self._partitions, tenant, place_key
            return await remembered(connection, *of, self.now(tenant), days)

    async def rules(self, tenant: TenantSlug) -> TenantRules:
        """With the documents that the registry requires among those that the rules do."""
        known = self._policy.tenant(tenant)
        if known is None:
            raise NotNow(f"tenant {tenant} is not yet known")
        return replace(known.rules, required_documents=[*known.required_of_riders])

    async def documents_of_vehicles(self, tenant: TenantSlug) -> Sequence[str]:
        known = self._policy.tenant(tenant)
        return () if known is None else known.required_documents_of("vehicle")

    async def zones(self, tenant: TenantSlug, places: Sequence[Location], at: datetime) -> Sequence[frozenset[str]]:
        known = self._policy.tenant(tenant)
        return [frozenset() if known is None else known.zones_holding(place, at) for place in places]

    async def claimed(self, tender: TenderId, offer: OfferId, source: Source) -> bool:
        async with self._pool.connection() as connection:
            await self._caught_up(connection, "tender_board")
            cursor = await connection.execute(CLAIM, (offer, source.tenant, tender))
            row = await cursor.fetchone()
        if row is None or row[0] < source.version:
            raise NotNow(f"tender {tender} is not yet known as of version {source.version}")
        return bool(row[1] == "claimed")

    async def plan_waits(self, plan: PlanId, of: RiderId | TaskId, source: Source) -> bool:
        async with self._pool.connection() as connection:
            await self._caught_up(connection, "plans")
            cursor = await connection.execute(PLAN_WAITS, (of, of, source.tenant, plan))
            row = await cursor.fetchone()
        needed = source.version if source.aggregate_id == plan else 1
        if row is None or row[0] < needed:
            raise NotNow(f"plan {plan} is not yet known as of version {needed}")
        return bool(row[1])

    async def policy_version(self, tenant: TenantSlug) -> int:
        known = self._policy.tenant(tenant)
        return 0 if known is None else known.version

    async def riders(self, tenant: TenantSlug, rules: TenantRules) -> Sequence[Seen]:
        filters = rules.dispatch.filters
        within = None if filters.max_declines is None else timedelta(minutes=filters.decline_minutes)
        async with self._pool.connection() as connection:
            await self._caught_up(connection, "rider_roster", "tender_board")
            return await self._riders.seen(connection, tenant, self.now(tenant), within)

    async def declined(self, tenant: TenantSlug, task_id: str) -> frozenset[RiderId]:
        async with self._pool.connection() as connection:
            await self._caught_up(connection, "tender_board")
            cursor = await connection.execute(DECLINED, {"tenant": tenant, "task": task_id})
            return frozenset(RiderId(rider) for (rider,) in await cursor.fetchall())

    async def carriers(self, tenant: TenantSlug, task_id: TaskId) -> Sequence[KnownCarrier]:
        known = self._policy.tenant(tenant)
        if known is None or not known.carriers:
            return []
        async with self._pool.connection() as connection:
            await self._caught_up(connection, "task_detail", "tender_board", "carrier_bookings")
            row = await task_detail(connection, tenant, task_id)
            answers = await answers_of(connection, tenant, task_id)
        if row is None:
            raise NotNow(f"task {task_id} is not yet known")
        status = {stop_id: stop["status"] for stop_id, stop in row["progress"]["stops"].items()}
        ahead = [stop for stop in row["stops"] if status.get(stop["stop_id"]) not in OVER]
        unseal = self._keyring.unsealer(partition_of(task_id, self._partitions), tenant, task_id)
        return known_carriers(known.carriers, ahead, answers, unseal)

    async def _caught_up(self, connection: AsyncConnection[Any], *models: str) -> None:
        """Raises NotNow until the read models have folded everything that was sent before."""
        as_of = self._as_of.get()
        await self._folded(connection, self._seen if as_of is None else as_of, *models)

    async def _folded(self, connection: AsyncConnection[Any], seen: Vector, *models: str) -> None:
        """Raises NotNow until they have, of the topics that they follow."""
        cursor = await connection.execute(POSITIONS, (list(models),))
        at = {(topic, partition): offset for topic, partition, offset in await cursor.fetchall()}
        followed = {topic for topic, _ in at}
        needed = {place: offset for place, offset in seen.items() if place[0] in followed}
        if not reached(needed, at):
            raise NotNow(f"{', '.join(models)} has not folded what was sent")


def is_settled(task: Progress) -> bool:
    """Somebody has it, it has ended, or it waits again: its round has nothing to decide."""
    return is_taken(task) or task.ended is not None or task.waits


def load_of(stop_id: str, kind: str, parcels: Collection[Any]) -> Load:
    """What the stop adds to the load: a hold takes off what is bound for it, a return what of that is aboard."""
    if kind == "return":
        back = [row for row in parcels if row["party"]["kind"] == "rider" and row["bound_for"] == stop_id]
        return loaded((row["parcel"], -1) for row in back)
    return loaded(
        (row["parcel"], (row["parcel"]["pickup_stop"] == stop_id) - (goes_to(row) == stop_id)) for row in parcels
    )


def goes_to(row: Mapping[str, Any]) -> str:
    stop_id: str = row["bound_for"] or row["parcel"]["dropoff_stop"]
    return stop_id


def aboard(parcels: Collection[Any]) -> Load:
    return loaded((row["parcel"], 1) for row in parcels if row["party"]["kind"] == "rider")


def loaded(parcels: Iterable[tuple[Mapping[str, int], int]]) -> Load:
    """Each comes aboard, or leaves where its sign is less than nothing."""
    weight_g = volume_cm3 = count = 0
    for parcel, sign in parcels:
        weight_g += sign * parcel["weight_g"]
        volume_cm3 += sign * parcel["volume_cm3"]
        count += sign
    return Load(weight_g=weight_g, volume_cm3=volume_cm3, parcels=count)
