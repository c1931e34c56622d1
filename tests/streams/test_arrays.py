"""Columns go into the database as they are."""

from datetime import UTC, datetime

import numpy as np
import psycopg
import pytest

from streams.telemetry.arrays import Bigints, Blobs, Doubles, Moments, Texts

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)


@pytest.mark.parametrize(
    ("told", "stands"),
    [
        (Bigints(np.array([1, -(2**62), 0])), [1, -(2**62), 0]),
        (Doubles(np.array([60.17, -0.5, 1e300])), [60.17, -0.5, 1e300]),
        (Doubles(np.array([np.nan, 60.17, np.nan])), [None, 60.17, None]),
        (Doubles(np.array([np.nan])), [None]),
        (Moments(np.array([round(NOON.timestamp() * 1e6), 0])), [NOON, datetime(1970, 1, 1, tzinfo=UTC)]),
        (Texts(["", "Töölö", 'a "b", {c}\\']), ["", "Töölö", 'a "b", {c}\\']),
        (Blobs([b"", b"\x00\xff"]), [b"", b"\x00\xff"]),
        (Bigints(np.array([], np.int64)), []),
        (Doubles(np.array([])), []),
        (Texts([]), []),
    ],
)
def test_what_is_told_stands(postgres: str, told: object, stands: list[object]):
    with psycopg.connect(postgres) as connection:
        [row] = connection.execute("SELECT %b", (told,)).fetchall()
    assert row == (stands,)
