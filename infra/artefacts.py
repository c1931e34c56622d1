"""Artefacts as files of a folder, by tenant and SHA-256. What stands under its own hash never changes."""

import asyncio
import os
from pathlib import Path
from uuid import uuid4


class FolderArtefacts:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, tenant: str, digest: str, content: bytes) -> bool:
        return await asyncio.to_thread(self._put, self._file(tenant, digest), content)

    async def get(self, tenant: str, digest: str) -> bytes | None:
        return await asyncio.to_thread(self._get, self._file(tenant, digest))

    async def has(self, tenant: str, digest: str) -> bool:
        return await asyncio.to_thread(self._file(tenant, digest).exists)

    def _file(self, tenant: str, digest: str) -> Path:
        return self._folder / tenant / digest[:2] / digest

    @staticmethod
    def _put(file: Path, content: bytes) -> bool:
        if file.exists():
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{uuid4().hex}.part")
        with part.open("xb") as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        part.replace(file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return True

    @staticmethod
    def _get(file: Path) -> bytes | None:
        try:
            return file.read_bytes()
        except FileNotFoundError:
            return None
