"""Recurrences through the door: as they are created, read and seen to."""

import msgspec
import pytest
from following import anew
from read_models import ReadModels
from reception import HOME, House, Json, key

from schemas.message import Command
from schemas.recurrence import CreateOccurrence, RefuseOccurrence
from schemas.topics import DISPATCH
from streams.recurring import RECURRING

TASK = {
    "kind": "delivery",
    "stops": [{"kind": "pickup"}, {"kind": "dropoff", "location": HOME, "contact": {"name": "Cleo"}}],
}
DAILY = {"outlet": "kamppi", "rule": "FREQ=DAILY", "starts_at": "2026-03-27T09:00:00+02:00", "task": TASK}


@pytest.fixture
def house(library) -> House:
    return library[0]


@pytest.fixture
def models(library) -> ReadModels:
    return library[1]


async def recurring(house: House, reference: str = "bread", **more: object) -> str:
    body = DAILY | {"external_reference": reference} | more
    made = await house.caller().post("/v1/acme/recurrences", json=body)
    assert made.status_code == 201, made.text
    return made.json()["id"]


async def said(house: House, recurrence: str, word: str, body: Json | None = None) -> None:
    answer = await house.caller("dispatcher", "dora").post(
        f"/v1/acme/recurrences/{recurrence}/{word}", json=body or {}, headers=key(word)
    )
    assert answer.status_code == 200, answer.text


async def read(house: House, path: str) -> Json:
    answer = await house.caller().get(f"/v1/acme/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_one_is_read_with_what_comes_next_across_a_change_of_the_clocks(house: House, models: ReadModels):
    recurrence = await recurring(house)
    await said(house, recurrence, "skip-occurrence", {"local": "2026-03-30T09:00"})
    await models.fold()
    row = await read(house, f"recurrences/{recurrence}")
    assert [(each["local"], each["at"]) for each in row["upcoming"]] == [
        ("2026-03-27T09:00", "2026-03-27T07:00:00Z"),
        ("2026-03-28T09:00", "2026-03-28T07:00:00Z"),
        ("2026-03-29T09:00", "2026-03-29T06:00:00Z"),
        ("2026-03-31T09:00", "2026-03-31T06:00:00Z"),
        ("2026-04-01T09:00", "2026-04-01T06:00:00Z"),
    ]
    assert (row["next"]["local"], row["due_at"]) == ("2026-03-27T09:00", "2026-03-26T07:00:00Z")
    assert row["task"]["stops"][1]["name"] == "Cleo"
    assert f"recurrences/{recurrence}/pause-recurrence" in row["allowed_commands"]


async def test_nothing_comes_next_of_what_is_paused_or_has_ended(house: House, models: ReadModels):
    recurrence = await recurring(house)
    for word, status in (("pause-recurrence", "paused"), ("end-recurrence", "ended")):
        await said(house, recurrence, word, {"reason_code": "holidays"})
        await models.fold()
        row = await read(house, f"recurrences/{recurrence}")
        assert (row["status"], row["reason_code"], row["upcoming"]) == (status, "holidays", [])


async def test_the_list_filters_by_what_is_asked(house: House, models: ReadModels):
    first, second = await recurring(house), await recurring(house, "laundry", rule="FREQ=MONTHLY")
    await said(house, second, "pause-recurrence", {"reason_code": "holidays"})
    await models.fold()
    for query, found in (
        ("", {first, second}),
        ("status=active", {first}),
        ("outlet=kamppi", {first, second}),
        ("outlet=nowhere", set()),
        ("external_reference=laundry", {second}),
        ("updated_since=2030-01-01T00:00:00Z", set()),
    ):
        rows = (await read(house, f"recurrences?{query}"))["items"]
        assert {row["recurrence_id"] for row in rows} == found, query
    page = await read(house, "recurrences?limit=1")
    rest = await read(house, f"recurrences?limit=1&after={page['next']}")
    assert [page["items"][0]["recurrence_id"], rest["items"][0]["recurrence_id"]] == [first, second]


async def test_one_that_could_not_be_created_stands_on_the_desk_until_somebody_has_seen_to_it(
    house: House, models: ReadModels
):
    recurrence = await recurring(house, starts_at="2026-03-02T09:00:00+02:00")
    at = "2026-03-02T07:00:00Z"
    await process(house, recurrence, "CreateOccurrence", occurrence_at=at)
    refused = {"local": "2026-03-02T09:00", "task_id": "task-1", "rule": "hub-closed", "reason_code": "hub_closed"}
    await process(house, recurrence, "RefuseOccurrence", occurrence_at=at, **refused)
    await models.fold()
    dora = house.caller("dispatcher", "dora")
    (row,) = (await dora.get("/v1/acme/exception-desk?kind=occurrence_refused")).json()["items"]
    assert row["mends"][0] == f"recurrences/{recurrence}/review-occurrence"
    assert row["items"][0]["local"] == "2026-03-02T09:00"
    assert [each["rule"] for each in (await read(house, f"recurrences/{recurrence}"))["refused"]] == ["hub-closed"]
    await said(house, recurrence, "review-occurrence", {"occurrence_at": at, "decision_code": "called"})
    await models.fold()
    assert (await read(house, "exception-desk?kind=occurrence_refused"))["items"] == []
    told = await read(house, f"recurrences/{recurrence}")
    assert (told["refused"], told["created_count"], told["latest"]["occurrence"]["local"]) == (
        [],
        1,
        "2026-03-02T09:00",
    )


async def process(house: House, recurrence: str, name: str, **fields: object) -> None:
    cls: type[Command] = {"CreateOccurrence": CreateOccurrence, "RefuseOccurrence": RefuseOccurrence}[name]
    await house.process("recurrence", recurrence, msgspec.convert(fields, cls))


async def test_a_rule_that_cannot_be_read_is_told_with_what_is_wrong(house: House):
    refused = await house.caller().post(
        "/v1/acme/recurrences", json=DAILY | {"rule": "FREQ=SECONDLY"}, headers=key("r")
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-rule")


async def test_the_board_finds_the_tasks_of_a_recurrence(house: House, models: ReadModels):
    recurrence = await recurring(house, starts_at="2026-03-02T09:00:00+02:00")
    await process(house, recurrence, "CreateOccurrence", occurrence_at="2026-03-02T07:00:00Z")
    await anew(house, "recurring", RECURRING, DISPATCH)
    await models.fold()
    (row,) = (await read(house, f"task-board?recurrence_id={recurrence}"))["items"]
    assert row["external_reference"] == f"{recurrence}/2026-03-02T09:00"
    assert (await read(house, f"tasks/{row['task_id']}"))["recurrence_id"] == recurrence
    assert (await read(house, "task-board?recurrence_id=nothing"))["items"] == []
    told = await read(house, f"recurrences/{recurrence}/history")
    assert told["items"][-2]["type"].endswith("OccurrenceCreated")
