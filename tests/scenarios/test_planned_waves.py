"""A morning's orders are planned before they come to dispatch, looked at, committed, and planned anew as the day goes."""

from itertools import pairwise
from typing import Any

import pytest
from quarter import Json, Person, Quarter, until

pytestmark = pytest.mark.timeout(300)
WEST, EAST, NORTH = (
    {"lat": 60.1655, "lon": 24.9210},
    {"lat": 60.1730, "lon": 24.9560},
    {"lat": 60.1845, "lon": 24.9500},
)
DOORS = [WEST, EAST, NORTH]


async def ordered(quarter: Quarter, door: Json, opens: dict[str, float], **more: Any) -> str:
    """To be picked up within an hour from then."""
    later = {unit: much + (1 if unit == "hours" else 60) for unit, much in opens.items()}
    window = {"start": quarter.in_(**opens), "end": quarter.in_(**later)}
    stops = [
        {"kind": "pickup", "stop_id": "shop", "window": window},
        {"kind": "dropoff", "stop_id": "door", "location": door},
    ]
    body = {"kind": "delivery", "outlet": "kamppi", "stops": stops, "parcels": [{"weight_g": 900}], **more}
    return str((await quarter.shop.makes("tasks", body))["id"])


async def planned(quarter: Quarter, body: Json, status: str) -> Json:
    made = await quarter.dora.makes("plans", {"seconds": 1, **body})

    async def plan() -> Json:
        found: Json = await quarter.dora.reads(f"plans/{made['id']}")
        return found

    return await until(plan, lambda known: known["status"] == status)


async def becomes(quarter: Quarter, plan_id: str, *statuses: str) -> Json:
    async def plan() -> Json:
        found: Json = await quarter.dora.reads(f"plans/{plan_id}")
        return found

    return await until(plan, lambda known: known["status"] in statuses)


async def of_task(quarter: Quarter, task: str) -> tuple[str, str | None]:
    row = await quarter.dora.reads(f"tasks/{task}")
    return row["state"], row["rider_id"]


async def ahead_of(rider: Person) -> list[tuple[str, str]]:
    known = await rider.reads(f"riders/{rider.id}")
    return [(stop["task_id"], stop["stop_id"]) for stop in known["itinerary"]]


def order_of(route: Json) -> list[tuple[str, str]]:
    return [(visit["task_id"], visit["stop_id"]) for visit in route["visits"]]


async def test_a_mornings_orders_are_planned_looked_at_and_committed(quarter: Quarter):
    ann, bob = await quarter.at_work("Ann"), await quarter.at_work("Bob")
    tasks = [await ordered(quarter, door, {"hours": 2}) for door in [*DOORS, *DOORS]]
    impossible = await ordered(quarter, WEST, {"hours": 2}, required_skills=["alcohol"])
    plan = await planned(quarter, {}, "proposed")
    proposal = plan["proposal"]
    routed = {task["task_id"]: route["rider_id"] for route in proposal["routes"] for task in route["tasks"]}
    assert sorted(routed) == sorted(tasks), "six orders need no second look"
    [left] = proposal["left_out"]
    assert (left["task_id"], left["code"], left["told"]) == (impossible, "no_rider", "skill_missing: 2")
    assert set(routed.values()) <= {ann.id, bob.id}
    for route in proposal["routes"]:
        visits = route["visits"]
        assert [visit["stop_id"] for visit in visits].count("shop") == len(route["tasks"])
        assert all(one["leaves_at"] <= other["arrives_at"] <= other["begins_at"] for one, other in pairwise(visits))
    outcomes = {attempt["solver"]: attempt["outcome"] for attempt in proposal["attempts"]}
    assert outcomes["pyvrp"] == outcomes["vroom"] == "passed"
    assert {await of_task(quarter, task) for task in tasks} == {("created", None)}, "nothing is given to anybody yet"

    listed = await quarter.dora.lists("plans", status="proposed")
    assert [(row["plan_id"], row["proposal"]) for row in listed] == [(plan["plan_id"], None)]
    await quarter.dora.does(f"plans/{plan['plan_id']}/commit-plan")
    plan = await becomes(quarter, plan["plan_id"], "committed")
    assert {task: row["rider_id"] for task, row in plan["tasks"].items() if row["given"]} == routed
    assert all(row["committed"] for row in plan["riders"].values())
    for task, rider in routed.items():
        assert await of_task(quarter, task) == ("accepted", rider)
    by_rider = {route["rider_id"]: route for route in proposal["routes"]}
    for rider in (ann, bob):
        wanted = order_of(by_rider[rider.id]) if rider.id in by_rider else []
        assert await until(lambda rider=rider: ahead_of(rider), lambda ahead, wanted=wanted: ahead == wanted) == wanted
    assert await quarter.dora.lists("tender-board") == [], "nobody was asked"
    said = (await quarter.dora.reads(f"tasks/{tasks[0]}/why"))["told"]
    assert said[-2].startswith(f"Plan {plan['plan_id']} of ")
    assert f"gave it to rider {routed[tasks[0]]}" in said[-2]
    assert said[-1] == f"Rider {routed[tasks[0]]} has it by plan {plan['plan_id']}."
    said = (await quarter.dora.reads(f"tasks/{impossible}/why"))["told"]
    assert said[-1].endswith("left it out: no rider (skill_missing: 2).")
    assert (await quarter.dora.refused(f"plans/{plan['plan_id']}/reject-plan", {"reason_code": "too_late"}))[1] == (
        "not-in-this-state"
    )


async def test_what_is_gone_meanwhile_is_not_given_and_the_rest_is(quarter: Quarter):
    ann = await quarter.at_work("Ann")
    stays, goes = [await ordered(quarter, door, {"hours": 2}) for door in (WEST, EAST)]
    plan = await planned(quarter, {"tasks": [stays, goes]}, "proposed")
    await quarter.shop.does(f"tasks/{goes}/cancel-task", {"reason_code": "changed_mind"})
    await quarter.dora.does(f"plans/{plan['plan_id']}/commit-plan")
    plan = await becomes(quarter, plan["plan_id"], "partly_committed")
    assert {task: row["given"] for task, row in plan["tasks"].items()} == {stays: True, goes: False}
    assert await of_task(quarter, stays) == ("accepted", ann.id)
    await until(lambda: ahead_of(ann), lambda ahead: ahead == [(stays, "shop"), (stays, "door")])
    known = await quarter.dora.reads(f"riders/{ann.id}")
    assert list(known["reservations"]) == [stays]


async def test_a_route_that_its_rider_cannot_take_is_refused_as_a_whole(quarter: Quarter):
    ann = await quarter.at_work("Ann")
    tasks = [await ordered(quarter, door, {"hours": 2}) for door in (WEST, EAST)]
    plan = await planned(quarter, {}, "proposed")
    await ann.does(f"riders/{ann.id}/start-break")
    await quarter.dora.does(f"plans/{plan['plan_id']}/commit-plan")
    plan = await becomes(quarter, plan["plan_id"], "rejected")
    assert (plan["reason_code"], plan["riders"][ann.id]["reason_code"]) == ("all_refused", "on_break")
    assert {row["reason_code"] for row in plan["tasks"].values()} == {"on_break"}
    assert {await of_task(quarter, task) for task in tasks} == {("created", None)}


async def test_planned_anew_what_is_begun_stays_and_what_is_not_may_change_hands(quarter: Quarter):
    ann = await quarter.at_work("Ann")
    begun, later = [await ordered(quarter, door, {"minutes": 20}) for door in (NORTH, EAST)]
    plan = await planned(quarter, {"commit": "at_once"}, "committed")
    await quarter.reserved(ann, begun)
    await quarter.reserved(ann, later)
    await ann.does(f"tasks/{begun}/report-en-route", {"stop_id": "shop", "observed_at": quarter.in_()})
    bob = await quarter.at_work("Bob")
    fresh = await ordered(quarter, WEST, {"minutes": 25})
    plan = await planned(quarter, {"replan": True, "commit": "at_once", "objective": "duration"}, "committed")
    routes = {route["rider_id"]: route for route in plan["proposal"]["routes"]}
    assert order_of(routes[ann.id])[0] == (begun, "shop"), "she is on her way there"
    moved = [task for task in routes[bob.id]["tasks"] if task["from_rider"] is not None]
    for task in (begun, later, fresh):
        [holder] = [rider for rider, route in routes.items() if task in {visit["task_id"] for visit in route["visits"]}]
        await until(lambda task=task: of_task(quarter, task), lambda known, holder=holder: known[1] == holder)
    assert (await of_task(quarter, begun))[1] == ann.id
    assert [task["task_id"] for task in moved] in ([], [later])
    for rider in (ann, bob):
        wanted = order_of(routes[rider.id]) if rider.id in routes else []
        await until(lambda rider=rider: ahead_of(rider), lambda ahead, wanted=wanted: ahead == wanted)


async def test_where_there_is_nothing_or_nobody_the_plan_says_so(quarter: Quarter):
    plan = await planned(quarter, {}, "rejected")
    assert plan["reason_code"] == "nothing_to_plan"
    task = await ordered(quarter, WEST, {"hours": 2})
    rider = await quarter.registered("Ann")
    plan = await planned(quarter, {"riders": [rider.id]}, "rejected")
    assert (plan["reason_code"], plan["told"]) == ("nobody_at_work", f"{rider.id}: off_shift")
    await quarter.begins(rider)
    plan = await planned(quarter, {"tasks": [task, "no-such-task"]}, "proposed")
    assert [(left["task_id"], left["code"]) for left in plan["proposal"]["left_out"]] == [
        ("no-such-task", "not_waiting")
    ]
    await quarter.dora.does(f"plans/{plan['plan_id']}/reject-plan", {"reason_code": "not_needed"})
    assert (await becomes(quarter, plan["plan_id"], "rejected"))["reason_code"] == "not_needed"
    await quarter.later(minutes=1)
    stale = await planned(quarter, {}, "proposed")
    await quarter.later(minutes=16)
    status, rule, values = await quarter.dora.refused(f"plans/{stale['plan_id']}/commit-plan")
    assert (status, rule, set(values)) == (409, "plan-outdated", {"decided_at", "good_until"})
