"""A process's output in a file that cannot grow past its bound."""

import asyncio
from pathlib import Path

MAX_BYTES = 5 << 20
"""Of one generation; the one before it is kept as NAME.1."""

CHUNK = 64 << 10


class BoundedLog:
    """Appends to `path`; a full file becomes `path`.1 and the one before that is forgotten."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path, self._max_bytes = path, max_bytes
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")

    def write(self, said: bytes) -> None:
        if self._file.tell() + len(said) > self._max_bytes:
            self._file.close()
            self._path.replace(older(self._path))
            self._file = self._path.open("ab")
        self._file.write(said)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


async def copied(source: asyncio.StreamReader, log: BoundedLog) -> None:
    """Takes down all that `source` says until it ends."""
    try:
        while said := await source.read(CHUNK):
            log.write(said)
    finally:
        log.close()


def tail(path: Path, lines: int = 12) -> str:
    """The end of what was said."""
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - CHUNK))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])


def older(path: Path) -> Path:
    return path.with_name(path.name + ".1")
