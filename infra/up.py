"""`logistics up`: everything on this machine, supervised, until it is told to stop."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, nullcontext, suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from infra.embedded import leftover
from infra.embedded.ports import is_free
from infra.endpoints import Endpoints, only_one, publish
from infra.engines import started_engines
from infra.kafka import client_args
from infra.ledger import Bookkeeper
from infra.log_setup import set_up_log
from infra.observability import quiet
from infra.ready import Pulse, welcome
from infra.role_process import RoleProcess
from infra.roles import STARTED_BY_UP, STARTED_WITH_DEMO
from infra.settings import PREFIX, Settings, WrongSetting, load_settings, with_secrets
from infra.stages import Stages
from infra.supervisor import Supervisor

READY_WITHIN_S = 120.0


class NotReady(RuntimeError):
    """The roles run and yet the door does not say that all is well."""


def up(demo: bool, data: Path | None, brokers: int | None, owners: int | None) -> None:
    """Raises WrongSetting, AlreadyRunning, StageFailed, GaveUp."""
    settings = load_settings(data=data, brokers=brokers, owners=owners)
    quiet()
    with only_one(settings.data):
        asyncio.run(run(with_secrets(settings), demo))


async def run(settings: Settings, demo: bool) -> None:
    stages = Stages(Console(file=sys.stdout))
    supervisor = Supervisor(stages.say)
    stopped = stop_signals()
    try:
        await unless(stopped, started(settings, supervisor, stages, demo, stopped))
        stages.say("stopping")
    finally:
        await supervisor.stop()


async def unless(stopped: asyncio.Event, starting: Coroutine[Any, Any, None]) -> None:
    """A stop asked for while it still starts ends that too."""
    task, stopping = asyncio.create_task(starting), asyncio.create_task(stopped.wait())
    await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not task.done():
        task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def started(
    settings: Settings, supervisor: Supervisor, stages: Stages, demo: bool, stopped: asyncio.Event
) -> None:
    """All parts, in order; then they are watched. Raises WrongSetting, StageFailed, GaveUp."""
    logs = settings.data / "logs"
    for left in logs.glob("*.pid"):
        await leftover.end(left)
    if not is_free(settings.http_port, settings.http_host):
        raise WrongSetting(f"LOGISTICS_HTTP_PORT={settings.http_port}: something else listens there; name another port")
    outside = bool(settings.kafka)
    settings = await started_engines(settings, supervisor, stages)
    with stages.stage("Topics") as stage:
        made = await set_up_log(settings, client_args(settings), outside=outside)
        stage.note = f"{len(made)} made" if made else ""
    roles = (*STARTED_BY_UP, *(STARTED_WITH_DEMO if demo else ()))
    async with pulse_of(settings, stages) if demo else nullcontext() as beat:
        with stages.stage("Ready"):
            await supervisor.start(**processes(settings, roles))
            publish(settings.data, endpoints(settings))
            await ready(supervisor, address(settings))
        for said in welcome(settings, address(settings), demo):
            stages.say(said)
        if beat is not None:
            beat()
        await supervisor.watch(stopped)


def processes(settings: Settings, roles: Iterable[str]) -> dict[str, RoleProcess]:
    """By the names that they are supervised under, and that owners of shards announce."""
    named = {role: role for role in roles} | {f"shards-{n}": "shards" for n in range(2, settings.owners + 1)}
    before = f"{settings.owner}-" if settings.owner else ""
    ports = metrics_ports(settings, named.values())
    return {
        name: RoleProcess(
            role,
            settings,
            settings.data / "logs",
            name,
            {f"{PREFIX}OWNER": f"{before}{name}", f"{PREFIX}METRICS_PORT": str(port)},
        )
        for (name, role), port in zip(named.items(), ports, strict=True)
    }


def metrics_ports(settings: Settings, roles: Iterable[str]) -> list[int]:
    """One after the other; the gateway, which tells its own by HTTP, has none."""
    free = count(settings.metrics_port)
    return [next(free) if settings.metrics_port and role != "gateway" else 0 for role in roles]


@asynccontextmanager
async def pulse_of(settings: Settings, stages: Stages) -> AsyncIterator[Callable[[], None]]:
    """Keeps the books of the play from here on; how it goes is told from when what is given is called."""
    books = Bookkeeper(client_args(settings), settings.partitions, settings.data / "journals")
    beating: list[asyncio.Task[None]] = []

    def beat() -> None:
        beating.append(asyncio.create_task(Pulse(settings, books, stages.console).beat()))
        beating[0].add_done_callback(lambda pulse: pulse_ended(pulse, stages))

    await books.start()
    try:
        yield beat
    finally:
        for pulse in beating:
            pulse.cancel()
        await asyncio.gather(*beating, return_exceptions=True)
        await books.stop()


def pulse_ended(pulse: asyncio.Task[None], stages: Stages) -> None:
    """The system goes on without it, and nobody must take the last line for its state."""
    if not pulse.cancelled() and (failed := pulse.exception()) is not None:
        stages.say(f"how the play goes is not told any more: {failed!r}")


def endpoints(settings: Settings) -> Endpoints:
    return Endpoints(
        pid=os.getpid(),
        http=address(settings),
        kafka=settings.kafka,
        postgres=settings.postgres.get_secret_value(),
        osrm=settings.osrm,
        addresses=None if settings.addresses is None else str(settings.addresses.resolve()),
        replication=settings.replication,
        fsync=settings.fsync,
        owner_session_ms=settings.owner_session_ms,
    )


def address(settings: Settings) -> str:
    return f"http://{settings.http_host}:{settings.http_port}"


async def ready(supervisor: Supervisor, url: str) -> None:
    """Until the door says that every part is well. Raises NotReady, GaveUp."""
    never = asyncio.Event()
    keeping = asyncio.create_task(supervisor.watch(never))
    asking = asyncio.create_task(well(url, READY_WITHIN_S))
    try:
        done, _ = await asyncio.wait([keeping, asking], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        keeping.cancel()
        asking.cancel()


async def well(url: str, within_s: float) -> None:
    """Raises NotReady."""
    loop = asyncio.get_running_loop()
    end, said = loop.time() + within_s, "it did not answer"
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
        while loop.time() < end:
            try:
                answer = await client.get(f"{url}/readyz?verbose")
            except httpx.TransportError as failed:
                said = repr(failed)
            else:
                if answer.is_success:
                    return
                said = answer.text
            await asyncio.sleep(0.1)
    raise NotReady(f"{url}/readyz was not well within {within_s:.0f} s: {said}")


def stop_signals() -> asyncio.Event:
    """Set by Ctrl-C, by SIGTERM and by the terminal's end. A second Ctrl-C ends us at once, and the kernel the rest."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked() -> None:
        stopped.set()
        loop.remove_signal_handler(signal.SIGINT)

    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(sign, asked)
    return stopped
