"""`logistics serve ROLE`: one role in this process, until it is told to stop."""

import asyncio
import signal

import structlog
import uvloop
from prometheus_client import start_http_server

from infra import broken_connections
from infra.endpoints import reached
from infra.garbage import look_seldom
from infra.observability import configure
from infra.roles import ROLES, Role
from infra.settings import Settings, WrongSetting, load_settings, with_secrets

logger = structlog.get_logger()


class CancelledFromWithin(RuntimeError):
    """A library's own cancellation came out of the role: it has failed, and whoever keeps it is to know."""


def serve(role: str) -> None:
    """Raises WrongSetting, NotRunning and what the role raises."""
    if role not in ROLES:
        raise WrongSetting(f"there is no role {role!r}: choose one of {', '.join(ROLES)}")
    settings = with_secrets(reached(load_settings()))
    configure(settings)
    tell_metrics(settings)
    broken_connections.told_as_such()
    look_seldom()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_told(ROLES[role], role, settings))


def tell_metrics(settings: Settings) -> None:
    """To Prometheus, from a thread of its own. Raises WrongSetting."""
    if not settings.metrics_port:
        return
    try:
        start_http_server(settings.metrics_port, settings.metrics_host)
    except OSError as taken:
        where = f"{settings.metrics_host}:{settings.metrics_port}"
        raise WrongSetting(f"LOGISTICS_METRICS_PORT: nothing can listen on {where}: {taken.strerror}") from taken


async def until_told(serving: Role, name: str, settings: Settings) -> None:
    """Cancels the role on SIGTERM or SIGINT and lets it finish. Raises CancelledFromWithin."""
    task = asyncio.ensure_future(serving(settings))
    told = asyncio.Event()

    def stop() -> None:
        told.set()
        task.cancel()

    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop)
    logger.info("role starts", role=name)
    try:
        await task
    except asyncio.CancelledError as cancelled:
        if not told.is_set():
            raise CancelledFromWithin(f"{name} was cancelled, and nobody had asked for that") from cancelled
        logger.info("role stopped", role=name)
