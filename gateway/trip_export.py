"""One trip, and its fixes as a file: found again in the frames on the log, for as long as those are kept.

Coordinates stand on no topic for ever in the clear, so they are read where they are and when somebody asks
(docs/adr/0016-trips-as-files.md): the trip's row says up to which frame, its beginning from which time on.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from psycopg import AsyncConnection

from commands.order import Unavailable
from gateway import log
from gateway.allowed import PERSONAL, READERS
from gateway.call import Call
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.parameters import Parameter, choice, flag, id_of, parameters_of
from gateway.personal import opener, shown
from gateway.problems import Problem, not_found
from gateway.queries import UNSHOWN, vector_header
from gateway.reading import Reading, Row
from gateway.reply import Reply, json_reply
from gateway.tokens import Caller
from gateway.trip_files import FORMATS, Exported
from projections import quarantine, trips
from schemas.ids import rider_subject
from schemas.message import RiderId
from schemas.partition import partition_of
from schemas.position import Vector
from schemas.signals import StopMade
from schemas.topics import FIXES
from streams.routing.matching import Matched
from streams.telemetry.found import place_in
from streams.telemetry.recorded import BEFORE, Point, Recorded, TooManyPoints, Wanted

AT_ONCE = 2
"""Exports at a time: each reads the log."""
WAITS_S = 10.0
WITHIN_S = 20.0
MOST_FRAMES = 200_000
MOST_POINTS = 50_000
KEPT_DAYS = int(FIXES.config["retention.ms"]) // 86_400_000

PARAMETERS: dict[str, Parameter] = {
    "format": choice(tuple(FORMATS), "As which file; without it, geojson."),
    "matched": flag("Also the line on streets, where the router is sure of it."),
}
ABOUT = "A trip's fixes as a file, and where it is asked for the line on streets beside them."
ABOUT_ONE = "One trip: from where to where, how far, how long. A rider sees their own."


class Trips:
    def __init__(self, door: Door, entry: Entry, reading: Reading) -> None:
        self._door, self._entry, self._reading = door, entry, reading
        self._exporting = asyncio.Semaphore(AT_ONCE)

    async def one(self, call: Call) -> Reply:
        caller = self._entry.admitted(call, READERS["trips"], "read trips")
        parameters_of(call, {})
        row, at = await self._row(call, caller)
        by = None
        if caller.role in PERSONAL or caller.role == "rider":
            by = opener(self._door.keyring, self._door.partitions, row["tenant"], row["rider_id"])
        body = {name: shown(value, by) for name, value in row.items() if name not in UNSHOWN}
        if by is not None and by.subjects:
            log.personal_read(call, row["rider_id"], sorted(by.subjects))
        return json_reply(body, headers=[vector_header(at)])

    async def export(self, call: Call) -> Reply:
        caller = self._entry.admitted(call, READERS["trip-exports"], "export trips")
        asked: dict[str, Any] = {"format": "geojson", "matched": False} | parameters_of(call, PARAMETERS)
        row, at = await self._row(call, caller)
        partition = partition_of(row["rider_id"], self._door.partitions)
        if not self._door.keyring.knows(partition, rider_subject(RiderId(row["rider_id"]))):
            raise gone("the rider is forgotten", row)
        points = await self._bounded(row, partition)
        matched = await self._matched(tenant_of(call), points) if asked["matched"] else None
        log.personal_read(call, row["rider_id"], [rider_subject(RiderId(row["rider_id"]))])
        made = FORMATS[asked["format"]]
        places = shown(row["places"], opener(self._door.keyring, self._door.partitions, row["tenant"], row["rider_id"]))
        trip = exported(row, places, points, matched)
        content = await asyncio.to_thread(lambda: b"".join(made.write([trip])))
        name = f'attachment; filename="trip-{row["trip_id"]}{made.suffix}"'
        headers = [
            (b"content-type", made.media_type.encode()),
            (b"content-disposition", name.encode()),
            (b"cache-control", b"private, no-store"),
            vector_header(at),
        ]
        return Reply(200, content, headers)

    async def _row(self, call: Call, caller: Caller) -> tuple[Row, Vector]:
        """Another rider's trip is not there. Raises Problem."""
        trip_id = id_of(call)
        row, at = await self._reading.fresh(call, trips.TRIPS, lambda c: trips.one(c, tenant_of(call), trip_id))
        if row is None or (caller.role == "rider" and row["rider_id"] != caller.subject):
            raise not_found(f"there is no trip {trip_id}")
        return row, at

    async def _bounded(self, row: Row, partition: int) -> Sequence[Point]:
        """Raises Problem."""
        try:
            async with asyncio.timeout(WAITS_S):
                await self._exporting.acquire()
        except TimeoutError as busy:
            raise Problem("fixes-unavailable", f"{AT_ONCE} exports are being made already", retry_after_s=5) from busy
        try:
            async with asyncio.timeout(WITHIN_S):
                return await self._points(row, partition)
        except TimeoutError as slow:
            raise Problem("fixes-unavailable", f"the fixes were not read within {WITHIN_S:g} s") from slow
        except Unavailable as lost:
            raise Problem("fixes-unavailable", str(lost)) from lost
        except TooManyPoints as many:
            raise too_large(MOST_POINTS, "fixes", row) from many
        finally:
            self._exporting.release()

    async def _points(self, row: Row, partition: int) -> Sequence[Point]:
        last = place_in(row["frame"] or "", partition)
        if last is None:
            raise gone("the trip does not say by which frames it was told", row)
        since = row["started_at"] - BEFORE
        first = await self._door.frames.first_since(partition, since)
        if last + 1 - first > MOST_FRAMES:
            raise too_large(MOST_FRAMES, "frames", row)
        async with self._reading.connection() as connection:
            aside = await put_aside(connection, row, partition, first, last)
        recorded = Recorded(wanted(row), aside, MOST_POINTS)
        async for frames in self._door.frames.read(partition, first, last):
            recorded.take(frames)
            if recorded.is_whole:
                return recorded.points
        raise gone(f"fixes are kept for {KEPT_DAYS} days, and not all of this trip's are there any more", row)

    async def _matched(self, tenant: str, points: Sequence[Point]) -> Matched:
        return await self._door.matching.matched(tenant, points)


async def put_aside(
    connection: AsyncConnection[Any], row: Row, partition: int, first: int, last: int
) -> frozenset[tuple[int, int]]:
    return frozenset(await quarantine.of_rider(connection, row["tenant"], row["rider_id"], partition, first, last))


def wanted(row: Row) -> Wanted:
    return Wanted(
        tenant=row["tenant"], rider_id=row["rider_id"], started_at=row["started_at"], ended_at=row["ended_at"]
    )


def exported(row: Row, places: Any, points: Sequence[Point], matched: Matched | None) -> Exported:
    """`places` as they are shown: a word where they cannot be read any more."""
    told = {name: row[name] for name in Exported.__struct_fields__ if name in row}
    stops = msgspec.convert(places["stops"], list[StopMade]) if isinstance(places, dict) else []
    return Exported(**told, stops_made=stops, points=list(points), matched=matched)


def gone(detail: str, row: Row) -> Problem:
    values = {"trip_id": row["trip_id"], "started_at": row["started_at"].isoformat(), "kept_days": KEPT_DAYS}
    return Problem("fixes-gone", detail, values=values)


def too_large(most: int, what: str, row: Row) -> Problem:
    values = {"trip_id": row["trip_id"], "most": most}
    return Problem("trip-too-large", f"more than {most:,} {what} would have to be read", values=values)
