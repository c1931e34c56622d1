"""Nobody loses what they have for something new: to solvers all jobs are alike."""

from collections.abc import Sequence
from random import Random

from msgspec.structs import replace

from streams.planning.check import check
from streams.planning.improvement import repaired
from streams.planning.model import Model
from streams.planning.planned import Planned
from streams.planning.problem import Problem, Route, Solution, Visit
from streams.planning.reasons import left_out


def with_all_they_had(problem: Problem, incumbent: Solution, planned: Planned) -> Planned:
    """Of who would lose something the road ahead is as it was, and what is left then is put where it fits."""
    lost = jobs_of(incumbent) - jobs_of(planned.solution)
    if not lost:
        return planned
    model, chance = Model(problem), Random(planned.seed)
    for solution in (given_back(planned.solution, incumbent, lost), incumbent):
        fuller = repaired(model, solution, chance).solution
        verdict = check(problem, fuller)
        if verdict.passed and jobs_of(incumbent) <= jobs_of(fuller):
            return replace(
                planned,
                solution=fuller,
                cost=verdict.cost,
                routes=verdict.routes,
                left_out=tuple(left_out(model, fuller)),
            )
    raise AssertionError("as things are they can be driven")


def jobs_of(solution: Solution) -> set[str]:
    return {visit.job for route in solution.routes for visit in route.visits}


def given_back(solution: Solution, incumbent: Solution, lost: set[str]) -> Solution:
    """But for what is somebody else's by now."""
    had = {route.vehicle: route.visits for route in incumbent.routes}
    losers = {vehicle for vehicle, visits in had.items() if any(visit.job in lost for visit in visits)}
    others = [route for route in solution.routes if route.vehicle not in losers]
    elsewhere = jobs_of(Solution(routes=tuple(others)))
    restored = [Route(vehicle=each, visits=without(had[each], elsewhere)) for each in sorted(losers)]
    return Solution(routes=(*others, *restored))


def without(visits: Sequence[Visit], jobs: set[str]) -> tuple[Visit, ...]:
    return tuple(visit for visit in visits if visit.job not in jobs)
