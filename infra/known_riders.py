"""What dispatch knows of a tenant's riders, out of the read models: who has not changed is not read again."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.sealed import Sealed, opened
from schemas.geo import Location, Window
from schemas.keyring import Keyring
from schemas.load import Load
from schemas.message import RiderId, StopId, TaskId
from schemas.partition import partition_of
from schemas.vehicle_fitness import VehicleFitness
from streams.dispatch.known import Ahead, AtHand, Document, KnownRider, Seen
from streams.dispatch.question import encoded
from streams.routing.great_circle import radians
from streams.routing.measured import Grid
from streams.runner import AllKeys, known_already

FOR_EVER = datetime.max.replace(tzinfo=UTC)
MOST_TENANTS = 1_000
"""Whose riders are kept ready; those of any other are read anew."""

ASKED = """
SELECT offer.value ->> 'rider_id',
       count(*) FILTER (WHERE state = 'open' AND offer.value ->> 'state' IN ('sent', 'viewed', 'claimed')),
       count(*) FILTER (WHERE offer.value ->> 'state' IN ('declined', 'expired')
                        AND (offer.value ->> 'expires_at')::timestamptz > %(since)s)
FROM tender_board, jsonb_each(offers) AS offer
WHERE tenant = %(tenant)s AND offer.value ->> 'carrier_id' IS NULL AND (state = 'open' OR updated_at > %(since)s)
GROUP BY 1
"""
ROSTER = """
SELECT rider_id, version FROM rider_roster
WHERE tenant = %(tenant)s AND NOT simulated
ORDER BY rider_id COLLATE "C"
"""
FIXES = "SELECT rider_id, lat, lon, observed_at FROM live_map WHERE tenant = %(tenant)s"
REBUILDS = "SELECT coalesce(sum(rebuilds), 0) FROM projection_rebuilds WHERE model = 'rider_roster'"
CHANGED = "SELECT * FROM rider_roster WHERE tenant = %(tenant)s AND rider_id = ANY(%(riders)s)"

NOT_ASKED = 0, 0

type Row = Mapping[str, Any]
type Fix = tuple[float, float, datetime] | None
"""Latitude, longitude, when it was taken: the latest of a rider."""
type Asked = tuple[int, int]
"""Offers that wait for a rider's answer, and those that they have declined or let pass."""


class Now(msgspec.Struct, frozen=True):
    """What changes of a tenant's riders without a version of theirs."""

    rebuilds: int
    """Of the read model, until before the others were read."""
    roster: Sequence[tuple[str, int]]
    """Rider and version, in order of the one."""
    fixes: Mapping[str, Fix]
    asked: Mapping[str, Asked]


class Ready(msgspec.Struct, frozen=True):
    """A rider as they were seen last: the same again, as long as where they are, what they are asked and for whom they
    are held stay."""

    fix: Fix
    asked: Asked
    since: datetime
    until: datetime
    seen: Seen

    def holds(self, fix: Fix, asked: Asked, now: datetime) -> bool:
        return self.since <= now < self.until and self.fix == fix and self.asked == asked


class Kept(msgspec.Struct, kw_only=True):
    """A rider as of a version; what hangs on the time is told apart."""

    version: int
    rider: KnownRider
    active: int
    """Tasks that they have."""
    held_until: Sequence[datetime]
    """Of those for which they are only held."""
    shift_started_at: datetime | None
    shift_began: Location | None
    ahead: Sequence[Location]
    ahead_points: Grid
    task_ids: frozenset[TaskId]
    ready: Ready | None = None

    def seen(self, fix: Fix, asked: Asked, now: datetime) -> Seen:
        if self.ready is None or not self.ready.holds(fix, asked, now):
            until = min((until for until in self.held_until if until > now), default=FOR_EVER)
            self.ready = Ready(fix, asked, now, until, seen_of(self, fix, asked, now))
        return self.ready.seen


class KnownRiders:
    """`keyring` opens what is personal. Once a key is thrown away nothing that was opened before is kept, nor once the
    read model was made anew."""

    def __init__(self, keyring: Keyring, partitions: int, all_keys: AllKeys = known_already) -> None:
        """What does not open once `all_keys` are known is forgotten."""
        self._keyring, self._all_keys = keyring, all_keys
        self._partitions = partitions
        self._kept: dict[str, dict[str, Kept]] = {}
        self._forgotten = keyring.forgotten
        self._rebuilds = 0

    async def seen(
        self, connection: AsyncConnection[Any], tenant: str, now: datetime, declines_within: timedelta | None
    ) -> list[Seen]:
        """In order of id. Without `declines_within` nobody has declined anything."""
        since = now if declines_within is None else now - declines_within
        told = await now_of(connection, tenant, since)
        kept = self._of(tenant, told.rebuilds)
        changed = [rider_id for rider_id, version in told.roster if not is_known(kept, rider_id, version)]
        if changed:
            async with connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(CHANGED, {"tenant": tenant, "riders": changed})
                for row in await cursor.fetchall():
                    read = await self._opened(row, tenant)
                    known = kept.get(row["rider_id"])
                    if known is None or known.version <= row["version"]:  # who read meanwhile may know more
                        kept[row["rider_id"]] = read
        return [
            kept[rider_id].seen(told.fixes.get(rider_id), told.asked.get(rider_id, NOT_ASKED), now)
            for rider_id, _ in told.roster
        ]

    def _of(self, tenant: str, rebuilds: int) -> dict[str, Kept]:
        """Rows of a read model that was made anew have the versions that they had, and may be others."""
        if (self._keyring.forgotten, rebuilds) != (self._forgotten, self._rebuilds):
            self._kept.clear()
            self._forgotten, self._rebuilds = self._keyring.forgotten, rebuilds
        if tenant not in self._kept and len(self._kept) >= MOST_TENANTS:
            del self._kept[next(iter(self._kept))]
        return self._kept.setdefault(tenant, {})

    async def _opened(self, row: Row, tenant: str) -> Kept:
        """A key may be known a moment later than what it seals."""
        read = self._read(row, tenant)
        began = row["shift"] and row["shift"]["location"]
        if len(read.ahead) < len(row["itinerary"]) or (began and read.shift_began is None):
            await self._all_keys()
            read = self._read(row, tenant)
        return read

    def _read(self, row: Row, tenant: str) -> Kept:
        shift = row["shift"]
        unseal = self._keyring.unsealer(partition_of(row["rider_id"], self._partitions), tenant, row["rider_id"])

        def place(sealed: Any) -> Location | None:
            return opened(msgspec.convert(sealed, Sealed), unseal, Location) if sealed else None

        placed = [(stop, place(stop["location"])) for stop in row["itinerary"]]
        ahead = [(stop, at) for stop, at in placed if at is not None]
        return Kept(
            version=row["version"],
            rider=known_rider(row, [ahead_of(stop) for stop, _ in ahead]),
            active=sum(bool(each["active"]) for each in row["reservations"].values()),
            held_until=[
                datetime.fromisoformat(each["hold_until"])
                for each in row["reservations"].values()
                if not each["active"]
            ],
            shift_started_at=datetime.fromisoformat(shift["started_at"]) if shift else None,
            shift_began=place(shift["location"]) if shift else None,
            ahead=[at for _, at in ahead],
            ahead_points=radians([at for _, at in ahead]),
            task_ids=frozenset(TaskId(stop["task_id"]) for stop, _ in ahead),
        )


async def now_of(connection: AsyncConnection[Any], tenant: str, since: datetime) -> Now:
    """What was asked is read first: who is not asked any more has what they won by then. It is joined by who asks,
    where no plan hangs on how long ago Postgres has looked at its tables."""
    given = {"tenant": tenant, "since": since}
    async with connection.pipeline():
        told = [await connection.execute(query, given, binary=True) for query in (REBUILDS, ASKED, ROSTER, FIXES)]
    [(rebuilds,)], asked, roster, fixes = [await cursor.fetchall() for cursor in told]
    return Now(
        rebuilds=int(rebuilds),
        roster=roster,
        fixes={rider_id: (lat, lon, at) for rider_id, lat, lon, at in fixes},
        asked={rider_id: (offers, declines) for rider_id, offers, declines in asked},
    )


def is_known(kept: Mapping[str, Kept], rider_id: str, version: int) -> bool:
    """As of that version or a later one: what was read last may be newer than what is read now."""
    known = kept.get(rider_id)
    return known is not None and known.version >= version


def seen_of(kept: Kept, fix: Fix, asked: Asked, now: datetime) -> Seen:
    here, seen_at = where(kept, fix)
    offers, declines = asked
    rider = replace(
        kept.rider,
        tasks=kept.active + sum(until > now for until in kept.held_until),
        offers=offers,
        declines=declines,
        placed=here is not None,
        seen_at=seen_at,
    )
    points = kept.ahead_points if here is None else np.concatenate([radians([here]), kept.ahead_points])
    return Seen(rider=rider, here=here, ahead=kept.ahead, at_hand=AtHand(points, kept.task_ids, encoded(rider)))


def where(kept: Kept, fix: Fix) -> tuple[Location | None, datetime | None]:
    """The latest fix of this shift; before the first, where the shift began."""
    if fix is not None and kept.shift_started_at is not None and fix[2] >= kept.shift_started_at:
        return Location(lat=fix[0], lon=fix[1]), fix[2].astimezone(UTC)
    return kept.shift_began, None


def known_rider(row: Row, itinerary: Sequence[Ahead]) -> KnownRider:
    shift, locked = row["shift"], row["locked_stop"]
    first = itinerary[0].ref if itinerary else None
    return KnownRider(
        rider_id=RiderId(row["rider_id"]),
        status=row["status"],
        documents=[document(known) for known in row["documents"].values()],
        shift_ends_at=datetime.fromisoformat(shift["ends_at"]) if row["on_shift"] else None,
        on_break=row["on_break"],
        silent=row["silent_since"] is not None,
        incident_open=bool(row["off_dispatch_for"]),
        hours_end_at=hours_end_at(shift),
        vehicle=row["vehicle"],
        capacity_g=row["capacity_g"],
        skills=frozenset(row["skills"]),
        zones=frozenset(row["zones"]),
        vehicles=msgspec.convert([*row["vehicles"].values()], list[VehicleFitness]),
        rating=row["rating"],
        tasks=0,
        offers=0,
        seen_at=None,
        itinerary=itinerary,
        locked=first is not None and locked == {"task_id": first.task_id, "stop_id": first.stop_id},
    )


def ahead_of(stop: Row) -> Ahead:
    return Ahead(
        task_id=TaskId(stop["task_id"]),
        stop_id=StopId(stop["stop_id"]),
        kind=stop["kind"],
        window=msgspec.convert(stop["window"], Window) if stop["window"] else None,
        service_seconds=stop["service_seconds"],
        load=msgspec.convert(stop["load"], Load),
    )


def hours_end_at(shift: Mapping[str, Any] | None) -> datetime | None:
    limit = shift and shift["hours_limit"]
    return datetime.fromisoformat(limit["reached_at"]) if limit else None


def document(row: Row) -> Document:
    return Document(
        kind=row["kind"],
        verified=row["status"] == "verified",
        valid_from=moment(row["valid_from"]),
        expires_at=moment(row["expires_at"]),
    )


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
