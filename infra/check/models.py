"""I5: the read models folded anew from the log, beside the rows that stand in Postgres, both ways."""

from collections.abc import Mapping
from typing import Any

from psycopg import AsyncConnection

from infra.check.finding import Finding, Verdict, verdict
from infra.check.reading import whole_log
from projections.folding import Parked, folded
from projections.model import Fact, Key, ReadModel, key_of, quoted, row_of
from projections.models import MODELS
from projections.tables import positions
from schemas.record import envelope_of, event_of, source_of


class LiveModel:
    """A model's rows and its place, as of one snapshot."""

    def __init__(self, model: ReadModel, at: Mapping[tuple[str, int], int], rows: Mapping[Key, Any]) -> None:
        self.model = model
        self.at = at
        self.rows = rows


async def live_models(connection: AsyncConnection[Any]) -> list[LiveModel]:
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return [await live_model(connection, model) for model in MODELS.values()]


async def live_model(connection: AsyncConnection[Any], model: ReadModel) -> LiveModel:
    at = await positions(connection, model)
    cursor = await connection.execute(f"SELECT {quoted(model.columns())} FROM {model.physical}".encode())
    rows = [row_of(model, columns) for columns in await cursor.fetchall()]
    return LiveModel(model, at, {key_of(model, row): row for row in rows})


async def check_models(connection: AsyncConnection[Any], client_args: Mapping[str, Any]) -> Verdict:
    """Each model is folded up to just where its live rows stand."""
    live = await live_models(connection)
    ends: dict[tuple[str, int], int] = {}
    for each in live:
        for place, at in each.at.items():
            ends[place] = max(at, ends.get(place, 0))
    rebuilt: dict[str, dict[Key, Any]] = {each.model.name: {} for each in live}
    async for stored in whole_log(client_args, ends):
        if stored.is_control:
            continue
        envelope = envelope_of(stored)
        fact = Fact(event_of(stored, None), source_of(envelope, stored), envelope, stored)
        for each in live:
            if stored.offset < each.at.get((stored.topic, stored.partition), 0):
                fold_one(each.model, fact, rebuilt[each.model.name])
    findings = [f for each in live for f in differences(each, rebuilt[each.model.name])]
    return verdict("I5", sum(len(each.rows) for each in live), findings)


def fold_one(model: ReadModel, fact: Fact, rows: dict[Key, Any]) -> None:
    if type(fact.event) not in model.events:
        return
    known = {key: rows[key] for key in model.keys(fact) if key in rows}
    kept, gone = folded(model, [fact], known, Parked())
    rows |= kept
    for key in gone:
        del rows[key]


def differences(live: LiveModel, rebuilt: Mapping[Key, Any]) -> list[Finding]:
    name = live.model.name
    missing = [Finding("I5", f"{name} {key}", "is not in the live table") for key in rebuilt.keys() - live.rows.keys()]
    added = [Finding("I5", f"{name} {key}", "is only in the live table") for key in live.rows.keys() - rebuilt.keys()]
    other = [
        Finding("I5", f"{name} {key}", f"{field}: live {was!r}, rebuilt {is_!r}")
        for key in live.rows.keys() & rebuilt.keys()
        for field, was, is_ in different_fields(live.rows[key], rebuilt[key])
    ]
    return [*missing, *added, *other]


def different_fields(live: Any, rebuilt: Any) -> list[tuple[str, Any, Any]]:
    pairs = ((name, getattr(live, name), getattr(rebuilt, name)) for name in live.__struct_fields__)
    return [(name, was, is_) for name, was, is_ in pairs if was != is_]
