"""VROOM: fast constructive search. From its plan on, PyVRP goes on where it can be told all, else our own search.

VROOM leaves out what it cannot place, by priority. It knows breaks; ride limits and penalties it cannot be told.
"""

import warnings
from collections.abc import Mapping
from datetime import timedelta
from importlib.metadata import version
from random import Random

import numpy as np
import vroom

from streams.planning.effort import Watch
from streams.planning.improvement import improved, repaired
from streams.planning.model import Entry, Model
from streams.planning.problem import Solution
from streams.planning.pyvrp_data import dearest
from streams.planning.solving import Asked, Found
from streams.planning.with_pyvrp import Search, tells_all

VROOM_SHARE = 0.3
EXPLORATIONS = ((150, 5), (300, 3), (600, 1), (10_000, 0))
"""Up to so many nodes, so thoroughly: its timeout is not always kept, and level 5 takes 3 to 13 s for 100."""
MUST, MAY = 100, 0
"""Priorities."""
UINT32_MAX = 2**32 - 1
COST_WAYS = 4
"""To a stop and from it, and as much again for what vehicles cost by themselves."""


class WithVroom:
    name = "vroom"
    version = f"pyvroom {version('pyvroom')}, pyvrp {version('pyvrp')}"

    def solve(self, asked: Asked, found: Found) -> Solution:
        return planned_by_vroom(asked, found)


def planned_by_vroom(asked: Asked, found: Found) -> Solution:
    watch = Watch(asked.effort)
    model = Model(asked.problem)
    begins = repaired(model, vroomed(model, watch.until(VROOM_SHARE).seconds), Random(asked.seed)).solution
    found(begins)
    if not tells_all(model):
        return improved(asked.problem, begins, watch.after(VROOM_SHARE), asked.seed, found)
    rest = watch.after(VROOM_SHARE)
    onward = Asked(problem=asked.problem, effort=rest, seed=asked.seed + 1, incumbent=begins)
    return Search(model, onward, Watch(rest), found).best()


def vroomed(model: Model, seconds: float | None, exploration: int | None = None) -> Solution:
    """Its plan, of which the checker knows whether it can be driven. Without seconds it repeats exactly."""
    asked = vroom.Input()
    asked.set_durations_matrix("car", np.array(model.seconds, dtype=np.uint32))
    shrunk = shrunk_by(model)
    asked.set_costs_matrix("car", np.array(model.leg, dtype=np.uint32) // shrunk)
    skills = {allowed: at for at, allowed in enumerate(dict.fromkeys(entry.allowed for entry in model.entries))}
    for entry in model.entries:
        asked.add_job(job(model, entry, {skills[entry.allowed]}))
    for vehicle in range(len(model.vehicles)):
        asked.add_vehicle(driver(model, vehicle, shrunk, {at for allowed, at in skills.items() if vehicle in allowed}))
    if not model.entries:
        return model.solution([vehicle.prefix for vehicle in model.vehicles])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level = next(level for most, level in EXPLORATIONS if len(model.visits) <= most)
        answer = asked.solve(
            level if exploration is None else exploration,
            nb_threads=1,
            timeout=None if seconds is None else timedelta(seconds=seconds),
        )
        return model.solution(routes_of(model, answer.routes.to_dict("list")))


def shrunk_by(model: Model) -> int:
    """VROOM refuses costs of which the dearest of each stop and vehicle add up to 2^32."""
    dearest_legs = [max(row, default=0) for row in model.leg]
    most = sum(dearest_legs[place] for place in model.place) + len(model.vehicles) * max(dearest_legs, default=0)
    return 1 + COST_WAYS * most // UINT32_MAX


def job(model: Model, entry: Entry, skills: set[int]) -> vroom.Job | vroom.Shipment:
    priority = MUST if entry.penalty is None else MAY
    steps = [
        {
            "id": node,
            "location": model.place[node],
            "default_service": model.service[node],
            "time_windows": [vroom.TimeWindow(model.begin[node], model.until[node])],
        }
        for node in entry.nodes
    ]
    if len(steps) == 1:
        amount = [-each for each in model.adds[entry.nodes[0]]]
        return vroom.Job(**steps[0], delivery=vroom.Amount(amount), skills=skills, priority=priority)
    return vroom.Shipment(
        vroom.ShipmentStep(**steps[0]),
        vroom.ShipmentStep(**steps[1]),
        amount=vroom.Amount(list(model.adds[entry.nodes[0]])),
        skills=skills,
        priority=priority,
    )


def driver(model: Model, vehicle: int, shrunk: int, skills: set[int]) -> vroom.Vehicle:
    who, ready = model.vehicles[vehicle], model.underway(vehicle)
    pause = ready.pause
    first = model.problem.objective == "vehicles" and not who.prefix
    return vroom.Vehicle(
        vehicle,
        start=ready.place,
        end=who.end,
        capacity=list(who.capacity),
        skills=skills,
        time_window=vroom.TimeWindow(ready.from_s, max(ready.from_s, who.until_s)),
        costs=vroom.VehicleCosts(
            fixed=min(dearest(model) // shrunk, UINT32_MAX // (COST_WAYS * len(model.vehicles))) if first else 0
        ),
        breaks=[]
        if pause is None
        else [
            vroom.Break(
                vehicle,
                time_windows=[vroom.TimeWindow(pause.window.from_s, pause.window.until_s)],
                service=pause.seconds,
            )
        ],
    )


def routes_of(model: Model, steps: Mapping[str, list[object]]) -> list[list[int]]:
    routes = [list(vehicle.prefix) for vehicle in model.vehicles]
    for vehicle, kind, node in zip(steps["vehicle_id"], steps["type"], steps["id"], strict=True):
        if kind in ("job", "pickup", "delivery"):
            routes[int(str(vehicle))].append(int(str(node)))
    return routes
