"""Goods from hand to hand: a transfer that comes damaged, a delivery of which not all arrives, one held for later."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from quarter import HOME, Json, Person, Quarter, until

pytestmark = pytest.mark.timeout(240)

PICKUP, DROPOFF = "stop-1", "stop-2"
THREE_HOURS = timedelta(hours=3)
MORE_OR_LESS = timedelta(minutes=10)
"""The story itself takes a while."""
TO_HER_DOOR = [{"kind": "pickup"}, {"kind": "dropoff", "location": HOME, "contact": {"name": "Cleo Contact"}}]


def custody(task: Json, parcel: str) -> list[str]:
    """Who gave it out, and whom it went to from there."""
    chain = task["parcels"][parcel]["custody"]
    assert [link["from_party"] for link in chain[1:]] == [link["to_party"] for link in chain[:-1]], "no gap"
    parties = [chain[0]["from_party"], *(link["to_party"] for link in chain)]
    return [" ".join(filter(None, (party["kind"], party["id"]))) for party in parties]


def kinds_of(timeline: list[Json]) -> list[str]:
    return [item["type"].rpartition(".")[2] for item in timeline]


# A transfer between an outlet and a hub


async def the_transfer(quarter: Quarter, ann: Person) -> str:
    """Two crates on their way to the hub, one of which was dropped."""
    full = {"items": [{"sku": "milk", "quantity": 6}, {"sku": "bread", "quantity": 4}]}
    fragile = {"items": [{"sku": "eggs", "quantity": 10}]}
    order = {
        "kind": "transfer",
        "outlet": "kamppi",
        "stops": [{"kind": "pickup"}, {"kind": "dropoff", "hub": "kaisa"}],
        "parcels": [full, fragile],
    }
    task: str = (await quarter.shop.makes("tasks", order))["id"]
    await quarter.wins(ann, task)
    await ann.does(f"tasks/{task}/report-picked-up", {"stop_id": PICKUP, "observed_at": quarter.ago(seconds=1)})
    dropped = {"parcel_ids": ["parcel-2"], "reason_code": "dropped", "observed_at": quarter.ago(seconds=1)}
    assert (await ann.does(f"tasks/{task}/report-parcels-damaged", dropped))["events"] == ["ParcelsDamaged"]
    return task


async def test_a_transfer_comes_short_and_damaged_and_the_incident_is_sealed_with_all_that_happened(quarter: Quarter):
    ann = await quarter.at_work("Ann")
    task = await the_transfer(quarter, ann)
    milk = {"parcel_id": "parcel-1", "sku": "milk", "received": 5}
    receive = f"tasks/{task}/receive-transfer"
    early = await quarter.shop.refused(receive, {"stop_id": DROPOFF, "lines": [milk]})
    assert early[:2] == (409, "not-in-this-state"), "nothing has come yet"
    await ann.does(f"tasks/{task}/report-delivered", {"stop_id": DROPOFF, "observed_at": quarter.ago(seconds=1)})

    await quarter.shop.does(receive, {"stop_id": DROPOFF, "lines": [milk]})
    rest = [
        {"parcel_id": "parcel-1", "sku": "bread", "received": 4},
        {"parcel_id": "parcel-2", "sku": "eggs", "received": 10, "condition": "damaged", "note": "seven are broken"},
    ]
    await quarter.shop.does(receive, {"stop_id": DROPOFF, "lines": rest})
    again = await quarter.shop.does(receive, {"stop_id": DROPOFF, "lines": [milk, *rest]})
    assert again["events"] == [], "a line that says the same again is no news"

    told = await quarter.dora.reads(f"tasks/{task}")
    assert (told["state"], told["outcome"]) == ("completed", "delivered")
    lines = {line["sku"]: (line["expected"], line["quantity"], line["discrepancy"]) for line in told["lines"]}
    assert lines == {"milk": (6, 5, "short"), "bread": (4, 4, None), "eggs": (10, 10, "damaged")}
    assert [told["parcels"][parcel]["damaged"] for parcel in ("parcel-1", "parcel-2")] == [False, True]
    for parcel in ("parcel-1", "parcel-2"):
        assert custody(told, parcel) == ["outlet kamppi", f"rider {ann.id}", "hub kaisa"]
    await quarter.free(ann)

    links = [{"kind": "task", "id": task}, {"kind": "rider", "id": ann.id}]
    report = {"kind": "damage", "description": "Ann stumbled on the stairs of the hub", "links": links}
    incident: str = (await quarter.dora.makes("incidents", report))["id"]
    await attended_to_and_sealed(quarter, incident)

    timeline = await quarter.aino.lists(f"incidents/{incident}/timeline", limit="200")
    assert "Ann stumbled" not in str(timeline), "an auditor reads whose words they are, and not what they say"
    assert [item["time"] for item in timeline] == sorted(item["time"] for item in timeline)
    assert {item["subject"] for item in timeline} == {task, ann.id, incident}
    of_task = [fact for item, fact in zip(timeline, kinds_of(timeline), strict=True) if item["subject"] == task]
    of_goods = ["ParcelsPickedUp", "ParcelsDamaged", "ParcelsDelivered", "TransferReceived", "TransferReceived"]
    assert [fact for fact in of_task if fact in of_goods] == of_goods
    assert kinds_of([item for item in timeline if item["subject"] == incident]) == [
        "IncidentReported",
        "IncidentAssigned",
        "IncidentResolved",
        "IncidentReopened",
        "IncidentResolved",
        "IncidentSealed",
        "AddendumFiled",
    ]


async def attended_to_and_sealed(quarter: Quarter, incident: str) -> None:
    """Resolved too early, opened again, resolved and sealed; then nothing but an addendum."""
    path = f"incidents/{incident}"
    [row] = await quarter.dora.lists("exception-desk")
    assert (row["kind"], row["aggregate_id"]) == ("incident_unattended", incident)
    unasked = await quarter.dora.refused(f"{path}/resolve-incident", {"resolution_code": "paid"})
    assert unasked[:2] == (409, "not-in-this-state"), "nobody attends to it yet"
    await quarter.dora.does(f"{path}/assign-incident", {"assignee": "dora"})
    assert await quarter.dora.lists("exception-desk") == []
    await quarter.dora.does(f"{path}/resolve-incident", {"resolution_code": "paid"})
    await quarter.shop.does(f"{path}/reopen-incident", {"reason_code": "more_was_broken"})
    unresolved = await quarter.root.refused(f"{path}/seal-incident")
    assert unresolved[:2] == (409, "not-in-this-state")
    await quarter.dora.does(f"{path}/resolve-incident", {"resolution_code": "paid_in_full"})
    assert (await quarter.dora.refused(f"{path}/seal-incident"))[:2] == (403, "forbidden")

    before = await quarter.aino.lists(f"{path}/timeline", limit="200")
    await quarter.root.does(f"{path}/seal-incident")
    seal = await quarter.aino.reads(f"{path}/seal")
    assert seal["holds"]
    assert seal["timeline"]["records"] == len(before), "the seal binds all that could be read, and comes after it"

    assert (await quarter.shop.refused(f"{path}/reopen-incident", {"reason_code": "no"}))[:2] == (
        409,
        "not-in-this-state",
    )
    told = await quarter.dora.reads(path)
    assert (told["status"], told["allowed_commands"]) == ("sealed", [f"{path}/file-addendum"])
    await quarter.dora.does(f"{path}/file-addendum", {"text": "The insurance has paid"})
    assert (await quarter.aino.reads(f"{path}/seal"))["holds"]


# Of five parcels three arrive


async def promised_within_an_hour(quarter: Quarter, **terms: Any) -> str:
    policy = {"name": "Within an hour", "terms": {"deliver_within_s": 3_600, **terms}}
    made: str = (await quarter.root.makes("sla-policies", policy))["id"]
    return made


async def the_promise(quarter: Quarter, task: str) -> Json:
    [row] = await quarter.dora.lists("sla-board", task_id=task)
    return row


async def test_of_five_parcels_three_are_delivered_one_is_refused_and_one_is_lost(quarter: Quarter):
    policy = await promised_within_an_hour(quarter)
    ann = await quarter.at_work("Ann")
    order = {"kind": "delivery", "outlet": "kamppi", "stops": TO_HER_DOOR, "parcels": [{}] * 5}
    task: str = (await quarter.shop.makes("tasks", order))["id"]
    await quarter.wins(ann, task)
    await ann.does(f"tasks/{task}/report-picked-up", {"stop_id": PICKUP, "observed_at": quarter.now().isoformat()})
    await quarter.later(minutes=20)
    fell = {"parcel_ids": ["parcel-5"], "reason_code": "fell_off", "observed_at": quarter.ago(minutes=8)}
    await ann.does(f"tasks/{task}/report-parcels-lost", fell)
    handed = {
        "stop_id": DROPOFF,
        "observed_at": quarter.ago(minutes=1),
        "refused": ["parcel-4"],
        "refusal_reason": "warm",
    }
    await ann.does(f"tasks/{task}/report-delivered", handed)

    told = await quarter.dora.reads(f"tasks/{task}")
    assert (told["state"], told["stops"][-1]["stop_id"]) == ("returning", "return-1")
    statuses = {name: parcel["status"] for name, parcel in told["parcels"].items()}
    delivered = {f"parcel-{number}": "delivered" for number in (1, 2, 3)}
    assert statuses == delivered | {"parcel-4": "refused", "parcel-5": "lost"}
    promise = await the_promise(quarter, task)
    assert (promise["status"], promise["late_s"]) == ("kept", 0), "what she took came in time; the rest is not hers"

    await quarter.later(hours=2)
    await ann.does(f"tasks/{task}/report-returned", {"stop_id": "return-1", "observed_at": quarter.now().isoformat()})
    told = await quarter.dora.reads(f"tasks/{task}")
    assert (told["state"], told["outcome"]) == ("returned", "partially_delivered")
    assert custody(told, "parcel-1") == ["outlet kamppi", f"rider {ann.id}", "recipient"]
    assert custody(told, "parcel-4") == ["outlet kamppi", f"rider {ann.id}", "outlet kamppi"]
    assert custody(told, "parcel-5") == ["outlet kamppi", f"rider {ann.id}", "nobody"]
    await quarter.free(ann)

    assert (await the_promise(quarter, task))["status"] == "kept", "the way back takes nothing from it"
    [counted] = (await quarter.aino.reads("sla-statistics"))["items"]
    assert (counted["sla_policy_id"], counted["promise"]) == (policy, "deliver")
    assert [counted[name] for name in ("promised", "kept", "late", "stopped", "open")] == [1, 1, 0, 0, 0]


# Nobody is at home


NOBODY = {
    "code": "nobody_home",
    "title": "Nobody opens",
    "at_fault": "recipient",
    "after": "hold_at_hub",
    "retryable": False,
    "contact_attempts": 1,
}


async def test_nobody_is_at_home_and_what_waits_at_the_hub_is_brought_again_by_another_rider(quarter: Quarter):
    await quarter.root.does(f"{quarter.itself}/set-failure-reasons", {"reasons": [NOBODY]})
    await promised_within_an_hour(quarter, pauses=["nobody_home"])
    ann = await quarter.at_work("Ann")
    order = {"kind": "delivery", "outlet": "kamppi", "stops": TO_HER_DOOR, "parcels": [{}]}
    task: str = (await quarter.shop.makes("tasks", order))["id"]
    await quarter.wins(ann, task)
    await ann.does(f"tasks/{task}/report-picked-up", {"stop_id": PICKUP, "observed_at": quarter.now().isoformat()})
    due_at = datetime.fromisoformat((await the_promise(quarter, task))["target_at"])
    await quarter.later(minutes=15)

    await nobody_opens(quarter, ann, task)
    paused = await the_promise(quarter, task)
    assert (paused["status"], paused["pause_reason"]) == ("paused", "nobody_home")
    assert [pause["at_fault"] for pause in paused["pauses"]] == ["recipient"]

    too_early = await quarter.shop.refused(f"tasks/{task}/reattempt-delivery", {"reason_code": "she_called"})
    assert too_early[:2] == (409, "not-in-this-state"), "it is still with the rider"
    await ann.does(f"tasks/{task}/report-held", {"stop_id": "hold-1", "observed_at": quarter.now().isoformat()})
    await quarter.free(ann)
    await ann.does(f"riders/{ann.id}/end-shift")
    told = await quarter.dora.reads(f"tasks/{task}")
    assert (told["state"], told["held"], told["rider_id"]) == ("created", "nobody_home", None)
    assert custody(told, "parcel-1")[-1] == "hub kaisa"

    await quarter.later(seconds=THREE_HOURS.total_seconds())
    bo = await quarter.at_work("Bo")
    assert (await the_promise(quarter, task))["status"] == "paused", "three hours are not held against us"
    await quarter.shop.does(f"tasks/{task}/reattempt-delivery", {"reason_code": "she_called"})
    await quarter.wins(bo, task)
    resumed = await the_promise(quarter, task)
    moved = datetime.fromisoformat(resumed["target_at"]) - due_at
    assert resumed["status"] == "running"
    assert THREE_HOURS <= moved < THREE_HOURS + MORE_OR_LESS

    hidden = await ann.asks(f"tasks/{task}")
    assert hidden.status_code == 404, "it is no longer hers"
    await bo.does(f"tasks/{task}/report-picked-up", {"stop_id": "again-1", "observed_at": quarter.now().isoformat()})
    await bo.does(f"tasks/{task}/report-delivered", {"stop_id": DROPOFF, "observed_at": quarter.now().isoformat()})
    told = await quarter.dora.reads(f"tasks/{task}")
    assert (told["state"], told["outcome"]) == ("completed", "delivered")
    assert custody(told, "parcel-1") == [
        "outlet kamppi",
        f"rider {ann.id}",
        "hub kaisa",
        f"rider {bo.id}",
        "recipient",
    ]
    await quarter.free(bo)
    kept = await the_promise(quarter, task)
    assert (kept["status"], kept["late_s"]) == ("kept", 0)
    assert THREE_HOURS <= timedelta(seconds=kept["paused_s"]) < THREE_HOURS + MORE_OR_LESS
    [counted] = (await quarter.aino.reads("sla-statistics"))["items"]
    assert (counted["kept"], counted["late"], counted["paused_s"]) == (1, 0, kept["paused_s"])


async def nobody_opens(quarter: Quarter, ann: Person, task: str) -> None:
    """The reason may not be given before she has rung."""
    failed = {"stop_id": DROPOFF, "observed_at": quarter.now().isoformat(), "reason_code": "nobody_home"}
    status, rule, values = await ann.refused(f"tasks/{task}/report-attempt-failed", failed)
    assert (status, rule, values["needed"], values["made"]) == (409, "contact-first", 1, 0)
    rang = {"channel": "doorbell", "attempted_at": quarter.now().isoformat()}
    contact = {"stop_id": DROPOFF, "observed_at": quarter.now().isoformat(), "contact": rang}
    await ann.does(f"tasks/{task}/report-contact-attempt", contact)
    told = await ann.does(f"tasks/{task}/report-attempt-failed", failed | {"waited_seconds": 300})
    assert {"DeliveryAttemptFailed", "HoldStarted", "SlaClockPaused"} <= {*told["events"]}

    async def ahead() -> list[str]:
        return [stop["stop_id"] for stop in (await ann.reads(f"riders/{ann.id}"))["itinerary"]]

    await until(ahead, lambda stops: stops == ["hold-1"])
