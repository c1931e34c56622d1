"""Each aggregate says what may be asked of it now, and by which rule not the rest: as it is then answered."""

from datetime import timedelta
from typing import Any

import pytest
from read_models import ReadModels
from reception import House, Json, delivery, key
from story import KAMPPI

from commands.aggregates import AGGREGATES
from gateway.allowed import SENDERS
from gateway.commands import OPEN
from gateway.openapi_schemas import PERMITTED
from gateway.permitted import BARS, HAS
from gateway.queries import SINGLES
from schemas.message import StopId, TaskId
from schemas.rider import ActivateReservation, NewPlannedStop, ReserveRider
from schemas.task import UnassignTask


@pytest.fixture
def house(library) -> House:
    return library[0]


@pytest.fixture
def models(library) -> ReadModels:
    return library[1]


async def read(house: House, path: str, role: str = "dispatcher", subject: str = "dora") -> Json:
    answer = await house.caller(role, subject).get(f"/v1/acme/{path}")  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_of_every_command_that_callers_may_send_the_states_are_known():
    for known in AGGREGATES.values():
        open_ones = {cls for cls in known.commands if cls in SENDERS and cls is not known.creating}
        assert set(known.life.takes) == open_ones, known.kind


async def test_a_task_says_what_a_dispatcher_may_do_with_it_and_why_not_the_rest(house: House, models: ReadModels):
    made = await house.caller().post("/v1/acme/tasks", json=delivery(external_reference="1"))
    task = made.json()["id"]
    await models.fold()
    told = await read(house, f"tasks/{task}")
    assert f"tasks/{task}/assign-task" in told["allowed_commands"]
    assert f"tasks/{task}/cancel-task" in told["allowed_commands"]
    assert told["forbidden_commands"]["accept-assignment"] == {"rule": "forbidden", "allowed": ["rider"]}
    unassign = told["forbidden_commands"]["unassign-task"]
    assert (unassign["rule"], unassign["actual"]) == ("not-in-this-state", "dispatchable")
    await house.caller().post(f"/v1/acme/tasks/{task}/cancel-task", json={"reason_code": "x"}, headers=key("c"))
    await models.fold()
    over = await read(house, f"tasks/{task}")
    assert over["forbidden_commands"]["assign-task"]["actual"] == "cancelled"
    assert over["cancelled"] | {"at": ""} == {
        "by": "shop",
        "at": "",
        "reason_code": "x",
        "rider_id": None,
        "carrier_id": None,
    }
    await house.knows("ann")
    sent = await house.caller("dispatcher", "dora").post(
        f"/v1/acme/tasks/{task}/assign-task", json={"rider_id": "ann"}, headers=key("a")
    )
    assert (sent.status_code, sent.json()["code"]) == (409, "not-in-this-state")


async def test_what_would_change_nothing_is_not_among_what_may_be_asked(house: House, models: ReadModels):
    made = await house.caller().post("/v1/acme/tasks", json=delivery(external_reference="h"))
    task = made.json()["id"]
    for word, other in (("release-task", "hold-task"), ("hold-task", "release-task")):
        await models.fold()
        told = await read(house, f"tasks/{task}")
        assert told["forbidden_commands"][word] == {"rule": "nothing-to-change"}
        assert f"tasks/{task}/{other}" in told["allowed_commands"]
        await house.caller().post(f"/v1/acme/tasks/{task}/{other}", json={"reason_code": "x"}, headers=key(other))
    nothing = {word for word, why in told["forbidden_commands"].items() if why["rule"] == "nothing-to-change"}
    assert {"settle-proof-dispute", "review-field-report", "reject-proof"} <= nothing
    assert "cancel-task" not in nothing


def test_what_is_asked_besides_the_state_stands_in_what_is_read():
    columns = {single.plural: single.model.columns() for single in SINGLES}
    for known in OPEN:
        for asked in (HAS.get(known.cls), BARS.get(known.cls)):
            if asked is None:
                continue
            row = Row()
            asked(row)
            assert row.asked <= columns[known.plural].keys(), known.word


class Row(dict[str, Any]):
    """One that has nothing, and remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def __missing__(self, name: str) -> "Row":
        self.asked.add(name)
        return Row()


async def test_a_task_is_not_to_be_taken_away_from_who_has_its_goods(house: House, models: ReadModels):
    dora = house.caller("dispatcher", "dora")
    task = (await house.caller().post("/v1/acme/tasks", json=delivery(external_reference="t"))).json()["id"]
    rider = (await dora.post("/v1/acme/riders", json={"name": "Ann"}, headers=key("r"))).json()["id"]
    await dora.post(f"/v1/acme/tasks/{task}/assign-task", json={"rider_id": rider}, headers=key("a"))
    await models.fold()
    assert f"tasks/{task}/unassign-task" in (await read(house, f"tasks/{task}"))["allowed_commands"]
    observed = {"stop_id": "stop-1", "observed_at": house.now.isoformat()}
    taken = await house.caller("rider", rider).post(
        f"/v1/acme/tasks/{task}/report-picked-up", json=observed, headers=key("p")
    )
    assert taken.status_code == 200, taken.text
    await models.fold()
    told = await read(house, f"tasks/{task}")
    assert told["forbidden_commands"]["unassign-task"] == {"rule": "goods-in-custody"}
    described = PERMITTED["forbidden_commands"]["additionalProperties"]["properties"]["rule"]["enum"]
    assert {why["rule"] for why in told["forbidden_commands"].values()} <= set(described)
    refused = await dora.post(f"/v1/acme/tasks/{task}/unassign-task", json={"reason_code": "x"}, headers=key("u"))
    assert refused.json()["code"] == "goods-in-custody"


async def test_who_ends_their_shift_may_still_take_a_break(house: House, models: ReadModels):
    dora = house.caller("dispatcher", "dora")

    async def done(path: str, body: Json | None = None) -> str:
        told = await dora.post(f"/v1/acme/{path}", json=body or {}, headers=key(path))
        assert told.status_code in (200, 201), told.text
        return str(told.json()["id"])

    rider = await done("riders", {"name": "Ann"})
    await done(f"riders/{rider}/approve-rider")
    await done(f"riders/{rider}/start-shift", {"ends_at": (house.now + timedelta(hours=8)).isoformat()})
    stop = NewPlannedStop(stop_id=StopId("stop-1"), kind="pickup", subject="s", location=KAMPPI)
    reserve = ReserveRider(task_id=TaskId("task-1"), round=1, stops=[stop], hold_until=house.now + timedelta(minutes=5))
    await house.process("rider", rider, reserve)
    await house.process("rider", rider, ActivateReservation(task_id=TaskId("task-1"), round=1))
    await done(f"riders/{rider}/end-shift")
    await models.fold()
    told = await read(house, f"riders/{rider}")
    assert told["shift"]["ending"]
    assert f"riders/{rider}/start-break" in told["allowed_commands"]
    assert {told["forbidden_commands"][word]["rule"] for word in ("start-shift", "end-shift")} == {"nothing-to-change"}
    await done(f"riders/{rider}/start-break")
    await models.fold()
    told = await read(house, f"riders/{rider}")
    assert told["on_break"]
    assert "start-break" in told["forbidden_commands"]


async def test_what_is_for_another_kind_of_task_is_no_command_of_this_one(house: House, models: ReadModels):
    made = await house.caller().post("/v1/acme/tasks", json=delivery(external_reference="a delivery"))
    task = made.json()["id"]
    await models.fold()
    told = await read(house, f"tasks/{task}", "integrator", "shop")
    receive = told["forbidden_commands"]["receive-transfer"]
    assert receive == {"rule": "not-for-this-kind", "needed": ["transfer"], "actual": "delivery"}
    line = {"parcel_id": "p", "received": 1}
    body = {"stop_id": "stop-2", "lines": [line]}
    sent = await house.caller().post(f"/v1/acme/tasks/{task}/receive-transfer", json=body, headers=key("r"))
    assert (sent.status_code, sent.json()["code"]) == (409, "not-for-this-kind"), sent.text


async def test_everybody_is_told_of_their_own_role(house: House, models: ReadModels):
    made = await house.caller("dispatcher", "dora").post("/v1/acme/riders", json={"name": "Ann"}, headers=key("r"))
    rider = made.json()["id"]
    await models.fold()
    own = await read(house, f"riders/{rider}", "rider", rider)
    assert f"riders/{rider}/submit-document" in own["allowed_commands"]
    assert own["forbidden_commands"]["approve-rider"]["rule"] == "forbidden"
    assert own["forbidden_commands"]["start-shift"]["needed"] == ["approved"]
    auditor = await read(house, f"riders/{rider}", "auditor", "aino")
    assert auditor["allowed_commands"] == []


PLACE = {"lat": 60.1, "lon": 24.9}
HUB = {"hub": "pasila", "name": "Pasila", "zone": "Europe/Helsinki", "location": PLACE}
FENCE = {"name": "Yard", "shape": {"type": "circle", "center": PLACE, "radius_m": 50}}


def test_nor_from_a_carrier_whose_booking_is_cancelled_instead():
    bar = BARS[UnassignTask]
    with_carrier = {"progress": {"carrier": {"carrier_id": "c"}}, "parcels": {}}
    assert bar(with_carrier) == "not-in-this-state"
    assert bar(with_carrier | {"progress": {"carrier": None}}) is None


@pytest.mark.parametrize(
    ("path", "body", "word", "then"),
    [
        ("hubs", HUB, "close-hub", ["reopen-hub", "move-hub", "set-hub-contacts"]),
        ("geofences", FENCE, "remove-geofence", []),
    ],
)
async def test_what_is_closed_or_removed_says_so(
    house: House, models: ReadModels, path: str, body: Json, word: str, then: list[str]
):
    made = (await house.caller().post(f"/v1/acme/{path}", json=body, headers=key("m"))).json()["id"]
    await models.fold()
    assert f"{path}/{made}/{word}" in (await read(house, f"{path}/{made}"))["allowed_commands"]
    await house.caller().post(f"/v1/acme/{path}/{made}/{word}", json={}, headers=key("w"))
    await models.fold()
    told = await read(house, f"{path}/{made}")
    assert told["forbidden_commands"][word]["rule"] == "not-in-this-state"
    assert sorted(told["allowed_commands"]) == sorted(f"{path}/{made}/{each}" for each in then)
