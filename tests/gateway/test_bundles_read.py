"""A tender of several tasks is read with each of them."""

from datetime import timedelta

import pytest
from read_models import ReadModels
from reception import House, delivery

from infra.lookups import Lookups
from schemas import ids
from schemas.itinerary import Bundled
from schemas.message import RiderId, TaskId, TenantSlug
from schemas.tender import Candidate, OpenTender, PlannedOffer

ACME = TenantSlug("acme")


class Offered:
    def __init__(self, house: House, models: ReadModels, tasks: list[str], rider: RiderId) -> None:
        self.house, self.models, self.tasks, self.rider = house, models, tasks, rider
        self.tender = ids.tender_id(TaskId(tasks[0]), 1)


@pytest.fixture
async def offered(library: tuple[House, ReadModels]) -> Offered:
    """The first two of three tasks together, to Ann."""
    house, models = library
    dora = house.caller("dispatcher", "dora")
    made = await dora.post("/v1/acme/riders", json={"name": "Ann", "external_reference": "ann"})
    rider = RiderId(made.json()["id"])
    posted = [
        await house.caller().post("/v1/acme/tasks", json=delivery(external_reference=name)) for name in ("1", "2", "3")
    ]
    tasks = [each.json()["id"] for each in posted]
    it = Offered(house, models, tasks, rider)
    offer = PlannedOffer(
        offer_id=ids.offer_id(it.tender, rider), rider_id=rider, expires_at=house.now + timedelta(minutes=1)
    )
    opening = OpenTender(
        task_id=TaskId(tasks[0]),
        round=1,
        bundle=[Bundled(task_id=TaskId(tasks[1]), round=1)],
        mode="direct",
        candidates=[Candidate(rider_id=rider, rank=1, travel_s=60, distance_m=500, source="osrm")],
        excluded=[],
        offers=[offer],
        policy_version=1,
        input_hash="h",
        solver="batch-1",
    )
    await house.process("tender", it.tender, opening)
    await models.fold()
    return it


@pytest.mark.parametrize("table", ["tender-board", "dispatch-decisions"])
async def test_it_is_found_by_each_of_its_tasks_and_by_no_other(offered: Offered, table: str):
    dora = offered.house.caller("dispatcher", "dora")
    for task, count in zip(offered.tasks, (1, 1, 0), strict=True):
        rows = (await dora.get(f"/v1/acme/{table}?task_id={task}")).json()["items"]
        assert [row["tender_id"] for row in rows] == [offered.tender] * count
        for row in rows:
            assert (row["task_id"], row["bundle"]) == (offered.tasks[0], [{"task_id": offered.tasks[1], "round": 1}])


async def test_why_tells_of_each_with_which_others_it_was_offered(offered: Offered):
    dora = offered.house.caller("dispatcher", "dora")
    for task, other in (offered.tasks[:2], offered.tasks[1::-1]):
        told = (await dora.get(f"/v1/acme/tasks/{task}/why")).json()["told"]
        assert f", together with task {other}: 1 of 1 riders could take it." in " ".join(told)
    told = (await dora.get(f"/v1/acme/tasks/{offered.tasks[2]}/why")).json()["told"]
    assert told[-1] == "Dispatch has not decided about it."


async def test_who_declines_it_has_declined_each_of_its_tasks(offered: Offered):
    house = offered.house
    ann = house.caller("rider", offered.rider)
    offer = ids.offer_id(offered.tender, offered.rider)
    body = {"offer_id": offer, "reason_code": "too_far"}
    said = await ann.post(
        f"/v1/acme/tenders/{offered.tender}/decline-offer", json=body, headers={"idempotency-key": "no"}
    )
    assert said.status_code == 200, said.text
    await offered.models.fold()
    door = house.door
    assert door.pool is not None
    lookups = Lookups(door.pool, door.policy, door.keyring, door.partitions, lambda: house.now)
    declined = [await lookups.declined(ACME, task) for task in offered.tasks]
    assert declined == [{offered.rider}, {offered.rider}, frozenset()]
