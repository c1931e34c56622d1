"""A clone, made by the process on real decisions: told by what stands afterwards."""

from typing import Any

from following import anew
from reception import HOME, House, delivery, house, key
from story import ACME

from schemas.ids import contact_subject
from schemas.record import envelope_of, event_of
from schemas.task import TaskCreated
from schemas.template import CloneRefused, TaskCloned
from schemas.topics import TASK
from streams.cloning import CLONING

CLEO = {"name": "Cleo", "phone": "+358401234567", "reference": "customer-881"}
STOPS = [
    {"kind": "pickup"},
    {"kind": "dropoff", "location": HOME, "address": "Tehtaankatu 12", "contact": CLEO, "required_proof": [["pin"]]},
]
HUB = {"hub": "north", "name": "North", "location": HOME, "zone": "Europe/Helsinki"}
MADE = [("ConfirmClone", ""), ("CreateFromTemplate", "TaskCreated, TaskDispatchable")]
REFUSED = [("ConfirmClone", ""), ("CreateFromTemplate", "hub-closed"), ("RefuseClone", "CloneRefused")]
NOT_AGAIN = [("ConfirmClone", "clone-answered"), ("RefuseClone", "")]


async def followed(at: House) -> list[tuple[str, str]]:
    return await anew(at, "cloning", CLONING, TASK)


async def ordered(at: House, **more: Any) -> str:
    made = await at.caller().post("/v1/acme/tasks", json=delivery(external_reference="order-1", stops=STOPS) | more)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def cloned(at: House, task: str, word: str = "c", **wanted: Any) -> str:
    answer = await at.caller().post(f"/v1/acme/tasks/{task}/clone-task", json=wanted, headers=key(word))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["created"])


def told(at: House, cls: type[Any], aggregate_id: str) -> list[Any]:
    """As whoever has the keys reads it."""
    found = []
    for stored in at.desk.log:
        envelope = envelope_of(stored)
        if envelope.aggregate_id == aggregate_id:
            found.append(
                event_of(stored, at.keyring.unsealer(stored.partition, envelope.tenant, envelope.aggregate_id))
            )
    return [event for event in found if isinstance(event, cls)]


def forgotten(at: House) -> None:
    """What was answered long ago is not remembered by its command's id, but where it created something."""
    for kept in at.desk.kept.values():
        kept.answers = {kept.created_by: kept.answers[kept.created_by]}


async def test_the_answer_names_the_clone_and_the_clone_comes_to_be():
    async with house() as at:
        task = await ordered(at)
        clone = await cloned(at, task)
        assert await followed(at) == MADE
        (made,) = told(at, TaskCreated, clone)
        assert made.cloned_from == task
        assert (made.stops[1].contact.name.value, made.stops[1].address.value) == ("Cleo", "Tehtaankatu 12")


async def test_who_is_forgotten_is_forgotten_in_the_clone_as_well():
    async with house() as at:
        task = await ordered(at)
        clone = await cloned(at, task)
        await followed(at)
        assert told(at, TaskCreated, clone)[0].stops[1].contact.name.value == "Cleo"
        subject = contact_subject(ACME, "customer-881")
        for partition in at.keyring.partitions_of(subject):
            at.keyring.apply(partition, subject, None)
        facts = [*told(at, TaskCreated, task), *told(at, TaskCloned, task), *told(at, TaskCreated, clone)]
        assert len(facts) == 3
        assert "Cleo" not in repr(facts)
        assert "Tehtaankatu" not in repr(facts)


async def test_asked_again_the_same_clone_is_meant():
    async with house() as at:
        task = await ordered(at)
        clones = {await cloned(at, task, word) for word in ("c", "c")}
        clones |= {await cloned(at, task, word, external_reference="order-2") for word in ("d", "e")}
        assert len(clones) == 2
        assert len(told(at, TaskCloned, task)) == 2


async def test_who_reads_the_log_anew_makes_nothing_again():
    async with house() as at:
        await cloned(at, await ordered(at))
        await followed(at)
        forgotten(at)
        before = len(at.desk.log)
        assert await followed(at) == MADE  # the answer that it had then
        assert len(at.desk.log) == before


async def test_a_name_that_another_task_has_refuses_the_clone_and_the_original_tells_it():
    async with house() as at:
        task = await ordered(at)
        other = await at.caller().post("/v1/acme/tasks", json=delivery(external_reference="order-2"))
        clone = await cloned(at, task, external_reference="order-2")
        assert clone == other.json()["id"]
        await followed(at)
        (refused,) = told(at, CloneRefused, task)
        assert (refused.clone_id, refused.rule) == (clone, "already-exists")
        assert len(told(at, TaskCreated, clone)) == 1


async def test_what_was_refused_is_not_made_later_unless_it_is_asked_for_again():
    async with house() as at:
        hub = (await at.caller().post("/v1/acme/hubs", json=HUB)).json()["id"]
        task = await ordered(at, kind="transfer", stops=[STOPS[0], {"kind": "dropoff", "hub": "north"}])
        clone = await cloned(at, task, "first", external_reference="order-2")
        await at.caller().post(f"/v1/acme/hubs/{hub}/close-hub", headers=key("close"))
        assert await followed(at) == REFUSED
        await at.caller().post(f"/v1/acme/hubs/{hub}/reopen-hub", headers=key("open"))
        forgotten(at)
        assert await followed(at) == NOT_AGAIN
        assert await cloned(at, task, "second", external_reference="order-2") == clone
        assert await followed(at) == [*NOT_AGAIN, *MADE]


async def test_an_integrator_alone_and_who_dispatches_may_clone():
    async with house() as at:
        task = await ordered(at)
        refused = await at.caller("rider", "ann").post(f"/v1/acme/tasks/{task}/clone-task", headers=key("c"))
        assert refused.status_code == 403
