"""The comparison as a file, a line a fact: CSV or JSON lines. All of it or nothing."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from infra.whole_file import whole_file
from streams.telemetry.moments import moment

type Row = dict[str, Any]
"""Plain values; None for what there is not."""
type Write = Callable[[Row], None]


@contextmanager
def written(out: Path | None, columns: tuple[str, ...]) -> Iterator[Write]:
    """Without a file nothing is written."""
    if out is None:
        yield lambda _: None
        return
    with whole_file(out) as part, part.open("w", newline="") as opened:
        if out.suffix == ".csv":
            rows = csv.DictWriter(opened, columns)
            rows.writeheader()
            yield lambda row: rows.writerow(row)
        else:
            yield lambda row: print(msgspec.json.encode(row).decode(), file=opened)


def iso(at_ms: int | None) -> str | None:
    return None if at_ms is None else moment(at_ms).isoformat(timespec="milliseconds")
