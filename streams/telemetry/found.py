"""What the frames of a fetch lead to: where riders are, what is put aside, what is to be told."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
import numpy as np

from schemas.fixes import MICRODEGREES, NOT_KNOWN_U8, NOT_KNOWN_U16, Fixes
from schemas.message import Event
from schemas.record import Envelope, Stored, Unreadable
from schemas.signals import AnomalyKind
from schemas.topics import FIXES
from streams.telemetry.cells import Numbers
from streams.telemetry.moments import EPOCH, moment
from streams.telemetry.rider import RiderKey


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A signal before it is written. Its id hangs on the fix that led to it, so that it is told once."""

    event_id: str
    tenant: str
    rider_id: str
    event: Event
    at: datetime
    cause: str
    """The frame's place in the log."""


def drafted(envelope: Envelope, event: Event) -> Draft:
    """The draft of a signal that stands on the log."""
    return Draft(
        event_id=envelope.event_id,
        tenant=envelope.tenant,
        rider_id=envelope.aggregate_id,
        event=event,
        at=envelope.event_time,
        cause=envelope.causation_id or "",
    )


class Frame(msgspec.Struct, frozen=True):
    """One that was read, with its place in the log."""

    stored: Stored
    tenant: str
    fixes: Fixes
    from_outside: bool


class LiveRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    rider_id: str
    device_id: str
    lat: float
    lon: float
    accuracy_m: float | None
    speed_mps: float | None
    bearing_deg: float | None
    observed_at: datetime
    received_at: datetime


class LiveRows(Mapping[RiderKey, LiveRow]):
    """Where riders are, each by the latest of their fixes, whichever device told of it. In columns: hardly ever is one
    asked for by itself."""

    def __init__(self) -> None:
        self._newest: dict[RiderKey, tuple[int, int]] = {}
        """When, and in which row."""
        self._devices: list[str] = []
        self._columns: list[Numbers] = []
        self._starts: list[int] = []

    def take(self, keys: Sequence[RiderKey], devices: Sequence[str], columns: Numbers) -> None:
        """`columns` has a row for each: Unix milliseconds, latitude, longitude, accuracy, speed and bearing as on the
        log, and when it was received, in Unix microseconds."""
        first, newest = len(self._devices), self._newest
        for row, (key, at_ms) in enumerate(zip(keys, columns[:, 0].tolist(), strict=True), first):
            known = newest.get(key)
            if known is None or known[0] <= at_ms:
                newest[key] = at_ms, row
        self._starts.append(first)
        self._devices += devices
        self._columns.append(columns)

    def columns(self) -> tuple[list[RiderKey], list[str], Numbers]:
        """Of each rider one row, as they were taken."""
        if not self._newest:
            return [], [], np.empty((0, 7), np.int64)
        rows = [row for _, row in self._newest.values()]
        return list(self._newest), [self._devices[row] for row in rows], np.concatenate(self._columns)[rows]

    def __getitem__(self, key: RiderKey) -> LiveRow:
        row = self._newest[key][1]
        chunk = bisect_right(self._starts, row) - 1
        at_ms, lat, lon, accuracy, speed, bearing, received_us = self._columns[chunk][
            row - self._starts[chunk]
        ].tolist()
        return LiveRow(
            tenant=key[0],
            rider_id=key[1],
            device_id=self._devices[row],
            lat=lat / MICRODEGREES,
            lon=lon / MICRODEGREES,
            accuracy_m=None if accuracy == NOT_KNOWN_U8 else float(accuracy),
            speed_mps=None if speed == NOT_KNOWN_U16 else speed / 100,
            bearing_deg=None if bearing == NOT_KNOWN_U8 else bearing * 2.0,
            observed_at=moment(at_ms),
            received_at=EPOCH + timedelta(microseconds=received_us),
        )

    def __iter__(self) -> Iterator[RiderKey]:
        return iter(self._newest)

    def __len__(self) -> int:
        return len(self._newest)


class AsideRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    partition: int
    offset: int
    place: int
    device_id: str
    rider_id: str | None
    reason: str
    lat: float
    lon: float
    observed_at: datetime
    received_at: datetime


class Taken(msgspec.Struct, frozen=True):
    """A frame from outside: which of its fixes are believed, and which were put aside as strays."""

    tenant: str
    cause: str
    fixes: Fixes
    places: Numbers
    strays: Sequence[tuple[int, AnomalyKind]]


class Found(msgspec.Struct):
    """What the frames of a batch lead to."""

    live: LiveRows = msgspec.field(default_factory=LiveRows)
    aside: list[AsideRow] = msgspec.field(default_factory=list)
    signals: list[Draft] = msgspec.field(default_factory=list)
    touched: set[RiderKey] = msgspec.field(default_factory=set)
    unread: list[Unreadable] = msgspec.field(default_factory=list)
    fixes: int = 0
    taken: list[Taken] = msgspec.field(default_factory=list)


def aside_row(frame: Frame, place: int, reason: str) -> AsideRow:
    fixes = frame.fixes
    device = int(fixes.device[place])
    return AsideRow(
        tenant=frame.tenant,
        partition=frame.stored.partition,
        offset=frame.stored.offset,
        place=place,
        device_id=fixes.frame.devices[device],
        rider_id=fixes.frame.riders[device] or None,
        reason=reason,
        lat=int(fixes.lat[place]) / MICRODEGREES,
        lon=int(fixes.lon[place]) / MICRODEGREES,
        observed_at=moment(int(fixes.at_ms[place])),
        received_at=fixes.frame.received_at,
    )


def cause_of(frame: Stored) -> str:
    return f"{frame.topic}/{frame.partition}@{frame.offset}"


def place_in(cause: str, partition: int) -> int | None:
    """The offset that a cause names, where it is a frame of that partition."""
    where, _, offset = cause.rpartition("@")
    return int(offset) if where == f"{FIXES.name}/{partition}" and offset.isdigit() else None


def place_of(cause: str) -> int:
    """The frame's offset, from `topic/partition@offset`; -1 for what names none."""
    offset = cause.rpartition("@")[2]
    return int(offset) if offset.isdigit() else -1
