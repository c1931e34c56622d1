"""Riders through the door: documents, breaches, shifts, breaks and hours; who may ask, and what a refusal says."""

from datetime import datetime
from typing import Any

import httpx
import pytest
from reception import House, Json, delivery, key
from story import KAMPPI, NOON, minutes

from commands.rider_refusals import CannotReserve, HandOverAnswered
from schemas import ids
from schemas.message import DocumentId, ShiftId, StopId, TaskId
from schemas.rider import (
    ActivateReservation,
    CloseHandOver,
    ConfirmHandOverRequested,
    NewPlannedStop,
    RemoveStops,
    ReserveRider,
    WarnHoursLimit,
)

TENANT = f"/v1/acme/tenants/{ids.tenant_id('acme')}"
HYGIENE = {"code": "hygiene_pass", "title": "Hygiene pass", "of": "rider", "required": True}


def at(minute: float) -> str:
    return minutes(minute).isoformat()


async def asked(
    house: House, rider: str, word: str, role: Any = "dispatcher", subject: str = "dora", **body: object
) -> httpx.Response:
    """The answer to a command with a key of its own."""
    headers = key(f"{word}-{len(house.desk.orders)}")
    return await house.caller(role, subject).post(f"/v1/acme/riders/{rider}/{word}", json=body, headers=headers)


async def does(house: House, rider: str, word: str, role: Any = "dispatcher", **body: object) -> list[str]:
    answer = await asked(house, rider, word, role, rider if role == "rider" else "dora", **body)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["events"])


async def a_rider(house: House) -> str:
    made = await house.caller().post("/v1/acme/riders", json={"name": "Ann", "external_reference": "ann"})
    rider = str(made.json()["id"])
    await does(house, rider, "approve-rider")
    return rider


async def ruled(house: House, word: str, body: Json) -> httpx.Response:
    headers = key(f"{word}-{len(house.desk.orders)}")
    return await house.caller("operator", "olga").post(f"{TENANT}/{word}", json=body, headers=headers)


async def by_law(house: House, **more: object) -> None:
    answer = await ruled(house, "change-tenant-rules", {"rules": {"hours_rules": "eu_561", **more}})
    assert answer.status_code == 200, answer.text


def problem(answer: httpx.Response) -> tuple[int, str, Any]:
    told = answer.json()
    return answer.status_code, told["code"], told.get("values")


def later(house: House, minute: float) -> None:
    house.now = minutes(minute)


# Documents


async def test_a_rider_submits_what_the_registry_has_for_riders(house):
    rider = await a_rider(house)
    unknown = await asked(house, rider, "submit-document", "rider", rider, document_id="d-1", kind="hygiene_pass")
    status, code, values = problem(unknown)
    assert (status, code, values["code"]) == (422, "unknown-document-kind", "hygiene_pass")
    await ruled(house, "set-document-kinds", {"kinds": [HYGIENE]})
    assert await does(house, rider, "submit-document", "rider", document_id="d-1", kind="hygiene_pass") == [
        "DocumentSubmitted"
    ]


async def test_what_the_registry_requires_keeps_a_rider_from_the_shift_until_it_is_verified(house):
    rider = await a_rider(house)
    await ruled(house, "set-document-kinds", {"kinds": [HYGIENE]})
    refused = await asked(house, rider, "start-shift", ends_at=at(480))
    assert problem(refused) == (
        409,
        "cannot-start-shift",
        {"code": "document_missing", "document_kind": "hygiene_pass"},
    )
    await does(house, rider, "submit-document", document_id="d-1", kind="hygiene_pass")
    await does(house, rider, "verify-document", document_id="d-1", valid_from=at(-600), expires_at=at(600))
    assert await does(house, rider, "start-shift", ends_at=at(480)) == ["ShiftStarted"]


async def test_rules_require_only_what_the_registry_has(house):
    unknown = await ruled(house, "change-tenant-rules", {"rules": {"required_documents": ["hygiene_pass"]}})
    assert problem(unknown)[:2] == (422, "unknown-document-kind")
    of_a_vehicle = await ruled(house, "change-tenant-rules", {"rules": {"required_documents": ["roadworthiness"]}})
    assert problem(of_a_vehicle)[:2] == (422, "unknown-document-kind")
    await ruled(house, "set-document-kinds", {"kinds": [HYGIENE]})
    known = await ruled(house, "change-tenant-rules", {"rules": {"required_documents": ["hygiene_pass"]}})
    assert known.json()["events"] == ["TenantRulesChanged"]


async def test_a_tenant_is_not_created_with_a_document_that_nobody_could_submit(house):
    body = {"tenant": "other", "name": "Other", "rules": {"required_documents": ["hygiene_pass"]}}
    refused = await house.caller("operator", "root", "*").post("/v1/tenants", json=body)
    assert problem(refused)[:2] == (422, "unknown-document-kind")


async def test_a_breach_is_reported_by_dispatch_and_rejects_the_document(house):
    rider = await a_rider(house)
    await does(house, rider, "submit-document", document_id="d-1", kind="licence")
    await does(house, rider, "verify-document", document_id="d-1", valid_from=at(-600), expires_at=at(600))
    body = {"since": at(-600), "until": at(0), "reason_code": "forged", "document_id": "d-1"}
    assert problem(await asked(house, rider, "report-compliance-breach", "rider", rider, **body))[:2] == (
        403,
        "forbidden",
    )
    assert await does(house, rider, "report-compliance-breach", **body) == ["ComplianceBreachFound"]
    assert house.desk.kept[rider].state.documents[DocumentId("d-1")].status == "rejected"
    ahead = await asked(house, rider, "report-compliance-breach", **body | {"until": at(1)})
    assert problem(ahead)[:2] == (422, "in-the-future")


# Shifts and breaks


async def test_a_rider_plans_starts_breaks_and_ends_a_shift(house):
    rider = await a_rider(house)
    plan = {"shift_id": "early", "starts_at": at(30), "ends_at": at(480)}
    assert await does(house, rider, "plan-shift", "rider", **plan) == ["ShiftPlanned"]
    later(house, 30)
    assert await does(house, rider, "start-shift", "rider", ends_at=at(480), shift_id="early") == ["ShiftStarted"]
    assert await does(house, rider, "start-break", "rider") == ["BreakStarted"]
    later(house, 60)
    assert await does(house, rider, "end-break", "rider") == ["BreakEnded"]
    assert await does(house, rider, "end-shift", "rider") == ["ShiftEnded"]


async def test_nobody_takes_a_break_on_behalf_of_another_rider(house):
    rider = await a_rider(house)
    await does(house, rider, "start-shift", ends_at=at(480))
    refused = await asked(house, rider, "start-break", "rider", "bob")
    assert problem(refused)[:2] == (404, "not-found")
    assert house.desk.kept[rider].state.shift.break_since is None


async def test_with_goods_aboard_a_break_is_refused_with_the_tasks(house):
    rider, task = await a_rider(house), TaskId("task-1")
    await does(house, rider, "start-shift", ends_at=at(480))
    pickup = NewPlannedStop(stop_id=StopId("a"), kind="pickup", subject="s", location=KAMPPI)
    reserve = ReserveRider(task_id=task, round=1, hold_until=minutes(5), stops=[pickup])
    activate = ActivateReservation(task_id=task, round=1)
    over = RemoveStops(task_id=task, round=1, reason_code="stop_over", stop_ids=[StopId("a")])
    for command in (reserve, activate, over):
        await house.process("rider", rider, command)
    refused = await asked(house, rider, "start-break", "rider", rider)
    assert problem(refused) == (409, "goods-aboard", {"task_ids": [task]})
    await by_law(house, breaks_with_goods=True)
    assert await does(house, rider, "start-break", "rider") == ["BreakStarted"]


# Hours


async def test_a_shift_after_too_short_a_rest_is_refused_with_the_time_it_may_start(house):
    await by_law(house)
    rider = await a_rider(house)
    await does(house, rider, "start-shift", ends_at=at(480))
    later(house, 120)
    await does(house, rider, "end-shift")
    status, code, values = problem(await asked(house, rider, "start-shift", ends_at=at(999)))
    assert (status, code) == (409, "rest-too-short")
    assert datetime.fromisoformat(values["rested_at"]) == minutes(120 + 11 * 60)


async def test_whose_hours_are_used_up_is_not_reserved(house):
    await by_law(house)
    rider = await a_rider(house)
    await does(house, rider, "start-shift", ends_at=at(600))
    later(house, 270)
    order = ReserveRider(
        task_id=TaskId("task-1"),
        round=1,
        hold_until=minutes(300),
        stops=[NewPlannedStop(stop_id=StopId("a"), kind="pickup", subject="s", location=KAMPPI)],
    )
    with pytest.raises(CannotReserve, match="hours_exhausted"):
        await house.process("rider", rider, order)


async def test_hours_that_are_no_hours_are_told_at_once(house):
    limits = {"week_duty_minutes": 0, "rest_minutes": 59}
    refused = await ruled(house, "change-tenant-rules", {"rules": {"hours_rules": "somewhere", "custom_hours": limits}})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-body")
    assert {error["pointer"] for error in refused.json()["errors"]} == {
        "/rules/hours_rules",
        "/rules/custom_hours/week_duty_minutes",
        "/rules/custom_hours/rest_minutes",
    }


# What is for our own processes


@pytest.mark.parametrize("word", ["warn-hours-limit", "confirm-hand-over-requested", "close-hand-over"])
async def test_what_our_own_processes_say_comes_not_through_the_door(house, word):
    rider = await a_rider(house)
    body = {"task_id": "task-1", "round": 1, "shift_id": "early"}
    assert (await asked(house, rider, word, **body)).status_code == 404


async def test_our_own_processes_may_say_it(house):
    rider = await a_rider(house)
    await house.process("rider", rider, WarnHoursLimit(shift_id=ShiftId("early")))
    await house.process("rider", rider, CloseHandOver(task_id=TaskId("task-1"), round=1))
    with pytest.raises(HandOverAnswered):
        await house.process("rider", rider, ConfirmHandOverRequested(task_id=TaskId("task-1"), round=1))


async def test_a_suspension_answers_with_the_tasks_that_are_asked_for(house):
    rider = await a_rider(house)
    await does(house, rider, "start-shift", ends_at=at(480))
    task = str((await house.caller().post("/v1/acme/tasks", json=delivery(), headers=key("t"))).json()["id"])
    stops = [NewPlannedStop(stop_id=StopId("stop-1"), kind="pickup", subject="s", location=KAMPPI)]
    await house.process("rider", rider, ReserveRider(task_id=TaskId(task), round=1, hold_until=minutes(5), stops=stops))
    await house.process("rider", rider, ActivateReservation(task_id=TaskId(task), round=1))
    assert await does(house, rider, "suspend-rider", reason_code="complaint") == [
        "RiderSuspended",
        "TaskHandOverRequested",
    ]


# Reading


async def test_the_roster_shows_breaks_hours_and_breaches(library):
    house, models = library
    await by_law(house)
    rider = await a_rider(house)
    await does(house, rider, "plan-shift", shift_id="late", starts_at=at(999), ends_at=at(1_200))
    await does(house, rider, "report-compliance-breach", since=at(-60), until=at(0), reason_code="forged")
    await does(house, rider, "start-shift", ends_at=at(480))
    await models.fold()
    read = (await house.caller("dispatcher", "dora").get(f"/v1/acme/riders/{rider}")).json()
    assert read["shift"]["hours_limit"]["rule"] == "break_due"
    assert datetime.fromisoformat(read["shift"]["hours_limit"]["reached_at"]) == minutes(270)
    assert (read["on_break"], list(read["planned_shifts"])) == (False, ["late"])
    assert [breach["reason_code"] for breach in read["breaches"]] == ["forged"]
    await does(house, rider, "start-break")
    await models.fold()
    read = (await house.caller("dispatcher", "dora").get(f"/v1/acme/riders/{rider}")).json()
    assert read["on_break"]
    assert datetime.fromisoformat(read["shift"]["break_since"]) == NOON
    due = (await house.caller("dispatcher", "dora").get("/v1/acme/deadlines")).json()
    assert [row["kind"] for row in due["items"]] == []


async def test_the_end_of_the_hours_stands_among_the_deadlines(library):
    house, models = library
    await by_law(house)
    rider = await a_rider(house)
    await does(house, rider, "start-shift", ends_at=at(480), shift_id="early")
    await models.fold()
    due = (await house.caller("dispatcher", "dora").get("/v1/acme/deadlines")).json()
    assert [(row["kind"], row["subject"]) for row in due["items"]] == [("warn_hours_limit", "early")]
