"""The router asked: by road where there is one; else by the great circle, and that is said."""

import asyncio

import pytest

from schemas.geo import Location
from streams.routing.osrm import OsrmRouter

STATION = Location(lat=60.1713, lon=24.9440)
HARBOUR = Location(lat=60.1677, lon=24.9465)
SYDNEY = Location(lat=-33.86, lon=151.2)


@pytest.fixture
async def router(osrm: str):
    made = OsrmRouter(osrm)
    yield made
    await made.close()


async def test_a_way_goes_by_road_through_all_its_stops(router):
    way = await router.way([STATION, HARBOUR, STATION])
    assert way.source == "osrm"
    assert len(way.stops) == 2
    assert way.metres[-1] > 600


async def test_a_place_far_from_any_street_is_not_where_the_map_ends(router):
    way = await router.way([STATION, SYDNEY])
    assert way.source == "great_circle"
    assert way.metres[-1] > 15_000_000


async def test_a_router_that_is_silent_is_not_asked_again_at_once():
    asked = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        await asyncio.sleep(5)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    router = OsrmRouter(f"http://127.0.0.1:{port}", timeout_s=0.2)
    ways = [await router.way([STATION, HARBOUR]) for _ in range(5)]
    assert {way.source for way in ways} == {"great_circle"}
    assert len(asked) == 1
    await router.close()
    server.close()
