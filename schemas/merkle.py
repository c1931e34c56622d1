"""Merkle trees of hashes (RFC 9162, section 2.1.1): one root binds a list and its order."""

from collections.abc import Iterable
from hashlib import sha256

LEAF, NODE = b"\x00", b"\x01"


class Tree:
    """Grows leaf by leaf; it holds one hash for each bit of its size."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._whole: list[bytes] = []
        """The roots of the whole subtrees that the leaves make, the largest first."""
        for leaf in leaves:
            self.add(leaf)

    def add(self, leaf: bytes) -> None:
        root, smaller = sha256(LEAF + leaf).digest(), self.size
        while smaller & 1:
            root = sha256(NODE + self._whole.pop() + root).digest()
            smaller >>= 1
        self._whole.append(root)
        self.size += 1

    def root(self) -> bytes:
        """Of no leaves the hash of nothing."""
        if not self._whole:
            return sha256().digest()
        *larger, root = self._whole
        for left in reversed(larger):
            root = sha256(NODE + left + root).digest()
        return root
