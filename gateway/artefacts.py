"""Photos: put under their own SHA-256 before a proof names them, so that a phone sends one as often as it must."""

import re
from collections.abc import Iterator
from hashlib import sha256

import msgspec

from gateway.allowed import ARTEFACT_READERS, ARTEFACT_SENDERS
from gateway.call import Call
from gateway.door import ArtefactStore, Door
from gateway.entry import Entry
from gateway.problems import FieldError, Problem, not_found
from gateway.reply import Reply

DIGEST = re.compile(r"[0-9a-f]{64}")
MEDIA_TYPES = {"image/jpeg": (0, b"\xff\xd8\xff"), "image/png": (0, b"\x89PNG\r\n\x1a\n"), "image/webp": (8, b"WEBP")}
"""By the bytes at a place: what a sender calls it does not count."""


class Artefact(msgspec.Struct):
    sha256: str
    size_bytes: int
    media_type: str


class Artefacts:
    def __init__(self, door: Door, entry: Entry) -> None:
        self._door, self._entry, self._store = door, entry, door.artefacts

    async def put(self, call: Call) -> Reply:
        """201 where it is new, 200 where it was there."""
        self._entry.admitted(call, ARTEFACT_SENDERS, "put artefacts")
        digest = digest_of(call)
        content = await call.body(self._door.limits.artefact_bytes)
        if sha256(content).hexdigest() != digest:
            raise Problem("digest-differs", f"the body's SHA-256 is {sha256(content).hexdigest()}")
        kind = media_type(content)
        if kind is None:
            raise Problem("unsupported-media-type", f"a photo is one of {', '.join(MEDIA_TYPES)}")
        new = await self._store.put(call.param("tenant"), digest, content)
        told = Artefact(sha256=digest, size_bytes=len(content), media_type=kind)
        headers = [(b"content-type", b"application/json"), (b"location", call.path.encode())]
        return Reply(201 if new else 200, msgspec.json.encode(told), headers)

    async def get(self, call: Call) -> Reply:
        self._entry.admitted(call, ARTEFACT_READERS, "read artefacts")
        digest = digest_of(call)
        content = await self._store.get(call.param("tenant"), digest)
        if content is None:
            raise not_found(f"there is no artefact {digest}")
        headers = [
            (b"content-type", (media_type(content) or "application/octet-stream").encode()),
            (b"cache-control", b"private, max-age=31536000, immutable"),
            (b"x-content-type-options", b"nosniff"),
            (b"etag", f'"{digest}"'.encode()),
        ]
        return Reply(200, content, headers)


def digest_of(call: Call) -> str:
    """Raises Problem."""
    digest = call.param("id")
    if not DIGEST.fullmatch(digest):
        raise Problem("invalid-parameter", "an artefact is named by its SHA-256: 64 small hexadecimal digits")
    return digest


def media_type(content: bytes) -> str | None:
    for kind, (place, sign) in MEDIA_TYPES.items():
        if content[place : place + len(sign)] == sign:
            return kind
    return None


async def missing(store: ArtefactStore, tenant: str, command: msgspec.Struct) -> list[FieldError]:
    """Of a command that names photos: those that nobody has put."""
    return [
        FieldError(pointer, "no photo of this hash was put: PUT it under /v1/{tenant}/artefacts/{sha256} first")
        for pointer, digest in named(command)
        if not await store.has(tenant, digest)
    ]


def named(command: msgspec.Struct) -> Iterator[tuple[str, str]]:
    """Pointer and hash of each photo."""
    for number, proof in enumerate(getattr(command, "proofs", ())):
        if (digest := getattr(proof, "sha256", None)) is not None:
            yield f"/proofs/{number}/sha256", digest
    for number, evidence in enumerate(getattr(command, "evidence", ())):
        if isinstance(evidence, str):
            yield f"/evidence/{number}", evidence
        else:
            yield f"/evidence/{number}/sha256", evidence.sha256
