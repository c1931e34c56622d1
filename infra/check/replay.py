"""I9: every process follows the whole log again, with no place kept: not one new event may come of it.

Its commands are judged by the real shards' code on the memory that the log folds to, but nothing is written: a check
must not change what it looks at.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from commands.connection import KafkaConnection
from commands.context import Secrets
from commands.log import Entry, ShardLog
from commands.order import Answer, Order
from commands.shard import Shard
from infra.check.finding import Judgement, NotJudged, Verdict, nothing_to_judge
from infra.check.memory import Folded
from infra.check.reading import Place, whole_log
from infra.followed_beside import ASKS, DECIDES, GROUPS
from infra.followed_facts import AT_ONCE, STORED
from infra.lookups import Lookups
from infra.sending import Sending
from schemas.geo import Location
from schemas.message import Source, SubjectId, TenantSlug
from schemas.partition import partition_of
from schemas.record import Stored
from schemas.topics import OWNED
from streams.carrier_telling import CarrierMessage
from streams.dispatch.decision import Decision
from streams.dispatch.ways import Router
from streams.dispatch.windows import WindowTenders
from streams.processes import processes_at_once, processes_that_ask, processes_that_decide
from streams.routes import NoRoute, Routed
from streams.routing.chain import Placed
from streams.runner import Runner

WAIT_S = 30.0
"""For the read models to have folded a fact that the processes are through with."""
LANES = 8
"""Partitions followed side by side, each in its order, as the running processes do."""

type Pool = AsyncConnectionPool[AsyncConnection[Any]]


class NowhereLog(ShardLog):
    """Acknowledges what it is given and keeps it nowhere."""

    def __init__(self, partition: int) -> None:
        super().__init__(KafkaConnection({}, "", partition, []))
        self.next_offset = {topic.name: 0 for topic in OWNED}

    async def append(self, groups: Mapping[str, Sequence[Entry]]) -> Mapping[str, int | None]:
        stand = {topic: self.next_offset[topic] for topic in groups}
        self.next_offset |= {topic: stand[topic] + len(entries) for topic, entries in groups.items()}
        return stand


class Rehearsal:
    """A desk where everything is judged and nothing happens. Tells what would have been written."""

    def __init__(self, shards: Mapping[int, Shard]) -> None:
        self._shards = shards
        self.judgement = Judgement("I9")

    async def submit(self, order: Order) -> Answer:
        self.judgement.looked_at += 1
        answer = await self._shards[partition_of(order.aggregate_id, len(self._shards))].submit(order)
        if answer.events and not answer.repeated:
            what = f"{type(order.command).__name__}, caused by event {order.causation_id}"
            self.judgement.found(f"{order.kind} {order.aggregate_id}", f"{what}, adds {', '.join(answer.events)}")
        return answer


@asynccontextmanager
async def rehearsing(
    folded: Folded, secrets: Secrets, cluster: str, clock: Callable[[], datetime]
) -> AsyncIterator[Rehearsal]:
    shards = {
        p: Shard(
            log=NowhereLog(p),
            memory=opening.memory,
            chain=opening.chain,
            keyring=folded.keyring,
            policy=folded.policy,
            secrets=secrets,
            clock=clock,
            cluster=cluster,
        )
        for p, opening in folded.openings.items()
    }
    serving = [asyncio.create_task(shard.run()) for shard in shards.values()]
    try:
        yield Rehearsal(shards)
    finally:
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


class ProcessPlaces(msgspec.Struct, frozen=True):
    """Where the running processes are through: what comes after is theirs to do."""

    at_once: Mapping[Place, int]
    beside: Mapping[str, Mapping[Place, int]]
    """Of each group that waits for somebody outside."""

    def ends(self) -> dict[Place, int]:
        """Up to where anybody is through."""
        return {
            place: max(after, *(through.get(place, 0) for through in self.beside.values()))
            for place, after in self.at_once.items()
        }


async def process_places(pool: Pool) -> ProcessPlaces:
    """Ask before the log is folded. Until a release the same ones have done both."""
    async with pool.connection() as connection:
        at_once = await places_in(connection, AT_ONCE) or {}
        found = {group.name: await places_in(connection, group.kept_in) for group in GROUPS}
    return ProcessPlaces(at_once, {name: at_once if through is None else through for name, through in found.items()})


async def places_in(connection: AsyncConnection[Any], table: str) -> dict[Place, int] | None:
    """None where there is no such table."""
    row = await (await connection.execute("SELECT to_regclass(%s)", (table,))).fetchone()
    if row is None or row[0] is None:
        return None
    cursor = await connection.execute(STORED.format(table=table).encode())
    return {(topic, partition): at for topic, partition, at in await cursor.fetchall()}


async def check_replay(
    rehearsal: Rehearsal,
    folded: Folded,
    places: ProcessPlaces,
    pool: Pool,
    router: Router,
    client_args: Mapping[str, Any],
    clock: Callable[[], datetime],
    wait_s: float = WAIT_S,
) -> Verdict:
    """Raises NotJudged. Changes the memory that was folded where something is broken."""
    if folded.corrupt:
        raise NotJudged("the log of a shard does not fold (see I4)")
    if not any(places.at_once.values()):
        return nothing_to_judge("I9", "no process has followed this log yet")
    lookups = Lookups(pool, folded.policy, folded.keyring, len(folded.openings), clock)
    send = Sending(rehearsal, "dispatch", lambda position: None)
    decide = Decision(lookups, lookups, router, lookups.now)
    keyring = folded.keyring
    nobody = NobodyIsAsked()
    at_once = processes_at_once(lookups, WindowTenders(lookups.now), send, forgotten_already, told_already)
    followed_by = (
        (at_once, places.at_once),
        (processes_that_decide(lookups, decide, send), places.beside[DECIDES.name]),
        (processes_that_ask(send, nobody, nobody), places.beside[ASKS.name]),
    )
    runners = [
        (Runner(processes, lambda e, p: keyring.unsealer(p, e.tenant, e.aggregate_id), passed_over), through)
        for processes, through in followed_by
    ]
    lanes = asyncio.Semaphore(LANES)

    async def lane(place: Place, end: int) -> None:
        async with lanes:
            async for stored in whole_log(client_args, {place: end}):
                for runner, through in runners:
                    if stored.offset < through.get(place, 0):
                        await followed(runner, stored, wait_s)

    try:
        async with asyncio.TaskGroup() as following:
            for place, end in places.ends().items():
                following.create_task(lane(place, end))
    except* NotJudged as hindered:
        raise hindered.exceptions[0] from hindered
    return rehearsal.judgement.verdict()


async def followed(runner: Runner, stored: Stored, wait_s: float) -> None:
    """Raises NotJudged."""
    try:
        async with asyncio.timeout(wait_s):
            await runner.take({(stored.topic, stored.partition): [stored]})
    except TimeoutError as waited:
        where = f"{stored.topic}/{stored.partition}@{stored.offset}"
        raise NotJudged(f"the read models do not know {where} after {wait_s:.0f} s") from waited


async def told_already(message: CarrierMessage) -> None:
    """Nobody is told anything by a check."""


async def forgotten_already(subject: SubjectId) -> None:
    """Keys are thrown away once: here is nothing to be judged."""


class NobodyIsAsked:
    """Where an address is, and a way, was told once: of what the log has no answer for, one more stands out."""

    async def geocode(self, tenant: TenantSlug, text: str) -> Placed:
        return Placed([], None)

    async def route(self, tenant: TenantSlug, places: Sequence[Location]) -> Routed:
        raise NoRoute("nobody_answers")

    async def remembered(self, place_key: str, source: Source) -> Location | None:
        return None


async def passed_over(stored: Stored, reason: str) -> None:
    """What cannot be read led to nothing; that it stands there the chain has told."""
