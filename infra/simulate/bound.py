"""At most so many orders can be delivered, whoever decides: a linear program that knows less than any dispatcher must.

It asks only for working time. What an order needs at least is both stops' service and, for each of them, the shortest
way to it from anywhere that a rider may come from: the place of any other stop, or where a rider begins. Each stop is
driven to once, so that no plan drives less. Riders together have as much time in each slot as their shifts hold.

It relaxes: which rider does it, in what order, where riders are, who carries what, that work is done in one piece and
by one rider, and that orders are whole. Work may begin as much before an order is known as its shortest way takes, for
who is on the way to elsewhere may turn; where the router knows no way it is flown, as riders do to places off its map.
All of this allows more, never less.
"""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, vstack

from infra.simulate.day import stops_of
from infra.simulate.riding import TENANT
from infra.simulate.world import Day, Order
from streams.dispatch.ways import Router
from streams.routing.great_circle import straight_matrix
from streams.routing.measured import Grid

SLOT_S = 600
MOST_ORDERS = 1_500
"""More are not bounded: their ways would be a table of 9 million."""

type Span = tuple[float, float]


class Need(msgspec.Struct, frozen=True):
    """The least work of an order, and when it may be done."""

    seconds: float
    span: Span


async def most_deliverable(day: Day, router: Router, late_s: float | None) -> float | None:
    """Orders; None where there are too many. `late_s` is by how much a door may be late, None for as much as may be."""
    if len(day.orders) > MOST_ORDERS:
        return None
    places = [place for order in day.orders for place in (order.pickup, order.dropoff)]
    starts = [rider.start for rider in day.riders]
    told = await router.matrix(TENANT, [*starts, *places], places)
    by_air = straight_matrix([*starts, *places], places).seconds
    shortest = shortest_to(np.where(np.isnan(told.seconds), by_air, told.seconds), len(starts))
    shifts = [(rider.from_s, rider.until_s) for rider in day.riders]
    needs = [
        need_of(order, float(shortest[2 * number]), float(shortest[2 * number + 1]), late_s)
        for number, order in enumerate(day.orders)
    ]
    return solved(needs, shifts)


def shortest_to(seconds: Grid, starts: int) -> Grid:
    """To each place from any but itself."""
    grid = seconds.copy()
    places = np.arange(grid.shape[1])
    grid[places + starts, places] = np.inf
    found: Grid = grid.min(axis=0)
    return found


def need_of(order: Order, to_pickup_s: float, to_door_s: float, late_s: float | None) -> Need:
    pickup, door = stops_of(order)
    work_s = to_pickup_s + to_door_s + pickup.service_seconds + door.service_seconds
    ends_s = np.inf if order.closes_s is None or late_s is None else order.closes_s + late_s + door.service_seconds
    return Need(work_s, (order.created_s - to_pickup_s, ends_s))


def solved(needs: Sequence[Need], shifts: Sequence[Span]) -> float:
    """The largest sum of shares of orders such that the work of each fits into its span, and all of it into the time
    that riders have, slot by slot."""
    first_s = min(start for start, _ in shifts) // SLOT_S * SLOT_S
    edges = np.arange(first_s, max(end for _, end in shifts) + SLOT_S, SLOT_S)
    room = np.array([sum(overlap(shift, slot) for shift in shifts) for slot in pairwise(edges.tolist())])
    at = [
        (number, slot)
        for number, need in enumerate(needs)
        for slot, edge in enumerate(edges[:-1].tolist())
        if overlap(need.span, (edge, edge + SLOT_S)) > 0
    ]
    if not at:
        return float(sum(need.seconds <= 0 for need in needs))
    orders, slots = np.array(at).T
    work_s = np.array([max(1.0, need.seconds) for need in needs])
    columns = np.arange(len(at))
    share = coo_array((1 / work_s[orders], (orders, columns)), shape=(len(needs), len(at)))
    used = coo_array((np.ones(len(at)), (slots, columns)), shape=(len(room), len(at)))
    limits = np.concatenate([np.ones(len(needs)), room])
    found = linprog(-1 / work_s[orders], A_ub=vstack([share, used]).tocsr(), b_ub=limits, method="highs")
    assert found.status == 0, "doing nothing is always possible"
    return float(-found.fun)


def overlap(a: Span, b: Span) -> float:
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
