"""A dispatcher tries out other rules on what waits just now, before the operator sets them."""

from quarter import HOME, OUTLET, Json, Person, Quarter, until

BY_RATING = {"weights": {"rating": 100_000}}


async def at_work_and_rated(quarter: Quarter, name: str, place: Json, rating: float) -> Person:
    rider = await quarter.registered(name)
    await quarter.dora.does(f"riders/{rider.id}/set-rider-rating", {"rating": rating})
    await rider.does(f"riders/{rider.id}/start-shift", {"ends_at": quarter.in_(hours=8), "location": place})
    return rider


async def test_other_rules_would_ask_another_rider_and_those_who_are_asked_are_not_troubled(quarter: Quarter):
    ann = await at_work_and_rated(quarter, "Ann", OUTLET, 3.0)
    bob = await at_work_and_rated(quarter, "Bob", HOME, 5.0)
    stops = [{"kind": "pickup"}, {"kind": "dropoff", "location": HOME}]
    task = (await quarter.shop.makes("tasks", {"kind": "delivery", "outlet": "kamppi", "stops": stops}))["id"]

    async def offering() -> list[Json]:
        return await quarter.dora.lists("task-board", state="offering")

    [waits] = await until(offering, bool)
    [told] = (await quarter.dora.does("dispatch-dry-runs", {"rules": BY_RATING}))["tasks"]
    assert (told["task_id"], told["same_first"]) == (task, False)
    in_force, given = told["in_force"]["first"], told["given"]["first"]
    assert (in_force["rider_id"], given["rider_id"]) == (ann.id, bob.id)
    [decision] = await quarter.dora.lists("dispatch-decisions", task_id=task)
    best = decision["candidates"][0]
    assert {name: best[name] for name in in_force} == in_force, "the same router told the same"
    assert await offering() == [waits], "it is offered as it was"
