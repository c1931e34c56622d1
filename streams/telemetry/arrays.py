"""Columns as PostgreSQL takes them in binary: one array each, made by numpy; see `array_recv` in its sources.

psycopg makes a list's array element by element, which takes as long as folding the fixes does.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from psycopg import adapters
from psycopg.adapt import Dumper
from psycopg.pq import Format

BIGINT, DOUBLE, TEXT, BYTES, MOMENT = 20, 701, 25, 17, 1184
"""Type ids of what the arrays hold."""
SINCE_2000_US = 946_684_800_000_000


class Bigints(msgspec.Struct, frozen=True):
    values: npt.NDArray[np.int64]


class Doubles(msgspec.Struct, frozen=True):
    """What is not a number stands for null."""

    values: npt.NDArray[np.float64]


class Moments(msgspec.Struct, frozen=True):
    """Unix microseconds."""

    values: npt.NDArray[np.int64]


class Texts(msgspec.Struct, frozen=True):
    values: Sequence[str]


class Blobs(msgspec.Struct, frozen=True):
    values: Sequence[bytes]


def header(element: int, count: int, *, nulls: bool = False) -> bytes:
    """One dimension, from 1 on; an empty array has none."""
    return np.array([1, nulls, element, count, 1] if count else [0, 0, element], ">i4").tobytes()


def fixed(element: int, values: npt.NDArray[Any], dtype: str) -> bytes:
    rows = np.empty(len(values), [("size", ">i4"), ("value", dtype)])
    rows["size"], rows["value"] = rows.dtype["value"].itemsize, values
    return header(element, len(values)) + rows.tobytes()


def varying(element: int, values: Sequence[bytes]) -> bytes:
    return header(element, len(values)) + b"".join([len(value).to_bytes(4) + value for value in values])


def doubles(values: npt.NDArray[np.float64]) -> bytes:
    null = np.isnan(values)
    if not null.any():
        return fixed(DOUBLE, values, ">f8")
    rows = np.empty(len(values), [("size", ">i4"), ("value", ">f8")])
    rows["size"], rows["value"] = 8, values
    wide = rows.view(np.uint8).reshape(len(values), 12)
    wide[null, :4] = 255  # a size of -1, and nothing after it
    kept = np.ones((len(values), 12), bool)
    kept[null, 4:] = False
    return header(DOUBLE, len(values), nulls=True) + wide[kept].tobytes()


class BigintsDumper(Dumper):
    format = Format.BINARY
    oid = 1016

    def dump(self, obj: Bigints) -> bytes:
        return fixed(BIGINT, obj.values, ">i8")


class DoublesDumper(Dumper):
    format = Format.BINARY
    oid = 1022

    def dump(self, obj: Doubles) -> bytes:
        return doubles(obj.values)


class MomentsDumper(Dumper):
    format = Format.BINARY
    oid = 1185

    def dump(self, obj: Moments) -> bytes:
        return fixed(MOMENT, obj.values - SINCE_2000_US, ">i8")


class TextsDumper(Dumper):
    format = Format.BINARY
    oid = 1009

    def dump(self, obj: Texts) -> bytes:
        return varying(TEXT, [value.encode() for value in obj.values])


class BlobsDumper(Dumper):
    format = Format.BINARY
    oid = 1001

    def dump(self, obj: Blobs) -> bytes:
        return varying(BYTES, obj.values)


for wrapped, dumper in (
    (Bigints, BigintsDumper),
    (Doubles, DoublesDumper),
    (Moments, MomentsDumper),
    (Texts, TextsDumper),
    (Blobs, BlobsDumper),
):
    adapters.register_dumper(wrapped, dumper)
