"""The index of addresses of an OpenStreetMap extract, as a provider: it asks nobody, and costs nothing."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from streams.addresses.index import AddressIndex
from streams.routing.provider import Candidate, Provider
from streams.routing.wire import Wire


class Osm(Provider):
    name = "osm"

    def __init__(self, wire: Wire, index: AddressIndex) -> None:
        super().__init__(wire, "osm")
        self._index = index
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="addresses")

    def close(self) -> None:
        self._thread.shutdown()
        self._index.close()

    async def geocode(self, text: str) -> list[Candidate]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._index.find, text)
