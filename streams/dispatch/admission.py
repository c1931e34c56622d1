"""Who may be thought of for which task of a batch window: as `exclusion_of`, for all pairs at once."""

from collections.abc import Sequence

import msgspec
import numpy as np

from schemas.load import NOTHING
from schemas.vehicle_fitness import fit_for
from streams.dispatch.batch_question import BatchQuestion, work_for
from streams.dispatch.board import Board, Flags, Numbers, room_of, seconds_until
from streams.dispatch.candidates import SHIFT_MARGIN, Exclusions, Work, planned_until


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """Of each task (rows) and rider (columns) of the board."""

    may: Flags
    room: Numbers
    """Grams, cubic centimetres, parcels that each vehicle (third axis) holds which may be driven for it."""


def admitted(question: BatchQuestion, board: Board) -> Admission:
    works = [work_for(task, question) for task in question.tasks]
    easiest = Work(load=NOTHING, closes_at=question.decided_at)
    by_columns = ByColumns(question, board, works)
    may = np.zeros((len(works), len(board.riders)), bool)
    for_nothing = Exclusions(question.rules, easiest, frozenset(), board.now, question.of_vehicles)
    for_each = [
        Exclusions(question.rules, work, frozenset(task.declined), board.now, question.of_vehicles)
        for task, work in zip(question.tasks, works, strict=True)
    ]
    for number, rider in enumerate(board.riders):
        if for_nothing.of(rider) is None:
            plain = not (question.rules.required_documents or rider.vehicles)
            may[:, number] = by_columns.may(number) if plain else [each.of(rider) is None for each in for_each]
    return Admission(may=may & ~board.too_far, room=rooms(question, board, works, may))


class ByColumns:
    """Of riders of whom no paper and no vehicle counts: what hangs on the task is the shift, the load, what the task
    asks for and who has declined it."""

    def __init__(self, question: BatchQuestion, board: Board, works: Sequence[Work]) -> None:
        self._riders, self._works = board.riders, works
        margin_s, now = SHIFT_MARGIN.total_seconds(), question.decided_at
        self._soonest = np.array([max(margin_s, seconds_until(work.soonest, now)) for work in works])
        self._weight = np.array([work.load.weight_g for work in works], np.int64)
        self._ends_by = board.ends_by
        self._skilled = any(work.skills for work in works)
        self._declined: dict[str, list[int]] = {}
        for number, task in enumerate(question.tasks):
            for rider_id in task.declined:
                self._declined.setdefault(rider_id, []).append(number)

    def may(self, number: int) -> Flags:
        rider = self._riders[number]
        flags: Flags = (self._ends_by[number] >= self._soonest) & (self._weight <= rider.capacity_g)
        flags[self._declined.get(rider.rider_id, [])] = False
        if self._skilled:
            flags &= np.array([work.skills <= rider.skills for work in self._works])
        if rider.zones:
            flags &= np.array([not any(rider.zones.isdisjoint(holding) for holding in w.zones) for w in self._works])
        return flags


def rooms(question: BatchQuestion, board: Board, works: Sequence[Work], may: Flags) -> Numbers:
    """A vehicle that there is not holds less than nothing."""
    most = max((len(rider.vehicles) for rider in board.riders), default=0)
    room = np.full((len(works), len(board.riders), max(1, most), 3), -1, np.int64)
    for column, rider in enumerate(board.riders):
        if not rider.vehicles:
            room[:, column, 0] = room_of(rider, ())
            continue
        for row in np.flatnonzero(may[:, column]).tolist():
            assert rider.shift_ends_at is not None, "who may be thought of is at work"
            until = planned_until(rider.shift_ends_at, works[row], board.now)
            fit, _ = fit_for(rider.vehicles, question.of_vehicles, board.now, until)
            held = room_of(rider, fit)
            room[row, column, : len(held)] = held
    return room
