"""Artefacts in an object store: a folder, or a bucket. What stands under its own hash never changes.

kept/{tenant}/{ab}/{hash of what is kept}     the bytes
sent/{tenant}/{ab}/{hash of what was sent}    the hash of what is kept of it
decisions/{tenant}/{ab}/{hash of the record}  what a decision of dispatch rested on, as Zstandard has it
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec
import obstore
import structlog
from backports import zstd
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from gateway.problems import Problem
from infra.settings import Settings

KEPT, SENT, DECISIONS = "kept", "sent", "decisions"
PATIENCE: "ClientConfig" = {"connect_timeout": timedelta(seconds=3), "timeout": timedelta(seconds=10)}
RETRIES: "RetryConfig" = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
"""A rider's phone asks again by itself; by default the store would be asked for three minutes."""
QUICK = 1
MOST_DECISION_BYTES = 320 << 20
"""Of one record, unpacked; the ways of the largest window are 256 MB."""
FRESH_FOR = timedelta(days=1)
"""What is put again later counts as new from then on, so that a sweep leaves it to whoever names it now."""

if TYPE_CHECKING:  # they are in its stubs alone
    from obstore.store import ClientConfig, RetryConfig

logger = structlog.get_logger()


class StoredObject(msgspec.Struct, frozen=True):
    path: str
    tenant: str
    kind: str
    last_modified: datetime
    size_bytes: int


class ObjectArtefacts:
    """`folder` is where a store of files keeps them: they are forced to the disk before `put` returns."""

    def __init__(self, store: ObjectStore, folder: Path | None = None) -> None:
        self._store, self._folder = store, folder

    async def put(self, tenant: str, sent: str, kept: str, content: bytes) -> None:
        """The bytes first: an index never leads to nothing."""
        await self._write(path(KEPT, tenant, kept), content)
        if sent != kept:
            await self._write(path(SENT, tenant, sent), kept.encode())

    async def kept(self, tenant: str, digest: str) -> str | None:
        """The hash of what is kept of it; of what is kept itself its own, whatever else was made of that."""
        if await self._modified(path(KEPT, tenant, digest)) is not None:
            return digest
        index = await self._read(path(SENT, tenant, digest))
        return None if index is None else index.decode()

    async def get(self, tenant: str, digest: str) -> bytes | None:
        kept = await self.kept(tenant, digest)
        return None if kept is None else await self._read(path(KEPT, tenant, kept))

    async def keep_decision(self, tenant: str, digest: str, record: bytes) -> None:
        await self._write(path(DECISIONS, tenant, digest), await asyncio.to_thread(zstd.compress, record, QUICK))

    async def decision(self, tenant: str, digest: str) -> bytes | None:
        """None of one that is not kept, or no longer. Raises ValueError where it is not what the hash is of."""
        found = await self._read(path(DECISIONS, tenant, digest))
        if found is None:
            return None
        try:
            record = zstd.ZstdDecompressor().decompress(found, MOST_DECISION_BYTES)
        except zstd.ZstdError as broken:
            raise ValueError(f"what is kept under {digest} cannot be unpacked: {broken}") from broken
        if sha256(record).hexdigest() != digest:
            raise ValueError(f"what is kept under {digest} is something else")
        return record

    async def is_fresh(self, tenant: str, digest: str) -> bool:
        """Whether it was put so lately that it need not be put again."""
        put = await self._modified(path(KEPT, tenant, digest)) or await self._modified(path(SENT, tenant, digest))
        return put is not None and datetime.now(UTC) - put < FRESH_FOR

    async def objects(self) -> AsyncIterator[StoredObject]:
        async for page in obstore.list(self._store):
            for meta in page:
                kind, tenant, *_ = meta["path"].split("/")
                yield StoredObject(meta["path"], tenant, kind, meta["last_modified"], meta["size"])

    async def delete(self, paths: list[str]) -> None:
        await obstore.delete_async(self._store, paths)

    async def forget(self, tenant: str, digests: Iterable[str]) -> None:
        """What is kept under these hashes, and what leads there from them."""
        places: set[str] = set()
        for digest in digests:
            kept = await self.kept(tenant, digest)
            if kept is not None:
                places |= {path(KEPT, tenant, kept)} | ({path(SENT, tenant, digest)} if kept != digest else set())
        if places:
            await self.delete(sorted(places))

    async def _write(self, place: str, content: bytes) -> None:
        with answering():
            await obstore.put_async(self._store, place, content)
        if self._folder is not None:
            await asyncio.to_thread(forced, self._folder / place)

    async def _read(self, place: str) -> bytes | None:
        try:
            with answering():
                found = await obstore.get_async(self._store, place)
                return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None

    async def _modified(self, place: str) -> datetime | None:
        try:
            with answering():
                return (await obstore.head_async(self._store, place))["last_modified"]
        except FileNotFoundError:
            return None


@contextmanager
def answering() -> Iterator[None]:
    """Raises Problem where the store does not answer: whoever asks may ask again."""
    try:
        yield
    except BaseError as failed:
        logger.warning("the artefacts' store failed", error=str(failed))
        raise Problem("artefacts-unavailable", "the artefacts' store does not answer", retry_after_s=5) from failed


def path(kind: str, tenant: str, digest: str) -> str:
    return f"{kind}/{tenant}/{digest[:2]}/{digest}"


def forced(file: Path) -> None:
    """To the disk: the file, and that its folder has it."""
    for each, flags in ((file, os.O_RDONLY), (file.parent, os.O_RDONLY | os.O_DIRECTORY)):
        opened = os.open(each, flags)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def artefacts_of(settings: Settings) -> ObjectArtefacts:
    url = settings.artefacts or (settings.data / "artefacts").absolute().as_uri()
    store = store_of(url)
    return ObjectArtefacts(store, Path(unquote(urlsplit(url).path)) if isinstance(store, LocalStore) else None)


def store_of(url: str) -> ObjectStore:
    """Of a bucket the credentials, region and endpoint are those of the environment (AWS_*)."""
    address = urlsplit(url)
    if address.scheme == "file":
        return LocalStore(prefix=unquote(address.path), mkdir=True)
    return S3Store.from_url(url, client_options=PATIENCE, retry_config=RETRIES)


def in_memory() -> ObjectArtefacts:
    """For tests and trials."""
    return ObjectArtefacts(MemoryStore())
