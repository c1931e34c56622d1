"""The ways to drive when the stops of a task come among those that are there.

Their order among each other stays, and so does that of the stops that are there. What is tried is every place for tasks
of two stops; of tasks with so many that it would be too much all but the last stay together.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations_with_replacement, islice
from math import comb

import numpy as np
import numpy.typing as npt

from schemas.itinerary import Placed
from schemas.load import Load, peak_load
from streams.dispatch.known import Ahead

MOST_ORDERS = 2_000
KEPT_SHAPES = 512

type Orders = npt.NDArray[np.int64]
"""One a row: 0 is where the rider is, then come the stops of the itinerary, then those of the task."""


@lru_cache(KEPT_SHAPES)
def orders_of(known: int, new: int, first: int) -> Orders:
    """All ways to put `new` stops among `known` ones, none of them before `first` of those; the later, the earlier in
    the list, so that of equal ones what disturbs the least comes first."""
    gaps = range(known, first - 1, -1)
    if comb(len(gaps) + new - 1, new) <= MOST_ORDERS:
        places = [tuple(reversed(each)) for each in combinations_with_replacement(gaps, new)]
    else:
        two = ((early,) * (new - 1) + (late,) for late in gaps for early in range(late, first - 1, -1))
        places = list(islice(two, MOST_ORDERS))
    return np.array([merged(known, place) for place in places], np.int64).reshape(-1, 1 + known + new)


def merged(known: int, places: Sequence[int]) -> list[int]:
    """`places`: behind how many of the known ones each of the new ones comes."""
    order = [0]
    for place in range(known + 1):
        if place:
            order.append(place)
        order += [known + 1 + each for each, at in enumerate(places) if at == place]
    return order


def peak_of(order: npt.NDArray[np.int64], ahead: Sequence[Ahead]) -> Load:
    return peak_load(ahead[number - 1].load for number in order[1:])


def placed(order: npt.NDArray[np.int64], ahead: Sequence[Ahead], known: int) -> list[Placed]:
    """Each of the task's stops behind what comes before it; empty where all go to the end."""
    numbers = [int(number) for number in order]
    if numbers == list(range(len(numbers))):
        return []
    found = []
    for index, number in enumerate(numbers[1:], start=1):
        if number > known:
            previous = numbers[index - 1]
            behind = None if previous == 0 else ahead[previous - 1].ref
            found.append(Placed(stop_id=ahead[number - 1].stop_id, behind=behind))
    return found
