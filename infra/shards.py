"""`logistics shards`: who owns which shard; a shard moved to another owner."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from commands.assignment import Claim
from commands.membership import group_of
from commands.order import Unavailable
from commands.router import Router
from infra.endpoints import NotRunning, reached
from infra.kafka import administering, client_args
from infra.observability import quiet
from infra.routing import routed
from infra.settings import Settings, WrongSetting, load_settings, with_secrets

NOT_ALL_OPEN = 1
MOVED_WITHIN_S = 30.0
LOOK_EVERY_S = 0.1


class ShardState(msgspec.Struct, frozen=True, kw_only=True):
    shard: int
    owner: str | None
    """Who has announced to own it; None where nobody ever has."""
    epoch: int | None
    address: str | None
    since: datetime | None
    open: bool
    """Whether that owner says that it serves it under this epoch."""
    assigned_to: str | None
    """By the group; for a moment somebody else than the owner."""
    pinned_to: str | None


class Told(msgspec.Struct, frozen=True):
    owners: list[str]
    """All members of the group."""
    shards: list[ShardState]


def list_shards(data: Path | None, as_json: bool) -> int:
    """The exit code: whether all are open. Raises WrongSetting, NotRunning."""
    quiet()
    told = asyncio.run(listed(with_secrets(reached(load_settings(data=data)))))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(told)).decode())
    else:
        shown(told, Console())
    return 0 if all(state.open for state in told.shards) else NOT_ALL_OPEN


def move_shard(shard: int, owner: str, data: Path | None, as_json: bool) -> int:
    """The exit code. Raises WrongSetting, NotRunning."""
    quiet()
    state, took_s = asyncio.run(moved(with_secrets(reached(load_settings(data=data))), shard, owner))
    if as_json:
        print(msgspec.json.encode(state).decode())
    elif state.owner == owner and state.open:
        print(f"shard {shard} is owned by {owner} under epoch {state.epoch}, after {took_s:.1f} s")
    else:
        print(f"shard {shard} is pinned to {owner}, and {state.owner} still owns it after {took_s:.0f} s")
    return 0 if state.owner == owner and state.open else NOT_ALL_OPEN


async def listed(settings: Settings) -> Told:
    try:
        assigned = await members(settings)
        async with routed(settings) as router:
            closed = await router.not_served()
            return Told(sorted(assigned), [state_of(router, shard, assigned, closed) for shard in every(settings)])
    except (KafkaError, OSError) as failed:
        raise NotRunning(f"Kafka at {settings.kafka} does not answer: {failed}") from failed


async def moved(settings: Settings, shard: int, owner: str) -> tuple[ShardState, float]:
    """Returns when it is owned there, or after a while. Raises WrongSetting, NotRunning."""
    known(settings, shard)
    owners = await members(settings)
    if owner not in owners:
        there = ", ".join(sorted(owners)) or "none"
        raise WrongSetting(f"--to {owner}: there is no such owner; those that are there: {there}")
    began = monotonic()
    async with routed(settings) as router:
        await pinned(router, shard, owner)
        while True:
            state = state_of(router, shard, await members(settings), await router.not_served())
            took_s = monotonic() - began
            if (state.owner == owner and state.open) or took_s > MOVED_WITHIN_S:
                return state, took_s
            await asyncio.sleep(LOOK_EVERY_S)


def unpin_shard(shard: int, data: Path | None) -> None:
    """Raises WrongSetting, NotRunning."""
    quiet()
    asyncio.run(unpinned(with_secrets(reached(load_settings(data=data))), shard))
    print(f"shard {shard} is pinned to nobody")


async def unpinned(settings: Settings, shard: int) -> None:
    known(settings, shard)
    async with routed(settings) as router:
        await pinned(router, shard, "")


def known(settings: Settings, shard: int) -> None:
    """Raises WrongSetting."""
    if shard not in every(settings):
        raise WrongSetting(f"there is no shard {shard}: they are 0 to {settings.partitions - 1}")


async def pinned(router: Router, shard: int, owner: str) -> None:
    try:
        await router.pin(shard, owner)
    except Unavailable as failed:
        raise NotRunning(f"shard {shard} cannot be moved now: {failed}") from failed


def every(settings: Settings) -> range:
    return range(settings.partitions)


async def members(settings: Settings) -> Mapping[str, set[int]]:
    """By owner, the shards that the group has assigned to it."""
    found: dict[str, set[int]] = {}
    async with administering(client_args(settings)) as admin:
        for response in await admin.describe_consumer_groups([group_of(settings.cluster)]):
            told: Any = response
            for group in told.groups:
                for _, _, _, metadata, assignment in (member[:5] for member in group[5]):
                    if not metadata:
                        continue  # it is joining
                    said = ConsumerProtocolMemberMetadata.decode(metadata).user_data
                    given = ConsumerProtocolMemberAssignment.decode(assignment).partitions() if assignment else []
                    claim = msgspec.msgpack.decode(said, type=Claim)
                    found.setdefault(claim.owner, set()).update(place.partition for place in given)
    return found


def state_of(router: Router, shard: int, assigned: Mapping[str, set[int]], closed: Mapping[int, str]) -> ShardState:
    announced, pin = router.announced.owner(shard), router.announced.pins().get(shard)
    return ShardState(
        shard=shard,
        owner=announced.owner if announced else None,
        epoch=announced.epoch if announced else None,
        address=announced.address if announced else None,
        since=announced.opened_at if announced else None,
        open=shard not in closed,
        assigned_to=next((owner for owner, shards in assigned.items() if shard in shards), None),
        pinned_to=(pin.owner or None) if pin else None,
    )


def shown(told: Told, console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("shard", "owner", "epoch", "address", "since", ""):
        table.add_column(column, justify="right" if column in ("shard", "epoch") else "left", no_wrap=True)
    for state in told.shards:
        since = f"{state.since:%Y-%m-%d %H:%M:%S}" if state.since else "-"
        epoch = "-" if state.epoch is None else str(state.epoch)
        table.add_row(
            str(state.shard), state.owner or "-", epoch, state.address or "-", since, "; ".join(remarks(state))
        )
    console.print(table, markup=False, highlight=False)
    idle = sorted(set(told.owners) - {state.owner for state in told.shards})
    if idle:
        console.print(f"owners without a shard: {', '.join(idle)}", markup=False, highlight=False)


def remarks(state: ShardState) -> list[str]:
    said = [] if state.open else ["does not serve"]
    if state.assigned_to != state.owner:
        said.append(f"goes to {state.assigned_to}" if state.assigned_to else "nobody is to have it")
    if state.pinned_to:
        said.append(f"pinned to {state.pinned_to}")
    return said
