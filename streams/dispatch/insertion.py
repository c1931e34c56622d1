"""Where on riders' itineraries the stops of a task fit best: each place is tried, and what it would cost is told."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

import msgspec
import numpy as np

from schemas.dispatch_rules import DispatchRules
from schemas.itinerary import Placed
from schemas.load import Overload
from schemas.tender import Exclusion, ScoreParts
from schemas.vehicle_fitness import VehicleFitness, overloads
from streams.dispatch.board import Board, board_with, room_of
from streams.dispatch.fitting import CODES, FITS, PARTS, Fitted, Pairs, fitted
from streams.dispatch.known import Ahead, KnownRider
from streams.dispatch.orders import orders_of, peak_of, placed
from streams.dispatch.question import Ways

NO_ROOM = -1, -1, -1
"""Of a vehicle that there is not."""
MOST_POINTS = 1_000
"""Of riders who are looked at together: the ways between them are 8 MB, of which most are none."""


class Insertion(msgspec.Struct, frozen=True, kw_only=True):
    """The best place: what makes its score, and when all would be through."""

    score: float
    parts: ScoreParts
    placed: list[Placed]
    ends_at: datetime


class Looking(msgspec.Struct, frozen=True, kw_only=True):
    """A rider who is looked at closely."""

    rider: KnownRider
    fit: Sequence[VehicleFitness]
    """Vehicles that they may drive."""
    ways: Ways
    at_first: bool
    """They are at their first stop, which is not left undone."""

    @property
    def shape(self) -> tuple[int, int]:
        """How many stops are ahead of them, and of these how many stay first."""
        known = len(self.rider.itinerary)
        return known, 1 if known and (self.rider.locked or self.at_first) else 0


type Best = Insertion | Exclusion | Overload


def insertions(looking: Sequence[Looking], stops: Sequence[Ahead], rules: DispatchRules, now: datetime) -> list[Best]:
    """Of each rider the best place, or what keeps them from it."""
    found: list[Best | None] = [None] * len(looking)
    by_shape = sorted(range(len(looking)), key=lambda number: looking[number].shape)
    for shape, numbers in groupby(by_shape, key=lambda number: looking[number].shape):
        same = list(numbers)
        at_once = max(1, MOST_POINTS // (1 + shape[0] + len(stops)))
        for start in range(0, len(same), at_once):
            some = same[start : start + at_once]
            for number, best in zip(some, of_some([looking[n] for n in some], stops, rules, now), strict=True):
                found[number] = best
    return [best for best in found if best is not None]


def of_some(looking: Sequence[Looking], stops: Sequence[Ahead], rules: DispatchRules, now: datetime) -> list[Best]:
    """Of one shape."""
    board, (known, first) = board_among(looking, stops, rules, now), looking[0].shape
    numbers = np.arange(len(looking) * (known + len(stops))).reshape(len(looking), -1)
    rooms = [room_of(each.rider, each.fit) for each in looking]
    most = max(len(room) for room in rooms)
    pairs = Pairs(
        riders=np.arange(len(looking)),
        routes=numbers[:, :known],
        stops=numbers[:, known:],
        first=first,
        tasks_had=np.array([each.rider.tasks for each in looking], np.int64),
        room=np.array([[*room, *[NO_ROOM] * (most - len(room))] for room in rooms], np.int64),
    )
    told = fitted(board, pairs)
    return [best_of(each, number, told, board, stops, now) for number, each in enumerate(looking)]


def board_among(looking: Sequence[Looking], stops: Sequence[Ahead], rules: DispatchRules, now: datetime) -> Board:
    """Each rider has the task's stops to themselves: who asks twice may be told by others."""
    riders = len(looking)
    ahead = [stop for each in looking for stop in (*each.rider.itinerary, *stops)]
    each_has = len(ahead) // riders
    seconds, metres = np.full((2, riders + len(ahead), riders + len(ahead)), np.nan)
    for rider, each in enumerate(looking):
        own = [rider, *range(riders + rider * each_has, riders + (rider + 1) * each_has)]
        seconds[np.ix_(own, own)], metres[np.ix_(own, own)] = each.ways.grids()
    return board_with(
        rules,
        now,
        riders=[each.rider for each in looking],
        stops=ahead,
        routes=[],
        of_task=[],
        at_first_stop=[each.at_first for each in looking],
        seconds=seconds,
        metres=metres,
        too_far=np.zeros((0, riders), bool),
    )


def best_of(looking: Looking, number: int, told: Fitted, board: Board, stops: Sequence[Ahead], now: datetime) -> Best:
    known, first = looking.shape
    ahead = [*looking.rider.itinerary, *stops]
    order = orders_of(known, len(stops), first)[told.order[number]]
    if told.code[number] != FITS:
        code: Exclusion = CODES[told.code[number]]
        if code != "over_capacity":
            return code
        return overloads(peak_of(order, ahead), looking.rider.capacity_g, looking.fit)[0]
    parts = dict(zip(PARTS, told.parts[number].tolist(), strict=True))
    return Insertion(
        score=float(told.score[number]),
        parts=ScoreParts(
            travel_s=parts["travel"],
            detour_s=parts["detour"],
            lateness_s=parts["lateness"],
            tasks=looking.rider.tasks,
            cost=parts["cost"],
            rating_below_5=float(board.below_5[number]),
        ),
        placed=placed(order, ahead, known),
        ends_at=now + timedelta(seconds=round(float(told.ends[number]))),
    )
