"""`logistics forget`: a person's keys are thrown away, and it is shown that nothing of them can be read any more.

What is sealed stays where it stands, so that the chain of hashes verifies as before. Photos and signatures that were
taken where the person was met are deleted. A wrapped key that was thrown away lies on the brokers' disks until they
have compacted the topic, at most a day.
"""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
from aiokafka.errors import KafkaError
from obstore.exceptions import BaseError
from psycopg import AsyncConnection
from rich.console import Console
from rich.table import Table

from commands.learning import Learning
from commands.order import Answer, Keepers, Order, Unavailable
from commands.policy import Policy
from infra.artefacts import artefacts_of
from infra.check.finding import Verdict
from infra.check.log import LogCheck
from infra.check.reading import Place, ends_of, whole_log
from infra.endpoints import NotRunning, reached
from infra.forget.in_the_clear import Found, InTheClear
from infra.forget.traces import Traces
from infra.kafka import client_args
from infra.observability import quiet
from infra.routing import routed
from infra.secrets import secret
from infra.settings import Settings, WrongSetting, load_settings, with_secrets
from schemas import ids
from schemas.keyring import Keyring
from schemas.message import Code, SubjectId, TenantSlug
from schemas.person import ForgetPerson
from schemas.record import Stored
from schemas.topics import DEAD, FIXES, HISTORY, KEYS, SHARDS, SIGNALS, SNAPSHOTS
from streams.telemetry.gone import Forgotten as Places
from streams.telemetry.gone import let_go_of_forgotten, places_of

NOT_FORGOTTEN = 1
CHAINED = (*(topic.name for topic in HISTORY), SIGNALS.name)
UNCHAINED = tuple(topic.name for topic in (SHARDS, SNAPSHOTS, FIXES, DEAD))
MOST_TOLD = 20


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the log holds of the person."""

    records: Mapping[str, int]
    """By topic."""
    fields: int
    readable: int
    """Fields that a key still opens."""


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """`after` and what follows are None where nothing was thrown away."""

    tenant: str
    subject: str
    before: Held
    artefacts: int
    """Taken where the person was met, and deleted since."""
    places: int
    """Rows that told where a rider was, and deleted since."""
    keys: int
    """Shards that have a key of the person before."""
    event: str | None = None
    """Where the log says so: topic, partition and offset."""
    after: Held | None = None
    chain: Verdict | None = None
    words: int | None = None
    """Names, phone numbers and the like that were looked for in the clear."""
    looked_at: Mapping[str, int] | None = None
    in_the_clear: list[Found] | None = None

    @property
    def proven(self) -> bool:
        chain_holds = self.chain is not None and self.chain.passes
        return self.after is not None and not self.after.readable and chain_holds and not self.in_the_clear


def forget(person: str, tenant: str, is_id: bool, reason: str, data: Path | None, dry_run: bool, as_json: bool) -> int:
    """The exit code. Raises WrongSetting, NotRunning."""
    quiet()
    try:
        msgspec.convert(reason, Code)
    except msgspec.ValidationError as wrong:
        told = f"--reason {reason}: is a code such as person_asked, small letters, digits and _"
        raise WrongSetting(told) from wrong
    settings = with_secrets(reached(load_settings(data=data)))
    subject = SubjectId(person) if is_id else ids.contact_subject(tenant, person)
    try:
        done = asyncio.run(run(settings, TenantSlug(tenant), subject, None if dry_run else reason))
    except (KafkaError, psycopg.OperationalError, BaseError, Unavailable) as failed:
        raise NotRunning(f"not everything was done, forget again: {failed}") from failed
    if not done.before.fields:
        print(f"nothing on the log of {tenant} is of {person}", file=sys.stderr)
        return NOT_FORGOTTEN
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(done)).decode())
    else:
        shown(done, Console())
    return 0 if dry_run or done.proven else NOT_FORGOTTEN


async def run(settings: Settings, tenant: TenantSlug, subject: SubjectId, reason: str | None) -> Forgotten:
    """Without a reason it is only looked at. Raises KafkaError, psycopg.Error, Unavailable."""
    keyring = await keyring_of(settings, client_args(settings))
    known = await traces(settings, tenant, subject, keyring)
    named = known.artefacts()
    store = artefacts_of(settings)
    there = [digest for digest in sorted(named) if await store.kept(tenant, digest) is not None]
    keys = len(keyring.partitions_of(subject))
    async with await AsyncConnection[Any].connect(settings.postgres.get_secret_value()) as connection:
        places = await places_of(connection, tenant, subject)
    done = Forgotten(tenant=tenant, subject=subject, before=held(known), keys=keys, artefacts=len(there), places=places)
    if reason is None or not known.fields:
        return done
    async with routed(settings) as router:
        answer = await thrown_away(router, tenant, subject, reason)
    await store.forget(tenant, there)
    async with await AsyncConnection[Any].connect(settings.postgres.get_secret_value()) as connection:
        await let_go_of_forgotten(connection, [Places(tenant, subject, answer.recorded_at)])
    (topic, partition), end = next(iter(answer.position.items()))
    done = msgspec.structs.replace(done, event=f"{topic}/{partition}@{end - 1}")
    return await proven(settings, tenant, subject, done, known.words)


async def thrown_away(keepers: Keepers, tenant: TenantSlug, subject: SubjectId, reason: str) -> Answer:
    """The log says first that it is to be, so that who runs the processes sees to it if this breaks off here."""
    aggregate = ids.tenant_id(tenant)
    command_id = ids.command_id(aggregate, f"forget:{subject}:{uuid4()}")
    order = Order(
        tenant=tenant,
        kind="tenant",
        aggregate_id=aggregate,
        command=ForgetPerson(subject=subject, reason_code=reason),
        command_id=command_id,
        request_hash=command_id,
        actor="command-line",
        role="operator",
        correlation_id=command_id,
    )
    answer = await keepers.submit(order)
    await keepers.forget(subject)
    return answer


async def traces(settings: Settings, tenant: TenantSlug, subject: SubjectId, keyring: Keyring) -> Traces:
    """As the log stands now."""
    args = client_args(settings)
    known = Traces(tenant, subject, keyring)
    async for stored in whole_log(args, await ends_of(args, CHAINED, settings.partitions)):
        known.take(stored)
    return known


async def proven(
    settings: Settings, tenant: TenantSlug, subject: SubjectId, done: Forgotten, words: set[str]
) -> Forgotten:
    """Everything is read anew: what opens, whether the chain holds, and whether a word stands in the clear."""
    args = client_args(settings)
    known, chain = Traces(tenant, subject, await keyring_of(settings, args)), LogCheck()
    clear = InTheClear(words)
    before: Place | None = None
    ends = await ends_of(args, [*CHAINED, *UNCHAINED], settings.partitions)
    async for stored in whole_log(args, ends):
        clear.take(stored)
        if stored.topic in CHAINED:
            before = in_order(chain, stored, before)
            known.take(stored)
    async with await AsyncConnection[Any].connect(settings.postgres.get_secret_value()) as connection:
        await clear.look_through_tables(connection)
    clear.look_through_files(settings.data)
    return msgspec.structs.replace(
        done,
        after=held(known),
        chain=next(verdict for verdict in chain.verdicts() if verdict.invariant == "I10"),
        words=len(clear.words),
        looked_at={"records": clear.records, "rows": clear.rows, "files": clear.files},
        in_the_clear=clear.found,
    )


def in_order(chain: LogCheck, stored: Stored, before: Place | None) -> Place:
    place = stored.topic, stored.partition
    if before is not None and place != before:
        chain.leave(before)
    chain.take(stored)
    return place


async def keyring_of(settings: Settings, args: Mapping[str, Any]) -> Keyring:
    keyring = Keyring(secret(settings, "key_encryption_key"))
    learning = Learning(keyring, Policy())
    async for stored in whole_log(args, await ends_of(args, [KEYS.name], settings.partitions)):
        learning.take(stored)
    return keyring


def held(known: Traces) -> Held:
    return Held(records=known.records, fields=known.fields, readable=known.opened)


def shown(done: Forgotten, console: Console) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("person", done.subject)
    where = ", ".join(f"{count} of {topic}" for topic, count in done.before.records.items())
    table.add_row("sealed on the log", f"{done.before.fields} fields in {where}")
    if done.after is None:
        table.add_row("readable", f"{done.before.readable} fields")
        table.add_row("artefacts", f"{done.artefacts} would be deleted")
        table.add_row("places", f"{done.places} would be deleted")
    else:
        table.add_row("readable", f"{done.before.readable} fields before, {done.after.readable} now")
        table.add_row("keys thrown away", f"{done.keys}")
        table.add_row("artefacts", f"{done.artefacts} deleted")
        table.add_row("places", f"{done.places} deleted")
        table.add_row("told on the log", done.event)
        assert done.chain is not None
        table.add_row("chain of hashes", f"{done.chain.state}, {done.chain.looked_at:,} records")
        looked = ", ".join(f"{count:,} {what}" for what, count in (done.looked_at or {}).items())
        table.add_row("in the clear", f"{len(done.in_the_clear or ())} of {done.words} words found in {looked}")
    console.print(table)
    for found in (done.in_the_clear or [])[:MOST_TOLD]:
        console.print(f"in the clear: {found.where}, {found.count} times", markup=False, highlight=False)
    if done.after is None:
        console.print("Nothing was thrown away: leave --dry-run out for that.")
