"""OSRM as a child process, on a free port of 127.0.0.1: travel times by car on one city's streets.

The streets are prepared once per extract and kept. They are contracted (contraction hierarchies): tables, which
dispatch asks for at each decision, take a sixth of what multi-level Dijkstra needs (osrm-bindings 26.10, central
Helsinki, 167 by 2 places: 7 against 41 ms), and a city is contracted in a second.
"""

import asyncio
import hashlib
import shutil
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import httpx

from infra.embedded.child import Child
from infra.embedded.ports import free_port, is_open

READY_AFTER_S = 60.0
ALGORITHM = "ch"
MAX_TABLE = 1_000
"""Places in one table request."""

THREADS = 2

SMALL_COMPONENT = 100
"""Streets fewer than this that are cut off from the rest are not snapped to where a route is asked for.

OSRM's own 1,000 is more than central Helsinki has in all: 24 % of its places would then have no route to the others.
"""


class OsrmDidNotStart(RuntimeError):
    """The streets could not be prepared, or the server gave no answer in time."""


class EmbeddedOsrm:
    """`cities` keeps prepared streets, each under its extract's own hash."""

    def __init__(self, data: Path, cities: Path, extract: Path) -> None:
        self._data = data.resolve()
        self._cities, self._extract = cities.resolve(), extract
        self._child: Child | None = None
        self.port = 0

    @property
    def child(self) -> Child:
        assert self._child is not None, "start first"
        return self._child

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def streets(self) -> Path:
        """The prepared streets: base name of OSRM's files."""
        return self._folder / "streets.osrm"

    async def start(self) -> str:
        """Its URL, once it answers. Raises OsrmDidNotStart."""
        await self.prepare()
        self.port = self.port or free_port()
        self._child = Child(
            [
                str(tool("osrm-routed")),
                *("--algorithm", ALGORITHM, "--ip", "127.0.0.1", "--port", str(self.port)),
                *("--threads", str(THREADS), "--max-table-size", str(MAX_TABLE), "--verbosity", "WARNING"),
                str(self.streets),
            ],
            self._data / "osrm.log",
        )
        await self._child.start()
        await self._answering()
        return self.url

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.stop()

    async def prepare(self) -> None:
        """Does nothing where it was done; an interrupted preparation leaves nothing that counts."""
        if self._folder.exists():
            return
        part = self._folder.with_name(self._folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        shutil.copyfile(self._extract, part / "streets.osm.pbf")
        await self._run(
            "osrm-extract",
            *("-p", str(PROFILE), "--small-component-size", str(SMALL_COMPONENT)),
            str(part / "streets.osm.pbf"),
        )
        await self._run("osrm-contract", str(part / "streets.osrm"))
        (part / "streets.osm.pbf").unlink()
        part.rename(self._folder)

    @property
    def _folder(self) -> Path:
        made_by = f"{version('osrm-bindings')} {ALGORITHM}".encode()
        digest = hashlib.sha256(self._extract.read_bytes() + PROFILE.read_bytes() + made_by)
        name = self._extract.name.removesuffix(".osm.pbf").lower()
        return self._cities / f"{name}-{digest.hexdigest()[:12]}"

    async def _run(self, name: str, *arguments: str) -> None:
        step = Child([str(tool(name)), "--threads", str(THREADS), *arguments], self._data / "osrm-prepare.log")
        await step.start()
        if await step.wait() != 0:
            raise OsrmDidNotStart(f"{name} failed on {self._extract}:\n{step.tail()}")

    async def _answering(self) -> None:
        until = time.monotonic() + READY_AFTER_S
        while time.monotonic() < until:
            if not self.child.running:
                raise OsrmDidNotStart(f"the server ended:\n{self.child.tail()}")
            if is_open(self.port) and await answers(self.url):
                return
            await asyncio.sleep(0.05)
        raise OsrmDidNotStart(f"no answer within {READY_AFTER_S:.0f} s:\n{self.child.tail()}")


async def answers(url: str) -> bool:
    """Whether a route request is understood; that there is a route between these places is not asked."""
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
        try:
            answer = await client.get(f"{url}/route/v1/driving/24.94,60.17;24.95,60.17?overview=false")
        except httpx.TransportError:
            return False
        return "code" in answer.json()


def _package() -> Path:
    spec = find_spec("osrm")
    assert spec is not None, "osrm-bindings is in the lock"
    assert spec.origin is not None, "it is a package with files"
    return Path(spec.origin).parent


def tool(name: str) -> Path:
    return _package() / "bin" / name


PROFILE = _package() / "share" / "profiles" / "car.lua"
