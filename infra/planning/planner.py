"""Makes the plans that were asked for, one at a time: gathers what is known, lets the solvers look, proposes what they
found. A planner that stops in the middle begins anew; of two that make the same plan the first is taken."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import structlog
from msgspec.structs import replace
from prometheus_client import Counter, Histogram
from psycopg import AsyncConnection, OperationalError
from psycopg_pool import AsyncConnectionPool

from infra.planning.gathering import Gathering
from infra.planning.pool import SolverPool
from projections.plans import WantedPlan, wanted
from schemas import ids
from schemas.message import Command, PlanId, Source, TenantSlug
from schemas.plan import FailPlan, PlanRefusal, ProposePlan
from streams.dispatch.decision import Keep
from streams.dispatch.ways import Router
from streams.planning.effort import Effort
from streams.planning.faults import WrongProblem
from streams.planning.keeping import with_all_they_had
from streams.planning.planned import NothingFits, Planned
from streams.planning.problem import encoded
from streams.planning.proposal import Found, proposal
from streams.planning.solving import Asked, Solver
from streams.planning.wave import Posed, Posing, TooManyPlaces, Wave, matrices_of, places_of, sort_out
from streams.planning.with_pyvrp import WithPyVRP
from streams.planning.with_vroom import WithVroom
from streams.process import NotAllowed, NotNow, Send, Step

PLANS = Counter("logistics_plans_total", "Plans that were made, by what came of them", ["outcome"])
PLAN_SECONDS = Histogram(
    "logistics_plan_seconds",
    "From taking up a plan to its proposal",
    buckets=(1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0),
)

TOLD_CHARS = 500
MOST_SERVED = 10_000

logger = structlog.get_logger()

type Pool = AsyncConnectionPool[AsyncConnection[Any]]


class NoPlan(Exception):
    def __init__(self, code: PlanRefusal, told: str = "") -> None:
        super().__init__(told or code)
        self.code: PlanRefusal = code
        self.told = told


def solvers() -> Sequence[Solver]:
    return [WithPyVRP(), WithVroom()]


class Planner:
    """`close` ends the solvers' processes, which begin with the first plan."""

    def __init__(
        self,
        pool: Pool,
        gathering: Gathering,
        router: Router,
        send: Send,
        keep: Keep,
        solvers: Callable[[], Sequence[Solver]] = solvers,
    ) -> None:
        self._pool = pool
        self._gathering = gathering
        self._router = router
        self._send = send
        self._keep = keep
        self._make_solvers = solvers
        self._solving: SolverPool | None = None
        self._served: dict[str, int] = {}
        """Of tenants, at which turn they were served last."""
        self._turn = 0
        self._unsent: tuple[str, Command, str] | None = None
        """Of which plan, the command, and what came of it."""

    async def look(self) -> int:
        """Makes a plan, if any is wanted; how many. Who asks for many keeps no other tenant waiting. Raises NotNow."""
        async with self._pool.connection() as connection:
            found = await wanted(connection)
        if not found:
            return 0
        plan = min(found, key=lambda each: self._served.get(each.tenant, 0))
        self._turn += 1
        self._served[plan.tenant] = self._turn
        while len(self._served) > MOST_SERVED:
            del self._served[min(self._served, key=self._served.__getitem__)]
        await self._make(plan)
        return 1

    async def close(self) -> None:
        if self._solving is not None:
            await asyncio.to_thread(self._solving.close)

    async def _make(self, plan: WantedPlan) -> None:
        """What could not be sent is sent again, and not looked for again."""
        tenant = TenantSlug(plan.tenant)
        if self._unsent is None or self._unsent[0] != plan.plan_id:
            with PLAN_SECONDS.time():
                self._unsent = plan.plan_id, *(await self._command(tenant, plan))
        _, command, outcome = self._unsent
        step = Step(kind="plan", aggregate_id=plan.plan_id, command=command, purpose="propose")
        source = source_of(tenant, PlanId(plan.plan_id), self._gathering.now(tenant))
        told = await self._send(step, source, tenant)
        if isinstance(told, NotAllowed):
            none = FailPlan(reason_code="no_plan", told=f"it was refused: {told.rule}")
            fails = Step(kind="plan", aggregate_id=plan.plan_id, command=none, purpose="fail")
            await self._send(fails, source, tenant)
            outcome = "broken"
        self._unsent = None
        PLANS.labels(outcome).inc()
        logger.info("plan made", plan_id=plan.plan_id, outcome=outcome)

    async def _command(self, tenant: TenantSlug, plan: WantedPlan) -> tuple[Command, str]:
        """With what came of it. Raises NotNow."""
        try:
            found = await self._found(tenant, plan)
            return ProposePlan(proposal=await asyncio.to_thread(proposal, found)), "proposed"
        except NoPlan as none:
            return FailPlan(reason_code=none.code, told=none.told[:TOLD_CHARS]), none.code
        except (NotNow, OperationalError):
            raise
        except Exception as broken:  # it would break again, and keep all others waiting
            logger.exception("plan cannot be made", plan_id=plan.plan_id)
            told = f"{type(broken).__name__}: {broken}"[:TOLD_CHARS]
            return FailPlan(reason_code="no_plan", told=told), "broken"

    async def _found(self, tenant: TenantSlug, plan: WantedPlan) -> Found:
        """Raises NoPlan, NotNow."""
        wave, policy_version, left_out = await self._gathering.wave(tenant, plan.request)
        if not wave.tasks and not left_out:
            raise NoPlan("nothing_to_plan")
        found = await self._solved(tenant, plan, wave, policy_version)
        return replace(found, never_asked=left_out)

    async def _solved(self, tenant: TenantSlug, plan: WantedPlan, wave: Wave, policy_version: int) -> Found:
        sorted_out = await asyncio.to_thread(sort_out, wave)
        if not sorted_out.riders:
            raise NoPlan("nobody_at_work", not_asked_told(sorted_out.not_asked))
        try:
            places = places_of(sorted_out)
        except TooManyPlaces as too_many:
            raise NoPlan("too_many_places", str(too_many)) from too_many
        measured = await self._router.matrix(tenant, places, places)
        posed = await asyncio.to_thread(lambda: Posing(wave, sorted_out, places, matrices_of(measured)).posed())
        planned = await self._planned(plan, posed)
        await self._keep(tenant, planned.input_hash, encoded(posed.problem))
        return Found(
            wave=wave,
            sorted_out=sorted_out,
            posed=posed,
            planned=planned,
            policy_version=policy_version,
            source=measured.source,
            seconds_asked=plan.request.seconds,
        )

    async def _planned(self, plan: WantedPlan, posed: Posed) -> Planned:
        asked = Asked(
            problem=posed.problem,
            effort=Effort(seconds=float(plan.request.seconds)),
            seed=plan.request.seed,
            incumbent=posed.incumbent,
        )
        try:
            planned = await asyncio.to_thread(self._solve, asked)
            return await asyncio.to_thread(with_all_they_had, posed.problem, posed.incumbent, planned)
        except NothingFits as none:
            raise NoPlan("no_plan", str(none)) from none
        except WrongProblem as wrong:
            logger.exception("a plan was posed wrong", plan_id=plan.plan_id)
            raise NoPlan("no_plan", str(wrong)) from wrong

    def _solve(self, asked: Asked) -> Planned:
        if self._solving is None:
            self._solving = SolverPool(self._make_solvers())
        return self._solving.plan(asked)


def not_asked_told(not_asked: Sequence[Any]) -> str:
    return ", ".join(f"{each.rider_id}: {each.code}" for each in not_asked[:10])


def source_of(tenant: TenantSlug, plan_id: PlanId, now: datetime) -> Source:
    """As if the plan itself had just asked: one proposal follows from it."""
    return Source(
        event_id=plan_id,
        tenant=tenant,
        outlet=None,
        aggregate_id=plan_id,
        version=0,
        event_time=now,
        recorded_at=now,
        actor="planner",
        command_id=plan_id,
        correlation_id=ids.derived("plan", plan_id),
        topic="",
        partition=0,
        offset=0,
    )
