"""Where the parts of a running `logistics up` are reached, for every other command on the same data."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec
from pydantic import SecretStr

from infra.settings import Settings

FILE = "endpoints.json"


class AlreadyRunning(RuntimeError):
    """Two starts on the same data would take each other's log."""


class NotRunning(RuntimeError):
    """No address was set and nothing runs on this data, or what is set does not answer."""


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """`postgres` carries its password, so the file is for its owner only."""

    pid: int
    http: str
    kafka: str
    postgres: str
    osrm: str
    shards: str = ""
    """host:port of the shards' internal listener."""
    replication: int = 1
    fsync: Literal["auto", "on", "off"] = "auto"
    """How the topics of `kafka` were asked for."""


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Holds `data` for this process until it ends, however it ends. Raises AlreadyRunning."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise AlreadyRunning(
                f"logistics already runs on {data}: stop it, or name another folder by --data"
            ) from held
        try:
            yield
        finally:
            (data / FILE).unlink(missing_ok=True)


def publish(data: Path, endpoints: Endpoints) -> None:
    part = data / f"{FILE}.part"
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(endpoints)))
    part.rename(data / FILE)


def running(data: Path) -> Endpoints | None:
    """Of the `up` that holds `data`; None where nothing runs, whatever an earlier one left there."""
    try:
        endpoints = msgspec.json.decode((data / FILE).read_bytes(), type=Endpoints)
    except FileNotFoundError:
        return None
    return endpoints if _held(data) else None


def _held(data: Path) -> bool:
    with (data / "lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def reached(settings: Settings) -> Settings:
    """The settings with every address filled in. Raises NotRunning where one is neither set nor started.

    The shards' address is filled in where it is known: outside `up` it must be set by whoever needs it.
    """
    known = settings.kafka and settings.postgres.get_secret_value() and settings.osrm
    if known and settings.shards_address:
        return settings
    endpoints = running(settings.data)
    if endpoints is None and not known:
        raise NotRunning(f"nothing runs on {settings.data}: start it with `logistics up --data {settings.data}`")
    return settings if endpoints is None else with_endpoints(settings, endpoints)


def with_endpoints(settings: Settings, endpoints: Endpoints) -> Settings:
    """What is set stays as it is, and a log that is not theirs has other shards."""
    kafka = settings.kafka or endpoints.kafka
    asked = {} if settings.kafka else {"replication": endpoints.replication, "fsync": endpoints.fsync}
    return settings.model_copy(
        update=asked
        | {
            "kafka": kafka,
            "postgres": settings.postgres if settings.postgres.get_secret_value() else SecretStr(endpoints.postgres),
            "osrm": settings.osrm or endpoints.osrm,
            "shards_address": settings.shards_address or (endpoints.shards if kafka == endpoints.kafka else ""),
        }
    )
