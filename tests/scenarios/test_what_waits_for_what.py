"""What waits for what: a wave that is picked late and released together, and deliveries that wait for others."""

from datetime import datetime
from typing import Any

import pytest
from quarter import HOME, Json, Quarter, until

pytestmark = pytest.mark.timeout(240)

TO_HER_DOOR = [{"kind": "pickup"}, {"kind": "dropoff", "location": HOME, "contact": {"name": "Cleo Contact"}}]


async def a_delivery(quarter: Quarter, **more: Any) -> str:
    order = {"kind": "delivery", "outlet": "kamppi", "stops": TO_HER_DOOR, "parcels": [{}]}
    made = await quarter.shop.makes("tasks", order | more)
    return str(made["id"])


async def goes(quarter: Quarter, task: str) -> Json:
    """Once it has come to dispatch."""

    async def known() -> Json:
        told: Json = await quarter.dora.reads(f"tasks/{task}")
        return told

    return await until(known, lambda told: told["state"] != "created")


async def has(quarter: Quarter, wave: str, tasks: list[str]) -> None:
    async def inside() -> list[str]:
        return sorted((await quarter.shop.reads(f"pick-waves/{wave}"))["tasks"])

    await until(inside, lambda found: found == sorted(tasks))


async def test_a_wave_is_picked_late_one_of_it_is_cancelled_and_the_others_come_to_dispatch_together(quarter: Quarter):
    plan = {"outlet": "kamppi", "goods_ready_at": quarter.in_(hours=1), "external_reference": "WAVE-9"}
    wave: str = (await quarter.shop.makes("pick-waves", plan))["id"]
    tasks = [await a_delivery(quarter, pick_wave=wave) for _ in range(3)]
    await has(quarter, wave, tasks)

    slipped = quarter.in_(hours=2)
    await quarter.shop.does(f"pick-waves/{wave}/retime-pick-wave", {"goods_ready_at": slipped})

    async def expected() -> set[datetime | None]:
        ready = [(await quarter.shop.reads(f"tasks/{task}"))["stops"][0]["goods_ready_at"] for task in tasks]
        return {None if at is None else datetime.fromisoformat(at) for at in ready}

    await until(expected, lambda found: found == {datetime.fromisoformat(slipped)})
    await quarter.later(hours=3)
    board = await quarter.dora.lists("task-board", waits_for=wave)
    assert [(task["state"], task["dispatch_at"]) for task in board] == [("created", None)] * 3, "time alone sends none"

    first, second, third = tasks
    await quarter.shop.does(f"tasks/{second}/cancel-task", {"reason_code": "customer_cancelled"})
    await has(quarter, wave, [first, third])
    released = await quarter.shop.does(f"pick-waves/{wave}/release-pick-wave")
    assert released["events"] == ["PickWaveReleased"]
    for task in (first, third):
        told = await goes(quarter, task)
        assert told["stops"][0]["goods_ready"]
        assert told["dependencies"] == {wave: {"kind": "pick_wave", "status": "met", "reason_code": None}}
    assert (await quarter.shop.reads(f"tasks/{second}"))["state"] == "cancelled"

    late = await a_delivery(quarter, pick_wave=wave)
    await goes(quarter, late)
    [listed] = await quarter.shop.lists("pick-waves", outlet="kamppi", status="released")
    assert (listed["external_reference"], sorted(listed["tasks"])) == ("WAVE-9", sorted([first, third, late]))


async def test_a_delivery_waits_for_another_and_goes_once_that_was_brought(quarter: Quarter):
    ann = await quarter.at_work("Ann")
    first = await a_delivery(quarter)
    second = await a_delivery(quarter, depends_on=[first])
    [waiting] = await quarter.dora.lists("task-board", waits_for=first)
    assert (waiting["task_id"], waiting["state"]) == (second, "created")

    await quarter.wins(ann, first)
    await ann.does(f"tasks/{first}/report-picked-up", {"stop_id": "stop-1", "observed_at": quarter.ago(seconds=1)})
    await ann.does(f"tasks/{first}/report-delivered", {"stop_id": "stop-2", "observed_at": quarter.ago(seconds=1)})
    assert (await goes(quarter, second))["dependencies"][first]["status"] == "met"


async def test_a_delivery_whose_other_is_cancelled_waits_for_a_person(quarter: Quarter):
    first = await a_delivery(quarter)
    second = await a_delivery(quarter, depends_on=[first])
    await quarter.shop.does(f"tasks/{first}/cancel-task", {"reason_code": "customer_cancelled"})

    async def desk() -> list[Json]:
        return await quarter.dora.lists("exception-desk", kind="dependency_failed")

    [row] = await until(desk, bool)
    assert (row["aggregate_id"], row["items"][0]["id"], row["items"][0]["reason_code"]) == (
        second,
        first,
        "task_cancelled",
    )
    await quarter.dora.does(row["mends"][0], {"on": first, "reason_code": "in_stock"})
    await goes(quarter, second)
    assert await desk() == []
