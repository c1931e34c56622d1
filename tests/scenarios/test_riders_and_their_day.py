"""Riders: a licence that runs out in the middle of a shift, and a phone that was out of reach while much changed."""

import pytest
from fresh import fresh_name
from quarter import HOME, OUTLET, Json, Person, Quarter, until

pytestmark = pytest.mark.timeout(240)

PICKUP, DROPOFF = "stop-1", "stop-2"


async def ordered(quarter: Quarter, **dropoff: object) -> str:
    stops = [{"kind": "pickup"}, {"kind": "dropoff", "location": HOME, **dropoff}]
    made: str = (await quarter.shop.makes("tasks", {"kind": "delivery", "outlet": "kamppi", "stops": stops}))["id"]
    return made


# A licence that expires at noon


async def licensed(quarter: Quarter, rider: Person, document: str, valid_from: str, expires_at: str) -> None:
    path = f"riders/{rider.id}"
    await rider.does(f"{path}/submit-document", {"document_id": document, "kind": "licence"})
    verified = {"document_id": document, "valid_from": valid_from, "expires_at": expires_at}
    await quarter.dora.does(f"{path}/verify-document", verified)


async def excluded(quarter: Quarter, task: str, task_round: int = 1) -> list[tuple[str, str]]:
    """Whom dispatch left out in this round, and why."""

    async def decision() -> list[Json]:
        decisions = await quarter.dora.lists("dispatch-decisions", task_id=task)
        return [each for each in decisions if each["round"] == task_round]

    [decided] = await until(decision, bool)
    return [(each["rider_id"], each["code"]) for each in decided["excluded"]]


async def test_a_licence_that_expires_at_noon_ends_new_work_but_not_the_shift(quarter: Quarter):
    licence = {"code": "licence", "title": "Driving licence", "of": "rider", "required": True}
    await quarter.root.does(f"{quarter.itself}/set-document-kinds", {"kinds": [licence]})
    ann = await quarter.registered("Ann")
    status, rule, values = await ann.refused(f"riders/{ann.id}/start-shift", {"ends_at": quarter.in_(hours=8)})
    assert (status, rule, values["code"]) == (409, "cannot-start-shift", "document_missing")
    await licensed(quarter, ann, "old", quarter.ago(days=365), quarter.in_(hours=4))
    await quarter.begins(ann)

    morning = await ordered(quarter, window={"start": quarter.now().isoformat(), "end": quarter.in_(hours=1)})
    await quarter.wins(ann, morning)
    whole_day = await ordered(quarter)
    assert await excluded(quarter, whole_day) == [(ann.id, "document_expires_too_soon")], (
        "it may take until the evening"
    )
    await quarter.shop.does(f"tasks/{whole_day}/cancel-task", {"reason_code": "changed_mind"})
    await ann.does(f"tasks/{morning}/report-picked-up", {"stop_id": PICKUP, "observed_at": quarter.now().isoformat()})
    await ann.does(f"tasks/{morning}/report-delivered", {"stop_id": DROPOFF, "observed_at": quarter.now().isoformat()})
    await quarter.free(ann)

    await quarter.later(hours=4, minutes=5)
    noon = await ordered(quarter)
    assert await excluded(quarter, noon) == [(ann.id, "document_expired")]
    told = await quarter.dora.reads(f"riders/{ann.id}")
    assert (told["status"], told["on_shift"]) == ("approved", True), "the shift goes on"
    assert await ann.lists("tender-board", task_id=noon) == []
    await an_order_comes_to_nothing(quarter, ann, noon)

    await licensed(quarter, ann, "new", quarter.ago(days=1), quarter.in_(days=365))
    afternoon = await ordered(quarter)
    assert await excluded(quarter, afternoon) == []
    await quarter.wins(ann, afternoon)
    await quarter.dora.does(f"tasks/{noon}/assign-task", {"rider_id": ann.id})
    await quarter.reserved(ann, noon)
    await ann.does(f"tasks/{noon}/accept-assignment")
    assert (await ann.reads(f"tasks/{noon}"))["state"] == "accepted", "the same order is good now"


async def an_order_comes_to_nothing(quarter: Quarter, ann: Person, task: str) -> None:
    """A dispatcher may say so, and the reservation is refused: the task goes back to dispatch."""
    await quarter.dora.does(f"tasks/{task}/assign-task", {"rider_id": ann.id})

    async def round_of() -> int:
        told: int = (await quarter.dora.reads(f"tasks/{task}"))["round"]
        return told

    await until(round_of, lambda task_round: task_round == 2)
    told = await quarter.dora.reads(f"tasks/{task}")
    assert (told["rider_id"], told["state"]) in ((None, "dispatchable"), (None, "offering"))
    facts = await quarter.dora.lists(f"tasks/{task}/history", limit="200")
    [unassigned] = [fact["data"] for fact in facts if fact["type"].endswith(".TaskUnassigned")]
    assert (unassigned["rider_id"], unassigned["reason_code"]) == (ann.id, "document_expired")
    assert (await quarter.dora.reads(f"riders/{ann.id}"))["reservations"] == {}
    assert await excluded(quarter, task, task_round=2) == [(ann.id, "document_expired")]


# A phone without a signal


async def test_what_a_rider_did_out_of_reach_is_taken_down_though_the_task_was_cancelled_meanwhile(quarter: Quarter):
    ann = await quarter.at_work("Ann")
    task = await ordered(quarter)
    await quarter.wins(ann, task)
    await ann.does(f"tasks/{task}/report-en-route", {"stop_id": PICKUP, "observed_at": quarter.now().isoformat()})

    await quarter.later(minutes=12)
    there, taken = quarter.ago(minutes=7), quarter.ago(minutes=5)
    await quarter.shop.does(f"tasks/{task}/cancel-task", {"reason_code": "out_of_stock"})
    await quarter.later(minutes=8)
    fix = {"observed_at": there, "accuracy_m": 5, **OUTLET}
    phone = {"device_id": "anns-phone"}
    arrived = {"stop_id": PICKUP, "observed_at": there, **phone, "device_sequence": 1, "fix": fix}
    picked_up = {"stop_id": PICKUP, "observed_at": taken, **phone, "device_sequence": 2}
    await ann.contradicts(f"tasks/{task}/report-arrived", arrived)
    key = fresh_name("phone")
    first = await ann.contradicts(f"tasks/{task}/report-picked-up", picked_up, key=key)
    assert first["events"] == ["FieldReportConflicted"]
    again = await ann.contradicts(f"tasks/{task}/report-picked-up", picked_up, key=key)
    assert again["repeated"], "the phone was not sure to have told"

    told = await quarter.dora.reads(f"tasks/{task}")
    assert (told["state"], told["reason_code"]) == ("cancelled", "out_of_stock")
    assert [(each["report"], each["observed_at"]) for each in told["conflicts"]] == [
        ("ReportArrived", as_told(there)),
        ("ReportPickedUp", as_told(taken)),
    ]
    facts = await quarter.dora.lists(f"tasks/{task}/history", limit="200")
    by_phone = [(fact["time"], fact["devicesequence"]) for fact in facts if fact.get("deviceid") == "anns-phone"]
    assert by_phone == [(as_told(there), 1), (as_told(taken), 2)]
    [row] = await quarter.dora.lists("exception-desk")
    assert (row["kind"], row["aggregate_id"]) == ("report_conflicted", task)
    assert [(item["rider_id"], item["conflict"]) for item in row["items"]] == [(ann.id, "the task is cancelled")] * 2
    review = row["mends"][0]
    assert review == f"tasks/{task}/review-field-report"

    not_hers = {"conflict_id": row["items"][0]["id"], "decision_code": "never_mind"}
    assert (await ann.refused(review, not_hers))[:2] == (403, "forbidden")
    decisions = ("was_there", "goods_handed_back")
    for item, decision in zip(row["items"], decisions, strict=True):
        await quarter.dora.does(review, {"conflict_id": item["id"], "decision_code": decision})
    assert await quarter.dora.lists("exception-desk") == []
    told = await quarter.dora.reads(f"tasks/{task}")
    assert tuple(each["decision_code"] for each in told["conflicts"]) == decisions
    await quarter.free(ann)


# Nothing is heard of her


async def a_parcel(quarter: Quarter) -> str:
    stops = [{"kind": "pickup"}, {"kind": "dropoff", "location": HOME}]
    order = {"kind": "delivery", "outlet": "kamppi", "stops": stops, "parcels": [{}]}
    made: str = (await quarter.shop.makes("tasks", order))["id"]
    return made


async def test_what_a_silent_rider_has_not_picked_up_goes_to_another_and_of_what_she_has_an_incident_tells(
    quarter: Quarter,
):
    ann = await quarter.at_work("Ann")
    has = await a_parcel(quarter)
    await quarter.wins(ann, has)
    waits = await a_parcel(quarter)
    await quarter.wins(ann, waits)
    await ann.does(f"tasks/{has}/report-picked-up", {"stop_id": PICKUP, "observed_at": quarter.now().isoformat()})
    bo = await quarter.at_work("Bo")

    await quarter.later(minutes=16)
    await quarter.wins(bo, waits)

    async def rows() -> list[Json]:
        return await quarter.dora.lists("exception-desk")

    kinds = ["incident_unattended", "rider_silent"]
    desk = await until(rows, lambda told: sorted(row["kind"] for row in told) == kinds)
    [silence] = [row for row in desk if row["kind"] == "rider_silent"]
    assert (silence["aggregate_id"], silence["items"][0]["task_ids"]) == (ann.id, [has, waits])
    [incident] = await quarter.dora.lists("incident-register")
    assert (incident["kind"], incident["severity"]) == ("silent_rider", "high")
    assert [link["id"] for link in incident["links"]] == [has, ann.id]

    await ann.does(f"tasks/{has}/report-delivered", {"stop_id": DROPOFF, "observed_at": quarter.ago(minutes=1)})
    await quarter.free(ann)
    await until(rows, lambda told: [row["kind"] for row in told] == ["incident_unattended"])
    assert (await quarter.dora.reads(f"riders/{ann.id}"))["silent_since"] is None, "she has spoken"


def as_told(moment: str) -> str:
    """As answers write it."""
    return moment.replace("+00:00", "Z")
