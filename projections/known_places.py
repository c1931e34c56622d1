"""Where is this address, as a person has told it?

The address is known by a keyed hash alone, and the place is sealed as the stop's contact is: once they are forgotten
nobody can read it. Tasks of one address lie in many partitions: of what they tell the latest stands, whichever comes
first.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from psycopg import AsyncConnection

from projections.model import Fact, Key, ReadModel
from projections.sealed import Sealed, opened, sealed
from schemas.geo import Location
from schemas.keyring import Keyring
from schemas.partition import partition_of
from schemas.stop_events import StopArrived
from schemas.task import StopLocated

TABLE = """
CREATE TABLE {table} (
    tenant    text        NOT NULL,
    place_key text        NOT NULL,
    place     jsonb       NOT NULL,
    task_id   text        NOT NULL,
    told_by   text        NOT NULL,
    told_at   timestamptz NOT NULL,
    event_id  text        NOT NULL,
    PRIMARY KEY (tenant, place_key)
)
"""
ONE = "SELECT place, task_id FROM known_places WHERE tenant = %s AND place_key = %s AND told_at > %s"


class KnownPlaceRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    place_key: str
    place: Sealed
    task_id: str
    """Of the task that the place is sealed for."""
    told_by: str
    told_at: datetime
    event_id: str


def keys(fact: Fact) -> Sequence[Key]:
    event = fact.event
    assert isinstance(event, (StopLocated, StopArrived)), "nothing else tells where an address is"
    return [] if event.remember_as is None else [(fact.source.tenant, event.remember_as)]


def apply(row: KnownPlaceRow | None, fact: Fact, key: Key) -> KnownPlaceRow | None:
    event, source = fact.event, fact.source
    told = source.recorded_at, source.event_id
    if row is not None and (row.told_at, row.event_id) >= told:
        return row
    match event:
        case StopLocated(location=place):
            where = sealed(place, "StopLocated.location")
        case StopArrived(entrance=place):
            where = sealed(place, "StopArrived.entrance")
        case _:
            where = None
    assert where is not None, "what is to be remembered is told"
    return KnownPlaceRow(
        tenant=source.tenant,
        place_key=key[1],
        place=where,
        task_id=source.aggregate_id,
        told_by=source.actor,
        told_at=source.recorded_at,
        event_id=source.event_id,
    )


KNOWN_PLACES = ReadModel(
    name="known_places",
    version=1,
    table=TABLE,
    row=KnownPlaceRow,
    key=("tenant", "place_key"),
    events=frozenset({StopLocated, StopArrived}),
    keys=keys,
    apply=apply,
)


async def remembered(
    connection: AsyncConnection[Any],
    keyring: Keyring,
    partitions: int,
    tenant: str,
    place_key: str,
    now: datetime,
    for_days: int,
) -> Location | None:
    """None where nobody has told it for so long, or whose stop it was is forgotten."""
    cursor = await connection.execute(ONE, (tenant, place_key, now - timedelta(days=for_days)))
    row = await cursor.fetchone()
    if row is None:
        return None
    place, task_id = row
    unseal = keyring.unsealer(partition_of(task_id, partitions), tenant, task_id)
    return opened(msgspec.convert(place, Sealed), unseal, Location)
