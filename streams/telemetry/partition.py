"""One partition's fixes, folded: what is put aside, where riders are, which fences they cross.

A pure fold of frames over the riders' tracks; the fences are given. What it finds is written down together with the
place by `streams.telemetry.work`.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from schemas import ids
from schemas.fix_rules import FixRules, Reason
from schemas.fixes import MICRODEGREES, NOT_KNOWN_U8, NOT_KNOWN_U16, Fixes, FixFrame, fixes_of
from schemas.geo import ObservedFix
from schemas.ids import rider_subject
from schemas.message import Event, GeofenceId, Personal, RiderId
from schemas.record import Envelope, Stored, Unreadable, envelope_of, event_of
from schemas.signals import AnomalyKind, GeofenceEntered, GeofenceExited, GeofenceTransitionCorrected, RoutingSource
from streams.telemetry.fences import FenceIndex
from streams.telemetry.quality import follows, judged, metres_known
from streams.telemetry.tracks import OLDEST_MS, Change, Crossed, Track, packed, unpacked
from streams.telemetry.watch import Watch

FROM_OUTSIDE = "/gateway"
"""The source of what devices told. What our own processes write goes as it must: a simulated courier is as fast as the
steps of their task are short."""
ANY_SPEED = 1_000_000_000

MOST_PAST = 24
"""Forecasts of one stop that are kept to be scored; of more, every second one of the older half goes, not the first."""

type RiderKey = tuple[str, str]
"""Tenant and rider."""
type RulesOf = Callable[[str, int], FixRules]
"""Of a tenant at a time in Unix milliseconds."""


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


class Made(msgspec.Struct, frozen=True, array_like=True):
    """A forecast: Unix times."""

    at_ms: int
    p10_ms: int
    p50_ms: int
    p90_ms: int
    model: str
    source: RoutingSource


class Forecast(msgspec.Struct):
    """What was told of a stop last: `told_ms` by the fix's clock, `p50_ms` Unix time. `past` are forecasts for when it
    is scored, `reached` the thresholds that were told."""

    told_ms: int
    p50_ms: int
    past: list[Made] = []
    reached: list[str] = []

    def tell(self, made: Made) -> None:
        self.told_ms, self.p50_ms = made.at_ms, made.p50_ms
        self.past.append(made)
        if len(self.past) > MOST_PAST:
            del self.past[1 : MOST_PAST // 2 : 2]


class Rider:
    """What is remembered of one rider: a track for each device, the last forecast for each stop, their way."""

    def __init__(self) -> None:
        self.tracks: dict[str, Track] = {}
        self.forecasts: dict[str, Forecast] = {}
        self.watch = Watch()


class Taken(msgspec.Struct, frozen=True):
    """A frame from outside: which of its fixes are believed, and which were put aside as strays."""

    tenant: str
    cause: str
    fixes: Fixes
    places: list[int]
    strays: list[tuple[int, AnomalyKind]]


class Found(msgspec.Struct):
    """What the frames of a batch lead to."""

    live: dict[RiderKey, LiveRow] = msgspec.field(default_factory=dict)
    aside: list[AsideRow] = msgspec.field(default_factory=list)
    signals: list[Draft] = msgspec.field(default_factory=list)
    touched: set[RiderKey] = msgspec.field(default_factory=set)
    unread: list[Unreadable] = msgspec.field(default_factory=list)
    fixes: int = 0
    taken: list[Taken] = msgspec.field(default_factory=list)


class Partition:
    """`index` gives a tenant's fences as they are known now, `rules` by what its fixes are believed when they come."""

    def __init__(self, partition: int, index: Callable[[str], FenceIndex], rules: RulesOf) -> None:
        self.partition = partition
        self.riders: dict[RiderKey, Rider] = {}
        self._index = index
        self._rules = rules

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
        rules = self._rules(tenant, received_ms)
        cause = f"{stored.topic}/{stored.partition}@{stored.offset}"
        taken = Taken(tenant, cause, fixes, [], [])
        if envelope.source.endswith(FROM_OUTSIDE):
            found.taken.append(taken)
        else:
            rules = msgspec.structs.replace(rules, max_speed_mps=ANY_SPEED)
        held = self._index(tenant).holding(fixes.lat, fixes.lon, fixes.at_ms)
        columns = (fixes.device, fixes.at_ms, fixes.lat, fixes.lon, metres_known(fixes))
        rows = zip(*(column.tolist() for column in columns), judged(fixes, rules, received_ms), held, strict=True)
        near = follows(fixes, rules)
        last: Track | None = None
        """Of the row before, where that was believed."""
        for place, (device, at_ms, lat, lon, accuracy, wrong, inside) in enumerate(rows):
            device_id, rider_id = frame.devices[device], frame.riders[device]
            reason: Reason | None = wrong
            before, last = last, None
            track = None if reason else self._track(tenant, rider_id, device_id, at_ms)
            if track is not None:
                reason = track.refuses(at_ms)
            if track is not None and reason is None:
                here = (at_ms, lat, lon, accuracy)
                if before is track and near[place]:
                    track.reach.believe(here)
                elif track.reach.refuses(here, rules):
                    reason = "gps_jump"
                    found.touched.add((tenant, rider_id))  # for what is remembered of a stray
            if reason == "gps_jump" or reason == "suspected_spoof":
                taken.strays.append((place, reason))
            if reason is not None or track is None:
                found.aside.append(aside_row(tenant, stored, fixes, place, reason or "unbound"))
                continue
            last = track
            taken.places.append(place)
            newest = at_ms > track.newest_ms
            changes = track.take(at_ms, frozenset(inside))
            found.touched.add((tenant, rider_id))
            if newest:
                keep_newest(found.live, live_row(tenant, fixes, place))
            if changes:
                self._told(track, changes, tenant, fixes, place, stored, found)

    def rider(self, key: RiderKey) -> Rider:
        return self.riders.setdefault(key, Rider())

    def _track(self, tenant: str, rider_id: str, device_id: str, at_ms: int) -> Track:
        """A device that is new to the rider takes the place of those that were not seen for a day before its fix."""
        rider = self.rider((tenant, rider_id))
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
            what = (change.geofence_id, change.transition)
            event: Event
            if isinstance(change, Crossed):
                track.told[*what, change.at_ms] = event_id
                event = crossing(change, live)
            else:
                first = track.told.pop((*what, change.told_ms))
                track.told[*what, change.at_ms] = first
                event = GeofenceTransitionCorrected(
                    supersedes=first,
                    geofence_id=GeofenceId(change.geofence_id),
                    transition=change.transition,
                    at=moment(change.at_ms),
                )
            found.signals.append(
                Draft(
                    event_id=event_id,
                    tenant=tenant,
                    rider_id=live.rider_id,
                    event=event,
                    at=moment(change.at_ms),
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


def crossing(change: Crossed, live: LiveRow) -> GeofenceEntered | GeofenceExited:
    """The place is told where the transition is the fix's own; it is the rider's data."""
    at = moment(change.at_ms)
    cls = GeofenceEntered if change.transition == "entered" else GeofenceExited
    fix = None
    if live.observed_at == at:
        seen = ObservedFix(lat=live.lat, lon=live.lon, accuracy_m=live.accuracy_m, observed_at=at)
        fix = Personal(rider_subject(RiderId(live.rider_id)), seen)
    return cls(geofence_id=GeofenceId(change.geofence_id), device_id=live.device_id, at=at, fix=fix, late=change.late)


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


class Kept(msgspec.Struct, array_like=True):
    """A state that was kept before riders' ways were has no `watch`."""

    tracks: dict[str, list[Any]]
    forecasts: dict[str, Forecast]
    watch: Watch = msgspec.field(default_factory=Watch)


KEPT = msgspec.msgpack.Decoder(Kept)


def kept(rider: Rider) -> bytes:
    """A rider's state as it stands in Postgres."""
    tracks = {device: packed(track) for device, track in rider.tracks.items()}
    return msgspec.msgpack.encode(Kept(tracks, rider.forecasts, rider.watch))


def restored(state: bytes) -> Rider:
    known = KEPT.decode(state)
    rider = Rider()
    rider.tracks = {device: unpacked(track) for device, track in known.tracks.items()}
    rider.forecasts = known.forecasts
    rider.watch = known.watch
    return rider
