"""Where stops are that were given by their address: asked of who knows addresses, else told by a person."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.geo import Location
from schemas.message import Command, Count, Event, Input, Personal, Record, StopId

MOST_CANDIDATES = 5
REMEMBERED = "remembered"
"""Who knew it, where somebody has told once where that address is."""
ENTRANCE_ELSEWHERE = "entrance_elsewhere"
"""Why a rider is away from the stop's place, and there all the same: what the map says of the address is wrong."""
LOCATION_NOT_SOUGHT = "location-not-sought"

WhyNotLocated = Literal["unknown_address", "not_sure", "nobody_answers", "person_forgotten"]
Confidence = Annotated[float, msgspec.Meta(ge=0, le=1)]


class PlaceFound(Input, frozen=True, kw_only=True):
    """Where it may be, as whoever was asked told it."""

    location: Location
    label: Annotated[str, msgspec.Meta(max_length=2_000)]
    confidence: Confidence


class ConfirmLocationSought(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where nobody waits for this answer any more: asking may cost money."""

    stop_id: StopId
    number: Count


class RecordGeocoding(Command, frozen=True, kw_only=True):
    """Sent when those were asked who know addresses. `answered`: one of them knew it, or said that they do not."""

    stop_id: StopId
    number: Count
    candidates: Annotated[list[PlaceFound], msgspec.Meta(max_length=MOST_CANDIDATES)]
    source: str | None
    answered: bool
    forgotten: bool = False
    """Nobody was asked: whose address it was is forgotten."""


class SeekLocations(Command, frozen=True, kw_only=True):
    """Sent when those stops are to be asked for again that nobody answered for. Firing late or twice changes
    nothing."""


type GeocodingCommand = ConfirmLocationSought | RecordGeocoding | SeekLocations


class PlaceCandidate(Record, frozen=True, kw_only=True):
    location: Personal[Location]
    label: Personal[str]
    confidence: float


class StopLocationSought(Event, frozen=True, kw_only=True):
    """The task waits for where this stop is. `number` counts how often it was asked. `place_key` is a keyed hash of the
    address, by which it is known where somebody has told once where that is."""

    stop_id: StopId
    number: int
    address: Personal[str]
    place_key: str


class StopNeedsLocation(Event, frozen=True, kw_only=True):
    """Nobody knows surely enough where it is: a person has to tell. `again`: nobody has answered, and it is asked for
    once more. `seek_at` is when the next stops of this task are."""

    stop_id: StopId
    number: int
    reason_code: WhyNotLocated
    candidates: list[PlaceCandidate]
    source: str | None
    again: bool
    seek_at: datetime | None


type GeocodingEvent = StopLocationSought | StopNeedsLocation
