"""The batch window: all tasks that wait and all riders, and who gets what so that the sum of scores is the smallest.

Each rider gets a task or a bundle a round, by the rectangular assignment (Crouse 2016, as in SciPy); rounds follow
until nobody can take more. A task that is left counts by how long it has waited. Bundled and one by one are both
tried, in windows that are not too large also each task by itself in the order of waiting, and the best is kept.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import batched

import msgspec
import numpy as np
from msgspec.structs import replace
from scipy.optimize import linear_sum_assignment

from schemas.dispatch_window import Given, GivenTask, Left
from schemas.itinerary import Placed
from schemas.tender import LeftBecause, ScoreParts
from streams.dispatch.admission import Admission, admitted
from streams.dispatch.batch_question import (
    BatchAnswer,
    BatchQuestion,
    work_for,
)
from streams.dispatch.board import Board, Numbers, board_of
from streams.dispatch.bundles import Bundle, bundles_of
from streams.dispatch.candidates import Exclusions, code_of
from streams.dispatch.choice import step_of
from streams.dispatch.fitting import CODES, FITS
from streams.dispatch.known import KnownRider
from streams.dispatch.orders import orders_of, placed
from streams.dispatch.question import Ways
from streams.dispatch.table import Route, Slot, Table
from streams.routing.measured import Grid

SOLVER = "batch-1"
LOOKED_AT_FIRST = 128
"""Riders, the nearest to a task's first stop on any part of their way; all, where none of those takes it."""
LOOKED_AT_FOR_BUNDLES = 32
"""Riders who are tried for a bundle: those to whom its tasks one by one come cheapest."""
TRIED_ONE_BY_ONE = 10_000
"""Pairs of tasks and riders up to which it is also tried to give each task by itself, and every rider is looked at for
every task at once. Above that it takes too long, and what is given may sum up to more than one by one would
(docs/benchmarks.md)."""

type Taken = dict[int, list[Slot]]
"""Of each rider, in the order of giving."""


class Plan(msgspec.Struct, frozen=True):
    by: str
    taken: Taken
    left: list[int]
    total: float
    table: Table


class Divided(msgspec.Struct, frozen=True):
    """The best plan, and what it was chosen from: `first` is the table before anything was given."""

    board: Board
    admission: Admission
    first: Table
    plan: Plan


def assign(question: BatchQuestion, ways: Ways) -> BatchAnswer:
    return answer_of(question, divided(question, ways))


def divided(question: BatchQuestion, ways: Ways) -> Divided:
    """`ways` are between where each placed rider is, each stop ahead of them, rider by rider, and each task's."""
    board = board_of(question, ways)
    admission = admitted(question, board)
    small = len(question.tasks) * len(board.riders) <= TRIED_ONE_BY_ONE
    table = Table(board, admission, question.rules.max_active_tasks, None if small else LOOKED_AT_FIRST)
    tasks = range(len(question.tasks))
    table.fit(tasks, range(len(board.riders)))
    counts = left_out(question)
    plans = [plan(by, divide, table.copy(), counts) for by, divide in divisions(question, board)]
    return Divided(board, admission, table, min(plans, key=lambda each: each.total))


def answer_of(question: BatchQuestion, known: Divided) -> BatchAnswer:
    best = known.plan
    return BatchAnswer(
        given=[
            each for rider, slots in sorted(best.taken.items()) for each in given(known.board, rider, slots, question)
        ],
        left=whys(question, best),
        total=round(best.total, 3),
        by=best.by,
    )


def left_out(question: BatchQuestion) -> Grid:
    """What each task counts for where it is left."""
    batch, now = question.batch, question.decided_at
    waited = [max(0.0, (now - task.since).total_seconds()) for task in question.tasks]
    return batch.left_out + batch.left_out_per_second * np.array(waited)


type Division = Callable[[Table, Grid], Taken]


def divisions(question: BatchQuestion, board: Board) -> list[tuple[str, Division]]:
    most_g = max((rider.capacity_g for rider in board.riders), default=0)
    bundles = bundles_of(board, question.batch, range(len(question.tasks)), most_g)
    most = question.rules.max_active_tasks
    found: list[tuple[str, Division]] = [("one by one", in_single_rounds)]
    if len(bundles) < len(question.tasks):
        found.append(("bundles", lambda table, counts: in_rounds(table, counts, bundles, most)))
    if len(question.tasks) > 1 and len(question.tasks) * len(board.riders) <= TRIED_ONE_BY_ONE:
        order = sorted(range(len(question.tasks)), key=lambda task: (question.tasks[task].since, task))
        found.append(("in order of waiting", lambda table, counts: greedily(table, counts, order)))
    return found


def plan(by: str, divide: Division, table: Table, counts: Grid) -> Plan:
    taken = divide(table, counts)
    gone = {slot.task for slots in taken.values() for slot in slots}
    left = [task for task in range(len(counts)) if task not in gone]
    scores = sum(slot.score for _, slots in sorted(taken.items()) for slot in slots)
    return Plan(by, taken, left, scores + float(sum(counts[task] for task in left)), table)


def in_single_rounds(table: Table, counts: Grid) -> Taken:
    return in_rounds(table, counts, [(task,) for task in range(len(counts))], 1)


def in_rounds(table: Table, counts: Grid, items: Sequence[Bundle], max_tasks: int) -> Taken:
    taken: Taken = {}
    while items:
        scores, bundles = scores_of(table, items, max_tasks)
        penalties = np.array([sum(counts[task] for task in item) for item in items])
        found = assigned(scores, penalties)
        for item, rider in found:
            slots = bundles.get((item, rider)) or [table.slot(items[item][0], rider)]
            table.give(rider, slots)
            taken.setdefault(rider, []).extend(slots)
        gone = {item for item, _ in found}
        whole = all(len(item) == 1 for item in items)
        items = [(task,) for number, item in enumerate(items) if number not in gone for task in item]
        left = [task for (task,) in items]
        if not found and whole and not table.widen(left):
            break
        table.fit(left, {rider for _, rider in found})
    return taken


def scores_of(table: Table, items: Sequence[Bundle], max_tasks: int) -> tuple[Grid, dict[tuple[int, int], list[Slot]]]:
    """Of each item (rows) and rider (columns); and of each bundle the places of its tasks one after the other."""
    scores = np.full((len(items), table.score.shape[1]), np.inf)
    for number, item in enumerate(items):
        if len(item) == 1:
            scores[number] = table.score[item[0]]
    found = bundled_slots(table, [(number, item) for number, item in enumerate(items) if len(item) > 1], max_tasks)
    for (number, rider), slots in found.items():
        scores[number, rider] = sum(slot.score for slot in slots)
    return scores, found


def bundled_slots(
    table: Table, bundles: Sequence[tuple[int, Bundle]], max_tasks: int
) -> dict[tuple[int, int], list[Slot]]:
    slots = {
        (number, rider): [table.slot(item[0], rider)]
        for number, item in bundles
        for rider in cheapest(table, item)
        if table.had[rider] + len(item) <= max_tasks
    }
    items = dict(bundles)
    for depth in range(1, max((len(item) for _, item in bundles), default=1)):
        wanted = [at for at in slots if len(items[at[0]]) > depth]
        if wanted:
            put_next(table, slots, wanted, items, depth)
    return slots


def cheapest(table: Table, item: Bundle) -> list[int]:
    together = table.score[list(item)].sum(axis=0)
    ranked = np.argsort(together, kind="stable")[:LOOKED_AT_FOR_BUNDLES]
    found: list[int] = ranked[np.isfinite(together[ranked])].tolist()
    return found


def put_next(
    table: Table,
    slots: dict[tuple[int, int], list[Slot]],
    wanted: Sequence[tuple[int, int]],
    items: dict[int, Bundle],
    depth: int,
) -> None:
    """The task of that depth behind those that are there; where it does not fit, the pair goes."""
    tasks: Numbers = np.array([items[number][depth] for number, _ in wanted], np.int64)
    riders: Numbers = np.array([rider for _, rider in wanted], np.int64)
    routes: list[Route] = []
    for at in wanted:
        last = slots[at][-1]
        routes.append(table.joined(last.route, last.task, at[1], last.order))
    told = table.fitted(tasks, riders, routes, np.arange(len(routes)), more=depth)
    for index, at in enumerate(wanted):
        if told.code[index] != FITS:
            del slots[at]
            continue
        slots[at].append(
            Slot(
                task=int(tasks[index]),
                score=float(told.score[index]),
                order=int(told.order[index]),
                parts=tuple(told.parts[index].tolist()),
                had=int(table.had[at[1]]) + depth,
                route=routes[index],
                ends_s=float(told.ends[index]),
            )
        )


def assigned(scores: Grid, penalties: Grid) -> list[tuple[int, int]]:
    """Items and riders, such that scores and the penalties of those that are left sum up to the least."""
    cheap = np.flatnonzero((scores < penalties[:, None]).any(axis=0))
    if not len(cheap):
        return []
    gain = np.minimum(scores[:, cheap] - penalties[:, None], 0.0)
    rows, columns = linear_sum_assignment(gain)
    return [(int(row), int(cheap[column])) for row, column in zip(rows, columns, strict=True) if gain[row, column] < 0]


def greedily(table: Table, counts: Grid, order: Sequence[int]) -> Taken:
    taken: Taken = {}
    for index, task in enumerate(order):
        if not table.score.shape[1]:
            break
        rider = int(np.argmin(table.score[task]))
        if table.score[task, rider] >= counts[task]:
            continue
        slot = table.slot(task, rider)
        table.give(rider, [slot])
        taken.setdefault(rider, []).append(slot)
        table.fit(order[index + 1 :], [rider])
    return taken


def given(board: Board, rider: int, slots: Sequence[Slot], question: BatchQuestion) -> list[Given]:
    """By so many at once as the rules let go together."""
    return [
        Given(
            rider_id=board.riders[rider].rider_id,
            tasks=[given_task(board, rider, slot, question) for slot in some],
            placed=placed_of(board, rider, some[0]) if len(some) == 1 else placed_together(board, rider, some),
            ends_at=ends_at(board, slots[-1]),
            offer_seconds=step_of(question.rules, max(question.tasks[slot.task].round for slot in some)).seconds,
        )
        for some in batched(slots, question.batch.max_bundle, strict=False)
    ]


def given_task(board: Board, rider: int, slot: Slot, question: BatchQuestion) -> GivenTask:
    return GivenTask(
        task_id=question.tasks[slot.task].task_id,
        round=question.tasks[slot.task].round,
        score=slot.score,
        parts=score_parts(board, rider, slot),
        placed=placed_of(board, rider, slot),
    )


def ends_at(board: Board, slot: Slot) -> datetime:
    return board.now + timedelta(seconds=round(slot.ends_s))


def score_parts(board: Board, rider: int, slot: Slot) -> ScoreParts:
    travel_s, detour_s, lateness_s, cost = slot.parts
    below_5 = float(board.below_5[rider])
    return ScoreParts(
        travel_s=travel_s,
        detour_s=detour_s,
        lateness_s=lateness_s,
        tasks=slot.had,
        cost=cost,
        rating_below_5=below_5,
    )


def placed_of(board: Board, rider: int, slot: Slot) -> list[Placed]:
    stops = board.of_task[slot.task]
    order = orders_of(len(slot.route), len(stops), int(board.first[rider]))[slot.order]
    return placed(order, [board.stops[number] for number in (*slot.route, *stops)], len(slot.route))


def placed_together(board: Board, rider: int, slots: Sequence[Slot]) -> list[Placed]:
    """On the way as it is once all of them are on it."""
    own = {stop for slot in slots for stop in board.of_task[slot.task]}
    way = way_with(board, rider, slots[-1])
    return [
        Placed(
            task_id=board.stops[stop].task_id,
            stop_id=board.stops[stop].stop_id,
            behind=None if before is None else board.stops[before].ref,
        )
        for before, stop in zip((None, *way), way, strict=False)
        if stop in own
    ]


def way_with(board: Board, rider: int, slot: Slot) -> list[int]:
    """The stops ahead, by number, with those of the slot's task."""
    ahead = (*slot.route, *board.of_task[slot.task])
    order = orders_of(len(slot.route), len(ahead) - len(slot.route), int(board.first[rider]))[slot.order]
    return [ahead[number - 1] for number in order.tolist()[1:]]


def whys(question: BatchQuestion, plan: Plan) -> list[Left]:
    """Judged by what riders have by now."""
    numbers: list[int | None] = []
    for rider in question.riders:
        numbers.append(sum(number is not None for number in numbers) if rider.placed else None)
    has = [
        (rider if number is None else replace(rider, tasks=int(plan.table.had[number])), number)
        for rider, number in zip(question.riders, numbers, strict=True)
    ]
    return [
        Left(
            task_id=question.tasks[task].task_id,
            round=question.tasks[task].round,
            code=why_left(question, plan.table, task, has),
        )
        for task in plan.left
    ]


def why_left(
    question: BatchQuestion, table: Table, task: int, riders: Sequence[tuple[KnownRider, int | None]]
) -> LeftBecause:
    """The truest: that somebody could; else what shuts out most of those who are shut out by the way alone; else what
    shuts out most."""
    on_the_way: Counter[LeftBecause] = Counter()
    by_rule: Counter[LeftBecause] = Counter()
    work, declined = work_for(question.tasks[task], question), frozenset(question.tasks[task].declined)
    shut_out = Exclusions(question.rules, work, declined, question.decided_at, question.of_vehicles)
    for rider, number in riders:
        why = shut_out.of(rider)
        if why is not None:
            by_rule[code_of(why)] += 1
        elif number is not None and table.code[task, number] == FITS:
            return "dearer_than_waiting"
        elif number is not None:
            on_the_way[CODES[table.code[task, number]]] += 1
    counted = on_the_way or by_rule
    return min(counted, key=lambda code: (-counted[code], code)) if counted else "no_riders"
