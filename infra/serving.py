"""An ASGI application on a port of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import uvicorn

WS_MESSAGE_BYTES = 1 << 20
"""What is larger ends the connection before it is read."""


class Server(uvicorn.Server):
    """Signals are the process's concern: what it serves beside this has to be ended in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(
    application: Any, host: str, port: int, lifespan: Literal["on", "off"] = "off", *, proxies: str = ""
) -> Server:
    """`proxies` are those whose word is taken for who asks: addresses and networks, with commas between."""
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan=lifespan,
        timeout_graceful_shutdown=5,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        ws_max_size=WS_MESSAGE_BYTES,
        ws_max_queue=4,
    )
    return Server(config)
