"""The system that faults are done to: as in production, several processes of each role, and a network that can break.

Every connection from a role to a broker or to Postgres passes a proxy in this process, which knows from whom it comes.
Brokers reach each other past it. Each part is started again whenever it ends, however often that is.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiokafka.errors import KafkaError
from psycopg import AsyncConnection
from pydantic import SecretStr

from infra.embedded.brokers import Brokers
from infra.embedded.city import city_extract
from infra.embedded.jars import fetch_jars
from infra.embedded.osrm import EmbeddedOsrm
from infra.embedded.ports import free_ports
from infra.embedded.postgres import EmbeddedPostgres
from infra.endpoints import NotRunning
from infra.engines import OWNER_SESSION_MS
from infra.kafka import client_args
from infra.log_setup import set_up_log
from infra.role_process import RoleProcess
from infra.settings import Settings, load_settings, with_secrets
from infra.shards import listed
from infra.supervisor import WRONG_SETTING, Part
from infra.up import NotReady, well
from projections.models import MODELS
from projections.tables import migrate
from tests.tcp_proxy import TcpProxy

NO_LIMIT = 10_000_000
READY_WITHIN_S = 180.0
OPEN_WITHIN_S = 60.0
AGAIN_AFTER_S = 0.5
"""Until the next start where nobody has said how long it is to be down."""
STOPPED_WITHIN_S = 20.0

type Say = Callable[[str], None]

ROLES = {
    "gateway-1": ("gateway", {}),
    "gateway-2": ("gateway", {"LOGISTICS_WITH_SHARDS": "false"}),
    "shards-1": ("shards", {}),
    "shards-2": ("shards", {}),
    "projector-1": ("projector", {"LOGISTICS_PROJECTOR": "projector-1"}),
    "projector-2": ("projector", {"LOGISTICS_PROJECTOR": "projector-2"}),
    "processes-1": ("processes", {}),
    "processes-2": ("processes", {}),
    "streams-1": ("streams", {}),
    "streams-2": ("streams", {}),
}
"""By name: the role, and what only this process is told. The second gateway owns no shards: it forwards."""
OWNERS = ("gateway-1", "shards-1", "shards-2")
GATEWAYS = ("gateway-1", "gateway-2")


class NotWell(RuntimeError):
    """It does not come up, or not back."""


class Kept:
    """A part that is started again whenever it ends, for as long as it is wanted."""

    def __init__(self, name: str, part: Part, say: Say) -> None:
        self.name, self.part, self._say = name, part, say
        self.up = asyncio.Event()
        self.down_s = AGAIN_AFTER_S
        self.ended_by_itself: Counter[int] = Counter()
        """By exit code: how often it ended though nobody had it ended."""
        self._wanted, self._ours = True, False
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        return self.part.child.pid

    async def start(self) -> None:
        await self.part.start()
        self.up.set()
        self._keeping = asyncio.create_task(self._keep(), name=self.name)

    def send(self, sign: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, sign)

    async def ended(self, sign: signal.Signals, down_s: float) -> None:
        """Returns once it is up again, so much later. An owner that is asked to end hands over first."""
        self._ours, self.down_s = True, down_s
        self.up.clear()
        self.send(sign)
        await self.up.wait()

    async def stop(self) -> None:
        """For good."""
        self._wanted = False
        self.send(signal.SIGCONT)
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self.part.stop()

    def failed(self) -> BaseException | None:
        """What it is not kept running any more for."""
        return self._keeping.exception() if self._keeping is not None and self._keeping.done() else None

    async def _keep(self) -> None:
        while self._wanted:
            code = await self.part.child.wait()
            self.up.clear()
            if not self._ours:
                self.ended_by_itself[code] += 1
                self._say(f"{self.name} ended by itself with {code}")
            if code == WRONG_SETTING:
                raise RuntimeError(f"{self.name} is set up wrong:\n{self.part.child.tail()}")
            await asyncio.sleep(self.down_s)
            await self._again()
            self._ours, self.down_s = False, AGAIN_AFTER_S
            self.up.set()

    async def _again(self) -> None:
        while True:
            try:
                await self.part.start()
            except Exception as failed:
                self._say(f"{self.name} does not start: {str(failed)[:300]}")
                await asyncio.sleep(AGAIN_AFTER_S)
            else:
                return


class Plant:
    def __init__(self, data: Path, brokers: int, say: Say) -> None:
        self.data, self._say = data, say
        self._settings = with_secrets(load_settings(data=data, brokers=brokers, replication=brokers))
        self.kafka_proxies = {node: TcpProxy(self._who) for node in range(1, brokers + 1)}
        advertised = {node: proxy.port for node, proxy in self.kafka_proxies.items()}
        self._engines = Brokers(data, self._settings.jars, brokers, advertised)
        self.postgres_proxy = TcpProxy(self._who)
        self.parts: dict[str, Kept] = {}
        self.gone_by_themselves: Counter[tuple[str, int]] = Counter()
        ports = free_ports(len(GATEWAYS))
        self._ports: Mapping[str, int] = dict(zip(GATEWAYS, ports, strict=True))

    @property
    def settings(self) -> Settings:
        """As clients and the checker need them: through the proxies."""
        return self._settings

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self._ports.values()]

    @property
    def brokers(self) -> list[str]:
        return list(self._engines.nodes)

    def proxies(self, link: str) -> list[TcpProxy]:
        """`kafka` for all brokers, `kafka-2` for one, `postgres`."""
        if link == "postgres":
            return [self.postgres_proxy]
        if link == "kafka":
            return list(self.kafka_proxies.values())
        return [self.kafka_proxies[self._engines.nodes[link].node]]

    async def start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        await self._start_engines()
        settings = self._settings
        await set_up_log(settings, client_args(settings))
        async with await AsyncConnection.connect(settings.postgres.get_secret_value()) as connection:
            await migrate(connection, MODELS.values())
        for name in ROLES:
            await self.add(name)
        await self.ready()

    async def _start_engines(self) -> None:
        data, settings = self.data, self._settings
        fetch_jars(settings.jars)
        osrm = EmbeddedOsrm(data / "osrm", settings.city_data, city_extract(settings.city, settings.sample_data))
        postgres = EmbeddedPostgres(data / "postgres")
        await asyncio.gather(
            self._keep("osrm", osrm),
            self._keep("postgres", postgres),
            *(self._keep(name, node) for name, node in self._engines.nodes.items()),
        )
        await self.postgres_proxy.start(postgres.port)
        for node in self._engines.nodes.values():
            await self.kafka_proxies[node.node].start(int(node.bootstrap.rpartition(":")[2]))
        through = postgres.dsn().replace(f":{postgres.port}/", f":{self.postgres_proxy.port}/")
        self._settings = settings.model_copy(
            update={
                "kafka": ",".join(proxy.address for proxy in self.kafka_proxies.values()),
                "postgres": SecretStr(through),
                "osrm": osrm.url,
                "owner_session_ms": OWNER_SESSION_MS,
            }
        )

    async def _keep(self, name: str, part: Part) -> Kept:
        kept = Kept(name, part, self._say)
        await kept.start()
        self.parts[name] = kept
        return kept

    async def add(self, name: str) -> Kept:
        """One of those that `ROLES` names, or another owner of shards."""
        role, more = ROLES.get(name, ("shards", {}))
        told = {"LOGISTICS_OWNER": name, "LOGISTICS_RATE_PER_S": str(NO_LIMIT), "LOGISTICS_RATE_BURST": str(NO_LIMIT)}
        if name in self._ports:
            told["LOGISTICS_HTTP_PORT"] = str(self._ports[name])
        return await self._keep(name, RoleProcess(role, self._settings, self.data / "logs", name, told | more))

    async def remove(self, name: str, sign: signal.Signals) -> None:
        """For good."""
        kept = self.parts.pop(name)
        kept.send(sign)
        await kept.stop()
        self._count(kept)

    async def ready(self) -> None:
        """Until every gateway says that all is well, and every shard is served. Raises NotWell."""
        for url in self.urls:
            await ready(url)
        await self._shards_open()

    async def _shards_open(self) -> None:
        said = ""
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                while True:
                    try:
                        closed = [state for state in (await listed(self._settings)).shards if not state.open]
                        if not closed:
                            return
                        said = "; ".join(f"{each.shard} of {each.owner}, to be {each.assigned_to}'s" for each in closed)
                    except (NotRunning, KafkaError) as failed:
                        said = str(failed)
                    await asyncio.sleep(0.5)
        except TimeoutError as late:
            raise NotWell(f"not every shard is open after {OPEN_WITHIN_S:.0f} s: {said}") from late

    async def stop(self) -> None:
        """Roles first, by force: in good order they would hand their shards over to each other."""
        engines = {"osrm", "postgres", *self.brokers}
        for kept in [kept for name, kept in self.parts.items() if name not in engines]:
            await self.remove(kept.name, signal.SIGKILL)
        await asyncio.gather(*(kept.stop() for kept in self.parts.values()), return_exceptions=True)
        for proxy in (*self.kafka_proxies.values(), self.postgres_proxy):
            await proxy.stop()

    def ends(self) -> Counter[tuple[str, int]]:
        """By part and exit code: how often it ended though nobody had it ended."""
        counted = Counter(self.gone_by_themselves)
        for kept in self.parts.values():
            counted.update({(kept.name, code): count for code, count in kept.ended_by_itself.items()})
        return counted

    def failed(self) -> None:
        """Raises what keeps a part from being kept running."""
        for kept in self.parts.values():
            if (failed := kept.failed()) is not None:
                raise failed

    def _count(self, kept: Kept) -> None:
        self.gone_by_themselves.update({(kept.name, code): n for code, n in kept.ended_by_itself.items()})

    def _who(self, port: int) -> str:
        """The part that comes from this port of ours."""
        socket = socket_of(port)
        for name, kept in self.parts.items():
            with suppress(OSError, AssertionError):
                fds = f"/proc/{kept.pid}/fd"
                for fd in os.listdir(fds):
                    with suppress(OSError):
                        if os.readlink(f"{fds}/{fd}") == socket:
                            return name
        return ""


def socket_of(port: int) -> str:
    """As the kernel names the socket that a connection from this local port has (proc(5), /proc/net/tcp)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}"):
            return f"socket:[{fields[9]}]"
    return "none"


async def ready(url: str) -> None:
    try:
        await well(url, READY_WITHIN_S)
    except NotReady as late:
        raise NotWell(str(late)) from late


@asynccontextmanager
async def running(data: Path, brokers: int, say: Say) -> AsyncIterator[Plant]:
    plant = Plant(data, brokers, say)
    try:
        await plant.start()
        yield plant
    finally:
        await plant.stop()
