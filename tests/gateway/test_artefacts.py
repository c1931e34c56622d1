"""Photos through the door: under their own hash, small, of a known kind, and there before a proof names them."""

import random
from hashlib import sha256
from pathlib import Path

import pytest
from reception import House, house, key
from story import NOON

from gateway.door import Limits
from infra.artefacts import FolderArtefacts
from infra.demo.play import picture

PHOTO = picture(random.Random(1).randbytes)
DIGEST = sha256(PHOTO).hexdigest()


def path(digest: str = DIGEST, tenant: str = "acme") -> str:
    return f"/v1/{tenant}/artefacts/{digest}"


async def test_a_photo_is_kept_once_and_read_as_it_was_put(house: House):
    ann = house.caller("rider", "ann")
    first, again = [await ann.put(path(), content=PHOTO) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == {"sha256": DIGEST, "size_bytes": len(PHOTO), "media_type": "image/png"}
    read = await house.caller("dispatcher", "dora").get(path())
    assert (read.status_code, read.content, read.headers["content-type"]) == (200, PHOTO, "image/png")
    assert read.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("digest", "content", "status", "code"),
    [
        (DIGEST, PHOTO + b"x", 422, "digest-differs"),
        (sha256(b"<html>").hexdigest(), b"<html>", 415, "unsupported-media-type"),
        (sha256(b"").hexdigest(), b"", 415, "unsupported-media-type"),
        ("ABC", PHOTO, 400, "invalid-parameter"),
        (DIGEST.upper(), PHOTO, 400, "invalid-parameter"),
    ],
)
async def test_what_is_no_photo_under_its_own_hash_is_refused(house: House, digest, content, status, code):
    refused = await house.caller("rider", "ann").put(path(digest), content=content)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_a_photo_that_is_too_large_is_refused():
    async with house(Limits(artefact_bytes=100)) as small:
        refused = await small.caller("rider", "ann").put(path(), content=PHOTO)
        assert (refused.status_code, refused.json()["values"]["limit_bytes"]) == (413, 100)


async def test_a_photo_is_its_tenants_alone_and_not_everybodys(house: House):
    await house.caller("rider", "ann").put(path(), content=PHOTO)
    await house.settle("other")
    assert (await house.caller("dispatcher", "dan", "other").get(path(tenant="other"))).status_code == 404
    assert (await house.caller("dispatcher", "dan", "other").get(path())).status_code == 404
    assert (await house.caller("analyst", "al").get(path())).status_code == 403
    assert (await house.caller("dispatcher", "dora").get(path("0" * 64))).status_code == 404


async def test_a_proof_names_a_photo_only_after_it_was_put(house: House):
    ann = house.caller("rider", "ann")
    report = {
        "stop_id": "stop-2",
        "observed_at": NOON.isoformat(),
        "proofs": [{"kind": "pin", "pin": "1234"}, {"kind": "photo", "sha256": DIGEST}],
    }
    refused = await ann.post("/v1/acme/tasks/task-1/report-delivered", json=report, headers=key("k"))
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-body")
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/proofs/1/sha256"]
    await ann.put(path(), content=PHOTO)
    judged = await ann.post("/v1/acme/tasks/task-1/report-delivered", json=report, headers=key("k"))
    assert judged.json()["code"] == "not-found", "there is no such task, which is another matter"


async def test_a_folder_keeps_whole_files_and_no_parts(tmp_path: Path):
    store = FolderArtefacts(tmp_path)
    assert await store.put("acme", DIGEST, PHOTO)
    assert not await store.put("acme", DIGEST, PHOTO)
    assert await store.get("acme", DIGEST) == PHOTO
    assert await store.get("other", DIGEST) is None
    assert (await store.has("acme", DIGEST), await store.has("acme", "0" * 64)) == (True, False)
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == [DIGEST]
