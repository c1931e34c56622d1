"""The whole check of a running system: is everything on this data as it must be?"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from rich.console import Console
from rich.table import Table

from commands.context import Secrets
from commands.memory import Account
from infra.check.finding import NotJudged, Verdict, judged, not_judged
from infra.check.journals import Journals
from infra.check.log import LogCheck
from infra.check.memory import Folded, check_memory, ends_told, fold
from infra.check.models import check_models
from infra.check.reading import Place, ends_of, whole_log
from infra.check.replay import LANES, ProcessPlaces, check_replay, process_places, rehearsing
from infra.clock import real_time
from infra.kafka import client_args
from infra.routing import routed
from infra.secrets import secret
from infra.settings import Settings
from projections.models import MODELS
from projections.tables import positions
from schemas.keyring import Keyring
from schemas.topics import HISTORY, KEYS, SIGNALS
from streams.routing.osrm import OsrmRouter
from streams.routing.tenants import OneForAll

MOST_TOLD = 20
"""Findings of one invariant that are printed."""
CHAINED = [*(topic.name for topic in HISTORY), SIGNALS.name]

type Pool = AsyncConnectionPool[AsyncConnection[Any]]
type Accounts = Callable[[], Awaitable[list[Account]]]


async def checked(
    settings: Settings,
    journals: Iterable[Path] = (),
    *,
    accounts: Accounts | None = None,
    clock: Callable[[], datetime] = real_time,
) -> tuple[list[Verdict], LogCheck]:
    """All verdicts in order, on a running system whose addresses and secrets `settings` hold.

    `accounts` asks the owners of the shards where they are in this process. Raises what keeps the whole from being
    looked at: KafkaError, psycopg.Error.
    """
    args = client_args(settings)
    log, acknowledged = await check_log(settings, args, journals)
    verdicts = [*log.verdicts(), *acknowledged]
    async with AsyncConnectionPool[AsyncConnection[Any]](
        settings.postgres.get_secret_value(), min_size=1, max_size=LANES, open=False
    ) as pool:
        verdicts += await check_shards(settings, args, pool, accounts, clock)
    verdicts.append(await judged("I5", check_models(settings.postgres.get_secret_value(), args, settings.partitions)))
    by_name = {verdict.invariant: verdict for verdict in verdicts}
    return sorted(by_name.values(), key=lambda verdict: int(verdict.invariant[1:])), log


async def check_log(
    settings: Settings, args: Mapping[str, Any], files: Iterable[Path]
) -> tuple[LogCheck, list[Verdict]]:
    """What the log tells, and a verdict on I3 where the journals cannot be read.

    Journals and places are taken before the log's ends, so that all they speak of stands before those.
    """
    journals, verdicts = Journals([]), []
    try:
        journals = Journals(files)
    except NotJudged as hindered:
        verdicts.append(not_judged("I3", str(hindered)))
    standing = await standing_in(settings.postgres.get_secret_value())
    ends = await ends_of(args, CHAINED, settings.partitions)
    log = LogCheck(journals, standing)
    before = None
    async for stored in whole_log(args, ends):
        place = stored.topic, stored.partition
        if before is not None and place != before:
            log.leave(before)
        log.take(stored)
        before = place
    return log, verdicts


async def standing_in(dsn: str) -> dict[Place, dict[int, list[str]]]:
    """Where each read model stands in each partition."""
    standing: dict[Place, dict[int, list[str]]] = {}
    async with await AsyncConnection.connect(dsn) as connection:
        for model in MODELS.values():
            for place, offset in (await positions(connection, model)).items():
                standing.setdefault(place, {}).setdefault(offset, []).append(model.name)
    return standing


async def check_shards(
    settings: Settings,
    args: Mapping[str, Any],
    pool: Pool,
    accounts: Accounts | None,
    clock: Callable[[], datetime],
) -> list[Verdict]:
    """I4 and I9, on one fold of the log."""
    places = await process_places(pool)
    folded = Folded(settings.partitions, Keyring(secret(settings, "key_encryption_key")))
    try:
        told = await (accounts() if accounts is not None else accounts_told(settings))
    except Exception as failed:
        memory = not_judged("I4", f"the shards' owners do not tell what they know: {failed!r}")
        await fold(args, await ends_of(args, [*(t.name for t in HISTORY), KEYS.name], settings.partitions), folded)
    else:
        await fold(args, ends_told(told), folded)
        memory = await judged("I4", verdict_on(told, folded))
    return [memory, await judged("I9", replayed(settings, args, pool, folded, places, clock))]


async def verdict_on(told: list[Account], folded: Folded) -> Verdict:
    return check_memory(told, folded)


async def accounts_told(settings: Settings) -> list[Account]:
    """By the owners, over their internal listeners. Raises NotJudged, Unavailable."""
    async with routed(settings) as router:
        if closed := router.closed():
            raise NotJudged("; ".join(closed.values()))
        return await router.accounts()


async def replayed(
    settings: Settings,
    args: Mapping[str, Any],
    pool: Pool,
    folded: Folded,
    places: ProcessPlaces,
    clock: Callable[[], datetime],
) -> Verdict:
    router = OsrmRouter(settings.osrm)
    secrets = Secrets(secret(settings, "server_secret"))
    try:
        async with rehearsing(folded, secrets, settings.cluster, clock) as rehearsal:
            return await check_replay(rehearsal, folded, places, pool, OneForAll(router), args, clock)
    finally:
        await router.close()


def told(verdicts: Iterable[Verdict], console: Console) -> None:
    """The table of the invariants, then what was found."""
    table = Table(box=None, pad_edge=False)
    for column in ("", "invariant", "looked at", ""):
        table.add_column(column, justify="right" if column == "looked at" else "left")
    for each in verdicts:
        table.add_row(each.invariant, each.meaning, f"{each.looked_at:,}", state_of(each))
    console.print(table)
    for each in verdicts:
        if each.reason is not None:
            console.print(f"{each.invariant} {each.state}: {each.reason}", markup=False, highlight=False)
        for finding in each.findings[:MOST_TOLD]:
            console.print(f"{finding.invariant} {finding.where}: {finding.what}", markup=False, highlight=False)
        if each.broken > MOST_TOLD:
            console.print(f"{each.invariant}: and {each.broken - MOST_TOLD:,} more", highlight=False)


def state_of(verdict: Verdict) -> str:
    return "BROKEN" if verdict.state == "broken" else verdict.state
