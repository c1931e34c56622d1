"""Who asks, as a server tells its application: whoever is connected, or whom a proxy of ours names."""

import asyncio
from typing import Any

import httpx
import pytest

from infra.embedded.ports import free_port
from infra.serving import server

NAMED = {"x-forwarded-for": "203.0.113.9"}


async def who_asks(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["client"][0].encode()})


@pytest.mark.parametrize(
    ("proxies", "seen"),
    [
        ("", "127.0.0.1"),
        ("10.0.0.0/8", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9"),
        ("10.0.0.1, 127.0.0.0/8", "203.0.113.9"),
    ],
)
async def test_only_a_proxy_of_ours_says_who_asks(proxies, seen):
    port = free_port()
    serving = server(who_asks, "127.0.0.1", port, proxies=proxies)
    task = asyncio.create_task(serving.serve())
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=20)) as client:
        answer = await client.get(f"http://127.0.0.1:{port}/", headers=NAMED)
    serving.should_exit = True
    await task
    assert answer.text == seen
