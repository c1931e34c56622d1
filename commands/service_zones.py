"""Service zones: geofences of kind `zone`, where riders work, each as it stands at a moment."""

from datetime import datetime
from typing import assert_never

import msgspec
import numpy as np
from msgspec.structs import replace

from schemas.directory import Circle, GeofenceChanged, GeofenceCreated, GeofenceEvent, GeofenceRemoved, Shape
from schemas.geo import Location, distance_m
from schemas.ground import Ground, ground_of, lies_within
from schemas.message import NotInDirectory

MOST_VERSIONS = 100
"""Of one zone: what was to hold later than so many others goes first."""


class UnknownServiceZone(NotInDirectory):
    rule = "unknown-service-zone"
    stands_in = ("zone", "zones")

    def __init__(self, zone: str) -> None:
        super().__init__(f"the tenant has no geofence {zone} of kind zone that holds now or later")
        self.zone = zone


class ZoneVersion(msgspec.Struct, frozen=True):
    """A zone's shape from one moment up to another; None: for ever. `ground` is of what is no circle."""

    shape: Shape
    since: datetime
    until: datetime | None = None
    ground: Ground | None = None


type ServiceZone = tuple[ZoneVersion, ...]
"""Its shapes, in the order in which they hold."""


def zone_after(zone: ServiceZone, event: GeofenceEvent, at: datetime) -> ServiceZone:
    """What ended before `at` no decision asks for again."""
    match event:
        case GeofenceCreated() | GeofenceChanged():
            version = ZoneVersion(
                event.shape,
                event.valid_from,
                ground=None if isinstance(event.shape, Circle) else ground_of(event.shape),
            )
            return (*ended(zone, event.valid_from, at), version)[:MOST_VERSIONS]
        case GeofenceRemoved():
            return ended(zone, event.valid_until, at)
        case _:
            assert_never(event)


def ended(zone: ServiceZone, until: datetime, at: datetime) -> ServiceZone:
    """What was to begin later never holds."""
    cut = [
        replace(version, until=until if version.until is None else min(version.until, until))
        for version in zone
        if version.since < until
    ]
    return tuple(version for version in cut if version.until is None or version.until > at)


def stands(zone: ServiceZone, at: datetime) -> bool:
    """Now or later."""
    return any(version.until is None or version.until > at for version in zone)


def holds(zone: ServiceZone, place: Location, at: datetime) -> bool:
    """Borders included, as where riders are told to enter and leave."""
    return any(
        version.since <= at and (version.until is None or at < version.until) and covers(version, place)
        for version in zone
    )


def covers(version: ZoneVersion, place: Location) -> bool:
    if isinstance(version.shape, Circle):
        return distance_m(version.shape.center, place) <= version.shape.radius_m
    assert version.ground is not None, "what is no circle has its ground"
    return bool(lies_within(version.ground, np.array([place.lat]), np.array([place.lon]))[0])
