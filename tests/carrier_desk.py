"""A carrier's own system: told on its channel what it is offered, and answers by signed calls."""

import asyncio
import json
import time
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.webhook_signature import ID, SIGNATURE, TIMESTAMP, key_of, signed, verified
from infra.embedded.ports import free_port
from infra.serving import server

WORD = "whsec_" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"
WITHIN_S = 30

type Json = dict[str, Any]


class CarrierDesk:
    """`status` is what it answers; `told` are the messages that it took, each once by its id."""

    def __init__(self) -> None:
        self.status = 204
        self.told: dict[str, Json] = {}
        self.came = 0
        self._port = free_port()
        self._server = server(
            Starlette(routes=[Route("/offers", self._hears, methods=["POST"])]), "127.0.0.1", self._port
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/offers"

    async def start(self) -> None:
        self._serving = asyncio.create_task(self._server.serve())
        while not self._server.started:  # noqa: ASYNC110 - uvicorn tells it so
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self._server.should_exit = True
        await self._serving

    async def _hears(self, request: Request) -> Response:
        body = await request.body()
        headers = {name: request.headers.get(name.decode()) for name in (ID, TIMESTAMP, SIGNATURE)}
        message = verified(key_of(WORD), headers, body, time.time())
        self.came += 1
        if self.status < 300:
            self.told[message] = json.loads(body)
        return Response(status_code=self.status)

    async def hears(self, kind: str, **of: Any) -> Json:
        """Waits for such a message, and tells what is in it."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                for told in self.told.values():
                    if told["type"] == kind and of.items() <= told["data"].items():
                        data: Json = told["data"]
                        return data
                await asyncio.sleep(0.05)


async def answers(http: httpx.AsyncClient, url: str, message: str, kind: str, data: Json, at: str) -> httpx.Response:
    """`url` is the carrier's way in, `message` its own id of what it says."""
    body = json.dumps({"type": kind, "timestamp": at, "data": data}).encode()
    headers = signed(key_of(WORD), message, int(time.time()), body) | {"content-type": "application/json"}
    return await http.post(url, content=body, headers=headers)
