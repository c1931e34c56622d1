"""Whether we live, whether we are ready, and what we count."""

import asyncio

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.call import Call
from gateway.door import Door
from gateway.parameters import Parameter, parameters_of
from gateway.reply import Reply, json_reply

VERBOSE = Parameter(lambda value: value, {"type": "string", "maxLength": 10}, "Tell of each part.")
READY_WITHIN_S = 5.0


async def livez(call: Call) -> Reply:
    """The process answers; nothing else is asked."""
    return json_reply({"status": "ok"})


async def metrics(call: Call) -> Reply:
    return Reply(200, generate_latest(), [(b"content-type", CONTENT_TYPE_LATEST.encode())])


class Readiness:
    def __init__(self, door: Door) -> None:
        self._door = door

    async def readyz(self, call: Call) -> Reply:
        """503 while any part is not `ok`; with `verbose` it tells which."""
        verbose = "verbose" in parameters_of(call, {"verbose": VERBOSE})
        parts = await self._parts()
        ready = all(state == "ok" for state in parts.values())
        body: dict[str, object] = {"status": "ok" if ready else "not ready"}
        if verbose:
            body["parts"] = parts
        return json_reply(body, 200 if ready else 503, [] if ready else [(b"retry-after", b"1")])

    async def _parts(self) -> dict[str, str]:
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                return dict(await self._door.readiness())
        except TimeoutError:
            return {"readiness": f"no answer within {READY_WITHIN_S:g} s"}
        except Exception as failed:  # whatever it is, we are not ready
            return {"readiness": f"failed: {type(failed).__name__}"}
