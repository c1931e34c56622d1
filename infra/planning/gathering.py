"""What a plan is made from, out of the read models: tasks that wait, riders at work, and what lies ahead of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from infra.lookups import OVER, Lookups
from projections.plans import PlanRequestRow
from schemas.geo import Window
from schemas.message import RiderId, TaskId, TenantSlug
from schemas.plan import MAX_PLAN_RIDERS, MAX_PLAN_TASKS, LeftOutTask, PlanObjective
from schemas.rider import NewPlannedStop
from streams.dispatch.known import Ahead, Seen
from streams.planning.wave import Wave, WaveRider, WaveTask

FAR_TOO_MANY = 10_000
"""Tasks of which it is told that they are too many."""

type Pool = AsyncConnectionPool[AsyncConnection[Any]]
type Row = Mapping[str, Any]

WAITING = """
SELECT task_id FROM task_board
WHERE tenant = %(tenant)s
  AND (state IN ('dispatchable', 'offering') OR (state = 'created' AND dispatch_at IS NOT NULL))
  AND held IS NULL
  AND carrier IS NULL
  AND (cardinality(%(outlets)s::text[]) = 0 OR outlet = ANY(%(outlets)s))
  AND (%(until)s::timestamptz IS NULL OR dispatch_at IS NULL OR dispatch_at <= %(until)s)
ORDER BY due_at NULLS LAST, created_at, task_id
LIMIT %(limit)s
"""
"""Those that are promised first come first."""
HAD = """
SELECT task_id FROM task_board
WHERE tenant = %(tenant)s AND rider_id = ANY(%(riders)s) AND state = ANY(%(states)s)
"""
NOT_BEGUN = ("assigned", "accepted")
DETAILS = """
SELECT * FROM task_detail WHERE tenant = %(tenant)s AND task_id = ANY(%(tasks)s)
"""
DECLINED = """
SELECT task_id, array_agg(DISTINCT offer.value ->> 'rider_id')
FROM tender_board, jsonb_each(offers) AS offer
WHERE tenant = %(tenant)s AND task_id = ANY(%(tasks)s)
  AND offer.value ->> 'state' IN ('declined', 'expired', 'rejected')
GROUP BY task_id
"""
STOPS = """
SELECT task_id, progress -> 'stops' AS stops FROM task_detail WHERE tenant = %(tenant)s AND task_id = ANY(%(tasks)s)
"""
LASTS = timedelta(days=30)
"""Goods that are ready stay so."""
UNDER_WAY = frozenset({"en_route", "arrived"})


class Gathered(NamedTuple):
    wave: Wave
    policy_version: int
    never_asked: list[LeftOutTask]


class Gathering:
    def __init__(self, pool: Pool, lookups: Lookups) -> None:
        self._pool = pool
        self._lookups = lookups

    def now(self, tenant: TenantSlug) -> datetime:
        return self._lookups.now(tenant)

    async def wave(self, tenant: TenantSlug, request: PlanRequestRow) -> Gathered:
        """Raises NotNow."""
        now, rules = self.now(tenant), await self._lookups.rules(tenant)
        asked = frozenset(request.riders)
        everybody = await self._lookups.riders(tenant, rules)
        seen = [each for each in everybody if each.rider.shift_ends_at is not None or each.rider.rider_id in asked]
        seen = [each for each in seen if not asked or each.rider.rider_id in asked][:MAX_PLAN_RIDERS]
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            ids = await self._asked_for(cursor, tenant, request)
            late = [LeftOutTask(task_id=TaskId(task), code="too_many") for task in ids[MAX_PLAN_TASKS:]]
            await cursor.execute(DETAILS, {"tenant": tenant, "tasks": ids[:MAX_PLAN_TASKS]})
            rows = {row["task_id"]: row for row in await cursor.fetchall()}
            moved = await self._had(cursor, tenant, seen) if request.replan else {}
            declined = await self._declined(cursor, tenant, [*rows, *moved])
            riders = await self._begun(cursor, tenant, seen)
        tasks: list[WaveTask] = []
        never: list[LeftOutTask] = []
        for task_id in ids[:MAX_PLAN_TASKS]:
            row = rows.get(task_id)
            if row is None or not waits(row):
                never.append(LeftOutTask(task_id=TaskId(task_id), code="not_waiting"))
                continue
            task = await self._task(tenant, row, declined, now)
            if task is None:
                never.append(LeftOutTask(task_id=TaskId(task_id), code="place_unknown"))
            else:
                tasks.append(task)
        for had in moved.values():
            task = await self._task(tenant, had, declined, now)
            if task is not None:
                tasks.append(task)
        wave = Wave(
            decided_at=now,
            tasks=tasks,
            riders=riders,
            rules=rules,
            of_vehicles=list(await self._lookups.documents_of_vehicles(tenant)),
            objective=objective_of(request),
        )
        return Gathered(wave, await self._lookups.policy_version(tenant), [*never, *late])

    async def _asked_for(self, cursor: Any, tenant: TenantSlug, request: PlanRequestRow) -> list[str]:
        if request.tasks:
            return request.tasks
        wanted = {"tenant": tenant, "outlets": request.outlets, "until": request.until, "limit": FAR_TOO_MANY}
        await cursor.execute(WAITING, wanted)
        return [row["task_id"] for row in await cursor.fetchall()]

    async def _had(self, cursor: Any, tenant: TenantSlug, seen: Sequence[Seen]) -> dict[str, Row]:
        """What riders have and have not begun, the first ones where they are too many."""
        riders = [each.rider.rider_id for each in seen]
        await cursor.execute(HAD, {"tenant": tenant, "riders": riders, "states": list(NOT_BEGUN)})
        tasks = sorted(row["task_id"] for row in await cursor.fetchall())
        await cursor.execute(DETAILS, {"tenant": tenant, "tasks": tasks[:MAX_PLAN_TASKS]})
        return {row["task_id"]: row for row in await cursor.fetchall() if may_move(row)}

    async def _declined(self, cursor: Any, tenant: TenantSlug, tasks: Sequence[str]) -> dict[str, frozenset[RiderId]]:
        await cursor.execute(DECLINED, {"tenant": tenant, "tasks": list(tasks)})
        return {row["task_id"]: frozenset(map(RiderId, row["array_agg"])) for row in await cursor.fetchall()}

    async def _begun(self, cursor: Any, tenant: TenantSlug, seen: Sequence[Seen]) -> list[WaveRider]:
        tasks = {stop.task_id for each in seen for stop in each.rider.itinerary}
        await cursor.execute(STOPS, {"tenant": tenant, "tasks": sorted(tasks)})
        stops = {row["task_id"]: row["stops"] for row in await cursor.fetchall()}
        return [begun_first(each, stops) for each in seen]

    async def _task(
        self, tenant: TenantSlug, row: Row, declined: Mapping[str, frozenset[RiderId]], now: datetime
    ) -> WaveTask | None:
        """None where not all of its places are known."""
        known = self._lookups.known_task(row, tenant)
        if len(known.ahead) != sum(stop["status"] not in OVER for stop in row["progress"]["stops"].values()):
            return None
        ready = {stop["stop_id"]: stop.get("goods_ready_at") for stop in row["stops"]}
        places = [stop.location for stop in known.ahead]
        progress = row["progress"]
        rider = progress["rider_id"]
        return WaveTask(
            task_id=known.task_id,
            round=known.round + bool(progress["waits"] or rider is not None),
            stops=[ahead_of(known.task_id, stop, ready.get(stop.stop_id)) for stop in known.ahead],
            places=places,
            required_skills=frozenset(known.required_skills),
            zones=await self._lookups.zones(tenant, places, now),
            declined=declined.get(known.task_id, frozenset()),
            from_rider=None if rider is None else RiderId(rider),
        )


def waits(row: Row) -> bool:
    """For a rider, and may be given to one before it comes to dispatch."""
    progress = row["progress"]
    if row["simulation"] is not None or row["held"] is not None:
        return False
    if row["state"] in ("dispatchable", "offering"):
        return True
    return row["state"] == "created" and progress["dispatch_at"] is not None


def may_move(row: Row) -> bool:
    """From its rider to another: nothing of it is begun, nothing aboard, and it is being handed over to nobody."""
    begun = any(stop["status"] != "pending" for stop in row["progress"]["stops"].values())
    aboard = any(parcel["party"]["kind"] == "rider" for parcel in row["parcels"].values())
    return not begun and not aboard and row["hand_over"] is None and row["simulation"] is None


def begun_first(seen: Seen, stops: Mapping[str, Mapping[str, Any]]) -> WaveRider:
    """Where they are on their way to another stop than the first, or at it, that one is the first."""
    ahead = seen.rider.itinerary
    begun = next((at for at, stop in enumerate(ahead) if is_under_way(stop, stops)), None)
    if begun is None:
        return WaveRider(seen=seen)
    if any(stop.task_id == ahead[begun].task_id for stop in ahead[:begun]):
        return WaveRider(seen=seen, begun=True)  # what must come before it is ahead, too
    order = [begun, *(at for at in range(len(ahead)) if at != begun)]
    rider = replace(seen.rider, itinerary=[ahead[at] for at in order])
    return WaveRider(seen=Seen(rider=rider, here=seen.here, ahead=[seen.ahead[at] for at in order]), begun=True)


def is_under_way(stop: Ahead, stops: Mapping[str, Mapping[str, Any]]) -> bool:
    return stops.get(stop.task_id, {}).get(stop.stop_id, {}).get("status") in UNDER_WAY


def ahead_of(task_id: TaskId, stop: NewPlannedStop, ready_at: str | None) -> Ahead:
    """A pickup does not begin before its goods are ready."""
    window = stop.window
    if ready_at is not None and stop.kind == "pickup":
        ready = datetime.fromisoformat(ready_at)
        open_for = Window(start=ready, end=ready + LASTS)
        window = open_for if window is None else replace(window, start=max(window.start, ready))
    return Ahead(
        task_id=task_id,
        stop_id=stop.stop_id,
        kind=stop.kind,
        window=window,
        service_seconds=stop.service_seconds,
        load=stop.load,
    )


def objective_of(request: PlanRequestRow) -> PlanObjective:
    match request.objective:
        case "distance" | "vehicles":
            return request.objective
        case _:
            return "duration"
