"""What is told of a fence: the signal for each change on a track."""

from collections.abc import Iterator, Sequence

import msgspec

from schemas import ids
from schemas.fixes import MICRODEGREES, NOT_KNOWN_U8
from schemas.geo import ObservedFix
from schemas.ids import rider_subject
from schemas.message import Event, GeofenceId, Personal, RiderId
from schemas.signals import (
    FenceSignal,
    GeofenceCrossed,
    GeofenceDwelled,
    GeofenceEntered,
    GeofenceExited,
    GeofenceTransitionCorrected,
)
from streams.telemetry.found import Draft, Frame, cause_of
from streams.telemetry.moments import moment
from streams.telemetry.tracks import Change, Moved, Told, Track


class Led(msgspec.Struct, frozen=True):
    """A fix that led to something: its frame, its place there, and whose it is."""

    frame: Frame
    place: int
    rider_id: str
    device_id: str


def told(track: Track, changes: Sequence[Change], led: Led) -> Iterator[Draft]:
    """What follows from this fix; the track remembers by which id it was told."""
    cause, tenant = cause_of(led.frame.stored), led.frame.tenant
    for change in changes:
        kind = type(change).__name__
        event_id = ids.derived(
            "signal", cause, str(led.place), kind, change.transition, change.geofence_id, str(change.at_ms)
        )
        event = as_told(track, change, event_id, led)
        if event is not None:
            at = moment(at_ms_of(change))
            yield Draft(event_id=event_id, tenant=tenant, rider_id=led.rider_id, event=event, at=at, cause=cause)


def as_told(track: Track, change: Change, event_id: str, led: Led) -> Event | None:
    """None where nothing that was told is to be corrected: fences are not what they were when it would have been."""
    what = (change.geofence_id, change.transition)
    if isinstance(change, Told):
        track.told[*what, change.at_ms] = event_id
        return transition(change, led)
    first = track.told.pop((*what, change.told_ms))
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


def transition(change: Told, led: Led) -> FenceSignal:
    """The place is told where the transition is the fix's own; it is the rider's data."""
    at, fence, device_id = moment(change.at_ms), GeofenceId(change.geofence_id), led.device_id
    if change.since_ms is not None:
        lasted = GeofenceDwelled if change.transition == "dwelled" else GeofenceCrossed
        since = moment(change.since_ms)
        return lasted(geofence_id=fence, device_id=device_id, since=since, at=at, late=change.late)
    cls = GeofenceEntered if change.transition == "entered" else GeofenceExited
    fix, fixes, place = None, led.frame.fixes, led.place
    if int(fixes.at_ms[place]) == change.at_ms:
        accuracy = int(fixes.accuracy[place])
        seen = ObservedFix(
            lat=int(fixes.lat[place]) / MICRODEGREES,
            lon=int(fixes.lon[place]) / MICRODEGREES,
            accuracy_m=None if accuracy == NOT_KNOWN_U8 else float(accuracy),
            observed_at=at,
        )
        fix = Personal(rider_subject(RiderId(led.rider_id)), seen)
    return cls(geofence_id=fence, device_id=device_id, at=at, fix=fix, late=change.late)
