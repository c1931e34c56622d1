"""Of each task that waits and each rider the best place, as itineraries grow."""

from collections.abc import Iterable, Sequence
from copy import copy

import msgspec
import numpy as np

from streams.dispatch.admission import Admission
from streams.dispatch.board import Board, Flags, Numbers
from streams.dispatch.fitting import FITS, NUMBER, PARTS, Fitted, Pairs, fitted
from streams.dispatch.orders import orders_of

type Route = tuple[int, ...]


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A task on a rider's way. `order` is a row of `orders_of`, for what was ahead before."""

    task: int
    score: float
    order: int
    parts: tuple[float, ...]
    had: int
    """Tasks that the rider had."""
    route: Route
    """What was ahead before."""
    ends_s: float


class Table:
    """As things stand: a copy goes its own way."""

    def __init__(self, board: Board, admission: Admission, max_tasks: int, nearest: int | None) -> None:
        """Of each task so many riders are looked at, all where that is None."""
        self._board, self._admission, self._max_tasks = board, admission, max_tasks
        self.routes: list[Route] = [tuple(route) for route in board.routes]
        self.had = np.array([rider.tasks for rider in board.riders], np.int64)
        shape = len(board.of_task), len(board.riders)
        self.score = np.full(shape, np.inf)
        self.order = np.zeros(shape, np.int64)
        self.code = np.where(board.too_far, NUMBER["too_far"], NUMBER["too_many_tasks"]).astype(np.int64)
        self.parts = np.zeros((*shape, len(PARTS)))
        self.ends = np.zeros(shape)
        self.looked = nearest_riders(board, admission, nearest)
        self._new = np.array([len(stops) for stops in board.of_task], np.int64)

    def copy(self) -> "Table":
        other = copy(self)
        other.routes = list(self.routes)
        for name in ("had", "score", "order", "code", "parts", "ends", "looked"):
            setattr(other, name, getattr(self, name).copy())
        return other

    def fit(self, tasks: Iterable[int], riders: Iterable[int]) -> None:
        """Told anew for all of these."""
        rows, columns = np.array(sorted(tasks), np.int64), np.array(sorted(riders), np.int64)
        full = self.had[columns] >= self._max_tasks
        self.score[np.ix_(rows, columns[full])] = np.inf
        self.code[np.ix_(rows, columns[full])] = NUMBER["too_many_tasks"]
        free = columns[~full]
        wanted = (self._admission.may & self.looked)[np.ix_(rows, free)]
        at = np.nonzero(wanted)
        where = rows[at[0]], free[at[1]]
        told = self.fitted(*where, [self.routes[rider] for rider in free.tolist()], at[1])
        self.score[where], self.order[where], self.code[where] = told.score, told.order, told.code
        self.parts[where], self.ends[where] = told.parts, told.ends

    def widen(self, tasks: Sequence[int]) -> bool:
        """Looks at all riders for these. False where that was so already."""
        if self.looked[tasks].all():
            return False
        self.looked[tasks] = True
        self.fit(tasks, range(len(self.routes)))
        return True

    def fitted(self, tasks: Numbers, riders: Numbers, routes: Sequence[Route], route: Numbers, more: int = 0) -> Fitted:
        """Of each pair, on the one of the ways that `route` names; the rider has `more` tasks than is known."""
        size = len(tasks)
        found = Fitted(
            score=np.full(size, np.inf),
            order=np.zeros(size, np.int64),
            code=np.full(size, FITS),
            parts=np.zeros((size, len(PARTS))),
            ends=np.zeros(size),
        )
        lengths = np.array([len(each) for each in routes], np.int64)
        longest = int(lengths.max(initial=0))
        padded = np.array([(*each, *[-1] * (longest - len(each))) for each in routes], np.int64)
        shapes = np.stack([lengths[route], self._new[tasks], self._board.first[riders]], axis=1)
        for known, new, stays in np.unique(shapes, axis=0).tolist():
            rows = np.flatnonzero((shapes == (known, new, stays)).all(axis=1))
            pairs = Pairs(
                riders=riders[rows],
                routes=padded[route[rows], :known],
                stops=self._stops(tasks[rows], new),
                first=stays,
                tasks_had=self.had[riders[rows]] + more,
                room=self._admission.room[tasks[rows], riders[rows]],
            )
            told = fitted(self._board, pairs)
            for name in Fitted.__struct_fields__:
                getattr(found, name)[rows] = getattr(told, name)
        return found

    def _stops(self, tasks: Numbers, new: int) -> Numbers:
        """Those of a task have numbers that follow each other."""
        firsts = np.array([stops[0] for stops in self._board.of_task], np.int64)
        found: Numbers = firsts[tasks][:, None] + np.arange(new)
        return found

    def slot(self, task: int, rider: int) -> Slot:
        at = task, rider
        return Slot(
            task=task,
            score=float(self.score[at]),
            order=int(self.order[at]),
            parts=tuple(self.parts[at].tolist()),
            had=int(self.had[rider]),
            route=self.routes[rider],
            ends_s=float(self.ends[at]),
        )

    def give(self, rider: int, slots: Sequence[Slot]) -> None:
        last = slots[-1]
        self.routes[rider] = self.joined(last.route, last.task, rider, last.order)
        self.had[rider] += len(slots)

    def joined(self, route: Route, task: int, rider: int, order: int) -> Route:
        stops = self._board.of_task[task]
        ahead = (*route, *stops)
        numbers = orders_of(len(route), len(stops), int(self._board.first[rider]))[order].tolist()
        return tuple(ahead[number - 1] for number in numbers[1:])


def nearest_riders(board: Board, admission: Admission, nearest: int | None) -> Flags:
    """Of each task; nearness is the way to its first stop from where a rider is or from any stop ahead of them."""
    shape = len(board.of_task), len(board.riders)
    if nearest is None or nearest >= shape[1]:
        return np.ones(shape, bool)
    firsts = np.array([stops[0] for stops in board.of_task], np.int64) + shape[1]
    near = np.stack(
        [
            board.seconds[[number, *(stop + shape[1] for stop in route)]][:, firsts].min(axis=0)
            for number, route in enumerate(board.routes)
        ],
        axis=1,
    )
    ranked = np.argsort(np.where(admission.may, near, np.inf), axis=1, kind="stable")
    found = np.zeros(shape, bool)
    np.put_along_axis(found, ranked[:, :nearest], True, axis=1)
    return found
