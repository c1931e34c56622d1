"""Occurrences and their tasks, by the process and by deadlines on real decisions: told by what stands afterwards."""

from datetime import timedelta
from typing import Any

import msgspec
from following import Sent, anew
from reception import HOME, House, house, key
from story import ACME

from projections.deadlines import DEADLINES, DeadlineRow
from projections.model import Fact, Key
from schemas.record import envelope_of, event_of, source_of
from schemas.recurrence import OccurrenceCreated, OccurrenceRefused
from schemas.task import TaskCreated
from schemas.topics import DISPATCH
from streams.deadlines import source_of as source_of_deadline
from streams.deadlines import step_of
from streams.recurring import RECURRING

CLEO = {"name": "Cleo", "reference": "customer-881"}
TASK = {
    "kind": "delivery",
    "stops": [
        {"kind": "pickup", "goods_ready_minutes": -30},
        {"kind": "dropoff", "location": HOME, "contact": CLEO, "window": {"from_minutes": 0, "to_minutes": 120}},
    ],
}
DAILY = {"outlet": "kamppi", "rule": "FREQ=DAILY", "starts_at": "2026-03-02T09:00:00+02:00", "task": TASK}
HUB = {"hub": "north", "name": "North", "location": HOME, "zone": "Europe/Helsinki"}
TO_HUB = {"kind": "transfer", "stops": [{"kind": "pickup"}, {"kind": "dropoff", "hub": "north"}]}
NEXT = ("CreateOccurrence", "OccurrenceCreated, OccurrenceScheduled")
MADE = [("ConfirmOccurrence", ""), ("CreateFromTemplate", "TaskCreated, TaskScheduled")]
REFUSED = [("ConfirmOccurrence", ""), ("CreateFromTemplate", "hub-closed"), ("RefuseOccurrence", "OccurrenceRefused")]
NOT_AGAIN = [("ConfirmOccurrence", "occurrence-answered"), ("RefuseOccurrence", "")]


async def recurring(at: House, **more: Any) -> str:
    made = await at.caller().post("/v1/acme/recurrences", json=DAILY | more, headers=key("recurrence"))
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def due(at: House) -> list[DeadlineRow]:
    """As the read model has them."""
    rows: dict[Key, Any] = {}
    for stored in at.desk.log:
        envelope = envelope_of(stored)
        event = event_of(stored, None)
        if type(event) in DEADLINES.events:
            fact = Fact(event, source_of(envelope, stored), envelope, stored)
            for each in DEADLINES.keys(fact):
                rows[each] = DEADLINES.apply(rows.get(each), fact, each)
    return [row for row in rows.values() if row is not None]


async def fired(at: House) -> list[tuple[str, str]]:
    """All that is due by now, once; the events that came of it."""
    sent = Sent(at)
    for row in [row for row in due(at) if row.due_at <= at.now]:
        deadline = msgspec.structs.asdict(row)
        await sent(step_of(deadline), source_of_deadline(deadline, at.now), ACME)
    return sent.steps


async def followed(at: House) -> list[tuple[str, str]]:
    return await anew(at, "recurring", RECURRING, DISPATCH)


def of_type(at: House, cls: type[Any]) -> list[Any]:
    """As whoever has the keys reads them."""
    found = []
    for stored in at.desk.log:
        envelope = envelope_of(stored)
        unseal = at.keyring.unsealer(stored.partition, envelope.tenant, envelope.aggregate_id)
        found.append(event_of(stored, unseal))
    return [event for event in found if isinstance(event, cls)]


def forgotten(at: House) -> None:
    """What was answered long ago is not remembered by its command's id, but where it created something."""
    for kept in at.desk.kept.values():
        kept.answers = {kept.created_by: kept.answers[kept.created_by]}


async def test_each_occurrence_is_due_ahead_of_its_time_and_becomes_a_task():
    async with house() as at:
        recurrence = await recurring(at)
        assert await fired(at) == [NEXT]
        assert await fired(at) == [], "the next is not yet due"
        assert await followed(at) == MADE
        at.now += timedelta(days=1)
        assert NEXT in await fired(at)
        assert await followed(at) == MADE * 2
        first, second = of_type(at, TaskCreated)
        assert first.recurrence_id == second.recurrence_id == recurrence
        assert second.stops[1].window.start - first.stops[1].window.start == timedelta(days=1)
        assert second.stops[1].contact.name.value == "Cleo"
        assert second.stops[1].contact.name.subject == first.stops[1].contact.name.subject


async def test_who_reads_the_log_anew_creates_nothing_again():
    async with house() as at:
        await recurring(at)
        await fired(at)
        await followed(at)
        forgotten(at)
        before = len(at.desk.log)
        assert await followed(at) == MADE  # the answer that it had then
        assert len(at.desk.log) == before


async def test_one_that_cannot_be_created_is_told_and_is_not_created_later():
    async with house() as at:
        hub = (await at.caller().post("/v1/acme/hubs", json=HUB)).json()["id"]
        await recurring(at, task=TO_HUB)
        await fired(at)
        await at.caller().post(f"/v1/acme/hubs/{hub}/close-hub", headers=key("close"))
        assert await followed(at) == REFUSED
        (refused,), (made,) = of_type(at, OccurrenceRefused), of_type(at, OccurrenceCreated)
        assert (refused.task_id, refused.local, refused.rule) == (made.task_id, "2026-03-02T09:00", "hub-closed")
        await at.caller().post(f"/v1/acme/hubs/{hub}/reopen-hub", headers=key("open"))
        forgotten(at)
        assert await followed(at) == NOT_AGAIN


async def test_paused_or_ended_nothing_of_it_is_due():
    async with house() as at:
        recurrence = await recurring(at)
        shop, url = at.caller(), f"/v1/acme/recurrences/{recurrence}"
        await shop.post(f"{url}/pause-recurrence", json={"reason_code": "holidays"}, headers=key("p"))
        assert due(at) == []
        await shop.post(f"{url}/resume-recurrence", headers=key("r"))
        (row,) = due(at)
        assert (row.kind, row.target_at) == ("create_occurrence", row.due_at + timedelta(days=1))
        await shop.post(f"{url}/end-recurrence", json={"reason_code": "enough"}, headers=key("e"))
        assert due(at) == []
