"""An answer, before it is sent."""

from typing import Any

import msgspec

JSON = (b"content-type", b"application/json")


class Reply(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]]


def json_reply(body: Any, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None) -> Reply:
    return Reply(status, msgspec.json.encode(body), [JSON, *(headers or [])])
