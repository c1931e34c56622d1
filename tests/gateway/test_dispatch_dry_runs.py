"""What dispatch would decide now by other rules, asked at the door."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from choosing import Straight
from following import anew, made
from read_models import ReadModels
from reception import HOME, House, Json, delivery, key
from story import KAMPPI, minutes

from gateway.dispatch_dry_runs import MOST_TASKS
from infra.lookups import Lookups
from schemas import ids
from schemas.geo import Location
from schemas.message import RiderId, TaskId
from schemas.rider import ApproveRider, RegisterRider, SetRiderRating, StartShift
from schemas.topics import DISPATCH, TASK
from streams.dispatch.decision import Decision
from streams.dispatch.tendering import deciding, tendering

DRY_RUNS = "/v1/acme/dispatch-dry-runs"
BY_RATING = {"weights": {"rating": 100_000}}
LEVEL = {
    "code": "now",
    "title": "Now",
    "commitment_seconds": 600,
    "silence_seconds": 1_800,
    "price": {"currency": "EUR", "base_minor": 900},
}
CHANNEL = {"url": "https://posti.example/", "secret": "env:POSTI"}


class Town:
    """Ann is at the outlet and rated 3, Bob is further off and rated 5, Cai is not at work."""

    def __init__(self, house: House, models: ReadModels) -> None:
        self.house, self.models = house, models
        self.dora, self.olga = house.caller("dispatcher", "dora"), house.caller("operator", "olga")

    async def opens(self) -> None:
        for name, rating in (("ann", 3.0), ("bob", 5.0), ("cai", 5.0)):
            await self.house.process("rider", name, RegisterRider(name=name, vehicle="bicycle"))
            await self.house.process("rider", name, ApproveRider())
            await self.house.process("rider", name, SetRiderRating(rating=rating))
        for name, place in (("ann", KAMPPI), ("bob", Location(**HOME))):
            await self.house.process("rider", name, StartShift(ends_at=minutes(480), location=place))

    async def order(self, reference: str, due: float | None = None, **more: Any) -> str:
        """Due so many minutes after noon."""
        body = delivery(external_reference=reference, **more)
        if due is not None:
            body["stops"][-1]["window"] = {"start": minutes(0).isoformat(), "end": minutes(due).isoformat()}
        answer = await self.house.caller().post("/v1/acme/tasks", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def does(self, path: str, body: Json) -> None:
        answer = await self.olga.post(f"/v1/acme/{path}", json=body, headers=key(path))
        assert answer.is_success, answer.text

    async def goes_by(self, dispatch: Json) -> None:
        await self.does(f"tenants/{ids.tenant_id('acme')}/change-tenant-rules", {"rules": {"dispatch": dispatch}})

    async def dispatches(self) -> None:
        """By the processes themselves."""
        await self.models.fold()
        door = self.house.door
        lookups = Lookups(door.pool, door.policy, door.keyring, door.partitions, lambda: self.house.now)
        rules = deciding(lookups, Decision(lookups, lookups, Straight(), lookups.now)) + tendering(lookups)
        for topic in (TASK, DISPATCH):
            await anew(self.house, "dispatch", rules, topic)

    async def dry_run(self, rules: Json, *tasks: str) -> list[Json]:
        await self.models.fold()
        answer = await self.dora.post(DRY_RUNS, json={"rules": rules} | ({"tasks": list(tasks)} if tasks else {}))
        assert answer.status_code == 200, answer.text
        told: list[Json] = answer.json()["tasks"]
        return told

    async def refused(self, body: Json) -> tuple[int, list[str], str]:
        await self.models.fold()
        answer = await self.dora.post(DRY_RUNS, json=body)
        errors = answer.json().get("errors", [])
        return answer.status_code, [each["pointer"] for each in errors], "; ".join(each["detail"] for each in errors)


@pytest.fixture
async def town(library: tuple[House, ReadModels]) -> Town:
    made = Town(*library)
    await made.opens()
    return made


def first(would: Json) -> str | None:
    return would["first"] and would["first"]["rider_id"]


async def test_other_weights_put_another_rider_first_and_nothing_comes_of_it(town: Town):
    task = await town.order("1")
    before = len(town.house.desk.log)
    [told] = await town.dry_run(BY_RATING, task)
    assert (told["task_id"], told["round"], told["same_first"]) == (task, 1, False)
    in_force, given = told["in_force"], told["given"]
    assert (first(in_force), first(given)) == ("ann", "bob")
    assert (in_force["first"]["parts"]["rating_below_5"], given["first"]["parts"]["rating_below_5"]) == (2.0, 0.0)
    assert [(each["able"], each["excluded"]) for each in (in_force, given)] == [(2, {"off_shift": 1})] * 2
    assert (given["mode"], given["to"], given["first_carrier"]) == ("direct", "riders", None)
    assert len(town.house.desk.log) == before
    decisions = await town.dora.get(f"/v1/acme/dispatch-decisions?task_id={task}")
    assert decisions.json()["items"] == []
    await town.dispatches()
    await town.models.fold()
    [decision] = (await town.dora.get(f"/v1/acme/dispatch-decisions?task_id={task}")).json()["items"]
    best = decision["candidates"][0]
    assert {name: best[name] for name in ("rider_id", "score", "parts")} == in_force["first"], (
        "as dispatch decides then"
    )


async def test_no_other_rules_decide_as_those_in_force(town: Town):
    [told] = await town.dry_run({}, await town.order("1"))
    assert told["same_first"]
    assert told["in_force"] == told["given"]


async def test_what_is_left_out_stays_as_it_is_in_force_also_within_weights(town: Town):
    task = await town.order("1")
    await town.goes_by(BY_RATING)
    [told] = await town.dry_run({"weights": {"balance": 1.0}, "unrated": 3.0}, task)
    assert (first(told["in_force"]), first(told["given"])) == ("bob", "bob")
    assert told["in_force"]["first"]["score"] == told["given"]["first"]["score"]
    [told] = await town.dry_run({"weights": {"rating": 0.0}}, task)
    assert (first(told["in_force"]), first(told["given"]), told["same_first"]) == ("bob", "ann", False)


async def test_whom_given_filters_shut_out_is_counted_by_the_filter(town: Town):
    [told] = await town.dry_run({"filters": {"min_rating": 4.0}}, await town.order("1"))
    assert first(told["given"]) == "bob"
    assert told["given"]["excluded"] == {"off_shift": 1, "rated_too_low": 1}
    [told] = await town.dry_run({"filters": {"vehicles": ["van"]}})
    assert (told["given"]["first"], told["given"]["able"], told["same_first"]) == (None, 0, False)
    assert told["given"]["excluded"] == {"off_shift": 1, "vehicle_kind": 2}


async def test_how_long_declines_count_hangs_on_the_rules(town: Town):
    await town.goes_by({"filters": {"max_declines": 0, "decline_minutes": 5}})
    declined = await town.order("1")
    await town.dispatches()
    tender = ids.tender_id(TaskId(declined), 1)
    body = {"offer_id": ids.offer_id(tender, RiderId("ann")), "reason_code": "too_far"}
    ann = town.house.caller("rider", "ann")
    said = await ann.post(f"/v1/acme/tenders/{tender}/decline-offer", json=body, headers=key("no"))
    assert said.status_code == 200, said.text
    other = await town.order("2")
    town.house.now += timedelta(minutes=10)
    [told] = await town.dry_run({"filters": {"decline_minutes": 60}}, other)
    assert (first(told["in_force"]), first(told["given"])) == ("ann", "bob")
    assert told["given"]["excluded"] == {"declines_too_often": 1, "off_shift": 1}


async def test_who_is_asked_for_the_task_itself_is_not_reserved_elsewhere_by_that(town: Town):
    offered = await town.order("1")
    await town.dispatches()
    other = await town.order("2")
    [of_offered, of_other] = await town.dry_run({}, offered, other)
    board = (await town.dora.get("/v1/acme/task-board?state=offering")).json()["items"]
    assert [row["task_id"] for row in board] == [offered]
    assert (first(of_offered["in_force"]), of_offered["in_force"]["able"]) == ("ann", 2)
    assert (first(of_other["in_force"]), of_other["in_force"]["able"]) == ("bob", 1)
    assert of_other["in_force"]["excluded"] == {"off_shift": 1, "reserved_elsewhere": 1}


async def test_a_round_that_would_ask_carriers_tells_which_would_be_first(town: Town):
    await town.house.settle()
    terms = {"service_levels": [LEVEL]}
    posti = await made(town.house, "carriers", {"name": "Posti", "terms": terms})
    for path, body in (("set-carrier-channel", {"channel": CHANNEL}), ("activate-carrier", {})):
        await town.does(f"carriers/{posti}/{path}", body)
    await made(town.house, "carriers", {"name": "Matka", "terms": terms, "external_reference": "matka"})
    task = await town.order("1")
    [told] = await town.dry_run({"steps": [{"mode": "direct", "to": "carriers"}]}, task)
    in_force, given = told["in_force"], told["given"]
    assert (first(in_force), in_force["first_carrier"], in_force["able_carriers"]) == ("ann", None, 0)
    assert (given["to"], given["first"], given["able"], given["excluded"]) == ("carriers", None, 0, {})
    price = {"amount_minor": 900, "currency": "EUR"}
    assert given["first_carrier"] == {"carrier_id": posti, "service_level": "now", "price": price}
    assert (given["able_carriers"], given["carriers_excluded"]) == (1, {"contract_not_active": 1})
    assert not told["same_first"]


async def test_unnamed_those_are_decided_on_that_wait_the_first_due_first(town: Town):
    late, soon, never = await town.order("1", due=90), await town.order("2", due=60), await town.order("3")
    held, gone = await town.order("4"), await town.order("5")
    await town.order("6", simulation={"step_seconds": 60})
    await town.does(f"tasks/{held}/hold-task", {"reason_code": "kitchen_late"})
    await town.does(f"tasks/{gone}/cancel-task", {"reason_code": "changed_mind"})
    assert [each["task_id"] for each in await town.dry_run({})] == [soon, late, never]


async def test_where_nobody_waits_there_is_nothing_to_tell(town: Town):
    assert await town.dry_run(BY_RATING) == []


async def test_at_most_ten_are_decided_on(town: Town):
    tasks = []
    for number in range(MOST_TASKS + 1):
        tasks.append(await town.order(str(number)))
        town.house.now += timedelta(seconds=1)
    assert [each["task_id"] for each in await town.dry_run({})] == tasks[:MOST_TASKS]
    assert len(await town.dry_run({}, *tasks[1:])) == MOST_TASKS
    status, pointers, detail = await town.refused({"rules": {}, "tasks": tasks})
    assert (status, pointers, detail) == (422, ["/tasks"], "must have at most 10 items")


async def test_a_task_that_is_named_twice_is_decided_on_once(town: Town):
    task = await town.order("1")
    assert [each["task_id"] for each in await town.dry_run({}, task, task)] == [task]


async def test_each_task_that_does_not_wait_is_named_with_why(town: Town):
    waits, held, gone = await town.order("1"), await town.order("2"), await town.order("3")
    simulated = await town.order("4", simulation={"step_seconds": 60})
    await town.does(f"tasks/{held}/hold-task", {"reason_code": "kitchen_late"})
    await town.does(f"tasks/{gone}/cancel-task", {"reason_code": "changed_mind"})
    named = ["nobody", waits, held, gone, simulated]
    status, pointers, detail = await town.refused({"rules": {}, "tasks": named})
    assert (status, pointers) == (422, ["/tasks/0", "/tasks/2", "/tasks/3", "/tasks/4"])
    for why in ("is no task that is known here", "it is on hold", "it is cancelled", "it is simulated"):
        assert why in detail
    assert len(await town.dry_run({}, waits)) == 1, "who was refused is not under way any more"


async def test_a_task_whose_places_were_forgotten_is_named_too_and_left_out_where_none_is(town: Town):
    stops = delivery()["stops"]
    stops[-1]["contact"]["reference"] = "cleo"
    stops[0] = {"kind": "pickup", "location": HOME, "contact": {"name": "Cleo", "reference": "cleo"}}
    task = await town.order("1", stops=stops)
    await town.house.desk.forget(ids.contact_subject("acme", "cleo"))
    assert await town.dry_run({}) == []
    status, pointers, detail = await town.refused({"rules": {}, "tasks": [task]})
    assert (status, pointers, detail) == (422, ["/tasks/0"], "has no stop ahead whose place is known")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/rules"]),
        ({"rules": None}, ["/rules"]),
        ({"rules": {"weights": {"travel": -1}}}, ["/rules/weights/travel"]),
        ({"rules": {"weight": {}, "filters": {"min_rating": 7}}}, ["/rules/weight", "/rules/filters/min_rating"]),
        ({"rules": {"steps": [{"mode": "auction"}]}}, ["/rules/steps/0/mode"]),
        ({"rules": {}, "tasks": []}, ["/tasks"]),
        ({"rules": {}, "tasks": ["1", "../2"]}, ["/tasks/1"]),
        ({"rules": {}, "task": "1"}, ["/task"]),
    ],
)
async def test_what_is_wrong_with_the_question_is_told_with_its_place(town: Town, body: Json, pointers: list[str]):
    status, told, _ = await town.refused(body)
    assert (status, sorted(told)) == (422, sorted(pointers))


async def test_a_tenant_has_one_at_a_time(town: Town):
    await town.order("1")
    await town.models.fold()
    asked = [town.dora.post(DRY_RUNS, json={"rules": {}}) for _ in range(2)]
    done, refused = sorted(await asyncio.gather(*asked), key=lambda answer: answer.status_code)
    assert (done.status_code, refused.status_code) == (200, 429)
    problem = refused.json()
    assert (problem["code"], problem["retryable"], refused.headers["retry-after"]) == ("dry-run-under-way", True, "1")


async def test_without_read_models_it_is_to_be_asked_again(house: House):
    answer = await house.caller("dispatcher", "dora").post(DRY_RUNS, json={"rules": {}})
    assert (answer.status_code, answer.json()["code"]) == (503, "read-models-unavailable")


@pytest.mark.parametrize("role", ["integrator", "analyst", "auditor", "rider"])
async def test_who_does_not_dispatch_does_not_ask(town: Town, role):
    answer = await town.house.caller(role, "somebody").post(DRY_RUNS, json={"rules": {}})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
