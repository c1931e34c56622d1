"""The API's pages: the description itself, and Swagger UI from local files."""

import asyncio
from functools import cache

import msgspec
import swagger_ui_bundle

from gateway.call import Call
from gateway.openapi import document
from gateway.problems import not_found
from gateway.reply import JSON, Reply

ASSETS = {
    "swagger-ui.css": b"text/css",
    "swagger-ui-bundle.js": b"text/javascript",
    "favicon-32x32.png": b"image/png",
}
PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Logistics API</title>
<link rel="icon" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, persistAuthorization: true});
</script>
</body>
</html>
"""


async def openapi(call: Call) -> Reply:
    """The first time others go on meanwhile: what each command can be refused by is read from the decisions' source."""
    return Reply(200, await asyncio.to_thread(encoded), [JSON, (b"cache-control", b"max-age=60")])


async def docs(call: Call) -> Reply:
    return Reply(200, PAGE, [(b"content-type", b"text/html; charset=utf-8")])


async def asset(call: Call) -> Reply:
    name = call.param("file")
    if name not in ASSETS:
        raise not_found()
    return Reply(200, content(name), [(b"content-type", ASSETS[name]), (b"cache-control", b"max-age=86400")])


@cache
def encoded() -> bytes:
    return msgspec.json.encode(document())


@cache
def content(name: str) -> bytes:
    file: bytes = (swagger_ui_bundle.swagger_ui_path / name).read_bytes()
    return file
