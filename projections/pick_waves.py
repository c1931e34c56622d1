"""Which pick waves are there, when are their goods ready, and which tasks are in them?"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from schemas.catalog import members_of
from schemas.message import Source
from schemas.pick_wave import (
    PickWaveCancelled,
    PickWaveCreated,
    PickWaveEvent,
    PickWaveJoined,
    PickWaveLeft,
    PickWaveReleased,
    PickWaveRetimed,
)

TABLE = """
CREATE TABLE {table} (
    tenant             text        NOT NULL,
    pick_wave_id       text        NOT NULL,
    outlet             text        NOT NULL,
    status             text        NOT NULL,
    goods_ready_at     timestamptz NOT NULL,
    released_at        timestamptz,
    reason_code        text,
    tasks              jsonb       NOT NULL,
    external_reference text,
    metadata           jsonb       NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,
    PRIMARY KEY (tenant, pick_wave_id)
);
CREATE INDEX ON {table} (tenant, created_at, pick_wave_id)
"""


class PickWaveRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    pick_wave_id: str
    outlet: str
    status: str = "planned"
    """planned, released or cancelled."""
    goods_ready_at: datetime
    """When they are expected to be; they are so once it is released."""
    released_at: datetime | None = None
    reason_code: str | None = None
    """Why it was cancelled."""
    tasks: list[str] = []
    external_reference: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: PickWaveRow | None, fact: Fact, key: Key) -> PickWaveRow:
    event, source = fact.event, fact.source
    if isinstance(event, PickWaveCreated):
        return created(event, source)
    assert row is not None, "a wave's first event creates it"
    row = replace(row, updated_at=source.recorded_at, version=source.version)
    match event:
        case PickWaveJoined():
            return replace(row, tasks=[*row.tasks, event.task_id])
        case PickWaveLeft():
            return replace(row, tasks=[each for each in row.tasks if each != event.task_id])
        case PickWaveRetimed():
            return replace(row, goods_ready_at=event.goods_ready_at)
        case PickWaveReleased():
            return replace(row, status="released", released_at=event.released_at)
        case PickWaveCancelled():
            return replace(row, status="cancelled", reason_code=event.reason_code)
        case _:
            return row


def created(event: PickWaveCreated, source: Source) -> PickWaveRow:
    return PickWaveRow(
        tenant=source.tenant,
        pick_wave_id=source.aggregate_id,
        outlet=event.outlet,
        goods_ready_at=event.goods_ready_at,
        external_reference=event.external_reference,
        metadata=event.metadata,
        created_at=source.recorded_at,
        updated_at=source.recorded_at,
        version=source.version,
    )


PICK_WAVES = ReadModel(
    name="pick_waves",
    version=1,
    table=TABLE,
    row=PickWaveRow,
    key=("tenant", "pick_wave_id"),
    events=frozenset(members_of(PickWaveEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM pick_waves
WHERE tenant = %(tenant)s
  AND (%(outlet)s::text IS NULL OR outlet = %(outlet)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(reference)s::text IS NULL OR external_reference = %(reference)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, pick_wave_id) > (%(at)s, %(id)s))
ORDER BY created_at, pick_wave_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Pick waves, those that are over too, oldest first."""
