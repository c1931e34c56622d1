"""Every life as it is declared: each move happens, and no other does."""

import pytest
from lived import REPERTOIRES, lived

from commands.aggregates import AGGREGATES

AT_LEAST = 6_000
"""Commands that changed something."""

AT_MOST = 600_000
"""Commands asked, whatever came of them."""


def test_every_kind_is_lived():
    assert REPERTOIRES.keys() == AGGREGATES.keys()


@pytest.mark.parametrize("kind", AGGREGATES)
def test_every_move_that_is_declared_happens_and_no_other(kind: str):
    life = AGGREGATES[kind].life
    declared = {(event, move) for event, moves in life.moves.items() for move in moves}
    missing = set(declared)
    for steps, happened in enumerate(lived(kind, AT_MOST)):
        for event, move in happened.moves:
            assert (event, move) in declared, f"{event.__name__} led from {' to '.join(move)}"
        missing.difference_update(happened.moves)
        if not missing and steps > AT_LEAST:
            break
    assert not missing, f"in {AT_MOST} commands never: {sorted((e.__name__, move) for e, move in missing)}"


@pytest.mark.parametrize("kind", AGGREGATES)
def test_a_command_changes_something_in_the_states_that_are_declared_and_in_no_other(kind: str):
    declared = {(cls, status) for cls, statuses in AGGREGATES[kind].life.takes.items() for status in statuses}
    missing = set(declared)
    takes = AGGREGATES[kind].life.takes
    for steps, happened in enumerate(lived(kind, AT_MOST)):
        if happened.command in takes:
            changed = happened.command, happened.status
            assert changed in declared, f"{changed[0].__name__} changed something in {changed[1]}"
            missing.discard(changed)
        if not missing and steps > AT_LEAST:
            break
    assert not missing, f"in {AT_MOST} commands never: {sorted((c.__name__, status) for c, status in missing)}"


@pytest.mark.parametrize("kind", AGGREGATES)
def test_every_event_has_its_place_in_the_life(kind: str):
    assert AGGREGATES[kind].life.moves.keys() == set(AGGREGATES[kind].events)
