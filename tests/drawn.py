"""What is drawn from, and how, for whatever may be asked of any aggregate."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

from story import NOON

from schemas.geo import Location
from schemas.load import Capacity
from schemas.message import (
    Command,
    ParcelId,
    Role,
    StopId,
    TaskId,
)

HOME = Location(lat=60.161, lon=24.942)
STOPS = [StopId("stop-1"), StopId("stop-2"), StopId("hold-1"), StopId("again-1"), StopId("return-1")]
PARCELS = [ParcelId("parcel-1"), ParcelId("parcel-2")]
AWAITED = ["task-9", "wave-9"]
LATE = NOON + timedelta(days=1)
type Draws = Callable[[Random, Any], Command]
"""Draws a command, the time at hand."""
type Repertoire = list[tuple[Draws, str, Role]]
"""With who sends it; the first is what creates."""


def some[T](draw: Random, of: list[T]) -> list[T]:
    return draw.sample(of, draw.randint(0, len(of)))


def always(command: Command) -> Draws:
    return lambda draw, now: command


TASKS = [TaskId("task-1"), TaskId("task-2")]


def carrying(draw: Random) -> Capacity:
    return Capacity(weight_g=draw.randint(1, 9), volume_cm3=1, parcels=1)
