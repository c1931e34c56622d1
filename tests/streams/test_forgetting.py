"""A person whom a tenant wants forgotten over HTTP is closed in every answer, once the process has followed."""

from collections.abc import AsyncIterator, Sequence

import pytest
from following import Sent, anew
from reception import House, delivery, house, key

from schemas import ids
from schemas.message import SubjectId
from schemas.topics import DIRECTORY
from streams.forgetting import forgetting
from streams.process import Rule


@pytest.fixture
async def at() -> AsyncIterator[House]:
    async with house() as open_house:
        yield open_house


async def test_the_process_throws_the_keys_away(at: House):
    order = delivery(external_reference="one")
    order["stops"][-1]["contact"] = {"name": "Aino Virta", "reference": "CUST-17"}
    assert (await at.caller().post("/v1/acme/tasks", json=order)).status_code == 201
    subject = ids.contact_subject("acme", "CUST-17")
    assert at.keyring.partitions_of(subject)
    tenant = f"/v1/acme/tenants/{ids.tenant_id('acme')}/forget-person"
    body = {"contact": "CUST-17", "reason_code": "person_asked"}
    answer = await at.caller().post(tenant, json=body, headers=key("forget"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["events"] == ["PersonForgotten"]

    async def forget(subject: SubjectId) -> None:
        await at.desk.forget(subject)

    sent = Sent(at)
    await follows(at, forgetting(sent, forget))
    assert at.keyring.partitions_of(subject) == []
    # who comes back is remembered, whoever reads the log anew
    order["external_reference"] = "two"
    assert (await at.caller().post("/v1/acme/tasks", json=order)).status_code == 201
    forgotten_answers(at)
    await follows(at, forgetting(sent, forget))
    assert len(at.keyring.partitions_of(subject)) == 1


async def follows(at: House, rules: Sequence[Rule]) -> None:
    """The whole log of the directory, from its first record."""
    await anew(at, "forgetting", rules, DIRECTORY)


def forgotten_answers(at: House) -> None:
    """What was answered long ago is not remembered by its command's id."""
    for kept in at.desk.kept.values():
        kept.answers = {}


async def test_ids_of_ours_that_name_nobody_are_refused(at: House):
    order = delivery(external_reference="one")
    order["stops"][-1]["contact"] = {"name": "Aino Virta"}
    task = (await at.caller().post("/v1/acme/tasks", json=order)).json()["id"]
    path = f"/v1/acme/tenants/{ids.tenant_id('acme')}/forget-person"

    async def asked(contact: str) -> tuple[int, str | None]:
        body = {"contact": contact, "reason_code": "person_asked"}
        answer = await at.caller().post(path, json=body, headers=key(contact))
        return answer.status_code, answer.json().get("code")

    for wrong in (f"{task}/stop-3", f"{ids.derived('no task')}/stop-2"):
        assert await asked(wrong) == (422, "unknown-person")
    assert await asked("CUST-1/7") == (200, None), "a reference is the tenant's own"
    assert await asked(f"{task}/stop-2") == (200, None)
    await at.desk.forget(ids.contact_subject("acme", f"{task}/stop-2"))
    assert await asked(f"{task}/stop-2") == (200, None), "the same request has its first answer"


async def test_nobody_names_a_subject_from_outside(at: House):
    tenant = f"/v1/acme/tenants/{ids.tenant_id('acme')}/forget-person"
    body = {"subject": "rider-of-another-tenant", "reason_code": "person_asked"}
    answer = await at.caller().post(tenant, json=body, headers=key("forget"))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/subject"
