"""Places in the log: opaque outside, `generation.topic.partition.offset` inside; a place in many is a vector."""

import base64
import binascii
from collections.abc import Iterable, Mapping

import msgspec

from schemas.topics import GENERATION, TOPICS

type Vector = dict[tuple[str, int], int]
"""(topic, partition) → the next offset to read."""

SHORT = {topic.name: topic.name.removeprefix("logistics.") for topic in TOPICS}
LONG = {short: name for name, short in SHORT.items()}


class BadToken(ValueError):
    """What was given as a position was not made by this log."""


def token(vector: Mapping[tuple[str, int], int]) -> str:
    """The vector as one opaque word for a header or a URL."""
    places = sorted((SHORT[topic], partition, offset) for (topic, partition), offset in vector.items())
    return base64.urlsafe_b64encode(msgspec.msgpack.encode([GENERATION, places])).rstrip(b"=").decode()


def vector(word: str) -> Vector:
    """Raises BadToken."""
    try:
        packed = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
        generation, places = msgspec.msgpack.decode(packed, type=tuple[int, list[tuple[str, int, int]]])
        found = {(LONG[short], partition): offset for short, partition, offset in places}
    except (binascii.Error, ValueError, KeyError, msgspec.MsgspecError) as broken:
        raise BadToken("not a position of this log") from broken
    if generation != GENERATION:
        raise BadToken(f"a position of generation {generation}, the log is at {GENERATION}")
    if any(offset < 0 or partition < 0 for (_, partition), offset in found.items()):
        raise BadToken("not a position of this log")
    return found


def position(topic: str, partition: int, offset: int) -> str:
    """One record's place."""
    return token({(topic, partition): offset})


def merged(vectors: Iterable[Mapping[tuple[str, int], int]]) -> Vector:
    """The earliest place that has seen all of them."""
    latest: Vector = {}
    for each in vectors:
        for place, offset in each.items():
            latest[place] = max(offset, latest.get(place, 0))
    return latest


def reached(vector: Mapping[tuple[str, int], int], at: Mapping[tuple[str, int], int]) -> bool:
    """Whether a reader `at` its vector has seen everything before `vector`."""
    return all(at.get(place, 0) >= offset for place, offset in vector.items())


def places_after(topic: str, written: Iterable[tuple[int, int]]) -> Vector:
    """Of (partition, offset) of what was written: the place after all of it."""
    after: Vector = {}
    for partition, offset in written:
        after[topic, partition] = max(offset + 1, after.get((topic, partition), 0))
    return after
