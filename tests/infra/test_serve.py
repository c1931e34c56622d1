"""How a role ends: told to stop it stops, and whatever else ends it has failed."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from infra.serve import CancelledFromWithin, until_told
from infra.settings import Settings


@pytest.fixture(autouse=True)
async def _signals() -> AsyncIterator[None]:
    yield
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(sign)


async def test_told_to_stop_it_finishes_and_has_not_failed():
    finished = asyncio.Event()

    async def role(settings: Settings) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            finished.set()

    await until_told(role, "gateway", Settings())
    assert finished.is_set()


async def test_cancelled_by_what_it_stands_on_it_has_failed():
    async def role(settings: Settings) -> None:
        raise asyncio.CancelledError

    with pytest.raises(CancelledFromWithin, match="gateway was cancelled"):
        await until_told(role, "gateway", Settings())
