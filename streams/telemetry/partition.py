"""One partition's fixes, folded: what is put aside, where riders are, which fences they cross.

A pure fold of frames over the riders' tracks; the fences are given. What it finds is written down together with the
place by `streams.telemetry.work`.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from schemas import ids
from schemas.fixes import MICRODEGREES, NOT_KNOWN_U8, NOT_KNOWN_U16, Fixes, FixFrame, fixes_of
from schemas.geo import ObservedFix
from schemas.ids import rider_subject
from schemas.message import Event, GeofenceId, Personal, RiderId
from schemas.record import Envelope, Stored, Unreadable, envelope_of, event_of
from schemas.signals import (
    FenceSignal,
    GeofenceCrossed,
    GeofenceDwelled,
    GeofenceEntered,
    GeofenceExited,
    GeofenceTransitionCorrected,
)
from streams.telemetry.fences import FenceIndex
from streams.telemetry.tracks import OLDEST_MS, Change, Moved, Told, Track, packed, unpacked

MAX_LAT, MAX_LON = 90 * MICRODEGREES, 180 * MICRODEGREES
FUTURE_MS = 60_000
"""How far ahead of its arrival a fix may claim to be: clocks differ."""

LONGEST_GAP_MS = 120_000
"""Between two fixes of which the way is taken for straight."""

type RiderKey = tuple[str, str]
"""Tenant and rider."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A signal before it is written. Its id hangs on the fix that led to it, so that it is told once."""

    event_id: str
    tenant: str
    rider_id: str
    event: Event
    at: datetime
    cause: str
    """The frame's place in the log."""


class LiveRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    rider_id: str
    device_id: str
    lat: float
    lon: float
    accuracy_m: float
    speed_mps: float | None
    bearing_deg: float | None
    observed_at: datetime
    received_at: datetime


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


class Forecast(msgspec.Struct):
    """What was told of a stop last: `told_ms` by the fix's clock, `p50_ms` Unix time."""

    told_ms: int
    p50_ms: int


class Rider:
    """What is remembered of one rider: a track for each device, the last forecast for each stop."""

    def __init__(self) -> None:
        self.tracks: dict[str, Track] = {}
        self.forecasts: dict[str, Forecast] = {}


class Found(msgspec.Struct):
    """What the frames of a batch lead to."""

    live: dict[RiderKey, LiveRow] = msgspec.field(default_factory=dict)
    aside: list[AsideRow] = msgspec.field(default_factory=list)
    signals: list[Draft] = msgspec.field(default_factory=list)
    touched: set[RiderKey] = msgspec.field(default_factory=set)
    unread: list[Unreadable] = msgspec.field(default_factory=list)
    fixes: int = 0


class Taken(msgspec.Struct, frozen=True):
    """Of one frame and one device: by the time of each fix that was taken its place in the frame."""

    track: Track
    places: dict[int, int]


class Partition:
    """`index` gives a tenant's fences as they are known now."""

    def __init__(self, partition: int, index: Callable[[str], FenceIndex]) -> None:
        self.partition = partition
        self.riders: dict[RiderKey, Rider] = {}
        self._index = index

    def fold(self, records: Sequence[Stored]) -> Found:
        found = Found()
        for stored in records:
            try:
                envelope, fixes = opened(stored)
            except Unreadable as unreadable:
                found.unread.append(unreadable)
            else:
                self._frame(envelope, fixes, stored, found)
        return found

    def _frame(self, envelope: Envelope, fixes: Fixes, stored: Stored, found: Found) -> None:
        frame, tenant = fixes.frame, envelope.tenant
        found.fixes += frame.count
        received_ms = round(frame.received_at.timestamp() * 1000)
        index = self._index(tenant)
        taken: dict[int, Taken] = {}
        dwell = index.dwell
        impossible = (np.abs(fixes.lat) > MAX_LAT) | (np.abs(fixes.lon) > MAX_LON)
        held = index.holding(fixes.lat, fixes.lon, fixes.at_ms)
        spots = list(zip(fixes.lat.tolist(), fixes.lon.tolist(), strict=True))
        rows = zip(fixes.device.tolist(), fixes.at_ms.tolist(), impossible.tolist(), held, strict=True)
        for place, (device, at_ms, invalid, inside) in enumerate(rows):
            device_id, rider_id = frame.devices[device], frame.riders[device]
            reason: str | None = "invalid" if invalid else "unbound" if not rider_id else None
            if reason is None and at_ms > received_ms + FUTURE_MS:
                reason = "future"
            track = None if reason else self._track(tenant, rider_id, device_id, at_ms)
            if track is not None:
                reason = track.refuses(at_ms)
            if reason is not None or track is None:
                found.aside.append(aside_row(tenant, stored, fixes, place, reason or "unbound"))
                continue
            newest = at_ms > track.newest_ms
            changes = track.take(at_ms, inside, spots[place], dwell)
            if (of := taken.get(id(track))) is None:
                of = taken[id(track)] = Taken(track, {})
            of.places[at_ms] = place
            found.touched.add((tenant, rider_id))
            if newest:
                keep_newest(found.live, live_row(tenant, fixes, place))
            if changes:
                self._told(track, changes, tenant, fixes, place, stored, found)
        if index.ids:
            self._crossed(index, list(taken.values()), tenant, fixes, stored, found)

    def _crossed(
        self, index: FenceIndex, taken: list[Taken], tenant: str, fixes: Fixes, stored: Stored, found: Found
    ) -> None:
        """When the frame is folded: a step that is cut into two in the same frame never was one."""
        groups = [(of, *group) for of in taken for group in of.track.steps(list(of.places))]
        short = [step for _, _, steps in groups for step in steps if step.at_ms - step.since_ms <= LONGEST_GAP_MS]
        crossed = {id(short[row]): fences for row, fences in index.crossed(short).items()}
        for of, after_ms, steps in groups:
            changes = of.track.crossed_anew(after_ms, [(step, crossed.get(id(step), ())) for step in steps])
            if changes:
                place = of.places[steps[0].at_ms]
                self._told(of.track, changes, tenant, fixes, place, stored, found)

    def _track(self, tenant: str, rider_id: str, device_id: str, at_ms: int) -> Track:
        """A device that is new to the rider takes the place of those that were not seen for a day before its fix."""
        rider = self.riders.setdefault((tenant, rider_id), Rider())
        track = rider.tracks.get(device_id)
        if track is None:
            track = Track()
            seen = {device: known for device, known in rider.tracks.items() if known.newest_ms >= at_ms - OLDEST_MS}
            rider.tracks = {**seen, device_id: track}
        return track

    def _told(
        self, track: Track, changes: list[Change], tenant: str, fixes: Fixes, place: int, stored: Stored, found: Found
    ) -> None:
        cause = f"{stored.topic}/{stored.partition}@{stored.offset}"
        live = live_row(tenant, fixes, place)
        for change in changes:
            kind = type(change).__name__
            event_id = ids.derived(
                "signal", cause, str(place), kind, change.transition, change.geofence_id, str(change.at_ms)
            )
            event = as_told(track, change, event_id, live)
            if event is None:
                continue
            found.signals.append(
                Draft(
                    event_id=event_id,
                    tenant=tenant,
                    rider_id=live.rider_id,
                    event=event,
                    at=moment(at_ms_of(change)),
                    cause=cause,
                )
            )


def opened(stored: Stored) -> tuple[Envelope, Fixes]:
    """Raises Unreadable."""
    envelope, event = envelope_of(stored), event_of(stored, None)
    if not isinstance(event, FixFrame):
        raise Unreadable(stored, f"{type(event).__name__} is no frame")
    try:
        return envelope, fixes_of(event)
    except ValueError as broken:
        raise Unreadable(stored, str(broken)) from broken


def as_told(track: Track, change: Change, event_id: str, live: LiveRow) -> Event | None:
    """None where nothing that was told is to be corrected: fences are not what they were when it would have been."""
    what = (change.geofence_id, change.transition)
    if isinstance(change, Told):
        track.told[*what, change.at_ms] = event_id
        return transition(change, live)
    first = track.told.pop((*what, change.told_ms), None)
    if first is None:
        return None
    if change.at_ms is not None:
        track.told[*what, change.at_ms] = first
    return GeofenceTransitionCorrected(
        supersedes=first,
        geofence_id=GeofenceId(change.geofence_id),
        transition=change.transition,
        since=None if change.since_ms is None else moment(change.since_ms),
        at=None if change.at_ms is None else moment(change.at_ms),
    )


def at_ms_of(change: Change) -> int:
    """Of what never happened: when it would have been."""
    if isinstance(change, Moved) and change.at_ms is None:
        return change.told_ms
    assert change.at_ms is not None
    return change.at_ms


def transition(change: Told, live: LiveRow) -> FenceSignal:
    """The place is told where the transition is the fix's own; it is the rider's data."""
    at, fence = moment(change.at_ms), GeofenceId(change.geofence_id)
    if change.since_ms is not None:
        lasted = GeofenceDwelled if change.transition == "dwelled" else GeofenceCrossed
        since = moment(change.since_ms)
        return lasted(geofence_id=fence, device_id=live.device_id, since=since, at=at, late=change.late)
    cls = GeofenceEntered if change.transition == "entered" else GeofenceExited
    fix = None
    if live.observed_at == at:
        seen = ObservedFix(lat=live.lat, lon=live.lon, accuracy_m=live.accuracy_m, observed_at=at)
        fix = Personal(rider_subject(RiderId(live.rider_id)), seen)
    return cls(geofence_id=fence, device_id=live.device_id, at=at, fix=fix, late=change.late)


def live_row(tenant: str, fixes: Fixes, place: int) -> LiveRow:
    frame, device = fixes.frame, int(fixes.device[place])
    speed, bearing, accuracy = int(fixes.speed[place]), int(fixes.bearing[place]), int(fixes.accuracy[place])
    return LiveRow(
        tenant=tenant,
        rider_id=frame.riders[device],
        device_id=frame.devices[device],
        lat=int(fixes.lat[place]) / MICRODEGREES,
        lon=int(fixes.lon[place]) / MICRODEGREES,
        accuracy_m=0.0 if accuracy == NOT_KNOWN_U8 else float(accuracy),
        speed_mps=None if speed == NOT_KNOWN_U16 else speed / 100,
        bearing_deg=None if bearing == NOT_KNOWN_U8 else bearing * 2.0,
        observed_at=moment(int(fixes.at_ms[place])),
        received_at=frame.received_at,
    )


def keep_newest(live: dict[RiderKey, LiveRow], row: LiveRow) -> None:
    """Of several devices of one rider the one that was seen last."""
    known = live.get((row.tenant, row.rider_id))
    if known is None or known.observed_at <= row.observed_at:
        live[row.tenant, row.rider_id] = row


def aside_row(tenant: str, stored: Stored, fixes: Fixes, place: int, reason: str) -> AsideRow:
    row = live_row(tenant, fixes, place)
    return AsideRow(
        tenant=tenant,
        partition=stored.partition,
        offset=stored.offset,
        place=place,
        device_id=row.device_id,
        rider_id=row.rider_id or None,
        reason=reason,
        lat=row.lat,
        lon=row.lon,
        observed_at=row.observed_at,
        received_at=row.received_at,
    )


def moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def kept(rider: Rider) -> bytes:
    """A rider's state as it stands in Postgres."""
    tracks = {device: packed(track) for device, track in rider.tracks.items()}
    return msgspec.msgpack.encode([tracks, rider.forecasts])


def restored(state: bytes) -> Rider:
    tracks: dict[str, list[Any]]
    tracks, forecasts = msgspec.msgpack.decode(state, type=tuple[dict[str, list[Any]], dict[str, Forecast]])
    rider = Rider()
    rider.tracks = {device: unpacked(track) for device, track in tracks.items()}
    rider.forecasts = forecasts
    return rider
