"""PyVRP: iterated local search, told what it can be told; what it cannot, our own search adds from its plan on."""

import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from random import Random

import pyvrp
from pyvrp.stop import FirstFeasible, MaxIterations, MultipleCriteria

from streams.planning.effort import Effort, Watch
from streams.planning.improvement import improved, repaired
from streams.planning.insertion import begun, has_spot, inserted
from streams.planning.model import Model
from streams.planning.problem import Solution
from streams.planning.pyvrp_data import Data
from streams.planning.solving import Asked, Found

FIRST_SHARE = 0.4
"""Of the effort, where our own search follows."""
LARGE = 250
"""With more visits than that it begins from a plan that can be driven: by itself it may find none in time."""
RESTART_AFTER = 4_000
"""Iterations without a better plan, where vehicles come first: Solomon's RC201 with 4 then gets to 1406.94 in 12,000 of
them, where by PyVRP's own 150,000 it stays at 1413.52."""
FLEET_SHARE = 0.3
"""Of PyVRP's, for trying one vehicle less, as often as that succeeds."""


class WithPyVRP:
    name = "pyvrp"
    version = f"pyvrp {version('pyvrp')}"

    def solve(self, asked: Asked, found: Found) -> Solution:
        return planned_by_pyvrp(asked, found)


def tells_all(model: Model) -> bool:
    """Whether PyVRP can be told everything. That few vehicles come before a short way it can, where all are alike."""
    if model.problem.objective == "vehicles" and len({vehicle.like for vehicle in model.vehicles}) > 1:
        return False
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
        nothing = begun(model)
        self.hopeless = [entry for entry in known.pending if not has_spot(nothing, entry)]
        self.placed = all(entry.penalty is not None or entry in self.hopeless for entry in known.pending)

    def best(self) -> Solution:
        if len(self.hopeless) == len(self.model.entries):
            return self.known
        data = self.data()
        if self.model.problem.objective == "vehicles" and data.alike and self.all_required and not self.large:
            return self.fewest()
        start = data.given(self.known) if self.asked.incumbent is not None or self.large else None
        return self.run(data, self.watch.after(0), start)

    def data(self, fleet: int | None = None) -> Data:
        return Data(self.model, self.placed, fleet, self.hopeless)

    @property
    def large(self) -> bool:
        return len(self.model.visits) > LARGE

    @property
    def all_required(self) -> bool:
        return self.placed and all(entry.penalty is None for entry in self.model.entries)

    def fewest(self) -> Solution:
        """A fleet that is one smaller for as long as a plan is found for it; then the shortest for that fleet.

        Without an incumbent of so few that begins anew: a plan that only just fits so few is far from a short one.
        """
        best = self.known
        while (fleet := len(best.routes) - 1) > 0 and not self.watch.gone(FLEET_SHARE):
            fewer = self.run(self.data(fleet), self.watch.until(FLEET_SHARE), None, first=True)
            if not self.complete(fewer):
                break
            best = fewer
            self.found(best)
        data = self.data(len(best.routes))
        if self.asked.incumbent is not None and best is self.known:
            return self.run(data, self.watch.after(FLEET_SHARE), data.given(best))
        shortest = self.run(data, self.watch.after(FLEET_SHARE), None)
        return shortest if self.complete(shortest) else best

    def complete(self, solution: Solution) -> bool:
        model = self.model
        at = {vehicle.id: number for number, vehicle in enumerate(model.vehicles)}
        routes = [(at[route.vehicle], [model.node_of[visit] for visit in route.visits]) for route in solution.routes]
        visits = len(model.visits) - sum(len(entry.nodes) for entry in self.hopeless)
        return sum(len(nodes) for _, nodes in routes) == visits and all(
            model.fits(vehicle, nodes) for vehicle, nodes in routes
        )

    def params(self, data: Data, first: bool) -> pyvrp.SolveParams:
        settings = pyvrp.IteratedLocalSearchParams()
        if not first:
            settings.callbacks = Telling(lambda best: self.found(data.answered(best)))
        if self.model.problem.objective == "vehicles":
            settings.num_iters_no_improvement = RESTART_AFTER
        return pyvrp.SolveParams(ils=settings)

    def run(self, data: Data, effort: Effort, start: pyvrp.Solution | None, first: bool = False) -> Solution:
        """`first`: stop at the first plan that can be driven."""
        stop = (
            Until(time.monotonic() + (effort.seconds or 0))
            if effort.iterations is None
            else MaxIterations(effort.iterations)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a rule is hard to keep: the checker says whether it is kept
            result = pyvrp.solve(
                data.data,
                MultipleCriteria([FirstFeasible(), stop]) if first else stop,
                seed=self.asked.seed,
                collect_stats=False,
                params=self.params(data, first),
                initial_solution=start,
            )
        return data.answered(result.best)


class Until:
    """On the monotonic clock, what PyVRP prepares before it begins counted too."""

    def __init__(self, deadline_s: float) -> None:
        self.deadline_s = deadline_s

    def __call__(self, best_cost: float) -> bool:
        return time.monotonic() >= self.deadline_s


class Telling(pyvrp.IteratedLocalSearchCallbacks):
    """Tells of each plan that is better and can be driven."""

    def __init__(self, told: Callable[[pyvrp.Solution], None]) -> None:
        self.told = told

    def on_best(self, best: pyvrp.Solution) -> None:
        if best.is_feasible():
            self.told(best)
