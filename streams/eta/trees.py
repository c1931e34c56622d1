"""A forest as arrays: what scikit-learn has grown, to be sent, kept and asked wherever it is needed.

It is asked without scikit-learn, whose own form is a pickle: nobody should run what comes by a topic.
"""

import zlib

import msgspec
import numpy as np
import numpy.typing as npt

from streams.eta.journey import Floats

LEAF = -1
MOST_BYTES = 64 << 20
"""Of a forest that is unpacked: what is larger was not sent by us."""
ROWS_AT_ONCE = 2_000

type Nodes = npt.NDArray[np.int32]


class NoForest(ValueError):
    """What is given is no forest."""


class Trees(msgspec.Struct, frozen=True):
    """All nodes of all trees in one row. `column` is what a node looks at, `LEAF` for a leaf; up to `threshold` the way
    goes to `low`, else to `high`; `value` is what a leaf tells. `roots` are where the trees begin."""

    roots: Nodes
    column: npt.NDArray[np.int8]
    threshold: Floats
    low: Nodes
    high: Nodes
    value: npt.NDArray[np.float32]

    def predict(self, rows: Floats) -> Floats:
        """The mean of what the trees tell: shape (rows,)."""
        told = [self._mean(rows[begin : begin + ROWS_AT_ONCE]) for begin in range(0, len(rows), ROWS_AT_ONCE)]
        return np.concatenate(told) if told else np.empty(0)

    def _mean(self, rows: Floats) -> Floats:
        """All rows go down all trees side by side. Rows are cut to 32 bits, by which the thresholds were chosen."""
        known = rows.astype(np.float32)
        node = np.tile(self.roots, len(rows))
        row = np.repeat(np.arange(len(rows)), len(self.roots))
        going = np.flatnonzero(self.column[node] != LEAF)
        while len(going):
            at = node[going]
            lower = known[row[going], self.column[at]] <= self.threshold[at]
            node[going] = np.where(lower, self.low[at], self.high[at])
            going = going[self.column[node[going]] != LEAF]
        mean: Floats = self.value[node].reshape(len(rows), -1).mean(axis=1, dtype=np.float64)
        return mean


COLUMNS_OF = {"roots": "<i4", "column": "<i1", "threshold": "<f8", "low": "<i4", "high": "<i4", "value": "<f4"}


def packed(trees: Trees) -> bytes:
    """Compressed."""
    return zlib.compress(
        msgspec.msgpack.encode({name: getattr(trees, name).astype(kind).tobytes() for name, kind in COLUMNS_OF.items()})
    )


def unpacked(sent: bytes, columns: int) -> Trees:
    """Of a forest that looks at so many columns. Raises NoForest where a walk down it would not end in a leaf."""
    try:
        unzip = zlib.decompressobj()
        plain = unzip.decompress(sent, MOST_BYTES)
        if unzip.unconsumed_tail:
            raise NoForest(f"more than {MOST_BYTES >> 20} MiB")
        kept = msgspec.msgpack.decode(plain, type=dict[str, bytes])
        trees = Trees(**{name: np.frombuffer(kept[name], kind) for name, kind in COLUMNS_OF.items()})
    except (zlib.error, msgspec.MsgspecError, KeyError, ValueError) as broken:
        raise NoForest(f"{type(broken).__name__}: {broken}") from broken
    count = len(trees.column)
    if not len(trees.roots) or {len(trees.threshold), len(trees.low), len(trees.high), len(trees.value)} != {count}:
        raise NoForest(f"columns of different lengths, or no tree among {count} nodes")
    inner = trees.column != LEAF
    number = np.arange(count)[inner]
    ahead = (trees.low[inner] > number) & (trees.high[inner] > number)
    within = (trees.low < count) & (trees.high < count) & (trees.column < columns) & (trees.column >= LEAF)
    if not (ahead.all() and within.all() and (trees.roots >= 0).all() and (trees.roots < count).all()):
        raise NoForest("a node leads to none, or back")
    return trees
