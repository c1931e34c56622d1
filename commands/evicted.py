"""Which aggregates were let go: a Bloom filter per shard, so that what never existed costs no question.

Parts of 64 KiB with 26,000 ids each: 20 bits an id and 14 probes, since what is asked is asked of every part (some 2
in a thousand false answers at a million ids; with half the bits it would be one in seven). A full part never changes
again, so a checkpoint writes the last one only. Bloom 1970; the probes are words of one BLAKE2 hash.
"""

from hashlib import blake2b
from struct import unpack

PART_BYTES = 1 << 16
PART_CAPACITY = 26_000
PROBES = 14
MASK = 8 * PART_BYTES - 1


class Part:
    def __init__(self, bits: bytes = bytes(PART_BYTES), count: int = 0) -> None:
        self.bits = bytearray(bits)
        self.count = count

    def add(self, probes: tuple[int, ...]) -> None:
        for probe in probes:
            self.bits[probe >> 3] |= 1 << (probe & 7)
        self.count += 1

    def has(self, probes: tuple[int, ...]) -> bool:
        return all(self.bits[probe >> 3] & 1 << (probe & 7) for probe in probes)


class Evicted:
    """`id in evicted` may be wrong one way only: an id that was added is always found."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._changed: set[int] = set()

    def add(self, aggregate_id: str) -> None:
        probes = probes_of(aggregate_id)
        if any(part.has(probes) for part in self._parts):
            return
        if not self._parts or self._parts[-1].count >= PART_CAPACITY:
            self._parts.append(Part())
        self._parts[-1].add(probes)
        self._changed.add(len(self._parts) - 1)

    def __contains__(self, aggregate_id: str) -> bool:
        probes = probes_of(aggregate_id) if self._parts else ()
        return any(part.has(probes) for part in self._parts)

    def __len__(self) -> int:
        """Of the ids that it could tell apart from those before them."""
        return sum(part.count for part in self._parts)

    def changed(self) -> dict[int, Part]:
        """The parts that are to be written."""
        return {number: self._parts[number] for number in sorted(self._changed)}

    def written(self) -> None:
        self._changed.clear()

    def restore(self, number: int, part: Part) -> None:
        """Parts may come in any order; one that never comes would hide nothing but its own ids."""
        while len(self._parts) <= number:
            self._parts.append(Part())
        self._parts[number] = part


def probes_of(aggregate_id: str) -> tuple[int, ...]:
    words = unpack(f"<{PROBES}I", blake2b(aggregate_id.encode(), digest_size=4 * PROBES).digest())
    return tuple(word & MASK for word in words)
