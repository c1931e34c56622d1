"""A tenant that gives tasks by windows: what comes within one is decided on together, and told why."""

import asyncio
from datetime import datetime
from time import time

import pytest
from quarter import HUB, OUTLET, Json, Quarter, until

pytestmark = pytest.mark.timeout(240)
WINDOW_S = 5
AT_THE_HUB = {"lat": HUB["lat"] + 0.0005, "lon": HUB["lon"]}
"""Two doors, at either end of the quarter: by itself each goes to whoever is nearer to its pickup."""
BEHIND_THE_HUB = {"lat": HUB["lat"] + 0.001, "lon": HUB["lon"] + 0.006}
AWAY = {"lat": 60.1634, "lon": 24.9290}


def batch(**more: object) -> Json:
    return {"rules": {"dispatch": {"batch": {"window_seconds": WINDOW_S, "max_bundle": 1, **more}}}}


async def ordered(quarter: Quarter, at: Json, to: Json) -> str:
    stops = [{"kind": "pickup", "location": at}, {"kind": "dropoff", "location": to}]
    made = await quarter.shop.makes("tasks", {"kind": "delivery", "outlet": "kamppi", "stops": stops})
    return str(made["id"])


async def a_window_has_begun() -> None:
    """What comes now comes into the same one."""
    await asyncio.sleep(WINDOW_S - time() % WINDOW_S)


async def decided(quarter: Quarter, task: str, rounds: int = 1) -> Json:
    """The window of the task's latest round."""

    async def windows() -> list[Json]:
        found = await quarter.dora.lists("windows", task_id=task)
        return [each for each in found if each["status"] == "decided"]

    return (await until(windows, lambda found: len(found) >= rounds))[-1]


async def test_what_comes_within_a_window_is_given_together_and_each_task_tells_why(quarter: Quarter):
    await quarter.root.does(f"{quarter.itself}/change-tenant-rules", batch())
    ann, bob = await quarter.at_work("Ann"), await quarter.at_work("Bob")
    await a_window_has_begun()
    first, second = await ordered(quarter, OUTLET, AWAY), await ordered(quarter, HUB, AT_THE_HUB)
    window = await decided(quarter, first)
    assert [each["task_id"] for each in window["tasks"]] == [first, second]
    given = {task: each["rider_id"] for each in window["given"] for task in each["task_ids"]}
    assert set(given) == {first, second}
    assert datetime.fromisoformat(window["closed_at"]) >= datetime.fromisoformat(window["closes_at"])
    winner = ann if given[first] == ann.id else bob
    await quarter.wins(winner, first)
    why = await quarter.dora.reads(f"tasks/{first}/why")
    assert any("in a window of" in said for said in why["told"])
    assert any(said.startswith("The window gave it to rider") for said in why["told"])
    [decision] = why["decisions"]
    assert decision["in_window"]["window_id"] == window["window_id"]
    assert decision["input_hash"] == window["input_hash"]


async def test_two_orders_of_one_shop_go_together_in_one_offer_and_in_the_order_that_was_planned(quarter: Quarter):
    await quarter.root.does(f"{quarter.itself}/change-tenant-rules", batch(max_bundle=2))
    ann = await quarter.at_work("Ann")
    await a_window_has_begun()
    near, far = await ordered(quarter, OUTLET, HUB), await ordered(quarter, OUTLET, BEHIND_THE_HUB)
    window = await decided(quarter, near)
    [together] = window["given"]
    assert (together["rider_id"], sorted(together["task_ids"])) == (ann.id, sorted([near, far]))

    async def sent() -> list[Json]:
        return await quarter.dora.lists("tender-board", task_id=near)

    [tender] = await until(sent, bool)
    assert {tender["task_id"], *(each["task_id"] for each in tender["bundle"])} == {near, far}
    [offer] = tender["offers"]
    await ann.does(f"tenders/{tender['tender_id']}/claim-offer", {"offer_id": offer})
    for task in (near, far):
        await quarter.reserved(ann, task)
    ahead = (await ann.reads(f"riders/{ann.id}"))["itinerary"]
    assert [stop["kind"] for stop in ahead] == ["pickup", "pickup", "dropoff", "dropoff"]
    assert [stop["task_id"] for stop in ahead[2:]] == [near, far], "the far one lies behind the near one"
    for task in (near, far):
        told = " ".join((await quarter.dora.reads(f"tasks/{task}/why"))["told"])
        assert "together with task" in told
        assert "The window gave it to rider" in told


async def test_who_is_left_says_why_and_comes_into_a_later_window(quarter: Quarter):
    await quarter.root.does(f"{quarter.itself}/change-tenant-rules", batch(left_out=0, left_out_per_second=0))
    ann = await quarter.at_work("Ann")
    task = await ordered(quarter, OUTLET, AWAY)
    window = await decided(quarter, task)
    assert [(each["task_id"], each["code"]) for each in window["left_over"]] == [(task, "dearer_than_waiting")]
    await quarter.root.does(f"{quarter.itself}/change-tenant-rules", batch())
    await quarter.later(seconds=61)
    again = await decided(quarter, task, rounds=2)
    assert [each["task_ids"] for each in again["given"]] == [[task]]
    await quarter.wins(ann, task)
    told = (await quarter.dora.reads(f"tasks/{task}/why"))["told"]
    assert "The window left it, because of dearer_than_waiting" in " ".join(told)
    assert "The window gave it to" in " ".join(told)


async def test_what_waits_in_a_window_says_so(quarter: Quarter):
    rules = {"rules": {"dispatch": {"batch": {"window_seconds": 600}}}}
    await quarter.root.does(f"{quarter.itself}/change-tenant-rules", rules)
    task = await ordered(quarter, OUTLET, AWAY)

    async def told() -> str:
        return " ".join((await quarter.dora.reads(f"tasks/{task}/why"))["told"])

    await until(told, lambda said: "It waits alone in window" in said)


async def test_what_is_called_off_while_it_waits_is_offered_to_nobody(quarter: Quarter):
    await quarter.root.does(f"{quarter.itself}/change-tenant-rules", batch())
    await quarter.at_work("Ann")
    task = await ordered(quarter, OUTLET, AWAY)
    await quarter.shop.does(f"tasks/{task}/cancel-task", {"reason_code": "changed_mind"})
    window = await decided(quarter, task)
    assert (window["given"], window["left_over"], window["gone"]) == ([], [], [task])
    assert await quarter.dora.lists("tender-board", task_id=task) == []
