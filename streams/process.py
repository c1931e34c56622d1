"""A process turns facts into the next commands, each with an id derived from its fact.

What follows a fact follows from the fact alone, never from an answer held in memory: a crash after any step resumes
at that fact, and a command that was sent before is a quiet repeat.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import structlog

from schemas import ids
from schemas.load import Overload
from schemas.message import Command, Event, Source, TenantSlug

BACK_OFF_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
MOST_FAILURES = len(BACK_OFF_S)
"""So often a step is sent that whoever judges it fails at: another owner may know better by then."""
BROKEN = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What code raises that meets what it was not made for: it does not pass by waiting."""

logger = structlog.get_logger()


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One command for one aggregate. `purpose` tells the steps of one fact apart, for ever."""

    kind: str
    aggregate_id: str
    command: Command
    purpose: str
    otherwise: "Step | None" = None
    """Sent in its place where a rule refuses it."""

    def command_id(self, source: Source) -> str:
        return ids.derived("step", source.event_id, self.purpose)


class Done(msgspec.Struct, frozen=True):
    """Accepted, or a repeat. `position` is the place in the log after it."""

    position: Mapping[tuple[str, int], int]


class NotAllowed(msgspec.Struct, frozen=True):
    """Refused by a rule: that is an outcome, and the process has an answer to it. `overload` is what there would be too
    much of, where that is why."""

    rule: str
    reason_code: str
    overload: Overload | None = None


class NotNow(Exception):
    """Nobody could judge, or what the step needs is not known yet: the same step again, later."""


class CannotBeJudged(NotNow):
    """Not because nobody is there: whoever judges it fails, and may fail again."""


class Stuck(Exception):
    """A fact that cannot be followed, by a fault of ours: it is put aside, and keeps no other waiting."""


class Send(Protocol):
    async def __call__(self, step: Step, source: Source, tenant: TenantSlug) -> Done | NotAllowed:
        """Raises NotNow."""
        ...


type Steps = Callable[[Any, Source], Awaitable[Sequence[Step]]]
"""What follows a fact. Raises NotNow where what it looks up is not there yet."""
type Refusal = Callable[[Any, Source, NotAllowed], Sequence[Step]]
"""What follows when a step is refused."""


class Rule(msgspec.Struct, frozen=True):
    """A row of the process's table."""

    fact: type[Event]
    steps: Steps
    refused: Refusal | None = None
    apart: bool = False
    """No step rests on another: where one is refused the others are sent all the same."""


class Process:
    """Takes facts one after the other; each is through when all its steps have an outcome."""

    def __init__(self, name: str, rules: Sequence[Rule], send: Send) -> None:
        self.name = name
        self._rules: dict[type[Event], list[Rule]] = {}
        for rule in rules:
            self._rules.setdefault(rule.fact, []).append(rule)
        self._send = send

    @property
    def facts(self) -> frozenset[type[Event]]:
        return frozenset(self._rules)

    async def take(self, event: Event, source: Source) -> None:
        """Until it is through, however long that takes: what can be judged later is tried again. Raises Stuck, once all
        that can be followed of it has been."""
        stuck: list[str] = []
        for rule in self._rules.get(type(event), ()):
            try:
                await self._take(rule, event, source)
            except (CannotBeJudged, *BROKEN) as broken:
                logger.exception("fact cannot be followed", process=self.name, fact=type(event).__name__)
                stuck.append(f"{self.name} cannot follow it: {type(broken).__name__}: {broken}")
        if stuck:
            raise Stuck("; ".join(stuck))

    async def _take(self, rule: Rule, event: Event, source: Source) -> None:
        tries = failures = 0
        while True:
            try:
                await self._follow(rule, event, source)
                return
            except NotNow as later:
                failures += isinstance(later, CannotBeJudged)
                if failures == MOST_FAILURES:
                    raise
                logger.info("step waits", process=self.name, fact=type(event).__name__, why=str(later))
                await asyncio.sleep(BACK_OFF_S[min(tries, len(BACK_OFF_S) - 1)])
                tries += 1

    async def _follow(self, rule: Rule, event: Event, source: Source) -> None:
        for step in await rule.steps(event, source):
            outcome = await self._send(step, source, source.tenant)
            if isinstance(outcome, NotAllowed):
                await self._answer(rule, event, source, step, outcome)
                if not rule.apart:
                    return

    async def _answer(self, rule: Rule, event: Event, source: Source, step: Step, refused: NotAllowed) -> None:
        """By the step's own answer, where it has one."""
        log = logger.bind(process=self.name, fact=type(event).__name__, step=step.purpose, rule=refused.rule)
        answers = [step.otherwise] if step.otherwise is not None else None
        if answers is None and rule.refused is not None:
            answers = [*rule.refused(event, source, refused)]
        if answers is None:
            log.warning("step refused, and nothing follows from that")
            return
        for other in answers:
            meant: Step | None = other
            while meant is not None:
                outcome = await self._send(meant, source, source.tenant)
                if not isinstance(outcome, NotAllowed):
                    break
                log.warning("what undoes a refused step was refused", undo=meant.purpose, undo_rule=outcome.rule)
                meant = meant.otherwise
