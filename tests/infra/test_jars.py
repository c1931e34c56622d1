"""Kafka's jars: what differs from the lock never runs, what has come is not fetched again."""

import shutil
from pathlib import Path

import pytest
import requests
from jgo.maven import MavenContext

from infra.embedded import jars
from infra.embedded.jars import Jar, JarDiffers, JarsUnreachable, fetch_jars, locked_jars, verify


@pytest.fixture
def one(jars: Path, tmp_path: Path) -> tuple[Jar, Path]:
    """A small jar of the lock, alone in a folder, as it was fetched."""
    jar = min(locked_jars(), key=lambda jar: jar.size_bytes)
    shutil.copy(jars / jar.file, tmp_path / jar.file)
    return jar, tmp_path


class Registry:
    """Stands before jgo: hands out `content` and counts, or cannot be reached."""

    def __init__(self, content: bytes | None) -> None:
        self.content, self.asked = content, 0

    def fetched(self, context: MavenContext, jar: Jar) -> Path:
        self.asked += 1
        if self.content is None:
            raise JarsUnreachable(jar.coordinates)
        file = context.repo_cache / jar.file
        file.write_bytes(self.content)
        return file


def only(monkeypatch: pytest.MonkeyPatch, jar: Jar, registry: Registry) -> None:
    monkeypatch.setattr(jars, "locked_jars", lambda: [jar])
    monkeypatch.setattr(jars, "fetched", registry.fetched)


def test_every_locked_jar_has_its_own_file_and_a_whole_hash():
    lock = locked_jars()
    assert len({jar.file for jar in lock}) == len(lock) == 45
    assert all(len(jar.sha256) == 64 and jar.size_bytes > 0 for jar in lock)
    assert "org.apache.kafka:kafka_2.13:4.4.0" in {jar.coordinates for jar in lock}


def test_the_jars_that_kafka_runs_on_are_those_of_the_lock(jars: Path):
    for jar in locked_jars():
        verify(jar, jars / jar.file)


def test_what_the_registry_changed_is_refused_and_not_kept(
    monkeypatch: pytest.MonkeyPatch, one: tuple[Jar, Path], tmp_path_factory: pytest.TempPathFactory
):
    jar, folder = one
    content = (folder / jar.file).read_bytes()
    empty = tmp_path_factory.mktemp("jars")
    only(monkeypatch, jar, Registry(content[:-1] + b"!"))
    with pytest.raises(JarDiffers, match=rf"{jar.coordinates}.*{jar.sha256}"):
        fetch_jars(empty)
    assert not (empty / jar.file).exists()


def test_a_jar_that_was_changed_here_is_refused(monkeypatch: pytest.MonkeyPatch, one: tuple[Jar, Path]):
    jar, folder = one
    content = (folder / jar.file).read_bytes()
    only(monkeypatch, jar, Registry(content))
    fetch_jars(folder)
    (folder / jar.file).write_bytes(content[:-1] + b"!")
    with pytest.raises(JarDiffers, match=jar.coordinates):
        fetch_jars(folder)


def test_a_jar_that_is_here_is_not_fetched_again(monkeypatch: pytest.MonkeyPatch, one: tuple[Jar, Path]):
    jar, folder = one
    registry = Registry(None)
    only(monkeypatch, jar, registry)
    fetch_jars(folder)
    assert registry.asked == 0


def test_an_interrupted_fetch_is_taken_up_again(monkeypatch: pytest.MonkeyPatch, one: tuple[Jar, Path]):
    jar, folder = one
    content = (folder / jar.file).read_bytes()
    (folder / jar.file).unlink()
    (folder / ".fetching-before").mkdir()
    (folder / ".fetching-before" / jar.file).write_bytes(content[:100])
    only(monkeypatch, jar, Registry(content))
    fetch_jars(folder)
    verify(jar, folder / jar.file)


def test_a_registry_that_is_out_of_reach_is_told_with_the_jar_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    class Context:
        def project(self, *_: str) -> object:
            raise requests.ConnectionError("no route")

    with pytest.raises(JarsUnreachable, match=r"(?s)log4j-api.*no route.*start again"):
        jars.fetched(Context(), next(jar for jar in locked_jars() if "log4j-api" in jar.coordinates))  # type: ignore[arg-type]
