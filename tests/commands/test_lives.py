"""Every life as it is declared: each move happens, and no other does."""

import pytest
from lived import REPERTOIRES, lived

from commands.aggregates import AGGREGATES

AT_LEAST = 15_000
AT_MOST = 600_000
"""Commands asked."""


def test_every_kind_is_lived():
    assert REPERTOIRES.keys() == AGGREGATES.keys()


@pytest.mark.parametrize("kind", AGGREGATES)
def test_every_move_that_is_declared_happens_and_no_other(kind: str):
    aggregate = AGGREGATES[kind]
    declared = {(event, move) for event, moves in aggregate.life.moves.items() for move in moves}
    missing = set(declared)
    for steps, happened in enumerate(lived(kind, AT_MOST)):
        assert happened in declared, f"{happened[0].__name__} led from {' to '.join(happened[1])}"
        missing.discard(happened)
        if not missing and steps > AT_LEAST:
            break
    assert not missing, f"in {AT_MOST} commands never: {sorted((e.__name__, move) for e, move in missing)}"


@pytest.mark.parametrize("kind", AGGREGATES)
def test_every_event_has_its_place_in_the_life(kind: str):
    assert AGGREGATES[kind].life.moves.keys() == set(AGGREGATES[kind].events)
