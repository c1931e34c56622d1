"""The console at `/`: its files, which know nothing, and the streets under its map, for those with a token."""

import re
from functools import cache
from hashlib import sha256
from pathlib import Path

from gateway.call import Call
from gateway.door import Door, Streets
from gateway.entry import Entry
from gateway.problems import Problem, not_found
from gateway.reply import Reply
from streams.routing.tiles import StreetsUnavailable, is_tile

FILES = Path(__file__).with_name("console")
TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
MVT = b"application/vnd.mapbox-vector-tile"
NUMBER = re.compile(r"[0-9]{1,6}")
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    b"trusted-types 'none'"
)
"""No script but our files', no text that becomes a script, no request to anybody else."""

GUARDS = [
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


class Console:
    def __init__(self, door: Door, entry: Entry) -> None:
        self._door = door
        self._entry = entry

    async def index(self, call: Call) -> Reply:
        return served(call, FILES, "index.html")

    async def file(self, call: Call) -> Reply:
        return served(call, FILES, call.param("file"))

    async def tile(self, call: Call) -> Reply:
        """Raises Problem: 404 for a tile that there is not, 503 while the streets' server is away."""
        self._entry.caller(call)
        return await street_tile(self._door.streets, *tile_of(call))


def tile_of(call: Call) -> tuple[int, int, int]:
    """The zoom, x and y of the path. Raises Problem for what can be no tile."""
    numbers = [call.param(name) for name in ("z", "x", "y")]
    if not all(NUMBER.fullmatch(number) for number in numbers):
        raise not_found("there is no such tile")
    z, x, y = map(int, numbers)
    if not is_tile(z, x, y):
        raise not_found("there is no such tile")
    return z, x, y


async def street_tile(streets: Streets | None, z: int, x: int, y: int) -> Reply:
    """Raises Problem: 404 where there are no streets, 503 while their server is away."""
    if streets is None:
        raise not_found("there is no such tile")
    try:
        content = await streets.tile(z, x, y)
    except StreetsUnavailable as away:
        raise Problem("streets-unavailable", str(away), retry_after_s=5) from away
    return Reply(200, content, [(b"content-type", MVT), (b"cache-control", b"private, max-age=86400")])


def served(call: Call, files: Path, name: str) -> Reply:
    """One of our own files, by its name alone: no path leads anywhere else. A browser asks each time, by its ETag."""
    if name not in names(files):
        raise not_found()
    content, etag = loaded(files / name)
    headers = [(b"etag", etag), (b"cache-control", b"no-cache"), *GUARDS]
    if call.header(b"if-none-match") == etag.decode():
        return Reply(304, b"", headers)
    return Reply(200, content, [(b"content-type", TYPES[Path(name).suffix]), *headers])


@cache
def names(files: Path) -> frozenset[str]:
    return frozenset(file.name for file in files.iterdir() if file.suffix in TYPES)


@cache
def loaded(file: Path) -> tuple[bytes, bytes]:
    content = file.read_bytes()
    return content, b'"%s"' % sha256(content).hexdigest()[:32].encode()
