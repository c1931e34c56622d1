"""Which plan is kept: the best that the checker passes, with who made it, and why what is left out is."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Literal

from streams.planning.check import Cost, Driven, Real, Verdict, check
from streams.planning.improvement import repaired
from streams.planning.insertion import inserted
from streams.planning.model import Model
from streams.planning.problem import Part, Problem, Solution, input_hash
from streams.planning.reasons import LeftOut, left_out
from streams.planning.solving import Asked

Outcome = Literal["passed", "infeasible", "no_plan", "crashed", "overran"]
INCUMBENT, INSERTION = "incumbent", "insertion"
OWN_VERSION = "1"
"""Of our own heuristics. Raise it when they give other plans."""
TOLD_MAX = 5
"""Violations that an attempt tells."""


class Answer(Part, frozen=True):
    """What came of a solver: its plan, or in `told` why there is none; `solution` may be the last it had told of."""

    solver: str
    version: str
    seed: int
    seconds: float
    solution: Solution | None
    failed: Literal["no_plan", "crashed", "overran"] | None = None
    told: str = ""


class Attempt(Part, frozen=True):
    """`cost`: of its plan, if the checker passed that. What crashed or overran may have told of one before."""

    solver: str
    version: str
    seed: int
    seconds: float
    outcome: Outcome
    told: str
    cost: Cost | None


class Planned(Part, frozen=True):
    """`seed`: what was asked, whoever's plan is kept."""

    input_hash: str
    solver: str
    version: str
    seed: int
    solution: Solution
    cost: Cost
    routes: tuple[Driven, ...]
    left_out: tuple[LeftOut, ...]
    attempts: tuple[Attempt, ...]


class NothingFits(Exception):
    """No plan passed the checker, not even that of committed stops and goods aboard. `attempts` say why."""

    def __init__(self, attempts: Sequence[Attempt]) -> None:
        super().__init__("; ".join(f"{each.solver}: {each.outcome}, {each.told}" for each in attempts))
        self.attempts = tuple(attempts)


def own_answers(asked: Asked) -> list[Answer]:
    """What there is without any solver: the incumbent, and a quick insertion."""
    by_insertion = inserted(Model(asked.problem)).solution
    answers = [] if asked.incumbent is None else [own_answer(INCUMBENT, asked, asked.incumbent)]
    return [*answers, own_answer(INSERTION, asked, by_insertion)]


def own_answer(name: str, asked: Asked, solution: Solution) -> Answer:
    return Answer(solver=name, version=OWN_VERSION, seed=asked.seed, seconds=0, solution=solution)


def kept(asked: Asked, answers: Iterable[Answer], real: Real | None = None) -> Planned:
    """Of equal plans the first. With `real` a plan must pass by the true matrices too. Raises NothingFits."""
    attempts: list[Attempt] = []
    best: tuple[Answer, Solution, Verdict] | None = None
    for answer in answers:
        attempt, verdict = attempted(asked.problem, answer, real)
        attempts.append(attempt)
        if verdict is not None and answer.solution is not None and (best is None or verdict.cost < best[2].cost):
            best = (answer, answer.solution, verdict)
    if best is None:
        raise NothingFits(attempts)
    answer, solution, verdict = best
    model = Model(asked.problem)
    reasons = tuple(left_out(model, solution))
    if any(each.reason == "not_found" for each in reasons):
        solution, verdict = filled(model, asked, solution, verdict, real)
        reasons = tuple(left_out(model, solution))
    return Planned(
        input_hash=input_hash(asked.problem),
        solver=answer.solver,
        version=answer.version,
        seed=asked.seed,
        solution=solution,
        cost=verdict.cost,
        routes=verdict.routes,
        left_out=reasons,
        attempts=tuple(attempts),
    )


def attempted(problem: Problem, answer: Answer, real: Real | None) -> tuple[Attempt, Verdict | None]:
    verdict = None if answer.solution is None else passing(problem, answer.solution, real)
    outcome: Outcome = answer.failed or "passed"
    told, cost = answer.told, None
    if verdict is not None and verdict.passed:
        cost = verdict.cost
    elif verdict is not None:
        told = "; ".join([*filter(None, [told]), *(each.told for each in verdict.violations[:TOLD_MAX])])
        outcome, verdict = answer.failed or "infeasible", None
    attempt = Attempt(
        solver=answer.solver,
        version=answer.version,
        seed=answer.seed,
        seconds=answer.seconds,
        outcome=outcome,
        told=told,
        cost=cost,
    )
    return attempt, verdict


def passing(problem: Problem, solution: Solution, real: Real | None) -> Verdict:
    """By the problem's matrices, and where it passes, by the true ones."""
    verdict = check(problem, solution)
    return verdict if real is None or not verdict.passed else check(problem, solution, real)


def filled(
    model: Model, asked: Asked, solution: Solution, verdict: Verdict, real: Real | None
) -> tuple[Solution, Verdict]:
    """With what still fits, if it is better so."""
    fuller = repaired(model, solution, Random(asked.seed)).solution
    judged = passing(asked.problem, fuller, real)
    return (fuller, judged) if judged.passed and judged.cost < verdict.cost else (solution, verdict)
