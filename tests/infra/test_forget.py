"""`logistics forget` on real engines: nothing of a person can be read any more, and that is shown."""

import asyncio
from pathlib import Path

import pytest
from garage import Garage
from played import SIGNATURE, Played
from story import ACME, KAMPPI, NOON
from world import PARTITIONS, World

from infra.artefacts import artefacts_of
from infra.check.run import checked
from infra.forget.command import forget, run
from infra.forget.in_the_clear import InTheClear
from infra.forget.traces import Traces, words_in
from infra.settings import WrongSetting
from schemas import ids
from schemas.hub import CreateHub
from schemas.message import RiderId, SubjectId, TenantSlug
from schemas.partition import partition_of
from schemas.place_contact import NewPlaceContact
from schemas.record import Stored
from schemas.signals import FixSeen

ANOTHER = "b" * 64


def contact(system: Played, reference: str) -> tuple[TenantSlug, SubjectId]:
    return TenantSlug(system.world.tenant), ids.contact_subject(system.world.tenant, reference)


async def test_what_is_held_of_a_person_is_told_and_nothing_is_thrown_away(system: Played):
    tenant, subject = contact(system, "cancelled")
    told = await run(system.settings, tenant, subject, None)
    assert told.before.readable == told.before.fields > 1
    assert set(told.before.records) == {"logistics.task"}
    assert (told.event, told.after, told.proven) == (None, None, False)


async def test_a_person_is_forgotten_and_the_proof_looks_everywhere(system: Played):
    tenant, subject = contact(system, "won")
    store = artefacts_of(system.settings)
    for digest in (SIGNATURE, ANOTHER):
        await store.put(tenant, digest, digest, b"an image")

    done = await run(system.settings, tenant, subject, "person_asked")

    assert done.before.readable == done.before.fields > 3
    assert done.after is not None
    assert (done.after.fields, done.after.readable) == (done.before.fields, 0)
    where = {partition_of(of, PARTITIONS) for of in (system.tasks["won"], system.riders["bob"])}
    assert done.keys == len(where), "of the task's shard, and of that of the rider who went there"
    assert (done.artefacts, await store.kept(tenant, SIGNATURE)) == (1, None)
    assert await store.kept(tenant, ANOTHER) == ANOTHER, "which is of nobody"
    assert done.chain is not None
    assert done.chain.state == "holds"
    assert (done.words, done.in_the_clear) == (1, [])
    assert done.looked_at is not None
    assert all(count > 0 for count in done.looked_at.values())
    assert done.proven
    # owners, readers and processes still agree
    assert all(verdict.passes for verdict in (await checked(system.settings))[0])


async def test_who_is_not_on_the_log_is_not_forgotten(system: Played):
    tenant, subject = contact(system, "nobody")
    told = await run(system.settings, tenant, subject, "person_asked")
    assert (told.before.fields, told.event) == (0, None)


async def test_another_tenants_people_are_not_forgotten(system: Played, world: World):
    told = await run(system.settings, TenantSlug("other"), SubjectId(RiderId(system.riders["ann"])), "person_asked")
    assert (told.before.fields, told.event) == (0, None)


def test_a_reason_is_a_code(tmp_path: Path):
    with pytest.raises(WrongSetting, match="--reason GDPR please"):
        forget("won", "acme", False, "GDPR please", tmp_path, dry_run=True, as_json=False)


def test_whom_one_asks_at_a_hub_is_found_on_the_log_and_once_forgotten_not_read():
    garage, subject = Garage(), ids.contact_subject(ACME, "staff-7")
    dee = NewPlaceContact(duty="desk", name="Dee Desk", phone="+358401234567", reference="staff-7")
    hub = CreateHub(hub="north", name="North", location=KAMPPI, zone="Europe/Helsinki", contacts=[dee])
    garage.send("hub", ids.hub_id(ACME, "north"), hub)

    def traced() -> Traces:
        traces = Traces(ACME, subject, garage.keyring)
        for stored in garage.desk.log:
            traces.take(stored)
        return traces

    assert (traced().records, traced().opened) == ({"logistics.directory": 1}, 2)
    assert traced().words == {"Dee Desk", "+358401234567"}
    asyncio.run(garage.desk.forget(subject))
    assert (traced().fields, traced().opened) == (2, 0)


def test_when_somebody_was_somewhere_is_no_word_that_is_looked_for():
    """It stands in the clear beside each anomaly, too."""
    assert list(words_in([FixSeen(at=NOON, lat=60.17, lon=24.94, speed_mps=None)])) == []
    assert list(words_in({"name": "Cleo", "since": NOON})) == ["Cleo"]


def test_a_name_in_a_record_or_a_file_is_found(tmp_path: Path):
    clear = InTheClear({'Cleo "Quick" Unusual', "Bo"})
    assert clear.words == ['Cleo "Quick" Unusual'], "what is short says nothing"
    clear.take(Stored("logistics.task", 1, 7, b"task", b'\x00Cleo "Quick" Unusual\x00', []))
    clear.take(Stored("logistics.task", 1, 8, b"task", b"", [("metadata", b'{"for": "Cleo \\"Quick\\" Unusual"}')]))
    clear.take(Stored("logistics.task", 1, 9, b"task", None, []))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "gateway.log").write_text('{"for": "Cleo \\"Quick\\" Unusual"}')
    (tmp_path / "logs" / "empty.log").touch()
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "page").write_text('Cleo "Quick" Unusual')
    clear.look_through_files(tmp_path)
    assert [found.where for found in clear.found] == [
        "logistics.task/1@7",
        "logistics.task/1@8",
        "file logs/gateway.log",
    ]
    assert (clear.records, clear.files) == (3, 2)
