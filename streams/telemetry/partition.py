"""One partition's fixes, folded: what is put aside, where riders are, which fences they cross.

A pure fold of frames over the riders' tracks; the fences are given. What it finds is written down together with the
place by `streams.telemetry.work`.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import structlog

from schemas import ids
from schemas.fix_rules import FixRules, Reason
from schemas.fixes import MICRODEGREES, NOT_KNOWN_U8, NOT_KNOWN_U16, Fixes, FixFrame, fixes_of
from schemas.geo import ObservedFix
from schemas.ids import rider_subject
from schemas.message import Event, GeofenceId, Personal, RiderId
from schemas.record import Envelope, Stored, Unreadable, envelope_of, event_of
from schemas.signals import (
    AnomalyKind,
    FenceSignal,
    GeofenceCrossed,
    GeofenceDwelled,
    GeofenceEntered,
    GeofenceExited,
    GeofenceTransitionCorrected,
    RoutingSource,
)
from schemas.topics import FIXES
from streams.telemetry.fence_index import FenceIndex, Inside, Step
from streams.telemetry.quality import follows, judged, metres_known
from streams.telemetry.tracks import OLDEST_MS, Change, Moved, Told, Track, packed, unpacked
from streams.telemetry.watch import Watch

FROM_OUTSIDE = "/gateway"
"""The source of what devices told. What our own processes write goes as it must: a simulated courier is as fast as the
steps of their task are short."""
ANY_SPEED = 1_000_000_000

MOST_PAST = 8
"""Forecasts of one stop that are kept to be scored; of more, every second one of the older half goes, not the first."""
MOST_TOGETHER = 50
"""Frames for which fences are asked at once: by itself one of ten fixes takes five times as long for each of them."""
LONGEST_GAP_MS = 120_000
"""Between two fixes of which the way is taken for straight."""

logger = structlog.get_logger()

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
    """What was told of a stop last, which is the rider's since `since_ms` and was ahead at `ahead_ms`: `told_ms` by the
    fix's clock, `p50_ms` Unix time. `past` are forecasts for when it is scored, `reached` the thresholds told."""

    since_ms: int
    ahead_ms: int = 0
    told_ms: int = 0
    p50_ms: int = 0
    past: list[Made] = []
    reached: list[str] = []

    def tell(self, made: Made) -> None:
        self.told_ms, self.p50_ms = made.at_ms, made.p50_ms
        self.past.append(made)
        if len(self.past) > MOST_PAST:
            del self.past[1 : MOST_PAST // 2 + 1 : 2]


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


class Frame(msgspec.Struct, frozen=True):
    """One that was read, with its place in the log."""

    stored: Stored
    tenant: str
    fixes: Fixes
    from_outside: bool


class Steps(msgspec.Struct, frozen=True):
    """What a frame added to a track: the ways that are new, and in whose stead, see `Track.steps`."""

    frame: Frame
    place: int
    """In the frame, of the fix that led to them."""
    track: Track
    after_ms: int
    steps: list[Step]


class Partition:
    """`index` gives a tenant's fences as they are known now, `rules` by what its fixes are believed when they come."""

    def __init__(self, partition: int, index: Callable[[str], FenceIndex], rules: RulesOf) -> None:
        self.partition = partition
        self.riders: dict[RiderKey, Rider] = {}
        self.swept_ms = 0
        """When those were looked for of whom nothing comes in: it goes with the memory."""
        self._index = index
        self._rules = rules

    def fold(self, records: Sequence[Stored]) -> Found:
        """What follows does not hang on how many come together."""
        found = Found()
        frames: list[Frame] = []
        for stored in records:
            try:
                envelope, fixes = opened(stored)
            except Unreadable as unreadable:
                found.unread.append(unreadable)
            else:
                frames.append(Frame(stored, envelope.tenant, fixes, envelope.source.endswith(FROM_OUTSIDE)))
        for first in range(0, len(frames), MOST_TOGETHER):
            self._fold(frames[first : first + MOST_TOGETHER], found)
        return found

    def _fold(self, frames: Sequence[Frame], found: Found) -> None:
        """Fences are asked once for all."""
        steps: list[Steps] = []
        for frame, held in zip(frames, self._held(frames), strict=True):
            steps += self._frame(frame, held, found)
        self._crossed(steps, found)

    def _held(self, frames: Sequence[Frame]) -> list[list[Inside]]:
        """Of each frame and each fix the fences that hold it."""
        held: list[list[Inside]] = [[] for _ in frames]
        for tenant, numbers in by_tenant([frame.tenant for frame in frames]).items():
            fixes = [frames[number].fixes for number in numbers]
            columns = (np.concatenate([getattr(each, name) for each in fixes]) for name in ("lat", "lon", "at_ms"))
            inside = iter(self._index(tenant).holding(*columns))
            for number in numbers:
                held[number] = list(islice(inside, frames[number].fixes.frame.count))
        return held

    def _frame(self, of: Frame, held: list[Inside], found: Found) -> list[Steps]:
        fixes, tenant, frame = of.fixes, of.tenant, of.fixes.frame
        found.fixes += frame.count
        received_ms = round(frame.received_at.timestamp() * 1000)
        rules = self._rules(tenant, received_ms)
        believed = Taken(tenant, cause_of(of.stored), fixes, [], [])
        if of.from_outside:
            found.taken.append(believed)
        else:
            rules = msgspec.structs.replace(rules, max_speed_mps=ANY_SPEED)
        index = self._index(tenant)
        dwell = index.dwell
        taken: dict[int, tuple[Track, dict[int, int]]] = {}
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
                believed.strays.append((place, reason))
            if reason is not None or track is None:
                found.aside.append(aside_row(of, place, reason or "unbound"))
                continue
            last = track
            believed.places.append(place)
            newest = at_ms > track.newest_ms
            changes = track.take(at_ms, inside, (lat, lon), dwell)
            if (places := taken.get(id(track))) is None:
                places = taken[id(track)] = track, {}
            places[1][at_ms] = place
            found.touched.add((tenant, rider_id))
            if newest:
                keep_newest(found.live, live_row(tenant, fixes, place))
            if changes:
                tell(track, changes, of, place, found)
        if not index.ids:
            return []
        return [
            Steps(of, places[steps[0].at_ms], track, after_ms, steps)
            for track, places in taken.values()
            for after_ms, steps in track.steps(list(places))
        ]

    def _crossed(self, together: Sequence[Steps], found: Found) -> None:
        """As of each frame's end: a step that is cut into two in the same frame never was one."""
        crossed: dict[int, list[str]] = {}
        for tenant, numbers in by_tenant([each.frame.tenant for each in together]).items():
            steps = (step for number in numbers for step in together[number].steps)
            short = [step for step in steps if step.at_ms - step.since_ms <= LONGEST_GAP_MS]
            crossed |= {id(short[row]): fences for row, fences in self._index(tenant).crossed(short).items()}
        for each in together:
            found_on = [(step, crossed.get(id(step), ())) for step in each.steps]
            changes = each.track.crossed_anew(each.after_ms, found_on)
            if changes:
                tell(each.track, changes, each.frame, each.place, found)
        for each in together:
            each.track.forget()

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


def by_tenant(tenants: Sequence[str]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for number, tenant in enumerate(tenants):
        numbers.setdefault(tenant, []).append(number)
    return numbers


def tell(track: Track, changes: list[Change], frame: Frame, place: int, found: Found) -> None:
    """What follows from the fix at this place."""
    stored, tenant = frame.stored, frame.tenant
    cause = cause_of(stored)
    live = live_row(tenant, frame.fixes, place)
    for change in changes:
        kind = type(change).__name__
        event_id = ids.derived(
            "signal", cause, str(place), kind, change.transition, change.geofence_id, str(change.at_ms)
        )
        event = as_told(track, change, event_id, live)
        if event is not None:
            at = moment(at_ms_of(change))
            found.signals.append(
                Draft(event_id=event_id, tenant=tenant, rider_id=live.rider_id, event=event, at=at, cause=cause)
            )


def cause_of(frame: Stored) -> str:
    return f"{frame.topic}/{frame.partition}@{frame.offset}"


def place_in(cause: str, partition: int) -> int | None:
    """The offset that a cause names, where it is a frame of that partition."""
    where, _, offset = cause.rpartition("@")
    return int(offset) if where == f"{FIXES.name}/{partition}" and offset.isdigit() else None


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


def aside_row(frame: Frame, place: int, reason: str) -> AsideRow:
    row = live_row(frame.tenant, frame.fixes, place)
    return AsideRow(
        tenant=frame.tenant,
        partition=frame.stored.partition,
        offset=frame.stored.offset,
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
    tracks: dict[str, list[Any]]
    forecasts: dict[str, Forecast]
    watch: Watch


KEPT = msgspec.msgpack.Decoder(Kept)


def kept(rider: Rider) -> bytes:
    """A rider's state as it stands in Postgres."""
    tracks = {device: packed(track) for device, track in rider.tracks.items()}
    return msgspec.msgpack.encode(Kept(tracks, rider.forecasts, rider.watch))


def restored(state: bytes) -> Rider:
    """What another release kept is not known here: the rider begins anew, and what was told stands on the log."""
    rider = Rider()
    try:
        known = KEPT.decode(state)
        rider.tracks = {device: unpacked(track) for device, track in known.tracks.items()}
        rider.forecasts, rider.watch = known.forecasts, known.watch
    except (msgspec.MsgspecError, ValueError, TypeError) as other:
        logger.warning("a rider's state of another release is passed over", error=other)
        return Rider()
    return rider
