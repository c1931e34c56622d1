"""Every read model, over what happens in a whole town: in whatever order the aggregates come, the rows are the same."""

from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import Any

import pytest
from interleaved import interleaved
from town import Town
from townspeople import People

from commands.task_state import CreatedTask, leg_of, state_of
from projections.folding import Parked, folded
from projections.model import Fact, Key, ReadModel, fact_of
from projections.models import MODELS
from projections.task_board import TASK_BOARD

HAPPENS = ("somebody_asks", "somebody_asks", "processes_go_on", "time_passes", "what_is_due_fires", "phones_tell")
TOWNS, STEPS = 6, 500
NEVER_HERE = frozenset({"anomalies", "eta_scores", "fence_alerts", "geofence_versions", "geofences", "trips"})
"""Of what devices tell, and of fences, nothing happens in the town."""


@lru_cache
def lived(seed: int) -> Town:
    draw, town = Random(seed), Town()
    people = People(town)
    town.together = lambda: town.chance.choice((0, 1))
    for _ in range(STEPS):
        town.chance = Random(draw.randrange(2**24))
        what = draw.choice(HAPPENS)
        getattr(people if what == "somebody_asks" else town, what)()
    return town


@lru_cache
def facts_of(seed: int) -> Sequence[Fact]:
    return [fact_of(stored) for stored in lived(seed).desk.log]


def rows_of(model: ReadModel, facts: Sequence[Fact]) -> dict[Key, Any]:
    parked = Parked()
    rows, _ = folded(model, [fact for fact in facts if type(fact.event) in model.events], {}, parked)
    assert not parked.fresh, parked.fresh
    return {key: row for key, row in rows.items() if row is not None}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_in_whatever_order_the_aggregates_come_the_rows_are_the_same(name: str):
    model, filled = MODELS[name], 0
    for seed in range(TOWNS):
        facts = [fact for fact in facts_of(seed) if type(fact.event) in model.events]
        rows = rows_of(model, facts)
        filled += len(rows)
        for draw in (Random(seed), Random(~seed)):
            assert interleaved(model, facts, draw) == rows
    assert filled or name in NEVER_HERE, "else nothing was shown"


@pytest.mark.parametrize("seed", range(TOWNS))
def test_the_board_says_of_each_task_what_decisions_say(seed: int):
    rows = {row.task_id: row for row in rows_of(TASK_BOARD, facts_of(seed)).values()}
    tasks: dict[str, CreatedTask] = dict(lived(seed).of_kind("task"))
    assert rows.keys() == tasks.keys()
    for task_id, task in tasks.items():
        row = rows[task_id]
        told = (row.state, row.leg, row.rider_id, row.held, row.outcome, row.round)
        assert told == (state_of(task), leg_of(task), task.rider_id, task.held, task.outcome, task.round), task_id
