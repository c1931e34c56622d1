"""What a process can be. `logistics serve ROLE` runs one, `logistics up` all that it needs.

Each role is imported only where it runs.
"""

from collections.abc import Awaitable, Callable

from infra.settings import Settings

type Role = Callable[[Settings], Awaitable[None]]
"""Serves until it is cancelled. Gets settings with every address and secret filled in."""


async def gateway(settings: Settings) -> None:
    """The door, with shards in the same process unless LOGISTICS_WITH_SHARDS says no."""
    from infra.role_gateway import serve_gateway

    await serve_gateway(settings)


async def shards(settings: Settings) -> None:
    from infra.role_shards import serve_shards

    await serve_shards(settings)


async def projector(settings: Settings) -> None:
    from infra.role_projector import serve_projector

    await serve_projector(settings)


async def processes(settings: Settings) -> None:
    from infra.role_processes import serve_processes

    await serve_processes(settings)


async def streams(settings: Settings) -> None:
    from infra.role_streams import serve_streams

    await serve_streams(settings)


async def trainer(settings: Settings) -> None:
    from infra.role_trainer import serve_trainer

    await serve_trainer(settings)


async def demo(settings: Settings) -> None:
    """Deliveries played in a city, through the door like everybody's."""
    from infra.demo.role import serve_demo

    await serve_demo(settings)


ROLES: dict[str, Role] = {
    "gateway": gateway,
    "shards": shards,
    "projector": projector,
    "processes": processes,
    "streams": streams,
    "trainer": trainer,
    "demo": demo,
}

STARTED_BY_UP = ("gateway", "projector", "processes", "streams", "trainer")
STARTED_WITH_DEMO: tuple[str, ...] = ("demo",)
"""And these with `up --demo`."""
