"""Artefacts in a folder or a bucket: found under both their hashes, each tenant's apart, and swept when they are old."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import obstore
import pytest
from backports import zstd
from obstore.store import LocalStore, S3Store
from played import Played
from psycopg_pool import AsyncConnectionPool
from story import NOON

from commands.policy import Policy
from gateway.problems import Problem
from infra import artefact_retention, artefact_sweep
from infra.artefact_retention import Retention, retain
from infra.artefact_sweep import Swept, swept
from infra.artefacts import ObjectArtefacts, artefacts_of, store_of
from infra.embedded.ports import free_port
from infra.endpoints import NotRunning
from infra.settings import Settings, WrongSetting, load_settings
from schemas.directory import ChangeTenantRules, TenantCreated, TenantRules
from schemas.ids import tenant_id
from schemas.message import Source, TenantSlug

SENT, KEPT = sha256(b"as it was sent").hexdigest(), sha256(b"as it is kept").hexdigest()
NOTHING = "0" * 64


@pytest.fixture
def store(tmp_path: Path) -> ObjectArtefacts:
    return artefacts_of(Settings(data=tmp_path))


async def test_what_is_kept_is_found_by_its_own_hash_and_by_that_of_what_was_sent(store: ObjectArtefacts):
    await store.put("acme", SENT, KEPT, b"as it is kept")
    for digest in (SENT, KEPT):
        assert await store.kept("acme", digest) == KEPT
        assert await store.get("acme", digest) == b"as it is kept"
    assert await store.kept("acme", NOTHING) is None
    assert await store.get("acme", NOTHING) is None


async def test_another_tenant_finds_nothing(store: ObjectArtefacts):
    await store.put("acme", SENT, KEPT, b"as it is kept")
    assert [await store.kept("other", digest) for digest in (SENT, KEPT)] == [None, None]


async def test_what_was_sent_as_it_is_kept_needs_no_index(store: ObjectArtefacts, tmp_path: Path):
    await store.put("acme", KEPT, KEPT, b"as it is kept")
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == [KEPT]
    assert await store.get("acme", KEPT) == b"as it is kept"


async def test_whatever_else_was_made_of_what_is_kept_it_stays_under_its_own_hash(store: ObjectArtefacts):
    await store.put("acme", SENT, KEPT, b"as it is kept")
    await store.put("acme", KEPT, sha256(b"anew").hexdigest(), b"anew")
    assert await store.get("acme", KEPT) == b"as it is kept"


async def test_a_folder_keeps_whole_files_and_no_parts(store: ObjectArtefacts, tmp_path: Path):
    for _ in range(2):
        await store.put("acme", SENT, KEPT, b"as it is kept")
    files = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file())
    assert files == [f"artefacts/kept/acme/{KEPT[:2]}/{KEPT}", f"artefacts/sent/acme/{SENT[:2]}/{SENT}"]


async def test_a_file_is_on_the_disk_before_the_put_returns(
    store: ObjectArtefacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    forced: list[str] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (forced.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    await store.put("acme", KEPT, KEPT, b"as it is kept")
    file = tmp_path / "artefacts" / "kept" / "acme" / KEPT[:2] / KEPT
    assert forced == [str(file), str(file.parent)]


async def test_what_was_put_long_ago_is_put_again_and_is_new_from_then_on(store: ObjectArtefacts, tmp_path: Path):
    await store.put("acme", SENT, KEPT, b"as it is kept")
    assert [await store.is_fresh("acme", digest) for digest in (SENT, KEPT, NOTHING)] == [True, True, False]
    age(tmp_path, days=2)
    assert not await store.is_fresh("acme", SENT)
    await store.put("acme", SENT, KEPT, b"as it is kept")
    assert await store.is_fresh("acme", SENT)


# Where


def test_without_a_setting_artefacts_are_in_a_folder_of_the_data(tmp_path: Path):
    assert isinstance(store_of((tmp_path / "artefacts").as_uri()), LocalStore)
    artefacts_of(Settings(data=tmp_path))
    assert (tmp_path / "artefacts").is_dir()


async def test_a_folder_may_be_named_and_may_have_a_space_in_its_name(tmp_path: Path):
    url = (tmp_path / "with space").as_uri()
    await artefacts_of(Settings(artefacts=url)).put("acme", KEPT, KEPT, b"as it is kept")
    assert (tmp_path / "with space" / "kept" / "acme" / KEPT[:2] / KEPT).read_bytes() == b"as it is kept"


def test_a_bucket_is_reached_with_the_credentials_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "its-secret")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://objects.example.com")
    made = store_of(load_settings(artefacts="s3://photos/of/riders").artefacts)
    assert isinstance(made, S3Store)
    asked = urlsplit(obstore.sign(made, "GET", "a-photo", timedelta(minutes=1)))
    credential = parse_qs(asked.query)["X-Amz-Credential"][0].split("/")
    assert (asked.hostname, asked.path) == ("objects.example.com", "/photos/of/riders/a-photo")
    assert (credential[0], credential[2]) == ("a-key", "eu-north-1")


async def test_a_bucket_that_does_not_answer_is_told_before_a_phone_gives_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "its-secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    closed = artefacts_of(Settings(artefacts="s3://photos"))
    async with asyncio.timeout(20):
        for asked in (closed.put("acme", SENT, KEPT, b"x"), closed.kept("acme", KEPT), closed.get("acme", KEPT)):
            with pytest.raises(Problem) as told:
                await asked
            assert told.value.code == "artefacts-unavailable"


@pytest.mark.parametrize("url", ["/var/photos", "ftp://photos", "s3://", "https://photos.example.com", "file://"])
def test_what_is_neither_a_folder_nor_a_bucket_is_refused(url: str):
    with pytest.raises(WrongSetting, match="LOGISTICS_ARTEFACTS"):
        load_settings(artefacts=url)


# Sweeping


def age(folder: Path, days: float) -> None:
    then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    for file in folder.rglob("*"):
        if file.is_file():
            os.utime(file, (then, then))


@pytest.fixture
async def shelves(store: ObjectArtefacts, tmp_path: Path) -> ObjectArtefacts:
    """Of each of three tenants one artefact of 8 days and one of now; `gone` is not in the directory."""
    for tenant in ("acme", "other", "gone"):
        await store.put(tenant, SENT, KEPT, b"as it is kept")
    age(tmp_path, days=8)
    for tenant in ("acme", "other", "gone"):
        await store.put(tenant, *[sha256(b"new").hexdigest()] * 2, b"new")
    return store


DAYS = {"acme": 7, "other": 9}
TOLD = [Swept("acme", 7, 2, 1, len(b"as it is kept")), Swept("gone", None, 2, 0, 0), Swept("other", 9, 2, 0, 0)]


async def test_a_sweep_tells_what_is_too_old_and_deletes_nothing(shelves: ObjectArtefacts):
    assert await swept(shelves, DAYS.get, datetime.now(UTC), delete=False) == TOLD
    assert await shelves.get("acme", SENT) == b"as it is kept"


async def test_a_sweep_that_deletes_takes_what_is_too_old_and_its_index_alone(shelves: ObjectArtefacts, tmp_path: Path):
    assert await swept(shelves, DAYS.get, datetime.now(UTC), delete=True) == TOLD
    left = sorted(file.parts[-3] + "/" + file.name for file in tmp_path.rglob("*") if file.is_file())
    assert [name for name in left if name.startswith("acme")] == [f"acme/{sha256(b'new').hexdigest()}"]
    for tenant in ("other", "gone"):
        assert await shelves.get(tenant, SENT) == b"as it is kept"
    again = await swept(shelves, DAYS.get, datetime.now(UTC), delete=True)
    assert [(each.artefacts, each.expired) for each in again] == [(1, 0), (2, 0), (2, 0)]


async def test_a_sweep_deletes_as_many_as_there_are(
    shelves: ObjectArtefacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(artefact_sweep, "AT_ONCE", 2)
    for number in range(5):
        content = f"{number}".encode()
        await shelves.put("acme", *[sha256(content).hexdigest()] * 2, content)
    age(tmp_path, days=8)
    done = await swept(shelves, DAYS.get, datetime.now(UTC), delete=True)
    assert (done[0].artefacts, done[0].expired) == (7, 7)
    assert (await swept(shelves, DAYS.get, datetime.now(UTC), delete=False))[0].tenant == "gone"


def test_a_tenant_keeps_artefacts_for_a_year_unless_it_says_otherwise():
    assert TenantRules().artefact_days == 365


@pytest.mark.parametrize(("days", "allowed"), [(6, False), (7, True), (3_650, True), (3_651, False)])
def test_a_tenant_keeps_artefacts_for_a_week_at_least_and_ten_years_at_most(days: int, allowed: bool):
    wanted = {"rules": {"artefact_days": days}}
    with nullcontext() if allowed else pytest.raises(msgspec.ValidationError, match="artefact_days"):
        assert msgspec.convert(wanted, ChangeTenantRules).rules.artefact_days == days


def test_sweeping_where_nothing_runs_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("LOGISTICS_KAFKA", raising=False)
    with pytest.raises(NotRunning):
        artefact_sweep.sweep_artefacts(tmp_path, False, False)


def test_what_was_swept_is_told_in_a_table_and_what_to_do_next(capsys: pytest.CaptureFixture[str]):
    artefact_sweep.shown(TOLD, False, artefact_sweep.Console(width=120))
    told = capsys.readouterr().out
    assert "would be deleted" in told
    assert "unknown tenant" in told
    assert "--delete" in told


async def test_a_sweep_goes_by_the_rules_that_stand_on_the_log(system: Played):
    store, tenant = artefacts_of(system.settings), system.world.tenant
    photo = sha256(b"of the played story").hexdigest()
    await store.put(tenant, photo, photo, b"of the played story")
    file = system.settings.data / "artefacts" / "kept" / tenant / photo[:2] / photo
    year = timedelta(days=TenantRules().artefact_days, hours=1).total_seconds()
    os.utime(file, (file.stat().st_mtime - year,) * 2)
    (counted,) = await artefact_sweep.run(system.settings, delete=False)
    assert (counted.tenant, counted.days, counted.artefacts, counted.expired) == (tenant, 365, 1, 1)
    await artefact_sweep.run(system.settings, delete=True)
    (left,) = await artefact_sweep.run(system.settings, delete=True)
    assert left.artefacts == 0
    assert left.decisions > 0


async def test_what_decisions_rested_on_is_kept_for_a_month_and_no_longer_than_artefacts(tmp_path: Path):
    shelves, record = artefacts_of(Settings(data=tmp_path)), b"what was known of the riders"
    digest = sha256(record).hexdigest()
    await shelves.keep_decision("acme", digest, record)
    assert await shelves.decision("acme", digest) == record
    assert await shelves.decision("other", digest) is None
    (file,) = (tmp_path / "artefacts" / "decisions").rglob(digest)
    for days, kept, expired in ((29, 365, 0), (31, 365, 1), (8, 7, 1)):
        now = datetime.now(UTC) + timedelta(days=days)
        (told,) = await swept(shelves, {"acme": kept}.get, now, delete=False)
        assert (told.decisions, told.expired_decisions, told.artefacts) == (1, expired, 0)
    file.write_bytes(b"no longer what it was")
    with pytest.raises(ValueError, match="cannot be unpacked"):
        await shelves.decision("acme", digest)
    for torn in (zstd.compress(b"something else"), zstd.compress(record)[:-9]):
        file.write_bytes(torn)
        with pytest.raises(ValueError, match="something else"):
            await shelves.decision("acme", digest)


# By itself


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[AsyncConnectionPool[Any]]:
    async with AsyncConnectionPool(postgres, min_size=1, max_size=4, open=False) as opened:
        yield opened


def keeping(**days: int) -> Policy:
    """A directory in which these tenants keep artefacts for so many days."""
    policy = Policy()
    for offset, (tenant, kept) in enumerate(days.items()):
        event = TenantCreated(
            tenant=TenantSlug(tenant), name=tenant, mode="live", rules=TenantRules(artefact_days=kept)
        )
        policy.take(event, from_tenant(TenantSlug(tenant)), 0, offset)
    return policy


def from_tenant(tenant: TenantSlug) -> Source:
    return Source(
        event_id=tenant,
        tenant=tenant,
        outlet=None,
        aggregate_id=tenant_id(tenant),
        version=1,
        event_time=NOON,
        recorded_at=NOON,
        actor="root",
        command_id="c-1",
        correlation_id="c-1",
        topic="logistics.directory",
        partition=0,
        offset=0,
    )


class Days:
    """Sweepers that look at one clock."""

    def __init__(self, pool: AsyncConnectionPool[Any], store: ObjectArtefacts) -> None:
        self.now = datetime.now(UTC)
        self.policy = keeping(acme=7, other=10)
        self.one, self.two = (Retention(pool, store, self.policy, lambda: self.now) for _ in range(2))

    async def after(self, hours: float) -> list[bool]:
        """Which of the two swept, looking at the same moment."""
        self.now += timedelta(hours=hours)
        return sorted(await asyncio.gather(self.one.sweep_if_due(), self.two.sweep_if_due()))


@pytest.fixture
async def days(pool: AsyncConnectionPool[Any], shelves: ObjectArtefacts) -> Days:
    made = Days(pool, shelves)
    await asyncio.gather(made.one.start(), made.two.start())
    return made


async def test_what_is_too_old_goes_by_itself_once_a_day_by_one_process(days: Days, shelves: ObjectArtefacts):
    assert await days.after(hours=0) == [False, False], "a start is no sweep"
    assert await days.after(hours=23.9) == [False, False]
    assert await shelves.get("acme", SENT) is not None
    await days.one.start()
    assert await days.after(hours=0.2) == [False, True], "another start puts nothing off"
    assert await shelves.get("acme", SENT) is None
    assert await shelves.get("gone", SENT) is not None, "the directory does not have its tenant"
    assert await shelves.get("other", SENT) is not None, "ten days it is to be kept"
    assert await days.after(hours=23) == [False, False]
    assert await days.after(hours=1.1) == [False, True]
    assert await shelves.get("other", SENT) is None


async def test_a_sweep_that_fails_is_tried_again_and_takes_nothing_with_it(
    days: Days, shelves: ObjectArtefacts, tmp_path: Path
):
    (tmp_path / "artefacts" / "stray").write_text("somebody else's")
    assert await days.after(hours=25) == [False, True]
    (tmp_path / "artefacts" / "stray").unlink()
    assert await days.after(hours=1) == [False, False]
    assert await days.after(hours=1.1) == [False, True]
    assert await shelves.get("acme", SENT) is None


async def test_a_sweep_that_has_too_much_for_an_hour_is_given_up_until_later(
    days: Days, shelves: ObjectArtefacts, monkeypatch: pytest.MonkeyPatch
):
    assert timedelta(seconds=artefact_retention.LONGEST_S) < artefact_retention.AGAIN_AFTER
    monkeypatch.setattr(artefact_retention, "LONGEST_S", 0.0)
    assert await days.after(hours=25) == [False, True]
    assert await shelves.get("acme", SENT) is not None
    monkeypatch.undo()
    assert await days.after(hours=2.1) == [False, True]
    assert await shelves.get("acme", SENT) is None


async def due_at(pool: AsyncConnectionPool[Any]) -> datetime | None:
    """None where nobody sweeps by itself."""
    async with pool.connection() as connection:
        known = await (await connection.execute("SELECT to_regclass('artefact_sweeps')")).fetchone()
        if known == (None,):
            return None
        due = await (await connection.execute("SELECT next_at FROM artefact_sweeps")).fetchone()
    return due[0] if due else None


async def test_sweeping_by_itself_is_switched_off_by_a_setting(pool: AsyncConnectionPool[Any], tmp_path: Path):
    await retain(Settings(data=tmp_path, sweep_artefacts=False), pool, Policy(), lambda: NOON)
    assert await due_at(pool) is None
    retaining = asyncio.create_task(retain(Settings(data=tmp_path), pool, Policy(), lambda: NOON))
    async with asyncio.timeout(30):
        while await due_at(pool) is None:  # noqa: ASYNC110 - it is told in the database
            await asyncio.sleep(0.05)
    assert await due_at(pool) == NOON + timedelta(days=1)
    assert not retaining.done()
    retaining.cancel()
    await asyncio.gather(retaining, return_exceptions=True)
