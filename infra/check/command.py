"""`logistics check`: the invariants, judged on what runs on this data."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import psycopg
from aiokafka.errors import KafkaError
from rich.console import Console

from infra.check.finding import Verdict, holding
from infra.check.log import LogCheck
from infra.check.run import checked, told
from infra.endpoints import NotRunning, reached
from infra.observability import quiet
from infra.settings import Settings, load_settings, with_secrets

JOURNALS = "journals"
"""Under the data: where clients on this machine write down what they were told."""
BROKEN = 1


class Report(msgspec.Struct, frozen=True):
    holds: bool
    invariants: Sequence[Verdict]
    events: Mapping[str, int]
    """By topic."""


def check(data: Path | None, as_json: bool, journals: Path | None) -> int:
    """The exit code. Raises WrongSetting, NotRunning."""
    quiet()
    settings = load_settings(data=data)
    files = sorted((journals or settings.data / JOURNALS).glob("*.jsonl"))
    verdicts, log = asyncio.run(looked_at(with_secrets(reached(settings)), files))
    empty = not any(log.by_topic.values())
    if empty:
        print(f"nothing to judge: no event stands on the log of {settings.kafka or settings.data}", file=sys.stderr)
    holds = holding(verdicts) and not empty
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(Report(holds, verdicts, log.by_topic))).decode())
    else:
        told(verdicts, Console())
    return 0 if holds else BROKEN


async def looked_at(settings: Settings, files: Sequence[Path]) -> tuple[list[Verdict], LogCheck]:
    """Raises NotRunning where an address does not answer."""
    try:
        return await checked(settings, files)
    except (KafkaError, psycopg.OperationalError) as failed:
        raise NotRunning(f"what runs on {settings.data} does not answer: {failed}") from failed
