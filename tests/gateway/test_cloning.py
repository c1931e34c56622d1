"""A clone as it is read: where it came from, what became of it, and what whoever waits for it is given."""

import pytest
from following import anew
from read_models import ReadModels
from reception import HOME, House, Json, delivery, key

from schemas.topics import TASK
from streams.cloning import CLONING

STOPS = [
    {"kind": "pickup"},
    {"kind": "dropoff", "location": HOME, "contact": {"name": "Cleo"}, "required_proof": [["pin"]]},
]


@pytest.fixture
def house(library) -> House:
    return library[0]


@pytest.fixture
def models(library) -> ReadModels:
    return library[1]


async def read(house: House, path: str) -> Json:
    answer = await house.caller().get(f"/v1/acme/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ordered(house: House) -> Json:
    return (await house.caller().post("/v1/acme/tasks", json=delivery(external_reference="1", stops=STOPS))).json()


async def cloned(house: House, models: ReadModels, task: str, **wanted: object) -> str:
    answer = await house.caller().post(f"/v1/acme/tasks/{task}/clone-task", json=wanted, headers=key("clone"))
    assert answer.status_code == 200, answer.text
    await anew(house, "cloning", CLONING, TASK)
    await models.fold()
    return answer.json()["created"]


async def test_each_of_the_two_names_the_other(house: House, models: ReadModels):
    task = (await ordered(house))["id"]
    clone = await cloned(house, models, task, metadata={"gift": "yes"})
    original, other = await read(house, f"tasks/{task}"), await read(house, f"tasks/{clone}")
    assert [(each["task_id"], each["refused"]) for each in original["clones"]] == [(clone, None)]
    assert (other["cloned_from"], other["metadata"]) == (task, {"gift": "yes"})
    assert other["stops"][1]["contact"]["name"] == "Cleo"
    assert "created_by" not in other
    assert "from_directory" not in other["stops"][0]


async def test_a_clone_that_was_refused_is_told_with_the_rule(house: House, models: ReadModels):
    task = (await ordered(house))["id"]
    await house.caller().post("/v1/acme/tasks", json=delivery(external_reference="2"))
    await cloned(house, models, task, external_reference="2")
    (told,) = (await read(house, f"tasks/{task}"))["clones"]
    assert (told["refused"], told["reason_code"]) == ("already-exists", "already-exists")


async def test_what_was_drawn_for_a_task_is_told_again_as_it_was(house: House, models: ReadModels):
    made = await ordered(house)
    await models.fold()
    drawn = await read(house, f"tasks/{made['id']}/secrets")
    assert drawn == {name: made[name] for name in ("tracking_code", "tracking_token", "tracking_links", "pins")}
    assert list(drawn["pins"]) == ["stop-2"]


async def test_what_was_drawn_for_a_clone_is_its_own_and_opens_it(house: House, models: ReadModels):
    made = await ordered(house)
    clone = await cloned(house, models, made["id"])
    drawn = await read(house, f"tasks/{clone}/secrets")
    assert drawn["tracking_token"] != made["tracking_token"]
    tracked = await house.client().get(f"/v1/tracking/{drawn['tracking_token']}")
    assert tracked.status_code == 200, tracked.text
    assert tracked.json()["tracking_code"] == drawn["tracking_code"]


async def test_only_who_may_create_a_task_reads_what_was_drawn_for_one(house: House, models: ReadModels):
    task = (await ordered(house))["id"]
    await models.fold()
    for role in ("rider", "analyst", "auditor"):
        assert (await house.caller(role, "ann").get(f"/v1/acme/tasks/{task}/secrets")).status_code == 403
    assert (await house.caller().get("/v1/acme/tasks/nothing/secrets")).status_code == 404
