"""The same again: an order that is cloned, and bread that comes each day, but for the holidays."""

import pytest
from quarter import Json, Quarter, until

pytestmark = pytest.mark.timeout(240)

HOME = {"lat": 60.161, "lon": 24.942}
CLEO = {"name": "Cleo Contact", "phone": "+358401234567", "reference": "customer-881"}


async def read_at_last(quarter: Quarter, path: str) -> Json:
    """What our own process creates is there a moment later."""

    async def found() -> Json | None:
        answer = await quarter.shop.asks(path)
        return answer.json() if answer.status_code == 200 else None

    told = await until(found, lambda row: row is not None)
    assert told is not None
    return told


async def test_an_order_is_cloned_and_the_clone_is_handed_over_for_a_pin_of_its_own(quarter: Quarter):
    door = {"kind": "dropoff", "location": HOME, "contact": CLEO, "required_proof": [["pin"]]}
    order = {"kind": "delivery", "outlet": "kamppi", "stops": [{"kind": "pickup"}, door], "on_hold": True}
    made = await quarter.shop.makes("tasks", order)
    answer = await quarter.shop.does(f"tasks/{made['id']}/clone-task", {"on_hold": True})
    clone = await read_at_last(quarter, f"tasks/{answer['created']}")
    assert (clone["cloned_from"], clone["held"]) == (made["id"], "created_on_hold")
    assert clone["stops"][1]["contact"]["name"] == "Cleo Contact"
    drawn = await quarter.shop.reads(f"tasks/{answer['created']}/secrets")
    assert list(drawn["pins"]) == ["stop-2"]
    followed = await quarter.http.get(f"/v1/tracking/{drawn['tracking_token']}")
    assert followed.json()["tracking_code"] == clone["tracking_code"] != made["tracking_code"]
    [told] = (await quarter.dora.reads(f"tasks/{made['id']}"))["clones"]
    assert (told["task_id"], told["refused"]) == (answer["created"], None)


async def test_bread_comes_each_day_but_for_the_holidays(quarter: Quarter):
    task = {
        "kind": "delivery",
        "on_hold": True,
        "stops": [
            {"kind": "pickup", "goods_ready_minutes": -30},
            {"kind": "dropoff", "location": HOME, "contact": CLEO, "window": {"from_minutes": 0, "to_minutes": 120}},
        ],
    }
    daily = {"outlet": "kamppi", "rule": "FREQ=DAILY", "starts_at": quarter.in_(days=2), "task": task}
    recurrence = (await quarter.shop.makes("recurrences", daily))["id"]

    async def made() -> list[Json]:
        return await quarter.dora.lists("task-board", recurrence_id=recurrence)

    told = await quarter.dora.reads(f"recurrences/{recurrence}")
    assert await made() == [], "a day before it is early enough"
    await quarter.later(days=1, minutes=1)
    [first] = await until(made, lambda rows: len(rows) == 1)
    assert first["external_reference"] == f"{recurrence}/{told['next']['local']}"
    detail = await quarter.dora.reads(f"tasks/{first['task_id']}")
    assert detail["stops"][1]["window"]["start"] == told["next"]["at"]
    assert detail["stops"][1]["contact"]["name"] == "Cleo Contact"

    await quarter.shop.does(f"recurrences/{recurrence}/pause-recurrence", {"reason_code": "holidays"})
    await quarter.later(days=5)
    assert len(await made()) == 1
    resumed = await quarter.shop.does(f"recurrences/{recurrence}/resume-recurrence")
    assert resumed["events"] == ["RecurrenceResumed", "OccurrenceScheduled"]
    rows = await until(made, lambda rows: len(rows) == 2)
    told = await quarter.dora.reads(f"recurrences/{recurrence}")
    assert told["latest"]["task_id"] in {row["task_id"] for row in rows}
    assert told["latest"]["occurrence"]["number"] == 6, "four lay in the pause"
