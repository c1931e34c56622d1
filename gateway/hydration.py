"""Tenants and outlets that the platform knows and the directory does not yet: each is looked up once.

Whoever comes with a valid token for one of them hears `tenant-hydrating` until the platform has called back, or has let
too much time pass: then it is not known.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Protocol

import msgspec
import structlog

from gateway.call import Call
from gateway.problems import Problem
from schemas.message import Slug

WAITS_S = 30.0
"""So long a call back is waited for."""
AGAIN_S = 300.0
"""So long after a look-up that found nothing there is no other."""
AFTER_FAILURE_S = 5.0
MOST_AT_ONCE = 100
MOST_OF_A_TENANT = 10
"""Of its outlets, at once: names can be made up."""
REMEMBERED = 10_000
RETRY_AFTER_S = 2

logger = structlog.get_logger()


class Wanted(msgspec.Struct, frozen=True):
    """A tenant, or one of its outlets."""

    tenant: str
    outlet: str | None = None


class Ask(Protocol):
    async def __call__(self, wanted: Wanted) -> None:
        """Ask the platform to call back. Raises LookUpFailed."""
        ...


class LookUpFailed(Exception):
    """The platform did not take the question."""


class LookUp(msgspec.Struct):
    """`over` once the platform has said that there is none."""

    began_s: float
    asked_s: float
    failed: bool = False
    over: bool = False


class Hydration:
    """`ask` of None: nobody is there to be asked, and what is not known is not there."""

    def __init__(self, ask: Ask | None = None, clock: Callable[[], float] = monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._look_ups: OrderedDict[Wanted, LookUp] = OrderedDict()
        self._asking: dict[asyncio.Task[None], Wanted] = {}

    def instead_of(self, problem: Problem, call: Call) -> Problem:
        """What to answer where a tenant or an outlet is not known."""
        wanted = wanted_by(problem, call)
        if wanted is None or self._ask is None or not self._is_under_way(wanted):
            return problem
        what = f"tenant {wanted.tenant}" if wanted.outlet is None else f"outlet {wanted.outlet}"
        values = msgspec.to_builtins(wanted)
        return Problem("tenant-hydrating", f"{what} is being looked up", values=values, retry_after_s=RETRY_AFTER_S)

    def is_unknown(self, wanted: Wanted) -> None:
        """The platform has it neither: whoever asks is told so at once."""
        if (known := self._look_ups.get(wanted)) is not None:
            known.over = True

    async def stop(self) -> None:
        for asking in self._asking:
            asking.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    def _is_under_way(self, wanted: Wanted) -> bool:
        now_s = self._clock()
        known = self._look_ups.get(wanted)
        if known is None or now_s - known.began_s > AGAIN_S:
            return self._begun(wanted, now_s)
        if known.over or now_s - known.began_s > WAITS_S:
            return False
        if known.failed and now_s - known.asked_s > AFTER_FAILURE_S:
            known.failed, known.asked_s = False, now_s
            self._start(wanted, known)
        return True

    def _begun(self, wanted: Wanted, now_s: float) -> bool:
        """Where too many are asked for already it is not asked yet, and nobody is told that there is none."""
        of_tenant = sum(each.tenant == wanted.tenant for each in self._asking.values())
        if wanted.outlet is not None and of_tenant >= MOST_OF_A_TENANT:
            return True
        if len(self._asking) >= MOST_AT_ONCE + (wanted.outlet is None) * MOST_AT_ONCE:
            return True
        known = self._look_ups[wanted] = LookUp(now_s, now_s)
        self._look_ups.move_to_end(wanted)
        if len(self._look_ups) > REMEMBERED:
            self._look_ups.popitem(last=False)
        self._start(wanted, known)
        return True

    def _start(self, wanted: Wanted, known: LookUp) -> None:
        task = asyncio.create_task(self._asked(wanted, known))
        self._asking[task] = wanted
        task.add_done_callback(self._asking.pop)

    async def _asked(self, wanted: Wanted, known: LookUp) -> None:
        assert self._ask is not None, "there is somebody to ask"
        try:
            await self._ask(wanted)
        except LookUpFailed as failed:
            known.failed = True
            logger.warning("look-up failed", tenant=wanted.tenant, outlet=wanted.outlet, why=str(failed))
        else:
            logger.info("looked up", tenant=wanted.tenant, outlet=wanted.outlet)


def is_slug(word: str) -> bool:
    """What is none no platform can tell of: whoever mistyped it is told so at once."""
    try:
        msgspec.convert(word, Slug)
    except msgspec.ValidationError:
        return False
    return True


def wanted_by(problem: Problem, call: Call) -> Wanted | None:
    if problem.code == "unknown-tenant" and is_slug(problem.values["tenant"]):
        return Wanted(problem.values["tenant"])
    if problem.code == "unknown-outlet" and call.tenant is not None:
        return Wanted(call.tenant, problem.values["outlet"])
    return None
