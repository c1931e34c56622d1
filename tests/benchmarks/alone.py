"""What plans are compared with: PyVRP and VROOM by themselves, as their own documentation plans with them."""

import warnings

import pyvrp
from pyvrp.stop import MaxRuntime

from streams.planning.model import Model
from streams.planning.problem import Solution
from streams.planning.pyvrp_data import Data
from streams.planning.solving import Asked, Found
from streams.planning.with_pyvrp import WithPyVRP
from streams.planning.with_vroom import WithVroom, vroomed

FLEET_SHARE = 0.3


class PyVRPAlone:
    """Where vehicles come first, by its own `minimise_fleet` before."""

    name = "PyVRP alone"
    version = WithPyVRP.version

    def solve(self, asked: Asked, found: Found) -> Solution:
        data = Data(Model(asked.problem), placed=True, fleet=len(asked.problem.vehicles))
        seconds = asked.effort.seconds or 0
        given = data.data
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if asked.problem.objective == "vehicles":
                fleet = pyvrp.minimise_fleet(given, MaxRuntime(FLEET_SHARE * seconds), seed=asked.seed)
                given = given.replace(vehicle_types=[fleet])
                seconds *= 1 - FLEET_SHARE
            result = pyvrp.solve(given, MaxRuntime(seconds), seed=asked.seed, collect_stats=False)
        return data.answered(result.best)


class VroomAlone:
    """At its most thorough, one thread, which may end before its time."""

    name = "pyvroom alone"
    version = WithVroom.version

    def solve(self, asked: Asked, found: Found) -> Solution:
        return vroomed(Model(asked.problem), asked.effort.seconds, exploration=5)
