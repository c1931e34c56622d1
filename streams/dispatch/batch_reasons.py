"""Of each task of a batch window: who could do it, and who could not and why. Told from the tables of the decision.

Of a task that is given this is as if nothing else were; of one that is left as riders are once all else is given.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec
import numpy as np

from schemas.dispatch_window import Given, GivenTask
from schemas.load import NOTHING, Overload
from schemas.message import TaskId
from schemas.tender import Candidate, Excluded, Exclusion, Others
from streams.dispatch.batch import Divided, ends_at, placed_of, score_parts
from streams.dispatch.batch_question import BatchAnswer, BatchQuestion, work_for
from streams.dispatch.candidates import Exclusions, Work, excluded_for
from streams.dispatch.fitting import CODES, FITS
from streams.dispatch.known import KnownRider
from streams.dispatch.straight import INT32
from streams.dispatch.table import Table

MOST_TOLD = 10
"""Candidates with all parts of their scores, and who it is given to."""
NAMED_IN_ALL = 100_000
"""Of all tasks together, so many who are shut out are named, and as many who come behind; of the rest only how many."""
LEAST_NAMED = 20
"""Of each task, however many there are."""


class Reasons(msgspec.Struct, frozen=True, kw_only=True):
    candidates: list[Candidate] = []
    others: Others = Others()
    excluded: list[Excluded] = []
    more_excluded: dict[str, int] = {}


def reasons(question: BatchQuestion, known: Divided, answer: BatchAnswer, source: str) -> dict[TaskId, Reasons]:
    """`source` told the ways."""
    given = {task.task_id: (each, task) for each in answer.given for task in each.tasks}
    telling = Telling(question, known, source)
    return {task.task_id: telling.of(number, given.get(task.task_id)) for number, task in enumerate(question.tasks)}


class Telling:
    def __init__(self, question: BatchQuestion, known: Divided, source: str) -> None:
        self._question, self._known, self._source = question, known, source
        self._each = max(LEAST_NAMED, NAMED_IN_ALL // max(1, len(question.tasks)))
        easiest = Work(load=NOTHING, closes_at=question.decided_at)
        for_nothing = self._exclusions(easiest, frozenset())
        self._shut_out: list[Exclusion | None] = [weightless(for_nothing.of(rider)) for rider in question.riders]
        shape = len(known.board.riders), len(question.tasks)
        self._metres = np.frombuffer(question.to_first, INT32).reshape(shape)

    def of(self, task: int, given: tuple[Given, GivenTask] | None) -> Reasons:
        table = self._known.plan.table if given is None else self._known.first
        winner = None if given is None else given[0].rider_id
        able: list[int] = []
        excluded: list[Excluded] = []
        more: Counter[str] = Counter()
        not_looked_at = self._question.passed_over
        for rider, column, why in self._judged(task, table):
            if rider.rider_id == winner or why == "able":
                able.append(column)
            elif why == "not_looked_at":
                not_looked_at += 1
            elif len(excluded) < self._each:
                excluded.append(why)
            else:
                more[why.code] += 1
        candidates, others = self._ranked(task, table, able, given)
        named = Others(
            rider_ids=others.rider_ids[: self._each],
            scores=others.scores[: self._each],
            more=not_looked_at + len(others.rider_ids[self._each :]),
        )
        return Reasons(candidates=candidates, others=named, excluded=excluded, more_excluded=dict(sorted(more.items())))

    def _judged(
        self, task: int, table: Table
    ) -> Iterable[tuple[KnownRider, int, Excluded | Literal["able", "not_looked_at"]]]:
        column = -1
        may, waiting = self._known.admission.may[task].tolist(), self._question.tasks[task]
        codes, looked = table.code[task].tolist(), table.looked[task].tolist()
        for_the_task = self._exclusions(work_for(waiting, self._question), frozenset(waiting.declined))
        for rider, shut_out in zip(self._question.riders, self._shut_out, strict=True):
            column += rider.placed
            if shut_out is not None:
                yield rider, column, excluded_for(rider.rider_id, shut_out)
            elif not may[column]:
                why = for_the_task.of(rider)
                yield rider, column, excluded_for(rider.rider_id, "too_far" if why is None else why)
            elif codes[column] == FITS and looked[column]:
                yield rider, column, "able"
            elif looked[column] or CODES[codes[column]] != "too_many_tasks" or self._is_full(table, column):
                yield rider, column, Excluded(rider_id=rider.rider_id, code=CODES[codes[column]])
            else:
                yield rider, column, "not_looked_at"

    def _is_full(self, table: Table, column: int) -> bool:
        return bool(table.had[column] >= self._question.rules.max_active_tasks)

    def _exclusions(self, work: Work, declined: frozenset[str]) -> Exclusions:
        question = self._question
        return Exclusions(question.rules, work, declined, question.decided_at, question.of_vehicles)

    def _ranked(
        self, task: int, table: Table, able: list[int], given: tuple[Given, GivenTask] | None
    ) -> tuple[list[Candidate], Others]:
        riders = self._known.board.riders
        scores = {column: float(table.score[task, column]) for column in able}
        if given is not None:
            [winner] = [column for column in able if riders[column].rider_id == given[0].rider_id]
            scores[winner] = given[1].score
        ranked = sorted(able, key=lambda column: (scores[column], riders[column].rider_id))
        candidates, others = [], Others()
        for rank, column in enumerate(ranked, start=1):
            rider_id = riders[column].rider_id
            if given is not None and rider_id == given[0].rider_id:
                candidates.append(self._winner(rank, task, column, *given))
            elif rank <= MOST_TOLD:
                candidates.append(self._candidate(rank, task, table, column))
            else:
                others.rider_ids.append(rider_id)
                others.scores.append(scores[column])
        return candidates, others

    def _winner(self, rank: int, task: int, column: int, given: Given, of_task: GivenTask) -> Candidate:
        return Candidate(
            rider_id=given.rider_id,
            rank=rank,
            travel_s=of_task.parts.travel_s,
            distance_m=float(self._metres[column, task]),
            source=self._source,
            score=of_task.score,
            parts=of_task.parts,
            placed=of_task.placed,
            ends_at=given.ends_at,
        )

    def _candidate(self, rank: int, task: int, table: Table, column: int) -> Candidate:
        board, slot = self._known.board, table.slot(task, column)
        parts = score_parts(board, column, slot)
        return Candidate(
            rider_id=board.riders[column].rider_id,
            rank=rank,
            travel_s=parts.travel_s,
            distance_m=float(self._metres[column, task]),
            source=self._source,
            score=slot.score,
            parts=parts,
            placed=placed_of(board, column, slot),
            ends_at=ends_at(board, slot),
        )


def weightless(why: Exclusion | Overload | None) -> Exclusion | None:
    assert not isinstance(why, Overload), "nothing weighs nothing"
    return why
