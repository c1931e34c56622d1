"""Kafka, PostgreSQL and OSRM under a supervisor: embedded where no address is set, else as the settings say."""

from pathlib import Path

from pydantic import SecretStr

from infra.embedded.addresses import prepare_addresses
from infra.embedded.brokers import Brokers, count_on
from infra.embedded.city import city_extract
from infra.embedded.jars import fetch_jars, locked_jars
from infra.embedded.osrm import EmbeddedOsrm
from infra.embedded.postgres import EmbeddedPostgres
from infra.settings import Settings, WrongSetting
from infra.stages import Stages
from infra.supervisor import Supervisor

OWNER_SESSION_MS = 2_000
"""The embedded brokers allow it: who was killed is missed sooner."""


async def started_engines(settings: Settings, supervisor: Supervisor, stages: Stages) -> Settings:
    """The settings with every engine's address. Raises WrongSetting, StageFailed; what came up before stays with the
    supervisor.

    Stopped the other way round: Kafka last started, first stopped.
    """
    settings = with_brokers(settings)
    if not settings.osrm:
        settings = await _osrm(settings, supervisor, stages)
    postgres = settings.postgres.get_secret_value() or await _postgres(settings, supervisor, stages)
    session_ms = settings.owner_session_ms if settings.kafka else OWNER_SESSION_MS
    kafka = settings.kafka or await _kafka(settings, supervisor, stages)
    return settings.model_copy(update={"owner_session_ms": session_ms, "kafka": kafka, "postgres": SecretStr(postgres)})


def with_brokers(settings: Settings) -> Settings:
    """As many as the data's first start had, and of each topic a replica on each of three. Raises WrongSetting."""
    if settings.kafka:
        if settings.brokers:
            raise WrongSetting(
                f"LOGISTICS_BROKERS={settings.brokers} (--brokers): LOGISTICS_KAFKA is set, so none is started here"
            )
        return settings
    there = count_on(settings.data)
    asked = settings.brokers or there or 1
    if there not in (None, asked):
        raise WrongSetting(
            f"LOGISTICS_BROKERS={asked} (--brokers): {settings.data} was first started with {there}, which cannot be "
            "changed; leave it out, or name another folder by --data"
        )
    replication = settings.replication if asked == 1 else asked
    return settings.model_copy(update={"brokers": asked, "replication": replication})


async def _kafka(settings: Settings, supervisor: Supervisor, stages: Stages) -> str:
    with stages.stage("Kafka's jars") as stage:
        fetch_jars(settings.jars)
        stage.size_bytes = sum(jar.size_bytes for jar in locked_jars())
    with stages.stage("Kafka 4.4") as stage:
        brokers = Brokers(settings.data, settings.jars, settings.brokers)
        await supervisor.start(**brokers.nodes)
        stage.note = brokers.bootstrap
    return brokers.bootstrap


async def _postgres(settings: Settings, supervisor: Supervisor, stages: Stages) -> str:
    with stages.stage("PostgreSQL 18") as stage:
        engine = EmbeddedPostgres(settings.data / "postgres")
        await supervisor.start(postgres=engine)
        stage.note = f"127.0.0.1:{engine.port}"
    if engine.opened:
        folders = ", ".join(map(str, engine.opened))
        stages.say(f"  PostgreSQL does not run as root; its user may now pass through (not list): {folders}")
    return engine.dsn()


async def _osrm(settings: Settings, supervisor: Supervisor, stages: Stages) -> Settings:
    """With its address, and the addresses of its city."""
    with stages.stage(f"Streets of {settings.city.title()}") as stage:
        extract = city_extract(settings.city, settings.sample_data)
        engine = EmbeddedOsrm(settings.data / "osrm", settings.city_data, extract)
        await engine.prepare()
        stage.size_bytes = _size_bytes(engine.streets.parent)
    with stages.stage("OSRM") as stage:
        await supervisor.start(osrm=engine)
        stage.note = engine.url
    addresses = settings.addresses
    if addresses is None:
        with stages.stage("Addresses") as stage:
            addresses = prepare_addresses(settings.city_data, extract)
            stage.size_bytes = addresses.stat().st_size
    return settings.model_copy(update={"osrm": engine.url, "addresses": addresses})


def _size_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
