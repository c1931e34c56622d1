"""Frames as they stand on the log."""

from schemas import catalog
from schemas.catalog import nothing_personal
from schemas.fixes import FixFrame
from schemas.record import Headers, Stored, derived_headers
from schemas.topics import FIXES

GATEWAY = "/logistics/test/gateway"


def headers_of(
    frame: FixFrame, tenant: str = "acme", source: str = GATEWAY, event_id: str = "frame", actor: str = "phone"
) -> Headers:
    return derived_headers(
        event_id=event_id,
        type_name=catalog.BY_CLASS[FixFrame].name,
        source=source,
        event_time=frame.base_time,
        recorded_at=frame.received_at,
        subject=tenant,
        tenant=tenant,
        actor=actor,
        epoch=0,
    )


def value_of(frame: FixFrame) -> bytes:
    return catalog.write(frame, nothing_personal)


def logged(
    frame: FixFrame,
    offset: int,
    partition: int = 0,
    tenant: str = "acme",
    source: str = GATEWAY,
    event_id: str = "frame",
) -> Stored:
    return Stored(FIXES.name, partition, offset, None, value_of(frame), headers_of(frame, tenant, source, event_id))
