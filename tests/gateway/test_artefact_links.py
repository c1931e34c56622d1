"""Links to artefacts: for one artefact, for a while, without a token."""

import random
from hashlib import sha256

import httpx
import pytest
from cameras import pixels_of
from reception import House
from structlog.testing import capture_logs

from gateway import artefact_links
from infra.demo.play import picture

PHOTO = picture(random.Random(1).randbytes)
DIGEST = sha256(PHOTO).hexdigest()
OTHER = picture(random.Random(2).randbytes)
PATH = f"/v1/acme/artefacts/{DIGEST}"


async def linked(house: House, body: object = None) -> httpx.Response:
    await house.caller("rider", "ann").put(PATH, content=PHOTO)
    return await house.caller("dispatcher", "dora").post(f"{PATH}/links", json=body or {})


async def test_whoever_has_the_link_reads_the_photo_without_a_token(house: House):
    made = await linked(house)
    assert (made.status_code, made.json()["expires_in_s"], made.headers["cache-control"]) == (201, 300, "no-store")
    read = await house.client().get(made.json()["url"])
    assert (read.status_code, pixels_of(read.content)) == (200, pixels_of(PHOTO))
    assert read.headers["cache-control"] == "private, no-store"


async def test_a_link_is_asked_for_without_a_body_too(house: House):
    await house.caller("rider", "ann").put(PATH, content=PHOTO)
    made = await house.caller("dispatcher", "dora").post(f"{PATH}/links")
    assert made.json()["expires_in_s"] == 300


async def test_a_link_ends(house: House, monkeypatch: pytest.MonkeyPatch):
    made = await linked(house, {"expires_in_s": 60})
    now_s = artefact_links.time()
    monkeypatch.setattr(artefact_links, "time", lambda: now_s + 59)
    assert (await house.client().get(made.json()["url"])).status_code == 200
    monkeypatch.setattr(artefact_links, "time", lambda: now_s + 60)
    over = await house.client().get(made.json()["url"])
    assert (over.status_code, over.json()["code"], over.json()["detail"]) == (
        403,
        "link-invalid",
        "the link has expired",
    )


@pytest.mark.parametrize("seconds", [0, 86_401])
async def test_a_link_lasts_a_day_at_most(house: House, seconds: int):
    assert (await linked(house, {"expires_in_s": 86_400})).status_code == 201
    refused = await linked(house, {"expires_in_s": seconds})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/expires_in_s")


async def test_a_link_that_was_tampered_with_is_refused(house: House):
    url = (await linked(house)).json()["url"]
    for place in (-1, -40, len(PATH) + 10):
        letter = "A" if url[place] != "A" else "B"
        tampered = url[:place] + letter + (url[place + 1 :] if place != -1 else "")
        refused = await house.client().get(tampered)
        assert (refused.status_code, refused.json()["code"]) == (403, "link-invalid")
    assert (await house.client().get(f"{PATH}?link=")).json()["code"] == "link-invalid"


async def test_a_link_is_for_its_own_artefact_and_tenant_alone(house: House):
    word = (await linked(house)).json()["url"].partition("?")[2]
    await house.settle("other")
    for tenant, photo in (("acme", OTHER), ("other", PHOTO)):
        path = f"/v1/{tenant}/artefacts/{sha256(photo).hexdigest()}"
        await house.caller("rider", "ann", tenant).put(path, content=photo)
        refused = await house.client().get(f"{path}?{word}")
        assert (refused.status_code, refused.json()["detail"]) == (403, "the link is for another artefact")


async def test_a_ticket_for_the_stream_is_no_link(house: House):
    dora = house.caller("dispatcher", "dora")
    await house.caller("rider", "ann").put(PATH, content=PHOTO)
    ticket = (await dora.post("/v1/acme/stream-tickets")).json()["ticket"]
    assert (await house.client().get(f"{PATH}?link={ticket}")).json()["code"] == "link-invalid"


async def test_who_may_not_read_artefacts_gets_no_link(house: House):
    await house.caller("rider", "ann").put(PATH, content=PHOTO)
    for role, subject in (("rider", "ann"), ("analyst", "al")):
        refused = await house.caller(role, subject).post(f"{PATH}/links", json={})  # type: ignore[arg-type]
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await house.client().post(f"{PATH}/links", json={})).status_code == 401


async def test_there_is_no_link_to_nothing(house: House):
    nothing = await house.caller("dispatcher", "dora").post(f"/v1/acme/artefacts/{'0' * 64}/links", json={})
    assert (nothing.status_code, nothing.json()["code"]) == (404, "not-found")


async def test_each_reading_is_logged_with_who_gave_the_link(house: House):
    url = (await linked(house)).json()["url"]
    with capture_logs() as lines:
        await house.client().get(url)
        await house.caller("auditor", "otto").get(PATH)
    told = [(line["reader"], line["artefact"], line["by_link"]) for line in lines if line["event"] == "artefact read"]
    assert told == [("dora", DIGEST, True), ("otto", DIGEST, False)]
