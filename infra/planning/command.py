"""`logistics plan FILE`: plans an instance of the literature, checks the plan by the true distances, and tells how good
it is."""

import sys
import time
from pathlib import Path

import msgspec

from infra.planning.best_known import BestKnown, WrongBestKnown, best_known
from infra.planning.pool import SolverPool
from streams.planning.effort import Effort
from streams.planning.faults import WrongProblem
from streams.planning.literature import TICKS, Instance, WrongFile, read, tours
from streams.planning.planned import Attempt, NothingFits, Planned
from streams.planning.problem import Objective
from streams.planning.reasons import LeftOut
from streams.planning.solving import Asked
from streams.planning.with_pyvrp import WithPyVRP
from streams.planning.with_vroom import WithVroom

FAILED, WRONG_USE = 1, 2
FILE_MAX_BYTES = 1_000_000
"""The largest instance of Gehring & Homberger has about 80,000."""
LEFT_OUT_TOLD = 20
KINDS = {"solomon": "Solomon", "li_lim": "Li & Lim"}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """`distance`: in the instance's unit, unrounded. `gap_percent`: of the distance, where the vehicles are as many."""

    file: str
    kind: str
    objective: Objective
    jobs: int
    vehicles: int
    distance: float
    best_known: BestKnown | None
    gap_percent: float | None
    solver: str
    version: str
    seed: int
    input_hash: str
    seconds: float
    routes: list[list[int]]
    left_out: tuple[LeftOut, ...]
    attempts: tuple[Attempt, ...]


def plan(
    file: Path,
    objective: Objective,
    effort: Effort,
    seed: int,
    known: Path | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """The exit code: 1 where no plan passed or something had to be left out, 2 where a file is wrong."""
    try:
        instance = read(text_of(file), objective)
        best = None if known is None else best_known(known, file.stem, objective)
    except (WrongFile, WrongBestKnown, OSError, UnicodeDecodeError) as wrong:
        print(wrong if isinstance(wrong, WrongBestKnown) else f"{file}: {wrong}", file=sys.stderr)
        return WRONG_USE
    began = time.monotonic()
    try:
        planned = planned_of(instance, effort, seed)
    except (WrongProblem, NothingFits) as failed:
        print(f"{file}: {failed}", file=sys.stderr)
        return FAILED
    told = told_of(file, instance, planned, best, time.monotonic() - began)
    if out is not None:
        out.write_text(written(told))
    print(msgspec.json.format(msgspec.json.encode(told)).decode() if as_json else "\n".join(sentences(told)))
    return FAILED if planned.cost.left_out else 0


def text_of(file: Path) -> str:
    """Raises WrongFile, OSError, UnicodeDecodeError."""
    if (size := file.stat().st_size) > FILE_MAX_BYTES:
        raise WrongFile(1, f"the file has {size} bytes, at most {FILE_MAX_BYTES} are read")
    return file.read_text()


def planned_of(instance: Instance, effort: Effort, seed: int) -> Planned:
    with SolverPool([WithPyVRP(), WithVroom()]) as pool:
        return pool.plan(Asked(problem=instance.problem, effort=effort, seed=seed), instance.real)


def told_of(file: Path, instance: Instance, planned: Planned, best: BestKnown | None, seconds: float) -> Told:
    distance = sum(each.metres for each in planned.routes) / TICKS
    vehicles = len(planned.routes)
    return Told(
        file=file.name,
        kind=KINDS[instance.kind],
        objective=instance.problem.objective,
        jobs=len(instance.problem.jobs),
        vehicles=vehicles,
        distance=distance,
        best_known=best,
        gap_percent=None if best is None else gap_percent(instance.problem.objective, vehicles, distance, best),
        solver=planned.solver,
        version=planned.version,
        seed=planned.seed,
        input_hash=planned.input_hash,
        seconds=seconds,
        routes=tours(instance, planned.solution),
        left_out=planned.left_out,
        attempts=planned.attempts,
    )


def gap_percent(objective: Objective, vehicles: int, distance: float, best: BestKnown) -> float | None:
    """Where vehicles come first, distances of different fleets are not compared."""
    if objective == "vehicles" and vehicles != best.vehicles:
        return None
    return (distance / best.distance - 1) * 100


def sentences(told: Told) -> list[str]:
    what = "shipments" if told.kind == KINDS["li_lim"] else "customers"
    passed = "passed by the checker with the true distances"
    return [
        f"{told.file}: {told.kind}, {told.jobs} {what}, {told.objective} first",
        f"{told.vehicles} vehicles, distance {told.distance:.2f}{compared(told)}",
        f"by {told.solver} ({told.version}), seed {told.seed}, in {told.seconds:.1f} s; {passed}",
        *(f"  {attempt_told(each)}" for each in told.attempts),
        f"input {told.input_hash}",
        *(f"left out {each.job}: {each.reason}, {each.told}" for each in told.left_out[:LEFT_OUT_TOLD]),
        *([f"{len(told.left_out)} left out in all"] if len(told.left_out) > LEFT_OUT_TOLD else []),
    ]


def compared(told: Told) -> str:
    if told.best_known is None:
        return ""
    best = f"best known {told.best_known.vehicles} vehicles, {told.best_known.distance:.2f}"
    if told.gap_percent is None:
        return f"; {best}: {told.vehicles - told.best_known.vehicles:+d} vehicles"
    return f"; {best}: gap {round(told.gap_percent, 2) + 0.0:.2f} %"


def attempt_told(attempt: Attempt) -> str:
    if attempt.cost is None:
        return f"{attempt.solver}: {attempt.outcome}, {attempt.told.strip().splitlines()[-1] if attempt.told else ''}"
    vehicles = f"{attempt.cost.vehicles} vehicles, " if attempt.cost.vehicles else ""
    out = f", {attempt.cost.left_out} left out" if attempt.cost.left_out else ""
    return f"{attempt.solver}: {attempt.outcome}, {vehicles}distance {attempt.cost.amount / TICKS:.2f}{out}"


def written(told: Told) -> str:
    """As solutions of the literature are: a line a route, then the cost."""
    routes = [f"Route #{at}: {' '.join(map(str, tour))}" for at, tour in enumerate(told.routes, 1)]
    return "\n".join([*routes, f"Cost {told.distance}"]) + "\n"
