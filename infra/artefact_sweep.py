"""`logistics artefacts sweep`: what is older than its tenant keeps artefacts. It only tells, unless it is to delete."""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from aiokafka.errors import KafkaError
from obstore.exceptions import BaseError
from rich.console import Console
from rich.table import Table

from commands.follow import Follower
from commands.learning import Learning
from commands.policy import Policy
from infra.artefacts import DECISIONS, KEPT, SENT, ObjectArtefacts, StoredObject, artefacts_of
from infra.endpoints import reached
from infra.kafka import client_args
from infra.secrets import secret
from infra.settings import Settings, load_settings, with_secrets
from schemas.keyring import Keyring
from schemas.topics import DIRECTORY

AT_ONCE = 1_000
"""Objects in one request: as many as S3 deletes at once."""
LOST = 1

DECISION_DAYS = 30
"""As long as fixes are kept."""

type KeptDays = Callable[[str], int | None]
"""How long a tenant keeps artefacts; None of a tenant that the directory does not have."""


class Swept(msgspec.Struct):
    """Of one tenant: its artefacts, and which of them are too old. Those of an unknown tenant (no `days`) stay."""

    tenant: str
    days: int | None
    artefacts: int = 0
    expired: int = 0
    expired_bytes: int = 0
    decisions: int = 0
    expired_decisions: int = 0


def sweep_artefacts(data: Path | None, delete: bool, as_json: bool) -> int:
    """The exit code. Raises WrongSetting, NotRunning."""
    settings = with_secrets(load_settings(data=data))
    if not settings.kafka:
        settings = reached(settings)
    try:
        done = asyncio.run(run(settings, delete=delete))
    except (KafkaError, OSError, BaseError) as lost:
        print(f"Kafka or the artefacts' store was lost; sweep again: {lost}", file=sys.stderr)
        return LOST
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(done)).decode())
    else:
        shown(done, delete, Console())
    return 0


async def run(settings: Settings, *, delete: bool) -> list[Swept]:
    kept_days = kept_days_of(await directory(settings))
    return await swept(artefacts_of(settings), kept_days, datetime.now(UTC), delete=delete)


def kept_days_of(policy: Policy) -> KeptDays:
    def kept_days(tenant: str) -> int | None:
        known = policy.tenant(tenant)
        return None if known is None else known.rules.artefact_days

    return kept_days


async def directory(settings: Settings) -> Policy:
    """As it stands on the log now."""
    policy = Policy()
    learning = Learning(Keyring(secret(settings, "key_encryption_key")), policy)
    follower = Follower(client_args(settings), [DIRECTORY.name], learning.take)
    try:
        await follower.start()
    finally:
        await follower.stop()
    return policy


async def swept(store: ObjectArtefacts, kept_days: KeptDays, now: datetime, *, delete: bool) -> list[Swept]:
    """By tenant. What is too old is deleted as it is found, so that however much there is, little is remembered."""
    tenants: dict[str, Swept] = {}
    old: list[str] = []
    async for found in store.objects():
        told = tenants.setdefault(found.tenant, Swept(found.tenant, kept_days(found.tenant)))
        expired = is_expired(found, told.days, now)
        count(told, found, expired)
        if expired and delete:
            old.append(found.path)
        if len(old) == AT_ONCE:
            await store.delete(old)
            old = []
    if old:
        await store.delete(old)
    return [tenants[name] for name in sorted(tenants)]


def count(told: Swept, found: StoredObject, expired: bool) -> None:
    if found.kind == DECISIONS:
        told.decisions += 1
        told.expired_decisions += expired
    elif found.kind == KEPT:
        told.artefacts += 1
        told.expired += expired
    if found.kind != SENT:
        told.expired_bytes += found.size_bytes if expired else 0


def is_expired(found: StoredObject, days: int | None, now: datetime) -> bool:
    """What decisions rested on goes with the fixes that they saw, or sooner."""
    if days is not None and found.kind == DECISIONS:
        days = min(days, DECISION_DAYS)
    return days is not None and now - found.last_modified > timedelta(days=days)


def shown(done: list[Swept], delete: bool, console: Console) -> None:
    gone = "deleted" if delete else "would be deleted"
    table = Table("tenant", "kept for days", "artefacts", gone, "decisions", gone, "bytes", box=None, pad_edge=False)
    for each in done:
        days = "unknown tenant" if each.days is None else str(each.days)
        counts = each.artefacts, each.expired, each.decisions, each.expired_decisions, each.expired_bytes
        table.add_row(each.tenant, days, *(f"{number:,}" for number in counts))
    console.print(table)
    if not delete and any(each.expired or each.expired_decisions for each in done):
        console.print("Nothing was deleted: add --delete for that.")
