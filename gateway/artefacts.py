"""Photos: put under their own SHA-256 before a proof names them, so that a phone sends one as often as it must.

What is kept is made anew from what was sent (docs/adr/0007-artefacts.md), and is found under the hash of either.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256

import msgspec

from gateway import log
from gateway.allowed import ARTEFACT_READERS, ARTEFACT_SENDERS
from gateway.artefact_links import LINK_PARAMETERS, LinkAsked, LinkGiven, link_for, reader_of
from gateway.call import Call, too_large
from gateway.door import ArtefactStore, Door
from gateway.entry import Entry
from gateway.parameters import parameters_of
from gateway.pictures import NotAPicture, Picture, TooLargeAnew, TooManyPixels, made_anew
from gateway.problems import FieldError, Problem, not_found
from gateway.reply import Reply, json_reply
from gateway.validation import decoded, invalid
from schemas.simulation import PICTURE, PICTURE_SHA256

DIGEST = re.compile(r"[0-9a-f]{64}")
SIGNS = {"image/jpeg": (0, b"\xff\xd8\xff"), "image/png": (0, b"\x89PNG\r\n\x1a\n"), "image/webp": (8, b"WEBP")}
AT_ONCE = 2
"""Pictures made anew at a time: each may take 400 MB and a core."""

MISSING = "no photo of this hash was put: PUT it under /v1/{tenant}/artefacts/{sha256} first"
BUILT_IN = {PICTURE_SHA256: PICTURE}
ASKED = msgspec.json.Decoder(LinkAsked)


class Artefact(msgspec.Struct):
    """`sha256` names what was sent, `kept_sha256` what is kept of it; either finds it."""

    sha256: str
    kept_sha256: str
    size_bytes: int
    media_type: str


class Artefacts:
    def __init__(self, door: Door, entry: Entry) -> None:
        self._door, self._entry, self._store = door, entry, door.artefacts
        self._making = asyncio.Semaphore(AT_ONCE)

    async def put(self, call: Call) -> Reply:
        """201 where it is new, 200 where it was there."""
        self._entry.admitted(call, ARTEFACT_SENDERS, "put artefacts")
        tenant, digest = call.param("tenant"), digest_of(call)
        content = await call.body(self._door.limits.artefact_bytes)
        if sha256(content).hexdigest() != digest:
            raise Problem("digest-differs", f"the body's SHA-256 is {sha256(content).hexdigest()}")
        known = await self._store.kept(tenant, digest)
        if known is None or not await self._store.is_fresh(tenant, digest):
            made = content if known == digest else (await self._made_anew(content)).content
            kept = sha256(made).hexdigest()
            await self._store.put(tenant, digest, kept, made)
        else:
            made, kept = await self._found(tenant, known), known
        told = Artefact(digest, kept, len(made), media_type(made))
        return json_reply(told, 201 if known is None else 200, [(b"location", call.path.encode())])

    async def get(self, call: Call) -> Reply:
        """By a token, or by a link."""
        digest, link = digest_of(call), parameters_of(call, LINK_PARAMETERS).get("link")
        if link is None:
            self._entry.admitted(call, ARTEFACT_READERS, "read artefacts")
        else:
            caller = reader_of(link, call.param("tenant"), digest, self._door.secrets)
            self._entry.again(caller)
            self._entry.let_in(call, caller, ARTEFACT_READERS, "read artefacts")
        content = await self._found(call.param("tenant"), digest)
        log.artefact_read(call, digest, by_link=link is not None)
        return Reply(200, content, [*headers_of(content, digest), caching(by_link=link is not None)])

    async def link(self, call: Call) -> Reply:
        caller = self._entry.admitted(call, ARTEFACT_READERS, "read artefacts")
        tenant, digest = call.param("tenant"), digest_of(call)
        lasts_s = decoded(ASKED, LinkAsked, await call.body(self._door.limits.body_bytes)).expires_in_s
        if digest not in BUILT_IN and await self._store.kept(tenant, digest) is None:
            raise not_found(f"there is no artefact {digest}")
        word = link_for(caller, tenant, digest, self._door.secrets, lasts_s)
        url = f"/v1/{tenant}/artefacts/{digest}?link={word}"
        return json_reply(LinkGiven(url, lasts_s), 201, [(b"cache-control", b"no-store")])

    async def _found(self, tenant: str, digest: str) -> bytes:
        content = BUILT_IN.get(digest) or await self._store.get(tenant, digest)
        if content is None:
            raise not_found(f"there is no artefact {digest}")
        return content

    async def _made_anew(self, content: bytes) -> Picture:
        limits = self._door.limits
        async with self._making:
            try:
                return await asyncio.to_thread(made_anew, content, limits.artefact_bytes, limits.artefact_pixels)
            except NotAPicture as broken:
                raise Problem("unsupported-media-type", str(broken)) from broken
            except TooManyPixels as bomb:
                raise Problem("too-many-pixels", str(bomb), values={"limit_pixels": bomb.limit}) from bomb
            except TooLargeAnew as large:
                raise too_large(limits.artefact_bytes) from large


def digest_of(call: Call) -> str:
    """Raises Problem."""
    digest = call.param("id")
    if not DIGEST.fullmatch(digest):
        raise Problem("invalid-parameter", "an artefact is named by its SHA-256: 64 small hexadecimal digits")
    return digest


def media_type(content: bytes) -> str:
    """Of what is kept."""
    for kind, (place, sign) in SIGNS.items():
        if content[place : place + len(sign)] == sign:
            return kind
    return "application/octet-stream"


def headers_of(content: bytes, digest: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", media_type(content).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"etag", f'"{digest}"'.encode()),
    ]


def caching(*, by_link: bool) -> tuple[bytes, bytes]:
    """What a link showed is not to be there once the link is over."""
    return (b"cache-control", b"private, no-store" if by_link else b"private, max-age=31536000, immutable")


# Commands that name artefacts


async def with_kept[C: msgspec.Struct](store: ArtefactStore, tenant: str, command: C) -> C:
    """The command with what is kept of each photo that its proofs name. Raises Problem for photos that nobody has put,
    and where the caller fills in what is kept."""
    digests = sorted({digest for _, digest in named(command)})
    found = await asyncio.gather(*(store.kept(tenant, digest) for digest in digests))
    kept = dict(zip(digests, found, strict=True))
    missing = [FieldError(pointer, MISSING) for pointer, digest in named(command) if kept[digest] is None]
    errors = [*filled(command), *missing]
    if errors:
        raise invalid(errors)
    proofs = getattr(command, "proofs", None)
    if not kept or not proofs:
        return command
    return msgspec.structs.replace(command, proofs=[kept_in(proof, kept) for proof in proofs])


def kept_in[P: msgspec.Struct](proof: P, kept: Mapping[str, str | None]) -> P:
    digest = getattr(proof, "sha256", None)
    return proof if digest is None else msgspec.structs.replace(proof, kept_sha256=kept[digest])


def filled(command: msgspec.Struct) -> Iterator[FieldError]:
    for number, proof in enumerate(getattr(command, "proofs", ())):
        if getattr(proof, "kept_sha256", None) is not None:
            yield FieldError(f"/proofs/{number}/kept_sha256", "is not the caller's to fill")


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
