"""Which tasks of a window go well together: near pickups at about the same time, and less driving than one by one.

Pairs are taken by what they save, as in Clarke and Wright 1964; further ones join where they go with each of those that
are there. What no rider could carry at once stays apart.
"""

from collections.abc import Sequence

import numpy as np

from schemas.batch_rules import BatchRules
from streams.dispatch.board import Board, Flags, Numbers
from streams.routing.measured import Grid

type Bundle = tuple[int, ...]
"""Tasks by number."""


def bundles_of(board: Board, batch: BatchRules, tasks: Sequence[int], most_g: int) -> list[Bundle]:
    """All of the tasks, those that nothing goes with alone. `most_g` is what a rider carries at most."""
    if batch.max_bundle == 1 or not tasks:
        return [(task,) for task in tasks]
    numbers = np.array(tasks)
    saved = savings(board, batch, numbers)
    rows, columns = np.nonzero(np.triu(saved > 0, 1))
    order = np.lexsort((columns, rows, -saved[rows, columns]))
    grams = [int(np.max(np.cumsum(board.loads[list(board.of_task[task]), 0]))) for task in tasks]
    members: dict[int, list[int]] = {row: [row] for row in range(len(tasks))}
    home = list(range(len(tasks)))
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        a, b = members.get(home[row], []), members.get(home[column], [])
        if home[row] == home[column] or len(a) + len(b) > batch.max_bundle:
            continue
        if sum(grams[each] for each in (*a, *b)) > most_g or not saves_all(saved, a, b):
            continue
        del members[home[column]]
        a += b
        for each in b:
            home[each] = home[row]
    return [tuple(tasks[each] for each in sorted(group)) for _, group in sorted(members.items())]


def saves_all(saved: Grid, a: Sequence[int], b: Sequence[int]) -> bool:
    return bool((saved[np.ix_(a, b)] > 0).all())


def savings(board: Board, batch: BatchRules, tasks: Numbers) -> Grid:
    """Seconds of driving that any two save: both at once beside one after the other. Nothing where they do not go
    together."""
    riders = len(board.riders)
    first = np.array([board.of_task[task][0] for task in tasks])
    last = np.array([board.of_task[task][-1] for task in tasks])
    with np.errstate(invalid="ignore"):
        between = board.seconds[np.ix_(first + riders, first + riders)]
        ends = board.seconds[np.ix_(last + riders, last + riders)]
        across = board.seconds[np.ix_(first + riders, last + riders)]
        back = board.seconds[np.ix_(last + riders, first + riders)]
        alone = np.diagonal(across)
        apart = alone[:, None] + alone[None, :] + np.minimum(back, back.T)
        by_row = between + np.minimum(across.T + ends, alone[None, :] + ends.T)
        saved = apart - np.minimum(by_row, by_row.T)
    together = are_together(board, batch, first, between)
    return np.where(together & np.isfinite(saved), saved, 0.0)


def are_together(board: Board, batch: BatchRules, first: Numbers, between: Grid) -> Flags:
    opens = np.maximum(0.0, board.opens[first])
    at_once = np.abs(opens[:, None] - opens[None, :]) <= batch.bundle_ready_seconds
    near: Flags = np.minimum(between, between.T) <= batch.bundle_pickups_seconds
    pickups = board.pickup[first]
    return near & at_once & pickups[:, None] & pickups[None, :]
