"""Photos through the door: under their own hash, small, of a known kind, and there before a proof names them."""

import random
from hashlib import sha256
from io import BytesIO

import pytest
from cameras import phone_photo, pixels_of, plain_png
from PIL import Image
from reception import House, delivery, house, key
from story import NOON

from gateway.door import Limits
from infra.demo.play import picture
from schemas.proof import ProofCaptured
from schemas.record import event_of

PHOTO = picture(random.Random(1).randbytes)
DIGEST = sha256(PHOTO).hexdigest()


def path(digest: str = DIGEST, tenant: str = "acme") -> str:
    return f"/v1/{tenant}/artefacts/{digest}"


async def test_a_photo_is_kept_once_and_read_as_it_looks(house: House):
    ann = house.caller("rider", "ann")
    first, again = [await ann.put(path(), content=PHOTO) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (first.json()["sha256"], first.json()["media_type"]) == (DIGEST, "image/png")
    read = await house.caller("dispatcher", "dora").get(path())
    assert (read.status_code, read.headers["content-type"]) == (200, "image/png")
    assert (pixels_of(read.content), len(read.content)) == (pixels_of(PHOTO), first.json()["size_bytes"])
    assert read.headers["x-content-type-options"] == "nosniff"


async def test_what_is_kept_is_found_under_its_own_hash_too_and_is_not_made_anew_again(house: House):
    ann, dora = house.caller("rider", "ann"), house.caller("dispatcher", "dora")
    sent = phone_photo()
    kept = (await ann.put(path(sha256(sent).hexdigest()), content=sent)).json()["kept_sha256"]
    content = (await dora.get(path(kept))).content
    assert sha256(content).hexdigest() == kept
    assert (await ann.put(path(kept), content=content)).json()["kept_sha256"] == kept
    assert (await dora.get(path(kept))).content == content


async def test_a_phones_photo_says_where_it_was_taken_and_what_is_kept_does_not(house: House):
    sent = phone_photo()
    assert Image.open(BytesIO(sent)).getexif().get_ifd(0x8825), "the camera wrote where it was"
    await house.caller("rider", "ann").put(path(sha256(sent).hexdigest()), content=sent)
    kept = (await house.caller("dispatcher", "dora").get(path(sha256(sent).hexdigest()))).content
    assert not Image.open(BytesIO(kept)).getexif()
    assert b"Exif" not in kept


async def test_a_bomb_is_refused_before_it_goes_off():
    async with house(Limits(artefact_pixels=9_999)) as wary:
        bomb = plain_png(100, 100)
        refused = await wary.caller("rider", "ann").put(path(sha256(bomb).hexdigest()), content=bomb)
        assert (refused.status_code, refused.json()["code"]) == (413, "too-many-pixels")
        assert refused.json()["values"] == {"limit_pixels": 9_999}


@pytest.mark.parametrize(
    ("digest", "content", "status", "code"),
    [
        (DIGEST, PHOTO + b"x", 422, "digest-differs"),
        (sha256(b"<html>").hexdigest(), b"<html>", 415, "unsupported-media-type"),
        (sha256(b"").hexdigest(), b"", 415, "unsupported-media-type"),
        (sha256(PHOTO[:60]).hexdigest(), PHOTO[:60], 415, "unsupported-media-type"),
        (sha256(b"Dear sir").hexdigest(), b"Dear sir", 415, "unsupported-media-type"),
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


async def picked_up(house: House) -> str:
    """A task that asks for a photo, with ann on her way to its dropoff."""
    shop, ann = house.caller(), house.caller("rider", "ann")
    body = delivery()
    body["stops"][1]["required_proof"] = [["photo"]]
    task = (await shop.post("/v1/acme/tasks", json=body, headers=key("t"))).json()["id"]
    dora = house.caller("dispatcher", "dora")
    await house.knows("ann")
    await dora.post(f"/v1/acme/tasks/{task}/assign-task", json={"rider_id": "ann"}, headers=key("a"))
    body = {"stop_id": "stop-1", "observed_at": NOON.isoformat()}
    await ann.post(f"/v1/acme/tasks/{task}/report-picked-up", json=body, headers=key("p"))
    return str(task)


async def test_the_log_holds_the_hash_of_what_is_kept_beside_that_of_what_was_sent(house: House):
    task, ann = await picked_up(house), house.caller("rider", "ann")
    sent = phone_photo()
    digest = sha256(sent).hexdigest()
    kept = (await ann.put(path(digest), content=sent)).json()["kept_sha256"]
    body = {"stop_id": "stop-2", "observed_at": NOON.isoformat(), "proofs": [{"kind": "photo", "sha256": digest}]}
    done = await ann.post(f"/v1/acme/tasks/{task}/report-delivered", json=body, headers=key("d"))
    assert done.json()["events"] == ["ParcelsDelivered", "ProofCaptured", "StopCompleted", "TaskCompleted"]
    events = [event_of(stored, None) for stored in house.desk.log if stored.key == task.encode()]
    proof = next(event for event in events if isinstance(event, ProofCaptured))
    assert (proof.sha256, proof.kept_sha256) == (digest, kept)
    assert kept != digest


async def test_what_is_kept_is_not_the_callers_to_name(house: House):
    ann = house.caller("rider", "ann")
    await ann.put(path(), content=PHOTO)
    proof = {"kind": "photo", "sha256": DIGEST, "kept_sha256": "0" * 64}
    report = {"stop_id": "stop-2", "observed_at": NOON.isoformat(), "proofs": [proof]}
    refused = await ann.post("/v1/acme/tasks/task-1/report-delivered", json=report, headers=key("k"))
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-body")
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/proofs/0/kept_sha256"]
