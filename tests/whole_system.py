"""The whole system as a user starts it, in processes of its own, reached over HTTP and by Kafka's clients."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from gateway.tokens import Tokens
from infra.embedded.addresses import prepare_addresses
from infra.embedded.child import Child
from infra.embedded.city import city_extract
from infra.embedded.ports import free_port

READY_WITHIN_S = 90


@dataclass(frozen=True)
class WholeSystem:
    url: str
    kafka: str
    tokens: Tokens
    secrets: Path
    """The folder of what tenants may name as secrets."""


@asynccontextmanager
async def whole_system(data: Path, osrm: str, jars: Path) -> AsyncIterator[WholeSystem]:
    """On data of its own. The folder above `data` is open to the database's own user."""
    data.parent.chmod(0o755)
    secrets = data.parent / "tenants-secrets"
    secrets.mkdir()
    given = {"HTTP_PORT": free_port(), "OSRM": osrm, "JARS": jars.resolve(), "DATA": data}
    given |= {"PROVIDER_SECRETS": f"file:{secrets}/"}
    given["ADDRESSES"] = prepare_addresses(data.parent, city_extract("helsinki", None))
    child = Child(
        [sys.executable, "-m", "infra.cli", "up"],
        data.parent / "up.log",
        env={f"LOGISTICS_{name}": str(value) for name, value in given.items()},
    )
    await child.start()
    try:
        endpoints = await started(child, data)
        key = bytes.fromhex((data / "secrets" / "token_key").read_text().strip())
        yield WholeSystem(endpoints["http"], endpoints["kafka"], Tokens(key), secrets)
    finally:
        await child.stop()


async def started(child: Child, data: Path) -> dict[str, str]:
    """Where it is reached, once it says that all is well."""
    async with asyncio.timeout(READY_WITHIN_S), httpx.AsyncClient() as http:
        while True:
            assert child.running, child.tail()
            with suppress(FileNotFoundError, httpx.TransportError):
                endpoints: dict[str, str] = json.loads((data / "endpoints.json").read_text())
                if (await http.get(f"{endpoints['http']}/readyz")).is_success:
                    return endpoints
            await asyncio.sleep(0.2)
