"""What a device's track has told and may still correct: of each transition by which id."""

from array import array
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from schemas.signals import Transition

KINDS: tuple[Transition, ...] = ("entered", "exited", "dwelled", "crossed")
ID_BYTES = 16

type What = tuple[str, Transition, int]
"""Fence, transition, and its time as it stands now, Unix milliseconds."""


class ToldSoFar:
    """A map, in a tenth of a dictionary's memory: in a dense city a vehicle tells of a fence every other second, and of
    ten minutes of it most of what a worker remembers is made."""

    __slots__ = ("_at", "_fences", "_ids", "_kinds")

    def __init__(self) -> None:
        self._at = array("q")
        self._fences: list[str] = []
        self._kinds = bytearray()
        self._ids = bytearray()

    def __setitem__(self, what: What, event_id: str) -> None:
        """Raises ValueError for an id that is no UUID."""
        told, (fence, kind, at_ms) = UUID(event_id).bytes, what
        place = self._place(what)
        if place is not None:
            self._ids[place * ID_BYTES : (place + 1) * ID_BYTES] = told
            return
        self._at.append(at_ms)
        self._fences.append(fence)
        self._kinds.append(KINDS.index(kind))
        self._ids += told

    def pop(self, what: What) -> str | None:
        """None where it was not told."""
        place = self._place(what)
        if place is None:
            return None
        event_id = self._id(place)
        del self._at[place], self._fences[place], self._kinds[place]
        del self._ids[place * ID_BYTES : (place + 1) * ID_BYTES]
        return event_id

    def fences(self, kind: Transition, at_ms: int) -> list[str]:
        """Of which this was told for then."""
        return [fence for fence, told, at in self if told == kind and at == at_ms]

    def forget(self, before_ms: int) -> None:
        kept = [place for place, at_ms in enumerate(self._at) if at_ms >= before_ms]
        if len(kept) == len(self._at):
            return
        self._at = array("q", [self._at[place] for place in kept])
        self._fences = [self._fences[place] for place in kept]
        self._kinds = bytearray(self._kinds[place] for place in kept)
        self._ids = bytearray(b"".join(self._ids[place * ID_BYTES : (place + 1) * ID_BYTES] for place in kept))

    def items(self) -> Iterator[tuple[What, str]]:
        for place, what in enumerate(self):
            yield what, self._id(place)

    def packed(self) -> list[Any]:
        return [self._fences, bytes(self._kinds), self._at.tobytes(), bytes(self._ids)]

    @classmethod
    def unpacked(cls, kept: list[Any]) -> "ToldSoFar":
        told = cls()
        fences, kinds, at, event_ids = kept
        told._fences, told._kinds, told._ids = list(fences), bytearray(kinds), bytearray(event_ids)
        told._at = array("q", at)
        return told

    def __iter__(self) -> Iterator[What]:
        for fence, kind, at_ms in zip(self._fences, self._kinds, self._at, strict=True):
            yield fence, KINDS[kind], at_ms

    def __len__(self) -> int:
        return len(self._at)

    def _place(self, what: What) -> int | None:
        if what[2] not in self._at:
            return None
        return next((place for place, told in enumerate(self) if told == what), None)

    def _id(self, place: int) -> str:
        return str(UUID(bytes=bytes(self._ids[place * ID_BYTES : (place + 1) * ID_BYTES])))
