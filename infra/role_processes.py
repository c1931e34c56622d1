"""Processes and deadlines: facts become the next commands, what is due is fired."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from commands.order import Keepers, Unavailable
from commands.owners import Following
from commands.policy import Policy
from commands.router import Router
from infra.addresses import addresses_of
from infra.again_and_again import again_and_again
from infra.artefact_retention import retain
from infra.artefacts import artefacts_of
from infra.carrier_outbox import CarrierOutbox
from infra.clock import real_time
from infra.dead_letters import DeadLetters
from infra.decision_records import DecisionRecords
from infra.followed_beside import ASKS, DECIDES, FollowedBeside
from infra.followed_facts import AT_ONCE, FollowedFacts, Pool, until_postgres
from infra.frame_log import KafkaFrameLog
from infra.kafka import client_args
from infra.lookups import Lookups
from infra.places import KnownPlaces
from infra.planning.gathering import Gathering
from infra.planning.planner import Planner
from infra.provider_secrets import ProviderSecrets
from infra.routing_budgets import CountedInPostgres
from infra.secrets import internal_key, secret, server_secrets
from infra.sending import Sending
from infra.settings import Settings
from infra.silence import SilenceWatch
from infra.simulated_ways import SimulatedWays
from infra.window_desk import WindowDesk
from projections.deadlines import due
from projections.models import MODELS
from projections.sla_board import predicted
from projections.tables import migrate
from schemas.keyring import Keyring
from schemas.message import SubjectId
from schemas.record import Stored
from schemas.topics import DIRECTORY, DISPATCH, FLEET, INCIDENT, TASK
from streams.deadlines import source_of, step_of
from streams.dispatch.decision import Decision
from streams.dispatch.windows import Remembered, WindowDecision, WindowTenders
from streams.process import CannotBeJudged, NotNow, Process
from streams.processes import processes_at_once, processes_that_ask, processes_that_decide
from streams.routing.osrm import OsrmRouter
from streams.routing.tenants import Chains, TenantAddresses, TenantRoutes, TenantRouting
from streams.runner import AllKeys, Runner, known_already

FOLLOWED = (TASK.name, FLEET.name, DISPATCH.name, INCIDENT.name, DIRECTORY.name)
DEADLINES_AT_ONCE = 100
DEADLINES_EVERY_S = 0.5
WAYS_EVERY_S = 1.0
PLANS_EVERY_S = 0.5
WINDOW_WAYS_WITHIN_S = 30.0
"""For all ways of a window or a plan: of 300 tasks and 200 riders they are a million."""
WINDOW_KEPT_WITHIN_S = 10.0
CARRIERS_EVERY_S = 0.5
ASIDE_S = 60.0
MOST_ASIDE = 1_000
KEYS_AGAIN_S = 0.5
FOLDED_WITHIN_S = 0.05
"""What was fired is gone from the read model after this."""

logger = structlog.get_logger()


async def serve_processes(settings: Settings) -> None:
    """Until it is cancelled."""
    keyring, policy = Keyring(secret(settings, "key_encryption_key")), Policy()
    following = Following(client_args(settings), keyring, policy)
    desk = Router(following.announced, settings.partitions, internal_key(server_secrets(settings)))
    await following.start()
    async with AsyncConnectionPool[AsyncConnection[Any]](
        settings.postgres.get_secret_value(), min_size=2, max_size=8, open=False
    ) as pool:
        async with pool.connection() as connection:
            await migrate(connection, MODELS.values())
        all_keys = partial(up_to_now, following)
        processes = Processes(settings, desk, pool, real_time, keyring=keyring, policy=policy, all_keys=all_keys)
        await processes.start()
        try:
            await asyncio.gather(processes.run(), following.run(), retain(settings, pool, policy, real_time))
        finally:
            await processes.stop()
            await desk.stop()
            await following.stop()


async def up_to_now(following: Following) -> None:
    """However long nobody tells what stands on the log."""
    while True:
        try:
            return await following.up_to_now()
        except Unavailable as lagging:
            logger.warning("facts wait for their keys", error=lagging)
            await asyncio.sleep(KEYS_AGAIN_S)


class Processes:
    """`keyring` and `policy` are kept up to date by who gives them; `all_keys` waits for that. `clock` says what is
    due; a virtual one makes a simulated hour, in which its owner calls `fire_due`."""

    def __init__(
        self,
        settings: Settings,
        desk: Keepers,
        pool: Pool,
        clock: Callable[[], datetime],
        *,
        keyring: Keyring,
        policy: Policy,
        all_keys: AllKeys = known_already,
        fires: bool = True,
    ) -> None:
        args = client_args(settings)
        self._settings = settings
        self._pool = pool
        self._clock = clock
        self._fires = fires
        self._partitions = range(settings.partitions)
        self._policy, self._keyring, self._all_keys = policy, keyring, all_keys
        self._lookups = Lookups(pool, self._policy, self._keyring, settings.partitions, clock, all_keys)
        self._router = OsrmRouter(settings.osrm)
        self._records = DecisionRecords(artefacts_of(settings))
        self._budgets = CountedInPostgres(pool)
        secrets = ProviderSecrets(settings.provider_secrets)
        self._chains = Chains(settings.osrm, policy.routing, secrets, self._budgets, addresses_of(settings))
        self._routing = TenantRouting(self._chains, self._router)
        self._window_router = OsrmRouter(settings.osrm, WINDOW_WAYS_WITHIN_S)
        self._window_chains = Chains(
            settings.osrm, policy.routing, secrets, self._budgets, at_least_s=WINDOW_WAYS_WITHIN_S
        )
        self._remembered = Remembered()
        self._windows = WindowDesk(
            pool,
            WindowDecision(
                self._lookups,
                self._lookups,
                TenantRouting(self._window_chains, self._window_router),
                self._lookups.now,
                DecisionRecords(artefacts_of(settings), WINDOW_KEPT_WITHIN_S).keep,
                self._remembered,
            ),
            Sending(desk, "dispatch", self._lookups.saw),
            self._lookups.now,
        )
        self._outbox = CarrierOutbox(pool, policy, keyring, secrets, settings.partitions, clock)
        self._desk = desk
        self._send = Sending(desk, "dispatch", self._lookups.saw)
        self._fire = Sending(desk, "deadlines", self._lookups.saw)
        self._producer = AIOKafkaProducer(**args, enable_idempotence=True)
        self._followed = FollowedFacts(args, pool, AT_ONCE, FOLLOWED, settings.partitions)
        self._asked_router = OsrmRouter(settings.osrm)
        self._beside = [
            FollowedBeside(args, pool, settings.partitions, ASKS, self._asks()),
            FollowedBeside(args, pool, settings.partitions, DECIDES, self._decides(), self._as_of_its_fact),
        ]
        self._followers: list[FollowedFacts | FollowedBeside] = [self._followed, *self._beside]
        self._planner = Planner(
            pool,
            Gathering(pool, self._lookups),
            TenantRouting(self._window_chains, self._window_router),
            Sending(desk, "planner", self._lookups.saw),
            DecisionRecords(artefacts_of(settings), WINDOW_KEPT_WITHIN_S).keep,
        )
        self._frames = KafkaFrameLog(args, settings.cluster, clock, "processes")
        self._ways = SimulatedWays(self._frames, self._router, policy, keyring, settings.partitions, clock)
        self._silence = SilenceWatch(self._followed.ends, policy, settings.partitions)
        self._aside: dict[tuple[str, ...], float] = {}
        """Deadlines that could not be judged, until they are tried again."""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self._producer.start()
        await self._budgets.make()
        await self._outbox.make()
        for follower in self._followers:
            await follower.start()
        runs = (self._facts(), *(each.run() for each in self._beside))
        self._tasks = [asyncio.create_task(each) for each in runs]
        if self._fires:
            await self._frames.start()
            ways = partial(self._ways.go_on, self._pool)
            beside = (
                again_and_again("deadlines", self.fire_due, DEADLINES_EVERY_S, FOLDED_WITHIN_S),
                again_and_again("simulated couriers", ways, WAYS_EVERY_S),
                again_and_again("plans", self._planner.look, PLANS_EVERY_S, FOLDED_WITHIN_S),
                again_and_again("carriers", self._outbox.go_on, CARRIERS_EVERY_S, 0.0),
                self._windows.run(),
            )
            self._tasks += [asyncio.create_task(each) for each in beside]

    async def run(self) -> None:
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for follower in self._followers:
            await follower.stop()
        await self._producer.stop()
        if self._fires:
            await self._frames.stop()
        await self._planner.close()
        await self._outbox.close()
        for routing in (self._chains, self._window_chains, self._router, self._window_router, self._asked_router):
            await routing.close()

    async def caught_up(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether every fact before `ends` has been followed. What is due is another matter."""
        return all([await each.caught_up(ends) for each in self._followers])

    async def _facts(self) -> None:
        tenders = WindowTenders(self._lookups.now, self._records.record, self._remembered)
        runner = self._runner(processes_at_once(self._lookups, tenders, self._send, self._forget, self._outbox.tell))
        while True:
            fetched = await self._followed.fetch()
            if fetched:
                await until_postgres(partial(runner.take, fetched))
                await self._followed.advance({place: batch[-1].offset + 1 for place, batch in fetched.items()})

    def _asks(self) -> Runner:
        """No decision waits until what these have sent is folded."""
        send = Sending(self._desk, "dispatch", lambda position: None)
        places = KnownPlaces(self._lookups, TenantAddresses(self._chains))
        return self._runner(processes_that_ask(send, places, TenantRoutes(self._chains, self._asked_router)))

    def _decides(self) -> Runner:
        decide = Decision(self._lookups, self._lookups, self._routing, self._lookups.now, self._records.keep)
        return self._runner(processes_that_decide(self._lookups, decide, self._send))

    async def _as_of_its_fact(self, stored: Stored) -> None:
        """A decision knows what has come of all that stands before its fact: who was freed a moment ago is free."""
        await self._followed.passed(stored)
        self._lookups.as_of_now()

    def _runner(self, processes: Sequence[Process]) -> Runner:
        return Runner(
            processes,
            lambda envelope, p: self._keyring.unsealer(p, envelope.tenant, envelope.aggregate_id),
            DeadLetters(self._producer, "processes"),
            self._all_keys,
        )

    async def _forget(self, subject: SubjectId) -> None:
        try:
            await self._desk.forget(subject)
        except Unavailable as unavailable:
            raise NotNow(str(unavailable)) from unavailable

    async def fire_due(self, most: int = DEADLINES_AT_ONCE) -> int:
        """Fire what is due, the earliest first; how many. Firing twice changes nothing. A shard that is not open keeps
        only its own waiting."""
        now = self._clock()
        async with self._pool.connection() as connection:
            at_most = most + len(self._aside)
            rows = await due(connection, self._partitions, now, at_most, self._policy.clocks_ahead())
            rows += await predicted(connection, self._partitions, most)
            rows += await self._silence.look(connection, now, most)
        fired, waiting = 0, set[int]()
        for row in rows:
            if row["partition"] in waiting or self._is_aside(row):
                continue
            source = source_of(row, self._policy.now(row["tenant"], now))
            try:
                await self._fire(step_of(row), source, row["tenant"])
                fired += 1
            except CannotBeJudged as broken:
                self._put_aside(row, broken)
            except NotNow as later:
                logger.info("deadlines wait", partition=row["partition"], why=str(later))
                waiting.add(row["partition"])
            except Exception as broken:  # by a shard of this process
                self._put_aside(row, broken)
        return fired

    def _put_aside(self, row: Mapping[str, Any], broken: Exception) -> None:
        """One that nobody can judge keeps no other waiting. It is tried again, in case it can be by then."""
        logger.error("deadline cannot be judged", kind=row["kind"], aggregate_id=row["aggregate_id"], error=broken)
        if len(self._aside) < MOST_ASIDE:
            self._aside[place_of(row)] = monotonic() + ASIDE_S

    def _is_aside(self, row: Mapping[str, Any]) -> bool:
        until = self._aside.get(place_of(row))
        if until is not None and until <= monotonic():
            del self._aside[place_of(row)]
        return until is not None and until > monotonic()


def place_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    return row["tenant"], row["kind"], row["aggregate_id"], row["subject"]
