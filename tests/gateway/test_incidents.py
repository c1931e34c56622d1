"""Incidents through the door: reported by a rider, attended to, sealed; and what an auditor then reads and verifies."""

import asyncio
from datetime import timedelta
from hashlib import sha256

import pytest
from cameras import phone_photo
from psycopg import AsyncConnection
from read_models import ReadModels
from reception import HOME, House, Json, delivery, key
from road import a_signal

from gateway import commands
from projections.history import HISTORY
from projections.models import MODELS
from schemas.incident import IncidentLink, LinkIncident
from schemas.merkle import Tree
from schemas.position import vector

PHOTO = phone_photo()
DIGEST = sha256(PHOTO).hexdigest()
EVERY_ACTION = ["suspend_rider", "ground_vehicle", "hand_over_tasks"]


@pytest.fixture
def house(library) -> House:
    return library[0]


@pytest.fixture
def models(library) -> ReadModels:
    return library[1]


async def made(house: House, path: str, body: Json, role: str = "dispatcher", subject: str = "dora") -> str:
    answer = await house.caller(role, subject).post(f"/v1/acme/{path}", json=body)  # type: ignore[arg-type]
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def done(house: House, incident: str, word: str, body: Json | None = None, role: str = "dispatcher") -> Json:
    path = f"/v1/acme/incidents/{incident}/{word}"
    answer = await house.caller(role, "dora").post(
        path, json=body or {}, headers=key(f"{word}-{house.now.timestamp()}")
    )  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return answer.json()


async def read(house: House, path: str, role: str = "auditor") -> Json:
    answer = await house.caller(role, "aino").get(f"/v1/acme/{path}")  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return answer.json()


async def an_accident(house: House, **more: object) -> str:
    body = {"kind": "accident", "description": "Ann was hit by a tram", "external_reference": "acc-1"}
    return await made(house, "incidents", body | more, "rider", "ann")


async def resolved(house: House, incident: str) -> None:
    await done(house, incident, "assign-incident", {"assignee": "dora"})
    await done(house, incident, "resolve-incident", {"resolution_code": "well", "waived": EVERY_ACTION})


# Reported and attended to


async def test_a_rider_reports_with_a_photo_and_the_register_tells_who_needs_it(house: House, models: ReadModels):
    task = await made(house, "tasks", delivery(external_reference="1"))
    await house.knows("ann")
    links = [{"kind": "task", "id": task}, {"kind": "rider", "id": "ann"}]
    nowhere = {"kind": "accident", "description": "!", "evidence": [{"sha256": DIGEST}]}
    refused = await house.caller("rider", "ann").post("/v1/acme/incidents", json=nowhere, headers=key("k"))
    assert [each["pointer"] for each in refused.json()["errors"]] == ["/evidence/0/sha256"]
    await house.caller("rider", "ann").put(f"/v1/acme/artefacts/{DIGEST}", content=PHOTO)
    incident = await an_accident(house, links=links, evidence=[{"sha256": DIGEST, "note": "the tram"}], location=HOME)
    await models.fold()
    row = await read(house, f"incidents/{incident}", "dispatcher")
    assert (row["status"], row["severity"], row["reporter"]) == ("reported", "high", "ann")
    assert (row["description"], row["location"]) == ("Ann was hit by a tram", HOME)
    assert row["outstanding"] == EVERY_ACTION
    assert [(each["sha256"], each["note"]) for each in row["evidence"]] == [(DIGEST, "the tram")]
    hidden = await read(house, f"incidents/{incident}", "auditor")
    assert hidden["description"] == hidden["location"] == hidden["evidence"][0]["note"] == "hidden"


async def test_what_is_done_stands_in_the_register_with_what_is_still_to_be_done(house: House, models: ReadModels):
    incident = await an_accident(house)
    await done(house, incident, "assign-incident", {"assignee": "dora"})
    await done(house, incident, "take-incident-action", {"action": "suspend_rider", "note": "until she is well"})
    await done(house, incident, "comment-incident", {"comment": "She is at the hospital"})
    path = f"/v1/acme/incidents/{incident}/resolve-incident"
    early = await house.caller("dispatcher", "dora").post(path, json={"resolution_code": "x"}, headers=key("early"))
    assert early.status_code == 409
    assert early.json()["values"]["actions"] == ["ground_vehicle", "hand_over_tasks"]
    await models.fold()
    row = await read(house, f"incidents/{incident}", "dispatcher")
    assert (row["status"], row["assignee"], row["comments"]) == ("assigned", "dora", 1)
    assert row["outstanding"] == ["ground_vehicle", "hand_over_tasks"]
    assert [(each["action"], each["by"]) for each in row["actions"]] == [("suspend_rider", "dora")]


async def test_the_register_is_asked_by_what_is_known_of_an_incident(house: House, models: ReadModels):
    await house.knows("ann")
    ours = await an_accident(house, links=[{"kind": "rider", "id": "ann"}])
    other = await made(house, "incidents", {"kind": "loss", "description": "A box", "external_reference": "loss-1"})
    await done(house, other, "assign-incident", {"assignee": "dirk"})
    await models.fold()
    for query, found in (
        ("linked_to=ann", [ours]),
        ("kind=loss", [other]),
        ("severity=high", [ours]),
        ("assignee=dirk&status=assigned", [other]),
        ("external_reference=acc-1", [ours]),
        ("status=sealed", []),
    ):
        page = await read(house, f"incident-register?{query}")
        assert [item["incident_id"] for item in page["items"]] == found, query
    first = await read(house, "incident-register?limit=1")
    second = await read(house, f"incident-register?limit=1&after={first['next']}")
    assert {first["items"][0]["incident_id"], second["items"][0]["incident_id"]} == {ours, other}


async def flagged(house: House, models: ReadModels, *tasks: str) -> list[str]:
    """The tasks that have an open incident, as the board, its filter, the list and each alone agree on."""
    await models.fold()
    found = []
    for task in tasks:
        found += [task] * (await read(house, f"tasks/{task}"))["incident_open"]
    for listing in ("task-board", "tasks"):
        items = (await read(house, listing))["items"]
        assert sorted(item["task_id"] for item in items if item["incident_open"]) == sorted(found)
        for asked, told in (("true", found), ("false", {*tasks} - {*found})):
            filtered = (await read(house, f"{listing}?incident_open={asked}"))["items"]
            assert sorted(item["task_id"] for item in filtered) == sorted(told)
    return found


async def test_a_task_shows_that_an_incident_is_open(house: House, models: ReadModels):
    one, two = [await made(house, "tasks", delivery(external_reference=word)) for word in ("1", "2")]
    assert await flagged(house, models, one, two) == []
    to_one, to_two = ({"kind": "task", "id": task} for task in (one, two))
    incident = await an_accident(house, links=[to_one])
    await house.process("incident", incident, LinkIncident(link=IncidentLink(kind="rider", id=two)))
    assert await flagged(house, models, one, two) == [one], "what links to something else of that id is not about it"
    await done(house, incident, "link-incident", {"link": to_two})
    assert await flagged(house, models, one, two) == [one, two]
    await done(house, incident, "unlink-incident", {"link": to_one, "reason_code": "mistaken"})
    assert await flagged(house, models, one, two) == [two]
    await resolved(house, incident)
    assert await flagged(house, models, one, two) == []
    await done(house, incident, "reopen-incident", {"reason_code": "worse"})
    other = await made(
        house, "incidents", {"kind": "loss", "description": "A box", "links": [to_two], "external_reference": "box"}
    )
    assert await flagged(house, models, one, two) == [two]
    house.now += timedelta(minutes=1)
    await resolved(house, incident)
    await models.fold()
    await done(house, incident, "seal-incident", role="operator")
    assert await flagged(house, models, one, two) == [two], "the other is still open"
    await done(house, other, "unlink-incident", {"link": to_two, "reason_code": "mistaken"})
    assert await flagged(house, models, one, two) == []


async def test_who_has_just_reported_an_incident_finds_its_task_flagged(house: House, models: ReadModels):
    task = await made(house, "tasks", delivery(external_reference="1"))
    body = {"kind": "accident", "description": "!", "links": [{"kind": "task", "id": task}]}
    answer = await house.caller("rider", "ann").post("/v1/acme/incidents", json=body, headers=key("hit"))
    await models.fold([name for name in MODELS if name != "incident_register"])
    seen = {"logistics-consistency": answer.headers["logistics-consistency"], "prefer": "wait=0"}
    for path in ("task-board", "tasks", f"tasks/{task}"):
        asked = await house.caller("auditor", "aino").get(f"/v1/acme/{path}", headers=seen)
        assert asked.json()["code"] == "projection-lagging", path


async def test_what_nobody_takes_falls_due_level_by_level(house: House, models: ReadModels):
    incident = await an_accident(house)
    await models.fold()
    [due] = (await read(house, "deadlines"))["items"]
    assert (due["kind"], due["aggregate_id"], due["round"]) == ("escalate_incident", incident, 1)
    await done(house, incident, "assign-incident", {"assignee": "dora"})
    await models.fold()
    assert (await read(house, "deadlines"))["items"] == []
    house.now += timedelta(minutes=1)
    await done(house, incident, "resolve-incident", {"resolution_code": "well", "waived": EVERY_ACTION})
    await done(house, incident, "reopen-incident", {"reason_code": "worse"})
    await models.fold()
    [due] = (await read(house, "deadlines"))["items"]
    assert due["due_at"] == "2026-03-01T12:11:00Z"


async def test_a_kind_that_there_is_not_is_answered_with_those_that_there_are(house: House):
    body = {"kind": "meteor", "description": "!"}
    refused = await house.caller().post("/v1/acme/incidents", json=body, headers=key("m"))
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown-incident-kind")
    assert "accident" in refused.json()["values"]["known"]


# The timeline


async def test_the_timeline_gathers_what_it_links_to_by_event_time_with_the_record_time(
    house: House, models: ReadModels
):
    house.now -= timedelta(days=3)
    rider = await made(house, "riders", {"name": "Ann", "external_reference": "ann"})
    van = {"kind": "van", "capacity": {"weight_g": 1, "volume_cm3": 1, "parcels": 1}, "external_reference": "van"}
    vehicle = await made(house, "vehicles", van)
    task = await made(house, "tasks", delivery(external_reference="1"))
    foreign = await made(house, "tasks", delivery(external_reference="2"))
    house.now += timedelta(days=3)
    links = [{"kind": "task", "id": task}, {"kind": "rider", "id": rider}, {"kind": "vehicle", "id": vehicle}]
    incident = await an_accident(house, links=links)
    house.now += timedelta(minutes=5)
    await house.caller("dispatcher", "dora").post(f"/v1/acme/riders/{rider}/approve-rider", headers=key("a"))
    house.now += timedelta(minutes=5)
    await done(house, incident, "comment-incident", {"comment": "Cleo waits"})
    await models.fold()
    told = (await read(house, f"incidents/{incident}/timeline"))["items"]
    names = [item["type"].rpartition(".")[2] for item in told]
    assert names == [
        "TaskCreated",
        "TaskDispatchable",
        "IncidentReported",
        "RiderApproved",
        "IncidentCommented",
    ]
    assert [item["time"] for item in told] == sorted(item["time"] for item in told)
    assert all(item["recordedat"] for item in told)
    assert "Cleo" not in str(told), "whose data it is, and not what it says"
    assert foreign not in {item["subject"] for item in told}
    longer = (await read(house, f"incidents/{incident}/timeline?since=2026-01-01T00:00:00Z"))["items"]
    earlier = {each["type"].rpartition(".")[2] for each in longer} - {*names}
    assert earlier == {"RiderRegistered", "VehicleRegistered"}, "of riders and vehicles only what was asked for"


async def test_what_telemetry_tells_of_a_rider_stands_in_the_timeline_between_what_people_did(
    house: House, models: ReadModels
):
    rider = await made(house, "riders", {"name": "Ann", "external_reference": "ann"})
    house.now += timedelta(minutes=1)
    a_signal(house, 0, rider)
    a_signal(house, 1, "somebody-else")
    house.now += timedelta(minutes=1)
    incident = await an_accident(house, links=[{"kind": "rider", "id": rider}])
    await models.fold()
    told = (await read(house, f"incidents/{incident}/timeline"))["items"]
    names = [(item["type"].rpartition(".")[2], item["subject"]) for item in told]
    assert names[:3] == [("RiderRegistered", rider), ("GeofenceEntered", rider), ("IncidentReported", incident)]
    assert "somebody-else" not in str(told)


async def test_the_timeline_comes_page_by_page(house: House, models: ReadModels):
    incident = await an_accident(house)
    for minute in range(5):
        house.now += timedelta(minutes=minute)
        await done(house, incident, "comment-incident", {"comment": "…"})
    await models.fold()
    whole = (await read(house, f"incidents/{incident}/timeline"))["items"]
    pages, after = [], ""
    while True:
        page = await read(house, f"incidents/{incident}/timeline?limit=4{after}")
        pages += page["items"]
        if "next" not in page:
            break
        after = f"&after={page['next']}"
    assert pages == whole
    assert len(whole) == 6
    early = await read(house, f"incidents/{incident}/timeline?until=2026-03-01T12:00:30Z")
    assert len(early["items"]) == 2


# The seal


async def test_the_seal_binds_every_record_of_the_timeline(house: House, models: ReadModels):
    task = await made(house, "tasks", delivery(external_reference="1"))
    house.now += timedelta(minutes=1)
    incident = await an_accident(house, links=[{"kind": "task", "id": task}])
    await resolved(house, incident)
    await models.fold()
    await done(house, incident, "seal-incident", role="operator")
    await models.fold()
    row = await read(house, f"incidents/{incident}")
    assert row["status"] == "sealed"
    seal = await read(house, f"incidents/{incident}/seal")
    assert seal["holds"]
    hashes = [s.header("hash") or "" for s in house.desk.log if s.key in (task.encode(), incident.encode())][:-1]
    assert seal["computed_records"] == len(hashes) == 6, "the seal itself came after"
    assert seal["computed_root"] == Tree(map(bytes.fromhex, hashes)).root().hex(), "as anybody can compute it"


async def test_what_happens_after_the_seal_leaves_it_whole_and_what_is_changed_before_it_breaks_it(
    house: House, models: ReadModels, postgres: str
):
    task = await made(house, "tasks", delivery(external_reference="1"))
    incident = await an_accident(house, links=[{"kind": "task", "id": task}])
    await resolved(house, incident)
    await models.fold()
    await done(house, incident, "seal-incident", role="operator")
    await house.caller().post(
        f"/v1/acme/tasks/{task}/cancel-task", json={"reason_code": "changed_mind"}, headers=key("c")
    )
    await done(house, incident, "file-addendum", {"text": "The task was called off"})
    await models.fold()
    assert (await read(house, f"incidents/{incident}/seal"))["holds"]
    async with await AsyncConnection.connect(postgres) as connection:
        later = f"UPDATE {HISTORY.physical} SET event_time = event_time + interval '1 h'"
        await connection.execute(f"{later} WHERE aggregate_id = %s AND version = 1".encode(), (task,))
    broken = await read(house, f"incidents/{incident}/seal")
    assert not broken["holds"]
    assert broken["computed_records"] == broken["timeline"]["records"], "one of them stands elsewhere"


async def test_the_seal_waits_for_what_has_just_happened(house: House, models: ReadModels):
    incident = await an_accident(house)
    await models.fold()
    await resolved(house, incident)
    path = f"/v1/acme/incidents/{incident}/seal-incident"
    sealing = asyncio.ensure_future(house.caller("operator", "root").post(path, json={}, headers=key("s")))
    await asyncio.sleep(0.1)
    assert not sealing.done()
    await models.fold()
    answer = await sealing
    assert answer.status_code == 200, answer.text


async def test_it_is_not_sealed_on_a_view_that_is_behind_and_the_caller_fills_in_nothing(
    house: House, models: ReadModels, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(commands, "SEAL_AGAIN_AFTER_S", ())
    incident = await an_accident(house)
    await models.fold()
    await resolved(house, incident)
    root = house.caller("operator", "root")
    path = f"/v1/acme/incidents/{incident}/seal-incident"
    early = await root.post(path, json={}, headers=key("s"))
    assert (early.status_code, early.json()["code"]) == (503, "projection-lagging")
    early = await root.post(path, json={}, headers=key("s") | {"if-match": '"v1"'})
    assert (early.status_code, early.json()["code"]) == (412, "version-conflict")
    await models.fold(["incident_register"])
    early = await root.post(path, json={}, headers=key("s"))
    assert (early.status_code, early.json()["code"]) == (503, "projection-lagging"), "the history is still behind"
    own = {"timeline": {"merkle_root": "0" * 64, "records": 1, "since": "2026-01-01T00:00:00Z", "up_to": "x"}}
    refused = await root.post(path, json=own, headers=key("s"))
    assert [each["pointer"] for each in refused.json()["errors"]] == ["/timeline"]
    await models.fold()
    first = await root.post(path, json={}, headers=key("s"))
    assert first.status_code == 200
    await models.fold()
    again = await root.post(path, json={}, headers=key("s"))
    assert again.json() == first.json() | {"repeated": True}, "though the timeline is longer by now"


async def test_there_is_no_seal_before_it_is_sealed_and_no_timeline_of_what_is_not(house: House, models: ReadModels):
    incident = await an_accident(house)
    await models.fold()
    auditor = house.caller("auditor", "aino")
    for path in (f"{incident}/seal", "nothing/timeline", "nothing/seal"):
        assert (await auditor.get(f"/v1/acme/incidents/{path}")).status_code == 404, path
    rider = house.caller("rider", "ann")
    assert (await rider.get(f"/v1/acme/incidents/{incident}/timeline")).status_code == 403


async def test_a_rider_cannot_have_done_by_a_report_what_they_may_not_do(house: House):
    other = await made(house, "riders", {"name": "Bob", "external_reference": "bob"})
    path = f"/v1/acme/riders/{other}/suspend-rider"
    alone = await house.caller("rider", "ann").post(path, json={"reason_code": "x"}, headers=key("s"))
    assert alone.status_code == 403
    body = {"kind": "accident", "description": "!", "links": [{"kind": "rider", "id": other}]}
    told = await house.caller("rider", "ann").post("/v1/acme/incidents", json=body, headers=key("i"))
    assert told.json()["events"] == ["IncidentReported"]


async def test_a_rider_gives_out_no_references_of_others(house: House):
    body = {"kind": "loss", "description": "!", "external_reference": "claim-7", "source": "claims"}
    refused = await house.caller("rider", "ann").post("/v1/acme/incidents", json=body)
    assert [each["pointer"] for each in refused.json()["errors"]] == ["/source"]
    own = await house.caller("rider", "ann").post("/v1/acme/incidents", json=body | {"source": "ann"})
    assert own.status_code == 201
    assert (await house.caller().post("/v1/acme/incidents", json=body)).status_code == 201, "theirs is still to be had"


async def test_the_seal_names_only_the_partitions_that_hold_some_of_it(house: House, models: ReadModels):
    incident = await an_accident(house)
    await resolved(house, incident)
    await models.fold()
    await done(house, incident, "seal-incident", role="operator")
    await models.fold()
    seal = await read(house, f"incidents/{incident}/seal")
    assert list(vector(seal["timeline"]["up_to"]).values()) == [3]
