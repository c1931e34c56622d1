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
    addresses: str | None = None
    """The file of the index of addresses."""
    replication: int = 1
    fsync: Literal["auto", "on", "off"] = "auto"
    """How the topics of `kafka` were asked for."""
    owner_session_ms: int = 6_000


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
    """The settings with every address filled in. Raises NotRunning where one is neither set nor started."""
    if settings.kafka and settings.postgres.get_secret_value() and settings.osrm:
        return settings
    endpoints = running(settings.data)
    if endpoints is None:
        raise NotRunning(f"nothing runs on {settings.data}: start it with `logistics up --data {settings.data}`")
    return with_endpoints(settings, endpoints)


def with_log(settings: Settings) -> Settings:
    """Kafka's address and Postgres's are enough. Raises NotRunning where one is neither set nor started."""
    return settings if settings.kafka and settings.postgres.get_secret_value() else reached(settings)


def with_endpoints(settings: Settings, endpoints: Endpoints) -> Settings:
    """What is set stays as it is."""
    started = {
        "replication": endpoints.replication,
        "fsync": endpoints.fsync,
        "owner_session_ms": endpoints.owner_session_ms,
        "prepare_log": False,
    }
    return settings.model_copy(
        update=({} if settings.kafka else started)
        | {
            "kafka": settings.kafka or endpoints.kafka,
            "postgres": settings.postgres if settings.postgres.get_secret_value() else SecretStr(endpoints.postgres),
            "osrm": settings.osrm or endpoints.osrm,
            "addresses": settings.addresses or (endpoints.addresses and Path(endpoints.addresses)),
        }
    )
