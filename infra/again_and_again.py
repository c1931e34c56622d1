"""What a process does beside the facts that it follows, for as long as it runs."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiokafka.errors import KafkaError
from psycopg import OperationalError

from commands.order import Unavailable
from streams.process import NotNow

logger = structlog.get_logger()


async def again_and_again(
    what: str, go_on: Callable[[], Awaitable[int]], every_s: float, after_work_s: float | None = None
) -> None:
    """`go_on` tells how much it did; where that was something it goes on after the other time, if there is one. What
    is not there for a while is waited for."""
    while True:
        done = 0
        try:
            done = await go_on()
        except NotNow as later:
            logger.info(f"{what} wait", why=str(later))
        except (OperationalError, KafkaError, Unavailable) as lost:
            logger.warning(f"{what} wait", error=lost)
        await asyncio.sleep(after_work_s if done and after_work_s is not None else every_s)
