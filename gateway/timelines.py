"""An incident's timeline, page by page, and the seal that binds it: made when it is sealed, checked ever after."""

import re
from datetime import timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from commands.order import Order
from gateway.allowed import READERS
from gateway.call import Call
from gateway.cloud_event import cloud_event
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.parameters import CURSOR, DEFAULT_LIMIT, LIMIT, After, Parameter, cursor_of, id_of, moment, parameters_of
from gateway.problems import Problem, not_found
from gateway.queries import next_link, vector_header
from gateway.reading import Connection, Reading, Row, behind
from gateway.reply import Reply, json_reply
from projections import history
from projections.incident_register import INCIDENT_REGISTER
from projections.incident_timeline import About, about, ends, hashes, page
from schemas.incident import IncidentLink, SealedTimeline, SealIncident
from schemas.merkle import Tree
from schemas.position import Vector, token, vector

PLACE = re.compile(r"(\S{1,80}) (\d{1,9}) (\d{1,18})")
LONGEST = timedelta(days=31)
"""However long ago the incident is said to have been."""

BEFORE = timedelta(hours=24)
"""Of riders and vehicles what happened since so long before the incident."""

PARAMETERS: dict[str, Parameter] = {
    "since": moment("Of riders and vehicles: what happened since then. Without it since a day before the incident."),
    "until": moment("What happened before then."),
    "limit": LIMIT,
    "after": CURSOR,
}


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """`holds`: in the read models the records that were sealed stand as they stood, all of them and no others, in their
    order. That the read models are those of the log, `logistics check` says."""

    timeline: SealedTimeline
    computed_root: str
    computed_records: int
    holds: bool


class Timelines:
    def __init__(self, door: Door, entry: Entry, reading: Reading) -> None:
        self._door = door
        self._entry = entry
        self._reading = reading

    async def page(self, call: Call) -> Reply:
        """What happened to the incident and to all that it links to, by event time, with the record time beside it."""
        self._entry.admitted(call, READERS["incident-timeline"], "read an incident's timeline")
        given = parameters_of(call, PARAMETERS)
        row = await self._incident(call)
        of, limit = about_row(row, given), given.get("limit", DEFAULT_LIMIT)
        filters = {"limit": limit + 1, "until": given.get("until")} | from_there(given.get("after"))
        rows, at = await self._reading.fresh(call, history.HISTORY, lambda c: page(c, of, filters))
        body: dict[str, Any] = {"items": [cloud_event(row, self._door.cluster, call.live) for row in rows[:limit]]}
        headers = [vector_header(at)]
        if len(rows) > limit:
            last = rows[limit - 1]
            body["next"] = cursor_of(After(last["event_time"], f"{last['topic']} {last['partition']} {last['offset']}"))
            headers.append((b"link", next_link(call, body["next"])))
        return json_reply(body, headers=headers)

    async def seal(self, call: Call) -> Reply:
        """Whether what was sealed still stands as it stood."""
        self._entry.admitted(call, READERS["incident-timeline"], "read an incident's timeline")
        parameters_of(call, {})
        row = await self._incident(call)
        if row["sealed_timeline"] is None:
            raise not_found(f"incident {row['incident_id']} is not sealed")
        sealed = msgspec.convert(row["sealed_timeline"], SealedTimeline)
        places = vector(sealed.up_to)
        tree, at = await self._reading.fresh(
            call, history.HISTORY, lambda c: tree_of(c, about_row(row, {"since": sealed.since}), places)
        )
        root = tree.root().hex()
        holds = root == sealed.merkle_root and tree.size == sealed.records
        told = Seal(timeline=sealed, computed_root=root, computed_records=tree.size, holds=holds)
        return json_reply(told, headers=[vector_header(at)])

    async def with_timeline(self, call: Call, order: Order) -> Order:
        """The order to seal, with the timeline as it can be read now, for the version that has. Raises Problem."""
        row = await self._incident(call)
        version: int = row["version"]
        if order.expected_version is not None and order.expected_version > version:
            raise behind(INCIDENT_REGISTER, version, order.expected_version)
        of = about_row(row, {})
        async with self._reading.connection() as connection:
            known = await history.version_of(connection, of.tenant, order.aggregate_id)
            if known < version:
                raise behind(history.HISTORY, known, version)
            places = await ends(connection, of)
            tree = await tree_of(connection, of, places)
        root = tree.root().hex()
        timeline = SealedTimeline(merkle_root=root, records=tree.size, since=of.since, up_to=token(places))
        expected = version if order.expected_version is None else order.expected_version
        return replace(order, command=SealIncident(timeline=timeline), expected_version=expected)

    async def _incident(self, call: Call) -> Row:
        incident_id = id_of(call)
        row, _ = await self._reading.one(call, INCIDENT_REGISTER, tenant_of(call), incident_id, 0)
        if row is None:
            raise not_found(f"there is no incident {incident_id}")
        return row


async def tree_of(connection: Connection, of: About, places: Vector) -> Tree:
    tree = Tree()
    async for told in hashes(connection, of, places):
        tree.add(told)
    return tree


def about_row(row: Row, given: dict[str, Any]) -> About:
    links = msgspec.convert(row["links"], list[IncidentLink])
    occurred_at = max(row["occurred_at"], row["created_at"] - LONGEST)
    return about(row["tenant"], row["incident_id"], links, given.get("since") or occurred_at - BEFORE)


def from_there(after: After | None) -> dict[str, Any]:
    """Where the page before ended: a moment of event time, and within it a place in the log. Raises Problem."""
    if after is None:
        return {}
    place = PLACE.fullmatch(after.id)
    if place is None:
        raise Problem("invalid-parameter", "after: must be a cursor as an earlier page gave it")
    return {"at": after.at, "topic": place[1], "partition": int(place[2]), "offset": int(place[3])}
