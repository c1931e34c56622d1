"""Kafka's jars: exactly those of the lock, fetched once, each checked by size and SHA-256."""

import hashlib
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import requests
from jgo.maven import MavenContext, PythonResolver

LOCK = Path(__file__).parent.parent / "kafka-jars.lock"
THREADS = 6
TRIES = 3


class Jar(msgspec.Struct, frozen=True):
    coordinates: str
    size_bytes: int
    sha256: str

    @property
    def file(self) -> str:
        _, artifact, version = self.coordinates.split(":")
        return f"{artifact}-{version}.jar"


class JarDiffers(RuntimeError):
    """What was fetched is not what the lock names."""


class JarsUnreachable(RuntimeError):
    """The registry did not give a jar; what is there already is kept for the next try."""


def locked_jars(lock: Path = LOCK) -> list[Jar]:
    lines = (line.split() for line in lock.read_text().splitlines() if not line.startswith("#"))
    return [Jar(coordinates, int(size), digest) for coordinates, size, digest in lines]


def fetch_jars(folder: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> list[Path]:
    """The jars in `folder`, fetched where they are missing. `progress` hears of bytes done and in all.

    Every start verifies all of them (45 MB, a tenth of a second). Raises JarDiffers, JarsUnreachable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jars = locked_jars()
    total, done = sum(jar.size_bytes for jar in jars), 0
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as arriving, ThreadPoolExecutor(THREADS) as pool:
        context = MavenContext(repo_cache=Path(arriving), local_repos=[], resolver=PythonResolver(), timeout=60)
        for jar, _ in zip(jars, pool.map(lambda jar: fetch_jar(context, jar, folder), jars), strict=True):
            done += jar.size_bytes
            progress(done, total)
    return [folder / jar.file for jar in jars]


def fetch_jar(context: MavenContext, jar: Jar, folder: Path) -> None:
    """A jar takes its name when it is whole and right, so an interrupted fetch leaves nothing that counts."""
    target = folder / jar.file
    if target.exists():
        verify(jar, target)
        return
    arrived = fetched(context, jar)
    verify(jar, arrived)
    arrived.rename(target)


def fetched(context: MavenContext, jar: Jar) -> Path:
    group, artifact, version = jar.coordinates.split(":")
    for attempt in range(TRIES):
        try:
            return Path(context.project(group, artifact).at_version(version).artifact().resolve())
        except (requests.RequestException, RuntimeError, OSError) as failed:
            if attempt == TRIES - 1:
                raise JarsUnreachable(
                    f"{jar.coordinates} could not be fetched ({failed}); check the network and start again: "
                    "what has come stays"
                ) from failed
    raise AssertionError("a try returns or raises")


def verify(jar: Jar, file: Path) -> None:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    size_bytes = file.stat().st_size
    if (size_bytes, digest) != (jar.size_bytes, jar.sha256):
        raise JarDiffers(
            f"{file} has {size_bytes} bytes and SHA-256 {digest}; the lock names {jar.coordinates} with "
            f"{jar.size_bytes} bytes and {jar.sha256}. Delete that file and start again; if it stays so, do not run it"
        )
