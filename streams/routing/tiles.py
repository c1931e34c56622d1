"""The streets as vector tiles (Mapbox Vector Tile 2.1, layer `speeds`), from an OSRM server."""

import math
from collections import OrderedDict

import httpx

from streams.routing.routers import RouterFailed, Routers

ZOOMS = range(12, 17)
"""OSRM draws none further out; further in, the same streets are only larger."""
MAX_KEPT_BYTES = 16 << 20
"""A tile of a city has 50 to 150 kB."""
MAX_TILE_BYTES = 4 << 20
MAX_AT_ONCE = 8


class StreetsUnavailable(Exception):
    """The server does not answer, or not with a tile."""


def is_tile(z: int, x: int, y: int) -> bool:
    return z in ZOOMS and 0 <= x < 1 << z and 0 <= y < 1 << z


def tile_at(lat: float, lon: float, z: int) -> tuple[int, int]:
    """x and y of the tile with this place, by Web Mercator (EPSG:3857)."""
    count = 1 << z
    south = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return min(count - 1, int((lon + 180) / 360 * count)), min(count - 1, max(0, int(south * count)))


class OsrmTiles:
    """Keeps what was asked for last. Where there are no streets a tile has no bytes."""

    def __init__(self, urls: str) -> None:
        self._routers = Routers(urls, at_once=MAX_AT_ONCE)
        self._kept: OrderedDict[tuple[int, int, int], bytes] = OrderedDict()
        self.kept_bytes = 0

    async def close(self) -> None:
        await self._routers.aclose()

    async def tile(self, z: int, x: int, y: int) -> bytes:
        """Raises StreetsUnavailable."""
        place = (z, x, y)
        if place in self._kept:
            self._kept.move_to_end(place)
            return self._kept[place]
        content = await self._asked(z, x, y)
        self._keep(place, content)
        return content

    async def _asked(self, z: int, x: int, y: int) -> bytes:
        assert is_tile(z, x, y), "only tiles that there are"
        try:
            return await self._routers.got(f"/tile/v1/driving/tile({x},{y},{z}).mvt", {}, content_of)
        except RouterFailed as failed:
            raise StreetsUnavailable(f"the streets' server does not answer: {failed!r}") from failed

    def _keep(self, place: tuple[int, int, int], content: bytes) -> None:
        self.kept_bytes += len(content) - len(self._kept.get(place, b""))
        self._kept[place] = content
        while self.kept_bytes > MAX_KEPT_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self.kept_bytes -= len(oldest)


def content_of(answer: httpx.Response) -> bytes:
    """Raises ValueError where it is no tile."""
    if not answer.is_success:
        raise ValueError(f"status {answer.status_code}")
    if len(answer.content) > MAX_TILE_BYTES:
        raise ValueError(f"a tile of {len(answer.content)} bytes")
    return answer.content
