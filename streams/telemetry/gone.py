"""Riders of whom nothing is kept any more: nothing has come of them for long, or they are forgotten.

What is kept of a rider are places, and no key seals them. One who comes back begins anew: of a fence that they were in
they are not told to have left.

In the place of what was kept stays a mark, without any place: nothing that came in before it leads to anything again.
Without one, a worker that folds their frames once more for the sake of other riders would tell of them anew, and take
back what does not follow from the rest. The mark stands in Postgres before anything is let go in memory, and goes once
no frame from before it is on the log.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from psycopg import AsyncConnection

from streams.telemetry.moments import unix_ms
from streams.telemetry.rider import RiderKey

MARK = """
INSERT INTO stream_riders AS kept ("partition", tenant, rider_id, state, seen_ms)
SELECT gone."partition", gone.tenant, gone.rider_id, '', gone.before_ms
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[]) AS gone ("partition", tenant, rider_id, before_ms)
ON CONFLICT ("partition", tenant, rider_id) DO UPDATE SET state = '', seen_ms = excluded.seen_ms
WHERE coalesce(kept.seen_ms, 0) < excluded.seen_ms
"""
MARK_WHAT_IS_KEPT = """
UPDATE stream_riders AS kept SET state = '', seen_ms = gone.before_ms
FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS gone (tenant, rider_id, before_ms)
WHERE kept.tenant = gone.tenant AND kept.rider_id = gone.rider_id AND coalesce(kept.seen_ms, 0) < gone.before_ms
"""
OLD_MARKS = "DELETE FROM stream_riders WHERE state = '' AND seen_ms < %s"
MARGIN = timedelta(days=1)
"""Retention is not punctual."""
OFF_THE_MAP = "DELETE FROM live_map WHERE observed_at < %s"
FORGOTTEN = """
DELETE FROM {table} AS kept USING unnest(%s::text[], %s::text[], %s::timestamptz[]) AS gone (tenant, rider_id, at)
WHERE kept.tenant = gone.tenant AND kept.rider_id = gone.rider_id AND {before}
"""
BEFORE = {
    "live_map": "kept.received_at < gone.at",
    "quarantine": "kept.received_at < gone.at",
}
"""Who has come back since, under a new key, is somebody else."""
TELLS_A_PLACE = {"stream_riders": "state <> ''", "live_map": "true", "quarantine": "true"}


class Forgotten(msgspec.Struct, frozen=True):
    """Whose keys were thrown away, and when: riders are among them."""

    tenant: str
    subject: str
    at: datetime

    @property
    def key(self) -> RiderKey:
        return self.tenant, self.subject


class Gone(msgspec.Struct, frozen=True):
    """A rider whom a partition remembers, with the time of their mark, Unix milliseconds: nothing of them that is
    folded came in since."""

    partition: int
    key: RiderKey
    before_ms: int


async def let_go_of_long_gone(connection: AsyncConnection[Any], gone: Sequence[Gone], before: datetime) -> None:
    """Of those that partitions remember, and of all who were on the map last before then."""
    await connection.execute(OFF_THE_MAP, (before,))
    partitions, before_ms = [each.partition for each in gone], [each.before_ms for each in gone]
    keys = [each.key[0] for each in gone], [each.key[1] for each in gone]
    await connection.execute(MARK, (partitions, *keys, before_ms))


async def let_go_of_forgotten(connection: AsyncConnection[Any], people: Iterable[Forgotten]) -> None:
    known = list(people)
    keys = [each.tenant for each in known], [each.subject for each in known]
    for table in await tables(connection):
        if table in BEFORE:
            statement = FORGOTTEN.format(table=table, before=BEFORE[table]).encode()
            await connection.execute(statement, (*keys, [each.at for each in known]))
        else:
            await connection.execute(MARK_WHAT_IS_KEPT, (*keys, [unix_ms(each.at) for each in known]))


async def let_go_of_marks(connection: AsyncConnection[Any], held_since: datetime) -> None:
    """Which nothing on the log is older than any more."""
    await connection.execute(OLD_MARKS, (unix_ms(held_since - MARGIN),))


async def places_of(connection: AsyncConnection[Any], tenant: str, subject: str) -> int:
    """How many rows tell where this rider was."""
    count = 0
    for table in await tables(connection):
        asked = f"SELECT count(*) FROM {table} WHERE tenant = %s AND rider_id = %s AND {TELLS_A_PLACE[table]}"
        found = await (await connection.execute(asked.encode(), (tenant, subject))).fetchone()
        count += found[0] if found else 0
    return count


async def tables(connection: AsyncConnection[Any]) -> list[str]:
    """Where no stream has run there are none."""
    known = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL"
    return [name for (name,) in await (await connection.execute(known, (list(TELLS_A_PLACE),))).fetchall()]
