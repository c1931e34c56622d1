"""The providers of one tenant, asked in their order, and the great circle behind them all.

What each has of the time is its share of what is left, among those that may be asked; nobody waits for one whose
circuit is open. What was not asked, or did not answer, is told with the answer, and why.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from functools import partial
from time import monotonic

import httpx
import msgspec
import numpy as np
import structlog
from prometheus_client import Counter

from schemas.geo import Location
from schemas.provider_config import Capability, ProviderName
from streams.routing import matching
from streams.routing.budgets import Budget, Budgets
from streams.routing.circuit import Circuit
from streams.routing.great_circle import straight, straight_matrix
from streams.routing.kept import Kept, Whose
from streams.routing.measured import Measured, Passed, Why
from streams.routing.provider import ONE, Candidate, Cost, Provider
from streams.routing.routers import ANSWERS, WRONG, RouterFailed, RouterSaysNo, outcome_of
from streams.routing.tiling import MOST_TILES, Grids
from streams.routing.wire import NotAdmitted, QuotaUsedUp, SecretMissing, WrongAnswer
from streams.telemetry.eta import Way
from streams.telemetry.recorded import Point

PASSED = Counter("logistics_router_passed_over_total", "Routers that were not asked, by why", ["router", "why"])
STOOD_IN = Counter("logistics_routing_stood_in_total", "Questions that no router answered", ["capability"])

MOST_AT_ONCE = 100
"""Questions under way to one provider of a tenant's: whoever comes then asks the next, and does not wait."""

logger = structlog.get_logger()


class NobodyKnows(RouterFailed):
    """Of those that can be asked for it."""

    def __init__(self, passed: tuple[Passed, ...]) -> None:
        super().__init__("; ".join(f"{each.provider}: {each.why}" for each in passed) or "nobody can be asked for it")
        self.passed = passed


class PassedOver(Exception):
    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why: Why = why


class Placed(msgspec.Struct, frozen=True):
    """Where an address is: candidates, the likeliest first, of the first that knows any."""

    candidates: Sequence[Candidate]
    source: ProviderName | None
    passed: tuple[Passed, ...] = ()

    @property
    def is_told(self) -> bool:
        """Whether anybody has said where it is, or that they do not know; None of who might know did otherwise."""
        return self.source is not None or not self.passed or any(each.why == "no_way" for each in self.passed)


class Entry(msgspec.Struct, frozen=True):
    """One of them, within its bounds."""

    provider: Provider
    circuit: Circuit
    can: frozenset[Capability]
    budget: Budget = Budget()
    timeout_s: float | None = None
    whose: Whose = ()
    """Whose its kept answers are."""
    turns: asyncio.Semaphore = msgspec.field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))


class Told[T](msgspec.Struct, frozen=True):
    told: T
    source: ProviderName
    passed: tuple[Passed, ...]


class Chain:
    """`day` is UTC's."""

    def __init__(
        self,
        tenant: str,
        entries: Sequence[Entry],
        *,
        within_s: float,
        keeps_s: float,
        budgets: Budgets,
        kept: Kept,
        day: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self._tenant, self._entries = tenant, entries
        self._within_s, self._keeps_s = within_s, keeps_s
        self._budgets, self._kept, self._day = budgets, kept, day
        self._said = dict[str, tuple[str, date]]()

    async def matrix(
        self, origins: Sequence[Location], goals: Sequence[Location], departing: datetime | None = None
    ) -> Measured:
        """Does not fail: the great circle stands in, and says so."""
        if not origins or not goals:
            return straight_matrix(origins, goals)
        try:
            found = await self._first("matrix", lambda entry: Matrix(self, entry, origins, goals, departing).told())
        except NobodyKnows as nobody:
            self._stands_in("matrix", nobody)
            return straight_matrix(origins, goals, nobody.passed)
        assert found.source != "osm", "it measures nothing"
        return Measured(*found.told, found.source, found.passed)

    async def way(self, places: Sequence[Location]) -> Way:
        """Does not fail: the great circle stands in, and says so."""
        try:
            return (await self.route(places)).told
        except NobodyKnows as nobody:
            self._stands_in("route", nobody)
            return straight(places)

    async def route(self, places: Sequence[Location]) -> "Told[Way]":
        """Raises NobodyKnows."""
        return await self._first("route", lambda entry: self._way(entry, places))

    def can(self, capability: Capability) -> bool:
        return any(capability in entry.can for entry in self._entries)

    async def match(self, trace: Sequence[Point]) -> matching.Answer:
        """Raises NobodyKnows."""
        return (await self._first("match", lambda entry: Asks(ONE, lambda: entry.provider.match(trace)))).told

    async def geocode(self, text: str) -> Placed:
        """Without candidates where nobody knows it."""
        try:
            found = await self._first("geocode", lambda entry: self._placed(entry, text))
        except NobodyKnows as nobody:
            return Placed([], None, nobody.passed)
        return Placed(found.told, found.source, found.passed)

    def _way(self, entry: Entry, places: Sequence[Location]) -> "Asks[Way]":
        return Asks(ONE, lambda: entry.provider.route(places), fits=len(places) <= entry.provider.most_places)

    def _placed(self, entry: Entry, text: str) -> "Asks[list[Candidate]]":
        async def ask() -> list[Candidate]:
            found = await entry.provider.geocode(text)
            if not found:
                raise RouterSaysNo("NoCandidate")
            return found

        return Asks(ONE, ask)

    async def _first[T](self, capability: Capability, wanted: Callable[[Entry], "Asks[T]"]) -> Told[T]:
        """Raises NobodyKnows."""
        until_s = monotonic() + self._within_s
        able = [entry for entry in self._entries if capability in entry.can]
        passed: list[Passed] = []
        for number, entry in enumerate(able):
            asks = wanted(entry)
            if asks.known is not None:
                return Told(asks.known, entry.provider.name, tuple(passed))
            if not asks.fits:
                passed.append(Passed(entry.provider.at, not_asked(entry.provider.at, "too_large").why))
                continue
            left = sum(not other.circuit.is_open for other in able[number:]) or 1
            share_s = max(0.0, until_s - monotonic()) / left
            try:
                told = await self._asked(entry, asks, min(share_s, entry.timeout_s or share_s))
            except PassedOver as over:
                passed.append(Passed(entry.provider.at, over.why))
            else:
                return Told(told, entry.provider.name, tuple(passed))
        raise NobodyKnows(tuple(passed))

    async def _asked[T](self, entry: Entry, asks: "Asks[T]", within_s: float) -> T:
        """Raises PassedOver."""
        circuit, at = entry.circuit, entry.provider.at
        if entry.turns.locked():
            raise not_asked(at, "busy")
        if not circuit.lets_through():
            raise not_asked(at, "circuit_open")
        try:
            entry.provider.ready()
            await self._within_budget(entry, asks.cost)
            async with entry.turns, asyncio.timeout(within_s):
                told = await asks.ask()
        except SecretMissing as missing:
            circuit.released()
            self._once_a_day(at, f"its secret is missing: {missing}")
            raise not_asked(at, "no_credentials") from None
        except RouterSaysNo as no:
            circuit.answered()
            ANSWERS.labels(at, "no_way").inc()
            raise PassedOver("no_way") from no
        except QuotaUsedUp as used:
            circuit.opens_for(used.retry_after_s)
            raise gone_wrong(at, "quota", used) from None
        except NotAdmitted as refused:
            circuit.opens_for(None)
            raise gone_wrong(at, "refused", refused) from None
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, RouterFailed, *WRONG) as failed:
            circuit.failed()
            raise gone_wrong(at, outcome_of(failed), failed) from None
        except BaseException:
            circuit.released()
            raise
        circuit.answered()
        ANSWERS.labels(at, "answered").inc()
        return told

    async def _within_budget(self, entry: Entry, cost: Cost) -> None:
        """Raises PassedOver."""
        if not entry.budget.is_bound:
            return
        at = entry.provider.at
        taken = await self._budgets.take(self._tenant, at, self._day(), cost, entry.budget)
        if taken == "unknown":
            raise not_asked(at, "budget_unknown")
        if taken == "used_up":
            self._once_a_day(at, "its budget is used up")
            raise not_asked(at, "budget_used_up")

    def _once_a_day(self, at: str, why: str) -> None:
        if self._said.get(at) != (why, self._day()):
            self._said[at] = why, self._day()
            logger.warning("a routing provider is passed over", tenant=self._tenant, router=at, why=why)

    def _stands_in(self, capability: Capability, nobody: NobodyKnows) -> None:
        STOOD_IN.labels(capability).inc()
        logger.warning("no router answered, the great circle stands in", tenant=self._tenant, error=str(nobody))

    def kept_for(self, entry: Entry) -> float:
        return self._keeps_s if entry.provider.keeps else 0.0

    @property
    def kept(self) -> Kept:
        return self._kept


class Asks[T](msgspec.Struct, frozen=True):
    """What is asked of one provider, what it counts for, and the answer where it is known already."""

    cost: Cost
    ask: Callable[[], Awaitable[T]]
    known: T | None = None
    fits: bool = True
    """Whether the provider takes as much in one question."""


class Matrix:
    """The pairs of a matrix that one provider has not told a moment ago, and those it has."""

    def __init__(
        self,
        chain: Chain,
        entry: Entry,
        origins: Sequence[Location],
        goals: Sequence[Location],
        departing: datetime | None,
    ) -> None:
        self._chain, self._entry = chain, entry
        self._origins, self._goals = origins, goals
        self._departing = entry.provider.heeds(departing)

    def told(self) -> Asks[Grids]:
        provider, keeps_s = self._entry.provider, self._chain.kept_for(self._entry)
        if not keeps_s:
            cost = provider.cost(len(self._origins), len(self._goals))
            ask_all = partial(provider.matrix, self._origins, self._goals, self._departing)
            return Asks(cost, ask_all, fits=cost.requests <= MOST_TILES)
        grids, known = self._chain.kept.found(self._entry.whose, self._departing, self._origins, self._goals)
        rows, columns = (np.flatnonzero(~known.all(axis=axis)).tolist() for axis in (1, 0))

        async def ask() -> Grids:
            pairs = [self._origins[row] for row in rows], [self._goals[column] for column in columns]
            fresh = await provider.matrix(*pairs, self._departing)
            self._chain.kept.keep(self._entry.whose, self._departing, pairs, fresh, keeps_s)
            for grid, new in zip(grids, fresh, strict=True):
                grid[np.ix_(rows, columns)] = new
            return grids

        cost = provider.cost(len(rows), len(columns))
        return Asks(cost, ask, None if rows else grids, fits=cost.requests <= MOST_TILES)


def not_asked(at: str, why: Why) -> PassedOver:
    PASSED.labels(at, why).inc()
    return PassedOver(why)


def gone_wrong(at: str, outcome: Why, failed: Exception) -> PassedOver:
    """Only words of ours go into the log: others may quote what was asked, and by which secret."""
    ANSWERS.labels(at, outcome).inc()
    said = str(failed) if isinstance(failed, WrongAnswer | RouterFailed) else type(failed).__name__
    logger.warning("router failed", router=at, outcome=outcome, error=said)
    return PassedOver(outcome)
