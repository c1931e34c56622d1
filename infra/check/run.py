"""`logistics check`: is everything on this data as it must be?"""

from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from rich.console import Console
from rich.table import Table

from commands.context import Secrets
from commands.opening import Opening
from commands.order import Desk
from commands.policy import Policy
from commands.remote import RemoteDesk
from infra.check.finding import MOST_TOLD, Finding, Verdict, verdict
from infra.check.log import LogCheck
from infra.check.memory import check_memory
from infra.check.models import check_models
from infra.check.reading import ends_of, whole_log
from infra.check.replay import check_replay
from infra.kafka import client_args
from infra.lookups import Lookups
from infra.role_gateway import internal_key, real_time, secret
from infra.settings import Settings
from projections.models import MODELS
from projections.tables import positions
from schemas.keyring import Keyring
from schemas.topics import DIRECTORY, HISTORY, KEYS
from streams.routing.osrm import OsrmRouter

PROCESSED = "SELECT topic, partition, next_offset FROM process_positions"


class Acknowledged(msgspec.Struct, frozen=True):
    """A line of a client's journal: what it was told."""

    command_id: str
    aggregate_id: str
    version: int


async def checked(settings: Settings, journals: Iterable[Path] = ()) -> tuple[list[Verdict], LogCheck]:
    """All verdicts, on a running system. Raises what keeps it from being looked at."""
    args = client_args(settings)
    topics = [topic.name for topic in HISTORY]
    ends = await ends_of(args, topics, settings.partitions)
    log = LogCheck()
    async for stored in whole_log(args, ends):
        log.take(stored)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            AsyncConnectionPool[AsyncConnection[Any]](
                settings.postgres.get_secret_value(), min_size=1, max_size=4, open=False
            )
        )
        secrets = Secrets(secret(settings, "server_secret"))
        desk = RemoteDesk(lambda: settings.shards_address, internal_key(secrets))
        await desk.start()
        stack.push_async_callback(desk.stop)
        keyring = Keyring(secret(settings, "key_encryption_key"))
        verdicts = [*log.verdicts(), acknowledged(log, journals)]
        verdicts.append(await check_memory(await desk.accounts(), args, keyring))
        async with pool.connection() as connection:
            verdicts.append(await check_models(connection, args))
            verdicts.append(await check_boundaries(connection, log))
        verdicts.append(await replayed(settings, desk, pool, keyring))
    return merged(verdicts), log


def acknowledged(log: LogCheck, journals: Iterable[Path]) -> Verdict:
    """I3, where clients have kept journals."""
    files = [file for file in journals if file.exists()]
    if not files:
        return verdict("I3", 0, [], "no client has kept a journal here")
    told = [
        msgspec.json.decode(line, type=Acknowledged)
        for file in files
        for line in file.read_bytes().splitlines()
        if line
    ]
    lost = [
        Finding("I3", f"command {each.command_id}", f"acknowledged at version {each.version}, not in the log")
        for each in told
        if log.commands.get(each.command_id) != (each.aggregate_id, each.version)
    ]
    return verdict("I3", len(told), lost)


async def check_boundaries(connection: AsyncConnection[Any], log: LogCheck) -> Verdict:
    """The second half of I8: no read model stands in the middle of a command."""
    findings = []
    looked_at = 0
    for model in MODELS.values():
        for place, at in (await positions(connection, model)).items():
            known = log.boundaries.get(place, {0})
            looked_at += 1
            if at <= max(known) and at not in known:
                findings.append(Finding("I8", f"{model.name} at {place[0]}/{place[1]}@{at}", "is within a command"))
    return verdict("I8", looked_at, findings)


async def replayed(
    settings: Settings, desk: Desk, pool: AsyncConnectionPool[AsyncConnection[Any]], keyring: Keyring
) -> Verdict:
    args, policy = client_args(settings), Policy()
    openings = {p: Opening(p, keyring, policy) for p in range(settings.partitions)}
    for topic in (KEYS.name, DIRECTORY.name):
        async for stored in whole_log(args, await ends_of(args, [topic], settings.partitions)):
            openings[stored.partition].take(stored)
    async with pool.connection() as connection:
        found = await connection.execute("SELECT to_regclass('process_positions')")
        row = await found.fetchone()
        if row is None or row[0] is None:
            return verdict("I9", 0, [], "no process has run on this data")
        cursor = await connection.execute(PROCESSED)
        ends = {(topic, partition): at for topic, partition, at in await cursor.fetchall()}
    router = OsrmRouter(settings.osrm)
    lookups = Lookups(pool, policy, keyring, settings.partitions, real_time)
    try:
        return await check_replay(desk, lookups, router, keyring, args, ends, real_time)
    finally:
        await router.close()


def merged(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """One verdict for each invariant, in their order."""
    by_name: dict[str, Verdict] = {}
    for each in verdicts:
        known = by_name.get(each.invariant)
        by_name[each.invariant] = (
            each
            if known is None
            else msgspec.structs.replace(
                known, looked_at=known.looked_at + each.looked_at, findings=[*known.findings, *each.findings]
            )
        )
    return sorted(by_name.values(), key=lambda each: int(each.invariant[1:]))


def told(verdicts: Iterable[Verdict], console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("", "invariant", "looked at", ""):
        table.add_column(column)
    for each in verdicts:
        state = f"not judged: {each.skipped}" if each.skipped else "holds" if each.holds else "BROKEN"
        table.add_row(each.invariant, each.meaning, f"{each.looked_at:,}", state)
    console.print(table)
    for each in verdicts:
        for finding in each.findings[:MOST_TOLD]:
            console.print(f"{finding.invariant} {finding.where}: {finding.what}", markup=False)
        if len(each.findings) > MOST_TOLD:
            console.print(f"{each.invariant}: and {len(each.findings) - MOST_TOLD} more")
