"""`logistics status`: which parts run on this data, where they are reached and how much memory they hold."""

from pathlib import Path

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from infra.embedded import leftover
from infra.endpoints import Endpoints, running
from infra.settings import load_settings

NOT_RUNNING = 1


class Process(msgspec.Struct, frozen=True):
    part: str
    pid: int
    resident_mb: int
    """Of the process and all that it started."""


class Status(msgspec.Struct, frozen=True):
    running: bool
    http: str = ""
    kafka: str = ""
    osrm: str = ""
    processes: list[Process] = []


def status(data: Path | None, as_json: bool) -> int:
    """The exit code. Raises WrongSetting."""
    folder = load_settings(data=data).data
    endpoints = running(folder)
    found = Status(running=False) if endpoints is None else status_of(folder, endpoints)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        shown(found, folder)
    return 0 if found.running else NOT_RUNNING


def status_of(folder: Path, endpoints: Endpoints) -> Status:
    return Status(True, endpoints.http, endpoints.kafka, endpoints.osrm, processes(folder, endpoints.pid))


def processes(folder: Path, supervisor: int) -> list[Process]:
    found = [Process("supervisor", supervisor, resident_mb(psutil.Process(supervisor)))]
    for note in sorted([*folder.glob("*/*.pid"), *folder.glob("*.pid")]):
        process = leftover.noted(note)
        if process is not None:
            everything = [process, *process.children(recursive=True)]
            found.append(Process(note.stem, process.pid, sum(map(resident_mb, everything))))
    return found


def resident_mb(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss) // 1_000_000
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def shown(found: Status, folder: Path) -> None:
    console = Console()
    if not found.running:
        console.print(f"nothing runs on {folder}")
        return
    table = Table("part", "process", "MB", box=None)
    for process in found.processes:
        table.add_row(process.part, str(process.pid), str(process.resident_mb))
    console.print(f"{found.http}   Kafka {found.kafka}   OSRM {found.osrm}")
    console.print(table)
