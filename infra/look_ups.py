"""Asks the platform for a tenant or an outlet: a signed message, answered by a call back."""

import time
from datetime import UTC, datetime

import httpx
import msgspec

from gateway.hydration import LookUpFailed, Wanted
from gateway.webhook_signature import signed
from schemas.ids import derived

WITHIN_S = 10.0
CONNECT_WITHIN_S = 3.0
EVERY_S = 60
"""Several gateways that ask for the same within a minute send the same message."""


class PlatformLookUps:
    def __init__(self, url: str, key: bytes) -> None:
        self._url, self._key = url, key
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(WITHIN_S, connect=CONNECT_WITHIN_S), trust_env=False)

    async def __call__(self, wanted: Wanted) -> None:
        """Raises LookUpFailed."""
        at_s = int(time.time())
        message_id = derived("look-up", wanted.tenant, wanted.outlet or "", str(at_s // EVERY_S))
        kind = "tenant" if wanted.outlet is None else "outlet"
        body = msgspec.json.encode(
            {
                "type": f"logistics.{kind}.wanted",
                "timestamp": datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z"),
                "data": {name: value for name, value in msgspec.to_builtins(wanted).items() if value is not None},
            }
        )
        headers = signed(self._key, message_id, at_s, body) | {"content-type": "application/json"}
        try:
            answer = await self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as failed:
            raise LookUpFailed(f"{self._url}: {failed!r}") from failed
        if not answer.is_success:
            raise LookUpFailed(f"{self._url} answered {answer.status_code}")

    async def stop(self) -> None:
        await self._client.aclose()
