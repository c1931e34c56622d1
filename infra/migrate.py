"""`logistics migrate`: every table that the roles need, made where it is missing. Each role makes its own, too."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from psycopg import AsyncConnection, OperationalError

from infra.artefact_retention import TABLE as RETENTION
from infra.endpoints import NotRunning, reached
from infra.followed_beside import GROUPS
from infra.followed_facts import AT_ONCE, places_in
from infra.routing_budgets import TABLE as BUDGETS
from infra.settings import Settings, load_settings
from projections import tables
from projections.models import MODELS
from streams.telemetry.store import TABLES as STREAM_TABLES

RELATIONS = """
SELECT relname
FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v')
ORDER BY relkind, relname
"""
ROLES_OWN = (places_in(AT_ONCE), *(places_in(group.kept_in) for group in GROUPS), RETENTION, STREAM_TABLES, BUDGETS)
"""What a role keeps for itself."""


class Migrated(msgspec.Struct, frozen=True):
    """Names of tables and views."""

    made: list[str]
    there: int


def migrate(data: Path | None, as_json: bool) -> None:
    """Raises WrongSetting, NotRunning."""
    settings = load_settings(data=data)
    done = asyncio.run(migrated(settings if settings.postgres.get_secret_value() else reached(settings)))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(done)).decode())
    else:
        print(f"made: {', '.join(done.made)}" if done.made else f"nothing to make: {done.there} tables and views stand")


async def migrated(settings: Settings) -> Migrated:
    """Raises NotRunning where the database does not answer."""
    try:
        connection = await AsyncConnection[Any].connect(settings.postgres.get_secret_value(), autocommit=True)
    except OperationalError as failed:
        raise NotRunning(f"LOGISTICS_POSTGRES does not answer: {failed}") from failed
    async with connection:
        before = await relations(connection)
        await tables.migrate(connection, MODELS.values())
        for statement in ROLES_OWN:
            await connection.execute(statement.encode())
        after = await relations(connection)
    return Migrated([name for name in after if name not in before], len(after))


async def relations(connection: AsyncConnection[Any]) -> list[str]:
    cursor = await connection.execute(RELATIONS)
    return [name for (name,) in await cursor.fetchall()]
