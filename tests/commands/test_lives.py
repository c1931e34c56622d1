"""Every life as it is declared: each move happens, and no other does."""

from functools import cache
from typing import Any

import pytest
from lived import REPERTOIRES, lived

from commands.aggregates import AGGREGATES
from commands.life import Life

AT_LEAST = 6_000
"""Commands that changed something."""

ASKED, SEEDS = 800_000, 5
"""So many commands are asked from each seed, whatever comes of them: what one seldom comes by another does soon."""


def test_every_kind_is_lived():
    assert REPERTOIRES.keys() == AGGREGATES.keys()


@cache
def happened(kind: str) -> tuple[set[Any], set[Any]]:
    """The moves, and which commands changed something in which states: until all that is declared has been seen."""
    life = AGGREGATES[kind].life
    declared_moves, declared_takes = declared(life)
    moves: set[Any] = set()
    takes: set[Any] = set()
    for steps, each in enumerate(each for seed in range(SEEDS) for each in lived(kind, ASKED, seed)):
        moves.update(each.moves)
        if each.command in life.takes:
            takes.add((each.command, each.status))
        if steps > AT_LEAST and moves >= declared_moves and takes >= declared_takes:
            break
    return moves, takes


def declared(life: Life) -> tuple[set[Any], set[Any]]:
    moves = {(event, move) for event, all_moves in life.moves.items() for move in all_moves}
    return moves, {(cls, status) for cls, statuses in life.takes.items() for status in statuses}


def named(found: set[Any]) -> list[str]:
    return sorted(f"{cls.__name__} {where}" for cls, where in found)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", AGGREGATES)
def test_every_move_that_is_declared_happens_and_no_other(kind: str):
    assert named(happened(kind)[0]) == named(declared(AGGREGATES[kind].life)[0])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", AGGREGATES)
def test_a_command_changes_something_in_the_states_that_are_declared_and_in_no_other(kind: str):
    assert named(happened(kind)[1]) == named(declared(AGGREGATES[kind].life)[1])


@pytest.mark.parametrize("kind", AGGREGATES)
def test_every_event_has_its_place_in_the_life(kind: str):
    assert AGGREGATES[kind].life.moves.keys() == set(AGGREGATES[kind].events)
