"""What is read of a task's proofs: which count and why not, in whose sight, and what was rejected since."""

from hashlib import sha256

import pytest
from cameras import phone_photo
from read_models import ReadModels
from reception import HOME, House, Json, delivery, key
from story import NOON

PHOTO = phone_photo()
DIGEST = sha256(PHOTO).hexdigest()
FIX = {"lat": 60.161, "lon": 24.942, "accuracy_m": 5.0, "observed_at": NOON.isoformat()}


@pytest.fixture
def house(library) -> House:
    return library[0]


@pytest.fixture
def models(library) -> ReadModels:
    return library[1]


async def carried(house: House, **more: object) -> str:
    """A task on its way, of the rider ann, for somebody of age."""
    dropoff = {"kind": "dropoff", "location": HOME, "contact": {"name": "Cleo Contact"}, **more}
    body = delivery(stops=[{"kind": "pickup"}, dropoff], parcels=[{"barcode": "A1"}])
    made = await house.caller().post("/v1/acme/tasks", json=body, headers=key("t"))
    task = str(made.json()["id"])
    dora = house.caller("dispatcher", "dora")
    await house.knows("ann")
    await dora.post(f"/v1/acme/tasks/{task}/assign-task", json={"rider_id": "ann"}, headers=key("a"))
    await house.caller("rider", "ann").post(f"/v1/acme/tasks/{task}/accept-assignment", headers=key("y"))
    await house.caller("rider", "ann").put(f"/v1/acme/artefacts/{DIGEST}", content=PHOTO)
    await said(house, task, "report-picked-up", "stop-1")
    return task


async def said(house: House, task: str, report: str, stop: str, *proofs: Json) -> Json:
    body = {"stop_id": stop, "observed_at": NOON.isoformat()} | ({"proofs": proofs} if proofs else {})
    answer = await house.caller("rider", "ann").post(
        f"/v1/acme/tasks/{task}/{report}", json=body, headers=key(f"{report}-{stop}-{len(house.desk.log)}")
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def read(house: House, models: ReadModels, task: str, role: str = "dispatcher", subject: str = "dora") -> Json:
    await models.fold(["task_detail"])
    answer = await house.caller(role, subject).get(f"/v1/acme/tasks/{task}")  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return answer.json()


SIGNATURE = {"kind": "signature", "sha256": DIGEST, "signer": "Cleo's neighbour", "fix": FIX}
ID_CHECK = {"kind": "id_check", "result": "pass", "age_band": "25_or_over"}
WRONG_CODE = {"kind": "scan", "parcel_id": "parcel-1", "code": "Z9"}


async def test_each_proof_is_told_with_what_it_shows_and_why_it_does_not_count(house: House, models: ReadModels):
    task = await carried(house)
    await said(house, task, "capture-proof", "stop-2", SIGNATURE, ID_CHECK, WRONG_CODE)
    signature, check, code = (await read(house, models, task))["proofs"]
    assert (signature["status"], signature["sha256"], signature["signer"]) == ("accepted", DIGEST, "Cleo's neighbour")
    assert signature["fix"]["lat"] == FIX["lat"]
    assert len(signature["kept_sha256"]) == 64
    assert check["id_check"] == {"result": "pass", "age_band": "25_or_over"}
    assert (code["status"], code["problem"], code["scanned_code"]) == ("failed", "barcode_differs", "Z9")


async def test_who_signed_and_showed_what_is_not_for_everybody(house: House, models: ReadModels):
    task = await carried(house)
    await said(house, task, "capture-proof", "stop-2", SIGNATURE, ID_CHECK)
    signature, check = (await read(house, models, task, "auditor", "otto"))["proofs"]
    assert (signature["signer"], signature["fix"], check["id_check"]) == ("hidden", "hidden", "hidden")
    assert (signature["kind"], signature["sha256"]) == ("signature", DIGEST)


async def test_a_forgotten_contact_is_forgotten_as_signer_too(house: House, models: ReadModels):
    task = await carried(house)
    await said(house, task, "capture-proof", "stop-2", SIGNATURE, ID_CHECK)
    for partition in range(8):
        house.keyring.apply(partition, house.desk.kept[task].state.stops["stop-2"].stop.contact.name.subject, None)
    signature, check = (await read(house, models, task))["proofs"]
    assert (signature["signer"], check["id_check"]) == ("erased", "erased")
    assert signature["fix"]["lat"] == FIX["lat"], "that is the rider's"


async def test_a_rejected_proof_is_told_with_its_reason_and_the_completion_as_disputed(
    house: House, models: ReadModels
):
    task = await carried(house, required_proof=[["signature"]])
    done = await said(house, task, "report-delivered", "stop-2", SIGNATURE)
    assert done["events"][-1] == "TaskCompleted"
    before = await read(house, models, task)
    assert not before["proof_disputed"]
    rejected = await house.caller("dispatcher", "dora").post(
        f"/v1/acme/tasks/{task}/reject-proof",
        json={"stop_id": "stop-2", "proof_id": before["proofs"][0]["proof_id"], "reason_code": "not_theirs"},
        headers=key("r"),
    )
    assert rejected.json()["events"] == ["ProofRejected", "ProofDisputed"]
    after = await read(house, models, task)
    assert (after["proofs"][0]["status"], after["proofs"][0]["reason_code"]) == ("rejected", "not_theirs")
    assert (after["proof_disputed"], after["state"]) == (True, "completed")
    dora = house.caller("dispatcher", "dora")
    await models.fold()
    [row] = (await dora.get("/v1/acme/exception-desk")).json()["items"]
    told = [(item["id"], item["reason_code"]) for item in row["items"]]
    assert (row["kind"], told) == ("proof_disputed", [(after["proofs"][0]["proof_id"], "not_theirs")])
    await dora.post(f"/v1/acme/tasks/{task}/settle-proof-dispute", json={"decision_code": "paid"}, headers=key("s"))
    assert not (await read(house, models, task))["proof_disputed"]
    await models.fold()
    assert (await dora.get("/v1/acme/exception-desk")).json()["items"] == []


async def test_only_who_dispatches_rejects_proofs(house: House, models: ReadModels):
    for role, subject in (("rider", "ann"), ("integrator", "shop"), ("auditor", "otto")):
        body = {"stop_id": "stop-2", "proof_id": "x", "reason_code": "blurred"}
        refused = await house.caller(role, subject).post(  # type: ignore[arg-type]
            "/v1/acme/tasks/t/reject-proof", json=body, headers=key("r")
        )
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_the_proofs_of_a_rider_who_was_taken_off_are_void(house: House, models: ReadModels):
    dropoff = {"kind": "dropoff", "location": HOME}
    body = delivery(stops=[{"kind": "pickup", "required_proof": [["photo"]]}, dropoff])
    task = str((await house.caller().post("/v1/acme/tasks", json=body, headers=key("t"))).json()["id"])
    dora = house.caller("dispatcher", "dora")
    await house.knows("ann")
    await dora.post(f"/v1/acme/tasks/{task}/assign-task", json={"rider_id": "ann"}, headers=key("a"))
    await house.caller("rider", "ann").put(f"/v1/acme/artefacts/{DIGEST}", content=PHOTO)
    await said(house, task, "capture-proof", "stop-1", {"kind": "photo", "sha256": DIGEST})
    await dora.post(f"/v1/acme/tasks/{task}/unassign-task", json={"reason_code": "late"}, headers=key("u"))
    assert [proof["status"] for proof in (await read(house, models, task))["proofs"]] == ["void"]
