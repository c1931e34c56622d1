"""The platform is asked over HTTP, by a message that it can verify."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.hydration import LookUpFailed, Wanted
from gateway.webhook_signature import ID, SIGNATURE, TIMESTAMP, key_of, verified
from infra.embedded.ports import free_port
from infra.look_ups import PlatformLookUps
from infra.role_gateway import look_ups_of
from infra.serving import server
from infra.settings import WrongSetting, load_settings

SECRET = "whsec_" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"


class Platform:
    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.status = 204

    async def asked(self, request: Request) -> Response:
        body = await request.body()
        headers = {name: request.headers.get(name.decode()) for name in (ID, TIMESTAMP, SIGNATURE)}
        now_s = int(request.headers["webhook-timestamp"])
        self.heard.append((verified(key_of(SECRET), headers, body, now_s), json.loads(body)))
        return Response(status_code=self.status)


@pytest.fixture
async def platform() -> AsyncIterator[tuple[Platform, str]]:
    at, port = Platform(), free_port()
    serving = server(Starlette(routes=[Route("/wanted", at.asked, methods=["POST"])]), "127.0.0.1", port)
    task = asyncio.create_task(serving.serve())
    while not serving.started:  # noqa: ASYNC110 - uvicorn tells it so
        await asyncio.sleep(0.01)
    yield at, f"http://127.0.0.1:{port}/wanted"
    serving.should_exit = True
    await task


async def test_it_is_told_what_is_wanted_in_a_message_that_it_knows_again(platform: tuple[Platform, str]):
    at, url = platform
    asks = PlatformLookUps(url, key_of(SECRET))
    await asks(Wanted("lumi"))
    await asks(Wanted("lumi", "kallio"))
    await asks(Wanted("lumi", "kallio"))
    await asks.stop()
    told = [(body["type"], body["data"]) for _, body in at.heard]
    of_outlet = ("logistics.outlet.wanted", {"tenant": "lumi", "outlet": "kallio"})
    assert told == [("logistics.tenant.wanted", {"tenant": "lumi"}), of_outlet, of_outlet]
    assert at.heard[1][0] != at.heard[0][0]


async def test_a_platform_that_refuses_or_is_not_there_is_told(platform: tuple[Platform, str]):
    at, url = platform
    at.status = 500
    asks = PlatformLookUps(url, key_of(SECRET))
    with pytest.raises(LookUpFailed, match="answered 500"):
        await asks(Wanted("lumi"))
    await asks.stop()
    nobody = PlatformLookUps(f"http://127.0.0.1:{free_port()}/wanted", key_of(SECRET))
    with pytest.raises(LookUpFailed, match="ConnectError"):
        await nobody(Wanted("lumi"))
    await nobody.stop()


def test_without_a_secret_nobody_is_asked():
    assert look_ups_of(load_settings()) is None
    with pytest.raises(WrongSetting, match="needs LOGISTICS_DIRECTORY_SECRET"):
        look_ups_of(load_settings(directory_url="http://platform.test/wanted"))


@pytest.mark.parametrize("secret", ["whsec_short", "whsec_not base64 at all!", "QUFB"])
def test_a_secret_of_another_kind_is_refused_and_not_told(secret: str):
    with pytest.raises(WrongSetting, match="LOGISTICS_DIRECTORY_SECRET=") as refused:
        load_settings(directory_secret=secret)
    assert secret not in str(refused.value)
