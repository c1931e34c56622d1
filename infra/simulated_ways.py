"""Simulated couriers on their ways: what their phones would send, written where those of real riders do.

All follows from what the read models say of their tasks, and from where they were seen last: who is looked after by
nobody for a while goes on from there.
"""

from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from commands.order import Unavailable
from commands.policy import Policy
from projections.sealed import Sealed, opened
from projections.simulated_tasks import gone_about
from schemas.fixes import FixFrame, HeldFix, NewFix, frames_of
from schemas.geo import Location
from schemas.keyring import Keyring
from schemas.message import OutletSlug
from schemas.partition import partition_of
from schemas.position import Vector
from streams.simulated_ways import Arrival, Leg, Seen, fixes, legs
from streams.telemetry.eta import Router, Way

ACTOR = "simulation"
MOST_COURIERS = 10_000
"""So many are remembered; of the others the live map tells where they were."""

type Courier = tuple[str, str]
"""Tenant and rider."""
type Row = Mapping[str, Any]
type Pool = AsyncConnectionPool[AsyncConnection[Any]]

logger = structlog.get_logger()


class Frames(Protocol):
    async def write(self, tenant: str, actor: str, frames: Sequence[tuple[int, FixFrame]]) -> Vector:
        """Raises Unavailable."""
        ...


class SimulatedWays:
    def __init__(
        self,
        frames: Frames,
        router: Router,
        policy: Policy,
        keyring: Keyring,
        partitions: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._frames = frames
        self._router = router
        self._policy = policy
        self._keyring = keyring
        self._partitions = partitions
        self._clock = clock
        self._seen: dict[Courier, Seen] = {}
        self._under_way: dict[Courier, tuple[Leg, Way]] = {}

    async def go_on(self, pool: Pool) -> int:
        """Up to now; how many fixes that were. Raises Unavailable, OperationalError."""
        async with pool.connection() as connection:
            rows = await gone_about(connection, self._clock(), self._policy.clocks_ahead())
        by_courier: defaultdict[Courier, list[Row]] = defaultdict(list)
        for row in rows:
            by_courier[row["tenant"], row["rider_id"]].append(row)
        self._forget(by_courier.keys())
        return sum([await self._safely(courier, of_courier) for courier, of_courier in by_courier.items()])

    async def _safely(self, courier: Courier, rows: Sequence[Row]) -> int:
        """One whose way cannot be told keeps nobody else from going on."""
        try:
            return await self._courier(courier, rows)
        except Unavailable:
            raise
        except Exception as broken:
            logger.exception("a simulated courier stands still", tenant=courier[0], rider_id=courier[1], error=broken)
            return 0

    def _forget(self, moving: Container[Courier]) -> None:
        """Who rests, where there are very many."""
        if len(self._seen) > MOST_COURIERS:
            self._seen = {courier: seen for courier, seen in self._seen.items() if courier in moving}
        self._under_way = {courier: way for courier, way in self._under_way.items() if courier in moving}

    async def _courier(self, courier: Courier, rows: Sequence[Row]) -> int:
        now = self._policy.now(courier[0], self._clock())
        until = min([now, *(at for row in rows if (at := step_at(row)) is not None)])
        seen = self._last_seen(courier, rows[0])
        told: list[NewFix] = []
        for leg in legs(courier[1], seen, [arrival for row in rows for arrival in self._arrivals(row)]):
            if leg.begins >= until:
                break
            told += fixes(*await self._on_the_way(courier, leg), None if seen is None else seen.at, until)
        if told:
            await self._write(courier, rows[0]["device_id"], told, now)
            last = told[-1]
            self._seen[courier] = Seen(last.observed_at, Location(lat=last.lat, lon=last.lon))
        return len(told)

    async def _on_the_way(self, courier: Courier, leg: Leg) -> tuple[Leg, Way]:
        """Once begun they go on as they began."""
        known = self._under_way.get(courier)
        if known is None or (known[0].ends, known[0].goal) != (leg.ends, leg.goal):
            known = self._under_way[courier] = leg, await self._router.way([leg.start, leg.goal])
        return known

    def _last_seen(self, courier: Courier, row: Row) -> Seen | None:
        known = self._seen.get(courier)
        if row["observed_at"] is None or (known is not None and known.at >= row["observed_at"]):
            return known
        return Seen(row["observed_at"], Location(lat=row["lat"], lon=row["lon"]))

    def _arrivals(self, row: Row) -> list[Arrival]:
        way_s, due_at = row["simulation"]["step_seconds"], step_at(row)
        found = []
        for stop in row["stops"]:
            how_far = row["progress"]["stops"].get(stop["stop_id"], {})
            times = [datetime.fromisoformat(how_far["arrived_at"])] if how_far.get("arrived_at") else []
            if how_far.get("status") == "en_route" and due_at is not None:
                times.append(due_at)
            place = self._place(stop, row) if times else None
            if place is not None:
                found += [Arrival(at, place, way_s) for at in times]
        return found

    def _place(self, stop: Row, row: Row) -> Location | None:
        """Of a stop whose place is not known, or not any more, the outlet's, as it is for what they report."""
        if stop["location"] is not None:
            partition = partition_of(row["task_id"], self._partitions)
            unseal = self._keyring.unsealer(partition, row["tenant"], row["task_id"])
            place = opened(msgspec.convert(stop["location"], Sealed), unseal, Location)
            if place is not None:
                return place
        tenant = self._policy.tenant(row["tenant"])
        outlet = None if tenant is None else tenant.outlets.get(OutletSlug(row["outlet"]))
        return None if outlet is None else outlet.location

    async def _write(self, courier: Courier, device_id: str, told: Sequence[NewFix], now: datetime) -> None:
        tenant, rider_id = courier
        held = [HeldFix(device_id, rider_id, fix) for fix in told]
        partition = partition_of(rider_id, self._partitions)
        await self._frames.write(tenant, ACTOR, [(partition, frame) for frame in frames_of(held, now)])


def step_at(row: Row) -> datetime | None:
    """When what the courier does next is due; nothing is once the task has ended."""
    due_at = row["progress"]["step_at"]
    return None if due_at is None or row["progress"]["ended"] is not None else datetime.fromisoformat(due_at)
