"""What a client was told, kept by the client itself: `logistics check` looks for it in the log."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from infra.check.journals import Acknowledged

MOST_BYTES = 64 << 20
"""Then a new file begins, and the one before the last goes."""


class Journal:
    """Lines of JSON, each with the operating system before the next command is sent: whatever kills this process, none
    is lost. When the power goes the last ones may be, and one be torn; fewer are then looked for in the log."""

    def __init__(self, file: Path, most_bytes: int = MOST_BYTES) -> None:
        self._file, self._most_bytes = file, most_bytes
        file.parent.mkdir(parents=True, exist_ok=True)
        self._open = file.open("ab")
        if is_torn(file):
            self._open.write(b"\n")
            self._open.flush()
        self.lines = 0
        """Since the start."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def note(self, told: Acknowledged) -> None:
        self._open.write(msgspec.json.encode(told) + b"\n")
        self._open.flush()
        self.lines += 1
        if self._open.tell() > self._most_bytes:
            self._open.close()
            os.replace(self._file, self._file.with_suffix(".older.jsonl"))
            self._open = self._file.open("ab")


def is_torn(file: Path) -> bool:
    """Whether the last line has no end."""
    with file.open("rb") as written:
        if not written.seek(0, os.SEEK_END):
            return False
        written.seek(-1, os.SEEK_END)
        return written.read(1) != b"\n"
