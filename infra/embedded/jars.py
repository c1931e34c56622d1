"""Kafka's jars: exactly those of the lock, fetched once, each checked by size and SHA-256."""

import hashlib
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

    Raises JarDiffers, JarsUnreachable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jars = locked_jars()
    total, done = sum(jar.size_bytes for jar in jars), 0
    context = MavenContext(repo_cache=folder / "cache", resolver=PythonResolver())
    with ThreadPoolExecutor(THREADS) as pool:
        for jar, _ in zip(jars, pool.map(lambda jar: fetch_jar(context, jar, folder), jars), strict=True):
            done += jar.size_bytes
            progress(done, total)
    return [folder / jar.file for jar in jars]


def fetch_jar(context: MavenContext, jar: Jar, folder: Path) -> None:
    """A verified jar is named by its mark, so that a start need not read 43 MB again."""
    target, mark = folder / jar.file, folder / f"{jar.file}.{jar.sha256[:16]}"
    if mark.exists() and target.exists() and target.stat().st_size == jar.size_bytes:
        return
    content = fetched(context, jar)
    verify(jar, content)
    partial = target.with_suffix(".partial")
    partial.write_bytes(content)
    partial.rename(target)
    mark.touch()


def fetched(context: MavenContext, jar: Jar) -> bytes:
    group, artifact, version = jar.coordinates.split(":")
    for attempt in range(TRIES):
        try:
            return Path(context.project(group, artifact).at_version(version).artifact().resolve()).read_bytes()
        except (requests.RequestException, RuntimeError, OSError) as failed:
            if attempt == TRIES - 1:
                raise JarsUnreachable(
                    f"{jar.coordinates} could not be fetched ({failed}); check the network and start again: "
                    "what has come stays"
                ) from failed
    raise AssertionError("a try returns or raises")


def verify(jar: Jar, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if (len(content), digest) != (jar.size_bytes, jar.sha256):
        raise JarDiffers(
            f"{jar.coordinates} has {len(content)} bytes and SHA-256 {digest}; the lock names "
            f"{jar.size_bytes} bytes and {jar.sha256}. Delete the jars' folder and start again; if it "
            "stays so, do not run it"
        )
