"""Several routers: who does not answer rests, and the next is asked; the great circle stands in only for all of them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Literal

import msgspec
import pytest
from prometheus_client import REGISTRY
from riding_along import METRE
from story import NOON

from schemas.geo import Location
from streams.routing import routers
from streams.routing.matching import Matcher
from streams.routing.osrm import OsrmRouter
from streams.routing.routers import RouterFailed, Routers, RouterSaysNo
from streams.routing.tiles import OsrmTiles, StreetsUnavailable
from streams.telemetry.recorded import Point

STATION = Location(lat=60.1713, lon=24.9440)
HARBOUR = Location(lat=60.1677, lon=24.9465)
PATIENT_S = 20.0
"""Where nobody is silent nothing is to hang on how fast this machine is."""

type Mood = Literal["well", "silent", "broken", "garbled", "lost", "other"]


class LocalRouter:
    """Knows one way of so many seconds, and tells it over HTTP as its mood is."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.mood: Mood = "well"
        self.asked = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server.close_clients()
            await self._server.wait_closed()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).decode()
        while (await reader.readline()).strip():
            pass
        self.asked += 1
        if self.mood == "silent":
            await reader.read()  # until who asks has had enough
        else:
            status, body = self._said(path)
            head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()

    def _said(self, path: str) -> tuple[int, bytes]:
        match self.mood:
            case "broken":
                return 500, b'{"code": "Ok"}'
            case "garbled":
                return 200, b"<html>Welcome</html>"
            case "other":
                return 200, b'{"code": "Ok", "weather": "fine"}'
            case "lost":
                return 400, b'{"code": "NoRoute", "message": "Impossible route between points"}'
            case _:
                return 200, b"tile" if "/tile/" in path else msgspec.json.encode(self._told(path))

    def _told(self, path: str) -> dict[str, Any]:
        places = [{"distance": 1.0}, {"distance": 1.0}]
        line = {"coordinates": [[24.9440, 60.1713], [24.9465, 60.1677]]}
        if "/match/" in path:
            matching = {"confidence": 0.9, "distance": 60.0, "geometry": line}
            return {"code": "Ok", "matchings": [matching], "tracepoints": [{"matchings_index": 0}] * 4}
        leg = {"duration": self.seconds, "annotation": {"duration": [self.seconds], "distance": [500.0]}}
        return {"code": "Ok", "waypoints": places, "routes": [{"legs": [leg], "geometry": line}]}


@pytest.fixture
async def first() -> AsyncIterator[LocalRouter]:
    made = LocalRouter(100)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def second() -> AsyncIterator[LocalRouter]:
    made = LocalRouter(200)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(autouse=True)
def for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routers, "RESTS_S", 3_600)


async def seconds_of(router: OsrmRouter) -> float:
    """Of the way; 0 of the great circle."""
    way = await router.way([STATION, HARBOUR])
    return float(way.seconds[-1]) if way.source == "osrm" else 0


def outcomes(router: LocalRouter) -> dict[str, float]:
    named = {"router": f"127.0.0.1:{router.port}"}
    known = ("answered", "no_way", "silent", "gone", "wrong")
    counts = {
        outcome: REGISTRY.get_sample_value("logistics_router_answers_total", named | {"outcome": outcome}) or 0
        for outcome in known
    }
    return {outcome: count for outcome, count in counts.items() if count}


async def test_the_first_that_answers_is_asked_and_no_other(first, second):
    router = OsrmRouter(f"{first.url}, {second.url}/", PATIENT_S)
    assert [await seconds_of(router) for _ in range(3)] == [100, 100, 100]
    assert second.asked == 0
    assert outcomes(first) == {"answered": 3}
    await router.close()


@pytest.mark.parametrize("mood", ["broken", "garbled", "other"])
async def test_one_that_answers_wrong_rests_until_it_is_asked_again(first, second, mood, monkeypatch):
    router = OsrmRouter(f"{first.url},{second.url}", PATIENT_S)
    first.mood = mood
    assert [await seconds_of(router) for _ in range(3)] == [200, 200, 200]
    assert (first.asked, outcomes(first), outcomes(second)) == (1, {"wrong": 1}, {"answered": 3})
    first.mood = "well"
    monkeypatch.setattr(routers, "RESTS_S", 0)
    assert await seconds_of(router) == 100
    await router.close()


async def test_one_that_is_gone_rests_and_is_asked_again_when_it_is_back(first, second, monkeypatch):
    router = OsrmRouter(f"{first.url},{second.url}", PATIENT_S)
    await first.stop()
    assert [await seconds_of(router) for _ in range(2)] == [200, 200]
    assert outcomes(first) == {"gone": 1}
    await first.start()
    assert await seconds_of(router) == 200, "it rests still"
    monkeypatch.setattr(routers, "RESTS_S", 0)
    assert await seconds_of(router) == 100
    await router.close()


async def test_one_that_is_silent_leaves_the_next_its_share_of_the_time(first, second):
    router = OsrmRouter(f"{first.url},{second.url}", 4.0)
    first.mood = "silent"
    assert [await seconds_of(router) for _ in range(3)] == [200, 200, 200]
    assert (first.asked, outcomes(first)) == (1, {"silent": 1})
    await router.close()


async def test_when_all_rest_the_great_circle_stands_in_and_nobody_is_asked(first, second):
    router = OsrmRouter(f"{first.url},{second.url}", PATIENT_S)
    first.mood = second.mood = "broken"
    assert [await seconds_of(router) for _ in range(3)] == [0, 0, 0]
    assert (first.asked, second.asked) == (1, 1)
    await router.close()


async def test_that_there_is_no_way_is_an_answer(first, second):
    asked = Routers(f"{first.url},{second.url}", PATIENT_S)
    first.mood = "lost"
    for _ in range(2):
        with pytest.raises(RouterSaysNo, match="NoRoute"):
            await asked.told("/route/v1/driving/0,0;1,1", {}, lambda told: told)
    assert (first.asked, second.asked, outcomes(first)) == (2, 0, {"no_way": 2})
    await asked.aclose()


async def test_no_more_are_under_way_than_are_meant_to_be(first):
    first.mood = "silent"
    asked = Routers(first.url, 0.3, at_once=1)
    told = await asyncio.gather(
        *(asked.told("/route/v1/driving/0,0;1,1", {}, lambda told: told) for _ in range(3)), return_exceptions=True
    )
    assert {type(each) for each in told} == {RouterFailed}
    assert first.asked == 1
    await asked.aclose()


async def test_where_no_router_is_known_nobody_answers():
    with pytest.raises(RouterFailed, match="no router is known"):
        await Routers("").told("/route/v1/driving/0,0;1,1", {}, lambda told: told)


async def test_what_else_stands_in_an_address_is_not_told():
    assert routers.Asked("http://me:secret@router:5000/osrm").name == "router:5000"


async def test_trips_are_matched_by_the_next_router(first, second):
    first.mood = "garbled"
    matcher = Matcher(f"{first.url},{second.url}", PATIENT_S, PATIENT_S)
    points = [
        Point(observed_at=NOON + timedelta(seconds=5 * number), lat=60.17 + 50 * number * METRE, lon=24.94)
        for number in range(4)
    ]
    matched = await matcher.matched(points)
    assert (matched.status, matched.matched_metres, second.asked) == ("matched", 60, 1)
    await matcher.close()


async def test_streets_are_those_of_the_next_router_and_without_any_there_are_none(first, second):
    first.mood = "broken"
    streets = OsrmTiles(f"{first.url},{second.url}")
    assert await streets.tile(14, 9_325, 4_741) == b"tile"
    await second.stop()
    with pytest.raises(StreetsUnavailable, match="2 routers"):
        await streets.tile(14, 9_326, 4_741)
    await streets.close()
