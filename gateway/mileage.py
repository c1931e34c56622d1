"""How far did riders or vehicles go, day by day? Of the trips that have ended."""

from datetime import UTC, datetime, time
from typing import Any

from psycopg.errors import InvalidParameterValue

from gateway.allowed import READERS
from gateway.call import Call
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.parameters import (
    CURSOR,
    DEFAULT_LIMIT,
    LIMIT,
    After,
    Parameter,
    choice,
    cursor_of,
    moment,
    parameters_of,
    text,
)
from gateway.problems import FieldError, Problem
from gateway.queries import next_link, vector_header
from gateway.reading import Connection, Reading, Row
from gateway.reply import Reply, json_reply
from projections import trips
from schemas.zones import UnknownZone, zone_of

ABOUT = "How far riders or vehicles went, how long they moved and stood, day by day. A rider sees their own."


def zone(about: str) -> Parameter:
    def check(value: str) -> str:
        try:
            zone_of(value)
        except UnknownZone as unknown:
            raise ValueError("must be an IANA time zone, such as Europe/Helsinki") from unknown
        return value

    return Parameter(check, {"type": "string", "maxLength": 64, "default": "UTC"}, about)


PARAMETERS: dict[str, Parameter] = {
    "by": choice(tuple(trips.OF_WHOM), "Whose mileage; without it, riders'."),
    "rider_id": text("Of this rider."),
    "vehicle_id": text("With this vehicle."),
    "since": moment("Of trips that began then or later."),
    "until": moment("Of trips that began before."),
    "zone": zone("Whose days; a trip counts for the day on which it began."),
    "limit": LIMIT,
    "after": CURSOR,
}


class Mileage:
    def __init__(self, door: Door, entry: Entry, reading: Reading) -> None:
        self._door, self._entry, self._reading = door, entry, reading

    async def page(self, call: Call) -> Reply:
        caller = self._entry.admitted(call, READERS["mileage"], "read mileage")
        asked: dict[str, Any] = {"by": "rider", "zone": "UTC", "limit": DEFAULT_LIMIT} | parameters_of(call, PARAMETERS)
        if caller.role == "rider":
            asked["rider_id"] = caller.subject
        by, limit, after = asked.pop("by"), asked.pop("limit"), asked.pop("after", None)
        asked |= {"limit": limit + 1} | from_there(after)

        async def query(connection: Connection) -> list[Row]:
            return await trips.mileage[by](connection, tenant_of(call), asked)

        try:
            rows, at = await self._reading.fresh(call, trips.TRIPS, query)
        except InvalidParameterValue as unknown:  # the database has other time zones than we
            raise Problem("invalid-parameter", "zone", errors=[FieldError("zone", "is not known here")]) from unknown
        body: dict[str, Any] = {"items": [as_told(row, by) for row in rows[:limit]]}
        headers = [vector_header(at)]
        if len(rows) > limit:
            last = rows[limit - 1]
            body["next"] = cursor_of(After(datetime.combine(last["day"], time(), UTC), f"/{last['id']}"))
            headers.append((b"link", next_link(call, body["next"])))
        return json_reply(body, headers=headers)


def as_told(row: Row, by: str) -> Row:
    """Trips with none of our vehicles, or with several, are together under none."""
    return {"day": row["day"].isoformat(), f"{by}_id": row["id"] or None} | {
        name: value for name, value in row.items() if name not in ("day", "id")
    }


def from_there(after: After | None) -> dict[str, Any]:
    return {} if after is None else {"after_day": after.at.date(), "after_id": after.id[1:]}
