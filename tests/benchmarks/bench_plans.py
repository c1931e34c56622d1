"""How far plans are from the best known, beside pyvroom and PyVRP alone: every instance of the sample data."""

import os
from pathlib import Path

import pytest
from benchmarks.alone import PyVRPAlone, VroomAlone
from benchmarks.running import table

from infra.planning.best_known import BestKnown, best_known
from infra.planning.command import gap_percent
from infra.planning.pool import SolverPool
from streams.planning.effort import Effort
from streams.planning.literature import TICKS, read
from streams.planning.planned import Attempt, Planned
from streams.planning.problem import Objective
from streams.planning.solving import Asked
from streams.planning.with_pyvrp import WithPyVRP
from streams.planning.with_vroom import WithVroom

SAMPLES = Path(os.environ.get("LOGISTICS_SAMPLE_DATA", "no-sample-data")) / "routing"
AIM_PERCENT = {10: 1.0, 60: 0.3}
SEED = 1

pytestmark = pytest.mark.skipif(not SAMPLES.exists(), reason="LOGISTICS_SAMPLE_DATA names no data")


@pytest.mark.parametrize("objective", ["distance", "vehicles"])
@pytest.mark.parametrize("seconds", AIM_PERCENT)
def test_plans_beside_the_best_known(seconds: int, objective: Objective):
    gaps: dict[str, list[float]] = {"ours": [], "pyvroom alone": [], "PyVRP alone": []}
    rows = []
    with SolverPool([PyVRPAlone(), VroomAlone()]) as alone, SolverPool([WithPyVRP(), WithVroom()]) as ours:
        for file in sorted(SAMPLES.glob("*.txt")):
            instance = read(file.read_text(), objective)
            best = best_known(SAMPLES / "best_known.json", file.stem, objective)
            asked = Asked(problem=instance.problem, effort=Effort(seconds=seconds), seed=SEED)
            beside = alone.plan(asked, instance.real)
            planned = ours.plan(asked, instance.real)
            told = {attempt.solver: shown(attempt, objective, best) for attempt in beside.attempts}
            told["ours"] = of(planned, objective, best)
            for who, values in gaps.items():
                values.append(told[who][0])
            load = f"load {os.getloadavg()[0]:.1f}"
            rows.append((f"{file.stem}, {planned.solver}, {load}", ""))
            rows += [(f"  {who}", told[who][1]) for who in gaps]
    means = [(f"mean gap: {who}", f"{sum(values) / len(values):.2f} %") for who, values in gaps.items()]
    table(f"Plans in {seconds} s, {objective} first, aim {AIM_PERCENT[seconds]} %", [*rows, *means])


def of(planned: Planned, objective: Objective, best: BestKnown) -> tuple[float, str]:
    distance = sum(each.metres for each in planned.routes) / TICKS
    return compared(len(planned.routes), distance, objective, best)


def shown(attempt: Attempt, objective: Objective, best: BestKnown) -> tuple[float, str]:
    if attempt.cost is None or attempt.cost.left_out:
        return float("inf"), f"{attempt.outcome} {attempt.told[:40]}"
    return compared(attempt.cost.vehicles, attempt.cost.amount / TICKS, objective, best)


def compared(vehicles: int, distance: float, objective: Objective, best: BestKnown) -> tuple[float, str]:
    """Where there are more vehicles than need be, the distance's gap is told with them."""
    gap = gap_percent("distance", vehicles, distance, best)
    assert gap is not None
    more = f"{vehicles - best.vehicles:+d} vehicles " if objective == "vehicles" and vehicles != best.vehicles else ""
    return gap, f"{more}{distance:.2f} {round(gap, 2) + 0.0:.2f} %"
