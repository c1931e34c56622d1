"""PyVRP: iterated local search, told what it can be told; what it cannot, our own search adds from its plan on."""

import warnings
from collections.abc import Callable
from importlib.metadata import version
from random import Random

import pyvrp
from pyvrp.stop import FirstFeasible, MaxIterations, MaxRuntime, MultipleCriteria

from streams.planning.effort import Effort, Watch
from streams.planning.improvement import improved, repaired
from streams.planning.insertion import inserted
from streams.planning.model import Model
from streams.planning.problem import Solution
from streams.planning.pyvrp_data import Data
from streams.planning.solving import Asked, Found

FIRST_SHARE = 0.4
"""Of the effort, where our own search follows."""
FLEET_SHARE = 0.3
"""Of PyVRP's, for trying one vehicle less, as often as that succeeds."""


class WithPyVRP:
    name = "pyvrp"
    version = f"pyvrp {version('pyvrp')}"

    def solve(self, asked: Asked, found: Found) -> Solution:
        return planned_by_pyvrp(asked, found)


def tells_all(model: Model) -> bool:
    """Whether PyVRP can be told every rule."""
    return not model.ride and all(vehicle.pause is None for vehicle in model.vehicles)


def planned_by_pyvrp(asked: Asked, found: Found) -> Solution:
    watch = Watch(asked.effort)
    model = Model(asked.problem)
    if tells_all(model):
        return Search(model, asked, watch, found).best()
    first = Search(model, asked, Watch(watch.until(FIRST_SHARE)), lambda _: None).best()
    return improved(asked.problem, first, watch.after(FIRST_SHARE), asked.seed, found)


class Search:
    def __init__(self, model: Model, asked: Asked, watch: Watch, found: Found) -> None:
        self.model, self.asked, self.watch, self.found = model, asked, watch, found
        known = inserted(model) if asked.incumbent is None else repaired(model, asked.incumbent, Random(asked.seed))
        self.known = known.solution
        self.placed = known.cost[0] == 0

    def best(self) -> Solution:
        if not self.model.entries:
            return self.known
        data = Data(self.model, self.placed)
        if self.model.problem.objective == "vehicles" and data.alike and self.all_required:
            return self.fewest()
        start = None if self.asked.incumbent is None else data.given(self.known)
        return self.run(data, self.watch.after(0), start)

    @property
    def all_required(self) -> bool:
        return self.placed and all(entry.penalty is None for entry in self.model.entries)

    def fewest(self) -> Solution:
        """A fleet that is one smaller for as long as a plan is found for it; then the shortest for that fleet."""
        best = self.known
        while (fleet := len(best.routes) - 1) > 0 and not self.watch.gone(FLEET_SHARE):
            fewer = self.run(Data(self.model, True, fleet), self.watch.until(FLEET_SHARE), None, first=True)
            if not self.complete(fewer):
                break
            best = fewer
            self.found(best)
        data = Data(self.model, True, len(best.routes))
        return self.run(data, self.watch.after(FLEET_SHARE), data.given(best))

    def complete(self, solution: Solution) -> bool:
        model = self.model
        at = {vehicle.id: number for number, vehicle in enumerate(model.vehicles)}
        routes = [(at[route.vehicle], [model.node_of[visit] for visit in route.visits]) for route in solution.routes]
        return sum(len(nodes) for _, nodes in routes) == len(model.visits) and all(
            model.fits(vehicle, nodes) for vehicle, nodes in routes
        )

    def run(self, data: Data, effort: Effort, start: pyvrp.Solution | None, first: bool = False) -> Solution:
        """`first`: stop at the first plan that can be driven."""
        stop = MaxRuntime(effort.seconds or 0) if effort.iterations is None else MaxIterations(effort.iterations)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a rule is hard to keep: the checker says whether it is kept
            result = pyvrp.solve(
                data.data,
                MultipleCriteria([FirstFeasible(), stop]) if first else stop,
                seed=self.asked.seed,
                collect_stats=False,
                params=params(None if first else lambda best: self.found(data.answered(best))),
                initial_solution=start,
            )
        return data.answered(result.best)


class Telling(pyvrp.IteratedLocalSearchCallbacks):
    """Tells of each plan that is better and can be driven."""

    def __init__(self, told: Callable[[pyvrp.Solution], None]) -> None:
        self.told = told

    def on_best(self, best: pyvrp.Solution) -> None:
        if best.is_feasible():
            self.told(best)


def params(told: Callable[[pyvrp.Solution], None] | None) -> pyvrp.SolveParams:
    if told is None:
        return pyvrp.SolveParams()
    return pyvrp.SolveParams(ils=pyvrp.IteratedLocalSearchParams(callbacks=Telling(told)))
