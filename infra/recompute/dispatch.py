"""`logistics recompute dispatch`: whom would dispatch have asked by other rules?

From what each decision knew then, as it was recorded; what windows gave is left out: it hangs on all else that they
gave. Nothing is changed.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import psycopg
from msgspec.structs import asdict
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table as Shown

from gateway.problems import Problem
from infra.artefacts import ObjectArtefacts, artefacts_of
from infra.endpoints import NotRunning, reached
from infra.observability import quiet
from infra.recompute.asked import Asked, asked_of
from infra.recompute.given import json_of
from infra.recompute.table import written
from infra.settings import load_settings
from schemas.dispatch_rules import DispatchRules
from schemas.tender import Candidate
from streams.dispatch.again import CannotBeMadeAgain, by_other_rules
from streams.dispatch.other_rules import with_given
from streams.dispatch.question import Record, record_of

MOST_BYTES = 1 << 20
AT_ONCE = 500
DECISIONS = """
SELECT tender_id, task_id, round, decided_at, candidates, input_hash
FROM dispatch_decisions
WHERE tenant = %(tenant)s AND decided_at >= %(since)s AND decided_at < %(until)s AND in_window IS NULL
  AND (%(at)s::timestamptz IS NULL OR (decided_at, tender_id) > (%(at)s, %(id)s))
ORDER BY decided_at, tender_id
LIMIT %(limit)s
"""
COLUMNS = ("task_id", "round", "decided_at", "outcome", "first", "first_score", "other", "other_score")

Outcome = Literal["same", "another", "nobody_any_more", "somebody_now", "nobody", "record_gone"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
WORDS: dict[Outcome, str] = {
    "same": "the same rider first",
    "another": "another rider first",
    "nobody_any_more": "nobody any more",
    "somebody_now": "somebody, where there was nobody",
    "nobody": "nobody, as before",
    "record_gone": "not told: the record is gone or broken",
}

type Row = dict[str, Any]


class OfFirst(msgspec.Struct, frozen=True, kw_only=True):
    """Means over the riders who came first, in seconds."""

    count: int
    travel_s: float
    detour_s: float
    lateness_s: float


class Redecided(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    since: datetime
    until: datetime
    decisions: int
    outcomes: dict[Outcome, int]
    recorded: OfFirst
    recomputed: OfFirst
    """By the other rules; both of decisions that could be made again."""
    out: str | None


def recompute_dispatch(
    tenant: str, since: str, until: str, file: Path, out: Path | None, data: Path | None, as_json: bool
) -> None:
    """Raises WrongSetting, NotRunning."""
    quiet()
    given = rules_in(file)
    settings = load_settings(data=data)
    asked = asked_of(tenant, since, until, None, out, settings.partitions)
    settings = reached(settings)
    try:
        told = asyncio.run(redecided(settings.postgres.get_secret_value(), artefacts_of(settings), asked, given))
    except psycopg.OperationalError as failed:
        raise NotRunning(f"Postgres does not answer: {failed}") from failed
    except Problem as failed:
        raise NotRunning(str(failed)) from failed
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(told)).decode())
    else:
        shown(told, Console())


def rules_in(file: Path) -> Row:
    """As in `dispatch` of a tenant's rules; what is left out stays as it was, also within `filters` and `weights`.
    Raises WrongSetting, which names each field that does not fit."""
    return json_of("--rules", file, MOST_BYTES, DispatchRules)[0]


async def redecided(dsn: str, store: ObjectArtefacts, asked: Asked, given: Row) -> Redecided:
    """Raises Problem where the store does not answer."""
    counts = dict.fromkeys(OUTCOMES, 0)
    firsts: tuple[list[Candidate], list[Candidate]] = [], []
    with written(asked.out, COLUMNS) as write:
        async for decision in decisions(dsn, asked):
            before = msgspec.convert(decision["candidates"], list[Candidate])[:1]
            after = await others(store, asked.tenant, decision["input_hash"], given)
            outcome = outcome_of(before, after)
            counts[outcome] += 1
            if after is not None:
                firsts[0].extend(before)
                firsts[1].extend(after)
            write(row_of(decision, outcome, before, after or []))
    return Redecided(
        tenant=asked.tenant,
        since=asked.since,
        until=asked.until,
        decisions=sum(counts.values()),
        outcomes=counts,
        recorded=of_first(firsts[0]),
        recomputed=of_first(firsts[1]),
        out=None if asked.out is None else str(asked.out),
    )


async def decisions(dsn: str, asked: Asked) -> AsyncIterator[Row]:
    place: Row = {"at": None, "id": None}
    async with await AsyncConnection.connect(dsn) as connection, connection.cursor(row_factory=dict_row) as cursor:
        while True:
            span = {"tenant": asked.tenant, "since": asked.since, "until": asked.until, "limit": AT_ONCE}
            await cursor.execute(DECISIONS, span | place)
            rows = await cursor.fetchall()
            for row in rows:
                yield row
            if len(rows) < AT_ONCE:
                return
            place = {"at": rows[-1]["decided_at"], "id": rows[-1]["tender_id"]}


async def others(store: ObjectArtefacts, tenant: str, digest: str, given: Row) -> list[Candidate] | None:
    """Who comes first by the other rules; None where what was known is not kept, or cannot be read."""
    try:
        content = await store.decision(tenant, digest)
        record: Record | None = None if content is None else record_of(content)
    except (ValueError, CannotBeMadeAgain):
        return None
    if record is None:
        return None
    return by_other_rules(record, with_given(record.question.rules.dispatch, given)).candidates[:1]


def outcome_of(before: Sequence[Candidate], after: Sequence[Candidate] | None) -> Outcome:
    if after is None:
        return "record_gone"
    if not before:
        return "somebody_now" if after else "nobody"
    if not after:
        return "nobody_any_more"
    return "same" if before[0].rider_id == after[0].rider_id else "another"


def row_of(decision: Row, outcome: Outcome, before: Sequence[Candidate], after: Sequence[Candidate]) -> Row:
    return {
        "task_id": decision["task_id"],
        "round": decision["round"],
        "decided_at": decision["decided_at"].isoformat(timespec="milliseconds"),
        "outcome": outcome,
        "first": before[0].rider_id if before else None,
        "first_score": before[0].score if before else None,
        "other": after[0].rider_id if after else None,
        "other_score": after[0].score if after else None,
    }


def of_first(firsts: Sequence[Candidate]) -> OfFirst:
    parts = [each.parts for each in firsts if each.parts is not None]
    count = max(1, len(parts))
    return OfFirst(
        count=len(parts),
        travel_s=round(sum(each.travel_s for each in parts) / count, 1),
        detour_s=round(sum(each.detour_s for each in parts) / count, 1),
        lateness_s=round(sum(each.lateness_s for each in parts) / count, 1),
    )


def shown(told: Redecided, console: Console) -> None:
    table = Shown(box=None, pad_edge=False)
    table.add_column(f"{told.decisions:,} decisions of {told.tenant}", min_width=40)
    table.add_column("", justify="right")
    for outcome, count in told.outcomes.items():
        table.add_row(WORDS[outcome], f"{count:,}")
    console.print(table)
    firsts = Shown("who came first", "riders", "travel s", "detour s", "lateness s", box=None, pad_edge=False)
    for name, each in (("as it was", told.recorded), ("by the other rules", told.recomputed)):
        firsts.add_row(name, *(f"{value:,}" for value in asdict(each).values()))
    console.print(firsts)
    if told.out is not None:
        console.print(f"each of them: {told.out}", markup=False, highlight=False, soft_wrap=True)
