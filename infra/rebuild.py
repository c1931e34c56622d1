"""`logistics rebuild`: read models made anew from the log, beside those that stand, compared and put in their place."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
from aiokafka.errors import KafkaError
from psycopg import AsyncConnection, OperationalError
from rich.console import Console
from rich.table import Table

from infra.endpoints import with_log
from infra.kafka import client_args
from infra.settings import Settings, WrongSetting, load_settings
from projections.live_map import LIVE_MAP
from projections.model import ReadModel
from projections.models import MODELS
from projections.quarantine import QUARANTINE
from projections.rebuild import RebuildRefused, Rebuilt, rebuild
from projections.tables import migrate

STREAMS_OWN = frozenset({LIVE_MAP.name, QUARANTINE.name})
REFUSED = 1


def rebuild_models(name: str | None, every: bool, data: Path | None, as_json: bool) -> int:
    """The exit code. Raises WrongSetting, NotRunning."""
    models = wanted(name, every)
    return asyncio.run(run(with_log(load_settings(data=data)), models, as_json))


def wanted(name: str | None, every: bool) -> list[ReadModel]:
    """Raises WrongSetting."""
    if every == (name is not None):
        raise WrongSetting(f"name one model, or --all; the models are {', '.join(MODELS)}")
    if name is None:
        return list(MODELS.values())
    model = MODELS.get(name.replace("-", "_"))
    if model is not None:
        return [model]
    if name.replace("-", "_") in STREAMS_OWN:
        raise WrongSetting(
            f"{name} is kept by the telemetry stream itself, with its own place; it is not folded from the log and "
            f"cannot be rebuilt here. The models are {', '.join(MODELS)}"
        )
    raise WrongSetting(f"there is no read model {name}; the models are {', '.join(MODELS)}")


async def run(settings: Settings, models: Sequence[ReadModel], as_json: bool) -> int:
    console = Console()
    done: list[Rebuilt] = []
    try:
        async for rebuilt in each_rebuilt(settings, models):
            done.append(rebuilt)
            if not as_json:
                shown(rebuilt, console, first=len(done) == 1)
    except RebuildRefused as refused:
        print(refused, file=sys.stderr)
        return REFUSED
    except (OperationalError, KafkaError, OSError) as lost:
        print(f"Kafka or Postgres was lost; what was not done stands as before: {lost}", file=sys.stderr)
        return REFUSED
    finally:
        if as_json:
            print(msgspec.json.format(msgspec.json.encode(done)).decode())
    return 0


async def each_rebuilt(settings: Settings, models: Sequence[ReadModel]) -> AsyncIterator[Rebuilt]:
    """Raises RebuildRefused; those before it are done."""
    dsn, args = settings.postgres.get_secret_value(), client_args(settings)
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        await migrate(connection, MODELS.values())
    for model in models:
        yield await rebuild(dsn, args, model)


def shown(rebuilt: Rebuilt, console: Console, *, first: bool) -> None:
    table = Table(box=None, pad_edge=False, show_header=first)
    table.add_column("model", min_width=20)
    for column in ("rows", "events", "differed", "parked"):
        table.add_column(column, justify="right", min_width=9)
    numbers = (rebuilt.rows, rebuilt.events, rebuilt.differing, rebuilt.parked)
    table.add_row(rebuilt.model, *(f"{number:,}" for number in numbers))
    console.print(table)
    for example in rebuilt.examples:
        console.print(f"  {example}", markup=False, highlight=False, soft_wrap=True)
    if rebuilt.differing > len(rebuilt.examples):
        console.print(f"  and {rebuilt.differing - len(rebuilt.examples):,} more")
